//! Index form, op by op: derivatives against differences, plans and machine code against the
//! interpreter, at sizes down to nothing.

mod common;

use common::cases::{Case, check_compiled, dims_of};
use seqc::dim::Dim;
use seqc::domain::{Affine, Coord, Domain};
use seqc::ir::*;

fn axis(i: usize) -> Affine {
    Affine::coord(Coord::Axis(i))
}

fn number(n: i64) -> Affine {
    Affine::constant(Dim::constant(n))
}

/// `s <= t`
fn causal(t: usize, s: usize) -> Domain {
    Domain::le(&axis(s), &axis(t)).unwrap()
}

/// `t - s < n`
fn near(t: usize, s: usize, n: i64) -> Domain {
    Domain::lt(&axis(t).sub(&axis(s)).unwrap(), &number(n)).unwrap()
}

fn mask(
    c: &mut Case<'_, '_>,
    args: &[ValueId],
    domain: Domain,
    fill: f64,
    batch: Option<usize>,
) -> ValueId {
    let kind = OpKind::Mask {
        domain,
        fill,
        batch,
    };
    c.b.emit(kind, args, "m")
}

/// Every kind of condition on the axes `t` and `s`, by name; some leave rows with nothing.
fn domains(t: usize, s: usize) -> Vec<(&'static str, Domain)> {
    let every = Domain::Multiple(axis(s), Dim::constant(2));
    let past = Domain::lt(&axis(s), &axis(t)).unwrap();
    vec![
        ("causal", causal(t, s)),
        ("strictly past", past.clone()),
        ("banded", causal(t, s).and(near(t, s, 2))),
        ("every second", every.clone()),
        (
            "of a named size",
            Domain::Multiple(axis(s), Dim::named("N")),
        ),
        (
            "near or every second",
            causal(t, s).and(near(t, s, 2).or(every)),
        ),
        ("not the past", Domain::Not(Box::new(past))),
        ("the diagonal", Domain::equal(&axis(t), &axis(s)).unwrap()),
        ("everywhere", Domain::everywhere()),
        ("nowhere", Domain::Any(vec![])),
    ]
}

#[test]
fn masks_by_axes_alone() {
    for (shape, t, s, batch) in [
        (&["T", "S"][..], 0, 1, None),
        (&["B", "T", "S"], 1, 2, Some(0)),
        (&["T", "B", "S"], 0, 2, Some(1)),
        (&["T", "B", "T"], 2, 0, Some(1)),
    ] {
        for (name, domain) in domains(t, s) {
            check_compiled(name, |c| {
                let x = c.weight("x", shape);
                let x = c.b.unary(Unary::Tanh, x, "x");
                mask(c, &[x], domain.clone(), 0.0, batch)
            });
        }
    }
}

#[test]
fn masks_by_lengths() {
    for (shape, t, s, batch) in [
        (&["B", "T", "S"][..], 1, 2, 0),
        (&["T", "B", "S"], 0, 2, 1),
        (&["T", "S", "B"], 0, 1, 2),
    ] {
        for both in [false, true] {
            check_compiled("lengths", |c| {
                let (x, len, of_s) = (c.weight("x", shape), c.lengths(), c.lengths_of("S"));
                let domain = match both {
                    true => Domain::before_end(t, 0).and(Domain::before_end(s, 1)),
                    false => Domain::before_end(s, 1),
                };
                mask(c, &[x, len, of_s], domain, 0.0, Some(batch))
            });
        }
    }
}

#[test]
fn softmax_of_what_is_left() {
    for (shape, t, s, batch) in [(&["B", "T", "S"][..], 1, 2, 0), (&["T", "B", "S"], 0, 2, 1)] {
        for (name, domain) in domains(t, s) {
            check_compiled(name, |c| {
                let (x, len) = (c.weight("x", shape), c.lengths_of("S"));
                let domain = domain.clone().and(Domain::before_end(s, 0));
                let x = mask(c, &[x, len], domain, f64::NEG_INFINITY, Some(batch));
                c.b.emit(OpKind::Softmax, &[x], "y")
            });
        }
    }
}

#[test]
fn axes_in_any_order() {
    for (shape, axes) in [
        (&["T", "B", "T"][..], &[2, 1, 0][..]),
        (&["H", "H"], &[1, 0]),
        (&["B", "T", "S"], &[1, 0, 2]),
        (&["T", "S", "B"], &[2, 0, 1]),
        (&["B", "H", "H", "H"], &[0, 2, 3, 1]),
    ] {
        check_compiled("transposed", |c| {
            let x = c.weight("x", shape);
            let x = c.b.unary(Unary::Tanh, x, "x");
            let to: Vec<Dim> = axes.iter().map(|a| Dim::named(shape[*a])).collect();
            let y = c.b.expand(x, axes.iter().map(|a| Some(*a)).collect(), &to);
            // Transposed twice is where it began, and must not be taken for once.
            let again = c.b.expand(y, axes.iter().map(|a| Some(*a)).collect(), &{
                let to: Vec<Dim> = axes.iter().map(|a| to[*a].clone()).collect();
                to
            });
            let z = c.b.unary(Unary::Sin, again, "z");
            let sum = c.b.reduce(ReduceOp::Sum, z, &[0], "sum");
            let first = c.b.reduce(ReduceOp::Sum, y, &[0, 1], "first");
            let total = c.b.reduce(
                ReduceOp::Sum,
                sum,
                &(0..shape.len() - 1).collect::<Vec<_>>(),
                "z",
            );
            c.b.add(first, total, "out")
        });
    }
    check_compiled("transposed and repeated", |c| {
        let x = c.weight("x", &["B", "T"]);
        let y =
            c.b.expand(x, vec![Some(1), None, Some(0)], &dims_of(&["T", "S", "B"]));
        c.b.mul(y, y, "yy")
    });
}

#[test]
fn positions_and_the_largest() {
    check_compiled("iota", |c| {
        let x = c.weight("x", &["T", "B", "X"]);
        let size = Dim::named("T");
        let t = c.b.emit(OpKind::Iota { size }, &[], "t");
        let t = if c.b.func.value(t).ty.elem == Elem::I32 {
            c.b.emit(OpKind::ToFloat, &[t], "t")
        } else {
            t
        };
        let t =
            c.b.expand(t, vec![Some(0), None, None], &dims_of(&["T", "B", "X"]));
        let y = c.b.mul(x, t, "y");
        c.b.unary(Unary::Sin, y, "y")
    });
    check_compiled("the largest keep their value", |c| {
        let x = c.weight("x", &["T", "B", "V"]);
        let top = c.b.emit(OpKind::Top { k: 2 }, &[x], "top");
        let kept = c.b.mul(top, x, "kept");
        c.b.unary(Unary::Tanh, kept, "y")
    });
    check_compiled("softmax over the largest", |c| {
        let x = c.weight("x", &["B", "V"]);
        let top = c.b.emit(OpKind::Top { k: 2 }, &[x], "top");
        let out = c.b.number(f64::NEG_INFINITY);
        let left = c.b.select(top, x, out, "left");
        c.b.emit(OpKind::Softmax, &[left], "y")
    });
}

#[test]
fn products_with_labels_in_any_order() {
    let (b, t, s, h, k, n) = (0, 1, 2, 3, 4, 5);
    let named = |labels: &[u8]| -> Vec<&str> {
        labels
            .iter()
            .map(|l| ["B", "T", "S", "H", "K", "N"][*l as usize])
            .collect()
    };
    for (l, r, o) in [
        // Scores, and their weighted sum.
        (&[t, b, n, k][..], &[s, b, n, k][..], &[b, n, t, s][..]),
        (&[t, b, n, k], &[s, b, n, k], &[t, b, n, s]),
        (&[b, n, t, s], &[s, b, n, k], &[t, b, n, k]),
        (&[t, b, n, s], &[b, s, k, n], &[n, t, k, b]),
        // A context at one step.
        (&[b, k], &[s, b, k], &[s, b]),
        (&[s, b], &[s, b, k], &[b, k]),
        (&[b, s], &[s, b, k], &[k, b]),
        // Weights with two kept or two summed axes.
        (&[t, b, h], &[n, k, h], &[t, b, n, k]),
        (&[t, b, n, k], &[h, n, k], &[t, b, h]),
        (&[t, b, k, n], &[h, n, k], &[h, t, b]),
        // Nothing summed; nothing shared; everything summed.
        (&[t, b], &[s, b], &[b, s, t]),
        (&[t, b], &[s], &[s, b, t]),
        (&[t, b, h], &[b, h, t], &[]),
        (&[t, b, h], &[b, h, t], &[h]),
    ] {
        check_compiled("contract", |c| {
            let (x, y) = (c.weight("x", &named(l)), c.weight("y", &named(r)));
            let x = c.b.unary(Unary::Tanh, x, "x");
            c.b.contract((l, x), (r, y), o, "z")
        });
    }
}
