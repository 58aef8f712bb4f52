//! `seqc predict`: rows with gaps, blocks of rows, and what is said of the input.
//!
//! In: runs trained for a few steps. Out: a stream answered as its file is, sequences out of tables, and
//! errors that point at what was given.

use super::here::{Here, LINE};
use super::predict::{streamed, streamed_as, tabled};

/// The cells of two tables, numbers to rounding.
#[track_caller]
fn same(a: &str, b: &str) {
    assert_eq!(a.lines().count(), b.lines().count(), "{a}{b}");
    let cells = |t: &str| -> Vec<String> {
        let lines = t.lines().flat_map(|l| l.split(','));
        lines.map(str::to_string).collect()
    };
    for (x, y) in cells(a).iter().zip(&cells(b)) {
        match (x.parse::<f64>(), y.parse::<f64>()) {
            (Ok(x), Ok(y)) => assert!((x - y).abs() <= 1e-6 * y.abs().max(1.0), "{x} {y}"),
            _ => assert_eq!(x, y),
        }
    }
}

#[test]
fn a_stream_with_gaps_is_predicted_as_the_file_is() {
    // `a` lacks values in runs of one and two rows, `b` in rows of its own.
    let row = |i: usize| {
        let a = if i % 7 == 3 || i % 5 == 4 {
            String::new()
        } else {
            format!("{i}")
        };
        let b = if i % 6 == 5 {
            "NA".to_string()
        } else {
            format!("{}", i * i % 11)
        };
        format!("{a},{b}")
    };
    let table: Vec<String> = (0..40).map(row).collect();
    let table = format!("a,b\n{}\n", table.join("\n"));
    let series =
        "  input x : [T, 1]\n  target y : [T, 1]\n  predict y = x |> scan GRU(3) |> Linear";
    let windows =
        "  input x : [T, 1]\n  target y : number\n  predict y = last(x |> scan GRU(3)) |> Linear";
    // Which rows have a value; row 0 stands on line 2.
    type Kept = fn(usize) -> bool;
    let (all, given): (Kept, Kept) = (|_| true, |i| i % 7 != 3 && i % 5 != 4);
    for (model, columns, kept, back) in [
        (
            series,
            "  x = column(a, missing = previous)\n  y = next(x)",
            all,
            0,
        ),
        (
            series,
            "  x = column(a, missing = drop)\n  y = next(x)",
            given,
            0,
        ),
        (
            windows,
            "  x = (column(a, missing = previous) + column(b, missing = drop)) |> window(3)\n  y = next(column(b, missing = drop))",
            |i| i % 6 != 5,
            2,
        ),
    ] {
        let here = tabled(row, "a,b", model, columns);
        here.write("new.csv", &table);
        let whole = here.run(&["predict", "run", "new.csv", "-q", "--lines"]);
        let whole = whole.exits(0).out;
        same(
            &streamed_as(&here, &table, &["--lines"]).exits(0).out,
            &whole,
        );
        let answered = (0..40).filter(|i| kept(*i)).skip(back).map(|i| i + 2);
        let lines = whole.lines().skip(1).map(|l| l.split(',').nth(1));
        let lines: Vec<usize> = lines
            .map(|l| l.expect("a line").parse().expect("a number"))
            .collect();
        assert!(lines.len() > 20, "{whole}");
        assert_eq!(lines, answered.take(lines.len()).collect::<Vec<usize>>());
    }
}

#[test]
fn what_a_block_has_once_is_a_class() {
    let block = |i: usize| {
        let who = ["ann", "bob"][i % 2];
        (0..3 + i % 3)
            .map(|t| format!("{who},{},{t}\n", i + t))
            .collect::<String>()
    };
    let here = Here::new();
    let blocks: Vec<String> = (0..20).map(block).collect();
    here.write("who.csv", &format!("who,a,b\n{}", blocks.join("\n")));
    let file = |who: &str| {
        format!(
            "time T\nmodel M {{\n  input x : [T, 2]\n  target who : class\n  predict who = last(x |> scan GRU(3)) |> \
             Linear |> softmax\n}}\ndata d {{\n  from = csv(\"who.csv\", blocks = blank_line)\n  x = columns(a, b)\n  \
             who = column(who) |> {who}\n}}\ntrain M on d {{\n  batch = 4\n  optimizer = adam(lr = 1e-2)\n  epochs = 1\n}}\n"
        )
    };
    here.write("m.seq", &file("labels()"));
    here.run(&["train", "m.seq", "--out", "run", "-q"])
        .exits(1)
        .says("`|> first()` or `|> last()`");
    here.write("m.seq", &file("labels() |> last()"));
    here.run(&["train", "m.seq", "--out", "ended", "-q"])
        .exits(0);
    here.write("m.seq", &file("first() |> labels()"));
    here.run(&["train", "m.seq", "--out", "run", "-q"]).exits(0);
    let new = "a,b\n1,0\n2,1\n\n5,0\n6,1\n7,2\n\n3,3\n";
    here.write("new.csv", new);
    let whole = here.run(&["predict", "run", "new.csv", "-q"]).exits(0).out;
    assert_eq!(whole.lines().count(), 4, "{whole}");
    same(&streamed(&here, new).exits(0).out, &whole);
    let placed = here.run(&["predict", "run", "new.csv", "-q", "--lines"]);
    let placed = placed.exits(0).out;
    let lines: Vec<&str> = placed.lines().filter_map(|l| l.split(',').nth(1)).collect();
    assert_eq!(lines, ["line", "2", "5", "9"]);
    here.run(&["predict", "run", "new.csv", "--lines", "--to", "npz"])
        .exits(2)
        .says("usage::no-lines");
}

#[test]
fn a_result_called_line_leaves_no_room_for_lines() {
    let here = Here::new();
    here.write("line.seq", &LINE.replace("y ", "line "));
    here.run(&["train", "line.seq", "--out", "run", "-q"])
        .exits(0);
    here.write("new.csv", "x.0,x.1\n1,2\n");
    here.run(&["predict", "run", "new.csv", "-q"]).exits(0);
    for input in ["new.csv", "-"] {
        here.run(&["predict", "run", input, "--lines"])
            .exits(2)
            .says("the model has a result of that name");
    }
}

#[test]
fn made_up_sequences_are_predicted_from_blocks_of_rows() {
    let here = Here::new();
    here.run(&["new", "top"]).exits(0);
    here.run(&["train", "top.seq", "--out", "run", "--max-steps", "2", "-q"])
        .exits(0);
    let block = |k: usize| -> String { (0..10).map(|t| format!("0.{}\n", (t * k) % 10)).collect() };
    let new = format!("x\n{}\n{}", block(3), block(7));
    here.write("new.csv", &new);
    let whole = here.run(&["predict", "run", "new.csv", "-q"]).exits(0).out;
    assert_eq!(whole.lines().count(), 3, "{whole}");
    same(&streamed(&here, &new).exits(0).out, &whole);
    here.write("wide.csv", "x.0,x.1\n0.5,0.5\n");
    here.run(&["predict", "run", "wide.csv"])
        .exits(1)
        .says("seqc predict run wide.csv");
}

#[test]
fn what_is_wrong_with_the_input_is_said_of_the_input() {
    let here = Here::new();
    here.run(&[
        "train",
        "words.seq",
        "--out",
        "run",
        "--max-steps",
        "2",
        "-q",
    ])
    .exits(0);
    let lost = here.run(&["predict", "run", "lost.txt"]).exits(3);
    let lost = lost.says("seqc predict run lost.txt");
    assert!(
        !lost.err.contains("--data") && !lost.err.contains("lines("),
        "{}",
        lost.err
    );
    // Not the training file of that name in it.
    here.run(&["predict", "run", "."])
        .exits(1)
        .says("`.` is a folder");
    here.write("new.txt", "ba\nda\n");
    here.run(&["predict", "run", "new.txt", "-o", "./new.txt"])
        .exits(2)
        .says("usage::same-file");
    let kept = std::fs::read_to_string(here.path().join("new.txt")).expect("there");
    assert_eq!(kept, "ba\nda\n");
}

/// A table of 40 rows, of which each fifth has no `a` and each eighth no `b`.
fn gaps(i: usize) -> String {
    let a = if i % 5 == 4 {
        String::new()
    } else {
        i.to_string()
    };
    let b = if i % 8 == 7 {
        "NA".to_string()
    } else {
        (i % 3).to_string()
    };
    format!("{a},{b},{}", ["no", "yes"][i % 2])
}

const DROPS: &str = "  x = [column(a, missing = drop), column(b, missing = drop)]\n  y = labels()";
const CLASSES: &str = "  input x : [2]\n  target y : class\n  predict y = x |> Linear |> softmax";

#[test]
fn rows_that_are_left_out_are_told() {
    let here = tabled(gaps, "a,b,y", CLASSES, DROPS);
    let left =
        "12 of 40 rows are left out: `a` or `b` is missing in lines 6, 9, 11, 16, 17 and 7 more";
    here.run(&["train", "m.seq", "--out", "again"])
        .exits(0)
        .says(left);
    here.run(&["check", "m.seq"]).exits(0).says(left);
    here.run(&["eval", "run", "--on", "train"])
        .exits(0)
        .says(left);
    let new = "a,b\n1,2\n2,\n,3\n4,5\n6,7\n";
    here.write("new.csv", new);
    let told = "2 of 5 rows have no answer: `a` or `b` is missing in lines 3, 4";
    let ran = here.run(&["predict", "run", "new.csv"]).exits(0);
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.out);
    ran.says(&format!("{told}; --lines numbers the answers"));
    let ran = here.run(&["predict", "run", "new.csv", "--lines"]).exits(0);
    assert!(
        ran.err.contains(told) && !ran.err.contains("--lines"),
        "{}",
        ran.err
    );
    let quiet = here.run(&["predict", "run", "new.csv", "-q"]).exits(0);
    assert_eq!(quiet.err, "");
    here.write("whole.csv", "a,b\n1,2\n");
    assert_eq!(here.run(&["predict", "run", "whole.csv"]).exits(0).err, "");
    let (mut child, said) = (here.command(&["predict", "run", "-"]), new.as_bytes());
    let mut child = child
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("seqc starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), said).expect("written");
    let ended = child.wait_with_output().expect("ends");
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(
        err.contains("lines 3, 4 have no answer: `missing = drop`"),
        "{err}"
    );
}

#[test]
fn settings_that_change_nothing_and_a_single_class_are_warned_of() {
    let here = tabled(gaps, "a,b,y", CLASSES, DROPS);
    here.run(&["check", "m.seq"])
        .exits(0)
        .says("setting::idle")
        .says("`bptt` cuts one long text or series");
    here.run(&["train", "m.seq", "--out", "again"])
        .exits(0)
        .says("setting::idle");
    let window = ["--set", "train.window=8"];
    let file = here.path().join("m.seq");
    let text = std::fs::read_to_string(&file).expect("the program");
    here.write("m.seq", &text.replace("  bptt = 8\n", ""));
    let ran = here.run(&["check", "m.seq"]).exits(0);
    assert!(
        !ran.err.contains("idle") && !ran.err.contains("one-class"),
        "{}",
        ran.err
    );
    here.run(&[&["check", "m.seq"], &window[..]].concat())
        .exits(0)
        .says("`window` cuts one long text or series");
    let table = std::fs::read_to_string(here.path().join("table.csv")).expect("the table");
    here.write("table.csv", &table.replace("yes", "no"));
    let one = "`y` has one class, `no`, in the training part";
    here.run(&["check", "m.seq"]).exits(0).says(one);
    here.run(&["train", "m.seq", "--out", "one"])
        .exits(0)
        .says(one);
}

#[test]
fn a_symbol_that_was_never_seen_is_named_with_its_place() {
    let here = Here::new();
    here.run(&["train", "words.seq", "--out", "run", "-q"])
        .exits(0);
    here.write("u.txt", "bana\nb\u{f1}za\n");
    here.run(&["predict", "run", "u.txt"]).exits(0).says(
        "2 symbols of the inputs, first `\u{f1}` in u.txt:2, are not in the training data; they are read as nothing",
    );
    let here = tabled(
        |i| format!("{}ab,{i}", ["a", "b"][i % 2]),
        "text,y",
        "  input x : [T] token\n  target y : number\n  predict y = last(x |> Embed(2) |> scan GRU(3)) |> Linear",
        "  x = column(text) |> chars()\n  y = column(y)",
    );
    here.write("new.csv", "text\nab\naxb\n");
    here.run(&["predict", "run", "new.csv"])
        .exits(0)
        .says("1 symbol of the inputs, `x` in new.csv:3, is not in the training data; it is read as nothing");
}
