//! Runs that go on: which one, with what program, for how long.

use std::fs;

use serde_json::Value;

use crate::here::{Here, LINE, Ran, WORDS};

fn notices(ran: &Ran) -> String {
    ran.json()["notices"].to_string()
}

#[test]
fn the_newest_run_goes_on_with_its_own_program_and_says_so() {
    let here = Here::new();
    for _ in 0..2 {
        here.run(&["train", "line.seq", "--max-steps", "2", "-q"])
            .exits(0);
    }
    let on = |more: &[&str]| {
        let args = [&["train", "line.seq", "--resume", "--json"], more].concat();
        here.run(&args).exits(0)
    };
    let same = on(&["--max-steps", "3"]);
    assert_eq!(same.json()["run"], "runs/line-Line-2");
    assert_eq!(notices(&same), "[]");
    // Of what does not change the run nothing is said.
    let noted = format!(
        "# A line.\n{}",
        LINE.replace("  seed ", "  # first\n  seed ")
    );
    here.write("line.seq", &noted);
    assert_eq!(notices(&on(&["--max-steps", "4"])), "[]");
    let edited = noted
        .replace("epochs    = 20", "epochs    = 25")
        .replace(
            "  metrics   = [mae]\n",
            "  metrics   = [mae]\n  clip = norm(1)\n",
        )
        .replace("2*a - b", "a - b")
        .replace("x |> Linear(1)", "x |> Linear(3) |> Linear(1)");
    here.write("line.seq", &edited);
    for out in [&[][..], &["--out", "runs/line-Line-2"]] {
        let told = on(&[&["--max-steps", "5"], out].concat());
        for part in [
            "line.seq has changed since this run began",
            "its own copy of the program (the model Line; data.y = a - b, was 2 * a - b; ",
            "train.epochs = 25, was 20; train.clip = norm(1), was none)",
            "without --resume",
        ] {
            assert!(notices(&told).contains(part), "{}", notices(&told));
            assert!(told.err.contains(part), "{}", told.err);
        }
    }
    assert_eq!(on(&[]).json()["epochs"], 20);
}

#[test]
fn a_run_made_longer_ends_as_one_begun_with_that_length() {
    let here = Here::new();
    here.write(
        "drop.seq",
        &WORDS.replace("|> Linear", "|> dropout(0.3) |> Linear"),
    );
    for (file, few, more) in [
        ("line.seq", "train.epochs=3", "train.epochs=5"),
        ("drop.seq", "train.epochs=1", "train.epochs=3"),
        ("drop.seq", "train.steps=7", "train.Small.steps=12"),
    ] {
        let train = |args: &[&str]| here.run(&[&["train"], args].concat()).exits(0);
        train(&[file, "--set", more, "--out", "whole"]);
        train(&[file, "--set", few, "--out", "run"]);
        let done = train(&["run", "--resume", "--json"]);
        assert!(
            notices(&done).contains("gives it more"),
            "{}",
            notices(&done)
        );
        // The new length is the run's from then on.
        let began = train(&[
            "run",
            "--resume",
            "--json",
            "--set",
            more,
            "--max-steps",
            "8",
        ]);
        assert_eq!(notices(&began), "[]");
        train(&["run", "--resume"]);
        let read = |path: &str| fs::read(here.path().join(path)).expect(path);
        for name in [
            "latest/weights.safetensors",
            "latest/optimizer.safetensors",
            "best/weights.safetensors",
        ] {
            let of = |run: &str| {
                let path = format!("{run}/{name}");
                here.has(&path).then(|| read(&path))
            };
            assert_eq!(of("run"), of("whole"), "{file} {name}");
        }
        here.run(&["eval", "run"]).exits(0);
        let record: Value = serde_json::from_slice(&read("run/run.json")).expect("JSON");
        assert_eq!(record["set"], serde_json::json!([few, more]));
        for run in ["run", "whole"] {
            fs::remove_dir_all(here.path().join(run)).expect("removed");
        }
    }
}

#[test]
fn what_would_not_be_the_same_run_is_refused() {
    let here = Here::new();
    here.run(&["train", "line.seq", "--out", "run", "--max-steps", "2"])
        .exits(0);
    let refused = |more: &[&str], says: &str| {
        let args = [&["train", "run", "--resume"], more].concat();
        here.run(&args).exits(2).says(says);
    };
    for set in [
        "train.batch=2",
        "data.split=parts(60, 20, 20)",
        "train.Other.epochs=30",
    ] {
        refused(&["--set", set], "the settings it began with");
    }
    refused(
        &["--set", "train.epochs=30", "--seed", "3"],
        "the settings it began with",
    );
    refused(&["--set", "train.epochs=19"], "it has train.epochs = 20");
    refused(&["--set", "train.steps=900"], "it has train.epochs = 20");
    refused(&["--set", "train.epochs=many"], "setting::wrong-type");
    refused(&["--dry-run"], "cannot be used with");
    let cosine = ["--set", "train.schedule=cosine()", "--max-steps", "2"];
    here.run(&[&["train", "line.seq", "--out", "cosine"], &cosine[..]].concat())
        .exits(0);
    here.run(&["train", "cosine", "--resume", "--set", "train.epochs=30"])
        .exits(2)
        .says("laid over the run's whole length");
    // It goes on as it was.
    let on = here.run(&["train", "run", "--resume", "--json"]).exits(0);
    assert_eq!(on.json()["epochs"], 20);
}

#[test]
fn a_run_that_was_stopped_early_says_so() {
    let here = Here::new();
    let still = [
        "--set",
        "train.optimizer=sgd(lr = 1e-12)",
        "--set",
        "train.stop=patience(1)",
    ];
    here.run(&[&["train", "line.seq", "--out", "run"], &still[..]].concat())
        .exits(0);
    let on = here.run(&["train", "run", "--resume", "--json"]).exits(0);
    assert!(notices(&on).contains("ended by `stop`"), "{}", notices(&on));
    // More epochs would not be taken, and are not written down.
    let recorded = std::fs::read_to_string(here.path().join("run/run.json")).expect("a record");
    here.run(&["train", "run", "--resume", "--set", "train.epochs=40"])
        .exits(2)
        .says("train.weights=run")
        .says("--set train.stop=never begins another");
    let after = std::fs::read_to_string(here.path().join("run/run.json")).expect("a record");
    assert_eq!(recorded, after);
    here.run(&[
        "train",
        "line.seq",
        "--set",
        "train.weights=run",
        "--set",
        "train.stop=never",
        "--set",
        "train.epochs=2",
    ])
    .exits(0);
}
