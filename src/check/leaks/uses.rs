//! What each kind of expression does to the coordinates of its operands.
//!
//! In: an expression, and where its operands are known to be 0 or −∞. Out: a [`Pass`] for each operand.
//! An axis that is summed, normalised or looked through is tied to another only by what the known
//! zeros prove: with `s <= t`, steps `s` of a sum are steps up to `t` of its result.

use super::bounds::Bounds;
use super::facts::{Facts, dot_places, labels, product, without};
use super::mark::{Onto, Pass, Place};
use crate::check::operands::operands;
use crate::check::program::{Expr, ExprKind};
use crate::domain::Domain;

/// One for each operand.
pub fn passes(expr: &Expr, operands: &[(&Expr, &Facts)]) -> Vec<Pass> {
    let rank = expr.shape.len();
    let lifted = |(e, _): &(&Expr, &Facts)| Pass::lifted(e.shape.len(), rank);
    let each = |f: &dyn Fn(&Expr, &Facts) -> Pass| operands.iter().map(|(e, k)| f(e, k)).collect();
    match &expr.kind {
        ExprKind::Number(_)
        | ExprKind::Var(_)
        | ExprKind::Param(_)
        | ExprKind::Previous(_)
        | ExprKind::Index
        | ExprKind::Steps(_)
        | ExprKind::Normal { .. }
        | ExprKind::Reveal(_) => Vec::new(),
        ExprKind::Unary(..)
        | ExprKind::Binary(..)
        | ExprKind::Choose(..)
        | ExprKind::Where { .. }
        | ExprKind::Dropout { .. }
        | ExprKind::Zoneout { .. } => operands.iter().map(lifted).collect(),
        ExprKind::Delay { by, .. } => {
            let back = Onto::At(Place::Axis(0), -i64::from(*by));
            each(&|e, _| Pass::same(e.shape.len()).with(0, back))
        }
        // The table's rows come last.
        ExprKind::Embed { .. } => each(&|e, _| Pass::same(e.shape.len())),
        // Other coordinates along the last axis.
        ExprKind::Concat(_) | ExprKind::Split { .. } => each(&|e, _| {
            let last = e.shape.len().saturating_sub(1);
            Pass::same(e.shape.len()).with(last, Onto::Free)
        }),
        ExprKind::Expand { axes, .. } => each(&|e, _| {
            let to = |a| axes.iter().position(|from| *from == Some(a));
            placed(e.shape.len(), &to)
        }),
        ExprKind::Softmax(_) | ExprKind::Top { .. } => each(&|e, known| {
            let n = e.shape.len();
            let last = n.saturating_sub(1);
            let tie = Bounds::of(&known.live(), n).tie(last, 0..last);
            Pass::same(n).with(last, tied(tie))
        }),
        ExprKind::Reduce { axis, .. } => each(&|e, known| {
            let n = e.shape.len();
            let kept = (0..n).filter(|a| a != axis);
            let tie = Bounds::of(&known.live(), n).tie(*axis, kept);
            let tie = tie.and_then(|(to, c)| Some((without(*axis, to)?, c)));
            placed(n, &|a| without(*axis, a)).with(*axis, tied(tie))
        }),
        ExprKind::First(_) => {
            each(&|e, _| placed(e.shape.len(), &|a| without(0, a)).with(0, Onto::Zero))
        }
        ExprKind::Last(_) => each(&|e, _| placed(e.shape.len(), &|a| without(0, a))),
        ExprKind::Contract { lhs, rhs, out, .. } => {
            let place = labels(lhs, rhs, out);
            let left = |a: usize| lhs.get(a).and_then(|label| place(*label));
            let right = |a: usize| rhs.get(a).and_then(|label| place(*label));
            contracted(operands, rank, &left, &right)
        }
        ExprKind::Dot(l, r) => {
            let (left, right) = dot_places(l.shape.len(), r.shape.len());
            contracted(operands, rank, &left, &right)
        }
    }
}

/// Each axis at its place; one without place is anywhere.
fn placed(rank: usize, to: &dyn Fn(usize) -> Option<usize>) -> Pass {
    Pass {
        axes: (0..rank)
            .map(|a| to(a).map_or(Onto::Free, Onto::axis))
            .collect(),
        step: None,
    }
}

fn tied(tie: Option<(usize, i64)>) -> Onto {
    tie.map_or(Onto::Free, |(to, c)| Onto::At(Place::Axis(to), c))
}

/// A product summed over the places past the result's axes.
fn contracted(
    operands: &[(&Expr, &Facts)],
    rank: usize,
    left: &dyn Fn(usize) -> Option<usize>,
    right: &dyn Fn(usize) -> Option<usize>,
) -> Vec<Pass> {
    let [(l, known_l), (r, known_r)] = operands else {
        return Vec::new();
    };
    // No more labels than both sides have axes.
    let labels = l.shape.len() + r.shape.len();
    let bounds = Bounds::of(&product((*known_l, left), (*known_r, right)), labels);
    let onto = |place: Option<usize>| match place {
        Some(p) if p < rank => Onto::axis(p),
        Some(p) => tied(bounds.tie(p, 0..rank)),
        None => Onto::Free,
    };
    let side = |e: &Expr, place: &dyn Fn(usize) -> Option<usize>| Pass {
        axes: (0..e.shape.len()).map(|a| onto(place(a))).collect(),
        step: None,
    };
    vec![side(l, left), side(r, right)]
}

/// The axes of an operand that its use runs along, where its zeros leave nothing else out than this.
pub fn runs_over(expr: &Expr, operand: usize) -> Vec<usize> {
    let Some(value) = operands(expr).get(operand).copied() else {
        return Vec::new();
    };
    let last = value.shape.len().checked_sub(1);
    match &expr.kind {
        ExprKind::Softmax(_) | ExprKind::Top { .. } | ExprKind::Dot(..) => {
            last.into_iter().collect()
        }
        ExprKind::Reduce { axis, .. } => vec![*axis],
        ExprKind::Contract { lhs, rhs, out, .. } => {
            let side = if operand == 0 { lhs } else { rhs };
            (0..side.len())
                .filter(|a| !out.contains(&side[*a]))
                .collect()
        }
        ExprKind::Number(_)
        | ExprKind::Var(_)
        | ExprKind::Param(_)
        | ExprKind::Previous(_)
        | ExprKind::Delay { .. }
        | ExprKind::Unary(..)
        | ExprKind::Binary(..)
        | ExprKind::Choose(..)
        | ExprKind::Concat(_)
        | ExprKind::Expand { .. }
        | ExprKind::Where { .. }
        | ExprKind::Index
        | ExprKind::Steps(_)
        | ExprKind::Split { .. }
        | ExprKind::First(_)
        | ExprKind::Last(_)
        | ExprKind::Embed { .. }
        | ExprKind::Dropout { .. }
        | ExprKind::Zoneout { .. }
        | ExprKind::Normal { .. }
        | ExprKind::Reveal(_) => Vec::new(),
    }
}

/// Where the operands of something that runs along an axis are not known to be 0 or −∞.
pub fn live(known: &[&Facts]) -> bool {
    known.iter().any(|k| k.live() != Domain::everywhere())
}
