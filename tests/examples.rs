//! The shipped examples: in, `examples/*.seq`; out, a failure where one has anything to report, or
//! where its data does not load as its settings say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use seqc::ast::parse;
use seqc::check::settings::Experiment;
use seqc::check::{check, settings};
use seqc::data::{Dataset, LoadOptions, Part};
use seqc::span::Sources;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Parses and checks an example, which must be faultless and need nothing that is not built.
fn experiment(name: &str) -> Experiment {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let mut sources = Sources::default();
    let id = sources.add(name, text.as_str());
    let file = parse(&text, id).unwrap_or_else(|found| panic!("{name}: {found:#?}"));
    let checked = check(&file, &mut sources);
    let mut found = checked.diagnostics;
    let experiment = settings::check(&file, &checked.models, &mut found);
    assert!(found.is_empty(), "{name}: {found:#?}");
    experiment
}

/// The data of an example's training, a text bound where the example ships none.
fn load(name: &str, of: Option<&str>, bound: &[(&str, &Path)]) -> Dataset {
    let experiment = experiment(name);
    let train = experiment.train(of).expect("a train block");
    let data = experiment.data(&train.settings.data).expect("its data");
    let base = folder();
    let mut options = LoadOptions::new(&base);
    options.bindings =
        BTreeMap::from_iter(bound.iter().map(|(n, p)| (n.to_string(), p.to_path_buf())));
    Dataset::load(&data.spec, &train.wanted, &options)
        .unwrap_or_else(|found| panic!("{name}: {found:#?}"))
}

fn parts(data: &Dataset) -> [usize; 3] {
    [Part::Train, Part::Valid, Part::Test].map(|p| data.len(p))
}

#[test]
fn every_example_is_faultless() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".seq") {
            experiment(&name);
            count += 1;
        }
    }
    assert!(count >= 9, "only {count} examples");
}

#[test]
fn names_load_in_both_alphabets() {
    let lines = fs::read_to_string(folder().join("names.tsv"))
        .unwrap()
        .lines()
        .count();
    for (model, letters) in [("Latin", 52), ("Devanagari", 57)] {
        let data = load("names.seq", Some(model), &[]);
        let parts = parts(&data);
        assert_eq!(parts.iter().sum::<usize>(), lines, "{model}");
        assert!(parts[1].abs_diff(lines / 10) <= 1, "{model}: {parts:?}");
        let vocabulary = data.vocabulary("name").expect("letters").len();
        assert!(
            vocabulary.abs_diff(letters) < 12,
            "{model}: {vocabulary} letters"
        );
    }
    assert_eq!(
        parts(&load("peephole.seq", None, &[])),
        parts(&load("names.seq", None, &[]))
    );
}

#[test]
fn made_up_data_has_its_rows() {
    assert_eq!(parts(&load("perceptron.seq", None, &[])), [400, 100, 0]);
    assert_eq!(
        parts(&load("textbook-rnn.seq", None, &[])),
        [1600, 200, 200]
    );
    for model in ["MLP", "Line"] {
        assert_eq!(parts(&load("mlp.seq", Some(model), &[])), [1400, 300, 300]);
    }
}

#[test]
fn fibonacci_is_exact_and_split_in_order() {
    let text = fs::read_to_string(folder().join("fibonacci.csv")).unwrap();
    let numbers: Vec<u64> = text
        .lines()
        .skip(1)
        .map(|l| l.split_once(',').unwrap().1.parse().unwrap())
        .collect();
    assert_eq!(numbers[..2], [1, 1]);
    assert!(numbers.windows(3).all(|w| w[0] + w[1] == w[2]));
    let data = load("fibonacci.seq", None, &[]);
    let [train, valid, test] = parts(&data);
    assert!(
        train > 50 && valid >= 8 && test >= 8,
        "{train} {valid} {test}"
    );
    let last = data.source_row(Part::Train, train - 1);
    let first = data.source_row(Part::Valid, 0);
    assert!(last < first, "validated on numbers seen in training");
}

#[test]
fn shakespeare_reads_the_text_bound_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("any.txt");
    fs::write(&path, "To be, or not to be.\n".repeat(100)).unwrap();
    let data = load("shakespeare.seq", None, &[("shakespeare", &path)]);
    assert!(data.is_long());
    let [train, valid, test] = parts(&data);
    assert_eq!((train, valid, test), (1995, 105, 0));
}
