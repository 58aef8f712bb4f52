//! Sequences drawn step by step.
//!
//! In: the compiled one-step form, a batch with its inputs, a prompt. Out: one sequence a row.
//! Sequence i at position t draws by (seed, i, t) alone, so asking for more changes none.
//!
//! A sequence longer than [`Generator::most`] is written from its last steps alone: each further step
//! reads that many again from the start, which is what one forward pass over them would predict.

use std::borrow::Cow;

use super::failure::{Class, Failure};
use super::folder::FieldInfo;
use super::generate::{Generated, Request};
use super::generator::{Generator, Reader};
use super::sample::{Choice, pick};
use crate::data::spec::Unit;
use crate::data::{Batch, Tensor};
use crate::diagnostics::Diagnostic;
use crate::philox::{Domain, Place, key, path_hash};

/// What every sequence begins with, in the units the model reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Prompt {
    Symbols(Vec<i32>),
    /// Features, step after step: as the model reads them, and as they were given.
    Numbers(Vec<f32>, Vec<f64>),
}

/// The sequences that are being written, in the units the model reads.
enum Written {
    Symbols(Vec<Vec<i32>>),
    /// Features, step after step.
    Numbers(Vec<Vec<f32>>),
}

impl Written {
    /// What step `t` reads of the step before it; sequences that ended read their end.
    fn previous(&self, t: usize, target: &FieldInfo) -> Tensor {
        let width = target.width();
        match self {
            Written::Symbols(rows) => {
                Tensor::I32(rows.iter().map(|r| before(r, t, target)).collect())
            }
            Written::Numbers(rows) => Tensor::F32(match t.checked_sub(1) {
                None => vec![0.0; rows.len() * width],
                Some(t) => {
                    let at = t * width..(t + 1) * width;
                    let read = rows.iter().flat_map(|r| r[at.clone()].iter().copied());
                    read.collect()
                }
            }),
        }
    }
}

/// The symbol that step `t` reads of the step before it.
pub(super) fn before(row: &[i32], t: usize, target: &FieldInfo) -> i32 {
    let Some(vocabulary) = &target.vocabulary else {
        return 0;
    };
    match t.checked_sub(1) {
        None => vocabulary.start(),
        Some(t) => row.get(t).copied().or(vocabulary.end()).unwrap_or(0),
    }
}

/// Writes one sequence for each row of `batch`, and says whether any outgrew what the model reads at
/// once. Of the request, its prompt and number are those of `prompt` and `batch`.
pub(super) fn write(
    generator: &mut Generator,
    weights: &[f32],
    target: &FieldInfo,
    batch: Batch,
    prompt: &Prompt,
    request: &Request,
) -> Result<(Vec<Generated>, bool), Failure> {
    let (n, width) = (batch.rows, target.width());
    let (mut written, prompt_steps) = match prompt {
        Prompt::Symbols(p) => (Written::Symbols(vec![p.clone(); n]), p.len()),
        Prompt::Numbers(p, _) => (Written::Numbers(vec![p.clone(); n]), p.len() / width),
    };
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
                reader.step(written.previous(earlier, target))?;
            }
        }
        reader.step(written.previous(t, target))?;
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
    let mut all = finish(written, target);
    // What was given is not read back from what the model reads, which is rounded.
    if let Prompt::Numbers(_, given) = prompt {
        for one in &mut all {
            if let Generated::Numbers(steps) = one {
                let values = steps.iter_mut().flatten().zip(given);
                values.for_each(|(value, given)| *value = *given);
            }
        }
    }
    Ok((all, outgrown))
}

/// Probabilities with that of `<unknown>` left out: it is read, never written.
pub(super) fn without(p: &[f32], unknown: Option<i32>) -> Cow<'_, [f32]> {
    let Some(unknown) = unknown.and_then(|u| usize::try_from(u).ok()) else {
        return p.into();
    };
    let mut p = p.to_vec();
    if let Some(p) = p.get_mut(unknown) {
        *p = 0.0;
    }
    p.into()
}

fn finish(written: Written, target: &FieldInfo) -> Vec<Generated> {
    match written {
        Written::Symbols(rows) => rows.iter().map(|row| target.text(row)).collect(),
        Written::Numbers(rows) => rows
            .iter()
            .map(|row| {
                let step = |values: &[f32]| {
                    let values = values.iter().enumerate();
                    let units = values.map(|(f, v)| target.inverse.apply(f, f64::from(*v)));
                    units.collect()
                };
                Generated::Numbers(row.chunks_exact(target.width()).map(step).collect())
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

pub(super) fn not_finite(t: usize) -> Failure {
    let message = format!("the prediction for step {t} is not a finite number");
    Failure::new(
        Class::NonFinite,
        Diagnostic::error("generate::non-finite", message),
    )
}
