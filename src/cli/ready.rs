//! What is asked of a program and its data before they are trained or measured.
//!
//! In: a checked file, a train block of it, where its data are. Out: the data, loaded; or why there is
//! nothing to begin with.

use super::Failure;
use super::load::Loaded;
use super::session;
use crate::check::settings::TrainBlock;
use crate::data::{Dataset, LoadOptions};
use crate::diagnostics::Diagnostic;
use crate::train::evaluate;

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

/// What the names of the data's columns show of answers that the model would see.
pub fn refuse_leaks(
    loaded: &Loaded,
    block: &TrainBlock,
    options: &LoadOptions<'_>,
) -> Result<(), Failure> {
    match session::leaks(loaded, block, options) {
        none if none.is_empty() => Ok(()),
        found => Err(Failure::new(found, loaded.sources.clone())),
    }
}

/// The data of a train block, which can be cut into its batches.
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
    let failed = |diagnostics| Failure::new(diagnostics, loaded.sources.clone());
    let dataset = Dataset::load(&data.spec, &block.wanted, options).map_err(failed)?;
    let plan = evaluate::epoch_plan(&block.settings, 0);
    let cut = dataset.check_plan(&plan, block.span);
    cut.map_err(|d| failed(vec![d]))?;
    Ok(dataset)
}
