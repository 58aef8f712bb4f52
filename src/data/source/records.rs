//! Rows and cells of text files, whatever their form was.
//!
//! In: filled by `source_text` and `source_table`. Out: [`Records`]: examples as runs of rows, rows
//! as cells, and the place of each cell for messages.

use std::ops::Range;

use super::text::{Place, Text, shown};

/// Cells of one or several files of the same form (training, validation, test).
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub files: Vec<SourceFile>,
    /// Column names, where the form has them.
    pub header: Option<Vec<String>>,
    /// Why the first file seems to be of another form than it is read as.
    pub other_form: Option<String>,
    pub rows: Vec<Row>,
    /// Rows of each example: one, or a block's.
    pub examples: Vec<Range<usize>>,
}

#[derive(Clone, Debug, Default)]
pub struct SourceFile {
    pub raw: Text,
    /// Cells with their quotes undone; where `None`, cells are ranges of `raw`.
    pub unquoted: Option<String>,
    pub cells: Vec<Range<usize>>,
    /// A cell is found no nearer than by its line.
    pub by_line: bool,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub file: usize,
    /// Index of its first cell in the file's `cells`.
    pub first: usize,
    pub width: usize,
    /// Where it begins in the raw text.
    pub offset: usize,
}

impl Records {
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let r = &self.rows[row];
        let file = &self.files[r.file];
        let text = file.unquoted.as_ref().unwrap_or(&file.raw.text);
        &text[file.cells[r.first + column].clone()]
    }

    /// A column as `column(…)` names it.
    pub fn written(&self, column: usize) -> String {
        let header = self.header.as_ref().and_then(|h| h.get(column));
        let name = |c: char| c.is_alphanumeric() || c == '_';
        match header {
            Some(h) if h.chars().all(name) && h.starts_with(|c: char| !c.is_numeric()) => {
                shown(h, 24)
            }
            Some(h) => format!("\"{}\"", shown(h, 24)),
            None => (column + 1).to_string(),
        }
    }

    /// Which of the files an example comes from.
    pub fn file_of(&self, example: usize) -> usize {
        self.rows[self.examples[example].start].file
    }

    /// Where a cell begins.
    pub fn place(&self, row: usize, column: usize) -> Place {
        self.place_in(&self.rows[row], column)
    }

    /// The same in a row that is none of an example's: a header.
    pub fn place_in(&self, r: &Row, column: usize) -> Place {
        let file = &self.files[r.file];
        if file.by_line {
            return file.raw.place(r.offset);
        }
        if file.unquoted.is_none() {
            return file.raw.place(file.cells[r.first + column].start);
        }
        // Quotes were undone: find the cell again by its separators.
        let start = r.offset
            + file.raw.text[r.offset..]
                .bytes()
                .take_while(|b| *b == b'\n')
                .count();
        let mut at = start;
        let (mut left, mut quoted) = (column, false);
        for (i, b) in file.raw.text[start..].bytes().enumerate() {
            if left == 0 {
                break;
            }
            match b {
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    left -= 1;
                    at = start + i + 1;
                }
                _ => {}
            }
        }
        file.raw.place(at)
    }

    /// The lines on which examples begin.
    pub fn lines(&self, examples: &[usize]) -> Vec<usize> {
        let ends = |f: &SourceFile| f.raw.line_ends();
        let ends: Vec<Vec<usize>> = self.files.iter().map(ends).collect();
        let line = |e: &usize| {
            let row = &self.rows[self.examples[*e].start];
            let text = &self.files[row.file].raw;
            // Blank lines before it are counted to a row whose quotes were undone.
            let blank = text.text[row.offset..].bytes();
            let at = row.offset + blank.take_while(|b| *b == b'\n').count();
            text.number(ends[row.file].partition_point(|end| *end < at))
        };
        examples.iter().map(line).collect()
    }

    /// How many columns every row has.
    pub fn width(&self) -> usize {
        self.rows.first().map_or(0, |r| r.width)
    }
}
