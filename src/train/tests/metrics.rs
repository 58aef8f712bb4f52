//! Metrics of hand-written models on small data, worked out by hand.

use std::fs;

use super::generate::{NEVER, NONE, chain, points};
use super::models::{Line, Toy, names};
use super::run::{Session, eventful};
use super::settings;
use crate::data::{Dataset, Part};
use crate::settings::*;
use crate::train::evaluate::Evaluator;
use crate::train::{Measured, Stage};

fn measured(metrics: &[Metric], dataset: &Dataset, mut stage: Stage, weights: &[f32]) -> Measured {
    let settings = TrainSettings {
        metrics: metrics.to_vec(),
        ..settings()
    };
    let mut evaluator = Evaluator::new(&settings, dataset, false).unwrap();
    let measured = evaluator.measure(&mut stage, weights, Part::Valid, NONE, &NEVER);
    measured.unwrap().unwrap()
}

fn close(m: &Measured, key: &str, want: f64) {
    let have = m.metric(key).unwrap();
    assert!((have - want).abs() < 1e-6, "{key}: {have}, not {want}");
}

#[test]
fn errors_as_shares_of_the_truth() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = points(dir.path());
    let stage = Stage::plain(Box::new(Line::new()));
    // Predictions 3, 4, 5 of 4, 4, 8.
    let m = measured(&[Metric::Mape], &dataset, stage, &[1.0, 1.0]);
    close(&m, "mape", (0.25 + 0.0 + 0.375) / 3.0);
}

#[test]
fn answers_are_counted_by_class() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let stage = || Toy::evaluating(4);
    // abcb ab bca abcabc c abab with ends, foretold by the chain `<end>`abc`<end>`.
    let counts = [[4, 0, 1, 2], [1, 6, 0, 1], [1, 0, 4, 0], [0, 1, 3, 2]];
    let all = [
        Metric::F1(Average::Macro),
        Metric::Confusion,
        Metric::Top(4),
        Metric::F1(Average::Micro),
        Metric::Top(1),
    ];
    let m = measured(&all, &dataset, stage(), &chain());
    let confusion = m.by_class.confusion.as_ref().unwrap();
    assert_eq!(confusion.classes, ["a", "b", "c", "<end>"]);
    assert_eq!(confusion.counts, counts.map(Vec::from));
    let scores = [8.0 / 13.0, 12.0 / 15.0, 8.0 / 13.0, 4.0 / 11.0];
    close(&m, "f1", scores.iter().sum::<f64>() / 4.0);
    close(&m, "top_4", 1.0);
    close(&m, "top_1", 16.0 / 26.0);
    close(&m, "f1_micro", 16.0 / 26.0);
    assert_eq!(m.metric("confusion"), None, "a table is no number");
    let by_class = m.by_class.f1.as_ref().unwrap();
    let have: Vec<(&str, f64)> = by_class.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let want: Vec<(&str, f64)> = ["a", "b", "c", "<end>"].into_iter().zip(scores).collect();
    assert_eq!(have, want);

    let all = [Metric::F1(Average::Micro), Metric::Accuracy, Metric::Top(1)];
    let m = measured(&all, &dataset, stage(), &chain());
    close(&m, "f1_micro", 16.0 / 26.0);
    close(&m, "accuracy", 16.0 / 26.0);
    close(&m, "top_1", 16.0 / 26.0);
}

#[test]
fn what_the_data_does_not_have_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    for (metric, message) in [
        (
            Metric::EntityF1,
            "`entity_f1` needs a target of classes, and the model has none",
        ),
        (
            Metric::Mape,
            "`mape` needs a target of numbers, and the model has none",
        ),
    ] {
        let settings = TrainSettings {
            metrics: vec![metric],
            ..settings()
        };
        let refused = Evaluator::new(&settings, &dataset, false).err().unwrap();
        assert_eq!(refused.diagnostics[0].message, message);
    }
}

/// A run that stops by F1 keeps the tables of its best measurement.
#[test]
fn a_run_stops_by_f1_and_keeps_its_classes() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let f1 = Metric::F1(Average::Macro);
    let settings = TrainSettings {
        metrics: vec![f1.clone(), Metric::Confusion],
        stop: Some(Patience {
            checks: 2,
            on: Watched::Metric(f1),
        }),
        length: Length::Epochs(200),
        ..eventful()
    };
    let run = dir.path().join("run");
    let summary = Session::new(&settings, &dataset, &run).go().unwrap();
    assert_eq!(summary.end, crate::train::End::Stopped);
    let crate::train::observe::Best {
        step, value: best, ..
    } = summary.best.unwrap();
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |l| serde_json::from_str::<serde_json::Value>(l).unwrap();
    let scores: Vec<f64> = lines
        .lines()
        .filter_map(|l| line(l)["valid.f1"].as_f64())
        .collect();
    assert!(scores.len() > 3);
    assert_eq!(scores.iter().copied().fold(0.0, f64::max), best);
    let kept = fs::read_to_string(run.join("classes.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["step"], step);
    let by_class: Vec<f64> = (kept["f1.by_class"].as_object().unwrap().values())
        .map(|v| v.as_f64().unwrap())
        .collect();
    let mean = by_class.iter().sum::<f64>() / by_class.len() as f64;
    assert!((mean - best).abs() < 1e-12);
    assert_eq!(kept["confusion"]["classes"][3], "<end>");
    #[cfg(feature = "cli")]
    assert!(
        fs::read_to_string(run.join("confusion.svg"))
            .unwrap()
            .starts_with("<svg")
    );
}
