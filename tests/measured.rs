//! The binary on a classifier with two targets: its losses, metrics, tables and log.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const POINTS: &str = "model Points {
  input  x : [2]
  target side : class
  target y : number
  h = x |> Linear(8) |> tanh
  predict side = h |> Linear |> softmax
  predict y = h |> Linear(1)
}
data points {
  from  = csv(\"points.csv\")
  x     = columns(a, b)
  side  = column(side) |> labels()
  y     = column(y)
  split = parts(60, 40, 0)
}
train Points on points {
  batch     = 8
  optimizer = sgd(lr = 0.1, momentum = 0.9, nesterov = yes)
  schedule  = plateau(factor = 0.5, patience = 1)
  loss.side = cross_entropy(smoothing = 0.1)
  loss.y    = huber(0.5)
  weight.y  = 0.5
  epochs    = 12
  stop      = patience(6, on = valid.f1)
  metrics   = [accuracy, f1, f1(average = micro), confusion, top(2), top(3), mae, mape]
  seed      = 3
}
";

/// Points of the plane in three classes, by the larger of two numbers.
fn table() -> String {
    let mut text = String::from("a,b,side,y\n");
    for i in 0..90u32 {
        let (a, b) = (
            f64::from(i * 37 % 19) / 9.0 - 1.0,
            f64::from(i * 53 % 23) / 11.0 - 1.0,
        );
        let side = match a - b {
            d if d > 0.4 => "right",
            d if d < -0.4 => "left",
            _ => "middle",
        };
        text.push_str(&format!("{a},{b},{side},{}\n", 2.0 * a - b));
    }
    text
}

fn seqc(dir: &Path, args: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let done = Command::new(env!("CARGO_BIN_EXE_seqc"))
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    );
    assert!(done.status.success(), "{args:?}\n{err}");
    let lines = |text: &str| -> Vec<Value> {
        let json = |l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
        text.lines().map(json).collect()
    };
    (lines(&out), lines(&err))
}

#[test]
fn two_targets_are_trained_measured_and_tabled() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("points.seq"), POINTS).unwrap();
    fs::write(dir.path().join("points.csv"), table()).unwrap();
    let args = ["train", "points.seq", "--json", "--log-format", "json"];
    let (out, log) = seqc(dir.path(), &args);
    let summary = &out[0];

    // The log: every line is an event.
    let of = |name: &str| {
        log.iter()
            .filter(|e| e["event"] == name)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("started").len(), 1);
    let validated = of("validated");
    assert!(validated.len() > 2);
    assert_eq!(of("saved").len(), validated.len());
    let last = validated.last().unwrap();
    assert_eq!(log.last().unwrap()["event"], "finished");
    for key in [
        "f1", "f1_micro", "accuracy", "top_2", "top_3", "mae", "mape",
    ] {
        let key = format!("valid.{key}");
        assert_eq!(last[&key], summary[&key], "{key}");
    }
    let first = validated[0]["valid.loss"].as_f64().unwrap();
    assert!(last["valid.loss"].as_f64().unwrap() < first, "it learns");

    // The tables of the best measurement, and of the best weights measured again.
    let run = dir.path().join(summary["run"].as_str().unwrap());
    let kept = fs::read_to_string(run.join("classes.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let (out, _) = seqc(dir.path(), &["eval", run.to_str().unwrap(), "--json"]);
    let eval = &out[0];
    assert_eq!(eval["valid.confusion"], kept["confusion"]);
    assert_eq!(eval["valid.f1.by_class"], kept["f1.by_class"]);
    let counts = kept["confusion"]["counts"].as_array().unwrap();
    let sum = |row: &Value| {
        row.as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .sum::<u64>()
    };
    assert_eq!(
        counts.iter().map(sum).sum::<u64>(),
        36,
        "every example of the part"
    );
    let diagonal = (0..3).map(|i| counts[i][i].as_u64().unwrap()).sum::<u64>();
    let accuracy = eval["valid.accuracy"].as_f64().unwrap();
    assert!((accuracy - diagonal as f64 / 36.0).abs() < 1e-12);
    let top = eval["valid.top_2"].as_f64().unwrap();
    assert!(top >= accuracy && accuracy > 0.5, "{top} {accuracy}");
    // Three classes: one of three is always right, and each example has one answer.
    assert_eq!(eval["valid.top_3"], 1.0);
    assert_eq!(eval["valid.f1_micro"], eval["valid.accuracy"]);
    assert!(
        fs::read_to_string(run.join("confusion.svg"))
            .unwrap()
            .contains("middle")
    );
}

#[test]
fn a_metric_is_of_the_first_target_that_it_fits() {
    let dir = tempfile::tempdir().unwrap();
    let both = POINTS
        .replace("  target side", "  target up : binary\n  target side")
        .replace(
            "  predict side",
            "  predict up = h |> Linear(1) |> σ\n  predict side",
        )
        .replace("  side  =", "  up    = column(y) > 0\n  side  =");
    fs::write(dir.path().join("points.seq"), both).unwrap();
    fs::write(dir.path().join("points.csv"), table()).unwrap();
    let args = ["train", "points.seq", "--json", "--log-format", "json"];
    let (out, _) = seqc(dir.path(), &args);
    // `up` has answers, but no classes to be among.
    assert_eq!(out[0]["valid.top_3"], 1.0);
    let done = Command::new(env!("CARGO_BIN_EXE_seqc"))
        .args(["train", "points.seq", "--set", "train.metrics=[f1, top(4)]"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{err}");
    let told = "`top(4)` asks for more classes than `side` has, 3";
    assert!(err.contains(told), "{err}");
}
