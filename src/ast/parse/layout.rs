//! What the grammar cannot say: which newlines end a statement, which brackets belong together, where the comments are.
//!
//! In: the text of a file. Out: [`Layout`], whose `flat` text is as long as the source, byte for byte, so that every
//! position in it is a position in the source. Comments, and newlines that end nothing, are blanks in it; what the grammar
//! then reads is one statement a line. Mistakes met on the way (characters, numbers, strings, brackets) are reported here,
//! once, and leave their position in `bad`, so that the statements around them can still be read.
//!
//! A forgotten `)` is noticed only at the next brace or the end of the file. The scan then goes back to the line after the
//! open bracket and reads on as if it had been closed there, so that it costs one statement and not the rest of the file.
//!
//! Near 400 lines, because one scan decides all of this and its cases share the scanner's state.

use unicode_ident::{is_xid_continue, is_xid_start};

use super::{MAX_ERRORS, MAX_NAME, MAX_NESTING, wrong};
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
struct Open {
    char: char,
    at: usize,
    /// The `where`s now open directly inside.
    wheres: usize,
    /// How many marks there were before it.
    marks: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Continues {
    No,
    /// After an operator: yes, unless the next line is plainly a statement of its own, so that a forgotten value costs
    /// one line.
    Value,
    /// After a comma, `with` or `from`: `name = …` may follow.
    Binding,
}

struct Scanner<'a> {
    text: &'a str,
    file: FileId,
    at: usize,
    flat: Vec<u8>,
    comments: Vec<Comment>,
    /// Each with its position, to forget those of a part that is scanned again.
    errors: Vec<(usize, Diagnostic)>,
    marks: Vec<(usize, Mark)>,
    bad: Vec<usize>,
    broken: Vec<usize>,
    open: Vec<Open>,
    /// The `where`s open outside any bracket.
    wheres: usize,
    /// Brackets, braces and `where`s open now.
    depth: usize,
    /// Newlines since the last token; the next token decides what they mean.
    pending: Vec<usize>,
    /// Whether the last token lets the statement go on in the next line.
    continues: Continues,
    stopped: bool,
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
    fn token(&mut self, text: &str) {
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

    /// Inside a body, a line that can only be the head of the next item: a brace was forgotten.
    fn item_begins(&self, word: &str, end: usize) -> bool {
        const HEADS: [&str; 10] = [
            "time", "dim", "cell", "block", "fn", "model", "data", "train", "generate", "tune",
        ];
        if self.open.is_empty() || self.pending.is_empty() || !HEADS.contains(&word) {
            return false;
        }
        let next = self.text[end..].trim_start_matches([' ', '\t']);
        let next = &next[..word_end(next, 0)];
        next.starts_with(is_xid_start)
            && !super::RESERVED.contains(&next)
            && next != "as"
            && next != "on"
    }

    fn opening(&mut self, char: char) {
        while char == '{' && self.in_brackets() {
            let inside = self
                .open
                .last()
                .map_or("", |open| &self.text[open.at..self.at]);
            if inside.contains('\n') {
                return self.go_back();
            }
            // The head of a definition: its body is still wanted as a body.
            self.report_unclosed();
            self.pop();
        }
        self.token(char.encode_utf8(&mut [0; 4]));
        self.open.push(Open {
            char,
            at: self.at,
            wheres: 0,
            marks: self.marks.len(),
        });
        if char == '{' {
            self.marks.push((self.at, Mark::Open));
        }
        self.deeper();
        self.at += 1;
    }

    fn closing(&mut self, char: char) {
        if char == '}' && self.in_brackets() {
            return self.go_back();
        }
        let (at, span) = (self.at, self.span(self.at, self.at + 1));
        match self.open.last() {
            Some(open) if (open.char == '{') == (char == '}') => {
                if open.char != '{' && (open.char == '(') != (char == ')') {
                    let open = self.span(open.at, open.at + 1);
                    self.error(at, wrong::mismatched(self.text, open, span));
                }
                self.token(char.encode_utf8(&mut [0; 4]));
                self.pop();
                if char == '}' {
                    self.marks.push((at, Mark::Close));
                }
                self.at += 1;
            }
            Some(_) | None => {
                self.error(at, wrong::unopened(char, span));
                self.blank_to(at + 1);
            }
        }
    }

    /// Reports the innermost bracket as unclosed and goes back to the line after it.
    fn go_back(&mut self) {
        self.report_unclosed();
        let Some(open) = self.open.last() else { return };
        let (bracket, marks) = (open.at, open.marks);
        let back = self.text[bracket..]
            .find('\n')
            .map_or(self.text.len(), |n| bracket + n);
        self.pop();
        self.flat[back..].copy_from_slice(&self.text.as_bytes()[back..]);
        self.comments
            .retain(|comment| (comment.span.start as usize) < back);
        self.errors.retain(|(at, _)| *at < back);
        self.bad.retain(|at| *at < back);
        self.marks.truncate(marks);
        self.pending.clear();
        self.continues = Continues::No;
        self.at = back;
    }

    /// Closes all braces before the item that begins here.
    fn unclosed_braces(&mut self) {
        while let Some(open) = self.open.last() {
            self.broken.push(open.at);
            self.marks.push((self.pending[0], Mark::Close));
            self.report_unclosed();
            self.pop();
        }
        self.continues = Continues::No;
    }

    /// At the end of the text: whether there is a part to scan again. Closes what is open.
    fn reopen_at_end(&mut self) -> bool {
        if self.in_brackets() {
            self.go_back();
            return true;
        }
        while let Some(open) = self.open.last() {
            self.broken.push(open.at);
            self.report_unclosed();
            self.pop();
        }
        false
    }

    fn report_unclosed(&mut self) {
        let Some(open) = self.open.last() else { return };
        let (at, span) = (open.at, self.span(open.at, open.at + 1));
        let noticed = (self.at < self.text.len()).then(|| self.span(self.at, self.at + 1));
        let error = wrong::unclosed(open.char, span, noticed);
        self.error(at, error);
    }

    fn pop(&mut self) {
        if let Some(open) = self.open.pop() {
            self.depth -= 1 + open.wheres;
        }
    }

    /// A `where` reaches to the end of its statement or to the next comma.
    fn end_wheres(&mut self) {
        let wheres = match self.open.last_mut() {
            Some(open) => &mut open.wheres,
            None => &mut self.wheres,
        };
        self.depth -= std::mem::take(wheres);
    }

    fn deeper(&mut self) {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            self.error(self.at, wrong::too_nested(self.span(self.at, self.at + 1)));
            self.stopped = true;
        }
    }

    fn in_brackets(&self) -> bool {
        self.open.last().is_some_and(|open| open.char != '{')
    }

    fn comment(&mut self) {
        let start = self.at;
        let end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |n| start + n);
        let text = self.text[start..end].trim_end();
        self.controls(start, text);
        self.comments.push(Comment {
            text: text.to_string(),
            span: self.span(start, start + text.len()),
        });
        self.blank_to(end);
    }

    fn string(&mut self) {
        self.token("\"");
        let start = self.at;
        let mut escaped = false;
        let mut end = None;
        for (n, char) in self.text[start + 1..].char_indices() {
            let at = start + 1 + n;
            if char == '\n' || char == '\r' && self.text[at..].starts_with("\r\n") {
                self.at = at;
                break;
            }
            if escaped && !matches!(char, '"' | '\\' | 'n' | 't') {
                self.error(
                    at - 1,
                    wrong::escape(char, self.span(at - 1, at + char.len_utf8())),
                );
            }
            if char == '"' && !escaped {
                end = Some(at + 1);
                break;
            }
            escaped = char == '\\' && !escaped;
            self.at = at + char.len_utf8();
        }
        match end {
            Some(end) => {
                self.controls(start, &self.text[start..end]);
                self.at = end;
            }
            None => {
                self.at = self.at.max(start + 1);
                self.error(start, wrong::unclosed_string(self.span(start, self.at)));
            }
        }
    }

    /// Characters that would change how a terminal shows the text, in a comment or a string.
    fn controls(&mut self, start: usize, text: &str) {
        for (n, char) in text.char_indices() {
            if wrong::is_unprintable(char) && char != '\t' {
                let span = self.span(start + n, start + n + char.len_utf8());
                self.error(start + n, wrong::character(&text[n..], span));
                return;
            }
        }
    }

    fn number(&mut self) {
        self.token("0");
        let start = self.at;
        let tail = &self.text[start..];
        let digits =
            |from: usize| from + tail[from..].bytes().take_while(u8::is_ascii_digit).count();
        let mut end = digits(0);
        let whole = end;
        if tail[end..].starts_with('.') && digits(end + 1) > end + 1 {
            end = digits(end + 1);
        }
        if tail[end..].starts_with(['e', 'E']) {
            let sign = usize::from(tail[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        let mut wrong_end = end;
        while tail[wrong_end..].starts_with(|c| is_name_char(c) || c == '.') {
            wrong_end += tail[wrong_end..].chars().next().map_or(1, char::len_utf8);
        }
        self.at = start + wrong_end;
        let finite = tail[..end].parse::<f64>().is_ok_and(f64::is_finite);
        if wrong_end > end || whole == 0 || !finite {
            let span = self.span(start, start + wrong_end);
            self.error(start, wrong::number(&tail[..wrong_end], end, span));
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn blank_to(&mut self, end: usize) {
        self.flat[self.at..end].fill(b' ');
        self.at = end;
    }

    fn error(&mut self, at: usize, error: Diagnostic) {
        self.errors.push((at, error));
        self.bad.push(at);
        self.stopped |= self.errors.len() >= MAX_ERRORS;
    }
}

/// What a name goes on with; the middle dots, which Unicode would allow, are the product.
fn is_name_char(char: char) -> bool {
    is_xid_continue(char) && char != '·' && char != '\u{387}' || ('₀'..='₉').contains(&char)
}

/// The end of the word that begins at `start`.
fn word_end(text: &str, start: usize) -> usize {
    text[start..]
        .find(|c| !is_name_char(c))
        .map_or(text.len(), |n| start + n)
}
