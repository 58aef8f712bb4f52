//! Sizes known by name: polynomials over symbols, and the table that gives symbols a meaning.
//!
//! In: symbol names and integers. Out: [`Dim`], in a canonical form so that equality is structural,
//! and [`DimTable`], which says of each symbol what it counts ([`Role`]) and when its value is known
//! ([`Binding`]). Shrinking a model for a test is a change of values in the table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A symbol, compared by name so that printed order never depends on the order of creation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sym(Arc<str>);

impl Sym {
    pub fn new(name: &str) -> Sym {
        Sym(name.into())
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A product of symbols, sorted, repeated for powers; empty for the constant term.
pub type Monomial = Vec<Sym>;

/// A polynomial with integer coefficients over symbols, without zero terms. Every view has many and hardly one changes,
/// so copies share their terms.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dim {
    terms: Arc<BTreeMap<Monomial, i64>>,
}

/// Coefficients left the range of `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a size is too large to be represented")]
pub struct Overflow;

impl Dim {
    pub fn constant(n: i64) -> Dim {
        let mut d = Dim::default();
        d.push(Vec::new(), n).expect("one term cannot overflow");
        d
    }

    pub fn sym(s: &Sym) -> Dim {
        let mut d = Dim::default();
        d.push(vec![s.clone()], 1)
            .expect("one term cannot overflow");
        d
    }

    pub fn named(name: &str) -> Dim {
        Dim::sym(&Sym::new(name))
    }

    fn push(&mut self, m: Monomial, n: i64) -> Result<(), Overflow> {
        let sum = self
            .terms
            .get(&m)
            .copied()
            .unwrap_or(0)
            .checked_add(n)
            .ok_or(Overflow)?;
        let terms = Arc::make_mut(&mut self.terms);
        if sum == 0 {
            terms.remove(&m);
        } else {
            terms.insert(m, sum);
        }
        Ok(())
    }

    pub fn checked_add(&self, other: &Dim) -> Result<Dim, Overflow> {
        if self.terms.is_empty() {
            return Ok(other.clone());
        }
        let mut d = self.clone();
        for (m, n) in other.terms.iter() {
            d.push(m.clone(), *n)?;
        }
        Ok(d)
    }

    pub fn checked_sub(&self, other: &Dim) -> Result<Dim, Overflow> {
        self.checked_add(&other.checked_mul(&Dim::constant(-1))?)
    }

    pub fn checked_mul(&self, other: &Dim) -> Result<Dim, Overflow> {
        for (one, all) in [(self, other), (other, self)] {
            if one.as_const() == Some(1) {
                return Ok(all.clone());
            }
        }
        let mut d = Dim::default();
        for (a, x) in self.terms.iter() {
            for (b, y) in other.terms.iter() {
                let mut m: Monomial = a.iter().chain(b).cloned().collect();
                m.sort();
                d.push(m, x.checked_mul(*y).ok_or(Overflow)?)?;
            }
        }
        Ok(d)
    }

    /// The value where no symbol is left.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    /// The symbol where the polynomial is nothing else.
    pub fn as_sym(&self) -> Option<&Sym> {
        match self.terms.iter().next() {
            Some((m, 1)) if self.terms.len() == 1 && m.len() == 1 => Some(&m[0]),
            _ => None,
        }
    }

    pub fn terms(&self) -> impl Iterator<Item = (&Monomial, i64)> {
        self.terms.iter().map(|(m, n)| (m, *n))
    }

    /// All symbols, each once, in order of name.
    pub fn syms(&self) -> Vec<Sym> {
        let mut all: Vec<Sym> = self.terms.keys().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    pub fn mentions(&self, s: &Sym) -> bool {
        self.terms.keys().flatten().any(|x| x == s)
    }

    /// The value under an assignment of every symbol; `None` where one is unknown or the result
    /// leaves `i64`.
    pub fn eval(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Option<i64> {
        let mut sum = 0i64;
        for (m, n) in self.terms.iter() {
            let mut term = *n;
            for s in m {
                term = term.checked_mul(value(s)?)?;
            }
            sum = sum.checked_add(term)?;
        }
        Some(sum)
    }

    /// Each symbol replaced by a polynomial where `with` gives one.
    pub fn subst(&self, with: &dyn Fn(&Sym) -> Option<Dim>) -> Result<Dim, Overflow> {
        if self.terms.keys().flatten().all(|s| with(s).is_none()) {
            return Ok(self.clone());
        }
        let mut out = Dim::default();
        for (m, n) in self.terms.iter() {
            let mut term = Dim::constant(*n);
            for s in m {
                term = term.checked_mul(&with(s).unwrap_or_else(|| Dim::sym(s)))?;
            }
            out = out.checked_add(&term)?;
        }
        Ok(out)
    }

    /// Linear in `s` with an integer coefficient: `(coefficient, rest)` of `coefficient·s + rest`.
    pub fn linear_in(&self, s: &Sym) -> Option<(i64, Dim)> {
        let mut rest = Dim::default();
        let mut coefficient = 0;
        for (m, n) in self.terms.iter() {
            match m.iter().filter(|x| *x == s).count() {
                0 => rest.push(m.clone(), *n).ok()?,
                1 if m.len() == 1 => coefficient = *n,
                _ => return None,
            }
        }
        Some((coefficient, rest))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, times: &str, spaced: bool) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // Highest degree first, then by name: 4·H² + 4·H·X + 4·H.
        let mut terms: Vec<_> = self.terms.iter().collect();
        terms.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        for (i, (m, n)) in terms.into_iter().enumerate() {
            let sign = match (i, *n < 0, spaced) {
                (0, true, _) => "-",
                (0, false, _) => "",
                (_, true, true) => " - ",
                (_, false, true) => " + ",
                (_, true, false) => "-",
                (_, false, false) => "+",
            };
            f.write_str(sign)?;
            let n = n.unsigned_abs();
            if n != 1 || m.is_empty() {
                write!(f, "{n}")?;
                if !m.is_empty() {
                    f.write_str(times)?;
                }
            }
            let mut j = 0;
            while j < m.len() {
                let power = m[j..].iter().take_while(|x| **x == m[j]).count();
                if j > 0 {
                    f.write_str(if times.is_empty() { "·" } else { times })?;
                }
                write!(f, "{}", m[j])?;
                match power {
                    1 => {}
                    2 => f.write_str("²")?,
                    3 => f.write_str("³")?,
                    p => write!(f, "^{p}")?,
                }
                j += power;
            }
        }
        Ok(())
    }

    /// The long form used in costs: `4·H² + 4·H·X + 4·H`.
    pub fn formula(&self) -> String {
        struct Long<'a>(&'a Dim);
        impl fmt::Display for Long<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, "·", true)
            }
        }
        Long(self).to_string()
    }
}

/// The short form used in shapes: `4H`, `H+X`.
impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "", false)
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<i64> for Dim {
    fn from(n: i64) -> Dim {
        Dim::constant(n)
    }
}

/// A shape as it is shown everywhere: `[T,B,4H]`.
pub fn show(shape: &[Dim]) -> String {
    let parts: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", parts.join(","))
}

/// What a symbol counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Steps of a sequence; each example has its own length, given to a function as an input.
    Time,
    /// Examples of a batch.
    Batch,
    /// Features, states, heads: a size of the model.
    Feature,
    /// Entries of a vocabulary, known once the data is read.
    Vocabulary,
}

/// When a symbol's value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Before compiling: a constant in the generated code. `None` until the data is read.
    Static(Option<i64>),
    /// At each call: an argument of the generated code.
    Launch,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DimEntry {
    pub sym: Sym,
    pub role: Role,
    pub binding: Binding,
}

/// The symbols of a model or function, in order of declaration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DimTable {
    entries: Vec<DimEntry>,
}

impl DimTable {
    /// Adds a symbol; a second entry of the same name replaces the first.
    pub fn declare(&mut self, sym: Sym, role: Role, binding: Binding) {
        match self.entries.iter_mut().find(|e| e.sym == sym) {
            Some(e) => *e = DimEntry { sym, role, binding },
            None => self.entries.push(DimEntry { sym, role, binding }),
        }
    }

    pub fn get(&self, sym: &Sym) -> Option<&DimEntry> {
        self.entries.iter().find(|e| &e.sym == sym)
    }

    pub fn iter(&self) -> impl Iterator<Item = &DimEntry> {
        self.entries.iter()
    }

    /// Sets the value of a static symbol (a vocabulary's size, or a smaller size for a test).
    pub fn bind(&mut self, sym: &Sym, value: i64) {
        if let Some(e) = self.entries.iter_mut().find(|e| &e.sym == sym) {
            e.binding = Binding::Static(Some(value));
        }
    }

    pub fn static_value(&self, sym: &Sym) -> Option<i64> {
        match self.get(sym)?.binding {
            Binding::Static(v) => v,
            Binding::Launch => None,
        }
    }

    /// A polynomial's value where all its symbols are static and known.
    pub fn eval_static(&self, d: &Dim) -> Option<i64> {
        d.eval(&|s| self.static_value(s))
    }

    pub fn is_time(&self, d: &Dim) -> bool {
        d.as_sym()
            .and_then(|s| self.get(s))
            .is_some_and(|e| e.role == Role::Time)
    }

    /// Launch symbols in order of declaration: the order of the sizes passed to a compiled function.
    pub fn launch_syms(&self) -> Vec<Sym> {
        let launch = self.entries.iter().filter(|e| e.binding == Binding::Launch);
        launch.map(|e| e.sym.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_canonical_and_print_both_ways() {
        let (h, x) = (Dim::named("H"), Dim::named("X"));
        let four = Dim::constant(4);
        let hh = h.checked_mul(&h).unwrap();
        let hx = x.checked_mul(&h).unwrap();
        let sum = hx.checked_add(&hh).unwrap().checked_add(&h).unwrap();
        let cost = sum.checked_mul(&four).unwrap();
        assert_eq!(cost.formula(), "4·H² + 4·H·X + 4·H");
        assert_eq!(four.checked_mul(&h).unwrap().to_string(), "4H");
        assert_eq!(h.checked_add(&x).unwrap(), x.checked_add(&h).unwrap());
        assert_eq!(h.checked_sub(&h).unwrap().as_const(), Some(0));
        assert_eq!(cost.eval(&|_| Some(2)), Some(4 * (4 + 4 + 2)));
    }

    #[test]
    fn overflow_is_an_error_not_a_wrap() {
        let big = Dim::constant(i64::MAX);
        assert_eq!(big.checked_add(&Dim::constant(1)), Err(Overflow));
        assert_eq!(big.eval(&|_| None), Some(i64::MAX));
        assert_eq!(big.checked_mul(&big), Err(Overflow));
    }
}
