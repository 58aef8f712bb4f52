//! `AddPosition(max = n)`: a learned vector for each step, added to the sequence.
//!
//! In: a sequence `[T, E]`. Out: the sequence with row `t` of the table `[max, E]` added at step `t`,
//! and the limit on `T` that the table sets (Gehring et al. 2017; Radford et al. 2018).

use super::value::{Tensor, Value};
use super::{Elab, LayerId};
use crate::check::program::{Binary, Expr, ExprKind, Init, Limit, ParamId};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

/// How the table starts, as GPT-2's does.
const START: Init = Init::Normal(0.02);

impl Elab<'_, '_> {
    pub(super) fn add_position(
        &mut self,
        layer: LayerId,
        max: Dim,
        t: Tensor,
        at: Span,
        span: Span,
    ) -> Value {
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let shown = self.solver.show(t.core());
        let time = match t.expr.shape.first() {
            Some(d) if t.lead == 0 && t.rank() == 2 && self.solver.is_time(d) => d.clone(),
            _ => {
                return self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("`AddPosition` takes vectors along a time; this is {shown}"),
                    )
                    .label(span, "adds a vector for each step")
                    .label(at, shown),
                );
            }
        };
        if let (Some(steps), Some(rows)) = (self.solver.value(&time), self.solver.value(&max))
            && steps > rows
        {
            let name = self.solver.show_dim(&time);
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("`AddPosition` has {rows} rows, the time {name} has {steps} steps"),
                )
                .label(span, "a row for each step")
                .label(at, shown)
                .help(format!("`max = {steps}` is enough")),
            );
        }
        let size = t.expr.shape[1].clone();
        let known = self.layers[layer.0].params.get("table").copied();
        let table = match known {
            Some(w) => w.0 as usize,
            None => {
                let w = self.make_weight(layer, "table", vec![max.clone(), size.clone()], span);
                self.weights[w].given = Some(START);
                w
            }
        };
        let path = self.weights[table].path.clone();
        let Value::Tensor(w) = self.weight(table, span) else {
            return Value::Poison;
        };
        if self.solver.unify(&w.expr.shape[1], &size).is_err() {
            let (a, b) = (
                self.solver.show_dim(&w.expr.shape[1]),
                self.solver.show_dim(&size),
            );
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("this layer adds vectors of {a} elsewhere; here {b}"),
                )
                .label(span, "one weight has one shape")
                .label(at, shown),
            );
        }
        let resolved = self.solver.resolve(&time).unwrap_or(time);
        let Some(time) = resolved.as_sym().cloned() else {
            return Value::Poison;
        };
        if !self.limits.iter().any(|l| l.time == time && l.path == path) {
            self.limits.push(Limit {
                time: time.clone(),
                most: max,
                path,
                span,
            });
        }
        let shape = t.expr.shape.clone();
        let steps = Expr {
            kind: ExprKind::Steps(time),
            shape: vec![shape[0].clone()],
            span,
        };
        let rows = Expr {
            kind: ExprKind::Embed {
                table: ParamId(table as u32),
                index: Box::new(steps),
            },
            shape: shape.clone(),
            span,
        };
        let mut out = Tensor::new(Expr {
            kind: ExprKind::Binary(Binary::Add, Box::new(t.expr), Box::new(rows)),
            shape,
            span,
        });
        out.both = t.both;
        out.into()
    }
}
