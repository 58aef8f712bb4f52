//! `seqc predict`: a trained model on new inputs, given in the form of the run's data.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::args::{Common, Format, PredictArgs};
use super::load::plain;
use super::opened::{Opened, best};
use super::predicted::{self, Rows};
use super::{Failure, from_training, stdout};
use crate::data::spec::{
    ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, FieldRole, PathText, SourceKind, Split, SplitBy,
    Table, Unit,
};
use crate::data::{DataSpec, Dataset, LoadOptions, Part, Vocabulary};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};
use crate::lower::Options;
use crate::span::{Span, Spanned};
use crate::targets::executable::Role;
use crate::train::evaluate;

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
    let dataset = Dataset::load(&spec(&opened, &args.input)?, &opened.block.wanted, &options)
        .map_err(|found| Failure::new(found, opened.loaded.sources.clone()))?;

    let mut stage = opened.stage(Options::PREDICT)?;
    let signature = stage.start.signature().clone();
    let weights = best(&args.run, &signature)?;
    let settings = &opened.block.settings;
    let plan = evaluate::plan(settings, dataset.is_long(), dataset.len(Part::Test));
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
                // `[T, B, …]` or `[B, …]`; a time that is fixed is a number.
                let batch_at = |d: &Dim| d.as_sym().is_some_and(|s| s.name() == "B");
                let time = match slot.shape.iter().position(batch_at) {
                    Some(1) => slot.shape.first(),
                    _ => None,
                };
                let size = |s: &Sym| i64::try_from(batch.size(s.name())?).ok();
                let steps = time
                    .and_then(|t| t.eval(&size))
                    .and_then(|n| usize::try_from(n).ok());
                let lens = time
                    .and_then(Dim::as_sym)
                    .and_then(|t| batch.lengths(t.name()));
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
    let labels: Vec<Option<&Vocabulary>> = names
        .iter()
        .map(|name| opened.record.field(name)?.vocabulary.as_ref())
        .collect();
    let all: Vec<Vec<Rows>> = results.into_values().collect();
    let bytes = match args.to {
        Format::Csv => predicted::csv(&in_units(&opened, &names, all), &names, &labels),
        Format::Jsonl => predicted::jsonl(&in_units(&opened, &names, all), &names, &labels),
        Format::Safetensors => predicted::safetensors(&all, &names)?,
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

/// Numbers in the unit of their column of the data, not as the model was trained on them.
fn in_units(opened: &Opened, names: &[String], mut all: Vec<Vec<Rows>>) -> Vec<Vec<Rows>> {
    for (k, name) in names.iter().enumerate() {
        let Some(field) = opened.record.field(name) else {
            continue;
        };
        if field.unit != Unit::Number || field.inverse.is_identity() {
            continue;
        }
        for r in all.iter_mut().filter_map(|example| example.get_mut(k)) {
            for (i, v) in r.values.iter_mut().enumerate() {
                let feature = i % r.width.max(1);
                *v = field.inverse.apply(feature, f64::from(*v)) as f32;
            }
        }
    }
    all
}

/// The run's data block, reading what the command line names: the columns it makes, where the input is
/// of the same form; else fields as they are, by name.
fn spec(opened: &Opened, input: &Path) -> Result<DataSpec, Failure> {
    let name = &opened.block.settings.data;
    let data = opened.loaded.experiment.data(name).ok_or_else(|| {
        let message = format!("the file has no data block {name}");
        Diagnostic::error("usage::no-data", message)
    })?;
    let mut spec = data.spec.clone();
    let tensors = input.extension().is_some_and(|e| e == "safetensors");
    let made_up = matches!(spec.source.kind, SourceKind::Rows { .. });
    let of_its_form = !made_up && tensors == matches!(spec.source.kind, SourceKind::Tensors(_));
    if of_its_form {
        return Ok(spec);
    }
    let path = PathText::new(input.display().to_string(), spec.source.span);
    (spec.keep, spec.columns) = (None, Vec::new());
    spec.split = Split::Parts {
        shares: [0.0, 0.0, 100.0],
        by: SplitBy::Time,
        span: spec.span,
    };
    spec.source.kind = if tensors {
        SourceKind::Tensors(path)
    } else {
        for field in &opened.block.wanted.fields {
            let features = opened
                .record
                .field(&field.name)
                .map_or(&[][..], |f| &f.features);
            spec.columns
                .extend(beside(&field.name, features, spec.source.span));
        }
        SourceKind::Csv(Table {
            path,
            header: true,
            sort: None,
            blocks: false,
        })
    };
    Ok(spec)
}

/// A field of several numbers out of the columns `x.0`, `x.1`, …
fn beside(name: &str, features: &[usize], span: Span) -> Option<ColumnSpec> {
    let [n] = features else { return None };
    let column = |k| ColumnRef::Named(format!("{name}.{k}"));
    Some(ColumnSpec {
        name: Spanned::new(name.to_string(), span),
        indices: Vec::new(),
        value: ColumnExpr {
            kind: ColumnKind::Columns((0..*n).map(column).collect()),
            span,
        },
        span,
    })
}
