//! Statements and settings as rows.
//!
//! In: a statement or a setting. Out: its tokens, and the keys at which it aligns with its neighbours.

use super::row::{Class, Row, quote};
use crate::ast::node::*;
use crate::span::Spanned;

impl Row<'_> {
    pub fn stmt(&mut self, stmt: &StmtKind) {
        match stmt {
            StmtKind::Decl {
                kind,
                names,
                ty,
                init,
                value,
            } => {
                let (word, interface) = match kind {
                    DeclKind::Input => ("input", true),
                    DeclKind::Context => ("context", true),
                    DeclKind::Target => ("target", true),
                    DeclKind::State => ("state", false),
                    DeclKind::Param => ("param", false),
                };
                self.word(word);
                if interface {
                    self.key(Class::Interface);
                }
                self.commas(names, |row, name| row.spaced_name(name));
                if let Some(ty) = ty {
                    if interface {
                        self.key(Class::Type);
                    }
                    self.sign(":");
                    self.ty(ty);
                }
                if let Some(init) = init {
                    self.sign("~");
                    self.expr(init, 1);
                }
                self.value(value.as_ref());
            }
            StmtKind::Eq {
                names,
                indices,
                value,
            } => {
                self.commas(names, |row, lhs| {
                    row.spaced_name(&lhs.name);
                    if lhs.prime {
                        row.plain("'", 0);
                    }
                });
                self.indices(indices.as_deref());
                self.key(Class::Equation);
                self.value(Some(value));
            }
            StmtKind::Output(values) => {
                self.word("output");
                self.commas(values, |row, value| row.expr(value, 1));
            }
            StmtKind::Watch(names) => {
                self.word("watch");
                self.commas(names, |row, name| row.spaced_name(name));
            }
            StmtKind::Predict { name, value } => {
                self.word("predict");
                self.spaced_name(name);
                self.value(Some(value));
            }
            StmtKind::Penalty { name, value } => {
                self.word("penalty");
                self.spaced_name(name);
                self.value(Some(value));
            }
        }
    }

    fn indices(&mut self, indices: Option<&[Ident]>) {
        if let Some(indices) = indices {
            self.bracket_open("[");
            self.commas(indices, |row, name| row.list_name(name));
            self.bracket_close("]");
        }
    }

    /// `given name[t] = e`.
    pub fn set(&mut self, setting: &Setting) {
        let Setting::Set {
            given,
            name,
            indices,
            value,
            ..
        } = setting
        else {
            return;
        };
        let inside = !self.is_empty();
        if *given {
            self.word("given");
        }
        self.spaced_name(name);
        self.indices(indices.as_deref());
        if !inside {
            self.key(Class::Setting);
        }
        self.value(Some(value));
    }

    pub fn selector(&mut self, selector: &Spanned<Selector>) {
        let text = match &selector.node {
            Selector::Glob(pattern) => quote(pattern),
            Selector::Matrices => "matrices".to_string(),
            Selector::Vectors => "vectors".to_string(),
        };
        self.push(
            text,
            selector.span.start as usize,
            selector.span.end as usize,
            1,
        );
    }
}
