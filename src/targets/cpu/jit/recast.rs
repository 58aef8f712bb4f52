//! Tasks in a form that suits this machine better, with the same meaning.
//!
//! In: a task. Out: groups in its place, or nothing where it is best as it is.

use super::points::weight;
use super::table::Table;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{
    Axis, Binary, Effect, Expr, ExprId, FoldOp, Gemm, GemmAxis, Loop, View,
};

/// A group that folds several values by columns, as one group a value where that computes little twice: every value's
/// partial results then have registers enough for a cache line of columns.
pub(super) fn apart(l: &Loop) -> Vec<Loop> {
    let folds = l.effects.iter().all(|e| matches!(e, Effect::Fold { .. }));
    if !folds || l.effects.len() < 2 || l.reduced.last() != Some(&false) {
        return vec![l.clone()];
    }
    let all: usize = l.exprs.iter().map(weight).sum();
    let parts: Vec<Loop> = l.effects.iter().map(|e| alone(l, e)).collect();
    let weights = parts.iter().flat_map(|p| p.exprs.iter().map(weight));
    if weights.sum::<usize>() > all + all / 4 {
        return vec![l.clone()];
    }
    parts
}

/// The part of a group that one effect needs.
fn alone(l: &Loop, effect: &Effect) -> Loop {
    let (Effect::Store { value, .. } | Effect::Fold { value, .. }) = effect;
    let needed = l.needed(*value);
    let mut place = vec![ExprId(0); l.exprs.len()];
    let (mut exprs, mut loads) = (Vec::new(), Vec::new());
    for (i, e) in l.exprs.iter().enumerate().filter(|(i, _)| needed[*i]) {
        let at = |a: &ExprId| place[a.0 as usize];
        let e = match e {
            Expr::Load(k) => {
                loads.push(l.loads[*k].clone());
                Expr::Load(loads.len() - 1)
            }
            Expr::Const(_) | Expr::Index(_) | Expr::Time | Expr::Size(_) => e.clone(),
            Expr::Unary(op, a) => Expr::Unary(*op, at(a)),
            Expr::Binary(op, a, b) => Expr::Binary(*op, at(a), at(b)),
            Expr::Select(c, a, b) => Expr::Select(at(c), at(a), at(b)),
        };
        place[i] = ExprId(exprs.len() as u32);
        exprs.push(e);
    }
    let at = place[value.0 as usize];
    let effect = match effect.clone() {
        Effect::Store { to, .. } => Effect::Store { value: at, to },
        Effect::Fold { op, to, .. } => Effect::Fold { op, value: at, to },
    };
    Loop {
        exprs,
        loads,
        effects: vec![effect],
        ..l.clone()
    }
}

/// A product with a single column as a sum over the last axis, where the left rows are contiguous along it: a matrix
/// kernel would use one lane of its vectors.
pub(super) fn dot(g: &Gemm, table: &Table) -> Result<Option<Loop>, Diagnostic> {
    let is = |d: &Dim, n: i64| Ok::<bool, Diagnostic>(table.fix(d)?.as_const() == Some(n));
    for axis in &g.n {
        if !is(&axis.size, 1)? {
            return Ok(None);
        }
    }
    let Some(inner) = g.k.last() else {
        return Ok(None);
    };
    // A short sum is all remainder.
    let short = table.fix(&inner.size)?.as_const().is_some_and(|k| k < 16);
    if short || !is(&inner.lhs, 1)? || !is(&inner.rhs, 1)? {
        return Ok(None);
    }
    let kept: Vec<&GemmAxis> = g.batch.iter().chain(&g.m).collect();
    let all: Vec<&GemmAxis> = kept.iter().copied().chain(&g.k).collect();
    let view = |v: &View, axes: &[&GemmAxis], stride: fn(&GemmAxis) -> &Dim| View {
        axes: axes
            .iter()
            .map(|a| Axis {
                size: a.size.clone(),
                stride: stride(a).clone(),
            })
            .collect(),
        ..v.clone()
    };
    let exprs = vec![
        Expr::Load(0),
        Expr::Load(1),
        Expr::Binary(Binary::Mul, ExprId(0), ExprId(1)),
    ];
    Ok(Some(Loop {
        name: g.name.clone(),
        space: all.iter().map(|a| a.size.clone()).collect(),
        reduced: (0..all.len()).map(|i| i >= kept.len()).collect(),
        loads: vec![
            view(&g.lhs, &all, |a| &a.lhs),
            view(&g.rhs, &all, |a| &a.rhs),
        ],
        exprs,
        effects: vec![Effect::Fold {
            op: FoldOp::Sum,
            value: ExprId(2),
            to: view(&g.out, &kept, |a| &a.out),
        }],
        epilogue_of: None,
        spans: g.spans.clone(),
    }))
}
