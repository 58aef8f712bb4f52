//! A text file of any length, a piece at a time.
//!
//! In: a file, or a text at hand. Out: [`Pieces`]: its text, checked and normalised as [`super::text`] does it, in
//! pieces of at most [`PIECE`] bytes that can each be changed and cut into symbols on their own.
//!
//! A piece ends after a line end. Where a line is longer than a piece, it ends before a blank that
//! follows no blank: no word, no byte pair, no combining character and no final sigma reaches
//! across either. Where a whole piece has no blank, it ends at its last character that combines
//! with none before it.

use std::fs::File;
use std::io::Read;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::TextFile;
use super::path::{Resolved, unreadable};
use super::text::{Place, at, refused};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The most bytes of a piece.
pub const PIECE: usize = 1 << 20;

/// Bytes read at once.
const CHUNK: usize = 1 << 18;

/// The text of one file, from its start.
#[derive(Debug)]
pub struct Pieces {
    /// With its name; none where the text is at hand.
    file: Option<(File, Resolved)>,
    span: Span,
    /// Read and not decoded: an incomplete character, or a `\r` that may begin a line end.
    raw: Vec<u8>,
    /// Decoded and not given out.
    text: String,
    began: bool,
    ended: bool,
    /// Line ends decoded so far, and characters since the last.
    lines: usize,
    column: usize,
}

impl Pieces {
    /// Errors: the file cannot be opened.
    pub fn open(file: &TextFile, span: Span) -> Result<Pieces, Diagnostic> {
        let (file, text) = match file {
            TextFile::File(name) => {
                let file = File::open(&name.path).map_err(|e| unreadable(name, span, &e))?;
                (Some((file, name.clone())), String::new())
            }
            // It was checked when it came.
            TextFile::Given(text) => (None, text.text.clone()),
        };
        Ok(Pieces {
            ended: file.is_none(),
            file,
            span,
            raw: Vec::new(),
            text,
            began: false,
            lines: 0,
            column: 0,
        })
    }

    /// The next piece, until there is none. Errors: the file cannot be read, or its content is no
    /// text, with file, line and column.
    pub fn next(&mut self) -> Result<Option<String>, Diagnostic> {
        while !self.ended && self.text.len() <= PIECE {
            self.more()?;
        }
        let end = match self.text.len() > PIECE {
            true => end(&self.text),
            false => self.text.len(),
        };
        let rest = self.text.split_off(end);
        let piece = std::mem::replace(&mut self.text, rest);
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// Reads and decodes some more.
    fn more(&mut self) -> Result<(), Diagnostic> {
        let Some((file, name)) = &mut self.file else {
            return Ok(());
        };
        let n = (file.take(CHUNK as u64))
            .read_to_end(&mut self.raw)
            .map_err(|e| unreadable(name, self.span, &e))?;
        self.ended = n == 0;
        let raw = std::mem::take(&mut self.raw);
        let (valid, wrong) = match std::str::from_utf8(&raw) {
            Ok(_) => (raw.len(), false),
            Err(e) => (e.valid_up_to(), self.ended || e.error_len().is_some()),
        };
        let mut text = std::str::from_utf8(&raw[..valid]).unwrap_or("");
        if !self.began && !text.is_empty() {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
            self.began = true;
        }
        let mut rest = &raw[valid..];
        if !self.ended && !wrong && text.ends_with('\r') {
            text = &text[..text.len() - 1];
            rest = &raw[valid - 1..];
        }
        if let Some((i, c)) = text.char_indices().find(|(_, c)| refused(*c)) {
            self.count(&text[..i]);
            let message = format!("control character U+{:04X} in the data", c as u32);
            return Err(self.here("data::control-character", message));
        }
        self.count(text);
        if wrong {
            let message = format!("byte 0x{:02x} is not UTF-8 text", rest[0]);
            return Err(self.here("data::not-utf8", message));
        }
        match text.contains("\r\n") {
            true => self.text.push_str(&text.replace("\r\n", "\n")),
            false => self.text.push_str(text),
        }
        self.raw = rest.to_vec();
        Ok(())
    }

    fn count(&mut self, text: &str) {
        match text.rfind('\n') {
            Some(line) => {
                self.lines += text.bytes().filter(|b| *b == b'\n').count();
                self.column = text[line + 1..].chars().count();
            }
            None => self.column += text.chars().count(),
        }
    }

    fn here(&self, code: &'static str, message: String) -> Diagnostic {
        let place = Place {
            file: (self.file.as_ref()).map_or(String::new(), |(_, name)| name.shown.clone()),
            line: self.lines + 1,
            column: self.column + 1,
        };
        at(code, message, &place, self.span)
    }
}

/// Where the first piece of a longer text ends.
fn end(text: &str) -> usize {
    let most = text.floor_char_boundary(PIECE);
    let (within, after) = text.split_at(most);
    if let Some(line) = within.rfind('\n') {
        return line + 1;
    }
    // Before a blank after no blank; the one just after counts.
    let mut next = after.chars().next();
    for (i, c) in within.char_indices().rev() {
        if !c.is_whitespace() && next.is_some_and(char::is_whitespace) {
            return i + c.len_utf8();
        }
        next = Some(c);
    }
    let alone = |c: char| {
        canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes
    };
    let last = within.char_indices().rev().find(|(_, c)| alone(*c));
    last.map_or(most, |(i, _)| if i > 0 { i } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(bytes: &[u8]) -> Result<Vec<String>, Diagnostic> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.txt");
        std::fs::write(&path, bytes).unwrap();
        let shown = "f.txt".to_string();
        let mut pieces = Pieces::open(&TextFile::File(Resolved { path, shown }), Span::default())?;
        let mut out = Vec::new();
        while let Some(piece) = pieces.next()? {
            assert!(piece.len() <= PIECE);
            out.push(piece);
        }
        Ok(out)
    }

    #[test]
    fn pieces_are_the_normalised_text() {
        // Line ends and characters of several bytes fall on the ends of what is read at once.
        for shift in 0..4 {
            let line = "été\r\nσας \u{1F600}\r\n";
            let text = format!("\u{feff}{}{}", "x".repeat(shift), line.repeat(100_000));
            let all = pieces(text.as_bytes()).unwrap();
            assert!(all.len() > 1 && all.iter().all(|p| p.ends_with('\n')));
            let whole = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
            assert!(all.concat() == whole, "shift {shift}");
        }
        assert_eq!(pieces(b"\xef\xbb\xbf").unwrap(), Vec::<String>::new());
        assert_eq!(pieces(b"a\r").unwrap(), ["a\r"]);
    }

    #[test]
    fn a_line_is_cut_before_a_blank_or_a_character_that_stands_alone() {
        let words = "some words ".repeat(300_000);
        let all = pieces(words.as_bytes()).unwrap();
        assert!(all.len() > 3 && all.concat() == words);
        for piece in &all[1..] {
            assert!(piece.starts_with(' ') && !piece.starts_with("  "));
        }
        let marked = "e\u{301}".repeat(700_000);
        let all = pieces(marked.as_bytes()).unwrap();
        assert!(all.len() > 2 && all.concat() == marked);
        assert!(all.iter().all(|p| p.starts_with('e')));
    }

    #[test]
    fn faults_give_line_and_column_however_far() {
        let start = "line\n".repeat(100_000) + "é";
        let fault = |bytes: &[u8]| {
            let d = pieces(&[start.as_bytes(), bytes].concat()).unwrap_err();
            (d.code, d.labels[0].text.clone())
        };
        let at = "at f.txt:100001:2".to_string();
        assert_eq!(fault(b"\xff"), ("data::not-utf8", at.clone()));
        assert_eq!(fault(b"\xe2\x82"), ("data::not-utf8", at.clone()));
        assert_eq!(fault(b"\0a"), ("data::control-character", at));
    }
}
