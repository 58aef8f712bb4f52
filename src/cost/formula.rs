//! A cost: a sum of products that stay as they were counted.
//!
//! In: counts as products of polynomials. Out: [`Formula`]. A sum over pairs such as `T + 1` is kept
//! as a factor and not multiplied out, so that `3072·T·(T + 1)` is read as the triangle it is; single
//! sizes are.

use std::collections::{BTreeMap, BTreeSet};

use super::assume::Assumption;
use super::poly::Poly;
use crate::dim::{Dim, Overflow, Sym};

#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    /// For each product of factors that are sums, in order, what it is multiplied by.
    pub(super) terms: BTreeMap<Vec<Poly>, Poly>,
    /// Otherwise it is a bound from above.
    pub exact: bool,
    /// What the closed form takes for granted.
    pub assumes: BTreeSet<Assumption>,
}

impl Default for Formula {
    fn default() -> Formula {
        Formula {
            terms: BTreeMap::new(),
            exact: true,
            assumes: BTreeSet::new(),
        }
    }
}

impl Formula {
    pub fn of(d: &Dim) -> Formula {
        let mut f = Formula::default();
        f.terms.insert(Vec::new(), Poly::of(d));
        f
    }

    /// The product of all: `by` is multiplied out, what is left of each sum without its content stays.
    ///
    /// # Errors
    /// Overflow of a coefficient.
    pub fn product(by: &Poly, all: &[Poly]) -> Result<Formula, Overflow> {
        let (mut sums, mut by) = (Vec::new(), by.clone());
        for f in all {
            let ((powers, n), rest) = f.primitive()?;
            by = by.mul(&Poly::term(powers, n))?;
            if rest != Poly::int(1) {
                sums.push(rest);
            }
        }
        sums.sort();
        let mut f = Formula::default();
        if !by.is_zero() {
            f.terms.insert(sums, by);
        }
        Ok(f)
    }

    /// `self + by·other`.
    ///
    /// # Errors
    /// Overflow of a coefficient.
    pub fn add_times(&self, by: &Poly, other: &Formula) -> Result<Formula, Overflow> {
        let mut out = self.clone();
        out.exact &= other.exact;
        out.assumes.extend(other.assumes.iter().cloned());
        for (sums, n) in &other.terms {
            let old = out.terms.get(sums).cloned().unwrap_or_default();
            let new = old.add(&n.mul(by)?)?;
            match new.is_zero() {
                true => out.terms.remove(sums),
                false => out.terms.insert(sums.clone(), new),
            };
        }
        Ok(out)
    }

    /// # Errors
    /// Overflow of a coefficient.
    pub fn add(&self, other: &Formula) -> Result<Formula, Overflow> {
        self.add_times(&Poly::int(1), other)
    }

    /// # Errors
    /// Overflow of a coefficient.
    pub fn sub(&self, other: &Formula) -> Result<Formula, Overflow> {
        self.add_times(&Poly::int(-1), other)
    }

    /// With the sizes that `value` knows as numbers.
    ///
    /// # Errors
    /// Overflow of a coefficient, and a reciprocal of 0.
    pub fn with(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Result<Formula, Overflow> {
        let mut out = Formula {
            terms: BTreeMap::new(),
            ..self.clone()
        };
        for (sums, by) in &self.terms {
            let sums: Vec<Poly> = sums
                .iter()
                .map(|f| f.with(value))
                .collect::<Result<_, Overflow>>()?;
            let one = Formula::product(&by.with(value)?, &sums)?;
            out = out.add(&one)?;
        }
        Ok(out)
    }

    /// The number, where every size is known: a whole one where the assumptions hold.
    pub fn value(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Option<i64> {
        let known = self.with(value).ok()?;
        match known.terms.len() {
            0 => Some(0),
            1 => known.terms.get(&Vec::new())?.as_int(),
            _ => None,
        }
    }
}
