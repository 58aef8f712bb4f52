//! A trained run opened for use: its model compiled, its best weights read.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::args::Common;
use super::load::{self, Loaded, load_text};
use super::session::{self, Backend, Compiler};
use super::{Failure, from_training, shell};
use crate::check::program::Model;
use crate::check::settings::TrainBlock;
use crate::diagnostics::{Diagnostic, nearest};
use crate::lower::Options;
use crate::settings::{GenerateSettings, Recompute};
use crate::targets::executable::Signature;
use crate::train::checkpoint::{self, Which};
use crate::train::folder::{self, Record};
use crate::train::plan::Stage;
use crate::train::runs;

/// The folder of runs that were given none.
pub const RUNS: &str = "runs";

/// The code of what is no run.
const NO_RUN: &str = "run::not-a-run";

pub struct Opened {
    pub loaded: Loaded,
    /// Its settings are those recorded, changed by this command's `--set`.
    pub block: TrainBlock,
    pub generate: Option<GenerateSettings>,
    pub record: Record,
    /// With the sizes of the run's vocabularies.
    pub model: Model,
    pub backend: Backend,
}

impl Opened {
    pub fn new(path: &Path, common: &Common) -> Result<Opened, Failure> {
        let (record, source) = folder::read(path).map_err(|f| no_run(path, from_training(f)))?;
        let name = &record.train.model;
        let began = load_text(&record.file, &source, &record.set)?.valid()?;
        let now = load::sets(common);
        let (loaded, before) = match now.is_empty() {
            true => (began, None),
            false => {
                let all = [&record.set[..], &now].concat();
                (
                    load_text(&record.file, &source, &all)?.valid()?,
                    Some(began),
                )
            }
        };
        let mut block = session::train_block(&loaded, Some(name))?.clone();
        let mut generate = record.generate.clone();
        if let Some(before) = &before {
            let was = session::train_block(before, Some(name))?;
            block.settings = merged(&record.train, &was.settings, &block.settings);
            let of = |loaded: &Loaded| {
                let found = loaded.experiment.generate(name);
                found.map(|g| g.settings.clone())
            };
            generate = match (&generate, of(before), of(&loaded)) {
                (Some(recorded), Some(was), Some(is)) => Some(merged(recorded, &was, &is)),
                (_, _, is) => is,
            };
        } else {
            block.settings = record.train.clone();
        }
        let sizes = |name: &str| {
            let field = record.field(name)?;
            Some((
                field.vocabulary.as_ref().map(|v| v.len()),
                field.features.clone(),
            ))
        };
        let model = loaded.model(Some(name))?;
        let model = session::bound_with(model, &sizes, &block.settings);
        Ok(Opened {
            block,
            generate,
            record,
            model,
            backend: Backend::cpu(common),
            loaded,
        })
    }

    pub fn stage(&self, options: Options) -> Result<Stage, Failure> {
        self.compiler().stage(options, false)
    }

    pub fn compiler(&self) -> Compiler<'_> {
        Compiler {
            model: &self.model,
            backend: &self.backend,
            frozen: Vec::new(),
            recompute: Recompute::Auto,
            precision: self.block.settings.precision,
            ms: 0.0,
        }
    }
}

/// Of what is no run: of a `.seq` file which runs of it there are, of a name that nothing has the runs
/// that it may mean.
pub fn no_run(path: &Path, mut failure: Failure) -> Failure {
    let program = path.is_file() && path.extension().is_some_and(|e| e == "seq");
    let mut all = failure.diagnostics.iter_mut();
    let Some(d) = all.find(|d| d.code == NO_RUN) else {
        return failure;
    };
    if program {
        d.help = Some(runs_of(path, None));
    } else if let (Some(said), Some(others)) = (&d.help, others(path)) {
        d.help = Some(format!("{said}; {others}"));
    }
    failure
}

/// Neither a file nor a run.
pub fn no_such(path: &Path) -> Failure {
    let (said, exit) = match path.exists() {
        true => ("this folder holds no run", 2),
        false => ("there is no such file or run", 3),
    };
    let d = Diagnostic::error(NO_RUN, said);
    let failure = Failure::plain(d.help(format!("the path is {}", path.display())));
    Failure {
        exit: Some(exit),
        ..no_run(path, failure)
    }
}

/// The runs of a `.seq` file, or how to make one.
pub fn runs_of(path: &Path, model: Option<&str>) -> String {
    let runs = runs::of_file(Path::new(RUNS), path);
    let runs: Vec<String> = runs.iter().map(|r| shell::path(r)).collect();
    match &runs[..] {
        [] => format!("{} makes a run", trained(path, model)),
        [one] => format!("its run is {one}"),
        several => format!("its runs are {}", several.join(", ")),
    }
}

/// The command that trains a file.
pub fn trained(path: &Path, model: Option<&str>) -> String {
    let model = model.map_or(String::new(), |m| format!(" {}", shell::quoted(m)));
    format!("seqc train {}{model}", shell::path(path))
}

/// The run whose name is nearest, or some of all that there are.
fn others(path: &Path) -> Option<String> {
    let all = runs::all(Path::new(RUNS));
    let name = |run: &Path| {
        run.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let names: Vec<String> = all.iter().map(|r| name(r)).collect();
    if let Some(near) = nearest(&name(path), names.iter().map(String::as_str)) {
        let near = shell::path(&Path::new(RUNS).join(near));
        return Some(format!("did you mean {near}?"));
    }
    let some: Vec<String> = all
        .iter()
        .take(runs::SOME)
        .map(|r| shell::path(r))
        .collect();
    let more = match all.len() > some.len() {
        true => format!(", … ({} in all)", all.len()),
        false => String::new(),
    };
    (!some.is_empty()).then(|| format!("there are {}{more}", some.join(", ")))
}

/// What the run recorded, but for what this command changed of the program: the file of the run may
/// be another than it was.
fn merged<T: Clone + Serialize + DeserializeOwned>(recorded: &T, was: &T, is: &T) -> T {
    let object = |x: &T| match serde_json::to_value(x) {
        Ok(Value::Object(entries)) => entries,
        Ok(_) | Err(_) => Map::new(),
    };
    let (mut out, was) = (object(recorded), object(was));
    for (key, value) in object(is) {
        if was.get(&key) != Some(&value) {
            out.insert(key, value);
        }
    }
    serde_json::from_value(Value::Object(out)).unwrap_or_else(|_| is.clone())
}

/// A model that the command names must be the run's.
pub fn refuse_other(run: &Path, record: &Record, model: Option<&str>) -> Result<(), Diagnostic> {
    let own = &record.train.model;
    match model.filter(|m| m != own) {
        None => Ok(()),
        Some(other) => {
            let message = format!("{} is a run of {own}, not of {other}", run.display());
            let d = Diagnostic::error("usage::other-model", message);
            Err(d.help("a run holds the one model it was started with"))
        }
    }
}

/// The best weights of a run.
pub fn best(run: &Path, signature: &Signature) -> Result<Vec<f32>, Failure> {
    let found = checkpoint::load_weights(run, Which::Best, &signature.params, signature.param_len);
    match found.map_err(from_training)? {
        Some((_, weights)) => Ok(weights),
        None => {
            let message = format!("{} has no checkpoint yet", run.display());
            let d = Diagnostic::error("checkpoint::none", message);
            Err(d.help("train it with --resume").into())
        }
    }
}
