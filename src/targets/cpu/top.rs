//! The largest elements of each row: in, rows of numbers; out, 1 where an element is among the `k`
//! largest of its row (of equal ones the first), else 0.

/// Rows lo..hi of `y` from those of `x`, `cols` wide; strides in floats.
///
/// # Safety
///
/// Rows lo..hi of `x` are readable and those of `y` writable; they do not overlap.
#[allow(clippy::too_many_arguments)] // The C calling convention takes words, not a struct.
pub unsafe extern "C" fn top(
    lo: usize,
    hi: usize,
    cols: usize,
    k: usize,
    x: *const f32,
    x_rs: usize,
    y: *mut f32,
    y_rs: usize,
) {
    for row in lo..hi {
        // SAFETY: the row is in range, as the caller says.
        let (x, y) = unsafe {
            (
                std::slice::from_raw_parts(x.add(row * x_rs), cols),
                std::slice::from_raw_parts_mut(y.add(row * y_rs), cols),
            )
        };
        top_row(x, y, k);
    }
}

/// `k` passes, each for the next in order: rows are as long as a choice among experts is wide.
fn top_row(x: &[f32], y: &mut [f32], k: usize) {
    y.fill(0.0);
    let mut last: Option<(f32, usize)> = None;
    for _ in 0..k {
        let mut best: Option<(f32, usize)> = None;
        for (i, v) in x.iter().enumerate() {
            let left = last.is_none_or(|(value, at)| *v < value || (*v == value && i > at));
            if left && best.is_none_or(|(value, _)| *v > value) {
                best = Some((*v, i));
            }
        }
        let Some((_, at)) = best else { return };
        y[at] = 1.0;
        last = best;
    }
}

#[cfg(test)]
mod tests {
    use super::top_row;

    #[test]
    fn the_first_of_equal_ones_is_chosen() {
        let x = [1.0, 3.0, 3.0, -2.0, 3.0];
        let chosen = |k: usize| {
            let mut y = [9.0; 5];
            top_row(&x, &mut y, k);
            y
        };
        assert_eq!(chosen(0), [0.0; 5]);
        assert_eq!(chosen(1), [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(chosen(2), [0.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(chosen(4), [1.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!(chosen(9), [1.0; 5]);
    }
}
