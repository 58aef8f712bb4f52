//! `route(top = k)`: the choice among experts.
//!
//! In: weights along the last axis. Out: the `k` largest as they are, of equal ones the first, and
//! exactly 0 for the others (Shazeer et al. 2017). A gradient reaches the chosen ones alone.

use super::call::Given;
use super::value::{Tensor, Value};
use super::{Elab, Frame};
use crate::check::program::{Binary, Expr, ExprKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elab<'_, '_> {
    pub(super) fn route(
        &mut self,
        f: &mut Frame,
        t: Tensor,
        at: Span,
        given: &Given,
        span: Span,
    ) -> Value {
        let Some((_, top)) = given.named.first() else {
            return self.error(
                Diagnostic::error("call::arguments", "`route` needs how many to keep")
                    .label(span, "no `top` given")
                    .help("for example `route(top = 2)`"),
            );
        };
        let Some(k) = self.whole(f, top) else {
            return Value::Poison;
        };
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let shown = self.solver.show(t.core());
        let Some(last) = t.last().cloned().filter(|d| !self.solver.is_time(d)) else {
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("`route` chooses among features; this is {shown}"),
                )
                .label(span, "chooses along the last axis")
                .label(at, shown),
            );
        };
        let most = self.solver.value(&last);
        if k < 1 || most.is_some_and(|n| k > n) {
            let of = self.solver.show_dim(&last);
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("`route` keeps 1 to {of} of {of}, not {k}"),
                )
                .label(top.span, "how many to keep"),
            );
        }
        let t = self.bind("routed", t, at);
        let shape = t.expr.shape.clone();
        let chosen = Expr {
            kind: ExprKind::Top {
                value: Box::new(t.expr.clone()),
                k: usize::try_from(k).unwrap_or(usize::MAX),
            },
            shape: shape.clone(),
            span,
        };
        Tensor::new(Expr {
            kind: ExprKind::Binary(Binary::Mul, Box::new(t.expr.clone()), Box::new(chosen)),
            shape,
            span,
        })
        .like(&t)
        .into()
    }
}
