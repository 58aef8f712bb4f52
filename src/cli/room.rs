//! Whether there is memory for a run, asked before anything is made for it.
//!
//! In: weights, the compiled step and its first batch. Out: `resource::memory` where they need more than
//! the machine has left.

use super::Failure;
use crate::data::{Dataset, Part};
use crate::diagnostics::Diagnostic;
use crate::settings::TrainSettings;
use crate::targets::cpu::memory;
use crate::targets::executable::Executable;
use crate::train::evaluate;
use crate::train::init::ParamSpec;

/// Copies of all weights that training holds: themselves, their gradients, and the optimizer's.
const COPIES: u128 = 4;

/// Weights that do not fit are refused before anything is compiled for them.
pub fn refuse_weights(params: &[ParamSpec], settings: &TrainSettings) -> Result<(), Failure> {
    refuse_beyond(held(params), &format!("the weights of {}", settings.model))
}

/// Bytes of all copies of the weights.
fn held(params: &[ParamSpec]) -> u128 {
    let elements = params.iter().map(|p| {
        let sizes = p.shape.iter().map(|n| *n as u128);
        sizes.fold(1u128, u128::saturating_mul)
    });
    let elements = elements.fold(0u128, u128::saturating_add);
    elements.saturating_mul(4 * COPIES)
}

/// A step of training that does not fit beside the weights is refused before a folder is made for the
/// run and before weights are drawn.
pub fn refuse_batch(
    train: &dyn Executable,
    params: &[ParamSpec],
    dataset: &Dataset,
    settings: &TrainSettings,
) -> Result<(), Failure> {
    let batches = dataset.batches(Part::Train, &evaluate::epoch_plan(settings, 0));
    let parts = (settings.accumulate as usize).max(1);
    let mut peak = 0;
    for part in (0..parts).filter_map(|k| batches.bare_part(0, k, parts)) {
        let (batch, _) = part?;
        let sizes = train.signature().sizes.iter().map(|s| batch.size(s.name()));
        let sizes = sizes.collect::<Option<Vec<usize>>>();
        peak = peak.max(sizes.and_then(|s| train.peak_bytes(&s)).unwrap_or(0));
    }
    let needed = held(params).saturating_add(peak.into());
    refuse_beyond(needed, "the weights and a step of training")
}

fn refuse_beyond(needed: u128, what: &str) -> Result<(), Failure> {
    let Some(available) = memory::available().filter(|a| needed > u128::from(*a)) else {
        return Ok(());
    };
    let message = format!(
        "{what}: {} of memory needed, {} available",
        memory::bytes(needed),
        memory::bytes(available.into())
    );
    Err(Diagnostic::error("resource::memory", message).into())
}
