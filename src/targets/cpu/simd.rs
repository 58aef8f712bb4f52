//! One vector of `f32` lanes, as a trait: kernels are written once over [`Simd`] and compiled per instruction set.
//!
//! Every method is `#[inline(always)]`, so that a kernel generic over `S: Simd` takes on the instruction set of the
//! `#[target_feature]` function that calls it.

/// Added to and taken from a float below 2²² in magnitude, it leaves the nearest integer; the sum's low bits hold it.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// A float's bits that a bfloat16 has.
pub(crate) const HIGH_HALF: u32 = 0xffff_0000;

/// The most lanes of any instruction set.
pub(crate) const MAX_LANES: usize = 16;

/// Lanes of `f32` and the operations on them.
///
/// # Safety
///
/// All methods need a machine with the implementor's instruction set ([`super::isa::Isa::is_available`]). Those that
/// take a pointer say what must be readable or writable; no alignment is asked.
pub(crate) trait Simd: Copy + 'static {
    /// The vector.
    type V: Copy;
    /// One truth value a lane.
    type M: Copy;
    /// Lanes of a vector, at most [`MAX_LANES`].
    const LANES: usize;

    /// `x` in every lane.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads `LANES` floats at `p`.
    unsafe fn load(p: *const f32) -> Self::V;
    /// Reads `LANES` words of two 16-bit floats (bfloat16) at `p`: the low halves and the high ones.
    unsafe fn load_halves(p: *const u32) -> [Self::V; 2];
    /// Reads the first `n ≤ LANES` floats at `p` and touches no others; the other lanes are 0.
    unsafe fn load_first(p: *const f32, n: usize) -> Self::V;
    /// Writes `LANES` floats at `p`.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Writes the first `n ≤ LANES` floats at `p` and touches no others.
    unsafe fn store_first(p: *mut f32, n: usize, v: Self::V);

    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a·b + c`, rounded once wherever the machine can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The lesser of the two; NaN wherever `b` is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// The greater of the two; NaN wherever `b` is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn abs(a: Self::V) -> Self::V;
    /// The magnitude of `a` with the sign of `sign`; `a` has no sign of its own.
    unsafe fn with_sign(a: Self::V, sign: Self::V) -> Self::V;
    /// `a < b`, false where either is NaN.
    unsafe fn lt(a: Self::V, b: Self::V) -> Self::M;
    /// `a` where `m`, else `b`.
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// `2ⁿ` for integral `n` in −126..=127.
    unsafe fn pow2(n: Self::V) -> Self::V;
    /// A positive normal `x` as `(m, e)` with `x = m·2ᵉ` and `m` in 0.7..1.4.
    unsafe fn split(x: Self::V) -> (Self::V, Self::V);

    /// `p·2ⁿ` with one rounding, for integral `n` in −252..=254 and `p` in 0.5..2.
    #[inline(always)]
    unsafe fn scale(p: Self::V, n: Self::V) -> Self::V {
        // SAFETY: the caller's machine has the instructions of `Self`.
        unsafe {
            let round = Self::splat(ROUND);
            let half = Self::sub(Self::fma(n, Self::splat(0.5), round), round);
            Self::mul(
                Self::mul(p, Self::pow2(half)),
                Self::pow2(Self::sub(n, half)),
            )
        }
    }

    /// Writes the `LANES` columns of a block of `LANES` rows as rows: rows of the block are `from_rs` floats apart, those
    /// that are written `to_rs`. The two do not overlap.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_rs: usize, to: *mut f32, to_rs: usize) {
        for row in 0..Self::LANES {
            for column in 0..Self::LANES {
                // SAFETY: the caller says that both blocks are in range.
                unsafe { *to.add(column * to_rs + row) = *from.add(row * from_rs + column) };
            }
        }
    }

    /// The first `n ≤ LANES` lanes, 0 in the others.
    #[inline(always)]
    unsafe fn first(v: Self::V, n: usize) -> Self::V {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: `lanes` holds at least `LANES` floats; the machine is as the caller says.
        unsafe {
            Self::store(lanes.as_mut_ptr(), v);
            Self::load_first(lanes.as_ptr(), n)
        }
    }

    /// The sum of all lanes, as a fixed tree of halves.
    #[inline(always)]
    unsafe fn reduce_add(v: Self::V) -> f32 {
        // SAFETY: passed on from the caller.
        unsafe { fold::<Self>(v, |a, b| a + b) }
    }

    /// The greatest lane; NaN lanes may be passed over.
    #[inline(always)]
    unsafe fn reduce_max(v: Self::V) -> f32 {
        // SAFETY: passed on from the caller.
        unsafe { fold::<Self>(v, f32::max) }
    }
}

/// Folds the upper half of the lanes onto the lower until one is left.
///
/// # Safety
///
/// The machine has the instructions of `S`.
#[inline(always)]
unsafe fn fold<S: Simd>(v: S::V, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; MAX_LANES];
    // SAFETY: `lanes` holds at least `S::LANES` floats; the machine is as the caller says.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    let mut width = S::LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = f(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}

/// Plain Rust over four lanes; the compiler makes 128-bit code of it where it can.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 4];
    type M = [bool; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: the caller says that four floats are readable at `p`.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u32) -> [[f32; 4]; 2] {
        // SAFETY: the caller says that four words are readable at `p`.
        let words = unsafe { p.cast::<[u32; 4]>().read_unaligned() };
        [
            words.map(|w| f32::from_bits(w << 16)),
            words.map(|w| f32::from_bits(w & HIGH_HALF)),
        ]
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> [f32; 4] {
        let mut v = [0.0; 4];
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller says that `n` floats are readable at `p`.
            *lane = unsafe { *p.add(i) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller says that four floats are writable at `p`.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, n: usize, v: [f32; 4]) {
        for (i, lane) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller says that `n` floats are writable at `p`.
            unsafe { *p.add(i) = lane };
        }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn abs(a: [f32; 4]) -> [f32; 4] {
        a.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn with_sign(a: [f32; 4], sign: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i].copysign(sign[i]))
    }
    #[inline(always)]
    unsafe fn lt(a: [f32; 4], b: [f32; 4]) -> [bool; 4] {
        std::array::from_fn(|i| a[i] < b[i])
    }
    #[inline(always)]
    unsafe fn select(m: [bool; 4], a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if m[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn pow2(n: [f32; 4]) -> [f32; 4] {
        n.map(|n| f32::from_bits((n + (ROUND + 127.0)).to_bits() << 23))
    }
    #[inline(always)]
    unsafe fn split(x: [f32; 4]) -> ([f32; 4], [f32; 4]) {
        let raised = x.map(|x| x.to_bits().wrapping_add(SPLIT_RAISE));
        (
            raised.map(|b| f32::from_bits((b & SPLIT_MANTISSA) + SPLIT_LOW)),
            raised.map(|b| ((b >> 23) as i32 - 127) as f32),
        )
    }
}

/// Bits of the lowest mantissa that [`Simd::split`] gives, about 0.7.
pub(crate) const SPLIT_LOW: u32 = 0x3f33_0000;
/// Moves a float's bits so that its exponent field steps at [`SPLIT_LOW`] instead of 1.
pub(crate) const SPLIT_RAISE: u32 = 0x3f80_0000 - SPLIT_LOW;
/// The mantissa field.
pub(crate) const SPLIT_MANTISSA: u32 = 0x007f_ffff;
