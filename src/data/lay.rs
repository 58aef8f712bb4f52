//! Steps of columns laid out for a batch.
//!
//! In: a column's elements and the runs of steps that become the rows. Out: `[steps, rows, width]`
//! elements, row-major, padded where a run is shorter than the longest.

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
    let rows = source.len();
    let mut out = vec![pad; steps * rows * width];
    for (b, run) in source.iter().enumerate() {
        for t in 0..run.len {
            let to = (t * rows + b) * width;
            let at = (run.start + t) * width;
            out[to..to + width].copy_from_slice(&from[at..at + width]);
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
    let rows = source.len();
    let mut out = vec![pad; steps * rows * width];
    for (b, run) in source.iter().enumerate() {
        for t in 0..run.len {
            let to = (t * rows + b) * width;
            let cell = &mut out[to..to + width];
            match t > 0 || run.before {
                true => {
                    let at = (run.start + t - 1) * width;
                    cell.copy_from_slice(&from[at..at + width]);
                }
                false => cell.fill(start),
            }
        }
    }
    out
}
