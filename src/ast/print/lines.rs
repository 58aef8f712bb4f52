//! Rows of tokens as lines of text, with the comments where they were.
//!
//! In: rows, in the order of the source. Out: the whole text. A comment stands between two tokens of the source and is put
//! between the same two: at the end of the line if it was at the end of one, else on a line of its own.

use super::row::{Break, Done, Token, width};
use crate::ast::node::Comment;

/// No line is longer, if it can be broken.
pub const WIDTH: usize = 100;

/// Comments after short lines begin in this column.
const COMMENT_COLUMN: usize = 34;

/// The blanks before a comment after a line that reaches past the column.
const COMMENT_GAP: usize = 5;

#[derive(Default)]
struct Line {
    code: String,
    comment: Option<String>,
}

pub struct Lines<'a> {
    source: &'a str,
    comments: std::iter::Peekable<std::slice::Iter<'a, Comment>>,
    lines: Vec<Line>,
    /// Where the last token or comment ended in the source.
    at: usize,
    /// A blank line must come before whatever comes next.
    want_blank: bool,
    /// The last line opened a body, or there is none: no blank line may follow.
    fresh: bool,
}

impl<'a> Lines<'a> {
    pub fn new(source: &'a str, comments: &'a [Comment]) -> Lines<'a> {
        let comments = comments.iter().peekable();
        Lines {
            source,
            comments,
            lines: Vec::new(),
            at: 0,
            want_blank: false,
            fresh: true,
        }
    }

    pub fn want_blank(&mut self) {
        self.want_blank = true;
    }

    /// A body begins.
    pub fn open(&mut self) {
        self.fresh = true;
    }

    /// The `}` that ends at `end`. An empty body closes on the line that opened it.
    pub fn close(&mut self, end: u32, indent: usize) {
        let brace = (end as usize).saturating_sub(1);
        let opened = self.lines.len();
        let empty = self.fresh;
        self.comments_before(brace, indent + 2);
        let bare = self.lines.last().is_some_and(|line| line.comment.is_none());
        if empty && bare && self.lines.len() == opened {
            if let Some(line) = self.lines.last_mut() {
                line.code.push('}');
            }
        } else {
            self.push(" ".repeat(indent) + "}");
        }
        self.at = end as usize;
        self.fresh = false;
    }

    /// Nothing but a line end, and a comment before it, between the two rows.
    pub fn adjacent(&self, a: &Done, b: &Done) -> bool {
        let (Some(a), Some(b)) = (a.tokens.last(), b.tokens.first()) else {
            return false;
        };
        self.source
            .get(a.end..b.start)
            .is_some_and(|gap| gap.matches('\n').count() < 2)
    }

    pub fn row(&mut self, row: Done, indent: usize) {
        let Some(first) = row.tokens.first() else {
            return;
        };
        self.comments_before(first.start, indent);
        self.blank_line(first.start);
        let forced = |n: usize| {
            let (before, token) = (&row.tokens[n - 1], &row.tokens[n]);
            !token.glued
                && self
                    .source
                    .get(before.end..token.start)
                    .is_some_and(|gap| gap.contains('\n'))
        };
        let breaks: Vec<bool> = (0..row.tokens.len()).map(|n| n > 0 && forced(n)).collect();
        let mut start = 0;
        let mut depth = 0i32;
        while start < row.tokens.len() {
            let length = breaks[start + 1..]
                .iter()
                .take_while(|forced| !**forced)
                .count();
            let end = start + 1 + length;
            if start > 0 {
                self.comments_before(
                    row.tokens[start].start,
                    continued(indent, depth, &row.tokens[start]),
                );
            }
            self.fill(&row.tokens[start..end], indent, &mut depth, start == 0);
            start = end;
        }
        if let Some(last) = row.tokens.last() {
            self.at = last.end;
        }
    }

    /// Lines for tokens that the source does not break, broken where they would be too long.
    fn fill(&mut self, tokens: &[Token], indent: usize, depth: &mut i32, first: bool) {
        let columns = if first {
            indent
        } else {
            continued(indent, *depth, &tokens[0])
        };
        let mut line = " ".repeat(columns);
        let mut used = columns;
        let outer = *depth;
        // Where the pipes outside brackets divide the tokens, and where anything may.
        let mut level = outer;
        let mut pipes = vec![0];
        for (n, token) in tokens.iter().enumerate() {
            if n > 0 && token.may_break == Break::Pipe && level == outer {
                pipes.push(n);
            }
            level += i32::from(token.nesting);
        }
        pipes.push(tokens.len());
        for part in pipes.windows(2) {
            let (part_start, part_end) = (part[0], part[1]);
            let size = |tokens: &[Token]| -> usize {
                tokens
                    .iter()
                    .map(|token| token.blanks + width(&token.text))
                    .sum()
            };
            let whole = size(&tokens[part_start..part_end]);
            let mut at = part_start;
            while at < part_end {
                let pieces = tokens[at + 1..part_end]
                    .iter()
                    .take_while(|t| t.may_break == Break::Never)
                    .count();
                let next = at + 1 + pieces;
                let token = &tokens[at];
                let piece = size(&tokens[at..next]);
                let over = used + piece > WIDTH || at == part_start && used + whole > WIDTH;
                if at > 0 && over {
                    let columns = continued(indent, *depth, token);
                    self.push(std::mem::replace(&mut line, " ".repeat(columns)));
                    self.at = tokens[at - 1].end;
                    used = columns;
                }
                for token in &tokens[at..next] {
                    if line.trim_start().is_empty() {
                        line.push_str(&token.text);
                        used += width(&token.text);
                    } else {
                        line.push_str(&" ".repeat(token.blanks));
                        line.push_str(&token.text);
                        used += token.blanks + width(&token.text);
                    }
                    *depth += i32::from(token.nesting);
                }
                at = next;
            }
        }
        self.push(line);
        self.fresh = false;
        self.at = tokens[tokens.len() - 1].end;
    }

    /// Puts down the comments that stand before `start`.
    fn comments_before(&mut self, start: usize, indent: usize) {
        while let Some(comment) = self
            .comments
            .next_if(|comment| (comment.span.start as usize) < start)
        {
            let (from, to) = (comment.span.start as usize, comment.span.end as usize);
            let same_line = !self
                .source
                .get(self.at..from)
                .is_some_and(|gap| gap.contains('\n'));
            match self.lines.last_mut() {
                Some(line) if same_line && line.comment.is_none() && !line.code.is_empty() => {
                    line.comment = Some(comment.text.clone());
                }
                Some(_) | None => {
                    self.blank_line(from);
                    self.push(String::new());
                    if let Some(line) = self.lines.last_mut() {
                        line.code = " ".repeat(indent) + &comment.text;
                    }
                    self.fresh = false;
                }
            }
            self.at = self.at.max(to);
        }
    }

    /// One blank line, if the source has any between the last token and `start` or one is wanted.
    fn blank_line(&mut self, start: usize) {
        let gap = self.source.get(self.at..start).unwrap_or("");
        let blank = gap.matches('\n').count() > 1;
        if (blank || std::mem::take(&mut self.want_blank)) && !self.fresh {
            self.push(String::new());
        }
        self.want_blank = false;
    }

    fn push(&mut self, code: String) {
        self.lines.push(Line {
            code,
            comment: None,
        });
    }

    /// The text, after the comments behind the last token.
    pub fn finish(mut self) -> String {
        self.comments_before(usize::MAX, 0);
        let mut text = String::with_capacity(self.source.len());
        let mut start = 0;
        while start < self.lines.len() {
            let run = self.lines[start..]
                .iter()
                .take_while(|line| line.comment.is_some())
                .count();
            let widest = self.lines[start..start + run]
                .iter()
                .map(|line| width(&line.code))
                .max();
            let column = match widest {
                Some(widest) if widest + 2 > COMMENT_COLUMN => widest + COMMENT_GAP,
                Some(_) | None => COMMENT_COLUMN,
            };
            for line in &self.lines[start..start + run.max(1)] {
                text.push_str(&line.code);
                if let Some(comment) = &line.comment {
                    text.push_str(&" ".repeat(column - width(&line.code)));
                    text.push_str(comment);
                }
                text.push('\n');
            }
            start += run.max(1);
        }
        text
    }
}

/// The indentation of a line inside a statement that begins with `token`, `depth` brackets deep.
fn continued(indent: usize, depth: i32, token: &Token) -> usize {
    let depth = usize::try_from(depth).unwrap_or(0);
    match token.nesting {
        -1 => indent + 2 * depth.saturating_sub(1),
        _ => indent + 2 * depth.max(1),
    }
}
