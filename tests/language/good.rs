//! Every model of `good/` through the whole compiler, at small sizes.
//!
//! The rewrites keep the interpreter's results; gradients equal central differences; a plan and the
//! machine code compute what the interpreter does; what stands behind the end of a sequence changes no
//! bit. Lengths of 0 and 1 are among them, and two times differ.

use std::cell::Cell;

use seqc::dim::Dim;
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Elem, Func, InputRole, OutputRole, Type};
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::rewrite;
use seqc::schedule::schedule;
use seqc::targets::cpu::exec::CpuExecutable;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::Executable;

use crate::common::{self, machine::Data, machine::compiled};
use crate::small::{Batch, Named, each};

const DRAW: Draw = Draw { seed: 1, step: 3 };

/// Which numbers of a value belong to a real step, of every time that it runs along.
fn real(func: &Func, data: &Data, ty: &Type) -> Vec<bool> {
    let lengths = |d: &Dim| -> Option<&Tensor> {
        let time = d.as_sym()?.name();
        let of = |r: &InputRole| matches!(r, InputRole::Lengths(axis) if axis == time);
        let at = func.inputs.iter().position(|i| of(&i.role))?;
        Some(&data.inputs[at])
    };
    let shape = common::shape_of(func, &ty.shape, &data.sizes);
    let batch = ty.shape.iter().position(|d| *d == Dim::named("B"));
    let mut of = vec![0; shape.len()];
    let mut places = Vec::new();
    for mut place in 0..shape.iter().product::<usize>() {
        for (axis, size) in shape.iter().enumerate().rev() {
            of[axis] = place % size;
            place /= size;
        }
        places.push(batch.is_none_or(|b| {
            let inside = |axis: usize| {
                let lens = lengths(&ty.shape[axis]);
                lens.is_none_or(|l| (of[axis] as f64) < l.data[of[b]])
            };
            (0..shape.len()).all(inside)
        }));
    }
    places
}

/// Outputs and gradients by the interpreter, at real steps, in the order of their roles.
fn results(func: &Func, batch: &Batch<'_>) -> Vec<(OutputRole, Vec<f64>)> {
    let data = batch.data(func);
    let out = run(func, &data.sizes, &data.inputs, &data.params, DRAW);
    let out = out.unwrap_or_else(|e| panic!("{e}\n{func}"));
    let one = |(o, t): (&seqc::ir::Output, Tensor)| {
        let kept = real(func, &data, &func.value(o.value).ty);
        let numbers = t.data.into_iter().zip(kept).filter(|(_, keep)| *keep);
        (o.role.clone(), numbers.map(|(x, _)| x).collect())
    };
    let mut all: Vec<_> = func.outputs.iter().zip(out).map(one).collect();
    all.sort_by_key(|(role, _)| format!("{role:?}"));
    all
}

fn assert_same(m: &Named, what: &str, func: &Func, plain: &Func) {
    for batch in m.batches().filter(|b| b.lens.len() < 10) {
        let (a, b) = (results(func, batch), results(plain, batch));
        assert_eq!(a.len(), b.len(), "{what}");
        for ((role, x), (other, y)) in a.iter().zip(&b) {
            assert_eq!(role, other, "{what}");
            let d = common::distance(x, y);
            assert!(d < 1e-9, "{what}, {batch:?}: {role:?} differs by {d:e}");
        }
    }
}

#[test]
fn rewrites_keep_the_results() {
    each(|m| {
        for (options, gradients) in [(Options::TRAIN, true), (Options::EVALUATE, false)] {
            let none = Build {
                off: rewrite::names().iter().map(|s| s.to_string()).collect(),
                ..Build::default()
            };
            let plain = m.stages(&none, options, gradients).optimized;
            let fast = m.stages(&Build::default(), options, gradients);
            assert_same(m, &m.name, &fast.optimized, &plain);
            if !gradients {
                return;
            }
            let ran = |pass: &&str| fast.table.iter().any(|row| row.pass == *pass);
            for pass in rewrite::names().into_iter().filter(ran) {
                let but = Build {
                    off: vec![pass.to_string()],
                    ..Build::default()
                };
                let func = m.stages(&but, options, gradients).optimized;
                assert_same(m, &format!("{} without {pass}", m.name), &func, &plain);
            }
        }
    });
}

/// Directions in the space of all weights: random ones, and along one number of one weight.
fn directions(params: &[Tensor], of: &[String]) -> Vec<Vec<Vec<f64>>> {
    let zero: Vec<Vec<f64>> = params.iter().map(|p| vec![0.0; p.data.len()]).collect();
    let mut all = Vec::new();
    for k in 0..4 {
        let one = |(p, path): (&Tensor, &String)| {
            let t = common::normal(&p.shape, &format!("{k} {path}"));
            // A move of all weights is as long as that of one.
            t.data.iter().map(|x| x * 0.2).collect()
        };
        all.push(params.iter().zip(of).map(one).collect());
    }
    for (i, p) in params.iter().enumerate() {
        for at in [0, p.data.len() / 2] {
            let mut d = zero.clone();
            d[i][at] = 1.0;
            all.push(d);
        }
    }
    all
}

#[test]
fn gradients_are_slopes() {
    each(|m| {
        let stages = m.stages(&Build::default(), Options::TRAIN, true);
        let func = &stages.optimized;
        let paths: Vec<String> = func.params.iter().map(|p| p.path.clone()).collect();
        for batch in m.batches().filter(|b| (2..10).contains(&b.lens.len())) {
            let data = batch.data(func);
            let out = run(func, &data.sizes, &data.inputs, &data.params, DRAW).unwrap();
            let grad = |path: &String| common::output(func, &out, &OutputRole::Grad(path.clone()));
            let grads: Vec<Tensor> = paths.iter().map(grad).collect();
            let (mut exact, mut numeric) = (Vec::new(), Vec::new());
            for direction in directions(&data.params, &paths) {
                let along = grads.iter().zip(&direction);
                let along = along.flat_map(|(g, d)| g.data.iter().zip(d).map(|(g, d)| g * d));
                exact.push(along.sum::<f64>());
                numeric.push(slope(&stages.lowered, &data, &direction));
            }
            let d = common::distance(&exact, &numeric);
            assert!(
                d < 1e-6,
                "{}, {batch:?}: off by {d:e}: {exact:?} {numeric:?}",
                m.name
            );
            assert!(numeric.iter().any(|x| *x != 0.0), "{}: no slope", m.name);
        }
    });
}

/// The slope of the loss, computed as the model was written, along a direction.
fn slope(func: &Func, data: &Data, direction: &[Vec<f64>]) -> f64 {
    let at = |step: f64| {
        let mut moved = data.params.clone();
        for (p, d) in moved.iter_mut().zip(direction) {
            for (x, d) in p.data.iter_mut().zip(d) {
                *x += step * d;
            }
        }
        common::loss(func, &data.sizes, &data.inputs, &moved)
    };
    let h = 1e-4;
    (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
}

#[test]
fn plans_and_machine_code_compute_what_the_interpreter_does() {
    each(|m| {
        for func in m.functions() {
            let program = schedule(&func).unwrap_or_else(|e| panic!("{}: {e:?}\n{func}", m.name));
            let mut x = compiled(&program, Isa::detect(), 1, false);
            for batch in m.batches() {
                let data = batch.data(&func);
                if data.sizes.iter().all(|(_, n)| *n < 12) {
                    common::check_schedule(&func, &data.sizes, &data.inputs, &data.params);
                }
                compare(&format!("{}, {batch:?}", m.name), &func, &data, &mut x);
            }
        }
    });
}

/// Outputs at real steps and gradients of machine code, tensor by tensor.
fn compare(what: &str, func: &Func, data: &Data, x: &mut CpuExecutable) {
    let want = data.expected(func);
    let (outputs, grads) = data.call(func, x);
    let mut outputs = outputs.into_iter();
    let mut pairs: Vec<(&OutputRole, Vec<f64>, Vec<f64>)> = Vec::new();
    for (o, t) in func.outputs.iter().zip(&want) {
        let got = match &o.role {
            OutputRole::Grad(path) => {
                let slot = x.signature().params.iter().find(|p| &p.path == path);
                let slot = slot.expect("a weight");
                grads[slot.offset..slot.offset + slot.len].to_vec()
            }
            _ => outputs.next().expect("an output for each"),
        };
        let kept = real(func, data, &func.value(o.value).ty);
        let of = |x: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
            x.zip(&kept)
                .filter(|(_, keep)| **keep)
                .map(|(x, _)| x)
                .collect()
        };
        let got = of(&mut got.into_iter().map(f64::from));
        pairs.push((&o.role, got, of(&mut t.data.iter().copied())));
    }
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let all = pairs
        .iter()
        .map(|(_, _, want)| norm(want))
        .fold(0.0, f64::max);
    for (role, got, want) in &pairs {
        // What is 0 by its equations (a bias that a softmax takes off again) is rounding in both.
        let zero = norm(want) < 1e-12 * all;
        let d = match zero {
            true => norm(got) / all,
            false => common::distance(got, want),
        };
        assert!(d < 1e-5, "{what}: {role:?} differs by {d:e}");
    }
}

/// Puts a number, or a token, behind the end of every sequence. Returns how many places that were.
fn fill(func: &Func, data: &mut Data, number: f64, token: f64) -> usize {
    let mut filled = 0;
    for (at, input) in func.inputs.iter().enumerate() {
        if !matches!(input.role, InputRole::Data(_) | InputRole::Previous(_)) {
            continue;
        }
        let ty = &func.value(input.value).ty;
        let with = if ty.elem == Elem::I32 { token } else { number };
        let kept = real(func, data, ty);
        for (x, _) in data.inputs[at]
            .data
            .iter_mut()
            .zip(kept)
            .filter(|(_, keep)| !keep)
        {
            *x = with;
            filled += 1;
        }
    }
    filled
}

#[test]
fn padding_changes_no_bit() {
    let filled = Cell::new(0);
    each(|m| {
        for func in m.functions() {
            let mut x = compiled(&schedule(&func).unwrap(), Isa::detect(), 1, false);
            for batch in m.batches() {
                let mut zeros = batch.data(&func);
                let mut others = zeros.clone();
                fill(&func, &mut zeros, 0.0, 0.0);
                filled.set(filled.get() + fill(&func, &mut others, 1e30, 3.0));
                let (a, a_grads) = zeros.call(&func, &mut x);
                let (b, b_grads) = others.call(&func, &mut x);
                let what = format!("{} {}, {batch:?}", m.name, func.outputs.len());
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&a_grads), bits(&b_grads), "{what}: gradients");
                let outputs = func.outputs.iter();
                let outputs = outputs.filter(|o| !matches!(o.role, OutputRole::Grad(_)));
                for ((o, a), b) in outputs.zip(&a).zip(&b) {
                    let kept = real(&func, &zeros, &func.value(o.value).ty);
                    let own = |x: &[f32]| -> Vec<u32> {
                        let all = bits(x).into_iter().zip(&kept);
                        all.filter(|(_, keep)| **keep).map(|(x, _)| x).collect()
                    };
                    assert_eq!(own(a), own(b), "{what}: {:?}", o.role);
                }
            }
        }
    });
    let filled = filled.get();
    assert!(filled > 2000, "only {filled} places are padding");
}
