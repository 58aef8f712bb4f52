//! What reads another step: `first`, `last`, `final`, `previous`.

use super::body::constant_or;
use super::call::Given;
use super::value::{Tensor, Value};
use super::{Elab, Frame, FrameKind};
use crate::check::program::{Expr, ExprKind};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl Elab<'_, '_> {
    pub(super) fn is_target(&self, v: crate::check::program::VarId) -> bool {
        self.inputs
            .iter()
            .any(|i| i.var == v && i.kind == crate::check::program::InputKind::Target)
    }

    pub(super) fn end_of(&mut self, name: &str, t: Tensor, at: Span, span: Span) -> Value {
        if name == "final" {
            return self.final_of(&t, at);
        }
        if t.both {
            return self.error(
                Diagnostic::error(
                    "scan::last-of-both",
                    format!("`{name}` of a scan both ways: one direction has only begun there"),
                )
                .label(span, "half of this has seen one step")
                .help(match t.scan.is_some() {
                    true => "`final(…)` takes the last value of each direction",
                    false => "`final(…)` of the scan itself takes the last value of each direction",
                }),
            );
        }
        if !t.core().first().is_some_and(|d| self.solver.is_time(d)) || t.lead > 0 {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "scan::no-time-axis",
                    format!("`{name}` takes a sequence; this is {shown}"),
                )
                .label(span, "no time axis")
                .label(at, shown),
            );
        }
        if t.tokens.is_some() {
            return self.unavailable(&format!("`{name}` of tokens"), span);
        }
        let shape = t.expr.shape[1..].to_vec();
        let value = Box::new(t.expr);
        let kind = match name {
            "first" => ExprKind::First(value),
            _ => ExprKind::Last(value),
        };
        Tensor::new(Expr { kind, shape, span }).into()
    }

    pub(super) fn previous(
        &mut self,
        f: &Frame,
        t: Tensor,
        at: Span,
        given: &Given,
        span: Span,
    ) -> Value {
        if f.kind == FrameKind::Cell {
            return self.error(
                Diagnostic::error(
                    "cell::previous-inside",
                    "`previous` is for sequences; a cell sees one step",
                )
                .label(span, "inside a cell")
                .help("a value of the step before is a state: `state y`, then `y' = …`"),
            );
        }
        let by = match given.rest.first() {
            None => 1,
            Some(e) => match self.steps_back(f, e) {
                Some(k) if k.fract() == 0.0 && (1.0..=1e6).contains(&k) => k as u32,
                _ => {
                    return self.error(
                        Diagnostic::error(
                            "call::arguments",
                            "`previous(x, k)` takes a whole k ≥ 1",
                        )
                        .label(e.span, "steps back"),
                    );
                }
            },
        };
        if !t.core().first().is_some_and(|d| self.solver.is_time(d)) || t.lead > 0 {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "scan::no-time-axis",
                    format!("`previous` takes a sequence; this is {shown}"),
                )
                .label(span, "no step before")
                .label(at, shown),
            );
        }
        let shape = t.expr.shape.clone();
        let target = t.input.filter(|v| self.is_target(*v));
        let mut e = match target {
            Some(v) => {
                for i in &mut self.inputs {
                    i.feeds_itself |= i.var == v;
                }
                Expr {
                    kind: ExprKind::Previous(v),
                    shape: shape.clone(),
                    span,
                }
            }
            None => t.expr.clone(),
        };
        let delay = if target.is_some() { by - 1 } else { by };
        if delay > 0 {
            if t.tokens.is_some() {
                return self.unavailable("a delay of tokens", span);
            }
            e = Expr {
                kind: ExprKind::Delay {
                    value: Box::new(e),
                    by: delay,
                },
                shape,
                span,
            };
        }
        let mut out = Tensor::new(e);
        out.tokens = t.tokens;
        out.into()
    }

    /// A number, or a size that has one.
    fn steps_back(&mut self, f: &Frame, e: &crate::ast::node::Expr) -> Option<f64> {
        let plain = constant_or(Some(e), 1.0);
        plain.or_else(|| self.whole(f, e).map(|n| n as f64))
    }

    /// `final(enc)`: the last value in the scan's own direction.
    pub(super) fn final_of(&mut self, t: &Tensor, span: Span) -> Value {
        let Some(info) = t.scan.clone() else {
            return self.error(
                Diagnostic::error("scan::final-of-value", "`final` takes a scan or its state")
                    .label(span, "not the value of a scan")
                    .help("`last(x)` and `first(x)` take any sequence"),
            );
        };
        if let Some((a, b)) = &info.halves {
            let (a, b) = (self.final_of(a, span), self.final_of(b, span));
            let (Value::Tensor(a), Value::Tensor(b)) = (a, b) else {
                return Value::Poison;
            };
            return self.concat(vec![(*a, span), (*b, span)], span);
        }
        if let Some(last) = &info.last {
            return last.clone().into();
        }
        let shape = t.expr.shape.get(1..).unwrap_or_default().to_vec();
        let value = Box::new(t.expr.clone());
        let kind = match info.reverse {
            true => ExprKind::First(value),
            false => ExprKind::Last(value),
        };
        Tensor::new(Expr { kind, shape, span }).into()
    }
}
