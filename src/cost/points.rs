//! How many points of a box an index domain keeps.
//!
//! In: a domain over axes and their sizes. Out: [`Points`]: sums over index sets in closed form, the
//! pairs of `s <= t` as T·(T + 1)/2. Parts of a condition that share no axis multiply; `or` and `not`
//! are counted by inclusion and exclusion; what is left are conditions on one axis or on a pair
//! ([`super::pairs`]). A domain that has no such form is counted as one that contains it.

use super::assume::Assume;
use super::pairs;
use super::poly::Poly;
use crate::dim::{Dim, Overflow};
use crate::domain::{Affine, Coord, Domain};

/// More terms of inclusion and exclusion than this are not written out.
const MOST_TERMS: usize = 64;

/// The product of both is the count.
pub struct Points {
    /// Sums over index sets, kept apart.
    pub sums: Vec<Poly>,
    /// The sizes of all other axes.
    pub sizes: Poly,
    /// Not a bound only.
    pub exact: bool,
}

/// # Errors
/// Overflow of a coefficient.
pub fn points(domain: &Domain, sizes: &[Dim], assume: &mut Assume) -> Result<Points, Overflow> {
    let mut exact = true;
    let full = at_full_length(domain, false, &mut exact);
    let (mut sums, mut used) = (Vec::new(), vec![false; sizes.len()]);
    for part in independent(&full) {
        let mut part = part;
        let mut count = signed_count(&part, sizes, assume)?;
        if count.is_none() {
            exact = false;
            part = relaxed(&part, sizes, assume)?;
            count = signed_count(&part, sizes, assume)?;
        }
        if part.is_everywhere() {
            continue;
        }
        for a in axes(&part) {
            used[a] = true;
        }
        sums.extend(count);
    }
    let rest = sizes.iter().zip(&used).filter(|(_, used)| !**used);
    let sizes = rest
        .map(|(d, _)| Poly::of(d))
        .try_fold(Poly::int(1), |all, d| all.mul(&d))?;
    Ok(Points { sums, sizes, exact })
}

fn axes(d: &Domain) -> Vec<usize> {
    let axis = |c: Coord| match c {
        Coord::Axis(i) => Some(i),
        Coord::Of(_) => None,
    };
    d.coords().into_iter().filter_map(axis).collect()
}

/// The condition where every example is as long as its axis, with `not` only before equalities and
/// multiples: `axis < len` is always true there. Other conditions on lengths are widened.
fn at_full_length(d: &Domain, not: bool, exact: &mut bool) -> Domain {
    let of = d.coords().into_iter().find_map(|c| match c {
        Coord::Of(k) => Some(k),
        Coord::Axis(_) => None,
    });
    let nowhere = || Domain::Any(Vec::new());
    match d {
        Domain::Not(d) => at_full_length(d, !not, exact),
        Domain::All(parts) | Domain::Any(parts) => {
            let parts = parts.iter().map(|p| at_full_length(p, not, exact));
            match matches!(d, Domain::All(_)) != not {
                true => parts.fold(Domain::everywhere(), Domain::and),
                false => {
                    let parts: Vec<Domain> = parts.filter(|p| *p != nowhere()).collect();
                    match parts.iter().any(Domain::is_everywhere) {
                        true => Domain::everywhere(),
                        false => Domain::Any(parts),
                    }
                }
            }
        }
        Domain::AtLeast(_) | Domain::Zero(_) | Domain::Multiple(..) => match (of, d, not) {
            (Some(k), d, _) if d.as_before_end(k).is_some() => match not {
                true => nowhere(),
                false => Domain::everywhere(),
            },
            (Some(_), _, _) => {
                *exact = false;
                Domain::everywhere()
            }
            (None, d, false) => d.clone(),
            // not (f >= 0)  ⇔  −f − 1 >= 0
            (None, Domain::AtLeast(f), true) => {
                let one = Affine::constant(Dim::constant(-1));
                match f.scale(-1).and_then(|f| f.add(&one)) {
                    Ok(f) => Domain::AtLeast(f),
                    Err(_) => Domain::Not(Box::new(d.clone())),
                }
            }
            (None, d, true) => Domain::Not(Box::new(d.clone())),
        },
    }
}

/// The parts of a conjunction, those that share an axis together.
fn independent(d: &Domain) -> Vec<Domain> {
    let parts = match d {
        Domain::All(parts) => parts.clone(),
        one => vec![one.clone()],
    };
    let mut groups: Vec<Domain> = Vec::new();
    for p in parts {
        let own = axes(&p);
        let (with, without): (Vec<Domain>, Vec<Domain>) = groups
            .into_iter()
            .partition(|g| axes(g).iter().any(|a| own.contains(a)));
        groups = without;
        groups.push(
            with.into_iter()
                .fold(Domain::everywhere(), Domain::and)
                .and(p),
        );
    }
    groups
}

/// One conjunction of the expansion: its parts are comparisons, equalities and multiples.
type Conjunction = Vec<Domain>;

/// The condition as a signed sum of conjunctions; `None` where they are too many.
fn expanded(d: &Domain) -> Option<Vec<(i64, Conjunction)>> {
    let product = |parts: Vec<Vec<(i64, Conjunction)>>| {
        let mut all = vec![(1i64, Conjunction::new())];
        for part in parts {
            let mut next = Vec::new();
            for (n, left) in &all {
                for (m, right) in &part {
                    let mut both = left.clone();
                    both.extend(right.iter().filter(|r| !left.contains(r)).cloned());
                    next.push((n * m, both));
                }
            }
            all = next;
            if all.len() > MOST_TERMS {
                return None;
            }
        }
        Some(all)
    };
    let complement = |mut terms: Vec<(i64, Conjunction)>| {
        terms.iter_mut().for_each(|(n, _)| *n = -*n);
        terms.insert(0, (1, Conjunction::new()));
        terms
    };
    match d {
        Domain::AtLeast(_) | Domain::Zero(_) | Domain::Multiple(..) => {
            Some(vec![(1, vec![d.clone()])])
        }
        Domain::Not(d) => Some(complement(expanded(d)?)),
        Domain::All(parts) => product(parts.iter().map(expanded).collect::<Option<_>>()?),
        Domain::Any(parts) => {
            let outside = parts.iter().map(|p| Some(complement(expanded(p)?)));
            Some(complement(product(outside.collect::<Option<_>>()?)?))
        }
    }
}

/// Points of the condition over the axes that it reads; `None` where it has no closed form here.
fn signed_count(d: &Domain, sizes: &[Dim], assume: &mut Assume) -> Result<Option<Poly>, Overflow> {
    let Some(terms) = expanded(d) else {
        return Ok(None);
    };
    let own = axes(d);
    let before = assume.made.clone();
    let mut sum = Poly::default();
    for (n, parts) in terms {
        let Some(count) = conjunction(&parts, &own, sizes, assume)? else {
            assume.made = before;
            return Ok(None);
        };
        sum = sum.add(&count.mul(&Poly::int(n))?)?;
    }
    Ok(Some(sum))
}

fn conjunction(
    parts: &[Domain],
    own: &[usize],
    sizes: &[Dim],
    assume: &mut Assume,
) -> Result<Option<Poly>, Overflow> {
    let all = Domain::All(parts.to_vec());
    let mut count = Poly::int(1);
    for a in own {
        if !axes(&all).contains(a) {
            count = count.mul(&Poly::of(&sizes[*a]))?;
        }
    }
    for group in independent(&all) {
        if group.is_everywhere() {
            continue;
        }
        let literals = match &group {
            Domain::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let here = match axes(&group).as_slice() {
            [x] => pairs::one(literals, *x, sizes, assume)?,
            [x, y] => pairs::two(literals, (*x, *y), sizes, assume)?,
            _ => None,
        };
        let Some(here) = here else { return Ok(None) };
        count = count.mul(&here)?;
    }
    Ok(Some(count))
}

/// A domain that contains this one and can be counted: of what must all hold, as much as possible.
fn relaxed(d: &Domain, sizes: &[Dim], assume: &mut Assume) -> Result<Domain, Overflow> {
    match d {
        Domain::All(parts) => {
            let mut all = Domain::everywhere();
            for p in parts {
                for more in [p.clone(), relaxed(p, sizes, assume)?] {
                    let both = all.clone().and(more);
                    if signed_count(&both, sizes, assume)?.is_some() {
                        all = both;
                        break;
                    }
                }
            }
            Ok(all)
        }
        Domain::Any(parts) => {
            let parts = parts.iter().map(|p| relaxed(p, sizes, assume));
            let any = Domain::Any(parts.collect::<Result<_, Overflow>>()?);
            let widened = any.widened(&Some);
            Ok(match signed_count(&widened, sizes, assume)? {
                Some(_) => widened,
                None => Domain::everywhere(),
            })
        }
        one => Ok(match signed_count(one, sizes, assume)? {
            Some(_) => one.clone(),
            None => Domain::everywhere(),
        }),
    }
}
