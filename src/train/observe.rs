//! What a run tells those who watch it.
//!
//! In: events as they happen. Out: whatever an [`Observer`] makes of them: a progress bar, lines of
//! a log. Training itself never prints.

use std::path::PathBuf;

use super::classes::ByClass;
use super::usage::Usage;
use crate::data::Part;
use crate::settings::Watched;

/// Receives the events of a run, in order, on the thread that trains.
pub trait Observer {
    fn event(&mut self, event: &Event<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event<'_>) {}
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// Once, before the first step.
    Started {
        folder: &'a std::path::Path,
        /// Numbers in all weights, and in those that are trained.
        params: usize,
        trained: usize,
        /// Of the whole run, and of the first epoch.
        total_steps: u64,
        steps_an_epoch: u64,
        /// Steps done before, where a run is resumed.
        step: u64,
    },
    /// What goes on before the first step, where it takes long.
    Preparing(String),
    /// Something to know that is no error, such as that a resumed run has no checkpoint yet.
    Notice(String),
    /// After every update.
    Step(StepReport),
    Validating,
    /// A measurement of the validation part.
    Validated {
        step: u64,
        /// From 1, as in [`StepReport`].
        epoch: u64,
        /// Mean loss of the steps since the measurement before, as they were trained.
        train_loss: f64,
        valid: &'a Measured,
        /// Better than every one before.
        best: bool,
    },
    /// Texts that the model writes as it learns.
    Samples {
        step: u64,
        texts: &'a [String],
    },
    Saved {
        step: u64,
        best: bool,
    },
    /// Every ten seconds, and at a session's end.
    Used {
        step: u64,
        usage: Usage,
    },
    Finished(&'a Summary),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// That the step is of, from 1.
    pub epoch: u64,
    /// Batches done of this epoch, and their number.
    pub index: u64,
    pub batches: u64,
    pub loss: f64,
    /// The schedule's factor times the optimizer's rate.
    pub rate: f64,
    /// Of all trained gradients, before clipping.
    pub grad_norm: f64,
    /// Steps of sequences (or examples, where there is no time) that counted in the loss.
    pub items: u64,
    /// Of this step, the batch's making included.
    pub seconds: f64,
    /// Of these, waiting for the batch.
    pub waited: f64,
    /// Of these, computing the loss and the gradient.
    pub computed: f64,
    /// The validation part is measured next.
    pub measured: bool,
}

/// Loss and metrics of a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    pub loss: f64,
    /// Steps or examples that counted in the loss.
    pub count: f64,
    /// By key (`perplexity`), in the settings' order.
    pub metrics: Vec<(String, f64)>,
    pub by_class: ByClass,
}

impl Measured {
    pub fn metric(&self, key: &str) -> Option<f64> {
        match key {
            "loss" => Some(self.loss),
            _ => self.metrics.iter().find(|(k, _)| k == key).map(|m| m.1),
        }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All its steps are done.
    Finished,
    /// `stop = patience(…)`.
    Stopped,
    /// `--max-steps`.
    MaxSteps,
    /// A signal; everything was saved first.
    Interrupted,
}

/// The measurement whose weights are kept as the best.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    pub step: u64,
    /// The validation part, or the training part where that is empty.
    pub part: Part,
    /// What is measured there, and its value.
    pub of: Watched,
    pub value: f64,
}

impl Best {
    /// `best.step`, and `best.loss` or whatever `stop` watches.
    pub fn json(&self) -> [(String, serde_json::Value); 2] {
        let value = (format!("best.{}", self.of.key()), self.value.into());
        [("best.step".to_string(), self.step.into()), value]
    }
}

/// The result of a run, with the keys of `--json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub end: End,
    pub run: PathBuf,
    /// Steps and whole epochs since the run's beginning.
    pub steps: u64,
    pub epochs: u64,
    /// Of training, over all sessions of the run.
    pub seconds: f64,
    pub compile_ms: f64,
    /// From the process's start to the end of its first step; 0 where there was none.
    pub first_step_ms: f64,
    /// The share of this session's steps that was spent waiting for batches; none without a step.
    pub data_wait: Option<f64>,
    pub params: usize,
    /// Mean loss of the steps since the validation before the last, as they were trained.
    pub train_loss: Option<f64>,
    /// The last measurement.
    pub valid: Option<Measured>,
    pub best: Option<Best>,
    /// What was told at its start.
    pub notices: Vec<String>,
    /// Of this session.
    pub usage: Usage,
}

impl Summary {
    /// One JSON object: `run`, `steps`, …, `train.loss`, `valid.loss`, `valid.<metric>`, `best.step`,
    /// `best.<metric>`.
    pub fn json(&self) -> serde_json::Value {
        let mut o = serde_json::Map::new();
        let mut put = |k: &str, v: serde_json::Value| o.insert(k.to_string(), v);
        put("run", self.run.to_string_lossy().into());
        put("steps", self.steps.into());
        put("epochs", self.epochs.into());
        put("seconds", self.seconds.into());
        put("compile_ms", self.compile_ms.into());
        put("first_step_ms", self.first_step_ms.into());
        put("data_wait", self.data_wait.into());
        put("params", self.params.into());
        put("items_per_second", self.usage.items_per_second.into());
        put("cores", self.usage.cores.into());
        put("peak_bytes", self.usage.peak_bytes.into());
        put("notices", self.notices.clone().into());
        put("train.loss", self.train_loss.into());
        if let Some(valid) = &self.valid {
            put("valid.loss", valid.loss.into());
            for (key, value) in &valid.metrics {
                put(&format!("valid.{key}"), (*value).into());
            }
            for (key, value) in valid.by_class.json() {
                put(&format!("valid.{key}"), value);
            }
        }
        o.extend(self.best.iter().flat_map(Best::json));
        serde_json::Value::Object(o)
    }
}
