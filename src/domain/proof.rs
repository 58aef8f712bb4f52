//! What a domain proves.
//!
//! In: domains. Out: a bound of one coordinate by another, and whether one domain contains another;
//! both say no where they cannot tell.

use super::{Affine, Coord, Domain};
use crate::dim::Dim;

impl Domain {
    /// A number `c` with `a <= b + c` at every point of the domain, the least that is proven:
    /// `s <= t` proves 0 for `(s, t)`. `None` where nothing of the kind follows.
    pub fn at_most_after(&self, a: Coord, b: Coord) -> Option<i64> {
        match self {
            // k·(b − a) + c >= 0  ⇒  a <= b + c/k
            Domain::AtLeast(f) => lag(f, a, b),
            Domain::Zero(f) => lag(f, a, b).or_else(|| lag(&f.scale(-1).ok()?, a, b)),
            Domain::Multiple(..) => None,
            // not (f >= 0)  ⇔  −f − 1 >= 0
            Domain::Not(d) => match &**d {
                Domain::AtLeast(f) => {
                    let one = Affine::constant(Dim::constant(-1));
                    lag(&f.scale(-1).ok()?.add(&one).ok()?, a, b)
                }
                Domain::Not(d) => d.at_most_after(a, b),
                Domain::Any(parts) => parts
                    .iter()
                    .filter_map(|p| Domain::Not(Box::new(p.clone())).at_most_after(a, b))
                    .min(),
                Domain::Zero(_) | Domain::Multiple(..) | Domain::All(_) => None,
            },
            Domain::All(parts) => parts.iter().filter_map(|p| p.at_most_after(a, b)).min(),
            Domain::Any(parts) => {
                let bounds: Option<Vec<i64>> =
                    parts.iter().map(|p| p.at_most_after(a, b)).collect();
                bounds?.into_iter().max()
            }
        }
    }

    /// Whether every point of `other` is a point of this domain, as far as can be told from their
    /// form: `s <= t` contains `s <= t and t - s < 4`.
    pub fn contains(&self, other: &Domain) -> bool {
        if self == other {
            return true;
        }
        match (self, other) {
            (Domain::All(parts), _) => parts.iter().all(|p| p.contains(other)),
            (_, Domain::Any(parts)) => parts.iter().all(|p| self.contains(p)),
            (_, Domain::All(parts)) => parts.iter().any(|p| self.contains(p)),
            (Domain::Any(parts), _) => parts.iter().any(|p| p.contains(other)),
            (Domain::AtLeast(f), Domain::AtLeast(g)) => {
                let gap = f.sub(g).ok();
                let gap = gap.and_then(|d| d.as_constant().and_then(Dim::as_const));
                gap.is_some_and(|n| n >= 0)
            }
            (Domain::AtLeast(f), Domain::Zero(g)) => [f.sub(g).ok(), f.add(g).ok()]
                .into_iter()
                .flatten()
                .any(|d| {
                    d.as_constant()
                        .and_then(Dim::as_const)
                        .is_some_and(|n| n >= 0)
                }),
            _ => false,
        }
    }
}

/// `a <= b + ⌊c/p⌋` from `q·b − p·a + c >= 0`, `p >= q >= 0`, less any other coordinates: none is
/// negative.
fn lag(f: &Affine, a: Coord, b: Coord) -> Option<i64> {
    let p = f.terms.get(&a)?.checked_neg()?;
    let q = f.terms.get(&b).copied().unwrap_or(0);
    let others = |(c, n): (&Coord, &i64)| [a, b].contains(c) || *n < 0;
    let fits = p > 0 && (0..=p).contains(&q) && f.terms.iter().all(others);
    fits.then(|| Some(most(&f.constant)?.div_euclid(p)))?
}

/// The most that a size comes to, where every symbol is at least 1.
fn most(d: &Dim) -> Option<i64> {
    d.terms().try_fold(0_i64, |sum, (symbols, n)| {
        let at_one = (symbols.is_empty() || n < 0).then_some(n)?;
        sum.checked_add(at_one)
    })
}
