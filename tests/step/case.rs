//! A model's one-step form run beside its full form.
//!
//! In: a forward function. Out: panics where a step's prediction differs.

use std::collections::BTreeMap;
use std::sync::Arc;

use seqc::dim::Sym;
use seqc::ir::interp::{self, Tensor};
use seqc::ir::*;
use seqc::pipeline;
use seqc::step::{OneStep, one_step};
use seqc::targets::cpu::pool::Pool;
use seqc::targets::executable::{Arg, Call, Draw, Executable};

use crate::common::{self, normal, shape_of};

const B: usize = 3;
const S: usize = 4;
const LENGTHS: [usize; 4] = [1, 2, 17, 33];

/// A function in one of the ways it is run.
enum Run<'a> {
    Interpreted(&'a Func),
    Compiled(&'a Func, Box<dyn Executable>),
}

impl Run<'_> {
    fn func(&self) -> &Func {
        match self {
            Run::Interpreted(f) | Run::Compiled(f, _) => f,
        }
    }

    /// Outputs of one call, `given` what each input is.
    fn call(
        &mut self,
        sizes: &[(Sym, i64)],
        given: &dyn Fn(&InputRole, &[usize]) -> Vec<f64>,
    ) -> Vec<Tensor> {
        let func = self.func();
        let inputs: Vec<Tensor> = (func.inputs.iter())
            .map(|i| {
                let shape = shape_of(func, func.shape(i.value), sizes);
                let data = given(&i.role, &shape);
                Tensor::new(shape, data)
            })
            .collect();
        let params = weights(func, sizes);
        match self {
            Run::Interpreted(func) => {
                interp::run(func, sizes, &inputs, &params, interp::Draw::default()).unwrap()
            }
            Run::Compiled(func, x) => {
                let whole: Vec<Vec<i32>> = inputs.iter().map(|t| as_i32(&t.data)).collect();
                let real: Vec<Vec<f32>> = inputs.iter().map(|t| as_f32(&t.data)).collect();
                let args: Vec<Arg<'_>> = (func.inputs.iter().zip(&whole).zip(&real))
                    .map(|((i, w), r)| match func.value(i.value).ty.elem {
                        Elem::F32 => Arg::F32(r),
                        Elem::I32 => Arg::I32(w),
                    })
                    .collect();
                let flat: Vec<f32> = params.iter().flat_map(|t| as_f32(&t.data)).collect();
                let mut outputs = vec![Vec::new(); func.outputs.len()];
                x.run(Call {
                    sizes: &sizes.iter().map(|(_, n)| *n as usize).collect::<Vec<_>>(),
                    params: &flat,
                    inputs: &args,
                    outputs: &mut outputs,
                    grads: &mut [],
                    draw: Draw::default(),
                })
                .unwrap();
                let one = |(o, data): (&Output, Vec<f32>)| {
                    let shape = shape_of(func, func.shape(o.value), sizes);
                    Tensor::new(shape, data.into_iter().map(f64::from).collect())
                };
                func.outputs.iter().zip(outputs).map(one).collect()
            }
        }
    }
}

fn as_f32(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

fn as_i32(x: &[f64]) -> Vec<i32> {
    x.iter().map(|x| *x as i32).collect()
}

/// Weights by path, so that every function of a model has the same; rounded to f32.
pub fn weights(func: &Func, sizes: &[(Sym, i64)]) -> Vec<Tensor> {
    let mut all = common::params(func, sizes, 0.4);
    let round = |x: &mut f64| *x = f64::from(*x as f32);
    all.iter_mut()
        .flat_map(|t| t.data.iter_mut())
        .for_each(round);
    all
}

/// The sizes of one function: `time` is the target's.
fn sizes(func: &Func, time: &str, steps: usize, room: usize) -> Vec<(Sym, i64)> {
    let one = |s: Sym| {
        let n = match s.name() {
            "B" => B,
            t if t == time => steps,
            t if t == format!("{time}.room") => room,
            _ => S,
        };
        (s, n as i64)
    };
    func.dims.launch_syms().into_iter().map(one).collect()
}

/// What a sequence's data is, for as many steps as are asked for: step by step, so that a prefix is
/// the same whatever the length.
fn data(
    role: &InputRole,
    elem_is_whole: bool,
    shape: &[usize],
    first: usize,
    timed: bool,
) -> Vec<f64> {
    let name = format!("{role:?}");
    let (steps, row) = match timed {
        true => (shape[0], shape[1..].to_vec()),
        false => (1, shape.to_vec()),
    };
    let mut out = Vec::new();
    for t in first..first + steps {
        let at = if timed { t } else { 0 };
        let one = normal(&row, &format!("{name}{at}"));
        out.extend(one.data.iter().map(|x| match elem_is_whole {
            true => ((x.abs() * 1000.0) as i64 % 5) as f64,
            false => f64::from(*x as f32),
        }));
    }
    out
}

struct Case<'a> {
    full: &'a Func,
    one: &'a OneStep,
    target: &'a str,
    steps: usize,
    lens: [usize; B],
}

impl Case<'_> {
    /// Data of a role in a function whose time starts at step `first`.
    fn given(&self, func: &Func, role: &InputRole, shape: &[usize], first: usize) -> Vec<f64> {
        let input = func.inputs.iter().find(|i| i.role == *role).unwrap();
        let whole = func.value(input.value).ty.elem == Elem::I32;
        // The axis' name is known from the full function.
        let old = self.full.inputs.iter().find(|i| i.role == *role);
        let time = Sym::new(&self.one.time);
        let timed = old.is_some_and(|i| {
            self.full.shape(i.value).first().and_then(|d| d.as_sym()) == Some(&time)
        });
        data(role, whole, shape, first, timed)
    }

    /// Predictions of the full forward pass, `[T, B, …]`.
    fn forward(&self) -> Tensor {
        let sizes = sizes(self.full, &self.one.time, self.steps, 0);
        let out = Run::Interpreted(self.full).call(&sizes, &|role, shape| match role {
            InputRole::Lengths(t) if *t == self.one.time => {
                self.lens.iter().map(|l| *l as f64).collect()
            }
            InputRole::Lengths(_) => (0..B).map(|b| (S - b) as f64).collect(),
            InputRole::Steps(_) => (0..shape[0] * B).map(|i| (i / B) as f64).collect(),
            InputRole::Carry(_) => vec![0.0; shape.iter().product()],
            role => self.given(self.full, role, shape, 0),
        });
        common::output(self.full, &out, &OutputRole::Prediction(self.target.into()))
    }

    /// The same, one call a step.
    fn steps(&self, step: &mut Run<'_>, setup: Option<Run<'_>>, room: usize) -> Vec<Tensor> {
        let mut carried: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let fixed = |role: &InputRole| match role {
            InputRole::Lengths(_) => (0..B).map(|b| (S - b) as f64).collect(),
            _ => unreachable!("{role:?}"),
        };
        if let Some(mut setup) = setup {
            let func = setup.func().clone();
            let sizes = sizes(&func, &self.one.time, 1, room);
            let out = setup.call(&sizes, &|role, shape| match role {
                InputRole::Lengths(_) => fixed(role),
                InputRole::Steps(_) => (0..shape[0] * B).map(|i| (i / B) as f64).collect(),
                InputRole::Carry(_) => vec![0.0; shape.iter().product()],
                role => self.given(&func, role, shape, 0),
            });
            keep(&func, out, &mut carried);
        }
        let func = step.func().clone();
        let sizes = sizes(&func, &self.one.time, 1, room);
        let mut all = Vec::new();
        for t in 0..self.steps {
            let out = step.call(&sizes, &|role, shape| match role {
                InputRole::Lengths(time) if time.ends_with(".room") => vec![(t + 1) as f64; B],
                InputRole::Lengths(_) => fixed(role),
                InputRole::Steps(_) => vec![t as f64; B],
                InputRole::Carry(path) => match carried.get(path) {
                    Some(values) => values.clone(),
                    None if path.starts_with("history") => {
                        let drawn = normal(shape, path).data;
                        drawn.iter().map(|x| x * 100.0).collect()
                    }
                    None => vec![0.0; shape.iter().product()],
                },
                role => self.given(&func, role, shape, t),
            });
            all.push(common::output(
                &func,
                &out,
                &OutputRole::Prediction(self.target.into()),
            ));
            keep(&func, out, &mut carried);
        }
        all
    }
}

fn keep(func: &Func, out: Vec<Tensor>, carried: &mut BTreeMap<String, Vec<f64>>) {
    for (o, t) in func.outputs.iter().zip(out) {
        if let OutputRole::Carry(path) = &o.role {
            carried.insert(path.clone(), t.data);
        }
    }
}

/// The largest distance of any step of any example, beside the step's prediction or the usual size of
/// one, whichever is larger: a single number passes through 0.
fn worst(full: &Tensor, steps: &[Tensor], lens: &[usize]) -> f64 {
    let row: usize = full.shape[2..].iter().product();
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
    let mut apart: Vec<(f64, f64)> = Vec::new();
    for (t, step) in steps.iter().enumerate() {
        for (b, _) in lens.iter().enumerate().filter(|(_, l)| t < **l) {
            let at = (t * B + b) * row;
            let (got, want) = (&step.data[b * row..(b + 1) * row], &full.data[at..at + row]);
            let gap = norm(&mut got.iter().zip(want).map(|(a, b)| a - b));
            apart.push((gap, norm(&mut want.iter().copied())));
        }
    }
    let usual = norm(&mut apart.iter().map(|(_, n)| *n)) / (apart.len() as f64).sqrt();
    let beside = |(gap, n): &(f64, f64)| match *gap == 0.0 {
        true => 0.0,
        false => gap / n.max(usual),
    };
    let all: Vec<f64> = apart.iter().map(beside).collect();
    match all.iter().any(|d| d.is_nan()) {
        true => f64::NAN,
        false => all.into_iter().fold(0.0, f64::max),
    }
}

/// Compares for every length; `most` where a table of positions has an end.
pub fn check(name: &str, full: &Func, target: &str) -> OneStep {
    verify::verify(full).unwrap_or_else(|e| panic!("{name}: {e}\n{full}"));
    let one = one_step(full, target).unwrap_or_else(|d| panic!("{name}: {d:?}\n{full}"));
    for func in [Some(&one.step), one.setup.as_ref()].into_iter().flatten() {
        verify::verify(func).unwrap_or_else(|e| panic!("{name}: {e}\n{func}"));
    }
    let fast = |func: &Func| pipeline::generate::optimized(func.clone()).unwrap();
    let (step, setup) = (fast(&one.step), one.setup.as_ref().map(fast));
    let pool = Arc::new(Pool::new(1));
    let machine = |func: &Func| {
        pipeline::machine(func, pool.clone()).unwrap_or_else(|d| panic!("{name}: {d:?}"))
    };
    let mut compiled = machine(&step);
    // As whoever writes does: the weights stay.
    compiled.hold_params(true);
    let mut compiled = Run::Compiled(&step, compiled);
    for steps in LENGTHS {
        let lens = [steps, steps.div_ceil(2), (steps / 3).max(1)];
        let case = Case {
            full,
            one: &one,
            target,
            steps,
            lens,
        };
        let want = case.forward();
        let room = steps + 3;
        let setup_of = |f| Run::Interpreted(f);
        let got = case.steps(
            &mut Run::Interpreted(&one.step),
            one.setup.as_ref().map(setup_of),
            room,
        );
        let d = worst(&want, &got, &lens);
        assert!(
            d < 1e-10,
            "{name}, {steps} steps: {d:e}\n{full}\n{}",
            one.step
        );
        let of = setup.as_ref().map(|f| Run::Compiled(f, machine(f)));
        let got = case.steps(&mut compiled, of, room);
        let d = worst(&want, &got, &lens);
        assert!(d < 1e-5, "{name}, {steps} steps compiled: {d:e}\n{step}");
    }
    one
}
