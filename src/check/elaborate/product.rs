//! Products and concatenations: the last axes meet, or stand side by side.

use super::Elab;
use super::index::Mark;
use super::init::Applied;
use super::input::expand;
use super::value::{Pending, Tensor, Value};
use crate::check::program::{Expr, ExprKind};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    /// `l·r`.
    pub(super) fn dot(&mut self, a: (Tensor, Span), b: (Tensor, Span), span: Span) -> Value {
        let ((a, a_span), (b, b_span)) = (a, b);
        let (Some(a), Some(b)) = (self.numeric(a, a_span), self.numeric(b, b_span)) else {
            return Value::Poison;
        };
        let b = match (b.pending, a.pending, a.last()) {
            (None, ..) => b,
            (Some(p @ Pending::Weight(_)), None, Some(last)) => {
                let last = last.clone();
                self.decide(b, p, vec![last])
            }
            _ => match self.decided(b) {
                Some(b) => b,
                None => return Value::Poison,
            },
        };
        let Some(last) = b.last().cloned() else {
            return self.dot_of_number(&a, a_span, &b, b_span, span);
        };
        let a = match a.pending {
            None => a,
            Some(p) => {
                if self.solver.is_time(&last) {
                    let name = self.weights_name(&a);
                    return self.along_time(&name, b_span);
                }
                let rows = self.solver.unknown();
                let wanted = match p {
                    Pending::Weight(_) => vec![rows, last.clone()],
                    Pending::Draw => vec![last.clone()],
                };
                self.decide(a, p, wanted)
            }
        };
        let Some(a_last) = a.last().cloned() else {
            return self.dot_of_number(&a, a_span, &b, b_span, span);
        };
        let labels = |this: &Self, d: Diagnostic| {
            d.label(a_span, this.solver.show(a.core()))
                .label(b_span, this.solver.show(b.core()))
        };
        let over_time = b.core().first().is_some_and(|d| self.solver.is_time(d));
        if b.rank() >= 2 && !a.weight && a.rank() >= 2 {
            let d = Diagnostic::error(
                "product::two-readings",
                "`·` between two computed matrices has two readings",
            )
            .label(span, "which axes meet?");
            let d = labels(self, d);
            let d = match b.weight {
                true => d.help("a weight stands on the left: `W·x`"),
                false => d.help("index form says which: `w[t, s] = q[t] · k[s]`"),
            };
            return self.error(d);
        }
        if a.rank() == 1 && b.rank() >= 2 && !(over_time && b.rank() == 2) {
            let d = Diagnostic::error(
                "product::two-readings",
                "`·` of a vector and a matrix has two readings",
            )
            .label(span, "rows or columns?");
            let d = labels(self, d).help("the matrix stands on the left: `M·v`; or use index form");
            return self.error(d);
        }
        if self.solver.unify(&a_last, &last).is_err() {
            let (x, y) = (self.solver.show(a.core()), self.solver.show(b.core()));
            let d = Diagnostic::error(
                "shape::mismatch",
                format!("last axes of {x} · {y} do not agree"),
            )
            .label(span, "joins the last axis of each side");
            let d = labels(self, d);
            // A matrix for rows, as other libraries have it, fits the other way round.
            let first = a
                .expr
                .shape
                .first()
                .filter(|_| a.weight && a.expr.shape.len() == 2);
            let swapped =
                first.is_some_and(|d| self.solver.resolve(d) == self.solver.resolve(&last));
            return self.error(match swapped {
                true => d.help("a weight's first size is what it gives, its last what it reads"),
                false => d,
            });
        }
        if let ExprKind::Param(p) = a.expr.kind {
            let applied = match (&b.beside, b.recurrent) {
                (_, true) => Applied::State,
                (Some((size, first)), false) => Applied::Beside {
                    size: size.clone(),
                    first: *first,
                },
                (None, false) => Applied::Other,
            };
            self.weights[p.0 as usize].applied.get_or_insert(applied);
        }
        // Labels say which axes meet where a plain product cannot.
        let marked = !a.marks.is_empty() || !b.marks.is_empty();
        if marked || (a.lead > 0 && b.lead > 0) || self.solver.is_time(&last) {
            return self.labelled(a, b, span);
        }
        let lead = a.lead.max(b.lead);
        let shape = [
            &b.expr.shape[..b.expr.shape.len() - 1],
            &a.expr.shape[..a.expr.shape.len() - 1],
        ]
        .concat();
        let mut t = Tensor::new(Expr {
            kind: ExprKind::Dot(Box::new(a.expr), Box::new(b.expr)),
            shape,
            span,
        });
        t.lead = lead;
        t.weight = a.weight && b.weight;
        t.into()
    }

    /// The last axes meet; leading axes and indices that both have run along, others repeat.
    fn labelled(&mut self, a: Tensor, b: Tensor, span: Span) -> Value {
        const LAST: u8 = 250;
        let mut marks = b.marks.clone();
        marks.extend(a.marks.iter().filter(|m| !b.marks.contains(m)));
        // The order of the indices on the left, so that nothing has to be moved at the end.
        marks.sort();
        let lifts = [&a, &b].map(|t| t.lead - t.marks.len());
        let lift = lifts[0].max(lifts[1]);
        let ranks = [a.rank() - 1, b.rank() - 1];
        if lift + marks.len() + ranks[0] + ranks[1] > usize::from(LAST) {
            return self.error(
                Diagnostic::error("limit::size", "a product of more than 250 axes")
                    .label(span, "too many axes"),
            );
        }
        // Lifted axes, then indices, then what the right has alone, then the left.
        let others = lift + marks.len();
        let labels = |t: &Tensor, own_lift: usize, from: usize, rank: usize| -> Vec<u8> {
            let at = |m: &Mark| lift + marks.iter().position(|x| x == m).unwrap_or(0);
            (0..own_lift)
                .chain(t.marks.iter().map(at))
                .chain(from..from + rank)
                .map(|l| l as u8)
                .chain([LAST])
                .collect()
        };
        let lhs = labels(&a, lifts[0], others + ranks[1], ranks[0]);
        let rhs = labels(&b, lifts[1], others, ranks[1]);
        let out: Vec<u8> = (0..(others + ranks[0] + ranks[1]) as u8).collect();
        let mut shape = Vec::new();
        for l in &out {
            let of = |labels: &[u8], t: &Tensor| {
                let at = labels.iter().position(|x| x == l);
                at.map(|i| t.expr.shape[i].clone())
            };
            shape.extend(of(&rhs, &b).or_else(|| of(&lhs, &a)));
        }
        let mut t = Tensor::new(Expr {
            kind: ExprKind::Contract {
                left: Box::new(a.expr),
                right: Box::new(b.expr),
                lhs,
                rhs,
                out,
            },
            shape,
            span,
        });
        t.lead = others;
        t.marks = marks;
        t.weight = a.weight && b.weight;
        t.into()
    }

    pub(super) fn dot_of_number(
        &mut self,
        a: &Tensor,
        a_span: Span,
        b: &Tensor,
        b_span: Span,
        span: Span,
    ) -> Value {
        let (x, y) = (self.solver.show(a.core()), self.solver.show(b.core()));
        self.error(
            Diagnostic::error(
                "shape::mismatch",
                format!("left of `·` is {x}, right is {y}"),
            )
            .label(span, "joins the last axis of each side")
            .label(a_span, x)
            .label(b_span, y)
            .help("`*` multiplies by a number"),
        )
    }

    /// `[h, x]`.
    pub(super) fn concat(&mut self, parts: Vec<(Tensor, Span)>, span: Span) -> Value {
        let mut whole = Vec::new();
        for (t, at) in parts {
            let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
                return Value::Poison;
            };
            // A number, or a number per step, counts as one feature.
            let one = t.last().is_none_or(|d| self.solver.is_time(d));
            whole.push((t, at, one));
        }
        self.meet_indices(&mut whole.iter_mut().map(|(t, ..)| t).collect::<Vec<_>>());
        let leading = |t: &Tensor, one: bool| match one {
            true => t.core().to_vec(),
            false => t.core()[..t.rank() - 1].to_vec(),
        };
        let axes: Vec<Dim> = whole
            .iter()
            .map(|(t, _, one)| leading(t, *one))
            .max_by_key(Vec::len)
            .unwrap_or_default();
        let lifted = whole.iter().map(|(t, ..)| t).find(|t| t.lead > 0);
        let lead: Vec<Dim> = lifted.map_or(Vec::new(), |t| t.expr.shape[..t.lead].to_vec());
        let front = [lead.as_slice(), axes.as_slice()].concat();
        let mut features = Dim::default();
        let mut exprs = Vec::new();
        let count = whole.len();
        let states: Vec<usize> = (0..count).filter(|i| whole[*i].0.recurrent).collect();
        let beside = match states.as_slice() {
            [0] if count > 1 => whole[0].0.last().cloned().map(|d| (d, true)),
            [i] if *i + 1 == count && count > 1 => whole[*i].0.last().cloned().map(|d| (d, false)),
            _ => None,
        };
        let both = whole.iter().any(|(t, ..)| t.both);
        let weight = whole.iter().all(|(t, ..)| t.weight);
        for (t, at, one) in &whole {
            let own = leading(t, *one);
            let gap = axes.len() - own.len();
            if !self.agree(&own, &axes[gap..]) {
                let all: Vec<(Tensor, Span)> =
                    whole.iter().map(|(t, at, _)| (t.clone(), *at)).collect();
                let shown = self.solver.show(t.core());
                let most = all.iter().find(|(t, _)| t.core().starts_with(&axes));
                let most = most.map_or(String::new(), |(t, _)| self.solver.show(t.core()));
                let mut d = Diagnostic::error(
                    "shape::mismatch",
                    format!("side by side {most} and {shown} may differ in the last axis alone"),
                );
                d = d.label(*at, shown);
                for (t, other) in &all {
                    if other != at {
                        d = d.label(*other, self.solver.show(t.core()));
                    }
                }
                return self.error(d);
            }
            let width = match (one, t.last()) {
                (false, Some(d)) => d.clone(),
                _ => Dim::constant(1),
            };
            let Ok(sum) = features.checked_add(&width) else {
                return self.error(
                    Diagnostic::error("limit::size", "a size that leaves 64 bits")
                        .label(span, "overflows"),
                );
            };
            features = sum;
            let mut map: Vec<Option<usize>> =
                (0..lead.len()).map(|i| (t.lead > 0).then_some(i)).collect();
            map.extend(std::iter::repeat_n(None, gap));
            map.extend((0..own.len()).map(|i| Some(t.lead + i)));
            map.push((!one).then(|| t.expr.shape.len() - 1));
            let plain = map.len() == t.expr.shape.len() && map.iter().all(Option::is_some);
            exprs.push(match plain {
                true => t.expr.clone(),
                false => {
                    let shape = [front.as_slice(), &[width]].concat();
                    expand(t.expr.clone(), map, shape)
                }
            });
        }
        let shape = [front.as_slice(), &[features]].concat();
        let mut t = match exprs.len() {
            1 => Tensor::new(exprs.remove(0)),
            _ => Tensor::new(Expr {
                kind: ExprKind::Concat(exprs),
                shape,
                span,
            }),
        };
        let marks = lifted.map_or(Vec::new(), |t| t.marks.clone());
        (t.lead, t.marks) = (lead.len(), marks);
        t.beside = beside;
        t.both = both;
        t.weight = weight;
        t.into()
    }
}
