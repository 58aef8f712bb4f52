//! The shipped examples: in, `examples/*.seq`; out, a failure where one has anything to report, where
//! its data does not load as its settings say, or where a few steps do not lower its loss.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Rows of a shipped table without a header.
fn rows(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let lines = text.lines().filter(|l| !l.is_empty());
    lines
        .map(|l| l.split('\t').map(str::to_string).collect())
        .collect()
}

#[test]
fn reviews_are_measured_on_sentences_that_training_never_saw() {
    // A review is one to three sentences; each belongs to one part.
    let sentences = |name: &str| -> BTreeSet<String> {
        let reviews = rows(name).into_iter();
        let texts = reviews.map(|r| match &r[..] {
            [mood, _, text] if mood == "good" || mood == "bad" => text.clone(),
            _ => panic!("{name}: {r:?}"),
        });
        let ends = |text: String| -> Vec<String> {
            let cut = text
                .replace("? ", "?|")
                .replace("! ", "!|")
                .replace(". ", ".|");
            cut.split('|').map(str::to_string).collect()
        };
        texts.flat_map(ends).collect()
    };
    let train = sentences("sentiment/train.tsv");
    let valid = sentences("sentiment/valid.tsv");
    assert!(train.len() > 300 && valid.len() > 80);
    assert_eq!(train.intersection(&valid).next(), None);
    let [train, valid, test] = parts(&load("sentiment.seq", None, &[]));
    assert!(train > 500 && valid > 100 && test == 0);
}

#[test]
fn sentences_are_tagged_with_universal_tags() {
    let known = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X";
    let known: BTreeSet<&str> = known.split(' ').collect();
    for file in ["tagger/train.tsv", "tagger/valid.tsv"] {
        for row in rows(file) {
            assert!(
                row.len() == 2 && known.contains(&row[1][..]),
                "{file}: {row:?}"
            );
        }
    }
    let data = load("tagger.seq", None, &[]);
    assert!(parts(&data)[0] > 150 && parts(&data)[1] > 35);
    assert!(data.vocabulary("tags").unwrap().len() > 12);
}

#[test]
fn series_are_split_in_order() {
    for (name, days) in [("forecast.seq", 1461), ("stocks.seq", 1500)] {
        let data = load(name, None, &[]);
        // Each part loses the days before its first window and after its last.
        assert_eq!(parts(&data).iter().sum::<usize>(), days - 3 * 30, "{name}");
        let last = data.source_row(Part::Train, data.len(Part::Train) - 1);
        assert!(last < data.source_row(Part::Valid, 0), "{name}");
    }
}

#[test]
fn digits_are_pictures_of_ten_classes() {
    for (model, features) in [("MLP", 64), ("Rows", 8)] {
        let data = load("digits.seq", Some(model), &[]);
        assert_eq!(parts(&data).iter().sum::<usize>(), 1797);
        assert_eq!(data.column("image").unwrap().features, [features]);
        assert_eq!(data.vocabulary("digit").unwrap().len(), 10);
    }
}

/// The losses of the validation part as an example is trained, measured after each `every` steps,
/// four times.
fn losses(file: &Path, model: Option<&str>, every: u32, more: &[&str]) -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let validate = format!("train.validate=every({every})");
    let out = Command::new(env!("CARGO_BIN_EXE_seqc"))
        .arg("train")
        .arg(file)
        .args(model)
        .args(["--threads", "1", "--set", &validate, "--out"])
        .arg(&run)
        .args(["--max-steps", &(4 * every).to_string()])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{}: {said}", file.display());
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |l| serde_json::from_str::<serde_json::Value>(l).unwrap();
    let loss = |l| line(l).get("valid.loss")?.as_f64();
    log.lines().filter_map(loss).collect()
}

/// Fails where the loss of a short training does not fall.
fn learns(name: &str, model: Option<&str>, every: u32, more: &[&str]) {
    let all = losses(&folder().join(name), model, every, more);
    let (first, last) = (all[0], all[all.len() - 1]);
    assert!(all.len() == 4 && last < first, "{name}: {all:?}");
}

#[test]
fn a_few_steps_lower_the_loss() {
    // Small batches and a steady rate, so that a debug build sees something soon.
    let quick = [
        "--set",
        "train.batch=8",
        "--set",
        "train.schedule=constant()",
    ];
    learns("forecast.seq", None, 4, &quick);
    learns("sentiment.seq", None, 8, &quick);
    learns("tagger.seq", None, 4, &quick);
    learns("digits.seq", Some("MLP"), 4, &quick);
    learns("digits.seq", Some("Rows"), 8, &quick);
}

#[test]
fn a_walk_cannot_be_foretold() {
    // The model begins with the guess "the same as today", whose squared error is 2.3e-4.
    let all = losses(&folder().join("stocks.seq"), None, 1, &[]);
    assert!(all.iter().all(|l| (1e-4..1e-3).contains(l)), "{all:?}");
}

#[test]
fn made_up_sums_are_of_two_numbers() {
    // Fewer of them, so that a debug build makes them soon; always 1 has an error of about 1/6.
    let text = fs::read_to_string(folder().join("adding.seq")).unwrap();
    assert!(text.contains("rows(20000,"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("adding.seq");
    fs::write(&file, text.replace("rows(20000,", "rows(60,")).unwrap();
    for model in ["Gated", "Long", "Plain"] {
        let all = losses(&file, Some(model), 1, &["--set", "train.batch=4"]);
        assert!(
            all.iter().all(|l| (0.0..4.0).contains(l)),
            "{model}: {all:?}"
        );
    }
}

#[test]
fn chords_and_drawings_are_bound() {
    let dir = tempfile::tempdir().unwrap();
    let bind = |name: &str| format!("{name}={}", dir.path().display());
    let chords = "39 51 | 40 52 | 41 53 | 39 51\n".repeat(16);
    let drawings: String = (0..64)
        .map(|i| {
            // Left to right, or right to left.
            let x = |t: i32| if i % 2 == 0 { 10 * t } else { 100 - 10 * t };
            let points: Vec<String> = (0..8).map(|t| format!("{},{}", x(t), i)).collect();
            format!("{},{}\n", points.join(","), i % 2)
        })
        .collect();
    for (file, text) in [("train.txt", &chords), ("valid.txt", &chords)] {
        fs::write(dir.path().join(file), text).unwrap();
    }
    for (file, text) in [("train.csv", &drawings), ("valid.csv", &drawings)] {
        fs::write(dir.path().join(file), text).unwrap();
    }
    for (name, data) in [("chorales.seq", "chorales"), ("pendigits.seq", "pen")] {
        learns(name, None, 4, &["--data", &bind(data)]);
    }
}

/// Every file below a folder that is sound by itself.
fn programs(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("errors") {
            programs(&path, out);
        } else if path.extension().is_some_and(|e| e == "seq") {
            out.push(path);
        }
    }
}

#[test]
fn what_is_printed_with_all_filled_in_is_a_file_that_means_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let filled = |path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
        let ran = command.args(["check", "--resolved"]).arg(path).output();
        let ran = ran.unwrap();
        let (out, err) = (
            ran.stdout,
            String::from_utf8_lossy(&ran.stderr).into_owned(),
        );
        assert!(ran.status.success(), "{}: {err}", path.display());
        String::from_utf8(out).unwrap()
    };
    let plain = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| !l.trim_start().starts_with('#'));
        lines.map(str::to_string).collect()
    };
    let mut all = Vec::new();
    programs(&folder(), &mut all);
    programs(&folder().join("errors/mended"), &mut all);
    assert!(all.len() > 80, "only {}", all.len());
    for path in all {
        let once = filled(&path);
        let beside = dir.path().join("filled.seq");
        fs::write(&beside, &once).unwrap();
        let again = filled(&beside);
        assert_eq!(plain(&once), plain(&again), "{}", path.display());
    }
}
