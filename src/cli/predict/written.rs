//! A model that writes its answer: translations, transcriptions, forecasts.
//!
//! In: a run whose model reads its own answer back, step after step, from inputs with another time. Out:
//! what it writes for each example. Its answers are never read, so new inputs need none.

use super::args::{Format, PredictArgs};
use super::arrays;
use super::rows::Rows;
use super::text::quoted;
use crate::cli::opened::{Opened, best};
use crate::cli::{Failure, from_training};
use crate::data::{Dataset, Part};
use crate::diagnostics::Diagnostic;
use crate::pipeline::generate::own_targets;
use crate::train::decode::{Decoding, decode, decoded};
use crate::train::evaluate;
use crate::train::generate::Generated;
use crate::train::generator::Generator;

/// What writes a target.
pub struct Writer {
    pub target: String,
    generator: Generator,
    weights: Vec<f32>,
    how: Decoding,
}

impl Writer {
    /// `None` where the model writes nothing from its inputs alone.
    pub fn new(opened: &Opened, args: &PredictArgs) -> Result<Option<Writer>, Failure> {
        if own_targets(&opened.model)?.len() != 1 {
            return Ok(None);
        }
        // What cannot be written step by step is predicted in one pass.
        let Ok(generator) = opened.compiler().generator(opened.block.settings.window) else {
            return Ok(None);
        };
        let Some(target) = decoded(&generator, &opened.record.fields) else {
            return Ok(None);
        };
        let weights = best(&args.run, generator.step.signature())?;
        Ok(Some(Writer {
            target: target.name.clone(),
            how: Decoding::of(opened.generate.as_ref()),
            generator,
            weights,
        }))
    }

    /// What is written for each example, in order.
    pub fn all(&mut self, opened: &Opened, dataset: &Dataset) -> Result<Vec<Generated>, Failure> {
        let settings = &opened.block.settings;
        let plan = evaluate::plan(settings, dataset.is_long(), dataset.len(Part::Test));
        let mut all = Vec::new();
        for batch in dataset.batches(Part::Test, &plan) {
            let batch = batch?;
            let (weights, fields) = (&self.weights, &opened.record.fields);
            let written = decode(&mut self.generator, weights, fields, &batch, &self.how);
            all.extend(written.map_err(from_training)?);
        }
        Ok(all)
    }
}

/// The first line of a CSV file.
pub fn header(target: &str, written: &Generated, numbered: bool) -> String {
    let target = quoted(target);
    let line = if numbered { ",line" } else { "" };
    match written {
        Generated::Text(_) => format!("example{line},{target}\n"),
        Generated::Numbers(steps) => match steps.first().map_or(1, Vec::len) {
            1 => format!("example,step{line},{target}\n"),
            n => {
                let columns: Vec<String> = (0..n).map(|k| format!("{target}.{k}")).collect();
                format!("example,step{line},{}\n", columns.join(","))
            }
        },
    }
}

/// The lines of example `i`; `place`: where it begins in the input, if that is asked for.
pub fn csv(i: usize, written: &Generated, place: Option<usize>) -> String {
    let place = place.map_or(String::new(), |line| format!(",{line}"));
    match written {
        Generated::Text(text) => format!("{i}{place},{}\n", quoted(text)),
        Generated::Numbers(steps) => {
            let line = |(t, step): (usize, &Vec<f64>)| {
                let values: Vec<String> = step.iter().map(f64::to_string).collect();
                format!("{i},{t}{place},{}\n", values.join(","))
            };
            steps.iter().enumerate().map(line).collect()
        }
    }
}

/// An object with the text, or with a list of steps.
pub fn jsonl(target: &str, written: &Generated, place: Option<usize>) -> String {
    let value: serde_json::Value = match written {
        Generated::Text(text) => text.as_str().into(),
        Generated::Numbers(steps) => {
            let step = |s: &Vec<f64>| match s[..] {
                [one] => serde_json::Value::from(one),
                _ => s.clone().into(),
            };
            steps.iter().map(step).collect()
        }
    };
    let mut o = serde_json::Map::new();
    if let Some(line) = place {
        o.insert("line".to_string(), line.into());
    }
    o.insert(target.to_string(), value);
    format!("{}\n", serde_json::Value::Object(o))
}

/// Everything in one of the forms of a file. `places`: where each example begins in the input.
pub fn encoded(
    to: Format,
    target: &str,
    all: &[Generated],
    places: Option<&[Option<usize>]>,
) -> Result<Vec<u8>, Failure> {
    let place = |i: usize| places.and_then(|p| p.get(i).copied().flatten());
    let arrays = || -> Result<Vec<Vec<Rows>>, Failure> {
        let one = |written: &Generated| match written {
            Generated::Text(_) => {
                let message = "texts are written as csv or jsonl, not as arrays";
                Err(Diagnostic::error("usage::one-array", message).into())
            }
            Generated::Numbers(steps) => Ok(vec![Rows {
                timed: true,
                width: steps.first().map_or(1, Vec::len),
                values: steps.iter().flatten().map(|x| *x as f32).collect(),
            }]),
        };
        all.iter().map(one).collect()
    };
    let names = [target.to_string()];
    Ok(match to {
        Format::Csv => {
            let lines = all.iter().enumerate().map(|(i, w)| csv(i, w, place(i)));
            let header = all.first().map(|w| header(target, w, places.is_some()));
            header.into_iter().chain(lines).collect::<String>().into()
        }
        Format::Jsonl => {
            let lines = all.iter().enumerate();
            let lines = lines.map(|(i, w)| jsonl(target, w, place(i)));
            lines.collect::<String>().into()
        }
        Format::Npy => arrays::npy(&arrays()?, &names)?,
        Format::Npz => arrays::npz(&arrays()?, &names, &[])?,
        Format::Safetensors => arrays::safetensors(&arrays()?, &names)?,
    })
}
