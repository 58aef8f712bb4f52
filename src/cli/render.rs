//! Diagnostics on stderr: for people by miette, for programs as JSON lines.

use std::io::{IsTerminal, Write};

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};

use textwrap::WordSplitter;

use super::args::{Color, Common};
use crate::diagnostics::{Diagnostic, Severity};
use crate::span::{Sources, Span};

/// More than this helps nobody.
const MOST: usize = 50;
/// Lines longer than this are cut before rendering: miette 7.6 panics on labels past column 65,535.
const LONGEST_LINE: usize = 400;

/// Shows all of them, errors first in order of place.
pub fn show(diagnostics: &[Diagnostic], sources: &Sources, common: &Common) {
    let mut all: Vec<&Diagnostic> = diagnostics.iter().collect();
    if common.quiet {
        all.retain(|d| d.is_error());
    }
    let coloured = match common.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let mut err = std::io::stderr().lock();
    for d in all.iter().take(MOST) {
        let text = if common.json {
            format!("{}\n", json(d, sources))
        } else {
            text(d, sources, coloured)
        };
        // Nothing can be done about a stderr that is closed.
        let _ = err.write_all(text.as_bytes());
    }
    if all.len() > MOST {
        let _ = writeln!(err, "… and {} more", all.len() - MOST);
    }
}

/// One diagnostic as people read it.
pub fn text(d: &Diagnostic, sources: &Sources, coloured: bool) -> String {
    let theme = if coloured {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        // A name with a hyphen is one word, to be copied.
        .with_word_splitter(WordSplitter::NoHyphenation)
        .with_links(false);
    let mut out = MietteDiagnostic::new(printable(&d.message)).with_code(d.code);
    out = out.with_severity(match d.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    });
    let mut help = d.help.as_deref().map(printable);
    let file = d.labels.first().map(|l| l.span.file);
    let report = match file.and_then(|file| Some((file, sources.find(file)?))) {
        Some((file, source)) => {
            let (clipped, moved) = clip(&source.text);
            let own = d.labels.iter().filter(|l| l.span.file == file);
            // What is shown of a line that was cut is not where the label is.
            if let Some(l) = d
                .labels
                .first()
                .filter(|l| cut_before(&source.text, l.span))
            {
                let (line, column) = sources.line_column(l.span);
                let exact = format!("the place is {}:{line}:{column}", printable(&source.name));
                help = Some(help.map_or(exact.clone(), |h| format!("{h}\n{exact}")));
            }
            let mut first = true;
            for l in own {
                let start = moved(l.span.start as usize);
                let end = moved(l.span.end as usize).max(start);
                let text = Some(printable(&l.text)).filter(|t| !t.is_empty());
                let span = start..end;
                out = out.and_label(if std::mem::take(&mut first) {
                    LabeledSpan::new_primary_with_span(text, span)
                } else {
                    LabeledSpan::new_with_span(text, span)
                });
            }
            if let Some(help) = help {
                out = out.with_help(help);
            }
            Report::new(out).with_source_code(NamedSource::new(printable(&source.name), clipped))
        }
        None => {
            if let Some(help) = help {
                out = out.with_help(help);
            }
            Report::new(out)
        }
    };
    let mut shown = String::new();
    if handler.render_report(&mut shown, report.as_ref()).is_err() {
        shown = format!("{}: {}\n", d.code, d.message);
    }
    shown
}

/// Whether a place is past where [`clip`] cuts its line.
fn cut_before(text: &str, span: Span) -> bool {
    let before = text.as_bytes().get(..span.start as usize);
    before.is_some_and(|b| b.iter().rev().take_while(|b| **b != b'\n').count() >= LONGEST_LINE)
}

/// The text with over-long lines cut, and where an offset of the original went.
fn clip(text: &str) -> (String, impl Fn(usize) -> usize + use<>) {
    let mut out = String::with_capacity(text.len().min(1 << 20));
    // (original start, start in the clipped text, length kept) of each line.
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mut keep = line.len().min(LONGEST_LINE);
        while !line.is_char_boundary(keep) {
            keep -= 1;
        }
        lines.push((at, out.len(), keep));
        // A byte for a byte, so that offsets stay.
        for c in line[..keep].chars() {
            match is_unsafe(c) {
                true => out.extend(std::iter::repeat_n('?', c.len_utf8())),
                false => out.push(c),
            }
        }
        if keep < line.len() {
            out.push_str(" …\n");
        }
        at += line.len();
    }
    let total = out.len();
    let moved = move |offset: usize| {
        let i = lines.partition_point(|(start, _, _)| *start <= offset);
        match i.checked_sub(1).map(|i| lines[i]) {
            Some((start, new, keep)) => (new + (offset - start).min(keep)).min(total),
            None => 0,
        }
    };
    (out, moved)
}

/// A diagnostic as an object: `code`, `severity`, `message`, `labels`, `help`, `fix`.
pub fn json(d: &Diagnostic, sources: &Sources) -> serde_json::Value {
    let place = |s: Span| {
        let source = sources.find(s.file)?;
        let (line, column) = sources.line_column(s);
        Some(serde_json::json!({
            "file": source.name, "line": line, "column": column,
            "start": s.start, "end": s.end,
        }))
    };
    let labels: Vec<_> = d
        .labels
        .iter()
        .map(|l| serde_json::json!({"at": place(l.span), "text": l.text}))
        .collect();
    serde_json::json!({
        "code": d.code,
        "severity": if d.is_error() { "error" } else { "warning" },
        "message": d.message,
        "labels": labels,
        "help": d.help,
        "fix": d.fix.as_ref().map(|f| serde_json::json!({"at": place(f.span), "text": f.text})),
    })
}

/// What a terminal would obey instead of showing: control characters, and the marks that turn the
/// direction of a text, which can make it read as something else.
fn is_unsafe(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

/// Control characters of names and data never reach a terminal raw.
pub fn printable(text: &str) -> String {
    let shown = |c: char| -> String {
        if is_unsafe(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_hyphen_stands_in_one_line() {
        for n in 0..20 {
            let d = Diagnostic::error("a::b", "c").help("merge-gates, ".repeat(8 + n));
            let shown = text(&d, &Sources::default(), false);
            let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
            assert!(
                lines.len() > 2 && !lines.iter().any(|l| l.ends_with('-')),
                "{shown}"
            );
        }
    }
}
