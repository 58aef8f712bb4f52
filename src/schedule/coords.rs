//! Index domains as comparisons of coordinates.
//!
//! In: a domain over a value's axes, and where those axes are on a loop's space. Out: expressions of
//! the loop that are 1 where the point counts, else 0.

use super::loops::{At, Builder, Map};
use super::program::{Binary, Expr, ExprId, Unary};
use super::size;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::domain::{Affine, Coord, Domain};
use crate::ir::ValueId;

impl Builder<'_, '_> {
    /// 1 where the point counts, else 0. `numbers` holds one integer for each example.
    pub(super) fn domain(
        &mut self,
        domain: &Domain,
        at: &Map,
        batch: Option<usize>,
        numbers: &[ValueId],
    ) -> Result<ExprId, Diagnostic> {
        let all = |b: &mut Self, parts: &[Domain], op: Binary, none: f64| {
            let mut out: Option<ExprId> = None;
            for p in parts {
                let p = b.domain(p, at, batch, numbers)?;
                out = Some(match out {
                    Some(before) => b.expr(Expr::Binary(op, before, p)),
                    None => p,
                });
            }
            Ok(out.unwrap_or_else(|| b.expr(Expr::Const(none))))
        };
        Ok(match domain {
            Domain::AtLeast(form) => {
                // Among whole numbers high − low − 1 ≥ 0 is low < high.
                let strict = without_one(form);
                let op = if strict.is_some() {
                    Binary::Lt
                } else {
                    Binary::Le
                };
                let form = strict.as_ref().unwrap_or(form);
                let (low, high) = self.sides(form, at, batch, numbers)?;
                self.expr(Expr::Binary(op, low, high))
            }
            Domain::Zero(form) => {
                let (low, high) = self.sides(form, at, batch, numbers)?;
                self.expr(Expr::Binary(Binary::Eq, low, high))
            }
            // n·⌊x / n⌋ = x
            Domain::Multiple(form, n) => {
                let (low, high) = self.sides(form, at, batch, numbers)?;
                let x = self.expr(Expr::Binary(Binary::Sub, high, low));
                let n = self.size(n);
                let q = self.expr(Expr::Binary(Binary::Div, x, n));
                let q = self.expr(Expr::Unary(Unary::Floor, q));
                let back = self.expr(Expr::Binary(Binary::Mul, q, n));
                self.expr(Expr::Binary(Binary::Eq, back, x))
            }
            Domain::Not(d) => {
                let d = self.domain(d, at, batch, numbers)?;
                let zero = self.expr(Expr::Const(0.0));
                self.expr(Expr::Binary(Binary::Eq, d, zero))
            }
            Domain::All(parts) => all(self, parts, Binary::Mul, 1.0)?,
            Domain::Any(parts) => all(self, parts, Binary::Max, 0.0)?,
        })
    }

    /// The negative and the positive terms of a form, each as a sum of positive ones: `form = high − low`.
    fn sides(
        &mut self,
        form: &Affine,
        at: &Map,
        batch: Option<usize>,
        numbers: &[ValueId],
    ) -> Result<(ExprId, ExprId), Diagnostic> {
        let mut sides: [Option<ExprId>; 2] = [None, None];
        let push = |b: &mut Self, side: &mut Option<ExprId>, x: ExprId| {
            *side = Some(match *side {
                Some(before) => b.expr(Expr::Binary(Binary::Add, before, x)),
                None => x,
            });
        };
        for (c, n) in form.terms() {
            let mut x = match c {
                Coord::Axis(i) => self.place(&at[i])?,
                Coord::Of(i) => {
                    let row = batch.map_or_else(Map::new, |b| vec![at[b].clone()]);
                    self.value(numbers[i], &row)?
                }
            };
            if n.abs() != 1 {
                let k = self.expr(Expr::Const(n.unsigned_abs() as f64));
                x = self.expr(Expr::Binary(Binary::Mul, k, x));
            }
            push(self, &mut sides[usize::from(n > 0)], x);
        }
        match form.offset().as_const() {
            Some(0) => {}
            Some(n) => {
                let k = self.expr(Expr::Const(n.unsigned_abs() as f64));
                push(self, &mut sides[usize::from(n > 0)], k);
            }
            None => {
                let d = self.size(form.offset());
                push(self, &mut sides[1], d);
            }
        }
        let [low, high] = sides.map(|s| s.unwrap_or_else(|| self.expr(Expr::Const(0.0))));
        Ok((low, high))
    }

    /// A coordinate of the value at this place of the loop.
    pub(super) fn place(&mut self, at: &At) -> Result<ExprId, Diagnostic> {
        let offset = (at.offset != size::zero()).then(|| self.size(&at.offset));
        let index = at.axis.map(|i| self.expr(Expr::Index(i)));
        Ok(match (index, offset) {
            (Some(i), Some(o)) => self.expr(Expr::Binary(Binary::Add, i, o)),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.expr(Expr::Const(0.0)),
        })
    }

    /// A size as a number: a constant where it is known.
    fn size(&mut self, d: &Dim) -> ExprId {
        match d.as_const() {
            Some(n) => self.expr(Expr::Const(n as f64)),
            None => self.expr(Expr::Size(d.clone())),
        }
    }
}

/// `form + 1` where that has no constant.
fn without_one(form: &Affine) -> Option<Affine> {
    let one = Affine::constant(Dim::constant(1));
    let more = form.add(&one).ok()?;
    (*more.offset() == size::zero()).then_some(more)
}
