//! Sums of products in a fixed order that still uses vector registers.
//!
//! In: slices. Out: f64 sums. Element i belongs to lane i mod 8; lanes are added as a fixed tree.
//! The order depends on the length alone, and no product is fused with a sum, so the bits never
//! depend on the machine, whose wider registers are used where it has them.

const LANES: usize = 8;
/// Nanoseconds to read or write one element of an arena in the third-level cache.
pub(super) const ELEMENT_NS: f64 = 0.15;

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
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the machine has these instructions.
        return unsafe { project_avx512(basis, rest, size) };
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has these instructions.
        return unsafe { project_avx2(basis, rest, size) };
    }
    project_here::<1>(basis, rest, size);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn project_avx512(basis: &[f64], rest: &mut [f64], size: usize) {
    project_here::<4>(basis, rest, size);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn project_avx2(basis: &[f64], rest: &mut [f64], size: usize) {
    project_here::<1>(basis, rest, size);
}

/// `N` vectors at a time, as many as registers hold the sums of: each element of the basis is then read once for them.
#[inline(always)]
fn project_here<const N: usize>(basis: &[f64], rest: &mut [f64], size: usize) {
    let mut groups = rest.chunks_exact_mut(N * size);
    for group in &mut groups {
        let mut each = group.chunks_exact_mut(size);
        project_group::<N>(
            basis,
            std::array::from_fn(|_| each.next().expect("N vectors a group")),
        );
    }
    for v in groups.into_remainder().chunks_exact_mut(size) {
        project_group::<1>(basis, [v]);
    }
}

#[inline(always)]
fn project_group<const N: usize>(basis: &[f64], mut group: [&mut [f64]; N]) {
    let size = group[0].len();
    let fours = basis.chunks_exact(4 * size);
    let ones = fours.remainder().chunks_exact(size);
    for four in fours {
        let (a, b) = four.split_at(2 * size);
        let ((a, b), (c, d)) = (a.split_at(size), b.split_at(size));
        take_four([a, b, c, d], &mut group);
    }
    for q in ones {
        for v in &mut group {
            let along = dot(q, v);
            v.iter_mut().zip(q).for_each(|(x, q)| *x -= along * q);
        }
    }
}

/// v ← v − Σ (v·q)·q over these q, subtracted in their order, for each v of the group; all are as long.
#[inline(always)]
fn take_four<const N: usize>(basis: [&[f64]; 4], group: &mut [&mut [f64]; N]) {
    let chunks = basis.map(|q| q.as_chunks::<LANES>());
    let [a, b, c, d] = chunks.map(|(whole, _)| whole);
    let whole = || a.iter().zip(b).zip(c).zip(d).enumerate();
    let mut lanes = [[[0.0; LANES]; 4]; N];
    for (i, (((a, b), c), d)) in whole() {
        let four = [*a, *b, *c, *d];
        for (lanes, v) in lanes.iter_mut().zip(group.iter()) {
            let x = v.as_chunks::<LANES>().0[i];
            for (lanes, q) in lanes.iter_mut().zip(four) {
                *lanes = map(*lanes, x, q, |l, x, q| l + x * q);
            }
        }
    }
    for (lanes, v) in lanes.iter_mut().zip(group.iter()) {
        let (_, rest) = v.as_chunks::<LANES>();
        for (lanes, (_, others)) in lanes.iter_mut().zip(chunks) {
            for ((l, x), q) in lanes.iter_mut().zip(rest).zip(others) {
                *l += x * q;
            }
        }
    }
    let along: [[f64; 4]; N] = std::array::from_fn(|n| lanes[n].map(tree));
    for (i, (((a, b), c), d)) in whole() {
        let four = [*a, *b, *c, *d];
        for (along, v) in along.iter().zip(group.iter_mut()) {
            let mut x = v.as_chunks::<LANES>().0[i];
            for (along, q) in along.iter().zip(four) {
                x = map(x, [*along; LANES], q, |x, p, q| x - p * q);
            }
            v.as_chunks_mut::<LANES>().0[i] = x;
        }
    }
    for (along, v) in along.iter().zip(group.iter_mut()) {
        let (_, rest) = v.as_chunks_mut::<LANES>();
        for (along, (_, others)) in along.iter().zip(chunks) {
            rest.iter_mut()
                .zip(others)
                .for_each(|(x, q)| *x -= along * q);
        }
    }
}

type Eight = [f64; LANES];

/// One operation on all lanes.
#[inline(always)]
fn map(a: Eight, b: Eight, c: Eight, f: impl Fn(f64, f64, f64) -> f64) -> Eight {
    std::array::from_fn(|l| f(a[l], b[l], c[l]))
}

/// Runs `f` compiled for the widest vectors that the machine has. Their lanes compute what single numbers would: nothing
/// is fused, so the bits are the same.
#[inline(always)]
pub fn widest<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn avx512<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        #[target_feature(enable = "avx2")]
        fn avx2<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has these instructions.
            return unsafe { avx512(f) };
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has these instructions.
            return unsafe { avx2(f) };
        }
    }
    f()
}

/// Σ aᵢ², in f64, where no square of an f32 overflows: it is finite where all elements are.
pub fn squares(a: &[f32]) -> f64 {
    widest(|| squares_here(a))
}

#[inline(always)]
fn squares_here(a: &[f32]) -> f64 {
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
