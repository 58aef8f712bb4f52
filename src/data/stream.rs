//! One long sequence cut into batches.
//!
//! In: the steps of a part, a [`BatchPlan`]. Out: [`Streams`]: the runs of steps of each batch.
//!
//! With `bptt` the part is cut into as many equal streams as the batch has rows, and each batch
//! holds the next `bptt` steps of every stream, carrying states on. The last batch of an epoch
//! takes all that is left, so that each step is seen once and no row is ever empty (where streams
//! differ by a step, it may be one step longer than `bptt`). A part too short for that many
//! streams of `bptt` steps is cut into fewer. Evaluation uses the same number of streams.
//!
//! With `window` each run of that many steps is an example of its own. With neither, the part is
//! one run.

use std::ops::Range;

use super::batch::{BatchPlan, BatchSize};
use super::lay::Run;
use super::order::shuffle;

#[derive(Clone, Debug)]
pub(super) struct Streams {
    first: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Carried {
        streams: Vec<Range<usize>>,
        bptt: usize,
        batches: usize,
        /// Every run has `bptt` steps; what is left over is not seen.
        exact: bool,
    },
    Separate {
        steps: Range<usize>,
        size: usize,
        /// How many runs, and their order where it is not theirs in the part.
        runs: usize,
        order: Option<Vec<u32>>,
        rows: usize,
    },
}

impl Streams {
    /// `fixed`: the number of steps the model is written for, which every run must have.
    pub fn new(part: Range<usize>, fixed: Option<usize>, plan: &BatchPlan) -> Streams {
        let n = part.len();
        let first = part.start;
        if let Some(bptt) = plan.bptt {
            let bptt = fixed.unwrap_or(bptt).max(1);
            let most = match plan.batch {
                BatchSize::Rows(rows) => rows,
                BatchSize::Tokens(tokens) => tokens / bptt,
            };
            let rows = most.min(n / bptt).max(1).min(n);
            let mut streams = Vec::with_capacity(rows);
            let mut at = first;
            for r in 0..rows {
                let len = n / rows + usize::from(r < n % rows);
                streams.push(at..at + len);
                at += len;
            }
            let shortest = n.checked_div(rows).unwrap_or(0);
            let exact = fixed.is_some();
            let batches = match exact {
                true => shortest / bptt,
                false => shortest.div_ceil(bptt),
            };
            let kind = Kind::Carried {
                streams,
                bptt,
                batches,
                exact,
            };
            return Streams { first, kind };
        }
        let size = fixed.or(plan.window).unwrap_or(n).max(1);
        let runs = match fixed {
            Some(_) => n / size,
            None => n.div_ceil(size),
        };
        let order = plan.shuffle.then(|| {
            let mut order: Vec<u32> = (0..runs as u32).collect();
            shuffle(&mut order, plan.seed, plan.epoch, "windows");
            order
        });
        let rows = match plan.batch {
            BatchSize::Rows(rows) => rows,
            BatchSize::Tokens(tokens) => tokens / size,
        };
        let kind = Kind::Separate {
            steps: part,
            size,
            runs,
            order,
            rows: rows.max(1),
        };
        Streams { first, kind }
    }

    pub fn len(&self) -> usize {
        match &self.kind {
            Kind::Carried { batches, .. } => *batches,
            Kind::Separate { runs, rows, .. } => runs.div_ceil(*rows),
        }
    }

    /// The runs of a batch, and whether they continue those of the batch before.
    pub fn get(&self, index: usize) -> Option<(Vec<Run>, bool)> {
        if index >= self.len() {
            return None;
        }
        let run = |r: Range<usize>| Run {
            start: r.start,
            len: r.len(),
            before: r.start > self.first,
        };
        match &self.kind {
            Kind::Carried {
                streams,
                bptt,
                batches,
                exact,
            } => {
                let last = index + 1 == *batches && !exact;
                let runs = streams.iter().map(|s| {
                    let start = s.start + index * bptt;
                    run(start..if last { s.end } else { start + bptt })
                });
                Some((runs.collect(), index > 0))
            }
            Kind::Separate {
                steps,
                size,
                runs,
                order,
                rows,
            } => {
                let end = *runs.min(&((index + 1) * rows));
                let runs = (index * rows..end).map(|i| {
                    let i = order.as_ref().map_or(i, |o| o[i] as usize);
                    let start = steps.start + i * size;
                    run(start..(start + size).min(steps.end))
                });
                Some((runs.collect(), false))
            }
        }
    }
}
