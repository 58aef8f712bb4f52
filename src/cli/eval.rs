//! `seqc eval`: loss and metrics of a run, or of a file with weights, on one part of the data.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::args::{Common, Dtype, EvalArgs, PartArg, PlotArg};
use super::load::{Loaded, base, load, read, unwritten};
use super::opened::{Opened, no_such, refuse_other, runs_of};
use super::plotted;
use super::ready;
use super::render::printable;
use super::session::{self, Backend, Compiler};
use super::told::measured;
use super::{Failure, from_training, stdout};
use crate::check::settings::TrainBlock;
use crate::data::spec::Split;
use crate::data::{Dataset, Fits, LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
use crate::settings::{Baseline, GenerateSettings, Metric, Recompute, TrainSettings};
use crate::train::decode::Decoding;
use crate::train::evaluate::{self, Evaluator, Wrote};
use crate::train::folder;
use crate::train::translated;
use crate::train::truth;
use crate::train::weights;

pub fn run(common: &Common, args: &EvalArgs) -> Result<u8, Failure> {
    if folder::holds_run(&args.run) || args.run.is_dir() {
        let opened = Opened::new(&args.run, common)?;
        refuse_other(&args.run, &opened.record, args.model.as_deref())?;
        let (record, block) = (&opened.record, &opened.block);
        let source = Source {
            base: record.base.clone(),
            recorded: record.data.clone(),
            fits: Some(&record.fits),
        };
        let (dataset, whole) = dataset(&opened.loaded, block, common, args, &source)?;
        let subject = Subject {
            loaded: &opened.loaded,
            block,
            generate: opened.generate.as_ref(),
            dataset: &dataset,
            whole,
            run: Some(&args.run),
        };
        return measure(common, args, &subject);
    }
    if !args.run.exists() {
        return Err(no_such(&args.run));
    }
    let loaded = load(&args.run, common)?.valid()?;
    if args.weights.is_none() {
        return Err(no_weights(args));
    }
    let block = session::train_block(&loaded, args.model.as_deref())?.clone();
    ready::refuse_unavailable(&loaded, &block)?;
    let source = Source {
        base: base(&args.run),
        recorded: Default::default(),
        fits: None,
    };
    let (dataset, whole) = dataset(&loaded, &block, common, args, &source)?;
    let generate = loaded.experiment.generate(&block.settings.model);
    let subject = Subject {
        loaded: &loaded,
        block: &block,
        generate: generate.map(|g| &g.settings),
        dataset: &dataset,
        whole,
        run: None,
    };
    measure(common, args, &subject)
}

/// What is measured.
struct Subject<'a> {
    loaded: &'a Loaded,
    block: &'a TrainBlock,
    generate: Option<&'a GenerateSettings>,
    dataset: &'a Dataset,
    /// All of this file, and no part of it.
    whole: Option<PathBuf>,
    run: Option<&'a Path>,
}

/// Where data is looked for, and what is known of it.
struct Source<'a> {
    base: PathBuf,
    recorded: std::collections::BTreeMap<String, PathBuf>,
    fits: Option<&'a Fits>,
}

fn no_weights(args: &EvalArgs) -> Failure {
    let d = Diagnostic::error("usage::no-weights", "a file is measured with weights");
    let runs = runs_of(&args.run, args.model.as_deref());
    d.help(format!("{runs}; or add --weights FILE")).into()
}

fn part(args: &EvalArgs) -> Part {
    match args.on {
        Some(PartArg::Train) => Part::Train,
        None | Some(PartArg::Valid) => Part::Valid,
        Some(PartArg::Test) => Part::Test,
    }
}

/// The file that is measured as a whole. The split of the data block holds for a folder that is bound
/// here, and for a file where a part of it is asked for; but a file alone has no part where each part
/// is a file. Without a run there is nothing fitted yet: the training part must be there to fit on.
fn whole(
    args: &EvalArgs,
    split: &Split,
    bound: Option<&PathBuf>,
    source: &Source<'_>,
) -> Option<PathBuf> {
    let file = bound.filter(|b| source.fits.is_some() && !b.is_dir())?;
    let parted = match split {
        Split::Parts { .. } => args.on.is_some(),
        Split::Files { .. } => false,
    };
    (!parted).then(|| file.clone())
}

/// The data to measure on, and the file they are all of.
fn dataset(
    loaded: &Loaded,
    block: &TrainBlock,
    common: &Common,
    args: &EvalArgs,
    source: &Source<'_>,
) -> Result<(Dataset, Option<PathBuf>), Failure> {
    let given = session::bindings(common)?;
    session::known_bindings(loaded, &given)?;
    let mut options = LoadOptions::new(&source.base);
    let name = &block.settings.data;
    let data = loaded.experiment.data(name);
    let whole = data.and_then(|d| whole(args, &d.spec.split, given.get(name), source));
    options.only = whole.as_ref().map(|_| part(args));
    options.bindings = source.recorded.clone();
    options.bindings.extend(given);
    options.fits = source.fits;
    Ok((ready::dataset(loaded, block, &options)?, whole))
}

/// Says of a rival that is counted on a training part that there is none.
fn show_without_rival(common: &Common, settings: &TrainSettings, dataset: &Dataset) {
    let counted = settings.metrics.iter().find_map(|m| match m {
        Metric::Versus(Baseline::Column(_)) => None,
        Metric::Versus(rival) => Some(rival),
        _ => None,
    });
    if let Some(rival) = counted.filter(|_| dataset.is_empty(Part::Train) && !common.quiet) {
        let name = rival.name();
        eprintln!("`versus({name})` is left out: it is counted on a training part");
    }
}

/// What a part is counted in.
fn unit(dataset: &Dataset) -> &'static str {
    match dataset.is_long() {
        true => "step",
        false => "example",
    }
}

fn measure(common: &Common, args: &EvalArgs, subject: &Subject<'_>) -> Result<u8, Failure> {
    let Subject {
        loaded,
        block,
        generate,
        dataset,
        whole,
        run,
    } = subject;
    let (dataset, run, part) = (*dataset, *run, part(args));
    if dataset.is_empty(part) {
        let message = format!("the part {} is empty", part.name());
        let d = Diagnostic::error("data::empty-part", message);
        let others = Part::ALL.into_iter().filter(|p| !dataset.is_empty(*p));
        let others = others.map(|p| match dataset.len(p) {
            1 => format!("--on {} has 1 {}", p.name(), unit(dataset)),
            n => format!("--on {} has {n} {}s", p.name(), unit(dataset)),
        });
        let others: Vec<String> = others.collect();
        return Err(match others.is_empty() {
            true => d.into(),
            false => d.help(others.join(", ")).into(),
        });
    }
    if let Some(left) = dataset.left_out().filter(|_| !common.quiet) {
        eprintln!("{} are left out: {}", left.share(), left.why());
    }
    for text in dataset.told_unseen(part).iter().filter(|_| !common.quiet) {
        eprintln!("{text}");
    }
    let model = loaded.model(Some(&block.settings.model))?;
    let model = session::bound(model, dataset, &block.settings);
    let backend = match args.dtype {
        Dtype::F32 => Backend::cpu(common),
        Dtype::F64 => Backend::Reference,
    };
    let mut compiler = Compiler {
        model: &model,
        backend: &backend,
        frozen: Vec::new(),
        recompute: Recompute::Auto,
        precision: block.settings.precision,
        ms: 0.0,
    };
    let mut stage = compiler.stage(Options::EVALUATE, false)?;
    let signature = stage.start.signature().clone();
    let arena = match (&args.weights, run) {
        (Some(path), _) => {
            let bytes = read(path)?;
            let name = path.display().to_string();
            let origin = weights::Origin {
                file: &name,
                class: crate::train::failure::Class::Program,
            };
            let mut all = weights::arenas(
                &bytes,
                &signature.params,
                signature.param_len,
                &[""],
                origin,
            )
            .map_err(from_training)?;
            all.pop().unwrap_or_default()
        }
        (None, Some(run)) => super::opened::best(run, &signature)?,
        (None, None) => return Err(no_weights(args)),
    };
    if let Some(path) = &args.grads {
        let options = Options {
            predictions: false,
            ..Options::EVALUATE
        };
        let mut function = compiler.function(options, true)?;
        let g =
            evaluate::gradients(function.as_mut(), &arena, dataset, part).map_err(from_training)?;
        let bytes = g.file(function.signature()).map_err(from_training)?;
        std::fs::write(path, bytes).map_err(|e| unwritten(path, &e))?;
    }
    if let Some(path) = &args.plot {
        plotted::refuse(path, args.plot_of, dataset, run)?;
    }
    let mut settings = block.settings.clone();
    // A picture of answers is one of a confusion.
    let confusion = plotted::wants_confusion(args, dataset, &settings);
    if confusion {
        settings.metrics.push(Metric::Confusion);
    }
    // Nothing is generated here.
    settings.metrics.retain(|m| *m != Metric::Copied);
    show_without_rival(common, &settings, dataset);
    let mut evaluator =
        Evaluator::new(&settings, dataset, !model.penalties.is_empty()).map_err(from_training)?;
    let stop = AtomicBool::new(false);
    let mut wrote = Wrote::default();
    if evaluator.wants_bleu() {
        let mut generator = compiler.generator(settings.window)?;
        let how = Decoding::of(*generate);
        let scored = translated::bleu(
            Some(&mut generator),
            &arena,
            &settings,
            dataset,
            part,
            &how,
            &stop,
        );
        wrote.bleu = scored.map_err(from_training)?;
    }
    let mut result = evaluator
        .measure(&mut stage, &arena, part, wrote, &stop)
        .map_err(from_training)?
        .unwrap_or_default();
    if let Some(path) = &args.plot {
        let picture = match (args.plot_of, run) {
            (PlotArg::Answers, _) => {
                let pairs = truth::pairs(&mut stage, &arena, &settings, dataset, part);
                plotted::answers(path, pairs.map_err(from_training)?, &result.by_class)
            }
            (of, Some(run)) => plotted::curves(path, of, run)?,
            (_, None) => Vec::new(),
        };
        plotted::write(path, &picture)?;
    }
    if confusion {
        // Drawn, and not asked for.
        result.by_class.confusion = None;
    }
    if common.json {
        let name = if whole.is_some() { "all" } else { part.name() };
        let mut o = serde_json::Map::new();
        o.insert(format!("{name}.loss"), result.loss.into());
        for (key, value) in &result.metrics {
            o.insert(format!("{name}.{key}"), (*value).into());
        }
        let unseen = dataset.unseen(part);
        if unseen > 0 {
            o.insert(format!("{name}.unseen"), unseen.into());
        }
        for (key, value) in result.by_class.json() {
            o.insert(format!("{name}.{key}"), value);
        }
        stdout::line(&serde_json::Value::Object(o).to_string())?;
    } else {
        let name = match whole {
            Some(file) => format!("all of {}", printable(&file.to_string_lossy())),
            None => part.name().to_string(),
        };
        let measured = measured(&result, &settings.metrics);
        stdout::line(&format!("{name}: loss {measured}"))?;
    }
    Ok(0)
}
