//! Brackets, braces and how deep they nest.
//!
//! In: a bracket the scan has met. Out: the list of open ones, marks for the braces, errors for those without a partner.
//!
//! A forgotten `)` is noticed only at the next brace, the head of the next item or the end of the file. The scan then goes
//! back to the line after the open bracket and reads on as if it had been closed there, so that it costs one statement and
//! not the rest of the file. A `{` is taken as forgotten where a line in a body can only be the head of the next item.

use unicode_ident::is_xid_start;

use super::layout::{Continues, Mark, Open, Scanner, word_end};
use super::{MAX_NESTING, RESERVED, wrong};

impl Scanner<'_> {
    /// Inside a body, a line that can only be the head of the next item: a brace was forgotten.
    pub fn item_begins(&self, word: &str, end: usize) -> bool {
        const HEADS: [&str; 10] = [
            "time", "dim", "cell", "block", "fn", "model", "data", "train", "generate", "tune",
        ];
        if self.open.is_empty() || self.pending.is_empty() || !HEADS.contains(&word) {
            return false;
        }
        let next = self.text[end..].trim_start_matches([' ', '\t']);
        let next = &next[..word_end(next, 0)];
        next.starts_with(is_xid_start) && !RESERVED.contains(&next) && next != "as" && next != "on"
    }

    pub fn opening(&mut self, char: char) {
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

    pub fn closing(&mut self, char: char) {
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
    pub fn go_back(&mut self) {
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
    pub fn unclosed_braces(&mut self) {
        while let Some(open) = self.open.last() {
            self.broken.push(open.at);
            self.marks.push((self.pending[0], Mark::Close));
            self.report_unclosed();
            self.pop();
        }
        self.continues = Continues::No;
    }

    /// At the end of the text: whether there is a part to scan again. Closes what is open.
    pub fn reopen_at_end(&mut self) -> bool {
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
    pub fn end_wheres(&mut self) {
        let wheres = match self.open.last_mut() {
            Some(open) => &mut open.wheres,
            None => &mut self.wheres,
        };
        self.depth -= std::mem::take(wheres);
    }

    pub fn deeper(&mut self) {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            self.error(self.at, wrong::too_nested(self.span(self.at, self.at + 1)));
            self.stopped = true;
        }
    }

    pub fn in_brackets(&self) -> bool {
        self.open.last().is_some_and(|open| open.char != '{')
    }
}
