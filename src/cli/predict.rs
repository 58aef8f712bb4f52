//! `seqc predict`: a trained model on new inputs, given in the form of the run's data.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use super::args::{Common, Format, PredictArgs};
use super::load::plain;
use super::opened::{Opened, best};
use super::{Failure, from_training, stdout};
use crate::data::spec::FieldRole;
use crate::data::{LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::lower::Options;
use crate::targets::executable::Role;
use crate::train::evaluate;
use crate::train::weights::{Named, encode};

/// One result of one example: its steps' values, or a single row where it has no time.
struct Rows {
    timed: bool,
    /// Values of a step.
    width: usize,
    values: Vec<f32>,
}

pub fn run(common: &Common, args: &PredictArgs) -> Result<u8, Failure> {
    let mut opened = Opened::new(&args.run, common)?;
    // Answers are not asked for, unless the model reads its own earlier ones.
    opened
        .block
        .wanted
        .fields
        .retain(|f| f.role == FieldRole::Input || f.previous);
    let mut options = LoadOptions::new(&opened.record.base);
    let name = opened.block.settings.data.clone();
    options.bindings.insert(name, args.input.clone());
    options.only = Some(Part::Test);
    options.fits = Some(&opened.record.fits);
    let dataset = super::train::dataset(&opened.loaded, &opened.block, &options)?;

    let mut stage = opened.stage(Options::PREDICT)?;
    let signature = stage.start.signature().clone();
    let weights = best(&args.run, &signature)?;
    let settings = &opened.block.settings;
    let plan = evaluate::plan(settings, dataset.is_long());
    let mut results: BTreeMap<usize, Vec<Rows>> = BTreeMap::new();
    let names: Vec<String> = signature
        .outputs
        .iter()
        .filter_map(|slot| match &slot.role {
            Role::Prediction(n) | Role::Named(n) => Some(n.clone()),
            _ => None,
        })
        .collect();
    let stop = AtomicBool::new(false);
    evaluate::each_batch(
        &mut stage,
        &weights,
        &dataset,
        Part::Test,
        &plan,
        &stop,
        |batch, feed| {
            for (slot, (_, values)) in signature.outputs.iter().zip(feed.outputs()) {
                if !matches!(slot.role, Role::Prediction(_) | Role::Named(_)) {
                    continue;
                }
                let time = slot
                    .shape
                    .first()
                    .and_then(Dim::as_sym)
                    .map(|s| s.name().to_string());
                let lens = time.as_deref().and_then(|t| batch.lengths(t));
                let steps = time
                    .as_deref()
                    .filter(|t| *t != "B")
                    .and_then(|t| batch.size(t));
                let width = values.len() / (batch.rows * steps.unwrap_or(1)).max(1);
                for (row, example) in batch.examples.iter().enumerate() {
                    let mut own = Vec::new();
                    let n = match (steps, lens) {
                        (Some(steps), Some(lens)) => (lens[row].max(0) as usize).min(steps),
                        (Some(steps), None) => steps,
                        (None, _) => 1,
                    };
                    for t in 0..n {
                        let at = (t * batch.rows + row) * width;
                        own.extend_from_slice(&values[at..at + width]);
                    }
                    let timed = steps.is_some();
                    results.entry(*example).or_default().push(Rows {
                        timed,
                        width,
                        values: own,
                    });
                }
            }
            Ok(())
        },
    )
    .map_err(from_training)?;
    let all: Vec<Vec<Rows>> = results.into_values().collect();
    let bytes = match args.to {
        Format::Csv => csv(&names, &all).into_bytes(),
        Format::Jsonl => jsonl(&names, &all).into_bytes(),
        Format::Safetensors => safetensors(&names, &all)?,
    };
    match &args.output {
        Some(path) => std::fs::write(path, bytes).map_err(|e| {
            let message = format!("{} cannot be written: {}", path.display(), plain(&e));
            Diagnostic::error("io::write", message).into()
        }),
        None => stdout::bytes(&bytes),
    }?;
    Ok(0)
}

/// A line for each example and step: example, step, then the values of every prediction.
fn csv(names: &[String], all: &[Vec<Rows>]) -> String {
    let mut out = String::from("example,step");
    if let Some(first) = all.first() {
        for (name, r) in names.iter().zip(first) {
            for k in 0..r.width {
                let _ = match r.width {
                    1 => write!(out, ",{name}"),
                    _ => write!(out, ",{name}.{k}"),
                };
            }
        }
    }
    out.push('\n');
    for (i, example) in all.iter().enumerate() {
        let steps = example
            .iter()
            .filter(|r| r.timed)
            .map(|r| r.values.len() / r.width.max(1))
            .max();
        for t in 0..steps.unwrap_or(1) {
            let _ = write!(out, "{i},{t}");
            for r in example {
                let at = if r.timed { t * r.width } else { 0 };
                for k in 0..r.width {
                    match r.values.get(at + k) {
                        Some(v) => {
                            let _ = write!(out, ",{v}");
                        }
                        None => out.push(','),
                    }
                }
            }
            out.push('\n');
        }
    }
    out
}

/// An object for each example.
fn jsonl(names: &[String], all: &[Vec<Rows>]) -> String {
    let mut out = String::new();
    for example in all {
        let mut o = serde_json::Map::new();
        for (name, r) in names.iter().zip(example) {
            let rows: Vec<serde_json::Value> = r
                .values
                .chunks(r.width.max(1))
                .map(|row| {
                    if r.width == 1 {
                        row[0].into()
                    } else {
                        row.into()
                    }
                })
                .collect();
            let value = match (r.timed, rows.len()) {
                (false, 1) => rows.into_iter().next().unwrap_or_default(),
                _ => rows.into(),
            };
            o.insert(name.clone(), value);
        }
        let _ = writeln!(out, "{}", serde_json::Value::Object(o));
    }
    out
}

/// A tensor `[examples, steps, values]` for each prediction, zeros after an example's end, with
/// `<name>.len` beside it; `[examples, values]` where there is no time.
fn safetensors(names: &[String], all: &[Vec<Rows>]) -> Result<Vec<u8>, Failure> {
    let mut held: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let of: Vec<&Rows> = all.iter().filter_map(|e| e.get(i)).collect();
        let width = of.first().map_or(1, |r| r.width);
        let timed = of.first().is_some_and(|r| r.timed);
        let steps = of
            .iter()
            .map(|r| r.values.len() / width.max(1))
            .max()
            .unwrap_or(0);
        let mut values = Vec::with_capacity(of.len() * steps * width);
        for r in &of {
            values.extend_from_slice(&r.values);
            values.resize(values.len() + steps * width - r.values.len(), 0.0);
        }
        let shape = if timed {
            vec![of.len(), steps, width]
        } else {
            vec![of.len(), width]
        };
        held.push((name.clone(), shape, values));
        if timed {
            let lens = of
                .iter()
                .map(|r| (r.values.len() / width.max(1)) as f32)
                .collect();
            held.push((format!("{name}.len"), vec![of.len()], lens));
        }
    }
    let tensors: Vec<Named<'_>> = held
        .iter()
        .map(|(name, shape, values)| Named {
            name: name.clone(),
            shape: shape.clone(),
            values,
        })
        .collect();
    encode(&tensors).map_err(from_training)
}
