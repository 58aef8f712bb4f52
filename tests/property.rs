//! Machine code against the interpreter for batches, lengths and numbers drawn at random.
//!
//! `PROPTEST_CASES=200 cargo test --test property` tries more.

mod common;

use std::path::Path;

use common::machine::{Data, compiled};
use common::models::models;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use seqc::ir::{Elem, OutputRole};
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::Executable;

const CELLS: [&str; 7] = [
    "lstm", "gru2014", "mingru", "both", "given", "language", "noisy",
];

/// The steps of a batch, the length of each sequence (0 included), a seed.
fn batches() -> impl Strategy<Value = (usize, Vec<usize>, u64)> {
    (0usize..20).prop_flat_map(|t| {
        let lens = prop::collection::vec(0..=t, 0..20);
        (Just(t), lens, any::<u64>())
    })
}

/// ‖a − b‖ / ‖b‖, with places where both are no finite number left out; absolute for tiny `b`.
fn distance(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let (mut d, mut n) = (0.0, 0.0);
    for (a, b) in a.iter().map(|a| f64::from(*a)).zip(b) {
        let same = (a.is_nan() && b.is_nan()) || a == *b;
        d += if same { 0.0 } else { (a - b).powi(2) };
        n += if b.is_finite() { b * b } else { 0.0 };
    }
    d.sqrt() / n.sqrt().max(1e-3)
}

#[test]
fn machine_code_computes_what_the_interpreter_does() {
    let cases = std::env::var("PROPTEST_CASES").map_or(12, |n| n.parse().unwrap());
    for cell in CELLS {
        let path = format!("tests/cells/{cell}.seq");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let model = models(&path).remove(0);
        let stages = Build::default().stages(&model, Options::TRAIN, true);
        let func = stages.unwrap().optimized;
        let mut x = compiled(&schedule(&func).unwrap(), Isa::detect(), 2, true);
        let config = Config {
            failure_persistence: None,
            ..Config::with_cases(cases)
        };
        let case = |(t, lens, seed): (usize, Vec<usize>, u64)| {
            let b = lens.len();
            let mut data = Data::new(&func, b as i64, t as i64, &lens);
            for (i, tensor) in func.inputs.iter().zip(&mut data.inputs) {
                let value = func.value(i.value);
                if value.ty.elem == Elem::F32 {
                    *tensor = rounded(common::drawn(seed, &tensor.shape, &value.name));
                }
            }
            let want = data.expected(&func);
            let (outputs, grads) = data.call(&func, &mut x);
            let mut results = outputs.iter();
            for (o, t) in func.outputs.iter().zip(&want) {
                let got = match &o.role {
                    OutputRole::Grad(path) => {
                        let params = &x.signature().params;
                        let p = params.iter().find(|p| &p.path == path).unwrap();
                        &grads[p.offset..p.offset + p.len]
                    }
                    _ => results.next().unwrap(),
                };
                let d = distance(got, &t.data);
                prop_assert!(d < 2e-5, "{cell}: {:?} differs by {d:e}", o.role);
            }
            Ok(())
        };
        // The runner's seed is fixed, so that a failure is the same for everyone.
        let mut runner = TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        );
        let case = std::cell::RefCell::new(case);
        runner
            .run(&batches(), |input| (case.borrow_mut())(input))
            .unwrap_or_else(|e| panic!("{cell}: {e}"));
    }
}

fn rounded(mut t: seqc::ir::interp::Tensor) -> seqc::ir::interp::Tensor {
    t.data.iter_mut().for_each(|x| *x = f64::from(*x as f32));
    t
}
