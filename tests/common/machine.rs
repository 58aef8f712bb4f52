//! A function as machine code, called with made-up data and compared with the interpreter.
//!
//! In: functions. Out: their results as the machine gives them.

use seqc::dim::Sym;
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Elem, Func, InputRole, OutputRole};
use seqc::schedule::program::Program;
use seqc::targets::cpu::exec::{self, CpuExecutable};
use seqc::targets::cpu::isa::{Cpu, Isa};
use seqc::targets::executable::{self, Arg, Call, Executable};

pub fn sizes(func: &Func, b: i64, t: i64) -> Vec<(Sym, i64)> {
    let value = |s: Sym| {
        let n = if s.name() == "B" { b } else { t };
        (s, n)
    };
    func.dims.launch_syms().into_iter().map(value).collect()
}

/// The same numbers in f32, so that both sides start from equal bits.
fn rounded(all: Vec<Tensor>) -> Vec<Tensor> {
    let round = |mut t: Tensor| {
        t.data.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        t
    };
    all.into_iter().map(round).collect()
}

enum Owned {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

/// The arguments of one call.
#[derive(Clone)]
pub struct Data {
    pub sizes: Vec<(Sym, i64)>,
    pub inputs: Vec<Tensor>,
    pub params: Vec<Tensor>,
}

impl Data {
    pub fn new(func: &Func, b: i64, t: i64, lens: &[usize]) -> Data {
        let sizes = sizes(func, b, t);
        let inputs = super::inputs(func, &sizes, lens, 5);
        let params = super::params(func, &sizes, 0.5);
        Data::of(sizes, inputs, params)
    }

    pub fn of(sizes: Vec<(Sym, i64)>, inputs: Vec<Tensor>, params: Vec<Tensor>) -> Data {
        Data {
            inputs: rounded(inputs),
            params: rounded(params),
            sizes,
        }
    }

    /// Puts a number, or a token, behind the end of every sequence. Returns how many places that were.
    pub fn pad(&mut self, func: &Func, number: f64, token: f64) -> usize {
        let mut filled = 0;
        let lengths: Vec<(String, Vec<f64>)> = func
            .inputs
            .iter()
            .zip(&self.inputs)
            .filter_map(|(i, t)| match &i.role {
                InputRole::Lengths(axis) => Some((axis.clone(), t.data.clone())),
                InputRole::Data(_)
                | InputRole::Previous(_)
                | InputRole::Steps(_)
                | InputRole::Carry(_) => None,
            })
            .collect();
        for (input, tensor) in func.inputs.iter().zip(&mut self.inputs) {
            let ty = &func.value(input.value).ty;
            let axis = ty.shape.first().and_then(|d| d.as_sym());
            let of = |(name, _): &&(String, Vec<f64>)| axis.is_some_and(|a| a.name() == name);
            let timed = matches!(input.role, InputRole::Data(_) | InputRole::Previous(_));
            let Some((_, lens)) = lengths.iter().find(of).filter(|_| timed) else {
                continue;
            };
            let row: usize = tensor.shape[2..].iter().product();
            for (place, chunk) in tensor.data.chunks_mut(row.max(1)).enumerate() {
                let (t, b) = (place / lens.len(), place % lens.len());
                if t as f64 >= lens[b] {
                    chunk.fill(if ty.elem == Elem::I32 { token } else { number });
                    filled += 1;
                }
            }
        }
        filled
    }

    /// All sequences of full length, numbers by role and weights by path.
    pub fn given(
        func: &Func,
        b: i64,
        t: i64,
        numbers: &dyn Fn(&InputRole) -> Vec<f64>,
        weights: &dyn Fn(&str) -> Vec<f64>,
    ) -> Data {
        let mut data = Data::new(func, b, t, &vec![t as usize; b as usize]);
        for (input, tensor) in func.inputs.iter().zip(&mut data.inputs) {
            if !matches!(input.role, InputRole::Lengths(_)) {
                *tensor = Tensor::new(tensor.shape.clone(), numbers(&input.role));
            }
        }
        for (param, tensor) in func.params.iter().zip(&mut data.params) {
            *tensor = Tensor::new(tensor.shape.clone(), weights(&param.path));
        }
        data
    }

    /// Outputs, then gradients.
    pub fn call(&self, func: &Func, x: &mut CpuExecutable) -> (Vec<Vec<f32>>, Vec<f32>) {
        let one = |(i, t): (&seqc::ir::Input, &Tensor)| match func.value(i.value).ty.elem {
            Elem::F32 => Owned::F32(t.data.iter().map(|x| *x as f32).collect()),
            Elem::I32 => Owned::I32(t.data.iter().map(|x| *x as i32).collect()),
        };
        let owned: Vec<Owned> = func.inputs.iter().zip(&self.inputs).map(one).collect();
        fn arg(o: &Owned) -> Arg<'_> {
            match o {
                Owned::F32(x) => Arg::F32(x),
                Owned::I32(x) => Arg::I32(x),
            }
        }
        let inputs: Vec<Arg<'_>> = owned.iter().map(arg).collect();
        let params: Vec<f32> = self
            .params
            .iter()
            .flat_map(|t| t.data.iter().map(|x| *x as f32))
            .collect();
        let mut outputs = vec![Vec::new(); x.signature().outputs.len()];
        let mut grads = vec![
            f32::NAN;
            if x.signature().has_grads {
                params.len()
            } else {
                0
            }
        ];
        let sizes: Vec<usize> = self.sizes.iter().map(|(_, n)| *n as usize).collect();
        x.run(Call {
            sizes: &sizes,
            params: &params,
            inputs: &inputs,
            outputs: &mut outputs,
            grads: &mut grads,
            draw: executable::Draw { seed: 1, step: 3 },
        })
        .unwrap_or_else(|e| panic!("{}: {e:?}", func.name));
        (outputs, grads)
    }

    pub fn expected(&self, func: &Func) -> Vec<Tensor> {
        let draw = Draw { seed: 1, step: 3 };
        run(func, &self.sizes, &self.inputs, &self.params, draw).expect("runs")
    }

    pub fn compare(&self, what: &str, func: &Func, want: &[Tensor], x: &mut CpuExecutable) {
        self.compare_within(1e-5, what, func, want, x);
    }

    pub fn compare_within(
        &self,
        bound: f64,
        what: &str,
        func: &Func,
        want: &[Tensor],
        x: &mut CpuExecutable,
    ) {
        let (outputs, grads) = self.call(func, x);
        let mut results = outputs.iter();
        let mut floor = None;
        for (i, (o, t)) in func.outputs.iter().zip(want).enumerate() {
            let got: Vec<f32> = match &o.role {
                OutputRole::Grad(path) => {
                    let params = &x.signature().params;
                    let p = params.iter().find(|p| &p.path == path).expect("a weight");
                    grads[p.offset..p.offset + p.len].to_vec()
                }
                _ => results.next().expect("an output for each").clone(),
            };
            let got: Vec<f64> = got.into_iter().map(f64::from).collect();
            let d = super::distance(&got, &t.data);
            if d < bound {
                continue;
            }
            // A layer norm of a vector that is nearly constant multiplies rounding as it does the rest:
            // what rounding alone does to the result is no fault of the code.
            let floor: &Vec<f64> = floor.get_or_insert_with(|| {
                super::rounding::rounding(func, self, want).expect("runs with rounding")
            });
            let squares = got.iter().zip(&t.data).map(|(a, b)| (a - b).powi(2));
            let apart = squares.sum::<f64>().sqrt();
            let explained = apart <= ROUNDING * floor[i];
            assert!(
                explained,
                "{what}: {:?} differs by {d:e}; rounding explains {:e} of {apart:e}",
                o.role, floor[i]
            );
        }
    }
}

/// So many times what rounding every operation once does to a result.
const ROUNDING: f64 = 32.0;

pub fn compiled(program: &Program, isa: Isa, threads: usize, always_divide: bool) -> CpuExecutable {
    let options = exec::Options {
        threads,
        cpu: Cpu::here(isa),
        always_divide,
        ..exec::Options::default()
    };
    exec::compile(program, &options).unwrap_or_else(|e| panic!("{e:?}\n{program}"))
}
