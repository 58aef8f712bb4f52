//! What a run's folder keeps of the command that made it, and what is told of a run.

use std::fs;

use serde_json::Value;

use crate::here::{Here, LINE, Ran, WORDS, keys};

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

#[test]
fn other_data_are_measured_as_a_whole_or_by_their_split() {
    let here = Here::new();
    for (name, text) in [("a.txt", "ban\nbar\nkan\nkar\n"), ("v.txt", "dan\ndar\n")] {
        here.write(name, text);
    }
    let parts = WORDS
        .replace("lines(\"words.txt\")", "lines(\"a.txt\")")
        .replace("parts(60, 20, 20)", "files(valid = \"v.txt\")");
    here.write("files.seq", &parts);
    for (file, run) in [("files.seq", "files"), ("words.seq", "parts")] {
        here.run(&["train", file, "--out", run, "--max-steps", "2"])
            .exits(0);
    }
    let copy = |from: &str, to: &str| {
        fs::copy(here.path().join(from), here.path().join(to)).expect("copied");
    };
    fs::create_dir(here.path().join("moved")).expect("a folder");
    ["a.txt", "v.txt", "words.txt"]
        .iter()
        .for_each(|f| copy(f, &format!("moved/{f}")));
    let eval = |run: &str, more: &[&str]| here.run(&[&["eval", run][..], more].concat()).exits(0);

    // The data moved: the parts are the same, and so are the rivals.
    for run in ["files", "parts"] {
        for on in ["train", "valid"] {
            let moved = eval(run, &["--data", "words=moved", "--on", on]);
            let here = eval(run, &["--on", on]);
            assert_eq!((moved.out, moved.err), (here.out, here.err));
        }
        let moved = eval(run, &["--data", "words=moved"]).out;
        assert_eq!(moved, eval(run, &[]).out);
        assert!(moved.starts_with("valid: ") && moved.contains("bigram"));
    }
    let moved = eval(
        "parts",
        &["--data", "words=moved/words.txt", "--on", "test"],
    );
    assert_eq!(moved.out, eval("parts", &["--on", "test"]).out);

    // A file by itself has no parts, and a rival nothing to be counted on.
    for run in ["files", "parts"] {
        let all = eval(run, &["--data", "words=v.txt"]);
        assert!(all.out.starts_with("all of v.txt: loss "), "{}", all.out);
        assert!(!all.out.contains("bigram"), "{}", all.out);
        assert!(all.err.contains("versus(bigram)"), "{}", all.err);
        let json = eval(run, &["--data", "words=v.txt", "--json", "-q"]);
        assert_eq!(keys(&json.json())[..2], ["all.loss", "all.perplexity"]);
    }
    let alone = eval(
        "files",
        &["--data", "words=v.txt", "--on", "valid", "--json"],
    );
    assert_eq!(keys(&alone.json())[..2], ["all.loss", "all.perplexity"]);
    let all = eval("files", &["--data", "words=v.txt", "--json"]).json();
    assert_eq!(
        all["all.loss"],
        eval("files", &["--json"]).json()["valid.loss"]
    );
}

#[test]
fn no_text_is_no_number_of_texts() {
    let here = Here::new();
    here.run(&["train", "words.seq", "--out", "run", "--max-steps", "1"])
        .exits(0);
    here.run(&["generate", "run", "-n", "0"])
        .exits(2)
        .says("--number 0: from 1 to");
}

#[test]
fn a_log_tells_of_every_measurement_and_names_the_best() {
    let here = Here::new();
    let often = [
        "--set",
        "train.steps=20",
        "--set",
        "train.validate=every(3)",
    ];
    let ran = here
        .run(
            &[
                &["train", "words.seq", "--out", "run", "--json"],
                &often[..],
            ]
            .concat(),
        )
        .exits(0);
    let summary = ran.json();
    let best = &summary["best.step"];
    let told: Vec<&str> = ran.err.lines().filter(|l| l.contains("  valid ")).collect();
    assert_eq!(told.len(), 7, "{}", ran.err);
    // Five steps make an epoch.
    for (line, start) in told
        .iter()
        .zip(["3/20, epoch 1:", "6/20, epoch 2:", "9/20, epoch 2:"])
    {
        assert!(line.starts_with(&format!("step {start}")), "{line}");
    }
    let starred = told
        .iter()
        .rfind(|l| l.ends_with("(best)"))
        .expect("a best");
    assert!(starred.starts_with(&format!("step {best}/20")), "{starred}");
    let last = ran.err.lines().last().expect("a line");
    let value = summary["best.loss"].as_f64().expect("a number");
    let named = format!("best valid.loss {value:.4} at step {best}");
    assert!(last.ends_with(&named), "{last}");

    let log = fs::read_to_string(here.path().join("run/metrics.jsonl")).expect("a log");
    let lines = log
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
    for line in lines {
        let step = line["step"].as_u64().expect("a step");
        assert_eq!(line["epoch"], step.div_ceil(5), "{line}");
    }
    let accuracy = [
        "--set",
        "train.metrics=[accuracy]",
        "--set",
        "train.stop=patience(9, on = valid.accuracy)",
    ];
    let form = ["--log-format", "json", "--out", "json"];
    let ran = here
        .run(&[&["train", "words.seq"], &accuracy[..], &form[..]].concat())
        .exits(0);
    let last = ran.err.lines().last().expect("a line");
    let end: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(end["event"], "finished");
    assert!(
        end["best.step"].is_u64() && end["best.accuracy"].is_f64(),
        "{end}"
    );
    let resumed = here.run(&["train", "json", "--resume"]).exits(0);
    let last = resumed.err.lines().last().expect("a line");
    assert!(
        last.contains("best valid.accuracy ") && last.contains("% at step"),
        "{last}"
    );
}

#[test]
fn a_run_that_goes_on_with_other_data_says_so() {
    let here = Here::new();
    let steps = |n: &str| {
        let args = ["train", "run", "--resume", "--json", "--max-steps", n];
        here.run(&args).exits(0)
    };
    let notices = |ran: &Ran| ran.json()["notices"].as_array().map(Vec::len);
    for (file, data) in [("words.seq", "words.txt"), ("long.seq", "long.txt")] {
        let text = "a long text of some words\n".repeat(20);
        here.write("long.txt", &text);
        here.write(
            "long.seq",
            &WORDS
                .replace("lines(\"words.txt\")", "\"long.txt\"")
                .replace("epochs    = 2", "epochs = 2\n  bptt = 8"),
        );
        here.run(&["train", file, "--out", "run", "--max-steps", "2"])
            .exits(0);
        let same = steps("3");
        assert_eq!(notices(&same), Some(0), "{}", same.err);
        let path = here.path().join(data);
        let words = fs::read_to_string(&path).expect("words");
        let turned: Vec<&str> = words.lines().rev().chain(["kab"]).collect();
        here.write(data, &turned.join("\n"));
        let other = steps("4").says("the data have changed since the run's last checkpoint");
        assert_eq!(notices(&other), Some(1));
        // Told once: these are its data now.
        assert_eq!(notices(&steps("5")), Some(0));
        fs::remove_dir_all(here.path().join("run")).expect("removed");
    }
}

#[test]
fn attention_along_a_long_text_is_warned_of() {
    let here = Here::new();
    here.write("long.txt", &"a long text of some words\n".repeat(100));
    let text = WORDS
        .replace("lines(\"words.txt\")", "\"long.txt\"")
        .replace("scan GRU(6)", "CausalMultiHead(4, heads = 2)");
    here.write("long.seq", &text);
    let warned = |file: &str, more: &[&str]| {
        let args = [&["train", file, "--dry-run"], more].concat();
        let ran = here.run(&args).exits(0);
        ran.err.contains("train::long-attention")
    };
    assert!(warned("long.seq", &[]));
    for setting in ["train.window=16", "train.bptt=16"] {
        assert!(!warned("long.seq", &["--set", setting]), "{setting}");
    }
    // Recurrent layers look back at no cost; nor is a line long.
    here.write(
        "gru.seq",
        &text.replace("CausalMultiHead(4, heads = 2)", "scan GRU(6)"),
    );
    assert!(!warned("gru.seq", &[]));
    let lines = text.replace("\"long.txt\"", "lines(\"words.txt\")");
    here.write("lines.seq", &lines);
    assert!(!warned("lines.seq", &[]));
}

/// Points with a class that stands at the end of the file alone.
const KINDS: &str = "model Kinds {
  input  x : [2]
  target kind : class
  predict kind = x |> Linear |> softmax
}
data points {
  from  = csv(\"kinds.csv\")
  x     = columns(a, b)
  kind  = column(kind) |> labels()
  split = parts(60, 40, 0, by = time)
}
train Kinds on points {
  batch     = 4
  optimizer = sgd(lr = 0.1)
  epochs    = 2
  metrics   = [accuracy]
}
";

#[test]
fn answers_that_are_not_measured_are_told_of() {
    let here = Here::new();
    let rows = (0..20).map(|i| {
        let kind = ["up", "down"][i % 2];
        format!("{},{},{}\n", i % 3, i % 5, if i >= 17 { "-" } else { kind })
    });
    let table = format!("a,b,kind\n{}", rows.collect::<String>());
    here.write("kinds.csv", &table);
    here.write("kinds.seq", KINDS);
    let told = "3 labels of `kind` in the valid part are not in the training part's vocabulary";
    let args = ["train", "kinds.seq", "--out", "run", "--json"];
    let notices = here.run(&args).exits(0).json()["notices"].to_string();
    assert!(notices.contains(told), "{notices}");
    here.run(&["eval", "run"]).exits(0).says(told);
    let eval = here.run(&["eval", "run", "--json"]).exits(0).json();
    assert_eq!(eval["valid.unseen"], 3);
    // Labels that are meant to be none are not missing.
    here.write(
        "kinds.seq",
        &KINDS.replace("labels()", "labels(none = \"-\")"),
    );
    let args = ["train", "kinds.seq", "--out", "none", "--json"];
    let trained = here.run(&args).exits(0).json();
    assert_eq!(trained["notices"], serde_json::json!([]));
}

#[test]
fn what_is_not_built_stops_training() {
    let here = Here::new();
    let tune = "tune Small { recompute = sqrt(T) }\n";
    here.write("words.seq", &format!("{WORDS}{tune}"));
    here.run(&["check", "words.seq"])
        .exits(0)
        .says("feature::unavailable");
    for verb in [&["train", "words.seq"][..], &["bench", "words.seq"]] {
        here.run(verb).exits(1).says("feature::unavailable");
    }
    assert!(!here.has("runs"));
}

#[test]
fn weights_are_rounded_wherever_nothing_is_trained() {
    let here = Here::new();
    let half = |text: &str| text.replace("  seed ", "  precision = bf16\n  seed ");
    here.write("line.seq", &half(LINE));
    here.run(&["train", "line.seq", "--out", "line", "-q"])
        .exits(0);
    here.write("new.csv", "x.0,x.1\n0.3,0.7\n-0.9,0.1\n");
    let outputs = |args: &[&str]| {
        let full = [args, &["--set", "train.precision=f32"]].concat();
        (here.run(args).exits(0).out, here.run(&full).exits(0).out)
    };
    let loss = |text: &str| -> f64 {
        let o: Value = serde_json::from_str(text).expect("one JSON object");
        o["valid.loss"].as_f64().expect("a loss")
    };
    let (rounded, full) = outputs(&["eval", "line", "--json"]);
    assert!(rounded != full && (loss(&rounded) - loss(&full)).abs() < 0.01);
    let (rounded, full) = outputs(&["predict", "line", "new.csv", "-q"]);
    assert_ne!(rounded, full);
    let piped = |of: &str| of.lines().count();
    assert_eq!((piped(&rounded), piped(&full)), (3, 3));
    // The trained weights are those of a run in f32.
    here.write("whole.seq", LINE);
    here.run(&["train", "whole.seq", "--out", "whole", "-q"])
        .exits(0);
    let weights = |run: &str| {
        let file = here.path().join(run).join("latest/weights.safetensors");
        fs::read(file).expect("weights")
    };
    assert!(weights("line") == weights("whole"));
    here.write("words.seq", &half(WORDS));
    here.run(&["train", "words.seq", "--out", "words", "-q"])
        .exits(0);
    let (text, _) = outputs(&["generate", "words", "--json"]);
    assert!(!text.is_empty());
}
