//! Index form: `w[t, s] = q[t] · k[s]`.
//!
//! In: an equation with indices on its left, and the brackets on its right. Out: ordinary values. An
//! index is an axis over which the equation repeats, with a name: `q[t]` moves the first axis of `q`
//! to the leading ones, where every operator lets it pass, and operands with different indices meet
//! in the union of theirs. A value keeps its indices' axes last among its leading axes.

use std::collections::BTreeMap;

use super::input::expand;
use super::value::{Pending, Tensor, Value};
use super::{Elab, Frame};
use crate::ast::node::{self, ExprKind as Ast, Ident};
use crate::check::names::{Equation, key};
use crate::check::order::walk;
use crate::check::program::{Expr, ExprKind};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::Span;

/// An index of one equation: two equations' `t` are two indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u32);

/// What an index counts.
#[derive(Clone, Debug)]
pub struct Index {
    pub mark: Mark,
    /// How far it runs, from the axes it stands for.
    pub dim: Dim,
    /// Whether it stands for an axis of some value, or is only a number.
    pub axis: bool,
    /// Where it is first named.
    pub span: Span,
}

impl Elab<'_, '_> {
    /// Elaborates an expression with its own indices in scope, and puts the value's axes in the order
    /// of the indices on the left; there are none in `c = sum(α[s] * enc[s]) over s`.
    pub(super) fn index_scope(&mut self, f: &mut Frame, e: &node::Expr, left: &[Ident]) -> Value {
        let outer = std::mem::take(&mut f.indices);
        let value = match self.declare_indices(f, e, left) {
            true if f.indices.is_empty() => self.expr(f, e),
            true => match self.expr(f, e) {
                Value::Tensor(t) => self.ordered(f, *t, left, e.span),
                Value::Poison => Value::Poison,
            },
            false => Value::Poison,
        };
        f.indices = outer;
        value
    }

    /// Every name in brackets, and after `over`, that is not a value or a size.
    fn declare_indices(&mut self, f: &mut Frame, e: &node::Expr, left: &[Ident]) -> bool {
        let mut found: Vec<(String, Span)> =
            left.iter().map(|i| (i.node.clone(), i.span)).collect();
        let mut clashes: Vec<(String, Span)> = Vec::new();
        walk(e, &mut |e| match &e.kind {
            Ast::Index(_, indices) => {
                for i in indices {
                    if let Ast::Name(n) = &i.kind {
                        found.push((n.clone(), i.span));
                    }
                }
            }
            Ast::Over { axes, .. } => {
                for a in axes {
                    if !f.sizes.contains_key(&a.node) {
                        found.push((a.node.clone(), a.span));
                    }
                }
            }
            _ => {}
        });
        for (n, span) in found {
            if f.names.contains_key(&n) || f.sizes.contains_key(&n) {
                clashes.push((n, span));
                continue;
            }
            let solver = &mut self.solver;
            let marks = &mut self.marks;
            f.indices.entry(n).or_insert_with(|| {
                *marks += 1;
                Index {
                    mark: Mark(*marks - 1),
                    dim: solver.unknown(),
                    axis: false,
                    span,
                }
            });
        }
        let good = clashes.is_empty();
        if let Some((n, span)) = clashes.into_iter().next()
            && self.clashing.insert(n.clone())
        {
            let what = match f.sizes.contains_key(&n) {
                true => "a size",
                false => "a value",
            };
            self.error(
                Diagnostic::error("name::clash", format!("`{n}` is {what}, and an index here"))
                    .label(span, "an index needs another name"),
            );
        }
        // An index twice on the left would need two axes of one name.
        for (i, ident) in left.iter().enumerate() {
            if left[..i].iter().any(|b| b.node == ident.node) {
                self.error(
                    Diagnostic::error(
                        "index::repeated",
                        format!("`{}` stands twice on the left", ident.node),
                    )
                    .label(ident.span, "needs another name")
                    .help("each index on the left is an axis of its own"),
                );
                return false;
            }
        }
        good
    }

    /// The value with the axes of the left's indices, in their order, before its own.
    fn ordered(&mut self, f: &Frame, t: Tensor, left: &[Ident], span: Span) -> Value {
        let Some(t) = self.numeric(t, span).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let wanted: Vec<Mark> = left.iter().map(|i| f.indices[&i.node].mark).collect();
        if let Some(extra) = t.marks.iter().find(|m| !wanted.contains(m)) {
            let name = index_name(f, *extra);
            let at = f.indices.get(&name).map_or(span, |i| i.span);
            return self.error(
                Diagnostic::error(
                    "index::not-reduced",
                    format!("`{name}` is on the right and not on the left"),
                )
                .label(at, format!("runs over `{name}`"))
                .help(format!(
                    "reduce it, as in `sum(…) over {name}`, or write it on the left too"
                )),
            );
        }
        for i in left {
            let index = &f.indices[&i.node];
            // `sum(x[s]) over s where s <= t`: t runs as far as what it is compared with.
            let with = self.compared.iter().find_map(|(a, b)| match index.mark {
                m if m == *a => Some(*b),
                m if m == *b => Some(*a),
                _ => None,
            });
            if let Some(other) = with.filter(|_| !index.axis)
                && self.solver.unify(&index.dim, &dim_of(f, other)).is_err()
            {
                return Value::Poison;
            }
            if !t.marks.contains(&index.mark) {
                let message = match index.axis {
                    true => format!("`{}` is on the left, and reduced on the right", i.node),
                    false => format!("nothing says how far `{}` runs", i.node),
                };
                return self.error(
                    Diagnostic::error("index::no-axis", message)
                        .label(i.span, "stands for no axis on the right"),
                );
            }
        }
        let lift = t.lead - t.marks.len();
        let dims: Vec<Dim> = left
            .iter()
            .map(|i| f.indices[&i.node].dim.clone())
            .collect();
        let mut t = self.over_marks(t, &wanted, &dims, None);
        t.lead = lift;
        t.marks = Vec::new();
        t.into()
    }

    /// `q[t, n]`: the first axes of a value, by index.
    pub(super) fn bracket(
        &mut self,
        f: &mut Frame,
        base: &node::Expr,
        indices: &[node::Expr],
        span: Span,
    ) -> Value {
        let Value::Tensor(t) = self.expr(f, base) else {
            return Value::Poison;
        };
        let mut t = *t;
        let mut named: Vec<(&str, Span)> = Vec::new();
        for i in indices {
            match &i.kind {
                Ast::Name(n) if f.indices.contains_key(n) => named.push((n, i.span)),
                Ast::Name(n) => {
                    let mut d = Diagnostic::error(
                        "index::outside",
                        format!("`{n}` is no index of this equation"),
                    )
                    .label(i.span, "not on the left, nor after `over`");
                    let known = f.indices.keys().map(String::as_str);
                    if let Some(near) = nearest(n, known) {
                        d = d.help(format!("did you mean `{near}`?")).fix(i.span, near);
                    } else {
                        d = d.help("`y[t] = …` names its indices on the left");
                    }
                    return self.error(d);
                }
                _ => {
                    return self.error(
                        Diagnostic::error("index::not-a-name", "an index is a name alone")
                            .label(i.span, "computed")
                            .help("a condition says it: `sum(…) over s where s == (t - 1)`"),
                    );
                }
            }
        }
        if let Some(p) = t.pending {
            // A weight read by indices alone has these axes and no others.
            let dims: Vec<Dim> = named
                .iter()
                .map(|(n, _)| f.indices[*n].dim.clone())
                .collect();
            for (d, (n, at)) in dims.iter().zip(&named) {
                if matches!(p, Pending::Weight(_)) && self.solver.is_time(d) {
                    let name = self.weights_name(&t);
                    return self.along_time(&name, if n.is_empty() { span } else { *at });
                }
            }
            t = self.decide(t, p, dims);
        }
        if t.rank() < named.len() {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "index::too-many",
                    format!(
                        "{} indices for the {} axes of {shown}",
                        named.len(),
                        t.rank()
                    ),
                )
                .label(named[t.rank()].1, "one index for an axis")
                .label(base.span, shown),
            );
        }
        for (at, (n, at_span)) in named.iter().enumerate() {
            let index = f.indices[*n].clone();
            let own = t.expr.shape[t.lead].clone();
            if self.solver.unify(&index.dim, &own).is_err() {
                let (had, has) = (self.solver.show_dim(&index.dim), self.solver.show_dim(&own));
                return self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("`{n}` runs over {had} elsewhere; this axis is {has}"),
                    )
                    .label(*at_span, "one index, one size")
                    .label(base.span, format!("axis {} is {has}", at + 1)),
                );
            }
            if let Some(i) = f.indices.get_mut(*n) {
                i.axis = true;
            }
            match t.marks.contains(&index.mark) {
                false => {
                    t.lead += 1;
                    t.marks.push(index.mark);
                }
                true => t = self.diagonal(t, index.mark, span),
            }
        }
        t.expr.span = span;
        t.scan = None;
        t.input = None;
        t.beside = None;
        t.into()
    }

    /// An index as a number: `0.97^(t - s)`.
    pub(super) fn index_number(&mut self, index: &Index, span: Span) -> Value {
        let mut t = Tensor::new(Expr {
            kind: ExprKind::Index,
            shape: vec![index.dim.clone()],
            span,
        });
        t.lead = 1;
        t.marks = vec![index.mark];
        t.into()
    }

    /// The value repeated and reordered so that its indices are `marks`, of these sizes; `lift` gives
    /// the axes that the body is lifted over, where the value may lack them.
    pub(super) fn over_marks(
        &mut self,
        t: Tensor,
        marks: &[Mark],
        dims: &[Dim],
        lift: Option<&[Dim]>,
    ) -> Tensor {
        let own_lift = t.lead - t.marks.len();
        let lift: Vec<Dim> = match lift {
            Some(l) => l.to_vec(),
            None => t.expr.shape[..own_lift].to_vec(),
        };
        if t.marks == marks && own_lift == lift.len() {
            return t;
        }
        let mut axes: Vec<Option<usize>> = (0..lift.len())
            .map(|i| (own_lift > 0).then_some(i))
            .collect();
        for m in marks {
            axes.push(t.marks.iter().position(|x| x == m).map(|i| own_lift + i));
        }
        axes.extend((t.lead..t.expr.shape.len()).map(Some));
        let shape = [lift.as_slice(), dims, t.core()].concat();
        let lead = lift.len() + marks.len();
        Tensor {
            expr: expand(t.expr.clone(), axes, shape),
            lead,
            marks: marks.to_vec(),
            ..t
        }
    }

    /// Brings operands with indices to the union of their indices, those of the left first.
    pub(super) fn meet_indices(&mut self, parts: &mut [&mut Tensor]) {
        if parts.iter().all(|t| t.marks.is_empty()) {
            return;
        }
        let mut union: Vec<(Mark, Dim)> = Vec::new();
        let mut lift: Vec<Dim> = Vec::new();
        for t in parts.iter() {
            let own = t.lead - t.marks.len();
            if own > 0 {
                lift = t.expr.shape[..own].to_vec();
            }
            for (i, m) in t.marks.iter().enumerate() {
                if !union.iter().any(|(u, _)| u == m) {
                    union.push((*m, t.expr.shape[own + i].clone()));
                }
            }
        }
        union.sort_by_key(|(m, _)| *m);
        let (marks, dims): (Vec<Mark>, Vec<Dim>) = union.into_iter().unzip();
        for t in parts.iter_mut() {
            // What has no time of its own is repeated where it is used, at no cost.
            let sequence = t.expr.shape.iter().any(|d| self.solver.is_time(d));
            if t.lead > 0 || sequence {
                **t = self.over_marks((**t).clone(), &marks, &dims, Some(&lift));
            }
        }
    }

    /// `y[t] = …` for a next value, or a name.
    pub(super) fn index_equation(
        &mut self,
        f: &mut Frame,
        eq: &Equation,
        indices: &[Ident],
        states: &[(String, usize)],
    ) {
        let [left] = eq.names else {
            if let Some(second) = eq.names.get(1) {
                self.error(
                    Diagnostic::error(
                        "call::arguments",
                        "an equation with indices has one name on its left",
                    )
                    .label(second.name.span, "a second name"),
                );
            }
            return;
        };
        let value = self.index_scope(f, eq.value, indices);
        if matches!(value, Value::Poison) {
            f.names
                .insert(key(left), super::Binding::Value(Value::Poison));
            return;
        }
        self.assign(f, left, value, states, eq.value);
    }
}

/// The name that an index has in the source.
pub(super) fn index_name(f: &Frame, mark: Mark) -> String {
    let named: BTreeMap<Mark, &String> = f.indices.iter().map(|(n, i)| (i.mark, n)).collect();
    named.get(&mark).map_or(String::new(), |n| (*n).clone())
}

/// How far an index runs.
pub(super) fn dim_of(f: &Frame, mark: Mark) -> Dim {
    let index = f.indices.values().find(|i| i.mark == mark);
    debug_assert!(index.is_some(), "index {} is declared", index_name(f, mark));
    index.map_or_else(Dim::default, |i| i.dim.clone())
}
