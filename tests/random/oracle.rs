//! What holds for every program: the comparisons that find a wrong compiler.
//!
//! In: functions of the stages, and data. Out: nothing, or the first difference.

use seqc::ir::interp::Tensor;
use seqc::ir::{Elem, Func, InputRole, OpKind, OutputRole, TakeWhich};
use seqc::schedule::interp;
use seqc::schedule::program::Program;
use seqc::targets::cpu::exec::CpuExecutable;
use seqc::targets::executable::Executable;

use super::choice::Choice;
use super::common::machine::{self, Data};
use super::common::rounding::{OF_F64, rounding};
use super::common::{drawn, params, shape_of};
use super::ties::any_tie;

/// A difference: which comparison saw it, and what it saw.
#[derive(Clone, Debug)]
pub struct Finding {
    pub check: &'static str,
    pub what: String,
}

pub fn finding(check: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        check,
        what: what.into(),
    }
}

/// Relative distance allowed between f64 results of equal functions.
const F64: f64 = 1e-9;
/// Distance allowed between them beside the largest of all results: where a derivative is 0 for a
/// reason that no single op knows, each order of its terms leaves another remainder of this size.
const REMAINDER: f64 = 1e-14;
/// Relative distance allowed between machine code and the interpreter.
const F32: f64 = 1e-5;
/// Where a result is small beside what it is made of: so many times what rounding alone does to it.
const ROUNDING: f64 = 32.0;

/// Data of a random size: the number of examples, steps, and each example's length among `least..`.
pub fn sample(func: &Func, choice: &mut Choice, nonempty: bool) -> Data {
    // The first step of no steps is no step: a function that takes one is given one.
    let first = func
        .ops
        .iter()
        .any(|o| matches!(o.kind, OpKind::Take(TakeWhich::First)));
    let least = usize::from(nonempty || first);
    let b = choice
        .weighted(&[(1, 0), (3, 1), (3, 2), (3, 3), (1, 5)])
        .max(least);
    let t = choice
        .weighted(&[(1, 0), (2, 1), (2, 2), (3, 4), (3, 6)])
        .max(least);
    let mut sizes = machine::sizes(func, b as i64, t as i64);
    for (s, n) in &mut sizes {
        // A second time is of another size.
        if s.name() == "S" {
            *n = choice
                .weighted(&[(1, 0), (2, 1), (3, 3), (2, 5)])
                .max(least as i64);
        }
    }
    sized(func, choice, nonempty, sizes)
}

/// Data of this size.
pub fn sized(
    func: &Func,
    choice: &mut Choice,
    nonempty: bool,
    sizes: Vec<(seqc::dim::Sym, i64)>,
) -> Data {
    let round = |t: &mut Tensor| t.data.iter_mut().for_each(|x| *x = f64::from(*x as f32));
    let seed = choice.below(1 << 30) as u64;
    let mut inputs = Vec::new();
    for input in &func.inputs {
        let v = func.value(input.value);
        let mut t = drawn(seed, &shape_of(func, &v.ty.shape, &sizes), &v.name);
        match &input.role {
            InputRole::Lengths(axis) => {
                let steps = shape_of(func, &[seqc::dim::Dim::named(axis)], &sizes)[0];
                let least = usize::from(nonempty).min(steps);
                for l in &mut t.data {
                    let full = choice.chance(30);
                    *l = if full {
                        steps
                    } else {
                        least + choice.below(steps + 1 - least)
                    } as f64;
                }
            }
            InputRole::Steps(_) => {
                let row = t.shape[1].max(1);
                let steps = t.data.iter_mut().enumerate();
                steps.for_each(|(i, x)| *x = (i / row) as f64);
            }
            InputRole::Data(_) | InputRole::Previous(_) | InputRole::Carry(_) => {
                if v.ty.elem == Elem::I32 {
                    t.data.iter_mut().for_each(|x| *x = choice.below(5) as f64);
                }
            }
        }
        inputs.push(t);
    }
    // A target of two values is 0 or 1; other numbers do no harm there.
    let mut params = params(func, &sizes, 0.5);
    inputs.iter_mut().chain(&mut params).for_each(round);
    Data {
        sizes,
        inputs,
        params,
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// ‖a − b‖₂ and ‖b‖₂ over the finite values of `b`; the first is NaN where only one side is a number.
fn apart(a: &[f64], b: &[f64]) -> (f64, f64) {
    let d = a.iter().zip(b).map(|(a, b)| {
        let same = a == b || (a.is_nan() && b.is_nan());
        if same { 0.0 } else { a - b }
    });
    (norm(d), norm(b.iter().copied().filter(|x| x.is_finite())))
}

/// The values of an output that anybody reads: a prediction has steps behind the end too.
fn read(func: &Func, data: &Data, role: &OutputRole, shape: &[usize], values: &[f64]) -> Vec<f64> {
    let mut out = values.to_vec();
    let at = func.outputs.iter().find(|o| &o.role == role);
    let time = at.and_then(|o| func.shape(o.value).first()?.as_sym().cloned());
    let (OutputRole::Prediction(_) | OutputRole::Named(_), Some(time)) = (role, time) else {
        return out;
    };
    let named = |i: &seqc::ir::Input| i.role == InputRole::Lengths(time.name().into());
    if let Some(lens) = func.inputs.iter().position(named) {
        let row: usize = shape[2..].iter().product();
        for (place, chunk) in out.chunks_mut(row.max(1)).enumerate() {
            let (t, b) = (place / shape[1], place % shape[1]);
            if t as f64 >= data.inputs[lens].data[b] {
                chunk.fill(0.0);
            }
        }
    }
    out
}

/// Whether every output is a number everywhere: only then is there anything to compare.
pub fn finite(all: &[Tensor]) -> bool {
    all.iter().flat_map(|t| &t.data).all(|x| x.is_finite())
}

/// Results of two functions in f64, output by output. `got` may be in another order.
pub fn same_numbers(
    check: &'static str,
    (func, data, want): (&Func, &Data, &[Tensor]),
    (other, got): (&Func, &[Tensor]),
) -> Result<(), Finding> {
    let mut floor: Option<Vec<f64>> = None;
    let largest = want.iter().map(|t| norm(t.data.iter().copied()));
    let largest = largest.fold(0.0, f64::max);
    for (i, o) in func.outputs.iter().enumerate() {
        let at = other.outputs.iter().position(|p| p.role == o.role);
        let Some(g) = at.map(|j| &got[j]) else {
            return Err(finding(check, format!("{:?} is missing", o.role)));
        };
        if g.shape != want[i].shape {
            let shapes = format!("{:?} is {:?}, not {:?}", o.role, g.shape, want[i].shape);
            return Err(finding(check, shapes));
        }
        let a = read(func, data, &o.role, &g.shape, &g.data);
        let b = read(func, data, &o.role, &g.shape, &want[i].data);
        let (d, n) = apart(&a, &b);
        if d <= F64 * n || d <= REMAINDER * largest {
            continue;
        }
        let floor = match &mut floor {
            Some(f) => f,
            none => none.insert(rounding(func, data, want).map_err(|e| finding(check, e))?),
        };
        if d.is_nan() || d > ROUNDING * OF_F64 * floor[i] {
            let at = described(func, data);
            let what = format!("{:?} differs by {d:e} of {n:e}; {at}", o.role);
            return Err(finding(check, what));
        }
    }
    Ok(())
}

/// Results of a scheduled program run plainly in f64, in the order of the function's outputs.
pub fn scheduled(func: &Func, program: &Program, data: &Data) -> Result<Vec<Tensor>, String> {
    let flat = |all: &[Tensor]| all.iter().map(|t| t.data.clone()).collect::<Vec<_>>();
    let given = interp::Data {
        sizes: &data.sizes,
        params: &flat(&data.params),
        inputs: &flat(&data.inputs),
        draw: (1, 3),
    };
    let got = interp::run(program, &given)?;
    let mut results = got.outputs.into_iter();
    let mut all = Vec::new();
    for o in &func.outputs {
        let values = match &o.role {
            OutputRole::Grad(path) => {
                let at = program.params.iter().position(|p| &p.path == path);
                got.grads[at.ok_or("a weight is missing")?].clone()
            }
            OutputRole::Loss
            | OutputRole::LossSum(_)
            | OutputRole::LossCount(_)
            | OutputRole::Prediction(_)
            | OutputRole::Named(_)
            | OutputRole::Carry(_) => results.next().ok_or("an output is missing")?,
        };
        let shape = shape_of(func, func.shape(o.value), &data.sizes);
        all.push(Tensor::new(shape, values));
    }
    Ok(all)
}

/// The sizes and lengths of a call, for a report.
fn described(func: &Func, data: &Data) -> String {
    let mut out: Vec<String> = data
        .sizes
        .iter()
        .map(|(s, n)| format!("{s} = {n}"))
        .collect();
    for (input, t) in func.inputs.iter().zip(&data.inputs) {
        if let InputRole::Lengths(axis) = &input.role {
            out.push(format!("lengths of {axis} {:?}", t.data));
        }
    }
    out.join(", ")
}

/// What machine code gives, against the interpreter. Says how many outputs needed the floor; `None`
/// where they differ because rounding decides which of two weights a `route` keeps.
pub fn same_on_machine(
    check: &'static str,
    func: &Func,
    data: &Data,
    want: &[Tensor],
    x: &mut CpuExecutable,
) -> Result<Option<usize>, Finding> {
    let (outputs, grads) = data.call(func, x);
    let mut results = outputs.iter();
    let (mut floor, mut needed): (Option<Vec<f64>>, usize) = (None, 0);
    for (i, o) in func.outputs.iter().enumerate() {
        let got: Vec<f32> = match &o.role {
            OutputRole::Grad(path) => {
                let params = &x.signature().params;
                let p = params.iter().find(|p| &p.path == path);
                let p = p.ok_or_else(|| finding(check, format!("{path} is missing")))?;
                grads[p.offset..p.offset + p.len].to_vec()
            }
            OutputRole::Loss
            | OutputRole::LossSum(_)
            | OutputRole::LossCount(_)
            | OutputRole::Prediction(_)
            | OutputRole::Named(_)
            | OutputRole::Carry(_) => match results.next() {
                Some(r) => r.clone(),
                None => return Err(finding(check, format!("{:?} is missing", o.role))),
            },
        };
        let got: Vec<f64> = got.into_iter().map(f64::from).collect();
        let shape = &want[i].shape;
        let a = read(func, data, &o.role, shape, &got);
        let b = read(func, data, &o.role, shape, &want[i].data);
        let (d, n) = apart(&a, &b);
        if d <= F32 * n {
            continue;
        }
        needed += 1;
        let floor = match &mut floor {
            Some(f) => f,
            none => none.insert(rounding(func, data, want).map_err(|e| finding(check, e))?),
        };
        if d.is_nan() || d > ROUNDING * floor[i] {
            if d.is_finite() && any_tie(func, data).map_err(|e| finding(check, e))? {
                return Ok(None);
            }
            let what = format!(
                "{:?} differs by {d:e} of {n:e}; rounding explains {:e}; {}",
                o.role,
                floor[i],
                described(func, data)
            );
            return Err(finding(check, what));
        }
    }
    Ok(Some(needed))
}

/// The loss along a random direction in the space of all weights, by central differences, against the
/// gradients. `forward` is the function without gradients; `with` the one that has them, and its results.
pub fn slope(
    check: &'static str,
    forward: &Func,
    data: &Data,
    (with, results): (&Func, &[Tensor]),
    choice: &mut Choice,
) -> Result<(), Finding> {
    let seed = choice.below(1 << 30) as u64;
    let mut direction: Vec<Tensor> = data
        .params
        .iter()
        .zip(&forward.params)
        .map(|(p, w)| drawn(seed, &p.shape, &w.path))
        .collect();
    let length = norm(direction.iter().flat_map(|t| t.data.iter().copied())).max(1e-30);
    for t in &mut direction {
        t.data.iter_mut().for_each(|x| *x /= length);
    }
    let at = |step: f64| -> Result<f64, Finding> {
        let mut moved = data.clone();
        for (p, d) in moved.params.iter_mut().zip(&direction) {
            p.data
                .iter_mut()
                .zip(&d.data)
                .for_each(|(x, d)| *x += step * d);
        }
        let out = moved.expected(forward);
        let loss = forward
            .outputs
            .iter()
            .position(|o| o.role == OutputRole::Loss);
        Ok(out[loss.ok_or_else(|| finding(check, "there is no loss"))?].data[0])
    };
    // The fourth-order formula at two steps; how far they are apart says how good it is.
    let central = |h: f64| -> Result<f64, Finding> {
        Ok((8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h))
    };
    let (coarse, fine) = (central(2e-3)?, central(1e-3)?);
    let mut exact = 0.0;
    for (w, d) in forward.params.iter().zip(&direction) {
        let role = OutputRole::Grad(w.path.clone());
        let i = with.outputs.iter().position(|o| o.role == role);
        let g = i.ok_or_else(|| finding(check, format!("no gradient of {}", w.path)))?;
        exact += results[g]
            .data
            .iter()
            .zip(&d.data)
            .map(|(g, d)| g * d)
            .sum::<f64>();
    }
    let allowed = 1e-6 * exact.abs() + 2.0 * (coarse - fine).abs() + 1e-9;
    let off = (fine - exact).abs();
    if off.is_nan() || off > allowed {
        let what = format!("the slope is {fine:e} (or {coarse:e}), by the gradients {exact:e}");
        return Err(finding(check, what));
    }
    Ok(())
}
