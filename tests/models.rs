//! Every model of `examples/` and `tests/cells/` through the whole compiler, at small sizes.
//!
//! A new test is one `.seq` file. For each model: the rewrites keep the interpreter's results, one by
//! one and each left out; gradients equal central differences along random directions.

mod common;

use common::models::{LENS, models, programs, sizes};
use seqc::ir::interp::{Draw, run};
use seqc::ir::{Func, OutputRole};
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::rewrite;

/// Outputs and gradients of a function with the same data and weights as every other.
fn results(func: &Func) -> Vec<(OutputRole, Vec<f64>)> {
    let sizes = sizes(func);
    let inputs = common::inputs(func, &sizes, &LENS, 5);
    let params = common::params(func, &sizes, 0.5);
    let out = run(func, &sizes, &inputs, &params, Draw { seed: 1, step: 3 })
        .unwrap_or_else(|e| panic!("{e}\n{func}"));
    let mut all: Vec<_> = func
        .outputs
        .iter()
        .zip(out)
        .map(|(o, t)| (o.role.clone(), t.data))
        .collect();
    all.sort_by_key(|(role, _)| format!("{role:?}"));
    all
}

fn assert_same(a: &[(OutputRole, Vec<f64>)], b: &[(OutputRole, Vec<f64>)], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((role, x), (other, y)) in a.iter().zip(b) {
        assert_eq!(role, other, "{what}");
        // Padded steps of sequences are nobody's: predictions are compared where they are real by
        // the loss, the carried states and the gradients.
        if matches!(role, OutputRole::Prediction(_) | OutputRole::Named(_)) {
            continue;
        }
        let d = common::distance(x, y);
        assert!(d < 1e-9, "{what}: {role:?} differs by {d:e}");
    }
}

#[test]
fn rewrites_keep_the_results() {
    for path in programs() {
        for model in models(&path) {
            let what = format!(
                "{} {}",
                path.file_stem().unwrap().to_string_lossy(),
                model.name
            );
            let build = Build {
                off: rewrite::names().iter().map(|s| s.to_string()).collect(),
                ..Build::default()
            };
            let plain = build.stages(&model, Options::TRAIN, true).unwrap();
            let want = results(&plain.optimized);
            let all = Build::default()
                .stages(&model, Options::TRAIN, true)
                .unwrap();
            assert_same(&results(&all.optimized), &want, &what);
            let ran = |pass: &&str| all.table.iter().any(|row| row.pass == *pass);
            for pass in rewrite::names().into_iter().filter(ran) {
                let build = Build {
                    off: vec![pass.to_string()],
                    ..Build::default()
                };
                let stages = build.stages(&model, Options::TRAIN, true).unwrap();
                assert_same(
                    &results(&stages.optimized),
                    &want,
                    &format!("{what} without {pass}"),
                );
            }
            for options in [Options::EVALUATE, Options::PREDICT] {
                let plain = build.stages(&model, options, false).unwrap();
                let fast = Build::default().stages(&model, options, false).unwrap();
                assert_same(&results(&fast.optimized), &results(&plain.optimized), &what);
            }
        }
    }
}

#[test]
fn gradients_along_random_directions() {
    for path in programs() {
        for model in models(&path) {
            let what = format!(
                "{} {}",
                path.file_stem().unwrap().to_string_lossy(),
                model.name
            );
            let stages = Build::default()
                .stages(&model, Options::TRAIN, true)
                .unwrap();
            let func = &stages.optimized;
            let sizes = sizes(func);
            let inputs = common::inputs(func, &sizes, &LENS, 5);
            let params = common::params(func, &sizes, 0.5);
            let out = run(func, &sizes, &inputs, &params, Draw { seed: 1, step: 3 }).unwrap();
            for (i, p) in func.params.iter().enumerate() {
                let grad = common::output(func, &out, &OutputRole::Grad(p.path.clone()));
                let (mut exact, mut numeric) = (Vec::new(), Vec::new());
                for k in 0..8 {
                    let direction = common::normal(&params[i].shape, &format!("{k} {}", p.path));
                    let along = direction.data.iter().zip(&grad.data).map(|(d, g)| d * g);
                    exact.push(along.sum());
                    let d = &direction.data;
                    numeric.push(common::slope(func, &sizes, &inputs, &params, i, d));
                }
                let d = common::distance(&exact, &numeric);
                assert!(
                    d < 1e-6,
                    "{what}: the gradient of {} is off by {d:e}",
                    p.path
                );
            }
        }
    }
}
