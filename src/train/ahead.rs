//! The batches of training in their order, the next one made while a step runs.
//!
//! In: a dataset and the place where training stands. Out: [`Ahead`]: each batch with its place.
//! What is in a batch depends on its place alone, so it has the same bits whichever thread makes
//! it, and a run that stops forgets nothing but a batch that can be made again.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use super::evaluate::epoch_plan;
use super::failure::Failure;
use crate::data::{Batch, Batches, Dataset, Part, Tensor};
use crate::diagnostics::Diagnostic;
use crate::settings::{Length, TrainSettings};

/// Batches that wait beside the one that is being made, at most. They carry short steps over the moments in which the
/// system gives their thread no processor.
const WAITING: usize = 4;
/// Bytes of batches that wait, where that is more than one. Short steps have small batches.
const WAITING_BYTES: usize = 256 << 10;

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

/// Bytes of what a batch holds, tables of lengths aside.
fn bytes(batch: &Batch) -> usize {
    let tensors = batch.data.iter().chain(&batch.previous);
    let len = |t: &Tensor| match t {
        Tensor::F32(v) => size_of_val(&v[..]),
        Tensor::I32(v) => size_of_val(&v[..]),
    };
    tensors.map(|(_, t)| len(t)).sum()
}

/// A batch as it was made; `None` after the last one.
type Next = Result<Option<Made>, Diagnostic>;

/// Gives batches as they are asked for.
pub enum Ahead<'d> {
    /// Made when asked for.
    Here(Box<Maker<'d>>),
    /// The first, and the others as they are made on a thread of their own.
    Beside(Option<Next>, Receiver<Next>),
}

impl<'d> Ahead<'d> {
    /// Makes batches on a thread of `scope`, or, where the system gives none, when asked for. The
    /// thread ends when this is dropped.
    pub fn beside<'s>(scope: &'s Scope<'s, '_>, mut maker: Maker<'d>) -> Ahead<'d>
    where
        'd: 's,
    {
        // The first is waited for in any case, and says how large they are.
        let began = maker.clone();
        let first = maker.following();
        let bytes = match &first {
            Ok(Some(made)) => made.parts.iter().map(|(b, _)| bytes(b)).sum(),
            Ok(None) | Err(_) => 0,
        };
        let room = WAITING_BYTES / usize::max(bytes, 1);
        let (give, take) = sync_channel(room.clamp(1, WAITING));
        let mut made = maker;
        let work = move || {
            loop {
                let next = made.following();
                let more = matches!(next, Ok(Some(_)));
                if give.send(next).is_err() || !more {
                    return;
                }
            }
        };
        match Builder::new()
            .name("batches".into())
            .spawn_scoped(scope, work)
        {
            Ok(_) => Ahead::Beside(Some(first), take),
            Err(_) => Ahead::Here(began.into()),
        }
    }

    /// The next batch; `None` after the last epoch.
    pub fn following(&mut self) -> Result<Option<Made>, Failure> {
        let made = match self {
            Ahead::Here(maker) => maker.following(),
            // Nothing comes after the end.
            Ahead::Beside(first, take) => match first.take() {
                Some(first) => first,
                None => take.recv().unwrap_or(Ok(None)),
            },
        };
        Ok(made?)
    }
}
