//! Sums of products in a fixed order that still uses vector registers.
//!
//! In: slices. Out: f64 sums. Element i belongs to lane i mod 8; lanes are added as a fixed tree.
//! The order depends on the length alone, and no product is fused with a sum, so the bits never
//! depend on the machine, whose wider registers are used where it has them.

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

/// Takes from each vector of `rest` what lies along the orthonormal vectors of `basis`, four of them
/// at a time; `size` elements a vector.
pub fn project(basis: &[f64], rest: &mut [f64], size: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has these instructions.
        return unsafe { project_avx2(basis, rest, size) };
    }
    project_here(basis, rest, size);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn project_avx2(basis: &[f64], rest: &mut [f64], size: usize) {
    project_here(basis, rest, size);
}

#[inline(always)]
fn project_here(basis: &[f64], rest: &mut [f64], size: usize) {
    let fours = basis.chunks_exact(4 * size);
    let ones = fours.remainder().chunks_exact(size);
    for v in rest.chunks_exact_mut(size) {
        for four in fours.clone() {
            let (a, b) = four.split_at(2 * size);
            let ((a, b), (c, d)) = (a.split_at(size), b.split_at(size));
            take_four([a, b, c, d], v);
        }
        for q in ones.clone() {
            let along = dot(q, v);
            v.iter_mut().zip(q).for_each(|(x, q)| *x -= along * q);
        }
    }
}

/// v ← v − Σ (v·q)·q over these q, subtracted in their order; all are as long as v.
#[inline(always)]
fn take_four(basis: [&[f64]; 4], v: &mut [f64]) {
    let [a, b, c, d] = basis;
    let mut lanes = [[0.0; LANES]; 4];
    let (whole, rest) = v.as_chunks::<LANES>();
    let chunks = basis.map(|q| q.as_chunks::<LANES>());
    let [p, q, r, s] = chunks.map(|(whole, _)| whole);
    for ((((x, p), q), r), s) in whole.iter().zip(p).zip(q).zip(r).zip(s) {
        for (lanes, y) in lanes.iter_mut().zip([p, q, r, s]) {
            for ((l, x), y) in lanes.iter_mut().zip(x).zip(y) {
                *l += x * y;
            }
        }
    }
    for (lanes, (_, others)) in lanes.iter_mut().zip(chunks) {
        for ((l, x), y) in lanes.iter_mut().zip(rest).zip(others) {
            *l += x * y;
        }
    }
    let [p, q, r, s] = lanes.map(tree);
    for ((((x, a), b), c), d) in v.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *x -= p * a;
        *x -= q * b;
        *x -= r * c;
        *x -= s * d;
    }
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
    fn what_is_projected_has_nothing_left_along_a_basis() {
        for size in [5usize, 8, 21] {
            // Axes, of which each vector loses its element.
            let mut basis = vec![0.0; 5 * size];
            (0..5).for_each(|i| basis[i * size + size - 1 - i] = 1.0);
            let start: Vec<f64> = (0..3 * size).map(|i| (i as f64).cos()).collect();
            let mut left = start.clone();
            project(&basis, &mut left, size);
            for (i, (x, before)) in left.iter().zip(&start).enumerate() {
                let gone = i % size >= size - 5;
                assert_eq!(*x, if gone { 0.0 } else { *before });
            }
        }
    }

    #[test]
    fn the_largest_elements_do_not_overflow() {
        assert!(squares(&[f32::MAX; 1000]).is_finite());
        assert!(squares(&[1.0, f32::INFINITY]).is_infinite());
        assert!(squares(&[1.0, f32::NAN]).is_nan());
    }
}
