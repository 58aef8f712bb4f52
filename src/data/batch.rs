//! Batches of an epoch, in the layout of the IR.
//!
//! In: a [`Dataset`], a [`Part`], a [`BatchPlan`]. Out: [`Batches`], any of which can be made by
//! its number, so that a run resumes at (epoch, index) without replaying. What a batch holds
//! depends on (seed, epoch, index) alone.

use std::io;

use super::column::{Column, Values};
use super::dataset::Dataset;
use super::lay::{Run, lay, shift};
use super::order::{bucket, share};
use super::reading::scratch;
use super::spec::FieldRole;
use super::split::Part;
use super::stream::Streams;
use super::vocabulary::UNSEEN;
use crate::diagnostics::Diagnostic;
use crate::settings::read::clip;
use crate::span::Span;

/// The longest part that is taken as one sequence, for want of `bptt` and `window`.
const MAX_WHOLE: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// Examples, or parallel streams of one long sequence.
    Rows(usize),
    /// Examples times the longest of them, at most; one example at least.
    Tokens(usize),
}

/// How an epoch is cut into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    pub batch: BatchSize,
    /// One long sequence: steps of a batch, whose states the next one carries on.
    pub bptt: Option<usize>,
    /// One long sequence: steps of an example of its own. `bptt` goes before it.
    pub window: Option<usize>,
    pub seed: u64,
    pub epoch: u32,
    pub shuffle: bool,
}

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

/// What one call of a compiled model reads. A sequence is `[T, B, …]`, a value per example
/// `[B, …]`. Beyond an example's length numbers are 0, input tokens 0, target tokens −1.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub epoch: u32,
    pub index: usize,
    /// B.
    pub rows: usize,
    /// The size of each time: the longest example's.
    pub steps: Vec<(String, usize)>,
    /// The length of each example along each time.
    pub lengths: Vec<(String, Vec<i32>)>,
    /// How many steps of each example came before this batch, along each time where any did.
    pub begun: Vec<(String, Vec<i32>)>,
    /// Inputs, targets and columns by name.
    pub data: Vec<(String, Tensor)>,
    /// What `previous(name)` reads: one step earlier, `<start>` or zeros at step 0.
    pub previous: Vec<(String, Tensor)>,
    /// Row by row it continues the batch before it: states are carried on. Else they start anew.
    pub carries: bool,
    /// The number in its part of each row's example, or of its first step in a long sequence.
    pub examples: Vec<usize>,
}

impl Batch {
    /// The size a symbol stands for: `B`, or a time.
    pub fn size(&self, name: &str) -> Option<usize> {
        match name {
            "B" => Some(self.rows),
            _ => self.steps.iter().find(|(n, _)| n == name).map(|(_, s)| *s),
        }
    }

    pub fn data(&self, name: &str) -> Option<&Tensor> {
        self.data.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }

    pub fn previous(&self, name: &str) -> Option<&Tensor> {
        let found = self.previous.iter().find(|(n, _)| n == name);
        found.map(|(_, t)| t)
    }

    pub fn lengths(&self, time: &str) -> Option<&[i32]> {
        let found = self.lengths.iter().find(|(n, _)| n == time);
        found.map(|(_, l)| &l[..])
    }

    /// The number of the first step of a row along a time.
    pub fn begun(&self, time: &str, row: usize) -> i32 {
        let found = self.begun.iter().find(|(n, _)| n == time);
        found.and_then(|(_, b)| b.get(row)).copied().unwrap_or(0)
    }
}

/// Rows of a batch and the number of the first, where there are any.
pub type Cut = Option<Result<(Batch, usize), Diagnostic>>;

/// The batches of one epoch.
#[derive(Clone, Debug)]
pub struct Batches<'d> {
    dataset: &'d Dataset,
    part: Part,
    epoch: u32,
    cuts: Cuts,
    next: usize,
}

#[derive(Clone, Debug)]
enum Cuts {
    /// Example numbers, and where each batch ends among them.
    Examples {
        order: Vec<u32>,
        ends: Vec<usize>,
    },
    Long(Streams),
}

impl Dataset {
    /// The batches of a part in the epoch that `plan` names.
    pub fn batches(&self, part: Part, plan: &BatchPlan) -> Batches<'_> {
        let range = &self.parts[part as usize];
        let cuts = match self.long {
            true => Cuts::Long(Streams::new(range.clone(), self.fixed(), plan)),
            false => {
                let lengths: Vec<usize> = range.clone().map(|e| self.longest(e)).collect();
                let (order, ends) = bucket(&lengths, plan);
                Cuts::Examples { order, ends }
            }
        };
        Batches {
            dataset: self,
            part,
            epoch: plan.epoch,
            cuts,
            next: 0,
        }
    }

    /// Refuses a plan that would take a long sequence whole; `span` is the `train` block's.
    pub fn check_plan(&self, plan: &BatchPlan, span: Span) -> Result<(), Diagnostic> {
        let n = self.len(Part::Train);
        let cut = plan.bptt.or(plan.window).or(self.fixed());
        if let (true, Some(most)) = (self.long, self.times.iter().find_map(|t| t.most.as_ref()))
            && cut.unwrap_or(n) > most.steps
        {
            let message = format!(
                "{} steps at a time; `{}` has {}",
                cut.unwrap_or(n),
                clip(&most.weight),
                most.steps
            );
            return Err(Diagnostic::error("data::too-long", message)
                .label(most.span, format!("a row for each of {} steps", most.steps))
                .label(span, "steps at a time")
                .help(format!("set `window = {}`, or raise `max`", most.steps)));
        }
        if !self.long || plan.bptt.or(plan.window).or(self.fixed()).is_some() || n <= MAX_WHOLE {
            return Ok(());
        }
        let message = format!("one sequence of {n} steps, and neither bptt nor window");
        Err(Diagnostic::error("data::needs-bptt", message)
            .label(span, "how many steps at a time?".to_string())
            .help("add `bptt = 128` (states carried on) or `window = 128` (each on its own)"))
    }

    /// The length that the file fixes for the time of a long sequence.
    fn fixed(&self) -> Option<usize> {
        self.times.iter().find_map(|t| t.fixed)
    }

    /// Steps of an example along its longest time.
    fn longest(&self, e: usize) -> usize {
        let along = self.lengths.iter().map(|l| l[e] as usize);
        along.max().unwrap_or(1)
    }

    /// A batch of examples (by number in the whole dataset), with these columns of the dataset.
    fn gather(&self, examples: &[usize], columns: &[Column]) -> io::Result<Batch> {
        let rows = examples.len();
        let mut batch = Batch::empty(rows);
        for (time, lengths) in self.times.iter().zip(&self.lengths) {
            let all: Vec<i32> = examples.iter().map(|e| lengths[*e] as i32).collect();
            // A batch of empty examples has a step too, of padding alone.
            let most = all.iter().copied().max().unwrap_or(0).max(1);
            batch.steps.push((time.name.clone(), most as usize));
            batch.lengths.push((time.name.clone(), all));
        }
        for column in columns {
            let timed = !column.starts.is_empty();
            let steps = match &column.time {
                Some(time) => batch.size(time).unwrap_or(0),
                None if timed => continue,
                None => 1,
            };
            let source: Vec<Run> = examples
                .iter()
                .map(|e| {
                    let r = column.range(*e);
                    Run {
                        start: r.start / column.width,
                        len: r.len() / column.width,
                        before: false,
                    }
                })
                .collect();
            batch.put(column, &source, steps)?;
        }
        Ok(batch)
    }

    /// A batch of runs of steps of one long sequence, with these columns.
    fn gather_steps(&self, source: &[Run], columns: &[Column]) -> io::Result<Batch> {
        let mut batch = Batch::empty(source.len());
        let steps = source.iter().map(|r| r.len).max().unwrap_or(0);
        for time in &self.times {
            let all = source.iter().map(|r| r.len as i32).collect();
            batch.steps.push((time.name.clone(), steps));
            batch.lengths.push((time.name.clone(), all));
        }
        for column in columns {
            batch.put(column, source, steps)?;
        }
        Ok(batch)
    }
}

impl Batch {
    /// No data yet, not a step of any time.
    pub fn empty(rows: usize) -> Batch {
        Batch {
            epoch: 0,
            index: 0,
            rows,
            steps: Vec::new(),
            lengths: Vec::new(),
            begun: Vec::new(),
            data: Vec::new(),
            previous: Vec::new(),
            carries: false,
            examples: Vec::new(),
        }
    }

    /// Adds a column's rows, and what `previous` of it reads.
    fn put(&mut self, column: &Column, source: &[Run], steps: usize) -> io::Result<()> {
        match &column.values {
            Values::I32(v) => self.put_tokens(column, v, source, steps),
            Values::Stored(stored) => {
                // Its runs one after another, each with the step before it.
                let mut tokens = Vec::new();
                let mut runs = Vec::with_capacity(source.len());
                for run in source {
                    let first = run.start - usize::from(run.before);
                    let start = tokens.len() + usize::from(run.before);
                    stored.read(first..run.start + run.len, &mut tokens)?;
                    runs.push(Run { start, ..*run });
                }
                self.put_tokens(column, &tokens, &runs, steps);
            }
            Values::F32(v) => {
                let width = column.width;
                let data = Tensor::F32(lay(v, width, source, steps, 0.0));
                self.data.push((column.name.clone(), data));
                if column.previous {
                    let data = shift(v, width, source, steps, 0.0, 0.0);
                    let name = column.name.clone();
                    self.previous.push((name, Tensor::F32(data)));
                }
            }
        }
        Ok(())
    }

    /// The same for tokens or classes, which stand in `from`.
    fn put_tokens(&mut self, column: &Column, from: &[i32], source: &[Run], steps: usize) {
        let width = column.width;
        let pad = match column.role {
            FieldRole::Target => UNSEEN,
            FieldRole::Input | FieldRole::Column => 0,
        };
        let mut data = lay(from, width, source, steps, pad);
        let unknown = column.vocabulary.as_ref().and_then(|v| v.unknown());
        if let (FieldRole::Target, Some(unknown)) = (column.role, unknown) {
            // It is read, but there is nothing to learn from predicting it.
            for symbol in data.iter_mut().filter(|s| **s == unknown) {
                *symbol = UNSEEN;
            }
        }
        self.data.push((column.name.clone(), Tensor::I32(data)));
        if column.previous {
            let start = column.vocabulary.as_ref().map_or(UNSEEN, |v| v.start());
            let data = shift(from, width, source, steps, start, 0);
            let name = column.name.clone();
            self.previous.push((name, Tensor::I32(data)));
        }
    }
}

impl Batches<'_> {
    /// How many batches the epoch has.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match &self.cuts {
            Cuts::Examples { ends, .. } => ends.len(),
            Cuts::Long(streams) => streams.len(),
        }
    }

    /// The next batch is the one with this number.
    pub fn skip_to(&mut self, index: usize) {
        self.next = index;
    }

    /// The batch with this number, where there is one. Errors: the scratch file of a long text
    /// cannot be read.
    pub fn get(&self, index: usize) -> Option<Result<Batch, Diagnostic>> {
        Some(self.part(index, 0, 1)?.map(|(batch, _)| batch))
    }

    /// Part `k` of `n` of a batch's rows, and where they begin among all. `None` where there is no
    /// such batch, or the part has no row. Errors: as [`Batches::get`].
    pub fn part(&self, index: usize, k: usize, n: usize) -> Cut {
        self.made(index, (k, n), &self.dataset.columns)
    }

    /// The same without data: what is known of its sizes.
    pub fn bare_part(&self, index: usize, k: usize, n: usize) -> Cut {
        self.made(index, (k, n), &[])
    }

    fn made(&self, index: usize, (k, n): (usize, usize), columns: &[Column]) -> Cut {
        let base = self.dataset.parts[self.part as usize].start;
        let rows;
        let (batch, examples, carries) = match &self.cuts {
            Cuts::Examples { order, ends } => {
                let end = *ends.get(index)?;
                let start = if index == 0 { 0 } else { ends[index - 1] };
                rows = share(end - start, k, n)?;
                let numbers = order[start..end][rows.clone()].iter().map(|i| *i as usize);
                let examples: Vec<usize> = numbers.clone().map(|i| base + i).collect();
                (
                    self.dataset.gather(&examples, columns),
                    numbers.collect(),
                    false,
                )
            }
            Cuts::Long(streams) => {
                let (runs, carries) = streams.get(index)?;
                rows = share(runs.len(), k, n)?;
                let runs = &runs[rows.clone()];
                let examples: Vec<usize> = runs.iter().map(|r| r.start - base).collect();
                (self.dataset.gather_steps(runs, columns), examples, carries)
            }
        };
        let place = |batch| Batch {
            epoch: self.epoch,
            index,
            examples,
            carries,
            ..batch
        };
        let batch = batch.map(|b| (place(b), rows.start));
        Some(batch.map_err(|e| scratch(&e)))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.get(self.next)?;
        self.next += 1;
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len().saturating_sub(self.next);
        (left, Some(left))
    }
}
