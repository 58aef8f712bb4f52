//! How long every program of `good/` takes to check, and from its text to machine code.
//!
//! The bounds are held where the compiler itself was compiled with optimisation; elsewhere the times
//! are printed.

use std::time::{Duration, Instant};

use seqc::check::{self, settings};
use seqc::lower::Options;
use seqc::pipeline::{Build, with_stand_in_sizes};
use seqc::schedule::schedule;
use seqc::span::Sources;
use seqc::targets::cpu::isa::Isa;

use crate::common::machine::compiled;
use crate::small::files;

const CHECK: Duration = Duration::from_millis(50);
const WHOLE: Duration = Duration::from_millis(100);

/// To check a text, and to compile the step of training of each of its models.
fn times(text: &str) -> (Duration, Vec<Duration>) {
    let start = Instant::now();
    let mut sources = Sources::default();
    let id = sources.add("good.seq", text);
    let file = seqc::ast::parse::parse(text, id).unwrap();
    let mut out = check::check(&file, &mut sources);
    settings::check(&file, &out.models, &mut out.diagnostics);
    let checked = start.elapsed();
    let compile = |model| {
        let start = Instant::now();
        let sized = with_stand_in_sizes(model);
        let stages = Build::default().stages(&sized, Options::TRAIN, true);
        let program = schedule(&stages.unwrap().optimized).unwrap();
        drop(compiled(&program, Isa::detect(), 1, false));
        checked + start.elapsed()
    };
    (checked, out.models.iter().map(compile).collect())
}

#[test]
fn checks_and_compiles_while_nobody_waits() {
    let measured = !cfg!(debug_assertions);
    let mut slow = Vec::new();
    for path in files("good") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        // The best of three: others use this machine too.
        let runs = [times(&text), times(&text), times(&text)];
        let check = runs.iter().map(|r| r.0).min().unwrap();
        let whole: Vec<Duration> = (0..runs[0].1.len())
            .map(|m| runs.iter().map(|r| r.1[m]).min().unwrap())
            .collect();
        let line = format!("{stem}: checked in {check:.1?}, compiled in {whole:.1?}");
        println!("{line}");
        if check > CHECK || whole.iter().any(|w| *w > WHOLE) {
            slow.push(line);
        }
    }
    assert!(!measured || slow.is_empty(), "{}", slow.join("\n"));
}
