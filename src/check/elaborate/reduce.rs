//! Reductions and `split`: what runs along one axis of a value.

use super::body::constant_or;
use super::index::dim_of;
use super::index::{Mark, index_name};
use super::input::expand;
use super::value::{Tensor, Value};
use super::{Elab, Frame};
use crate::ast::node::{self, ExprKind as Ast};
use crate::check::program::{Expr, ExprKind, Reduce, Reduced, Unary};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    /// The name of a reduced index, and of the first that counts along an equal axis and stays.
    pub(super) fn reduced_names(&self, f: &Frame, mark: Mark, all: &[Mark]) -> Reduced {
        let size = |m: Mark| self.solver.resolve(&dim_of(f, m)).ok();
        let beside = all
            .iter()
            .find(|m| **m != mark && size(**m).is_some() && size(**m) == size(mark));
        Reduced {
            over: index_name(f, mark),
            beside: beside.map(|m| index_name(f, *m)),
        }
    }

    /// `mean(x)`: over the features; a time needs to be named.
    pub(super) fn over_features(&mut self, name: &str, t: Tensor, at: Span, span: Span) -> Value {
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let Some(last) = t.last().cloned() else {
            let d = Diagnostic::error(
                "shape::mismatch",
                format!("`{name}` runs over features; this is a number"),
            )
            .label(span, "nothing to run over")
            .label(at, "a number");
            return self.error(match t.marks.is_empty() {
                true => d,
                false => d.help(format!("an index is named: `{name}(…) over s`")),
            });
        };
        if self.solver.is_time(&last) {
            let t_name = self.solver.show_dim(&last);
            return self.error(
                Diagnostic::error(
                    "shape::time-as-feature",
                    format!("`{name}` runs over features, but the last axis is the time {t_name}"),
                )
                .label(span, "over which axis?")
                .help(format!(
                    "write `{name}(…) over {t_name}` if the time is meant"
                )),
            );
        }
        let axis = t.expr.shape.len() - 1;
        self.reduce_named(name, t, axis, span)
    }

    pub(super) fn reduce_named(&mut self, name: &str, t: Tensor, axis: usize, span: Span) -> Value {
        let op = match name {
            "sum" => Reduce::Sum,
            "mean" => Reduce::Mean,
            "max" => Reduce::Max,
            "min" => {
                // min x = −max −x
                let neg = self.unary(Unary::Neg, t.into(), span, span);
                let Value::Tensor(neg) = neg else {
                    return Value::Poison;
                };
                let max = self.reduce(Reduce::Max, *neg, axis, span);
                return self.unary(Unary::Neg, max, span, span);
            }
            _ => {
                let expr = self.softmax_at(t.expr.clone(), axis, span);
                return Tensor::new(expr).like(&t).into();
            }
        };
        self.reduce(op, t, axis, span)
    }

    /// `softmax` along any axis.
    pub(super) fn softmax_at(&mut self, e: Expr, at: usize, span: Span) -> Expr {
        let last = e.shape.len() - 1;
        let soft = |e: Expr| Expr {
            shape: e.shape.clone(),
            kind: ExprKind::Softmax(Box::new(e)),
            span,
        };
        if at == last {
            return soft(e);
        }
        let shape = e.shape.clone();
        let mut to: Vec<usize> = (0..=last).filter(|i| *i != at).collect();
        to.push(at);
        let moved: Vec<Dim> = to.iter().map(|i| shape[*i].clone()).collect();
        let e = soft(expand(e, to.iter().map(|i| Some(*i)).collect(), moved));
        let back = (0..=last).map(|i| to.iter().position(|x| *x == i));
        expand(e, back.collect(), shape)
    }

    /// `split(z, 4)` or `z |> split(4)`: the value and the number of parts.
    pub(super) fn split_of(&mut self, f: &mut Frame, e: &node::Expr) -> Option<(Value, i64, Span)> {
        let is_split = |e: &node::Expr| matches!(&e.kind, Ast::Name(n) if n == "split");
        let (value, args, span) = match &e.kind {
            Ast::Paren(x) => return self.split_of(f, x),
            Ast::Call { callee, args } if is_split(callee) && args.len() == 2 => {
                (&args[0].value, &args[1], callee.span)
            }
            Ast::Pipe { input, stage, .. } if stage.scan.is_none() => match &stage.call.kind {
                Ast::Call { callee, args } if is_split(callee) && args.len() == 1 => {
                    (&**input, &args[0], callee.span)
                }
                _ => return None,
            },
            _ => return None,
        };
        let parts = match constant_or(Some(&args.value), 0.0) {
            Some(n) if n.fract() == 0.0 && (1.0..=1000.0).contains(&n) => n as i64,
            _ => {
                self.error(
                    Diagnostic::error("call::arguments", "`split` takes a number of equal parts")
                        .label(args.value.span, "for example 4"),
                );
                return Some((Value::Poison, 1, span));
            }
        };
        let value = match self.expr(f, value) {
            Value::Tensor(t) => match self.numeric(*t, span).and_then(|t| self.decided(t)) {
                Some(t) => t.into(),
                None => Value::Poison,
            },
            Value::Poison => Value::Poison,
        };
        Some((value, parts, span))
    }

    /// One of `parts` equal pieces of the last axis.
    pub(super) fn part(&mut self, t: &Tensor, parts: u32, index: u32, span: Span) -> Value {
        let Some(last) = t.last().cloned() else {
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    "`split` takes a vector; this is a number",
                )
                .label(span, "nothing to split"),
            );
        };
        let piece = self.solver.unknown();
        let all = piece.checked_mul(&Dim::constant(i64::from(parts)));
        if !all.is_ok_and(|all| self.solver.unify(&all, &last).is_ok()) {
            let shown = self.solver.show_dim(&last);
            return match index {
                0 => self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("{shown} features do not split into {parts} equal parts"),
                    )
                    .label(span, "parts must be equal"),
                ),
                _ => Value::Poison,
            };
        }
        let mut shape = t.expr.shape.clone();
        if let Some(d) = shape.last_mut() {
            *d = piece;
        }
        Tensor::new(Expr {
            kind: ExprKind::Split {
                value: Box::new(t.expr.clone()),
                parts,
                index,
            },
            shape,
            span,
        })
        .like(t)
        .into()
    }

    pub(super) fn reduce(&mut self, op: Reduce, t: Tensor, axis: usize, span: Span) -> Value {
        let mut shape = t.expr.shape.clone();
        shape.remove(axis);
        let mut r = Tensor::new(Expr {
            kind: ExprKind::Reduce {
                op,
                value: Box::new(t.expr),
                axis,
            },
            shape,
            span,
        });
        (r.lead, r.marks) = (t.lead, t.marks);
        r.into()
    }
}
