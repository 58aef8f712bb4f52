//! Bytes of a data file to checked text, and places in it.
//!
//! In: bytes. Out: [`Text`]: UTF-8 without byte order mark, lines ending in `\n`, no NUL
//! (other control characters are data, and never shown raw on a terminal); or a diagnostic with file, line and column.

use super::path::Resolved;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// A data file's text.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// The file's name in messages.
    pub name: String,
    pub text: String,
    /// The number in the file of each line of `text`, where it is a piece of a file.
    pub lines: Vec<usize>,
}

/// A place in a data file, 1-based; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// `text` made safe to print: control characters escaped, cut in the middle to `max` characters.
pub fn shown(text: &str, max: usize) -> String {
    let mut out = String::new();
    let chars = text.chars().take(4 * max + 1);
    for c in chars {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    let n = out.chars().count();
    if n <= max {
        return out;
    }
    let tail = max / 2;
    let head = max - tail - 1;
    let first: String = out.chars().take(head).collect();
    let last: String = out.chars().skip(n - tail).collect();
    format!("{first}…{last}")
}

/// What no text holds: the file is binary, or in UTF-16.
pub fn refused(c: char) -> bool {
    c == '\0'
}

/// An error about what stands at a place of a data file; the label names the place in full.
pub fn at(code: &'static str, message: impl Into<String>, place: &Place, span: Span) -> Diagnostic {
    Diagnostic::error(code, message).label(span, format!("at {place}"))
}

impl Text {
    /// Decodes the whole of a file. `cut`: the bytes are the start of a longer file, so that a
    /// character may be incomplete at the end.
    pub fn decode(
        bytes: Vec<u8>,
        file: &Resolved,
        cut: bool,
        span: Span,
    ) -> Result<Text, Diagnostic> {
        let text = Text::clean(bytes, &file.shown, 1, cut, span)?;
        if text.text.is_empty() {
            return Err(Diagnostic::error(
                "data::empty",
                format!("`{}` is empty", shown(&file.shown, 40)),
            )
            .label(span, "read here".to_string()));
        }
        Ok(text)
    }

    /// A piece of a stream whose first line has this number.
    pub fn piece(bytes: Vec<u8>, name: &str, first: usize, span: Span) -> Result<Text, Diagnostic> {
        let mut text = Text::clean(bytes, name, first, false, span)?;
        let lines = text.text.matches('\n').count() + 1;
        text.lines = (first..first + lines).collect();
        Ok(text)
    }

    /// Pieces one after another; each but the last ends its line.
    pub fn joined<'t>(pieces: impl IntoIterator<Item = &'t Text>) -> Text {
        let mut all = Text::default();
        for piece in pieces {
            all.name.clone_from(&piece.name);
            all.text.push_str(&piece.text);
            all.lines.extend(&piece.lines);
            if piece.text.ends_with('\n') {
                // What stands behind it is the next piece's first line.
                all.lines.pop();
            }
        }
        all
    }

    /// The number of its first line.
    pub fn line(&self) -> usize {
        self.lines.first().copied().unwrap_or(1)
    }

    fn clean(
        bytes: Vec<u8>,
        name: &str,
        first: usize,
        cut: bool,
        span: Span,
    ) -> Result<Text, Diagnostic> {
        let name = name.to_string();
        let place = |before: &str| {
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            Place {
                file: name.clone(),
                line: before.matches('\n').count() + first,
                column,
            }
        };
        let mut text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let valid = e.utf8_error().valid_up_to();
                let incomplete = e.utf8_error().error_len().is_none();
                let bytes = e.into_bytes();
                let before = std::str::from_utf8(&bytes[..valid]).unwrap_or("");
                if cut && incomplete {
                    before.to_string()
                } else {
                    let message = format!("byte 0x{:02x} is not UTF-8 text", bytes[valid]);
                    let error = at("data::not-utf8", message, &place(before), span);
                    return Err(match &bytes[..] {
                        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                            error.help("the file begins as UTF-16 does: save it as UTF-8")
                        }
                        [0x1f, 0x8b, ..] => error.help("the file is packed: gunzip it first"),
                        // A packed or binary file has zero bytes early; text in an older encoding none.
                        head if !head.iter().take(1024).any(|b| *b == 0) => error.help(
                            "a text in another encoding is converted: `iconv -f latin1 -t utf-8 OLD > \
                             NEW`, where it is in Latin-1",
                        ),
                        _ => error,
                    });
                }
            }
        };
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        if text.contains('\r') {
            text = text.replace("\r\n", "\n");
            if cut && text.ends_with('\r') {
                text.pop();
            }
        }
        if let Some((i, c)) = text.char_indices().find(|(_, c)| refused(*c)) {
            return Err(at(
                "data::control-character",
                format!("control character U+{:04X} in the data", c as u32),
                &place(&text[..i]),
                span,
            ));
        }
        Ok(Text {
            name,
            text,
            lines: Vec::new(),
        })
    }

    /// Drops what follows the last line end, where a line may end within quotes back to where every
    /// quote is closed; a text of one line stays as it is.
    pub fn end_at_line(&mut self, quoted: bool) {
        let mut open = quoted && self.text.bytes().filter(|b| *b == b'"').count() % 2 == 1;
        let mut end = self.text.len();
        while let Some(line) = self.text[..end].rfind('\n') {
            let quotes = self.text[line..end].bytes().filter(|b| *b == b'"').count();
            open ^= quoted && quotes % 2 == 1;
            end = line;
            if !open {
                self.text.truncate(line + 1);
                return;
            }
        }
    }

    /// Where its lines end.
    pub fn line_ends(&self) -> Vec<usize> {
        self.text.match_indices('\n').map(|(i, _)| i).collect()
    }

    /// What its `i`-th line, from 0, is numbered in the file or stream that it is of.
    pub fn number(&self, i: usize) -> usize {
        self.lines.get(i).copied().unwrap_or(i + 1)
    }

    /// Where byte `offset` of the text is.
    pub fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line = before.bytes().filter(|b| *b == b'\n').count();
        Place {
            file: self.name.clone(),
            line: self.number(line),
            column: before.rsplit('\n').next().unwrap_or("").chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Text, (&'static str, String)> {
        let file = Resolved {
            path: "f.txt".into(),
            shown: "f.txt".into(),
        };
        Text::decode(bytes.to_vec(), &file, false, Span::default())
            .map_err(|d| (d.code, d.labels[0].text.clone()))
    }

    #[test]
    fn marks_and_line_ends_are_normalised() {
        assert_eq!(
            decode(b"\xef\xbb\xbfa\r\nb\tc\n").unwrap().text,
            "a\nb\tc\n"
        );
    }

    #[test]
    fn faults_give_line_and_column() {
        let at = |bytes: &[u8]| decode(bytes).unwrap_err();
        assert_eq!(
            at(b"ab\nc\xff"),
            ("data::not-utf8", "at f.txt:2:2".to_string())
        );
        assert_eq!(
            at("é\n\u{939}\0".as_bytes()),
            ("data::control-character", "at f.txt:2:2".to_string())
        );
        assert_eq!(at(b"a\x1b\0").1, "at f.txt:1:3");
        assert_eq!(at(b"").0, "data::empty");
        assert_eq!(at(b"\xef\xbb\xbf").0, "data::empty");
    }

    #[test]
    fn what_is_shown_never_holds_a_control_character() {
        assert_eq!(shown("a\x1b[2J", 20), "a\\u{1b}[2J");
        assert_eq!(shown(&"x".repeat(100), 11), "xxxxx…xxxxx");
    }
}
