//! The binary itself: exit codes, what goes to stdout and to stderr, and what is left on the disk.
//!
//! Longer than most files: one list of what the command promises, a test for each promise.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A character model small enough for a debug build.
const WORDS: &str = "time T
model Small {
  target word : [T] token
  predict word = previous(word) |> Embed(4) |> scan GRU(6) |> Linear |> softmax
}
data words {
  from  = lines(\"words.txt\")
  word  = chars()
  split = parts(60, 20, 20)
}
train Small on words {
  batch     = 4
  optimizer = adam(lr = 1e-2)
  epochs    = 2
  metrics   = [perplexity, versus(bigram)]
  seed      = 1
}
generate Small {
  length = 12
}
";

const LINE: &str = "model Line {
  input  x : [2]
  target y : number
  predict y = x |> Linear(1)
}
data points {
  from  = rows(40, seed = 1)
  a     = uniform(-1, 1)
  b     = uniform(-1, 1)
  x     = [a, b]
  y     = 2*a - b
  split = parts(50, 50, 0)
}
train Line on points {
  batch     = 10
  optimizer = sgd(lr = 0.3)
  epochs    = 20
  metrics   = [mae]
  seed      = 1
}
";

struct Here(TempDir);

impl Here {
    fn new() -> Here {
        let here = Here(tempfile::tempdir().expect("a temporary folder"));
        here.write("words.seq", WORDS);
        let words: Vec<String> = (0..30)
            .map(|i| format!("{}a{}", ["b", "d", "k"][i % 3], ["n", "r", "ल"][i / 3 % 3]))
            .collect();
        here.write("words.txt", &words.join("\n"));
        here.write("line.seq", LINE);
        here
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("written");
    }

    fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
        command.args(args).current_dir(self.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(args).output().expect("seqc starts");
        Ran {
            args: args.join(" "),
            code: status.code(),
            out: String::from_utf8(stdout).expect("text on stdout"),
            err: String::from_utf8(stderr).expect("text on stderr"),
        }
    }
}

struct Ran {
    args: String,
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// Ended with this code; nobody is ever shown a panic.
    #[track_caller]
    fn exits(self, code: i32) -> Ran {
        assert_eq!(
            self.code,
            Some(code),
            "seqc {}\n{}{}",
            self.args,
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    fn says(self, what: &str) -> Ran {
        assert!(self.err.contains(what), "seqc {}\n{}", self.args, self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).expect("one JSON object on stdout")
    }
}

#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

#[test]
fn a_run_is_trained_measured_and_asked() {
    let here = Here::new();
    let trained = here.run(&["train", "words.seq", "--json"]).exits(0);
    let summary = trained.json();
    for key in [
        "run",
        "steps",
        "epochs",
        "seconds",
        "compile_ms",
        "first_step_ms",
        "data_wait",
        "params",
        "train.loss",
        "valid.loss",
        "valid.perplexity",
    ] {
        assert!(summary.get(key).is_some(), "{key} in {summary}");
    }
    assert!(trained.err.contains("bigram"), "{}", trained.err);
    let run = summary["run"].as_str().expect("a path").to_string();
    assert_eq!(run, "runs/words-Small");

    let eval = here.run(&["eval", &run, "--json"]).exits(0);
    assert_eq!(
        keys(&eval.json()),
        [
            "valid.loss",
            "valid.perplexity",
            "valid.rival",
            "valid.versus"
        ]
    );
    assert_eq!(eval.err, "");
    let exact = here
        .run(&["eval", &run, "--json", "--dtype", "f64"])
        .exits(0);
    let (a, b) = (&eval.json()["valid.loss"], &exact.json()["valid.loss"]);
    let apart = a.as_f64().expect("a number") - b.as_f64().expect("a number");
    assert!(apart.abs() < 1e-5, "{a} {b}");
    let weights = format!("{run}/best/weights.safetensors");
    let file = here
        .run(&["eval", "words.seq", "--weights", &weights, "--json"])
        .exits(0);
    assert_eq!(file.json()["valid.loss"], eval.json()["valid.loss"]);
    here.run(&["eval", &run, "--grads", "g.safetensors"])
        .exits(0);
    assert!(here.has("g.safetensors"));

    // A picture changes nothing of what is said.
    let plotted = here.run(&["eval", &run, "--json", "--plot", "classes.png"]);
    assert_eq!(plotted.exits(0).out, eval.out);
    let png = fs::read(here.path().join("classes.png")).expect("a picture");
    assert!(png.starts_with(b"\x89PNG"));
    here.run(&["eval", &run, "--plot", "loss.svg", "--plot-of", "loss"])
        .exits(0);
    let drawn = |path: &str| fs::read_to_string(here.path().join(path)).expect("a picture");
    assert_eq!(drawn("loss.svg"), drawn(&format!("{run}/loss.svg")));
    let weights_of = ["eval", "words.seq", "--weights", &weights, "--plot"];
    let of_a_file = [&weights_of[..], &["x.svg", "--plot-of", "rate"]].concat();
    here.run(&of_a_file).exits(2).says("usage::plot-of");
    here.run(&["eval", &run, "--plot", "x.pdf"])
        .exits(2)
        .says("usage::plot-form");
    assert!(!here.has("x.svg") && !here.has("x.pdf"));

    let write = |seed: &str| {
        let args = ["generate", &run, "-n", "6", "--seed", seed, "--json"];
        here.run(&args).exits(0).json()["generated"].clone()
    };
    assert_eq!(write("1").as_array().map(Vec::len), Some(6));
    assert_eq!(write("1"), write("1"));
    assert_ne!(write("1"), write("2"));
    let plain = here
        .run(&["generate", &run, "-n", "2", "--length", "5"])
        .exits(0);
    assert_eq!(plain.out.lines().count(), 2);

    here.write("new.txt", "ban\nkal\n");
    let csv = here.run(&["predict", &run, "new.txt"]).exits(0);
    assert!(csv.out.starts_with("example,step,word,word.p\n"));
    let csv = here
        .run(&["predict", &run, "new.txt", "--probabilities"])
        .exits(0);
    assert!(csv.out.starts_with("example,step,word,word.p,word.a,"));
    let json = here
        .run(&["predict", &run, "new.txt", "--json", "--probabilities"])
        .exits(0)
        .json();
    let first = &json["predictions"][0];
    assert_eq!(keys(first), ["word", "word.all", "word.p"]);
    assert_eq!(first["word"].as_array().map(Vec::len), Some(4));
    assert!(first["word.all"][0]["<end>"].is_number(), "{first}");

    // Nothing is overwritten; what exists can be resumed, and is done.
    let before = fs::read(here.path().join(&weights)).expect("weights");
    here.run(&["train", "words.seq", "--out", &run])
        .exits(2)
        .says("run::exists");
    here.run(&["train", &run]).exits(2).says("--resume");
    here.run(&["train", &run, "--resume"]).exits(0);
    let again = here.run(&["train", "words.seq", "--json"]).exits(0).json();
    assert_eq!(again["run"], "runs/words-Small-2");
    assert_eq!(again["valid.loss"], summary["valid.loss"]);
    assert_eq!(
        fs::read(here.path().join(&weights)).expect("weights"),
        before
    );
}

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
fn tabled(rows: impl Fn(usize) -> String, header: &str, model: &str, columns: &str) -> Here {
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
fn streamed(here: &Here, text: &str) -> Ran {
    streamed_to(here, text, "csv")
}

/// The same in another form.
fn streamed_to(here: &Here, text: &str, form: &str) -> Ran {
    use std::io::Write as _;
    let args = ["predict", "run", "-", "--to", form];
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
    let whole = here.run(&["predict", "run", "new.jsonl", "--to", "jsonl"]);
    let told = streamed_to(&here, new, "jsonl").exits(0).out;
    assert_eq!(told, whole.exits(0).out);
    assert_eq!(told.lines().count(), 3, "{told}");
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

#[test]
fn what_is_refused_leaves_nothing() {
    let here = Here::new();
    here.run(&["train", "line.seq", "--dry-run"]).exits(0);
    here.run(&["train", "line.seq", "--set", "train.batch=0"])
        .exits(2);
    here.run(&["train", "line.seq", "--data", "other=x"])
        .exits(2);
    here.run(&["train", "line.seq", "Nobody"]).exits(2);
    here.run(&["train", "missing.seq"]).exits(3);
    here.run(&["train", "words.seq", "--data", "words=missing.txt"])
        .exits(3);
    here.write("empty.txt", "");
    here.run(&["train", "words.seq", "--data", "words=empty.txt"])
        .exits(1);
    let weights = "train.weights=\"missing.safetensors\"";
    here.run(&["train", "line.seq", "--set", weights, "--out", "run"])
        .exits(3);
    assert!(!here.has("runs") && !here.has("run"));
    here.run(&["train", "line.seq", "--resume"]).exits(2);
    here.run(&["eval", "runs/nothing"]).exits(3);
    here.run(&["generate", "nothing"]).exits(3);
}

#[test]
fn a_step_that_needs_more_memory_than_there_is_is_refused() {
    let here = Here::new();
    // 400,000 × 400,000 weights are 640 GB.
    let wide = LINE.replace("Linear(1)", "Linear(400000) |> Linear(400000) |> Linear(1)");
    here.write("wide.seq", &wide);
    here.run(&["train", "wide.seq"])
        .exits(3)
        .says("resource::memory");
    assert!(!here.has("runs"));
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_gives_its_exit_code() {
    use std::io::{BufRead, BufReader};

    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let here = Here::new();
        let mut child = here
            .command(&[
                "train",
                "line.seq",
                "--set",
                "train.epochs=1000000",
                "--out",
                "run",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("seqc starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        // The first line comes when training begins.
        lines.next().expect("a line").expect("text");
        // SAFETY: the process is our child and has not been waited for, so its id is its own.
        let sent = unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0);
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("ends").code(), Some(code), "{rest:?}");
        assert!(here.path().join("run/latest/weights.safetensors").is_file());
        here.run(&["train", "run", "--resume", "--max-steps", "1"])
            .exits(0);
    }
}

#[test]
fn check_tells_programs_what_it_tells_people() {
    let here = Here::new();
    let fine = here.run(&["check", "line.seq", "words.seq"]).exits(0);
    assert_eq!((fine.out.lines().count(), fine.err.as_str()), (2, ""));
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    let bad = here.run(&["check", "bad.seq"]).exits(1);
    assert_eq!(bad.out, "");
    assert!(bad.err.contains("bad.seq:4:"), "{}", bad.err);
    let json = here
        .run(&["check", "bad.seq", "line.seq", "--json"])
        .exits(1);
    assert_eq!(json.err, "");
    let json = json.json();
    assert_eq!(keys(&json), ["diagnostics", "files", "ok"]);
    assert_eq!(json["ok"], false);
    assert_eq!(json["files"], serde_json::json!(["line.seq"]));
    let found = &json["diagnostics"][0];
    assert_eq!(
        keys(found),
        ["code", "fix", "help", "labels", "message", "severity"]
    );
    assert_eq!(found["labels"][0]["at"]["line"], 4);
    let cost = here
        .run(&["check", "line.seq", "--cost", "--json"])
        .exits(0)
        .json();
    assert_eq!(cost["cost"]["line.seq"]["Line"]["parameters"]["value"], 3);
}

#[test]
fn costs_are_formulas() {
    let here = Here::new();
    let lstm = WORDS.replace("GRU(6)", "LSTM(6)");
    here.write("lstm.seq", &lstm);
    let cost = here.run(&["check", "lstm.seq", "--cost"]).exits(0).out;
    let line = "weights of lstm: 4·E·H + 4·H² + 4·H = 264";
    assert!(cost.contains(line), "{cost}");
    assert!(cost.contains("V_word"), "{cost}");
    here.run(&["check", "lstm.seq", "--data", "words=none.txt"])
        .exits(0)
        .says("io::not-found");
}

#[test]
fn offered_edits_are_made() {
    let here = Here::new();
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    let fixed = here.run(&["check", "bad.seq", "--fix"]).exits(0);
    assert!(fixed.err.contains("1 edit made"), "{}", fixed.err);
    let text = fs::read_to_string(here.path().join("bad.seq")).expect("text");
    assert_eq!(text, LINE);
}

#[test]
fn stages_are_printed_for_a_named_machine() {
    let here = Here::new();
    let emit = |stages: &str| {
        let stages = format!("--emit={stages}");
        let args = ["emit", "words.seq", &stages, "--target", "portable"];
        here.run(&args).exits(0).out
    };
    let plan = emit("plan");
    for part in ["pass ", "hoist-input", "plan small", "peak ", "on portable"] {
        assert!(plan.contains(part), "{part} in\n{plan}");
    }
    assert_eq!(plan, emit("plan"));
    assert!(emit("clif").contains("function"));
    assert!(!emit("asm").is_empty());
    here.run(&["emit", "words.seq", "--emit=asm", "--target", "aarch64"])
        .exits(2);
    here.run(&["emit", "words.seq", "--emit=opt", "--without", "nothing"])
        .exits(2);
    // A file whose names are wrong still has a tree.
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    here.run(&["emit", "bad.seq", "--emit=ast"]).exits(0);
    here.run(&["emit", "bad.seq", "--emit=ast,ir"]).exits(1);
}

#[test]
fn snapshots_fail_where_something_changed() {
    let here = Here::new();
    let read = |name: &str| fs::read_to_string(here.path().join(name)).expect("text");
    let checked = "snapshots/two__Line.checked.snap";
    let plan = "snapshots/two__Other.plan@portable.snap";
    let two =
        LINE.to_string() + &LINE[..LINE.find("data").expect("data")].replace("Line {", "Other {");
    here.write("two.seq", &two);

    // Nothing is recorded yet: it lies in wait, and fails.
    let first = here.run(&["snapshot", "two.seq"]).exits(1);
    assert!(first.out.contains("snapshots: 4 new"), "{}", first.out);
    assert!(here.has(&format!("{checked}.new")) && !here.has(checked));
    let update = here.run(&["snapshot", "two.seq", "--update"]).exits(0);
    assert!(update.out.contains("4 written"), "{}", update.out);
    assert!(here.has(plan) && !here.has(&format!("{checked}.new")));
    let head = "---\nsource: \"two.seq\"\nexpression: \"seqc emit two.seq --emit=checked --model Line\"\n---\nmodel Line\n";
    assert!(read(checked).starts_with(head), "{}", read(checked));
    let same = here.run(&["snapshot", "two.seq"]).exits(0);
    assert_eq!(same.out, "snapshots: 4 same\n");
    // What a checkout on another system does to line ends is no change.
    here.write(checked, &read(checked).replace('\n', "\r\n"));
    here.run(&["snapshot", "two.seq"]).exits(0);

    // A wider layer shows as a difference, and what was recorded stays.
    let before = read(checked);
    let wider = "x |> Linear(7) |> Linear(1)";
    here.write("two.seq", &two.replacen("x |> Linear(1)", wider, 1));
    let changed = here.run(&["snapshot", "two.seq"]).exits(1);
    assert!(
        changed.out.contains("\n+  param linear_2.W"),
        "{}",
        changed.out
    );
    assert!(
        changed.out.contains("snapshots: 2 same, 2 changed"),
        "{}",
        changed.out
    );
    assert_eq!(read(checked), before);
    let json = here.run(&["snapshot", "two.seq", "--json"]).exits(1).json();
    assert_eq!(json["ok"], false);
    assert_eq!(
        keys(&json["snapshots"][0]),
        ["diff", "file", "model", "snapshot", "stage", "state"]
    );
    here.write("two.seq", &two);
    here.run(&["snapshot", "two.seq"]).exits(0);
    assert!(!here.has(&format!("{checked}.new")));
}

#[test]
fn snapshots_keep_to_the_stages_recorded_and_to_their_own_files() {
    let here = Here::new();
    let record = |stages: &str| {
        let args = ["snapshot", "line.seq", "--update", "--stage", stages];
        here.run(&args).exits(0)
    };
    record("ast,ir,clif");
    let clif = format!(
        "snapshots/line__Line.clif@portable-{}.snap",
        std::env::consts::ARCH
    );
    assert!(here.has(&clif) && here.has("snapshots/line__ast.snap"));
    assert_eq!(
        here.run(&["snapshot", "line.seq"]).exits(0).out,
        "snapshots: 3 same\n"
    );
    // A model that is gone keeps its snapshot, and is spoken of.
    here.write(
        "line.seq",
        &LINE
            .replace("Line {", "Linie {")
            .replace("train Line", "train Linie"),
    );
    here.run(&["snapshot", "line.seq"])
        .exits(1)
        .says("snapshot::unused");
    assert!(here.has(&clif));
    // What is no snapshot of this file is never written over.
    for text in ["mine", "---\nsource: other.seq\n---\nmodel Line\n"] {
        here.write("snapshots/line__Linie.opt.snap", text);
        here.run(&["snapshot", "line.seq", "--update", "--stage", "opt"])
            .exits(1)
            .says("snapshot::foreign");
        let kept = fs::read_to_string(here.path().join("snapshots/line__Linie.opt.snap"));
        assert_eq!(kept.expect("text"), text);
    }
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    here.run(&["snapshot", "bad.seq", "words.seq"])
        .exits(1)
        .says("bad.seq:4:");
    here.run(&["snapshot", "bad.seq", "--stage", "ast", "--update"])
        .exits(0);
    here.run(&["snapshot", "missing.seq"]).exits(3);
    assert!(here.has("snapshots/words__Small.checked.snap.new"));
}

#[test]
fn a_closed_pipe_is_quiet() {
    let here = Here::new();
    let mut child = here
        .command(&["emit", "words.seq", "--emit=clif"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("seqc starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("ends");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.stderr, b"");
}

#[test]
fn odd_files_are_refused_with_their_place() {
    let here = Here::new();
    let deep = format!(
        "model M {{\n predict y = {}1{}\n}}\n",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    let itself = "cell A(H) {\n input x : [X]\n state h : [H]\n h' = x |> A(H)\n}\n\
                  model M {\n input x : [3]\n target y : number\n predict y = x |> A(3) |> Linear(1)\n}\n";
    for (text, place) in [
        (
            LINE.replace("Linear(1)", "Linear(1000000000000)").as_str(),
            "odd.seq:4:",
        ),
        (&deep, "odd.seq:2:"),
        (itself, "odd.seq:4:"),
        ("model M {\0\n}\n", "odd.seq:1:10"),
        ("", "odd.seq:1:1"),
    ] {
        here.write("odd.seq", text);
        let began = std::time::Instant::now();
        here.run(&["check", "odd.seq"]).exits(1).says(place);
        assert!(began.elapsed().as_secs() < 10, "{place}");
    }
    fs::create_dir(here.path().join("folder.seq")).expect("made");
    here.run(&["check", "folder.seq"]).exits(3);
    let missing = here.run(&["check", "missing.seq", "--json"]).exits(3);
    assert_eq!(missing.json()["ok"], false);
}

#[test]
fn names_and_codes_are_explained() {
    let here = Here::new();
    for (name, part) in [
        ("lstm", "c' = f*c + i*g"),
        ("MixtureOfExperts", "#   parameters "),
        ("Linear", "`y = W·x + b`"),
        ("shape::mismatch", "\n# Mended:\n"),
        ("run::locked", "Another process"),
    ] {
        let out = here.run(&["explain", name]).exits(0).out;
        assert!(out.contains(part) && out.ends_with('\n'), "{out}");
    }
    here.run(&["explain", "Liner"]).exits(2).says("`Linear`");
}

#[test]
fn usage_errors_exit_with_2() {
    let here = Here::new();
    for args in [
        &["frobnicate"][..],
        &["train"],
        &["emit", "line.seq", "--emit=nothing"],
        &["check", "line.seq", "--data", "points"],
        &["check", "line.seq", "--set", "train.nothing=1"],
        &["explain", "nothing::at-all"],
    ] {
        let ran = here.run(args).exits(2);
        assert_eq!(ran.out, "", "{}", ran.args);
        assert_ne!(ran.err, "", "{}", ran.args);
    }
    here.run(&["--version"]).exits(0);
}

#[test]
fn a_starter_file_is_sound_and_never_overwrites() {
    let here = Here::new();
    here.run(&["new", "first"]).exits(0);
    here.run(&["check", "first.seq"]).exits(0);
    here.run(&["fmt", "--check", "first.seq"]).exits(0);
    here.run(&["train", "first.seq", "--dry-run"]).exits(0);
    here.run(&["new", "first"]).exits(2);
    let doctor = here.run(&["doctor", "--json"]).exits(0).json();
    assert!(keys(&doctor).contains(&"instructions"));
}
