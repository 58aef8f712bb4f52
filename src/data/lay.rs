//! Steps of columns laid out for a batch.
//!
//! In: a column's elements and the runs of steps that become the rows. Out: `[steps, rows, width]`
//! elements, row-major, padded where a run is shorter than the longest.

use std::iter::repeat_n;

/// Consecutive steps of a column that become one row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub start: usize,
    pub len: usize,
    /// Whether `previous` may read the step before the first.
    pub before: bool,
}

/// `[steps, rows, width]` of the runs, padded.
pub(super) fn lay<T: Copy>(
    from: &[T],
    width: usize,
    source: &[Run],
    steps: usize,
    pad: T,
) -> Vec<T> {
    // In the order in which it is written: what is padded first is written twice.
    let mut out = Vec::with_capacity(steps * source.len() * width);
    for t in 0..steps {
        for run in source {
            match t < run.len {
                true => out.extend_from_slice(&from[(run.start + t) * width..][..width]),
                false => out.extend(repeat_n(pad, width)),
            }
        }
    }
    out
}

/// The same, one step later: step 0 is the step before the run, or `start`.
pub(super) fn shift<T: Copy>(
    from: &[T],
    width: usize,
    source: &[Run],
    steps: usize,
    start: T,
    pad: T,
) -> Vec<T> {
    let mut out = Vec::with_capacity(steps * source.len() * width);
    for t in 0..steps {
        for run in source {
            match (t < run.len, t > 0 || run.before) {
                (true, true) => {
                    out.extend_from_slice(&from[(run.start + t - 1) * width..][..width])
                }
                (true, false) => out.extend(repeat_n(start, width)),
                (false, _) => out.extend(repeat_n(pad, width)),
            }
        }
    }
    out
}
