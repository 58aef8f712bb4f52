//! One statement as a row of tokens, each with its place in the source.
//!
//! In: nodes, in the order of their text. Out: [`Done`], the tokens, with the blank before each, the brackets they open or
//! close, where a line may break, and where the row aligns with its neighbours. The places are what later puts every
//! comment back between the same two tokens.

use super::Style;
use crate::ast::node::*;
use crate::span::Span;

/// Where a line may be broken that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    Never,
    /// Before an operator or after a comma.
    Maybe,
    /// Before `|>`.
    Pipe,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    /// Its place in the source, which may spell it otherwise.
    pub start: usize,
    pub end: usize,
    /// Blanks before it, if it does not begin a line.
    pub blanks: usize,
    /// +1 where it opens a bracket, -1 where it closes one.
    pub nesting: i8,
    pub may_break: Break,
    /// Stays on the line of the token before it whatever the source does.
    pub glued: bool,
}

/// What neighbouring rows align at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `=` of an equation.
    Equation,
    /// `=` of a setting.
    Setting,
    /// The brace of one-line `params`.
    Params,
    /// The name after `input`, `context` or `target`.
    Interface,
    /// The `:` after that name.
    Type,
}

/// A token that is moved right to stand below that of another row.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub class: Class,
    pub token: usize,
    /// Columns from the key before it, or from the row's start.
    pub width: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Done {
    pub tokens: Vec<Token>,
    pub keys: Vec<Key>,
}

impl Done {
    pub fn width(&self) -> usize {
        self.tokens
            .iter()
            .map(|token| token.blanks + width(&token.text))
            .sum()
    }

    pub fn ends_open(&self) -> bool {
        self.tokens.last().is_some_and(|token| token.text == "{")
    }
}

pub fn width(text: &str) -> usize {
    text.chars().count()
}

#[derive(Clone)]
pub struct Row<'a> {
    source: &'a str,
    pub style: Style,
    /// Where the last token ended in the source.
    pub at: usize,
    /// Blanks to add before the next token.
    pad: usize,
    done: Done,
}

impl<'a> Row<'a> {
    pub fn new(source: &'a str, style: Style, at: usize) -> Row<'a> {
        Row {
            source,
            style,
            at,
            pad: 0,
            done: Done::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.done.tokens.is_empty()
    }

    pub fn done(self) -> Done {
        self.done
    }

    // ---- tokens

    /// The place of the next token of the source.
    pub fn next(&self, mut from: usize) -> usize {
        loop {
            let tail = self.source.get(from..).unwrap_or("");
            let trimmed = tail.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
            from += tail.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return from;
            }
            from += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    pub fn push(
        &mut self,
        text: impl Into<String>,
        start: usize,
        end: usize,
        blanks: usize,
    ) -> &mut Token {
        let blanks = if self.done.tokens.is_empty() {
            0
        } else {
            blanks + std::mem::take(&mut self.pad)
        };
        let (text, nesting, may_break, glued) = (text.into(), 0, Break::Never, false);
        self.at = end;
        let at = self.done.tokens.len();
        self.done.tokens.push(Token {
            text,
            start,
            end,
            blanks,
            nesting,
            may_break,
            glued,
        });
        &mut self.done.tokens[at]
    }

    /// A token that the source spells in the same way, next in it.
    pub fn plain(&mut self, text: &str, blanks: usize) -> &mut Token {
        let start = self.next(self.at);
        self.push(text, start, start + text.len(), blanks)
    }

    pub fn word(&mut self, text: &str) {
        self.plain(text, 1);
    }

    /// `:`, `=` or `~`.
    pub fn sign(&mut self, text: &str) {
        self.plain(text, 1);
    }

    pub fn pad_next(&mut self, blanks: usize) {
        self.pad += blanks;
    }

    /// Passes over what is not printed, such as empty parentheses, up to `char`.
    pub fn skip_to(&mut self, char: char) {
        let mut at = self.next(self.at);
        while let Some(found) = self.source[at..].chars().next().filter(|c| *c != char) {
            at = self.next(at + found.len_utf8());
        }
        self.at = at;
    }

    pub fn bracket_open(&mut self, text: &str) {
        self.open(text, 0);
    }

    pub fn open(&mut self, text: &str, blanks: usize) {
        self.plain(text, blanks).nesting = 1;
    }

    /// A closing bracket; a comma before it is dropped.
    pub fn bracket_close(&mut self, text: &str) {
        if let Some(char) = text.chars().next() {
            self.skip_to(char);
        }
        self.plain(text, 0).nesting = -1;
    }

    pub fn brace(mut self) -> Row<'a> {
        self.skip_to('{');
        self.plain("{", 1).glued = true;
        self
    }

    pub fn brace_key(&mut self) {
        self.key(Class::Params);
        self.plain("{", 1).glued = true;
    }

    pub fn brace_end(&mut self) {
        self.plain("}", 1);
    }

    /// The next token aligns with that of the rows around.
    pub fn key(&mut self, class: Class) {
        let from = self.done.keys.last().map_or(0, |key| key.token);
        let width = self.done.tokens[from..]
            .iter()
            .map(|token| token.blanks + width(&token.text))
            .sum();
        self.done.keys.push(Key {
            class,
            token: self.done.tokens.len(),
            width,
        });
    }

    // ---- names and lists

    pub fn spelled(&self, name: &str) -> String {
        let part = |part: &str| match part {
            "σ" if self.style.ascii => "sigmoid".to_string(),
            "α" if self.style.ascii => "alpha".to_string(),
            _ => part.to_string(),
        };
        name.split('.').map(part).collect::<Vec<_>>().join(".")
    }

    pub fn name(&mut self, name: &str, span: Span, blanks: usize) {
        let text = self.spelled(name);
        self.push(text, span.start as usize, span.end as usize, blanks);
    }

    pub fn spaced_name(&mut self, name: &Ident) {
        self.name(&name.node, name.span, 1);
    }

    /// A name in brackets: the first follows the bracket at once.
    pub fn list_name(&mut self, name: &Ident) {
        let blanks = self.list_blanks();
        self.name(&name.node, name.span, blanks);
    }

    pub fn list_blanks(&self) -> usize {
        let opened = |token: &Token| token.nesting > 0;
        usize::from(!self.done.tokens.last().is_some_and(opened))
    }

    /// The elements with commas between them; `print` begins each with a blank except after a bracket.
    pub fn commas<T>(&mut self, elements: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (n, element) in elements.iter().enumerate() {
            if n > 0 {
                self.plain(",", 0);
            }
            let first = self.done.tokens.len();
            print(self, element);
            if n > 0
                && let Some(token) = self.done.tokens.get_mut(first)
            {
                token.may_break = Break::Maybe;
            }
        }
    }

    /// `= e`, if there is one.
    pub fn value(&mut self, value: Option<&Expr>) {
        if let Some(value) = value {
            self.sign("=");
            self.expr(value, 1);
        }
    }

    pub fn ty(&mut self, ty: &Type) {
        if let Some(shape) = &ty.shape {
            self.open("[", 1);
            self.list(shape);
            self.bracket_close("]");
        }
        if let Some(unit) = &ty.unit {
            let text = match unit.node {
                Unit::Token => "token",
                Unit::Class => "class",
                Unit::Number => "number",
                Unit::Binary => "binary",
            };
            self.word(text);
        }
    }

    pub fn list(&mut self, elements: &[Expr]) {
        self.commas(elements, |row, element| {
            let blanks = row.list_blanks();
            row.expr(element, blanks);
        });
    }
}

/// A string as it is written in a file.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
