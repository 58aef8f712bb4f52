//! Comments, strings and numbers.
//!
//! In: the place where one begins. Out: the place after it, the comment kept, an error where it is malformed.

use super::layout::{Scanner, is_name_char};
use super::wrong;
use crate::ast::node::Comment;

impl Scanner<'_> {
    pub fn comment(&mut self) {
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

    pub fn string(&mut self) {
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

    pub fn number(&mut self) {
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
        // `for i in 0..3`: what is wrong is the loop, of which the parser tells.
        let line = &self.text[self.text[..start].rfind('\n').map_or(0, |n| n + 1)..start];
        let looping = line.trim_start().starts_with("for ") && tail[..wrong_end].contains("..");
        if looping {
            return;
        }
        if wrong_end > end || whole == 0 || !finite {
            let span = self.span(start, start + wrong_end);
            self.error(start, wrong::number(&tail[..wrong_end], end, span));
        }
    }
}
