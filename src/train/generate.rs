//! Sequences that a model writes by itself, one step after another.
//!
//! In: the compiled step (every time is 1) of a model that feeds itself, weights, a [`Request`].
//! Out: texts, or numbers in the unit of their column. All sequences advance together as one batch;
//! sequence i at position t draws by (seed, i, t) alone, so asking for more changes none.

use super::failure::{Class, Failure};
use super::feed::{Carried, Feed};
use super::folder::FieldInfo;
use super::plan::Stage;
use super::sample::{Choice, pick};
use crate::data::spec::{FieldRole, Unit};
use crate::data::{Batch, Tensor, Undo};
use crate::diagnostics::Diagnostic;
use crate::philox::{Domain, Place, key, path_hash};
use crate::settings::{GenerateSettings, Given, Search};
use crate::targets::executable::{Draw, Role, Signature};

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

/// The one target that the model reads back, or why there is none.
fn own_target<'f>(
    signature: &Signature,
    fields: &'f [FieldInfo],
) -> Result<&'f FieldInfo, Failure> {
    let refuse = |message: &str| Err(Failure::program("generate::not-possible", message));
    let mut own = signature.inputs.iter().filter_map(|i| match &i.role {
        Role::Previous(name) => Some(name),
        _ => None,
    });
    let (first, more) = (own.next(), own.next());
    let Some(name) = first else {
        return refuse("the model reads no `previous(…)` of a target, so it writes nothing");
    };
    if more.is_some() {
        return refuse("the model feeds itself several targets; one can be generated");
    }
    match fields.iter().find(|f| f.name == *name) {
        Some(field) => Ok(field),
        None => refuse("the run does not know the target that the model feeds itself"),
    }
}

/// Whether a compiled step can generate: it reads its own target and every input can be given.
pub fn can_generate(signature: &Signature, fields: &[FieldInfo]) -> bool {
    own_target(signature, fields).is_ok()
        && (fields.iter()).all(|f| f.role != FieldRole::Input || f.time.is_none())
}

/// The sequences that are being written, in the units the model reads.
enum Written {
    Symbols(Vec<Vec<i32>>),
    /// Features, step after step.
    Numbers(Vec<Vec<f32>>),
}

/// Generates `request.n` sequences.
pub fn generate(
    step: &mut Stage,
    weights: &[f32],
    fields: &[FieldInfo],
    request: &Request,
) -> Result<Vec<Generated>, Failure> {
    let target = own_target(step.start.signature(), fields)?;
    let n = request.n;
    if n == 0 {
        return Ok(Vec::new());
    }
    let mut batch = first_batch(step.start.signature(), fields, request)?;
    let width: usize = target.features.iter().product::<usize>().max(1);
    let (mut written, mut previous, prompt_steps) = match &target.vocabulary {
        Some(vocabulary) => {
            let prompt = vocabulary.encode_text(&request.prompt);
            if let Some(i) = prompt.iter().position(|t| *t < 0) {
                let symbol = request.prompt.chars().nth(i).unwrap_or(' ');
                let message = format!(
                    "the prompt's {symbol:?} is not among the {} symbols of the training data",
                    vocabulary.symbols().len()
                );
                return Err(Failure::usage("generate::unknown-symbol", message));
            }
            // A label is one symbol, also where it is empty: no prompt is none.
            let prompt = if request.prompt.is_empty() {
                Vec::new()
            } else {
                prompt
            };
            let steps = prompt.len();
            let start = Tensor::I32(vec![vocabulary.start(); n]);
            (Written::Symbols(vec![prompt; n]), start, steps)
        }
        None => {
            let prompt = numbers(target, &request.prompt, width)?;
            let steps = prompt.len() / width;
            let start = Tensor::F32(vec![0.0; n * width]);
            (Written::Numbers(vec![prompt; n]), start, steps)
        }
    };
    let end = target.vocabulary.as_ref().and_then(|v| v.end());
    let role = Role::Prediction(target.name.clone());
    let mut done = vec![false; n];
    let mut carried = Carried::new();
    let mut feed = Feed::default();
    for t in 0..prompt_steps.saturating_add(request.length) {
        batch.previous = vec![(target.name.clone(), previous)];
        let form = step.form(t > 0);
        feed.run(form, &batch, &carried, weights, &mut [], Draw::default())?;
        feed.carry(&mut carried);
        let predicted = feed.output(&role).ok_or_else(|| {
            Failure::program("generate::not-possible", "the model returns no prediction")
        })?;
        previous = match &mut written {
            Written::Symbols(rows) => {
                let each = predicted.len() / n;
                let writing = rows.iter_mut().zip(&mut done).enumerate();
                for (i, (row, done)) in writing.filter(|(_, (_, done))| !**done) {
                    if t < prompt_steps {
                        continue;
                    }
                    let p = &predicted[i * each..(i + 1) * each];
                    let u = unit(request, i, t, 0);
                    let symbol = pick(p, &request.choice, u).ok_or_else(|| not_finite(t))?;
                    match Some(symbol as i32) == end {
                        true => *done = true,
                        false => row.push(symbol as i32),
                    }
                }
                let read = |row: &Vec<i32>| row.get(t).copied().or(end).unwrap_or(0);
                Tensor::I32(rows.iter().map(read).collect())
            }
            Written::Numbers(rows) => {
                if t >= prompt_steps {
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
                let at = t * width..(t + 1) * width;
                Tensor::F32(
                    rows.iter()
                        .flat_map(|r| r[at.clone()].iter().copied())
                        .collect(),
                )
            }
        };
        if done.iter().all(|d| *d) {
            break;
        }
    }
    Ok(finish(written, target, width))
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

/// A value in the unit of its column, as the model reads it.
fn scaled(field: &FieldInfo, feature: usize, value: f64) -> f32 {
    let undone = field.inverse.0.iter().rev();
    let scaled = undone.fold(value, |x, undo| match undo {
        Undo::Affine(a) => a.apply(feature.min(a.scale.len().saturating_sub(1)), x),
        Undo::Exp => libm::log(x),
    });
    scaled as f32
}

/// The prompt of a numeric target, in the units the model reads.
fn numbers(target: &FieldInfo, prompt: &str, width: usize) -> Result<Vec<f32>, Failure> {
    let parts = prompt
        .split([' ', ',', '\t', '\n'])
        .filter(|p| !p.is_empty());
    let mut out = Vec::new();
    for part in parts {
        let Ok(value) = part.parse::<f64>() else {
            let message = format!("`{}` has numbers, the prompt {part:.20?}", target.name);
            return Err(Failure::usage("generate::not-a-number", message));
        };
        let feature = out.len() % width;
        out.push(scaled(target, feature, value));
    }
    if out.len() % width != 0 {
        let message = format!(
            "a step of `{}` has {width} numbers, the prompt has {}",
            target.name,
            out.len()
        );
        return Err(Failure::usage("generate::not-a-step", message));
    }
    Ok(out)
}

/// A batch of one step, with the inputs that the request gives.
fn first_batch(
    signature: &Signature,
    fields: &[FieldInfo],
    request: &Request,
) -> Result<Batch, Failure> {
    let n = request.n;
    let times = signature.inputs.iter().filter_map(|i| match &i.role {
        Role::Lengths(time) => Some((time.clone(), vec![1; n])),
        _ => None,
    });
    let sizes = signature.sizes.iter().filter(|s| s.name() != "B");
    let mut batch = Batch {
        epoch: 0,
        index: 0,
        rows: n,
        steps: sizes.map(|s| (s.name().to_string(), 1)).collect(),
        lengths: times.collect(),
        data: Vec::new(),
        previous: Vec::new(),
        carries: false,
        examples: Vec::new(),
    };
    for slot in &signature.inputs {
        let Role::Data(name) = &slot.role else {
            continue;
        };
        let field = fields.iter().find(|f| f.name == *name);
        let given = request.given.iter().rev().find(|(g, _)| g == name);
        let (Some(field), Some((_, given))) = (field, given) else {
            let message = format!("the model reads `{name}`, and nothing gives it a value");
            return Err(Failure::usage("generate::needs-given", message)
                .help(format!("write `given {name} = …` in the generate block")));
        };
        batch
            .data
            .push((name.clone(), given_value(field, given, n)?));
    }
    Ok(batch)
}

/// A given value for each of `n` sequences.
fn given_value(field: &FieldInfo, given: &Given, n: usize) -> Result<Tensor, Failure> {
    let name = &field.name;
    if field.time.is_some() {
        let message = format!("`{name}` is a sequence; generation takes single values yet");
        return Err(Failure::program("feature::unavailable", message));
    }
    let differs = |message: String| Err(Failure::program("generate::given-differs", message));
    if let Some(vocabulary) = &field.vocabulary {
        let text = match given {
            Given::Text(text) => text.clone(),
            Given::Number(x) => x.to_string(),
            Given::Numbers(_) => return differs(format!("`{name}` is one class, not numbers")),
        };
        let class = vocabulary.encode(&text);
        if class < 0 {
            let message = format!("`{name}` has no class {text:.30?} in the training data");
            return differs(message);
        }
        return Ok(Tensor::I32(vec![class; n]));
    }
    let values = match given {
        Given::Number(x) => vec![*x],
        Given::Numbers(x) => x.clone(),
        Given::Text(_) => return differs(format!("`{name}` has numbers, the value is a text")),
    };
    let width: usize = field.features.iter().product::<usize>().max(1);
    if values.len() != width {
        let (have, want) = (values.len(), width);
        return differs(format!("`{name}` has {want} numbers, {have} are given"));
    }
    let row = values.iter().enumerate().map(|(f, x)| scaled(field, f, *x));
    let row: Vec<f32> = row.collect();
    Ok(Tensor::F32(row.repeat(n)))
}
