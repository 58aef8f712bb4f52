//! Instances of layers while a model is elaborated: what they are, their paths and their weights.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::LayerId;
use crate::check::defs::Entry;
use crate::check::program::ParamId;
use crate::dim::Dim;
use crate::span::Span;

/// What a layer is an instance of.
#[derive(Clone, Debug)]
pub(super) enum LayerKind {
    /// The model, or the definition checked on its own.
    Root,
    Def {
        entry: Rc<Entry>,
        sizes: BTreeMap<String, Dim>,
    },
    Linear {
        /// Given, or found from what the result is compared with.
        size: Dim,
        bias: bool,
    },
    Embed {
        size: Dim,
    },
    /// A learned vector for each step.
    Position {
        max: Dim,
    },
    /// An error was reported where it was made.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Layer {
    pub kind: LayerKind,
    pub path: String,
    pub span: Span,
    /// Weights made so far, by their name in the definition.
    pub params: BTreeMap<String, ParamId>,
    /// Layers inside, by where they are written (and a number for copies).
    pub subs: BTreeMap<(Span, usize), LayerId>,
    /// Last parts of paths already given inside this layer.
    pub used: Taken,
}

impl Layer {
    pub fn new(kind: LayerKind, path: String, span: Span) -> Layer {
        Layer {
            kind,
            path,
            span,
            params: BTreeMap::new(),
            subs: BTreeMap::new(),
            used: Taken::default(),
        }
    }
}

/// Names given out, numbered where they repeat: `lstm`, `lstm_2`.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub names: BTreeSet<String>,
    pub last: BTreeMap<String, usize>,
}

impl Taken {
    pub fn give(&mut self, base: &str) -> String {
        let mut name = base.to_string();
        while !self.names.insert(name.clone()) {
            let n = self.last.entry(base.to_string()).or_insert(1);
            *n += 1;
            name = format!("{base}_{n}");
        }
        name
    }
}
