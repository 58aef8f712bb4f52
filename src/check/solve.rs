//! Linear unification over sizes.
//!
//! In: pairs of sizes that must agree. Out: what each unknown size is, or a mismatch. Unknowns are
//! symbols whose name starts with `?`; known symbols are rigid unless their numbers are equal, in
//! which case one is replaced by the other so that equal sizes are equal structurally.

use std::collections::{BTreeMap, BTreeSet};

use crate::dim::{Binding, Dim, DimTable, Overflow, Role, Sym};

/// Why two sizes do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    Differ,
    Overflow,
}

impl From<Overflow> for Clash {
    fn from(_: Overflow) -> Clash {
        Clash::Overflow
    }
}

#[derive(Debug, Default)]
pub struct Solver {
    pub table: DimTable,
    /// What a symbol stands for; never mentions the symbol itself.
    subst: BTreeMap<Sym, Dim>,
    unknowns: u32,
    by_value: BTreeMap<i64, Sym>,
    by_name: BTreeMap<(String, i64), Sym>,
    /// Symbols of plain numbers, which no text names: messages show the number.
    plain: BTreeMap<Sym, i64>,
    taken: BTreeSet<String>,
    /// Equations `d = 0` that more facts may still solve.
    pending: Vec<Dim>,
}

impl Solver {
    /// A size to be found.
    pub fn unknown(&mut self) -> Dim {
        self.unknowns += 1;
        Dim::named(&format!("?{}", self.unknowns))
    }

    /// A name that no symbol has yet: `H`, `H_2`, …
    pub fn unique(&mut self, base: &str) -> Sym {
        let mut name = base.to_string();
        let mut n = 1;
        while !self.taken.insert(name.clone()) {
            n += 1;
            name = format!("{base}_{n}");
        }
        Sym::new(&name)
    }

    pub fn declare(&mut self, name: &str, role: Role, binding: Binding) -> Dim {
        let sym = self.unique(name);
        if let (Role::Feature, Binding::Static(Some(n))) = (role, binding) {
            self.by_value.entry(n).or_insert_with(|| sym.clone());
        }
        self.table.declare(sym.clone(), role, binding);
        Dim::sym(&sym)
    }

    /// The symbol of a literal size, named after what it was first given for. 1 stays a number.
    pub fn literal(&mut self, n: i64, hint: &str) -> Dim {
        if n == 1 {
            return Dim::constant(1);
        }
        match self.by_value.get(&n) {
            Some(s) => Dim::sym(s),
            None => {
                let d = self.declare(hint, Role::Feature, Binding::Static(Some(n)));
                self.plain.extend(d.as_sym().map(|s| (s.clone(), n)));
                d
            }
        }
    }

    /// A size that a file declares by name: one symbol, however many definitions read it, and not
    /// that of another name with the same number.
    pub fn named(&mut self, name: &str, n: i64) -> Dim {
        let key = (name.to_string(), n);
        if let Some(s) = self.by_name.get(&key) {
            return Dim::sym(s);
        }
        let d = self.declare(name, Role::Feature, Binding::Static(Some(n)));
        self.by_name.extend(d.as_sym().map(|s| (key, s.clone())));
        d
    }

    /// The size with everything known put in.
    pub fn resolve(&self, d: &Dim) -> Result<Dim, Overflow> {
        let mut d = d.clone();
        // Each round removes at least one level of substitution; the chain is finite because no
        // symbol stands for something that mentions it.
        while d.syms().iter().any(|s| self.subst.contains_key(s)) {
            d = d.subst(&|s| self.subst.get(s).cloned())?;
        }
        Ok(d)
    }

    /// As it is shown: unknown sizes print as `?`.
    pub fn show_dim(&self, d: &Dim) -> String {
        let d = self.resolve(d).unwrap_or_else(|_| d.clone());
        let d = d.subst(&|s| match is_unknown(s) {
            true => Some(Dim::named("?")),
            false => self.plain.get(s).map(|n| Dim::constant(*n)),
        });
        d.map_or("?".into(), |d| d.to_string())
    }

    pub fn show(&self, shape: &[Dim]) -> String {
        if shape.is_empty() {
            return "a number".into();
        }
        let parts: Vec<String> = shape.iter().map(|d| self.show_dim(d)).collect();
        format!("[{}]", parts.join(", "))
    }

    pub fn is_time(&self, d: &Dim) -> bool {
        self.resolve(d).is_ok_and(|d| self.table.is_time(&d))
    }

    pub fn mentions_time(&self, d: &Dim) -> bool {
        let Ok(d) = self.resolve(d) else { return false };
        let time = |s: &Sym| self.table.get(s).is_some_and(|e| e.role == Role::Time);
        d.syms().iter().any(time)
    }

    pub fn is_known(&self, d: &Dim) -> bool {
        self.resolve(d)
            .is_ok_and(|d| !d.syms().iter().any(is_unknown))
    }

    pub fn value(&self, d: &Dim) -> Option<i64> {
        self.table.eval_static(&self.resolve(d).ok()?)
    }

    /// Makes two sizes one, or says that they differ.
    pub fn unify(&mut self, a: &Dim, b: &Dim) -> Result<(), Clash> {
        let d = self.resolve(a)?.checked_sub(&self.resolve(b)?)?;
        self.zero(d)
    }

    /// Solves `d = 0`.
    fn zero(&mut self, d: Dim) -> Result<(), Clash> {
        if d.as_const() == Some(0) {
            return Ok(());
        }
        let unknowns: Vec<Sym> = d.syms().into_iter().filter(is_unknown).collect();
        if unknowns.is_empty() {
            return self.equal_numbers(d);
        }
        // k·v + rest = 0, so v = −rest/k where every term of the rest is divisible.
        let mut linear: Vec<(Sym, i64, Dim)> = unknowns
            .iter()
            .filter_map(|v| d.linear_in(v).map(|(k, rest)| (v.clone(), k, rest)))
            .collect();
        linear.sort_by_key(|(_, k, _)| k.unsigned_abs());
        for (v, k, rest) in &linear {
            if let Some(value) = divided(rest, k.checked_neg().ok_or(Clash::Overflow)?) {
                self.subst.insert(v.clone(), value);
                return Ok(());
            }
        }
        if let [v] = unknowns.as_slice() {
            return match self.solve_in_numbers(&d, v)? {
                Some(n) => {
                    let value = self.literal(n, "N");
                    self.subst.insert(v.clone(), value);
                    let d = self.resolve(&d)?;
                    self.zero(d)
                }
                None if self.numeric(&d, v) => Err(Clash::Differ),
                None => {
                    self.pending.push(d);
                    Ok(())
                }
            };
        }
        self.pending.push(d);
        Ok(())
    }

    /// Whether all symbols but `v` have numbers.
    fn numeric(&self, d: &Dim, v: &Sym) -> bool {
        let known = |s: &Sym| s == v || self.table.static_value(s).is_some();
        d.syms().iter().all(known)
    }

    /// The whole positive number that makes `d` zero, where `d` is linear in `v` and everything
    /// else in it has a number: `4·?1 = Z` with `Z = 512` gives 128.
    fn solve_in_numbers(&self, d: &Dim, v: &Sym) -> Result<Option<i64>, Clash> {
        if !self.numeric(d, v) {
            return Ok(None);
        }
        let at = |n: i64| {
            d.eval(&|s| {
                if s == v {
                    Some(n)
                } else {
                    self.table.static_value(s)
                }
            })
        };
        let (zero, one) = (at(0).ok_or(Clash::Overflow)?, at(1).ok_or(Clash::Overflow)?);
        let slope = one.checked_sub(zero).ok_or(Clash::Overflow)?;
        if slope == 0 || zero.checked_rem(slope) != Some(0) {
            return Ok(None);
        }
        let n = zero
            .checked_div(slope)
            .and_then(i64::checked_neg)
            .ok_or(Clash::Overflow)?;
        Ok((n > 0 && at(n) == Some(0)).then_some(n))
    }

    /// `d` has no unknowns: it may still be zero in numbers, as `2E − H` at E = 64, H = 128. Then
    /// one symbol is replaced, so that later comparisons are structural.
    fn equal_numbers(&mut self, d: Dim) -> Result<(), Clash> {
        let syms = d.syms();
        let feature = |s: &Sym| self.table.get(s).is_some_and(|e| e.role == Role::Feature);
        if syms.is_empty() || !syms.iter().all(feature) || self.table.eval_static(&d) != Some(0) {
            return Err(Clash::Differ);
        }
        let age = |s: &Sym| self.table.iter().position(|e| &e.sym == s);
        let mut youngest_first = syms.clone();
        youngest_first.sort_by_key(|s| std::cmp::Reverse(age(s)));
        for s in &youngest_first {
            if let Some((k, rest)) = d.linear_in(s)
                && let Some(value) = k.checked_neg().and_then(|k| divided(&rest, k))
            {
                self.subst.insert(s.clone(), value);
                return Ok(());
            }
        }
        for s in syms {
            let n = self.table.static_value(&s).ok_or(Clash::Differ)?;
            self.subst.insert(s, Dim::constant(n));
        }
        Ok(())
    }

    /// Tries the postponed equations again; an error where one can no longer hold.
    pub fn settle(&mut self) -> Result<(), Clash> {
        loop {
            let before = self.pending.len();
            for d in std::mem::take(&mut self.pending) {
                let d = self.resolve(&d)?;
                self.zero(d)?;
            }
            if self.pending.len() >= before {
                return Ok(());
            }
        }
    }
}

pub fn is_unknown(s: &Sym) -> bool {
    s.name().starts_with('?')
}

/// `d / k` where every coefficient is divisible.
fn divided(d: &Dim, k: i64) -> Option<Dim> {
    let mut out = Dim::default();
    for (m, n) in d.terms() {
        if k == 0 || n.checked_rem(k)? != 0 {
            return None;
        }
        let mut term = Dim::constant(n.checked_div(k)?);
        for s in m {
            term = term.checked_mul(&Dim::sym(s)).ok()?;
        }
        out = out.checked_add(&term).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: i64, d: &Dim) -> Dim {
        Dim::constant(n).checked_mul(d).unwrap()
    }

    #[test]
    fn an_unknown_takes_what_is_left() {
        let mut s = Solver::default();
        let h = s.declare("H", Role::Feature, Binding::Static(None));
        let x = s.declare("X", Role::Feature, Binding::Static(None));
        let hx = h.checked_add(&x).unwrap();
        let u = s.unknown();
        s.unify(&u.checked_add(&x).unwrap(), &hx).unwrap();
        assert_eq!(s.resolve(&u).unwrap(), h);
        assert_eq!(s.unify(&h, &x), Err(Clash::Differ));
        let w = s.unknown();
        assert_eq!(s.show(&[w, hx]), "[?, H+X]");
    }

    #[test]
    fn equal_numbers_become_one_structure() {
        let mut s = Solver::default();
        let e = s.literal(64, "E");
        let h = s.literal(128, "H");
        assert_eq!(s.literal(64, "N"), e);
        s.unify(&times(2, &e), &h).unwrap();
        assert_eq!(s.resolve(&h).unwrap(), times(2, &e));
        assert_eq!(s.unify(&e, &h), Err(Clash::Differ));
    }

    #[test]
    fn quarters_of_a_literal_are_found_in_numbers() {
        let mut s = Solver::default();
        let z = s.literal(512, "Z");
        let part = s.unknown();
        s.unify(&times(4, &part), &z).unwrap();
        assert_eq!(s.value(&part), Some(128));
        assert_eq!(s.resolve(&z).unwrap(), times(4, &s.resolve(&part).unwrap()));
        let third = s.unknown();
        assert_eq!(s.unify(&times(3, &third), &z), Err(Clash::Differ));
    }

    #[test]
    fn a_time_is_never_a_feature_of_the_same_number() {
        let mut s = Solver::default();
        let d = s.declare("D", Role::Time, Binding::Static(Some(30)));
        let h = s.literal(30, "H");
        assert_eq!(s.unify(&d, &h), Err(Clash::Differ));
    }

    #[test]
    fn equations_with_two_unknowns_wait() {
        let mut s = Solver::default();
        let (a, b) = (s.unknown(), s.unknown());
        let h = s.literal(6, "H");
        let d = times(2, &a).checked_add(&times(3, &b)).unwrap();
        s.unify(&d, &times(5, &h)).unwrap();
        s.unify(&a, &h).unwrap();
        s.settle().unwrap();
        assert_eq!(s.resolve(&b).unwrap(), h);
    }
}
