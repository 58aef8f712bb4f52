//! `Linear` and `Embed`, and the weights that layers have by name.

use super::init::Weight;
use super::value::{Tensor, Value};
use super::{Elab, LayerId, LayerKind};
use crate::ast::node;
use crate::check::program::{Expr, ExprKind, Init, ParamId};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    /// `W·x + b`.
    pub(super) fn linear(
        &mut self,
        layer: LayerId,
        size: Dim,
        bias: bool,
        t: Tensor,
        at: Span,
        span: Span,
    ) -> Value {
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let t = self.as_feature(t);
        let Some(from) = t.last().cloned() else {
            return Value::Poison;
        };
        let known = self.layers[layer.0].params.get("W").copied();
        let w = match known {
            Some(w) => w.0 as usize,
            None => self.make_weight(layer, "W", vec![size.clone(), from.clone()], span),
        };
        let Value::Tensor(w) = self.weight(w, span) else {
            return Value::Poison;
        };
        if self.solver.unify(&w.expr.shape[1], &from).is_err() {
            let (has, is) = (
                self.solver.show_dim(&w.expr.shape[1]),
                self.solver.show(t.core()),
            );
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("this layer takes vectors of {has} elsewhere; here {is}"),
                )
                .label(span, "one weight has one shape")
                .label(at, is),
            );
        }
        let recurrent = t.recurrent;
        if recurrent && let ExprKind::Param(p) = w.expr.kind {
            self.weights[p.0 as usize]
                .applied
                .get_or_insert(super::init::Applied::State);
        }
        let lead = t.leading();
        let mut shape = t.expr.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = size.clone();
        }
        let both = t.both;
        let product = Expr {
            kind: ExprKind::Dot(Box::new(w.expr.clone()), Box::new(t.expr)),
            shape: shape.clone(),
            span,
        };
        let out = match bias {
            false => product,
            true => {
                let known = self.layers[layer.0].params.get("b").copied();
                let b = match known {
                    Some(b) => b.0 as usize,
                    None => self.make_weight(layer, "b", vec![size], span),
                };
                let Value::Tensor(b) = self.weight(b, span) else {
                    return Value::Poison;
                };
                Expr {
                    kind: ExprKind::Binary(
                        crate::check::program::Binary::Add,
                        Box::new(product),
                        Box::new(b.expr),
                    ),
                    shape,
                    span,
                }
            }
        };
        let mut t = lead.of(Tensor::new(out));
        t.both = both;
        t.into()
    }

    pub(super) fn embed(
        &mut self,
        layer: LayerId,
        size: Dim,
        t: Tensor,
        at: Span,
        span: Span,
    ) -> Value {
        let Some(tokens) = t.tokens.clone() else {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "token::needed",
                    format!("`Embed` takes tokens; this is {shown}"),
                )
                .label(span, "looks up a vector for each token")
                .label(at, "numbers")
                .help("`Linear(64)` makes vectors of numbers"),
            );
        };
        let known = self.layers[layer.0].params.get("table").copied();
        let table = match known {
            Some(w) => w.0 as usize,
            None => {
                let shape = vec![tokens.vocabulary.clone(), size.clone()];
                let w = self.make_weight(layer, "table", shape, span);
                // Rows are read one by one: each starts at the scale of a normalised input.
                self.weights[w].given = Some(Init::Normal(1.0));
                w
            }
        };
        let Value::Tensor(w) = self.weight(table, span) else {
            return Value::Poison;
        };
        if self
            .solver
            .unify(&w.expr.shape[0], &tokens.vocabulary)
            .is_err()
        {
            let (a, b) = (
                self.solver.show_dim(&w.expr.shape[0]),
                self.solver.show_dim(&tokens.vocabulary),
            );
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("one table for two vocabularies, {a} and {b}"),
                )
                .label(span, "shared by both")
                .label(at, format!("tokens of {b}")),
            );
        }
        let shape = [t.expr.shape.as_slice(), &[size]].concat();
        Tensor::new(Expr {
            kind: ExprKind::Embed {
                table: ParamId(table as u32),
                index: Box::new(t.expr.clone()),
            },
            shape,
            span,
        })
        .like(&t)
        .into()
    }

    pub(super) fn make_weight(
        &mut self,
        layer: LayerId,
        name: &str,
        shape: Vec<Dim>,
        span: Span,
    ) -> usize {
        // A weight is more than an expression: it is stored, listed and trained.
        self.spend(span);
        let mut w = Weight::new(format!("{}.{name}", self.layers[layer.0].path), span);
        w.shape = Some(shape);
        self.add_weight(layer, name, w)
    }

    /// Weights of a named layer: `words.table`, `rnn.Wf`.
    pub(super) fn layer_field(
        &mut self,
        layer: super::LayerId,
        name: &str,
        field: &str,
        at: Span,
        span: Span,
    ) -> Value {
        if let Some(p) = self.layers[layer.0].params.get(field).copied() {
            if matches!(self.layers[layer.0].kind, LayerKind::Embed { .. }) {
                self.weights[p.0 as usize].given = Some(Init::Xavier);
            }
            return self.weight(p.0 as usize, span);
        }
        match self.layers[layer.0].kind.clone() {
            LayerKind::Embed { size } if field == "table" => {
                let v = self.solver.unknown();
                let w = self.make_weight(layer, "table", vec![v, size], at);
                // A table that is also a product's weight starts as one.
                self.weights[w].given = Some(Init::Xavier);
                self.weight(w, span)
            }
            LayerKind::Def { entry, .. } => {
                let names = crate::check::names::Names::of(&entry.def.body);
                let is = |kind| names.of_kind(kind).any(|d| d.name.node == field);
                if is(node::DeclKind::State) {
                    return self.error(
                        Diagnostic::error(
                            "cell::state-outside",
                            format!("`{name}.{field}` is a state, read outside any scan"),
                        )
                        .label(at, "of which run?")
                        .help(format!(
                            "give the scan a name: `hs = … |> scan {name}`, then `final(hs.{field})`"
                        )),
                    );
                }
                if is(node::DeclKind::Param) {
                    return self.unavailable("a weight read before its layer is used", at);
                }
                self.error(
                    Diagnostic::error("name::unknown", format!("layer `{name}` has no `{field}`"))
                        .label(at, "unknown field"),
                )
            }
            LayerKind::Unknown => Value::Poison,
            LayerKind::Linear { size, .. } if field == "W" => {
                let from = self.solver.unknown();
                let w = self.make_weight(layer, "W", vec![size, from], at);
                self.weight(w, span)
            }
            LayerKind::Linear { size, bias: true } if field == "b" => {
                let w = self.make_weight(layer, "b", vec![size], at);
                self.weight(w, span)
            }
            LayerKind::Position { max } if field == "table" => {
                let size = self.solver.unknown();
                let w = self.make_weight(layer, "table", vec![max, size], at);
                self.weight(w, span)
            }
            LayerKind::Root
            | LayerKind::Linear { .. }
            | LayerKind::Embed { .. }
            | LayerKind::Position { .. } => self.error(
                Diagnostic::error("name::unknown", format!("layer `{name}` has no `{field}`"))
                    .label(at, "unknown field"),
            ),
        }
    }
}
