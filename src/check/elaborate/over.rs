//! Reductions that name what they run over: `mean(h) over T`, `sum(a[t, s] * v[s]) over s where s <= t`.
//!
//! In: a call of `sum`, `mean`, `max`, `min` or `softmax`, axes or indices, and a condition. Out: the
//! reduced value. A sum over a product becomes a contraction.

use super::condition::{coord, is_number, never_empty};
use super::index::{Mark, dim_of};
use super::input::expand;
use super::value::{Tensor, Value};
use super::{Elab, Frame, number};
use crate::ast::node::{self, ExprKind as Ast, Ident};
use crate::check::program::{Binary, Expr, ExprKind, Reduce, Unary};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::domain::{Coord, Domain};
use crate::span::Span;

impl Elab<'_, '_> {
    pub(super) fn over(
        &mut self,
        f: &mut Frame,
        value: &node::Expr,
        over_span: Span,
        axes: &[Ident],
        cond: Option<&node::Expr>,
    ) -> Value {
        let call = match &value.kind {
            Ast::Call { callee, args } => match (&callee.kind, args.as_slice()) {
                (Ast::Name(n), [arg]) if arg.name.is_none() => Some((n, callee.span, &arg.value)),
                _ => None,
            },
            _ => None,
        };
        let known = |n: &str| matches!(n, "sum" | "mean" | "max" | "min" | "softmax");
        let Some((name, name_span, arg)) = call.filter(|(n, ..)| known(n)) else {
            let what = call.map_or("this".to_string(), |(n, ..)| format!("`{n}`"));
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("{what} does not run over an axis"),
                )
                .label(over_span, "belongs to sum, mean, max, min and softmax"),
            );
        };
        if let (Some(i), true) = (
            axes.iter().position(|a| f.indices.contains_key(&a.node)),
            axes.len() > 1,
        ) && let Some(other) = axes.iter().find(|a| !f.indices.contains_key(&a.node))
        {
            let (a, b) = (&axes[i].node, &other.node);
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("`{a}` is an index and `{b}` is none"),
                )
                .label(other.span, "an axis of another kind"),
            );
        }
        let Value::Tensor(t) = self.expr(f, arg) else {
            return Value::Poison;
        };
        let Some(t) = self.numeric(*t, arg.span).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        if axes.iter().all(|a| f.indices.contains_key(&a.node)) {
            return self.over_indices(f, (name, name_span), t, arg.span, axes, cond);
        }
        if let Some(c) = cond {
            return self.error(
                Diagnostic::error("index::outside", "a condition speaks of indices")
                    .label(c.span, "there is none here")
                    .help("index form names them: `y[t] = sum(x[t, s]) over s where s <= t`"),
            );
        }
        let mut t = t;
        for (i, axis) in axes.iter().enumerate() {
            let Some(position) = self.axis_named(f, &t, axis, arg.span) else {
                return Value::Poison;
            };
            if name == "softmax" && i > 0 {
                return self.one_axis(axis);
            }
            match self.reduce_named(name, t, position, name_span) {
                Value::Tensor(r) => t = *r,
                Value::Poison => return Value::Poison,
            }
        }
        t.into()
    }

    fn one_axis(&mut self, second: &Ident) -> Value {
        self.error(
            Diagnostic::error("call::arguments", "`softmax` runs over one axis")
                .label(second.span, "a second one"),
        )
    }

    /// The one axis of a value that has the size of this name.
    fn axis_named(&mut self, f: &Frame, t: &Tensor, axis: &Ident, at: Span) -> Option<usize> {
        let Some(wanted) = f.sizes.get(&axis.node).cloned() else {
            let mut d = Diagnostic::error(
                "name::unknown",
                format!("`{}` is no axis and no index here", axis.node),
            )
            .label(axis.span, "over what?");
            let names = f.sizes.keys().chain(f.indices.keys());
            if let Some(near) = nearest(&axis.node, names.map(String::as_str)) {
                d = d
                    .help(format!("did you mean `{near}`?"))
                    .fix(axis.span, near);
            }
            self.error(d);
            return None;
        };
        let wanted = self.solver.resolve(&wanted).unwrap_or(wanted);
        let found: Vec<usize> = (t.lead..t.expr.shape.len())
            .filter(|i| {
                self.solver
                    .resolve(&t.expr.shape[*i])
                    .is_ok_and(|d| d == wanted)
            })
            .collect();
        if let [position] = found.as_slice() {
            return Some(*position);
        }
        let shown = self.solver.show(t.core());
        let how = match found.is_empty() {
            true => "no axis",
            false => "more than one axis",
        };
        self.error(
            Diagnostic::error(
                "shape::mismatch",
                format!("{how} of {shown} is `{}`", axis.node),
            )
            .label(axis.span, "which axis?")
            .label(at, shown),
        );
        None
    }

    fn over_indices(
        &mut self,
        f: &mut Frame,
        (name, span): (&str, Span),
        t: Tensor,
        at: Span,
        axes: &[Ident],
        cond: Option<&node::Expr>,
    ) -> Value {
        let marks: Vec<Mark> = axes.iter().map(|a| f.indices[&a.node].mark).collect();
        let mut t = t;
        let condition = cond.map(|c| (self.condition(f, c), c.span));
        let domain = match &condition {
            Some((c, _)) => c.domain.clone(),
            None => Domain::everywhere(),
        };
        // Conditions on data are computed: the value is chosen, point by point.
        let mut chosen: Option<(Tensor, Span)> = None;
        for e in condition.iter().flat_map(|(c, _)| &c.data) {
            if is_number(f, e) {
                return self.no_condition(e);
            }
            let Value::Tensor(one) = self.expr(f, e) else {
                return Value::Poison;
            };
            if one.rank() > 0 {
                return self.no_point(e, &one);
            }
            chosen = match chosen {
                None => Some((*one, e.span)),
                Some(before) => match self.binary(Binary::And, before, (*one, e.span), e.span) {
                    Value::Tensor(both) => Some((*both, e.span)),
                    Value::Poison => return Value::Poison,
                },
            };
        }
        // The value runs over every index that the condition speaks of, and over those reduced.
        let mut wanted = t.marks.clone();
        let spoken = domain.coords().into_iter().filter_map(|c| match c {
            Coord::Axis(m) => Some(Mark(m as u32)),
            Coord::Of(_) => None,
        });
        let spoken: Vec<Mark> = spoken.collect();
        if let [a, b] = spoken.as_slice() {
            self.compared.push((*a, *b));
        }
        let data = chosen.iter().flat_map(|(c, _)| c.marks.clone());
        for m in spoken.into_iter().chain(data) {
            if !wanted.contains(&m) {
                wanted.push(m);
            }
        }
        wanted.sort();
        for a in axes {
            let m = f.indices[&a.node].mark;
            if !wanted.contains(&m) {
                return self.error(
                    Diagnostic::error(
                        "index::unused",
                        format!("nothing here has the index `{}`", a.node),
                    )
                    .label(a.span, "runs over nothing")
                    .label(at, format!("has no `[{}]`", a.node)),
                );
            }
        }
        let dims: Vec<Dim> = wanted.iter().map(|m| dim_of(f, *m)).collect();
        if let [mark] = marks.as_slice() {
            let reduced = self.reduced_names(f, *mark, &wanted);
            self.reduced.insert(span, reduced);
        }
        let lift = t.lead - t.marks.len();
        t = self.over_marks(t, &wanted, &dims, None);
        if name == "softmax"
            && let [_, second, ..] = axes
        {
            return self.one_axis(second);
        }
        let place = |c: Coord| match c {
            Coord::Axis(m) => wanted
                .iter()
                .position(|w| w.0 as usize == m)
                .map(|i| Coord::Axis(lift + i)),
            Coord::Of(_) => None,
        };
        let placed = domain.map(&place).unwrap_or_else(Domain::everywhere);
        if matches!(name, "max" | "min") {
            let others: Vec<Coord> = wanted
                .iter()
                .filter(|m| !marks.contains(m))
                .map(|m| coord(*m))
                .collect();
            let full = marks
                .iter()
                .all(|m| never_empty(&domain, coord(*m), &others));
            if !full || chosen.is_some() {
                let where_ = condition.as_ref().map_or(span, |(_, s)| *s);
                return self.error(
                    Diagnostic::error(
                        "index::may-be-empty",
                        format!("`{name}` over a set that may be empty has no value"),
                    )
                    .label(where_, "may leave nothing")
                    .help("a sum, a mean and a softmax over nothing are 0"),
                );
            }
        }
        let minimum = name == "min";
        if minimum {
            let Value::Tensor(neg) = self.unary(Unary::Neg, t.into(), span, at) else {
                return Value::Poison;
            };
            t = *neg;
        }
        let fill = match name {
            "sum" | "mean" => 0.0,
            _ => f64::NEG_INFINITY,
        };
        let count =
            (name == "mean" && (!placed.is_everywhere() || chosen.is_some())).then(|| Tensor {
                expr: expand(
                    number(1.0, span),
                    vec![None; t.lead],
                    t.expr.shape[..t.lead].to_vec(),
                ),
                ..t.clone()
            });
        let t = self.kept(t, &placed, &chosen, fill, span);
        let Some(t) = t else { return Value::Poison };
        let out = match name {
            "softmax" => self.softmax_over(t, marks[0], span),
            "sum" => self.reduce_marks(Reduce::Sum, t, &marks, span),
            "mean" => match count {
                None => self.reduce_marks(Reduce::Mean, t, &marks, span),
                Some(ones) => {
                    let Some(ones) = self.kept(ones, &placed, &chosen, 0.0, span) else {
                        return Value::Poison;
                    };
                    let sum = self.reduce_marks(Reduce::Sum, t, &marks, span);
                    let n = self.reduce_marks(Reduce::Sum, ones, &marks, span);
                    let one = Tensor::weight(number(1.0, span));
                    let Value::Tensor(n) = self.binary(Binary::Max, (n, span), (one, span), span)
                    else {
                        return Value::Poison;
                    };
                    return self.binary(Binary::Div, (sum, span), (*n, span), span);
                }
            },
            _ => self.reduce_marks(Reduce::Max, t, &marks, span),
        };
        match minimum {
            true => self.unary(Unary::Neg, out.into(), span, at),
            false => out.into(),
        }
    }

    /// The value where the conditions hold, `fill` elsewhere.
    fn kept(
        &mut self,
        t: Tensor,
        domain: &Domain,
        chosen: &Option<(Tensor, Span)>,
        fill: f64,
        span: Span,
    ) -> Option<Tensor> {
        let mut t = t;
        if let Some((cond, at)) = chosen {
            let other = Tensor::weight(number(fill, span));
            let parts = vec![(cond.clone(), *at), (t.clone(), span), (other, span)];
            let (mut exprs, shape, lead) = self.align(parts, span, "where")?;
            let (c, b, a) = (exprs.pop()?, exprs.pop()?, exprs.pop()?);
            let expr = Expr {
                kind: ExprKind::Choose(Box::new(a), Box::new(b), Box::new(c)),
                shape,
                span,
            };
            let marks = t.marks.clone();
            t = lead.of(Tensor::new(expr));
            // The conditions' indices are among the value's: only their order may differ.
            let dims: Vec<Dim> = marks
                .iter()
                .filter_map(|m| t.marks.iter().position(|x| x == m))
                .map(|i| t.expr.shape[t.lead - t.marks.len() + i].clone())
                .collect();
            t = self.over_marks(t, &marks, &dims, None);
        }
        if domain.is_everywhere() {
            return Some(t);
        }
        let shape = t.expr.shape.clone();
        Some(Tensor {
            expr: Expr {
                kind: ExprKind::Where {
                    value: Box::new(t.expr),
                    domain: domain.clone(),
                    fill,
                },
                shape,
                span,
            },
            ..t
        })
    }

    /// Reduces the axes of these indices.
    fn reduce_marks(&mut self, op: Reduce, t: Tensor, marks: &[Mark], span: Span) -> Tensor {
        let mut t = t;
        for m in marks {
            let lift = t.lead - t.marks.len();
            let Some(i) = t.marks.iter().position(|x| x == m) else {
                continue;
            };
            let axis = lift + i;
            let mut shape = t.expr.shape.clone();
            shape.remove(axis);
            t.marks.remove(i);
            t.lead -= 1;
            let product = (op == Reduce::Sum)
                .then(|| super::contraction::summed(&t.expr, axis, &shape, span))
                .flatten();
            t.expr = product.unwrap_or_else(|| Expr {
                kind: ExprKind::Reduce {
                    op,
                    value: Box::new(t.expr.clone()),
                    axis,
                },
                shape,
                span,
            });
        }
        t
    }

    /// Along the axis of one index: brought last, and put back.
    fn softmax_over(&mut self, t: Tensor, mark: Mark, span: Span) -> Tensor {
        let at = t.lead - t.marks.len() + t.marks.iter().position(|m| *m == mark).unwrap_or(0);
        let expr = self.softmax_at(t.expr.clone(), at, span);
        Tensor {
            expr,
            recurrent: false,
            ..t
        }
    }
}
