//! What the grammar cannot say: which newlines end a statement, which brackets belong together, where the comments are.
//!
//! In: the text of a file. Out: [`Layout`], whose `flat` text is as long as the source, byte for byte, so that every
//! position in it is a position in the source. Comments, and newlines that end nothing, are blanks in it; what the grammar
//! then reads is one statement a line. Mistakes met on the way (characters, numbers, strings, brackets) are reported here,
//! once, and leave their position in `bad`, so that the statements around them can still be read.
//!
//! A forgotten `)` is noticed only at the next brace or the end of the file. The scan then goes back to the line after the
//! open bracket and reads on as if it had been closed there, so that it costs one statement and not the rest of the file.

use unicode_ident::{is_xid_continue, is_xid_start};

use super::{MAX_ERRORS, MAX_NAME, wrong};
use crate::ast::node::Comment;
use crate::diagnostics::Diagnostic;
use crate::span::{FileId, Span};

/// What divides the flat text into lines of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A newline that ends a statement.
    Newline,
    Open,
    Close,
}

pub struct Layout {
    pub flat: String,
    pub comments: Vec<Comment>,
    pub errors: Vec<Diagnostic>,
    /// Braces, and the newlines that end something, in order.
    pub marks: Vec<(usize, Mark)>,
    /// Positions of reported mistakes: the statements there are not worth reading.
    pub bad: Vec<usize>,
    /// Positions of braces never closed: the items there are not worth reading.
    pub broken: Vec<usize>,
    /// The scan gave up before the end.
    pub stopped: bool,
}

/// A bracket or brace not yet closed.
pub struct Open {
    pub char: char,
    pub at: usize,
    /// The `where`s now open directly inside.
    pub wheres: usize,
    /// How many marks there were before it.
    pub marks: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Continues {
    No,
    /// After an operator: yes, unless the next line is plainly a statement of its own, so that a forgotten value costs
    /// one line.
    Value,
    /// After a comma, `with` or `from`: `name = …` may follow.
    Binding,
}

pub struct Scanner<'a> {
    pub text: &'a str,
    pub file: FileId,
    pub at: usize,
    pub flat: Vec<u8>,
    pub comments: Vec<Comment>,
    /// Each with its position, to forget those of a part that is scanned again.
    pub errors: Vec<(usize, Diagnostic)>,
    pub marks: Vec<(usize, Mark)>,
    pub bad: Vec<usize>,
    pub broken: Vec<usize>,
    pub open: Vec<Open>,
    /// The `where`s open outside any bracket.
    pub wheres: usize,
    /// Brackets, braces and `where`s open now.
    pub depth: usize,
    /// Newlines since the last token; the next token decides what they mean.
    pub pending: Vec<usize>,
    /// Whether the last token lets the statement go on in the next line.
    pub continues: Continues,
    pub stopped: bool,
}

pub fn scan(text: &str, file: FileId) -> Layout {
    let mut scanner = Scanner {
        text,
        file,
        at: 0,
        flat: text.as_bytes().to_vec(),
        comments: Vec::new(),
        errors: Vec::new(),
        marks: Vec::new(),
        bad: Vec::new(),
        broken: Vec::new(),
        open: Vec::new(),
        wheres: 0,
        depth: 0,
        pending: Vec::new(),
        continues: Continues::No,
        stopped: false,
    };
    if text.starts_with('\u{feff}') {
        scanner.blank_to('\u{feff}'.len_utf8());
    }
    while !scanner.stopped && (scanner.at < text.len() || scanner.reopen_at_end()) {
        scanner.step();
    }
    let pending = std::mem::take(&mut scanner.pending);
    scanner
        .marks
        .extend(pending.into_iter().map(|at| (at, Mark::Newline)));
    Layout {
        // Blanks replace whole characters only, so this never loses anything.
        flat: String::from_utf8_lossy(&scanner.flat).into_owned(),
        comments: scanner.comments,
        errors: scanner.errors.into_iter().map(|(_, error)| error).collect(),
        marks: scanner.marks,
        bad: scanner.bad,
        broken: scanner.broken,
        stopped: scanner.stopped,
    }
}

impl Scanner<'_> {
    /// Reads one token, blank, newline or comment.
    fn step(&mut self) {
        let start = self.at;
        let tail = &self.text[start..];
        let Some(char) = tail.chars().next() else {
            return;
        };
        match char {
            ' ' | '\t' => self.at += 1,
            '\n' => {
                self.pending.push(start);
                self.at += 1;
            }
            '\r' if tail.starts_with("\r\n") => self.blank_to(start + 1),
            '#' => self.comment(),
            '"' => self.string(),
            '0'..='9' => self.number(),
            '.' if tail[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            '(' | '[' | '{' => self.opening(char),
            ')' | ']' | '}' => self.closing(char),
            _ if is_xid_start(char) => self.word(),
            _ => {
                let len = if tail.starts_with("|>") || tail.starts_with("!=") {
                    2
                } else {
                    char.len_utf8()
                };
                if len == 2 && char.is_ascii() || "+-*/·@^<>=,:~.'".contains(char) {
                    self.token(&tail[..len]);
                    if matches!(char, ',' | '|') {
                        self.end_wheres();
                    }
                    self.at += len;
                } else {
                    // `&&` is one mistake.
                    let len = match char {
                        '&' | '|' => tail.len() - tail.trim_start_matches(char).len(),
                        _ => len,
                    };
                    self.error(start, wrong::character(tail, self.span(start, start + len)));
                    self.blank_to(start + len);
                }
            }
        }
    }

    /// What the newlines before a token mean, and whether newlines may follow it.
    pub fn token(&mut self, text: &str) {
        let first = text.chars().next().unwrap_or(' ');
        if !self.pending.is_empty() {
            let goes_on = match self.continues {
                Continues::No => false,
                Continues::Value => text != "}" && !self.statement_follows(text),
                Continues::Binding => text != "}",
            };
            let goes_on = goes_on
                || self.in_brackets()
                || "+-*/·@^<>=!,:~|{".contains(first)
                || matches!(text, "and" | "or" | "over" | "where" | "with")
                || text == "from" && !self.setting_follows();
            let pending = std::mem::take(&mut self.pending);
            for at in &pending {
                if goes_on {
                    self.flat[*at] = b' ';
                } else {
                    self.marks.push((*at, Mark::Newline));
                }
            }
            if !goes_on {
                self.end_wheres();
            }
        }
        self.continues = match first {
            ',' => Continues::Binding,
            _ if "+-*/·@^<>=!:~|".contains(first) => Continues::Value,
            _ if matches!(text, "with" | "from") => Continues::Binding,
            _ if matches!(text, "and" | "or" | "not" | "over" | "where") => Continues::Value,
            _ => Continues::No,
        };
    }

    /// The line that begins with this word is `name =`, `name' =`, or a declaration.
    fn statement_follows(&self, word: &str) -> bool {
        const DECLARING: [&str; 8] = [
            "input", "context", "state", "target", "param", "predict", "penalty", "watch",
        ];
        let tail = &self.text[self.at + word.len()..];
        if !word.starts_with(is_xid_start) {
            return false;
        }
        let next = tail.trim_start_matches([' ', '\t']);
        let next_word = &next[..word_end(next, 0)];
        if DECLARING.contains(&word) && next.starts_with(is_xid_start) {
            return !super::RESERVED.contains(&next_word);
        }
        let next = next
            .strip_prefix('\'')
            .unwrap_or(next)
            .trim_start_matches([' ', '\t']);
        next.starts_with('=') && !next.starts_with("==")
    }

    /// After the word `from`: a `=`, which makes it a setting's name.
    fn setting_follows(&self) -> bool {
        let tail = self.text[self.at + "from".len()..].trim_start_matches([' ', '\t']);
        tail.starts_with('=') && !tail.starts_with("==")
    }

    fn word(&mut self) {
        let end = word_end(self.text, self.at);
        let text = self.text;
        let word = &text[self.at..end];
        if self.item_begins(word, end) {
            if self.in_brackets() {
                return self.go_back();
            }
            self.unclosed_braces();
        }
        self.token(word);
        if word.len() > MAX_NAME {
            self.error(self.at, wrong::long_name(word, self.span(self.at, end)));
        }
        if word == "where" {
            match self.open.last_mut() {
                Some(open) => open.wheres += 1,
                None => self.wheres += 1,
            }
            self.deeper();
        }
        self.at = end;
    }

    pub fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    pub fn blank_to(&mut self, end: usize) {
        self.flat[self.at..end].fill(b' ');
        self.at = end;
    }

    pub fn error(&mut self, at: usize, error: Diagnostic) {
        self.errors.push((at, error));
        self.bad.push(at);
        self.stopped |= self.errors.len() >= MAX_ERRORS;
    }
}

/// What a name goes on with; the middle dots, which Unicode would allow, are the product.
pub fn is_name_char(char: char) -> bool {
    is_xid_continue(char) && char != '·' && char != '\u{387}' || ('₀'..='₉').contains(&char)
}

/// The end of the word that begins at `start`.
pub fn word_end(text: &str, start: usize) -> usize {
    text[start..]
        .find(|c| !is_name_char(c))
        .map_or(text.len(), |n| start + n)
}
