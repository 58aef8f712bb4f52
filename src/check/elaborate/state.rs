//! The states of cells: declared, started, and given their next values.

use std::collections::BTreeMap;

use super::body::variable;
use super::input::expand;
use super::value::{Tensor, Value};
use super::{Binding, Elab, Frame, number};
use crate::ast::node::{self, BinaryOp, DeclKind, ExprKind as Ast};
use crate::check::names::Names;
use crate::check::order::walk;
use crate::check::program::{Expr, VarId};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

/// A state of the scan under construction.
#[derive(Clone, Debug)]
pub struct StateSlot {
    /// Inside the scan's cell: `h`, or `gru.h` for a cell inside it.
    pub path: String,
    pub before: VarId,
    pub shape: Vec<Dim>,
    pub next: Option<Expr>,
    pub initial: Option<Expr>,
    pub span: Span,
}

impl Elab<'_, '_> {
    pub(super) fn slot(&mut self, index: usize) -> &mut StateSlot {
        let block = self.blocks.last_mut().expect("a body is being elaborated");
        &mut block.states[index]
    }

    /// A state before this step.
    pub(super) fn before(&mut self, slot: usize) -> Value {
        let s = self.slot(slot);
        let mut t = variable(s.before, s.shape.clone(), s.span);
        t.recurrent = true;
        t.into()
    }

    /// Declares the states of a cell; `prefix` is the path of a cell inside a cell.
    pub(super) fn states(
        &mut self,
        f: &Frame,
        names: &Names,
        prefix: &str,
    ) -> Vec<(String, usize)> {
        let mut made = Vec::new();
        for d in names.of_kind(DeclKind::State) {
            if let Some(init) = d.init {
                self.error(
                    Diagnostic::error(
                        "init::unknown",
                        format!(
                            "state `{}` starts at 0 or at a value, not by `~`",
                            d.name.node
                        ),
                    )
                    .label(init.span, "a way to start a weight")
                    .help("`param h0` and `state h : [H] = h0` make a learned start"),
                );
            }
            if d.ty.is_none() {
                self.error(
                    Diagnostic::error(
                        "shape::undetermined",
                        format!("state `{}` has no shape", d.name.node),
                    )
                    .label(d.name.span, "declared here")
                    .help(format!("for example `state {} : [H]`", d.name.node)),
                );
                continue;
            }
            let Some(shape) = self.shape(f, d.ty) else {
                continue;
            };
            let path = format!("{prefix}{}", d.name.node);
            let before = self.fresh_var(&path, shape.clone(), d.name.span);
            let block = self.blocks.last_mut().expect("a body is being elaborated");
            block.states.push(StateSlot {
                path,
                before,
                shape,
                next: None,
                initial: None,
                span: d.name.span,
            });
            made.push((d.name.node.clone(), block.states.len() - 1));
        }
        made
    }

    /// `state h : [H] = h0`: a weight, a context or a number.
    pub(super) fn initials(
        &mut self,
        f: &mut Frame,
        names: &Names,
        states: &[(String, usize)],
        outer: &BTreeMap<String, Expr>,
    ) {
        for d in names.of_kind(DeclKind::State) {
            let (Some(value), Some((_, slot))) =
                (d.value, states.iter().find(|(n, _)| *n == d.name.node))
            else {
                continue;
            };
            let shape = self.slot(*slot).shape.clone();
            let is = |kind: DeclKind| {
                let Ast::Name(n) = &value.kind else {
                    return false;
                };
                names.of_kind(kind).any(|d| d.name.node == *n)
            };
            let initial = match &value.kind {
                Ast::Number { value: n, .. } => Some(Tensor::new(number(*n, value.span))),
                Ast::Name(_) if is(DeclKind::Param) => match self.expr(f, value) {
                    Value::Tensor(t) => Some(*t),
                    Value::Poison => None,
                },
                Ast::Name(n) if is(DeclKind::Context) => match outer.get(n) {
                    Some(e) => Some(Tensor::new(e.clone())),
                    None if self.blocks.len() > 1 => {
                        self.unavailable("a context as the start of an inner cell", value.span);
                        None
                    }
                    None => match self.expr(f, value) {
                        Value::Tensor(t) => Some(*t),
                        Value::Poison => None,
                    },
                },
                _ => {
                    self.error(
                        Diagnostic::error(
                            "cell::initial-value",
                            format!("state `{}` starts from a weight or a context", d.name.node),
                        )
                        .label(value.span, "neither"),
                    );
                    None
                }
            };
            if let Some(t) = initial {
                let fitted = self.start(t, &shape, &d.name.node, value.span);
                self.slot(*slot).initial = fitted;
            }
        }
    }

    /// An initial value in the shape of its state; a number fills it.
    pub(super) fn start(
        &mut self,
        t: Tensor,
        shape: &[Dim],
        name: &str,
        span: Span,
    ) -> Option<Expr> {
        let t = match t.pending {
            Some(p) => self.decide(t, p, shape.to_vec()),
            None => t,
        };
        if t.expr.shape.is_empty() && !shape.is_empty() {
            return Some(expand(t.expr, vec![None; shape.len()], shape.to_vec()));
        }
        if !self.agree(&t.expr.shape, shape) {
            let (from, to) = (self.solver.show(&t.expr.shape), self.solver.show(shape));
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("state `{name}` is {to}, its start is {from}"),
                )
                .label(span, from),
            );
            return None;
        }
        Some(t.expr)
    }

    /// `h' = …`.
    pub(super) fn next(&mut self, slot: usize, t: Tensor, span: Span, star: Option<Span>) -> Value {
        let (shape, path) = {
            let s = self.slot(slot);
            (s.shape.clone(), s.path.clone())
        };
        let t = match t.pending {
            Some(p) => self.decide(t, p, shape.clone()),
            None => t,
        };
        if !self.agree(&t.expr.shape, &shape) {
            let (from, to) = (self.solver.show(&t.expr.shape), self.solver.show(&shape));
            let d = Diagnostic::error(
                "shape::mismatch",
                format!("state `{path}` is {to}, its next value is {from}"),
            );
            return self.error(match star {
                None => d.label(span, format!("the right side is {from}")),
                Some(star) => d
                    .label(star, "`*` multiplies place by place")
                    .label(span, format!("the right side is {from}"))
                    .help("`·` is the product of a matrix and a vector")
                    .fix(star, "·"),
            });
        }
        let name = format!("{path}'");
        let t = self.bind(&name, t, span);
        self.slot(slot).next = Some(t.expr.clone());
        t.into()
    }

    /// The first `*` with a weight of two axes or more on one side, where `·` may be meant.
    pub(super) fn star_of_a_matrix(&self, f: &Frame, e: &node::Expr) -> Option<Span> {
        let matrix = |e: &node::Expr| {
            let Ast::Name(n) = &e.kind else { return false };
            let Some(Binding::Param(id)) = f.names.get(n) else {
                return false;
            };
            let shape = self.weights[*id].shape.as_ref();
            shape.is_some_and(|s| s.len() > 1)
        };
        let mut found = None;
        walk(e, &mut |e| {
            if let Ast::Binary {
                op: BinaryOp::Mul,
                op_span,
                left,
                right,
            } = &e.kind
                && (matrix(left) || matrix(right))
            {
                found.get_or_insert(*op_span);
            }
        });
        found
    }
}
