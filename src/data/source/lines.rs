//! `lines(f)`.
//!
//! In: the text of a file. Out: its records added to [`Records`]: one example for each line that is
//! not blank.

use super::records::{Records, Row, SourceFile};
use super::text::{Text, at, shown};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The longest line that is taken for an example, in bytes.
pub const MAX_LINE: usize = 16 << 20;

/// Each line as an example of one cell; blank lines are skipped.
pub fn lines(records: &mut Records, text: Text, span: Span) -> Result<(), Diagnostic> {
    let mut cells = Vec::new();
    let mut offset = 0;
    for line in text.text.split('\n') {
        check_length(line, offset, &text, span)?;
        if !line.trim().is_empty() {
            push_row(records, cells.len(), 1, offset);
            cells.push(offset..offset + line.len());
        }
        offset += line.len() + 1;
    }
    if cells.is_empty() {
        return Err(only_blank(&text, span));
    }
    records.files.push(SourceFile {
        raw: text,
        cells,
        ..SourceFile::default()
    });
    Ok(())
}

/// Adds a row, itself an example, of the file that is about to be added.
fn push_row(records: &mut Records, first: usize, width: usize, offset: usize) {
    let n = records.rows.len();
    records.examples.push(n..n + 1);
    records.rows.push(Row {
        file: records.files.len(),
        first,
        width,
        offset,
    });
}

pub fn check_length(line: &str, offset: usize, text: &Text, span: Span) -> Result<(), Diagnostic> {
    if line.len() <= MAX_LINE {
        return Ok(());
    }
    let message = format!("a line of {} bytes, the limit is {MAX_LINE}", line.len());
    Err(at(
        "data::line-too-long",
        message,
        &text.place(offset),
        span,
    ))
}

pub fn only_blank(text: &Text, span: Span) -> Diagnostic {
    Diagnostic::error(
        "data::empty",
        format!("`{}` has only blank lines", shown(&text.name, 40)),
    )
    .label(span, "read here".to_string())
}
