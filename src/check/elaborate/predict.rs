//! A model: its inputs and targets, and how each prediction ends.

use std::collections::BTreeMap;

use super::body::{unit, variable};
use super::ending::{always_one, last_span, not_the_end};
use super::input::expand;
use super::value::{Tensor, Tokens, Value};
use super::{Binding, Elab, Frame, LayerId};
use crate::ast::node::{self, DeclKind, Ident, Unit};
use crate::check::defs::Entry;
use crate::check::names::{Decl, Names};
use crate::check::program::{
    Expr, ExprKind, Head, Input, InputKind, Loss, Model, Predict, Reduce, Unary,
};
use crate::diagnostics::Diagnostic;
use crate::dim::{self, Dim, Role};
use crate::span::Span;

impl Elab<'_, '_> {
    pub(super) fn model(&mut self, entry: &Entry) -> Option<Model> {
        let mut names = Names::of(&entry.def.body);
        names.sort(&mut Vec::new());
        self.stack.push(entry.def.name.node.clone());
        let own = names.decls.iter().map(|d| &d.name.node);
        self.reserved.extend(own.cloned());
        let made = names.equations.iter().flat_map(|e| e.names);
        self.reserved.extend(made.map(|l| l.name.node.clone()));
        let mut f = self.frame(LayerId(0), entry, &names);
        for kind in [DeclKind::Input, DeclKind::Target] {
            for d in names.of_kind(kind) {
                self.input(&mut f, &d);
            }
        }
        self.prepare(&mut f, &names);
        self.equations(&mut f, &names, &[]);
        let predicts = self.predicts(&mut f, &names, entry.def.name.span);
        let mut penalties = Vec::new();
        for (name, value) in &names.penalties {
            if let Some(e) = self.penalty(&mut f, name, value) {
                penalties.push((name.node.clone(), e));
            }
        }
        let mut outputs = Vec::new();
        for e in &names.outputs {
            if let Value::Tensor(t) = self.expr(&mut f, e)
                && let Some(t) = self.decided(*t)
            {
                let name = match &e.kind {
                    node::ExprKind::Name(n) => n.clone(),
                    _ => format!("output{}", outputs.len() + 1),
                };
                let predicted = names.predicts.iter().find(|(p, _)| p.node == name);
                if let Some((first, _)) = predicted {
                    let message = format!("`{name}` names a prediction and an output");
                    self.error(
                        Diagnostic::error("name::clash", message)
                            .label(e.span, "an output here")
                            .label(first.span, "a prediction here")
                            .help(format!("give the value another name: `truth = {name}`")),
                    );
                }
                outputs.push((name, t.expr));
            }
        }
        self.watched(&f, &names);
        self.finish(entry, predicts, penalties, outputs)
    }

    fn watched(&mut self, f: &Frame, names: &Names) {
        for w in &names.watches {
            if !f.names.contains_key(&w.node) {
                self.unknown_name(f, &w.node, w.span);
            }
        }
    }

    /// An `input` or `target` of the model.
    fn input(&mut self, f: &mut Frame, d: &Decl) {
        let name = &d.name.node;
        let unit = unit(d.ty).unwrap_or(Unit::Number);
        let Some(shape) = self.shape(f, d.ty) else {
            f.names.insert(name.clone(), Binding::Unknown);
            return;
        };
        let var = self.fresh_var(name, shape.clone(), d.name.span);
        let mut t = variable(var, shape, d.name.span);
        t.input = Some(var);
        let mut vocabulary = None;
        if matches!(unit, Unit::Token | Unit::Class) {
            let v = self.solver.declare(
                &format!("V_{name}"),
                Role::Vocabulary,
                dim::Binding::Static(None),
            );
            vocabulary = Some(v.clone());
            t.tokens = Some(Tokens { vocabulary: v });
        }
        self.inputs.push(Input {
            kind: match d.kind {
                DeclKind::Target => InputKind::Target,
                _ => InputKind::Input,
            },
            var,
            unit,
            vocabulary,
            feeds_itself: false,
            span: d.name.span,
        });
        f.names.insert(name.clone(), Binding::Value(t.into()));
    }

    fn predicts(&mut self, f: &mut Frame, names: &Names, model: Span) -> Vec<Predict> {
        let mut done: BTreeMap<&str, Span> = BTreeMap::new();
        let mut out = Vec::new();
        for (name, value) in &names.predicts {
            let target = names
                .of_kind(DeclKind::Target)
                .find(|d| d.name.node == name.node);
            if target.is_none() {
                let known: Vec<&str> = names
                    .of_kind(DeclKind::Target)
                    .map(|d| d.name.node.as_str())
                    .collect();
                let d = Diagnostic::error(
                    "predict::not-a-target",
                    format!("`{}` is predicted, but is no target", name.node),
                )
                .label(name.span, "needs a `target` declaration");
                let d = match crate::diagnostics::nearest(&name.node, known) {
                    Some(n) => d.help(format!("did you mean `{n}`?")).fix(name.span, n),
                    None => d,
                };
                self.error(d);
            }
            if let Some(first) = done.insert(&name.node, name.span) {
                self.error(
                    Diagnostic::error(
                        "predict::twice",
                        format!("`{}` is predicted twice", name.node),
                    )
                    .label(name.span, "second")
                    .label(first, "first"),
                );
            }
            let made = self.index_scope(f, value, &[]);
            let input = match f.names.get(&name.node) {
                Some(Binding::Value(Value::Tensor(t))) => t.input,
                _ => None,
            };
            let input = input.and_then(|v| self.inputs.iter().find(|i| i.var == v).cloned());
            if let (Value::Tensor(t), Some(_), Some(input)) = (made, target, input)
                && let Some((head, loss)) = self.head(*t, &input, value)
            {
                out.push(Predict {
                    target: input.var,
                    head,
                    loss,
                    weight: 1.0,
                    span: name.span,
                });
            }
        }
        for d in names.of_kind(DeclKind::Target) {
            if !done.contains_key(d.name.node.as_str()) {
                self.error(
                    Diagnostic::error(
                        "predict::missing",
                        format!("target `{}` is never predicted", d.name.node),
                    )
                    .label(
                        d.name.span,
                        format!("`predict {} = …` is missing", d.name.node),
                    ),
                );
            }
        }
        if names.of_kind(DeclKind::Target).next().is_none() && names.predicts.is_empty() {
            self.error(
                Diagnostic::error("predict::missing", "the model has no `target` to predict")
                    .label(model, "nothing to learn"),
            );
        }
        out
    }

    /// The expression behind a name, where it may end in a probability.
    fn behind(&self, e: &Expr) -> Expr {
        let mut e = e.clone();
        while let ExprKind::Var(v) = e.kind {
            match self.lets.get(&v) {
                Some(inner) => e = inner.clone(),
                None => break,
            }
        }
        e
    }

    /// Takes a prediction apart into what its loss reads.
    fn head(&mut self, t: Tensor, target: &Input, e: &node::Expr) -> Option<(Head, Loss)> {
        let t = self.decided(t)?;
        let end = last_span(e);
        let whole = self.behind(&t.expr);
        let name = self.vars[target.var.0 as usize].name.clone();
        let shape = self.vars[target.var.0 as usize].shape.clone();
        let has = match whole.kind {
            ExprKind::Softmax(_) => Some("softmax"),
            ExprKind::Unary(Unary::Sigmoid, _) => Some("σ"),
            ExprKind::Unary(Unary::Step, _) => Some("step"),
            _ => None,
        };
        let not = |this: &mut Self, what: &str, with: &str| {
            this.error(not_the_end(what, &name, e, has, with));
            None
        };
        match target.unit {
            Unit::Token | Unit::Class => {
                let what = match target.unit {
                    Unit::Token => "token",
                    _ => "class",
                };
                let ExprKind::Softmax(logits) = whole.kind else {
                    return not(self, what, "softmax");
                };
                let vocabulary = target.vocabulary.clone()?;
                let wanted = [shape.as_slice(), &[vocabulary]].concat();
                let logits = self.meet(*logits, &wanted, &name, end, true)?;
                Some((Head::Softmax(logits), Loss::CrossEntropy { smoothing: 0.0 }))
            }
            Unit::Binary => match whole.kind {
                ExprKind::Unary(Unary::Sigmoid, x) => {
                    let x = self.meet(*x, &shape, &name, end, false)?;
                    Some((Head::Sigmoid(x), Loss::BinaryCrossEntropy))
                }
                ExprKind::Unary(Unary::Step, x) => {
                    let x = self.meet(*x, &shape, &name, end, false)?;
                    Some((Head::Step(x), Loss::Perceptron))
                }
                _ => not(self, "binary", "σ"),
            },
            Unit::Number => {
                if t.tokens.is_some() {
                    self.numeric(t, end)?;
                    return None;
                }
                let last = t.expr.shape.last().cloned();
                let x = self.meet(t.expr, &shape, &name, end, false)?;
                if has == Some("softmax") && self.is_one(last.as_ref()) {
                    self.error(always_one(&name, end));
                    return None;
                }
                Some((Head::Value(x), Loss::Mse))
            }
        }
    }

    fn is_one(&self, d: Option<&Dim>) -> bool {
        let d = d.and_then(|d| self.solver.resolve(d).ok());
        d.is_some_and(|d| d.as_const() == Some(1))
    }

    /// A prediction in the shape of its target; one feature equals a number.
    fn meet(
        &mut self,
        e: Expr,
        wanted: &[Dim],
        name: &str,
        span: Span,
        classes: bool,
    ) -> Option<Expr> {
        let one = Dim::constant(1);
        // What does not fit must decide no size: a second error would tell of that.
        if e.shape.len() == wanted.len() + 1
            && self.agree(&e.shape[..wanted.len()], wanted)
            && self.agree(&e.shape[wanted.len()..], std::slice::from_ref(&one))
        {
            let axis = wanted.len();
            let at = e.span;
            return Some(Expr {
                kind: ExprKind::Reduce {
                    op: Reduce::Sum,
                    value: Box::new(e),
                    axis,
                },
                shape: wanted.to_vec(),
                span: at,
            });
        }
        if e.shape.len() + 1 == wanted.len()
            && self.is_one(wanted.last())
            && self.agree(
                &[e.shape.as_slice(), std::slice::from_ref(&one)].concat(),
                wanted,
            )
        {
            let axes = (0..e.shape.len()).map(Some).chain([None]).collect();
            return Some(expand(e, axes, wanted.to_vec()));
        }
        if self.agree(&e.shape, wanted) {
            return Some(e);
        }
        let same_time = e.shape.first().is_none_or(|a| {
            let other = wanted.first().filter(|_| self.solver.is_time(a));
            other.is_none_or(|b| self.solver.resolve(a) == self.solver.resolve(b))
        });
        let (is, wants) = (self.solver.show(&e.shape), self.solver.show(wanted));
        let d = Diagnostic::error(
            "shape::mismatch",
            format!("target `{name}` is {wants}, its prediction is {is}"),
        )
        .label(span, is);
        let d = match self
            .inputs
            .iter()
            .find(|i| self.vars[i.var.0 as usize].name == name)
        {
            Some(target) if target.span.file == span.file => d.label(target.span, wants),
            _ => d,
        };
        let timed = |s: &[Dim]| s.first().is_some_and(|d| self.solver.is_time(d));
        self.error(if classes && same_time {
            d.help("`Linear` without a size takes the number of classes from the data")
        } else if timed(&e.shape) && !timed(wanted) {
            d.help("`last(…)` takes one step of a sequence")
        } else {
            d
        });
        None
    }

    /// A term added to the loss: a number, or one per step.
    fn penalty(&mut self, f: &mut Frame, name: &Ident, value: &node::Expr) -> Option<Expr> {
        let Value::Tensor(t) = self.index_scope(f, value, &[]) else {
            return None;
        };
        let t = self.numeric(*t, value.span)?;
        let t = self.decided(t)?;
        let steps = t.expr.shape.len() == 1 && self.solver.is_time(&t.expr.shape[0]);
        if !t.expr.shape.is_empty() && !steps {
            let shown = self.solver.show(&t.expr.shape);
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("penalty `{}` is a number; this is {shown}", name.node),
                )
                .label(name.span, shown)
                .help("`sum(…)` or `mean(…)` makes a number of it"),
            );
            return None;
        }
        Some(t.expr)
    }
}
