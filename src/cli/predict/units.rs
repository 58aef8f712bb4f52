//! Standard input cut into units: what is answered at once.
//!
//! In: the data block of a run, a stream of bytes. Out: a row with the lines its quotes span, a block up
//! to its blank line, an object, or of one long text whatever has come, each with its line's number.

use std::io::{self, BufRead};

use crate::cli::load::plain;
use crate::data::DataSpec;
use crate::data::spec::{ColumnExpr, ColumnKind, SourceKind, Step};
use crate::diagnostics::Diagnostic;

/// What errors call the stream.
pub const NAME: &str = "<stdin>";

/// How a stream is cut into units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Lines,
    /// Rows whose quotes may span lines.
    Quoted,
    /// Rows up to a blank line.
    Blocks,
    /// Whatever has come, in whole characters.
    Chars,
}

pub fn cut(spec: &DataSpec) -> Result<Cut, Diagnostic> {
    Ok(match &spec.source.kind {
        SourceKind::Csv(t) | SourceKind::Tsv(t) if t.blocks => Cut::Blocks,
        SourceKind::Csv(_) => Cut::Quoted,
        SourceKind::Lines(_) | SourceKind::Tsv(_) | SourceKind::Jsonl(_) => Cut::Lines,
        SourceKind::Text(_) => match spec.columns.iter().all(|c| by_character(&c.value)) {
            true => Cut::Chars,
            false => Cut::Lines,
        },
        SourceKind::Tensors(_) | SourceKind::Idx { .. } | SourceKind::Rows { .. } => {
            let message = "tensors and pictures are read from files, not from a stream";
            return Err(Diagnostic::error("usage::stream-format", message));
        }
    })
}

/// How the row of names before the first unit is cut off, where there is one.
pub fn head(spec: &DataSpec) -> Option<Cut> {
    match &spec.source.kind {
        SourceKind::Csv(t) if t.header => Some(Cut::Quoted),
        SourceKind::Tsv(t) if t.header => Some(Cut::Lines),
        _ => None,
    }
}

/// Whether a text is cut into its symbols at every character alike.
fn by_character(e: &ColumnExpr) -> bool {
    let step = match &e.kind {
        ColumnKind::Step { step, .. } => matches!(step, Step::Chars | Step::Lower),
        _ => true,
    };
    step && e.parts().into_iter().all(by_character)
}

/// The units of a stream.
pub struct Units<R> {
    from: R,
    /// How the first unit is cut, where that is another way.
    head: Option<Cut>,
    cut: Cut,
    /// Lines read so far.
    line: usize,
}

impl<R: BufRead> Units<R> {
    pub fn new(from: R, head: Option<Cut>, cut: Cut) -> Units<R> {
        Units {
            from,
            head,
            cut,
            line: 0,
        }
    }

    /// The next unit that is not blank, and the number of its first line; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(Vec<u8>, usize)>, Diagnostic> {
        let cannot = |e: io::Error| {
            Diagnostic::error("io::read", format!("{NAME} cannot be read: {}", plain(&e)))
        };
        let cut = self.head.take().unwrap_or(self.cut);
        if cut == Cut::Chars {
            let first = self.line + 1;
            let bytes = self.come().map_err(cannot)?;
            self.line += bytes.iter().filter(|b| **b == b'\n').count();
            return Ok((!bytes.is_empty()).then_some((bytes, first)));
        }
        let mut unit = Vec::new();
        let mut first = self.line + 1;
        let mut quotes = 0;
        loop {
            let begins = unit.len();
            if self.from.read_until(b'\n', &mut unit).map_err(cannot)? == 0 {
                break;
            }
            self.line += 1;
            let line = &unit[begins..];
            let blank = line.iter().all(u8::is_ascii_whitespace);
            quotes += line.iter().filter(|b| **b == b'"').count();
            match cut {
                Cut::Lines | Cut::Chars if !blank => break,
                Cut::Quoted if !blank && quotes % 2 == 0 => break,
                Cut::Quoted if quotes % 2 == 1 => {}
                Cut::Blocks if !blank => {}
                Cut::Blocks if begins > 0 => break,
                // Nothing has come yet.
                Cut::Lines | Cut::Chars | Cut::Quoted | Cut::Blocks => {
                    unit.clear();
                    first = self.line + 1;
                }
            }
        }
        Ok((!unit.is_empty()).then_some((unit, first)))
    }

    /// What there is, waiting for a first byte, to the end of a character and of a `\r\n`.
    fn come(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = self.from.fill_buf()?.to_vec();
        self.from.consume(bytes.len());
        let open = |bytes: &[u8]| {
            let cut = std::str::from_utf8(bytes).err();
            bytes.last() == Some(&b'\r') || cut.is_some_and(|e| e.error_len().is_none())
        };
        while open(&bytes) {
            let mut next = [0];
            match self.from.read(&mut next)? {
                0 => break,
                _ => bytes.push(next[0]),
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(cut: Cut, text: &str) -> Vec<(String, usize)> {
        let mut units = Units::new(text.as_bytes(), None, cut);
        let mut all = Vec::new();
        while let Some((bytes, first)) = units.next().unwrap() {
            all.push((String::from_utf8(bytes).unwrap(), first));
        }
        all
    }

    #[test]
    fn a_stream_is_cut_where_its_form_says() {
        let unit = |text: &str, line| (text.to_string(), line);
        let lines = cut(Cut::Lines, "a\n\n b\nc");
        assert_eq!(lines, [unit("a\n", 1), unit(" b\n", 3), unit("c", 4)]);
        let quoted = cut(Cut::Quoted, "\n1,\"a\n\nb\"\n2,c\n");
        assert_eq!(quoted, [unit("1,\"a\n\nb\"\n", 2), unit("2,c\n", 5)]);
        let blocks = cut(Cut::Blocks, "\na\nb\n\n\nc\n");
        assert_eq!(blocks, [unit("a\nb\n\n", 2), unit("c\n", 6)]);
        let text = "h\na\nb\n\nc\n".as_bytes();
        let mut named = Units::new(text, Some(Cut::Quoted), Cut::Blocks);
        assert_eq!(named.next().unwrap(), Some((b"h\n".to_vec(), 1)));
        assert_eq!(named.next().unwrap(), Some((b"a\nb\n\n".to_vec(), 2)));
        assert_eq!(cut(Cut::Chars, "é\r\nb"), [unit("é\r\nb", 1)]);
    }

    #[test]
    fn characters_come_whole() {
        // One byte at a time.
        let bytes = "é\r\n".as_bytes();
        let from = io::BufReader::with_capacity(1, bytes);
        let mut units = Units::new(from, None, Cut::Chars);
        assert_eq!(units.next().unwrap(), Some(("é".as_bytes().to_vec(), 1)));
        assert_eq!(units.next().unwrap(), Some((b"\r\n".to_vec(), 1)));
        assert_eq!(units.next().unwrap(), None);
    }
}
