//! Syntax tree to shaped program: names, shapes, settings, answer leaks.
//!
//! In: [`crate::ast::node::File`]. Out: [`program::Model`]s and typed settings, or diagnostics, one
//! for each mistake.
//!
//! ```text
//!  tree ─ names ─▶ sorted equations ─ elaborate (defs, solve) ─▶ program::Model ─ print ─▶ text
//!                                                                    │ leaks
//!       └─ settings ─▶ typed settings, held against models and data ◀┘
//! ```

mod defs;
mod elaborate;
pub mod leaks;
mod names;
pub mod operands;
mod order;
pub mod print;
pub mod program;
pub mod resolved;
pub mod settings;
mod solve;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::ast::node::{Def, DefKind, File, FnBody, Item};
use crate::diagnostics::Diagnostic;
use crate::span::{Sources, Span};

pub use defs::{FUNCTIONS, LAYERS};

use defs::{Defs, Entry, FnEntry, Globals};
use names::Names;

/// The code of what the language has and this version cannot compile: a warning here, because the
/// file may be right; an error for whoever wants to run the model.
pub const UNAVAILABLE: &str = "feature::unavailable";

/// What is known of a file before anything runs.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The models that can be compiled, in the order of the file.
    pub models: Vec<program::Model>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Why a model of the file cannot be run although nothing in it is wrong.
    pub fn unavailable(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.code == UNAVAILABLE)
    }
}

/// Checks every definition and model of a file: names, shapes, and that no prediction can see its own
/// answer. Its settings are [`settings::check`]'s.
///
/// Library definitions that the file names are parsed and added to `sources`. A definition is
/// checked by itself with sizes nobody can choose, and again wherever a model uses it; an error found
/// both ways is reported once.
pub fn check(file: &File, sources: &mut Sources) -> Checked {
    let globals = Rc::new(Globals::of(file));
    let mut out = Vec::new();
    names_of_file(file, &globals, &mut out);
    let mut defs = Defs::new(file, &globals, sources);
    let mut models = Vec::new();
    for item in &file.items {
        match item {
            Item::Def(def) => {
                let before = out.len();
                names_of(def, &globals, &mut out);
                let sound = out.len() == before;
                let entry = Rc::new(Entry {
                    def: def.clone(),
                    globals: globals.clone(),
                });
                match def.kind {
                    DefKind::Cell | DefKind::Block => {
                        elaborate::definition(&mut defs, &entry, &mut out);
                    }
                    DefKind::Model => {
                        let model = elaborate::model(&mut defs, &entry, &mut out);
                        if let Some(model) = model.filter(|_| sound) {
                            out.extend(leaks::check(&model));
                            models.push(model);
                        }
                    }
                }
            }
            Item::Fn(def) => {
                if let FnBody::Stmts(body) = &def.body {
                    let mut names = Names::of(body);
                    names.clashes(&[], &globals, &mut out);
                    names.sort(&mut out);
                }
                let entry = Rc::new(FnEntry {
                    def: def.clone(),
                    globals: globals.clone(),
                });
                elaborate::function(&mut defs, &entry, &mut out);
            }
            Item::Time(_) | Item::Dim(_) | Item::Settings(_) => {}
        }
    }
    out.append(&mut defs.faults);
    // Beside a mistake, what nothing uses is most often what the mistake left unread.
    if out.iter().any(Diagnostic::is_error) {
        out.retain(|d| d.code != "name::unused");
    }
    Checked {
        models,
        diagnostics: once(out),
    }
}

/// Clashes and cycles of one definition.
fn names_of(def: &Def, globals: &Globals, out: &mut Vec<Diagnostic>) {
    let mut names = Names::of(&def.body);
    names.clashes(&def.sizes, globals, out);
    names.sort(out);
}

/// Names at the top of a file: each once, none built in.
fn names_of_file(file: &File, globals: &Globals, out: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<String, (&str, Span)> = BTreeMap::new();
    let mut add = |name: &str, kind: &'static str, span: Span, out: &mut Vec<Diagnostic>| {
        if let Some((other, first)) = seen.get(name) {
            out.push(
                Diagnostic::error(
                    "name::clash",
                    format!("`{name}` names a {other} and a {kind}"),
                )
                .label(span, format!("a {kind} here"))
                .label(*first, format!("a {other} here")),
            );
        } else {
            seen.insert(name.to_string(), (kind, span));
        }
    };
    for (n, _) in &globals.times {
        names::own_name(n, out);
        add(&n.node, "time", n.span, out);
    }
    for (n, _) in &globals.dims {
        names::own_name(n, out);
        add(&n.node, "dim", n.span, out);
    }
    for item in &file.items {
        let (name, kind) = match item {
            Item::Def(d) => (
                &d.name,
                match d.kind {
                    DefKind::Cell => "cell",
                    DefKind::Block => "block",
                    DefKind::Model => "model",
                },
            ),
            Item::Fn(d) => (&d.name, "function"),
            Item::Time(_) | Item::Dim(_) | Item::Settings(_) => continue,
        };
        names::own_name(name, out);
        add(&name.node, kind, name.span, out);
    }
}

/// Each mistake once: a definition that is wrong by itself is wrong wherever it is used.
fn once(all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    all.into_iter()
        .filter(|d| seen.insert((d.code, d.labels.first().map(|l| l.span))))
        .collect()
}

#[cfg(test)]
mod tests;
