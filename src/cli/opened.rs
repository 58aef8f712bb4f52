//! A trained run opened for use: its model compiled, its best weights read.

use std::path::Path;

use super::args::Common;
use super::load::{Loaded, load_text};
use super::session::{self, Backend, Compiler};
use super::{Failure, from_training};
use crate::check::program::Model;
use crate::check::settings::TrainBlock;
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
use crate::targets::executable::Signature;
use crate::train::checkpoint::{self, Which};
use crate::train::folder::{self, Record};
use crate::train::plan::Stage;

pub struct Opened {
    pub loaded: Loaded,
    pub block: TrainBlock,
    pub record: Record,
    /// With the sizes of the run's vocabularies.
    pub model: Model,
    pub backend: Backend,
}

impl Opened {
    pub fn new(path: &Path, common: &Common) -> Result<Opened, Failure> {
        let (record, source) = folder::read(path).map_err(from_training)?;
        let loaded = load_text(&record.file, &source, common)?.valid()?;
        let mut block = session::train_block(&loaded, Some(&record.train.model))?.clone();
        if common.set.is_empty() {
            block.settings = record.train.clone();
        }
        let sizes = |name: &str| {
            let field = record.field(name)?;
            Some((
                field.vocabulary.as_ref().map(|v| v.len()),
                field.features.clone(),
            ))
        };
        let model = loaded.model(Some(&record.train.model))?;
        let model = session::bound_with(model, &sizes, &block.settings);
        Ok(Opened {
            block,
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
            ms: 0.0,
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
