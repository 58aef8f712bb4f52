//! Elementwise operators: operands brought into one shape.

use super::input::expand;
use super::value::{Lead, Pending, Tensor, Value};
use super::{Elab, Frame, number};
use crate::ast::node::{self, CompareOp};
use crate::check::program::{Binary, Expr, ExprKind, Unary};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    /// A value that arithmetic can use: not tokens.
    pub(super) fn numeric(&mut self, t: Tensor, span: Span) -> Option<Tensor> {
        if t.tokens.is_some() {
            self.error(
                Diagnostic::error("token::not-a-number", "a token is a name, not a number")
                    .label(span, "tokens")
                    .help("`|> Embed(64)` makes a vector of each"),
            );
            return None;
        }
        Some(t)
    }

    pub(super) fn unary(&mut self, op: Unary, x: Value, op_span: Span, x_span: Span) -> Value {
        let Value::Tensor(t) = x else {
            return Value::Poison;
        };
        let Some(t) = self.numeric(*t, x_span).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        if let (Unary::Neg, ExprKind::Number(n)) = (op, &t.expr.kind) {
            return Tensor::weight(number(-n, op_span)).into();
        }
        let shape = t.expr.shape.clone();
        let mut out = Tensor::new(Expr {
            kind: ExprKind::Unary(op, Box::new(t.expr)),
            shape,
            span: op_span,
        });
        (out.lead, out.marks) = (t.lead, t.marks);
        out.weight = t.weight;
        out.both = t.both;
        out.into()
    }

    pub(super) fn binary(
        &mut self,
        op: Binary,
        a: (Tensor, Span),
        b: (Tensor, Span),
        span: Span,
    ) -> Value {
        let tokens_equal = matches!(op, Binary::Eq | Binary::Ne);
        if !tokens_equal || a.0.tokens.is_none() != b.0.tokens.is_none() {
            for (t, at) in [&a, &b] {
                if self.numeric(t.clone(), *at).is_none() {
                    return Value::Poison;
                }
            }
        }
        if op == Binary::Mul {
            for (t, _) in [&a, &b] {
                if let ExprKind::Param(p) = t.expr.kind {
                    self.weights[p.0 as usize].multiplies += 1;
                }
            }
        }
        let recurrent = op == Binary::Mul && (a.0.recurrent || b.0.recurrent);
        let weight = a.0.weight && b.0.weight;
        let both = a.0.both || b.0.both;
        let Some((mut parts, shape, lead)) = self.align(vec![a, b], span, symbol(op)) else {
            return Value::Poison;
        };
        let (Some(right), Some(left)) = (parts.pop(), parts.pop()) else {
            return Value::Poison;
        };
        let t = Tensor::new(Expr {
            kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
            shape,
            span,
        });
        let mut t = lead.of(t);
        t.recurrent = recurrent;
        t.weight = weight;
        t.both = both;
        t.into()
    }

    /// `a <= b < c`.
    pub(super) fn compare(
        &mut self,
        f: &mut Frame,
        first: &node::Expr,
        rest: &[(crate::span::Spanned<CompareOp>, node::Expr)],
    ) -> Value {
        let mut left = (self.expr(f, first), first.span);
        let mut all: Option<(Tensor, Span)> = None;
        for (op, e) in rest {
            let right = (self.expr(f, e), e.span);
            let (Value::Tensor(a), Value::Tensor(b)) = (&left.0, &right.0) else {
                return Value::Poison;
            };
            let b = Box::new(self.bind("compared", (**b).clone(), e.span));
            let kind = match op.node {
                CompareOp::Lt => Binary::Lt,
                CompareOp::Le => Binary::Le,
                CompareOp::Eq => Binary::Eq,
                CompareOp::Ne => Binary::Ne,
                CompareOp::Gt => Binary::Gt,
                CompareOp::Ge => Binary::Ge,
            };
            let one = self.binary(
                kind,
                ((**a).clone(), left.1),
                ((*b).clone(), right.1),
                op.span,
            );
            let Value::Tensor(one) = one else {
                return Value::Poison;
            };
            let joined = match all {
                None => Value::Tensor(one),
                Some(before) => self.binary(Binary::And, before, (*one, op.span), op.span),
            };
            let Value::Tensor(joined) = joined else {
                return Value::Poison;
            };
            all = Some((*joined, op.span));
            left = (Value::Tensor(b), right.1);
        }
        all.map_or(Value::Poison, |(t, _)| t.into())
    }

    /// Elementwise operands in one shape: equal, or the end of the others' (a vector lifts over
    /// leading axes), or a number.
    pub(super) fn align(
        &mut self,
        mut parts: Vec<(Tensor, Span)>,
        span: Span,
        symbol: &str,
    ) -> Option<(Vec<Expr>, Vec<Dim>, Lead)> {
        let decided: Vec<Tensor> = parts
            .iter()
            .filter(|(t, _)| t.pending.is_none())
            .map(|(t, _)| t.clone())
            .collect();
        let partner = decided.iter().max_by_key(|t| t.rank()).cloned();
        for (t, at) in &mut parts {
            let Some(p) = t.pending else { continue };
            let shape = match (p, &partner) {
                (Pending::Draw, Some(x)) => {
                    (t.lead, t.marks) = (x.lead, x.marks.clone());
                    x.expr.shape.clone()
                }
                (Pending::Weight(_), Some(x)) if x.rank() > 0 => {
                    let last = x.last().cloned()?;
                    if self.solver.is_time(&last) {
                        self.along_time(&self.weights_name(t), *at);
                        return None;
                    }
                    vec![last]
                }
                (Pending::Draw, None) => {
                    self.decided(t.clone())?;
                    return None;
                }
                (Pending::Weight(_), _) => vec![self.solver.unknown()],
            };
            *t = self.decide(t.clone(), p, shape);
        }
        self.meet_indices(&mut parts.iter_mut().map(|(t, _)| t).collect::<Vec<_>>());
        let big = parts.iter().map(|(t, _)| t).max_by_key(|t| t.rank())?;
        let core = big.core().to_vec();
        let lifted = parts.iter().map(|(t, _)| t).find(|t| t.lead > 0);
        let lead: Vec<Dim> = lifted.map_or(Vec::new(), |t| t.expr.shape[..t.lead].to_vec());
        for (t, _) in &parts {
            let from = core.len() - t.rank();
            let fits = self.agree(t.core(), &core[from..]);
            let same_lead = t.lead == 0 || self.agree(&t.expr.shape[..t.lead], &lead);
            if !fits || !same_lead {
                self.mismatch(&parts, span, symbol);
                return None;
            }
        }
        let shape = [lead.as_slice(), core.as_slice()].concat();
        let leading = Lead {
            axes: lead.len(),
            marks: lifted.map_or(Vec::new(), |t| t.marks.clone()),
        };
        let mut exprs = Vec::new();
        for (t, _) in parts {
            let gap = core.len() - t.rank();
            if t.lead > 0 && gap > 0 {
                // A number per step meets a vector per step.
                let axes = (0..t.lead)
                    .map(Some)
                    .chain(std::iter::repeat_n(None, gap))
                    .chain((t.lead..t.expr.shape.len()).map(Some))
                    .collect();
                exprs.push(expand(t.expr, axes, shape.clone()));
            } else {
                exprs.push(t.expr);
            }
        }
        Some((exprs, shape, leading))
    }

    pub(super) fn weights_name(&self, t: &Tensor) -> String {
        match t.expr.kind {
            ExprKind::Param(p) => self.weights[p.0 as usize].path.clone(),
            _ => String::new(),
        }
    }

    pub(super) fn along_time(&mut self, name: &str, span: Span) -> Value {
        self.error(
            Diagnostic::error(
                "shape::weight-sized-by-time",
                format!("weight `{name}` would be as long as the sequence"),
            )
            .label(span, "a time, which differs from example to example"),
        )
    }

    pub(super) fn mismatch(&mut self, parts: &[(Tensor, Span)], span: Span, symbol: &str) {
        let shown: Vec<String> = parts
            .iter()
            .map(|(t, _)| self.solver.show(t.core()))
            .collect();
        let message = match shown.as_slice() {
            [a, b] => format!("left of `{symbol}` is {a}, right is {b}"),
            _ => format!("`{symbol}` joins {}", shown.join(", ")),
        };
        let mut d = Diagnostic::error("shape::mismatch", message).label(span, "shapes must agree");
        for ((_, at), shape) in parts.iter().zip(shown) {
            d = d.label(*at, shape);
        }
        self.error(d);
    }
}

pub(super) fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Pow => "^",
        Binary::Min => "min",
        Binary::Max => "max",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::And => "and",
        Binary::Or => "or",
    }
}
