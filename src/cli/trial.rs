//! A library part in the smallest model that runs it: what it weighs and costs.
//!
//! In: a part of the library. Out: its weights with shapes and initial values, and the closed formulas
//! of `check --cost`, as text. The model is written from the part's declarations alone, so that every
//! part has one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::args::Common;
use super::costs;
use super::load::{Loaded, load_text, sets};
use crate::ast::node::{DeclKind, Def, DefKind, Expr, ExprKind, File, FnDef, Item, StmtKind, Type};
use crate::ast::parse;
use crate::check::resolved::resolved;
use crate::dim::Dim;
use crate::library::Part;
use crate::span::FileId;

/// What stands for the sizes, in the order they are met. No two are
/// equal, nor one an eighth of another: equal sizes have one name.
const SIZES: [usize; 8] = [96, 40, 24, 160, 56, 72, 48, 104];

/// The weights and the cost of one layer of a part; nothing where no model can be made of it.
pub fn cost(part: &Part, common: &Common) -> Option<String> {
    // Overrides on the command line are of the user's file.
    let common = Common {
        set: Vec::new(),
        seed: None,
        ..common.clone()
    };
    let file = parse::parse(part.text, FileId(0)).ok()?;
    let trial = Trial::of(&file, part)?;
    let shown = sound(&trial.text(None), &common)?;
    let made = shown.models.first()?;
    let shape = &made.outputs.first()?.1.shape;
    // A size found by the compiler (`2N`) is no name of the file: its number is.
    let size = |d: &Dim| match made.dims.eval_static(d) {
        Some(n) => n.to_string(),
        None => d.to_string(),
    };
    let shape: Vec<String> = shape.iter().map(size).collect();
    let trained = sound(&trial.text(Some(&shape)), &common)?;
    let model = trained.models.first()?;
    let cost = costs::all(&trained).ok()?.pop()?.cost;
    let listing = resolved(model);
    let weights: Vec<&str> = listing
        .lines()
        .filter_map(|l| {
            l.trim_start_matches('#')
                .trim_start()
                .strip_prefix("param ")
        })
        .collect();
    let mut out = String::new();
    // Writing to a string does not fail.
    if !weights.is_empty() {
        let _ = writeln!(out, "\n# Weights, {}:", trial.sizes());
        for line in weights {
            let _ = writeln!(out, "#   {line}");
        }
    }
    let _ = writeln!(out, "\n# Cost on a batch of B:");
    for line in cost.to_string().lines() {
        let _ = writeln!(out, "#   {line}");
    }
    Some(out)
}

fn sound(text: &str, common: &Common) -> Option<Loaded> {
    load_text("trial.seq", text, &sets(common))
        .ok()?
        .valid()
        .ok()
}

/// A part applied to inputs of its own.
struct Trial {
    times: BTreeSet<String>,
    dims: Vec<String>,
    /// Declarations of inputs, each `name : type`.
    inputs: Vec<String>,
    applied: String,
}

impl Trial {
    fn of(file: &File, part: &Part) -> Option<Trial> {
        let mut trial = Trial {
            times: BTreeSet::new(),
            dims: Vec::new(),
            inputs: Vec::new(),
            applied: String::new(),
        };
        let mut times = BTreeSet::new();
        for item in &file.items {
            if let Item::Time(t) = item {
                times.extend(t.names.iter().map(|(n, _)| n.node.as_str()));
            }
        }
        for item in &file.items {
            match item {
                Item::Def(d) if d.name.node == part.name => trial.layer(d, part.text, &times),
                Item::Fn(f) if f.name.node == part.name => trial.function(f, part.text, &times),
                Item::Def(_) | Item::Fn(_) | Item::Time(_) | Item::Dim(_) | Item::Settings(_) => {}
            }
        }
        (!trial.applied.is_empty()).then_some(trial)
    }

    fn layer(&mut self, def: &Def, source: &str, times: &BTreeSet<&str>) {
        let open = def.sizes.iter().filter(|s| s.default.is_none());
        let sizes: Vec<&str> = open.map(|s| s.name.node.as_str()).collect();
        for size in &sizes {
            self.dim(size);
        }
        let mut declared = Vec::new();
        for stmt in &def.body {
            if let StmtKind::Decl {
                kind, names, ty, ..
            } = &stmt.kind
                && matches!(kind, DeclKind::Input | DeclKind::Context)
            {
                let per_step = *kind == DeclKind::Input && def.kind == DefKind::Cell;
                let ty = self.shape(ty.as_ref(), source, times);
                declared.extend(names.iter().map(|n| (&n.node, ty.clone(), per_step)));
            }
        }
        // The time that a cell runs along is none of its contexts' times.
        let along = ["T", "S", "U"]
            .into_iter()
            .find(|t| !self.times.contains(*t));
        let along = along.unwrap_or("Steps");
        if def.kind == DefKind::Cell {
            self.times.insert(along.to_string());
        }
        for (name, ty, per_step) in &declared {
            let ty = match per_step {
                true => ty
                    .replacen('[', &format!("[{along}, "), 1)
                    .replace(", ]", "]"),
                false => ty.clone(),
            };
            self.inputs.push(format!("{name} : {ty}"));
        }
        let Some(((first, ..), others)) = declared.split_first() else {
            return;
        };
        let scan = if def.kind == DefKind::Cell {
            "scan "
        } else {
            ""
        };
        let binds: Vec<String> = others.iter().map(|(n, ..)| format!("{n} = {n}")).collect();
        let with = match binds.is_empty() {
            true => String::new(),
            false => format!(" with {}", binds.join(", ")),
        };
        let name = &def.name.node;
        self.applied = format!("{first} |> {scan}{name}({}){with}", sizes.join(", "));
    }

    fn function(&mut self, def: &FnDef, source: &str, times: &BTreeSet<&str>) {
        let mut names = Vec::new();
        for (name, ty) in &def.params {
            let ty = self.shape(ty.as_ref(), source, times);
            self.inputs.push(format!("{} : {ty}", name.node));
            names.push(name.node.as_str());
        }
        self.applied = format!("{}({})", def.name.node, names.join(", "));
    }

    /// A type as it is written, its names declared; one feature axis where none is.
    fn shape(&mut self, ty: Option<&Type>, source: &str, times: &BTreeSet<&str>) -> String {
        let Some(ty) = ty else {
            self.dim("X");
            return "[X]".to_string();
        };
        let mut names = BTreeSet::new();
        for e in ty.shape.iter().flatten() {
            collect(e, &mut names);
        }
        for name in names {
            match times.contains(name.as_str()) {
                true => drop(self.times.insert(name)),
                false => self.dim(&name),
            }
        }
        let range = ty.span.start as usize..ty.span.end as usize;
        source.get(range).unwrap_or("[X]").to_string()
    }

    fn dim(&mut self, name: &str) {
        if !self.dims.iter().any(|d| d == name) {
            self.dims.push(name.to_string());
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (&str, usize)> {
        self.dims.iter().map(String::as_str).zip(SIZES)
    }

    /// `with H = 64, X = 32`.
    fn sizes(&self) -> String {
        let parts: Vec<String> = self.numbered().map(|(d, n)| format!("{d} = {n}")).collect();
        format!("with {}", parts.join(", "))
    }

    /// The file: with the value returned, or as a prediction of this shape.
    fn text(&self, shape: Option<&[String]>) -> String {
        let mut out = String::new();
        let times: Vec<&str> = self.times.iter().map(String::as_str).collect();
        if !times.is_empty() {
            let _ = writeln!(out, "time {}", times.join(", "));
        }
        for (dim, n) in self.numbered() {
            let _ = writeln!(out, "dim {dim} = {n}");
        }
        let _ = writeln!(out, "model Trial {{");
        for input in &self.inputs {
            let _ = writeln!(out, "  input {input}");
        }
        let applied = &self.applied;
        let _ = match shape {
            // A model learns something, be it a number.
            None => writeln!(
                out,
                "  target some : number\n  param w : [1]\n  predict some = w\n  \
                 made = {applied}\n  output made"
            ),
            Some(shape) => {
                let ty = match shape.is_empty() {
                    true => "number".to_string(),
                    false => format!("[{}] number", shape.join(", ")),
                };
                writeln!(out, "  target made : {ty}\n  predict made = {applied}")
            }
        };
        out.push_str("}\n");
        out
    }
}

/// The names in a size.
fn collect(e: &Expr, out: &mut BTreeSet<String>) {
    match &e.kind {
        ExprKind::Name(n) => {
            out.insert(n.clone());
        }
        ExprKind::Paren(inner) => collect(inner, out),
        ExprKind::Binary { left, right, .. } => {
            collect(left, out);
            collect(right, out);
        }
        // Numbers, and what no size is made of.
        _ => {}
    }
}
