//! Matrix products: C[M,N] = A[M,K]·B[K,N], or C += A·B, in f32.
//!
//! In: pointers with strides in floats; B packed into panels ([`super::pack`]) or, for one product, as it lies.
//! Out: C, rows `c_rs` apart, columns side by side.
//!
//! **Bits.** Every element of C is one chain of multiply-adds over k in order, from zero or from what C holds.
//! Blocks of k continue the chain through C. So M and N can be split over threads anywhere, with equal bits; K never is.
//!
//! **Order.** The loops are those of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008):
//! a block of A and a block of B stay in the second-level cache while tiles run over them.

use std::mem::MaybeUninit;

use super::microkernel::{TileArgs, TileFn, Tiles};
use super::pack::pack_b;

/// Inner dimension of a block.
const KC: usize = 256;
/// Inner dimension of a block when A is read where it lies.
const KC_DIRECT: usize = 1024;
/// Columns of a block of a one-shot B: with KC, half a megabyte.
const NC: usize = 512;
/// Floats of packed A on the stack.
const A_STACK: usize = 16 * 1024;
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

/// Panels of B: element (k, n) of panel p is at `ptr + p·panel + k·ks + n`.
#[derive(Clone, Copy)]
struct Right {
    ptr: *const f32,
    panel: usize,
    ks: usize,
}

/// C and how to begin it.
#[derive(Clone, Copy)]
struct Out {
    ptr: *mut f32,
    rs: usize,
    accumulate: bool,
}

/// One block: all row blocks over all panels, panels outside.
///
/// # Safety
///
/// The machine has the instructions of `T`; `a`, `b` and `c` are valid for m, n, k in the sense of [`TileFn`], whole
/// panels of B included; m, n, k > 0.
unsafe fn block<T: Tiles>(m: usize, n: usize, k: usize, a: Left, b: Right, c: Out) {
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
    let mut column = 0;
    if let Some(&(panels, wide)) = T::WIDE.get(m - 1) {
        let step = panels * T::NR;
        while n - column >= step {
            // SAFETY: rows 0..m and columns column..column + step, whole panels, are in range.
            unsafe { wide(&tile_args(0, m, column, T::NR)) };
            column += step;
        }
    }
    // Equal row blocks where the place of a block is free; packed blocks are MR rows each.
    let blocks = m.div_ceil(T::MR);
    let start = |i: usize| match a {
        Left::Strided { .. } => m * i / blocks,
        Left::Blocks { .. } => m.min(i * T::MR),
    };
    while column < n {
        let width = T::NR.min(n - column);
        let vectors = width.div_ceil(T::LANES);
        for i in 0..blocks {
            let (row, end) = (start(i), start(i + 1));
            let tile: TileFn = T::TILES[end - row - 1][vectors - 1];
            // SAFETY: rows row..end and columns column..column + width are in range.
            unsafe { tile(&tile_args(row, end - row, column, width)) };
        }
        column += T::NR;
    }
}

/// Blocks of A over the panels `b`, which hold rows 0..k of B. A is packed block by block where that pays.
///
/// # Safety
///
/// As [`block`], with A as for [`gemm_packed`].
unsafe fn rows_over_panels<T: Tiles>(
    (m, n, k): (usize, usize, usize),
    (a, a_rs, a_ks): (*const f32, usize, usize),
    b: Right,
    c: Out,
) {
    if a_ks != 1 && n > T::NR {
        // SAFETY: passed on from the caller.
        return unsafe { packed_rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), b, c) };
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
            // SAFETY: a sub-block of what the caller vouches for.
            unsafe { block::<T>(m, n, k, left, right, out) };
        }
    }
}

/// [`rows_over_panels`] with A packed on the stack. Its frame is 64 KiB, so it is kept out of line.
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
) {
    let mut space = [const { MaybeUninit::<f32>::uninit() }; A_STACK];
    let space = space.as_mut_ptr().cast::<f32>();
    let mc = A_STACK / KC / T::MR * T::MR;
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
                block::<T>(m, n, k, Left::Blocks { ptr: space }, right, out);
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

/// C (+)= A·B with B packed by [`pack_b`] in panels of `T::NR`.
///
/// # Safety
///
/// The machine has the instructions of `T`. A is readable at `a + i·a_rs + p·a_ks` for i < m, p < k; `packed` holds a
/// packed k×n matrix; C is writable (readable if `accumulate`) at `c + i·c_rs + j` for i < m, j < n. C overlaps neither
/// of the others.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn gemm_packed<T: Tiles>(
    m: usize,
    n: usize,
    k: usize,
    a: *const f32,
    a_rs: usize,
    a_ks: usize,
    packed: *const f32,
    c: *mut f32,
    c_rs: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    let right = Right {
        ptr: packed,
        panel: k * T::NR,
        ks: T::NR,
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
            rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), right, out);
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
        };
        let out = Out {
            ptr: c,
            rs: c_rs,
            accumulate,
        };
        // SAFETY: the columns before `in_place` are whole panels of B.
        unsafe { rows_over_panels::<T>((m, in_place, k), (a, a_rs, a_ks), right, out) };
    }
    for n0 in (in_place..n).step_by(NC) {
        for k0 in (0..k).step_by(KC) {
            let (n, k) = (NC.min(n - n0), KC.min(k - k0));
            let right = Right {
                ptr: scratch,
                panel: k * T::NR,
                ks: T::NR,
            };
            let out = Out {
                ptr: c.wrapping_add(n0),
                rs: c_rs,
                accumulate: accumulate || k0 > 0,
            };
            // SAFETY: the block is in range and its panels fit into `scratch`.
            unsafe {
                let from = b.add(k0 * b_ks + n0 * b_cs);
                pack_b(T::NR, k, n, from, b_ks, b_cs, scratch);
                let a = a.wrapping_add(k0 * a_ks);
                rows_over_panels::<T>((m, n, k), (a, a_rs, a_ks), right, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::philox::{Place, Stream};
    use crate::targets::cpu::isa::Isa;
    use crate::targets::cpu::kernels::Kernels;

    /// One product: sizes, strides, whether C is added to, and the threads' cuts of M and N.
    #[derive(Clone, Debug)]
    struct Case {
        m: usize,
        n: usize,
        k: usize,
        a_rs: usize,
        a_ks: usize,
        b_ks: usize,
        b_cs: usize,
        c_rs: usize,
        accumulate: bool,
    }

    impl Case {
        /// A and B as their transposes or not, with gaps between rows.
        fn new(m: usize, n: usize, k: usize, flags: u32) -> Case {
            let gap = if flags & 4 == 0 { 0 } else { 3 };
            let (a_rs, a_ks) = if flags & 1 == 0 {
                (k + gap, 1)
            } else {
                (1, m + gap)
            };
            let (b_ks, b_cs) = if flags & 2 == 0 {
                (n + gap, 1)
            } else {
                (1, k + gap)
            };
            Case {
                m,
                n,
                k,
                a_rs,
                a_ks,
                b_ks,
                b_cs,
                c_rs: n + gap,
                accumulate: flags & 8 != 0,
            }
        }

        fn c_len(&self) -> usize {
            (self.m * self.c_rs).max(1)
        }
    }

    struct Inputs {
        a: Vec<f32>,
        b: Vec<f32>,
        c: Vec<f32>,
    }

    fn draw(len: usize, path: u32) -> Vec<f32> {
        let mut x = vec![0.0; len];
        Place {
            key: [5, 7],
            path,
            step: 0,
        }
        .fill_uniform_flat(&mut x, 0);
        x.iter_mut().for_each(|x| *x = *x * 2.0 - 1.0);
        x
    }

    fn inputs(case: &Case) -> Inputs {
        let extent = |n: usize, s: usize| n.saturating_sub(1) * s;
        Inputs {
            a: draw(extent(case.m, case.a_rs) + extent(case.k, case.a_ks) + 1, 1),
            b: draw(extent(case.k, case.b_ks) + extent(case.n, case.b_cs) + 1, 2),
            c: draw(case.c_len(), 3),
        }
    }

    /// Cuts of 0..len at the given places.
    fn parts(len: usize, cuts: &[usize]) -> Vec<std::ops::Range<usize>> {
        let mut at: Vec<usize> = cuts.iter().map(|&c| c.min(len)).collect();
        at.extend([0, len]);
        at.sort_unstable();
        at.dedup();
        at.windows(2).map(|w| w[0]..w[1]).collect()
    }

    fn packed(
        kernels: &Kernels,
        case: &Case,
        x: &Inputs,
        m_cuts: &[usize],
        n_cuts: &[usize],
    ) -> Vec<f32> {
        let mut b = vec![f32::NAN; kernels.packed_len(case.k, case.n).unwrap()];
        let mut c = x.c.clone();
        // SAFETY: the inputs reach over the case's ranges, `b` has the packed length; cuts of N are at panels.
        unsafe {
            (kernels.pack_b)(
                case.k,
                case.n,
                x.b.as_ptr(),
                case.b_ks,
                case.b_cs,
                b.as_mut_ptr(),
            );
            for rows in parts(case.m, m_cuts) {
                for columns in parts(case.n, n_cuts) {
                    assert_eq!(columns.start % kernels.nr, 0);
                    (kernels.gemm_packed)(
                        rows.len(),
                        columns.len(),
                        case.k,
                        x.a.as_ptr().wrapping_add(rows.start * case.a_rs),
                        case.a_rs,
                        case.a_ks,
                        b.as_ptr().wrapping_add(columns.start * case.k),
                        c.as_mut_ptr().add(rows.start * case.c_rs + columns.start),
                        case.c_rs,
                        case.accumulate.into(),
                    );
                }
            }
        }
        c
    }

    fn one_shot(
        kernels: &Kernels,
        case: &Case,
        x: &Inputs,
        m_cuts: &[usize],
        n_cuts: &[usize],
    ) -> Vec<f32> {
        let mut c = x.c.clone();
        for rows in parts(case.m, m_cuts) {
            for columns in parts(case.n, n_cuts) {
                let mut scratch = vec![f32::NAN; kernels.gemm_scratch_len(columns.len(), case.k)];
                // SAFETY: the inputs reach over the case's ranges, and the scratch has the length asked for.
                unsafe {
                    (kernels.gemm)(
                        rows.len(),
                        columns.len(),
                        case.k,
                        x.a.as_ptr().wrapping_add(rows.start * case.a_rs),
                        case.a_rs,
                        case.a_ks,
                        x.b.as_ptr().wrapping_add(columns.start * case.b_cs),
                        case.b_ks,
                        case.b_cs,
                        c.as_mut_ptr().add(rows.start * case.c_rs + columns.start),
                        case.c_rs,
                        case.accumulate.into(),
                        scratch.as_mut_ptr(),
                    );
                }
            }
        }
        c
    }

    /// The chain written down: fused where the instruction set fuses.
    fn chain(isa: Isa, case: &Case, x: &Inputs) -> Vec<f32> {
        let mut c = x.c.clone();
        for i in 0..case.m {
            for j in 0..case.n {
                let at = i * case.c_rs + j;
                let mut sum = if case.accumulate { x.c[at] } else { 0.0 };
                for p in 0..case.k {
                    let (a, b) = (
                        x.a[i * case.a_rs + p * case.a_ks],
                        x.b[p * case.b_ks + j * case.b_cs],
                    );
                    sum = if isa == Isa::Portable {
                        a * b + sum
                    } else {
                        a.mul_add(b, sum)
                    };
                }
                c[at] = sum;
            }
        }
        c
    }

    fn assert_bits(isa: Isa, case: &Case, what: &str, got: &[f32], expected: &[f32]) {
        for (i, (g, e)) in got.iter().zip(expected).enumerate() {
            assert_eq!(
                g.to_bits(),
                e.to_bits(),
                "{isa}, {what}, {case:?}, at {i}: {g} against {e}"
            );
        }
    }

    fn all_kernels() -> Vec<&'static Kernels> {
        let all: Vec<_> = Isa::available()
            .into_iter()
            .filter_map(Kernels::for_isa)
            .collect();
        assert_eq!(all.len(), Isa::available().len());
        all
    }

    /// Every element, on every instruction set, is the plain chain to the bit; what lies between rows is left alone.
    #[test]
    fn products_are_the_plain_chain_to_the_bit() {
        let sizes = [
            (1, 1, 1),
            (1, 300, 70),
            (2, 257, 33),
            (3, 65, 9),
            (4, 16, 17),
            (5, 15, 300),
            (6, 64, 64),
            (7, 130, 20),
            (13, 31, 5),
            (32, 100, 40),
            (67, 70, 530),
            (150, 40, 12),
            (3, 530, 3),
        ];
        for kernels in all_kernels() {
            for (i, &(m, n, k)) in sizes.iter().enumerate() {
                for flags in 0..16 {
                    // All strides for the small sizes, a few for the others.
                    if m * n * k > 20_000 && flags as usize % 4 != i % 4 {
                        continue;
                    }
                    let case = Case::new(m, n, k, flags);
                    let x = inputs(&case);
                    let expected = chain(kernels.isa, &case, &x);
                    assert_bits(
                        kernels.isa,
                        &case,
                        "packed",
                        &packed(kernels, &case, &x, &[], &[]),
                        &expected,
                    );
                    assert_bits(
                        kernels.isa,
                        &case,
                        "one-shot",
                        &one_shot(kernels, &case, &x, &[], &[]),
                        &expected,
                    );
                }
            }
        }
    }

    #[test]
    fn any_split_of_rows_and_columns_has_the_same_bits() {
        let mut stream = Stream::new(Place {
            key: [1, 1],
            path: 9,
            step: 0,
        });
        for kernels in all_kernels() {
            for flags in 0..16 {
                let case = Case::new(29, 6 * kernels.nr + 5, 270, flags);
                let x = inputs(&case);
                let whole = packed(kernels, &case, &x, &[], &[]);
                let mut cuts = |len: usize, grain: usize| -> Vec<usize> {
                    let grains = (len / grain) as u32;
                    (0..3)
                        .map(|_| stream.below(grains + 1) as usize * grain)
                        .collect()
                };
                // Single rows, then cuts anywhere.
                let singles: Vec<usize> = (0..case.m).collect();
                let (m_cuts, panels, n_cuts) =
                    (cuts(case.m, 1), cuts(case.n, kernels.nr), cuts(case.n, 1));
                for (what, split) in [
                    ("packed, rows", packed(kernels, &case, &x, &singles, &[])),
                    ("packed, cuts", packed(kernels, &case, &x, &m_cuts, &panels)),
                    (
                        "one-shot, rows",
                        one_shot(kernels, &case, &x, &singles, &[]),
                    ),
                    (
                        "one-shot, cuts",
                        one_shot(kernels, &case, &x, &m_cuts, &n_cuts),
                    ),
                    (
                        "one-shot, columns",
                        one_shot(kernels, &case, &x, &[], &[1, 2, 3]),
                    ),
                ] {
                    assert_bits(kernels.isa, &case, what, &split, &whole);
                }
            }
        }
    }

    /// Against f64, with the bound for a chain of k rounded multiply-adds.
    #[test]
    fn products_are_near_the_exact_ones() {
        for kernels in all_kernels() {
            let case = Case::new(9, 50, 1000, 0);
            let x = inputs(&case);
            let got = packed(kernels, &case, &x, &[], &[]);
            for i in 0..case.m {
                for j in 0..case.n {
                    let terms = (0..case.k).map(|p| {
                        f64::from(x.a[i * case.a_rs + p]) * f64::from(x.b[p * case.b_ks + j])
                    });
                    let (exact, size) = terms.fold((0.0, 0.0), |(s, z), t| (s + t, z + t.abs()));
                    let bound = size * 2.0 * case.k as f64 * f64::from(f32::EPSILON);
                    assert!((f64::from(got[i * case.c_rs + j]) - exact).abs() <= bound);
                }
            }
        }
    }

    #[test]
    fn empty_sizes_write_nothing_but_the_zeros_of_an_empty_sum() {
        for kernels in all_kernels() {
            for (m, n, k) in [(0, 5, 5), (5, 0, 5), (5, 5, 0), (0, 0, 0)] {
                for flags in [0, 3, 4, 8, 12] {
                    let case = Case::new(m, n, k, flags);
                    let x = inputs(&case);
                    let expected = chain(kernels.isa, &case, &x);
                    assert_bits(
                        kernels.isa,
                        &case,
                        "packed",
                        &packed(kernels, &case, &x, &[], &[]),
                        &expected,
                    );
                    assert_bits(
                        kernels.isa,
                        &case,
                        "one-shot",
                        &one_shot(kernels, &case, &x, &[], &[]),
                        &expected,
                    );
                }
            }
        }
    }
}
