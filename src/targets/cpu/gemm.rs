//! Matrix products: C[M,N] = A[M,K]·B[K,N], or C += A·B, in f32.
//!
//! In: pointers with strides in floats; B packed into panels ([`super::pack`]) or, for one product, as it lies.
//! Out: C, rows `c_rs` apart, columns side by side.
//!
//! **Bits.** Every element of C is one chain of multiply-adds over k in order, from zero or from what C holds.
//! Blocks of k continue the chain through C. So M and N can be split over threads anywhere, with equal bits; K never is.
//!
//! **Order.** The loops are those of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008):
//! a block of A and a block of B stay in the second-level cache while tiles run over them. Panels
//! that a scan reads in every step are read every other time from the last to the first where they are [`FEW`]: what the
//! first-level cache still has is then read before it is lost. (More panels gain nothing, and prefetching loses 1%.)

use std::mem::MaybeUninit;

use super::microkernel::{TileArgs, TileFn, TileSet, Tiles};
use super::pack::pack_b;
#[cfg(doc)]
use super::pack::pack_b_halves;
use super::prefetch::{Soon, prefetch};

/// Inner dimension of a block.
const KC: usize = 384;
/// Inner dimension of a block when A is read where it lies.
const KC_DIRECT: usize = 1024;
/// Columns of a block of a one-shot B: with KC, three quarters of a megabyte.
const NC: usize = 512;
/// Says to [`gemm_packed`] that the product is added to what C holds.
pub(crate) const ACCUMULATE: usize = 1;
/// Says to [`gemm_packed`] that the last panel comes first, where panels have at most [`FEW`] floats.
pub(crate) const BACKWARDS: usize = 2;
/// Four times a first-level cache.
const FEW: usize = 32 * 1024;
/// Floats of packed A on the stack.
const A_STACK: usize = 24 * 1024;
/// Rows of a block when A is read where it lies.
const MC: usize = 144;

/// A in the order that tiles take it: tile row block starting at row r is at `ptr + r·pitch`.
#[derive(Clone, Copy)]
enum Left {
    /// As it lies: element (m, k) is at `ptr + m·rs + k·ks`.
    Strided {
        ptr: *const f32,
        rs: usize,
        ks: usize,
    },
    /// Packed in blocks of MR rows.
    Blocks { ptr: *const f32 },
}

/// Panels of B: row k of panel p is at `ptr + p·panel + k·ks`, and what multiplies with panels of this kind.
#[derive(Clone, Copy)]
struct Right {
    ptr: *const f32,
    panel: usize,
    ks: usize,
    tiles: TileSet,
    /// The last panel comes first.
    back: bool,
}

/// C and how to begin it.
#[derive(Clone, Copy)]
struct Out {
    ptr: *mut f32,
    rs: usize,
    accumulate: bool,
}

/// Tiles of a block.
fn tiles<T: Tiles>(m: usize, n: usize) -> usize {
    m.div_ceil(T::MR) * n.div_ceil(T::NR)
}

/// One block: all row blocks over all panels, panels outside. A turn of `soon` goes before every tile of one panel.
///
/// # Safety
///
/// The machine has the instructions of `T`; `a`, `b` and `c` are valid for m, n, k in the sense of [`TileFn`], whole
/// panels of B included; m, n, k > 0.
unsafe fn block<T: Tiles>(
    (m, n, k): (usize, usize, usize),
    a: Left,
    b: Right,
    c: Out,
    soon: &mut [Soon; 2],
) {
    let tile_args = |row: usize, rows: usize, column: usize, width: usize| {
        let (ptr, a_rs, a_ks) = match a {
            Left::Strided { ptr, rs, ks } => (ptr.wrapping_add(row * rs), rs, ks),
            Left::Blocks { ptr } => (ptr.wrapping_add(row * k), 1, rows),
        };
        TileArgs {
            k,
            a: ptr,
            a_rs,
            a_ks,
            b: b.ptr.wrapping_add(column / T::NR * b.panel),
            b_ks: b.ks,
            b_panel: b.panel,
            c: c.ptr.wrapping_add(row * c.rs + column),
            c_rs: c.rs,
            last: width - (width - 1) / T::LANES * T::LANES,
            accumulate: c.accumulate,
        }
    };
    // Wide tiles take several panels each, from the first on; single ones take those that are left.
    let wide = b.tiles.wide.get(m - 1).filter(|(p, _)| p * T::NR <= n);
    let (step, wides) = wide.map_or((0, 0), |(p, _)| (p * T::NR, n / (p * T::NR)));
    let turns = wides + (n - wides * step).div_ceil(T::NR);
    let place = |nth: usize| match if b.back { turns - 1 - nth } else { nth } {
        n if n < wides => (n * step, true),
        n => (wides * step + (n - wides) * T::NR, false),
    };
    // Equal row blocks where the place of a block is free; packed blocks are MR rows each.
    let blocks = m.div_ceil(T::MR);
    let start = |i: usize| match a {
        Left::Strided { .. } => m * i / blocks,
        Left::Blocks { .. } => m.min(i * T::MR),
    };
    for nth in 0..turns {
        let (at, is_wide) = place(nth);
        if let Some((_, wide)) = wide.filter(|_| is_wide) {
            // SAFETY: rows 0..m and columns at..at + step, whole panels, are in range.
            unsafe { wide(&tile_args(0, m, at, T::NR)) };
            continue;
        }
        let width = T::NR.min(n - at);
        let vectors = width.div_ceil(T::LANES);
        for i in 0..blocks {
            let (row, end) = (start(i), start(i + 1));
            let tile: TileFn = b.tiles.single[end - row - 1][vectors - 1];
            soon.iter_mut().for_each(Soon::ask);
            if c.accumulate {
                // A tile's chains wait for what C holds.
                let next = match i + 1 < blocks {
                    true => Some((i + 1, at)),
                    false => (nth + 1 < turns).then(|| (0, place(nth + 1).0)),
                };
                if let Some((next, at)) = next {
                    for row in start(next)..start(next + 1) {
                        let first = c.ptr.wrapping_add(row * c.rs + at);
                        (0..T::NV).for_each(|v| prefetch(first.wrapping_add(v * T::LANES)));
                    }
                }
            }
            // SAFETY: rows row..end and columns at..at + width are in range.
            unsafe { tile(&tile_args(row, end - row, at, width)) };
        }
    }
}

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
    if a_ks != 1 && n > T::NR {
        // SAFETY: passed on from the caller.
        return unsafe { packed_rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), b, c, next_b) };
    }
    for m0 in (0..m).step_by(MC) {
        for k0 in (0..k).step_by(KC_DIRECT) {
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
            let (m, k) = (MC.min(m - m0), KC_DIRECT.min(k - k0));
            // The rows below: the next block's, or those of a product that goes on where this one ends.
            let below = a.wrapping_add((m0 + m) * a_rs + k0 * a_ks);
            let mut soon = [
                Soon::new(below, m, a_rs, k).over(tiles::<T>(m, n)),
                Soon::NONE,
            ];
            // SAFETY: a sub-block of what the caller vouches for.
            unsafe { block::<T>((m, n, k), left, right, out, &mut soon) };
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
    let (all, first) = (m, a);
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
                let next = match m0 + m == all {
                    true => Soon::new(first.wrapping_add(k * a_ks), k, a_ks, mc.min(all)),
                    false => Soon::new(a.wrapping_add(m * a_rs), k, a_ks, mc.min(all - m0 - m)),
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
/// [`ACCUMULATE`] and [`BACKWARDS`].
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
) {
    if m == 0 || n == 0 {
        return;
    }
    let accumulate = how & ACCUMULATE != 0;
    let (ks, tiles) = match HALVES {
        true => (T::NR / 2, T::HALVES),
        false => (T::NR, T::FLOATS),
    };
    let right = Right {
        ptr: packed,
        panel: k * ks,
        ks,
        tiles,
        back: how & BACKWARDS != 0 && n * k <= FEW,
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

/// Floats of scratch that [`gemm`] needs for n columns and inner dimension k. At most NC·KC and a panel more.
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
            tiles: T::FLOATS,
            back: false,
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
                tiles: T::FLOATS,
                back: false,
            };
            let out = Out {
                ptr: c.wrapping_add(n0),
                rs: c_rs,
                accumulate: accumulate || k0 > 0,
            };
            // SAFETY: the block is in range and its panels fit into `scratch`.
            unsafe {
                let from = b.add(k0 * b_ks + n0 * b_cs);
                pack_b::<T>(T::NR, (k, n), from, (b_ks, b_cs), scratch);
                let a = a.wrapping_add(k0 * a_ks);
                let next = Soon::new(from.wrapping_add(k * b_ks), k, b_ks, n);
                let next = if b_cs == 1 { next } else { Soon::NONE };
                let next = next.over(tiles::<T>(m, n));
                rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), right, out, next);
            }
        }
    }
}
