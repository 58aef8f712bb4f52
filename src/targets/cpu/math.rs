//! Elementary functions on vectors: lanes in, lanes out, with a relative error below 3·10⁻⁷ everywhere.
//!
//! NaN gives NaN, and overflow gives the limits that IEEE 754 gives. The polynomials are minimax fits to the stated
//! functions, found by reweighted least squares with the coefficients rounded to f32 one after the other.

use std::f32::consts::LOG2_E;

use super::simd::{ROUND, Simd};

/// ln 2 in two parts; a product of the first with an integer below 2¹⁵ is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// (eʳ − 1 − r)/r² for |r| ≤ ln 2 / 2, to 1.4·10⁻⁸ of eʳ − 1. Lowest power first, as all below.
const EXP: [f32; 5] = [
    0.499_999_97,
    0.166_665_46,
    0.041_667_44,
    0.008_366_256,
    0.001_387_032_1,
];

/// (2·artanh(s)/s − 2)/s² in s², for the s of log, to 10⁻⁹ of the logarithm.
const LOG: [f32; 3] = [0.666_667_94, 0.399_750_77, 0.299_439_58];

/// Where the error function changes from one form to the other.
const ERF_SPLIT: f32 = 0.921_875;
/// erf(x)/x − 1 in x², below the split, to 9·10⁻¹⁰ of erf.
const ERF_NEAR: [f32; 7] = [
    0.128_379_17,
    -0.376_126_3,
    0.112_836_26,
    -0.026_855_728,
    0.005_192_377,
    -8.049_174e-4,
    7.992_796e-5,
];
/// −ln(1 − erf(x))/x, above the split, to 7·10⁻¹⁰ of erf.
const ERF_FAR: [f32; 7] = [
    1.128_649_6,
    0.635_146_86,
    0.106_244_22,
    -0.023_768_354,
    0.003_645_414,
    -3.235_247_3e-4,
    1.130_259_9e-5,
];

/// The value of a polynomial, lowest power first.
///
/// # Safety
///
/// The machine has the instructions of `S`; the same holds for every function of this module.
#[inline(always)]
unsafe fn polynomial<S: Simd, const N: usize>(x: S::V, coefficients: &[f32; N]) -> S::V {
    // SAFETY: passed on from the caller.
    unsafe {
        let mut sum = S::splat(coefficients[N - 1]);
        for &c in coefficients.iter().rev().skip(1) {
            sum = S::fma(sum, x, S::splat(c));
        }
        sum
    }
}

/// `(n, eʳ − 1)` with x = n·ln 2 + r and |r| ≤ ln 2 / 2, for |x| below 10⁴.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
unsafe fn expm1_reduced<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: passed on from the caller.
    unsafe {
        let round = S::splat(ROUND);
        let n = S::sub(S::fma(x, S::splat(LOG2_E), round), round);
        let r = S::fma(n, S::splat(-LN2_HIGH), x);
        let r = S::fma(n, S::splat(-LN2_LOW), r);
        let p = polynomial::<S, 5>(r, &EXP);
        (n, S::fma(S::mul(r, r), p, r))
    }
}

/// eˣ.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: passed on from the caller.
    unsafe {
        // Past these bounds the result is 0 or infinite anyway; NaN passes.
        let x = S::max(S::splat(-104.0), S::min(S::splat(89.0), x));
        let (n, p) = expm1_reduced::<S>(x);
        S::scale(S::add(p, S::splat(1.0)), n)
    }
}

/// 1/(1 + e⁻ˣ), from e^−|x|, which cannot overflow.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: passed on from the caller.
    unsafe {
        let (zero, one) = (S::splat(0.0), S::splat(1.0));
        let e = exp::<S>(S::sub(zero, S::abs(x)));
        S::div(S::select(S::lt(x, zero), e, one), S::add(one, e))
    }
}

/// The hyperbolic tangent: m/(m + 2) with m = e^2|x| − 1, which keeps its relative error near 0.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: passed on from the caller.
    unsafe {
        let a = S::abs(x);
        // From 2|x| = 20 on the result is 1 in f32.
        let (n, p) = expm1_reduced::<S>(S::min(S::splat(20.0), S::add(a, a)));
        let power = S::pow2(n);
        let m = S::fma(p, power, S::sub(power, S::splat(1.0)));
        S::with_sign(S::div(m, S::add(m, S::splat(2.0))), x)
    }
}

/// The natural logarithm, from 2·artanh(f/(2 + f)) of the mantissa 1 + f.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn log<S: Simd>(x: S::V) -> S::V {
    // SAFETY: passed on from the caller.
    unsafe {
        let (zero, one) = (S::splat(0.0), S::splat(1.0));
        let subnormal = S::lt(x, S::splat(f32::MIN_POSITIVE));
        let raised = S::mul(x, S::splat((1 << 23) as f32));
        let (m, e) = S::split(S::select(subnormal, raised, x));
        let e = S::sub(e, S::select(subnormal, S::splat(23.0), zero));
        let f = S::sub(m, one);
        let s = S::div(f, S::add(f, S::splat(2.0)));
        let z = S::mul(s, s);
        let rest = S::mul(z, polynomial::<S, 3>(z, &LOG));
        let half_square = S::mul(S::mul(f, f), S::splat(0.5));
        // ln(1 + f) = f − (f²/2 − s·(f²/2 + rest)): the small terms first.
        let low = S::fma(s, S::add(half_square, rest), S::mul(e, S::splat(LN2_LOW)));
        let y = S::fma(e, S::splat(LN2_HIGH), S::add(f, S::sub(low, half_square)));
        let infinity = S::splat(f32::INFINITY);
        let at_most_zero = S::select(S::lt(x, zero), S::splat(f32::NAN), S::sub(x, infinity));
        S::select(
            S::lt(zero, x),
            S::select(S::lt(x, infinity), y, x),
            at_most_zero,
        )
    }
}

/// The error function of Gauss.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    // SAFETY: passed on from the caller.
    unsafe {
        let a = S::abs(x);
        let near = S::fma(a, polynomial::<S, 7>(S::mul(a, a), &ERF_NEAR), a);
        // From 3.95 on the result is 1 in f32.
        let b = S::min(S::splat(3.95), a);
        let power = S::mul(b, polynomial::<S, 7>(b, &ERF_FAR));
        let far = S::sub(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), power)));
        let y = S::select(S::lt(a, S::splat(ERF_SPLIT)), near, far);
        S::with_sign(y, x)
    }
}

#[cfg(test)]
mod tests {
    use crate::targets::cpu::isa::Isa;
    use crate::targets::cpu::kernels::{Kernels, Map};

    fn apply(map: Map, x: &[f32]) -> Vec<f32> {
        let mut y = vec![f32::NAN; x.len()];
        // SAFETY: both have x.len() floats.
        unsafe { map(x.len(), x.as_ptr(), y.as_mut_ptr()) };
        y
    }

    /// Floats of every exponent and both signs, closely spaced, and the special ones.
    fn all_magnitudes() -> Vec<f32> {
        let mut x: Vec<f32> = (0..u32::MAX / 4001)
            .map(|i| f32::from_bits(i * 4001))
            .collect();
        let specials = [
            0.0,
            f32::INFINITY,
            f32::MIN_POSITIVE,
            f32::MAX,
            1.0,
            88.72,
            88.73,
            103.9,
            104.1,
        ];
        x.extend(specials.iter().flat_map(|&s| [s, -s]));
        // Where the functions bend, densely.
        x.extend((-400_000..400_000).map(|i| i as f32 * 3.0e-5));
        x.extend((-40_000..40_000).map(|i| i as f32 * 2.7e-3));
        x.push(f32::NAN);
        x
    }

    /// Compares with f64 at all magnitudes: 3·10⁻⁷ relative, one unit of the subnormals absolute.
    fn check(name: &str, map: impl Fn(&Kernels) -> Map, exact: impl Fn(f64) -> f64) {
        let x = all_magnitudes();
        for kernels in Isa::available().into_iter().filter_map(Kernels::for_isa) {
            let mut worst = (0.0, 0.0);
            for (&x, y) in x.iter().zip(apply(map(kernels), &x)) {
                let expected = exact(f64::from(x));
                let rounded = expected as f32;
                if rounded.is_nan() || rounded.is_infinite() || x.is_infinite() {
                    let same = y == rounded || y.is_nan() && rounded.is_nan();
                    assert!(
                        same,
                        "{name}, {}: f({x:e}) = {y:e}, not {rounded:e}",
                        kernels.isa
                    );
                    continue;
                }
                let error = (f64::from(y) - expected).abs() - f64::from(f32::from_bits(1));
                let relative = error.max(0.0) / expected.abs().max(f64::MIN_POSITIVE);
                if relative.is_nan() || relative > worst.0 {
                    worst = (relative, x);
                }
            }
            println!("{name}, {}: {:.2e} at {:e}", kernels.isa, worst.0, worst.1);
            assert!(
                worst.0 < 3.0e-7,
                "{name}, {}: {:e} at {:e}",
                kernels.isa,
                worst.0,
                worst.1
            );
        }
    }

    #[test]
    fn exp_is_near_the_exact_one() {
        check("exp", |k| k.exp, f64::exp);
    }

    #[test]
    fn log_is_near_the_exact_one() {
        check("log", |k| k.log, f64::ln);
    }

    #[test]
    fn tanh_is_near_the_exact_one() {
        check("tanh", |k| k.tanh, f64::tanh);
    }

    #[test]
    fn sigmoid_is_near_the_exact_one() {
        check("sigmoid", |k| k.sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
    }

    #[test]
    fn sin_and_cos_are_near_the_exact_ones() {
        check("sin", |k| k.sin, f64::sin);
        check("cos", |k| k.cos, f64::cos);
    }

    #[test]
    fn erf_is_near_the_exact_one() {
        check("erf", |k| k.erf, erf_f64);
    }

    /// The series at 0 where it converges without loss, the continued fraction of the complement beyond.
    fn erf_f64(x: f64) -> f64 {
        let a = x.abs();
        let scale = std::f64::consts::FRAC_2_SQRT_PI;
        let y = if a < 2.0 {
            // e^−x²·Σ 2ⁿ x²ⁿ⁺¹/(2n + 1)!!: all terms have one sign.
            let (mut term, mut sum) = (a, a);
            for n in 1..60 {
                term *= 2.0 * a * a / f64::from(2 * n + 1);
                sum += term;
            }
            scale * (-a * a).exp() * sum
        } else if a < 6.0 {
            let tail = (1..200)
                .rev()
                .fold(0.0, |tail, n| f64::from(n) / 2.0 / (a + tail));
            1.0 - (-a * a).exp() / (std::f64::consts::PI.sqrt() * (a + tail))
        } else if a.is_nan() {
            a
        } else {
            1.0
        };
        y.copysign(x)
    }

    #[test]
    fn odd_functions_keep_the_sign_of_zero() {
        for kernels in Isa::available().into_iter().filter_map(Kernels::for_isa) {
            for map in [kernels.tanh, kernels.erf] {
                let y = apply(map, &[0.0, -0.0]);
                assert_eq!(
                    y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
                    [0, 0x8000_0000]
                );
            }
        }
    }

    #[test]
    fn the_tail_of_a_map_has_the_bits_of_whole_vectors_and_nothing_past_it_changes() {
        let x: Vec<f32> = (0..70).map(|i| i as f32 * 0.37 - 9.0).collect();
        for kernels in Isa::available().into_iter().filter_map(Kernels::for_isa) {
            for map in [
                kernels.exp,
                kernels.log,
                kernels.tanh,
                kernels.sigmoid,
                kernels.erf,
            ] {
                let whole = apply(map, &x);
                for n in 0..x.len() {
                    let mut y = x.clone();
                    // SAFETY: n ≤ y.len(), and in place is allowed.
                    unsafe { map(n, y.as_ptr(), y.as_mut_ptr()) };
                    let bits = |s: &[f32]| s.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&y[..n]), bits(&whole[..n]));
                    assert_eq!(bits(&y[n..]), bits(&x[n..]));
                }
            }
        }
    }

    #[test]
    fn pow_takes_two_operands() {
        let kernels = Kernels::detect();
        let (a, b) = ([2.0, 9.0, 0.0, -2.0], [3.0, 0.5, 0.0, 3.0]);
        let mut y = [0.0; 4];
        // SAFETY: all have four floats.
        unsafe { (kernels.pow)(4, a.as_ptr(), b.as_ptr(), y.as_mut_ptr()) };
        assert_eq!(y, [8.0, 3.0, 1.0, -8.0]);
    }
}
