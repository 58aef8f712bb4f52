//! `seqc predict`: a trained model on new inputs, given in the form of the run's data.

pub mod args;
mod argument;
mod arrays;
mod inputs;
mod near;
mod rows;
mod stream;
mod text;
mod unanswered;
mod units;
mod written;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::args::Common;
use super::load::unwritten;
use super::opened::{Opened, best};
use super::{Failure, Within, from_training, stdout};
use crate::data::spec::FieldRole;
use crate::data::{BatchPlan, BatchSize, Dataset, LoadOptions, Part};
use crate::lower::Options;
use crate::settings::TrainSettings;
use crate::span::Span;
use crate::train::evaluate;
use args::{Format, PredictArgs};
use rows::{Rows, columns, in_units};
use text::{Lines, Text};
use written::Writer;

pub fn run(common: &Common, args: &PredictArgs) -> Result<u8, Failure> {
    argument::refuse_form(common, args)?;
    let mut opened = Opened::new(&args.run, common)?;
    let at = argument::place(&mut opened, args);
    argument::refuse_lines(&opened, common, args)?;
    if args.input == Path::new("-") {
        return stream::run(common, args, &opened, at);
    }
    argument::refuse(&opened, args, at)?;
    let writer = Writer::new(&opened, args)?;
    let written = writer.as_ref().map(|w| &w.target[..]);
    argument::refuse_probabilities(&opened, args, written)?;
    argument::refuse_names(&opened, common, args, written)?;
    if let Some(mut writer) = writer {
        let dataset = dataset(common, args, &opened, Some(&writer.target), at)?;
        let all = writer.all(&opened, &dataset)?;
        let to = if common.json {
            Format::Jsonl
        } else {
            args.form()
        };
        let places = places(args, &dataset, at, &opened)?;
        let bytes = written::encoded(to, &writer.target, &all, places.as_deref())?;
        return output(args, whole(common, bytes)).map(|()| 0);
    }
    let dataset = dataset(common, args, &opened, None, at)?;
    if !common.quiet {
        show_given(&opened);
    }
    let mut stage = opened.stage(Options::PREDICT)?;
    let signature = stage.start.signature().clone();
    let weights = best(&args.run, &signature)?;
    let plan = plan(&opened.block.settings, &dataset);
    // By the number of the example, or of the first step of a piece of a series.
    let mut results: Vec<(usize, Vec<Rows>)> = Vec::new();
    let (part, stop) = (Part::Test, AtomicBool::new(false));
    evaluate::each_batch(
        &mut stage,
        &weights,
        &dataset,
        part,
        &plan,
        &stop,
        |batch, feed| {
            let all = rows::of_batch(&signature, batch, feed);
            results.extend(batch.examples.iter().copied().zip(all));
            Ok(())
        },
    )
    .map_err(from_training)?;
    results.sort_by_key(|(example, _)| *example);
    let pieces = results.into_iter().map(|(_, rows)| rows);
    let all: Vec<Vec<Rows>> = match dataset.is_long() {
        true => vec![rows::joined(pieces)],
        false => pieces.collect(),
    };
    let columns = columns(&signature, &opened.record);
    let places = places(args, &dataset, at, &opened)?;
    let bytes = encoded(common, args, &opened, &dataset, all, columns, places)?;
    output(args, whole(common, bytes)).map(|()| 0)
}

/// The line of the input on which each example, or each step of one series, begins. Errors: what has no
/// lines.
fn places(
    args: &PredictArgs,
    dataset: &Dataset,
    at: Span,
    opened: &Opened,
) -> Result<Option<Vec<Option<usize>>>, Failure> {
    if !args.lines {
        return Ok(None);
    }
    let all = (0..dataset.len(Part::Test)).map(|i| dataset.line(Part::Test, i));
    let all: Vec<Option<usize>> = all.collect();
    match all.iter().all(Option::is_some) {
        true => Ok(Some(all)),
        false => Err(Failure::new(
            vec![argument::no_lines(at)],
            opened.loaded.sources.clone(),
        )),
    }
}

/// With `--json` one object, of which the lines are parts.
fn whole(common: &Common, bytes: Vec<u8>) -> Vec<u8> {
    if !common.json {
        return bytes;
    }
    let mut out = b"{\"predictions\":[".to_vec();
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    for (i, line) in lines.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend(line);
    }
    out.extend(b"]}\n");
    out
}

fn output(args: &PredictArgs, bytes: Vec<u8>) -> Result<(), Failure> {
    match &args.output {
        Some(path) => std::fs::write(path, bytes).map_err(|e| unwritten(path, &e).into()),
        None => stdout::bytes(&bytes),
    }
}

/// What a model reads back is given here, as in training.
fn show_given(opened: &Opened) {
    let given = opened.block.wanted.fields.iter();
    let given = given.filter(|f| f.previous && f.role == FieldRole::Target);
    for field in given {
        eprintln!(
            "each step of `{0}` is predicted from the true `{0}` before it",
            field.name
        );
    }
}

fn encoded(
    common: &Common,
    args: &PredictArgs,
    opened: &Opened,
    dataset: &Dataset,
    mut all: Vec<Vec<Rows>>,
    columns: Vec<rows::Column<'_>>,
    places: Option<Vec<Option<usize>>>,
) -> Result<Vec<u8>, Failure> {
    let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
    if args.form() == Format::Safetensors && !common.json {
        return arrays::safetensors(&all, &names);
    }
    for example in &mut all {
        in_units(&columns, &opened.record, example);
    }
    let text = Text {
        columns,
        lines: Lines::of(dataset.is_long(), all.first().map(Vec::as_slice)),
        probabilities: args.probabilities,
        numbered: places.is_some(),
    };
    let places = places.unwrap_or_default();
    let of = |i: usize| match dataset.is_long() {
        true => &places[..],
        false => places.get(i..=i).unwrap_or_default(),
    };
    let objects = || {
        let each = all.iter().enumerate();
        each.map(|(i, example)| text.jsonl(example, of(i)))
            .collect::<String>()
    };
    if common.json {
        return Ok(objects().into_bytes());
    }
    match args.form() {
        Format::Csv => {
            let mut out = all
                .first()
                .map_or(String::new(), |first| text.header(first));
            for (i, example) in all.iter().enumerate() {
                out.push_str(&text.csv(i, example, of(i)));
            }
            Ok(out.into_bytes())
        }
        Format::Jsonl => Ok(objects().into_bytes()),
        Format::Npy => arrays::npy(&all, &names),
        Format::Npz => {
            let wide = |i: usize| all.first().and_then(|e| e.get(i)).map(|r| r.width);
            let of = |(i, c): (usize, &rows::Column<'_>)| {
                let known = c.labels.filter(|v| wide(i) == Some(v.len()))?;
                let each = (0..known.len()).map(|k| known.symbol(k as i32));
                Some((c.name.clone(), each.map(str::to_string).collect()))
            };
            let labels: Vec<_> = text.columns.iter().enumerate().filter_map(of).collect();
            arrays::npz(&all, &names, &labels)
        }
        Format::Safetensors => arrays::safetensors(&all, &names),
    }
}

/// The new inputs, held against what the model was trained on.
fn dataset(
    common: &Common,
    args: &PredictArgs,
    opened: &Opened,
    written: Option<&str>,
    at: Span,
) -> Result<Dataset, Failure> {
    let wanted = inputs::wanted(opened, written)?;
    let spec = inputs::spec(opened, &wanted, Some(&args.input), at)?;
    let mut options = LoadOptions::new(&opened.record.base);
    let name = opened.block.settings.data.clone();
    options.bindings.insert(name, args.input.clone());
    options.only = Some(Part::Test);
    options.lines = args.lines;
    options.fits = Some(&opened.record.fits);
    let sources = &opened.loaded.sources;
    let dataset = Dataset::load(&spec, &wanted, &options)
        .map_err(|found| Failure::new(inputs::advised(found), sources.clone()))?;
    let unseen = inputs::unseen(&dataset).within(sources)?;
    if !common.quiet {
        unseen.show();
        let left = dataset.left_out();
        left.iter()
            .for_each(|left| unanswered::show_share(left, args));
    }
    Ok(dataset)
}

/// One long series is one stream, from its beginning; where the model was trained on windows, each is
/// an example of its own, as then.
fn plan(settings: &TrainSettings, dataset: &Dataset) -> BatchPlan {
    let plan = evaluate::plan(settings, dataset.is_long(), dataset.len(Part::Test));
    match dataset.is_long() && plan.bptt.is_some() {
        true => BatchPlan {
            batch: BatchSize::Rows(1),
            ..plan
        },
        false => plan,
    }
}
