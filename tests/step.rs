//! One-step decoding against the full forward pass: every step's prediction, for several lengths.
//!
//! The step function's histories start filled with arbitrary numbers, and are larger than the
//! sequences, so whatever was not written at a step of the sequence must not count.

#[path = "step/case.rs"]
mod case;
mod common;
#[path = "step/hand.rs"]
mod hand;
#[path = "language/small.rs"]
#[allow(dead_code)]
mod small;
#[path = "step/written.rs"]
mod written;

use std::path::Path;

use case::check;
use common::models;
use seqc::check::program::Model;
use seqc::ir::*;
use seqc::lower::{self, lower};
use seqc::pipeline::generate::optimized;
use seqc::pipeline::with_vocabularies;
use seqc::step::one_step;

/// The model of a file of `tests/step`, its sizes as written.
fn model(file: impl AsRef<Path>) -> Model {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/step");
    let model = models::checked(&here.join(file)).remove(0);
    with_vocabularies(&model, &|_| Some(5))
}

#[test]
fn every_model_that_reads_its_own_target() {
    let mut seen = 0;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/step");
    let mut paths: Vec<_> = std::fs::read_dir(here)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "seq"));
    paths.sort();
    paths.extend(models::programs());
    for path in paths {
        let own = path.parent().is_some_and(|p| p.ends_with("step"));
        let all = match own {
            true => vec![model(&path)],
            false => models::models(&path),
        };
        for model in all {
            let name = format!("{} of {}", model.name, path.display());
            seen += usize::from(check_own(&name, &model));
        }
    }
    assert!(seen > 4, "{seen} models read their own target");
}

/// The programs of the language's own tests, their tables of positions as long as the longest sequence.
#[test]
fn every_program_of_the_language_that_reads_its_own_target() {
    let mut seen = 0;
    for named in small::all() {
        let mut model = named.model;
        for limit in model.limits.clone() {
            let rows = limit.most.as_sym().expect("a literal size is a symbol");
            model.dims.bind(rows, 40);
        }
        seen += usize::from(check_own(&named.name, &model));
    }
    assert!(seen > 12, "{seen} models read their own target");
}

/// Whether the model reads one target of its own; its one-step form is then compared.
fn check_own(name: &str, model: &Model) -> bool {
    let full = lower(model, lower::Options::PREDICT).unwrap();
    let own: Vec<String> = (full.inputs.iter())
        .filter_map(|i| match &i.role {
            InputRole::Previous(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    let [target] = &own[..] else { return false };
    // What reads its answer by `reveal` generates only where that is given.
    let revealed = InputRole::Data(target.clone());
    if full.inputs.iter().any(|i| i.role == revealed) {
        return false;
    }
    check(name, &full, target);
    true
}

#[test]
fn models_of_scans_keep_their_shape() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cells/language.seq");
    let model = &models::models(&path)[0];
    let full = lower(model, lower::Options::PREDICT).unwrap();
    let target = full.inputs.iter().find_map(|i| match &i.role {
        InputRole::Previous(name) => Some(name.clone()),
        _ => None,
    });
    let one = one_step(&full, &target.unwrap()).unwrap();
    assert!(one.setup.is_none() && one.room.is_none());
    let ops = |f: &Func| f.ops.len();
    assert_eq!(ops(&one.step), ops(&full), "the same ops, one step long");
}

/// The first layer reads a row of the table's product with its weight, made once a text.
#[test]
fn the_product_of_a_looked_up_row_is_looked_up() {
    let model = |rows| {
        let text = format!(
            "time T\n\nmodel M {{\n  target s : [T] token\n  \
             predict s = previous(s) |> Embed({rows}) |> scan LSTM(4) |> Linear |> softmax\n}}\n"
        );
        with_vocabularies(&models::written("m.seq", &text)[0], &|_| Some(rows))
    };
    let looked_up = |rows: usize| {
        let full = lower(&model(rows), lower::Options::PREDICT).unwrap();
        let step = optimized(one_step(&full, "s").unwrap().step).unwrap();
        let ops: Vec<&Op> = step.body.ops.iter().map(|id| step.op(*id)).collect();
        let by = |op: &&&Op| op.by.contains(&"look-up-products");
        let kinds = ops.iter().filter(by).map(|op| match op.kind {
            OpKind::Contract { .. } => "product",
            OpKind::Gather => "rows",
            _ => "other",
        });
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(looked_up(5), ["product", "rows"]);
    assert_eq!(looked_up(257), [""; 0], "a large table costs more");
}
