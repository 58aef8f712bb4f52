//! Sums of products in a fixed order that still uses vector registers.
//!
//! In: slices. Out: f64 sums. Element i belongs to lane i mod 8; lanes are added as a fixed tree.
//! The order depends on the length alone, so the bits never depend on the machine.

const LANES: usize = 8;

fn tree(l: [f64; LANES]) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

/// Σ aᵢ·bᵢ over the shorter of the two.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [0.0; LANES];
    let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (ca.remainder(), cb.remainder());
    for (x, y) in ca.zip(cb) {
        for ((l, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *l += x * y;
        }
    }
    for ((l, x), y) in lanes.iter_mut().zip(ra).zip(rb) {
        *l += x * y;
    }
    tree(lanes)
}

/// Σ aᵢ², in f64, where no square of an f32 overflows: it is finite where all elements are.
pub fn squares(a: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for x in chunks {
        for (l, x) in lanes.iter_mut().zip(x) {
            let x = f64::from(*x);
            *l += x * x;
        }
    }
    for (l, x) in lanes.iter_mut().zip(rest) {
        let x = f64::from(*x);
        *l += x * x;
    }
    tree(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_for_whole_numbers() {
        for n in [0usize, 1, 7, 8, 9, 100] {
            let a: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let sum: usize = (0..n).map(|i| i * i).sum();
            assert_eq!(dot(&a, &a), sum as f64);
            let f: Vec<f32> = a.iter().map(|x| *x as f32).collect();
            assert_eq!(squares(&f), sum as f64);
        }
    }

    #[test]
    fn the_largest_elements_do_not_overflow() {
        assert!(squares(&[f32::MAX; 1000]).is_finite());
        assert!(squares(&[1.0, f32::INFINITY]).is_infinite());
        assert!(squares(&[1.0, f32::NAN]).is_nan());
    }
}
