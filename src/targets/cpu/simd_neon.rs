//! [`Simd`] for aarch64, whose base instruction set has NEON.

use std::arch::aarch64::*;

use super::simd::{HIGH_HALF, ROUND, SPLIT_LOW, SPLIT_MANTISSA, SPLIT_RAISE, Simd};

/// NEON: 4 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

/// Methods that are one intrinsic each.
macro_rules! intrinsics {
    ($(fn $method:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(
            #[inline(always)]
            unsafe fn $method($($arg: float32x4_t),*) -> float32x4_t {
                // SAFETY: every aarch64 machine that this builds for has NEON.
                unsafe { $intrinsic($($arg),*) }
            }
        )*
    };
}

impl Simd for Neon {
    type V = float32x4_t;
    type M = uint32x4_t;
    const LANES: usize = 4;

    intrinsics! {
        fn add(a, b) = vaddq_f32;
        fn sub(a, b) = vsubq_f32;
        fn mul(a, b) = vmulq_f32;
        fn div(a, b) = vdivq_f32;
        fn min(a, b) = vminq_f32;
        fn max(a, b) = vmaxq_f32;
        fn abs(a) = vabsq_f32;
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: NEON is there.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: the caller says that four floats are readable at `p`.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u32) -> [float32x4_t; 2] {
        // SAFETY: the caller says that four words are readable at `p`.
        unsafe {
            let words = vld1q_u32(p);
            let high = vandq_u32(words, vdupq_n_u32(HIGH_HALF));
            [
                vreinterpretq_f32_u32(vshlq_n_u32::<16>(words)),
                vreinterpretq_f32_u32(high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0f32; 4];
        // SAFETY: the caller says that `n ≤ 4` floats are readable at `p`.
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: the caller says that four floats are writable at `p`.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: float32x4_t) {
        let mut lanes = [0.0f32; 4];
        // SAFETY: the caller says that `n ≤ 4` floats are writable at `p`.
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is there. The instruction's addend comes first.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn with_sign(a: float32x4_t, sign: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is there.
        unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), sign, a) }
    }
    #[inline(always)]
    unsafe fn lt(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: NEON is there.
        unsafe { vcltq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn select(m: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is there.
        unsafe { vbslq_f32(m, a, b) }
    }
    #[inline(always)]
    unsafe fn pow2(n: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is there.
        unsafe {
            let t = vaddq_f32(n, vdupq_n_f32(ROUND + 127.0));
            vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(t)))
        }
    }
    #[inline(always)]
    unsafe fn split(x: float32x4_t) -> (float32x4_t, float32x4_t) {
        // SAFETY: NEON is there.
        unsafe {
            let raised = vaddq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(SPLIT_RAISE));
            let m = vaddq_u32(
                vandq_u32(raised, vdupq_n_u32(SPLIT_MANTISSA)),
                vdupq_n_u32(SPLIT_LOW),
            );
            let field = vreinterpretq_s32_u32(vshrq_n_u32::<23>(raised));
            let e = vsubq_s32(field, vdupq_n_s32(127));
            (vreinterpretq_f32_u32(m), vcvtq_f32_s32(e))
        }
    }
}
