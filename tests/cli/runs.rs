//! What a run's folder keeps of the command that made it, and what is told of a run.

use std::fs;

use serde_json::Value;

use crate::here::{Here, LINE, WORDS, keys};

/// Two columns of words; the program reads the first.
fn two_columns(here: &Here) -> String {
    let rows: Vec<String> = (0..30)
        .map(|i| {
            let (a, b) = (["b", "d", "k"][i % 3], ["n", "r", "l"][i / 3 % 3]);
            format!(
                "{a}a{b}\t{}{}",
                ["ग", "घ"][i % 2],
                ["क", "ख", "च"][i / 2 % 3]
            )
        })
        .collect();
    here.write("two.tsv", &rows.join("\n"));
    let text = WORDS
        .replace("lines(\"words.txt\")", "tsv(\"two.tsv\")")
        .replace("word  = chars()", "word  = column(1) |> chars()");
    here.write("two.seq", &text);
    text
}

fn record(here: &Here, run: &str) -> Value {
    let text = fs::read_to_string(here.path().join(run).join("run.json")).expect("a record");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_was_set_is_part_of_the_run() {
    let here = Here::new();
    let text = two_columns(&here);
    here.write("second.seq", &text.replace("column(1)", "column(2)"));
    let sets = ["--set", "data.word=column(2) |> chars()"];
    let train = |file: &str, more: &[&str]| {
        here.run(&[&["train", file, "--seed", "5"], more].concat())
            .exits(0)
    };
    train("second.seq", &["--out", "written"]);
    let cut = [&sets[..], &["--max-steps", "3", "--out", "set"]].concat();
    train("two.seq", &cut);
    assert_eq!(
        record(&here, "set")["set"].as_array().map(Vec::len),
        Some(2)
    );
    here.run(&["train", "set", "--resume"]).exits(0);

    here.write("new.tsv", "ban\tगक\nkal\tघच\n");
    for args in [
        &["eval", "RUN", "--json"][..],
        &[
            "eval",
            "RUN",
            "--on",
            "test",
            "--set",
            "train.metrics=[perplexity]",
        ],
        &["generate", "RUN", "-n", "4"],
        &[
            "generate",
            "RUN",
            "-n",
            "4",
            "--set",
            "generate.temperature=0.5",
        ],
        &["predict", "RUN", "new.tsv"],
    ] {
        let of = |run: &str| {
            let args: Vec<&str> = args
                .iter()
                .map(|a| if *a == "RUN" { run } else { a })
                .collect();
            here.run(&args).exits(0).out
        };
        assert_eq!(of("set"), of("written"), "{args:?}");
    }
    // On top of what was set before, in order.
    let first = ["eval", "set", "--set", "data.word=column(1) |> chars()"];
    here.run(&first).exits(0);
    here.run(&["train", "set", "--resume", "--set", "train.batch=2"])
        .exits(2)
        .says("usage::resumed-settings");
}

#[test]
fn a_later_set_leaves_the_earlier_ones() {
    let here = Here::new();
    let asked = ["--set", "train.metrics=[mae, mse]", "--out", "run"];
    here.run(&[&["train", "line.seq", "--max-steps", "2"], &asked[..]].concat())
        .exits(0);
    let eval = here
        .run(&["eval", "run", "--json", "--set", "train.seed=4"])
        .exits(0);
    assert_eq!(keys(&eval.json()), ["valid.loss", "valid.mae", "valid.mse"]);
}

#[test]
fn a_run_finds_its_data_from_anywhere() {
    let here = Here::new();
    here.run(&["train", "words.seq", "--out", "run", "--max-steps", "2"])
        .exits(0);
    let base = record(&here, "run")["base"].as_str().map(str::to_string);
    let home = here.path().canonicalize().expect("a folder");
    assert_eq!(base.as_deref(), home.to_str());
    let there = here.run(&["eval", "run", "--json"]).exits(0);
    fs::create_dir(here.path().join("sub")).expect("a folder");
    here.write("sub/words.txt", "na\nra\nna\nra\nna\nra\nna\nra\n");
    let mut command = here.command(&["eval", "../run", "--json"]);
    let ran = command.current_dir(here.path().join("sub")).output();
    let out = ran.expect("seqc starts").stdout;
    assert_eq!(String::from_utf8(out).expect("text"), there.out);
}

#[test]
fn a_run_is_of_one_model() {
    let here = Here::new();
    let two = LINE.to_string()
        + &LINE[..LINE.find("data").expect("data")].replace("Line {", "Other {")
        + "train Other on points {\n  epochs = 1\n}\n";
    here.write("two.seq", &two);
    here.run(&["train", "two.seq", "Other", "--out", "run"])
        .exits(0);
    here.run(&["eval", "run", "--model", "Other"]).exits(0);
    here.run(&["eval", "run", "--model", "Line"])
        .exits(2)
        .says("usage::other-model");
    here.run(&["train", "run", "Line", "--resume"])
        .exits(2)
        .says("usage::other-model");
}

#[test]
fn a_changed_program_is_told_with_what_counts_of_it() {
    let here = Here::new();
    here.run(&["train", "line.seq", "--out", "run", "--max-steps", "2"])
        .exits(0);
    here.write(
        "run/source.seq",
        &LINE.replace("epochs    = 20", "epochs    = 1"),
    );
    let resumed = here.run(&["train", "run", "--resume", "--json"]).exits(0);
    let resumed = resumed.says("`train` and `generate` stay as the run began");
    assert_eq!(resumed.json()["epochs"], 20);
}
