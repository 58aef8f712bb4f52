//! Closed forms against counting one by one.

use std::collections::BTreeSet;

use crate::cost::assume::Assume;
use crate::cost::formula::Formula;
use crate::cost::points::points;
use crate::dim::{Binding, Dim, DimTable, Role, Sym};
use crate::domain::{Affine, Coord, Domain};

pub fn dims() -> DimTable {
    let mut dims = DimTable::default();
    dims.declare(Sym::new("B"), Role::Batch, Binding::Launch);
    dims.declare(Sym::new("T"), Role::Time, Binding::Launch);
    dims.declare(Sym::new("S"), Role::Time, Binding::Launch);
    dims.declare(Sym::new("K"), Role::Feature, Binding::Static(None));
    dims
}

fn axis(i: usize) -> Affine {
    Affine::coord(Coord::Axis(i))
}

fn size(name: &str) -> Affine {
    Affine::constant(Dim::named(name))
}

fn number(n: i64) -> Affine {
    Affine::constant(Dim::constant(n))
}

fn less(a: &Affine, b: &Affine) -> Affine {
    a.sub(b).unwrap()
}

fn le(a: &Affine, b: &Affine) -> Domain {
    Domain::le(a, b).unwrap()
}

fn lt(a: &Affine, b: &Affine) -> Domain {
    Domain::lt(a, b).unwrap()
}

fn not(d: Domain) -> Domain {
    Domain::Not(Box::new(d))
}

/// Axis 0 is `t`, axis 1 is `s`.
pub fn causal() -> Domain {
    le(&axis(1), &axis(0))
}

/// `t - s < K`
pub fn near() -> Domain {
    lt(&less(&axis(0), &axis(1)), &size("K"))
}

/// `mod(s, K) == 0`
pub fn every() -> Domain {
    Domain::Multiple(axis(1), Dim::named("K"))
}

/// The count by formula over `[T, T]`, what it takes for granted, and whether it is exact. Each
/// formula is compared with counting one by one wherever that holds; a bound only from above.
fn counted_over(domain: &Domain, shape: &[Dim]) -> (String, String, bool) {
    let dims = dims();
    let mut assume = Assume {
        dims: &dims,
        made: BTreeSet::new(),
    };
    let count = points(domain, shape, &mut assume).unwrap();
    let formula = Formula::product(&count.sizes, &count.sums).unwrap();
    let mut compared = 0;
    for k in 1..=5i64 {
        for n in 1..=15 {
            let known = |s: &Sym| match s.name() {
                "K" => Some(k),
                "T" => Some(n),
                "S" => Some(7),
                _ => None,
            };
            if assume.made.iter().any(|a| a.holds(&known) != Some(true)) {
                continue;
            }
            compared += 1;
            let sizes: Vec<i64> = shape.iter().map(|d| d.eval(&known).unwrap()).collect();
            let mut all = 0;
            for t in 0..sizes[0] {
                for s in 0..sizes[1] {
                    // Numbers of an example are full lengths.
                    let at = |c: Coord| match c {
                        Coord::Axis(0) => t,
                        Coord::Axis(_) => s,
                        Coord::Of(_) => sizes[0],
                    };
                    all += i64::from(domain.holds(&at, &known).unwrap());
                }
            }
            let said = formula.value(&known);
            let said = said.unwrap_or_else(|| panic!("{domain} at K = {k}, T = {n}"));
            match count.exact {
                true => assert_eq!(said, all, "{domain} at K = {k}, T = {n}"),
                false => assert!(said >= all, "{domain} at K = {k}, T = {n}"),
            }
        }
    }
    assert!(compared > 0, "{domain} takes for granted what never holds");
    let assumed: Vec<String> = assume.made.iter().map(ToString::to_string).collect();
    (formula.show(&dims), assumed.join(", "), count.exact)
}

fn counted(domain: &Domain) -> (String, String, bool) {
    counted_over(domain, &[Dim::named("T"), Dim::named("T")])
}

fn shows(domain: &Domain, formula: &str, assumed: &str) {
    let want = (formula.to_string(), assumed.to_string(), true);
    assert_eq!(counted(domain), want, "{domain}");
}

#[test]
fn triangles_and_bands() {
    shows(&Domain::everywhere(), "T²", "");
    shows(&causal(), "T·(T + 1)/2", "");
    shows(&lt(&axis(1), &axis(0)), "T·(T - 1)/2", "");
    shows(&not(causal()), "T·(T - 1)/2", "");
    shows(&Domain::equal(&axis(0), &axis(1)).unwrap(), "T", "");
    shows(&causal().and(near()), "K·(2·T - K + 1)/2", "K <= T");
    let ahead = le(&less(&axis(1), &axis(0)), &size("K"));
    let window = near().and(ahead);
    assert!(counted(&window).2);
    // The step before, and every step but one's own.
    let before = Domain::equal(&axis(1), &less(&axis(0), &number(1))).unwrap();
    shows(&before, "T - 1", "");
    let own = Domain::equal(&axis(0), &axis(1)).unwrap();
    shows(&not(own), "T·(T - 1)", "");
}

#[test]
fn strides_need_a_length_that_comes_out_even() {
    let even = "T a multiple of K";
    shows(&every(), "T²/K", even);
    shows(&causal().and(every()), "T·(T/K + 1)/2", even);
    let by_gap = Domain::Multiple(less(&axis(0), &axis(1)), Dim::named("K"));
    shows(&causal().and(by_gap.clone()), "T·(T/K + 1)/2", even);
    let strided = causal().and(near().or(every()));
    shows(&strided, "(T²/K + 2·K·T - T - K² + K)/2", even);
    for d in [
        causal().and(not(every())),
        by_gap.clone(),
        causal().and(near().or(by_gap)),
        causal().and(every()).and(near()),
        Domain::Multiple(axis(0), Dim::named("K")).and(causal()),
        causal().and(Domain::Multiple(
            axis(1).add(&number(1)).unwrap(),
            Dim::named("K"),
        )),
    ] {
        let (formula, assumed, exact) = counted(&d);
        assert!(exact && assumed.contains(even), "{d}: {formula} {assumed}");
    }
}

/// Points where `T = K²`: the sum grows as T·√T.
#[test]
fn strided_attention_is_of_the_order_of_t_root_t() {
    let dims = dims();
    let strided = causal().and(near().or(every()));
    let mut assume = Assume {
        dims: &dims,
        made: BTreeSet::new(),
    };
    let shape = [Dim::named("T"), Dim::named("T")];
    let count = points(&strided, &shape, &mut assume).unwrap();
    let formula = Formula::product(&count.sizes, &count.sums).unwrap();
    for k in [2i64, 8, 64, 512, 4096] {
        let known = |s: &Sym| Some(if s.name() == "K" { k } else { k * k });
        let n = formula.value(&known).unwrap();
        // T·√T = K³
        assert!(2 * n <= 3 * k.pow(3), "{n} at K = {k}");
        assert!(n >= k.pow(3), "{n} at K = {k}");
    }
}

#[test]
fn bounds_on_one_axis_and_on_the_gap_go_together() {
    // A prefix is seen by all, what comes after it only by later steps.
    let prefix = lt(&axis(1), &size("K"));
    shows(
        &causal().or(prefix.clone()),
        "(T² + T + K² - K)/2",
        "K <= T",
    );
    for d in [
        prefix.clone().and(causal()),
        prefix.clone().and(not(causal())),
        le(&size("K"), &axis(0)).and(causal()),
        le(&axis(1).scale(2).unwrap(), &number(5)).and(Domain::everywhere()),
        prefix.or(near().and(causal())),
        causal().and(lt(&axis(0), &axis(1))),
    ] {
        assert!(counted(&d).2, "{d}");
    }
}

#[test]
fn padding_counts() {
    let real = Domain::before_end(1, 9);
    shows(&causal().and(real.clone()), "T·(T + 1)/2", "");
    shows(&causal().or(real), "T²", "");
}

#[test]
fn what_has_no_form_is_counted_as_what_contains_it() {
    let twice = le(&axis(1).scale(2).unwrap(), &axis(0));
    assert_eq!(counted(&twice), ("T²".into(), String::new(), false));
    let (formula, _, exact) = counted(&twice.clone().and(causal()));
    assert_eq!((formula.as_str(), exact), ("T·(T + 1)/2", false));
    assert!(!counted(&twice.or(every())).2);
    // Which of two sequences is longer is not known.
    let (t, s) = (Dim::named("T"), Dim::named("S"));
    let (formula, _, exact) = counted_over(&causal(), &[t, s]);
    assert_eq!((formula.as_str(), exact), ("S·T", false));
}

/// Random formulas of two levels: whatever form is found, it counts right or is a bound.
#[test]
fn random_conditions_are_counted_right() {
    let mut state = 1u64;
    let mut draw = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut exact = 0;
    let all = 200;
    for _ in 0..all {
        let mut literal = || {
            let form = match draw(4) {
                0 => axis(0),
                1 => axis(1),
                2 => less(&axis(0), &axis(1)),
                _ => less(&axis(1), &axis(0)),
            };
            let by = match draw(5) {
                0 => number(0),
                1 => number(1),
                2 => number(-2),
                3 => size("K"),
                _ => less(&number(0), &size("K")),
            };
            let form = form.add(&by).unwrap();
            let d = match draw(5) {
                0 => Domain::Zero(form),
                1 => Domain::Multiple(form, Dim::named("K")),
                _ => Domain::AtLeast(form),
            };
            if draw(4) == 0 { not(d) } else { d }
        };
        let pair = [literal(), literal(), literal()];
        let [a, b, c] = pair;
        let d = match draw(4) {
            0 => a.and(b),
            1 => a.or(b),
            2 => a.and(b.or(c)),
            _ => not(a.and(b)).and(c),
        };
        exact += usize::from(counted(&d).2);
    }
    assert!(exact * 2 > all, "{exact} of {all} are exact");
}
