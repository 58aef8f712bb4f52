//! [`Simd`] for AVX2 with FMA and for AVX-512.

use std::arch::x86_64::*;

use super::simd::{HIGH_HALF, ROUND, SPLIT_LOW, SPLIT_MANTISSA, SPLIT_RAISE, Simd};

/// AVX2 with FMA: 8 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// AVX-512 F, DQ, BW and VL: 16 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// Methods that are one intrinsic each, under different names on the two sets.
macro_rules! intrinsics {
    ($v:ty; $(fn $method:ident($($arg:ident),*) = $intrinsic:ident;)*) => {
        $(
            #[inline(always)]
            unsafe fn $method($($arg: $v),*) -> $v {
                // SAFETY: the trait asks for a machine with this instruction set.
                unsafe { $intrinsic($($arg),*) }
            }
        )*
    };
}

/// `TAIL_MASK[8 - n..]` starts with `n` set lanes.
static TAIL_MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The first `n ≤ 8` lanes set.
///
/// # Safety
///
/// The machine has AVX2, and `n ≤ 8`.
#[inline(always)]
unsafe fn first_lanes(n: usize) -> __m256i {
    // SAFETY: `n ≤ 8`, so that the eight words read lie inside the table.
    unsafe { _mm256_loadu_si256(TAIL_MASK.as_ptr().add(8 - n).cast()) }
}

impl Simd for Avx2 {
    type V = __m256;
    type M = __m256;
    const LANES: usize = 8;

    intrinsics! { __m256;
        fn add(a, b) = _mm256_add_ps;
        fn sub(a, b) = _mm256_sub_ps;
        fn mul(a, b) = _mm256_mul_ps;
        fn div(a, b) = _mm256_div_ps;
        fn fma(a, b, c) = _mm256_fmadd_ps;
        fn min(a, b) = _mm256_min_ps;
        fn max(a, b) = _mm256_max_ps;
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        // SAFETY: the caller says that eight floats are readable at `p`.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u32) -> [__m256; 2] {
        // SAFETY: the caller says that eight words are readable at `p`.
        unsafe {
            let words = _mm256_loadu_si256(p.cast());
            let high = _mm256_and_si256(words, _mm256_set1_epi32(HIGH_HALF as i32));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)),
                _mm256_castsi256_ps(high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> __m256 {
        // SAFETY: only the first `n ≤ 8` floats are read, which the caller says are readable.
        unsafe { _mm256_maskload_ps(p, first_lanes(n)) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: the caller says that eight floats are writable at `p`.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: __m256) {
        // SAFETY: only the first `n ≤ 8` floats are written, which the caller says are writable.
        unsafe { _mm256_maskstore_ps(p, first_lanes(n), v) }
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_rs: usize, to: *mut f32, to_rs: usize) {
        // SAFETY: the trait asks for a machine with AVX2, the caller says that both blocks are in range.
        unsafe {
            for column in [0, 4] {
                // Row i in the lower half, row i + 4 in the upper.
                let rows = |i: usize| {
                    let at = from.add(i * from_rs + column);
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(at));
                    _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(at.add(4 * from_rs)))
                };
                let (a, b, c, d) = (rows(0), rows(1), rows(2), rows(3));
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                for (i, (x, y)) in [(ab, cd), (ef, gh)].into_iter().enumerate() {
                    let (x, y) = (_mm256_castps_pd(x), _mm256_castps_pd(y));
                    let to = to.add((column + 2 * i) * to_rs);
                    _mm256_storeu_ps(to, _mm256_castpd_ps(_mm256_unpacklo_pd(x, y)));
                    _mm256_storeu_ps(to.add(to_rs), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)));
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn abs(a: __m256) -> __m256 {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }
    #[inline(always)]
    unsafe fn with_sign(a: __m256, sign: __m256) -> __m256 {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe { _mm256_or_ps(a, _mm256_and_ps(_mm256_set1_ps(-0.0), sign)) }
    }
    #[inline(always)]
    unsafe fn lt(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn select(m: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe { _mm256_blendv_ps(b, a, m) }
    }
    #[inline(always)]
    unsafe fn pow2(n: __m256) -> __m256 {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe {
            let t = _mm256_add_ps(n, _mm256_set1_ps(ROUND + 127.0));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(t)))
        }
    }
    #[inline(always)]
    unsafe fn split(x: __m256) -> (__m256, __m256) {
        // SAFETY: the trait asks for a machine with AVX2.
        unsafe {
            let raised = _mm256_add_epi32(
                _mm256_castps_si256(x),
                _mm256_set1_epi32(SPLIT_RAISE as i32),
            );
            let m = _mm256_add_epi32(
                _mm256_and_si256(raised, _mm256_set1_epi32(SPLIT_MANTISSA as i32)),
                _mm256_set1_epi32(SPLIT_LOW as i32),
            );
            let e = _mm256_sub_epi32(_mm256_srli_epi32::<23>(raised), _mm256_set1_epi32(127));
            (_mm256_castsi256_ps(m), _mm256_cvtepi32_ps(e))
        }
    }
}

impl Simd for Avx512 {
    type V = __m512;
    type M = __mmask16;
    const LANES: usize = 16;

    intrinsics! { __m512;
        fn add(a, b) = _mm512_add_ps;
        fn sub(a, b) = _mm512_sub_ps;
        fn mul(a, b) = _mm512_mul_ps;
        fn div(a, b) = _mm512_div_ps;
        fn fma(a, b, c) = _mm512_fmadd_ps;
        fn min(a, b) = _mm512_min_ps;
        fn max(a, b) = _mm512_max_ps;
        fn abs(a) = _mm512_abs_ps;
        // One rounding, and subnormal results: the same bits as the two multiplications of the default.
        fn scale(p, n) = _mm512_scalef_ps;
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_rs: usize, to: *mut f32, to_rs: usize) {
        // SAFETY: the trait asks for a machine with AVX-512, the caller says that both blocks are in range.
        unsafe {
            for column in [0, 4, 8, 12] {
                // Rows i, i + 4, i + 8 and i + 12, a quarter each.
                let rows = |i: usize| {
                    let at = from.add(i * from_rs + column);
                    let quarter = |i: usize| _mm_loadu_ps(at.add(4 * i * from_rs));
                    let all = _mm512_castps128_ps512(quarter(0));
                    let all = _mm512_insertf32x4::<1>(all, quarter(1));
                    let all = _mm512_insertf32x4::<2>(all, quarter(2));
                    _mm512_insertf32x4::<3>(all, quarter(3))
                };
                let (a, b, c, d) = (rows(0), rows(1), rows(2), rows(3));
                let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                for (i, (x, y)) in [(ab, cd), (ef, gh)].into_iter().enumerate() {
                    let (x, y) = (_mm512_castps_pd(x), _mm512_castps_pd(y));
                    let to = to.add((column + 2 * i) * to_rs);
                    _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)));
                    _mm512_storeu_ps(to.add(to_rs), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the trait asks for a machine with AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        // SAFETY: the caller says that sixteen floats are readable at `p`.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u32) -> [__m512; 2] {
        // SAFETY: the caller says that sixteen words are readable at `p`.
        unsafe {
            let words = _mm512_loadu_si512(p.cast());
            let high = _mm512_and_si512(words, _mm512_set1_epi32(HIGH_HALF as i32));
            [
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)),
                _mm512_castsi512_ps(high),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> __m512 {
        // SAFETY: only the first `n ≤ 16` floats are read, which the caller says are readable.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        // SAFETY: the caller says that sixteen floats are writable at `p`.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: __m512) {
        // SAFETY: only the first `n ≤ 16` floats are written, which the caller says are writable.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, v) }
    }
    #[inline(always)]
    unsafe fn with_sign(a: __m512, sign: __m512) -> __m512 {
        // SAFETY: the trait asks for a machine with AVX-512.
        unsafe { _mm512_or_ps(a, _mm512_and_ps(_mm512_set1_ps(-0.0), sign)) }
    }
    #[inline(always)]
    unsafe fn lt(a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: the trait asks for a machine with AVX-512.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn select(m: __mmask16, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait asks for a machine with AVX-512.
        unsafe { _mm512_mask_blend_ps(m, b, a) }
    }
    #[inline(always)]
    unsafe fn pow2(n: __m512) -> __m512 {
        // SAFETY: the trait asks for a machine with AVX-512.
        unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), n) }
    }
    #[inline(always)]
    unsafe fn split(x: __m512) -> (__m512, __m512) {
        // SAFETY: the trait asks for a machine with AVX-512.
        unsafe {
            let raised = _mm512_add_epi32(
                _mm512_castps_si512(x),
                _mm512_set1_epi32(SPLIT_RAISE as i32),
            );
            let m = _mm512_add_epi32(
                _mm512_and_si512(raised, _mm512_set1_epi32(SPLIT_MANTISSA as i32)),
                _mm512_set1_epi32(SPLIT_LOW as i32),
            );
            let e = _mm512_sub_epi32(_mm512_srli_epi32::<23>(raised), _mm512_set1_epi32(127));
            (_mm512_castsi512_ps(m), _mm512_cvtepi32_ps(e))
        }
    }
}
