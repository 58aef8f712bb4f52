//! Each op's derivative rule against central differences, at every coordinate, in f64.

mod common;

use common::cases::{Case, check};
use seqc::dim::Dim;
use seqc::ir::*;

#[test]
fn unary() {
    for (name, op) in [
        ("neg", Unary::Neg),
        ("exp", Unary::Exp),
        ("abs", Unary::Abs),
        ("sign", Unary::Sign),
        ("tanh", Unary::Tanh),
        ("sigmoid", Unary::Sigmoid),
        ("sin", Unary::Sin),
        ("cos", Unary::Cos),
        ("step", Unary::Step),
        ("erf", Unary::Erf),
    ] {
        check(name, |c| {
            let x = c.weight("x", &["B", "H"]);
            c.b.unary(op, x, "y")
        });
    }
    for (name, op) in [("log", Unary::Log), ("sqrt", Unary::Sqrt)] {
        check(name, |c| {
            let x = c.weight("x", &["H"]);
            let x = c.b.unary(Unary::Abs, x, "x");
            c.b.unary(op, x, "y")
        });
    }
}

#[test]
fn stop_passes_nothing() {
    check("stop", |c| {
        let x = c.weight("x", &["H"]);
        let zero = c.b.number(0.0);
        let still = c.b.mul(x, zero, "still");
        let s = c.b.unary(Unary::Stop, still, "s");
        c.b.add(x, s, "y")
    });
}

#[test]
fn binary() {
    for (name, op) in [
        ("add", Binary::Add),
        ("sub", Binary::Sub),
        ("mul", Binary::Mul),
        ("div", Binary::Div),
        ("max", Binary::Max),
        ("min", Binary::Min),
        ("lt", Binary::Lt),
        ("le", Binary::Le),
        ("eq", Binary::Eq),
    ] {
        for (l, r) in [
            (&["B", "H"][..], &["B", "H"][..]),
            (&[][..], &["H"][..]),
            (&["H"], &[]),
        ] {
            check(name, |c| {
                let (x, y) = (c.weight("x", l), c.weight("y", r));
                c.b.binary(op, x, y, "z")
            });
        }
    }
    check("pow", |c| {
        let (x, y) = (c.weight("x", &["H"]), c.weight("y", &["H"]));
        let x = c.b.unary(Unary::Abs, x, "x");
        c.b.binary(Binary::Pow, x, y, "z")
    });
    check("pow by a number", |c| {
        let (x, y) = (c.weight("x", &["H"]), c.b.number(3.0));
        c.b.binary(Binary::Pow, x, y, "z")
    });
}

#[test]
fn select() {
    check("select", |c| {
        let (x, y) = (c.weight("x", &["H"]), c.weight("y", &["H"]));
        let k = c.weight("k", &["H"]);
        let k = c.b.unary(Unary::Step, k, "k");
        c.b.select(k, x, y, "z")
    });
}

#[test]
fn expand() {
    for axes in [vec![None, Some(0)], vec![Some(0), None]] {
        check("expand", |c| {
            let x = c.weight("x", &["H"]);
            let shape: Vec<Dim> = axes
                .iter()
                .map(|a| Dim::named(if a.is_some() { "H" } else { "X" }))
                .collect();
            c.b.expand(x, axes.clone(), &shape)
        });
    }
}

#[test]
fn contract() {
    check("matrix times batch", |c| {
        let (x, w) = (c.weight("x", &["B", "X"]), c.weight("w", &["H", "X"]));
        c.b.contract((&[0, 1], x), (&[2, 1], w), &[0, 2], "z")
    });
    check("over time and batch", |c| {
        let (x, g) = (
            c.weight("x", &["T", "B", "X"]),
            c.weight("g", &["T", "B", "H"]),
        );
        c.b.contract((&[0, 1, 2], x), (&[0, 1, 3], g), &[3, 2], "z")
    });
    check("outer product", |c| {
        let (x, y) = (c.weight("x", &["B", "X"]), c.weight("y", &["B", "H"]));
        c.b.contract((&[0, 1], x), (&[0, 2], y), &[0, 2, 1], "z")
    });
    check("batched", |c| {
        let (x, y) = (
            c.weight("x", &["T", "B", "X"]),
            c.weight("y", &["B", "H", "X"]),
        );
        c.b.contract((&[0, 1, 2], x), (&[1, 3, 2], y), &[1, 0, 3], "z")
    });
}

#[test]
fn reductions() {
    for op in [ReduceOp::Sum, ReduceOp::Max] {
        for axes in [vec![0], vec![2], vec![0, 1], vec![0, 1, 2]] {
            check("reduce", |c| {
                let x = c.weight("x", &["T", "B", "H"]);
                c.b.reduce(op, x, &axes, "y")
            });
        }
    }
    for axes in [vec![0], vec![0, 1], vec![0, 2]] {
        check("masked sum", |c| {
            let (x, len) = (c.weight("x", &["T", "B", "H"]), c.lengths());
            c.b.reduce_masked(ReduceOp::Sum, x, len, &axes, "y")
        });
    }
}

#[test]
fn softmax_and_cross_entropy() {
    check("softmax", |c| {
        let x = c.weight("x", &["B", "H"]);
        c.b.emit(OpKind::Softmax, &[x], "y")
    });
    check("cross-entropy", |c| {
        let (x, k) = (c.weight("x", &["T", "B", "V"]), c.integers(&["T", "B"]));
        c.b.emit(OpKind::CrossEntropy, &[x, k], "y")
    });
}

#[test]
fn rows_of_a_table() {
    check("gather", |c| {
        let (x, k) = (c.weight("x", &["V", "H"]), c.integers(&["T", "B"]));
        c.b.emit(OpKind::Gather, &[x, k], "y")
    });
    check("scatter-add", |c| {
        let (x, k) = (c.weight("x", &["T", "B", "H"]), c.integers(&["T", "B"]));
        c.b.emit(
            OpKind::ScatterAdd {
                rows: Dim::named("V"),
            },
            &[x, k],
            "y",
        )
    });
}

#[test]
fn parts() {
    check("split, one part unread", |c| {
        let x = c.weight("x", &["B", "H"]);
        let y = c.weight("y", &["B", "X"]);
        let both = c.b.emit(OpKind::Concat { axis: 1 }, &[x, y], "xy");
        let sizes = vec![Dim::named("X"), Dim::named("H")];
        c.b.emit_all(OpKind::Split { axis: 1, sizes }, &[both], &["a", "b"])[1]
    });
    check("concat on axis 0", |c| {
        let (x, y) = (c.weight("x", &["H", "X"]), c.weight("y", &["B", "X"]));
        c.b.emit(OpKind::Concat { axis: 0 }, &[x, y], "z")
    });
}

#[test]
fn steps_of_a_sequence() {
    for which in [TakeWhich::First, TakeWhich::Last] {
        check("take", |c| {
            let (x, len) = (c.weight("x", &["T", "B", "H"]), c.lengths());
            c.b.emit(OpKind::Take(which), &[x, len], "y")
        });
        check("put", |c| {
            let (x, len) = (c.weight("x", &["B", "H"]), c.lengths());
            c.b.emit(
                OpKind::Put {
                    which,
                    extent: Dim::named("T"),
                },
                &[x, len],
                "y",
            )
        });
    }
    check("mask", |c| {
        let (x, len) = (c.weight("x", &["T", "B", "H"]), c.lengths());
        c.b.emit(OpKind::padding(), &[x, len], "y")
    });
    for by in [-2, 1, 9] {
        check("shift", |c| {
            let x = c.weight("x", &["T", "B", "H"]);
            c.b.emit(OpKind::Shift { by }, &[x], "y")
        });
    }
}

#[test]
fn random_draws_pass_nothing() {
    check("random", |c| {
        let x = c.weight("x", &["T", "B", "H"]);
        let shape = c.b.func.shape(x).to_vec();
        let kind = OpKind::Random {
            path: "d".into(),
            dist: Dist::Uniform,
            shape,
            timed: true,
        };
        let u = c.b.emit(kind, &[], "u");
        c.b.mul(x, u, "y")
    });
}

/// A cell with everything a scan's reverse must get right: a product with the state, a weight used
/// twice, an input product, a bias, a value read from outside for each example, two carries of which
/// one is only read, the state before and after collected, and the last state.
fn scan(c: &mut Case<'_, '_>, reverse: bool, with_len: bool, concat: bool) -> ValueId {
    let xs = c.weight("xs", &["T", "B", "X"]);
    let (u, w, bias) = (
        c.weight("U", &["H", "H"]),
        c.weight("W", &["H", "X"]),
        c.weight("b", &["H"]),
    );
    let (h0, ctx) = (c.weight("h0", &["B", "H"]), c.weight("ctx", &["B", "H"]));
    let wide = {
        let shape = vec![
            Dim::named("H"),
            Dim::named("H").checked_add(&Dim::named("X")).unwrap(),
        ];
        let value = c.b.func.fresh("Wc", Type::f32(shape));
        c.b.func.params.push(Param {
            path: "Wc".into(),
            value,
        });
        value
    };
    let len = with_len.then(|| c.lengths());
    let bh = vec![Dim::named("B"), Dim::named("H")];
    let tbh = vec![Dim::named("T"), Dim::named("B"), Dim::named("H")];
    let c0 = c.b.filled(0.5, &bh, "c0");
    let f = &mut c.b.func;
    let x = f.fresh("x", Type::f32(vec![Dim::named("B"), Dim::named("X")]));
    let (h, cell) = (
        f.fresh("h", Type::f32(bh.clone())),
        f.fresh("c", Type::f32(bh.clone())),
    );
    let (body, (hn, cn, gate)) = c.b.region(|b| {
        let z = b.contract((&[0, 1], h), (&[2, 1], u), &[0, 2], "z");
        let z = if concat {
            let hx = b.emit(OpKind::Concat { axis: 1 }, &[h, x], "hx");
            b.contract((&[0, 1], hx), (&[2, 1], wide), &[0, 2], "z")
        } else {
            let p = b.contract((&[0, 1], x), (&[2, 1], w), &[0, 2], "p");
            b.add(z, p, "z")
        };
        let bias = b.expand_leading(bias, &bh);
        let z = b.add(z, bias, "z");
        let gate = b.unary(Unary::Sigmoid, z, "gate");
        let again = b.contract((&[0, 1], gate), (&[2, 1], u), &[0, 2], "again");
        let g = b.unary(Unary::Tanh, again, "g");
        let one = b.number(1.0);
        let keep = b.sub(one, gate, "keep");
        let old = b.mul(keep, cell, "old");
        let new = b.mul(gate, g, "new");
        let cn = b.add(old, new, "c");
        let t = b.unary(Unary::Tanh, cn, "t");
        let t = b.mul(t, ctx, "t");
        let hn = b.add(t, h, "h");
        let half = b.number(0.5);
        let hn = b.mul(hn, half, "h");
        (hn, cn, gate)
    });
    let f = &mut c.b.func;
    let (hs, before, gates) = (
        f.fresh("hs", Type::f32(tbh.clone())),
        f.fresh("before", Type::f32(tbh.clone())),
        f.fresh("gates", Type::f32(tbh)),
    );
    let (h_last, c_last) = (
        f.fresh("h.last", Type::f32(bh.clone())),
        f.fresh("c.last", Type::f32(bh.clone())),
    );
    c.b.scan(Scan {
        extent: Dim::named("T"),
        reverse,
        len,
        valid: None,
        slices: vec![Slice { from: xs, to: x }],
        carries: vec![
            Carry {
                init: h0,
                param: h,
                next: hn,
                last: h_last,
            },
            Carry {
                init: c0,
                param: cell,
                next: cn,
                last: c_last,
            },
        ],
        stacks: vec![
            Stack { from: hn, to: hs },
            Stack {
                from: h,
                to: before,
            },
            Stack {
                from: gate,
                to: gates,
            },
        ],
        body,
    });
    let all = c.b.add(hs, gates, "all");
    let all = c.b.mul(all, before, "all");
    // What reads a stack leaves padding out.
    let sum = match len {
        Some(len) => c.b.reduce_masked(ReduceOp::Sum, all, len, &[0], "sum"),
        None => c.b.reduce(ReduceOp::Sum, all, &[0], "sum"),
    };
    let y = c.b.mul(sum, h_last, "y");
    c.b.add(y, c_last, "y")
}

#[test]
fn scans() {
    for reverse in [false, true] {
        for with_len in [false, true] {
            for concat in [false, true] {
                check("scan", |c| scan(c, reverse, with_len, concat));
            }
        }
    }
}
