//! Every model of `examples/` and `tests/cells/` as machine code, against the interpreter.
//!
//! Outputs and gradients agree within 1e-5 by norm on every instruction set, and the bits are the same for
//! any number of threads.

mod common;

use common::machine::{Data, compiled};
use common::models::{B, LENS, T, models, programs};
use seqc::ir::Func;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::Executable;

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
            // Where the first step is read, a call has one.
            if t == 0 && !program.begun.is_empty() {
                continue;
            }
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
