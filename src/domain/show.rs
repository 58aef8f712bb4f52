//! A domain as text.
//!
//! In: a domain, and a name for each coordinate. Out: the condition as it is written after `where`:
//! `s <= t and (t < s + K or mod(s, K) == 0)`.

use std::fmt::{self, Write};

use super::{Affine, Coord, Domain};
use crate::dim::Dim;

impl Domain {
    /// The condition with its coordinates under the names they have in the source or in a listing.
    pub fn show(&self, name: &dyn Fn(Coord) -> String) -> String {
        let mut out = String::new();
        self.write(&mut out, name, false);
        out
    }

    fn write(&self, out: &mut String, name: &dyn Fn(Coord) -> String, inner: bool) {
        let joined = |parts: &[Domain], word: &str, out: &mut String| {
            if inner {
                out.push('(');
            }
            for (i, p) in parts.iter().enumerate() {
                if i > 0 {
                    let _ = write!(out, " {word} ");
                }
                p.write(out, name, true);
            }
            if inner {
                out.push(')');
            }
        };
        match self {
            Domain::AtLeast(f) => f.compare("<=", out, name),
            Domain::Zero(f) => f.compare("==", out, name),
            Domain::Multiple(f, n) => {
                let _ = write!(out, "mod({}, {n}) == 0", f.show(name));
            }
            Domain::Not(d) => {
                out.push_str("not ");
                match **d {
                    Domain::All(_) | Domain::Any(_) => d.write(out, name, true),
                    _ => {
                        out.push('(');
                        d.write(out, name, false);
                        out.push(')');
                    }
                }
            }
            Domain::All(parts) if parts.is_empty() => out.push_str("everywhere"),
            Domain::Any(parts) if parts.is_empty() => out.push_str("nowhere"),
            Domain::All(parts) => joined(parts, "and", out),
            Domain::Any(parts) => joined(parts, "or", out),
        }
    }
}

impl Affine {
    /// Terms on the side where they are positive: `s <= t`, `t < s + K`.
    fn compare(&self, op: &str, out: &mut String, name: &dyn Fn(Coord) -> String) {
        let (mut low, mut high) = (Affine::default(), Affine::default());
        for (c, n) in &self.terms {
            let side = if *n < 0 { &mut low } else { &mut high };
            side.terms.insert(*c, n.abs());
        }
        let (mut op, mut constant) = (op, self.constant.clone());
        if op == "<="
            && constant.as_const().is_none_or(|n| n < 0)
            && let Ok(d) = constant.checked_add(&Dim::constant(1))
        {
            (op, constant) = ("<", d);
        }
        if constant.as_const().is_some_and(|n| n < 0) {
            low.constant = constant.checked_mul(&Dim::constant(-1)).unwrap_or_default();
        } else {
            high.constant = constant;
        }
        let _ = write!(out, "{} {op} {}", low.show(name), high.show(name));
    }

    /// `2t + s + K`.
    pub fn show(&self, name: &dyn Fn(Coord) -> String) -> String {
        let mut out = String::new();
        for (c, n) in &self.terms {
            let sign = match (out.is_empty(), *n < 0) {
                (true, true) => "-",
                (true, false) => "",
                (false, true) => " - ",
                (false, false) => " + ",
            };
            out.push_str(sign);
            if n.unsigned_abs() != 1 {
                let _ = write!(out, "{}", n.unsigned_abs());
            }
            out.push_str(&name(*c));
        }
        if out.is_empty() {
            return self.constant.to_string();
        }
        match self.constant.as_const() {
            Some(0) => {}
            Some(n) if n < 0 => {
                let _ = write!(out, " - {}", n.unsigned_abs());
            }
            _ => {
                let _ = write!(out, " + {}", self.constant);
            }
        }
        out
    }
}

/// Coordinates by number: for messages about bugs.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(&|c| match c {
            Coord::Axis(i) => format!("i{i}"),
            Coord::Of(i) => format!("len{i}"),
        }))
    }
}
