//! Sums over one axis, and over pairs of places.
//!
//! In: comparisons, equalities and multiples that all hold, on one axis or on two. Out: how many
//! places or pairs there are; `None` where that has no closed form here. Bounds on a gap `y − x` are
//! counted one side at a time: with `C(h)` the pairs of `y − x <= h`, those of `g <= y − x <= h` are
//! `C(h) − C(g − 1)`.

use super::assume::Assume;
use super::poly::{Poly, Ratio};
use crate::dim::{Dim, Overflow};
use crate::domain::{Affine, Coord, Domain};

type Counted = Result<Option<Poly>, Overflow>;

/// The value, or this function has no closed form either.
macro_rules! known {
    ($e:expr) => {
        match $e {
            Some(x) => x,
            None => return Ok(None),
        }
    };
}

/// What conditions say of one number `x`: bounds, and `m | x + c` for a step `(c, m)`.
#[derive(Clone, Default, PartialEq)]
struct Bounds {
    lo: Option<Poly>,
    hi: Option<Poly>,
    step: Option<(Poly, Dim)>,
}

impl Bounds {
    /// Places of an axis.
    fn of(size: &Dim) -> Result<Bounds, Overflow> {
        Ok(Bounds {
            lo: Some(Poly::int(0)),
            hi: Some(Poly::of(size).plus(-1)?),
            step: None,
        })
    }

    /// Narrows by a condition on `n·x + rest`.
    fn narrow(
        &mut self,
        by: &Domain,
        (n, rest): (i64, &Dim),
        assume: &mut Assume,
    ) -> Result<Option<()>, Overflow> {
        let at = |rest: &Dim| Poly::of(rest).scale(Ratio::int(-n.signum()));
        match by {
            Domain::AtLeast(_) => {
                // n·x + r >= 0 is a bound of x where n is ±1 or r a number.
                let bound = match (n.abs(), rest.as_const()) {
                    (1, _) => at(rest)?,
                    (n, Some(r)) => at(&Dim::constant(r.div_euclid(n)))?,
                    (_, None) => return Ok(None),
                };
                match n > 0 {
                    true => self.at_least(bound, assume),
                    false => self.at_most(bound, assume),
                }
            }
            Domain::Zero(_) if n.abs() == 1 => {
                known!(self.at_least(at(rest)?, assume)?);
                self.at_most(at(rest)?, assume)
            }
            Domain::Multiple(_, m) if n.abs() == 1 && self.step.is_none() => {
                let c = Poly::of(rest).scale(Ratio::int(n))?;
                self.step = Some((c, m.clone()));
                Ok(Some(()))
            }
            Domain::Zero(_)
            | Domain::Multiple(..)
            | Domain::Not(_)
            | Domain::All(_)
            | Domain::Any(_) => Ok(None),
        }
    }

    fn at_least(&mut self, bound: Poly, assume: &mut Assume) -> Result<Option<()>, Overflow> {
        self.lo = Some(match &self.lo {
            Some(old) => known!(assume.most(old, &bound)?),
            None => bound,
        });
        Ok(Some(()))
    }

    fn at_most(&mut self, bound: Poly, assume: &mut Assume) -> Result<Option<()>, Overflow> {
        self.hi = Some(match &self.hi {
            Some(old) => known!(assume.least(old, &bound)?),
            None => bound,
        });
        Ok(Some(()))
    }

    /// The same of `−x`.
    fn negated(&self) -> Result<Bounds, Overflow> {
        let minus = |p: &Poly| p.scale(Ratio::int(-1));
        let step = self.step.as_ref();
        let step = step.map(|(c, m)| Ok((minus(c)?, m.clone())));
        Ok(Bounds {
            lo: self.hi.as_ref().map(minus).transpose()?,
            hi: self.lo.as_ref().map(minus).transpose()?,
            step: step.transpose()?,
        })
    }

    /// Between both bounds; those that exclude one another leave none, and not less.
    fn places(self, assume: &mut Assume) -> Result<Option<Places>, Overflow> {
        let (lo, hi) = (known!(self.lo), known!(self.hi));
        Ok(Some(Places {
            lo: known!(assume.least(&lo, &hi.plus(1)?)?),
            hi,
            step: self.step,
        }))
    }
}

/// Whole numbers from `lo` to `hi`; of them, where `step` is `(c, m)`, those with `m | x + c`.
struct Places {
    lo: Poly,
    hi: Poly,
    step: Option<(Poly, Dim)>,
}

impl Places {
    /// The same places without those before `lo` or after `hi`; never less than none.
    fn within(
        &self,
        lo: &Poly,
        hi: &Poly,
        assume: &mut Assume,
    ) -> Result<Option<Places>, Overflow> {
        let hi = known!(assume.least(&self.hi, hi)?);
        let lo = known!(assume.most(&self.lo, lo)?);
        let lo = known!(assume.least(&lo, &hi.plus(1)?)?);
        Ok(Some(Places {
            lo,
            hi,
            step: self.step.clone(),
        }))
    }

    /// The first, the last, and how many there are.
    fn ends(&self, assume: &mut Assume) -> Result<Option<(Poly, Poly, Poly)>, Overflow> {
        let Some((c, m)) = &self.step else {
            let n = self.hi.sub(&self.lo)?.plus(1)?;
            return Ok(Some((self.lo.clone(), self.hi.clone(), n)));
        };
        if self.hi.plus(1)? == self.lo {
            return Ok(Some((self.lo.clone(), self.hi.clone(), Poly::int(0))));
        }
        let size = Poly::of(m);
        let low = known!(assume.remainder(&self.lo.add(c)?, m, (1, 0))?);
        let high = known!(assume.remainder(&self.hi.add(c)?, m, (0, 1))?);
        // Up to the next multiple, and down to the one before.
        let mut first = self.lo.plus(-low)?;
        if low > 0 {
            first = first.add(&size)?;
        }
        let mut last = self.hi.plus(-high)?;
        if high < 0 {
            last = last.sub(&size)?;
        }
        let n = last.sub(&first)?.over(&size)?.plus(1)?;
        Ok(Some((first, last, n)))
    }

    fn count(&self, assume: &mut Assume) -> Counted {
        Ok(self.ends(assume)?.map(|(_, _, n)| n))
    }

    /// `Σ (sign·x + c)` over the places.
    fn sum(&self, sign: i64, c: &Poly, assume: &mut Assume) -> Counted {
        let (first, last, n) = known!(self.ends(assume)?);
        let half = Ratio::new(sign.into(), 2)?;
        let mean = first.add(&last)?.scale(half)?.add(c)?;
        Ok(Some(n.mul(&mean)?))
    }
}

fn form(d: &Domain) -> Option<&Affine> {
    match d {
        Domain::AtLeast(f) | Domain::Zero(f) | Domain::Multiple(f, _) => Some(f),
        Domain::Not(_) | Domain::All(_) | Domain::Any(_) => None,
    }
}

fn coefficient(f: &Affine, axis: usize) -> i64 {
    let here = f.terms().find(|(c, _)| *c == Coord::Axis(axis));
    here.map_or(0, |(_, n)| n)
}

/// Places of one axis.
pub fn one(parts: &[Domain], x: usize, sizes: &[Dim], assume: &mut Assume) -> Counted {
    let mut places = Bounds::of(&sizes[x])?;
    for p in parts {
        let f = known!(form(p));
        known!(places.narrow(p, (coefficient(f, x), f.offset()), assume)?);
    }
    known!(places.places(assume)?).count(assume)
}

/// Pairs of places of two axes.
pub fn two(
    parts: &[Domain],
    (x, y): (usize, usize),
    sizes: &[Dim],
    assume: &mut Assume,
) -> Counted {
    let whole = (Bounds::of(&sizes[x])?, Bounds::of(&sizes[y])?);
    let (mut xs, mut ys) = whole.clone();
    let mut gap = Bounds::default();
    for p in parts {
        let f = known!(form(p));
        let narrowed = match (coefficient(f, x), coefficient(f, y)) {
            (n, 0) => xs.narrow(p, (n, f.offset()), assume)?,
            (0, n) => ys.narrow(p, (n, f.offset()), assume)?,
            (m, n) if m.checked_neg() == Some(n) => gap.narrow(p, (n, f.offset()), assume)?,
            _ => None,
        };
        known!(narrowed);
    }
    // Bounds that exclude one another leave nothing, and not less.
    if let (Some(lo), Some(hi)) = (&gap.lo, &gap.hi) {
        gap.lo = Some(known!(assume.least(lo, &hi.plus(1)?)?));
    }
    if gap.step.is_some() {
        return match (&xs, &ys) == (&whole.0, &whole.1) && sizes[x] == sizes[y] {
            true => by_gap(gap, &sizes[x], assume),
            false => Ok(None),
        };
    }
    if ys.step.is_some() {
        (xs, ys) = (ys, xs);
        gap = gap.negated()?;
    }
    if ys.step.is_some() {
        return Ok(None);
    }
    let (xs, ys) = (known!(xs.places(assume)?), known!(ys.places(assume)?));
    let above = match &gap.hi {
        Some(h) => known!(up_to(&xs, &ys, h, assume)?),
        None => known!(xs.count(assume)?).mul(&known!(ys.count(assume)?))?,
    };
    let below = match &gap.lo {
        Some(h) => known!(up_to(&xs, &ys, &h.plus(-1)?, assume)?),
        None => Poly::int(0),
    };
    Ok(Some(above.sub(&below)?))
}

/// `Σ (n − |g|)` over gaps of two axes of one size `n`.
fn by_gap(mut gap: Bounds, size: &Dim, assume: &mut Assume) -> Counted {
    let n = Poly::of(size);
    let far = n.plus(-1)?;
    known!(gap.at_least(far.scale(Ratio::int(-1))?, assume)?);
    known!(gap.at_most(far, assume)?);
    let gap = known!(gap.places(assume)?);
    let ahead = known!(gap.within(&Poly::int(0), &gap.hi, assume)?);
    let back = known!(gap.within(&gap.lo, &Poly::int(-1), assume)?);
    let ahead = known!(ahead.sum(-1, &n, assume)?);
    let back = known!(back.sum(1, &n, assume)?);
    Ok(Some(ahead.add(&back)?))
}

/// Pairs with `y <= x + h`, where the `ys` have no step: `Σ_x min(max(x + h − lo + 1, 0), |ys|)`.
fn up_to(xs: &Places, ys: &Places, h: &Poly, assume: &mut Assume) -> Counted {
    let width = ys.hi.sub(&ys.lo)?.plus(1)?;
    // After this x the ys count whole; up to it by x + h − lo + 1, which is the same there.
    let all = ys.hi.sub(h)?;
    let full = known!(xs.within(&all.plus(1)?, &xs.hi, assume)?);
    // From this x on at least one counts. The x before it adds nothing, so that either may stand,
    // whichever needs the least to be known.
    let some = ys.lo.sub(h)?;
    let mut part = None;
    for from in [some.plus(-1)?, some] {
        if part.is_none()
            && let Some(xs) = xs.within(&from, &full.lo.plus(-1)?, assume)?
        {
            part = xs.sum(1, &h.sub(&ys.lo)?.plus(1)?, assume)?;
        }
    }
    let part = known!(part);
    let full = known!(full.count(assume)?);
    Ok(Some(part.add(&full.mul(&width)?)?))
}
