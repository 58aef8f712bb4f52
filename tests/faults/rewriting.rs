//! Faults of rewrites: conditions lost, unlike things merged, what changes hoisted.
//!
//! In: a function. Out: whether the fault found a place in it, and changed it there.

use std::collections::HashSet;

use seqc::dim::Dim;
use seqc::domain::{Affine, Domain};
use seqc::ir::*;

use super::edit::{all, is_binary, live, mask, passes, reads_the_start, scan_mut, set_domain};

pub fn condition_lost(func: &mut Func) -> bool {
    all(func, |f, id| {
        matches!(mask(f, id), Some((_, _, false))) && passes(f, id, 0)
    })
}

/// `s <= t` becomes `s <= t + 1`.
pub fn condition_one_wider(func: &mut Func) -> bool {
    fn wider(d: &Domain) -> Domain {
        let one = Affine::constant(Dim::constant(1));
        match d {
            Domain::AtLeast(a) => Domain::AtLeast(a.add(&one).unwrap()),
            Domain::All(parts) => Domain::All(parts.iter().map(wider).collect()),
            Domain::Any(parts) => Domain::Any(parts.iter().map(wider).collect()),
            Domain::Zero(_) | Domain::Multiple(..) | Domain::Not(_) => d.clone(),
        }
    }
    all(func, |f, id| match mask(f, id) {
        Some((d, _, false)) => {
            let w = wider(&d);
            let changed = w != d;
            set_domain(f, id, w);
            changed
        }
        _ => false,
    })
}

pub fn sum_for_max(func: &mut Func) -> bool {
    all(func, |f, id| match &mut f.op_mut(id).kind {
        OpKind::Reduce { op, .. } if *op == ReduceOp::Max => {
            *op = ReduceOp::Sum;
            true
        }
        _ => false,
    })
}

pub fn first_for_last(func: &mut Func) -> bool {
    all(func, |f, id| match &mut f.op_mut(id).kind {
        OpKind::Take(which) if *which == TakeWhich::Last => {
            *which = TakeWhich::First;
            true
        }
        _ => false,
    })
}

pub fn delay_one_longer(func: &mut Func) -> bool {
    all(func, |f, id| match &mut f.op_mut(id).kind {
        OpKind::Shift { by } => {
            *by += 1;
            true
        }
        _ => false,
    })
}

pub fn parts_joined_in_another_order(func: &mut Func) -> bool {
    all(func, |f, id| {
        let args = &f.op(id).args;
        let alike = args
            .windows(2)
            .all(|w| f.value(w[0]).ty == f.value(w[1]).ty);
        let fits = matches!(f.op(id).kind, OpKind::Concat { .. }) && alike && args[0] != args[1];
        if fits {
            f.op_mut(id).args.reverse();
        }
        fits
    })
}

pub fn the_wrong_part(func: &mut Func) -> bool {
    all(func, |f, id| {
        let results = &f.op(id).results;
        let alike = results
            .windows(2)
            .all(|w| f.value(w[0]).ty == f.value(w[1]).ty);
        let fits = matches!(f.op(id).kind, OpKind::Split { .. }) && alike && results.len() > 1;
        if fits {
            f.op_mut(id).results.rotate_left(1);
        }
        fits
    })
}

/// Equal ops are merged; these differ in what is compared with `same`.
fn merged(func: &mut Func, same: impl Fn(&OpKind, &OpKind) -> bool) -> bool {
    let ids = live(func);
    let mut seen: Vec<OpId> = Vec::new();
    for (id, _) in ids {
        let kind = func.op(id).kind.clone();
        let first = seen
            .iter()
            .find(|s| same(&func.op(**s).kind, &kind))
            .copied();
        match first {
            Some(first) => {
                func.op_mut(id).kind = func.op(first).kind.clone();
                return true;
            }
            None => seen.push(id),
        }
    }
    false
}

pub fn different_numbers_merged(func: &mut Func) -> bool {
    let number =
        |a: &OpKind, b: &OpKind| matches!((a, b), (OpKind::Const(x), OpKind::Const(y)) if x != y);
    merged(func, number)
}

pub fn different_draws_merged(func: &mut Func) -> bool {
    merged(func, |a, b| match (a, b) {
        (
            OpKind::Random {
                path: p, shape: s, ..
            },
            OpKind::Random {
                path: q, shape: r, ..
            },
        ) => p != q && s == r,
        _ => false,
    })
}

pub fn hoisted_though_it_changes(func: &mut Func) -> bool {
    reads_the_start(func, &|op| !op.by.contains(&"reverse"), true)
}

pub fn scan_runs_the_other_way(func: &mut Func) -> bool {
    all(func, |f, id| match scan_mut(f, id) {
        Some(scan) => {
            scan.reverse = !scan.reverse;
            true
        }
        None => false,
    })
}

pub fn softmax_of_the_unmasked(func: &mut Func) -> bool {
    let masks: HashSet<(ValueId, ValueId)> = live(func)
        .iter()
        .filter(|(id, _)| mask(func, *id).is_some())
        .map(|(id, _)| (func.op(*id).results[0], func.op(*id).args[0]))
        .collect();
    all(func, |f, id| {
        let arg = f.op(id).args.first().copied();
        let from = masks.iter().find(|(to, _)| Some(*to) == arg);
        match (&f.op(id).kind, from) {
            (OpKind::Softmax, Some((_, x))) => {
                f.op_mut(id).args[0] = *x;
                true
            }
            _ => false,
        }
    })
}

/// `x · (1/n)` becomes `x`.
pub fn mean_without_its_count(func: &mut Func) -> bool {
    let fractions: HashSet<ValueId> = live(func)
        .iter()
        .filter(|(id, _)| matches!(func.op(*id).kind, OpKind::Const(x) if 0.0 < x && x < 1.0))
        .map(|(id, _)| func.op(*id).results[0])
        .collect();
    all(func, |f, id| {
        let args = f.op(id).args.clone();
        let k = args.iter().position(|a| fractions.contains(a));
        is_binary(f, id, Binary::Mul) && k.is_some_and(|k| passes(f, id, 1 - k))
    })
}

pub fn branches_exchanged(func: &mut Func) -> bool {
    all(func, |f, id| {
        let fits = matches!(f.op(id).kind, OpKind::Select);
        if fits {
            f.op_mut(id).args.swap(1, 2);
        }
        fits
    })
}
