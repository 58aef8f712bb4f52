//! Sums of products as contractions.
//!
//! In: an expression and the axis of it that a sum runs over. Out: one product summed over that axis,
//! where the expression is a product of two values that both have it: `sum(α[t, s] * v[s]) over s`.

use crate::check::program::{Binary, Expr, ExprKind};
use crate::dim::Dim;
use crate::domain::{Coord, Domain};
use crate::span::Span;

/// `None` where the sum is no contraction.
pub(super) fn summed(e: &Expr, axis: usize, shape: &[Dim], span: Span) -> Option<Expr> {
    match &e.kind {
        // A sum of a contraction is a contraction over one label more.
        ExprKind::Contract {
            left,
            right,
            lhs,
            rhs,
            out,
        } => {
            let label = *out.get(axis)?;
            if !lhs.contains(&label) || !rhs.contains(&label) {
                return None;
            }
            let kept = out.iter().copied().filter(|l| *l != label).collect();
            Some(contract(left, right, (lhs, rhs, kept), shape, span))
        }
        ExprKind::Binary(Binary::Mul, a, b) => product(a, b, e.shape.len(), axis, shape, span),
        ExprKind::Where {
            value,
            domain,
            fill: 0.0,
        } => {
            let ExprKind::Binary(Binary::Mul, a, b) = &value.kind else {
                return None;
            };
            // One factor that has all the condition's axes carries it.
            let rank = e.shape.len();
            if let Some(a) = inside(a, rank, domain) {
                return product(&a, b, rank, axis, shape, span);
            }
            let b = inside(b, rank, domain)?;
            product(a, &b, rank, axis, shape, span)
        }
        _ => None,
    }
}

fn contract(
    left: &Expr,
    right: &Expr,
    (lhs, rhs, out): (&[u8], &[u8], Vec<u8>),
    shape: &[Dim],
    span: Span,
) -> Expr {
    Expr {
        kind: ExprKind::Contract {
            left: Box::new(left.clone()),
            right: Box::new(right.clone()),
            lhs: lhs.to_vec(),
            rhs: rhs.to_vec(),
            out,
        },
        shape: shape.to_vec(),
        span,
    }
}

/// A factor without the repeats it has only to meet the other, and the axes of the product that its
/// own axes are.
fn factor(e: &Expr, rank: usize) -> Option<(&Expr, Vec<u8>)> {
    if rank > usize::from(u8::MAX) - 1 {
        return None;
    }
    if let ExprKind::Expand { value, axes } = &e.kind
        && axes.len() == rank
    {
        let own = (0..value.shape.len()).map(|k| axes.iter().position(|a| *a == Some(k)));
        let labels: Option<Vec<u8>> = own.map(|i| i.map(|i| i as u8)).collect();
        return Some((value, labels?));
    }
    // A value without leading axes stands at the end.
    let first = rank.checked_sub(e.shape.len())?;
    Some((e, (first..rank).map(|i| i as u8).collect()))
}

fn product(
    a: &Expr,
    b: &Expr,
    rank: usize,
    axis: usize,
    shape: &[Dim],
    span: Span,
) -> Option<Expr> {
    let ((a, lhs), (b, rhs)) = (factor(a, rank)?, factor(b, rank)?);
    let label = axis as u8;
    let every = (0..rank as u8).all(|l| lhs.contains(&l) || rhs.contains(&l));
    if !every || !lhs.contains(&label) || !rhs.contains(&label) {
        return None;
    }
    let out = (0..rank as u8).filter(|l| *l != label).collect();
    Some(contract(a, b, (&lhs, &rhs, out), shape, span))
}

/// The factor with the condition put on it, where it has all the axes that the condition speaks of.
fn inside(e: &Expr, rank: usize, domain: &Domain) -> Option<Expr> {
    let (value, labels) = factor(e, rank)?;
    let place = |c: Coord| match c {
        Coord::Axis(i) => labels
            .iter()
            .position(|l| usize::from(*l) == i)
            .map(Coord::Axis),
        Coord::Of(_) => None,
    };
    let domain = domain.map(&place)?;
    let value = Expr {
        kind: ExprKind::Where {
            value: Box::new(value.clone()),
            domain,
            fill: 0.0,
        },
        shape: value.shape.clone(),
        span: value.span,
    };
    let axes: Vec<Option<usize>> = (0..rank)
        .map(|i| labels.iter().position(|l| usize::from(*l) == i))
        .collect();
    let whole = axes.iter().enumerate().all(|(i, a)| *a == Some(i));
    match whole {
        true => Some(value),
        false => {
            // Sizes of axes that only repeat are never read: `factor` takes the repeats off again.
            let mut shape = vec![Dim::constant(1); rank];
            for (at, l) in labels.iter().enumerate() {
                shape[usize::from(*l)] = value.shape[at].clone();
            }
            Some(super::input::expand(value, axes, shape))
        }
    }
}
