//! What is computed again instead of kept: every model of `examples/` and `tests/cells/`, held against keeping.
//!
//! Results and gradients have the same bits, on any number of threads and whatever stands in the padding; a scan's memory
//! is less.

mod common;

use std::fs;

use common::binary::json;
use common::machine::{Data, compiled};
use common::models::{B, LENS, T, models, programs, written};
use seqc::check::program::Model;
use seqc::ir::Func;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::{peak, schedule};
use seqc::settings::Recompute;
use seqc::targets::cpu::isa::Isa;

fn training(model: &Model, recompute: Recompute) -> Func {
    let build = Build {
        recompute,
        ..Build::default()
    };
    let stages = build.stages(model, Options::TRAIN, true);
    stages.unwrap_or_else(|e| panic!("{e}")).optimized
}

fn bits((outputs, grads): &(Vec<Vec<f32>>, Vec<f32>)) -> Vec<Vec<u32>> {
    let all = outputs.iter().chain([grads]);
    all.map(|x| x.iter().map(|x| x.to_bits()).collect())
        .collect()
}

#[test]
fn no_bit_depends_on_what_is_kept() {
    for path in programs() {
        for model in models(&path) {
            let what = format!("{} {}", path.display(), model.name);
            let auto = training(&model, Recompute::Auto);
            // Rows enough that a scan makes the products of its inputs a few steps ahead, on two workers also.
            let lens: Vec<usize> = (0..40).map(|i| 1 + i * 5 % 9).collect();
            for (b, t, lens) in [(B, T, &LENS[..]), (40, 9, &lens[..])] {
                let mut data = Data::new(&auto, b, t, lens);
                data.pad(&auto, 1e30, 0.0);
                let call = |func: &Func, threads| {
                    let program = schedule(func).unwrap();
                    let mut x = compiled(&program, Isa::detect(), threads, threads > 1);
                    bits(&data.call(func, &mut x))
                };
                let want = call(&auto, 1);
                for recompute in [Recompute::Nothing, Recompute::Steps] {
                    let func = training(&model, recompute.clone());
                    for threads in [1, 2] {
                        let got = call(&func, threads);
                        assert!(got == want, "{what}, {recompute:?}, {threads} threads");
                    }
                }
            }
        }
    }
}

const LAYER: &str = "time T
dim H = 64, I = 32
model Layer {
  input  x : [T, I]
  target y : number
  h = x |> scan CELL(H)
  predict y = sum(sum(h*h) over T)
}
";

#[test]
fn steps_that_are_computed_again_take_less_memory() {
    // Of what is kept for each step of time and example: the share that is left. What is kept goes where gradients will
    // be, so an RNN and an LSTM with peepholes gain nothing.
    for (cell, share) in [("LSTM", 0.9), ("GRU", 0.85), ("LayerNormLSTM", 0.8)] {
        let model = &written("layer.seq", &LAYER.replace("CELL", cell))[0];
        let bytes = |recompute| {
            let program = schedule(&training(model, recompute)).unwrap();
            let size = |s: &seqc::dim::Sym| {
                let known = program.dims.static_value(s);
                known.or(Some(if s.name() == "B" { 16 } else { 1000 }))
            };
            peak::peak(&program).unwrap().at(&size).unwrap() as f64
        };
        let all = bytes(Recompute::Nothing);
        assert!(bytes(Recompute::Auto) <= all, "{cell}");
        let left = bytes(Recompute::Steps) / all;
        assert!(left < share, "{cell}: {left}");
    }
}

const NOTES: &str = "time T
model Notes {
  target note : [T] token
  predict note = previous(note) |> Embed(4) |> scan LSTM(16) |> dropout(0.2) |> Linear |> softmax
}
data notes {
  from  = text(\"notes.txt\")
  note  = chars()
  split = parts(80, 20, 0)
}
train Notes on notes {
  batch     = 4
  bptt      = 32
  optimizer = adam(lr = 1e-2)
  epochs    = 2
  seed      = 1
}
";

/// The block reaches training, its cost and its measurement.
#[test]
fn a_file_says_what_is_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fs::write(folder.join("notes.txt"), "abccbaacb".repeat(60)).unwrap();
    fs::write(folder.join("auto.seq"), NOTES).unwrap();
    let steps = format!("{NOTES}tune Notes {{ recompute = steps }}\n");
    fs::write(folder.join("steps.seq"), steps).unwrap();
    let mut said = Vec::new();
    for name in ["auto", "steps"] {
        let file = format!("{name}.seq");
        json(folder, &["train", &file, "--out", name, "--json"]);
        let cost = json(folder, &["check", &file, "--cost", "--json"]);
        let peak = cost["cost"][&file]["Notes"]["peak_bytes"].clone();
        let bench = ["bench", &file, "--brief", "--seconds", "0", "--json"];
        let bench = json(folder, &bench);
        let temporaries = bench["train"]["temporaries_bytes"].as_f64().unwrap();
        let weights = fs::read(folder.join(name).join("best/weights.safetensors")).unwrap();
        said.push((peak, temporaries, weights));
    }
    let ((peak, bytes, weights), (less, fewer, same)) = (&said[0], &said[1]);
    assert_ne!(peak, less);
    assert!(*fewer < 0.9 * bytes, "{bytes} {fewer}");
    assert!(weights == same, "other weights");
}
