//! Where weights come from and how they move: batches computed in parts, low-rank updates, weights of
//! other runs, and weights of PyTorch.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use common::models::{LENS, sizes, written};
use safetensors::SafeTensors;
use seqc::check::settings::apply_adapters;
use seqc::lower::Options;
use seqc::pipeline::{Build, with_vocabularies};
use seqc::span::Sources;
use tempfile::TempDir;

const WORDS: [&str; 24] = [
    "ba", "bana", "dan", "kara", "ra", "nadar", "kan", "bar", "arad", "dab", "banda", "nar", "rak",
    "ada", "kand", "raba", "nab", "dara", "ka", "narad", "bak", "and", "dana", "arak",
];

struct Here(TempDir);

impl Here {
    /// A file of words with a kind for each: whether there is a `k`.
    fn new() -> Here {
        let here = Here(tempfile::tempdir().unwrap());
        let line = |w: &&str| format!("{w}\t{}\n", if w.contains('k') { "yes" } else { "no" });
        here.write("words.tsv", &WORDS.iter().map(line).collect::<String>());
        here.write("text.txt", &WORDS.join(" ").repeat(3));
        here
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn seqc(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
        command.args(args).args(["--threads", "1"]);
        command.current_dir(self.path()).output().unwrap()
    }

    /// What a command that must succeed says, stdout then stderr.
    fn ok(&self, args: &[&str]) -> String {
        let out = self.seqc(args);
        let text = [out.stdout, out.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(out.status.success(), "{args:?}\n{text}");
        text
    }

    /// What a command that must fail says.
    fn refused(&self, args: &[&str]) -> String {
        let out = self.seqc(args);
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success(), "{args:?}\n{text}");
        assert_ne!(out.status.code(), Some(101), "{text}");
        text
    }

    fn weights(&self, run: &str) -> BTreeMap<String, Vec<f32>> {
        let path = self.path().join(run).join("latest/weights.safetensors");
        read(&path)
    }
}

fn read(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let float = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
    let one = |(name, t): (String, safetensors::tensor::TensorView<'_>)| {
        (name, t.data().chunks_exact(4).map(float).collect())
    };
    file.tensors().into_iter().map(one).collect()
}

fn distance(a: &BTreeMap<String, Vec<f32>>, b: &BTreeMap<String, Vec<f32>>) -> f32 {
    assert!(a.keys().eq(b.keys()));
    let pairs = a.values().flatten().zip(b.values().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Two targets whose steps differ in number, and two penalties.
const TWO: &str = "time T
model Two {
  target word : [T] token
  target kind : class
  h = previous(word) |> Embed(5) |> scan GRU(6)
  end = h |> last
  predict word = h |> Linear |> softmax
  predict kind = end |> Linear |> softmax
  penalty small = 0.01 * sum(h * h)
}
data words {
  from  = tsv(\"words.tsv\")
  word  = column(1) |> chars()
  kind  = column(2) |> labels()
  split = parts(80, 20, 0)
}
train Two on words {
  batch     = 8
  optimizer = sgd(lr = 0.2, momentum = 0.9)
  clip      = norm(0.5)
  epochs    = 3
}
";

const LONG: &str = "time T
model Long {
  target text : [T] token
  predict text = previous(text) |> Embed(5) |> scan LSTM(6) |> Linear |> softmax
}
data words {
  from  = \"text.txt\"
  text  = chars()
  split = parts(80, 20, 0)
}
train Long on words {
  batch     = 5
  bptt      = 7
  optimizer = sgd(lr = 0.5)
  epochs    = 2
}
generate Long { length = 8 }
";

#[test]
fn a_batch_in_parts_gives_the_update_of_the_whole() {
    let here = Here::new();
    for (name, text) in [("two", TWO), ("long", LONG)] {
        let file = format!("{name}.seq");
        here.write(&file, text);
        here.ok(&["train", &file, "--out", "whole", "-q"]);
        for parts in ["train.accumulate=3", "train.accumulate=50"] {
            here.ok(&["train", &file, "--out", parts, "--set", parts, "-q"]);
            let far = distance(&here.weights("whole"), &here.weights(parts));
            assert!(far < 1e-5, "{name}, {parts}: {far}");
        }
        // Cut in the middle of an epoch.
        let parts = "train.accumulate=3";
        here.ok(&[
            "train",
            &file,
            "--out",
            "cut",
            "--set",
            parts,
            "--max-steps",
            "4",
            "-q",
        ]);
        here.ok(&["train", "cut", "--resume", "-q"]);
        assert_eq!(here.weights("cut"), here.weights(parts), "{name}");
        for run in ["whole", "cut", parts, "train.accumulate=50"] {
            std::fs::remove_dir_all(here.path().join(run)).unwrap();
        }
    }
}

/// The model of `LONG` with low-rank updates of its cell's matrices.
fn adapted(rules: &str) -> seqc::check::program::Model {
    let text = LONG.replace("  epochs    = 2", &format!("  epochs = 2\n{rules}"));
    let model = written("long", &text).remove(0);
    let mut sources = Sources::default();
    let id = sources.add("long.seq", text.as_str());
    let file = seqc::ast::parse::parse(&text, id).unwrap();
    let mut report = Vec::new();
    let experiment = seqc::check::settings::check(&file, std::slice::from_ref(&model), &mut report);
    assert!(report.is_empty(), "{report:?}");
    let mut model = with_vocabularies(&model, &|_| Some(4));
    apply_adapters(&experiment.trains[0].settings, &mut model);
    model
}

#[test]
fn gradients_of_low_rank_updates_equal_differences() {
    let model = adapted("params \"*\" { lora = 2 }");
    // Every matrix, the table and the biases' none.
    assert_eq!(model.adapters.len(), 8 + 2);
    let stages = Build::default().stages(&model, Options::TRAIN, true);
    let func = stages.unwrap().optimized;
    let sizes = sizes(&func);
    let inputs = common::inputs(&func, &sizes, &LENS, 4);
    let params = common::params(&func, &sizes, 0.5);
    let worst = common::check_every_coordinate(&func, &sizes, &inputs, &params);
    assert!(worst < 1e-7, "{worst:e}");
    common::check_schedule(&func, &sizes, &inputs, &params);
}

#[test]
fn an_update_starts_at_nothing_trains_alone_and_can_be_merged() {
    let here = Here::new();
    here.write("long.seq", LONG);
    here.ok(&["train", "long.seq", "--out", "base", "-q"]);
    let rules = "  epochs = 3\n  weights = \"base\"\n  params \"*\" { frozen = yes }\n  \
                 params \"lstm.*\" { lora = 2, lr = 0.1 }";
    let rules = rules.replace(", ", "\n");
    here.write("tuned.seq", &LONG.replace("  epochs    = 2", &rules));
    let resolved = here.ok(&["check", "tuned.seq", "--resolved"]);
    assert!(resolved.contains("param lstm.Wi.lora_b"), "{resolved}");
    let said = here.ok(&["train", "tuned.seq", "--out", "tuned"]);
    assert!(said.contains("15 of 31 weights"), "{said}");
    let (base, tuned) = (
        read(&here.path().join("base/best/weights.safetensors")),
        here.weights("tuned"),
    );
    for (path, values) in &base {
        assert_eq!(values, &tuned[path], "{path} is kept");
    }
    assert!(tuned["lstm.Uo.lora_b"].iter().any(|x| *x != 0.0));
    here.ok(&["generate", "tuned"]);
    // A file without updates takes the sum: the same predictions, to rounding.
    let plain = "  epochs = 3\n  weights = \"tuned\"\n  params \"*\" { frozen = yes }";
    here.write("plain.seq", &LONG.replace("  epochs    = 2", plain));
    here.ok(&[
        "train",
        "plain.seq",
        "--out",
        "plain",
        "--max-steps",
        "1",
        "-q",
    ]);
    let loss = |run: &str| -> f64 {
        let out = here.ok(&["eval", run, "--json"]);
        let line: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        line["valid.loss"]
            .as_f64()
            .unwrap_or_else(|| panic!("{out}"))
    };
    let (tuned, plain, base) = (loss("tuned"), loss("plain"), loss("base"));
    assert!((tuned - plain).abs() < 1e-5, "{tuned} {plain}");
    assert!((tuned - base).abs() > 1e-4, "{tuned} {base}");
}

#[test]
fn a_run_is_taken_over_by_path_shape_and_symbol() {
    let here = Here::new();
    here.write("long.seq", LONG);
    here.ok(&["train", "long.seq", "--out", "base", "-q"]);
    // Two more symbols, of which one sorts before the others; another cell size beside.
    here.write("text.txt", &format!("!{}z", WORDS.join("z ").repeat(3)));
    let from = |rules: &str| LONG.replace("  epochs    = 2", &format!("  epochs = 2\n{rules}"));
    here.write(
        "more.seq",
        &from("weights = \"base\"\n  params \"*\" { frozen = yes }"),
    );
    let said = here.ok(&["train", "more.seq", "--out", "more", "--max-steps", "1"]);
    assert!(
        said.contains("new symbols in: embed.table (2), linear.W (2)"),
        "{said}"
    );
    let symbols = |run: &str| -> Vec<String> {
        let json = std::fs::read_to_string(here.path().join(run).join("run.json")).unwrap();
        let run: serde_json::Value = serde_json::from_str(&json).unwrap();
        let all = run["fields"][0]["vocabulary"]["symbols"]
            .as_array()
            .unwrap();
        all.iter()
            .map(|s| s.as_str().unwrap().to_string())
            .collect()
    };
    let (old, new) = (symbols("base"), symbols("more"));
    let (base, more) = (
        read(&here.path().join("base/best/weights.safetensors")),
        here.weights("more"),
    );
    assert_ne!(old[..], new[..old.len()], "places have moved");
    for (i, symbol) in old.iter().enumerate() {
        let j = new.iter().position(|s| s == symbol).unwrap();
        assert_eq!(
            base["embed.table"][i * 5..][..5],
            more["embed.table"][j * 5..][..5]
        );
        assert_eq!(base["linear.b"][i], more["linear.b"][j]);
    }
    // A file alone does not say which row is which symbol.
    std::fs::copy(
        here.path().join("base/best/weights.safetensors"),
        here.path().join("w.safetensors"),
    )
    .unwrap();
    here.write("file.seq", &from("weights = \"w.safetensors\""));
    let said = here.refused(&["train", "file.seq", "--out", "no"]);
    assert!(
        said.contains("weights::shape-differs") && said.contains("name the run's folder"),
        "{said}"
    );
    // Another head, under another name: what is not there is asked for, and can be fresh.
    let head = from("weights = \"base\"").replace("|> Linear |>", "|> head |>");
    let head = head.replace("  predict text", "  head = Linear\n  predict text");
    here.write("head.seq", &head);
    let said = here.refused(&["train", "head.seq", "--out", "no"]);
    assert!(
        said.contains("weights::missing") && said.contains("was the weight renamed?"),
        "{said}"
    );
    let fresh = "weights = \"base\"\n  params \"head.*\" { fresh = yes }";
    here.write("head.seq", &head.replace("weights = \"base\"", fresh));
    let said = here.ok(&["train", "head.seq", "--out", "head", "--max-steps", "1"]);
    assert!(said.contains("started fresh: head.W, head.b"), "{said}");
    assert!(
        said.contains("left in the file: linear.W, linear.b"),
        "{said}"
    );
}

#[test]
fn layers_of_pytorch_find_their_place_or_are_refused() {
    let here = Here::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let state = folder.join("embed_lstm.state.safetensors");
    let state = state.to_str().unwrap();
    let said = here.ok(&["import", "pytorch", state]);
    assert!(said.contains("rnn.l1  LSTM 6 → 6\n"), "{said}");
    let model = |layers: &str| {
        format!(
            "time T\nmodel M {{\n input x : [T] token\n target y : [T] class\n predict y = x {layers} |> softmax\n}}\n"
        )
    };
    here.write(
        "m.seq",
        &model("|> Embed(4) |> scan LSTM(6) |> scan LSTM(6) |> Linear"),
    );
    let said = here.ok(&["import", "pytorch", state, "m.seq", "-o", "w.safetensors"]);
    assert!(
        said.contains("rnn.bias_ih_l1 + rnn.bias_hh_l1, rows f"),
        "{said}"
    );
    let (theirs, ours) = (
        read(Path::new(state)),
        read(&here.path().join("w.safetensors")),
    );
    assert_eq!(ours["embed.table"], theirs["words.weight"]);
    assert_eq!(
        ours["lstm_2.Ug"],
        theirs["rnn.weight_hh_l1"][2 * 36..3 * 36]
    );
    let refused = |layers: &str, more: &[&str], code: &str, says: &str| {
        here.write("m.seq", &model(layers));
        let said = here.refused(&[&["import", "pytorch", state, "m.seq"], more].concat());
        assert!(said.contains(code) && said.contains(says), "{said}");
    };
    let (gone, kept) = ("import::no-counterpart", "import::left-over");
    refused(
        "|> Embed(4) |> scan LSTM(6) |> scan LSTM(7) |> Linear",
        &[],
        gone,
        "`lstm_2.Wi [7, 6]`",
    );
    refused(
        "|> Embed(4) |> scan LSTM(6) |> scan GRU(6) |> Linear",
        &[],
        gone,
        "it has no GRU, it has `out` Linear",
    );
    refused(
        "|> Embed(4) |> scan LSTM(6) |> scan PeepholeLSTM(6) |> Linear",
        &[],
        gone,
        "have a counterpart",
    );
    refused(
        "|> Embed(4) |> scan LSTM(6) |> Linear",
        &[],
        kept,
        "`rnn.l1`",
    );
    let all = "|> Embed(4) |> scan LSTM(6) |> scan LSTM(6) |> Linear";
    refused(all, &["--map", "words=linear"], gone, "embed.table");
    refused(all, &["--map", "word=embed"], "usage::map", "`word`");
}
