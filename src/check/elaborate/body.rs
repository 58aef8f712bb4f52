//! The body of one definition: its declarations, then its equations in order.

use std::collections::BTreeMap;

use super::init::Weight;
use super::input::Args;
use super::value::{Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerId, size};
use crate::ast::node::{self, DeclKind, Type, Unit};
use crate::check::defs::Entry;
use crate::check::names::{Decl, Equation, Names, key};
use crate::check::program::{Expr, ExprKind, VarId};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    /// Elaborates a body whose inputs, contexts and states are known; the value is its output.
    pub(super) fn run(
        &mut self,
        mut f: Frame,
        entry: &Entry,
        names: &Names,
        args: Args,
        states: &[(String, usize)],
        outer: &BTreeMap<String, Expr>,
    ) -> Value {
        for (name, (t, _)) in args {
            f.names.insert(name, Binding::Value(t.into()));
        }
        for (name, slot) in states {
            let value = self.before(*slot);
            f.names.insert(name.clone(), Binding::Value(value));
        }
        for d in &names.decls {
            // One whose declaration has an error is silent.
            f.names
                .entry(d.name.node.clone())
                .or_insert(Binding::Unknown);
        }
        self.prepare(&mut f, names);
        self.initials(&mut f, names, states, outer);
        self.equations(&mut f, names, states);
        self.watch(&f, names);
        self.output(&mut f, entry, names, states)
    }

    /// Declares the weights, and keeps the names of bound layers free of unnamed ones.
    pub(super) fn prepare(&mut self, f: &mut Frame, names: &Names) {
        for d in &names.decls {
            // The parser keeps weights out of functions.
            if d.kind == DeclKind::Param {
                self.param(f, d);
            }
        }
        for eq in &names.equations {
            if let [left] = eq.names
                && !left.prime
                && self.is_layer(f, eq.value)
            {
                let used = &mut self.layers[f.layer.0].used;
                used.names.insert(left.name.node.clone());
            }
            for left in eq.names {
                f.names.entry(key(left)).or_insert(Binding::Unknown);
            }
        }
    }

    /// Makes a weight, or finds it where the layer is used again.
    pub(super) fn param(&mut self, f: &mut Frame, d: &Decl) {
        if let Some(v) = d.value {
            self.error(
                Diagnostic::error(
                    "init::unknown",
                    "a weight starts as `~` says, not at a value",
                )
                .label(v.span, "a value"),
            );
        }
        let shape = match d.ty {
            None => Some(None),
            Some(_) => self.shape(f, d.ty).map(Some),
        };
        let Some(shape) = shape else {
            f.names.insert(d.name.node.clone(), Binding::Unknown);
            return;
        };
        if let Some(bad) = shape.iter().flatten().position(|s| self.solver.is_time(s)) {
            let span =
                d.ty.and_then(|t| t.shape.as_ref()?.get(bad))
                    .map_or(d.name.span, |s| s.span);
            self.along_time(&d.name.node, span);
            f.names.insert(d.name.node.clone(), Binding::Unknown);
            return;
        }
        let known = self.layers[f.layer.0].params.get(&d.name.node).copied();
        let id = match known {
            Some(id) => {
                let id = id.0 as usize;
                if let (Some(old), Some(new)) = (self.weights[id].shape.clone(), shape)
                    && !self.same_shape(&old, &new, d.name.span, &d.name.node)
                {
                    f.names.insert(d.name.node.clone(), Binding::Unknown);
                    return;
                }
                id
            }
            None => {
                let path = match self.layers[f.layer.0].path.as_str() {
                    "" => d.name.node.clone(),
                    path => format!("{path}.{}", d.name.node),
                };
                let mut w = Weight::new(path, d.name.span);
                w.given = d.init.and_then(|i| self.init(i));
                if let (Some(init), Some(s)) = (w.given, &shape)
                    && init.wants_matrix()
                    && s.len() < 2
                {
                    let shown = self.solver.show(s);
                    self.error(
                        Diagnostic::error(
                            "init::unknown",
                            format!("this start is for matrices; `{}` is {shown}", d.name.node),
                        )
                        .label(d.init.map_or(d.name.span, |i| i.span), "needs two axes"),
                    );
                }
                w.shape = shape;
                self.add_weight(f.layer, &d.name.node, w)
            }
        };
        f.names.insert(d.name.node.clone(), Binding::Param(id));
    }

    pub(super) fn add_weight(&mut self, layer: LayerId, name: &str, w: Weight) -> usize {
        let id = self.weights.len();
        self.weights.push(w);
        let id32 = crate::check::program::ParamId(id as u32);
        self.layers[layer.0].params.insert(name.to_string(), id32);
        id
    }

    pub(super) fn same_shape(&mut self, old: &[Dim], new: &[Dim], span: Span, name: &str) -> bool {
        let agree = old.len() == new.len()
            && old
                .iter()
                .zip(new)
                .all(|(a, b)| self.solver.unify(a, b).is_ok());
        if !agree {
            let (old, new) = (self.solver.show(old), self.solver.show(new));
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("shared weight `{name}` is {old}, this use needs {new}"),
                )
                .label(span, "one weight has one shape"),
            );
        }
        agree
    }

    pub(super) fn equations(&mut self, f: &mut Frame, names: &Names, states: &[(String, usize)]) {
        for eq in &names.equations {
            if eq.names.iter().any(|l| names.cyclic.contains(&key(l))) {
                // Nothing is said of what reads a name with two meanings; a state's is known.
                for name in eq.names.iter().map(|l| &l.name.node) {
                    let declared = names.decls.iter().find(|d| d.name.node == *name);
                    if declared.is_some_and(|d| d.kind != DeclKind::State) {
                        f.names.insert(name.clone(), Binding::Unknown);
                    }
                }
                continue;
            }
            self.equation(f, eq, states);
        }
    }

    pub(super) fn equation(&mut self, f: &mut Frame, eq: &Equation, states: &[(String, usize)]) {
        if let Some(indices) = eq.indices {
            return self.index_equation(f, eq, indices, states);
        }
        let [left] = eq.names else {
            return self.several(f, eq, states);
        };
        if !left.prime && self.is_layer(f, eq.value) {
            let binding = self.bind_layer(f, &left.name, eq.value);
            f.names.insert(left.name.node.clone(), binding);
            return;
        }
        let value = self.index_scope(f, eq.value, &[]);
        self.assign(f, left, value, states, eq.value);
    }

    /// `i, f, o, g = split(z, 4)`.
    pub(super) fn several(&mut self, f: &mut Frame, eq: &Equation, states: &[(String, usize)]) {
        let count = eq.names.len();
        let Some((value, parts, span)) = self.split_of(f, eq.value) else {
            self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("{count} names on the left, one value on the right"),
                )
                .label(eq.value.span, "one value")
                .help("`a, b = split(z, 2)` gives two names their parts"),
            );
            return;
        };
        if parts != count as i64 {
            self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("{count} names on the left, {parts} parts on the right"),
                )
                .label(span, format!("{parts} parts")),
            );
            return;
        }
        let Value::Tensor(t) = value else { return };
        let t = self.bind("parts", *t, span);
        for (index, left) in eq.names.iter().enumerate() {
            let part = self.part(&t, parts as u32, index as u32, span);
            self.assign(f, left, part, states, eq.value);
        }
    }

    pub(super) fn assign(
        &mut self,
        f: &mut Frame,
        left: &node::Lhs,
        value: Value,
        states: &[(String, usize)],
        right: &node::Expr,
    ) {
        let name = &left.name.node;
        let value = match value {
            Value::Poison => Value::Poison,
            Value::Tensor(t) if left.prime => match states.iter().find(|(n, _)| n == name) {
                Some((_, slot)) => {
                    let star = self.star_of_a_matrix(f, right);
                    self.next(*slot, *t, left.name.span, star)
                }
                None => Value::Poison,
            },
            Value::Tensor(t) => {
                if t.scan.is_some() {
                    self.rename(&t, name);
                }
                self.bind(name, *t, left.name.span).into()
            }
        };
        f.names.insert(key(left), Binding::Value(value));
    }

    /// `fwd = x |> scan GRU(256)`: the scan's own variable takes the name.
    pub(super) fn rename(&mut self, t: &Tensor, name: &str) {
        if let ExprKind::Var(v) = t.expr.kind
            && t.scan.as_ref().is_some_and(|s| s.sequence == Some(v))
            && !self.var_names.contains(name)
        {
            let var = &mut self.vars[v.0 as usize];
            // A name bound to a named scan is an alias: only the first is taken.
            if var.name.contains('.') || self.scan_paths.names.contains(&var.name) {
                self.var_names.remove(&var.name);
                var.name = name.to_string();
                self.var_names.insert(name.to_string());
            }
        }
    }

    pub(super) fn watch(&mut self, f: &Frame, names: &Names) {
        for w in &names.watches {
            match f.names.get(&w.node) {
                Some(Binding::Value(Value::Tensor(t))) => {
                    if let ExprKind::Var(v) = t.expr.kind {
                        let path = &self.layers[f.layer.0].path;
                        let shown = match path.is_empty() {
                            true => w.node.clone(),
                            false => format!("{path}.{}", w.node),
                        };
                        self.watches.push((shown, v));
                    }
                }
                Some(_) => {}
                None => {
                    self.unknown_name(f, &w.node, w.span);
                }
            }
        }
    }

    pub(super) fn output(
        &mut self,
        f: &mut Frame,
        entry: &Entry,
        names: &Names,
        states: &[(String, usize)],
    ) -> Value {
        let def = &entry.def;
        for (name, slot) in states {
            if !f.names.contains_key(&format!("{name}'")) && !names.unprimed.contains(name) {
                let span = self.slot(*slot).span;
                self.error(
                    Diagnostic::error(
                        "cell::state-without-equation",
                        format!("state `{name}` never changes: `{name}' = …` is missing"),
                    )
                    .label(span, "declared here"),
                );
            }
        }
        for (name, binding) in &f.names {
            if let Binding::Inner(inner) = binding
                && !names.runs(name)
            {
                let span = inner.borrow().span;
                self.diagnostics.push(
                    Diagnostic::error(
                        "cell::never-run",
                        format!("`{name}` is a cell that no equation runs"),
                    )
                    .label(span, format!("`… |> {name}` runs it")),
                );
            }
        }
        let written = match names.outputs.as_slice() {
            [e] => return self.index_scope(f, e, &[]),
            [] => None,
            [_, second, ..] => Some(second.span),
        };
        if let Some(second) = written {
            return self.error(
                Diagnostic::error(
                    "cell::output-required",
                    "there are two outputs; one is meant",
                )
                .label(second, "second output")
                .help("`output [a, b]` joins two values"),
            );
        }
        match (f.kind, states) {
            (FrameKind::Cell, [(name, _)]) => match f.names.get(&format!("{name}'")) {
                Some(Binding::Value(v)) => v.clone(),
                _ => Value::Poison,
            },
            (FrameKind::Cell, [_, _, ..]) => {
                let listed: Vec<String> = states.iter().map(|(n, _)| format!("`{n}`")).collect();
                let listed = match listed.len() {
                    2 => listed.join(" and "),
                    n => format!("{n} states"),
                };
                self.error(
                    Diagnostic::error(
                        "cell::output-required",
                        format!("`{}` has {listed} but no `output`", def.name.node),
                    )
                    .label(def.name.span, "which one is its output?")
                    .help(format!("add `output {}'`", states[states.len() - 1].0)),
                )
            }
            (FrameKind::Cell | FrameKind::Block | FrameKind::Function, _) => self.error(
                Diagnostic::error(
                    "cell::output-required",
                    format!("`{}` has no `output`", def.name.node),
                )
                .label(def.name.span, "gives no value"),
            ),
            (FrameKind::Model, _) => Value::Poison,
        }
    }

    /// The sizes of a type; none is a single number.
    pub(super) fn shape(&mut self, f: &Frame, ty: Option<&Type>) -> Option<Vec<Dim>> {
        let sizes = ty.and_then(|t| t.shape.as_deref()).unwrap_or_default();
        let dims: Vec<Option<Dim>> = sizes.iter().map(|s| self.size(f, s, "X")).collect();
        dims.into_iter().collect()
    }
}

pub(super) fn unit(ty: Option<&Type>) -> Option<Unit> {
    ty.and_then(|t| t.unit.as_ref()).map(|u| u.node)
}

pub(super) fn variable(var: VarId, shape: Vec<Dim>, span: Span) -> Tensor {
    Tensor::new(Expr {
        kind: ExprKind::Var(var),
        shape,
        span,
    })
}

/// A default for a size or a probability that a call leaves out.
pub(super) fn constant_or(e: Option<&node::Expr>, default: f64) -> Option<f64> {
    match e {
        None => Some(default),
        Some(e) => size::constant(e),
    }
}
