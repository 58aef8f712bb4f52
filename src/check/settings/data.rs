//! `data d { … }` to a [`DataSpec`].
//!
//! In: the block as parsed. Out: the spec, or diagnostics: what the schema says of `from` and
//! `split`, and `data::unknown-name`, `data::duplicate-column`, `data::cycle`, `limit::expansion` for
//! columns that cannot be computed whatever the file holds.

use std::collections::BTreeMap;

use super::block::repeated;
use super::column::column;
use super::column_names::names;
use super::expansion;
use super::step::column_ref;
use super::value::value;
use crate::ast::node::{Expr, Setting, Settings};
use crate::data::spec::{
    ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, DataSpec, PartFile, Source, SourceKind, Split,
    SplitBy, Step, Table,
};
use crate::diagnostics::Diagnostic;
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::{self, clip};
use crate::settings::schema::{Kind, SOURCES, SPLITS};
use crate::settings::value::ValueKind;
use crate::span::{Span, Spanned};

static SOURCE: Kind = Kind::Choice(SOURCES);
static SPLIT: Kind = Kind::Choice(SPLITS);

/// `times` are the file's time names, which a column may draw `over`.
pub fn data(block: &Settings, times: &[String], report: &mut Vec<Diagnostic>) -> Option<DataSpec> {
    let before = report.len();
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    let (mut from, mut keep, mut split) = (None, None, None);
    let mut columns = Vec::new();
    for setting in &block.entries {
        let (name, indices, written, span) = match setting {
            Setting::Set {
                given: false,
                name,
                indices,
                value,
                span,
            } => (name, indices, value, *span),
            Setting::Set { name, .. } => {
                report.push(misplaced("given", "generate", name.span));
                continue;
            }
            Setting::Params { selector, .. } => {
                report.push(misplaced("params", "train", selector.span));
                continue;
            }
        };
        if let Some(first) = first.get(name.node.as_str()) {
            report.push(if matches!(name.node.as_str(), "from" | "keep" | "split") {
                repeated(&name.node, name.span, *first)
            } else {
                Diagnostic::error(
                    "data::duplicate-column",
                    format!("column `{}` is defined twice", clip(&name.node)),
                )
                .label(name.span, "here again")
                .label(*first, "first here")
            });
            continue;
        }
        first.insert(&name.node, name.span);
        match name.node.as_str() {
            "from" => from = source(written, report),
            "split" => split = self::split(written, report),
            "keep" => keep = column(written, report),
            _ => {
                if let Some(value) = column(written, report) {
                    columns.push(ColumnSpec {
                        name: name.clone(),
                        indices: indices.clone().unwrap_or_default(),
                        value,
                        span,
                    });
                }
            }
        }
    }
    if !first.contains_key("from") {
        report.push(
            Diagnostic::error(
                "setting::missing",
                format!(
                    "`data {}` does not say where it comes `from`",
                    clip(&block.name.node)
                ),
            )
            .label(block.name.span, "no `from` in this block")
            .help("for example `from = \"text.txt\"` or `from = csv(\"table.csv\")`"),
        );
    }
    if report[before..].iter().any(Diagnostic::is_error) {
        return None;
    }
    let (source, split) = (from?, split);
    if let SourceKind::Idx { .. } = source.kind {
        (columns.iter_mut()).for_each(|c: &mut ColumnSpec| idx_columns(&mut c.value));
        keep.iter_mut().for_each(idx_columns);
    }
    if let Some(Split::Files { valid, test, .. }) = &split {
        let pair = matches!(source.kind, SourceKind::Idx { .. });
        let parts = || [valid, test].into_iter().flatten();
        if let Some(part) = parts().find(|p| p.labels.is_some() != pair) {
            let error = match pair {
                true => Diagnostic::error(
                    "setting::conflict",
                    "a part of `idx` is two files, this is one",
                )
                .label(part.path.span, "the images alone?")
                .help("write `files(valid = idx(images = \"…\", labels = \"…\"))`"),
                false => Diagnostic::error(
                    "setting::conflict",
                    "a part is of the source's form, which is not `idx`",
                )
                .label(part.path.span, "a pair of files")
                .label(source.span, "one file"),
            };
            report.push(error);
            return None;
        }
    }
    let spec = DataSpec {
        name: block.name.clone(),
        source,
        columns,
        keep,
        split: split.unwrap_or(Split::Parts {
            shares: [90.0, 5.0, 5.0],
            by: SplitBy::Shuffle,
            span: block.name.span,
        }),
        span: block.span,
    };
    names(&spec, times, report);
    if !report[before..].iter().any(Diagnostic::is_error) {
        report.extend(expansion::too_large(&spec));
    }
    let sound = !report[before..].iter().any(Diagnostic::is_error);
    sound.then_some(spec)
}

/// An entry that belongs to another kind of block.
pub fn misplaced(what: &str, home: &str, at: Span) -> Diagnostic {
    Diagnostic::error(
        "setting::unknown",
        format!("`{what}` stands in a `{home}` block only"),
    )
    .label(at, "not here")
}

fn chosen(
    what: &str,
    kind: &'static Kind,
    e: &Expr,
    report: &mut Vec<Diagnostic>,
) -> Option<Choice> {
    let v = value(e).map_err(|d| report.push(d)).ok()?;
    match read::read(what, kind, &v, report)? {
        Checked::Choice(c) => Some(c),
        Checked::Number(_)
        | Checked::Pair(..)
        | Checked::Text(_)
        | Checked::Name(_)
        | Checked::YesNo(_)
        | Checked::List(_) => None,
    }
}

fn source(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<Source> {
    let v = value(e).map_err(|d| report.push(d)).ok()?;
    if let ValueKind::Text(path) = v.kind {
        return Some(Source {
            kind: SourceKind::Text(Spanned::new(path, e.span)),
            span: e.span,
        });
    }
    if let ValueKind::Name(name) = &v.kind
        && let Some((_, form)) = name.rsplit_once('.')
    {
        let source = match form {
            "csv" | "tsv" | "jsonl" => format!("{form}(\"{name}\")"),
            "safetensors" => format!("tensors(\"{name}\")"),
            _ => format!("\"{name}\""),
        };
        let d = read::mismatch("from", "a source or a quoted path", &v);
        report.push(d.help(format!("write {source}")).fix(v.span, source));
        return None;
    }
    let c = chosen("from", &SOURCE, e, report)?;
    let path = || c.text("file").clone();
    let kind = match c.name {
        "text" => SourceKind::Text(path()),
        "lines" => SourceKind::Lines(path()),
        "csv" => SourceKind::Csv(table(&c)),
        "tsv" => SourceKind::Tsv(table(&c)),
        "rows" => SourceKind::Rows {
            count: c.number("count") as usize,
            seed: c.number("seed") as u64,
        },
        "tensors" => SourceKind::Tensors(path()),
        "jsonl" => SourceKind::Jsonl(path()),
        "idx" => SourceKind::Idx {
            images: c.text("images").clone(),
            labels: Some(c.text("labels").clone()),
        },
        _ => return None,
    };
    Some(Source { kind, span: e.span })
}

fn table(c: &Choice) -> Table {
    let sort = c.get("sort").and_then(|sort| {
        let span = match sort {
            Checked::Name(n) | Checked::Text(n) => n.span,
            Checked::Number(_)
            | Checked::Pair(..)
            | Checked::YesNo(_)
            | Checked::Choice(_)
            | Checked::List(_) => c.span,
        };
        column_ref(sort).map(|r| Spanned::new(r, span))
    });
    let blocks = matches!(c.get("blocks"), Some(Checked::Choice(b)) if b.name == "blank_line");
    Table {
        path: c.text("file").clone(),
        header: c.get("header") == Some(&Checked::YesNo(true)),
        sort,
        blocks,
    }
}

fn split(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<Split> {
    let before = report.len();
    let Some(c) = chosen("split", &SPLIT, e, report) else {
        let order = |d: &&mut Diagnostic| d.message.ends_with("is not a choice of `by`");
        if let Some(d) = report[before..].iter_mut().find(order) {
            let help = "`by = time` cuts the rows in their order, `csv(\"…\", sort = date)` puts them in one";
            d.help = Some(help.to_string());
        }
        return None;
    };
    let span = e.span;
    if c.name == "files" {
        let file = |name| match c.get(name)? {
            Checked::Choice(pair) => Some(PartFile {
                path: pair.text("images").clone(),
                labels: Some(pair.text("labels").clone()),
            }),
            Checked::Text(path) => Some(path.clone().into()),
            Checked::Number(_)
            | Checked::Pair(..)
            | Checked::Name(_)
            | Checked::YesNo(_)
            | Checked::List(_) => None,
        };
        return Some(Split::Files {
            valid: file("valid"),
            test: file("test"),
            span,
        });
    }
    let shares = ["train", "valid", "test"].map(|name| c.number(name));
    let sum: f64 = shares.iter().sum();
    if sum > 100.0 + 1e-9 || shares[0] <= 0.0 {
        let message = if shares[0] <= 0.0 {
            "`parts` leaves no training part".to_string()
        } else {
            format!("`parts` adds up to {sum}, which is above 100")
        };
        report.push(
            Diagnostic::error("setting::out-of-range", message)
                .label(span, "percentages of training, validation and test"),
        );
        return None;
    }
    if sum <= 1.0 {
        let d = Diagnostic::error(
            "setting::out-of-range",
            format!("`parts` takes percentages, these add up to {sum} of 100"),
        );
        let shares = shares.map(|s| (100.0 * s * 1e9).round() / 1e9);
        let [train, valid, test] = shares;
        report.push(
            d.label(span, "shares of 1?")
                .help(format!("write parts({train}, {valid}, {test})")),
        );
        return None;
    }
    let left = 100.0 - sum;
    if left > 1e-9 {
        let left = (left * 1e9).round() / 1e9;
        let [train, valid, test] = shares;
        let whole = match (valid, test) {
            (0.0, 0.0) => format!("{train}, {left}"),
            (_, 0.0) => format!("{train}, {valid}, {left}"),
            (_, _) => format!("{train}, {valid}, {}", test + left),
        };
        report.push(
            Diagnostic::warning(
                "setting::unused-share",
                format!("`parts` leaves {left}% of the data in no part"),
            )
            .label(span, format!("{sum}% of it is used"))
            .help(format!("parts({whole}) uses all of it")),
        );
    }
    let by = match (c.get("by"), c.get("stratify")) {
        (Some(_), Some(Checked::Name(column))) => {
            report.push(
                Diagnostic::error(
                    "setting::conflict",
                    "`by = time` keeps the order, `stratify` shuffles",
                )
                .label(column.span, "not with `by`"),
            );
            return None;
        }
        (Some(_), _) => SplitBy::Time,
        (None, Some(Checked::Name(column))) => SplitBy::Stratify(column.clone()),
        (None, _) => SplitBy::Shuffle,
    };
    Some(Split::Parts { shares, by, span })
}

/// `pixels()` and `labels()` of idx name its two files: whatever the column's name, they read the
/// images and the labels.
fn idx_columns(e: &mut ColumnExpr) {
    match &mut e.kind {
        ColumnKind::Step { input, step } if input.kind == ColumnKind::Whole => {
            let file = match step {
                Step::Pixels => "images",
                Step::Labels | Step::LabelsBut(_) => "labels",
                _ => return,
            };
            input.kind = ColumnKind::Column(ColumnRef::Named(file.to_string()));
        }
        ColumnKind::Step { input: value, .. }
        | ColumnKind::Next(value, _)
        | ColumnKind::Length(value)
        | ColumnKind::Unary(_, value)
        | ColumnKind::Reduce { value, .. }
        | ColumnKind::Index(value, _) => idx_columns(value),
        ColumnKind::Binary(_, a, b) => [a, b].into_iter().for_each(|x| idx_columns(x)),
        ColumnKind::Choose(a, b, c) => [a, b, c].into_iter().for_each(|x| idx_columns(x)),
        ColumnKind::List(parts) => parts.iter_mut().for_each(idx_columns),
        _ => {}
    }
}
