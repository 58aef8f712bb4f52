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
pub const LAYERS: [&str; 5] = ["Linear", "Embed", "BatchNorm", "AddPosition", "Repeat"];

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

/// What a part of the library defines; neither where its text is wrong.
#[derive(Clone, Default)]
struct Parsed {
    layer: Option<Rc<Entry>>,
    function: Option<Rc<FnEntry>>,
}

/// All definitions that names can reach.
pub struct Defs<'a> {
    sources: &'a mut Sources,
    layers: BTreeMap<String, Rc<Entry>>,
    functions: BTreeMap<String, Rc<FnEntry>>,
    library: BTreeMap<&'static str, Parsed>,
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

    /// The function of this name; the file's own shadows the library's.
    pub fn function(&mut self, name: &str) -> Option<Rc<FnEntry>> {
        match self.functions.get(name) {
            Some(entry) => Some(entry.clone()),
            None => self.part(name)?.function,
        }
    }

    /// The cell or block of this name; the file's own shadows the library's.
    pub fn layer(&mut self, name: &str) -> Option<Rc<Entry>> {
        match self.layers.get(name) {
            Some(entry) => Some(entry.clone()),
            None => self.part(name)?.layer,
        }
    }

    fn part(&mut self, name: &str) -> Option<Parsed> {
        let part = library::find(name)?;
        if let Some(parsed) = self.library.get(part.name) {
            return Some(parsed.clone());
        }
        let parsed = self.parse(part);
        self.library.insert(part.name, parsed.clone());
        Some(parsed)
    }

    fn parse(&mut self, part: &library::Part) -> Parsed {
        let id = self
            .sources
            .add(format!("<library>/{}", part.file), part.text);
        let mut out = Parsed::default();
        match crate::ast::parse(part.text, id) {
            Ok(file) => {
                let globals = Rc::new(Globals::of(&file));
                for item in file.items {
                    let globals = globals.clone();
                    match item {
                        Item::Def(def) if def.name.node == part.name => {
                            out.layer = Some(Rc::new(Entry { def, globals }));
                        }
                        Item::Fn(def) if def.name.node == part.name => {
                            out.function = Some(Rc::new(FnEntry { def, globals }));
                        }
                        Item::Def(_)
                        | Item::Fn(_)
                        | Item::Time(_)
                        | Item::Dim(_)
                        | Item::Settings(_) => {}
                    }
                }
            }
            Err(faults) => self.faults.extend(faults),
        }
        out
    }

    /// Names of layers that exist, for the nearest one.
    pub fn layer_names(&self) -> Vec<String> {
        let own = self.layers.keys().cloned();
        let library = library::PARTS.iter().map(|p| p.name.to_string());
        let upper = |n: &String| n.starts_with(char::is_uppercase);
        own.chain(library.filter(upper))
            .chain(LAYERS.iter().map(|s| s.to_string()))
            .collect()
    }

    pub fn function_names(&self) -> Vec<String> {
        let own = self.functions.keys().cloned();
        let library = library::PARTS.iter().map(|p| p.name.to_string());
        let lower = |n: &String| n.starts_with(char::is_lowercase);
        own.chain(library.filter(lower))
            .chain(FUNCTIONS.iter().map(|s| s.to_string()))
            .collect()
    }
}
