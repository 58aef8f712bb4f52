//! Products with panels of 16 bits, against those with panels of floats.

use super::*;
use crate::targets::cpu::pack::half;

/// The product with B packed in 16 bits.
fn packed_halves(
    kernels: &Kernels,
    case: &Case,
    x: &Inputs,
    m_cuts: &[usize],
    n_cuts: &[usize],
) -> Vec<f32> {
    let mut b = vec![u32::MAX; kernels.packed_halves_len(case.k, case.n).unwrap()];
    // SAFETY: as in `packed`; a column of a panel is half a word.
    unsafe {
        let (b_ks, b_cs) = (case.b_ks, case.b_cs);
        (kernels.pack_b_halves)(case.k, case.n, x.b.as_ptr(), b_ks, b_cs, b.as_mut_ptr());
        let panel = |column: usize| b.as_ptr().wrapping_add(column * case.k / 2).cast();
        by_parts(
            kernels,
            kernels.gemm_packed_halves,
            case,
            x,
            [m_cuts, n_cuts],
            &panel,
        )
    }
}

/// Panels of 16 bits give the bits of panels of floats that hold the rounded numbers.
#[test]
fn products_of_halves_are_those_of_the_rounded_floats() {
    for kernels in all_kernels() {
        for (m, n, k) in [
            (1, 1, 1),
            (1, 4 * kernels.nr, 400),
            (1, 300, 70),
            (2, 257, 33),
            (3, 65, 9),
            (6, 64, 64),
            (13, 31, 5),
            (20, 200, 1100),
            (4, 16, 0),
        ] {
            for flags in 0..32 {
                let case = Case::new(m, n, k, flags);
                let exact = inputs(&case);
                let round = |w: &f32| f32::from_bits(u32::from(half(*w)) << 16);
                let rounded = Inputs {
                    b: exact.b.iter().map(round).collect(),
                    ..exact.clone()
                };
                let want = packed(kernels, &case, &rounded, &[], &[]);
                let panels = [kernels.nr, 3 * kernels.nr];
                let cuts = if n > panels[1] { &panels[..] } else { &[] };
                for (what, m_cuts, n_cuts) in
                    [("whole", &[][..], &[][..]), ("in parts", &[1, 3], cuts)]
                {
                    let got = packed_halves(kernels, &case, &exact, m_cuts, n_cuts);
                    assert_bits(kernels.isa, &case, what, &got, &want);
                }
            }
        }
    }
}
