//! What conditions say, point by point, and what they prove.

use super::*;

const T: Coord = Coord::Axis(0);
const S: Coord = Coord::Axis(1);

fn name(c: Coord) -> String {
    match c {
        T => "t".into(),
        S => "s".into(),
        Coord::Axis(i) => format!("i{i}"),
        Coord::Of(_) => "len".into(),
    }
}

fn at(t: i64, s: i64) -> impl Fn(Coord) -> i64 {
    move |c| match c {
        T => t,
        S => s,
        _ => 0,
    }
}

fn causal() -> Domain {
    Domain::le(&Affine::coord(S), &Affine::coord(T)).unwrap()
}

/// `t - s < K`
fn near() -> Domain {
    let gap = Affine::coord(T).sub(&Affine::coord(S)).unwrap();
    Domain::lt(&gap, &Affine::constant(Dim::named("K"))).unwrap()
}

#[test]
fn conditions_print_as_they_are_written() {
    let every = Domain::Multiple(Affine::coord(S), Dim::named("K"));
    let strided = causal().and(near().or(every));
    assert_eq!(
        strided.show(&name),
        "s <= t and (t < s + K or mod(s, K) == 0)"
    );
    assert_eq!(Domain::before_end(1, 0).show(&name), "s < len");
    assert_eq!(Domain::before_end(1, 0).as_before_end(0), Some(1));
    assert_eq!(causal().as_before_end(0), None);
}

#[test]
fn evaluation_agrees_with_the_formula() {
    let k = |_: &Sym| Some(3);
    let every = Domain::Multiple(Affine::coord(S), Dim::named("K"));
    let d = causal().and(near().or(every));
    for t in 0..10 {
        for s in 0..10 {
            let want = s <= t && (t - s < 3 || s % 3 == 0);
            assert_eq!(d.holds(&at(t, s), &k), Some(want), "{t} {s}");
        }
    }
    assert_eq!(near().holds(&at(0, 0), &|_| None), None);
}

#[test]
fn bounds_are_proven_only_where_they_hold() {
    assert_eq!(causal().at_most_after(S, T), Some(0));
    assert_eq!(causal().at_most_after(T, S), None);
    let strict = Domain::lt(&Affine::coord(S), &Affine::coord(T)).unwrap();
    assert_eq!(strict.at_most_after(S, T), Some(-1));
    assert_eq!(strict.clone().or(causal()).at_most_after(S, T), Some(0));
    assert_eq!(near().or(causal()).at_most_after(S, T), None);
    let not_after = Domain::Not(Box::new(
        Domain::lt(&Affine::coord(T), &Affine::coord(S)).unwrap(),
    ));
    assert_eq!(not_after.at_most_after(S, T), Some(0));
    let twice = |c: Coord| Affine::coord(c).scale(2).unwrap();
    let half = Domain::le(&twice(S), &Affine::coord(T)).unwrap();
    assert_eq!(half.at_most_after(S, T), Some(0));
    let double = Domain::le(&Affine::coord(S), &twice(T)).unwrap();
    assert_eq!(double.at_most_after(S, T), None);
    // s + K <= t, as K is at least 1.
    let far = Affine::coord(S)
        .add(&Affine::constant(Dim::named("K")))
        .unwrap();
    let far = Domain::le(&far, &Affine::coord(T)).unwrap();
    assert_eq!(far.at_most_after(S, T), Some(-1));
    // s <= 3 is s <= t + 3 at t = 0 too; s + z <= t bounds both.
    let early = Domain::le(&Affine::coord(S), &Affine::constant(Dim::constant(3))).unwrap();
    assert_eq!(early.at_most_after(S, T), Some(3));
    let sum = Affine::coord(S)
        .add(&Affine::coord(Coord::Axis(2)))
        .unwrap();
    let sum = Domain::le(&sum, &Affine::coord(T)).unwrap();
    assert_eq!(sum.at_most_after(S, T), Some(0));
    assert_eq!(sum.at_most_after(T, S), None);
}

#[test]
fn containment_and_widening() {
    assert!(causal().contains(&causal().and(near())));
    assert!(!causal().and(near()).contains(&causal()));
    let same = Domain::equal(&Affine::coord(S), &Affine::coord(T)).unwrap();
    assert!(causal().contains(&same));
    let only_s = |c: Coord| (c == S).then_some(c);
    assert!(causal().widened(&only_s).is_everywhere());
    let both = causal().and(Domain::before_end(1, 0));
    assert_eq!(
        both.widened(&|c| (c != T).then_some(c)),
        Domain::before_end(1, 0)
    );
}
