//! Runs of a cell along time.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::body::variable;
use super::input::{Args, expand};
use super::layer::Use;
use super::value::{Tensor, Value};
use super::{Block, Elab, Frame, FrameKind, LayerId, LayerKind};
use crate::ast::node::{Bind, DeclKind, DefKind, ScanDir};
use crate::check::defs::Entry;
use crate::check::names::Names;
use crate::check::program::{Expr, Scan, State, Stmt, VarId};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::{Span, Spanned};

/// What can be asked of a scan's value: `enc.h`, `final(enc)`.
#[derive(Debug, Default)]
pub struct ScanInfo {
    pub sequence: Option<VarId>,
    pub reverse: bool,
    /// The last value in the scan's own direction, where it has a variable.
    pub last: Option<Tensor>,
    pub fields: BTreeMap<String, Tensor>,
    /// The two directions of `scan both`.
    pub halves: Option<(Tensor, Tensor)>,
}

impl Elab<'_, '_> {
    /// `x |> scan Cell(…) with … from …`.
    pub(super) fn scan(
        &mut self,
        f: &mut Frame,
        stage: &Use,
        dir: &Spanned<ScanDir>,
        input: Tensor,
    ) -> Value {
        if f.kind == FrameKind::Cell || self.blocks.len() > 1 {
            return self.unavailable("a scan inside a cell", dir.span);
        }
        let Some(first) = self.layer_of(f, stage.call, 0) else {
            return Value::Poison;
        };
        let entry = match &self.layers[first.0].kind {
            LayerKind::Def { entry, .. } if entry.def.kind == DefKind::Cell => entry.clone(),
            LayerKind::Unknown => return Value::Poison,
            LayerKind::Root
            | LayerKind::Def { .. }
            | LayerKind::Linear { .. }
            | LayerKind::Embed { .. }
            | LayerKind::Position { .. } => {
                return self.error(
                    Diagnostic::error("scan::not-a-cell", "only a cell has a state to scan with")
                        .label(stage.call.span, "has no state")
                        .help("drop `scan`: without a state every step is alike")
                        .fix(dir.span, ""),
                );
            }
        };
        let Some(time) = input
            .core()
            .first()
            .filter(|d| self.solver.is_time(d))
            .cloned()
        else {
            let shown = self.solver.show(input.core());
            return self.error(
                Diagnostic::error(
                    "scan::no-time-axis",
                    format!("`scan` runs along a time; this is {shown}"),
                )
                .label(dir.span, "no time axis to run along"),
            );
        };
        if input.lead > 0 {
            return self.unavailable("a scan in a block applied at every step", dir.span);
        }
        if let Some(over) = stage.over {
            let asked = f.sizes.get(&over.node).cloned();
            let Some(asked) = asked else {
                return self.unknown_name(f, &over.node, over.span);
            };
            if !self.solver.is_time(&asked) || self.solver.unify(&asked, &time).is_err() {
                return self.unavailable("a scan along an axis that is not the first", over.span);
            }
        }
        let input = match self.decided(input) {
            Some(t) => t,
            None => return Value::Poison,
        };
        let with = self.binds(f, stage.with);
        let from = self.binds(f, stage.from);
        let (Some(with), Some(from)) = (with, from) else {
            return Value::Poison;
        };
        let span = stage.call.span;
        match dir.node {
            ScanDir::Forward => {
                self.scan_one(first, &entry, false, time, input, &with, &from, span)
            }
            ScanDir::Reverse => self.scan_one(first, &entry, true, time, input, &with, &from, span),
            ScanDir::Both => {
                if let Some(b) = stage.from.first() {
                    let at = b.path.first().map_or(span, |p| p.span);
                    return self.error(
                        Diagnostic::error(
                            "scan::from-of-both",
                            "`scan both` has two first states; `from` gives one",
                        )
                        .label(at, "for which direction?")
                        .help("write `scan …` and `scan reverse …`, then join the two"),
                    );
                }
                let Some(second) = self.layer_of(f, stage.call, 1) else {
                    return Value::Poison;
                };
                let input = self.bind("xs", input, span);
                let a = self.scan_one(
                    first,
                    &entry,
                    false,
                    time.clone(),
                    input.clone(),
                    &with,
                    &from,
                    span,
                );
                let b = self.scan_one(second, &entry, true, time, input, &with, &from, span);
                match (a, b) {
                    (Value::Tensor(a), Value::Tensor(b)) => self.join_halves(*a, *b, span),
                    _ => Value::Poison,
                }
            }
        }
    }

    /// Forward and reverse side by side, with fields that are side by side too.
    pub(super) fn join_halves(&mut self, a: Tensor, b: Tensor, span: Span) -> Value {
        let mut fields = BTreeMap::new();
        let both = |this: &mut Self, a: Tensor, b: Tensor| -> Option<Tensor> {
            let info = ScanInfo {
                halves: Some((a.clone(), b.clone())),
                ..ScanInfo::default()
            };
            match this.concat(vec![(a, span), (b, span)], span) {
                Value::Tensor(mut t) => {
                    t.scan = Some(Rc::new(info));
                    t.both = true;
                    Some(*t)
                }
                Value::Poison => None,
            }
        };
        if let (Some(x), Some(y)) = (a.scan.clone(), b.scan.clone()) {
            for (name, one) in &x.fields {
                if let Some(other) = y.fields.get(name)
                    && let Some(t) = both(self, one.clone(), other.clone())
                {
                    fields.insert(name.clone(), t);
                }
            }
        }
        let info = ScanInfo {
            halves: Some((a.clone(), b.clone())),
            fields,
            ..ScanInfo::default()
        };
        match self.concat(vec![(a, span), (b, span)], span) {
            Value::Tensor(mut t) => {
                t.scan = Some(Rc::new(info));
                t.both = true;
                Value::Tensor(t)
            }
            Value::Poison => Value::Poison,
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn scan_one(
        &mut self,
        layer: LayerId,
        entry: &Rc<Entry>,
        reverse: bool,
        time: Dim,
        input: Tensor,
        with: &[(&Bind, Tensor)],
        from: &[(&Bind, Tensor)],
        span: Span,
    ) -> Value {
        let cell = entry.def.name.node.clone();
        if !self.enter(&cell, span) {
            return Value::Poison;
        }
        let path = self.scan_paths.give(&self.layers[layer.0].path);
        self.blocks.push(Block::default());
        let built = self.scan_body(layer, entry, &time, &input, with, from, span);
        let block = self.blocks.pop().unwrap_or_default();
        self.leave();
        let Some((output, inputs, contexts)) = built else {
            return Value::Poison;
        };
        let Ok(time) = self.solver.resolve(&time) else {
            return Value::Poison;
        };
        let Some(sym) = time.as_sym().cloned() else {
            return Value::Poison;
        };
        let along = |shape: &[Dim]| [std::slice::from_ref(&time), shape].concat();
        let mut states = Vec::new();
        let mut fields = BTreeMap::new();
        for s in block.states {
            let Some(next) = s.next else {
                return Value::Poison;
            };
            let full = format!("{path}.{}", s.path);
            let sequence = self.fresh_var(&full, along(&s.shape), s.span);
            let last = self.fresh_var(&format!("{full}.last"), s.shape.clone(), s.span);
            let mut value = variable(sequence, along(&s.shape), span);
            value.scan = Some(Rc::new(ScanInfo {
                sequence: Some(sequence),
                reverse,
                last: Some(variable(last, s.shape.clone(), span)),
                ..ScanInfo::default()
            }));
            fields.insert(s.path, value);
            states.push(State {
                path: full,
                before: s.before,
                next,
                initial: s.initial,
                sequence,
                last,
            });
        }
        let shape = along(&output.shape);
        let sequence = self.fresh_var(&path, shape.clone(), span);
        self.emit(Stmt::Scan(Scan {
            path,
            cell,
            dir: match reverse {
                true => ScanDir::Reverse,
                false => ScanDir::Forward,
            },
            time: sym,
            inputs,
            contexts,
            states,
            body: block.stmts,
            output,
            sequence,
            span,
        }));
        let mut value = variable(sequence, shape, span);
        value.scan = Some(Rc::new(ScanInfo {
            sequence: Some(sequence),
            reverse,
            fields,
            ..ScanInfo::default()
        }));
        value.into()
    }

    #[allow(clippy::type_complexity, clippy::too_many_arguments)]
    pub(super) fn scan_body(
        &mut self,
        layer: LayerId,
        entry: &Rc<Entry>,
        time: &Dim,
        input: &Tensor,
        with: &[(&Bind, Tensor)],
        from: &[(&Bind, Tensor)],
        span: Span,
    ) -> Option<(Expr, Vec<(VarId, Expr)>, Vec<(VarId, Expr)>)> {
        let mut names = Names::of(&entry.def.body);
        names.sort(&mut Vec::new());
        let f = self.frame(layer, entry, &names);
        let states = self.states(&f, &names, "");
        let given = self.assign_inputs(&entry.def.name.node, &names, input, span, with)?;
        let (mut inputs, mut contexts) = (Vec::new(), Vec::new());
        let (mut args, mut outer) = (Args::new(), BTreeMap::new());
        for (d, t, at) in given {
            let name = &d.name.node;
            if d.kind == DeclKind::Context {
                let t = self.fit(&f, &d, t, at, false)?;
                outer.insert(name.clone(), t.expr.clone());
                let body = self.inside(&t, t.expr.shape.clone(), name, d.name.span);
                contexts.push((body.0, t.expr));
                args.insert(name.clone(), (body.1, at));
                continue;
            }
            let first = t.core().first().cloned();
            let same = first.is_some_and(|d| self.solver.unify(&d, time).is_ok());
            if !same {
                let (shown, t) = (self.solver.show(t.core()), self.solver.show_dim(time));
                self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("input `{name}` is one per step of {t}; this is {shown}"),
                    )
                    .label(at, shown)
                    .help("a `context` is the same at every step"),
                );
                return None;
            }
            let step = Tensor {
                expr: Expr {
                    shape: t.expr.shape[1..].to_vec(),
                    ..t.expr.clone()
                },
                ..t.clone()
            };
            // Fitting may add a feature axis to a sequence of numbers; do the same outside.
            let wants = d.ty.and_then(|t| t.shape.as_ref()).map(Vec::len);
            let t = match (wants, step.expr.shape.is_empty(), &step.tokens) {
                (Some(1), true, None) => Tensor::new(expand(
                    t.expr.clone(),
                    vec![Some(0), None],
                    vec![time.clone(), Dim::constant(1)],
                )),
                _ => t,
            };
            let step = Tensor {
                expr: Expr {
                    shape: t.expr.shape[1..].to_vec(),
                    ..t.expr.clone()
                },
                ..t.clone()
            };
            let step = self.fit(&f, &d, step, at, false)?;
            let body = self.inside(&step, step.expr.shape.clone(), name, d.name.span);
            inputs.push((body.0, t.expr));
            args.insert(name.clone(), (body.1, at));
        }
        let output = self.run(f, entry, &names, args, &states, &outer);
        self.from(from);
        match output {
            Value::Tensor(t) => Some((self.decided(*t)?.expr, inputs, contexts)),
            Value::Poison => None,
        }
    }

    /// The variable of a scan's body for a value from outside.
    pub(super) fn inside(
        &mut self,
        t: &Tensor,
        shape: Vec<Dim>,
        name: &str,
        span: Span,
    ) -> (VarId, Tensor) {
        let var = self.fresh_var(name, shape.clone(), span);
        let mut inner = variable(var, shape, span);
        inner.tokens = t.tokens.clone();
        (var, inner)
    }

    /// `from h = …, gru.h = …`.
    pub(super) fn from(&mut self, from: &[(&Bind, Tensor)]) {
        for (b, t) in from {
            let parts: Vec<&str> = b.path.iter().map(|p| p.node.as_str()).collect();
            let path = parts.join(".");
            let at = b.path.first().map_or(b.value.span, |p| p.span);
            let states = &self.blocks.last().expect("a scan is open").states;
            match states.iter().position(|s| s.path == path) {
                Some(slot) => {
                    let shape = self.slot(slot).shape.clone();
                    let start = self.start(t.clone(), &shape, &path, b.value.span);
                    self.slot(slot).initial = start;
                }
                None => {
                    let known: Vec<String> = states.iter().map(|s| s.path.clone()).collect();
                    let d = Diagnostic::error(
                        "cell::unknown-state",
                        format!("the cell has no state `{path}`"),
                    )
                    .label(at, "unknown state");
                    let near = nearest(&path, known.iter().map(String::as_str));
                    let d = match near {
                        Some(n) => d.help(format!("did you mean `{n}`?")),
                        None if known.is_empty() => d,
                        None => d.help(format!("its states: {}", known.join(", "))),
                    };
                    self.error(d);
                }
            }
        }
    }
}
