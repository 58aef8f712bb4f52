//! The layers of a state dict.
//!
//! In: its tensors, by name. Out: [`Layer`]s in the order of their names, and what each gives for a
//! weight of ours.

use std::collections::BTreeMap;
use std::fmt;

use crate::diagnostics::Diagnostic;
use crate::train::failure::{Class, Failure};
use crate::train::weights::{Read, shown};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Embedding,
    Linear,
    LayerNorm,
    Rnn,
    Lstm,
    Gru,
}

impl Kind {
    /// The order of the gates in the rows of a recurrent layer.
    pub(super) fn gates(self) -> &'static str {
        match self {
            Kind::Lstm => "ifgo",
            Kind::Gru => "rzn",
            Kind::Embedding | Kind::Linear | Kind::LayerNorm | Kind::Rnn => "",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Embedding => "Embedding",
            Kind::Linear => "Linear",
            Kind::LayerNorm => "LayerNorm",
            Kind::Rnn => "RNN",
            Kind::Lstm => "LSTM",
            Kind::Gru => "GRU",
        })
    }
}

/// One layer of the state dict, in one direction.
#[derive(Clone, Debug)]
pub struct Layer<'a> {
    /// The module's name; of a recurrent one with its layer: `rnn.l0`, `rnn.l1_reverse`.
    pub name: String,
    /// What it may be: a `weight` alone is an embedding, or a linear layer without bias.
    pub kinds: Vec<Kind>,
    pub(super) reverse: bool,
    /// By the name before the layer's number: `weight`, `bias_ih`.
    pub(super) tensors: BTreeMap<&'static str, &'a Read>,
}

const LEAVES: [&str; 6] = [
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "weight",
    "bias",
];

/// The layers of a state dict, in the order of their names. Errors: a tensor that is of none of the
/// modules above.
pub fn layers(tensors: &[Read]) -> Result<Vec<Layer<'_>>, Failure> {
    let mut found: BTreeMap<Key, Layer<'_>> = BTreeMap::new();
    for tensor in tensors {
        let Some((key, leaf)) = key(&tensor.name) else {
            let help = "what is read are Embedding, Linear, LayerNorm, RNN, LSTM and GRU";
            return Err(refused("import::not-understood", &tensor.name, help));
        };
        let layer = found.entry(key.clone()).or_insert_with(|| Layer {
            name: key.shown(),
            kinds: Vec::new(),
            reverse: key.reverse,
            tensors: BTreeMap::new(),
        });
        layer.tensors.insert(leaf, tensor);
    }
    let mut layers: Vec<Layer<'_>> = found.into_values().collect();
    for layer in &mut layers {
        layer.kinds = layer.meant();
        if layer.kinds.is_empty() {
            let first = layer.tensors.values().next();
            let name = first.map_or("", |t| t.name.as_str());
            let help =
                "its shapes are those of none of Embedding, Linear, LayerNorm, RNN, LSTM, GRU";
            return Err(refused("import::not-understood", name, help));
        }
    }
    Ok(layers)
}

fn refused(code: &'static str, name: &str, help: &str) -> Failure {
    let message = format!("`{}` is of no layer that can be imported", shown(name));
    let d = Diagnostic::error(code, message).help(help);
    Failure::new(Class::Program, d)
}

/// Where a layer stands among the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The parts of the module's name; numbers go by value, and before words.
    module: Vec<(Option<u64>, String)>,
    level: Option<u32>,
    reverse: bool,
}

impl Key {
    fn shown(&self) -> String {
        let mut parts: Vec<String> = self.module.iter().map(|p| p.1.clone()).collect();
        let end = if self.reverse { "_reverse" } else { "" };
        parts.extend(self.level.map(|l| format!("l{l}{end}")));
        parts.join(".")
    }
}

fn key(name: &str) -> Option<(Key, &'static str)> {
    let (module, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let base = LEAVES.into_iter().find(|l| leaf.starts_with(l))?;
    let rest = &leaf[base.len()..];
    let (level, reverse) = match rest.strip_prefix("_l") {
        Some(rest) => {
            let digits = rest.strip_suffix("_reverse");
            (Some(digits.unwrap_or(rest).parse().ok()?), digits.is_some())
        }
        None => (None, false),
    };
    // `weight_l0` and `weight_g` are none of ours; `weight_ih` alone is a cell's.
    let recurrent = base.contains('_');
    if (level.is_none() && !rest.is_empty()) || (level.is_some() && !recurrent) {
        return None;
    }
    let parts = module.split('.').filter(|p| !p.is_empty());
    // Words after numbers: None sorts first, so a number is kept as itself and a word as the last.
    let module = parts.map(|p| (Some(p.parse().unwrap_or(u64::MAX)), p.to_string()));
    let key = Key {
        module: module.collect(),
        level,
        reverse,
    };
    Some((key, base))
}

impl Layer<'_> {
    fn shape(&self, leaf: &str) -> Option<&[usize]> {
        self.tensors.get(leaf).map(|t| &t.shape[..])
    }

    fn meant(&self) -> Vec<Kind> {
        let biased = |n: usize, leaf| self.shape(leaf).is_none_or(|s| s == [n]);
        match (
            self.shape("weight_ih"),
            self.shape("weight_hh"),
            self.shape("weight"),
        ) {
            (Some(&[rows, _]), Some(&[own, units]), None) => {
                let whole = own == rows && units > 0 && rows % units == 0;
                let fits = whole && biased(rows, "bias_ih") && biased(rows, "bias_hh");
                match rows / units.max(1) {
                    1 if fits => vec![Kind::Rnn],
                    3 if fits => vec![Kind::Gru],
                    4 if fits => vec![Kind::Lstm],
                    _ => Vec::new(),
                }
            }
            (None, None, Some(&[n])) if biased(n, "bias") => vec![Kind::LayerNorm],
            (None, None, Some(&[n, _])) if self.tensors.contains_key("bias") => {
                match biased(n, "bias") {
                    true => vec![Kind::Linear],
                    false => Vec::new(),
                }
            }
            (None, None, Some(&[_, _])) => vec![Kind::Embedding, Kind::Linear],
            _ => Vec::new(),
        }
    }

    /// Sizes, for a message: `4 → 6`.
    pub fn sizes(&self) -> String {
        match (
            self.shape("weight_ih"),
            self.shape("weight_hh"),
            self.shape("weight"),
        ) {
            (Some([_, x]), Some([_, h]), _) => format!("{x} → {h}"),
            (_, _, Some([n])) => n.to_string(),
            (_, _, Some([n, m])) if self.kinds == [Kind::Linear] => format!("{m} → {n}"),
            (_, _, Some(s)) => format!("{s:?}"),
            _ => String::new(),
        }
    }

    /// What stands in our weight of this name.
    pub(super) fn give(&self, kind: Kind, leaf: &str) -> Option<Piece> {
        let (tensor, zeros) = (|n: &str| self.tensors.get(n).copied(), self.units());
        let whole = |name: &str| match tensor(name) {
            Some(t) => Some(Piece::of(t)),
            None => name.contains("bias").then(|| Piece::zeros(zeros)),
        };
        let gate = |piece: Piece, gate: char| {
            let at = kind.gates().find(gate)?;
            Some(piece.rows(at, kind.gates().len(), gate))
        };
        let both = || Some(whole("bias_ih")?.plus(whole("bias_hh")?));
        match (kind, leaf) {
            (Kind::Embedding, "table") | (Kind::Linear, "W") | (Kind::LayerNorm, "g") => {
                whole("weight")
            }
            (Kind::Linear | Kind::LayerNorm, "b") => whole("bias"),
            (Kind::Rnn, "Wx") => whole("weight_ih"),
            (Kind::Rnn, "Wh") => whole("weight_hh"),
            (Kind::Rnn, "b") => both(),
            (Kind::Gru, "bn") => gate(whole("bias_ih")?, 'n'),
            (Kind::Gru, "cn") => gate(whole("bias_hh")?, 'n'),
            (Kind::Lstm | Kind::Gru, leaf) => {
                let mut letters = leaf.chars();
                let (what, of) = (letters.next()?, letters.next()?);
                let piece = match what {
                    'W' => whole("weight_ih")?,
                    'U' => whole("weight_hh")?,
                    'b' => both()?,
                    _ => return None,
                };
                gate(piece, of).filter(|_| letters.next().is_none())
            }
            (Kind::Embedding | Kind::Linear | Kind::LayerNorm | Kind::Rnn, _) => None,
        }
    }

    /// Entries of a bias.
    fn units(&self) -> usize {
        let weight = self.shape("weight_ih").or(self.shape("weight"));
        weight.and_then(|s| s.first()).copied().unwrap_or(0)
    }
}

/// A tensor, or a part or sum of some.
pub(super) struct Piece {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
    pub from: String,
}

impl Piece {
    fn of(t: &Read) -> Piece {
        Piece {
            shape: t.shape.clone(),
            values: t.values.clone(),
            from: t.name.clone(),
        }
    }

    fn zeros(n: usize) -> Piece {
        Piece {
            shape: vec![n],
            values: vec![0.0; n],
            from: "no bias: zeros".into(),
        }
    }

    fn plus(self, other: Piece) -> Piece {
        Piece {
            values: self
                .values
                .iter()
                .zip(&other.values)
                .map(|(a, b)| a + b)
                .collect(),
            from: match self.from == other.from {
                true => self.from,
                false => format!("{} + {}", self.from, other.from),
            },
            shape: self.shape,
        }
    }

    /// Block `at` of so many.
    fn rows(mut self, at: usize, of: usize, gate: char) -> Piece {
        let len = self.values.len() / of;
        self.values = self.values[at * len..(at + 1) * len].to_vec();
        if let Some(rows) = self.shape.first_mut() {
            *rows /= of;
        }
        self.from += &format!(", rows {gate}");
        self
    }
}
