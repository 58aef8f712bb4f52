//! Work by rows of a table: gathers and their adjoint, copies.
//!
//! Every output element is one sequential chain, and belongs to one thread, so that splits do not change bits.

use super::simd::Simd;

/// The row that an index names, if the table has it.
fn row_of(index: i32, rows: usize) -> Option<usize> {
    usize::try_from(index).ok().filter(|&row| row < rows)
}

/// `out[p] = table[index[p]]` for positions lo..hi, `width` floats each; zeros where the index is not one of the
/// table's `rows`.
///
/// # Safety
///
/// The table's rows (`table_rs` apart) and `index` at lo..hi are readable, rows lo..hi of `out` (`out_rs` apart)
/// writable; `out` overlaps neither.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn gather(
    lo: usize,
    hi: usize,
    width: usize,
    table: *const f32,
    table_rs: usize,
    rows: usize,
    index: *const i32,
    out: *mut f32,
    out_rs: usize,
) {
    for p in lo..hi {
        // SAFETY: the position and the row are in range.
        unsafe {
            let out = out.add(p * out_rs);
            match row_of(*index.add(p), rows) {
                Some(row) => std::ptr::copy_nonoverlapping(table.add(row * table_rs), out, width),
                None => std::ptr::write_bytes(out, 0, width),
            }
        }
    }
}

/// `out[index[p]] += grad[p]` over all `positions` in order, for the table's rows lo..hi only; they start from 0 unless
/// `accumulate`. Indices outside lo..hi are passed over: they are another thread's, or no row at all.
///
/// # Safety
///
/// The machine has the instructions of `S`; `index` and the rows of `grad` (`grad_rs` apart, `width` wide) are readable
/// at all positions; rows lo..hi of `out` (`out_rs` apart) are writable and overlap neither.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(crate) unsafe fn scatter_add<S: Simd>(
    lo: usize,
    hi: usize,
    positions: usize,
    width: usize,
    index: *const i32,
    grad: *const f32,
    grad_rs: usize,
    out: *mut f32,
    out_rs: usize,
    accumulate: bool,
) {
    if !accumulate {
        for row in lo..hi {
            // SAFETY: the row is in range.
            unsafe { std::ptr::write_bytes(out.add(row * out_rs), 0, width) };
        }
    }
    for p in 0..positions {
        // SAFETY: the position is in range, the row in lo..hi, and every vector in 0..width.
        unsafe {
            let Some(row) = row_of(*index.add(p), hi).filter(|&row| row >= lo) else {
                continue;
            };
            let (from, to) = (grad.add(p * grad_rs), out.add(row * out_rs));
            let mut j = 0;
            while width - j >= S::LANES {
                S::store(to.add(j), S::add(S::load(to.add(j)), S::load(from.add(j))));
                j += S::LANES;
            }
            if j < width {
                let rest = width - j;
                let sum = S::add(
                    S::load_first(to.add(j), rest),
                    S::load_first(from.add(j), rest),
                );
                S::store_first(to.add(j), rest, sum);
            }
        }
    }
}

/// Copies rows lo..hi of `src` to `dst`, `cols` floats each.
///
/// # Safety
///
/// Rows lo..hi of `src` (`src_rs` apart) are readable, those of `dst` (`dst_rs` apart) writable; no overlap.
pub(crate) unsafe fn copy_rows(
    lo: usize,
    hi: usize,
    cols: usize,
    src: *const f32,
    src_rs: usize,
    dst: *mut f32,
    dst_rs: usize,
) {
    for row in lo..hi {
        // SAFETY: the row is in range.
        unsafe {
            std::ptr::copy_nonoverlapping(src.add(row * src_rs), dst.add(row * dst_rs), cols)
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::philox::{Place, Stream};
    use crate::targets::cpu::isa::Isa;
    use crate::targets::cpu::kernels::Kernels;

    fn all_kernels() -> impl Iterator<Item = &'static Kernels> {
        Isa::available().into_iter().filter_map(Kernels::for_isa)
    }

    const PLACE: Place = Place {
        key: [2, 9],
        path: 4,
        step: 0,
    };

    fn draws(len: usize) -> Vec<f32> {
        let mut x = vec![0.0; len];
        PLACE.fill_normal_flat(&mut x, 0);
        x
    }

    /// Indices into `rows` rows, a few of them none of its rows.
    fn indices(len: usize, rows: u32) -> Vec<i32> {
        let mut stream = Stream::new(PLACE);
        (0..len)
            .map(|_| stream.below(rows + 2) as i32 - 1)
            .collect()
    }

    #[test]
    fn gather_takes_rows_and_zeros_for_what_is_no_row() {
        for kernels in all_kernels() {
            let (rows, width, rs, positions, out_rs) = (6, 19, 20, 30, 21);
            let table = draws(rows * rs);
            let index = indices(positions, rows as u32);
            assert!(index.contains(&-1) && index.contains(&(rows as i32)));
            let mut out = vec![7.0; positions * out_rs];
            for (lo, hi) in [(11, positions), (0, 11)] {
                // SAFETY: the table has `rows` rows, `out` and `index` all positions.
                unsafe {
                    let (table, index) = (table.as_ptr(), index.as_ptr());
                    (kernels.gather)(
                        lo,
                        hi,
                        width,
                        table,
                        rs,
                        rows,
                        index,
                        out.as_mut_ptr(),
                        out_rs,
                    )
                };
            }
            for (p, &i) in index.iter().enumerate() {
                let got = &out[p * out_rs..][..out_rs];
                match super::row_of(i, rows) {
                    Some(row) => assert_eq!(got[..width], table[row * rs..][..width]),
                    None => assert!(got[..width].iter().all(|&x| x == 0.0)),
                }
                assert!(got[width..].iter().all(|&x| x == 7.0));
            }
        }
    }

    #[test]
    fn scatter_add_is_sequential_whatever_the_split() {
        for kernels in all_kernels() {
            let (rows, width, rs, positions, grad_rs) = (6, 19, 20, 50, 23);
            let grad = draws(positions * grad_rs);
            let index = indices(positions, rows as u32);
            for accumulate in [false, true] {
                let mut expected = draws(rows * rs);
                let start = expected.clone();
                for row in expected.chunks_mut(rs).filter(|_| !accumulate) {
                    row[..width].fill(0.0);
                }
                for (p, &i) in index.iter().enumerate() {
                    if let Some(row) = super::row_of(i, rows) {
                        for j in 0..width {
                            expected[row * rs + j] += grad[p * grad_rs + j];
                        }
                    }
                }
                for cut in 0..=rows {
                    let mut out = start.clone();
                    for (lo, hi) in [(cut, rows), (0, cut)] {
                        let (index, grad, out) = (index.as_ptr(), grad.as_ptr(), out.as_mut_ptr());
                        // SAFETY: `index` and `grad` have all positions, `out` the rows.
                        unsafe {
                            (kernels.scatter_add)(
                                lo,
                                hi,
                                positions,
                                width,
                                index,
                                grad,
                                grad_rs,
                                out,
                                rs,
                                accumulate.into(),
                            )
                        };
                    }
                    assert_eq!(out, expected);
                }
            }
        }
    }

    #[test]
    fn copies_keep_strides() {
        for kernels in all_kernels() {
            let src = draws(4 * 9);
            let mut dst = vec![7.0; 4 * 11];
            // SAFETY: rows 1..4 of both exist.
            unsafe { (kernels.copy_rows)(1, 4, 5, src.as_ptr(), 9, dst.as_mut_ptr(), 11) };
            for (row, got) in dst.chunks(11).enumerate() {
                let copied = if row == 0 { 0 } else { 5 };
                assert_eq!(got[..copied], src[row * 9..][..copied]);
                assert!(got[copied..].iter().all(|&x| x == 7.0));
            }
        }
    }
}
