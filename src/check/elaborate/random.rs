//! Draws: dropout and zoneout.

use super::body::constant_or;
use super::call::Given;
use super::value::{Tensor, Value};
use super::{Elab, Frame};
use crate::ast::node::{self, ExprKind as Ast};
use crate::check::program::{Expr, ExprKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elab<'_, '_> {
    /// A probability in `[0, 1)` written out.
    pub(super) fn probability(
        &mut self,
        e: Option<&node::Expr>,
        name: &str,
        span: Span,
    ) -> Option<f64> {
        let at = e.map_or(span, |e| e.span);
        match e.and_then(|e| constant_or(Some(e), 0.0)) {
            Some(p) if (0.0..1.0).contains(&p) => Some(p),
            Some(p) => {
                self.error(
                    Diagnostic::error(
                        "call::arguments",
                        format!("`{name}` takes a probability in [0, 1), not {p}"),
                    )
                    .label(at, "out of range"),
                );
                None
            }
            None => {
                self.error(
                    Diagnostic::error(
                        "call::arguments",
                        format!("`{name}` takes a probability written as a number"),
                    )
                    .label(at, "for example 0.2"),
                );
                None
            }
        }
    }

    pub(super) fn dropout(
        &mut self,
        f: &Frame,
        t: Tensor,
        at: Span,
        given: &Given,
        span: Span,
    ) -> Value {
        let named = |n: &str| {
            given
                .named
                .iter()
                .find(|(i, _)| i.node == n)
                .map(|(_, e)| *e)
        };
        let p = given.rest.first().copied().or(named("p"));
        let share_time = match named("share") {
            None => false,
            Some(e) if matches!(&e.kind, Ast::Name(n) if n == "time") => true,
            Some(e) => {
                return self.error(
                    Diagnostic::error("call::arguments", "`share` is `time`")
                        .label(e.span, "unknown"),
                );
            }
        };
        let Some(p) = self.probability(p, "dropout", span) else {
            return Value::Poison;
        };
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let path = self.random_path(f.layer, "dropout");
        let shape = t.expr.shape.clone();
        let mut d = Tensor::new(Expr {
            kind: ExprKind::Dropout {
                value: Box::new(t.expr),
                p,
                share_time,
                path,
            },
            shape,
            span,
        });
        (d.lead, d.marks) = (t.lead, t.marks);
        d.both = t.both;
        d.recurrent = t.recurrent;
        d.into()
    }

    pub(super) fn zoneout(
        &mut self,
        f: &Frame,
        values: Vec<(Tensor, Span)>,
        given: &Given,
        span: Span,
    ) -> Value {
        let Some(p) = self.probability(given.rest.first().copied(), "zoneout", span) else {
            return Value::Poison;
        };
        let Some((mut parts, shape, lead)) = self.align(values, span, "zoneout") else {
            return Value::Poison;
        };
        let (Some(new), Some(old)) = (parts.pop(), parts.pop()) else {
            return Value::Poison;
        };
        let path = self.random_path(f.layer, "zoneout");
        let t = Tensor::new(Expr {
            kind: ExprKind::Zoneout {
                old: Box::new(old),
                new: Box::new(new),
                p,
                path,
            },
            shape,
            span,
        });
        lead.of(t).into()
    }
}
