//! What single rewrites do, seen in the IR that they leave.

mod common;

use common::attention::{decoder, mask, multi_head};
use common::cases::{check_compiled, differentiated, dims_of, function};
use common::models::written;
use seqc::dim::Dim;
use seqc::domain::Domain;
use seqc::ir::*;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::rewrite;

fn forward(func: &Func) -> Func {
    let (mut func, mut table) = (func.clone(), Vec::new());
    rewrite::run(&mut func, rewrite::FORWARD, &[], &mut table).unwrap();
    rewrite::run(&mut func, rewrite::CLEAN, &[], &mut table).unwrap();
    func
}

/// Ops of the function's own region, or of the scan that is its `n`th.
fn ops(func: &Func, scan: Option<usize>) -> Vec<&Op> {
    let all = |r: &Region| r.ops.iter().map(|id| func.op(*id)).collect::<Vec<_>>();
    let outer = all(&func.body);
    let Some(n) = scan else { return outer };
    let is_scan = |op: &&Op| match &op.kind {
        OpKind::Scan(s) => Some(all(&s.body)),
        _ => None,
    };
    outer.iter().filter_map(is_scan).nth(n).unwrap()
}

fn named<'a>(func: &Func, ops: &[&'a Op], name: &str) -> Vec<&'a Op> {
    let is = |op: &&&Op| func.value(op.results[0]).name.split('.').next() == Some(name);
    ops.iter().filter(is).copied().collect()
}

#[test]
fn keys_are_computed_before_the_loop() {
    let func = forward(&function("decoder", &|c| decoder(c, false, true)));
    let keys = named(&func, &ops(&func, None), "key");
    assert_eq!(keys.len(), 2, "{func}");
    assert!(keys.iter().all(|op| op.by == ["hoist-invariant"]), "{func}");
    assert!(
        named(&func, &ops(&func, Some(0)), "key").is_empty(),
        "{func}"
    );
}

#[test]
fn gradients_of_a_context_are_not_added_up_as_outer_products() {
    let [_, func] = differentiated(&function("decoder", &|c| decoder(c, false, true)));
    let OpKind::Scan(back) = &ops(&func, None)
        .iter()
        .filter(|o| matches!(o.kind, OpKind::Scan(_)))
        .nth(1)
        .unwrap()
        .kind
    else {
        unreachable!()
    };
    // The states, the keys' gradient (which no product gives) and a vector: nothing of `enc`'s size.
    let carried: Vec<&[Dim]> = back.carries.iter().map(|c| func.shape(c.param)).collect();
    assert!(!carried.contains(&&dims_of(&["S", "B", "K"])[..]), "{func}");
    assert!(carried.contains(&&dims_of(&["S", "B", "H"])[..]), "{func}");
}

#[test]
fn no_step_of_an_attending_decoder_mixes_examples() {
    use seqc::schedule::program::Task;
    let [_, func] = differentiated(&function("decoder", &|c| decoder(c, false, true)));
    let program = seqc::schedule::schedule(&func).unwrap();
    let scans = program.tasks.iter().filter_map(|t| match t {
        Task::Scan(s) => Some(s.rows_independent),
        _ => None,
    });
    assert_eq!(scans.collect::<Vec<_>>(), [true, true], "{program}");
}

#[test]
fn what_differs_by_step_or_costs_more_stays() {
    let func = function("stays", &|c| {
        let (h0, bias) = (c.weight("h0", &["B", "H"]), c.weight("b", &["H"]));
        let h = c.fresh("h", &["B", "H"]);
        let (body, next) = c.b.region(|b| {
            let kind = OpKind::Random {
                path: "d".into(),
                dist: Dist::Uniform,
                shape: dims_of(&["B", "H"]),
                timed: false,
            };
            let u = b.emit(kind, &[], "u");
            let wide = b.expand_leading(bias, &dims_of(&["B", "H"]));
            let twice = b.add(wide, wide, "twice");
            let bent = b.unary(Unary::Tanh, twice, "bent");
            let y = b.mul(h, u, "y");
            let y = b.add(y, twice, "y");
            b.add(y, bent, "y")
        });
        let last = c.fresh("last", &["B", "H"]);
        c.b.scan(Scan {
            extent: Dim::named("T"),
            reverse: false,
            len: None,
            valid: None,
            slices: vec![],
            carries: vec![Carry {
                init: h0,
                param: h,
                next,
                last,
            }],
            stacks: vec![],
            body,
        });
        last
    });
    let func = forward(&func);
    let inside = ops(&func, Some(0));
    assert_eq!(named(&func, &inside, "u").len(), 1, "{func}");
    assert_eq!(named(&func, &inside, "twice").len(), 1, "{func}");
    assert!(named(&func, &inside, "bent").is_empty(), "{func}");
    assert_eq!(named(&func, &ops(&func, None), "bent").len(), 1, "{func}");
}

#[test]
fn padding_is_masked_once() {
    let masks = |func: &Func| {
        let all = [ops(func, None), ops(func, Some(0))].concat();
        all.iter()
            .filter(|o| matches!(o.kind, OpKind::Mask { fill: 0.0, .. }))
            .count()
    };
    let func = forward(&function("decoder", &|c| decoder(c, false, true)));
    assert_eq!(masks(&func), 0, "{func}");
    let heads = forward(&function("heads", &|c| multi_head(c, true)));
    let zeroing = |o: &&&Op| matches!(o.kind, OpKind::Mask { fill: 0.0, .. });
    assert_eq!(
        ops(&heads, None).iter().filter(zeroing).count(),
        1,
        "{heads}"
    );
    // Backward too: what the weights multiply need not be masked, nor what they were multiplied with.
    let [_, heads] = differentiated(&function("heads", &|c| multi_head(c, true)));
    assert_eq!(
        ops(&heads, None).iter().filter(zeroing).count(),
        2,
        "{heads}"
    );
    // Of another length, or of less than what was masked, it stays.
    for (name, wider) in [("other length", false), ("more", true)] {
        let func = function(name, &|c| {
            let (x, len, other) = (c.weight("x", &["B", "S"]), c.lengths_of("S"), c.lengths());
            let end = Domain::before_end(1, 0);
            let (numbers, domain) = match wider {
                false => ([x, other], end.clone()),
                true => ([x, len], Domain::Not(Box::new(end.clone()))),
            };
            let x = mask(c, &numbers, domain, f64::NEG_INFINITY, Some(0));
            let x = c.b.emit(OpKind::Softmax, &[x], "y");
            mask(c, &[x, len], end, 0.0, Some(0))
        });
        let func = forward(&func);
        assert_eq!(ops(&func, None).iter().filter(zeroing).count(), 1, "{func}");
    }
}

#[test]
fn sums_of_products_are_products() {
    for masked in [None, Some(false), Some(true)] {
        let case = |c: &mut common::cases::Case<'_, '_>| {
            let (a, b) = (
                c.weight("a", &["T", "B", "K"]),
                c.weight("b", &["B", "H", "K"]),
            );
            let shape = dims_of(&["T", "B", "H", "K"]);
            let a = c.b.expand(a, vec![Some(0), Some(1), None, Some(2)], &shape);
            let b = c.b.expand(b, vec![None, Some(0), Some(1), Some(2)], &shape);
            let mut p = c.b.mul(a, b, "p");
            if let Some(of_both) = masked {
                let len = c.lengths();
                let mut domain = Domain::before_end(0, 0);
                if of_both {
                    // Rows of one operand and columns of the other: a mask of neither.
                    let axis = |i| seqc::domain::Affine::coord(seqc::domain::Coord::Axis(i));
                    domain = domain.and(Domain::le(&axis(0), &axis(2)).unwrap());
                }
                p = mask(c, &[p, len], domain, 0.0, Some(1));
            }
            c.b.reduce(ReduceOp::Sum, p, &[3], "z")
        };
        check_compiled("sum of products", case);
        let func = forward(&function("sum", &case));
        let products = |o: &&&Op| matches!(o.kind, OpKind::Contract { .. });
        let want = usize::from(masked != Some(true));
        assert_eq!(
            ops(&func, None).iter().filter(products).count(),
            want,
            "{func}"
        );
    }
    // A sum over padded steps leaves padding out of one operand.
    check_compiled("masked sum of products", |c| {
        let (a, b, len) = (
            c.weight("a", &["T", "B", "K"]),
            c.weight("b", &["T", "B", "H"]),
            c.lengths(),
        );
        let shape = dims_of(&["T", "B", "H", "K"]);
        let a = c.b.expand(a, vec![Some(0), Some(1), None, Some(2)], &shape);
        let b = c.b.expand(b, vec![Some(0), Some(1), Some(2), None], &shape);
        let p = c.b.mul(a, b, "p");
        c.b.reduce_masked(ReduceOp::Sum, p, len, &[0], "z")
    });
}

/// The first scan of a cell of the library, trained.
fn linear_in(cell: &str) -> Vec<String> {
    let text = format!(
        "time T\n\nmodel M {{\n  input  x : [T, 5]\n  target y : [T] number\n  \
         predict y = x |> scan {cell}(6) |> Linear(1)\n}}\n"
    );
    let model = seqc::pipeline::with_stand_in_sizes(&written(cell, &text)[0]);
    let stages = Build::default()
        .stages(&model, Options::TRAIN, true)
        .unwrap();
    let text = stages.optimized.to_string();
    let scan = text.lines().find(|l| l.contains("= scan T")).unwrap();
    let Some((_, names)) = scan.split_once("linear in ") else {
        return vec![];
    };
    names.split(' ').map(str::to_string).collect()
}

#[test]
fn linear_recurrences_are_found() {
    assert_eq!(linear_in("MinGRU"), ["h"]);
    for cell in ["LSTM", "GRU", "RNN"] {
        assert!(linear_in(cell).is_empty(), "{cell}");
    }
}

/// A loop with one state of this shape, as `step` makes it from the state and the step's inputs.
fn linear_by_hand(
    state: &[&str],
    inputs: &[(&str, &[&str])],
    step: impl Fn(&mut build::Build<'_>, ValueId, &[ValueId]) -> ValueId,
) -> Vec<usize> {
    let func = function("by hand", &|c| {
        let h0 = c.weight("h0", state);
        let h = c.fresh("h", state);
        let mut slices = Vec::new();
        for (name, shape) in inputs {
            let from = c.weight(name, &[&["T"], *shape].concat());
            let to = c.fresh(name, shape);
            slices.push(Slice { from, to });
        }
        let xs: Vec<ValueId> = slices.iter().map(|s| s.to).collect();
        let (body, next) = c.b.region(|b| step(b, h, &xs));
        let last = c.fresh("last", state);
        c.b.scan(Scan {
            extent: Dim::named("T"),
            reverse: false,
            len: None,
            valid: None,
            slices,
            carries: vec![Carry {
                init: h0,
                param: h,
                next,
                last,
            }],
            stacks: vec![],
            body,
        });
        last
    });
    let scan = ops(&func, None).into_iter().find_map(|op| match &op.kind {
        OpKind::Scan(s) => Some(recurrence::linear(&func, s)),
        _ => None,
    });
    scan.unwrap()
}

#[test]
fn linear_states_may_be_matrices_and_their_factors_anything_else() {
    // A selective state space: h' = exp(Δ·a)·h + Δ·x ⊗ b, all made from the step's inputs.
    let inputs: [(&str, &[&str]); 3] = [("d", &["B", "E"]), ("x", &["B", "E"]), ("k", &["B", "N"])];
    let selective = |b: &mut build::Build<'_>, h: ValueId, x: &[ValueId]| {
        let shape = dims_of(&["B", "E", "N"]);
        let delta = b.unary(Unary::Exp, x[0], "delta");
        let decay = b.unary(Unary::Neg, delta, "decay");
        let decay = b.expand(decay, vec![Some(0), Some(1), None], &shape);
        let decay = b.unary(Unary::Exp, decay, "decay");
        let dx = b.mul(delta, x[1], "dx");
        let new = b.contract((&[0, 1], dx), (&[0, 2], x[2]), &[0, 1, 2], "new");
        let old = b.mul(decay, h, "old");
        b.add(old, new, "h")
    };
    assert_eq!(linear_by_hand(&["B", "E", "N"], &inputs, selective), [0]);
    // A product with a matrix that each step makes is linear; with the state itself it is not.
    let by = |of_state: bool| {
        move |b: &mut build::Build<'_>, h: ValueId, x: &[ValueId]| {
            let m = if of_state { h } else { x[0] };
            b.contract((&[0, 1, 2], m), (&[0, 2, 3], h), &[0, 1, 3], "h")
        }
    };
    let inputs: [(&str, &[&str]); 1] = [("m", &["B", "H", "H"])];
    assert_eq!(linear_by_hand(&["B", "H", "H"], &inputs, by(false)), [0]);
    assert!(linear_by_hand(&["B", "H", "H"], &inputs, by(true)).is_empty());
}
