//! Index domains: which points of a value's axes count, as a condition on their coordinates.
//!
//! In: conditions as written after `where`, and the end of each example. Out: [`Domain`], a formula
//! over coordinates that is printed, evaluated at a point, renamed from one value's axes to
//! another's, and asked what it proves about two coordinates. It is never a tensor: what a domain
//! leaves out can be skipped, counted in closed form, and used as a proof that the future is unseen.

mod proof;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::dim::{Dim, Sym};

/// A number that a point of the domain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coord {
    /// The point's place on this axis of the value, counted from 0.
    Axis(usize),
    /// One integer for each example: the operation's operand of this index among its lengths. A
    /// length, or in the one-step form the step that an example has reached.
    Of(usize),
}

/// `Σ coefficient·coordinate + constant`, without zero terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Affine {
    terms: BTreeMap<Coord, i64>,
    constant: Dim,
}

/// The formula left `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl From<crate::dim::Overflow> for Overflow {
    fn from(_: crate::dim::Overflow) -> Overflow {
        Overflow
    }
}

impl Affine {
    pub fn coord(c: Coord) -> Affine {
        Affine {
            terms: BTreeMap::from([(c, 1)]),
            constant: Dim::default(),
        }
    }

    pub fn constant(d: Dim) -> Affine {
        Affine {
            terms: BTreeMap::new(),
            constant: d,
        }
    }

    pub fn terms(&self) -> impl Iterator<Item = (Coord, i64)> + '_ {
        self.terms.iter().map(|(c, n)| (*c, *n))
    }

    pub fn offset(&self) -> &Dim {
        &self.constant
    }

    /// The constant where no coordinate is left.
    pub fn as_constant(&self) -> Option<&Dim> {
        self.terms.is_empty().then_some(&self.constant)
    }

    pub fn add(&self, other: &Affine) -> Result<Affine, Overflow> {
        let mut out = self.clone();
        out.constant = out.constant.checked_add(&other.constant)?;
        for (c, n) in &other.terms {
            let sum = out.terms.get(c).copied().unwrap_or(0).checked_add(*n);
            match sum.ok_or(Overflow)? {
                0 => out.terms.remove(c),
                n => out.terms.insert(*c, n),
            };
        }
        Ok(out)
    }

    pub fn scale(&self, by: i64) -> Result<Affine, Overflow> {
        let mut out = Affine::constant(self.constant.checked_mul(&Dim::constant(by))?);
        for (c, n) in &self.terms {
            match n.checked_mul(by).ok_or(Overflow)? {
                0 => None,
                n => out.terms.insert(*c, n),
            };
        }
        Ok(out)
    }

    pub fn sub(&self, other: &Affine) -> Result<Affine, Overflow> {
        self.add(&other.scale(-1)?)
    }

    fn map(&self, to: &dyn Fn(Coord) -> Option<Coord>) -> Option<Affine> {
        let mut out = Affine::constant(self.constant.clone());
        for (c, n) in &self.terms {
            let one = Affine::coord(to(*c)?).scale(*n).ok()?;
            out = out.add(&one).ok()?;
        }
        Some(out)
    }

    fn eval(&self, at: &dyn Fn(Coord) -> i64, size: &dyn Fn(&Sym) -> Option<i64>) -> Option<i64> {
        let mut sum = self.constant.eval(size)?;
        for (c, n) in &self.terms {
            sum = sum.checked_add(n.checked_mul(at(*c))?)?;
        }
        Some(sum)
    }
}

/// A formula over the coordinates of a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// The form is ≥ 0.
    AtLeast(Affine),
    /// The form is 0.
    Zero(Affine),
    /// The form is a multiple of the size, which is positive.
    Multiple(Affine, Dim),
    Not(Box<Domain>),
    /// Every one holds; all points where there is none.
    All(Vec<Domain>),
    /// At least one holds; no point where there is none.
    Any(Vec<Domain>),
}

impl Domain {
    pub fn everywhere() -> Domain {
        Domain::All(Vec::new())
    }

    /// `a <= b`.
    pub fn le(a: &Affine, b: &Affine) -> Result<Domain, Overflow> {
        Ok(Domain::AtLeast(b.sub(a)?))
    }

    /// `a < b`: among whole numbers, `a + 1 <= b`.
    pub fn lt(a: &Affine, b: &Affine) -> Result<Domain, Overflow> {
        let one = Affine::constant(Dim::constant(1));
        Ok(Domain::AtLeast(b.sub(a)?.sub(&one)?))
    }

    pub fn equal(a: &Affine, b: &Affine) -> Result<Domain, Overflow> {
        Ok(Domain::Zero(a.sub(b)?))
    }

    /// The steps of axis `axis` before the end of each example, which is operand `of`.
    pub fn before_end(axis: usize, of: usize) -> Domain {
        let form = Affine {
            terms: BTreeMap::from([(Coord::Axis(axis), -1), (Coord::Of(of), 1)]),
            constant: Dim::constant(-1),
        };
        Domain::AtLeast(form)
    }

    /// The axis where the domain is nothing but `axis < len` of operand `of`.
    pub fn as_before_end(&self, of: usize) -> Option<usize> {
        let Domain::AtLeast(form) = self else {
            return None;
        };
        let axis = form.terms().find_map(|(c, _)| match c {
            Coord::Axis(a) => Some(a),
            Coord::Of(_) => None,
        })?;
        (*self == Domain::before_end(axis, of)).then_some(axis)
    }

    /// Both, without repeating what one says already.
    pub fn and(self, other: Domain) -> Domain {
        let mut parts = Vec::new();
        for d in [self, other] {
            match d {
                Domain::All(more) => parts.extend(more),
                one => parts.push(one),
            }
        }
        let mut kept: Vec<Domain> = Vec::new();
        for p in parts {
            if !kept.contains(&p) {
                kept.push(p);
            }
        }
        match kept.len() {
            1 => kept.remove(0),
            _ => Domain::All(kept),
        }
    }

    pub fn or(self, other: Domain) -> Domain {
        let mut parts = Vec::new();
        for d in [self, other] {
            match d {
                Domain::Any(more) => parts.extend(more),
                one => parts.push(one),
            }
        }
        Domain::Any(parts)
    }

    pub fn is_everywhere(&self) -> bool {
        matches!(self, Domain::All(parts) if parts.is_empty())
    }

    /// The same condition in other coordinates; `None` where one has no place there.
    pub fn map(&self, to: &dyn Fn(Coord) -> Option<Coord>) -> Option<Domain> {
        let all = |parts: &[Domain]| parts.iter().map(|p| p.map(to)).collect::<Option<Vec<_>>>();
        Some(match self {
            Domain::AtLeast(a) => Domain::AtLeast(a.map(to)?),
            Domain::Zero(a) => Domain::Zero(a.map(to)?),
            Domain::Multiple(a, n) => Domain::Multiple(a.map(to)?, n.clone()),
            Domain::Not(d) => Domain::Not(Box::new(d.map(to)?)),
            Domain::All(parts) => Domain::All(all(parts)?),
            Domain::Any(parts) => Domain::Any(all(parts)?),
        })
    }

    /// What of the condition can be said in other coordinates: a domain that contains this one.
    pub fn widened(&self, to: &dyn Fn(Coord) -> Option<Coord>) -> Domain {
        match self {
            Domain::All(parts) => parts
                .iter()
                .fold(Domain::everywhere(), |all, p| all.and(p.widened(to))),
            Domain::Any(parts) => {
                let parts: Vec<Domain> = parts.iter().map(|p| p.widened(to)).collect();
                if parts.iter().any(Domain::is_everywhere) {
                    return Domain::everywhere();
                }
                Domain::Any(parts)
            }
            other => other.map(to).unwrap_or_else(Domain::everywhere),
        }
    }

    /// All coordinates that the condition reads, each once, in order.
    pub fn coords(&self) -> Vec<Coord> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out.sort();
        out.dedup();
        out
    }

    fn collect(&self, out: &mut Vec<Coord>) {
        match self {
            Domain::AtLeast(a) | Domain::Zero(a) | Domain::Multiple(a, _) => {
                out.extend(a.terms.keys());
            }
            Domain::Not(d) => d.collect(out),
            Domain::All(parts) | Domain::Any(parts) => parts.iter().for_each(|p| p.collect(out)),
        }
    }

    /// Sizes that the condition mentions.
    pub fn sizes(&self) -> Vec<&Dim> {
        match self {
            Domain::AtLeast(a) | Domain::Zero(a) => vec![&a.constant],
            Domain::Multiple(a, n) => vec![&a.constant, n],
            Domain::Not(d) => d.sizes(),
            Domain::All(parts) | Domain::Any(parts) => {
                parts.iter().flat_map(Domain::sizes).collect()
            }
        }
    }

    /// The same condition with its sizes rewritten.
    pub fn with_sizes(&self, f: &dyn Fn(&Dim) -> Dim) -> Domain {
        let affine = |a: &Affine| Affine {
            terms: a.terms.clone(),
            constant: f(&a.constant),
        };
        let all = |parts: &[Domain]| parts.iter().map(|p| p.with_sizes(f)).collect();
        match self {
            Domain::AtLeast(a) => Domain::AtLeast(affine(a)),
            Domain::Zero(a) => Domain::Zero(affine(a)),
            Domain::Multiple(a, n) => Domain::Multiple(affine(a), f(n)),
            Domain::Not(d) => Domain::Not(Box::new(d.with_sizes(f))),
            Domain::All(parts) => Domain::All(all(parts)),
            Domain::Any(parts) => Domain::Any(all(parts)),
        }
    }

    /// Whether the point counts; `None` where a size is unknown or a number leaves `i64`.
    pub fn holds(
        &self,
        at: &dyn Fn(Coord) -> i64,
        size: &dyn Fn(&Sym) -> Option<i64>,
    ) -> Option<bool> {
        Some(match self {
            Domain::AtLeast(a) => a.eval(at, size)? >= 0,
            Domain::Zero(a) => a.eval(at, size)? == 0,
            Domain::Multiple(a, n) => {
                let n = n.eval(size).filter(|n| *n > 0)?;
                a.eval(at, size)?.rem_euclid(n) == 0
            }
            Domain::Not(d) => !d.holds(at, size)?,
            Domain::All(parts) => {
                for p in parts {
                    if !p.holds(at, size)? {
                        return Some(false);
                    }
                }
                true
            }
            Domain::Any(parts) => {
                for p in parts {
                    if p.holds(at, size)? {
                        return Some(true);
                    }
                }
                false
            }
        })
    }
}
