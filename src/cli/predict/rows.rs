//! What a model returned, example by example.
//!
//! In: a signature and the results of calls. Out: [`Rows`], in the unit of the data's columns where
//! they are numbers; the names of the results and the labels of classes and tokens.

use crate::data::spec::Unit;
use crate::data::{Batch, Vocabulary};
use crate::dim::{Dim, Sym};
use crate::targets::executable::{Role, Signature, Slot};
use crate::train::feed::Feed;
use crate::train::folder::Record;

/// One result of one example: its steps' values, or a single row where it has no time.
pub struct Rows {
    pub timed: bool,
    /// Values of a step.
    pub width: usize,
    pub values: Vec<f32>,
}

impl Rows {
    pub fn steps(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// The values of a step; those of the one there is where there is no time.
    pub fn at(&self, t: usize) -> Option<&[f32]> {
        let t = if self.timed { t } else { 0 };
        self.values.get(t * self.width..(t + 1) * self.width)
    }
}

/// What a result is called, and how it is read.
pub struct Column<'r> {
    pub name: String,
    /// Of classes and tokens.
    pub labels: Option<&'r Vocabulary>,
}

/// The results that are shown, in order.
pub fn columns<'r>(signature: &Signature, record: &'r Record) -> Vec<Column<'r>> {
    let names = signature.outputs.iter().filter_map(shown);
    let one = |name: &str| Column {
        name: name.to_string(),
        labels: record.field(name).and_then(|f| f.vocabulary.as_ref()),
    };
    names.map(one).collect()
}

/// The name of a prediction or named output.
fn shown(slot: &Slot) -> Option<&str> {
    match &slot.role {
        Role::Prediction(n) | Role::Named(n) => Some(n),
        Role::Data(_)
        | Role::Previous(_)
        | Role::Lengths(_)
        | Role::Steps(_)
        | Role::Carry(_)
        | Role::Loss
        | Role::LossSum(_)
        | Role::LossCount(_)
        | Role::Grad(_) => None,
    }
}

/// The results of a call for each row of its batch, without padding.
pub fn of_batch(signature: &Signature, batch: &Batch, feed: &Feed) -> Vec<Vec<Rows>> {
    let mut all: Vec<Vec<Rows>> = (0..batch.rows).map(|_| Vec::new()).collect();
    for (slot, (_, values)) in signature.outputs.iter().zip(feed.outputs()) {
        if shown(slot).is_none() {
            continue;
        }
        // `[T, B, …]` or `[B, …]`; a time that is fixed is a number.
        let batch_at = |d: &Dim| d.as_sym().is_some_and(|s| s.name() == "B");
        let time = match slot.shape.iter().position(batch_at) {
            Some(1) => slot.shape.first(),
            _ => None,
        };
        let size = |s: &Sym| i64::try_from(batch.size(s.name())?).ok();
        let steps = time.and_then(|t| t.eval(&size));
        let steps = steps.and_then(|n| usize::try_from(n).ok());
        let lens = time
            .and_then(Dim::as_sym)
            .and_then(|t| batch.lengths(t.name()));
        let width = values.len() / (batch.rows * steps.unwrap_or(1)).max(1);
        for (row, out) in all.iter_mut().enumerate() {
            let n = match (steps, lens) {
                (Some(steps), Some(lens)) => (lens[row].max(0) as usize).min(steps),
                (Some(steps), None) => steps,
                (None, _) => 1,
            };
            let mut own = Vec::with_capacity(n * width);
            for t in 0..n {
                let at = (t * batch.rows + row) * width;
                own.extend_from_slice(&values[at..at + width]);
            }
            out.push(Rows {
                timed: steps.is_some(),
                width,
                values: own,
            });
        }
    }
    all
}

/// Numbers in the unit of their column of the data, not as the model was trained on them.
pub fn in_units(columns: &[Column<'_>], record: &Record, example: &mut [Rows]) {
    for (column, rows) in columns.iter().zip(example) {
        let Some(field) = record.field(&column.name) else {
            continue;
        };
        if field.unit != Unit::Number || field.inverse.is_identity() {
            continue;
        }
        for (i, v) in rows.values.iter_mut().enumerate() {
            let feature = i % rows.width.max(1);
            *v = field.inverse.apply(feature, f64::from(*v)) as f32;
        }
    }
}

/// Pieces of one long series, in order, as one example.
pub fn joined(pieces: impl IntoIterator<Item = Vec<Rows>>) -> Vec<Rows> {
    let mut pieces = pieces.into_iter();
    let mut all = pieces.next().unwrap_or_default();
    for piece in pieces {
        for (whole, part) in all.iter_mut().zip(piece) {
            whole.values.extend(part.values);
        }
    }
    all
}
