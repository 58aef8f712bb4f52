//! From a checked file and its data to compiled functions: what train, eval, generate and predict share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::args::Common;
use super::load::{Loaded, is_inside};
use super::{Failure, from_training, shell};
use crate::check::program::{self, Model};
use crate::check::settings::{TrainBlock, apply_adapters, apply_losses};
use crate::data::{Dataset, LoadOptions};
use crate::diagnostics::{Diagnostic, nearest};
use crate::ir::Func;
use crate::lower::Options;
use crate::pipeline::{self, Build};
use crate::settings::{Precision, Recompute, TrainSettings};
use crate::targets::cpu::pool::Pool;
use crate::targets::executable::Executable;
use crate::train;
use crate::train::failure::Class;
use crate::train::generator::Generator;
use crate::train::init::{Init, ParamSpec};
use crate::train::plan::{Functions, Later, Stage};

/// Why a model has no one-step form; no faults.
const CANNOT_WRITE: [&str; 3] = [
    "generate::not-possible",
    "step::not-causal",
    "step::unsupported",
];

/// What computes: machine code, or the interpreter in f64.
pub enum Backend {
    Cpu(Arc<Pool>),
    Reference,
}

impl Backend {
    pub fn cpu(common: &Common) -> Backend {
        Backend::Cpu(pool(common))
    }

    /// Threads that compute, the caller's among them.
    pub fn threads(&self) -> usize {
        match self {
            Backend::Cpu(pool) => pool.workers(),
            Backend::Reference => 1,
        }
    }
}

/// As many threads as are asked for, or as the machine has.
pub fn pool(common: &Common) -> Arc<Pool> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Pool::new(common.threads.map_or(all, usize::from)))
}

/// Compiles the functions of one model.
#[derive(Clone)]
pub struct Compiler<'a> {
    pub model: &'a Model,
    pub backend: &'a Backend,
    pub frozen: Vec<String>,
    pub recompute: Recompute,
    pub precision: Precision,
    /// Time spent so far, in milliseconds.
    pub ms: f64,
}

impl<'a> Compiler<'a> {
    fn build(&self) -> Build {
        Build {
            off: Vec::new(),
            frozen: self.frozen.clone(),
            recompute: self.recompute.clone(),
            precision: self.precision,
        }
    }

    /// One function; with gradients where they are wanted.
    pub fn function(
        &mut self,
        options: Options,
        gradients: bool,
    ) -> Result<Box<dyn Executable>, Failure> {
        let began = Instant::now();
        let stages = self.build().stages(self.model, options, gradients);
        let stages = stages.map_err(pipeline::internal)?;
        let made = match self.backend {
            Backend::Cpu(pool) => pipeline::machine(&stages.optimized, pool.clone())?,
            Backend::Reference => {
                let plain = stages.gradient.unwrap_or(stages.lowered);
                Box::new(pipeline::reference::Reference::new(plain)?) as Box<dyn Executable>
            }
        };
        self.ms += began.elapsed().as_secs_f64() * 1e3;
        Ok(made)
    }

    /// The function, and the form that continues an earlier call where the two differ.
    pub fn stage(&mut self, options: Options, gradients: bool) -> Result<Stage, Failure> {
        let start = self.function(options, gradients)?;
        let given = self.model.body.iter().any(|stmt| match stmt {
            program::Stmt::Scan(s) => s.states.iter().any(|s| s.initial.is_some()),
            program::Stmt::Let { .. } => false,
        });
        let resume = true;
        let resume = match given {
            true => Some(self.function(Options { resume, ..options }, gradients)?),
            false => None,
        };
        Ok(Stage { start, resume })
    }

    /// One step of the target that the model reads back, for sequences of any length. `window` is
    /// how many steps a model that looks back was trained to see.
    ///
    /// Errors: the model reads no target of its own, or several; a step needs later ones.
    pub fn generator(&mut self, window: Option<u32>) -> Result<Generator, Failure> {
        let target = own_target(self.model)?;
        let began = Instant::now();
        let window = window.map(|w| w as usize);
        let make = |func| self.step(func);
        let generator = pipeline::generate::generator(self.model, &target, window, &make)?;
        self.ms += began.elapsed().as_secs_f64() * 1e3;
        Ok(generator)
    }

    /// One step of all that the model returns.
    pub fn follower(&mut self, window: Option<usize>) -> Result<Generator, Diagnostic> {
        pipeline::generate::follower(self.model, window, &|func| self.step(func))
    }

    fn step(&self, func: Func) -> Result<Box<dyn Executable>, Diagnostic> {
        Ok(match self.backend {
            Backend::Cpu(pool) => {
                let stages = self.build().held(func).map_err(pipeline::internal)?;
                pipeline::machine(&stages.optimized, pool.clone())?
            }
            Backend::Reference => Box::new(pipeline::reference::Reference::new(func)?),
        })
    }

    /// The same where samples are shown during training, which goes on without them.
    fn samples(&mut self, window: Option<u32>) -> Result<Option<Generator>, Failure> {
        match self.generator(window) {
            Ok(generator) => Ok(Some(generator)),
            Err(f) if f.diagnostics.iter().all(|d| CANNOT_WRITE.contains(&d.code)) => Ok(None),
            Err(f) => Err(f),
        }
    }

    /// The same without gradients, once it is wanted.
    pub fn later(&self, options: Options) -> Later<'a> {
        let compiler = self.clone();
        Later::new(move || {
            let made = compiler.clone().stage(options, false);
            made.map_err(|failure| train::failure::Failure {
                class: Class::Program,
                diagnostics: failure.diagnostics,
            })
        })
    }

    /// Everything that training calls; `part`: batches are computed in parts.
    pub fn functions(
        &mut self,
        predictions: bool,
        samples: bool,
        window: Option<u32>,
        part: bool,
    ) -> Result<Functions<'a>, Failure> {
        let options = Options {
            part,
            ..Options::TRAIN
        };
        let train = self.stage(options, true)?;
        let evaluate = Options::EVALUATE;
        let evaluate = self.later(Options {
            predictions,
            ..evaluate
        });
        let step = match samples {
            true => self.samples(window)?,
            false => None,
        };
        Ok(Functions {
            train,
            evaluate,
            step,
        })
    }
}

/// The one target that a model reads back, which is what it writes.
pub fn own_target(model: &Model) -> Result<String, Failure> {
    let own = pipeline::generate::own_targets(model)?;
    let names: Vec<&str> = own.iter().map(String::as_str).collect();
    let target = train::generate::own(&names).map_err(from_training)?;
    Ok(target.to_string())
}

/// What data says of a field: the size of its vocabulary, and its sizes after the time.
type Sizes = (Option<usize>, Vec<usize>);

/// The model with the sizes of its data and the losses of its settings.
pub fn bound(model: &Model, dataset: &Dataset, settings: &TrainSettings) -> Model {
    let sizes = |name: &str| {
        let column = dataset.column(name)?;
        Some((
            column.vocabulary.as_ref().map(|v| v.len()),
            column.features.clone(),
        ))
    };
    bound_with(model, &sizes, settings)
}

/// The same with what a run recorded of its data.
pub fn bound_with(
    model: &Model,
    sizes: &dyn Fn(&str) -> Option<Sizes>,
    settings: &TrainSettings,
) -> Model {
    let mut model = pipeline::with_vocabularies(model, &|name| sizes(name)?.0);
    for input in model.inputs.clone() {
        let var = model.var(input.var).clone();
        let Some((_, features)) = sizes(&var.name) else {
            continue;
        };
        let lead = var.shape.len().saturating_sub(features.len());
        for (d, n) in var.shape[lead..].iter().zip(features) {
            if let Some(sym) = d.as_sym().filter(|s| model.dims.static_value(s).is_none()) {
                model.dims.bind(&sym.clone(), n as i64);
            }
        }
    }
    apply_losses(settings, &mut model);
    apply_adapters(settings, &mut model);
    model
}

/// Weights that the settings freeze: they get no gradient.
pub fn frozen(model: &Model, settings: &TrainSettings) -> Vec<String> {
    let is_frozen = |p: &&program::Param| settings.weight(&p.path, p.shape.len()).frozen;
    model
        .params
        .iter()
        .filter(is_frozen)
        .map(|p| p.path.clone())
        .collect()
}

/// Every weight with its size and how it starts.
pub fn specs(model: &Model) -> Result<Vec<ParamSpec>, Failure> {
    let one = |p: &program::Param| -> Result<ParamSpec, Failure> {
        let size = |d: &crate::dim::Dim| -> Result<usize, Failure> {
            let n = model
                .dims
                .eval_static(d)
                .and_then(|n| usize::try_from(n).ok());
            n.ok_or_else(|| {
                let message = format!("the size {d} of {} is not known", p.path);
                Diagnostic::error("size::unknown", message)
                    .label(p.span, "this weight")
                    .into()
            })
        };
        let shape = p.shape.iter().map(size).collect::<Result<Vec<_>, _>>()?;
        let init = match p.init {
            program::Init::Zeros => Init::Zeros,
            program::Init::Ones => Init::Ones,
            program::Init::Xavier => Init::Xavier,
            program::Init::He => Init::He,
            program::Init::Orthogonal => Init::Orthogonal,
            program::Init::Normal(s) => Init::Normal(s),
            program::Init::Uniform(b) => Init::Uniform(b),
            program::Init::Constant(c) => Init::Constant(c),
            program::Init::HeadOrthogonal { first } => Init::HeadOrthogonal { first },
        };
        let symbols = |d: &crate::dim::Dim| {
            let over = model
                .inputs
                .iter()
                .find(|i| i.vocabulary.as_ref() == Some(d));
            over.map(|i| model.var(i.var).name.clone())
        };
        Ok(ParamSpec {
            path: p.path.clone(),
            shape,
            init,
            symbols: p.shape.iter().map(symbols).collect(),
        })
    };
    model.params.iter().map(one).collect()
}

/// Weights that the file wants from outside its folder: what one was sent reads nothing else, unless
/// the command line says so.
pub fn refuse_outside(common: &Common, block: &TrainBlock, base: &Path) -> Result<(), Failure> {
    let Some(written) = &block.settings.weights else {
        return Ok(());
    };
    let sets = |set: &String| {
        let name = set.split('=').next().unwrap_or_default();
        name.trim().ends_with(".weights")
    };
    if common.set.iter().any(sets) || is_inside(base, Path::new(written)) {
        return Ok(());
    }
    let message = format!("`{written}` lies outside the folder of the .seq file");
    let d = Diagnostic::error("data::path-outside", message).help(format!(
        "allow it on the command line: --set {}",
        shell::quoted(&format!("train.weights={written}"))
    ));
    Err(d.into())
}

/// `--data NAME=PATH`, each once.
pub fn bindings(common: &Common) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut out = BTreeMap::new();
    for text in &common.data {
        let Some((name, path)) = text
            .split_once('=')
            .filter(|(n, p)| !n.is_empty() && !p.is_empty())
        else {
            let message = format!("--data {text}: expected NAME=PATH");
            return Err(Diagnostic::error("usage::data", message).into());
        };
        if out.insert(name.to_string(), PathBuf::from(path)).is_some() {
            let message = format!("--data binds {name} twice");
            return Err(Diagnostic::error("usage::data", message).into());
        }
    }
    Ok(out)
}

/// A name bound that no data block of the file has.
pub fn known_bindings(
    loaded: &Loaded,
    bindings: &BTreeMap<String, PathBuf>,
) -> Result<(), Failure> {
    for name in bindings.keys() {
        if loaded.experiment.data(name).is_none() {
            let names: Vec<&str> = loaded
                .experiment
                .data
                .iter()
                .map(|d| d.spec.name.node.as_str())
                .collect();
            let message = format!("--data {name}: the file has no such data block");
            let d = Diagnostic::error("usage::data", message);
            return Err(d.help(format!("it has {}", names.join(", "))).into());
        }
    }
    Ok(())
}

/// Answers that reach the model through the data, seen only once the names of its columns are known.
pub fn leaks(loaded: &Loaded, block: &TrainBlock, options: &LoadOptions<'_>) -> Vec<Diagnostic> {
    let model = loaded
        .models
        .iter()
        .find(|m| m.name == block.settings.model);
    let data = loaded.experiment.data(&block.settings.data);
    let (Some(model), Some(data)) = (model, data) else {
        return Vec::new();
    };
    match crate::data::header(&data.spec, options) {
        Some(header) => crate::check::leaks::check_data(model, &data.spec, Some(&header)),
        None => Vec::new(),
    }
}

/// The train block of a model, or of the file's first one.
pub fn train_block<'a>(loaded: &'a Loaded, model: Option<&str>) -> Result<&'a TrainBlock, Failure> {
    loaded.experiment.train(model).ok_or_else(|| {
        let message = match model {
            Some(m) => format!("the file has no train block for {m}"),
            None => "the file has no train block".to_string(),
        };
        let d = Diagnostic::error("usage::no-train", message);
        let trains = loaded
            .experiment
            .trains
            .iter()
            .map(|t| t.settings.model.as_str());
        let names: Vec<&str> = trains.collect();
        match model.and_then(|m| nearest(m, names.iter().copied())) {
            Some(near) => d.help(format!("did you mean {near}?")).into(),
            None if names.is_empty() => d.into(),
            None => d
                .help(format!("it has those of {}", names.join(", ")))
                .into(),
        }
    })
}
