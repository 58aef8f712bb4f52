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

mod common;

use std::path::Path;

use common::machine::{Data, compiled};
use common::models::written;
use safetensors::SafeTensors;
use seqc::ir::InputRole;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::{Executable, Role};

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
