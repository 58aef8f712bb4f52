//! `seqc bench`: what it says about a file, against the file's cost in closed form, and what it leaves behind.

mod common;

use std::fs;

use common::binary::json;
use serde_json::Value;

const NOTES: &str = "time T
model Notes {
  target note : [T] token
  predict note = previous(note) |> Embed(4) |> scan GRU(6) |> Linear |> softmax
}
data notes {
  from  = text(\"notes.txt\")
  note  = chars()
  split = parts(100, 0, 0)
}
train Notes on notes {
  batch     = 4
  bptt      = 8
  optimizer = adam(lr = 1e-2)
  clip      = norm(1)
  epochs    = 2
  metrics   = [perplexity]
  seed      = 1
}
generate Notes {
  length = 12
}
";

fn number(v: &Value, path: &str) -> f64 {
    let found = v.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("{path} in {v}"))
}

/// A number of `check --cost` for batches of four sequences of eight of three symbols.
fn formula(cost: &Value, key: &str) -> f64 {
    let text = cost["cost"]["notes.seq"]["Notes"][key]["numbers"].as_str();
    let text = text.expect("a formula");
    // `B·(24·T·V_note + 720·T)`: factors and terms of one level of brackets.
    let size = |f: &str| match f.trim() {
        "B" => 4.0,
        "T" => 8.0,
        "V_note" => 3.0,
        n => n.parse().unwrap_or_else(|_| panic!("{n} in {text}")),
    };
    let (outer, inner) = match text.split_once("·(") {
        Some((outer, inner)) => (size(outer), inner.trim_end_matches(')')),
        None => (1.0, text),
    };
    let term = |t: &str| t.split('·').map(size).product::<f64>();
    outer * inner.split('+').map(term).sum::<f64>()
}

#[test]
fn a_file_is_timed_against_its_own_cost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("notes.seq"), NOTES).expect("written");
    let notes = |times: usize| {
        let text = "abccbaacb".repeat(times);
        fs::write(folder.path().join("notes.txt"), text).expect("written");
    };
    // Four streams of nine whole windows each.
    notes(32);
    let bench = |more: &[&str]| {
        let mut args = vec!["bench", "notes.seq", "--json", "--threads", "1"];
        args.extend(["--seconds", "0.05"]);
        args.extend(more);
        json(folder.path(), &args)
    };
    let train = bench(&[]);
    assert_eq!(train["sizes"], serde_json::json!({ "B": 4, "T": 8 }));
    assert_eq!(train["precision"], "f32");
    // A step is its parts.
    let least = |part: &str| number(&train, &format!("/train/{part}/least"));
    let parts = least("gradient") + least("update") + least("wait");
    assert!(parts > 0.0 && parts <= least("step") * 1.0001, "{train}");
    assert!(number(&train, "/train/step/median") >= least("step"));
    // Arithmetic as the closed form has it, and no more of it than the machine can do.
    let cost = json(folder.path(), &["check", "notes.seq", "--cost", "--json"]);
    let all = formula(&cost, "forward_flops") + formula(&cost, "backward_flops");
    assert_eq!(number(&train, "/train/flops"), all, "{cost}");
    assert_eq!(train["train"]["varied"], false);
    for share in ["peak_share", "roofline_share"] {
        let share = number(&train, &format!("/train/{share}"));
        assert!(share > 0.0 && share < 1.0, "{train}");
    }
    // The kernels of a step: their products are the closed form's, their time is some of it.
    let kernels = train["kernels"].as_array().expect("a list");
    let products = kernels.iter().filter(|k| {
        let line = k["kernel"].as_str().expect("a line");
        line.starts_with("gemm")
    });
    let flops: f64 = products.map(|k| number(k, "/flops")).sum();
    assert!(flops > 0.5 * all && flops <= all, "{train}");
    let shares: f64 = kernels.iter().map(|k| number(k, "/share")).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{train}");
    assert!(kernels.iter().any(|k| k["depth"] == 1), "{train}");
    let from = |k: &Value| k["from"].as_str().expect("lines").contains("gru.seq:");
    assert!(kernels.iter().any(from), "{train}");
    // Where the last window of each stream is shorter, the mean of what was timed counts.
    notes(40);
    let varied = bench(&["--brief"]);
    assert_eq!(varied["train"]["varied"], true);
    let flops = number(&varied, "/train/flops");
    assert!(flops < all && flops > 0.8 * all, "{varied}");
    notes(32);
    let infer = bench(&["--infer", "--brief"]);
    assert!(infer.get("kernels").is_none());
    assert!(number(&infer, "/infer/flops") < all / 2.0, "{infer}");
    // A step of training is in f32 whatever predicts.
    let half = ["--set", "train.precision=bf16", "--brief"];
    for (of, precision) in [(&[][..], "f32"), (&["--infer"], "bf16")] {
        let timed = bench(&[&half[..], of].concat());
        assert_eq!(timed["precision"], precision, "{timed}");
    }
    let both = bench(&["--generate", "--infer", "--set", "generate.length=5"]);
    assert_eq!(number(&both, "/generate/symbols"), 5.0, "{both}");
    assert!(both.get("train").is_none());
    // The run was in a folder that went away.
    let left = fs::read_dir(folder.path()).expect("the folder");
    assert_eq!(left.count(), 2, "nothing but the file and its data");
}
