//! What a capital or lower-case name may stand for: the file's definitions, the library's, or a
//! primitive of the compiler.
//!
//! In: the user's tree; the library's texts, parsed only when one is named. Out: [`Entry`]s.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::ast::node::{Def, DefKind, Expr, File, FnDef, Ident, Item};
use crate::diagnostics::Diagnostic;
use crate::library;
use crate::span::Sources;

/// Layers that the compiler itself knows.
pub const LAYERS: [&str; 6] = [
    "Linear",
    "Embed",
    "BatchNorm",
    "AddPosition",
    "Conv",
    "Repeat",
];

/// Functions that the compiler itself knows.
pub const FUNCTIONS: [&str; 37] = [
    "exp", "log", "sqrt", "abs", "tanh", "σ", "sigmoid", "relu", "gelu", "silu", "softplus", "sin",
    "cos", "step", "max", "min", "clip", "choose", "sum", "mean", "softmax", "split", "first",
    "last", "final", "dropout", "zoneout", "previous", "reveal", "normal", "route", "mod", "floor",
    "uniform", "randint", "length", "next",
];

pub fn is_primitive(name: &str) -> bool {
    LAYERS.contains(&name) || FUNCTIONS.contains(&name)
}

/// The times and dims declared at the top of one file.
#[derive(Debug, Default)]
pub struct Globals {
    pub times: Vec<(Ident, Option<Expr>)>,
    pub dims: Vec<(Ident, Expr)>,
}

impl Globals {
    pub fn of(file: &File) -> Globals {
        let mut g = Globals::default();
        for item in &file.items {
            match item {
                Item::Time(t) => g.times.extend(t.names.iter().cloned()),
                Item::Dim(d) => g.dims.extend(d.names.iter().cloned()),
                Item::Def(_) | Item::Fn(_) | Item::Settings(_) => {}
            }
        }
        g
    }

    pub fn is_time(&self, name: &str) -> bool {
        self.times.iter().any(|(n, _)| n.node == name)
    }

    pub fn is_dim(&self, name: &str) -> bool {
        self.dims.iter().any(|(n, _)| n.node == name)
    }
}

/// A cell, block or model with the file-level names it may use.
#[derive(Debug)]
pub struct Entry {
    pub def: Def,
    pub globals: Rc<Globals>,
}

#[derive(Debug)]
pub struct FnEntry {
    pub def: FnDef,
    pub globals: Rc<Globals>,
}

/// All definitions that names can reach.
pub struct Defs<'a> {
    sources: &'a mut Sources,
    layers: BTreeMap<String, Rc<Entry>>,
    functions: BTreeMap<String, Rc<FnEntry>>,
    library: BTreeMap<&'static str, Option<Rc<Entry>>>,
    /// Expressions inlined so far, in all definitions and models together.
    pub spent: usize,
    /// Errors inside the library's own files, which would be ours.
    pub faults: Vec<Diagnostic>,
}

impl<'a> Defs<'a> {
    pub fn new(file: &File, globals: &Rc<Globals>, sources: &'a mut Sources) -> Defs<'a> {
        let mut defs = Defs {
            sources,
            layers: BTreeMap::new(),
            functions: BTreeMap::new(),
            library: BTreeMap::new(),
            spent: 0,
            faults: Vec::new(),
        };
        for item in &file.items {
            match item {
                Item::Def(d) if d.kind != DefKind::Model => {
                    let entry = Rc::new(Entry {
                        def: d.clone(),
                        globals: globals.clone(),
                    });
                    defs.layers.entry(d.name.node.clone()).or_insert(entry);
                }
                Item::Fn(d) => {
                    let entry = Rc::new(FnEntry {
                        def: d.clone(),
                        globals: globals.clone(),
                    });
                    defs.functions.entry(d.name.node.clone()).or_insert(entry);
                }
                Item::Def(_) | Item::Time(_) | Item::Dim(_) | Item::Settings(_) => {}
            }
        }
        defs
    }

    pub fn function(&self, name: &str) -> Option<Rc<FnEntry>> {
        self.functions.get(name).cloned()
    }

    /// The cell or block of this name; the file's own shadows the library's.
    pub fn layer(&mut self, name: &str) -> Option<Rc<Entry>> {
        if let Some(entry) = self.layers.get(name) {
            return Some(entry.clone());
        }
        let part = library::find(name)?;
        if let Some(entry) = self.library.get(part.name) {
            return entry.clone();
        }
        let entry = self.parse(part);
        self.library.insert(part.name, entry.clone());
        entry
    }

    fn parse(&mut self, part: &library::Part) -> Option<Rc<Entry>> {
        let id = self
            .sources
            .add(format!("<library>/{}", part.file), part.text);
        match crate::ast::parse(part.text, id) {
            Ok(file) => {
                let globals = Rc::new(Globals::of(&file));
                file.items.into_iter().find_map(|item| match item {
                    Item::Def(def) if def.name.node == part.name => Some(Rc::new(Entry {
                        def,
                        globals: globals.clone(),
                    })),
                    Item::Def(_)
                    | Item::Fn(_)
                    | Item::Time(_)
                    | Item::Dim(_)
                    | Item::Settings(_) => None,
                })
            }
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    /// Names of layers that exist, for the nearest one.
    pub fn layer_names(&self) -> Vec<String> {
        let own = self.layers.keys().cloned();
        let library = library::PARTS.iter().map(|p| p.name.to_string());
        own.chain(library)
            .chain(LAYERS.iter().map(|s| s.to_string()))
            .collect()
    }

    pub fn function_names(&self) -> Vec<String> {
        let own = self.functions.keys().cloned();
        own.chain(FUNCTIONS.iter().map(|s| s.to_string())).collect()
    }
}
