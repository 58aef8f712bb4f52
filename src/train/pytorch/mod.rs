//! Weights of PyTorch modules as ours.
//!
//! In: the tensors of a state dict, and the paths and shapes of a model's weights. Out: each weight's
//! values with what they were made of; or what of either has no counterpart.
//!
//! | module          | here                                                                        |
//! |-----------------|-----------------------------------------------------------------------------|
//! | `nn.Embedding`  | `table` = weight                                                            |
//! | `nn.Linear`     | `W` = weight, `b` = bias                                                    |
//! | `nn.LayerNorm`  | `g` = weight, `b` = bias                                                    |
//! | `nn.RNN` (tanh) | `Wx` = weight_ih, `Wh` = weight_hh, `b` = bias_ih + bias_hh                 |
//! | `nn.LSTM`       | rows i, f, g, o: `W` of weight_ih, `U` of weight_hh, `b` of bias_ih + bias_hh |
//! | `nn.GRU`        | rows r, z, n: the same, but `bn` of bias_ih alone and `cn` of bias_hh        |
//!
//! Nothing is transposed: both sides have `[out, in]`. A module without biases gives zeros. Layers are
//! matched by kind and shape; where several fit, in the order of their names (`2.weight` before
//! `10.weight`), layer by layer, forward before reversed, to ours in order of use.

mod layer;

pub use layer::{Kind, Layer, layers};

use std::collections::BTreeMap;

use super::failure::{Class, Failure};
use super::weights::{Read, shown as clip};
use crate::diagnostics::Diagnostic;

/// A weight of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Ours {
    pub path: String,
    pub shape: Vec<Size>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    Known(usize),
    /// One that only data gives, by name: the size of a vocabulary.
    Open(String),
}

/// A weight of the model with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub path: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
    /// What it was made of: `rnn.bias_ih_l0 + rnn.bias_hh_l0, rows i`.
    pub from: String,
}

/// The weights of ours that belong together, by what stands before the last dot.
struct Group<'a> {
    name: &'a str,
    kind: Option<Kind>,
    weights: Vec<(&'a str, &'a Ours)>,
}

fn groups(ours: &[Ours]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for weight in ours {
        let (name, leaf) = weight.path.rsplit_once('.').unwrap_or(("", &weight.path));
        match groups.iter_mut().find(|g| g.name == name) {
            Some(group) => group.weights.push((leaf, weight)),
            None => groups.push(Group {
                name,
                kind: None,
                weights: vec![(leaf, weight)],
            }),
        }
    }
    for group in &mut groups {
        let mut leaves: Vec<&str> = group.weights.iter().map(|w| w.0).collect();
        leaves.sort_unstable();
        let shape = group.weights.first().map_or(0, |w| w.1.shape.len());
        group.kind = match (&leaves[..], shape) {
            (["table"], 2) => Some(Kind::Embedding),
            (["W"] | ["W", "b"], 2) => Some(Kind::Linear),
            (["b", "g"], 1) => Some(Kind::LayerNorm),
            (["Wh", "Wx", "b"], 2) => Some(Kind::Rnn),
            (leaves, 2) if own(leaves, Kind::Lstm) => Some(Kind::Lstm),
            (leaves, 2) if own(leaves, Kind::Gru) => Some(Kind::Gru),
            _ => None,
        };
    }
    groups
}

/// Whether these (sorted) are the weights of our cell of this kind.
fn own(leaves: &[&str], kind: Kind) -> bool {
    let of = |what: &str| {
        kind.gates()
            .chars()
            .map(move |g| format!("{what}{g}"))
            .collect()
    };
    let mut want: Vec<String> = ["W", "U", "b"]
        .iter()
        .flat_map(|w| -> Vec<String> { of(w) })
        .collect();
    if kind == Kind::Gru {
        want.push("cn".into());
    }
    want.sort_unstable();
    leaves == want
}

/// Every weight of ours, from the layers. `map` says of some layers by name what they are here:
/// `("fc", "linear_2")`.
///
/// Errors: a weight that nothing gives, a layer that nothing takes, a name of `map` that is neither's.
pub fn import(
    layers: &[Layer<'_>],
    ours: &[Ours],
    map: &[(String, String)],
) -> Result<Vec<Imported>, Failure> {
    let groups = groups(ours);
    for (theirs, here) in map {
        let known = layers.iter().any(|l| l.name == *theirs);
        if !known || !groups.iter().any(|g| g.name == *here) {
            let side = if known { here } else { theirs };
            let message = format!(
                "`--map {}={}`: no layer `{}`",
                clip(theirs),
                clip(here),
                clip(side)
            );
            return Err(Failure::usage("usage::map", message));
        }
    }
    let mut search = Search {
        layers,
        groups: &groups,
        map,
        used: vec![None; layers.len()],
        best: 0,
        left: MOST_TRIES,
    };
    if !search.place(0, &mut BTreeMap::new()) {
        return Err(search.unplaced());
    }
    let mut out = Vec::new();
    for weight in ours {
        let (name, leaf) = weight.path.rsplit_once('.').unwrap_or(("", &weight.path));
        let at = groups.iter().position(|g| g.name == name);
        let layer = search.used.iter().position(|u| u.is_some() && *u == at);
        let kind = at.and_then(|g| groups[g].kind);
        if let (Some(layer), Some(kind)) = (layer, kind)
            && let Some(piece) = layers[layer].give(kind, leaf)
        {
            out.push(Imported {
                path: weight.path.clone(),
                shape: piece.shape,
                values: piece.values,
                from: piece.from,
            });
        }
    }
    left_over(layers, &search.used, &out)?;
    Ok(out)
}

/// Layers that nothing took. One whose values were taken from another is tied to it.
fn left_over(
    layers: &[Layer<'_>],
    used: &[Option<usize>],
    out: &[Imported],
) -> Result<(), Failure> {
    let taken = |t: &Read| out.iter().any(|o| o.values == t.values);
    let mut left = layers.iter().zip(used).filter(|(_, u)| u.is_none());
    match left.find(|(l, _)| !l.tensors.values().all(|t| taken(t))) {
        None => Ok(()),
        Some((layer, _)) => {
            let message = format!(
                "nothing in the model takes the layer `{}`",
                clip(&layer.name)
            );
            let help = format!("it is {}", described(layer));
            let d = Diagnostic::error("import::left-over", message).help(help);
            Err(Failure::new(Class::Program, d))
        }
    }
}

/// `LSTM 4 → 6`, `Embedding or Linear [11, 4]`.
pub fn described(layer: &Layer<'_>) -> String {
    let kinds: Vec<String> = layer.kinds.iter().map(Kind::to_string).collect();
    format!("{} {}", kinds.join(" or "), layer.sizes())
}

/// Layers that a message names.
const SHOWN: usize = 12;

/// Ways of matching that are tried before giving up.
const MOST_TRIES: usize = 100_000;

struct Search<'a> {
    layers: &'a [Layer<'a>],
    groups: &'a [Group<'a>],
    map: &'a [(String, String)],
    /// For each layer the group that takes it.
    used: Vec<Option<usize>>,
    /// The first group that never found a layer.
    best: usize,
    left: usize,
}

impl Search<'_> {
    /// Gives group `g` and all after it their layers. `open`: sizes of the model found so far.
    fn place(&mut self, g: usize, open: &mut BTreeMap<String, usize>) -> bool {
        self.best = self.best.max(g);
        let Some(group) = self.groups.get(g) else {
            return true;
        };
        for i in 0..self.layers.len() {
            if self.used[i].is_some() || !self.may(i, group) {
                continue;
            }
            let mut found = open.clone();
            if self.left == 0 || !fits(&self.layers[i], group, &mut found) {
                continue;
            }
            self.left -= 1;
            self.used[i] = Some(g);
            if self.place(g + 1, &mut found) {
                return true;
            }
            self.used[i] = None;
        }
        false
    }

    /// Whether direction and `map` allow it.
    fn may(&self, i: usize, group: &Group<'_>) -> bool {
        let layer = &self.layers[i];
        let said =
            |(theirs, ours): &&(String, String)| *theirs == layer.name || *ours == group.name;
        match self.map.iter().find(said) {
            Some((theirs, ours)) => *theirs == layer.name && *ours == group.name,
            None => layer.reverse == group.name.ends_with("_reverse"),
        }
    }

    fn unplaced(&self) -> Failure {
        let group = &self.groups[self.best.min(self.groups.len() - 1)];
        let shape = group
            .weights
            .first()
            .map_or(String::new(), |w| shown(&w.1.shape));
        let first = group.weights.first().map_or("", |w| w.1.path.as_str());
        let (what, help) = match group.kind {
            None => (
                clip(first),
                "only Embed, Linear, LayerNorm, RNN, LSTM and GRU have a counterpart".to_string(),
            ),
            Some(kind) => {
                let like = self.layers.iter().filter(|l| l.kinds.contains(&kind));
                let like: Vec<String> = like
                    .map(|l| format!("`{}` {}", l.name, described(l)))
                    .collect();
                let all: Vec<String> = (self.layers.iter())
                    .map(|l| format!("`{}` {}", l.name, described(l)))
                    .collect();
                let found = match (like.is_empty(), all.is_empty()) {
                    (true, true) => "it has no layer at all".to_string(),
                    (true, false) => format!("it has no {kind}, it has {}", listed(&all)),
                    (false, _) => format!("it has {}", listed(&like)),
                };
                (format!("{} {shape}", clip(first)), found)
            }
        };
        let message = format!("the file has no layer for `{what}`");
        let d = Diagnostic::error("import::no-counterpart", message).help(help);
        Failure::new(Class::Program, d)
    }
}

fn fits(layer: &Layer<'_>, group: &Group<'_>, open: &mut BTreeMap<String, usize>) -> bool {
    let Some(kind) = group.kind.filter(|k| layer.kinds.contains(k)) else {
        return false;
    };
    // A bias that ours has no place for.
    let takes_bias = group.weights.iter().any(|w| w.0 == "b");
    if kind == Kind::Linear && layer.tensors.contains_key("bias") && !takes_bias {
        return false;
    }
    group.weights.iter().all(|(leaf, weight)| {
        let Some(piece) = layer.give(kind, leaf) else {
            return false;
        };
        piece.shape.len() == weight.shape.len()
            && piece
                .shape
                .iter()
                .zip(&weight.shape)
                .all(|(n, size)| match size {
                    Size::Known(k) => k == n,
                    Size::Open(name) => *open.entry(name.clone()).or_insert(*n) == *n,
                })
    })
}

/// The first of them, and how many more there are.
fn listed(all: &[String]) -> String {
    let some = all[..all.len().min(SHOWN)].join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => some,
        more => format!("{some} and {more} more; without the program `seqc import` lists them all"),
    }
}

fn shown(shape: &[Size]) -> String {
    let sizes = shape.iter().map(|s| match s {
        Size::Known(n) => n.to_string(),
        Size::Open(name) => name.clone(),
    });
    format!("[{}]", sizes.collect::<Vec<_>>().join(", "))
}
