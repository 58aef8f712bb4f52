//! What a model and its metrics ask of the data.
//!
//! In: built by the checker from the declarations of a model and the metrics of its training. Out:
//! [`Wanted`], the fields that a dataset must have.

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// What a value counts or names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Token,
    Class,
    Number,
    Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldRole {
    Input,
    Target,
    /// A column read by a metric only (`versus(today)`).
    Column,
}

/// What a model, or a metric, asks of the data.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Wanted {
    pub fields: Vec<Field>,
    /// Every time the fields name, with its length where the file fixes it (`time D = 30`).
    pub times: Vec<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    pub name: String,
    pub fixed: Option<usize>,
    /// How many steps there may be, and the weight that has a row for each.
    pub most: Option<Most>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Most {
    pub steps: usize,
    pub weight: String,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub role: FieldRole,
    pub unit: Unit,
    /// The time of its first axis.
    pub time: Option<String>,
    /// Sizes after the time; `None` where the data decides (`input x : [X]`).
    pub features: Vec<Option<usize>>,
    /// A token target fed through `previous` that shares its time with no input: it ends in `<end>`
    /// unless the data is one long text.
    pub feeds_itself: bool,
    /// Whether the model reads `previous(name)`.
    pub previous: bool,
    pub span: Span,
}
