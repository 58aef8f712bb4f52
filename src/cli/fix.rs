//! `seqc check --fix`: the edits that diagnostics offer, made in the file.
//!
//! In: a file. Out: the same file with the edits, written whole or not at all, and their number. Edits
//! go from the end of the text to its start, so that spans stay what they were; of two that overlap the
//! first in the text is made, and the next round finds whether the other is still wanted.

use std::path::Path;

use super::Failure;
use super::args::Common;
use super::fmt::replace;
use super::load::{load, read, unwritten};
use crate::diagnostics::{Diagnostic, Fix};
use crate::span::FileId;

/// An edit may uncover another mistake; two that undo each other must end.
const ROUNDS: usize = 10;

/// Edits the file until no diagnostic offers an edit; returns how many were made.
pub fn fix(path: &Path, common: &Common) -> Result<usize, Failure> {
    // The file as it is, not as the command line overrides it.
    let plain_settings = Common {
        set: Vec::new(),
        seed: None,
        ..common.clone()
    };
    let mut made = 0;
    for _ in 0..ROUNDS {
        let (diagnostics, sources) = match load(path, &plain_settings) {
            Ok(l) => (l.diagnostics, l.sources),
            Err(f) => (f.diagnostics, f.sources),
        };
        let Some(own) = sources.find(FileId(0)) else {
            return Ok(made);
        };
        let (text, edits) = edited(&own.text, &diagnostics);
        if edits == 0 || text == *own.text {
            break;
        }
        // A byte order mark is no part of the text.
        let mark = if read(path)?.starts_with("\u{feff}".as_bytes()) {
            "\u{feff}"
        } else {
            ""
        };
        replace(path, &format!("{mark}{text}")).map_err(|e| unwritten(path, &e))?;
        made += edits;
    }
    Ok(made)
}

/// The text with every edit that overlaps no earlier one, and their number.
fn edited(text: &str, diagnostics: &[Diagnostic]) -> (String, usize) {
    let inside = |f: &&Fix| {
        let range = f.span.start as usize..f.span.end as usize;
        f.span.file == FileId(0) && text.get(range).is_some()
    };
    let mut fixes: Vec<&Fix> = diagnostics
        .iter()
        .filter_map(|d| d.fix.as_ref())
        .filter(inside)
        .collect();
    fixes.sort_by_key(|f| (f.span.start, f.span.end));
    let mut chosen: Vec<&Fix> = Vec::new();
    for fix in fixes {
        // Two insertions at one place could come in either order: only one is made.
        if chosen
            .last()
            .is_none_or(|last| last.span.end <= fix.span.start && last.span.start < fix.span.start)
        {
            chosen.push(fix);
        }
    }
    let mut out = text.to_string();
    for fix in chosen.iter().rev() {
        out.replace_range(fix.span.start as usize..fix.span.end as usize, &fix.text);
    }
    (out, chosen.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    fn offer(start: u32, end: u32, text: &str) -> Diagnostic {
        let span = Span {
            file: FileId(0),
            start,
            end,
        };
        Diagnostic::error("test::fix", "to mend").fix(span, text)
    }

    #[test]
    fn edits_go_bottom_up_and_never_overlap() {
        let all = [offer(6, 9, "C"), offer(0, 1, "alpha"), offer(7, 8, "lost")];
        assert_eq!(edited("a + b*(c)", &all), ("alpha + b*C".into(), 2));
        let outside = [offer(5, 50, "x")];
        assert_eq!(edited("a + b", &outside), ("a + b".into(), 0));
        let same = [offer(1, 1, "("), offer(1, 1, "[")];
        assert_eq!(edited("ab", &same), ("a(b".into(), 1));
    }
}
