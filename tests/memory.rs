//! What a training step adds to a process's memory, beside what `seqc check --cost` says it will.
//!
//! Each case is measured in a fresh process, by `seqc bench`: the most that was resident up to the end of the first step,
//! less what was resident before it began.

mod common;

use std::fs;
use std::path::Path;

use common::binary::{said, seqc};
use serde_json::Value;

/// Growth may differ from the closed form by this share.
const TOLERANCE: f64 = 0.1;

const ROWS: usize = 32;
const STEPS: usize = 100;
const INPUTS: usize = 32;

/// One layer of a cell, over the tensors that [`data`] writes.
fn layer(cell: &str, definitions: &str, optimizer: &str) -> String {
    format!(
        "time T
{definitions}
model Layer {{
  input  x : [T, {INPUTS}]
  target y : number
  h = x |> {cell}
  predict y = 0.5 * sum(sum(h*h) over T)
}}
data made {{
  from  = tensors(\"made.safetensors\")
  x     = column(x)
  y     = column(y)
  split = parts(100, 0, 0)
}}
train Layer on made {{
  batch     = {ROWS}
  optimizer = {optimizer}
  steps     = 100
}}
"
    )
}

const OWN: &str = "cell Own(N) {
  input x : [X]
  state h, c : [N]
  param Wf, Wg : [N, X]
  param Uf, Ug : [N, N]
  param bf, bg, pf
  f  = σ(Wf·x + Uf·h + bf + pf*c)
  g  = tanh(Wg·x + Ug·h + bg |> LayerNorm)
  c' = f*c + (1 - f)*g
  h' = tanh(c')
  output h'
}";

/// `x : [rows, STEPS, INPUTS]` and `y : [rows]`.
fn data() -> Vec<u8> {
    let rows = 2 * ROWS;
    let (x, y) = (rows * STEPS * INPUTS, rows);
    let header = serde_json::json!({
        "x": {"dtype": "F32", "shape": [rows, STEPS, INPUTS], "data_offsets": [0, 4 * x]},
        "y": {"dtype": "F32", "shape": [rows], "data_offsets": [4 * x, 4 * (x + y)]},
    });
    let header = header.to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    for i in 0..x + y {
        out.extend(((i % 17) as f32 / 17.0 - 0.5).to_le_bytes());
    }
    out
}

/// What the binary says, having nothing left over: what an allocator keeps from before the step would hide some of what
/// the step takes.
fn fresh(folder: &Path, args: &[&str]) -> Value {
    let mut command = seqc(folder, args);
    command.env("MALLOC_MMAP_THRESHOLD_", "32768");
    said(command)
}

/// A sum of products of numbers and sizes, as `--cost` prints it: `4096·B·T + max(8·B, 4·T)`.
fn value(text: &str, sizes: &Value) -> f64 {
    let size = |f: &str| match sizes[f.trim()].as_f64() {
        Some(n) => n,
        None => (f.trim().parse()).unwrap_or_else(|_| panic!("`{f}` in {text}")),
    };
    let term = |t: &str| -> f64 {
        let factors = t.split('·').map(|f| match f.trim().strip_suffix('²') {
            Some(f) => size(f) * size(f),
            None => size(f),
        });
        factors.product()
    };
    let mut rest = text;
    let mut sum = 0.0;
    while let Some((before, after)) = rest.split_once("max(") {
        let (options, after) = after.split_once(')').expect("a bracket");
        let each = options.split(',').map(|o| value(o, sizes));
        sum += each.fold(0.0, f64::max);
        sum += value(before.trim_end().trim_end_matches('+'), sizes);
        rest = after.trim_start().trim_start_matches('+');
    }
    let terms = rest.split('+').filter(|t| !t.trim().is_empty());
    sum + terms.map(term).sum::<f64>()
}

/// The first step of the file's training on so many threads.
fn measure(name: &str, folder: &Path, file: &str, model: &str, threads: &str) {
    let more = ["--threads", threads, "--json"];
    let bench = ["bench", file, "--brief", "--seconds", "0"];
    let bench = fresh(folder, &[&bench[..], &more[..]].concat());
    let train = &bench["train"];
    // Where the system does not say how much is resident there is nothing to compare.
    let Some(growth) = train["growth_bytes"].as_f64() else {
        assert_ne!(std::env::consts::OS, "linux", "{bench}");
        return;
    };
    let cost = fresh(
        folder,
        &[&["check", file, "--cost"][..], &more[..]].concat(),
    );
    let formula = cost["cost"][file][model]["training_bytes"].as_str();
    let mut sizes = bench["sizes"].clone();
    // What only the data says: the alphabet, an end and what is unknown.
    sizes["V_name"] = 28.into();
    let said = value(formula.expect("a formula"), &sizes);
    let off = growth / said - 1.0;
    assert!(
        off.abs() <= TOLERANCE,
        "{name} on {threads} threads: {growth} bytes, {said} said, {:+.1}%\n{bench}",
        100.0 * off
    );
}

#[test]
fn a_step_of_training_takes_the_memory_that_was_said() {
    let cells = [
        ("LSTM", layer("scan LSTM(96)", "", "sgd(lr = 1e-3)")),
        ("GRU", layer("scan GRU(96)", "", "adam(lr = 1e-3)")),
        ("own cell", layer("scan Own(96)", OWN, "rmsprop(lr = 1e-3)")),
        (
            "both ways",
            layer("scan both LSTM(48)", "", "sgd(lr = 1e-3, momentum = 0.9)"),
        ),
        (
            "LSTM, steps computed again",
            layer("scan LSTM(128)", "", "sgd(lr = 1e-3)") + "tune Layer { recompute = steps }\n",
        ),
    ];
    let data = data();
    for (name, source) in cells {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("layer.seq"), source).expect("written");
        fs::write(dir.path().join("made.safetensors"), &data).expect("written");
        for threads in ["1", "2"] {
            measure(name, dir.path(), "layer.seq", "Layer", threads);
        }
    }
}

#[test]
fn a_transformer_takes_the_memory_that_was_said() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for file in ["gpt.seq", "names.tsv"] {
        fs::copy(examples.join(file), dir.path().join(file)).expect("copied");
    }
    for threads in ["1", "2"] {
        measure("gpt", dir.path(), "gpt.seq", "GPT", threads);
    }
}

#[test]
fn formulas_are_read_as_they_are_printed() {
    let sizes = serde_json::json!({ "B": 2, "T": 3 });
    assert_eq!(value("4·B·T² + 10·B + 7", &sizes), 99.0);
    assert_eq!(value("5·T + max(8·B, 4·T) + max(1, T)", &sizes), 34.0);
}
