//! Elementary functions as instructions of full width: those of `jit::math`, with the same coefficients, by the
//! machine's own scaling and rounding.
//!
//! In: a vector. Out: the function's value, within 3·10⁻⁷ of the true one relative to it, held by the same tests.

use super::super::isa::Reciprocal;
use super::super::jit::math::{
    ERF, ERF_END, ERFC, EXP, LN2_HIGH, LN2_LOW, LOG, TANH_END, TANH_P, TANH_Q,
};
use super::code::{Cmp, Code, One, Src, Two, V};

/// A constant in every lane.
pub(crate) fn float(x: f32) -> Src {
    Src::Const(x.to_bits())
}

impl Code {
    fn polynomial(&mut self, c: &[f32], x: V) -> V {
        let mut p = float(c[c.len() - 1]);
        for c in c[..c.len() - 1].iter().rev() {
            p = Src::Reg(self.fma_constant(p, x, *c));
        }
        self.reg(p)
    }

    /// `p·x + c`.
    fn fma_constant(&mut self, p: Src, x: V, c: f32) -> V {
        self.fma((Src::Reg(x), p), float(c), false, false)
    }

    /// Held between two bounds; NaN stays.
    fn clamp(&mut self, x: V, low: f32, high: f32) -> V {
        let x = self.two(Two::Max, float(low), Src::Reg(x));
        self.two(Two::Min, float(high), Src::Reg(x))
    }

    /// `(exp r, n)` with `exp ±x = exp r·2ⁿ`, |r| ≤ ½ ln 2.
    fn exp_parts(&mut self, x: V, minus: bool) -> (V, V) {
        let log2e = std::f32::consts::LOG2_E;
        let scale = if minus { -log2e } else { log2e };
        let scaled = self.two(Two::Mul, Src::Reg(x), float(scale));
        let n = self.one(One::Round, scaled);
        let r = self.fma((Src::Reg(n), float(-LN2_HIGH)), Src::Reg(x), false, minus);
        let r = self.fma((Src::Reg(n), float(-LN2_LOW)), Src::Reg(r), false, false);
        let p = self.polynomial(&EXP, r);
        let r2 = self.two(Two::Mul, Src::Reg(r), Src::Reg(r));
        let p = self.fma((Src::Reg(p), Src::Reg(r2)), Src::Reg(r), false, false);
        (self.two(Two::Add, Src::Reg(p), float(1.0)), n)
    }

    pub(crate) fn exp(&mut self, x: V) -> V {
        let x = self.clamp(x, -104.0, 89.0);
        let (p, n) = self.exp_parts(x, false);
        self.two(Two::Scale, Src::Reg(p), Src::Reg(n))
    }

    /// 1/d for d from 1 to 2¹²⁶, beyond which it is denormal; the nearest float.
    ///
    /// Two of Newton's steps, as by Markstein (Computation of elementary functions on the IBM RISC System/6000 processor,
    /// 1990): of a reciprocal that is off by a unit in the last place at most, 1 − d·y is exact, and the step from there
    /// rounds to the nearest float but where d's bits are all ones. There it does from above, so the first step rounds up.
    pub(super) fn reciprocal(&mut self, d: V) -> V {
        let one = float(1.0);
        if self.reciprocal == Reciprocal::Divider {
            return self.two(Two::Div, one, Src::Reg(d));
        }
        let y = self.one(One::Reciprocal, d);
        let off = self.fma((Src::Reg(d), Src::Reg(y)), one, true, false);
        let y = self.fma_up(off, y, y);
        let off = self.fma((Src::Reg(d), Src::Reg(y)), one, true, false);
        self.fma((Src::Reg(off), Src::Reg(y)), Src::Reg(y), false, false)
    }

    /// 1/(1 + exp −x); at least 10⁻³⁸ at the lower end.
    pub(crate) fn sigmoid(&mut self, x: V) -> V {
        // 1 + e⁸⁷ is below 2¹²⁶.
        let x = self.clamp(x, -87.0, 87.0);
        let (p, n) = self.exp_parts(x, true);
        let e = self.two(Two::Scale, Src::Reg(p), Src::Reg(n));
        let d = self.two(Two::Add, Src::Reg(e), float(1.0));
        self.reciprocal(d)
    }

    /// Never beyond ±1.
    pub(crate) fn tanh(&mut self, x: V) -> V {
        let x = self.clamp(x, -TANH_END, TANH_END);
        let x2 = self.two(Two::Mul, Src::Reg(x), Src::Reg(x));
        let p = self.polynomial(&TANH_P, x2);
        let q = self.polynomial(&TANH_Q, x2);
        let p = self.two(Two::Mul, Src::Reg(p), Src::Reg(x));
        // One division beside others' reciprocals leaves the divider time enough.
        let y = self.two(Two::Div, Src::Reg(p), Src::Reg(q));
        self.clamp(y, -1.0, 1.0)
    }

    pub(crate) fn log(&mut self, x: V) -> V {
        // The machine's exponent and mantissa take denormals as they are; the mantissa lies in [1, 2).
        let low = self.one(One::Mantissa, x);
        let whole = self.one(One::Exponent, x);
        // From √2 on, halve it and count one more.
        let bend = (float(std::f32::consts::SQRT_2), Src::Reg(low));
        let half = self.two(Two::Mul, Src::Reg(low), float(0.5));
        let more = self.two(Two::Add, Src::Reg(whole), float(1.0));
        let (half, more) = (Src::Reg(half), Src::Reg(more));
        let m = self.select(Cmp::Less, bend.0, bend.1, half, Src::Reg(low));
        let e = self.select(Cmp::Less, bend.0, bend.1, more, Src::Reg(whole));
        let r = self.two(Two::Sub, Src::Reg(m), float(1.0));
        let p = self.polynomial(&LOG, r);
        let p = self.fma_constant(Src::Reg(p), r, -0.5);
        let r2 = self.two(Two::Mul, Src::Reg(r), Src::Reg(r));
        let rest = self.two(Two::Mul, Src::Reg(p), Src::Reg(r2));
        let rest = self.fma((Src::Reg(e), float(LN2_LOW)), Src::Reg(rest), false, false);
        let y = self.two(Two::Add, Src::Reg(r), Src::Reg(rest));
        let y = self.fma((Src::Reg(e), float(LN2_HIGH)), Src::Reg(y), false, false);
        let (x, zero) = (Src::Reg(x), float(0.0));
        let (minus, nan) = (float(f32::NEG_INFINITY), float(f32::NAN));
        let edge = self.select(Cmp::Equal, x, zero, minus, nan);
        let y = self.select(Cmp::Less, x, float(f32::INFINITY), Src::Reg(y), x);
        self.select(Cmp::Less, zero, x, Src::Reg(y), Src::Reg(edge))
    }

    pub(crate) fn abs(&mut self, x: V) -> V {
        self.two(Two::And, Src::Reg(x), Src::Const(i32::MAX as u32))
    }

    pub(crate) fn erf(&mut self, x: V) -> V {
        let a = self.abs(x);
        let x2 = self.two(Two::Mul, Src::Reg(x), Src::Reg(x));
        let near = self.polynomial(&ERF, x2);
        let near = self.two(Two::Mul, Src::Reg(near), Src::Reg(x));
        let bounded = self.two(Two::Min, float(ERF_END), Src::Reg(a));
        let l = self.polynomial(&ERFC, bounded);
        let (p, n) = self.exp_parts(l, false);
        let e = self.two(Two::Scale, Src::Reg(p), Src::Reg(n));
        let far = self.two(Two::Sub, float(1.0), Src::Reg(e));
        let sign = self.two(Two::And, Src::Reg(x), Src::Const(1 << 31));
        let far = self.two(Two::Or, Src::Reg(far), Src::Reg(sign));
        let y = self.select(
            Cmp::Less,
            Src::Reg(bounded),
            float(1.0),
            Src::Reg(near),
            Src::Reg(far),
        );
        self.keep_nan(x, y)
    }

    /// `y`, but `x` where that is NaN.
    pub(crate) fn keep_nan(&mut self, x: V, y: V) -> V {
        let x = Src::Reg(x);
        self.select(Cmp::Unordered, x, x, x, Src::Reg(y))
    }

    pub(crate) fn sign(&mut self, x: V) -> V {
        let (x, zero) = (Src::Reg(x), float(0.0));
        let y = self.select(Cmp::Less, x, zero, float(-1.0), x);
        self.select(Cmp::Less, zero, x, float(1.0), Src::Reg(y))
    }
}
