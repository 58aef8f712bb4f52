//! Every model of `examples/` and `tests/cells/`, checked, at small sizes.

use std::path::{Path, PathBuf};

use seqc::check::program::Model;
use seqc::dim::{Binding, Role, Sym};
use seqc::ir::Func;
use seqc::pipeline::with_vocabularies;
use seqc::span::Sources;

/// All programs that hold models.
pub fn programs() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ["examples", "tests/cells"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "seq") {
                all.push(path);
            }
        }
    }
    all.sort();
    assert!(all.len() > 12, "the programs are there");
    all
}

/// The checked models of a file, with the sizes as written.
pub fn checked(path: &Path) -> Vec<Model> {
    let text = std::fs::read_to_string(path).unwrap();
    written(&path.display().to_string(), &text)
}

/// The checked models of a text.
pub fn written(name: &str, text: &str) -> Vec<Model> {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let file = seqc::ast::parse::parse(text, id).unwrap_or_else(|d| panic!("{name}: {d:?}"));
    let checked = seqc::check::check(&file, &mut sources);
    assert!(!checked.has_errors(), "{name}: {:?}", checked.diagnostics);
    checked.models
}

/// The same shrunk: every size small and different from the others.
pub fn models(path: &Path) -> Vec<Model> {
    checked(path)
        .iter()
        .map(|m| shrunk(&with_vocabularies(m, &|_| Some(5))))
        .collect()
}

fn shrunk(model: &Model) -> Model {
    let mut model = model.clone();
    let mut next = 2;
    for e in model.dims.clone().iter() {
        match (e.role, e.binding) {
            (Role::Time, Binding::Static(Some(_))) => model.dims.bind(&e.sym, T),
            (Role::Feature, Binding::Static(Some(n))) if n > 8 => {
                next += 1;
                model.dims.bind(&e.sym, next);
            }
            // What the data decides.
            (Role::Feature, Binding::Static(None)) => model.dims.bind(&e.sym, 3),
            _ => {}
        }
    }
    // A table of positions has a row for every step of a test.
    for limit in model.limits.clone() {
        let rows = limit.most.as_sym().expect("a literal size is a symbol");
        model.dims.bind(rows, 40);
    }
    model
}

pub const B: i64 = 3;
pub const T: i64 = 5;
pub const LENS: [usize; 3] = [5, 2, 3];

pub fn sizes(func: &Func) -> Vec<(Sym, i64)> {
    let value = |s: &Sym| if s.name() == "B" { B } else { T };
    func.dims
        .launch_syms()
        .into_iter()
        .map(|s| {
            let v = value(&s);
            (s, v)
        })
        .collect()
}
