//! Every model of `examples/` and `tests/cells/` as machine code, against the interpreter.
//!
//! Outputs and gradients agree within 1e-5 by norm on every instruction set, and the bits are the same for
//! any number of threads.

mod common;

use common::models::{B, LENS, T, models, programs};
use seqc::dim::{Dim, Sym};
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Elem, Func, InputRole, OutputRole};
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::program::Program;
use seqc::schedule::schedule;
use seqc::targets::cpu::exec::{self, CpuExecutable};
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::{self, Arg, Call, Executable};

fn sizes(func: &Func, b: i64, t: i64) -> Vec<(Sym, i64)> {
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

struct Data {
    sizes: Vec<(Sym, i64)>,
    inputs: Vec<Tensor>,
    params: Vec<Tensor>,
}

impl Data {
    fn new(func: &Func, b: i64, t: i64, lens: &[usize]) -> Data {
        let sizes = sizes(func, b, t);
        let mut inputs = rounded(common::inputs(func, &sizes, lens, 5));
        for (input, tensor) in func.inputs.iter().zip(&mut inputs) {
            // A time axis may be of a fixed size.
            if let InputRole::Lengths(axis) = &input.role {
                let steps = common::shape_of(func, &[Dim::named(axis)], &sizes)[0] as f64;
                tensor.data.iter_mut().for_each(|l| *l = l.min(steps));
            }
        }
        Data {
            inputs,
            params: rounded(common::params(func, &sizes, 0.5)),
            sizes,
        }
    }

    /// Outputs, then gradients.
    fn call(&self, func: &Func, x: &mut CpuExecutable) -> (Vec<Vec<f32>>, Vec<f32>) {
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

    fn expected(&self, func: &Func) -> Vec<Tensor> {
        let draw = Draw { seed: 1, step: 3 };
        run(func, &self.sizes, &self.inputs, &self.params, draw).expect("runs")
    }

    fn compare(&self, what: &str, func: &Func, want: &[Tensor], x: &mut CpuExecutable) {
        let (outputs, grads) = self.call(func, x);
        let mut results = outputs.iter();
        for (o, t) in func.outputs.iter().zip(want) {
            let got: Vec<f32> = match &o.role {
                OutputRole::Grad(path) => {
                    let params = &x.signature().params;
                    let p = params.iter().find(|p| &p.path == path).expect("a weight");
                    grads[p.offset..p.offset + p.len].to_vec()
                }
                _ => results.next().expect("an output for each").clone(),
            };
            let got: Vec<f64> = got.into_iter().map(f64::from).collect();
            let d = common::distance(&got, &t.data);
            assert!(d < 1e-5, "{what}: {:?} differs by {d:e}", o.role);
        }
    }
}

fn compiled(program: &Program, isa: Isa, threads: usize, always_divide: bool) -> CpuExecutable {
    let options = exec::Options {
        threads,
        isa,
        always_divide,
        ..exec::Options::default()
    };
    exec::compile(program, &options).unwrap_or_else(|e| panic!("{e:?}\n{program}"))
}

/// Every function of every model, with a name to show.
fn functions() -> Vec<(String, Func)> {
    let mut all = Vec::new();
    for path in programs() {
        for model in models(&path) {
            let file = path.file_stem().unwrap().to_string_lossy().to_string();
            for (what, options, gradients) in [
                ("train", Options::TRAIN, true),
                ("evaluate", Options::EVALUATE, false),
                ("predict", Options::PREDICT, false),
            ] {
                let stages = Build::default().stages(&model, options, gradients).unwrap();
                all.push((format!("{file} {} {what}", model.name), stages.optimized));
            }
        }
    }
    all
}

#[test]
fn compiled_functions_compute_what_the_interpreter_does() {
    for (what, func) in functions() {
        let program = schedule(&func).unwrap();
        let of = |isa| compiled(&program, isa, 1, false);
        let mut all: Vec<_> = Isa::available().into_iter().map(of).collect();
        // The same code at three sizes: small, a single step, and more rows than a tile.
        let lens: Vec<usize> = (0..37).map(|i| 1 + i * 7 % 23).collect();
        for data in [
            Data::new(&func, B, T, &LENS),
            Data::new(&func, 1, 1, &[1]),
            Data::new(&func, 37, 23, &lens),
        ] {
            let want = data.expected(&func);
            for x in &mut all {
                data.compare(&what, &func, &want, x);
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for (what, func) in functions() {
        let program = schedule(&func).unwrap();
        let lens: Vec<usize> = (0..13).map(|i| 1 + i * 5 % 9).collect();
        let data = Data::new(&func, 13, 9, &lens);
        let one = data.call(&func, &mut compiled(&program, Isa::detect(), 1, false));
        for threads in [2, 3] {
            let many = data.call(&func, &mut compiled(&program, Isa::detect(), threads, true));
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            for (a, b) in one.0.iter().zip(&many.0) {
                assert_eq!(bits(a), bits(b), "{what}, {threads} threads");
            }
            assert_eq!(bits(&one.1), bits(&many.1), "{what}, {threads} threads");
        }
    }
}

#[test]
fn nothing_at_all_is_a_batch_too() {
    for (what, func) in functions() {
        let program = schedule(&func).unwrap();
        let mut x = compiled(&program, Isa::detect(), 2, true);
        for (b, t) in [(0, T), (0, 0), (2, 0)] {
            let lens = vec![t as usize; b as usize];
            let (_, grads) = Data::new(&func, b, t, &lens).call(&func, &mut x);
            // A mean over nothing may be no number; what was never written stays NaN only by that.
            assert!(
                grads.len() == x.signature().param_len || grads.is_empty(),
                "{what}"
            );
        }
    }
}
