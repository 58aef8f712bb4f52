//! The batches of training in their order; where making one takes a while, the next one is made while a step runs.
//!
//! In: a dataset and the place where training stands. Out: [`Ahead`]: each batch with its place.
//! What is in a batch depends on its place alone, so it has the same bits whichever thread makes
//! it, and a run that stops forgets nothing but a batch that can be made again.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use super::evaluate::epoch_plan;
use super::failure::Failure;
use crate::data::{Batch, Batches, Dataset, Part, Tensor};
use crate::diagnostics::Diagnostic;
use crate::settings::{Length, TrainSettings};

/// Batches that wait beside the one that is being made, at most. They carry short steps over the moments in which the
/// system gives their thread no processor.
const WAITING: usize = 4;
/// Bytes of batches that wait, where that is more than one; and of the largest that may be made where it is used.
const WAITING_BYTES: usize = 256 << 10;

/// A batch that is made in this time is made where it is used: to hand it from thread to thread, and a core for it, takes
/// as long, and where every core computes, longer.
const QUICK: Duration = Duration::from_micros(50);
/// What batches may take beyond that, the time of quick ones given back, before they are made beforehand: more than a
/// moment in which the system gave this thread no processor.
const LATE: Duration = Duration::from_millis(4);

/// Batches that a run holds at a time, small ones aside: the one that is computed, and where others are made on a thread
/// of their own, the one that waits and the one that is being made.
pub fn held(threads: usize) -> u64 {
    if threads > 1 { 3 } else { 1 }
}

/// A batch and its place.
#[derive(Debug)]
pub struct Made {
    /// Its rows, all together or in the parts of `accumulate`, each with the number of its first.
    pub parts: Vec<(Batch, usize)>,
    pub epoch: u64,
    pub index: u64,
    /// How many batches the epoch has.
    pub batches: u64,
}

impl Made {
    /// Bytes of its tensors.
    fn bytes(&self) -> usize {
        let tensors = |(b, _): &(Batch, usize)| -> usize {
            let all = b.data.iter().chain(&b.previous);
            all.map(|(_, t)| match t {
                Tensor::F32(v) => size_of_val(&v[..]),
                Tensor::I32(v) => size_of_val(&v[..]),
            })
            .sum()
        };
        self.parts.iter().map(tensors).sum()
    }
}

/// Makes batches, one after another.
#[derive(Clone, Debug)]
pub struct Maker<'d> {
    dataset: &'d Dataset,
    settings: &'d TrainSettings,
    epoch: u64,
    index: u64,
    /// Of the epoch, where one was begun.
    batches: Option<Batches<'d>>,
}

impl<'d> Maker<'d> {
    /// Begins at a batch of an epoch; where the epoch has fewer, at the next one's first.
    pub fn new(
        dataset: &'d Dataset,
        settings: &'d TrainSettings,
        epoch: u64,
        index: u64,
    ) -> Maker<'d> {
        Maker {
            dataset,
            settings,
            epoch,
            index,
            batches: None,
        }
    }

    /// The next batch; `None` after the last epoch. Errors: the data cannot be read.
    pub fn following(&mut self) -> Result<Option<Made>, Diagnostic> {
        loop {
            if matches!(self.settings.length, Length::Epochs(n) if self.epoch >= n) {
                return Ok(None);
            }
            let (dataset, settings, epoch) = (self.dataset, self.settings, self.epoch);
            let begin = || dataset.batches(Part::Train, &epoch_plan(settings, epoch));
            let batches = self.batches.get_or_insert_with(begin);
            let place = (self.epoch, self.index, batches.len() as u64);
            let (index, n) = (self.index as usize, settings.accumulate.max(1) as usize);
            let parts = (0..n).filter_map(|k| batches.part(index, k, n));
            let parts: Vec<(Batch, usize)> = parts.collect::<Result<_, Diagnostic>>()?;
            if !parts.is_empty() {
                let (epoch, index, batches) = place;
                self.index += 1;
                return Ok(Some(Made {
                    parts,
                    epoch,
                    index,
                    batches,
                }));
            }
            (self.epoch, self.index, self.batches) = (self.epoch + 1, 0, None);
        }
    }
}

/// A batch as it was made; `None` after the last one.
type Next = Result<Option<Made>, Diagnostic>;

/// Where batches are made.
enum Place<'d> {
    /// On the thread that asks, when it asks, having taken so long beyond [`QUICK`].
    Here(Box<Maker<'d>>, Duration),
    /// On a thread of their own.
    Beside(Receiver<Next>),
}

/// Gives batches as they are asked for.
pub struct Ahead<'d, 's, 'e> {
    place: Place<'d>,
    /// Where a thread may be had.
    scope: Option<&'s Scope<'s, 'e>>,
}

impl<'d: 's, 's, 'e> Ahead<'d, 's, 'e> {
    /// Makes batches when asked for; once they turn out large or slow to make, and where a `scope` for a thread is given
    /// and the system has one, beforehand. That thread ends when this is dropped.
    pub fn new(scope: Option<&'s Scope<'s, 'e>>, maker: Maker<'d>) -> Ahead<'d, 's, 'e> {
        Ahead {
            place: Place::Here(maker.into(), Duration::ZERO),
            scope,
        }
    }

    /// The next batch; `None` after the last epoch.
    pub fn following(&mut self) -> Result<Option<Made>, Failure> {
        let made = match &mut self.place {
            Place::Here(maker, late) => {
                let began = Instant::now();
                let made = maker.following();
                *late = (*late + began.elapsed()).saturating_sub(QUICK);
                let slow = *late > LATE;
                if let Ok(Some(made)) = &made
                    && let size = made.bytes()
                    && (slow || size > WAITING_BYTES)
                    && let Some(scope) = self.scope.take()
                {
                    self.go_beside(scope, size);
                }
                made
            }
            // Nothing comes after the end.
            Place::Beside(take) => take.recv().unwrap_or(Ok(None)),
        };
        Ok(made?)
    }

    /// Has the batches that follow, of about `size` bytes each, made on a thread of `scope`.
    fn go_beside(&mut self, scope: &'s Scope<'s, 'e>, size: usize) {
        let Place::Here(maker, _) = &self.place else {
            return;
        };
        let room = WAITING_BYTES / size.max(1);
        let (give, take) = sync_channel(room.clamp(1, WAITING));
        let mut maker = maker.clone();
        let work = move || {
            loop {
                let next = maker.following();
                let more = matches!(next, Ok(Some(_)));
                if give.send(next).is_err() || !more {
                    return;
                }
            }
        };
        let thread = Builder::new().name("batches".into());
        if thread.spawn_scoped(scope, work).is_ok() {
            self.place = Place::Beside(take);
        }
    }
}
