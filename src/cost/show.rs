//! Formulas as text.
//!
//! In: a [`Formula`] and what its sizes mean. Out: `B·(512·T·V_text + 3072·T·(T + 1) + 9437184·T)`:
//! terms of the highest degree first, of these the ones with the fewest times, then by name; the size
//! of the batch stands before the brackets where every term has it.

use super::formula::Formula;
use super::poly::{Poly, Powers, Ratio};
use crate::dim::{DimTable, Role, Sym};

/// The size of a number times powers times sums in brackets, without its sign: `3·T²·(T + 1)/(2·K)`.
pub fn term(powers: &Powers, n: Ratio, sums: &[String]) -> String {
    let mut above: Vec<String> = Vec::new();
    let mut below: Vec<String> = Vec::new();
    if n.num().unsigned_abs() != 1 {
        above.push(n.num().unsigned_abs().to_string());
    }
    if n.den() != 1 {
        below.push(n.den().to_string());
    }
    for (s, p) in powers {
        let side = if *p < 0 { &mut below } else { &mut above };
        side.push(match p.unsigned_abs() {
            1 => s.to_string(),
            2 => format!("{s}²"),
            3 => format!("{s}³"),
            p => format!("{s}^{p}"),
        });
    }
    above.extend(sums.iter().map(|s| format!("({s})")));
    if above.is_empty() {
        above.push("1".to_string());
    }
    let above = above.join("·");
    match below.as_slice() {
        [] => above,
        [one] => format!("{above}/{one}"),
        _ => format!("{above}/({})", below.join("·")),
    }
}

fn times(powers: &Powers, dims: &DimTable) -> i32 {
    let is_time = |s: &Sym| dims.get(s).is_some_and(|e| e.role == Role::Time);
    let times = powers.iter().filter(|(s, _)| is_time(s));
    times.map(|(_, p)| *p).sum()
}

fn degree(powers: &Powers) -> i32 {
    powers.values().sum()
}

/// Symbols, repeated for powers: the order of names.
fn names(powers: &Powers) -> Vec<Sym> {
    let each = powers.iter().flat_map(|(s, p)| {
        let n = usize::try_from(*p).unwrap_or(0);
        std::iter::repeat_n(s.clone(), n)
    });
    each.collect()
}

fn sum(terms: impl Iterator<Item = (bool, String)>) -> String {
    let mut out = String::new();
    for (negative, term) in terms {
        out.push_str(match (out.is_empty(), negative) {
            (true, true) => "-",
            (true, false) => "",
            (false, true) => " - ",
            (false, false) => " + ",
        });
        out.push_str(&term);
    }
    match out.is_empty() {
        true => "0".to_string(),
        false => out,
    }
}

/// A sum over an index set: by power of the time, as it grows.
fn inner(p: &Poly, dims: &DimTable) -> String {
    let mut terms: Vec<_> = p.terms().collect();
    terms.sort_by_key(|(m, _)| (-times(m, dims), -degree(m), names(m)));
    sum(terms
        .into_iter()
        .map(|(m, n)| (n.is_negative(), term(m, n, &[]))))
}

/// A term of the whole: its powers with those of its sums at their highest, for the order.
struct Term {
    powers: Powers,
    n: Ratio,
    sums: Vec<String>,
    degree: i32,
    times: i32,
}

impl Formula {
    pub fn show(&self, dims: &DimTable) -> String {
        let mut terms = Vec::new();
        for (sums, by) in &self.terms {
            let highest = |of: &dyn Fn(&Powers) -> i32| -> i32 {
                let each = sums.iter().map(|p| p.terms().map(|(m, _)| of(m)).max());
                each.flatten().sum()
            };
            let (more, later) = (highest(&degree), highest(&|m| times(m, dims)));
            let text: Vec<String> = sums.iter().map(|p| inner(p, dims)).collect();
            terms.extend(by.terms().map(|(m, n)| Term {
                powers: m.clone(),
                n,
                sums: text.clone(),
                degree: degree(m) + more,
                times: times(m, dims) + later,
            }));
        }
        terms.sort_by_key(|t| (-t.degree, t.times, names(&t.powers), t.sums.clone()));
        let batch = dims.iter().find(|e| e.role == Role::Batch).map(|e| &e.sym);
        let batch = batch.filter(|b| {
            terms.len() > 1
                && terms
                    .iter()
                    .all(|t| t.powers.get(b).is_some_and(|p| *p > 0))
        });
        if let Some(b) = batch {
            for t in &mut terms {
                match t.powers.get(b).copied() {
                    Some(p) if p > 1 => t.powers.insert(b.clone(), p - 1),
                    _ => t.powers.remove(b),
                };
            }
        }
        if let [t] = terms.as_slice()
            && (t.n, t.powers.len(), t.sums.len()) == (Ratio::ONE, 0, 1)
        {
            return t.sums.concat();
        }
        let each = terms
            .iter()
            .map(|t| (t.n.is_negative(), term(&t.powers, t.n, &t.sums)));
        let text = sum(each);
        match batch {
            Some(b) => format!("{b}·({text})"),
            None => text,
        }
    }
}
