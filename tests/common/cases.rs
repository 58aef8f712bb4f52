//! Small functions whose gradients are compared with differences, and whose plans and machine code
//! are compared with the interpreter.
//!
//! A case makes a value from weights (so that every operand has a gradient); the loss is its product
//! with fixed random numbers, summed.

use seqc::dim::{Binding, Dim, DimTable, Role, Sym};
use seqc::ir::build::Build;
use seqc::ir::interp::Tensor;
use seqc::ir::*;
use seqc::reverse::differentiate;
use seqc::rewrite;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;

use super::machine::{Data, compiled};

const LENS: [usize; 3] = [4, 2, 0];

/// Two time axes, and feature axes of different sizes.
fn dims() -> DimTable {
    let mut d = DimTable::default();
    d.declare(Sym::new("B"), Role::Batch, Binding::Launch);
    for time in ["T", "S"] {
        d.declare(Sym::new(time), Role::Time, Binding::Launch);
    }
    for (name, size) in [("H", 3), ("X", 2), ("N", 2), ("K", 2), ("E", 4)] {
        let binding = Binding::Static(Some(size));
        d.declare(Sym::new(name), Role::Feature, binding);
    }
    d.declare(Sym::new("V"), Role::Vocabulary, Binding::Static(Some(5)));
    d
}

fn sizes(b: i64, t: i64, s: i64) -> Vec<(Sym, i64)> {
    vec![(Sym::new("B"), b), (Sym::new("T"), t), (Sym::new("S"), s)]
}

/// What a case may ask for: weights of any shape, lengths, integers.
pub struct Case<'a, 'f> {
    pub b: &'a mut Build<'f>,
}

pub fn dims_of(names: &[&str]) -> Vec<Dim> {
    names.iter().map(|n| Dim::named(n)).collect()
}

impl Case<'_, '_> {
    pub fn weight(&mut self, name: &str, shape: &[&str]) -> ValueId {
        let value = self.b.func.fresh(name, Type::f32(dims_of(shape)));
        self.b.func.params.push(Param {
            path: name.to_string(),
            value,
        });
        value
    }

    pub fn data(&mut self, role: InputRole, name: &str, ty: Type) -> ValueId {
        let value = self.b.func.fresh(name, ty);
        self.b.func.inputs.push(Input { role, value });
        value
    }

    pub fn lengths(&mut self) -> ValueId {
        self.lengths_of("T")
    }

    pub fn lengths_of(&mut self, time: &str) -> ValueId {
        let ty = Type::i32(dims_of(&["B"]));
        self.data(InputRole::Lengths(time.into()), "len", ty)
    }

    pub fn integers(&mut self, shape: &[&str]) -> ValueId {
        let ty = Type::i32(dims_of(shape));
        self.data(InputRole::Data("k".into()), "k", ty)
    }

    pub fn fresh(&mut self, name: &str, shape: &[&str]) -> ValueId {
        self.b.func.fresh(name, Type::f32(dims_of(shape)))
    }
}

/// The case's loss as a function.
pub fn function(name: &str, case: &dyn Fn(&mut Case<'_, '_>) -> ValueId) -> Func {
    let mut func = Func::new(name, dims());
    let mut b = Build::new(&mut func);
    let mut c = Case { b: &mut b };
    let y = case(&mut c);
    let shape = c.b.func.shape(y).to_vec();
    let role = InputRole::Data("weights of the sum".into());
    let q = c.data(role, "q", Type::f32(shape.clone()));
    let mut loss = b.mul(y, q, "yq");
    if !shape.is_empty() {
        let axes: Vec<usize> = (0..shape.len()).collect();
        loss = b.reduce(ReduceOp::Sum, loss, &axes, "loss");
    }
    let ops = std::mem::take(&mut b.ops);
    func.body.ops = ops;
    func.outputs.push(Output {
        role: OutputRole::Loss,
        value: loss,
    });
    verify::verify(&func).unwrap_or_else(|e| panic!("{name}: {e}\n{func}"));
    func
}

/// Without rewrites, and after every one.
pub fn differentiated(func: &Func) -> [Func; 2] {
    let name = &func.name;
    let plain = differentiate(func, &|_| true).unwrap_or_else(|e| panic!("{name}: {e}"));
    verify::verify(&plain).unwrap_or_else(|e| panic!("{name}: {e}\n{plain}"));
    let mut fast = func.clone();
    let mut table = Vec::new();
    rewrite::run(&mut fast, rewrite::FORWARD, &[], &mut table).unwrap();
    let mut fast = differentiate(&fast, &|_| true).unwrap();
    rewrite::run(&mut fast, rewrite::BACKWARD, &[], &mut table).unwrap();
    rewrite::run(&mut fast, rewrite::CLEAN, &[], &mut table).unwrap();
    verify::verify(&fast).unwrap_or_else(|e| panic!("{name}: {e}\n{fast}"));
    [plain, fast]
}

/// Weights away from kinks and from the edges of log, sqrt and division.
fn data(func: &Func, sizes: &[(Sym, i64)], lens: &[usize]) -> (Vec<Tensor>, Vec<Tensor>) {
    let inputs = super::inputs(func, sizes, lens, 5);
    let mut params = super::params(func, sizes, 0.7);
    for x in params.iter_mut().flat_map(|p| p.data.iter_mut()) {
        *x += 0.3 * x.signum();
    }
    (inputs, params)
}

/// Builds the case, differentiates it and compares; also after every rewrite.
pub fn check(name: &str, case: impl Fn(&mut Case<'_, '_>) -> ValueId) {
    let sizes = sizes(3, 4, 5);
    for func in &differentiated(&function(name, &case)) {
        let (inputs, params) = data(func, &sizes, &LENS);
        super::check_schedule(func, &sizes, &inputs, &params);
        let worst = super::check_every_coordinate(func, &sizes, &inputs, &params);
        assert!(worst < 1e-6, "{name}: relative distance {worst:e}\n{func}");
    }
}

/// Weights whose shape has a size of the launch become inputs, which machine code can take, and their
/// gradients named outputs.
fn with_inputs(func: &Func) -> Func {
    let mut func = func.clone();
    let launch = func.dims.launch_syms();
    let fixed = |p: &Param| {
        !func
            .shape(p.value)
            .iter()
            .any(|d| launch.iter().any(|s| d.mentions(s)))
    };
    let (params, given): (Vec<Param>, Vec<Param>) = func.params.iter().cloned().partition(fixed);
    func.params = params;
    for p in given {
        let grad = OutputRole::Grad(p.path.clone());
        for o in func.outputs.iter_mut().filter(|o| o.role == grad) {
            o.role = OutputRole::Named(format!("d{}", p.path));
        }
        func.inputs.push(Input {
            role: InputRole::Data(p.path),
            value: p.value,
        });
    }
    func
}

/// The same, and the machine code of every instruction set at this size, at axes of one step and of
/// none, and at more rows than a tile.
pub fn check_compiled(name: &str, case: impl Fn(&mut Case<'_, '_>) -> ValueId) {
    check(name, &case);
    for func in &differentiated(&function(name, &case)).map(|f| with_inputs(&f)) {
        let program = schedule(func).unwrap_or_else(|e| panic!("{}\n{func}", e.message));
        let of = |isa| compiled(&program, isa, 1, false);
        let mut all: Vec<_> = Isa::available().into_iter().map(of).collect();
        let mut divided = compiled(&program, Isa::detect(), 3, true);
        let mut whole = compiled(&program, Isa::detect(), 1, false);
        for (b, t, s) in [
            (3, 4, 5),
            (1, 1, 1),
            (2, 3, 0),
            (2, 0, 3),
            (2, 1, 4),
            (19, 3, 17),
        ] {
            let sizes = sizes(b, t, s);
            let lens: Vec<usize> = (0..b as usize).map(|i| LENS[i % 3] + i / 3 * 2).collect();
            let (inputs, mut params) = data(func, &sizes, &lens);
            // Far from where a long recurrence makes f32's rounding large.
            for x in params.iter_mut().flat_map(|p| p.data.iter_mut()) {
                *x *= 0.5;
            }
            super::check_schedule(func, &sizes, &inputs, &params);
            let data = Data::of(sizes, inputs, params);
            let want = data.expected(func);
            for x in &mut all {
                // A sum of few terms may cancel to much less than they are.
                let what = format!("{name} {b} {t} {s}");
                data.compare_within(1e-4, &what, func, &want, x);
            }
            let bits = |x: &mut _| {
                let (outputs, grads) = data.call(func, x);
                let all = outputs.into_iter().flatten().chain(grads);
                all.map(f32::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(bits(&mut divided), bits(&mut whole), "{name} {b} {t} {s}");
        }
    }
}
