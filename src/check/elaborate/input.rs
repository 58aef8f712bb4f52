//! Values given to a definition: which input takes which, and whether it fits.

use std::collections::BTreeMap;

use super::body::unit;
use super::value::{Pending, Tensor, Value};
use super::{Elab, Frame};
use crate::ast::node::{Bind, DeclKind, ExprKind as Ast, Unit};
use crate::check::names::{Decl, Names};
use crate::check::program::{Expr, ExprKind};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::Span;

/// What a use gives to a definition: the value of each input and context, and where it was given.
pub(super) type Args = BTreeMap<String, (Tensor, Span)>;

impl Elab<'_, '_> {
    /// The values after `with` or `from`; `None` where one of them is unknown.
    pub(super) fn binds<'b>(
        &mut self,
        f: &mut Frame,
        binds: &'b [Bind],
    ) -> Option<Vec<(&'b Bind, Tensor)>> {
        let mut out = Vec::new();
        let mut whole = true;
        for b in binds {
            match self.expr(f, &b.value) {
                Value::Tensor(t) => {
                    let t = self.bind("given", *t, b.value.span);
                    out.push((b, t));
                }
                Value::Poison => whole = false,
            }
        }
        whole.then_some(out)
    }

    /// Which value goes to which input or context: the pipe fills the first input.
    pub(super) fn assign_inputs<'n>(
        &mut self,
        def: &str,
        names: &Names<'n>,
        input: &Tensor,
        span: Span,
        with: &[(&Bind, Tensor)],
    ) -> Option<Vec<(Decl<'n>, Tensor, Span)>> {
        let decls: Vec<Decl> = names
            .decls
            .iter()
            .copied()
            .filter(|d| matches!(d.kind, DeclKind::Input | DeclKind::Context))
            .collect();
        let first = decls.iter().position(|d| d.kind == DeclKind::Input);
        let mut out = Vec::new();
        let mut good = true;
        for (i, d) in decls.iter().enumerate() {
            if Some(i) == first {
                out.push((*d, input.clone(), span));
                continue;
            }
            let is = |b: &&(&Bind, Tensor)| b.0.path.len() == 1 && b.0.path[0].node == d.name.node;
            match with.iter().find(is) {
                Some((b, t)) => out.push((*d, t.clone(), b.value.span)),
                None => {
                    good = false;
                    let n = &d.name.node;
                    self.error(
                        Diagnostic::error(
                            "call::missing-input",
                            format!("`{def}` needs `{n}`, and is not given it"),
                        )
                        .label(span, format!("`{n}` is missing"))
                        .help(format!("add `with {n} = …`")),
                    );
                }
            }
        }
        if first.is_none() {
            good = false;
            self.error(
                Diagnostic::error("call::unknown-input", format!("`{def}` has no `input`"))
                    .label(span, "nothing takes the value piped into it"),
            );
        }
        for (b, _) in with {
            let Some(name) = b.path.first() else { continue };
            let known = decls.iter().enumerate();
            let others: Vec<&str> = known
                .filter(|(i, _)| Some(*i) != first)
                .map(|(_, d)| d.name.node.as_str())
                .collect();
            if b.path.len() != 1 || !others.contains(&name.node.as_str()) {
                good = false;
                let d = Diagnostic::error(
                    "call::unknown-input",
                    format!("`{def}` has no further input `{}`", name.node),
                )
                .label(name.span, "unknown");
                let d = match nearest(&name.node, others.iter().copied()) {
                    Some(n) => d.help(format!("did you mean `{n}`?")),
                    None => d,
                };
                self.error(d);
            }
        }
        good.then_some(out)
    }

    /// Makes a value agree with a declared input. With `lift`, axes before the declared ones are
    /// those over which the whole block repeats.
    pub(super) fn fit(
        &mut self,
        f: &Frame,
        d: &Decl,
        t: Tensor,
        at: Span,
        lift: bool,
    ) -> Option<Tensor> {
        let name = &d.name.node;
        let wants_tokens = matches!(unit(d.ty), Some(Unit::Token | Unit::Class));
        if wants_tokens != t.tokens.is_some() {
            let (is, help) = match wants_tokens {
                true => ("takes tokens; these are numbers", None),
                false => (
                    "takes numbers; these are tokens",
                    Some("`|> Embed(64)` makes vectors of tokens"),
                ),
            };
            let mut e = Diagnostic::error(
                if wants_tokens {
                    "token::needed"
                } else {
                    "token::not-a-number"
                },
                format!("input `{name}` {is}"),
            )
            .label(at, "given here");
            if let Some(h) = help {
                e = e.help(h);
            }
            self.error(e);
            return None;
        }
        let Some(declared) = d.ty.and_then(|t| t.shape.as_ref()) else {
            // `input x` without a shape takes what comes; with a unit it is one value a step.
            return Some(t);
        };
        let wanted = self.shape(f, d.ty)?;
        let time_named =
            |i: usize| matches!(&declared[i].kind, Ast::Name(n) if f.globals.is_time(n));
        let t = match t.pending {
            Some(p) => self.decide(t, p, wanted.clone()),
            None => t,
        };
        // One number, or one number a step, enters as one feature.
        let ends_in_time = t.last().is_none_or(|d| self.solver.is_time(d));
        let t = match (t.tokens.is_none() && ends_in_time, wanted.len()) {
            (true, n) if n > 0 && !time_named(n - 1) => {
                let axes = (0..t.expr.shape.len()).map(Some).chain([None]).collect();
                let shape = [t.expr.shape.as_slice(), &[Dim::constant(1)]].concat();
                Tensor {
                    expr: expand(t.expr.clone(), axes, shape),
                    ..t
                }
            }
            _ => t,
        };
        let extra = t.expr.shape.len().checked_sub(wanted.len());
        let fits = match extra {
            Some(0) => true,
            Some(_) => lift,
            None => false,
        };
        let tail = t.expr.shape.len().saturating_sub(wanted.len());
        let agree = fits && {
            let actual = t.expr.shape[tail..].to_vec();
            self.agree(&actual, &wanted)
        };
        let times = (0..wanted.len()).all(|i| !time_named(i) || self.solver.is_time(&wanted[i]));
        if !agree || !times {
            let (is, wants) = (
                self.solver.show(t.core()),
                self.declared_text(declared, &wanted),
            );
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("input `{name}` is {wants}; it is given {is}"),
                )
                .label(at, is),
            );
            return None;
        }
        Some(t.lifted(tail))
    }

    /// A declared shape with the names in it where their size is still open.
    pub(super) fn declared_text(
        &self,
        declared: &[crate::ast::node::Expr],
        wanted: &[Dim],
    ) -> String {
        let parts: Vec<String> = declared
            .iter()
            .zip(wanted)
            .map(|(e, d)| match (&e.kind, self.solver.is_known(d)) {
                (Ast::Name(n), false) => n.clone(),
                _ => self.solver.show_dim(d),
            })
            .collect();
        format!("[{}]", parts.join(", "))
    }

    pub(super) fn agree(&mut self, a: &[Dim], b: &[Dim]) -> bool {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(x, y)| self.solver.unify(x, y).is_ok())
    }

    /// A shape for a weight or draw that no use has decided: a vector of unknown size.
    pub(super) fn decided(&mut self, t: Tensor) -> Option<Tensor> {
        match t.pending {
            None => Some(t),
            Some(p @ Pending::Weight(_)) => {
                let d = self.solver.unknown();
                Some(self.decide(t, p, vec![d]))
            }
            Some(Pending::Draw) => {
                self.error(
                    Diagnostic::error(
                        "shape::undetermined",
                        "nothing says the shape of `normal()`",
                    )
                    .label(t.expr.span, "a draw of which shape?")
                    .help("add it to or multiply it by a value, whose shape it takes"),
                );
                None
            }
        }
    }

    /// A number per step of a value, as one feature.
    pub(super) fn as_feature(&mut self, t: Tensor) -> Tensor {
        if !t.last().is_none_or(|d| self.solver.is_time(d)) {
            return t;
        }
        let axes = (0..t.expr.shape.len()).map(Some).chain([None]).collect();
        let shape = [t.expr.shape.as_slice(), &[Dim::constant(1)]].concat();
        let mut out = Tensor::new(expand(t.expr.clone(), axes, shape)).like(&t);
        out.weight = t.weight;
        out
    }
}

pub(super) fn expand(value: Expr, axes: Vec<Option<usize>>, shape: Vec<Dim>) -> Expr {
    let span = value.span;
    Expr {
        kind: ExprKind::Expand {
            value: Box::new(value),
            axes,
        },
        shape,
        span,
    }
}
