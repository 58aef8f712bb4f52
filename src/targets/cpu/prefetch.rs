//! Asking for memory before it is read.
//!
//! In: addresses, valid or not. Out: nothing but time: the lines are on their way into a cache.

/// Floats of a cache line.
pub(crate) const LINE: usize = 16;

/// Asks for a cache line; the address need not be valid.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 machine has it, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Asks for a cache line that is needed a while later, in the second-level cache; the address need not be valid.
#[inline(always)]
pub(crate) fn prefetch_far(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 machine has it, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Memory that is read soon, asked for a few lines at a time while tiles are computed: rows far apart lie in other pages,
/// where the machine's own guess of what comes next ends.
pub(crate) struct Soon {
    /// Where the present row starts.
    row: *const f32,
    /// Floats from row to row.
    stride: usize,
    /// Lines of a row, and those of the present one that were asked for.
    lines: usize,
    asked: usize,
    /// Lines that are left, and how many to ask for at a time.
    left: usize,
    each: usize,
}

impl Soon {
    pub(crate) const NONE: Soon = Soon {
        row: std::ptr::null(),
        stride: 0,
        lines: 0,
        asked: 0,
        left: 0,
        each: 0,
    };

    /// `rows` rows of `width` floats. No address need be valid.
    pub(crate) fn new(ptr: *const f32, rows: usize, stride: usize, width: usize) -> Soon {
        let (rows, width) = if stride == width {
            (1, rows * width)
        } else {
            (rows, width)
        };
        let lines = width.div_ceil(LINE) + usize::from(width % LINE > 0);
        Soon {
            row: ptr,
            stride,
            lines,
            asked: 0,
            left: rows * lines,
            each: 0,
        }
    }

    /// Asks for everything in so many turns.
    pub(crate) fn over(self, turns: usize) -> Soon {
        Soon {
            each: self.left.div_ceil(turns.max(1)),
            ..self
        }
    }

    /// Takes up to `most` whole rows of at most `lines` lines, for the caller to ask for: the first, and floats to the
    /// next.
    pub(crate) fn rows(&mut self, most: usize, lines: usize) -> Option<(*const f32, usize)> {
        let whole = self.lines > 0 && self.left >= self.lines && self.asked == 0;
        if !whole || self.lines > lines || most == 0 {
            return None;
        }
        let taken = most.min(self.left / self.lines);
        let first = self.row;
        self.row = self.row.wrapping_add(taken * self.stride);
        self.left -= taken * self.lines;
        Some((first, self.stride))
    }

    /// One turn.
    #[inline]
    pub(crate) fn ask(&mut self) {
        let now = self.each.min(self.left);
        for _ in 0..now {
            if self.asked == self.lines {
                self.row = self.row.wrapping_add(self.stride);
                self.asked = 0;
            }
            prefetch_far(self.row.wrapping_add(self.asked * LINE));
            self.asked += 1;
        }
        self.left -= now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_whole_and_once() {
        let mut none = Soon::NONE;
        assert_eq!(none.rows(8, 5), None);
        let at = |float: usize| std::ptr::null::<f32>().wrapping_add(float);
        let mut soon = Soon::new(at(0), 5, 100, 60);
        assert_eq!(
            soon.rows(3, 4),
            None,
            "a row of 60 floats may lie in 5 lines"
        );
        assert_eq!(soon.rows(0, 5), None);
        assert_eq!(soon.rows(3, 5), Some((at(0), 100)));
        assert_eq!(soon.rows(3, 5), Some((at(300), 100)));
        assert_eq!((soon.left, soon.rows(3, 5)), (0, None));
        let mut begun = Soon::new(at(0), 5, 100, 60).over(25);
        begun.ask();
        assert_eq!(begun.rows(3, 5), None);
    }

    #[test]
    fn all_lines_are_asked_for_in_the_turns_given() {
        for (rows, stride, width, lines) in [(3, 100, 20, 9), (4, 32, 32, 8), (0, 8, 4, 0)] {
            for turns in [1, 2, 5, 50] {
                let mut soon = Soon::new(std::ptr::null(), rows, stride, width).over(turns);
                assert_eq!(soon.left, lines);
                (0..turns).for_each(|_| soon.ask());
                assert_eq!(soon.left, 0);
            }
        }
    }
}
