//! The loop of training: steps, and measurements between them.
//!
//! In: a [`Run`]. Out: the run at its end, or where it was told to stop.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::accumulate::Taken;
use super::ahead::{Ahead, Made, Maker};
use super::clip;
use super::decode::Decoding;
use super::evaluate::Wrote;
use super::failure::Failure;
use super::feed::Carried;
use super::generate::{Request, generate};
use super::observe::{End, Event, Measured, StepReport};
use super::run::Run;
use super::schedule;
use super::translated;
use crate::data::{Batch, Part};
use crate::settings::{GenerateSettings, Validate, Watched};
use crate::targets::executable::Role;

/// Between lines of what a run uses of its machine.
const USAGE_EVERY: Duration = Duration::from_secs(10);

/// Texts shown after a measurement, and written where `copied` is among the metrics.
const SHOWN: usize = 4;
const COPIED: usize = 200;

/// The longest text that is shown where the data is one long text.
const SHOWN_LENGTH: u32 = 200;

impl Run<'_> {
    /// Trains until the run ends.
    pub fn epochs(&mut self) -> Result<End, Failure> {
        // A run that was cut off between its step and its measurement.
        if !self.progress.stopped && self.validation_due() && self.progress.step > 0 {
            self.validate()?;
        }
        let (epoch, index) = (self.progress.epoch, self.progress.index);
        let maker = Maker::new(self.plan.dataset, self.plan.settings, epoch, index);
        std::thread::scope(|scope| {
            let several = self.plan.threads > 1;
            self.steps(Ahead::new(several.then_some(scope), maker))
        })
    }

    /// Every step that is left, and what comes between.
    fn steps<'a>(&mut self, mut ahead: Ahead<'a, 'a, '_>) -> Result<End, Failure> {
        loop {
            if let Some(end) = self.ended() {
                self.save_unless_saved(end)?;
                return Ok(end);
            }
            let started = Instant::now();
            let Some(made) = ahead.following()? else {
                // The last epoch had fewer batches than the step's place in it.
                (self.progress.epoch, self.progress.index) = (self.progress.epoch + 1, 0);
                continue;
            };
            let waited = started.elapsed();
            (self.progress.epoch, self.progress.index) = (made.epoch, made.index);
            self.step(made, started, waited)?;
            self.data_wait.waited += waited;
            self.data_wait.stepped += started.elapsed();
            // After the first step, which does not wait for it, and long before it is run: what is wrong is told now.
            self.plan.functions.evaluate.get()?;
            if self.validation_due() {
                self.validate()?;
            } else if self.last_save.elapsed() >= self.plan.save_every {
                self.save(false)?;
            }
        }
    }

    fn save_unless_saved(&mut self, end: End) -> Result<(), Failure> {
        let path = self.plan.folder.path();
        let latest = super::checkpoint::linked(path, super::checkpoint::Which::Latest)?;
        // A measurement is always saved with its step.
        let saved = latest == Some(self.progress.step);
        match saved && end != End::Interrupted {
            true => Ok(()),
            false => self.save(false),
        }
    }

    /// One update, by a batch that was waited for so long.
    fn step(&mut self, made: Made, started: Instant, waited: Duration) -> Result<(), Failure> {
        let settings = self.plan.settings;
        let batches = made.batches;
        let began = Instant::now();
        let Taken { loss, items } = self.gradient(made.parts)?;
        let computed = began.elapsed();
        let trained = self.updater.trained();
        let executable = &self.plan.functions.train.start;
        let together =
            |nanoseconds: f64, f: &(dyn Fn() + Sync)| executable.together(nanoseconds, f);
        let norm = match clip::norm(&self.grads, trained, &mut self.squares, &together) {
            Err(weight) if loss.is_finite() => return Err(self.bad_gradient(weight)),
            Ok(norm) if loss.is_finite() => norm,
            Ok(_) | Err(_) => return Err(self.not_finite("loss")),
        };
        clip::clip(&mut self.grads, trained, settings.clip, norm);
        let progress = &mut self.progress;
        let (step, plateau) = (progress.step, &progress.plateau);
        let factor = schedule::factor(&settings.schedule, step, progress.total_steps, plateau);
        (self.updater).update((&mut self.weights, &self.grads), (step, factor), &together);

        self.whole.step(items);
        self.meter.step(items);
        progress.logged.add(loss, items.max(1.0));
        progress.since_validation.add(loss, items.max(1.0));
        progress.step += 1;
        progress.index += 1;
        let index = progress.index;
        if progress.index == batches {
            progress.epoch += 1;
            progress.index = 0;
            self.carried = Carried::new();
        }
        let (step, epoch) = (self.progress.step, self.progress.epoch_of_step());
        let rate = settings.optimizer.lr() * factor;
        if step.is_multiple_of(self.log_every) {
            let mean = std::mem::take(&mut self.progress.logged).value();
            let mean = mean.unwrap_or(loss);
            self.log.trained(step, epoch, mean, rate, norm)?;
        }
        if self.meter.elapsed() >= USAGE_EVERY {
            self.log_usage()?;
        }
        if self.first_step_ms == 0.0 {
            self.first_step_ms = self.plan.started.elapsed().as_secs_f64() * 1e3;
        }
        let measured = self.validation_due() && !self.plan.dataset.is_empty(Part::Valid);
        self.plan.observer.event(&Event::Step(StepReport {
            step,
            epoch,
            index,
            batches,
            loss,
            rate,
            grad_norm: norm,
            items: items as u64,
            seconds: started.elapsed().as_secs_f64(),
            waited: waited.as_secs_f64(),
            computed: computed.as_secs_f64(),
            measured,
        }));
        Ok(())
    }

    /// Whether the step just done is one to measure after, and that has not happened yet.
    pub fn validation_due(&self) -> bool {
        let due = match self.plan.settings.validate {
            Validate::EveryEpoch => self.progress.index == 0,
            Validate::EverySteps(n) => n > 0 && self.progress.step.is_multiple_of(n),
        };
        (due || self.is_finished()) && self.progress.validated != self.progress.step
    }

    /// Measures, remembers what that means for the rate, the best checkpoint and stopping, shows
    /// samples, and saves. An interrupt leaves all that for the run's next session.
    fn validate(&mut self) -> Result<(), Failure> {
        self.check_weights()?;
        self.plan.observer.event(&Event::Validating);
        let train_loss = self.progress.since_validation.value().unwrap_or(f64::NAN);
        let measured = match self.plan.dataset.is_empty(Part::Valid) {
            true => None,
            false => match self.measure()? {
                Some(found) => Some(found),
                None => return Ok(()),
            },
        };
        let (step, epoch) = (self.progress.step, self.progress.epoch_of_step());
        let watched = self.plan.settings.stop.as_ref().map(|s| &s.on);
        let watched = watched.unwrap_or(&Watched::Loss);
        let value = match &measured {
            Some((m, _)) => m.metric(&watched.key()).unwrap_or(m.loss),
            None => train_loss,
        };
        let loss = measured.as_ref().map_or(train_loss, |(m, _)| m.loss);
        if !loss.is_finite() || !value.is_finite() {
            return Err(self.not_finite("validation loss"));
        }
        let best = self.progress.measured(value, watched.larger_is_better());
        let schedule = &self.plan.settings.schedule;
        self.progress.plateau.observe(schedule, loss);
        if let Some(stop) = &self.plan.settings.stop {
            self.progress.stopped = self.progress.worse >= stop.checks;
        }
        self.progress.since_validation = Default::default();
        self.last_train = Some(train_loss);
        if let Some((m, texts)) = measured {
            self.log.validated(step, epoch, &m)?;
            if best {
                self.keep_classes(&m)?;
            }
            self.plan.observer.event(&Event::Validated {
                step,
                epoch,
                train_loss,
                valid: &m,
                best,
            });
            if !texts.is_empty() {
                let texts = &texts[..texts.len().min(SHOWN)];
                self.log.samples(step, texts)?;
                self.plan.observer.event(&Event::Samples { step, texts });
            }
            self.last_valid = Some(m);
        }
        self.save(best)?;
        self.draw_loss()
    }

    /// The validation part's measurement and texts written for it; `None` once interrupted, or
    /// where the part is empty.
    pub fn measure(&mut self) -> Result<Option<(Measured, Vec<String>)>, Failure> {
        if self.plan.dataset.is_empty(Part::Valid) {
            return Ok(None);
        }
        let texts = self.texts()?;
        let bleu = self.bleu()?;
        let stop: &AtomicBool = self.plan.interrupt;
        let measured = self.evaluator.measure(
            self.plan.functions.evaluate.get()?,
            &self.weights,
            Part::Valid,
            Wrote {
                texts: Some(&texts),
                bleu,
            },
            stop,
        )?;
        Ok(measured.map(|m| (m, texts)))
    }

    /// The score of what the model writes for the validation part, where a metric asks for it.
    fn bleu(&mut self) -> Result<Option<f64>, Failure> {
        if !self.evaluator.wants_bleu() {
            return Ok(None);
        }
        translated::bleu(
            self.plan.functions.step.as_mut(),
            &self.weights,
            self.plan.settings,
            self.plan.dataset,
            Part::Valid,
            &Decoding::of(self.plan.generate),
            self.plan.interrupt,
        )
    }

    /// What the model writes as it is now; nothing where it does not write.
    fn texts(&mut self) -> Result<Vec<String>, Failure> {
        let (Some(generator), Some(settings)) = (&mut self.plan.functions.step, self.plan.generate)
        else {
            return Ok(Vec::new());
        };
        if !self.shows {
            return Ok(Vec::new());
        }
        let long = self.plan.dataset.is_long();
        let n = match (self.evaluator.wants_texts(), long) {
            (true, false) => COPIED,
            (true, true) => SHOWN,
            (false, false) => SHOWN,
            (false, true) => 1,
        };
        let settings = GenerateSettings {
            length: match long {
                true => settings.length.min(SHOWN_LENGTH),
                false => settings.length,
            },
            ..settings.clone()
        };
        let request = Request {
            stream: self.progress.step as u32,
            ..Request::new(&settings, n)
        };
        let (written, _) = generate(generator, &self.weights, &self.fields, &request)?;
        Ok(written.iter().map(|g| g.text()).collect())
    }
}

/// How many steps or examples counted in a batch's loss.
pub(super) fn counted(feed: &super::feed::Feed, batch: &Batch) -> f64 {
    let count = feed.outputs().find_map(|(role, values)| match role {
        Role::LossCount(_) => values.first().map(|c| f64::from(*c)),
        _ => None,
    });
    count.unwrap_or(batch.rows as f64)
}
