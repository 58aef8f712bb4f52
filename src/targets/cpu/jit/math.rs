//! Elementary functions as straight-line code over one or four floats.
//!
//! In: a value. Out: the function's value, within 3·10⁻⁷ of the true one relative to it wherever the result is a normal
//! float (`tanh` 3.8·10⁻⁷ without fused multiply-adds), measured by tests. The coefficients are minimax fits over the reduced range, made for this file by Remez's
//! exchange and rounded to `f32`.
//!
//! NaN in gives NaN out. Infinities and zeros are those of IEEE 754: `exp` overflows to infinity and fades through the
//! denormals to 0, `log 0 = −∞`, `log` of a negative number is NaN.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::F32;
use cranelift_codegen::ir::{AbiParam, BlockArg, InstBuilder, Value};
use cranelift_module::Module;

use super::asm::{Asm, LANES, Width};
use crate::diagnostics::Diagnostic;

/// Added to and taken from a float below 2²² in magnitude, it leaves the nearest integer; the sum's low bits hold it.
const ROUND: f32 = 12_582_912.0;
const ROUND_BITS: i32 = 0x4b40_0000;

/// ln 2 in two parts: the first has nine bits, so its product with an exponent is exact.
pub(crate) const LN2_HIGH: f32 = 0.693_359_4;
pub(crate) const LN2_LOW: f32 = -2.121_944_4e-4;

/// exp r = 1 + r + r²·P(r) on |r| ≤ ½ ln 2, within 3.1·10⁻⁹.
pub(crate) const EXP: [f32; 5] = [
    0.499_999_94,
    0.166_665_21,
    0.041_668_39,
    0.008_368_745,
    0.001_381_454_9,
];

/// log(1 + r) = r − r²/2 + r³·P(r) on √½ − 1 ≤ r ≤ √2 − 1, within 5.9·10⁻⁹.
pub(crate) const LOG: [f32; 8] = [
    0.333_333_3,
    -0.250_008_2,
    0.200_012_28,
    -0.166_233_6,
    0.142_017_44,
    -0.131_601_5,
    0.127_616_47,
    -0.076_346_606,
];

/// tanh x = x·P(x²)/Q(x²) on |x| ≤ 9.01. All terms are positive: nothing cancels. Two polynomials, two products and a
/// division all round, so the fit's own error, 2·10⁻⁸, is not what counts: of the floats near the fit's, these are ones
/// by which no result is wrong by 3·10⁻⁷ (found by going through all arguments). Without fused multiply-adds a few hundred
/// are, by up to 3.8·10⁻⁷.
pub(crate) const TANH_P: [f32; 5] = [
    1.0,
    0.133_803_81,
    0.003_494_809_4,
    2.059_623_7e-5,
    1.333_690_3e-8,
];
pub(crate) const TANH_Q: [f32; 5] = [
    1.0,
    0.467_137,
    0.025_874_045,
    0.000_328_435_65,
    7.769_292e-7,
];
/// From here on tanh rounds to 1.
pub(crate) const TANH_END: f32 = 9.01;

/// sin r = r + r³·P(r²) and cos r = 1 − r²/2 + r⁴·P(r²) on |r| ≤ π/4, within 3.9·10⁻⁹ and 1.2·10⁻¹⁰.
const SIN: [f32; 3] = [-0.166_666_55, 0.008_332_156, -1.951_463_2e-4];
const COS: [f32; 3] = [0.041_666_646, -0.001_388_731, 2.443_241_3e-5];
/// π/2 in parts of eleven bits or fewer, so that multiples up to [`TURNS_END`] are exact.
const HALF_PI: [f32; 3] = [1.570_312_5, 4.837_513e-4, 7.549_79e-8];
/// Beyond this sines are left to a slow, exact reduction.
const TURNS_END: f32 = 8192.0;

/// erf x = x·P(x²) on |x| ≤ 1, within 1.3·10⁻⁹.
pub(crate) const ERF: [f32; 7] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    -0.376_126_26,
    0.112_835_854,
    -0.026_853_813,
    0.005_188_327_7,
    -8.010_194e-4,
    7.853_861e-5,
];
/// log(1 − erf x) on 1 ≤ x ≤ 3.95, erf within 1.1·10⁻⁹.
pub(crate) const ERFC: [f32; 7] = [
    -3.415_45e-4,
    -1.127_089_1,
    -0.638_144_97,
    -0.103_106_6,
    0.021_837_989,
    -0.002_947_638_7,
    1.863_771_5e-4,
];
/// From here on erf rounds to 1.
pub(crate) const ERF_END: f32 = 3.95;

impl Asm<'_, '_> {
    /// c₀ + c₁x + c₂x² + …, by Horner's rule.
    fn polynomial(&mut self, w: Width, c: &[f32], x: Value) -> Value {
        let mut p = self.float(w, c[c.len() - 1]);
        for c in c[..c.len() - 1].iter().rev() {
            let c = self.float(w, *c);
            p = self.fma(p, x, c);
        }
        p
    }

    /// `x` held between two bounds; NaN stays.
    fn clamp(&mut self, w: Width, x: Value, low: f32, high: f32) -> Value {
        let (low, high) = (self.float(w, low), self.float(w, high));
        let x = self.greater(w, low, x);
        self.lesser(w, high, x)
    }

    /// `(exp r, n)` with `exp x = exp r·2ⁿ`, |r| ≤ ½ ln 2, n an integer; `rest` is added to r where given.
    fn exp_parts(&mut self, w: Width, x: Value, rest: Option<Value>) -> (Value, Value) {
        let scale = self.float(w, std::f32::consts::LOG2_E);
        let round = self.float(w, ROUND);
        let rounded = self.fma(x, scale, round);
        let n = self.b.ins().fsub(rounded, round);
        let (high, low) = (self.float(w, -LN2_HIGH), self.float(w, -LN2_LOW));
        let r = self.fma(n, high, x);
        let mut r = self.fma(n, low, r);
        if let Some(rest) = rest {
            r = self.b.ins().fadd(r, rest);
        }
        let p = self.polynomial(w, &EXP, r);
        let r2 = self.b.ins().fmul(r, r);
        let p = self.fma(p, r2, r);
        let one = self.float(w, 1.0);
        let p = self.b.ins().fadd(p, one);
        let bits = self.as_int(w, rounded);
        let base = self.bits(w, ROUND_BITS);
        (p, self.b.ins().isub(bits, base))
    }

    /// 2ⁿ for −126 ≤ n ≤ 127.
    fn power_of_two(&mut self, w: Width, n: Value) -> Value {
        let bias = self.bits(w, 127);
        let biased = self.b.ins().iadd(n, bias);
        let bits = self.b.ins().ishl_imm_s(biased, 23);
        self.as_float(w, bits)
    }

    /// exp where the result and its scale are normal: |x| ≤ 87.
    fn exp_narrow(&mut self, w: Width, x: Value) -> Value {
        let (p, n) = self.exp_parts(w, x, None);
        let s = self.power_of_two(w, n);
        self.b.ins().fmul(p, s)
    }

    /// exp(x + rest), where `rest` is a small correction to x.
    pub(super) fn exp_wide(&mut self, w: Width, x: Value, rest: Option<Value>) -> Value {
        let x = self.clamp(w, x, -104.0, 89.0);
        let (p, n) = self.exp_parts(w, x, rest);
        // Two factors, so that overflow and denormals come out of one last rounding.
        let half = self.b.ins().sshr_imm_s(n, 1);
        let other = self.b.ins().isub(n, half);
        let (a, b) = (self.power_of_two(w, half), self.power_of_two(w, other));
        let p = self.b.ins().fmul(p, a);
        self.b.ins().fmul(p, b)
    }

    pub(crate) fn exp(&mut self, w: Width, x: Value) -> Value {
        self.exp_wide(w, x, None)
    }

    /// 1/(1 + exp −x); at least 10⁻³⁸ at the lower end.
    pub(crate) fn sigmoid(&mut self, w: Width, x: Value) -> Value {
        let x = self.clamp(w, x, -87.0, 87.0);
        let x = self.b.ins().fneg(x);
        let e = self.exp_narrow(w, x);
        let one = self.float(w, 1.0);
        let d = self.b.ins().fadd(e, one);
        self.b.ins().fdiv(one, d)
    }

    /// Never beyond ±1.
    pub(crate) fn tanh(&mut self, w: Width, x: Value) -> Value {
        let x = self.clamp(w, x, -TANH_END, TANH_END);
        let x2 = self.b.ins().fmul(x, x);
        let p = self.polynomial(w, &TANH_P, x2);
        let q = self.polynomial(w, &TANH_Q, x2);
        let p = self.b.ins().fmul(p, x);
        let y = self.b.ins().fdiv(p, q);
        self.clamp(w, y, -1.0, 1.0)
    }

    /// `(r, e)` with `x = (1 + r)·2ᵉ`, √½ ≤ 1 + r < √2, e an integer as a float; x positive and finite.
    pub(super) fn log_parts(&mut self, w: Width, x: Value) -> (Value, Value) {
        let least = self.float(w, f32::MIN_POSITIVE);
        let denormal = self.compare(FloatCC::LessThan, x, least);
        let up = self.float(w, 8_388_608.0);
        let scaled = self.b.ins().fmul(x, up);
        let x = self.choose(w, denormal, scaled, x);
        let (down, zero) = (self.float(w, -23.0), self.float(w, 0.0));
        let adjust = self.choose(w, denormal, down, zero);
        const LOW: i32 = 0x3f35_04f3;
        let bits = self.as_int(w, x);
        let raise = self.bits(w, 0x3f80_0000 - LOW);
        let raised = self.b.ins().iadd(bits, raise);
        let field = self.b.ins().sshr_imm_s(raised, 23);
        let bias = self.bits(w, 127);
        let e = self.b.ins().isub(field, bias);
        let e = self.b.ins().fcvt_from_sint(w.float(), e);
        let e = self.b.ins().fadd(e, adjust);
        let mask = self.bits(w, 0x007f_ffff);
        let mantissa = self.b.ins().band(raised, mask);
        let low = self.bits(w, LOW);
        let mantissa = self.b.ins().iadd(mantissa, low);
        let m = self.as_float(w, mantissa);
        let one = self.float(w, 1.0);
        (self.b.ins().fsub(m, one), e)
    }

    /// log(1 + r) − r.
    pub(super) fn log_rest(&mut self, w: Width, r: Value) -> Value {
        let p = self.polynomial(w, &LOG, r);
        let half = self.float(w, -0.5);
        let p = self.fma(p, r, half);
        let r2 = self.b.ins().fmul(r, r);
        self.b.ins().fmul(p, r2)
    }

    pub(crate) fn log(&mut self, w: Width, x: Value) -> Value {
        let (r, e) = self.log_parts(w, x);
        let rest = self.log_rest(w, r);
        let (high, low) = (self.float(w, LN2_HIGH), self.float(w, LN2_LOW));
        let rest = self.fma(e, low, rest);
        let y = self.b.ins().fadd(r, rest);
        let y = self.fma(e, high, y);
        let (zero, infinity) = (self.float(w, 0.0), self.float(w, f32::INFINITY));
        let (minus, nan) = (self.float(w, f32::NEG_INFINITY), self.float(w, f32::NAN));
        let is_zero = self.compare(FloatCC::Equal, x, zero);
        let edge = self.choose(w, is_zero, minus, nan);
        let finite = self.compare(FloatCC::LessThan, x, infinity);
        let y = self.choose(w, finite, y, x);
        let positive = self.compare(FloatCC::LessThan, zero, x);
        self.choose(w, positive, y, edge)
    }

    pub(crate) fn sin(&mut self, w: Width, x: Value) -> Result<Value, Diagnostic> {
        self.sine(w, x, 0, super::calls::SIN)
    }

    pub(crate) fn cos(&mut self, w: Width, x: Value) -> Result<Value, Diagnostic> {
        self.sine(w, x, 1, super::calls::COS)
    }

    /// sin(x + quarter·π/2); `slow` names the function for large x.
    fn sine(&mut self, w: Width, x: Value, quarter: i32, slow: &str) -> Result<Value, Diagnostic> {
        let scale = self.float(w, std::f32::consts::FRAC_2_PI);
        let round = self.float(w, ROUND);
        let rounded = self.fma(x, scale, round);
        let n = self.b.ins().fsub(rounded, round);
        let mut r = x;
        for part in HALF_PI {
            let part = self.float(w, -part);
            r = self.fma(n, part, r);
        }
        let r2 = self.b.ins().fmul(r, r);
        let p = self.polynomial(w, &SIN, r2);
        let r3 = self.b.ins().fmul(r2, r);
        let sin = self.fma(p, r3, r);
        let p = self.polynomial(w, &COS, r2);
        let half = self.float(w, -0.5);
        let p = self.fma(p, r2, half);
        let one = self.float(w, 1.0);
        let cos = self.fma(p, r2, one);
        let turns = self.as_int(w, rounded);
        let shift = self.bits(w, quarter);
        let turns = self.b.ins().iadd(turns, shift);
        let (bit, zero) = (self.bits(w, 1), self.bits(w, 0));
        let odd = self.b.ins().band(turns, bit);
        let odd = self
            .b
            .ins()
            .icmp(cranelift_codegen::ir::condcodes::IntCC::NotEqual, odd, zero);
        let y = self.choose(w, odd, cos, sin);
        let two = self.bits(w, 2);
        let flip = self.b.ins().band(turns, two);
        let flip = self.b.ins().ishl_imm_s(flip, 30);
        let bits = self.as_int(w, y);
        let bits = self.b.ins().bxor(bits, flip);
        let y = self.as_float(w, bits);
        self.far_sines(w, x, y, slow)
    }

    /// `y`, but `slow(x)` in lanes where |x| is beyond [`TURNS_END`].
    fn far_sines(&mut self, w: Width, x: Value, y: Value, slow: &str) -> Result<Value, Diagnostic> {
        let end = self.float(w, TURNS_END);
        let size = self.b.ins().fabs(x);
        let far = self.compare(FloatCC::LessThan, end, size);
        let any = match w {
            Width::One => far,
            Width::Four => self.b.ins().vany_true(far),
        };
        let (cold, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.append_block_param(done, w.float());
        self.b
            .ins()
            .brif(any, cold, &[], done, &[BlockArg::from(y)]);
        self.b.switch_to_block(cold);
        let mut signature = self.module.make_signature();
        signature.params.push(AbiParam::new(F32));
        signature.returns.push(AbiParam::new(F32));
        let exact = match w {
            Width::One => {
                let call = self.call_symbol(slow, &signature, &[x])?;
                self.b.inst_results(call)[0]
            }
            Width::Four => {
                let mut out = y;
                for lane in 0..LANES as u8 {
                    let one = self.b.ins().extractlane(x, lane);
                    let call = self.call_symbol(slow, &signature, &[one])?;
                    let one = self.b.inst_results(call)[0];
                    out = self.b.ins().insertlane(out, one, lane);
                }
                out
            }
        };
        let mixed = self.choose(w, far, exact, y);
        self.b.ins().jump(done, &[BlockArg::from(mixed)]);
        self.b.switch_to_block(done);
        Ok(self.b.block_params(done)[0])
    }

    pub(crate) fn erf(&mut self, w: Width, x: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let x2 = self.b.ins().fmul(x, x);
        let near = self.polynomial(w, &ERF, x2);
        let near = self.b.ins().fmul(near, x);
        let end = self.float(w, ERF_END);
        let a = self.lesser(w, end, a);
        let l = self.polynomial(w, &ERFC, a);
        let e = self.exp_narrow(w, l);
        let one = self.float(w, 1.0);
        let far = self.b.ins().fsub(one, e);
        let (far_bits, x_bits) = (self.as_int(w, far), self.as_int(w, x));
        let sign = self.bits(w, i32::MIN);
        let sign = self.b.ins().band(x_bits, sign);
        let far = self.b.ins().bor(far_bits, sign);
        let far = self.as_float(w, far);
        let inside = self.compare(FloatCC::LessThan, a, one);
        let y = self.choose(w, inside, near, far);
        self.keep_nan(w, x, y)
    }

    pub(crate) fn sign(&mut self, w: Width, x: Value) -> Value {
        let (zero, one, minus) = (self.float(w, 0.0), self.float(w, 1.0), self.float(w, -1.0));
        let below = self.compare(FloatCC::LessThan, x, zero);
        let y = self.choose(w, below, minus, x);
        let above = self.compare(FloatCC::LessThan, zero, x);
        self.choose(w, above, one, y)
    }
}
