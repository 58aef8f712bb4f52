//! The names that the columns of a `data` block read.
//!
//! In: a [`DataSpec`], and the file's time names. Out: diagnostics where a name is none of them, or
//! where a column is computed from itself, so that no order of computing them is left.

use std::collections::BTreeMap;

use crate::data::spec::{ColumnExpr, ColumnKind, DataSpec, Split, SplitBy};
use crate::diagnostics::{Diagnostic, nearest};
use crate::settings::read::clip;
use crate::span::Span;

/// Every name must be a column, an index of its equation or a time; and no column its own source.
pub fn names(spec: &DataSpec, times: &[String], report: &mut Vec<Diagnostic>) {
    let columns: Vec<&str> = spec.columns.iter().map(|c| c.name.node.as_str()).collect();
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for c in &spec.columns {
        if let Some(extra) = c.indices.get(1) {
            report.push(
                Diagnostic::error(
                    "data::too-many-indices",
                    format!(
                        "`{}` has {} indices, a column has one",
                        clip(&c.name.node),
                        c.indices.len()
                    ),
                )
                .label(extra.span, "one too many"),
            );
        }
        let indices: Vec<&str> = c.indices.iter().map(|i| i.node.as_str()).collect();
        let mut found = Vec::new();
        walk(&c.value, &mut |name, at| {
            if columns.contains(&name) {
                found.push(name);
            } else if !indices.contains(&name) && !times.iter().any(|t| t == name) {
                report.push(unknown_name(spec, name, at, &columns));
            }
        });
        uses.insert(&c.name.node, found);
    }
    if let Some(keep) = &spec.keep {
        walk(keep, &mut |name, at| {
            if !columns.contains(&name) {
                report.push(unknown_name(spec, name, at, &columns));
            }
        });
    }
    if let Split::Parts {
        by: SplitBy::Stratify(column),
        ..
    } = &spec.split
        && !columns.contains(&column.node.as_str())
    {
        report.push(unknown_name(spec, &column.node, column.span, &columns));
    }
    cycles(spec, &uses, report);
}

fn cycles(spec: &DataSpec, uses: &BTreeMap<&str, Vec<&str>>, report: &mut Vec<Diagnostic>) {
    for c in &spec.columns {
        let start = c.name.node.as_str();
        let mut seen: Vec<&str> = Vec::new();
        let mut open: Vec<&str> = uses.get(start).cloned().unwrap_or_default();
        while let Some(name) = open.pop() {
            if name == start {
                report.push(
                    Diagnostic::error(
                        "data::cycle",
                        format!("column `{}` is computed from itself", clip(start)),
                    )
                    .label(c.name.span, "its own source"),
                );
                return;
            }
            if !seen.contains(&name) {
                seen.push(name);
                open.extend(uses.get(name).into_iter().flatten());
            }
        }
    }
}

fn unknown_name(spec: &DataSpec, name: &str, at: Span, columns: &[&str]) -> Diagnostic {
    let d = Diagnostic::error(
        "data::unknown-name",
        format!(
            "`{}` is not a column of `data {}`",
            clip(name),
            clip(&spec.name.node)
        ),
    )
    .label(at, "not known here");
    match nearest(name, columns.iter().copied()) {
        Some(near) => d
            .help(format!("did you mean `{near}`?"))
            .fix(at, near.to_string()),
        None => d.help(format!(
            "a column of the file is `column({name})`, a column of the block is one of: {}",
            columns.join(", ")
        )),
    }
}

/// Every name that an expression reads.
fn walk<'a>(e: &'a ColumnExpr, f: &mut dyn FnMut(&'a str, Span)) {
    match &e.kind {
        ColumnKind::Name(name) => f(name, e.span),
        ColumnKind::Index(_, index) => f(&index.node, index.span),
        _ => {}
    }
    e.parts().into_iter().for_each(|p| walk(p, f));
}
