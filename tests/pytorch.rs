//! Recurrent layers against PyTorch: outputs, states, loss and every gradient.
//!
//! The numbers come from `tests/reference/make.py`. A gate's weights are a block of rows of PyTorch's:
//!
//! | layer | blocks    | here                                                                          |
//! |-------|-----------|-------------------------------------------------------------------------------|
//! | RNN   | one       | Wx = weight_ih, Wh = weight_hh, b = bias_ih + bias_hh                         |
//! | LSTM  | i f g o   | W = weight_ih, U = weight_hh, b = bias_ih + bias_hh                           |
//! | GRU   | r z n     | the same, but bn = bias_ih alone and cn = bias_hh: the reset scales the latter |
//!
//! The gradient of a sum of biases is that of either.
//!
//! Whole modules come through the mapping of `seqc import`, from their state dicts.

mod common;

use std::path::Path;

use common::machine::{Data, compiled};
use common::models::written;
use safetensors::SafeTensors;
use seqc::ir::InputRole;
use seqc::lower::Options;
use seqc::pipeline::{Build, with_vocabularies};
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::{Executable, Role};
use seqc::train::Class;
use seqc::train::pytorch::{self, Ours, Size};
use seqc::train::weights::{Origin, decode};

const STEPS: usize = 7;
const BATCH: usize = 3;
const UNITS: usize = 6;

/// One file of references.
struct Reference(Vec<u8>);

impl Reference {
    fn new(name: &str) -> Reference {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
        Reference(std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap())
    }

    fn tensor(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = file.tensor(name).unwrap().data().to_vec();
        let float = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
        bytes.chunks_exact(4).map(float).collect()
    }

    /// What stands in our weight of this path (`lstm_2.Wf`), or with `prefix` "d." its gradient.
    fn weight(&self, path: &str, prefix: &str) -> Vec<f64> {
        let (layer, name) = path.split_once('.').unwrap();
        let (kind, level) = match layer.split_once('_') {
            Some((kind, n)) => (kind, n.parse::<usize>().unwrap() - 1),
            None => (layer, 0),
        };
        let gates = match kind {
            "rnn" => "",
            "lstm" => "ifgo",
            "gru" => "rzn",
            _ => panic!("{kind}"),
        };
        let part = |which: &str| self.tensor(&format!("{prefix}{which}_l{level}"));
        let (what, gate) = name.split_at(1);
        let block = |all: Vec<f64>| {
            let Some(at) = gates.find(gate).filter(|_| !gates.is_empty()) else {
                return all;
            };
            let len = all.len() / gates.len();
            all[at * len..(at + 1) * len].to_vec()
        };
        let both = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a + b).collect();
        match (kind, what, gate) {
            ("rnn", "W", "x") => part("weight_ih"),
            ("rnn", "W", "h") => part("weight_hh"),
            (_, "W", _) => block(part("weight_ih")),
            (_, "U", _) => block(part("weight_hh")),
            ("gru", "b", "n") => block(part("bias_ih")),
            ("gru", "c", "n") => block(part("bias_hh")),
            (_, "b", _) if prefix.is_empty() => {
                both(block(part("bias_ih")), block(part("bias_hh")))
            }
            (_, "b", _) => block(part("bias_ih")),
            _ => panic!("{path}"),
        }
    }
}

fn check(name: &str, layers: &str) {
    let reference = Reference::new(name);
    let program = format!(
        "time T\n\nmodel Layer {{\n  input  x : [T, 5]\n  target y : [T, 6] number\n  \
         predict y = x {layers}\n}}\n"
    );
    let model = written(name, &program).remove(0);
    let options = Options {
        predictions: true,
        ..Options::TRAIN
    };
    let stages = Build::default().stages(&model, options, true);
    let func = stages.unwrap().optimized;
    let numbers = |role: &InputRole| match role {
        InputRole::Data(n) if n == "x" => reference.tensor("x"),
        InputRole::Data(_) => vec![0.0; STEPS * BATCH * UNITS],
        InputRole::Carry(_) => vec![0.0; BATCH * UNITS],
        InputRole::Previous(_) | InputRole::Lengths(_) | InputRole::Steps(_) => unreachable!(),
    };
    let weights = |path: &str| reference.weight(path, "");
    let data = Data::given(&func, BATCH as i64, STEPS as i64, &numbers, &weights);
    for isa in Isa::available() {
        let mut code = compiled(&schedule(&func).unwrap(), isa, 1, false);
        let (outputs, grads) = data.call(&func, &mut code);
        let near = |what: &str, got: &[f32], want: &[f64]| {
            let got: Vec<f64> = got.iter().map(|x| f64::from(*x)).collect();
            let d = common::distance(&got, want);
            assert!(d < 2e-6, "{name} on {isa}: {what} differs by {d:e}");
        };
        let mut compared = 0;
        for (slot, values) in code.signature().outputs.iter().zip(&outputs) {
            let want = match &slot.role {
                Role::Loss => reference.tensor("loss"),
                Role::Prediction(_) => reference.tensor("y"),
                Role::Carry(path) => {
                    let (layer, state) = path.split_once('.').unwrap();
                    let level = usize::from(layer.ends_with("_2"));
                    let all = reference.tensor(&format!("{state}_n"));
                    all[level * BATCH * UNITS..][..BATCH * UNITS].to_vec()
                }
                _ => continue,
            };
            compared += 1;
            near(&format!("{:?}", slot.role), values, &want);
        }
        assert!(compared >= 3, "loss, output and states");
        for p in &code.signature().params {
            let want = reference.weight(&p.path, "d.");
            near(&p.path, &grads[p.offset..p.offset + p.len], &want);
        }
    }
}

#[test]
fn rnn() {
    check("rnn", "|> scan RNN(6)");
}

#[test]
fn lstm() {
    check("lstm", "|> scan LSTM(6)");
}

#[test]
fn gru() {
    check("gru", "|> scan GRU(6)");
}

#[test]
fn two_layers_of_lstm() {
    check("lstm2", "|> scan LSTM(6) |> scan LSTM(6)");
}

/// A whole module, its weights imported, against its outputs.
fn check_whole(name: &str, input: &str, outputs: usize, layers: &str) {
    let (state, reference) = (
        Reference::new(&format!("{name}.state")),
        Reference::new(name),
    );
    let program = format!(
        "time T\nmodel M {{\n  input x : {input}\n  target y : [T, {outputs}] number\n  predict y = x {layers}\n}}"
    );
    let model = with_vocabularies(&written(name, &program)[0], &|_| Some(11));
    let origin = Origin {
        file: name,
        class: Class::Program,
    };
    let tensors = decode(&state.0, origin).unwrap();
    let theirs = pytorch::layers(&tensors).unwrap();
    let ours = model.params.iter().map(|p| Ours {
        path: p.path.clone(),
        shape: (p.shape.iter())
            .map(|d| Size::Known(model.dims.eval_static(d).unwrap() as usize))
            .collect(),
    });
    let weights = pytorch::import(&theirs, &ours.collect::<Vec<_>>(), &[]).unwrap();
    let weight = |path: &str| {
        let found = weights.iter().find(|w| w.path == path).unwrap();
        found.values.iter().map(|x| f64::from(*x)).collect()
    };
    let numbers = |role: &InputRole| match role {
        InputRole::Data(_) => reference.tensor("x"),
        InputRole::Carry(path) => {
            let cell = path.split('.').next().unwrap();
            let own = |p: &&pytorch::Imported| p.path.starts_with(&format!("{cell}."));
            vec![0.0; BATCH * weights.iter().find(own).unwrap().shape[0]]
        }
        InputRole::Previous(_) | InputRole::Lengths(_) | InputRole::Steps(_) => unreachable!(),
    };
    let stages = Build::default().stages(&model, Options::PREDICT, false);
    let func = stages.unwrap().optimized;
    let data = Data::given(&func, BATCH as i64, STEPS as i64, &numbers, &weight);
    for isa in Isa::available() {
        let mut code = compiled(&schedule(&func).unwrap(), isa, 1, false);
        let (outputs, _) = data.call(&func, &mut code);
        let roles = &code.signature().outputs;
        let at = roles
            .iter()
            .position(|s| matches!(s.role, Role::Prediction(_)));
        let got: Vec<f64> = outputs[at.unwrap()].iter().map(|x| f64::from(*x)).collect();
        let far = common::distance(&got, &reference.tensor("y"));
        assert!(far < 2e-6, "{name} on {isa}: {far:e}");
    }
}

#[test]
fn an_embedding_two_lstm_layers_and_a_head() {
    check_whole(
        "embed_lstm",
        "[T] token",
        5,
        "|> Embed(4) |> scan LSTM(6) |> scan LSTM(6) |> Linear(5)",
    );
}

#[test]
fn a_gru_both_ways() {
    check_whole(
        "both_gru",
        "[T, 5]",
        4,
        "|> scan both GRU(3) |> scan both GRU(3) |> Linear(4, bias = no)",
    );
}

#[test]
fn an_rnn_and_a_norm() {
    check_whole(
        "rnn_norm",
        "[T, 5]",
        2,
        "|> scan RNN(6) |> LayerNorm |> Linear(2)",
    );
}
