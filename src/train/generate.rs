//! Sequences that a model writes by itself, one step after another.
//!
//! In: the compiled one-step form of a model that feeds itself, weights, a [`Request`]. Out: texts, or
//! numbers in the unit of their column. All sequences advance together as one batch ([`super::write`]
//! draws them, [`super::beam`] searches for the likeliest).

use super::beam::{self, Beam};
use super::failure::Failure;
use super::folder::FieldInfo;
use super::generator::Generator;
use super::given::{first_batch, numbers};
use super::sample::Choice;
use super::write::{self, Prompt};
use crate::data::Prepare;
use crate::data::spec::FieldRole;
use crate::settings::{GenerateSettings, Given, Search};
use crate::targets::executable::{Role, Signature};

/// What to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Sequences.
    pub n: usize,
    /// Fed first; the results begin with it. Numbers are parted by blanks or commas.
    pub prompt: String,
    /// The most steps after the prompt.
    pub length: usize,
    pub choice: Choice,
    /// Searches for the `n` likeliest sequences instead of drawing any; at most its width are found.
    pub beam: Option<Beam>,
    /// Values of the model's inputs.
    pub given: Vec<(String, Given)>,
    pub seed: u64,
    /// Tells apart draws with one seed, such as the samples after different steps of training.
    pub stream: u32,
}

impl Request {
    pub fn new(settings: &GenerateSettings, n: usize) -> Request {
        Request {
            n,
            prompt: settings.prompt.clone(),
            length: settings.length as usize,
            choice: Choice {
                greedy: settings.search == Search::Greedy,
                temperature: settings.temperature,
                top_k: settings.top_k.map(|k| k as usize),
                top_p: settings.top_p,
            },
            beam: Beam::of(&settings.search),
            given: settings.given.clone(),
            seed: settings.seed,
            stream: 0,
        }
    }
}

/// One sequence, its prompt included, `<end>` left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Generated {
    Text(String),
    /// Features of each step, in the unit of the data's column.
    Numbers(Vec<Vec<f64>>),
}

impl Generated {
    /// As it is shown: numbers parted by blanks, steps by newlines.
    pub fn text(&self) -> String {
        match self {
            Generated::Text(text) => text.clone(),
            Generated::Numbers(steps) => {
                let step = |s: &Vec<f64>| {
                    let numbers: Vec<String> = s.iter().map(f64::to_string).collect();
                    numbers.join(" ")
                };
                steps.iter().map(step).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// The one target among those that the model reads back, or why there is none.
pub fn own<'n>(names: &[&'n str]) -> Result<&'n str, Failure> {
    let refuse = |message: &str| Err(Failure::program("generate::not-possible", message));
    match names {
        [one] => Ok(one),
        [] => refuse("the model reads no `previous(…)` of a target, so it writes nothing"),
        _ => refuse("the model feeds itself several targets; one can be generated"),
    }
}

pub(super) fn own_target<'f>(
    signature: &Signature,
    fields: &'f [FieldInfo],
) -> Result<&'f FieldInfo, Failure> {
    let read = signature.inputs.iter().filter_map(|i| match &i.role {
        Role::Previous(name) => Some(name.as_str()),
        _ => None,
    });
    let name = own(&read.collect::<Vec<_>>())?;
    fields.iter().find(|f| f.name == name).ok_or_else(|| {
        let message = "the run does not know the target that the model feeds itself";
        Failure::program("generate::not-possible", message)
    })
}

/// Whether a compiled step can generate: it reads its own target, and its inputs are single values or
/// given sequences.
pub fn can_generate(
    generator: &Generator,
    fields: &[FieldInfo],
    given: &[(String, Given)],
) -> bool {
    let Ok(target) = own_target(generator.step.signature(), fields) else {
        return false;
    };
    let inputs = fields.iter().filter(|f| f.role == FieldRole::Input);
    inputs.filter(|f| f.time.is_some()).all(|f| {
        let supplied = given.iter().any(|(name, _)| *name == f.name);
        supplied && f.time != target.time
    })
}

/// Generates `request.n` sequences (of a beam at most its width, the likeliest first), and says
/// whether any outgrew what the model reads at once.
pub fn generate(
    generator: &mut Generator,
    weights: &[f32],
    fields: &[FieldInfo],
    request: &Request,
) -> Result<(Vec<Generated>, bool), Failure> {
    let target = own_target(generator.step.signature(), fields)?;
    if request.n == 0 {
        return Ok((Vec::new(), false));
    }
    let rows = request.beam.map_or(request.n, |b| b.width);
    let time = target.time.as_deref();
    let batch = first_batch(&generator.signatures(), fields, time, request, rows)?;
    let prompt = prompt(target, &request.prompt)?;
    let Some(beam) = &request.beam else {
        return write::write(generator, weights, target, batch, &prompt, request);
    };
    let search = beam::Search {
        beam,
        best: request.n,
        length: request.length,
    };
    let (mut found, outgrown) = beam::search(generator, weights, target, batch, &prompt, &search)?;
    let best = found.pop().unwrap_or_default();
    let texts = best.iter().map(|h| target.text(&h.symbols)).collect();
    Ok((texts, outgrown))
}

impl FieldInfo {
    /// What symbols say, up to the first `<end>`.
    pub(super) fn text(&self, symbols: &[i32]) -> Generated {
        let vocabulary = self.vocabulary.as_ref();
        Generated::Text(vocabulary.map_or(String::new(), |v| v.decode(symbols)))
    }
}

/// A prompt in the units the model reads.
fn prompt(target: &FieldInfo, text: &str) -> Result<Prompt, Failure> {
    let Some(vocabulary) = &target.vocabulary else {
        let (read, given) = numbers(target, text)?;
        return Ok(Prompt::Numbers(read, given));
    };
    let text = &*Prepare::all(&target.prepared, text);
    // A label is one symbol, also where it is empty: no prompt is none.
    let symbols = match text.is_empty() {
        true => Vec::new(),
        false => vocabulary.encode_text(text),
    };
    if let Some(i) = symbols.iter().position(|t| *t < 0) {
        let cut = vocabulary.cut(text);
        let symbol = cut.get(i).map_or("", |s| s.as_ref());
        let message = format!(
            "the prompt's {symbol:.20?} is not among the {} symbols of the training data",
            vocabulary.symbols().len()
        );
        return Err(Failure::usage("generate::unknown-symbol", message));
    }
    Ok(Prompt::Symbols(symbols))
}
