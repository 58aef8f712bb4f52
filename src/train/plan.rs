//! All that a run needs to know.
//!
//! In: what the checker, the data and the compiler made. Out: [`Plan`], which
//! [`super::run::train`] carries out.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::folder::RunFolder;
use super::generator::Generator;
use super::init::ParamSpec;
use super::observe::Observer;
use crate::data::Dataset;
use crate::settings::{GenerateSettings, TrainSettings};
use crate::targets::executable::Executable;

/// A compiled function in one or two forms.
pub struct Stage {
    /// States start as the model says; carried inputs it has are given zeros, or carried states.
    pub start: Box<dyn Executable>,
    /// The same function with every state carried in, for a call that continues an earlier one.
    /// Needed only where the model gives a state an initial value.
    pub resume: Option<Box<dyn Executable>>,
}

impl Stage {
    /// A stage whose states all start at zero, so that one form serves.
    pub fn plain(start: Box<dyn Executable>) -> Stage {
        Stage {
            start,
            resume: None,
        }
    }

    /// The form for a call: `continues` where carried states are given.
    pub fn form(&mut self, continues: bool) -> &mut dyn Executable {
        match (&mut self.resume, continues) {
            (Some(resume), true) => resume.as_mut(),
            _ => self.start.as_mut(),
        }
    }

    /// [`Executable::hold_params`] of both forms.
    pub fn hold_params(&mut self, held: bool) {
        self.start.hold_params(held);
        if let Some(resume) = &mut self.resume {
            resume.hold_params(held);
        }
    }
}

/// A stage that is compiled when it is wanted, so that the first step need not wait for it.
pub struct Later<'a> {
    made: Option<Stage>,
    make: Box<dyn Fn() -> Result<Stage, Failure> + 'a>,
}

impl<'a> Later<'a> {
    pub fn new(make: impl Fn() -> Result<Stage, Failure> + 'a) -> Later<'a> {
        Later {
            made: None,
            make: Box::new(make),
        }
    }

    /// The stage, compiled now if it was not before.
    pub fn get(&mut self) -> Result<&mut Stage, Failure> {
        match &mut self.made {
            Some(stage) => Ok(stage),
            none => Ok(none.insert((self.make)()?)),
        }
    }
}

/// The compiled functions of a model.
pub struct Functions<'a> {
    /// Loss with gradients, dropout active.
    pub train: Stage,
    /// `LossSum` and `LossCount` of every target, and predictions where a metric reads them.
    pub evaluate: Later<'a>,
    /// Predictions step by step, for models that feed themselves.
    pub step: Option<Generator>,
}

/// Which weights a new run starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// As the model declares them.
    Initial,
    /// From this safetensors file, by path; or from the best checkpoint of the run in this folder.
    Weights(PathBuf),
}

pub struct Plan<'a> {
    pub settings: &'a TrainSettings,
    /// How samples are drawn as the model learns.
    pub generate: Option<&'a GenerateSettings>,
    pub params: &'a [ParamSpec],
    pub dataset: &'a Dataset,
    pub functions: Functions<'a>,
    /// Created or opened, and locked.
    pub folder: RunFolder,
    /// Where the folder has no checkpoint.
    pub start: Start,
    /// The model has `penalty` terms, which are part of its loss beside those of its targets.
    pub penalties: bool,
    /// With more than one, batches are made on a thread beside the one that trains.
    pub threads: usize,
    /// Stop after this many steps of the whole run.
    pub max_steps: Option<u64>,
    /// Notices that come first.
    pub told: Vec<String>,
    /// Set from outside (a signal): save at the step's end and return.
    pub interrupt: &'a AtomicBool,
    /// Save at the first step's end after this long without a save.
    pub save_every: Duration,
    pub observer: &'a mut dyn Observer,
    /// When the process started.
    pub started: Instant,
    pub compile_ms: f64,
}
