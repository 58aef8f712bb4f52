//! Sequences that a model writes by itself, one step after another.
//!
//! In: the compiled one-step form of a model that feeds itself, weights, a [`Request`]. Out: texts, or
//! numbers in the unit of their column. All sequences advance together as one batch; sequence i at
//! position t draws by (seed, i, t) alone, so asking for more changes none.
//!
//! A sequence longer than [`Generator::most`] is written from its last steps alone: each further step
//! reads that many again from the start, which is what one forward pass over them would predict.

use std::borrow::Cow;

use super::failure::{Class, Failure};
use super::folder::FieldInfo;
use super::generator::{Generator, Reader};
use super::given::{first_batch, numbers};
use super::sample::{Choice, pick};
use crate::data::Tensor;
use crate::data::spec::{FieldRole, Unit};
use crate::diagnostics::Diagnostic;
use crate::philox::{Domain, Place, key, path_hash};
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
    /// Values of the model's inputs.
    pub given: Vec<(String, Given)>,
    pub seed: u64,
    /// Tells apart draws with one seed, such as the samples after different steps of training.
    pub stream: u32,
}

impl Request {
    /// Errors: a search that is not built.
    pub fn new(settings: &GenerateSettings, n: usize) -> Result<Request, Failure> {
        if let Search::Beam { .. } = settings.search {
            let message = "`search = beam` is not built yet; there are sample and greedy";
            return Err(Failure::program("feature::unavailable", message));
        }
        Ok(Request {
            n,
            prompt: settings.prompt.clone(),
            length: settings.length as usize,
            choice: Choice {
                greedy: settings.search == Search::Greedy,
                temperature: settings.temperature,
                top_k: settings.top_k.map(|k| k as usize),
                top_p: settings.top_p,
            },
            given: settings.given.clone(),
            seed: settings.seed,
            stream: 0,
        })
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

fn own_target<'f>(
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

/// The sequences that are being written, in the units the model reads.
enum Written {
    Symbols(Vec<Vec<i32>>),
    /// Features, step after step.
    Numbers(Vec<Vec<f32>>),
}

impl Written {
    /// What step `t` reads of the step before it; sequences that ended read their end.
    fn previous(&self, t: usize, start: &Tensor, end: Option<i32>, width: usize) -> Tensor {
        let Some(t) = t.checked_sub(1) else {
            return start.clone();
        };
        match self {
            Written::Symbols(rows) => {
                let read = |row: &Vec<i32>| row.get(t).copied().or(end).unwrap_or(0);
                Tensor::I32(rows.iter().map(read).collect())
            }
            Written::Numbers(rows) => {
                let at = t * width..(t + 1) * width;
                let read = rows.iter().flat_map(|r| r[at.clone()].iter().copied());
                Tensor::F32(read.collect())
            }
        }
    }
}

/// Generates `request.n` sequences, and says whether any outgrew what the model reads at once.
pub fn generate(
    generator: &mut Generator,
    weights: &[f32],
    fields: &[FieldInfo],
    request: &Request,
) -> Result<(Vec<Generated>, bool), Failure> {
    let target = own_target(generator.step.signature(), fields)?;
    let n = request.n;
    if n == 0 {
        return Ok((Vec::new(), false));
    }
    let batch = first_batch(
        &generator.signatures(),
        fields,
        target.time.as_deref(),
        request,
    )?;
    let width: usize = target.features.iter().product::<usize>().max(1);
    let (mut written, start, prompt_steps) = begin(target, request, width)?;
    let end = target.vocabulary.as_ref().and_then(|v| v.end());
    let unknown = target.vocabulary.as_ref().and_then(|v| v.unknown());
    let mut done = vec![false; n];
    let steps = prompt_steps.saturating_add(request.length);
    let mut reader = Reader::new(generator, weights, target, batch, steps)?;
    let room = reader.room;
    // Of a prompt that is too long, only its end is read.
    let first = (prompt_steps + 1).saturating_sub(room);
    let mut outgrown = first > 0 && steps > room;
    for t in first..steps {
        if reader.is_full() {
            outgrown = true;
            reader.restart();
            for earlier in t + 1 - room..t {
                reader.step(written.previous(earlier, &start, end, width))?;
            }
        }
        reader.step(written.previous(t, &start, end, width))?;
        if t < prompt_steps {
            continue;
        }
        let predicted = reader.prediction()?;
        match &mut written {
            Written::Symbols(rows) => {
                let each = predicted.len() / n;
                let writing = rows.iter_mut().zip(&mut done).enumerate();
                for (i, (row, done)) in writing.filter(|(_, (_, done))| !**done) {
                    let p = without(&predicted[i * each..(i + 1) * each], unknown);
                    let u = unit(request, i, t, 0);
                    let symbol = pick(&p, &request.choice, u).ok_or_else(|| not_finite(t))?;
                    match Some(symbol as i32) == end {
                        true => *done = true,
                        false => row.push(symbol as i32),
                    }
                }
            }
            Written::Numbers(rows) => {
                for (i, row) in rows.iter_mut().enumerate() {
                    let values = &predicted[i * width..(i + 1) * width];
                    for (f, value) in values.iter().enumerate() {
                        if !value.is_finite() {
                            return Err(not_finite(t));
                        }
                        row.push(match target.unit {
                            Unit::Binary => on(*value, &request.choice, unit(request, i, t, f)),
                            Unit::Token | Unit::Class | Unit::Number => *value,
                        });
                    }
                }
            }
        }
        if done.iter().all(|d| *d) {
            break;
        }
    }
    Ok((finish(written, target, width), outgrown))
}

/// Probabilities with that of `<unknown>` left out: it is read, never written.
fn without(p: &[f32], unknown: Option<i32>) -> Cow<'_, [f32]> {
    let Some(unknown) = unknown.and_then(|u| usize::try_from(u).ok()) else {
        return p.into();
    };
    let mut p = p.to_vec();
    if let Some(p) = p.get_mut(unknown) {
        *p = 0.0;
    }
    p.into()
}

/// The prompt, what the first step reads, and the prompt's steps.
fn begin(
    target: &FieldInfo,
    request: &Request,
    width: usize,
) -> Result<(Written, Tensor, usize), Failure> {
    let n = request.n;
    let Some(vocabulary) = &target.vocabulary else {
        let prompt = numbers(target, &request.prompt, width)?;
        let steps = prompt.len() / width;
        let start = Tensor::F32(vec![0.0; n * width]);
        return Ok((Written::Numbers(vec![prompt; n]), start, steps));
    };
    // A label is one symbol, also where it is empty: no prompt is none.
    let prompt = match request.prompt.is_empty() {
        true => Vec::new(),
        false => vocabulary.encode_text(&request.prompt),
    };
    if let Some(i) = prompt.iter().position(|t| *t < 0) {
        let cut = vocabulary.cut(&request.prompt);
        let symbol = cut.get(i).map_or("", |s| s.as_ref());
        let message = format!(
            "the prompt's {symbol:.20?} is not among the {} symbols of the training data",
            vocabulary.symbols().len()
        );
        return Err(Failure::usage("generate::unknown-symbol", message));
    }
    let steps = prompt.len();
    let start = Tensor::I32(vec![vocabulary.start(); n]);
    Ok((Written::Symbols(vec![prompt; n]), start, steps))
}

fn finish(written: Written, target: &FieldInfo, width: usize) -> Vec<Generated> {
    match written {
        Written::Symbols(rows) => rows
            .iter()
            .map(|row| match &target.vocabulary {
                Some(v) => Generated::Text(v.decode(row)),
                None => Generated::Text(String::new()),
            })
            .collect(),
        Written::Numbers(rows) => rows
            .iter()
            .map(|row| {
                let step = |values: &[f32]| {
                    let values = values.iter().enumerate();
                    let units = values.map(|(f, v)| target.inverse.apply(f, f64::from(*v)));
                    units.collect()
                };
                Generated::Numbers(row.chunks_exact(width).map(step).collect())
            })
            .collect(),
    }
}

/// Whether a unit is on, given its probability.
fn on(p: f32, choice: &Choice, u: f64) -> f32 {
    let two = [1.0 - p, p];
    let both = Choice {
        top_k: None,
        top_p: None,
        ..*choice
    };
    match pick(&two, &both, u) {
        Some(1) => 1.0,
        Some(_) | None => 0.0,
    }
}

/// Uniform in [0, 1) with 53 bits, for feature `f` of sequence `i` at step `t`.
fn unit(request: &Request, i: usize, t: usize, f: usize) -> f64 {
    let place = Place {
        key: key(request.seed, Domain::Sampling),
        path: path_hash("generate").wrapping_add(f as u32),
        step: request.stream,
    };
    let [a, b, ..] = place.words((i as u64) << 32 | t as u64 & 0xFFFF_FFFF);
    let bits = u64::from(a) << 21 | u64::from(b) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

fn not_finite(t: usize) -> Failure {
    let message = format!("the prediction for step {t} is not a finite number");
    Failure::new(
        Class::NonFinite,
        Diagnostic::error("generate::non-finite", message),
    )
}
