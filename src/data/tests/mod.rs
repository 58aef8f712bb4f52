//! Tests of the whole of `data`: specs built by hand, small files, every batch looked at.

mod batches;
#[cfg(feature = "tokenizers")]
mod bpe;
mod expressions;
mod faults;
mod guess;
mod load;
mod missing;
mod random;
mod sources;
mod stored;
#[cfg(feature = "tokenizers")]
mod tokenizer;
mod words;

use super::spec::*;
use super::{Batch, BatchPlan, Dataset, LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::span::{Span, Spanned};

pub fn here<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

pub fn e(kind: ColumnKind) -> ColumnExpr {
    ColumnExpr {
        kind,
        span: Span::default(),
    }
}

pub fn number(v: f64) -> ColumnExpr {
    e(ColumnKind::Number(v))
}

pub fn name(n: &str) -> ColumnExpr {
    e(ColumnKind::Name(n.into()))
}

pub fn whole() -> ColumnExpr {
    e(ColumnKind::Whole)
}

pub fn at(i: usize) -> ColumnExpr {
    e(ColumnKind::Column(ColumnRef::At(i)))
}

pub fn named(n: &str) -> ColumnExpr {
    e(ColumnKind::Column(ColumnRef::Named(n.into())))
}

pub fn columns(names: &[&str]) -> ColumnExpr {
    let refs = names.iter().map(|n| ColumnRef::Named(n.to_string()));
    e(ColumnKind::Columns(refs.collect()))
}

pub fn next(x: ColumnExpr) -> ColumnExpr {
    e(ColumnKind::Next(x.into(), 1))
}

pub fn length(x: ColumnExpr) -> ColumnExpr {
    e(ColumnKind::Length(x.into()))
}

pub fn binary(op: Binary, a: ColumnExpr, b: ColumnExpr) -> ColumnExpr {
    e(ColumnKind::Binary(op, a.into(), b.into()))
}

pub fn uniform(low: f64, high: f64, over: Option<&str>) -> ColumnExpr {
    e(ColumnKind::Uniform {
        low: number(low).into(),
        high: number(high).into(),
        over: over.map(|o| here(o.to_string())),
    })
}

pub fn randint(n: usize) -> ColumnExpr {
    e(ColumnKind::Randint {
        n: number(n as f64).into(),
        over: None,
    })
}

impl ColumnExpr {
    /// `self |> step`.
    pub fn to(self, step: Step) -> ColumnExpr {
        e(ColumnKind::Step {
            input: self.into(),
            step,
        })
    }
}

/// `name = value`.
pub fn set(name: &str, value: ColumnExpr) -> ColumnSpec {
    ColumnSpec {
        name: here(name.to_string()),
        indices: Vec::new(),
        value,
        span: Span::default(),
    }
}

pub fn parts(a: f64, b: f64, c: f64) -> Split {
    Split::Parts {
        shares: [a, b, c],
        by: SplitBy::Shuffle,
        span: Span::default(),
    }
}

pub fn lines(path: &str) -> SourceKind {
    SourceKind::Lines(here(path.into()))
}

pub fn text(path: &str) -> SourceKind {
    SourceKind::Text(here(path.into()))
}

pub fn table(path: &str, header: bool) -> Table {
    Table {
        path: here(path.into()),
        header,
        sort: None,
        blocks: false,
    }
}

pub fn rows(count: usize, seed: u64) -> SourceKind {
    SourceKind::Rows { count, seed }
}

pub fn spec(kind: SourceKind, columns: Vec<ColumnSpec>, split: Split) -> DataSpec {
    DataSpec {
        name: here("d".into()),
        source: Source {
            kind,
            span: Span::default(),
        },
        columns,
        keep: None,
        split,
        span: Span::default(),
    }
}

fn field(name: &str, role: FieldRole, unit: Unit, time: Option<&str>) -> Field {
    Field {
        name: name.into(),
        role,
        unit,
        time: time.map(str::to_string),
        features: Vec::new(),
        feeds_itself: false,
        previous: false,
        span: Span::default(),
    }
}

pub fn input(name: &str, unit: Unit, time: Option<&str>) -> Field {
    field(name, FieldRole::Input, unit, time)
}

pub fn target(name: &str, unit: Unit, time: Option<&str>) -> Field {
    field(name, FieldRole::Target, unit, time)
}

impl Dataset {
    /// The batches of an epoch, all of them.
    pub fn each(&self, part: Part, plan: &BatchPlan) -> std::vec::IntoIter<Batch> {
        let all: Vec<Batch> = self.batches(part, plan).map(Result::unwrap).collect();
        all.into_iter()
    }
}

impl Field {
    pub fn sized(self, features: &[usize]) -> Field {
        Field {
            features: features.iter().map(|f| Some(*f)).collect(),
            ..self
        }
    }

    /// Read through `previous`, on a time of its own.
    pub fn fed(self) -> Field {
        Field {
            feeds_itself: self.unit == Unit::Token,
            previous: true,
            ..self
        }
    }
}

/// The fields, and the times they name, `T` of this length where given.
pub fn wanted(fields: Vec<Field>, fixed: Option<usize>) -> Wanted {
    let mut times: Vec<Time> = Vec::new();
    for f in &fields {
        if let Some(name) = &f.time
            && times.iter().all(|t| t.name != *name)
        {
            times.push(Time {
                name: name.clone(),
                fixed,
                most: None,
            });
        }
    }
    Wanted { fields, times }
}

/// Files in a folder, and what loading from it gives.
pub fn load_with(
    files: &[(&str, &[u8])],
    spec: &DataSpec,
    wanted: &Wanted,
    change: impl FnOnce(&mut LoadOptions),
) -> Result<Dataset, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut options = LoadOptions::new(folder.path());
    change(&mut options);
    Dataset::load(spec, wanted, &options)
}

pub fn load(files: &[(&str, &str)], spec: &DataSpec, wanted: &Wanted) -> Dataset {
    let bytes: Vec<(&str, &[u8])> = files.iter().map(|(n, t)| (*n, t.as_bytes())).collect();
    load_with(&bytes, spec, wanted, |_| {}).unwrap()
}

/// The names example: one target of characters, fed to itself.
pub fn names(text: &str, split: Split) -> Dataset {
    let spec = spec(
        lines("names.txt"),
        vec![set("name", whole().to(Step::Chars))],
        split,
    );
    let wanted = wanted(vec![target("name", Unit::Token, Some("T")).fed()], None);
    load(&[("names.txt", text)], &spec, &wanted)
}

/// The text example: one long target of characters, fed to itself.
pub fn long(characters: &str, split: Split) -> Dataset {
    let spec = spec(
        text("t.txt"),
        vec![set("text", whole().to(Step::Chars))],
        split,
    );
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    load(&[("t.txt", characters)], &spec, &wanted)
}
