//! Predictions as files.
//!
//! In: the values of every prediction, by example, with their names and, for classes and tokens, their
//! labels. Out: CSV, JSON lines or safetensors.
//!
//! A number `y` is the column `y`, or `y.0`, `y.1`, … where it has several features. A class or token
//! `y` is `y`, the likeliest label, `y.p`, its probability, and `y.0`, `y.1`, … the probability of each
//! label in the order of the vocabulary.

use std::fmt::Write as _;

use super::{Failure, from_training};
use crate::data::Vocabulary;
use crate::train::weights::{Named, encode};

/// One result of one example: its steps' values, or a single row where it has no time.
pub struct Rows {
    pub timed: bool,
    /// Values of a step.
    pub width: usize,
    pub values: Vec<f32>,
}

impl Rows {
    fn steps(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The values of a step; those of the one there is where there is no time.
    fn at(&self, t: usize) -> Option<&[f32]> {
        let t = if self.timed { t } else { 0 };
        self.values.get(t * self.width..(t + 1) * self.width)
    }
}

/// The likeliest label of a step and its probability; `None` for what is no distribution over labels.
fn likeliest<'v>(row: &[f32], labels: Option<&'v Vocabulary>) -> Option<(&'v str, f32)> {
    let labels = labels.filter(|v| v.len() == row.len())?;
    // Of equal ones the first.
    let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    Some((labels.symbol(best as i32), *row.get(best)?))
}

/// A line for each example and step: `example`, `step`, then the columns of every prediction.
pub fn csv(all: &[Vec<Rows>], names: &[String], labels: &[Option<&Vocabulary>]) -> Vec<u8> {
    let mut out = String::from("example,step");
    for ((name, labels), r) in names
        .iter()
        .zip(labels)
        .zip(all.first().into_iter().flatten())
    {
        if labels.is_some_and(|v| v.len() == r.width) {
            let _ = write!(out, ",{0},{0}.p", quoted(name));
        } else if r.width == 1 {
            let _ = write!(out, ",{}", quoted(name));
            continue;
        }
        for k in 0..r.width {
            let _ = write!(out, ",{}.{k}", quoted(name));
        }
    }
    out.push('\n');
    for (i, example) in all.iter().enumerate() {
        let steps = example.iter().filter(|r| r.timed).map(Rows::steps).max();
        for t in 0..steps.unwrap_or(1) {
            let _ = write!(out, "{i},{t}");
            for (r, labels) in example.iter().zip(labels) {
                let labelled = labels.is_some_and(|v| v.len() == r.width);
                match r.at(t) {
                    Some(row) => {
                        if let Some((label, p)) = likeliest(row, *labels) {
                            let _ = write!(out, ",{},{p}", quoted(label));
                        }
                        for v in row {
                            let _ = write!(out, ",{v}");
                        }
                    }
                    None => out.push_str(&",".repeat(r.width + 2 * usize::from(labelled))),
                }
            }
            out.push('\n');
        }
    }
    out.into_bytes()
}

/// A cell of a CSV file (RFC 4180): quoted where it must be.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}

/// An object for each example. Of a class or token `y`, `y` holds the likeliest label, `y.p` its
/// probability and `y.all` the probability of each label; with a time these are lists over its steps.
pub fn jsonl(all: &[Vec<Rows>], names: &[String], labels: &[Option<&Vocabulary>]) -> Vec<u8> {
    let mut out = String::new();
    for example in all {
        let mut o = serde_json::Map::new();
        for ((name, labels), r) in names.iter().zip(labels).zip(example) {
            let rows: Vec<&[f32]> = r.values.chunks(r.width.max(1)).collect();
            // Without a time there is one row, and no list around it.
            let listed = |mut values: Vec<serde_json::Value>| match r.timed {
                true => serde_json::Value::from(values),
                false => values.pop().unwrap_or_default(),
            };
            let best: Option<Vec<(&str, f32)>> =
                rows.iter().map(|row| likeliest(row, *labels)).collect();
            let values = |row: &&[f32]| match **row {
                [one] => one.into(),
                _ => row.to_vec().into(),
            };
            let all = listed(rows.iter().map(values).collect());
            match best.filter(|b| !b.is_empty()) {
                Some(best) => {
                    let (l, p): (Vec<&str>, Vec<f32>) = best.into_iter().unzip();
                    let l = l.into_iter().map(Into::into).collect();
                    o.insert(name.clone(), listed(l));
                    let p = p.into_iter().map(Into::into).collect();
                    o.insert(format!("{name}.p"), listed(p));
                    o.insert(format!("{name}.all"), all);
                }
                None => drop(o.insert(name.clone(), all)),
            }
        }
        let _ = writeln!(out, "{}", serde_json::Value::Object(o));
    }
    out.into_bytes()
}

/// A tensor `[examples, steps, values]` for each prediction, zeros after an example's end, with
/// `<name>.len` beside it; `[examples, values]` where there is no time.
pub fn safetensors(all: &[Vec<Rows>], names: &[String]) -> Result<Vec<u8>, Failure> {
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
