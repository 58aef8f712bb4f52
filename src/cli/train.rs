//! `seqc train`: from a file (or a run to go on with) to a run folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::args::{Common, TrainArgs};
use super::load::{Loaded, load, load_text};
use super::progress::Progress;
use super::session::{self, Backend, Compiler};
use super::{Failure, from_training, render, stdout};
use crate::check::settings::TrainBlock;
use crate::data::{Dataset, LoadOptions};
use crate::diagnostics::Diagnostic;
use crate::settings::Metric;
use crate::train::folder::{self, Record, RunFolder};
use crate::train::observe::End;
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
        (false, true) => Some(newest(common, args)?),
        (false, false) => None,
    };
    match resumed {
        Some(path) => resume(common, args, &path),
        None => start(common, args),
    }
}

/// The run that `--resume` means where it is given a file.
fn newest(common: &Common, args: &TrainArgs) -> Result<PathBuf, Failure> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    let loaded = load(&args.file, common)?.valid()?;
    let model = session::train_block(&loaded, args.model.as_deref())?
        .settings
        .model
        .clone();
    let file = args.file.file_name().unwrap_or_default().to_string_lossy();
    folder::newest(&runs(), &file, &model).ok_or_else(|| {
        let message = format!(
            "there is no run of {file} with {model} in {}",
            runs().display()
        );
        Diagnostic::error("usage::no-run", message).into()
    })
}

fn runs() -> PathBuf {
    PathBuf::from("runs")
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
    let base = session::base(&args.file);
    let options = LoadOptions {
        bindings: bindings.clone(),
        ..LoadOptions::new(&base)
    };
    let dataset = dataset(&loaded, block, &options)?;
    if args.dry_run {
        return once(common, args, &loaded, block, &dataset);
    }
    let generate = loaded
        .experiment
        .generate(&block.settings.model)
        .map(|g| &g.settings);
    let record = Record::new(&args.file, bindings, &block.settings, generate, &dataset);
    let text = &loaded.sources.get(loaded.file.id).text;
    let folder =
        RunFolder::create(args.out.as_deref(), &runs(), record, text).map_err(from_training)?;
    carry_out(common, args, &loaded, block, &dataset, folder)
}

fn resume(common: &Common, args: &TrainArgs, path: &Path) -> Result<u8, Failure> {
    let folder = RunFolder::open(path).map_err(from_training)?;
    let record = folder.record.clone();
    let loaded = load_text(&record.file, &folder.source, common)?.valid()?;
    let mut block = session::train_block(&loaded, Some(&record.train.model))?.clone();
    let mut bindings = record.data.clone();
    bindings.extend(session::bindings(common)?);
    let mut options = LoadOptions {
        bindings,
        ..LoadOptions::new(&record.base)
    };
    options.fits = Some(&record.fits);
    let dataset = dataset(&loaded, &block, &options)?;
    block.settings = record.train.clone();
    carry_out(common, args, &loaded, &block, &dataset, folder)
}

pub fn dataset(
    loaded: &Loaded,
    block: &TrainBlock,
    options: &LoadOptions<'_>,
) -> Result<Dataset, Failure> {
    let data = loaded.experiment.data(&block.settings.data);
    let data = data.ok_or_else(|| {
        let message = format!("the file has no data block {}", block.settings.data);
        Diagnostic::error("usage::no-data", message)
    })?;
    Dataset::load(&data.spec, &block.wanted, options)
        .map_err(|diagnostics| Failure::new(diagnostics, loaded.sources.clone()))
}

/// What `check` only warns of stops training.
pub fn refuse_unavailable(loaded: &Loaded, block: &TrainBlock) -> Result<(), Failure> {
    let model = loaded
        .diagnostics
        .iter()
        .filter(|d| d.code == crate::check::UNAVAILABLE);
    let mut all: Vec<Diagnostic> = block.unavailable.clone();
    let known = loaded.models.iter().any(|m| m.name == block.settings.model);
    if !known {
        all.extend(model.cloned());
    }
    if all.is_empty() && known {
        return Ok(());
    }
    for d in &mut all {
        d.severity = crate::diagnostics::Severity::Error;
    }
    if all.is_empty() {
        let message = format!("the model {} cannot be compiled", block.settings.model);
        all.push(Diagnostic::error(crate::check::UNAVAILABLE, message));
    }
    Err(Failure::new(all, loaded.sources.clone()))
}

/// Set by SIGINT and SIGTERM; a second signal ends the process at once.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let flag = Arc::new(AtomicBool::new(false));
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
        // The order matters: the second arrival finds the flag set by the first.
        let twice = signal_hook::flag::register_conditional_shutdown(signal, code, flag.clone());
        twice
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .map_err(|e| Diagnostic::error("io::signal", format!("signals: {e}")))?;
    }
    Ok(flag)
}

/// Whether a metric reads predictions and not only the loss.
fn reads_predictions(metric: &Metric) -> bool {
    !matches!(
        metric,
        Metric::Perplexity | Metric::BitsPerChar | Metric::Copied
    )
}

fn carry_out(
    common: &Common,
    args: &TrainArgs,
    loaded: &Loaded,
    block: &TrainBlock,
    dataset: &Dataset,
    folder: RunFolder,
) -> Result<u8, Failure> {
    let path = folder.path().to_path_buf();
    let model = loaded.model(Some(&block.settings.model))?;
    let model = session::bound(model, dataset, &block.settings);
    let backend = Backend::cpu(common);
    let mut compiler = Compiler {
        frozen: session::frozen(&model, &block.settings),
        model: &model,
        backend: &backend,
        ms: 0.0,
    };
    let samples = model.inputs.iter().any(|i| i.feeds_itself);
    let predictions = block.settings.metrics.iter().any(reads_predictions);
    let functions = compiler.functions(predictions, samples)?;
    let generate = loaded
        .experiment
        .generate(&block.settings.model)
        .map(|g| &g.settings);
    let interrupt = interrupt()?;
    let mut progress = Progress::new(common);
    let weights = block.settings.weights.as_ref();
    let start = weights.map_or(Start::Initial, |w| {
        Start::Weights(folder.record.base.join(w))
    });
    let plan = Plan {
        settings: &block.settings,
        generate,
        params: &session::specs(&model)?,
        dataset,
        functions,
        folder,
        start,
        penalties: !model.penalties.is_empty(),
        max_steps: args.max_steps,
        interrupt: &interrupt,
        save_every: SAVE_EVERY,
        observer: &mut progress,
        started: *STARTED,
        compile_ms: compiler.ms,
    };
    let summary = run::train(plan).map_err(from_training)?;
    progress.finish(&summary);
    if common.json {
        stdout::line(&summary.json().to_string())?;
    } else if summary.end != End::Interrupted {
        let next = match samples {
            true => format!("seqc generate {}", path.display()),
            false => format!("seqc eval {}", path.display()),
        };
        stdout::line(&format!("Run {}. Next: {next}", path.display()))?;
    }
    Ok(match summary.end {
        End::Interrupted => 130,
        End::Finished | End::Stopped | End::MaxSteps => 0,
    })
}

/// One step on the first batch and nothing written.
fn once(
    common: &Common,
    args: &TrainArgs,
    loaded: &Loaded,
    block: &TrainBlock,
    dataset: &Dataset,
) -> Result<u8, Failure> {
    let mut settings = block.settings.clone();
    settings.validate = crate::settings::Validate::EveryEpoch;
    let folder = tempfile_folder(args, &settings, dataset, loaded)?;
    let args = TrainArgs {
        max_steps: Some(1),
        ..args.clone()
    };
    let path = folder.path().to_path_buf();
    let mut block = block.clone();
    block.settings = settings;
    let quiet = Common {
        quiet: true,
        json: true,
        ..common.clone()
    };
    let code = carry_out(&quiet, &args, loaded, &block, dataset, folder);
    let _ = std::fs::remove_dir_all(path);
    code
}

fn tempfile_folder(
    args: &TrainArgs,
    settings: &crate::settings::TrainSettings,
    dataset: &Dataset,
    loaded: &Loaded,
) -> Result<RunFolder, Failure> {
    let record = Record::new(&args.file, Default::default(), settings, None, dataset);
    let dir = std::env::temp_dir().join(format!("seqc-dry-run-{}", std::process::id()));
    let text = &loaded.sources.get(loaded.file.id).text;
    RunFolder::create(Some(&dir), &dir, record, text).map_err(from_training)
}
