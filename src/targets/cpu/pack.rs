//! Panels: a matrix with any strides in, the contiguous order that a tile reads in out.
//!
//! A packed B of K rows and N columns is ⌈N / NR⌉ panels of K·NR floats; panel p holds columns p·NR.., row after row,
//! the last one filled up with zero columns.
//!
//! The same in 16 bits (bfloat16): a row of a panel is NR / 2 words. Its columns are taken two vectors at a time; word i
//! of such a pair has column i of the first vector in its low half and column i of the second in its high half, so that a
//! shift and a mask make two vectors of one.

use std::ops::Range;

use super::prefetch::prefetch;
use super::simd::Simd;

/// Floats that a packed K×N matrix takes, or `None` if the number does not fit.
pub fn packed_len(nr: usize, k: usize, n: usize) -> Option<usize> {
    n.div_ceil(nr).checked_mul(nr)?.checked_mul(k)
}

/// Rows copied at a time when columns lie far apart: sixteen floats are a cache line.
const STRIP: usize = 16;

/// Packs B[k, n], whose element (k, n) is at `b + k·b_ks + n·b_cs`, into panels of `nr` columns at `dst`. Whole vectors
/// are moved, or blocks of them transposed, in the order in which they lie in B; the rest goes float by float.
///
/// # Safety
///
/// The machine has the instructions of `S`. B is readable at every (k, n) in range, `dst` is writable for [`packed_len`]
/// floats, and the two do not overlap.
#[inline(always)]
pub(crate) unsafe fn pack_b<S: Simd>(
    nr: usize,
    (k, n): (usize, usize),
    b: *const f32,
    (b_ks, b_cs): (usize, usize),
    dst: *mut f32,
) {
    let at = |kk: usize, j: usize| b.wrapping_add(kk * b_ks + j * b_cs);
    let place = |kk: usize, j: usize| dst.wrapping_add(j / nr * nr * k + kk * nr + j % nr);
    let vectors = n / S::LANES * S::LANES;
    // Floats of B at (kk, 0..vectors) for kk below this are moved in vectors.
    let moved = match (b_ks, b_cs) {
        (_, 1) => k,
        (1, _) => k / S::LANES * S::LANES,
        _ => 0,
    };
    // SAFETY: all places are in range; a vector of columns lies inside one panel, whose width is a multiple of it.
    unsafe {
        if b_cs == 1 {
            for kk in 0..moved {
                for j in (0..vectors).step_by(S::LANES) {
                    S::store(place(kk, j), S::load(at(kk, j)));
                }
            }
        } else {
            for j in (0..vectors).step_by(S::LANES) {
                for kk in (0..moved).step_by(S::LANES) {
                    S::transpose(at(kk, j), b_cs, place(kk, j), nr);
                }
            }
        }
        let scalar = |rows: Range<usize>, columns: Range<usize>| {
            for kk in rows {
                for j in columns.clone() {
                    *place(kk, j) = *at(kk, j);
                }
            }
        };
        for j in (0..vectors).step_by(STRIP) {
            scalar(moved..k, j..vectors.min(j + STRIP));
        }
        scalar(0..k, vectors..n);
        if n % nr > 0 {
            for kk in 0..k {
                std::ptr::write_bytes(place(kk, n), 0, nr - n % nr);
            }
        }
    }
}

/// Words that a matrix takes that is packed in 16 bits, or `None` if the number does not fit.
pub fn packed_halves_len(nr: usize, k: usize, n: usize) -> Option<usize> {
    n.div_ceil(nr).checked_mul(nr / 2)?.checked_mul(k)
}

/// The nearest bfloat16, of two equally near the even one; NaN stays NaN.
#[inline(always)]
pub(crate) fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    let quiet = bits | 0x0040_0000;
    let up = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    ((if x.is_nan() { quiet } else { up }) >> 16) as u16
}

/// Packs B[k, n], whose element (k, n) is at `b + k·b_ks + n·b_cs`, in 16 bits into panels of `nr` columns at `dst`,
/// rounding what is no bfloat16. `LANES` are a vector's, and `nr` is a multiple of two vectors.
///
/// # Safety
///
/// B is readable at every (k, n) in range, `dst` is writable for [`packed_halves_len`] words, and the two do not overlap.
#[inline(always)]
pub(crate) unsafe fn pack_b_halves<const LANES: usize>(
    nr: usize,
    (k, n): (usize, usize),
    b: *const f32,
    (b_ks, b_cs): (usize, usize),
    dst: *mut u32,
) {
    let word = |low: f32, high: f32| u32::from(half(low)) | u32::from(half(high)) << 16;
    for j0 in (0..n.next_multiple_of(nr)).step_by(2 * LANES) {
        let within = (j0 % nr) / 2;
        for kk in 0..k {
            // SAFETY: row `kk` of pair `j0` lies inside panel `j0 / nr`; only columns below n are read.
            unsafe {
                let src = b.wrapping_add(kk * b_ks + j0 * b_cs);
                let to = dst.add(j0 / nr * (nr / 2) * k + kk * (nr / 2) + within);
                if j0 + 2 * LANES > n {
                    let column = |j: usize| match j0 + j < n {
                        true => *src.add(j * b_cs),
                        false => 0.0,
                    };
                    for i in 0..LANES {
                        *to.add(i) = word(column(i), column(LANES + i));
                    }
                } else if b_cs == 1 {
                    for i in 0..LANES {
                        *to.add(i) = word(*src.add(i), *src.add(LANES + i));
                    }
                } else {
                    for i in 0..LANES {
                        *to.add(i) = word(*src.add(i * b_cs), *src.add((LANES + i) * b_cs));
                    }
                }
            }
        }
    }
}

/// Rows between what is copied and what is asked for: rows far apart lie in other pages, where the machine's own guess
/// of what comes next ends.
const AHEAD: usize = 8;

/// Packs A[m, k], whose element (m, k) is at `a + m·a_rs + k·a_ks`, into blocks of `MR` rows, k outside, rows inside.
/// The last block holds the rows that are left over, without filling up; block i starts at `dst + i·MR·k`.
///
/// # Safety
///
/// A is readable at every (m, k) in range, `dst` is writable for m·k floats, and the two do not overlap.
#[inline(always)]
pub(crate) unsafe fn pack_a<const MR: usize>(
    m: usize,
    k: usize,
    a: *const f32,
    a_rs: usize,
    a_ks: usize,
    dst: *mut f32,
) {
    let whole = m / MR;
    let rest = m % MR;
    // SAFETY: rows whole·MR.. and their places in `dst` are in range; so are those of each whole block.
    unsafe {
        if a_rs == 1 {
            for kk in 0..k {
                let src = a.add(kk * a_ks);
                for row in (0..m).step_by(STRIP) {
                    prefetch(src.wrapping_add(AHEAD * a_ks + row));
                }
                for block in 0..whole {
                    let to = dst.add(block * MR * k + kk * MR);
                    std::ptr::copy_nonoverlapping(src.add(block * MR), to, MR);
                }
            }
        } else {
            for block in 0..whole {
                let src = a.add(block * MR * a_rs);
                let to = dst.add(block * MR * k);
                for kk in 0..k {
                    for row in 0..MR {
                        *to.add(kk * MR + row) = *src.add(row * a_rs + kk * a_ks);
                    }
                }
            }
        }
        let src = a.add(whole * MR * a_rs);
        let to = dst.add(whole * MR * k);
        for kk in 0..k {
            for row in 0..rest {
                *to.add(kk * rest + row) = *src.add(row * a_rs + kk * a_ks);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::isa::Isa;
    use super::super::kernels::Kernels;
    use super::*;

    #[test]
    fn panels_hold_columns_and_zero_tails_for_any_strides() {
        for kernels in Isa::available().into_iter().filter_map(Kernels::for_isa) {
            let nr = kernels.nr;
            for (k, n) in [(5, 19), (16, 64), (37, 150), (1, 3), (33, 1)] {
                for (b_ks, b_cs) in [(n, 1), (1, k), (1, k + 3), (2 * n, 2), (3, 3 * k)] {
                    let b: Vec<f32> = (0..(k - 1) * b_ks + (n - 1) * b_cs + 1)
                        .map(|i| i as f32 + 1.0)
                        .collect();
                    let mut packed = vec![f32::NAN; packed_len(nr, k, n).unwrap()];
                    // SAFETY: `b` reaches to its last element, `packed` has the length asked for.
                    unsafe { (kernels.pack_b)(k, n, b.as_ptr(), b_ks, b_cs, packed.as_mut_ptr()) };
                    for kk in 0..k {
                        for j in 0..n.next_multiple_of(nr) {
                            let expected = if j < n { b[kk * b_ks + j * b_cs] } else { 0.0 };
                            assert_eq!(packed[j / nr * nr * k + kk * nr + j % nr], expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn panels_of_halves_hold_pairs_of_vectors() {
        let (nr, k, n) = (16, 5, 37);
        for (b_ks, b_cs) in [(n, 1), (1, k), (2 * n, 2)] {
            let b: Vec<f32> = (0..(k - 1) * b_ks + (n - 1) * b_cs + 1)
                .map(|i| (i as f32 + 0.3) * 0.7)
                .collect();
            let mut packed = vec![u32::MAX; packed_halves_len(nr, k, n).unwrap()];
            // SAFETY: `b` reaches to its last element, `packed` has the length asked for.
            unsafe {
                pack_b_halves::<4>(nr, (k, n), b.as_ptr(), (b_ks, b_cs), packed.as_mut_ptr());
            }
            for kk in 0..k {
                for j in 0..n.next_multiple_of(nr) {
                    let expected = if j < n {
                        half(b[kk * b_ks + j * b_cs])
                    } else {
                        0
                    };
                    let (pair, lane) = (j % nr / 8, j % 4);
                    let at = packed[j / nr * nr / 2 * k + kk * nr / 2 + pair * 4 + lane];
                    let found = if j % 8 < 4 { at } else { at >> 16 };
                    assert_eq!(found as u16, expected, "{kk}, {j}");
                }
            }
        }
    }

    #[test]
    fn blocks_of_rows_hold_a_for_any_strides() {
        let (m, k) = (11, 7);
        for (a_rs, a_ks) in [(k, 1), (1, m), (2, 2 * m)] {
            let a: Vec<f32> = (0..(m - 1) * a_rs + (k - 1) * a_ks + 1)
                .map(|i| i as f32)
                .collect();
            let mut packed = vec![f32::NAN; m * k];
            // SAFETY: `a` reaches to its last element, `packed` has m·k floats.
            unsafe { pack_a::<4>(m, k, a.as_ptr(), a_rs, a_ks, packed.as_mut_ptr()) };
            for row in 0..m {
                for kk in 0..k {
                    let start = row / 4 * 4;
                    let rows = 4.min(m - start);
                    let at = start * k + kk * rows + row - start;
                    assert_eq!(packed[at], a[row * a_rs + kk * a_ks]);
                }
            }
        }
    }

    #[test]
    fn a_length_past_the_address_space_is_refused() {
        assert_eq!(packed_len(64, usize::MAX / 8, 64), None);
        assert_eq!(packed_len(64, 0, 100), Some(0));
    }
}
