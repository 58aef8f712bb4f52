//! Steps of training, timed.
//!
//! In: a [`Bench`]. Out: [`Training`]. The run is `seqc train`'s own, in a folder that goes away, with an observer that
//! writes down what each step took and ends the run when it has seen enough.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Bench;
use super::bound::Work;
use super::report::{Memory, Times, Training};
use crate::cli::interrupt::Interrupt;
use crate::cli::room::refuse_batch;
use crate::cli::session::Backend;
use crate::cli::train::STARTED;
use crate::cli::{Failure, costs};
use crate::cost::products;
use crate::data::{Batch, Batches, Part};
use crate::diagnostics::Diagnostic;
use crate::dim::Sym;
use crate::lower::Options;
use crate::targets::cpu::trial::TRIAL;
use crate::train::evaluate::epoch_plan;
use crate::train::folder::{Record, RunFolder};
use crate::train::observe::{Event, Observer, StepReport};
use crate::train::plan::{Functions, Plan, Start};
use crate::train::run;
use crate::train::usage;

/// Steps that are not counted, at least.
const WARM_STEPS: usize = 2;
/// Steps that are not counted, where they take no more than this share of the time: among them are those that try how
/// far a step is best divided.
const WARM: f64 = 0.25;
/// Steps whose batches are looked at again for their sizes, at most.
const WEIGHED: usize = 500;
/// Steps that are counted, at least.
const STEPS: usize = 3;

impl Bench<'_> {
    pub(super) fn training(&self) -> Result<(Training, Work), Failure> {
        let settings = &self.settings;
        let mut compiler = self.compiler();
        let part = settings.accumulate > 1;
        let options = Options {
            part,
            ..Options::TRAIN
        };
        let train = compiler.stage(options, true)?;
        let compile_ms = compiler.ms;
        let options = Options {
            predictions: false,
            ..Options::EVALUATE
        };
        let evaluate = compiler.later(options);
        refuse_batch(train.start.as_ref(), &self.params, self.dataset, settings)?;
        let sizes = self.sizes(train.start.signature());
        let functions = Functions {
            train,
            evaluate,
            step: None,
        };
        let dir = tempfile::tempdir().map_err(|e| {
            let message = format!("there is no place for a temporary folder: {e}");
            Diagnostic::error("io::write", message)
        })?;
        let out = dir.path().join("run");
        let record = Record::new(
            &self.args.file,
            Default::default(),
            Vec::new(),
            settings,
            None,
            self.dataset,
        );
        let text = &self.loaded.sources.get(self.loaded.file.id).text;
        let folder = RunFolder::begin(Some(&out), &out, record, text)?;
        let interrupt = Interrupt::watch()?;
        let mut watch = Stopwatch::new(self.args.seconds, &interrupt.came);
        let plan = Plan {
            settings,
            generate: None,
            params: &self.params,
            dataset: self.dataset,
            functions,
            folder,
            start: Start::Initial,
            penalties: !self.model.penalties.is_empty(),
            threads: self.backend.threads(),
            max_steps: None,
            told: Vec::new(),
            interrupt: &interrupt.came,
            save_every: Duration::MAX,
            observer: &mut watch,
            started: *STARTED,
            compile_ms,
        };
        let summary = run::train(plan)?;
        let (cost, program) = costs::of(&self.model, &self.frozen, &self.recompute)?;
        let size = |s: &_| self.size(s);
        let temporaries = cost.peak_at(&size);
        let resident = match &self.backend {
            Backend::Cpu(pool) => Some(costs::held(&program, settings, pool)?),
            Backend::Reference => None,
        };
        let timed = watch.counted();
        let (work, varied) = self.work(timed, &|batch| {
            let size = |s: &Sym| batch.size(s.name())?.try_into().ok();
            Work {
                sizes: Vec::new(),
                flops: cost.flops_at(&size),
                products: products(&program, &size),
            }
        })?;
        let of = |part: fn(&StepReport) -> f64| Times {
            varied,
            ..Times::of(timed.iter().map(part).collect())
        };
        let training = Training {
            step: of(|s| s.seconds),
            gradient: of(|s| s.computed),
            update: of(|s| s.seconds - s.computed - s.waited),
            wait: of(|s| s.waited),
            compile_ms,
            first_step_ms: summary.first_step_ms,
            memory: Memory {
                temporaries,
                predicted: resident.and_then(|r| r.at(&size)),
                growth: watch.growth,
            },
        };
        Ok((training, Work { sizes, ..work }))
    }

    /// The work of the steps that were timed, on average, and whether it differs from step to step.
    fn work(
        &self,
        timed: &[StepReport],
        of: &dyn Fn(&Batch) -> Work,
    ) -> Result<(Work, bool), Failure> {
        let first = of(&self.batch);
        let mut all = Vec::new();
        let mut epoch: Option<(u64, Batches<'_>)> = None;
        for step in timed.iter().step_by(timed.len().div_ceil(WEIGHED).max(1)) {
            let number = step.epoch - 1;
            let batches = match &epoch {
                Some((n, batches)) if *n == number => batches,
                _ => {
                    let plan = epoch_plan(&self.settings, number);
                    &epoch
                        .insert((number, self.dataset.batches(Part::Train, &plan)))
                        .1
                }
            };
            // A step's index is that of the batch after it.
            if let Some(batch) = batches.get(step.index.saturating_sub(1) as usize) {
                all.push(of(&batch?));
            }
        }
        match all.iter().all(|w| w.flops == first.flops) {
            true => Ok((first, false)),
            false => Ok((Work::mean(&all), true)),
        }
    }
}

/// Watches a run and ends it in time.
struct Stopwatch<'a> {
    length: Duration,
    end: &'a AtomicBool,
    /// When the first step was done.
    began: Option<Instant>,
    /// When counting began.
    warm: Option<Instant>,
    skipped: usize,
    steps: Vec<StepReport>,
    /// Bytes resident before the first step.
    before: Option<u64>,
    growth: Option<u64>,
}

impl<'a> Stopwatch<'a> {
    fn new(seconds: f64, end: &'a AtomicBool) -> Stopwatch<'a> {
        Stopwatch {
            length: Duration::from_secs_f64(seconds),
            end,
            began: None,
            warm: None,
            skipped: 0,
            steps: Vec::new(),
            before: None,
            growth: None,
        }
    }

    fn counted(&self) -> &[StepReport] {
        &self.steps
    }

    fn step(&mut self, report: &StepReport) {
        let now = Instant::now();
        let Some(began) = self.began else {
            let after = usage::resident().map(|(_, most)| most);
            self.growth = after.zip(self.before).map(|(a, b)| a.saturating_sub(b));
            self.began = Some(now);
            self.skipped = 1;
            // Only the first was wanted.
            if self.length.is_zero() {
                self.steps.push(*report);
                self.end.store(true, Ordering::Relaxed);
            }
            return;
        };
        let Some(warm) = self.warm else {
            self.skipped += 1;
            let warm = self.skipped > TRIAL || now - began >= self.length.mul_f64(WARM);
            if self.skipped >= WARM_STEPS && warm {
                self.warm = Some(now);
            }
            return;
        };
        self.steps.push(*report);
        if self.steps.len() >= STEPS && now - warm >= self.length {
            self.end.store(true, Ordering::Relaxed);
        }
    }
}

impl Observer for Stopwatch<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { .. } => {
                if usage::forget_most_resident() {
                    self.before = usage::resident().map(|(now, _)| now);
                }
            }
            Event::Step(report) => self.step(report),
            Event::Preparing(_)
            | Event::Notice(_)
            | Event::Validating
            | Event::Validated { .. }
            | Event::Samples { .. }
            | Event::Saved { .. }
            | Event::Used { .. }
            | Event::Finished(_) => {}
        }
    }
}
