//! Which part of the work is whose: a length and a worker in, a range out, the same at every run.

use std::ops::Range;

/// The part of 0..len that is `worker`'s: near-equal shares in order, cut at multiples of `grain` (at least 1).
pub fn share(len: usize, grain: usize, worker: usize, workers: usize) -> Range<usize> {
    let grains = len.div_ceil(grain.max(1));
    let cut = |w: usize| {
        let at = grains / workers * w + (grains % workers).min(w);
        len.min(at * grain.max(1))
    };
    cut(worker)..cut(worker + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_the_whole_in_order() {
        for (len, grain, workers) in [(10, 1, 3), (100, 16, 4), (0, 4, 2), (5, 64, 3), (7, 0, 2)] {
            let mut next = 0;
            for worker in 0..workers {
                let part = share(len, grain, worker, workers);
                assert_eq!(part.start, next);
                assert!(part.end == len || part.end.is_multiple_of(grain.max(1)));
                next = part.end;
            }
            assert_eq!(next, len);
        }
    }
}
