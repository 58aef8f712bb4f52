//! Programs as text that remembers its shapes, so that a failing one can be made smaller.
//!
//! In: terms, equations and definitions. Out: `.seq` text without what nothing uses, and the programs
//! that are one step simpler.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Of a value as its definition sees it: no batch axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub time: Option<&'static str>,
    pub features: Vec<String>,
}

impl Shape {
    pub fn new(time: Option<&'static str>, features: &[&str]) -> Shape {
        Shape {
            time,
            features: features.iter().map(|f| f.to_string()).collect(),
        }
    }

    /// As it is written after a colon.
    pub fn written(&self) -> String {
        let mut axes: Vec<&str> = self.time.into_iter().collect();
        axes.extend(self.features.iter().map(String::as_str));
        format!("[{}]", axes.join(", "))
    }
}

/// An expression: pieces of text between smaller expressions.
#[derive(Clone, Debug)]
pub struct Term {
    pub shape: Shape,
    /// Whether it depends on a target that is fed back.
    pub fed: bool,
    /// A name of the same shape that could stand here instead.
    simpler: Option<String>,
    pieces: Vec<String>,
    parts: Vec<Term>,
}

impl Term {
    /// `{}` in the text stands for the parts in turn.
    pub fn new(shape: &Shape, text: &str, parts: Vec<Term>) -> Term {
        let pieces: Vec<String> = text.split("{}").map(str::to_string).collect();
        assert_eq!(pieces.len(), parts.len() + 1, "{text}");
        Term {
            shape: shape.clone(),
            fed: parts.iter().any(|p| p.fed),
            simpler: None,
            pieces,
            parts,
        }
    }

    pub fn name(shape: &Shape, name: &str, fed: bool) -> Term {
        Term {
            fed,
            ..Term::new(shape, name, Vec::new())
        }
    }

    pub fn or_simply(mut self, name: Option<String>) -> Term {
        self.simpler = name;
        self
    }

    pub fn text(&self) -> String {
        let mut out = self.pieces[0].clone();
        for (part, piece) in self.parts.iter().zip(&self.pieces[1..]) {
            out.push_str(&part.text());
            out.push_str(piece);
        }
        out
    }

    fn within(&self, shape: &Shape, out: &mut Vec<Term>) {
        for p in &self.parts {
            if &p.shape == shape {
                out.push(p.clone());
            }
            p.within(shape, out);
        }
    }

    /// The same with one part, at any depth, replaced by a smaller one of its shape.
    fn simpler(&self) -> Vec<Term> {
        let mut out = Vec::new();
        if let Some(name) = &self.simpler
            && !self.parts.is_empty()
        {
            out.push(Term::name(&self.shape, name, self.fed));
        }
        self.within(&self.shape, &mut out);
        for (i, p) in self.parts.iter().enumerate() {
            for smaller in p.simpler() {
                let mut whole = self.clone();
                whole.parts[i] = smaller;
                out.push(whole);
            }
        }
        out
    }
}

/// `names = value`, or a line that stands whether or not anything reads it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it defines; none where it always stands.
    pub names: Vec<String>,
    /// Everything before the value: `h' = `, `predict y = `.
    pub left: String,
    pub value: Term,
    /// Everything after it.
    pub right: String,
}

#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// `cell C(H)`.
    pub head: String,
    /// What others call it by; none for a model.
    pub name: Option<String>,
    /// Name and text of each; one that is no parameter always stands.
    pub decls: Vec<(String, String)>,
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, Default)]
pub struct Program {
    pub times: Vec<String>,
    pub defs: Vec<Definition>,
}

/// The names in a text.
fn words(text: &str) -> BTreeSet<&str> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !inside(c)).collect()
}

impl Definition {
    fn body(&self) -> String {
        let mut stands: Vec<bool> = self.lines.iter().map(|l| l.names.is_empty()).collect();
        let line = |l: &Line| format!("  {}{}{}\n", l.left, l.value.text(), l.right);
        loop {
            let mut read = String::new();
            for (l, _) in self.lines.iter().zip(&stands).filter(|(_, s)| **s) {
                read.push_str(&line(l));
            }
            let read = words(&read);
            let more = |l: &Line| l.names.iter().any(|n| read.contains(n.as_str()));
            let next: Vec<bool> = self
                .lines
                .iter()
                .zip(&stands)
                .map(|(l, s)| *s || more(l))
                .collect();
            if next == stands {
                break;
            }
            stands = next;
        }
        let mut lines = String::new();
        for (l, _) in self.lines.iter().zip(&stands).filter(|(_, s)| **s) {
            lines.push_str(&line(l));
        }
        let mut out = String::new();
        for (name, text) in &self.decls {
            if !text.starts_with("param") || words(&lines).contains(name.as_str()) {
                let _ = writeln!(out, "  {text}");
            }
        }
        out + &lines
    }
}

impl Program {
    /// The program as `.seq` text; definitions that nothing uses are left out.
    pub fn text(&self) -> String {
        let mut kept = Vec::new();
        let mut read = String::new();
        // A definition is used only by later ones.
        for def in self.defs.iter().rev() {
            let body = def.body();
            if def
                .name
                .as_ref()
                .is_none_or(|n| words(&read).contains(n.as_str()))
            {
                read.push_str(&body);
                kept.push(format!("{} {{\n{body}}}\n", def.head));
            }
        }
        kept.reverse();
        format!("time {}\n\n{}", self.times.join(", "), kept.join("\n"))
    }

    /// Every program that is one step simpler.
    pub fn simpler(&self) -> Vec<Program> {
        let mut out = Vec::new();
        for (d, def) in self.defs.iter().enumerate() {
            for (l, line) in def.lines.iter().enumerate() {
                if line.names.is_empty() && line.left.starts_with("penalty") {
                    let mut whole = self.clone();
                    whole.defs[d].lines.remove(l);
                    out.push(whole);
                }
                for value in line.value.simpler() {
                    let mut whole = self.clone();
                    whole.defs[d].lines[l].value = value;
                    out.push(whole);
                }
            }
        }
        out
    }
}
