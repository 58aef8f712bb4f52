//! What the command says to do next: commands that can be copied, runs that a name may mean.

use std::fs;

use crate::here::{Here, LINE};
use crate::predict::{streamed, tabled};

#[test]
fn what_is_suggested_can_be_copied() {
    let here = Here::new();
    let made = here.run(&["new", "my file"]).exits(0);
    assert!(
        made.out.ends_with("Next: seqc train 'my file.seq'\n"),
        "{}",
        made.out
    );
    let text = fs::read_to_string(here.path().join("my file.seq")).expect("text");
    assert!(text.contains("#   seqc train 'my file.seq'  "), "{text}");
    let ran = here
        .run(&["train", "my file.seq", "--max-steps", "1"])
        .exits(0);
    let next = ran.out.trim_end();
    assert!(next.ends_with(" eval 'runs/my file-Largest'"), "{next}");
    here.run(&["eval", "my file.seq"])
        .exits(2)
        .says("its run is 'runs/my file-Largest'; or add --weights FILE");
    here.run(&["predict", "my file.seq", "in.csv"])
        .exits(2)
        .says("its run is 'runs/my file-Largest'");
}

#[test]
fn a_name_that_nothing_has_is_told_with_the_runs_there_are() {
    let here = Here::new();
    let nothing = here.run(&["train", "nothing", "--resume"]).exits(3);
    nothing.says("there is no such file or run");
    here.run(&["eval", "line.seq"])
        .exits(2)
        .says("seqc train line.seq makes a run");
    here.run(&["train", "line.seq", "--resume"])
        .exits(2)
        .says("seqc train line.seq begins one");
    for _ in 0..2 {
        here.run(&["train", "line.seq", "--max-steps", "1", "-q"])
            .exits(0);
    }
    for verb in [
        &["train", "nothing", "--resume"][..],
        &["eval", "nothing"],
        &["generate", "nothing"],
        &["predict", "nothing", "in.csv"],
    ] {
        here.run(verb)
            .exits(3)
            .says("there are runs/line-Line, runs/line-Line-2");
    }
    here.run(&["eval", "runs/lin-Line"])
        .exits(3)
        .says("did you mean runs/line-Line?");
    here.run(&["train", "runs", "--resume"])
        .exits(2)
        .says("this folder holds no run");
}

#[test]
fn the_starter_file_reads_a_table_as_its_comment_says() {
    let here = Here::new();
    here.run(&["new", "own"]).exits(0);
    let text = fs::read_to_string(here.path().join("own.seq")).expect("text");
    let own = |name: &str| {
        let start = format!("#   {name} ");
        let line = text.lines().find(|l| l.starts_with(&start)).expect(name);
        line.replacen("# ", "", 1)
    };
    let bound = |line: &str| match line.split_whitespace().next() {
        Some(name @ ("from" | "x" | "top")) if line.starts_with("  ") => own(name),
        _ => line.to_string(),
    };
    let lines: Vec<String> = text.lines().map(bound).collect();
    here.write("own.seq", &format!("{}\n", lines.join("\n")));
    let names: Vec<String> = (1..=10).map(|i| format!("x{i}")).collect();
    let row = |i: usize| {
        let all: Vec<String> = (0..11).map(|k| format!("{}", (i * 7 + k) % 11)).collect();
        all.join(",")
    };
    let rows: Vec<String> = (0..40).map(row).collect();
    let table = format!("{},top\n{}\n", names.join(","), rows.join("\n"));
    here.write("mine.csv", &table);
    here.run(&["check", "own.seq"]).exits(0);
    here.run(&["train", "own.seq", "--dry-run"]).exits(0);
}

#[test]
fn probabilities_of_numbers_are_refused() {
    let here = tabled(
        |i| format!("{i},{}", i % 5),
        "a,b",
        "  input x : number\n  target y : number\n  predict y = x |> Linear(1)",
        "  x = column(a)\n  y = column(b)\n  split = parts(80, 10, 10)",
    );
    here.write("new.csv", "a\n1\n");
    here.run(&["predict", "run", "new.csv"]).exits(0);
    for to in ["csv", "npz"] {
        here.run(&["predict", "run", "new.csv", "--probabilities", "--to", to])
            .exits(2)
            .says("usage::no-probabilities");
    }
}

#[test]
fn a_setting_or_column_that_is_misspelt_is_not_added() {
    let here = Here::new();
    for (set, says) in [
        ("trian.epochs=3", "did you mean `train.epochs`?"),
        ("data.aa=uniform(0, 1)", "override::unread-column"),
        (
            "data.points.spilt=parts(50, 50, 0)",
            "did you mean `split`?",
        ),
    ] {
        here.run(&["check", "line.seq", "--set", set])
            .exits(2)
            .says(says);
    }
    // One that another reads may be added.
    let both = ["--set", "data.c=uniform(0, 1)", "--set", "data.y=a + c"];
    here.run(&[&["check", "line.seq"], &both[..]].concat())
        .exits(0);
    assert!(!LINE.contains(" c "));
}

#[test]
fn a_run_without_a_validation_part_is_measured_on_another() {
    let here = tabled(
        |i| format!("{i},{}", i % 5),
        "a,b",
        "  input x : number\n  target y : number\n  predict y = x |> Linear(1)",
        "  x = column(a)\n  y = column(b)\n  split = parts(100)",
    );
    let args = ["train", "m.seq", "--max-steps", "1", "-q"];
    let ran = here.run(&args).exits(0);
    assert!(
        ran.out.ends_with(" eval runs/m-M --on train\n"),
        "{}",
        ran.out
    );
    here.run(&["eval", "run"])
        .exits(1)
        .says("--on train has 40 examples");
    here.run(&["eval", "run", "--on", "train"]).exits(0);
}

#[test]
fn a_flag_that_is_a_setting_is_told_as_one() {
    let here = Here::new();
    here.run(&["train", "line.seq", "--epochs", "20"])
        .exits(2)
        .says("--set train.epochs=VALUE");
    here.run(&["train", "line.seq", "--top-k", "20"])
        .exits(2)
        .says("--set generate.top_k=VALUE");
}

#[test]
fn a_rate_that_never_gets_up_is_told() {
    let here = Here::new();
    let schedule = "train.schedule=cosine(warmup = 100000)";
    here.run(&["train", "line.seq", "--set", schedule])
        .exits(0)
        .says("`warmup = 100000` is longer than the run, 40 steps");
}

#[test]
fn stopping_by_what_is_not_measured_shows_where_the_rows_went() {
    let here = Here::new();
    let few = LINE
        .replace("rows(40", "rows(4")
        .replace("parts(50, 50, 0)", "parts(90, 10, 0)")
        .replace("batch     = 10", "stop      = patience(2, on = valid.mae)");
    here.write("few.seq", &few);
    let ran = here.run(&["train", "few.seq"]).exits(1);
    for says in [
        "train::no-validation",
        "patience(2, on = valid.mae)",
        "parts(90, 10, 0)",
        "of 4 examples: train 4, valid 0, test 0",
    ] {
        assert!(ran.err.contains(says), "{says}: {}", ran.err);
    }
    assert!(!here.has("runs"));
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let here = Here::new();
    here.run(&["new", "bad/name"])
        .exits(3)
        .says("bad/name.seq cannot be written: there is no folder bad");
}

#[test]
fn the_ending_of_a_file_says_its_form() {
    let here = tabled(
        |i| format!("{i},{}", 2 * i),
        "a,b",
        "  input x : number\n  target y : number\n  predict y = x |> Linear",
        "  x = column(a)\n  y = column(b)\n  split = parts(100)",
    );
    here.write("new.csv", "a\n1\n2\n");
    let to = |more: &[&str]| here.run(&[&["predict", "run", "new.csv"], more].concat());
    to(&["-o", "p.npy"]).exits(0);
    let array = fs::read(here.path().join("p.npy")).expect("an array");
    assert!(array.starts_with(b"\x93NUMPY"));
    to(&["-o", "p.jsonl"]).exits(0);
    let lines = fs::read_to_string(here.path().join("p.jsonl")).expect("lines");
    assert!(lines.starts_with("{\"y\":"), "{lines}");
    to(&["-o", "p.out"]).exits(0);
    let lines = fs::read_to_string(here.path().join("p.out")).expect("lines");
    assert!(lines.starts_with("example,y\n"), "{lines}");
    to(&["-o", "p.csv", "--to", "npy"])
        .exits(2)
        .says("usage::output-form")
        .says("-o p.npy; or --to csv");
    assert!(!here.has("p.csv"));
    to(&["-o", "away/p.csv"])
        .exits(3)
        .says("there is no folder away");
    let empty = streamed(&here, "").exits(0);
    assert_eq!(empty.out, "");
    assert!(
        empty.err.contains("is empty: nothing is predicted"),
        "{}",
        empty.err
    );
}
