//! `C[i, i]`: one index for two axes.
//!
//! In: a value and an index that it already has. Out: the value where its next axis is at the place of
//! that index, as a sum over the axis of what is there.

use super::Elab;
use super::index::Mark;
use super::value::Tensor;
use crate::check::program::{Expr, ExprKind, Reduce};
use crate::domain::{Affine, Coord, Domain};
use crate::span::Span;

impl Elab<'_, '_> {
    /// An index used twice on one value: of the first core axis, the place that `mark` is at.
    pub(super) fn diagonal(&mut self, t: Tensor, mark: Mark, span: Span) -> Tensor {
        let first = t.lead - t.marks.len() + t.marks.iter().position(|m| *m == mark).unwrap_or(0);
        let second = t.lead;
        let (a, b) = (Coord::Axis(first), Coord::Axis(second));
        // Two coordinates cannot overflow.
        let domain = Domain::equal(&Affine::coord(a), &Affine::coord(b))
            .unwrap_or_else(|_| Domain::everywhere());
        let mut shape = t.expr.shape.clone();
        let value = Expr {
            kind: ExprKind::Where {
                value: Box::new(t.expr),
                domain,
                fill: 0.0,
            },
            shape: shape.clone(),
            span,
        };
        shape.remove(second);
        Tensor {
            expr: Expr {
                kind: ExprKind::Reduce {
                    op: Reduce::Sum,
                    value: Box::new(value),
                    axis: second,
                },
                shape,
                span,
            },
            tokens: None,
            ..t
        }
    }
}
