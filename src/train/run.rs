//! A run from its beginning, or from its last checkpoint, to its end.
//!
//! In: a [`Plan`]. Out: a [`Summary`], and in the run's folder checkpoints, metrics and the loss
//! curve. Every number of step s depends on (seed, s, what a checkpoint holds), never on the time
//! or on where a run was cut, so one that is resumed ends with the bits of one that was not.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::begin;
use super::checkpoint::{self, Checkpoint, Which};
use super::clip::Trained;
use super::decode::decoded;
use super::evaluate::{self, Evaluator};
use super::failure::{Class, Failure};
use super::feed::{Carried, Feed};
use super::folder::FieldInfo;
use super::generate::can_generate;
use super::init;
use super::lanes;
use super::log::Log;
use super::observe::{Best, End, Event, Measured, Summary};
use super::optimize::{Updater, state_names};
use super::plan::{Plan, Start};
use super::progress::Progress;
use super::resumed;
use super::schedule::warmup;
use super::usage::Meter;
use crate::data::{Dataset, Part};
use crate::diagnostics::Diagnostic;
use crate::settings::{Length, Precision, TrainSettings, Watched};
use crate::targets::executable::ParamSlot;

/// Lines of training in `metrics.jsonl`, about.
const LOG_LINES: u64 = 1000;

/// A run under way.
pub(super) struct Run<'a> {
    pub plan: Plan<'a>,
    pub slots: Vec<ParamSlot>,
    pub fields: Vec<FieldInfo>,
    /// Samples are shown as the model learns.
    pub shows: bool,
    pub updater: Updater,
    pub weights: Vec<f32>,
    pub grads: Vec<f32>,
    /// Of each trained weight's gradient, in the last step.
    pub squares: Vec<f64>,
    pub carried: Carried,
    pub progress: Progress,
    pub feed: Feed,
    pub log: Log,
    pub evaluator: Evaluator<'a>,
    pub log_every: u64,
    pub last_save: Instant,
    /// Since the session's start, and since the last line of `usage.jsonl`.
    pub whole: Meter,
    pub meter: Meter,
    /// Training's seconds before this session, and its start.
    seconds_before: f64,
    session: Instant,
    pub first_step_ms: f64,
    pub data_wait: DataWait,
    pub last_train: Option<f64>,
    pub last_valid: Option<Measured>,
    notices: Vec<String>,
}

/// Of this session's steps: the time spent waiting for batches, and all of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DataWait {
    pub waited: Duration,
    pub stepped: Duration,
}

impl DataWait {
    fn share(&self) -> Option<f64> {
        let all = self.stepped.as_secs_f64();
        (all > 0.0).then(|| self.waited.as_secs_f64() / all)
    }
}

/// Trains as planned. Errors leave the last checkpoint as it was.
pub fn train(plan: Plan<'_>) -> Result<Summary, Failure> {
    let mut run = Run::begin(plan)?;
    let end = run.epochs()?;
    run.finish(end)
}

/// Refuses to stop by a metric where nothing is there to measure it on.
fn check(settings: &TrainSettings, dataset: &Dataset) -> Result<(), Failure> {
    if let Some(stop) = &settings.stop
        && let Watched::Metric(metric) = &stop.on
        && dataset.is_empty(Part::Valid)
    {
        let message = format!("`stop` watches valid.{metric}; the validation part is empty");
        return Err(Failure::program("train::no-validation", message));
    }
    Ok(())
}

impl<'a> Run<'a> {
    fn begin(mut plan: Plan<'a>) -> Result<Run<'a>, Failure> {
        let (settings, dataset) = (plan.settings, plan.dataset);
        check(settings, dataset)?;
        let evaluator = Evaluator::new(settings, dataset, plan.penalties)?;
        let signature = plan.functions.train.start.signature().clone();
        let epoch_steps = dataset
            .batches(Part::Train, &evaluate::epoch_plan(settings, 0))
            .len() as u64;
        if epoch_steps == 0 {
            let message = "the training part is shorter than one example of the model";
            return Err(Failure::program("train::no-batches", message));
        }
        let total_steps = match settings.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs.saturating_mul(epoch_steps),
        };
        let run_path = plan.folder.path().to_path_buf();
        let mut updater = Updater::new(&signature, settings);
        let (slots, len) = (&signature.params, signature.param_len);
        let names = state_names(&settings.optimizer);
        let saved = checkpoint::load(&run_path, Which::Latest, slots, len, names)?;
        let source = plan.folder.source_digest();
        let mut notices = std::mem::take(&mut plan.told);
        let (weights, carried, progress) = match saved {
            Some(Checkpoint {
                weights,
                optimizer,
                carried,
                mut progress,
            }) => {
                let data = dataset.digest();
                notices.extend(resumed::notices(&progress, settings, &source, &data));
                (progress.source, progress.data) = (source, data);
                progress.total_steps = total_steps;
                progress.schedule = settings.schedule;
                updater.restore(optimizer.into_iter().map(|(_, arena)| arena).collect());
                (weights, carried, progress)
            }
            None => {
                if let Some(told) = init::long(&signature, plan.params, settings) {
                    plan.observer.event(&Event::Preparing(told));
                }
                let (params, threads, stop) = (plan.params, plan.threads, plan.interrupt);
                let drawn = init::arena(&signature, params, settings, threads, stop);
                let Some(mut weights) = drawn else {
                    let message = "interrupted before the first step: nothing was trained";
                    let d = Diagnostic::error("run::interrupted", message);
                    return Err(Failure::new(Class::Interrupted, d));
                };
                if let Start::Weights(path) = &plan.start {
                    let told =
                        begin::begin(path, &mut weights, slots, plan.params, settings, dataset)?;
                    notices.push(told);
                }
                let (seed, schedule) = (settings.seed, settings.schedule);
                // The data's digest takes its time, and is not wanted before the first save.
                let data = String::new();
                let progress = Progress::new(seed, schedule, total_steps, source, data);
                (weights, BTreeMap::new(), progress)
            }
        };
        let warmup = warmup(&settings.schedule);
        if warmup >= total_steps {
            let notice = format!(
                "`warmup = {warmup}` is longer than the run, {total_steps} steps: its rate never gets to `lr`"
            );
            notices.push(notice);
        }
        if settings.precision == Precision::Bf16 {
            let notice = "precision = bf16: trained in f32, measured with weights of 16 bits";
            notices.push(notice.to_string());
        }
        if dataset.is_empty(Part::Valid) {
            let notice = "the validation part is empty: `best` is by the training loss";
            notices.push(notice.to_string());
        }
        let left_out = dataset.left_out();
        notices.extend(left_out.map(|l| format!("{} are left out: {}", l.share(), l.why())));
        notices.extend(dataset.told_unseen(Part::Valid));
        plan.folder.written()?;
        let step = progress.step;
        let event = Event::Started {
            folder: &run_path,
            params: slots.iter().map(|s| s.len).sum(),
            trained: updater.trained().iter().map(|t| t.range.len()).sum(),
            total_steps,
            steps_an_epoch: epoch_steps,
            step,
        };
        plan.observer.event(&event);
        for notice in &notices {
            plan.observer.event(&Event::Notice(notice.clone()));
        }
        let fields: Vec<FieldInfo> = dataset.columns().iter().map(FieldInfo::from).collect();
        let given = plan.generate.map_or(&[][..], |g| &g.given);
        let mut shows = false;
        if let Some(generator) = &plan.functions.step {
            shows = can_generate(generator, &fields, given);
            let decodes = evaluator.wants_bleu() && decoded(generator, &fields).is_some();
            if !shows && !decodes {
                plan.functions.step = None;
            }
        }
        Ok(Run {
            log: Log::open(&run_path, step)?,
            fields,
            shows,
            updater,
            weights,
            grads: vec![0.0; len],
            squares: Vec::new(),
            carried,
            seconds_before: progress.seconds,
            progress,
            feed: Feed::default(),
            evaluator,
            log_every: total_steps.div_ceil(LOG_LINES).max(1),
            last_save: Instant::now(),
            whole: Meter::start(),
            meter: Meter::start(),
            session: Instant::now(),
            first_step_ms: 0.0,
            data_wait: DataWait::default(),
            last_train: None,
            last_valid: None,
            notices,
            slots: signature.params,
            plan,
        })
    }

    /// Whether every step of the settings is done.
    pub fn is_finished(&self) -> bool {
        resumed::is_finished(&self.progress, self.plan.settings)
    }

    /// Why the run ends here, if it does.
    pub fn ended(&self) -> Option<End> {
        // An interrupt during a measurement leaves it to the next session.
        if self.interrupted() && self.validation_due() {
            return Some(End::Interrupted);
        }
        if self.is_finished() {
            return Some(End::Finished);
        }
        if self.progress.stopped {
            return Some(End::Stopped);
        }
        if self.interrupted() {
            return Some(End::Interrupted);
        }
        let most = self.plan.max_steps;
        most.filter(|most| self.progress.step >= *most)
            .map(|_| End::MaxSteps)
    }

    pub fn interrupted(&self) -> bool {
        self.plan.interrupt.load(Ordering::Relaxed)
    }

    /// Saves the run as it stands. Weights that are not finite are never saved.
    pub fn save(&mut self, best: bool) -> Result<(), Failure> {
        self.check_weights()?;
        if self.progress.data.is_empty() {
            self.progress.data = self.plan.dataset.digest();
        }
        self.progress.seconds = self.seconds();
        self.log.sync()?;
        let optimizer = self.updater.state();
        let checkpoint = Checkpoint {
            weights: std::mem::take(&mut self.weights),
            optimizer: optimizer
                .map(|(n, s)| (n.to_string(), s.to_vec()))
                .collect(),
            carried: self.carried.clone(),
            progress: self.progress.clone(),
        };
        let saved = checkpoint::save(self.plan.folder.path(), &self.slots, &checkpoint, best);
        self.weights = checkpoint.weights;
        saved?;
        self.last_save = Instant::now();
        let step = self.progress.step;
        self.plan.observer.event(&Event::Saved { step, best });
        Ok(())
    }

    /// Names the first weight that an update has made infinite or worse.
    pub fn check_weights(&self) -> Result<(), Failure> {
        for slot in &self.slots {
            let weight = &self.weights[slot.offset..slot.offset + slot.len];
            if !lanes::squares(weight).is_finite() {
                return Err(self.not_finite(&format!("weight `{}`", slot.path)));
            }
        }
        Ok(())
    }

    /// Of training, over all sessions.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.session.elapsed().as_secs_f64()
    }

    /// The failure for something that is not a finite number after the steps done so far.
    pub fn not_finite(&self, what: &str) -> Failure {
        let step = self.progress.step;
        let message = format!("step {step}: the {what} is not a finite number");
        let kept = match checkpoint::linked(self.plan.folder.path(), Which::Latest) {
            Ok(Some(s)) => format!("step-{s} is the last checkpoint, and is finite"),
            Ok(None) | Err(_) => "nothing was saved before".to_string(),
        };
        let help = format!("{kept}; a lower `lr`, or `clip = norm(1)`, often keeps a run finite");
        let d = Diagnostic::error("run::non-finite", message).help(help);
        Failure::new(Class::NonFinite, d)
    }

    /// The first trained weight whose gradient is not finite, or the loss.
    pub fn bad_gradient(&self, weight: &Trained) -> Failure {
        self.not_finite(&format!("gradient of `{}`", weight.path))
    }

    fn finish(mut self, end: End) -> Result<Summary, Failure> {
        // Stopped between measurements: measure for the report, without a trace in the run.
        if end == End::MaxSteps && self.progress.validated != self.progress.step {
            self.last_valid = self.measure()?.map(|(measured, _)| measured);
            self.last_train = self.progress.since_validation.value().or(self.last_train);
        }
        if self.meter.steps() > 0 {
            self.log_usage()?;
        }
        self.draw_curves()?;
        let summary = Summary {
            end,
            run: self.plan.folder.path().to_path_buf(),
            steps: self.progress.step,
            epochs: self.progress.epoch,
            seconds: self.seconds(),
            compile_ms: self.plan.compile_ms,
            first_step_ms: self.first_step_ms,
            data_wait: self.data_wait.share(),
            params: self.slots.iter().map(|s| s.len).sum(),
            train_loss: self
                .last_train
                .or(self.log.series.train.last().map(|p| p.1)),
            valid: self.last_valid.take().or_else(|| {
                // Nothing was measured in this session: what the log says.
                let loss = self.log.series.valid.last()?.1;
                Some(Measured {
                    loss,
                    ..Measured::default()
                })
            }),
            best: self.best(),
            notices: std::mem::take(&mut self.notices),
            usage: self.whole.read(),
        };
        self.plan.observer.event(&Event::Finished(&summary));
        Ok(summary)
    }

    fn best(&self) -> Option<Best> {
        let best = self.progress.best?;
        let stop = self.plan.settings.stop.as_ref();
        let (part, of) = match self.plan.dataset.is_empty(Part::Valid) {
            true => (Part::Train, Watched::Loss),
            false => (Part::Valid, stop.map_or(Watched::Loss, |s| s.on.clone())),
        };
        Some(Best {
            step: best.step,
            part,
            of,
            value: best.value,
        })
    }

    /// Writes a line of what was used since the one before.
    pub fn log_usage(&mut self) -> Result<(), Failure> {
        let usage = self.meter.read();
        self.meter = Meter::start();
        let step = self.progress.step;
        self.log.used(step, &usage)?;
        self.plan.observer.event(&Event::Used { step, usage });
        Ok(())
    }
}
