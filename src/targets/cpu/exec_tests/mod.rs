//! Programs built by hand, run and compared with plain loops in f64.

mod folds;
mod held;
mod launch;
mod maps;
mod math;
mod products;
mod rounding;
mod routines;
mod scans;

use super::exec::{self, CpuExecutable, Options};
use crate::dim::{Binding, Dim, DimTable, Role as DimRole, Sym};
use crate::philox::{Place, Stream};
use crate::schedule::program::*;
use crate::targets::executable::{Arg, Call, Draw, Executable};

/// A program under construction.
struct Build {
    program: Program,
}

/// A launch size.
fn n(name: &str) -> Dim {
    Dim::named(name)
}

/// A known size.
fn c(size: i64) -> Dim {
    Dim::constant(size)
}

fn times(a: &Dim, b: &Dim) -> Dim {
    a.checked_mul(b).unwrap()
}

/// Axes of a contiguous array.
fn dense(shape: &[Dim]) -> Vec<Axis> {
    let mut stride = c(1);
    let mut axes = Vec::new();
    for size in shape.iter().rev() {
        axes.push(Axis {
            size: size.clone(),
            stride: stride.clone(),
        });
        stride = times(&stride, size);
    }
    axes.reverse();
    axes
}

fn axis(size: &Dim, stride: &Dim) -> Axis {
    Axis {
        size: size.clone(),
        stride: stride.clone(),
    }
}

fn e(i: usize) -> ExprId {
    ExprId(i as u32)
}

fn view(buffer: BufferId, axes: Vec<Axis>) -> View {
    View {
        buffer,
        offset: c(0),
        step: None,
        axes,
    }
}

impl Build {
    fn new(launch: &[&str]) -> Build {
        let mut dims = DimTable::default();
        for name in launch {
            dims.declare(Sym::new(name), DimRole::Feature, Binding::Launch);
        }
        Build {
            program: Program {
                name: "test".to_string(),
                dims,
                buffers: Vec::new(),
                slots: Vec::new(),
                params: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                tasks: Vec::new(),
                begun: Vec::new(),
            },
        }
    }

    fn buffer(&mut self, name: &str, elem: Elem, shape: &[Dim], home: Home) -> BufferId {
        self.program.buffers.push(Buffer {
            name: name.to_string(),
            elem,
            shape: shape.to_vec(),
            home,
            life: (0, 0),
            then: Vec::new(),
        });
        BufferId(self.program.buffers.len() as u32 - 1)
    }

    fn input(&mut self, shape: &[Dim]) -> BufferId {
        self.typed_input(Elem::F32, shape, Role::Data("x".to_string()))
    }

    fn integers(&mut self, shape: &[Dim]) -> BufferId {
        self.typed_input(Elem::I32, shape, Role::Data("index".to_string()))
    }

    fn typed_input(&mut self, elem: Elem, shape: &[Dim], role: Role) -> BufferId {
        let home = Home::Input(self.program.inputs.len());
        let buffer = self.buffer("input", elem, shape, home);
        self.program.inputs.push(Port { role, buffer });
        buffer
    }

    fn output(&mut self, shape: &[Dim]) -> BufferId {
        let home = Home::Output(self.program.outputs.len());
        let buffer = self.buffer("output", Elem::F32, shape, home);
        let role = Role::Named("y".to_string());
        self.program.outputs.push(Port { role, buffer });
        buffer
    }

    fn temp(&mut self, shape: &[Dim]) -> BufferId {
        let len = shape.iter().fold(c(1), |a, d| times(&a, d));
        let home = Home::Temp(self.program.slots.len());
        self.program.slots.push(vec![len]);
        self.buffer("temp", Elem::F32, shape, home)
    }

    fn weight(&mut self, path: &str, shape: &[Dim], grad: bool) -> (BufferId, Option<BufferId>) {
        let i = self.program.params.len();
        let buffer = self.buffer(path, Elem::F32, shape, Home::Param(Weights::one(i)));
        let grad = grad.then(|| self.buffer(path, Elem::F32, shape, Home::Grad(Weights::one(i))));
        self.program.params.push(ParamPort {
            path: path.to_string(),
            shape: shape.to_vec(),
        });
        (buffer, grad)
    }

    /// A group that stores its last expression.
    fn map(&mut self, space: &[Dim], loads: Vec<View>, exprs: Vec<Expr>, to: View) {
        let value = e(exprs.len() - 1);
        let effects = vec![Effect::Store { value, to }];
        self.group(space, loads, exprs, vec![false; space.len()], effects);
    }

    fn group(
        &mut self,
        space: &[Dim],
        loads: Vec<View>,
        exprs: Vec<Expr>,
        reduced: Vec<bool>,
        effects: Vec<Effect>,
    ) {
        let l = a_loop(space, loads, exprs, reduced, effects);
        self.program.tasks.push(Task::Loop(l));
    }

    fn compile(&self, threads: usize) -> CpuExecutable {
        let options = Options {
            threads,
            ..Options::default()
        };
        exec::compile(&self.program, &options).unwrap()
    }
}

fn a_loop(
    space: &[Dim],
    loads: Vec<View>,
    exprs: Vec<Expr>,
    reduced: Vec<bool>,
    effects: Vec<Effect>,
) -> Loop {
    Loop {
        name: "group".to_string(),
        space: space.to_vec(),
        reduced,
        loads,
        exprs,
        effects,
        epilogue_of: None,
        spans: Vec::new(),
    }
}

/// Runs once and gives the outputs.
fn run(x: &mut CpuExecutable, sizes: &[usize], inputs: &[Arg<'_>]) -> Vec<Vec<f32>> {
    run_with(x, sizes, &[], inputs).0
}

/// Runs once with weights and gives outputs and gradients.
fn run_with(
    x: &mut CpuExecutable,
    sizes: &[usize],
    params: &[f32],
    inputs: &[Arg<'_>],
) -> (Vec<Vec<f32>>, Vec<f32>) {
    let mut outputs = vec![Vec::new(); x.signature().outputs.len()];
    let has_grads = x.signature().has_grads;
    // What is not written shows.
    let mut grads = vec![f32::NAN; if has_grads { params.len() } else { 0 }];
    x.run(Call {
        sizes,
        params,
        inputs,
        outputs: &mut outputs,
        grads: &mut grads,
        draw: Draw { seed: 3, step: 5 },
    })
    .unwrap();
    (outputs, grads)
}

/// Uniform draws between −1 and 1.
fn draws(len: usize, path: u32) -> Vec<f32> {
    let mut stream = Stream::new(Place {
        key: [1, 2],
        path,
        step: 0,
    });
    (0..len)
        .map(|_| stream.next_uniform() * 2.0 - 1.0)
        .collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Both within `tolerance` of the larger magnitude, or equal.
fn close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(1e-3f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*g) - w).abs() / scale;
        assert!(error <= tolerance, "element {i}: {g} for {w}");
    }
}

/// The same bits for one, two and three workers.
fn same_for_any_threads(
    b: &Build,
    sizes: &[usize],
    params: &[f32],
    inputs: &[Arg<'_>],
) -> (Vec<Vec<f32>>, Vec<f32>) {
    let first = run_with(&mut b.compile(1), sizes, params, inputs);
    for threads in [2, 3] {
        let options = Options {
            threads,
            always_divide: true,
            ..Options::default()
        };
        let mut other = exec::compile(&b.program, &options).unwrap();
        let other = run_with(&mut other, sizes, params, inputs);
        for (a, b) in first.0.iter().zip(&other.0) {
            assert_eq!(bits(a), bits(b), "{threads} threads");
        }
        assert_eq!(bits(&first.1), bits(&other.1), "{threads} threads");
    }
    first
}
