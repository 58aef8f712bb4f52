//! `csv(f)` and `tsv(f)`: rows of cells, in the file's order or sorted, one by one or in blocks.
//!
//! In: the text of a file and the table's options. Out: its rows added to [`Records`], every row as
//! wide as the first, or a diagnostic with file, line and column.

use super::super::spec::{ColumnRef, Table};
use super::lines::{check_length, only_blank};
use super::records::{Records, Row, SourceFile};
use super::sorted;
use super::text::{Text, at, shown};
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 4180: commas, fields quoted with `"`.
    Csv,
    /// Tabs, no quotes.
    Tsv,
}

/// Adds a file's rows. Files added later must have the columns of the first.
pub fn add(
    records: &mut Records,
    text: Text,
    form: Form,
    options: &Table,
    span: Span,
) -> Result<(), Diagnostic> {
    let mut file = Parsed::default();
    match form {
        Form::Csv => csv(&text, &mut file, span)?,
        Form::Tsv => tsv(&text, &mut file, span)?,
    }
    if file.rows.is_empty() {
        return Err(only_blank(&text, span));
    }
    let index = records.files.len();
    let width = match records.rows.first() {
        Some(first) => first.width,
        None => file.rows[0].width,
    };
    records.files.push(SourceFile {
        raw: text,
        unquoted: (form == Form::Csv).then_some(file.unquoted),
        cells: file.cells,
        by_line: false,
    });
    let raw = |records: &Records, offset| records.files[index].raw.place(offset);
    let other = other_form(&records.files[index].raw, form);
    if index == 0 {
        records.other_form.clone_from(&other);
    }
    if let Some(row) = file.rows.iter().find(|r| r.width != width) {
        let columns = |n: usize| match n {
            1 => "1 column".to_string(),
            n => format!("{n} columns"),
        };
        let message = format!(
            "this row has {}, the first has {}",
            columns(row.width),
            columns(width)
        );
        let place = raw(records, row.offset);
        return Err(advised(
            at("data::ragged-row", message, &place, span),
            other,
        ));
    }
    let mut rows = file.rows;
    let mut breaks = file.breaks;
    if options.header {
        let first = rows.remove(0);
        let names = header(&records.files[index], &first);
        if let Some(i) = (1..names.len()).find(|i| names[..*i].contains(&names[*i])) {
            let message = format!("two columns are named `{}`", shown(&names[i], 30));
            let place = records.place_in(&first, i);
            let d = at("data::duplicate-column", message, &place, span);
            return Err(advised(d, other));
        }
        match &records.header {
            Some(before) if *before != names => {
                return Err(at(
                    "data::header-differs",
                    "this file's columns are not those of the training file",
                    &raw(records, first.offset),
                    span,
                ));
            }
            _ => records.header = Some(names),
        }
        breaks = breaks
            .into_iter()
            .filter(|b| *b > 1)
            .map(|b| b - 1)
            .collect();
        if rows.is_empty() {
            let name = shown(&records.files[index].raw.name, 36);
            let message = format!("`{name}` has a header and no rows");
            let d = Diagnostic::error("data::empty", message).label(span, "read here");
            return Err(advised(d, other));
        }
    }
    let base = records.rows.len();
    let n = rows.len();
    records
        .rows
        .extend(rows.into_iter().map(|r| Row { file: index, ..r }));
    let mut examples: Vec<_> = match options.blocks {
        true => {
            let starts = std::iter::once(0).chain(breaks.iter().copied());
            let ends = breaks.iter().copied().chain(std::iter::once(n));
            (starts.zip(ends))
                .filter(|(a, b)| a < b)
                .map(|(a, b)| base + a..base + b)
                .collect()
        }
        false => (base..base + n).map(|r| r..r + 1).collect(),
    };
    if let Some(by) = &options.sort {
        let column = resolve(records, &by.node, by.span)?;
        let keys = sorted::keys(records, base..base + n, column, by.span)?;
        examples.sort_by(|a, b| keys[a.start - base].order(&keys[b.start - base]));
    }
    records.examples.extend(examples);
    Ok(())
}

/// What a file is that is not of the form it is read as, judged by its first line.
fn other_form(text: &Text, form: Form) -> Option<String> {
    let first = text.text.lines().find(|l| !l.trim().is_empty())?;
    let (own, mark) = match form {
        Form::Csv => ("csv", ','),
        Form::Tsv => ("tsv", '\t'),
    };
    let json = first.trim_start().starts_with(['{', '[']);
    if json && (first.contains("\":") || first.contains("\" :")) {
        return Some("its first line is JSON: jsonl(…) reads an object a line".to_string());
    }
    let marks = [
        (',', "commas", "csv(…) reads it"),
        (
            '\t',
            "tabs",
            "tsv(…) reads it, with `header = yes` where the first row has names",
        ),
        (';', "semicolons", ""),
    ];
    // A comma within a number parts nothing.
    let parts = |i: usize| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        !(mark == ','
            && digit(first[..i].chars().next_back())
            && digit(first[i + 1..].chars().next()))
    };
    let semicolons = first.contains(';');
    if first
        .match_indices(mark)
        .any(|(i, _)| !semicolons || parts(i))
    {
        return None;
    }
    let seen = |c: char| c != mark && first.contains(c);
    let (_, name, reads) = marks.iter().find(|(c, ..)| seen(*c))?;
    let of = if form == Form::Csv { "commas" } else { "tabs" };
    let advice = match (*reads, form) {
        ("", Form::Csv) => "put commas in their place, after the decimal commas of its numbers \
                            have become points (25.5 for 25,5)"
            .to_string(),
        ("", Form::Tsv) => format!("put {of} in their place"),
        (reads, _) => reads.to_string(),
    };
    Some(format!(
        "its first line has {name} where {own} has {of}: {advice}"
    ))
}

/// With the advice, where there is one.
fn advised(d: Diagnostic, advice: Option<String>) -> Diagnostic {
    match advice {
        Some(advice) => d.help(advice),
        None => d,
    }
}

/// The position of a column, or an error that names the nearest one.
pub fn resolve(records: &Records, column: &ColumnRef, span: Span) -> Result<usize, Diagnostic> {
    found(records, column, span).map_err(|d| advised(d, records.other_form.clone()))
}

fn found(records: &Records, column: &ColumnRef, span: Span) -> Result<usize, Diagnostic> {
    let file = |records: &Records| {
        let name = records.files.first().map_or("", |f| &f.raw.name);
        shown(name.rsplit('/').next().unwrap_or(name), 20)
    };
    match (column, &records.header) {
        (ColumnRef::At(i), _) if (1..=records.width()).contains(i) => Ok(i - 1),
        (ColumnRef::At(i), _) => Err(Diagnostic::error(
            "data::unknown-column",
            format!(
                "column {i} of `{}`, which has {}",
                file(records),
                records.width()
            ),
        )
        .label(span, "columns count from 1".to_string())),
        (ColumnRef::Named(name), Some(header)) => {
            header.iter().position(|h| h == name).ok_or_else(|| {
                let error = Diagnostic::error(
                    "data::unknown-column",
                    format!("`{}` has no column `{}`", file(records), shown(name, 20)),
                )
                .label(span, "no such column".to_string());
                match nearest(name, header.iter().map(String::as_str)) {
                    Some(near) => error.help(format!("did you mean `{}`?", shown(near, 60))),
                    None => {
                        let all: Vec<String> =
                            header.iter().take(20).map(|h| shown(h, 30)).collect();
                        error.help(format!("its columns are {}", all.join(", ")))
                    }
                }
            })
        }
        (ColumnRef::Named(name), None) => Err(Diagnostic::error(
            "data::no-header",
            format!(
                "column `{}` by name, but `{}` has no header",
                shown(name, 16),
                file(records)
            ),
        )
        .label(span, "no header".to_string())
        .help("give the column's number, `column(1)`, or add `header = yes` to the source")),
    }
}

#[derive(Default)]
struct Parsed {
    unquoted: String,
    cells: Vec<std::ops::Range<usize>>,
    rows: Vec<Row>,
    /// Rows before which there is a blank line.
    breaks: Vec<usize>,
}

fn header(file: &SourceFile, row: &Row) -> Vec<String> {
    let text = file.unquoted.as_ref().unwrap_or(&file.raw.text);
    file.cells[row.first..row.first + row.width]
        .iter()
        .map(|c| text[c.clone()].trim().to_string())
        .collect()
}

fn tsv(text: &Text, out: &mut Parsed, span: Span) -> Result<(), Diagnostic> {
    let mut offset = 0;
    for line in text.text.split('\n') {
        check_length(line, offset, text, span)?;
        if line.trim().is_empty() {
            out.breaks.push(out.rows.len());
        } else {
            let first = out.cells.len();
            let mut start = offset;
            for cell in line.split('\t') {
                out.cells.push(start..start + cell.len());
                start += cell.len() + 1;
            }
            out.rows.push(Row {
                file: 0,
                first,
                width: out.cells.len() - first,
                offset,
            });
        }
        offset += line.len() + 1;
    }
    out.breaks.dedup();
    Ok(())
}

fn csv(text: &Text, out: &mut Parsed, span: Span) -> Result<(), Diagnostic> {
    if text.text.bytes().filter(|b| *b == b'"').count() % 2 == 1 {
        // The last quote that opens a field begins the one that never ends.
        let mut open = 0;
        let mut quoted = false;
        for (i, b) in text.text.bytes().enumerate().filter(|(_, b)| *b == b'"') {
            quoted = !quoted;
            if quoted && b == b'"' {
                open = i;
            }
        }
        return Err(at(
            "data::unclosed-quote",
            "a quoted field is not closed",
            &text.place(open),
            span,
        ));
    }
    let mut reader = csv::ReaderBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.text.as_bytes());
    let mut record = csv::StringRecord::new();
    loop {
        let offset = reader.position().byte() as usize;
        let failed = |e: csv::Error| {
            at(
                "data::bad-csv",
                shown(&e.to_string(), 72),
                &text.place(offset),
                span,
            )
        };
        if !reader.read_record(&mut record).map_err(failed)? {
            return Ok(());
        }
        let blank = text.text[offset..]
            .bytes()
            .take_while(|b| *b == b'\n')
            .count();
        if blank > 0 {
            out.breaks.push(out.rows.len());
        }
        check_length(record.as_slice(), offset, text, span)?;
        let first = out.cells.len();
        for cell in &record {
            let start = out.unquoted.len();
            out.unquoted.push_str(cell);
            out.cells.push(start..out.unquoted.len());
        }
        out.rows.push(Row {
            file: 0,
            first,
            width: record.len(),
            offset: offset + blank,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Spanned;

    fn options(header: bool) -> Table {
        Table {
            path: Spanned::new(String::new(), Span::default()),
            header,
            sort: None,
            blocks: false,
        }
    }

    fn load(text: &str, form: Form, options: &Table) -> Result<Records, Diagnostic> {
        let mut records = Records::default();
        let text = Text {
            name: "t.csv".into(),
            text: text.into(),
            ..Text::default()
        };
        add(&mut records, text, form, options, Span::default()).map(|()| records)
    }

    fn fault(text: &str, form: Form, header: bool) -> (&'static str, String) {
        let d = load(text, form, &options(header)).unwrap_err();
        (d.code, d.labels[0].text.clone())
    }

    #[test]
    fn quotes_are_undone_in_csv_and_kept_in_tsv() {
        let r = load("a,\"b, \"\"c\"\"\nd\"\n1,2\n", Form::Csv, &options(false)).unwrap();
        assert_eq!(r.cell(0, 1), "b, \"c\"\nd");
        assert_eq!(r.place(1, 1).to_string(), "t.csv:3:3");
        assert_eq!(r.place(0, 1).to_string(), "t.csv:1:3");
        let r = load("\"a\"\tb,c\n\nd\te", Form::Tsv, &options(false)).unwrap();
        assert_eq!((r.cell(0, 0), r.cell(0, 1)), ("\"a\"", "b,c"));
        assert_eq!(r.place(1, 1).to_string(), "t.csv:3:3");
    }

    #[test]
    fn faults_give_their_place() {
        let csv = |t| fault(t, Form::Csv, true);
        assert_eq!(
            csv("a,b\n1,2\n3\n"),
            ("data::ragged-row", "at t.csv:3:1".into())
        );
        assert_eq!(
            csv("a,a\n1,2\n"),
            ("data::duplicate-column", "at t.csv:1:3".into())
        );
        assert_eq!(csv("a,b\n").0, "data::empty");
        assert_eq!(csv("\n\n").0, "data::empty");
        assert_eq!(
            csv("a,b\n1,2\n3,\"4\n5,6\n"),
            ("data::unclosed-quote", "at t.csv:3:3".into())
        );
        assert_eq!(
            fault("a\tb\n\nc\n", Form::Tsv, false),
            ("data::ragged-row", "at t.csv:3:1".into())
        );
    }

    #[test]
    fn columns_by_name_and_number() {
        let r = load("Open,Close\n1,2\n", Form::Csv, &options(true)).unwrap();
        let find = |c: ColumnRef| resolve(&r, &c, Span::default());
        assert_eq!(find(ColumnRef::Named("Close".into())), Ok(1));
        assert_eq!(find(ColumnRef::At(2)), Ok(1));
        let d = find(ColumnRef::Named("Clsoe".into())).unwrap_err();
        assert_eq!(d.help.as_deref(), Some("did you mean `Close`?"));
        assert_eq!(
            find(ColumnRef::At(0)).unwrap_err().code,
            "data::unknown-column"
        );
    }

    #[test]
    fn rows_are_sorted_by_value_or_date_and_cut_in_blocks() {
        let sorted = |t: &str| {
            let by = ColumnRef::Named("k".into());
            let options = Table {
                sort: Some(Spanned::new(by, Span::default())),
                ..options(true)
            };
            let r = load(t, Form::Csv, &options).unwrap();
            let keys: Vec<String> = (r.examples.iter())
                .map(|e| r.cell(e.start, 0).to_string())
                .collect();
            keys.join(" ")
        };
        assert_eq!(sorted("k\n10\n9\n-1\n"), "-1 9 10");
        assert_eq!(
            sorted("k\n2001-01-02\n1999-12-31\n"),
            "1999-12-31 2001-01-02"
        );
        let options = Table {
            blocks: true,
            ..options(false)
        };
        for (text, form) in [("\na\n\n\nb\nc\n\n", Form::Tsv), ("a\n\nb\nc\n", Form::Csv)] {
            let r = load(text, form, &options).unwrap();
            assert_eq!(r.examples, [0..1, 1..3], "{form:?}");
        }
    }
}
