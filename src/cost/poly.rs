//! Counts as formulas: polynomials over sizes with rational coefficients and powers of either sign.
//!
//! In: sizes ([`Dim`]) and sums over index domains. Out: [`Poly`], in a canonical form so that
//! equality is structural: `T²/K + 2·K·T` and `T/2` are counts of points although no shape has them.

use std::collections::BTreeMap;

use crate::dim::{Dim, Overflow, Sym};

/// A fraction in lowest terms; its denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio {
    num: i128,
    den: i128,
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1).max(1)
}

impl Ratio {
    pub const ZERO: Ratio = Ratio { num: 0, den: 1 };
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// # Errors
    /// Overflow, a denominator of 0 included.
    pub fn new(num: i128, den: i128) -> Result<Ratio, Overflow> {
        if den == 0 || num == i128::MIN || den == i128::MIN {
            return Err(Overflow);
        }
        let by = gcd(num, den) * den.signum();
        Ok(Ratio {
            num: num / by,
            den: den / by,
        })
    }

    pub fn int(n: i64) -> Ratio {
        Ratio {
            num: n.into(),
            den: 1,
        }
    }

    pub fn num(self) -> i128 {
        self.num
    }

    pub fn den(self) -> i128 {
        self.den
    }

    pub fn is_negative(self) -> bool {
        self.num < 0
    }

    fn add(self, other: Ratio) -> Result<Ratio, Overflow> {
        let left = self.num.checked_mul(other.den).ok_or(Overflow)?;
        let right = other.num.checked_mul(self.den).ok_or(Overflow)?;
        let den = self.den.checked_mul(other.den).ok_or(Overflow)?;
        Ratio::new(left.checked_add(right).ok_or(Overflow)?, den)
    }

    pub fn mul(self, other: Ratio) -> Result<Ratio, Overflow> {
        // Reduced crosswise first, so that only results too large are refused.
        let (a, b) = (gcd(self.num, other.den), gcd(other.num, self.den));
        let num = (self.num / a).checked_mul(other.num / b).ok_or(Overflow)?;
        let den = (self.den / b).checked_mul(other.den / a).ok_or(Overflow)?;
        Ratio::new(num, den)
    }

    pub fn inverse(self) -> Result<Ratio, Overflow> {
        Ratio::new(self.den, self.num)
    }
}

/// A product of symbols: each with its power, which is not 0.
pub type Powers = BTreeMap<Sym, i32>;

/// A sum of products without zero terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Poly {
    terms: BTreeMap<Powers, Ratio>,
}

impl Poly {
    pub fn int(n: i64) -> Poly {
        Poly::number(Ratio::int(n))
    }

    pub fn number(r: Ratio) -> Poly {
        Poly::term(Powers::new(), r)
    }

    /// One product; of the powers none is 0.
    pub fn term(powers: Powers, n: Ratio) -> Poly {
        let mut terms = BTreeMap::new();
        if n != Ratio::ZERO {
            terms.insert(powers, n);
        }
        Poly { terms }
    }

    pub fn of(d: &Dim) -> Poly {
        let mut terms = BTreeMap::new();
        for (m, n) in d.terms() {
            let mut powers = Powers::new();
            for s in m {
                *powers.entry(s.clone()).or_insert(0) += 1;
            }
            terms.insert(powers, Ratio::int(n));
        }
        Poly { terms }
    }

    pub fn terms(&self) -> impl Iterator<Item = (&Powers, Ratio)> {
        self.terms.iter().map(|(m, n)| (m, *n))
    }

    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    fn push(&mut self, m: Powers, n: Ratio) -> Result<(), Overflow> {
        let old = self.terms.get(&m).copied().unwrap_or(Ratio::ZERO);
        match old.add(n)? {
            Ratio::ZERO => self.terms.remove(&m),
            sum => self.terms.insert(m, sum),
        };
        Ok(())
    }

    pub fn add(&self, other: &Poly) -> Result<Poly, Overflow> {
        let mut out = self.clone();
        for (m, n) in &other.terms {
            out.push(m.clone(), *n)?;
        }
        Ok(out)
    }

    pub fn sub(&self, other: &Poly) -> Result<Poly, Overflow> {
        self.add(&other.scale(Ratio::int(-1))?)
    }

    /// With `n` added.
    pub fn plus(&self, n: i64) -> Result<Poly, Overflow> {
        self.add(&Poly::int(n))
    }

    pub fn scale(&self, by: Ratio) -> Result<Poly, Overflow> {
        self.mul(&Poly::number(by))
    }

    pub fn mul(&self, other: &Poly) -> Result<Poly, Overflow> {
        let mut out = Poly::default();
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                out.push(product(a, b)?, x.mul(*y)?)?;
            }
        }
        Ok(out)
    }

    /// Over a single term.
    pub fn over(&self, d: &Poly) -> Result<Poly, Overflow> {
        let mut terms = d.terms.iter();
        let (Some((m, n)), None) = (terms.next(), terms.next()) else {
            return Err(Overflow);
        };
        let inverse = m.iter().map(|(s, p)| (s.clone(), -p)).collect();
        self.mul(&Poly::term(inverse, n.inverse()?))
    }

    /// The number where no symbol is left.
    pub fn as_number(&self) -> Option<Ratio> {
        match self.terms.len() {
            0 => Some(Ratio::ZERO),
            1 => self.terms.get(&Powers::new()).copied(),
            _ => None,
        }
    }

    /// The whole number where no symbol is left.
    pub fn as_int(&self) -> Option<i64> {
        let r = self.as_number()?;
        (r.den == 1).then(|| i64::try_from(r.num).ok()).flatten()
    }

    /// Symbols replaced by the numbers that `value` knows.
    pub fn with(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Result<Poly, Overflow> {
        let mut out = Poly::default();
        for (m, n) in &self.terms {
            let (mut left, mut n) = (Powers::new(), *n);
            for (s, p) in m {
                let Some(x) = value(s) else {
                    left.insert(s.clone(), *p);
                    continue;
                };
                let x = match *p < 0 {
                    true => Ratio::int(x).inverse()?,
                    false => Ratio::int(x),
                };
                for _ in 0..p.unsigned_abs() {
                    n = n.mul(x)?;
                }
            }
            out.push(left, n)?;
        }
        Ok(out)
    }

    /// Whether it is at least 0 for all sizes of at least 1. A sufficient test; `false` means
    /// undecided.
    pub fn surely_natural(&self) -> bool {
        if self.terms.keys().any(|m| m.values().any(|p| *p < 0)) {
            return false;
        }
        let shifted = self
            .terms
            .iter()
            .try_fold(Poly::default(), |all, (m, n)| all.add(&shifted(m, *n)?));
        shifted.is_ok_and(|p| p.terms.values().all(|n| !n.is_negative()))
    }

    /// `content·rest`: the largest number and product of symbols that every term has, and what is
    /// left, whose coefficients are whole numbers without a common factor.
    pub fn primitive(&self) -> Result<((Powers, Ratio), Poly), Overflow> {
        let mut terms = self.terms.iter();
        let Some((first, n)) = terms.next() else {
            return Ok(((Powers::new(), Ratio::ZERO), Poly::int(1)));
        };
        let (mut num, mut den) = (n.num.abs(), n.den);
        let mut common = first.clone();
        for (m, n) in terms {
            num = gcd(num, n.num);
            den = (den / gcd(den, n.den)).checked_mul(n.den).ok_or(Overflow)?;
            for (s, p) in &mut common {
                *p = (*p).min(m.get(s).copied().unwrap_or(0));
            }
        }
        // A reciprocal stays where it is read: T²/K + 2·K·T, not (T² + 2·K²·T)/K.
        let single = self.terms.len() == 1;
        common.retain(|_, p| *p > 0 || single);
        let content = Ratio::new(num, den)?;
        let rest = self.over(&Poly::term(common.clone(), content))?;
        Ok(((common, content), rest))
    }
}

pub fn product(a: &Powers, b: &Powers) -> Result<Powers, Overflow> {
    let mut m = a.clone();
    for (s, p) in b {
        let power = m.get(s).copied().unwrap_or(0).checked_add(*p);
        match power.ok_or(Overflow)? {
            0 => m.remove(s),
            power => m.insert(s.clone(), power),
        };
    }
    Ok(m)
}

/// A term without reciprocals, with `s + 1` for every symbol `s`.
fn shifted(m: &Powers, n: Ratio) -> Result<Poly, Overflow> {
    m.iter().try_fold(Poly::number(n), |all, (s, p)| {
        let next = Poly::of(&Dim::sym(s)).plus(1)?;
        (0..*p).try_fold(all, |all, _| all.mul(&next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sym(name: &str) -> Poly {
        Poly::of(&Dim::named(name))
    }

    #[test]
    fn fractions_and_reciprocals_cancel() {
        let (t, k) = (sym("T"), sym("K"));
        let steps = t.over(&k).unwrap();
        assert_eq!(steps.mul(&k).unwrap(), t);
        let half = t.scale(Ratio::new(1, 2).unwrap()).unwrap();
        assert_eq!(half.add(&half).unwrap(), t);
        assert_eq!(t.sub(&t).unwrap().as_int(), Some(0));
        let at = |s: &Sym| Some(if s.name() == "T" { 12 } else { 4 });
        assert_eq!(steps.with(&at).unwrap().as_int(), Some(3));
        assert_eq!(steps.with(&|_| Some(0)), Err(Overflow));
        assert_eq!(t.over(&t.plus(1).unwrap()), Err(Overflow));
    }

    #[test]
    fn only_what_holds_for_all_sizes_is_sure() {
        let (t, k) = (sym("T"), sym("K"));
        assert!(k.plus(-1).unwrap().surely_natural());
        assert!(!k.plus(-2).unwrap().surely_natural());
        assert!(!t.sub(&k).unwrap().surely_natural());
        assert!(!t.over(&k).unwrap().surely_natural());
        let square = t.mul(&t).unwrap().sub(&t).unwrap();
        assert!(square.surely_natural());
    }

    #[test]
    fn content_is_taken_out_but_reciprocals_stay() {
        let t = sym("T");
        let pairs = t.mul(&t.plus(1).unwrap()).unwrap();
        let half = Ratio::new(1, 2).unwrap();
        let ((m, n), rest) = pairs.scale(half).unwrap().primitive().unwrap();
        assert_eq!((m.len(), n, rest), (1, half, t.plus(1).unwrap()));
        let far = t.mul(&t).unwrap().over(&sym("K")).unwrap();
        let ((m, _), rest) = far.add(&t).unwrap().primitive().unwrap();
        assert_eq!(m, Powers::from([(Sym::new("T"), 1)]));
        assert_eq!(rest.terms().count(), 2);
    }
}
