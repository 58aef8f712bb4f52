//! A setting's value as written, before it is held against the schema.
//!
//! In: built by the checker from an expression. Out: [`Value`], a small tree of what a setting can
//! be at all: numbers, texts, names, lists and calls such as `adam(lr = 1e-3)`.

use super::read::clip;
use crate::span::{Span, Spanned};

#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub kind: ValueKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    Number(f64),
    /// The contents of a quoted string.
    Text(String),
    /// `cosine`, `yes`, `valid.loss`.
    Name(String),
    List(Vec<Value>),
    Call {
        name: Spanned<String>,
        args: Vec<(Option<Spanned<String>>, Value)>,
    },
}

impl Value {
    /// What the value is, for "needs a number, found …".
    pub fn describe(&self) -> String {
        match &self.kind {
            ValueKind::Number(n) if n.abs() < 1e9 => clip(&n.to_string()),
            ValueKind::Number(n) => clip(&format!("{n:e}")),
            ValueKind::Text(_) => "a quoted text".into(),
            ValueKind::Name(n) => format!("`{}`", clip(n)),
            ValueKind::List(_) => "a list".into(),
            ValueKind::Call { name, .. } => format!("`{}(…)`", clip(&name.node)),
        }
    }
}
