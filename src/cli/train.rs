//! `seqc train`: from a file (or a run to go on with) to a run folder.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::args::{Common, LogFormat, TrainArgs};
use super::interrupt::Interrupt;
use super::load::{Loaded, base, load, load_text, sets};
use super::progress::Progress;
use super::ready::{
    dataset, doubtful, long_attention, refuse_leaks, refuse_unavailable, refuse_unvalidated,
};
use super::room::{refuse_batch, refuse_weights};
use super::session::{self, Backend, Compiler};
use super::{Failure, Within, from_training, opened, render, resumed, shell, stdout};
use crate::check::settings::TrainBlock;
use crate::data::{Dataset, LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::settings::{GenerateSettings, Metric};
use crate::train::failure::Class;
use crate::train::folder::{self, Record, RunFolder};
use crate::train::observe::{End, Summary};
use crate::train::plan::{Plan, Start};
use crate::train::run;

/// When the process began, as near as can be told.
pub static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How often a run is saved besides after validations.
const SAVE_EVERY: Duration = Duration::from_secs(60);

pub fn run(common: &Common, args: &TrainArgs) -> Result<u8, Failure> {
    // A run folder given as FILE is resumed.
    let resumed = match (folder::holds_run(&args.file), args.resume) {
        (true, true) => Some(args.file.clone()),
        (true, false) => {
            let message = format!("{} holds a run", args.file.display());
            let d = Diagnostic::error("usage::holds-run", message);
            return Err(d.help("add --resume to go on with it").into());
        }
        (false, true) => Some(resumed::newest(common, args)?),
        (false, false) => None,
    };
    match resumed {
        Some(path) => resume(common, args, &path),
        None => start(common, args),
    }
}

fn runs() -> PathBuf {
    PathBuf::from(opened::RUNS)
}

fn start(common: &Common, args: &TrainArgs) -> Result<u8, Failure> {
    let loaded = load(&args.file, common)?.valid()?;
    render::show(&loaded.diagnostics, &loaded.sources, common);
    let block = session::train_block(&loaded, args.model.as_deref())?;
    if args.model.is_none() && loaded.experiment.trains.len() > 1 && !common.quiet {
        eprintln!("training {}, the first of the file", block.settings.model);
    }
    refuse_unavailable(&loaded, block)?;
    let bindings = session::bindings(common)?;
    session::known_bindings(&loaded, &bindings)?;
    let base = base(&args.file);
    session::refuse_outside(common, block, &base)?;
    let options = LoadOptions {
        bindings: bindings.clone(),
        ..LoadOptions::new(&base)
    };
    let dataset = dataset(&loaded, block, &options)?;
    refuse_leaks(&loaded, block, &options)?;
    refuse_unvalidated(&loaded, block, &dataset)?;
    if args.dry_run {
        return once(common, args, &loaded, block, &dataset);
    }
    let generate = loaded
        .experiment
        .generate(&block.settings.model)
        .map(|g| &g.settings);
    let record = Record::new(
        &args.file,
        bindings,
        sets(common),
        &block.settings,
        generate,
        &dataset,
    );
    let text = &loaded.sources.get(loaded.file.id).text;
    let there = args.out.as_ref().is_some_and(|out| out.exists());
    let job = Job {
        common,
        loaded: &loaded,
        block,
        dataset: &dataset,
        generate,
        silent: common.quiet,
        max_steps: args.max_steps,
        format: args.log_format,
        told: Vec::new(),
    };
    let made = || {
        Ok(RunFolder::begin(
            args.out.as_deref(),
            &runs(),
            record,
            text,
        )?)
    };
    job.carry_out(made, Some(Fresh { there }))?.report(common)
}

fn resume(common: &Common, args: &TrainArgs, path: &Path) -> Result<u8, Failure> {
    let mut folder = RunFolder::open(path).map_err(|f| opened::no_run(path, from_training(f)))?;
    let record = folder.record.clone();
    opened::refuse_other(path, &record, args.model.as_deref())?;
    let length = resumed::longer(common, &record, &folder.source)?;
    resumed::refuse_stopped(length, &record, path)?;
    let changed = resumed::changed(args, &record, &folder.source);
    let loaded = load_text(&record.file, &folder.source, &record.set)?.valid()?;
    let mut block = session::train_block(&loaded, Some(&record.train.model))?.clone();
    let mut bindings = record.data.clone();
    bindings.extend(session::bindings(common)?);
    let mut options = LoadOptions {
        bindings,
        ..LoadOptions::new(&record.base)
    };
    options.fits = Some(&record.fits);
    let dataset = dataset(&loaded, &block, &options)?;
    refuse_leaks(&loaded, &block, &options)?;
    block.settings = record.train.clone();
    block.settings.length = length.unwrap_or(record.train.length);
    let job = Job {
        common,
        loaded: &loaded,
        block: &block,
        dataset: &dataset,
        generate: record.generate.as_ref(),
        silent: common.quiet,
        max_steps: args.max_steps,
        format: args.log_format,
        told: changed.into_iter().collect(),
    };
    let opened = || {
        if let Some(length) = length {
            folder.lengthen(&common.set, length)?;
        }
        Ok(folder)
    };
    job.carry_out(opened, None)?.report(common)
}

/// Whether a metric reads predictions and not only the loss.
fn reads_predictions(metric: &Metric) -> bool {
    !matches!(
        metric,
        Metric::Perplexity | Metric::BitsPerChar | Metric::Copied | Metric::Bleu
    )
}

/// A run's folder that was made for it just now.
struct Fresh {
    /// The folder itself was there, empty.
    there: bool,
}

/// How a run went.
struct Outcome {
    summary: Summary,
    exit: u8,
    /// The model can write by itself.
    generates: bool,
    /// There is no validation part.
    unvalidated: bool,
}

impl Outcome {
    fn report(&self, common: &Common) -> Result<u8, Failure> {
        let path = shell::path(&self.summary.run);
        if common.json {
            stdout::line(&self.summary.json().to_string())?;
        } else if self.summary.end != End::Interrupted {
            let verb = if self.generates { "generate" } else { "eval" };
            let program = std::env::args()
                .next()
                .map_or_else(|| "seqc".to_string(), |program| shell::quoted(&program));
            // Without a validation part `eval` has to be told another one.
            let on = match !self.generates && self.unvalidated {
                true => " --on train",
                false => "",
            };
            stdout::line(&format!("Run {path}. Next: {program} {verb} {path}{on}"))?;
        }
        Ok(self.exit)
    }
}

struct Job<'a> {
    common: &'a Common,
    loaded: &'a Loaded,
    block: &'a TrainBlock,
    dataset: &'a Dataset,
    generate: Option<&'a GenerateSettings>,
    /// Its progress is not told.
    silent: bool,
    max_steps: Option<u64>,
    format: LogFormat,
    /// Before anything else.
    told: Vec<String>,
}

impl Job<'_> {
    /// Compiles, then asks for the folder: what is refused before leaves nothing behind.
    fn carry_out(
        &self,
        folder: impl FnOnce() -> Result<RunFolder, Failure>,
        fresh: Option<Fresh>,
    ) -> Result<Outcome, Failure> {
        let settings = &self.block.settings;
        let sources = &self.loaded.sources;
        let model = self.loaded.model(Some(&settings.model))?;
        let model = session::bound(model, self.dataset, settings);
        let params = session::specs(&model).within(sources)?;
        refuse_weights(&params, settings)?;
        let backend = Backend::cpu(self.common);
        let mut compiler = Compiler {
            frozen: session::frozen(&model, settings),
            recompute: self.loaded.experiment.recompute(&settings.model),
            model: &model,
            backend: &backend,
            precision: settings.precision,
            ms: 0.0,
        };
        let generates = model.inputs.iter().any(|i| i.feeds_itself);
        let predictions = settings.metrics.iter().any(reads_predictions);
        let part = settings.accumulate > 1;
        let functions = compiler.functions(predictions, generates, settings.window, part);
        let functions = functions.within(sources)?;
        let train = functions.train.start.as_ref();
        refuse_batch(train, &params, self.dataset, settings)?;
        let slow = long_attention(&model, self.block, self.dataset);
        let mut told = doubtful(self.loaded, self.block, self.dataset);
        told.extend(slow);
        render::show(&told, sources, self.common);
        let folder = folder()?;
        let path = folder.path().to_path_buf();
        let interrupt = Interrupt::watch()?;
        let mut progress = Progress::new(self.silent, self.common.quiet, self.format, settings);
        let start = settings.weights.as_ref().map_or(Start::Initial, |w| {
            Start::Weights(folder.record.base.join(w))
        });
        let plan = Plan {
            settings,
            generate: self.generate,
            params: &params,
            dataset: self.dataset,
            functions,
            folder,
            start,
            penalties: !model.penalties.is_empty(),
            threads: backend.threads(),
            max_steps: self.max_steps,
            told: self.told.clone(),
            interrupt: &interrupt.came,
            save_every: SAVE_EVERY,
            observer: &mut progress,
            started: *STARTED,
            compile_ms: compiler.ms,
        };
        match run::train(plan) {
            Ok(summary) => {
                progress.finish(&summary);
                let exit = match summary.end {
                    End::Interrupted => interrupt.exit_code(),
                    End::Finished | End::Stopped | End::MaxSteps => 0,
                };
                Ok(Outcome {
                    summary,
                    exit,
                    generates,
                    unvalidated: self.dataset.is_empty(Part::Valid),
                })
            }
            Err(failure) => {
                progress.abandon();
                if let Some(fresh) = fresh.filter(|_| !progress.has_begun()) {
                    fresh.remove(&path);
                }
                let exit = match failure.class {
                    Class::Interrupted => interrupt.exit_code(),
                    _ => failure.exit_code(),
                };
                let failure = Failure {
                    exit: Some(exit),
                    ..Failure::from(failure)
                };
                Err(failure).within(sources)
            }
        }
    }
}

impl Fresh {
    /// A run that never began leaves no folder.
    fn remove(&self, path: &Path) {
        let _ = std::fs::remove_dir_all(path);
        if self.there {
            let _ = std::fs::create_dir(path);
        } else if path.parent() == Some(&runs()) {
            // Goes only where no other run is in it.
            let _ = std::fs::remove_dir(runs());
        }
    }
}

/// One step on the first batch and nothing kept.
fn once(
    common: &Common,
    args: &TrainArgs,
    loaded: &Loaded,
    block: &TrainBlock,
    dataset: &Dataset,
) -> Result<u8, Failure> {
    let mut block = block.clone();
    block.settings.validate = crate::settings::Validate::EveryEpoch;
    let job = Job {
        common,
        loaded,
        block: &block,
        dataset,
        generate: None,
        silent: true,
        max_steps: Some(1),
        format: LogFormat::Text,
        told: Vec::new(),
    };
    // Training writes as it goes; here into a folder that goes away.
    let dir = std::env::temp_dir().join(format!("seqc-dry-run-{}", std::process::id()));
    let record = Record::new(
        &args.file,
        Default::default(),
        Vec::new(),
        &block.settings,
        None,
        dataset,
    );
    let text = &loaded.sources.get(loaded.file.id).text;
    let outcome = job.carry_out(
        || Ok(RunFolder::create(Some(&dir), &dir, record, text)?),
        None,
    );
    let _ = std::fs::remove_dir_all(&dir);
    let outcome = outcome?;
    let summary = &outcome.summary;
    if common.json {
        let mut json = summary.json();
        if let Some(o) = json.as_object_mut() {
            o.remove("run");
        }
        stdout::line(&json.to_string())?;
    } else {
        let loss = summary
            .train_loss
            .map_or(String::new(), |l| format!(", loss {l:.4}"));
        stdout::line(&format!(
            "{}: {} weights, compiled in {:.0} ms, {} step{loss}; nothing kept",
            block.settings.model, summary.params, summary.compile_ms, summary.steps
        ))?;
    }
    Ok(outcome.exit)
}
