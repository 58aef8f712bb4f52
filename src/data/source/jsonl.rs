//! `jsonl(f)`: one JSON object a line.
//!
//! In: the text of a file, the names that the data block reads. Out: its rows added to [`Records`]:
//! a column for each key of the first object. Texts stand as they are; numbers, `true` and `false`
//! as they are written. Columns that nobody reads may hold anything; those read need one value in
//! every row. Blank lines are skipped.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::lines::{check_length, only_blank};
use super::records::{Records, Row, SourceFile};
use super::text::{Text, at, refused, shown};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Adds a file's rows. Files added later need the columns that are read of the first.
pub fn add(
    records: &mut Records,
    text: Text,
    read: &BTreeSet<String>,
    filled: &BTreeSet<String>,
    span: Span,
) -> Result<(), Diagnostic> {
    let index = records.files.len();
    let mut file = SourceFile {
        unquoted: Some(String::new()),
        by_line: true,
        ..SourceFile::default()
    };
    let mut offset = 0;
    for line in text.text.split('\n') {
        check_length(line, offset, &text, span)?;
        if !line.trim().is_empty() {
            let fault = |code, column: usize, message: String| {
                let mut place = text.place(offset);
                place.column = column.max(1);
                at(code, message, &place, span)
            };
            let object = parse(line).map_err(|e| {
                if file.cells.is_empty() && line.trim_start().starts_with('[') {
                    let message = "this file is a JSON array, jsonl reads an object a line";
                    return fault("data::bad-json", 1, message.to_string())
                        .help("`jq -c '.[]' OLD > NEW` writes each of its objects on a line");
                }
                let message = "this line is not a JSON object";
                fault("data::bad-json", e.column(), message.to_string())
                    .help(shown(&e.to_string(), 120))
            })?;
            let keys = || object.iter().map(|(key, _)| key);
            if let Some((i, key)) = keys()
                .enumerate()
                .find(|(i, k)| keys().take(*i).any(|o| o == *k))
            {
                let message = format!("value {} is a second `{}`", i + 1, shown(key, 30));
                return Err(fault("data::duplicate-column", 1, message));
            }
            let header = (records.header).get_or_insert_with(|| keys().cloned().collect());
            let first = file.cells.len();
            let unquoted = file.unquoted.get_or_insert_default();
            for name in &*header {
                let start = unquoted.len();
                if read.contains(name) {
                    let value = object.iter().find(|(key, _)| key == name).map(|(_, v)| v);
                    // An empty cell, which `missing` says what to do with.
                    let empty = value.is_none_or(Value::is_null) && filled.contains(name);
                    if empty {
                        file.cells.push(start..start);
                        continue;
                    }
                    cell(name, value, unquoted).map_err(|(code, m)| match code {
                        "data::missing" => fault(code, 1, m).help(
                            "`missing = drop` leaves such rows out, `previous`, `mean`, a number or \
                             a text fills them: `column(x, missing = drop)`",
                        ),
                        _ => fault(code, 1, m),
                    })?;
                }
                file.cells.push(start..unquoted.len());
            }
            let n = records.rows.len();
            records.examples.push(n..n + 1);
            records.rows.push(Row {
                file: index,
                first,
                width: header.len(),
                offset,
            });
        }
        offset += line.len() + 1;
    }
    if file.cells.is_empty() {
        return Err(match records.rows.last() {
            Some(row) if row.file == index => {
                Diagnostic::error("data::empty", "the first object has no values")
                    .label(span, format!("in {}", shown(&text.name, 60)))
            }
            _ => only_blank(&text, span),
        });
    }
    file.raw = text;
    records.files.push(file);
    Ok(())
}

/// Appends a value as a cell; the error is its code and message.
fn cell(name: &str, value: Option<&Value>, out: &mut String) -> Result<(), (&'static str, String)> {
    let name = || shown(name, 30);
    let kind = match value {
        None => return Err(("data::missing", format!("this row has no `{}`", name()))),
        Some(Value::Null) => {
            return Err(("data::missing", format!("`{}` is null in this row", name())));
        }
        Some(Value::String(text)) => {
            let text = text.replace("\r\n", "\n");
            if let Some(c) = text.chars().find(|c| refused(*c)) {
                let message = format!("control character U+{:04X} in `{}`", c as u32, name());
                return Err(("data::control-character", message));
            }
            out.push_str(&text);
            return Ok(());
        }
        Some(Value::Number(n)) => {
            out.push_str(&n.to_string());
            return Ok(());
        }
        Some(Value::Bool(b)) => {
            out.push_str(if *b { "true" } else { "false" });
            return Ok(());
        }
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    };
    let message = format!("`{}` is {kind}; a column has a text or a number", name());
    Err(("data::json-value", message))
}

/// The keys and values of one object, in their order.
fn parse(line: &str) -> Result<Vec<(String, Value)>, serde_json::Error> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(entry) = map.next_entry()? {
                out.push(entry);
            }
            Ok(out)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(line);
    let object = (&mut reader).deserialize_map(Object)?;
    reader.end()?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Records, Diagnostic> {
        let mut records = Records::default();
        let text = Text {
            name: "t.jsonl".into(),
            text: text.into(),
            ..Text::default()
        };
        let names = ["text", "n"].map(String::from);
        add(
            &mut records,
            text,
            &names.into(),
            &BTreeSet::new(),
            Span::default(),
        )
        .map(|()| records)
    }

    #[test]
    fn values_are_cells() {
        let text = "{\"n\": 3, \"other\": [1], \"text\": \"a, \\\"b\\\"\\u00e9\\n\"}\n\n\
                    {\"text\": \"\", \"n\": -1.5e300, \"more\": null}\n";
        let r = read(text).unwrap();
        assert_eq!(r.header.as_deref().unwrap(), ["n", "other", "text"]);
        assert_eq!((r.cell(0, 2), r.cell(0, 1)), ("a, \"b\"é\n", ""));
        assert_eq!(r.cell(1, 0).parse(), Ok(-1.5e300));
        assert_eq!(r.place(1, 2).to_string(), "t.jsonl:3:1");
    }

    #[test]
    fn faults_give_their_line() {
        let fault = |text: &str| {
            let d = read(text).unwrap_err();
            (d.code, d.labels[0].text.clone())
        };
        let good = r#"{"text": "a", "n": 1}"#;
        let at_2 = |line: &str| fault(&format!("{good}\n{line}\n"));
        let place = |column| format!("at t.jsonl:2:{column}");
        assert_eq!(at_2("{\"text\": \"b\""), ("data::bad-json", place(12)));
        assert_eq!(at_2("[1, 2]").0, "data::bad-json");
        assert_eq!(at_2("{} {}").0, "data::bad-json");
        assert_eq!(at_2("{\"text\": 1e999, \"n\": 1}").0, "data::bad-json");
        assert_eq!(at_2("{\"text\": \"b\"}"), ("data::missing", place(1)));
        let null = at_2("{\"text\": \"b\", \"n\": null}");
        assert_eq!(null, ("data::missing", place(1)));
        let list = at_2("{\"text\": [\"b\"], \"n\": 1}");
        assert_eq!(list, ("data::json-value", place(1)));
        let twice = at_2("{\"n\": 1, \"text\": \"b\", \"n\": 1}");
        assert_eq!(twice, ("data::duplicate-column", place(1)));
        let escape = at_2("{\"n\": 1, \"text\": \"\\u0000\"}");
        assert_eq!(escape, ("data::control-character", place(1)));
        assert_eq!(fault("{}\n").0, "data::empty");
        assert_eq!(fault("\n \n").0, "data::empty");
        let deep = format!("{{\"text\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(fault(&deep).0, "data::bad-json");
    }
}
