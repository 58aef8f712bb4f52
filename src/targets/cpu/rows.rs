//! Softmax and cross-entropy over the rows of a matrix: rows lo..hi in, the same rows of the result out.
//!
//! A row's result depends on that row alone, so rows may be split over threads anywhere.

use super::maps::map;
use super::math;
use super::simd::Simd;

/// Accumulators of a sum over a row: independent chains, and shorter ones.
const CHAINS: usize = 4;

/// The greatest of n floats, −∞ if n is 0; NaN lanes may be passed over.
///
/// # Safety
///
/// The machine has the instructions of `S`; `x` is readable for n floats.
#[inline(always)]
unsafe fn row_max<S: Simd>(n: usize, x: *const f32) -> f32 {
    // SAFETY: every vector read lies in 0..n, as n ≥ LANES where one is read.
    unsafe {
        if n < S::LANES {
            return (0..n).fold(f32::NEG_INFINITY, |max, i| max.max(*x.add(i)));
        }
        let mut max = [S::load(x); CHAINS];
        let mut i = 0;
        while i + CHAINS * S::LANES <= n {
            for (chain, max) in max.iter_mut().enumerate() {
                *max = S::max(*max, S::load(x.add(i + chain * S::LANES)));
            }
            i += CHAINS * S::LANES;
        }
        while i < n {
            // The last vector may overlap the one before: a maximum does not mind.
            max[0] = S::max(max[0], S::load(x.add(i.min(n - S::LANES))));
            i += S::LANES;
        }
        S::reduce_max(S::max(S::max(max[0], max[1]), S::max(max[2], max[3])))
    }
}

/// Σ exp(x − shift) over n floats; with `STORE`, the terms are left in `y`, which may be `x`.
///
/// # Safety
///
/// The machine has the instructions of `S`; `x` is readable for n floats, `y` writable if `STORE`.
#[inline(always)]
unsafe fn exp_sum<S: Simd, const STORE: bool>(
    n: usize,
    x: *const f32,
    y: *mut f32,
    shift: f32,
) -> f32 {
    // SAFETY: every vector lies in 0..n, the last one masked.
    unsafe {
        let shift = S::splat(shift);
        let mut sum = [S::splat(0.0); CHAINS];
        let mut i = 0;
        while i + CHAINS * S::LANES <= n {
            for (chain, sum) in sum.iter_mut().enumerate() {
                let at = i + chain * S::LANES;
                let e = math::exp::<S>(S::sub(S::load(x.add(at)), shift));
                if STORE {
                    S::store(y.add(at), e);
                }
                *sum = S::add(*sum, e);
            }
            i += CHAINS * S::LANES;
        }
        while i < n {
            let rest = S::LANES.min(n - i);
            let e = math::exp::<S>(S::sub(S::load_first(x.add(i), rest), shift));
            if STORE {
                S::store_first(y.add(i), rest, e);
            }
            sum[0] = S::add(sum[0], S::first(e, rest));
            i += S::LANES;
        }
        S::reduce_add(S::add(S::add(sum[0], sum[1]), S::add(sum[2], sum[3])))
    }
}

/// What to take from each element of a row before exponentials: its maximum, or 0 where that is −∞, so that a row of
/// only −∞ has exponentials 0 instead of NaN.
fn shift_for(max: f32) -> f32 {
    if max == f32::NEG_INFINITY { 0.0 } else { max }
}

/// y = factor·softmax(x) of one row; zeros where every element is −∞ (nothing to choose from).
///
/// # Safety
///
/// The machine has the instructions of `S`; `x` is readable and `y` writable for n floats; they are equal or disjoint.
#[inline(always)]
unsafe fn softmax_row<S: Simd>(n: usize, x: *const f32, y: *mut f32, factor: f32) {
    // SAFETY: passed on from the caller.
    unsafe {
        let shift = shift_for(row_max::<S>(n, x));
        let sum = exp_sum::<S, true>(n, x, y, shift);
        let scale = S::splat(if sum == 0.0 { 0.0 } else { factor / sum });
        map!(S, n, y, y, v => S::mul(v, scale));
    }
}

/// Rows lo..hi of `y` become the softmax of those of `x`, each `cols` wide.
///
/// # Safety
///
/// The machine has the instructions of `S`; rows lo..hi of `x` (`x_rs` apart) are readable, those of `y` (`y_rs` apart)
/// writable; `x` and `y` are the same rows or disjoint.
#[inline(always)]
pub(crate) unsafe fn softmax<S: Simd>(
    lo: usize,
    hi: usize,
    cols: usize,
    x: *const f32,
    x_rs: usize,
    y: *mut f32,
    y_rs: usize,
) {
    for row in lo..hi {
        // SAFETY: the row is in range.
        unsafe { softmax_row::<S>(cols, x.add(row * x_rs), y.add(row * y_rs), 1.0) };
    }
}

/// The target as a column, or `None` if the row is left out.
fn column(target: i32, cols: usize) -> Option<usize> {
    usize::try_from(target).ok().filter(|&t| t < cols)
}

/// `loss[row] = ln Σ exp(logits) − logits[target]` in nats, 0 where the target is not a column.
///
/// # Safety
///
/// The machine has the instructions of `S`; rows lo..hi of `logits` (`rs` apart, `cols` wide) and of `targets` are
/// readable, those of `loss` writable.
#[inline(always)]
pub(crate) unsafe fn cross_entropy<S: Simd>(
    lo: usize,
    hi: usize,
    cols: usize,
    logits: *const f32,
    rs: usize,
    targets: *const i32,
    loss: *mut f32,
) {
    for row in lo..hi {
        // SAFETY: the row is in range, and the target is a column of it.
        unsafe {
            let x = logits.add(row * rs);
            *loss.add(row) = match column(*targets.add(row), cols) {
                None => 0.0,
                Some(target) => {
                    let shift = shift_for(row_max::<S>(cols, x));
                    let sum = exp_sum::<S, false>(cols, x, std::ptr::null_mut(), shift);
                    let log = S::reduce_max(math::log::<S>(S::splat(sum)));
                    log + (shift - *x.add(target))
                }
            };
        }
    }
}

/// `out[row] = (softmax(logits) − onehot(target))·g[row]`; exactly 0 where `g[row]` is 0 or the target is not a column,
/// whatever the logits are.
///
/// # Safety
///
/// As [`cross_entropy`], with `g` readable and rows lo..hi of `out` (`out_rs` apart) writable; `out` and `logits` are
/// the same rows or disjoint.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(crate) unsafe fn cross_entropy_grad<S: Simd>(
    lo: usize,
    hi: usize,
    cols: usize,
    logits: *const f32,
    rs: usize,
    targets: *const i32,
    g: *const f32,
    out: *mut f32,
    out_rs: usize,
) {
    for row in lo..hi {
        // SAFETY: the row is in range, and the target is a column of it.
        unsafe {
            let (g, y) = (*g.add(row), out.add(row * out_rs));
            match column(*targets.add(row), cols) {
                Some(target) if g != 0.0 => {
                    softmax_row::<S>(cols, logits.add(row * rs), y, g);
                    *y.add(target) -= g;
                }
                Some(_) | None => std::ptr::write_bytes(y, 0, cols),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::philox::Place;
    use crate::targets::cpu::isa::Isa;
    use crate::targets::cpu::kernels::Kernels;

    fn all_kernels() -> impl Iterator<Item = &'static Kernels> {
        Isa::available().into_iter().filter_map(Kernels::for_isa)
    }

    const WIDTHS: [usize; 10] = [1, 2, 7, 8, 16, 17, 63, 64, 200, 1031];

    fn logits(len: usize) -> Vec<f32> {
        let mut x = vec![0.0; len];
        Place {
            key: [3, 1],
            path: 0,
            step: 0,
        }
        .fill_normal_flat(&mut x, 0);
        x.iter_mut().for_each(|x| *x *= 8.0);
        x
    }

    fn softmax_f64(x: &[f32]) -> Vec<f64> {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f64> = x
            .iter()
            .map(|&x| (f64::from(x) - f64::from(max)).exp())
            .collect();
        let sum: f64 = e.iter().sum();
        e.into_iter().map(|e| e / sum).collect()
    }

    fn softmax(kernels: &Kernels, rows: usize, cols: usize, x: &[f32], rs: usize) -> Vec<f32> {
        let mut y = x.to_vec();
        // SAFETY: `y` has `rows` rows, and in place is allowed.
        unsafe { (kernels.softmax)(0, rows, cols, y.as_ptr(), rs, y.as_mut_ptr(), rs) };
        y
    }

    #[test]
    fn softmax_is_near_the_exact_one_and_leaves_the_rest_alone() {
        for kernels in all_kernels() {
            for cols in WIDTHS {
                let (rows, rs) = (3, cols + 2);
                let x = logits(rows * rs);
                let y = softmax(kernels, rows, cols, &x, rs);
                for row in 0..rows {
                    let at = row * rs;
                    for (got, exact) in y[at..at + cols].iter().zip(softmax_f64(&x[at..at + cols]))
                    {
                        // Elements lie within 2⁷ of the maximum: the difference is rounded by up to 2⁻¹⁸.
                        assert!(
                            (f64::from(*got) - exact).abs() <= 5e-6 * exact + 1e-44,
                            "{cols}"
                        );
                    }
                    assert_eq!(y[at + cols..at + rs], x[at + cols..at + rs]);
                }
            }
        }
    }

    #[test]
    fn softmax_of_extreme_rows() {
        let inf = f32::INFINITY;
        for kernels in all_kernels() {
            for cols in [3, 40] {
                let row = |first: f32, rest: f32| {
                    let mut x = vec![rest; cols];
                    x[0] = first;
                    softmax(kernels, 1, cols, &x, cols)
                };
                assert!(row(-inf, -inf).iter().all(|&y| y == 0.0), "an empty set");
                assert_eq!(row(-inf, 3.0)[0], 0.0);
                assert_eq!(row(1e30, 3.0)[0], 1.0);
                assert_eq!(row(-1e30, -inf)[0], 1.0);
                assert!(row(f32::NAN, 1.0).iter().all(|y| y.is_nan()));
                assert!(row(f32::NAN, -inf).iter().all(|y| y.is_nan()));
                assert!(row(1.0, f32::NAN).iter().all(|y| y.is_nan()));
            }
        }
    }

    #[test]
    fn cross_entropy_and_its_gradient_are_near_the_exact_ones() {
        for kernels in all_kernels() {
            for cols in WIDTHS {
                let (rows, rs) = (5, cols + 1);
                let x = logits(rows * rs);
                let v = cols as i32;
                let targets = [0, v - 1, v / 2, -1, v];
                let g = [1.0, 0.25, -2.0, 1.0, 1.0];
                let (mut loss, mut dx) = (vec![f32::NAN; rows], vec![f32::NAN; rows * rs]);
                // SAFETY: all have the rows and columns stated.
                unsafe {
                    let (x, t, g) = (x.as_ptr(), targets.as_ptr(), g.as_ptr());
                    (kernels.cross_entropy)(0, rows, cols, x, rs, t, loss.as_mut_ptr());
                    (kernels.cross_entropy_grad)(0, rows, cols, x, rs, t, g, dx.as_mut_ptr(), rs);
                }
                for row in 0..rows {
                    let dx = &dx[row * rs..][..cols];
                    let Some(target) = super::column(targets[row], cols) else {
                        assert_eq!(loss[row], 0.0);
                        assert!(dx.iter().all(|&d| d.to_bits() == 0));
                        continue;
                    };
                    let p = softmax_f64(&x[row * rs..][..cols]);
                    let exact = -p[target].ln();
                    assert!(
                        (f64::from(loss[row]) - exact).abs() <= 1e-5 * exact.max(1.0),
                        "{cols}"
                    );
                    for (j, &d) in dx.iter().enumerate() {
                        let hot = if j == target { 1.0 } else { 0.0 };
                        let exact = (p[j] - hot) * f64::from(g[row]);
                        assert!((f64::from(d) - exact).abs() <= 2e-6 * f64::from(g[row]).abs());
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_without_gradient_is_zero_whatever_it_holds() {
        for kernels in all_kernels() {
            for (filler, target, g) in [
                (f32::NAN, 1, 0.0),
                (f32::INFINITY, 1, -0.0),
                (1e30, 1, 0.0),
                (f32::NAN, -1, 1.0),
                (f32::NAN, 20, f32::NAN),
            ] {
                let mut x = [filler; 20];
                let (x, out) = (x.as_ptr(), x.as_mut_ptr());
                // SAFETY: one row of 20, in place.
                let row = unsafe {
                    (kernels.cross_entropy_grad)(0, 1, 20, x, 20, &target, &g, out, 20);
                    std::slice::from_raw_parts(x, 20)
                };
                assert!(row.iter().all(|x| x.to_bits() == 0));
            }
        }
    }

    #[test]
    fn rows_do_not_depend_on_their_range() {
        for kernels in all_kernels() {
            let (rows, cols) = (9, 37);
            let x = logits(rows * cols);
            let whole = softmax(kernels, rows, cols, &x, cols);
            let mut parts = vec![0.0; rows * cols];
            for (lo, hi) in [(4, 9), (0, 1), (1, 1), (1, 4)] {
                // SAFETY: rows lo..hi exist in both.
                unsafe {
                    (kernels.softmax)(lo, hi, cols, x.as_ptr(), cols, parts.as_mut_ptr(), cols)
                };
            }
            assert_eq!(parts, whole);
        }
    }
}
