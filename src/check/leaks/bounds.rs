//! What a domain proves about its axes two by two.
//!
//! In: a [`Domain`]. Out: [`Bounds`]: for pairs of axes the least `c` with `a <= b + c` at every point
//! of it, chains followed (`s <= z` and `z <= t` give `s <= t`); and domains with axes taken away.

use std::collections::BTreeMap;

use crate::dim::Dim;
use crate::domain::{Affine, Coord, Domain};

/// `a <= b + c` by the pair `(a, b)`; none where nothing is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds(BTreeMap<(usize, usize), i64>);

impl Bounds {
    /// Of the axes below `rank`.
    pub fn of(domain: &Domain, rank: usize) -> Bounds {
        match domain {
            Domain::All(parts) => {
                let mut all = Bounds::default();
                for part in parts {
                    for (pair, c) in Bounds::of(part, rank).0 {
                        all.tighten(pair, c);
                    }
                }
                all.close();
                all
            }
            Domain::Any(parts) => {
                let mut parts = parts.iter().map(|p| Bounds::of(p, rank));
                let mut any = parts.next().unwrap_or_default();
                for part in parts {
                    any.0.retain(|pair, c| match part.0.get(pair) {
                        Some(other) => {
                            *c = (*c).max(*other);
                            true
                        }
                        None => false,
                    });
                }
                any
            }
            Domain::AtLeast(_) | Domain::Zero(_) | Domain::Multiple(..) | Domain::Not(_) => {
                let mut one = Bounds::default();
                for a in 0..rank {
                    for b in (0..rank).filter(|b| *b != a) {
                        if let Some(c) = domain.at_most_after(Coord::Axis(a), Coord::Axis(b)) {
                            one.tighten((a, b), c);
                        }
                    }
                }
                one
            }
        }
    }

    /// The least proven `c` with `a <= b + c`.
    pub fn get(&self, a: usize, b: usize) -> Option<i64> {
        self.0.get(&(a, b)).copied()
    }

    /// Of the axes `to`, the one that bounds `axis` best.
    pub fn tie(&self, axis: usize, to: impl Iterator<Item = usize>) -> Option<(usize, i64)> {
        to.filter_map(|b| Some((b, self.get(axis, b)?)))
            .min_by_key(|(_, c)| *c)
    }

    fn tighten(&mut self, pair: (usize, usize), c: i64) {
        let kept = self.0.entry(pair).or_insert(c);
        *kept = c.min(*kept);
    }

    /// One round through every axis between finds all chains (Floyd 1962), short of a domain without
    /// points, of which any bound is true.
    fn close(&mut self) {
        let mut axes: Vec<usize> = self.0.keys().flat_map(|(a, b)| [*a, *b]).collect();
        axes.sort_unstable();
        axes.dedup();
        for via in &axes {
            for a in &axes {
                for b in axes.iter().filter(|b| *b != a) {
                    let chain = self.get(*a, *via).zip(self.get(*via, *b));
                    if let Some(c) = chain.and_then(|(x, y)| x.checked_add(y)) {
                        self.tighten((*a, *b), c);
                    }
                }
            }
        }
    }
}

/// A domain that holds the places of all of the domain's points, in the axes that `to` gives them;
/// an axis without a place there is left out, and with it what cannot be said without it.
pub fn project(domain: &Domain, to: &dyn Fn(usize) -> Option<usize>) -> Domain {
    let rename = |c: Coord| match c {
        Coord::Axis(a) => to(a).map(Coord::Axis),
        Coord::Of(_) => None,
    };
    let mut out = domain.widened(&rename);
    if domain.coords().iter().all(|c| rename(*c).is_some()) {
        return out;
    }
    let kept = Bounds::of(&out, rank(&out));
    for ((a, b), c) in Bounds::of(domain, rank(domain)).0 {
        let (Some(a), Some(b)) = (to(a), to(b)) else {
            continue;
        };
        if kept.get(a, b).is_none_or(|known| c < known)
            && let Some(bound) = at_most(a, b, c)
        {
            out = out.and(bound);
        }
    }
    out
}

/// `a <= b + c`.
fn at_most(a: usize, b: usize, c: i64) -> Option<Domain> {
    let right = Affine::coord(Coord::Axis(b))
        .add(&Affine::constant(Dim::constant(c)))
        .ok()?;
    Domain::le(&Affine::coord(Coord::Axis(a)), &right).ok()
}

/// One more than the last axis that the condition reads.
fn rank(domain: &Domain) -> usize {
    let end = |c: &Coord| match c {
        Coord::Axis(a) => a + 1,
        Coord::Of(_) => 0,
    };
    domain.coords().iter().map(end).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conj(parts: Vec<Domain>) -> Domain {
        parts.into_iter().fold(Domain::everywhere(), Domain::and)
    }

    #[test]
    fn chains_are_followed_and_survive_the_axis_between() {
        let chain = conj(vec![at_most(0, 1, -1).unwrap(), at_most(1, 2, 3).unwrap()]);
        assert_eq!(Bounds::of(&chain, 3).get(0, 2), Some(2));
        assert_eq!(Bounds::of(&chain, 3).get(2, 0), None);
        // Axis 1 goes, 2 becomes 1.
        let out = project(&chain, &|a| [Some(0), None, Some(1)][a]);
        assert_eq!(out, at_most(0, 1, 2).unwrap());
    }

    #[test]
    fn of_alternatives_the_worst_holds() {
        let near = at_most(0, 1, 0).unwrap();
        let far = at_most(0, 1, 5).unwrap();
        let either = near.clone().or(far);
        assert_eq!(Bounds::of(&either, 3).get(0, 1), Some(5));
        let unknown = near.or(at_most(1, 0, 0).unwrap());
        assert_eq!(Bounds::of(&unknown, 3).get(0, 1), None);
    }

    #[test]
    fn the_best_of_several_ties_is_taken() {
        let both = conj(vec![at_most(2, 0, 0).unwrap(), at_most(2, 1, -1).unwrap()]);
        assert_eq!(Bounds::of(&both, 3).tie(2, 0..2), Some((1, -1)));
        assert_eq!(Bounds::of(&both, 3).tie(0, 1..2), None);
    }
}
