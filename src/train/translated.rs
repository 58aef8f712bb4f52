//! BLEU of a part: what a model writes for its examples, held against what is true.
//!
//! In: the compiled one-step form of a model that writes from inputs, a part of its data. Out: the score
//! of the part as a whole ([`super::bleu`]). The true text is what the vocabulary makes of the data's
//! symbols, so words are compared as they were cut; one that the vocabulary does not have matches none.

use std::sync::atomic::{AtomicBool, Ordering};

use super::bleu::Bleu;
use super::decode::{Decoding, decode, decoded};
use super::evaluate;
use super::failure::Failure;
use super::folder::FieldInfo;
use super::generator::Generator;
use crate::data::{Dataset, Part};
use crate::settings::TrainSettings;

/// The score; `None` once `stop` is set.
///
/// Errors: a model that writes nothing from inputs alone, and those of [`decode`].
pub fn bleu(
    generator: Option<&mut Generator>,
    weights: &[f32],
    settings: &TrainSettings,
    dataset: &Dataset,
    part: Part,
    how: &Decoding,
    stop: &AtomicBool,
) -> Result<Option<f64>, Failure> {
    let fields: Vec<FieldInfo> = dataset.columns().iter().map(FieldInfo::from).collect();
    let found = generator.and_then(|g| {
        let target = decoded(g, &fields)?.name.clone();
        Some((g, target))
    });
    let Some((generator, target)) = found else {
        let message = "`bleu` needs a text that the model writes from inputs alone";
        return Err(Failure::program("train::metric-differs", message));
    };
    let plan = evaluate::plan(settings, dataset.is_long(), dataset.len(part));
    let mut sum = Bleu::default();
    for batch in dataset.batches(part, &plan) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch?;
        let written = decode(generator, weights, &fields, &batch, how)?;
        for (example, written) in batch.examples.iter().zip(written) {
            let truth = dataset.text(part, &target, *example);
            sum.add(&written.text(), &truth.unwrap_or_default());
        }
    }
    Ok(sum.score())
}
