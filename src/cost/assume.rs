//! What a closed form takes for granted.
//!
//! In: two sizes to compare, or a remainder to take. Out: the answer, which may hold only for
//! sequences that are long enough (`K <= T`) or come out even (`T a multiple of K`): then the
//! assumption is kept, to be printed beside the formula.

use std::collections::BTreeSet;
use std::fmt;

use super::poly::{Poly, Powers, Ratio};
use super::show;
use crate::dim::{Binding, Dim, DimTable, Overflow, Role, Sym};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// The size is a multiple of the other.
    Multiple(Sym, Dim),
    /// At least 0.
    Natural(Poly),
}

/// `T a multiple of K`; `K <= T`.
impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Assumption::Multiple(s, of) => write!(f, "{s} a multiple of {of}"),
            Assumption::Natural(p) => {
                let side = |negative: bool| {
                    let terms = p.terms().filter(|(_, n)| n.is_negative() == negative);
                    let sum: Vec<String> = terms.map(|(m, n)| show::term(m, n, &[])).collect();
                    match sum.is_empty() {
                        true => "0".to_string(),
                        false => sum.join(" + "),
                    }
                };
                write!(f, "{} <= {}", side(true), side(false))
            }
        }
    }
}

impl Assumption {
    /// Whether it is true; `None` where a size is unknown.
    pub fn holds(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Option<bool> {
        Some(match self {
            Assumption::Multiple(s, of) => value(s)? % of.eval(value).filter(|n| *n > 0)? == 0,
            Assumption::Natural(p) => !p.with(value).ok()?.as_number()?.is_negative(),
        })
    }
}

/// Compares sizes, keeping what it assumed. Every size is at least 1.
pub struct Assume<'a> {
    pub dims: &'a DimTable,
    pub made: BTreeSet<Assumption>,
}

impl Assume<'_> {
    /// A time whose length is given at each call: what grows while the other sizes stay.
    fn is_open_time(&self, s: &Sym) -> bool {
        let entry = self.dims.get(s);
        entry.is_some_and(|e| e.role == Role::Time && e.binding == Binding::Launch)
    }

    fn surely(&self, p: &Poly) -> bool {
        let known = p.with(&|s| self.dims.static_value(s));
        p.surely_natural() || known.is_ok_and(|p| p.surely_natural())
    }

    /// Whether `a <= b`. Undecided where it depends on sizes of which none is a time's, or on which
    /// of two times is longer.
    pub fn le(&mut self, a: &Poly, b: &Poly) -> Result<Option<bool>, Overflow> {
        let gap = b.sub(a)?;
        if self.surely(&gap) {
            return Ok(Some(true));
        }
        let less = gap.scale(Ratio::int(-1))?;
        if self.surely(&less) {
            // Where the two are equal it does not matter which is taken for the smaller.
            return Ok(Some(false));
        }
        let grows = |m: &Powers| m.keys().any(|s| self.is_open_time(s));
        let mut signs = gap
            .terms()
            .filter(|(m, _)| grows(m))
            .map(|(m, n)| (!n.is_negative()) && m.values().all(|p| *p > 0));
        let Some(first) = signs.next() else {
            return Ok(None);
        };
        if signs.any(|s| s != first) {
            return Ok(None);
        }
        let (_, held) = if first { &gap } else { &less }.primitive()?;
        self.natural(simpler(&held)?);
        Ok(Some(first))
    }

    /// Keeps the strongest of assumptions of one kind.
    fn natural(&mut self, p: Poly) {
        let weaker = |strong: &Poly, weak: &Poly| weak.sub(strong).is_ok_and(|d| self.surely(&d));
        let strong = self.made.iter().any(|a| match a {
            Assumption::Natural(q) => weaker(q, &p),
            Assumption::Multiple(s, of) => {
                let least = Poly::of(&Dim::sym(s)).sub(&Poly::of(of));
                least.is_ok_and(|q| weaker(&q, &p))
            }
        });
        if strong {
            return;
        }
        let kept: Vec<Assumption> = self.made.iter().cloned().collect();
        let kept = kept.into_iter().filter(|a| match a {
            Assumption::Natural(q) => !weaker(&p, q),
            Assumption::Multiple(..) => true,
        });
        self.made = kept.collect();
        self.made.insert(Assumption::Natural(p));
    }

    pub fn least(&mut self, a: &Poly, b: &Poly) -> Result<Option<Poly>, Overflow> {
        let first = self.le(a, b)?;
        Ok(first.map(|first| if first { a.clone() } else { b.clone() }))
    }

    pub fn most(&mut self, a: &Poly, b: &Poly) -> Result<Option<Poly>, Overflow> {
        let first = self.le(a, b)?;
        Ok(first.map(|first| if first { b.clone() } else { a.clone() }))
    }

    /// A number that `p` leaves over multiples of `m`, in `0..m` where `m` is a number, else in
    /// `-(m − edges.0) ..= m − edges.1`.
    pub fn remainder(
        &mut self,
        p: &Poly,
        m: &Dim,
        edges: (i64, i64),
    ) -> Result<Option<i64>, Overflow> {
        let mut rest = Poly::default();
        for (powers, n) in p.terms() {
            let whole = n.den() == 1 && powers.values().all(|p| *p > 0);
            let divides = |m: &Dim| match m.as_const() {
                Some(m) => n.num() % i128::from(m) == 0,
                None => m.as_sym().is_some_and(|s| powers.contains_key(s)),
            };
            if whole && divides(m) {
                continue;
            }
            let time = powers.keys().find(|s| self.is_open_time(s));
            if whole && let Some(time) = time {
                self.made
                    .insert(Assumption::Multiple(time.clone(), m.clone()));
                continue;
            }
            rest = rest.add(&Poly::term(powers.clone(), n))?;
        }
        let Some(r) = rest.as_int() else {
            return Ok(None);
        };
        if let Some(m) = m.as_const() {
            return Ok((m > 0).then(|| r.rem_euclid(m)));
        }
        let edge = if r < 0 { edges.0 } else { edges.1 };
        let room = Poly::of(m)
            .plus(-edge)?
            .sub(&Poly::int(r.saturating_abs()))?;
        Ok(self.surely(&room).then_some(r))
    }
}

/// `K <= T` for `K <= T + 1`: a little more than needed, but what one would write.
fn simpler(p: &Poly) -> Result<Poly, Overflow> {
    let constant = p.terms().find(|(m, _)| m.is_empty());
    let subtracts = p.terms().any(|(m, n)| n.is_negative() && !m.is_empty());
    match constant {
        Some((_, n)) if !n.is_negative() && subtracts => p.sub(&Poly::number(n)),
        _ => Ok(p.clone()),
    }
}
