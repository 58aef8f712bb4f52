//! Words with punctuation apart, and texts of them again.
//!
//! In: a text. Out: its pieces between the word boundaries of Unicode (UAX #29), blanks left out, each
//! line end a piece of its own: `don't`, `3.5` and a Devanagari word with its signs are one piece, every
//! other mark is one by itself, as is every Chinese character. Blanks are not kept, so a text of pieces
//! is joined as prose is written.

use unicode_segmentation::UnicodeSegmentation;

/// The pieces of a text.
pub fn segments(text: &str) -> impl Iterator<Item = &str> {
    (text.split_inclusive('\n')).flat_map(|line| {
        let end = line.strip_suffix('\n').map(|_| "\n");
        let pieces = line.trim_end_matches(['\n', '\r']).split_word_bounds();
        let pieces = pieces.filter(|p| !p.chars().all(char::is_whitespace));
        pieces.chain(end)
    })
}

/// Marks that stand at the word before them.
const CLOSING: &str = ".,;:!?%)]}»”’'…।॥、。，！？；：）」』";
/// Marks that stand at the word after them.
const OPENING: &str = "([{«“‘¿¡（「『$€£₹#@";
/// Marks between two words.
const LINKING: &str = "-/‐‑";

/// Joins pieces one after another.
#[derive(Debug, Default)]
pub struct Joiner {
    text: String,
    /// No blank comes next.
    close: bool,
    /// A `"` was opened and not closed.
    quoted: bool,
}

impl Joiner {
    pub fn push(&mut self, piece: &str) {
        let (first, last) = (piece.chars().next(), piece.chars().last());
        let (Some(first), Some(last)) = (first, last) else {
            return;
        };
        let line = piece == "\n";
        let before = self.text.chars().last();
        let bare = match first {
            '"' => self.quoted,
            c => CLOSING.contains(c) || LINKING.contains(c),
        };
        let together = before.is_some_and(|b| is_unspaced(b) && is_unspaced(first));
        if !(self.text.is_empty() || self.close || line || bare || together) {
            self.text.push(' ');
        }
        self.text.push_str(piece);
        if line {
            self.quoted = false;
        } else if first == '"' {
            self.quoted = !self.quoted;
        }
        self.close = match last {
            '"' => self.quoted,
            c => line || OPENING.contains(c) || LINKING.contains(c),
        };
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// Characters of scripts that part no words by blanks: Chinese and Japanese.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        segments(text).collect()
    }

    fn joined(text: &str) -> String {
        let mut joiner = Joiner::default();
        segments(text).for_each(|s| joiner.push(s));
        joiner.finish()
    }

    #[test]
    fn marks_stand_apart_and_words_stay_whole() {
        let text = "Don't pay $3.50, (or more)!\r\n";
        let all = [
            "Don't", "pay", "$", "3.50", ",", "(", "or", "more", ")", "!", "\n",
        ];
        assert_eq!(cut(text), all);
        assert_eq!(cut("नमस्ते, क्षत्रिय।"), ["नमस्ते", ",", "क्षत्रिय", "।"]);
        assert_eq!(
            cut("re\u{301}sume\u{301}…no"),
            ["re\u{301}sume\u{301}", "…", "no"]
        );
        assert_eq!(cut("你好，a"), ["你", "好", "，", "a"]);
        assert_eq!(cut(" \t\u{a0}"), [""; 0]);
    }

    #[test]
    fn pieces_are_joined_as_prose_is_written() {
        for text in [
            "Don't pay $3.50, (or more)!\nHe said: \"well-known, and/or not\" …",
            "\"A\" \"b\"\n\"c d\" e",
            "你好，世界。",
        ] {
            assert_eq!(joined(text), text.replace(" …", "…"));
        }
    }
}
