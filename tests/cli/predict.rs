//! `seqc predict`: from files and from standard input, in every form.
//!
//! In: runs trained for a few steps. Out: predictions equal however the inputs come, by the names and
//! in the units of the data, and never from the answers.

use std::fs;
use std::process::Stdio;

use super::here::{Here, Ran, WORDS};

#[test]
fn made_up_data_is_predicted_from_a_table() {
    let here = Here::new();
    here.run(&["train", "line.seq", "--out", "run", "--threads", "1", "-q"])
        .exits(0);
    here.write("new.csv", "x.0,x.1\n0.5,0.5\n-1,1\n");
    let found = here.run(&["predict", "run", "new.csv"]).exits(0).out;
    let values: Vec<f64> = found
        .lines()
        .skip(1)
        .map(|l| {
            l.rsplit(',')
                .next()
                .and_then(|v| v.parse().ok())
                .expect("a number")
        })
        .collect();
    assert!((values[0] - 0.5).abs() < 0.2, "{found}");
    assert!((values[1] + 3.0).abs() < 0.5, "{found}");
    here.run(&["eval", "run", "--plot", "numbers.svg"]).exits(0);
    let svg = fs::read_to_string(here.path().join("numbers.svg")).expect("a picture");
    assert!(svg.contains("\npredicted\n") && svg.contains("<circle"));

    here.write("wrong.csv", "z\n1\n");
    here.run(&["predict", "run", "wrong.csv"])
        .exits(1)
        .says("data::unknown-column");
    here.run(&["generate", "run"]).exits(1);
}

/// Trained for two steps on a table that `rows` makes.
pub fn tabled(rows: impl Fn(usize) -> String, header: &str, model: &str, columns: &str) -> Here {
    let here = Here::new();
    let rows: Vec<String> = (0..40).map(rows).collect();
    here.write("table.csv", &format!("{header}\n{}\n", rows.join("\n")));
    let file = format!(
        "time T\nmodel M {{\n{model}\n}}\ndata d {{\n  from = csv(\"table.csv\")\n{columns}\n}}\n\
         train M on d {{\n  batch = 1\n  bptt = 8\n  optimizer = adam(lr = 1e-2)\n  epochs = 1\n}}\n"
    );
    here.write("m.seq", &file);
    let steps = ["--max-steps", "2", "-q"];
    here.run(&[&["train", "m.seq", "--out", "run"], &steps[..]].concat())
        .exits(0);
    here
}

#[test]
fn classes_are_predicted_by_name_without_the_answers() {
    let here = tabled(
        |i| {
            format!(
                "{i},{},{}",
                ["oslo", "rome"][i % 2],
                ["no, never", "yes"][i / 20]
            )
            .replace("no, never", "\"no, never\"")
        },
        "a,city,kind",
        "  input x : number\n  input city : class\n  target kind : class\n  \
         predict kind = [x, city |> Embed(2)] |> Linear |> softmax",
        "  x = column(a) |> zscore()\n  city = labels()\n  kind = labels()\n  keep = column(kind) != \"\"\n  \
         split = parts(80, 10, 10, stratify = kind)",
    );
    here.write("new.csv", "city,a\nrome,3\noslo,30\n");
    let args = ["predict", "run", "new.csv", "--probabilities"];
    let csv = here.run(&args).exits(0).out;
    assert!(
        csv.starts_with("example,kind,kind.p,\"kind.no, never\",kind.yes\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 3);
    here.run(&["predict", "run", "new.csv", "--to", "npz", "-o", "p.npz"])
        .exits(0);
    assert!(here.has("p.npz"));
    here.write("new.csv", "city,a\nrome,3\nparis,30\n");
    here.run(&args[..3])
        .exits(1)
        .says("data::unknown-class")
        .says("oslo, rome");
    here.write("new.csv", "city,a\nrome,three\n");
    here.run(&args[..3]).exits(1).says("new.csv:2:6");
}

/// What `seqc predict run -` writes for a text on standard input.
pub fn streamed(here: &Here, text: &str) -> Ran {
    streamed_as(here, text, &["--to", "csv"])
}

/// The same with more arguments.
pub fn streamed_as(here: &Here, text: &str, more: &[&str]) -> Ran {
    use std::io::Write as _;
    let args = [&["predict", "run", "-"], more].concat();
    let mut child = here
        .command(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("seqc starts");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    let ended = child.wait_with_output().expect("ends");
    Ran {
        args: args.join(" "),
        code: ended.status.code(),
        out: String::from_utf8(ended.stdout).expect("text"),
        err: String::from_utf8(ended.stderr).expect("text"),
    }
}

#[test]
fn a_stream_without_an_answer_is_an_error() {
    let here = tabled(
        |i| format!("{i},{}", i % 5),
        "a,b",
        "  input x : [T]\n  target y : number\n  predict y = last(x |> scan RNN(2)) |> Linear(1)",
        "  x = column(a, missing = drop) |> window(3)\n  y = column(b)\n  split = parts(100)",
    );
    let told = |text: &str, what: &str| {
        let ran = streamed(&here, text).exits(1).says(what);
        assert_eq!(ran.out, "");
    };
    told("1,2\n", "<stdin> has a header and no rows");
    told("a\n1\n2\n", "2 rows in <stdin>, and an example reads 3");
    told("a\n,\n", "this row has 2 columns");
    told("a,b\n,\n,\n,\n", "`missing = drop` leaves none of 3 rows");
    let some = streamed(&here, "a\n1\n2\n3\n").exits(0);
    assert_eq!(some.out.lines().count(), 2, "{}", some.out);
}

#[test]
fn what_a_model_reveals_is_read() {
    let here = tabled(
        |i| format!("{i},{}", i % 5),
        "a,b",
        "  target y : number\n  predict y = reveal(y) |> Linear(2) |> Linear(1)\n  \
         truth = y\n  output truth",
        "  y = column(b)\n  split = parts(80, 10, 10)",
    );
    let new = "b\n1\n2.5\n";
    here.write("new.csv", new);
    let found = here.run(&["predict", "run", "new.csv", "--to", "npz", "-o", "p.npz"]);
    found.exits(0);
    let found = here
        .run(&["predict", "run", "new.csv", "--to", "jsonl"])
        .exits(0);
    assert_eq!(found.out.lines().count(), 2, "{}", found.out);
    here.write("new.csv", "a\n1\n");
    here.run(&["predict", "run", "new.csv"])
        .exits(1)
        .says("data::unknown-column");
}

#[test]
fn what_a_model_reveals_of_a_series_is_read_from_a_stream() {
    // Of numbers beside an input; of classes that are all it reads; of tokens whose last one is read too.
    for (model, column) in [
        (
            "  input x : [T]\n  target y : [T]\n  \
             predict y = [x, reveal(y)] |> scan GRU(3) |> Linear(1)",
            "  x = column(a) |> zscore()\n  y = column(b) |> scale(0, 1)",
        ),
        (
            "  target y : [T]\n  predict y = reveal(y) |> scan GRU(3) |> Linear(1)",
            "  y = column(b) |> zscore()",
        ),
        (
            "  target y : [T] class\n  \
             predict y = reveal(y) |> Embed(2) |> scan GRU(3) |> Linear |> softmax",
            "  y = column(b) |> labels()",
        ),
        (
            "  target y : [T] class\n  \
             predict y = [reveal(y) |> Embed(2), previous(y) |> Embed(2)] |> scan GRU(3) |> Linear |> softmax",
            "  y = column(b) |> labels()",
        ),
    ] {
        let split = "  split = parts(80, 20, 0, by = time)";
        let columns = format!("{column}\n{split}");
        let here = tabled(
            |i| format!("{},{}", i * 7 % 11, i % 5),
            "a,b",
            model,
            &columns,
        );
        let rows: Vec<String> = (0..12)
            .map(|i| format!("{},{}", i * 5 % 7, i * 3 % 5))
            .collect();
        let new = format!("a,b\n{}\n", rows.join("\n"));
        here.write("new.csv", &new);
        for to in ["csv", "jsonl"] {
            let file = here
                .run(&["predict", "run", "new.csv", "--to", to])
                .exits(0);
            let stream = streamed_as(&here, &new, &["--to", to]).exits(0);
            assert_eq!(stream.out, file.out, "{model}");
        }
    }
}

#[test]
fn no_two_columns_have_one_name() {
    let here = tabled(
        |i| format!("{i},{}", ["p", "q"][i % 2]),
        "a,kind",
        "  input x : number\n  target kind : class\n  example = 2*x\n  \
         predict kind = x |> Linear |> softmax\n  output example",
        "  x = column(a) |> zscore()\n  kind = labels()\n  split = parts(80, 10, 10)",
    );
    let new = "a\n1\n";
    here.write("new.csv", new);
    here.write("out.csv", "kept");
    let args = ["predict", "run", "new.csv", "-o", "out.csv"];
    here.run(&args).exits(2).says("usage::same-column");
    let more = ["--probabilities", "-o", "out.csv"];
    streamed_as(&here, new, &more)
        .exits(2)
        .says("the model has a result of that name");
    let out = fs::read_to_string(here.path().join("out.csv")).expect("text");
    assert_eq!(out, "kept");
    let all = [
        "predict",
        "run",
        "new.csv",
        "--to",
        "jsonl",
        "--probabilities",
    ];
    let found = here.run(&all).exits(0).out;
    assert!(found.contains("\"kind.all\":{\"p\":"), "{found}");

    let here = tabled(
        |i| format!("{i},{}", ["p", "q"][i % 2]),
        "a,kind",
        "  input x : number\n  target kind : class\n  predict kind = x |> Linear |> softmax",
        "  x = column(a) |> zscore()\n  kind = labels()\n  split = parts(80, 10, 10)",
    );
    here.write("new.csv", new);
    here.run(&args[..3]).exits(0);
    here.run(&["predict", "run", "new.csv", "--probabilities"])
        .exits(2)
        .says("usage::same-column")
        .says("`kind` has a label `p`");
}

#[test]
fn a_stream_is_predicted_as_the_file_is() {
    // A series whose states are carried on, with two results; numbers in their column's unit.
    let here = tabled(
        |i| format!("{},{}", i * 7 % 11, 100 + i),
        "a,b",
        "  input x : [T]\n  target y : [T]\n  hs = x |> scan GRU(3)\n  predict y = hs |> Linear\n  output hs",
        "  x = column(a) |> zscore()\n  y = next(column(b)) |> scale(0, 1)\n  split = parts(80, 20, 0, by = time)",
    );
    let rows: Vec<String> = (0..21).map(|i| format!("{}", i * 5 % 7)).collect();
    let new = format!("a\n{}\n", rows.join("\n"));
    here.write("new.csv", &new);
    let whole = here.run(&["predict", "run", "new.csv"]).exits(0).out;
    assert!(whole.starts_with("step,y,hs.0,hs.1,hs.2\n0,"), "{whole}");
    let numbers = |text: &str| -> Vec<f64> {
        let cells = text.lines().skip(1).flat_map(|l| l.split(','));
        cells.map(|c| c.parse().expect("a number")).collect()
    };
    let same = |a: &str, b: &str| {
        let (a, b) = (numbers(a), numbers(b));
        assert_eq!(a.len(), b.len());
        assert!(
            a.iter()
                .zip(&b)
                .all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0))
        );
    };
    assert!(numbers(&whole)[1] > 50.0, "{whole}");
    same(&streamed(&here, &new).exits(0).out, &whole);
    // What came before a line that cannot be read stays.
    let broken = new
        .replacen("\n0\n", "\nzero\n", 2)
        .replacen("\nzero\n", "\n0\n", 1);
    let line = 2 + rows.iter().skip(1).position(|r| r == "0").expect("a zero") + 1;
    let told = streamed(&here, &broken)
        .exits(1)
        .says(&format!("<stdin>:{line}:1"));
    assert_eq!(told.out.lines().count(), line - 1);
    assert_eq!(streamed(&here, "").exits(0).out, "");
}

#[test]
fn a_stream_tells_what_it_is_given_and_ends_with_its_reader() {
    use std::io::Write as _;
    let here = tabled(
        |i| format!("{},{}", i * 7 % 11, i % 5),
        "a,b",
        "  input x : [T]\n  target y : [T]\n  predict y = [x, previous(y)] |> scan GRU(3) |> Linear",
        "  x = column(a) |> zscore()\n  y = column(b) |> zscore()\n  split = parts(80, 20, 0, by = time)",
    );
    let new = "a,b\n1,2\n3,4\n5,0\n";
    here.write("new.csv", new);
    let given = "each step of `y` is predicted from the true `y` before it\n";
    let whole = here.run(&["predict", "run", "new.csv"]).exits(0);
    let told = streamed(&here, new).exits(0);
    assert_eq!((&whole.err[..], &told.err[..]), (given, given));
    assert_eq!(told.out.lines().count(), 4, "{}", told.out);
    // As `seqc predict run - | head -1`.
    let mut child = here
        .command(&["predict", "run", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("seqc starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("stdin");
    // It may have ended before it has read all of them.
    let _ = stdin.write_all(new.as_bytes());
    drop(stdin);
    let ended = child.wait_with_output().expect("ends");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), given);
}

#[test]
fn objects_on_standard_input_are_predicted_as_a_file_of_them_is() {
    let here = Here::new();
    let rows: Vec<String> = (0..20)
        .map(|i| format!("{{\"a\": {i}, \"b\": {}}}", 3 * i))
        .collect();
    here.write("rows.jsonl", &rows.join("\n"));
    here.write(
        "m.seq",
        "model M {\n  input x : number\n  target y : number\n  predict y = x |> Linear(1)\n}\n\
         data d {\n  from = jsonl(\"rows.jsonl\")\n  x = column(a) |> zscore()\n  \
         y = column(b) |> zscore()\n  split = parts(80, 20, 0)\n}\n\
         train M on d {\n  batch = 4\n  optimizer = sgd(lr = 0.1)\n  epochs = 1\n}\n",
    );
    here.run(&["train", "m.seq", "--out", "run", "-q"]).exits(0);
    let new = "{\"a\": 1}\n\n{\"a\": 2.5}\n{\"a\": -3}\n";
    here.write("new.jsonl", new);
    let whole = here.run(&["predict", "run", "new.jsonl", "--to", "jsonl", "--lines"]);
    let told = streamed_as(&here, new, &["--to", "jsonl", "--lines"])
        .exits(0)
        .out;
    assert_eq!(told, whole.exits(0).out);
    let line =
        |l: &str| serde_json::from_str::<serde_json::Value>(l).expect("an object")["line"].as_u64();
    let lines: Vec<Option<u64>> = told.lines().map(line).collect();
    assert_eq!(lines, [Some(1), Some(3), Some(4)], "{told}");
    let broken = new.replace("2.5", "\"two\"");
    streamed(&here, &broken).exits(1).says("<stdin>:3");
}

#[test]
fn pictures_and_tensors_are_predicted() {
    use safetensors::tensor::{Dtype, TensorView};
    let here = Here::new();
    let train = "train M on d {\n  batch = 4\n  optimizer = sgd(lr = 0.1)\n  epochs = 1\n}\n";
    let write =
        |name: &str, bytes: &[u8]| fs::write(here.path().join(name), bytes).expect("written");
    // Pictures of 2 by 2 whose class is which side is light.
    let pictures = |n: u8| {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, 2];
        (0..n).for_each(|i| {
            bytes.extend(if i % 2 == 0 {
                [9, 0, 9, 0]
            } else {
                [0, 9, 0, 9]
            })
        });
        bytes
    };
    write("images", &pictures(20));
    let labels = (0..20).map(|i| 7 + i % 2);
    let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, 20]
        .into_iter()
        .chain(labels)
        .collect();
    write("labels", &labels);
    here.write(
        "m.seq",
        &format!(
            "model M {{\n  input image : [4]\n  target digit : class\n  \
             predict digit = image |> Linear |> softmax\n}}\n\
             data d {{\n  from = idx(images = \"images\", labels = \"labels\")\n  \
             image = pixels() |> scale(0, 1)\n  digit = labels()\n  split = parts(80, 20, 0)\n}}\n{train}"
        ),
    );
    here.run(&["train", "m.seq", "--out", "run", "-q"]).exits(0);
    write("new", &pictures(3));
    let found = here.run(&["predict", "run", "new"]).exits(0).out;
    let classes: Vec<&str> = found.lines().filter_map(|l| l.split(',').nth(1)).collect();
    assert_eq!(classes.len(), 4, "{found}");
    assert_eq!((classes[0], classes[1]), ("digit", classes[3]), "{found}");
    assert!(["7", "8"].contains(&classes[1]), "{found}");
    streamed(&here, "0").exits(2).says("usage::stream-format");

    let tensors = |all: &[(&str, usize, Vec<f32>)]| {
        let bytes = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let all: Vec<_> = all
            .iter()
            .map(|(n, w, v)| (*n, *w, v.len(), bytes(v)))
            .collect();
        let views = all.iter().map(|(name, width, n, bytes)| {
            let shape = vec![n / width, *width];
            let view =
                TensorView::new(Dtype::F32, shape, bytes).expect("as many as the shape says");
            (*name, view)
        });
        safetensors::serialize(views, None).expect("tensors")
    };
    let x = |n: usize| (0..2 * n).map(|i| i as f32 / 8.0).collect::<Vec<f32>>();
    write(
        "t.safetensors",
        &tensors(&[("x", 2, x(20)), ("y", 1, vec![0.5; 20])]),
    );
    here.write(
        "t.seq",
        &format!(
            "model M {{\n  input x : [2]\n  target y : [1]\n  predict y = x |> Linear(1)\n}}\n\
             data d {{\n  from = tensors(\"t.safetensors\")\n  x = column(x)\n  y = column(y)\n  split = parts(80, 20, 0)\n}}\n{train}"
        ),
    );
    here.run(&["train", "t.seq", "--out", "trun", "-q"])
        .exits(0);
    write("new.safetensors", &tensors(&[("x", 2, x(3))]));
    let found = here
        .run(&["predict", "trun", "new.safetensors"])
        .exits(0)
        .out;
    assert_eq!(found.lines().count(), 4, "{found}");
    // The same numbers beside each other in a table.
    let rows: Vec<String> = x(3)
        .chunks(2)
        .map(|r| format!("{},{}", r[0], r[1]))
        .collect();
    here.write("new.csv", &format!("x.0,x.1\n{}\n", rows.join("\n")));
    assert_eq!(
        here.run(&["predict", "trun", "new.csv"]).exits(0).out,
        found
    );
}

#[test]
fn a_text_on_standard_input_is_read_as_it_comes() {
    let here = Here::new();
    let text = WORDS
        .replace("lines(", "text(")
        .replace("epochs    = 2", "epochs = 1\n  bptt = 8");
    here.write("text.seq", &text);
    here.run(&["train", "text.seq", "--out", "run", "-q"])
        .exits(0);
    let new = "ban\nkal\nलan\n";
    here.write("new.txt", new);
    let whole = here.run(&["predict", "run", "new.txt"]).exits(0);
    let told = streamed(&here, new).exits(0).out;
    // The next symbol is known as soon as the last one is read.
    assert_eq!(told.lines().count(), whole.out.lines().count() + 1);
    let symbols = |out: &str| -> Vec<String> {
        let upto = |l: &str| l.rsplit_once(',').expect("a probability").0.to_string();
        out.lines().map(upto).collect()
    };
    let (told, whole) = (symbols(&told), symbols(&whole.out));
    assert_eq!(told[..whole.len()], whole);
}

#[test]
fn an_answer_that_is_written_is_not_read() {
    let here = Here::new();
    let pairs: Vec<String> = (0..30)
        .map(|i| format!("{0}{1}\t{1}{0}", ["a", "b", "c"][i % 3], ["d", "e"][i % 2]))
        .collect();
    here.write("pairs.tsv", &pairs.join("\n"));
    here.write(
        "pairs.seq",
        "time S\ntime T\nmodel Back {\n  input from : [S] token\n  target to : [T] token\n  \
         predict to = previous(to) |> Embed(4) |> scan GRU(6) from h = final(from |> Embed(4) |> scan GRU(6))\n    \
         |> Linear |> softmax\n}\ndata pairs {\n  from = tsv(\"pairs.tsv\")\n  from = column(1) |> chars()\n  \
         to = column(2) |> chars()\n  split = parts(80, 20, 0)\n}\n\
         train Back on pairs {\n  batch = 8\n  optimizer = adam(lr = 1e-2)\n  epochs = 1\n}\n\
         generate Back {\n  length = 5\n}\n"
            .replace("from :", "word :")
            .replace("final(from", "final(word")
            .replace("  from = column(1)", "  word = column(1)")
            .as_str(),
    );
    here.run(&["train", "pairs.seq", "--out", "run", "-q"])
        .exits(0);
    here.write("new.tsv", "ad\nbec\n");
    let found = here.run(&["predict", "run", "new.tsv"]).exits(0);
    assert!(found.out.starts_with("example,to\n0,"), "{}", found.out);
    assert_eq!(found.err, "");
    assert_eq!(found.out.lines().count(), 3);
    assert_eq!(streamed(&here, "ad\nbec\n").exits(0).out, found.out);
}
