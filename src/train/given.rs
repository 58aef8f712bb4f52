//! What a generating model is given: values of its inputs, in the units the model reads.
//!
//! In: a [`Request`], or a batch of examples, and the fields of a run. Out: a batch of one step whose
//! inputs are set, equal for all sequences or those of each example; the numbers of a prompt.

use super::failure::Failure;
use super::folder::FieldInfo;
use super::generate::Request;
use crate::data::spec::FieldRole;
use crate::data::{Batch, Prepare, Tensor, Undo};
use crate::settings::Given;
use crate::targets::executable::{Role, Signature};

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
pub(super) fn numbers(target: &FieldInfo, prompt: &str) -> Result<(Vec<f32>, Vec<f64>), Failure> {
    let width = target.width();
    let parts = prompt
        .split([' ', ',', '\t', '\n'])
        .filter(|p| !p.is_empty());
    let (mut out, mut given) = (Vec::new(), Vec::new());
    for part in parts {
        let Ok(value) = part.parse::<f64>() else {
            let message = format!("`{}` has numbers, the prompt {part:.20?}", target.name);
            return Err(Failure::usage("generate::not-a-number", message));
        };
        let feature = out.len() % width;
        out.push(scaled(target, feature, value));
        given.push(value);
    }
    if out.len() % width != 0 {
        let message = format!(
            "a step of `{}` has {width} numbers, the prompt has {}",
            target.name,
            out.len()
        );
        return Err(Failure::usage("generate::not-a-step", message));
    }
    Ok((out, given))
}

impl FieldInfo {
    /// Numbers of a step.
    pub(super) fn width(&self) -> usize {
        self.features.iter().product::<usize>().max(1)
    }
}

/// The data that functions read, each name once.
pub(super) fn data_read<'s>(signatures: &[&'s Signature]) -> Vec<&'s str> {
    let mut names: Vec<&str> = Vec::new();
    for slot in signatures.iter().flat_map(|s| &s.inputs) {
        if let Role::Data(name) = &slot.role
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    names
}

/// A batch of one step and `n` rows, with the inputs that the request gives to these functions.
/// `own` is the time of the target that is written.
pub(super) fn first_batch(
    signatures: &[&Signature],
    fields: &[FieldInfo],
    own: Option<&str>,
    request: &Request,
    n: usize,
) -> Result<Batch, Failure> {
    let mut batch = Batch::empty(n);
    for name in data_read(signatures) {
        let field = fields.iter().find(|f| f.name == name);
        let given = request.given.iter().rev().find(|(g, _)| g == name);
        let (Some(field), Some((_, given))) = (field, given) else {
            let message = format!("the model reads `{name}`, and nothing gives it a value");
            return Err(
                Failure::usage("generate::needs-given", message).help(format!(
                    "give --given {name}=TEXT, or write `given {name} = …` in the generate block"
                )),
            );
        };
        if field.time.is_some() && field.time.as_deref() == own {
            let message = format!("`{name}` goes step by step with the target; it cannot be given");
            return Err(Failure::program("feature::unavailable", message));
        }
        let (values, steps) = given_value(field, given, n)?;
        if let (Some(time), Some(steps)) = (&field.time, steps) {
            match batch.size(time) {
                Some(other) if other != steps => {
                    let message = format!(
                        "`{name}` is given {steps} steps, another input along {time} {other}"
                    );
                    return Err(Failure::program("generate::given-differs", message));
                }
                Some(_) => {}
                None => batch.steps.push((time.clone(), steps)),
            }
        }
        batch.data.push((name.to_string(), values));
    }
    complete(&mut batch, signatures);
    Ok(batch)
}

/// The inputs of a batch's examples, each `copies` times side by side, without the target's answers.
///
/// Errors: an input along the target's own time.
pub(super) fn inputs_of(
    signatures: &[&Signature],
    fields: &[FieldInfo],
    own: Option<&str>,
    from: &Batch,
    copies: usize,
) -> Result<Batch, Failure> {
    let mut batch = Batch::empty(from.rows * copies);
    let repeated = |all: &[i32]| -> Vec<i32> {
        let each = all.iter().map(|x| std::iter::repeat_n(*x, copies));
        each.flatten().collect()
    };
    for name in data_read(signatures) {
        let field = fields.iter().find(|f| f.name == name);
        let (Some(field), Some(values)) = (field, from.data(name)) else {
            let message = format!("the data has no `{name}`, which the model reads");
            return Err(Failure::program("data::mismatch", message));
        };
        if field.role != FieldRole::Input || (field.time.is_some() && field.time.as_deref() == own)
        {
            let message = format!("`{name}` goes step by step with what the model would write");
            return Err(Failure::program("generate::not-possible", message));
        }
        if let Some(time) = &field.time
            && let (Some(steps), None) = (from.size(time), batch.size(time))
        {
            batch.steps.push((time.clone(), steps));
            let lengths = from.lengths(time).map(repeated);
            batch.lengths.extend(lengths.map(|l| (time.clone(), l)));
        }
        let steps = field.time.as_deref().and_then(|t| from.size(t));
        let lead = steps.unwrap_or(1) * from.rows;
        let values = match values {
            Tensor::I32(v) => Tensor::I32(side_by_side(v, lead, copies)),
            Tensor::F32(v) => Tensor::F32(side_by_side(v, lead, copies)),
        };
        batch.data.push((name.to_string(), values));
    }
    complete(&mut batch, signatures);
    Ok(batch)
}

/// Each of `lead` equal runs, `copies` times.
fn side_by_side<T: Copy>(values: &[T], lead: usize, copies: usize) -> Vec<T> {
    let width = (values.len() / lead.max(1)).max(1);
    let runs = values.chunks(width);
    runs.flat_map(|run| run.repeat(copies)).collect()
}

/// Gives sizes that no input has the one step of a call, and times their lengths.
fn complete(batch: &mut Batch, signatures: &[&Signature]) {
    for size in signatures.iter().flat_map(|s| &s.sizes) {
        if batch.size(size.name()).is_none() {
            batch.steps.push((size.name().to_string(), 1));
        }
    }
    for slot in signatures.iter().flat_map(|s| &s.inputs) {
        if let Role::Lengths(time) = &slot.role
            && batch.lengths(time).is_none()
        {
            let steps = batch.size(time).unwrap_or(1) as i32;
            batch.lengths.push((time.clone(), vec![steps; batch.rows]));
        }
    }
}

/// A given value for each of `n` sequences, and its steps where it is a sequence.
fn given_value(
    field: &FieldInfo,
    given: &Given,
    n: usize,
) -> Result<(Tensor, Option<usize>), Failure> {
    let name = &field.name;
    let differs = |message: String| Err(Failure::program("generate::given-differs", message));
    let timed = field.time.is_some();
    if let Some(vocabulary) = &field.vocabulary {
        let text = match given {
            Given::Text(text) => text.clone(),
            Given::Number(x) => x.to_string(),
            Given::Numbers(_) => return differs(format!("`{name}` is a text, not numbers")),
        };
        let text = Prepare::all(&field.prepared, &text);
        let symbols = match timed {
            true => vocabulary.encode_text(&text),
            false => vec![vocabulary.encode(&text)],
        };
        if let Some(i) = symbols.iter().position(|s| *s < 0) {
            let message = match timed && symbols.len() > 1 {
                true => {
                    let cut = vocabulary.cut(&text);
                    let symbol = cut.get(i).map_or("", |s| s.as_ref());
                    format!("`{name}` has no symbol {symbol:.20?} in the training data")
                }
                false => format!("`{name}` has no class {text:.30?} in the training data"),
            };
            return differs(message);
        }
        if symbols.is_empty() {
            return differs(format!("`{name}` is given nothing; it has a step at least"));
        }
        let steps = timed.then_some(symbols.len());
        let all = symbols.iter().flat_map(|s| std::iter::repeat_n(*s, n));
        return Ok((Tensor::I32(all.collect()), steps));
    }
    let values = match given {
        Given::Number(x) => vec![*x],
        Given::Numbers(x) => x.clone(),
        Given::Text(_) => return differs(format!("`{name}` has numbers, the value is a text")),
    };
    let width = field.width();
    let fits = match timed {
        true => !values.is_empty() && values.len() % width == 0,
        false => values.len() == width,
    };
    if !fits {
        let (have, each) = (values.len(), if timed { "at each step " } else { "" });
        return differs(format!(
            "`{name}` has {width} numbers {each}, {have} are given"
        ));
    }
    let steps = timed.then_some(values.len() / width);
    let row = values.iter().enumerate();
    let row: Vec<f32> = row.map(|(f, x)| scaled(field, f % width, *x)).collect();
    let all = row.chunks(width).flat_map(|step| step.repeat(n));
    Ok((Tensor::F32(all.collect()), steps))
}
