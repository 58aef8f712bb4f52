//! Elementwise functions over arrays: n floats in, n floats out, by vectors or one by one.

/// `y[i] = f(x[i])` for i < n; the tail goes through the same vector arithmetic. To be used in an `unsafe` block, on a
/// machine with the instructions of `S`, where `x` is readable and `y` writable for n floats, equal or disjoint.
///
/// A macro, because a closure over wide vectors is not always inlined, and then costs more than what it computes.
macro_rules! map {
    ($simd:ty, $n:expr, $x:expr, $y:expr, $v:ident => $f:expr) => {{
        let (n, x, y): (usize, *const f32, *mut f32) = ($n, $x, $y);
        let whole = n / <$simd>::LANES * <$simd>::LANES;
        for i in (0..whole).step_by(<$simd>::LANES) {
            let $v = <$simd>::load(x.add(i));
            <$simd>::store(y.add(i), $f);
        }
        if whole < n {
            let $v = <$simd>::load_first(x.add(whole), n - whole);
            <$simd>::store_first(y.add(whole), n - whole, $f);
        }
    }};
}
pub(crate) use map;

/// Elementwise functions that are rare enough to go one by one, through f64.
///
/// # Safety
///
/// `x` is readable and `y` writable for n floats; they are equal or disjoint.
pub(crate) unsafe fn map_f64(n: usize, x: *const f32, y: *mut f32, f: impl Fn(f64) -> f64) {
    for i in 0..n {
        // SAFETY: i < n.
        unsafe { *y.add(i) = f(f64::from(*x.add(i))) as f32 };
    }
}

/// `y[i] = a[i]^b[i]` for i < n.
///
/// # Safety
///
/// `a` and `b` are readable and `y` writable for n floats; `y` is equal to or disjoint from each.
pub(crate) unsafe fn map_pow(n: usize, a: *const f32, b: *const f32, y: *mut f32) {
    for i in 0..n {
        // SAFETY: i < n.
        unsafe { *y.add(i) = f64::from(*a.add(i)).powf(f64::from(*b.add(i))) as f32 };
    }
}
