//! Tests of [`super::gemm`] and [`super::pack`] through the table of kernels: bits, splits, strides, empty sizes.

mod halves;

use crate::philox::{Place, Stream};
use crate::targets::cpu::gemm::{ACCUMULATE, BACKWARDS};
use crate::targets::cpu::isa::Isa;
use crate::targets::cpu::kernels::{GemmPacked, Kernels};

/// One product: sizes, strides, and whether C is added to.
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
    /// A and B as their transposes or not, with gaps between rows; A also between its elements.
    fn new(m: usize, n: usize, k: usize, flags: u32) -> Case {
        let gap = if flags & 4 == 0 { 0 } else { 3 };
        let (a_rs, a_ks) = if flags & 1 == 0 {
            (k + gap, 1)
        } else {
            (1, m + gap)
        };
        let apart = if flags & 16 == 0 { 1 } else { 2 };
        let (a_rs, a_ks) = (a_rs * apart, a_ks * apart);
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

#[derive(Clone)]
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
        let panel = |column: usize| b.as_ptr().wrapping_add(column * case.k);
        by_parts(
            kernels,
            kernels.gemm_packed,
            case,
            x,
            [m_cuts, n_cuts],
            &panel,
        )
    }
}

/// The product part by part; `panel` is where the columns from one on are packed.
///
/// # Safety
///
/// The inputs reach over the case's ranges; at every part of N begins a panel that `multiply` can read.
unsafe fn by_parts(
    kernels: &Kernels,
    multiply: GemmPacked,
    case: &Case,
    x: &Inputs,
    [m_cuts, n_cuts]: [&[usize]; 2],
    panel: &dyn Fn(usize) -> *const f32,
) -> Vec<f32> {
    let mut c = x.c.clone();
    // The order of panels shall change nothing: for every other number of rows it is the other.
    let how = case.m % 2 * BACKWARDS + usize::from(case.accumulate) * ACCUMULATE;
    // Nor shall what else is read before the panels are again.
    let read = case.n % 2 * 1024 * 1024;
    for rows in parts(case.m, m_cuts) {
        for columns in parts(case.n, n_cuts) {
            assert_eq!(columns.start % kernels.nr, 0);
            // SAFETY: as the caller says; the part lies in `c`.
            unsafe {
                multiply(
                    rows.len(),
                    columns.len(),
                    case.k,
                    x.a.as_ptr().wrapping_add(rows.start * case.a_rs),
                    case.a_rs,
                    case.a_ks,
                    panel(columns.start),
                    c.as_mut_ptr().add(rows.start * case.c_rs + columns.start),
                    case.c_rs,
                    how,
                    read,
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
        // Panels that no second-level cache holds: a tile takes fewer of them, and those of more rows ask for the next.
        (1, 530, 1100),
        (13, 1060, 500),
        // Many packed rows, of which the next are asked for.
        (70, 70, 800),
    ];
    for kernels in all_kernels() {
        for (i, &(m, n, k)) in sizes.iter().enumerate() {
            for flags in 0..32 {
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
                let terms = (0..case.k)
                    .map(|p| f64::from(x.a[i * case.a_rs + p]) * f64::from(x.b[p * case.b_ks + j]));
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
