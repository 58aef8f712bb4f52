//! Values that the schema has been held against.
//!
//! In: made by [`super::read`]. Out: [`Checked`], which `Display` writes as a file would, with every
//! argument's default in its place.

use std::fmt;

use super::schema::{Arg, Need};
use crate::span::{Span, Spanned};

/// A value known to be of its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    Number(f64),
    Pair(f64, f64),
    Text(Spanned<String>),
    Name(Spanned<String>),
    YesNo(bool),
    Choice(Choice),
    List(Vec<Checked>),
}

/// One of a setting's choices with all its arguments, in the schema's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub name: &'static str,
    pub args: Vec<(&'static Arg, Option<Checked>)>,
    pub span: Span,
}

impl Choice {
    /// The argument called `name`, `None` where it is optional and absent.
    pub fn get(&self, name: &str) -> Option<&Checked> {
        self.args
            .iter()
            .find(|(a, _)| a.name == name)
            .and_then(|(_, v)| v.as_ref())
    }

    /// A required number or one with a default.
    ///
    /// # Panics
    /// Where the schema gives no number under that name, which is a mistake in the schema.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Checked::Number(n)) => *n,
            other => panic!("`{}` has no number `{name}`: {other:?}", self.name),
        }
    }

    /// A required pair or one with a default; panics as [`Choice::number`] does.
    pub fn pair(&self, name: &str) -> (f64, f64) {
        match self.get(name) {
            Some(Checked::Pair(a, b)) => (*a, *b),
            other => panic!("`{}` has no pair `{name}`: {other:?}", self.name),
        }
    }

    /// A required text or name; panics as [`Choice::number`] does.
    pub fn text(&self, name: &str) -> &Spanned<String> {
        match self.get(name) {
            Some(Checked::Text(t) | Checked::Name(t)) => t,
            other => panic!("`{}` has no text `{name}`: {other:?}", self.name),
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checked::Number(n) => write_number(f, *n),
            Checked::Pair(a, b) => {
                f.write_str("[")?;
                write_number(f, *a)?;
                f.write_str(", ")?;
                write_number(f, *b)?;
                f.write_str("]")
            }
            Checked::Text(t) => write!(f, "\"{}\"", escape(&t.node)),
            Checked::Name(n) => f.write_str(&n.node),
            Checked::YesNo(yes) => f.write_str(if *yes { "yes" } else { "no" }),
            Checked::Choice(c) => write!(f, "{c}"),
            Checked::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let mut before = "(";
        for (arg, value) in &self.args {
            let Some(value) = value else { continue };
            match arg.default {
                Need::Required => write!(f, "{before}{value}")?,
                Need::Default(_) | Need::Optional => write!(f, "{before}{} = {value}", arg.name)?,
            }
            before = ", ";
        }
        f.write_str(if before == "(" { "" } else { ")" })
    }
}

/// The shortest text that reads back as the same number: `0.9`, `1e-8`.
fn write_number(f: &mut fmt::Formatter<'_>, n: f64) -> fmt::Result {
    if n != 0.0 && n.abs() < 1e-2 {
        write!(f, "{n:e}")
    } else {
        write!(f, "{n}")
    }
}

/// A text as it stands between quotes.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out
}
