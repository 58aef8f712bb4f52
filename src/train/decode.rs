//! What a model writes for the inputs of examples: translations, transcriptions, forecasts.
//!
//! In: the compiled one-step form of a model that reads its own target, a batch of examples. Out: what
//! it writes for each of them from its inputs alone: its own earlier steps are read back, never the
//! answers. Nothing is drawn: the likeliest step is taken, or a beam searches.

use super::beam::{self, Beam};
use super::failure::Failure;
use super::folder::FieldInfo;
use super::generate::{Generated, Request, own_target};
use super::generator::Generator;
use super::given::{data_read, inputs_of};
use super::sample::Choice;
use super::write::{self, Prompt};
use crate::data::Batch;
use crate::data::spec::FieldRole;
use crate::settings::GenerateSettings;

/// The most steps where no `generate` block says.
const LENGTH: usize = 200;

/// How examples are decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoding {
    /// The most steps.
    pub length: usize,
    /// `None` takes the likeliest symbol at each step.
    pub beam: Option<Beam>,
}

impl Decoding {
    /// As a `generate` block says, but without draws.
    pub fn of(settings: Option<&GenerateSettings>) -> Decoding {
        Decoding {
            length: settings.map_or(LENGTH, |s| s.length as usize),
            beam: settings.and_then(|s| Beam::of(&s.search)),
        }
    }
}

/// The target that is written from the inputs of an example: one that the model reads back, and that
/// has a time of its own. `None` where the model writes nothing, writes from nothing, or reads an input
/// or an answer step by step with what it writes.
pub fn decoded<'f>(generator: &Generator, fields: &'f [FieldInfo]) -> Option<&'f FieldInfo> {
    let target = own_target(generator.step.signature(), fields).ok()?;
    let time = target.time.as_ref()?;
    let read = data_read(&generator.signatures());
    let is_given = |name: &&str| {
        let field = fields.iter().find(|f| f.name == **name);
        field.is_some_and(|f| f.role == FieldRole::Input && f.time.as_ref() != Some(time))
    };
    (!read.is_empty() && read.iter().all(is_given)).then_some(target)
}

/// What the model writes for each example of a batch, in its order.
///
/// Errors: a model that [`decoded`] has nothing of, a beam over numbers, a prediction that is not
/// finite, too little memory.
pub fn decode(
    generator: &mut Generator,
    weights: &[f32],
    fields: &[FieldInfo],
    batch: &Batch,
    how: &Decoding,
) -> Result<Vec<Generated>, Failure> {
    let target = own_target(generator.step.signature(), fields)?;
    let copies = how.beam.map_or(1, |b| b.width);
    let signatures = generator.signatures();
    let inputs = inputs_of(&signatures, fields, target.time.as_deref(), batch, copies)?;
    let prompt = match target.vocabulary {
        Some(_) => Prompt::Symbols(Vec::new()),
        None => Prompt::Numbers(Vec::new(), Vec::new()),
    };
    if let Some(beam) = &how.beam {
        let search = beam::Search {
            beam,
            best: 1,
            length: how.length,
        };
        let (found, _) = beam::search(generator, weights, target, inputs, &prompt, &search)?;
        let best = |all: Vec<beam::Hypothesis>| {
            let symbols = all.into_iter().next().map(|h| h.symbols);
            target.text(&symbols.unwrap_or_default())
        };
        return Ok(found.into_iter().map(best).collect());
    }
    let request = Request {
        n: batch.rows,
        prompt: String::new(),
        length: how.length,
        choice: Choice {
            greedy: true,
            temperature: 1.0,
            top_k: None,
            top_p: None,
        },
        beam: None,
        given: Vec::new(),
        seed: 0,
        stream: 0,
    };
    let written = write::write(generator, weights, target, inputs, &prompt, &request)?;
    Ok(written.0)
}
