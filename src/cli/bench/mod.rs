//! `seqc bench`: what a file costs on this machine, beside what the machine can do.
//!
//! In: a file with its data. Out: the time of a training step as `seqc train` takes it (or of a prediction, or of a
//! symbol written), the arithmetic and the memory that `check --cost` predicts for it, and its shares of the machine's
//! measured peak and of the roofline.
//!
//! ```text
//! mod (what is measured) ─┬─ steps: training       ─┬─ bound: the roofline ─┐
//!                         ├─ calls: predict, write ─┘                       ├─▶ report: text or JSON
//!                         └─ kernels: what each takes ──────────────────────┘
//! ```

pub mod args;
mod bound;
mod calls;
mod kernels;
mod report;
mod steps;

use std::sync::atomic::AtomicBool;

use super::args::Common;
use super::load::{Loaded, base, load};
use super::ready::{dataset, refuse_unavailable};
use super::room::refuse_weights;
use super::session::{self, Backend, Compiler};
use super::{Failure, Within, render, stdout};
use crate::check::program::Model;
use crate::check::settings::TrainBlock;
use crate::data::{Batch, Dataset, LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::dim::Sym;
use crate::lower::Options;
use crate::pipeline::Build;
use crate::settings::{Length, Precision, Recompute, TrainSettings, Validate};
use crate::targets::cpu::pool::Pool;
use crate::targets::executable::Signature;
use crate::train::evaluate;
use crate::train::init::{self, ParamSpec};
use args::BenchArgs;
use bound::Machine;
use report::Report;

/// The longest measurement that can be asked for, in seconds.
const LONGEST: f64 = 3600.0;

pub fn run(common: &Common, args: &BenchArgs) -> Result<u8, Failure> {
    if !(0.0..=LONGEST).contains(&args.seconds) {
        let message = format!("--seconds {}: from 0 to {LONGEST}", args.seconds);
        return Err(Diagnostic::error("usage::out-of-range", message).into());
    }
    let loaded = load(&args.file, common)?.valid()?;
    render::show(&loaded.diagnostics, &loaded.sources, common);
    let block = session::train_block(&loaded, args.model.as_deref())?;
    refuse_unavailable(&loaded, block)?;
    let bindings = session::bindings(common)?;
    session::known_bindings(&loaded, &bindings)?;
    let base = base(&args.file);
    let options = LoadOptions {
        bindings,
        ..LoadOptions::new(&base)
    };
    let dataset = dataset(&loaded, block, &options)?;
    let bench = Bench::new(common, args, &loaded, block, &dataset)?;
    let report = bench.report().within(&loaded.sources)?;
    match common.json {
        true => stdout::line(&report.json().to_string())?,
        false => stdout::write(&report.to_string())?,
    }
    Ok(0)
}

/// One model of a file, ready to be measured.
struct Bench<'a> {
    args: &'a BenchArgs,
    loaded: &'a Loaded,
    /// The file's, for a run that takes steps without end and nothing else.
    settings: TrainSettings,
    dataset: &'a Dataset,
    model: Model,
    params: Vec<ParamSpec>,
    frozen: Vec<String>,
    recompute: Recompute,
    backend: Backend,
    /// Training's first.
    batch: Batch,
}

impl<'a> Bench<'a> {
    fn new(
        common: &Common,
        args: &'a BenchArgs,
        loaded: &'a Loaded,
        block: &TrainBlock,
        dataset: &'a Dataset,
    ) -> Result<Bench<'a>, Failure> {
        let mut settings = block.settings.clone();
        settings.length = Length::Steps(u32::MAX.into());
        settings.validate = Validate::EverySteps(u64::MAX);
        settings.metrics.clear();
        settings.stop = None;
        settings.weights = None;
        let model = loaded.model(Some(&settings.model))?;
        let model = session::bound(model, dataset, &settings);
        let params = session::specs(&model).within(&loaded.sources)?;
        refuse_weights(&params, &settings)?;
        let batches = dataset.batches(Part::Train, &evaluate::epoch_plan(&settings, 0));
        let batch = batches.get(0).ok_or_else(|| {
            let message = "the training part is shorter than one example of the model";
            Diagnostic::error("train::no-batches", message)
        })??;
        Ok(Bench {
            args,
            loaded,
            frozen: session::frozen(&model, &settings),
            recompute: loaded.experiment.recompute(&settings.model),
            settings,
            dataset,
            model,
            params,
            backend: Backend::cpu(common),
            batch,
        })
    }

    /// A step of training, unless the arguments ask for something else.
    fn report(&self) -> Result<Report, Failure> {
        let (infer, generate) = (self.args.infer, self.args.generate);
        let train = match infer || generate {
            true => None,
            // First of all, so that its first step is as late as in `train`.
            false => Some(self.training()?),
        };
        let infer = match infer {
            true => Some(self.predictions()?),
            false => None,
        };
        let generate = match generate {
            true => Some(self.writing()?),
            false => None,
        };
        let mut report = Report {
            model: self.settings.model.clone(),
            sizes: Vec::new(),
            precision: match train {
                Some(_) => Precision::F32,
                None => self.settings.precision,
            },
            machine: Machine::measured(self.pool()),
            train: None,
            infer: None,
            generate: None,
            kernels: Vec::new(),
        };
        if let Some((train, work)) = train {
            report.sizes = work.sizes.clone();
            if !self.args.brief {
                report.kernels = self.kernels(Options::TRAIN, true)?;
            }
            report.train = Some((train, report.machine.bound(&work, self.pool())));
        }
        if let Some((calls, work)) = infer {
            report.sizes = work.sizes.clone();
            if !self.args.brief {
                report.kernels = self.kernels(Options::PREDICT, false)?;
            }
            report.infer = Some((calls, report.machine.bound(&work, self.pool())));
        }
        if let Some((written, work)) = generate {
            report.generate = Some((written, report.machine.bound(&work, self.pool())));
        }
        Ok(report)
    }

    /// The weights a run starts from.
    fn weights(&self, signature: &Signature) -> Vec<f32> {
        let threads = self.backend.threads();
        // Signals end a benchmark at once.
        let go_on = AtomicBool::new(false);
        init::arena(signature, &self.params, &self.settings, threads, &go_on).unwrap_or_default()
    }

    fn build(&self) -> Build {
        Build {
            frozen: self.frozen.clone(),
            recompute: self.recompute.clone(),
            precision: self.settings.precision,
            ..Build::default()
        }
    }

    fn compiler(&self) -> Compiler<'_> {
        Compiler {
            model: &self.model,
            backend: &self.backend,
            frozen: self.frozen.clone(),
            recompute: self.recompute.clone(),
            precision: self.settings.precision,
            ms: 0.0,
        }
    }

    fn pool(&self) -> Option<&Pool> {
        match &self.backend {
            Backend::Cpu(pool) => Some(pool),
            Backend::Reference => None,
        }
    }

    /// The sizes of a call of this function on the first batch.
    fn sizes(&self, signature: &Signature) -> Vec<(String, usize)> {
        let size = |s: &Sym| Some((s.name().to_string(), self.batch.size(s.name())?));
        signature.sizes.iter().filter_map(size).collect()
    }

    /// A size of the first batch.
    fn size(&self, s: &Sym) -> Option<i64> {
        self.batch.size(s.name())?.try_into().ok()
    }
}
