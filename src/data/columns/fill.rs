//! `missing = …`: numbers whose cells may be missing.
//!
//! In: columns of a table, and what stands for a missing value. Out: their numbers, as a planned node
//! and as values; `data::missing` where nothing can stand for one.

use super::super::source::Source;
use super::super::source::records::Records;
use super::super::spec::{ColumnExpr, Missing};
use super::build::{Builder, Built, Context};
use super::eval::Evaluator;
use super::numbers::{Numbers, fail};
use super::plan::{FitKind, Node, NodeKind};
use crate::diagnostics::Diagnostic;

/// What tables write for a missing number, in lower case; besides an empty cell.
const WORDS: [&str; 4] = ["na", "n/a", "nan", "null"];

/// Whether a cell has no value.
pub fn is_missing(cell: &str) -> bool {
    let cell = cell.trim();
    cell.is_empty() || WORDS.iter().any(|w| cell.eq_ignore_ascii_case(w))
}

/// Whether each row of an example has a value in a column; of a source without cells, always.
pub fn has_values(source: &Source, example: usize, column: usize) -> bool {
    match source {
        Source::Records(r) => {
            let mut rows = r.examples[example].clone();
            rows.all(|row| !is_missing(r.cell(row, column)))
        }
        Source::Rows { .. } | Source::Tensors(_) | Source::Text(_) => true,
    }
}

impl<'a> Builder<'a> {
    pub(super) fn filled(
        &mut self,
        columns: &ColumnExpr,
        missing: Missing,
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
        match missing {
            Missing::Drop => self.plan.drop.extend(&cells),
            Missing::Previous => self.plan.previous.extend(&cells),
            Missing::Mean | Missing::Number(_) => {}
        }
        let kind = NodeKind::Filled(cells, missing);
        let node = Node { kind, span };
        Ok(match missing {
            Missing::Mean => {
                let kind = self.fit(node, FitKind::Mean, context);
                (Node { kind, span }, axis)
            }
            Missing::Drop | Missing::Previous | Missing::Number(_) => (node, axis),
        })
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn filled(
        &mut self,
        cells: &[usize],
        missing: Missing,
        node: &'a Node,
        p: usize,
        example: usize,
    ) -> Result<Numbers, Diagnostic> {
        let Source::Records(records) = self.source else {
            return Err(fail(node, "data::missing", "this source has no cells"));
        };
        let rows = records.examples[example].clone();
        let steps = self.plan.blocks.then_some(rows.len());
        let mut data = Vec::with_capacity(rows.len() * cells.len());
        for (step, row) in rows.enumerate() {
            for cell in cells {
                let text = records.cell(row, *cell);
                let parse = |e: &Self, text| e.parse(text, node, p, Some(*cell), step);
                data.push(match missing {
                    _ if !is_missing(text) => parse(self, text)?,
                    // Such rows were left out.
                    Missing::Drop => parse(self, text)?,
                    Missing::Mean => f64::NAN,
                    Missing::Number(x) => x,
                    Missing::Previous => match self.above(records, example, row, *cell) {
                        Some(above) => parse(self, records.cell(above, *cell))?,
                        None => {
                            let message = "no row above has a value of this column";
                            let cell = Some(*cell);
                            return Err(self.at(node, p, cell, step, "data::missing", message));
                        }
                    },
                });
            }
        }
        Ok(Numbers {
            data,
            steps,
            width: cells.len(),
        })
    }

    /// The nearest row at or above one that has a value in a column: in its block, else in its file.
    fn above(
        &mut self,
        records: &Records,
        example: usize,
        row: usize,
        cell: usize,
    ) -> Option<usize> {
        let has = |row: &usize| !is_missing(records.cell(*row, cell));
        if self.plan.blocks {
            return (records.examples[example].start..=row).rev().find(has);
        }
        // Rows are asked for in their order, mostly: without the last answer, a long run of
        // missing values would be walked through again for each of its rows.
        let known = self.carried.get(&cell).copied();
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
            self.carried.insert(cell, (example, row));
        }
        found
    }
}
