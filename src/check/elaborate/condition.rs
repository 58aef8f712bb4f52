//! What stands after `where`: the part that is a condition on indices, as a domain, and the rest,
//! which is computed.
//!
//! In: a condition. Out: a [`Domain`] whose coordinate `Axis(m)` is the index with mark `m`, and the
//! conditions on data (`src[s] == v`) that no domain can say.

use super::index::Mark;
use super::value::{Tensor, Value};
use super::{Elab, Frame, size};
use crate::ast::node::{self, BinaryOp, CompareOp, ExprKind as Ast, UnaryOp};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::domain::{Affine, Coord, Domain};

/// A condition, split.
pub(super) struct Condition<'a> {
    pub domain: Domain,
    pub data: Vec<&'a node::Expr>,
}

pub(super) fn coord(mark: Mark) -> Coord {
    Coord::Axis(mark.0 as usize)
}

impl Elab<'_, '_> {
    pub(super) fn condition<'a>(&self, f: &Frame, cond: &'a node::Expr) -> Condition<'a> {
        let mut out = Condition {
            domain: Domain::everywhere(),
            data: Vec::new(),
        };
        let mut todo = vec![cond];
        while let Some(e) = todo.pop() {
            match &e.kind {
                Ast::Paren(inner) => todo.push(inner),
                Ast::Binary {
                    op: BinaryOp::And,
                    left,
                    right,
                    ..
                } => {
                    todo.push(right);
                    todo.push(left);
                }
                _ => match self.domain(f, e) {
                    Some(d) => out.domain = out.domain.and(d),
                    None => out.data.push(e),
                },
            }
        }
        out
    }

    pub(super) fn no_condition(&mut self, e: &node::Expr) -> Value {
        self.error(
            Diagnostic::error(
                "call::arguments",
                "`where` takes a comparison, not a number",
            )
            .label(e.span, "a number")
            .help("for example `where s <= t`"),
        )
    }

    /// A condition that holds a vector at each point.
    pub(super) fn no_point(&mut self, e: &node::Expr, t: &Tensor) -> Value {
        let shown = self.solver.show(t.core());
        self.error(
            Diagnostic::error(
                "shape::mismatch",
                format!("a condition is one yes or no at each point; this is {shown}"),
            )
            .label(e.span, shown)
            .help("an index for each axis makes it one: `where x[s, e] > 0`"),
        )
    }

    /// The condition as a formula over indices, where it is one.
    fn domain(&self, f: &Frame, e: &node::Expr) -> Option<Domain> {
        match &e.kind {
            Ast::Paren(inner) => self.domain(f, inner),
            Ast::Unary {
                op: UnaryOp::Not,
                value,
                ..
            } => Some(Domain::Not(Box::new(self.domain(f, value)?))),
            Ast::Binary {
                op: BinaryOp::And,
                left,
                right,
                ..
            } => Some(self.domain(f, left)?.and(self.domain(f, right)?)),
            Ast::Binary {
                op: BinaryOp::Or,
                left,
                right,
                ..
            } => Some(self.domain(f, left)?.or(self.domain(f, right)?)),
            Ast::Compare { first, rest } => {
                let mut all = Domain::everywhere();
                let mut left: &node::Expr = first;
                for (op, right) in rest {
                    all = all.and(self.comparison(f, left, op.node, right)?);
                    left = right;
                }
                Some(all)
            }
            _ => None,
        }
    }

    fn comparison(
        &self,
        f: &Frame,
        left: &node::Expr,
        op: CompareOp,
        right: &node::Expr,
    ) -> Option<Domain> {
        // mod(s, K) == r
        if let (CompareOp::Eq | CompareOp::Ne, Some((of, by))) = (op, modulus(left)) {
            let by = self.affine(f, by)?.as_constant()?.clone();
            let rest = self.affine(f, right)?;
            // A remainder is below what it is left by.
            let (n, r) = (by.as_const(), rest.as_constant()?.as_const()?);
            if r < 0 || n.is_some_and(|n| n <= r) || (n.is_none() && r > 0) {
                return None;
            }
            let form = self.affine(f, of)?.sub(&rest).ok()?;
            let d = Domain::Multiple(form, by);
            return Some(match op {
                CompareOp::Ne => Domain::Not(Box::new(d)),
                _ => d,
            });
        }
        let (a, b) = (self.affine(f, left)?, self.affine(f, right)?);
        match op {
            CompareOp::Lt => Domain::lt(&a, &b),
            CompareOp::Le => Domain::le(&a, &b),
            CompareOp::Gt => Domain::lt(&b, &a),
            CompareOp::Ge => Domain::le(&b, &a),
            CompareOp::Eq => Domain::equal(&a, &b),
            CompareOp::Ne => Domain::equal(&a, &b).map(|d| Domain::Not(Box::new(d))),
        }
        .ok()
    }

    /// `t - 2*s + K`, with whole numbers.
    fn affine(&self, f: &Frame, e: &node::Expr) -> Option<Affine> {
        match &e.kind {
            Ast::Paren(inner) => self.affine(f, inner),
            Ast::Number { .. } => {
                let n = size::constant(e).filter(|n| n.fract() == 0.0 && n.abs() < 1e15)?;
                Some(Affine::constant(Dim::constant(n as i64)))
            }
            Ast::Name(n) => match (f.indices.get(n), f.names.contains_key(n)) {
                (Some(i), _) => Some(Affine::coord(coord(i.mark))),
                (None, false) => {
                    let d = f.sizes.get(n)?;
                    Some(Affine::constant(self.solver.resolve(d).ok()?))
                }
                (None, true) => None,
            },
            Ast::Unary {
                op: UnaryOp::Neg,
                value,
                ..
            } => self.affine(f, value)?.scale(-1).ok(),
            Ast::Binary {
                op, left, right, ..
            } => {
                let (a, b) = (self.affine(f, left)?, self.affine(f, right)?);
                match op {
                    BinaryOp::Add => a.add(&b).ok(),
                    BinaryOp::Sub => a.sub(&b).ok(),
                    BinaryOp::Mul => {
                        let factor = |x: &Affine| x.as_constant()?.as_const();
                        match (factor(&a), factor(&b)) {
                            (Some(k), _) => b.scale(k).ok(),
                            (None, Some(k)) => a.scale(k).ok(),
                            (None, None) => {
                                let (x, y) = (a.as_constant()?, b.as_constant()?);
                                Some(Affine::constant(x.checked_mul(y).ok()?))
                            }
                        }
                    }
                    BinaryOp::Div
                    | BinaryOp::Pow
                    | BinaryOp::Dot
                    | BinaryOp::And
                    | BinaryOp::Or => None,
                }
            }
            _ => None,
        }
    }
}

/// `mod(s, K)`: what is divided, and by what.
fn modulus(e: &node::Expr) -> Option<(&node::Expr, &node::Expr)> {
    match &e.kind {
        Ast::Paren(inner) => modulus(inner),
        Ast::Call { callee, args } => match (&callee.kind, args.as_slice()) {
            (Ast::Name(n), [a, b]) if n == "mod" => Some((&a.value, &b.value)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the domain surely has a point for every place of the other indices: at `s = t` for one of
/// them, or at `s = 0`.
pub(super) fn never_empty(domain: &Domain, s: Coord, others: &[Coord]) -> bool {
    let places = others
        .iter()
        .map(|c| Affine::coord(*c))
        .chain([Affine::constant(Dim::default())]);
    places.into_iter().any(|at| always(domain, s, &at))
}

/// Whether the condition holds for all coordinates ≥ 0 once `s` is put at `at`.
fn always(domain: &Domain, s: Coord, at: &Affine) -> bool {
    let put = |form: &Affine| -> Option<Affine> {
        let k = form.terms().find(|(c, _)| *c == s).map_or(0, |(_, n)| n);
        let rest = form.sub(&Affine::coord(s).scale(k).ok()?).ok()?;
        rest.add(&at.scale(k).ok()?).ok()
    };
    // Sizes are at least 1, so a positive one less a constant is not negative where that is 1.
    let positive = |d: &Dim| d.terms().filter(|(m, _)| !m.is_empty()).all(|(_, n)| n > 0);
    match domain {
        Domain::AtLeast(form) => put(form).is_some_and(|f| {
            let least: i64 = f.offset().terms().map(|(_, n)| n).sum();
            f.terms().all(|(_, n)| n >= 0) && positive(f.offset()) && least >= 0
        }),
        Domain::Zero(form) | Domain::Multiple(form, _) => {
            put(form).is_some_and(|f| f.as_constant().and_then(Dim::as_const) == Some(0))
        }
        Domain::Not(_) => false,
        Domain::All(parts) => parts.iter().all(|p| always(p, s, at)),
        Domain::Any(parts) => parts.iter().any(|p| always(p, s, at)),
    }
}

/// Arithmetic or an index, which is no condition.
pub(super) fn is_number(f: &Frame, e: &node::Expr) -> bool {
    match &e.kind {
        Ast::Paren(inner) => is_number(f, inner),
        Ast::Name(n) => f.indices.contains_key(n) || f.sizes.contains_key(n),
        Ast::Number { .. } => true,
        Ast::Unary { op, .. } => matches!(op, UnaryOp::Neg),
        Ast::Binary { op, .. } => !matches!(op, BinaryOp::And | BinaryOp::Or),
        _ => false,
    }
}
