//! One compilation serves every length and every batch.
//!
//! Each case that is measured beside other frameworks is compiled once and run with 10, 100 and 1,000 steps and batches of
//! different sizes, shorter examples among them, up and down again. What it computes is held against the interpreter.

mod common;

use std::path::Path;

use common::machine::{Data, compiled};
use common::models::models;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;

/// Examples and steps of a call after the other.
const SIZES: [(usize, usize); 5] = [(2, 10), (3, 100), (1, 1000), (2, 1000), (2, 10)];

#[test]
fn a_program_compiled_once_runs_at_any_length() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/cases");
    let mut seen = 0;
    for entry in std::fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        for model in models(&path) {
            for (options, gradients) in [(Options::TRAIN, true), (Options::PREDICT, false)] {
                let stages = Build::default().stages(&model, options, gradients);
                let func = stages.unwrap().optimized;
                let mut once = compiled(&schedule(&func).unwrap(), Isa::detect(), 2, false);
                for (b, t) in SIZES {
                    let lens: Vec<usize> = (0..b).map(|i| t - i * t / 3).collect();
                    let data = Data::new(&func, b as i64, t as i64, &lens);
                    let want = data.expected(&func);
                    let what = format!("{}, {b} examples of {t} steps", path.display());
                    data.compare(&what, &func, &want, &mut once);
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 6 * 2 * SIZES.len());
}
