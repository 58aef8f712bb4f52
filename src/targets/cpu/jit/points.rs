//! The value of every expression at a point, or at the points of a block of vectors.
//!
//! In: an expression and its operands' values. Out: [`Computed`]. Comparisons keep their truth beside their 1 or 0, so that
//! a select that follows needs no comparison of its own.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32, F32X4, I32, I32X4};
use cranelift_codegen::ir::{InstBuilder, Value};

use super::asm::{LANES, Width};
use super::loops::{Emitter, State};
use super::machine::internal;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::{Binary, Expr, ExprId, Unary};

/// Instructions that an expression takes, roughly.
pub(crate) fn weight(e: &Expr) -> usize {
    match e {
        Expr::Const(_) | Expr::Index(_) | Expr::Time | Expr::Size(_) => 0,
        Expr::Load(_) | Expr::Select(..) => 1,
        Expr::Unary(u, _) => match u {
            Unary::Neg | Unary::Abs | Unary::Step | Unary::Floor => 1,
            Unary::Sign => 4,
            Unary::Sqrt => 4,
            Unary::Bf16 => 8,
            Unary::Exp | Unary::Sigmoid => 20,
            Unary::Tanh => 20,
            Unary::Log | Unary::Sin | Unary::Cos => 30,
            Unary::Erf => 35,
        },
        Expr::Binary(b, ..) => match b {
            Binary::Pow => 20,
            Binary::Div => 3,
            Binary::Max | Binary::Min => 3,
            Binary::Add | Binary::Sub | Binary::Mul => 1,
            Binary::Lt | Binary::Le | Binary::Eq => 2,
        },
    }
}

/// The value of an expression where it has been computed.
#[derive(Clone, Debug)]
pub(super) enum Computed {
    /// The same along the vector axis: one float, repeated in four lanes, and its truth.
    Same {
        one: Value,
        four: Value,
        truth: Option<(Value, Value)>,
    },
    /// One value, and perhaps truth, for each vector of the block.
    Varied {
        values: Vec<Value>,
        truth: Option<Vec<Value>>,
    },
}

impl Emitter<'_, '_, '_, '_> {
    /// An expression's value in vector `v` of the block.
    pub(super) fn value(&mut self, s: &State, e: ExprId, v: usize) -> Value {
        match &s.computed[e.0 as usize] {
            Some(Computed::Same { one, four, .. }) => match s.block.width {
                Width::One => *one,
                Width::Four => *four,
            },
            Some(Computed::Varied { values, .. }) => values[v],
            None => unreachable!("operands are computed before their uses"),
        }
    }

    /// Whether the expression is not 0.
    fn truth(&mut self, s: &State, e: ExprId, v: usize, w: Width) -> Value {
        match &s.computed[e.0 as usize] {
            Some(Computed::Same {
                truth: Some((one, four)),
                ..
            }) => match w {
                Width::One => *one,
                Width::Four => *four,
            },
            Some(Computed::Varied {
                truth: Some(truth), ..
            }) => truth[v],
            _ => {
                let x = self.operand(s, e, v, w);
                let zero = self.asm.float(w, 0.0);
                self.asm.compare(FloatCC::NotEqual, x, zero)
            }
        }
    }

    /// An operand at the width of the computation that uses it.
    pub(super) fn operand(&mut self, s: &State, e: ExprId, v: usize, w: Width) -> Value {
        match (&s.computed[e.0 as usize], w) {
            (Some(Computed::Same { one, .. }), Width::One) => *one,
            _ => self.value(s, e, v),
        }
    }

    /// Computes expression `i` for the whole block, or once where it does not vary.
    pub(super) fn compute(&mut self, s: &State, i: usize) -> Result<Computed, Diagnostic> {
        let e = &self.l.exprs[i];
        if !self.varied[i] {
            let (one, truth) = match e {
                Expr::Load(k) => (self.load_one(s, *k), None),
                Expr::Index(axis) => {
                    let one = match self.position(*axis) {
                        Some(p) => self.count_float(s.indices[p]),
                        None => self.asm.float(Width::One, 0.0),
                    };
                    (one, None)
                }
                Expr::Time => (self.count_float(self.asm.params.time), None),
                Expr::Size(d) => {
                    let n = self.asm.size(d)?;
                    (self.count_float(n), None)
                }
                other => self.apply(s, other, 0, Width::One)?,
            };
            let four = match e {
                Expr::Const(x) => self.asm.float(Width::Four, *x as f32),
                _ => self.asm.b.ins().splat(F32X4, one),
            };
            let truth = truth.map(|t| (t, self.asm.splat_mask(t)));
            return Ok(Computed::Same { one, four, truth });
        }
        let w = s.block.width;
        let (mut values, mut truths) = (Vec::new(), Vec::new());
        for v in 0..s.block.vectors {
            let (value, truth) = match e {
                Expr::Load(k) => (self.load(s, *k, v), None),
                Expr::Index(axis) => (self.index(s, *axis, v)?, None),
                other => self.apply(s, other, v, w)?,
            };
            values.push(value);
            truths.extend(truth);
        }
        let truth = (truths.len() == values.len()).then_some(truths);
        Ok(Computed::Varied { values, truth })
    }

    fn count_float(&mut self, n: Value) -> Value {
        let n = self.asm.b.ins().ireduce(I32, n);
        self.asm.b.ins().fcvt_from_sint(F32, n)
    }

    /// Coordinates on the vector axis.
    fn index(&mut self, s: &State, axis: usize, v: usize) -> Result<Value, Diagnostic> {
        let p = self
            .position(axis)
            .ok_or_else(|| internal(&"no such axis"))?;
        let n = self.asm.b.ins().ireduce(I32, s.indices[p]);
        let n = self.asm.b.ins().iadd_imm_s(n, (v * LANES) as i64);
        Ok(match s.block.width {
            Width::One => self.asm.b.ins().fcvt_from_sint(F32, n),
            Width::Four => {
                let lanes: Vec<u8> = (0..LANES as i32).flat_map(i32::to_le_bytes).collect();
                let lanes = self
                    .asm
                    .b
                    .func
                    .dfg
                    .constants
                    .insert(lanes.as_slice().into());
                let lanes = self.asm.b.ins().vconst(I32X4, lanes);
                let n = self.asm.b.ins().splat(I32X4, n);
                let n = self.asm.b.ins().iadd(n, lanes);
                self.asm.b.ins().fcvt_from_sint(F32X4, n)
            }
        })
    }

    /// An arithmetic expression's value, and its truth where it is a comparison.
    fn apply(
        &mut self,
        s: &State,
        e: &Expr,
        v: usize,
        w: Width,
    ) -> Result<(Value, Option<Value>), Diagnostic> {
        let value = match e {
            Expr::Const(x) => self.asm.float(w, *x as f32),
            Expr::Load(_) | Expr::Index(_) | Expr::Time | Expr::Size(_) => {
                return Err(internal(&"a leaf is not arithmetic"));
            }
            Expr::Unary(op, a) => {
                let a = self.operand(s, *a, v, w);
                return self.unary(w, *op, a);
            }
            Expr::Binary(op, a, b) => return self.binary(s, *op, *a, *b, v, w),
            Expr::Select(c, a, b) => {
                let c = self.truth(s, *c, v, w);
                let (a, b) = (self.operand(s, *a, v, w), self.operand(s, *b, v, w));
                self.asm.choose(w, c, a, b)
            }
        };
        Ok((value, None))
    }

    fn unary(
        &mut self,
        w: Width,
        op: Unary,
        a: Value,
    ) -> Result<(Value, Option<Value>), Diagnostic> {
        let asm = &mut *self.asm;
        let value = match op {
            Unary::Neg => asm.b.ins().fneg(a),
            Unary::Abs => asm.b.ins().fabs(a),
            Unary::Sqrt => asm.b.ins().sqrt(a),
            Unary::Exp => asm.exp(w, a),
            Unary::Log => asm.log(w, a),
            Unary::Sign => asm.sign(w, a),
            Unary::Tanh => asm.tanh(w, a),
            Unary::Sigmoid => asm.sigmoid(w, a),
            Unary::Sin => asm.sin(w, a)?,
            Unary::Cos => asm.cos(w, a)?,
            Unary::Erf => asm.erf(w, a),
            Unary::Floor => asm.b.ins().floor(a),
            Unary::Bf16 => asm.bf16(w, a),
            Unary::Step => {
                let zero = self.asm.float(w, 0.0);
                let mask = self.asm.compare(FloatCC::LessThan, zero, a);
                return Ok((self.asm.truth(w, mask), Some(mask)));
            }
        };
        Ok((value, None))
    }

    fn binary(
        &mut self,
        s: &State,
        op: Binary,
        a: ExprId,
        b: ExprId,
        v: usize,
        w: Width,
    ) -> Result<(Value, Option<Value>), Diagnostic> {
        let compared = match op {
            Binary::Lt => Some(FloatCC::LessThan),
            Binary::Le => Some(FloatCC::LessThanOrEqual),
            Binary::Eq => Some(FloatCC::Equal),
            Binary::Add
            | Binary::Sub
            | Binary::Mul
            | Binary::Div
            | Binary::Pow
            | Binary::Max
            | Binary::Min => None,
        };
        if let Some(cc) = compared {
            let (a, b) = (self.operand(s, a, v, w), self.operand(s, b, v, w));
            let mask = self.asm.compare(cc, a, b);
            return Ok((self.asm.truth(w, mask), Some(mask)));
        }
        if let Binary::Add | Binary::Sub = op
            && let Some(sum) = self.fused_sum(s, op, a, b, v, w)
        {
            return Ok((sum, None));
        }
        let constant = |e: ExprId| match self.l.exprs[e.0 as usize] {
            Expr::Const(x) => Some(x),
            _ => None,
        };
        let (left, right) = (constant(a), constant(b));
        let (a, b) = (self.operand(s, a, v, w), self.operand(s, b, v, w));
        let asm = &mut *self.asm;
        let value = match op {
            Binary::Add => asm.b.ins().fadd(a, b),
            Binary::Sub => asm.b.ins().fsub(a, b),
            Binary::Mul => asm.b.ins().fmul(a, b),
            Binary::Div => asm.b.ins().fdiv(a, b),
            Binary::Pow => match right {
                Some(y) => asm.power_const(w, a, y),
                None => asm.power(w, a, b),
            },
            Binary::Max | Binary::Min => {
                // The second operand's NaN passes by itself, so a constant goes first.
                let number = |x: Option<f64>| x.is_some_and(|x| !x.is_nan());
                let (a, b, one) = match (number(left), number(right)) {
                    (true, _) => (a, b, true),
                    (false, true) => (b, a, true),
                    (false, false) => (a, b, false),
                };
                let m = match op {
                    Binary::Max => asm.greater(w, a, b),
                    _ => asm.lesser(w, a, b),
                };
                if one { m } else { asm.keep_nan(w, a, m) }
            }
            Binary::Lt | Binary::Le | Binary::Eq => {
                return Err(internal(&"a comparison is not arithmetic"));
            }
        };
        Ok((value, None))
    }

    /// The factors of a product that is fused with the sum or fold that uses it.
    pub(super) fn absorbed_product(&self, e: ExprId) -> Option<(ExprId, ExprId)> {
        match self.l.exprs[e.0 as usize] {
            Expr::Binary(Binary::Mul, x, y) if self.absorbed[e.0 as usize] => Some((x, y)),
            _ => None,
        }
    }

    /// A sum with an absorbed product, as one fused operation.
    fn fused_sum(
        &mut self,
        s: &State,
        op: Binary,
        a: ExprId,
        b: ExprId,
        v: usize,
        w: Width,
    ) -> Option<Value> {
        let absorbed = |e: ExprId| self.absorbed[e.0 as usize];
        let (product, other) = match (absorbed(a), absorbed(b)) {
            (true, _) => (a, b),
            (false, true) => (b, a),
            (false, false) => return None,
        };
        let (x, y) = self.absorbed_product(product)?;
        let (mut x, y) = (self.operand(s, x, v, w), self.operand(s, y, v, w));
        let mut c = self.operand(s, other, v, w);
        if op == Binary::Sub {
            if product == a {
                c = self.asm.b.ins().fneg(c);
            } else {
                x = self.asm.b.ins().fneg(x);
            }
        }
        Some(self.asm.fma(x, y, c))
    }
}
