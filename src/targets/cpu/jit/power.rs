//! Powers as straight-line code over one or four floats.
//!
//! In: a base and an exponent, perhaps known now. Out: the power, within 10⁻⁶ of the true one relative to it (6·10⁻⁶ where
//! the machine has no fused multiply-add), at the edges that of IEEE 754's `pow`.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::asm::{Asm, Width};
use super::math::{LN2_HIGH, LN2_LOW};

impl Asm<'_, '_> {
    /// xⁿ for a whole n, by squaring.
    fn whole_power(&mut self, w: Width, x: Value, n: u32) -> Value {
        let (mut left, mut square) = (n, x);
        let mut y: Option<Value> = None;
        while left > 0 {
            if left & 1 == 1 {
                y = Some(match y {
                    Some(y) => self.b.ins().fmul(y, square),
                    None => square,
                });
            }
            left >>= 1;
            if left > 0 {
                square = self.b.ins().fmul(square, square);
            }
        }
        match y {
            Some(y) => y,
            None => self.float(w, 1.0),
        }
    }

    /// xʸ for an exponent known now: products for small whole numbers, square roots for halves.
    pub(crate) fn power_const(&mut self, w: Width, x: Value, y: f64) -> Value {
        let n = y.abs();
        let inverse = |asm: &mut Self, v: Value| {
            let one = asm.float(w, 1.0);
            asm.b.ins().fdiv(one, v)
        };
        if n <= 16.0 && n.fract() == 0.0 {
            let p = self.whole_power(w, x, n as u32);
            return if y < 0.0 { inverse(self, p) } else { p };
        }
        if n == 0.5 || n == 1.5 {
            let root = self.b.ins().sqrt(x);
            let p = if n == 1.5 {
                self.b.ins().fmul(x, root)
            } else {
                root
            };
            return if y < 0.0 { inverse(self, p) } else { p };
        }
        let y = self.float(w, y as f32);
        self.power(w, x, y)
    }

    /// xʸ as exp(y·log|x|) with the logarithm in two floats, the sign from the parity of y, and IEEE 754's edges.
    pub(crate) fn power(&mut self, w: Width, x: Value, y: Value) -> Value {
        let (zero, one) = (self.float(w, 0.0), self.float(w, 1.0));
        let (infinity, nan) = (self.float(w, f32::INFINITY), self.float(w, f32::NAN));
        let a = self.b.ins().fabs(x);
        let (r, e) = self.log_parts(w, a);
        let rest = self.log_rest(w, r);
        let (ln_high, ln_low) = (self.float(w, LN2_HIGH), self.float(w, LN2_LOW));
        // log|x| = high + low: an exact sum of e·ln 2 and r, then all that is small.
        let whole = self.b.ins().fmul(e, ln_high);
        let sum = self.b.ins().fadd(whole, r);
        let part = self.b.ins().fsub(sum, whole);
        let (lost_r, back) = (self.b.ins().fsub(r, part), self.b.ins().fsub(sum, part));
        let lost_whole = self.b.ins().fsub(whole, back);
        let lost = self.b.ins().fadd(lost_r, lost_whole);
        let rest = self.fma(e, ln_low, rest);
        let rest = self.b.ins().fadd(rest, lost);
        let high = self.b.ins().fadd(sum, rest);
        let gone = self.b.ins().fsub(sum, high);
        let low = self.b.ins().fadd(gone, rest);
        // y·(high + low) in two floats again.
        let p = self.b.ins().fmul(y, high);
        let unit = self.compare(FloatCC::Equal, high, zero);
        let p = self.choose(w, unit, zero, p);
        let p_low = self.b.ins().fmul(y, low);
        let p_low = if self.fma {
            let minus = self.b.ins().fneg(p);
            let lost = self.b.ins().fma(y, high, minus);
            self.b.ins().fadd(lost, p_low)
        } else {
            p_low
        };
        // With no logarithm, or beyond the range of exp, the correction is without meaning and may be no number.
        let size = self.b.ins().fabs(p);
        let limit = self.float(w, 104.0);
        let inside = self.compare(FloatCC::LessThan, size, limit);
        let p_low = self.choose(w, inside, p_low, zero);
        let p_low = self.choose(w, unit, zero, p_low);
        let mut out = self.exp_wide(w, p, Some(p_low));
        // |x| of 0 or infinity: 0 or infinity by the sign of y.
        let is_zero = self.compare(FloatCC::Equal, a, zero);
        let is_infinite = self.compare(FloatCC::Equal, a, infinity);
        let y_up = self.compare(FloatCC::LessThan, zero, y);
        let from_zero = self.choose(w, y_up, zero, infinity);
        let from_infinity = self.choose(w, y_up, infinity, zero);
        out = self.choose(w, is_zero, from_zero, out);
        out = self.choose(w, is_infinite, from_infinity, out);
        // A negative base: the sign of an odd power, no number for a fraction. From 2²⁴ on all floats are even.
        let size = self.b.ins().fabs(y);
        let large = self.float(w, 16_777_216.0);
        let small = self.compare(FloatCC::LessThan, size, large);
        let integer = self.b.ins().fcvt_to_sint_sat(w.int(), y);
        let back = self.b.ins().fcvt_from_sint(w.float(), integer);
        let back = self.choose(w, small, back, y);
        let whole = self.compare(FloatCC::Equal, back, y);
        let parity = self.b.ins().ishl_imm_s(integer, 31);
        let parity = self.as_float(w, parity);
        let parity = self.choose(w, small, parity, zero);
        let (x_bits, parity) = (self.as_int(w, x), self.as_int(w, parity));
        let sign = self.b.ins().band(x_bits, parity);
        let out_bits = self.as_int(w, out);
        let signed = self.b.ins().bor(out_bits, sign);
        let signed = self.as_float(w, signed);
        let signed = self.choose(w, whole, signed, out);
        let real = self.compare(FloatCC::LessThan, a, infinity);
        let fraction = self.choose(w, real, nan, out);
        let fraction = self.choose(w, whole, signed, fraction);
        let negative = self.compare(FloatCC::LessThan, x, zero);
        let out = self.choose(w, negative, fraction, signed);
        // NaN of either, then what is 1 whatever the other.
        let out = self.keep_nan(w, y, out);
        let out = self.keep_nan(w, x, out);
        let x_one = self.compare(FloatCC::Equal, x, one);
        let out = self.choose(w, x_one, one, out);
        let y_zero = self.compare(FloatCC::Equal, y, zero);
        self.choose(w, y_zero, one, out)
    }
}
