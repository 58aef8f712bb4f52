//! New inputs in the form of a run's data, without the answers.
//!
//! In: a run, a file or nothing for standard input. Out: the data block that reads them and what is
//! wanted of it; after loading, what in them the run has never seen.

use std::path::Path;

use crate::check::program::Model;
use crate::cli::Failure;
use crate::cli::opened::Opened;
use crate::cli::render::printable;
use crate::data::spec::{
    ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, Field, FieldRole, PathText, SourceKind, Split,
    SplitBy, Step, Table, Time, Unit,
};
use crate::data::{DataSpec, Dataset, Part, Wanted};
use crate::diagnostics::Diagnostic;
use crate::ir::InputRole;
use crate::lower::{Options, lower};
use crate::pipeline::internal;
use crate::settings::read::clip;
use crate::span::{Span, Spanned};

/// What a prediction reads: inputs, targets whose earlier values the model is given, and those that it
/// reads itself, by `reveal` or as an output. Features are as many as the run was trained on. What the
/// model itself writes is not read.
pub fn wanted(opened: &Opened, written: Option<&str>) -> Result<Wanted, Diagnostic> {
    let mut wanted = opened.block.wanted.clone();
    let shown = shown(&opened.model)?;
    let read = |f: &Field| f.role == FieldRole::Input || shown.contains(&f.name);
    let given = |name: &str| written != Some(name);
    (wanted.fields).retain(|f| read(f) || (f.previous && given(&f.name)));
    let fields = &wanted.fields;
    let named = |t: &Time| fields.iter().any(|f| f.time.as_ref() == Some(&t.name));
    wanted.times.retain(named);
    for field in &mut wanted.fields {
        let trained = opened.record.field(&field.name);
        let sizes = trained.filter(|t| t.features.len() == field.features.len());
        if let Some(trained) = sizes {
            field.features = trained.features.iter().copied().map(Some).collect();
        }
    }
    Ok(wanted)
}

/// The fields of which a prediction reads the value itself.
fn shown(model: &Model) -> Result<Vec<String>, Diagnostic> {
    let full = lower(model, Options::PREDICT).map_err(internal)?;
    let data = full.inputs.into_iter().filter_map(|i| match i.role {
        InputRole::Data(name) => Some(name),
        InputRole::Previous(_)
        | InputRole::Lengths(_)
        | InputRole::Steps(_)
        | InputRole::Carry(_) => None,
    });
    Ok(data.collect())
}

/// The run's data block, reading what the command line names: the columns it makes, where the input is
/// of the same form; else fields as they are, by name. Every example is kept, for each is asked about.
/// `at`: where the input is named.
pub fn spec(
    opened: &Opened,
    wanted: &Wanted,
    input: Option<&Path>,
    at: Span,
) -> Result<DataSpec, Failure> {
    let name = &opened.block.settings.data;
    let data = opened.loaded.experiment.data(name).ok_or_else(|| {
        let message = format!("the file has no data block {name}");
        Diagnostic::error("usage::no-data", message)
    })?;
    let mut spec = data.spec.clone();
    spec.keep = None;
    // What was asked of the file's own source is asked of the input.
    spec.source.span = at;
    spec.source.kind.named_at(at);
    // Shares by the classes of an answer would read it.
    spec.split = Split::Parts {
        shares: [0.0, 0.0, 100.0],
        by: SplitBy::Time,
        span: spec.span,
    };
    let tensors = input.is_some_and(|p| p.extension().is_some_and(|e| e == "safetensors"));
    let made_up = matches!(spec.source.kind, SourceKind::Rows { .. });
    if !made_up && tensors == matches!(spec.source.kind, SourceKind::Tensors(_)) {
        let reads_labels = reads(&spec, wanted).contains("labels");
        if let SourceKind::Idx { labels, .. } = &mut spec.source.kind
            && !reads_labels
        {
            *labels = None;
        }
        return Ok(spec);
    }
    let path = input.map_or(String::new(), |p| p.display().to_string());
    let path = PathText::new(path, spec.source.span);
    let made = std::mem::take(&mut spec.columns);
    spec.source.kind = if tensors {
        SourceKind::Tensors(path)
    } else {
        // A sequence is a block of rows, but of one long series, whose rows all follow each other.
        let timed = || wanted.fields.iter().filter(|f| f.time.is_some());
        let of_steps = |f: &&Field| {
            made.iter()
                .any(|c| c.name.node == f.name && steps(c, &made))
        };
        let blocks = timed().next().is_some() && timed().all(|f| of_steps(&f));
        for field in &wanted.fields {
            let features = opened.record.field(&field.name);
            let features = features.map_or(&[][..], |f| &f.features);
            let once = blocks && field.time.is_none();
            spec.columns.push(by_name(&field.name, features, once, at));
        }
        SourceKind::Csv(Table {
            path,
            header: true,
            sort: None,
            blocks,
        })
    };
    Ok(spec)
}

/// Whether an example has several steps of a column of made-up data, as far as its equation says.
fn steps(column: &ColumnSpec, all: &[ColumnSpec]) -> bool {
    !column.indices.is_empty() || has_steps(&column.value, all, all.len())
}

/// `depth` counts the columns still to be followed, so that a cycle ends.
fn has_steps(e: &ColumnExpr, all: &[ColumnSpec], depth: usize) -> bool {
    match &e.kind {
        ColumnKind::Uniform { over, .. } | ColumnKind::Randint { over, .. } if over.is_some() => {
            true
        }
        ColumnKind::Reduce { over: Some(_), .. } | ColumnKind::Length(_) => false,
        ColumnKind::Step {
            step: Step::First | Step::Last,
            ..
        } => false,
        ColumnKind::Step {
            step: Step::Window(_) | Step::Steps(_),
            ..
        } => true,
        ColumnKind::Name(name) => all.iter().any(|c| {
            c.name.node == *name
                && (!c.indices.is_empty() || depth > 0 && has_steps(&c.value, all, depth - 1))
        }),
        _ => e.parts().into_iter().any(|p| has_steps(p, all, depth)),
    }
}

/// The named columns of the source that what is wanted is made of.
fn reads(spec: &DataSpec, wanted: &Wanted) -> std::collections::BTreeSet<String> {
    let mut own = spec.clone();
    let mut names: Vec<String> = wanted.fields.iter().map(|f| f.name.clone()).collect();
    let mut i = 0;
    while let Some(name) = names.get(i).cloned() {
        let made = spec.columns.iter().filter(|c| c.name.node == name);
        let mut found = Vec::new();
        made.for_each(|c| named(&c.value, &mut found));
        found.retain(|n| !names.contains(n));
        names.extend(found);
        i += 1;
    }
    own.columns.retain(|c| names.contains(&c.name.node));
    let mut out = own.columns_read();
    // A field that no equation makes is the column of its name.
    out.extend(names);
    out
}

/// The other columns that an expression names.
fn named(e: &ColumnExpr, out: &mut Vec<String>) {
    if let ColumnKind::Name(name) = &e.kind {
        out.push(name.clone());
    }
    e.parts().into_iter().for_each(|p| named(p, out));
}

/// A field out of the column of its name, or of several numbers out of the columns `x.0`, `x.1`, …;
/// `once`: a value that stands in every row of a block.
fn by_name(name: &str, features: &[usize], once: bool, span: Span) -> ColumnSpec {
    let column = |k| ColumnRef::Named(format!("{name}.{k}"));
    let mut kind = match features {
        [n] => ColumnKind::Columns((0..*n).map(column).collect()),
        _ => ColumnKind::Column(ColumnRef::Named(name.to_string())),
    };
    if once {
        let input = Box::new(ColumnExpr { kind, span });
        let step = Step::First;
        kind = ColumnKind::Step { input, step };
    }
    ColumnSpec {
        name: Spanned::new(name.to_string(), span),
        indices: Vec::new(),
        value: ColumnExpr { kind, span },
        span,
    }
}

/// Symbols that the training data did not have.
#[derive(Default)]
pub struct Unseen {
    pub symbols: usize,
    /// One of them and where it stands.
    pub first: Option<(String, String)>,
}

impl Unseen {
    pub fn add(&mut self, other: Unseen) {
        self.symbols += other.symbols;
        self.first = self.first.take().or(other.first);
    }

    /// What the training data never had has no vector of its own.
    pub fn show(&self) {
        let named = |first: &str| match &self.first {
            Some((symbol, line)) => format!(", {first}`{}` in {line},", readable(symbol)),
            None => String::new(),
        };
        let (some, are) = match self.symbols {
            0 => return,
            1 => (format!("1 symbol of the inputs{}", named("")), "is"),
            n => (
                format!("{n} symbols of the inputs{}", named("first ")),
                "are",
            ),
        };
        let they = if self.symbols == 1 {
            "it is"
        } else {
            "they are"
        };
        eprintln!("{some} {are} not in the training data; {they} read as nothing");
    }
}

/// A symbol as a terminal may show it.
fn readable(symbol: &str) -> String {
    clip(&printable(&symbol.replace('\n', "\\n")))
}

/// Symbols that the training data did not have. A class that the model never saw is an error, for it
/// has no meaning to the model; of a text's symbols the number is returned, for they are left out.
pub fn unseen(dataset: &Dataset) -> Result<Unseen, Diagnostic> {
    let mut all = Unseen::default();
    for column in dataset.columns() {
        let input = column.role == FieldRole::Input;
        let read_back = column.previous && column.unit == Unit::Token;
        if !(input || read_back) {
            continue;
        }
        let Some(unknown) = column.unknown.as_ref().filter(|_| input) else {
            all.add(Unseen {
                symbols: column.unseen[Part::Test as usize],
                first: column.first_unseen.clone(),
            });
            continue;
        };
        let classes = column.vocabulary.iter().flat_map(|v| v.symbols());
        let some: Vec<&str> = classes.take(10).map(String::as_str).collect();
        let all = column.vocabulary.as_ref().map_or(0, |v| v.symbols().len());
        let more = match all > some.len() {
            true => format!(", … ({all} in all)"),
            false => String::new(),
        };
        let help = format!("the classes are {}{more}", some.join(", "));
        return Err(unknown.as_ref().clone().help(help));
    }
    Ok(all)
}

/// What is wrong with new inputs, with advice that holds for them: the run reads what it was trained to
/// read, and answers every row, so an edit of its file would change nothing.
pub fn advised(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for d in &mut found {
        let help = match d.code {
            "data::empty-sequence" | "data::too-long" => "leave it out of the input",
            "data::missing" => "fill it, or leave the row out of the input",
            "data::not-a-number" | "data::not-finite"
                if d.help.as_ref().is_some_and(|h| h.starts_with("`missing")) =>
            {
                "fill it, or leave the row out of the input"
            }
            _ => continue,
        };
        d.help = Some(format!("every row has an answer: {help}"));
    }
    found
}
