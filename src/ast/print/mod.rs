//! The formatter: a tree and the text it came from, printed in the one style.
//!
//! In: a [`File`] and the text it was parsed from. Out: the same program, laid out. Formatting twice changes nothing, and
//! the tree of the result equals the tree that went in, places apart.
//!
//! What is decided here: indentation, blanks, where `=`, `:` and trailing comments align, one blank line where there were
//! more, spellings (`·` or `@`), and line breaks where a line passes 100 columns. What is kept from the text: comments,
//! single blank lines between groups, line breaks inside a statement, and whether `*`, `/` and `·` stand close, because
//! `W·x + b` and `a[s] * b[s]` are both how people write.
//!
//! ```text
//!  tree ─ row ─▶ tokens of one statement ─ align ─▶ the same, padded ─ lines ─▶ lines with comments ─▶ text
//! ```

mod align;
mod expr;
mod lines;
mod row;
mod stmt;

use super::node::*;
use align::align;
use lines::Lines;
use row::{Class, Row};

/// How the operators and names with two spellings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// `@`, `sigmoid` and `alpha` for `·`, `σ` and `α`.
    pub ascii: bool,
}

/// The text of `file` in the one style. `source` is the text it was parsed from.
pub fn format(file: &File, source: &str, style: Style) -> String {
    let mut printer = Printer {
        source,
        style,
        lines: Lines::new(source, &file.comments),
    };
    let mut with_body = false;
    for (n, item) in file.items.iter().enumerate() {
        let has_body = match item {
            Item::Time(_) | Item::Dim(_) => false,
            Item::Fn(def) => matches!(def.body, FnBody::Stmts(_)),
            Item::Def(_) | Item::Settings(_) => true,
        };
        if n > 0 && (with_body || has_body) {
            printer.lines.want_blank();
        }
        printer.item(item);
        with_body = has_body;
    }
    printer.lines.finish()
}

struct Printer<'a> {
    source: &'a str,
    style: Style,
    lines: Lines<'a>,
}

impl Printer<'_> {
    /// A row whose tokens come from `start` on.
    fn row(&self, start: u32) -> Row<'_> {
        Row::new(self.source, self.style, start as usize)
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Time(time) => {
                let mut row = self.row(time.span.start);
                row.word("time");
                row.commas(&time.names, |row, (name, length)| {
                    row.spaced_name(name);
                    row.value(length.as_ref());
                });
                let row = row.done();
                self.lines.row(row, 0);
            }
            Item::Dim(dim) => {
                let mut row = self.row(dim.span.start);
                row.word("dim");
                // As wide as the word `time`, which usually stands above it.
                row.pad_next(1);
                row.commas(&dim.names, |row, (name, size)| {
                    row.spaced_name(name);
                    row.value(Some(size));
                });
                let row = row.done();
                self.lines.row(row, 0);
            }
            Item::Def(def) => {
                let mut row = self.row(def.span.start);
                row.word(match def.kind {
                    DefKind::Cell => "cell",
                    DefKind::Block => "block",
                    DefKind::Model => "model",
                });
                row.spaced_name(&def.name);
                if !def.sizes.is_empty() {
                    row.bracket_open("(");
                    row.commas(&def.sizes, |row, size| {
                        row.list_name(&size.name);
                        row.value(size.default.as_ref());
                    });
                    row.bracket_close(")");
                }
                self.body(row.brace().done(), &def.body, def.span.end);
            }
            Item::Fn(def) => {
                let mut row = self.row(def.span.start);
                row.word("fn");
                row.spaced_name(&def.name);
                if !def.params.is_empty() {
                    row.bracket_open("(");
                    row.commas(&def.params, |row, (name, ty)| {
                        row.list_name(name);
                        if let Some(ty) = ty {
                            row.sign(":");
                            row.ty(ty);
                        }
                    });
                    row.bracket_close(")");
                }
                match &def.body {
                    FnBody::Expr(value) => {
                        row.skip_to('=');
                        row.value(Some(value));
                        let row = row.done();
                        self.lines.row(row, 0);
                    }
                    FnBody::Stmts(body) => self.body(row.brace().done(), body, def.span.end),
                }
            }
            Item::Settings(settings) => {
                let mut row = self.row(settings.span.start);
                row.word(match settings.kind {
                    SettingsKind::Data => "data",
                    SettingsKind::Train => "train",
                    SettingsKind::Generate => "generate",
                    SettingsKind::Tune => "tune",
                });
                row.spaced_name(&settings.name);
                if let Some(on) = &settings.on {
                    row.word("on");
                    row.spaced_name(on);
                }
                self.entries(row.brace().done(), &settings.entries, settings.span.end, 0);
            }
        }
    }

    fn body(&mut self, head: row::Done, body: &[Stmt], end: u32) {
        self.lines.row(head, 0);
        self.lines.open();
        let rows = body.iter().map(|stmt| {
            let mut row = self.row(stmt.span.start);
            row.stmt(&stmt.kind);
            row.done()
        });
        let mut rows: Vec<_> = rows.collect();
        align(&mut rows, |a, b| self.lines.adjacent(a, b));
        for row in rows {
            self.lines.row(row, 2);
        }
        self.lines.close(end, 0);
    }

    fn entries(&mut self, head: row::Done, entries: &[Setting], end: u32, indent: usize) {
        self.lines.row(head, indent);
        self.lines.open();
        let inner = indent + 2;
        let mut rows: Vec<_> = entries
            .iter()
            .map(|setting| self.setting(setting, inner))
            .collect();
        align(&mut rows, |a, b| self.lines.adjacent(a, b));
        for (row, setting) in rows.into_iter().zip(entries) {
            match setting {
                Setting::Params { entries, span, .. } if row.ends_open() => {
                    self.entries(row, entries, span.end, inner);
                }
                Setting::Params { .. } | Setting::Set { .. } => self.lines.row(row, inner),
            }
        }
        self.lines.close(end, indent);
    }

    /// One setting; of `params` either all of it on one line, or its head.
    fn setting(&self, setting: &Setting, indent: usize) -> row::Done {
        match setting {
            Setting::Set { span, .. } => {
                let mut row = self.row(span.start);
                row.set(setting);
                row.done()
            }
            Setting::Params {
                selector,
                entries,
                span,
            } => {
                let text = self
                    .source
                    .get(span.start as usize..span.end as usize)
                    .unwrap_or("");
                let mut row = self.row(span.start);
                row.word("params");
                row.selector(selector);
                if let [entry @ Setting::Set { .. }] = entries.as_slice()
                    && !text.contains('\n')
                {
                    let mut row = row.clone();
                    row.brace_key();
                    row.set(entry);
                    row.brace_end();
                    let row = row.done();
                    if indent + row.width() + align::spread(Class::Params) <= lines::WIDTH {
                        return row;
                    }
                }
                row.brace().done()
            }
        }
    }
}

#[cfg(test)]
mod tests;
