//! `missing = …`: cells that may be missing.
//!
//! In: columns of a table, and what stands for a missing value. Out: their numbers, or the texts of one
//! column, as a planned node and as values; `data::missing` where nothing can stand for one.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::source::Source;
use super::super::source::records::Records;
use super::super::spec::{Binary, ColumnExpr, ColumnKind, DataSpec, Missing, Step};
use super::build::{Builder, Built, Context};
use super::eval::{Evaluator, Value};
use super::numbers::{Numbers, fail};
use super::plan::{Filled, FitKind, Gap, Node, NodeKind};
use crate::diagnostics::Diagnostic;

/// What tables write for a missing number, in lower case; besides an empty cell.
const WORDS: [&str; 4] = ["na", "n/a", "nan", "null"];

/// Whether a cell has no value. As a `text` any word is one.
pub fn is_missing(cell: &str, text: bool) -> bool {
    let cell = cell.trim();
    cell.is_empty() || !text && WORDS.iter().any(|w| cell.eq_ignore_ascii_case(w))
}

/// Whether each row of an example has a value in a column; of a source without cells, always.
pub fn has_values(source: &Source, example: usize, gap: Gap) -> bool {
    match source {
        Source::Records(r) => {
            let mut rows = r.examples[example].clone();
            rows.all(|row| !is_missing(r.cell(row, gap.cell), gap.text))
        }
        Source::Rows { .. } | Source::Tensors(_) | Source::Text(_) => true,
    }
}

/// Whether an expression reads its parts as texts; `text`: whether it is read as one itself.
pub(super) fn reads_texts(e: &ColumnExpr, text: bool) -> bool {
    match &e.kind {
        ColumnKind::Step { step, .. } => match step {
            Step::Lower
            | Step::Nfc
            | Step::Labels
            | Step::LabelsBut(_)
            | Step::Chars
            | Step::Words { .. }
            | Step::Bpe(_)
            | Step::Tokenizer { .. }
            | Step::Split(_)
            | Step::Multihot(_) => true,
            Step::Window(_) | Step::First | Step::Last => text,
            Step::Log | Step::Scale { .. } | Step::Zscore | Step::Steps(_) | Step::Pixels => false,
        },
        ColumnKind::Name(_)
        | ColumnKind::Filled { .. }
        | ColumnKind::Next(..)
        | ColumnKind::Index(..) => text,
        ColumnKind::Length(_) => true,
        ColumnKind::Binary(Binary::Eq | Binary::Ne, a, b) => {
            [a, b].iter().any(|x| matches!(x.kind, ColumnKind::Text(_)))
        }
        ColumnKind::Binary(..)
        | ColumnKind::Number(_)
        | ColumnKind::Text(_)
        | ColumnKind::Whole
        | ColumnKind::Column(_)
        | ColumnKind::Columns(_)
        | ColumnKind::Unary(..)
        | ColumnKind::Choose(..)
        | ColumnKind::Uniform { .. }
        | ColumnKind::Randint { .. }
        | ColumnKind::List(_)
        | ColumnKind::Reduce { .. } => false,
    }
}

/// The columns that others read as texts, by name.
pub(super) fn texts(spec: &DataSpec) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let all = spec.columns.iter().map(|c| &c.value).chain(&spec.keep);
    all.for_each(|e| named_texts(spec, e, false, &mut found));
    found
}

fn named_texts(spec: &DataSpec, e: &ColumnExpr, text: bool, found: &mut BTreeSet<String>) {
    let text = reads_texts(e, text);
    if let ColumnKind::Name(name) = &e.kind {
        if text && found.insert(name.clone()) {
            let column = spec.columns.iter().find(|c| c.name.node == *name);
            column
                .iter()
                .for_each(|c| named_texts(spec, &c.value, true, found));
        }
        return;
    }
    for part in e.parts() {
        named_texts(spec, part, text, found);
    }
}

impl<'a> Builder<'a> {
    pub(super) fn filled(
        &mut self,
        columns: &ColumnExpr,
        missing: &Missing,
        context: &mut Context<'a>,
    ) -> Built {
        let span = columns.span;
        let (read, axis) = self.build(columns, context)?;
        let cells = match (self.source, read.kind) {
            (Source::Records(_), NodeKind::Cell(c)) => vec![c],
            (Source::Records(_), NodeKind::Cells(all)) => all,
            _ => {
                let message = "`missing` is of the cells of a table, this source has none";
                return Err(Diagnostic::error("setting::conflict", message)
                    .label(span, "not in csv, tsv or jsonl"));
            }
        };
        let text = context.text && matches!(columns.kind, ColumnKind::Column(_));
        let conflict = |message: &str, label: &str| {
            Diagnostic::error("setting::conflict", message).label(span, label.to_string())
        };
        let gaps = cells.iter().map(|cell| Gap { cell: *cell, text });
        match missing {
            Missing::Drop => self.plan.drop.extend(gaps),
            Missing::Previous => self.plan.previous.extend(gaps),
            Missing::Mean if text => {
                let message = "`missing = mean`, and these values are read as texts";
                return Err(conflict(message, "texts have no mean"));
            }
            Missing::Text(_) if !text => {
                let message = "`missing` is a text, and these values are read as numbers";
                return Err(conflict(message, "numbers"));
            }
            Missing::Mean | Missing::Number(_) | Missing::Text(_) => {}
        }
        let kind = NodeKind::Filled(Filled {
            cells,
            missing: missing.clone(),
            text,
        });
        let node = Node { kind, span };
        Ok(match missing {
            Missing::Mean => {
                let kind = self.fit(node, FitKind::Mean, context);
                (Node { kind, span }, axis)
            }
            Missing::Drop | Missing::Previous | Missing::Number(_) | Missing::Text(_) => {
                (node, axis)
            }
        })
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn filled(
        &mut self,
        filled: &'a Filled,
        node: &'a Node,
        p: usize,
        example: usize,
    ) -> Result<Value<'a>, Diagnostic> {
        let Source::Records(records) = self.source else {
            return Err(fail(node, "data::missing", "this source has no cells"));
        };
        let rows = records.examples[example].clone();
        let mut numbers = Vec::new();
        let mut texts: Vec<Cow<'a, str>> = Vec::new();
        for (step, row) in rows.clone().enumerate() {
            for cell in &filled.cells {
                let own = records.cell(row, *cell);
                let gone = is_missing(own, filled.text);
                let text = match &filled.missing {
                    _ if !gone => Cow::Borrowed(own),
                    // Such rows were left out.
                    Missing::Drop => Cow::Borrowed(own),
                    Missing::Text(text) => Cow::Borrowed(&**text),
                    Missing::Number(x) if filled.text => Cow::Owned(x.to_string()),
                    Missing::Number(x) => {
                        numbers.push(*x);
                        continue;
                    }
                    Missing::Mean => {
                        numbers.push(f64::NAN);
                        continue;
                    }
                    Missing::Previous => {
                        let gap = Gap {
                            cell: *cell,
                            text: filled.text,
                        };
                        match self.above(records, example, row, gap) {
                            Some(above) => Cow::Borrowed(records.cell(above, *cell)),
                            None => {
                                let message = "no row above has a value of this column";
                                let cell = Some(*cell);
                                return Err(self.at(node, p, cell, step, "data::missing", message));
                            }
                        }
                    }
                };
                match filled.text {
                    true => texts.push(text),
                    false => numbers.push(self.parse(&text, node, p, Some(*cell), step)?),
                }
            }
        }
        Ok(match (filled.text, self.plan.blocks) {
            (true, true) => Value::Texts(texts),
            (true, false) => Value::Text(texts.pop().unwrap_or_default()),
            (false, blocks) => Value::Numbers(Numbers {
                data: numbers,
                steps: blocks.then_some(rows.len()),
                width: filled.cells.len(),
            }),
        })
    }

    /// The nearest row at or above one that has a value in a column: in its block, else in its file.
    fn above(
        &mut self,
        records: &Records,
        example: usize,
        row: usize,
        Gap { cell, text }: Gap,
    ) -> Option<usize> {
        let has = |row: &usize| !is_missing(records.cell(*row, cell), text);
        if self.plan.blocks {
            return (records.examples[example].start..=row).rev().find(has);
        }
        // Rows are asked for in their order, mostly: without the last answer, a long run of
        // missing values would be walked through again for each of its rows.
        let known = self.carried.get(&(cell, text)).copied();
        let file = records.file_of(example);
        let mut found = None;
        for e in (0..=example).rev() {
            if records.file_of(e) != file {
                break;
            }
            if let Some((at, row)) = known
                && at == e
            {
                found = Some(row);
                break;
            }
            let row = records.examples[e].start;
            if has(&row) {
                found = Some(row);
                break;
            }
        }
        if let Some(row) = found {
            self.carried.insert((cell, text), (example, row));
        }
        found
    }
}
