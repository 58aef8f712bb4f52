//! Matrix products: C[M,N] = A[M,K]·B[K,N], or C += A·B, in f32.
//!
//! In: pointers with strides in floats; B packed into panels ([`super::pack`]) or, for one product, as it lies.
//! Out: C, rows `c_rs` apart, columns side by side.
//!
//! **Bits.** Every element of C is one chain of multiply-adds over k in order, from zero or from what C holds.
//! Blocks of k continue the chain through C. So M and N can be split over threads anywhere, with equal bits; K never is.
//!
//! **Order.** The loops are those of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008):
//! a block of A and a block of B stay in the second-level cache while tiles run over them. Panels that a scan reads in
//! every step are read every other time from the last to the first where they are [`FEW`], or [`BEYOND`] what the
//! second-level cache holds: what a cache still has is then read before it is lost. (For one sequence through 512 units
//! of an LSTM, 4 MB, that is 0.66 of the time where the third level is slow, a Xeon 6 (Redwood Cove), and 0.995 where it is
//! fast, a Zen 4. Between the two it gains nothing and costs 1%.) A tile goes through few of such panels at once, and few
//! rows through all of k, or there would be no order to turn round: the backward pass of that layer takes 0.7 of the time
//! for it on that Xeon. What counts is the panels of a whole step: where two threads divide them, gate by gate, and 2 MB
//! are a thread's, predicting for that sequence takes 0.73 of the time.

use std::mem::MaybeUninit;

use super::block::{Left, Out, Right, block, tiles};
use super::microkernel::Tiles;
#[cfg(doc)]
use super::pack::{pack_b, pack_b_halves};
use super::prefetch::Soon;

/// Inner dimension of a block.
const KC: usize = 384;
/// Inner dimension of a block when A is read where it lies.
const KC_DIRECT: usize = 1024;
/// Floats of A in one tile's rows that stay in a first-level cache whatever the inner dimension.
const DIRECT: usize = 8 * 1024;
/// Columns of a block of a one-shot B: with KC, three quarters of a megabyte.
const NC: usize = 512;
/// Says to [`gemm_packed`] that the product is added to what C holds.
pub(crate) const ACCUMULATE: usize = 1;
/// Says to [`gemm_packed`] that the last panel comes first, where that pays.
pub(crate) const BACKWARDS: usize = 2;
/// Words of panels: more than twice a first-level cache, and more than a second-level one.
const FEW: usize = 32 * 1024;
const BEYOND: usize = 512 * 1024;
/// Columns of a product for which A is read where it lies, whatever its strides.
const FEW_COLUMNS: usize = 64;
/// Floats of packed A on the stack.
const A_STACK: usize = 24 * 1024;
/// Rows of a block when A is read where it lies.
const MC: usize = 144;

/// Blocks of A over the panels `b`, which hold rows 0..k of B. A is packed block by block where that pays. Meanwhile the
/// next block is asked for, and `next_b`.
///
/// # Safety
///
/// As [`block`], with A as for [`gemm_packed`].
unsafe fn rows_over_panels<T: Tiles>(
    (m, n, k): (usize, usize, usize),
    (a, a_rs, a_ks): (*const f32, usize, usize),
    b: Right,
    c: Out,
    next_b: Soon,
) {
    if a_ks != 1 && n > FEW_COLUMNS {
        // SAFETY: passed on from the caller.
        return unsafe { packed_rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), b, c, next_b) };
    }
    let kc = if m <= T::MR && m * k <= DIRECT {
        k
    } else {
        KC_DIRECT
    };
    let (all, mut next_b) = (m, next_b);
    for m0 in (0..m).step_by(MC) {
        for k0 in (0..k).step_by(kc) {
            let left = Left::Strided {
                ptr: a.wrapping_add(m0 * a_rs + k0 * a_ks),
                rs: a_rs,
                ks: a_ks,
            };
            let right = Right {
                ptr: b.ptr.wrapping_add(k0 * b.ks),
                ..b
            };
            let out = Out {
                ptr: c.ptr.wrapping_add(m0 * c.rs),
                rs: c.rs,
                accumulate: c.accumulate || k0 > 0,
            };
            let (m, k) = (MC.min(m - m0), kc.min(k - k0));
            // The rows below: the next block's, or those of a product that goes on where this one ends.
            let below = a.wrapping_add((m0 + m) * a_rs + k0 * a_ks);
            let next = match (a_rs, a_ks) {
                (_, 1) => Soon::new(below, m, a_rs, k),
                (1, _) => Soon::new(below, k, a_ks, MC.min(all - m0 - m)),
                _ => Soon::NONE,
            };
            let mut soon = [next.over(tiles::<T>(m, n)), next_b];
            // SAFETY: a sub-block of what the caller vouches for.
            unsafe { block::<T>((m, n, k), left, right, out, &mut soon) };
            [_, next_b] = soon;
        }
    }
}

/// [`rows_over_panels`] with A packed on the stack. Its frame is 96 KiB, so it is kept out of line.
///
/// # Safety
///
/// As [`rows_over_panels`].
#[inline(never)]
unsafe fn packed_rows_over_panels<T: Tiles>(
    (m, n, k): (usize, usize, usize),
    (a, a_rs, a_ks): (*const f32, usize, usize),
    b: Right,
    c: Out,
    mut next_b: Soon,
) {
    let mut space = [const { MaybeUninit::<f32>::uninit() }; A_STACK];
    let space = space.as_mut_ptr().cast::<f32>();
    let mc = A_STACK / KC / T::MR * T::MR;
    let (all, depth, first) = (m, k, a);
    for m0 in (0..m).step_by(mc) {
        for k0 in (0..k).step_by(KC) {
            let (m, k) = (mc.min(m - m0), KC.min(k - k0));
            let a = a.wrapping_add(m0 * a_rs + k0 * a_ks);
            let right = Right {
                ptr: b.ptr.wrapping_add(k0 * b.ks),
                ..b
            };
            let out = Out {
                ptr: c.ptr.wrapping_add(m0 * c.rs),
                rs: c.rs,
                accumulate: c.accumulate || k0 > 0,
            };
            // SAFETY: m·k ≤ A_STACK; a sub-block of what the caller vouches for.
            unsafe {
                T::pack_rows(m, k, a, a_rs, a_ks, space);
                // More of these rows, the rows below, or where a product goes on after this one.
                let next = match (k0 + k < depth, m0 + m < all) {
                    (true, _) => {
                        Soon::new(a.wrapping_add(k * a_ks), KC.min(depth - k0 - k), a_ks, m)
                    }
                    (false, true) => {
                        let below = first.wrapping_add((m0 + m) * a_rs);
                        Soon::new(below, KC.min(depth), a_ks, mc.min(all - m0 - m))
                    }
                    (false, false) => {
                        Soon::new(first.wrapping_add(depth * a_ks), k, a_ks, mc.min(all))
                    }
                };
                let next = if a_rs == 1 { next } else { Soon::NONE };
                let mut soon = [next.over(tiles::<T>(m, n)), next_b];
                block::<T>(
                    (m, n, k),
                    Left::Blocks { ptr: space },
                    right,
                    out,
                    &mut soon,
                );
                [_, next_b] = soon;
            }
        }
    }
}

/// What an empty inner dimension gives: zeros, or C as it was.
///
/// # Safety
///
/// C is writable for m rows of n floats, `c_rs` apart.
unsafe fn empty_product(m: usize, n: usize, c: *mut f32, c_rs: usize, accumulate: bool) {
    if !accumulate {
        for row in 0..m {
            // SAFETY: the caller says that the row is writable.
            unsafe { std::ptr::write_bytes(c.add(row * c_rs), 0, n) };
        }
    }
}

/// C (+)= A·B with B packed by [`pack_b`] in panels of `T::NR`, or where `HALVES` by [`pack_b_halves`]; `how` is a sum of
/// [`ACCUMULATE`] and [`BACKWARDS`]. `read` is the words of panels that the caller goes through in one step of a scan, or 0:
/// the product's own.
///
/// # Safety
///
/// The machine has the instructions of `T`. A is readable at `a + i·a_rs + p·a_ks` for i < m, p < k; `packed` holds a
/// k×n matrix so packed; C is writable (readable if added to) at `c + i·c_rs + j` for i < m, j < n. C overlaps neither
/// of the others.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn gemm_packed<T: Tiles, const HALVES: bool>(
    m: usize,
    n: usize,
    k: usize,
    a: *const f32,
    a_rs: usize,
    a_ks: usize,
    packed: *const f32,
    c: *mut f32,
    c_rs: usize,
    how: usize,
    read: usize,
) {
    if m == 0 || n == 0 {
        return;
    }
    let accumulate = how & ACCUMULATE != 0;
    let (ks, tiles) = match HALVES {
        true => (T::NR / 2, &T::HALVES),
        false => (T::NR, &T::FLOATS),
    };
    let words = read.max(n * k * ks / T::NR);
    let right = Right {
        ptr: packed,
        panel: k * ks,
        ks,
        tiles,
        back: how & BACKWARDS != 0 && !(FEW..BEYOND).contains(&words),
        far: words >= BEYOND,
    };
    let out = Out {
        ptr: c,
        rs: c_rs,
        accumulate,
    };
    // SAFETY: passed on from the caller; m, n and k are positive where `block` is reached.
    unsafe {
        if k == 0 {
            empty_product(m, n, c, c_rs, accumulate);
        } else {
            rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), right, out, Soon::NONE);
        }
    }
}

/// Floats of scratch that [`gemm`] needs for n columns and inner dimension k. At most NC·KC.
pub(crate) fn scratch_len<T: Tiles>(n: usize, k: usize) -> usize {
    n.min(NC).next_multiple_of(T::NR) * k.min(KC)
}

/// C (+)= A·B for one use of B, packed block by block into `scratch`.
///
/// # Safety
///
/// As [`gemm_packed`], with B readable at `b + p·b_ks + j·b_cs` for p < k, j < n, and `scratch` writable for
/// [`scratch_len`] floats that overlap none of the matrices.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn gemm<T: Tiles>(
    m: usize,
    n: usize,
    k: usize,
    a: *const f32,
    a_rs: usize,
    a_ks: usize,
    b: *const f32,
    b_ks: usize,
    b_cs: usize,
    c: *mut f32,
    c_rs: usize,
    accumulate: bool,
    scratch: *mut f32,
) {
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        // SAFETY: passed on from the caller.
        return unsafe { empty_product(m, n, c, c_rs, accumulate) };
    }
    // Packing B costs about as much as two rows of products: for a few rows, whole panels are read where they lie.
    let in_place = if b_cs == 1 && m <= T::MR {
        n / T::NR * T::NR
    } else {
        0
    };
    if in_place > 0 {
        let right = Right {
            ptr: b,
            panel: T::NR,
            ks: b_ks,
            tiles: &T::FLOATS,
            back: false,
            far: false,
        };
        let out = Out {
            ptr: c,
            rs: c_rs,
            accumulate,
        };
        // SAFETY: the columns before `in_place` are whole panels of B.
        unsafe { rows_over_panels::<T>((m, in_place, k), (a, a_rs, a_ks), right, out, Soon::NONE) };
    }
    for n0 in (in_place..n).step_by(NC) {
        for k0 in (0..k).step_by(KC) {
            let (n, k) = (NC.min(n - n0), KC.min(k - k0));
            let right = Right {
                ptr: scratch,
                panel: k * T::NR,
                ks: T::NR,
                tiles: &T::FLOATS,
                back: false,
                far: false,
            };
            let out = Out {
                ptr: c.wrapping_add(n0),
                rs: c_rs,
                accumulate: accumulate || k0 > 0,
            };
            // SAFETY: the block is in range and its panels fit into `scratch`.
            unsafe {
                let from = b.add(k0 * b_ks + n0 * b_cs);
                T::pack_columns((k, n), from, (b_ks, b_cs), scratch);
                let a = a.wrapping_add(k0 * a_ks);
                let next = Soon::new(from.wrapping_add(k * b_ks), k, b_ks, n);
                let next = if b_cs == 1 { next } else { Soon::NONE };
                let next = next.over(tiles::<T>(m, n));
                rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), right, out, next);
            }
        }
    }
}
