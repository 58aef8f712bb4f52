//! How long programs take to check, and from their text to machine code: those of `good/`, the examples, the cells of
//! the tests, the cases that are measured beside other frameworks.
//!
//! The bounds are held where the compiler itself was compiled with optimisation; elsewhere the times
//! are printed.

use std::path::{Path, PathBuf};
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
/// From a checked model to the code of its step of training, in the examples and the cases.
const COMPILE: Duration = Duration::from_millis(50);

/// To check a text, and after that to compile the step of training of each of its models.
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
        start.elapsed()
    };
    (checked, out.models.iter().map(compile).collect())
}

#[test]
fn checks_and_compiles_while_nobody_waits() {
    let measured = !cfg!(debug_assertions);
    let mut slow = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<(PathBuf, Duration)> = files("good").into_iter().map(|p| (p, WHOLE)).collect();
    for folder in ["examples", "tests/cells", "benches/peers/cases"] {
        let before = all.len();
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let paths = entries.map(|e| e.unwrap().path());
        let programs = paths.filter(|p| p.extension().is_some_and(|e| e == "seq"));
        all.extend(programs.map(|p| (p, COMPILE)));
        assert!(all.len() > before, "{folder} has programs");
    }
    for (path, most) in all {
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
        if check > CHECK || whole.iter().any(|w| *w > most) {
            slow.push(line);
        }
    }
    assert!(!measured || slow.is_empty(), "{}", slow.join("\n"));
}
