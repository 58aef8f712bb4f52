//! `seqc eval`: loss and metrics of a run, or of a file with weights, on one part of the data.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::args::{Common, Dtype, EvalArgs, PartArg, PlotArg};
use super::load::{Loaded, load, plain, read};
use super::opened::{Opened, refuse_other};
use super::plotted;
use super::progress::measured;
use super::session::{self, Backend, Compiler};
use super::{Failure, from_training, stdout};
use crate::check::settings::TrainBlock;
use crate::data::{Dataset, Fits, LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
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
        let dataset = dataset(&opened.loaded, block, common, args, &source)?;
        return measure(
            common,
            args,
            &opened.loaded,
            block,
            &dataset,
            Some(&args.run),
        );
    }
    let loaded = load(&args.run, common)?.valid()?;
    let block = session::train_block(&loaded, args.model.as_deref())?.clone();
    super::train::refuse_unavailable(&loaded, &block)?;
    let source = Source {
        base: session::base(&args.run),
        recorded: Default::default(),
        fits: None,
    };
    let dataset = dataset(&loaded, &block, common, args, &source)?;
    measure(common, args, &loaded, &block, &dataset, None)
}

/// Where data is looked for, and what is known of it.
struct Source<'a> {
    base: PathBuf,
    recorded: std::collections::BTreeMap<String, PathBuf>,
    fits: Option<&'a Fits>,
}

fn part(args: &EvalArgs) -> Part {
    match args.on {
        PartArg::Train => Part::Train,
        PartArg::Valid => Part::Valid,
        PartArg::Test => Part::Test,
    }
}

/// A source bound here is wholly the part that is measured; else the file's split holds.
fn dataset(
    loaded: &Loaded,
    block: &TrainBlock,
    common: &Common,
    args: &EvalArgs,
    source: &Source<'_>,
) -> Result<Dataset, Failure> {
    let given = session::bindings(common)?;
    session::known_bindings(loaded, &given)?;
    let mut options = LoadOptions::new(&source.base);
    // Without a run there is nothing fitted yet: the file's own split must be there to fit on.
    options.only = (!given.is_empty() && source.fits.is_some()).then(|| part(args));
    options.bindings = source.recorded.clone();
    options.bindings.extend(given);
    options.fits = source.fits;
    super::train::dataset(loaded, block, &options)
}

fn measure(
    common: &Common,
    args: &EvalArgs,
    loaded: &Loaded,
    block: &TrainBlock,
    dataset: &Dataset,
    run: Option<&Path>,
) -> Result<u8, Failure> {
    let part = part(args);
    if dataset.is_empty(part) {
        let message = format!("the part {} is empty", name(part));
        return Err(Diagnostic::error("data::empty-part", message).into());
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
        (None, None) => {
            let d = Diagnostic::error("usage::no-weights", "a file is measured with weights");
            return Err(d.help("add --weights FILE, or give a run folder").into());
        }
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
        std::fs::write(path, bytes).map_err(|e| {
            let message = format!("{} cannot be written: {}", path.display(), plain(&e));
            Diagnostic::error("io::write", message)
        })?;
    }
    if let Some(path) = &args.plot {
        plotted::refuse(path, args.plot_of, dataset, run)?;
    }
    let mut settings = block.settings.clone();
    // A picture of answers is one of a confusion.
    let confusion = plotted::wants_confusion(args, dataset, &settings);
    if confusion {
        settings.metrics.push(crate::settings::Metric::Confusion);
    }
    // Nothing is generated here.
    settings
        .metrics
        .retain(|m| *m != crate::settings::Metric::Copied);
    let mut evaluator =
        Evaluator::new(&settings, dataset, !model.penalties.is_empty()).map_err(from_training)?;
    let stop = AtomicBool::new(false);
    let mut wrote = Wrote::default();
    if evaluator.wants_bleu() {
        let mut generator = compiler.generator(settings.window)?;
        let how = loaded.experiment.generate(&settings.model);
        let how = Decoding::of(how.map(|g| &g.settings));
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
        let mut o = serde_json::Map::new();
        o.insert(format!("{}.loss", name(part)), result.loss.into());
        for (key, value) in &result.metrics {
            o.insert(format!("{}.{key}", name(part)), (*value).into());
        }
        for (key, value) in result.by_class.json() {
            o.insert(format!("{}.{key}", name(part)), value);
        }
        stdout::line(&serde_json::Value::Object(o).to_string())?;
    } else {
        stdout::line(&format!(
            "{}: loss {}",
            name(part),
            measured(&result, &settings.metrics)
        ))?;
    }
    Ok(0)
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Valid => "valid",
        Part::Test => "test",
    }
}
