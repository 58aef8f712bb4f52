//! Cells: their states, their runs along time, and cells inside cells.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::body::{Args, unit, variable};
use super::layer::Use;
use super::value::{Pending, Tensor, Value};
use super::{Binding, Block, Elab, Frame, FrameKind, LayerId, LayerKind, number};
use crate::ast::node::{Bind, DeclKind, DefKind, ExprKind as Ast, ScanDir, Unit};
use crate::check::defs::Entry;
use crate::check::names::{Decl, Names};
use crate::check::program::{Expr, ExprKind, Scan, State, Stmt, VarId};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::{Span, Spanned};

/// A state of the scan under construction.
#[derive(Clone, Debug)]
pub struct StateSlot {
    /// Inside the scan's cell: `h`, or `gru.h` for a cell inside it.
    pub path: String,
    pub before: VarId,
    pub shape: Vec<Dim>,
    pub next: Option<Expr>,
    pub initial: Option<Expr>,
    pub span: Span,
}

/// A named cell inside a cell, which runs once in a step.
#[derive(Clone, Debug)]
pub struct Inner {
    pub layer: LayerId,
    pub entry: Rc<Entry>,
    pub sizes: BTreeMap<String, Dim>,
    /// Its own states, by name; indices of the current block's slots.
    pub states: Vec<(String, usize)>,
    pub ran: bool,
    pub span: Span,
}

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
    pub(super) fn slot(&mut self, index: usize) -> &mut StateSlot {
        let block = self.blocks.last_mut().expect("a body is being elaborated");
        &mut block.states[index]
    }

    /// A state before this step.
    pub(super) fn before(&mut self, slot: usize) -> Value {
        let s = self.slot(slot);
        let mut t = variable(s.before, s.shape.clone(), s.span);
        t.recurrent = true;
        t.into()
    }

    /// Declares the states of a cell; `prefix` is the path of a cell inside a cell.
    pub(super) fn states(
        &mut self,
        f: &Frame,
        names: &Names,
        prefix: &str,
    ) -> Vec<(String, usize)> {
        let mut made = Vec::new();
        for d in names.of_kind(DeclKind::State) {
            if let Some(init) = d.init {
                self.error(
                    Diagnostic::error(
                        "init::unknown",
                        format!(
                            "state `{}` starts at 0 or at a value, not by `~`",
                            d.name.node
                        ),
                    )
                    .label(init.span, "a way to start a weight")
                    .help("`param h0` and `state h : [H] = h0` make a learned start"),
                );
            }
            if d.ty.is_none() {
                self.error(
                    Diagnostic::error(
                        "shape::undetermined",
                        format!("state `{}` has no shape", d.name.node),
                    )
                    .label(d.name.span, "declared here")
                    .help(format!("for example `state {} : [H]`", d.name.node)),
                );
                continue;
            }
            let Some(shape) = self.shape(f, d.ty, &d.name.node) else {
                continue;
            };
            let path = format!("{prefix}{}", d.name.node);
            let before = self.fresh_var(&path, shape.clone(), d.name.span);
            let block = self.blocks.last_mut().expect("a body is being elaborated");
            block.states.push(StateSlot {
                path,
                before,
                shape,
                next: None,
                initial: None,
                span: d.name.span,
            });
            made.push((d.name.node.clone(), block.states.len() - 1));
        }
        made
    }

    /// `state h : [H] = h0`: a weight, a context or a number.
    pub(super) fn initials(
        &mut self,
        f: &mut Frame,
        names: &Names,
        states: &[(String, usize)],
        outer: &BTreeMap<String, Expr>,
    ) {
        for d in names.of_kind(DeclKind::State) {
            let (Some(value), Some((_, slot))) =
                (d.value, states.iter().find(|(n, _)| *n == d.name.node))
            else {
                continue;
            };
            let shape = self.slot(*slot).shape.clone();
            let is = |kind: DeclKind| {
                let Ast::Name(n) = &value.kind else {
                    return false;
                };
                names.of_kind(kind).any(|d| d.name.node == *n)
            };
            let initial = match &value.kind {
                Ast::Number { value: n, .. } => Some(Tensor::new(number(*n, value.span))),
                Ast::Name(_) if is(DeclKind::Param) => match self.expr(f, value) {
                    Value::Tensor(t) => Some(*t),
                    Value::Poison => None,
                },
                Ast::Name(n) if is(DeclKind::Context) => match outer.get(n) {
                    Some(e) => Some(Tensor::new(e.clone())),
                    None if self.blocks.len() > 1 => {
                        self.unavailable("a context as the start of an inner cell", value.span);
                        None
                    }
                    None => match self.expr(f, value) {
                        Value::Tensor(t) => Some(*t),
                        Value::Poison => None,
                    },
                },
                _ => {
                    self.error(
                        Diagnostic::error(
                            "cell::initial-value",
                            format!("state `{}` starts from a weight or a context", d.name.node),
                        )
                        .label(value.span, "neither"),
                    );
                    None
                }
            };
            if let Some(t) = initial {
                let fitted = self.start(t, &shape, &d.name.node, value.span);
                self.slot(*slot).initial = fitted;
            }
        }
    }

    /// An initial value in the shape of its state; a number fills it.
    fn start(&mut self, t: Tensor, shape: &[Dim], name: &str, span: Span) -> Option<Expr> {
        let t = match t.pending {
            Some(p) => self.decide(t, p, shape.to_vec()),
            None => t,
        };
        if t.expr.shape.is_empty() && !shape.is_empty() {
            return Some(expand(t.expr, vec![None; shape.len()], shape.to_vec()));
        }
        if !self.agree(&t.expr.shape, shape) {
            let (from, to) = (self.solver.show(&t.expr.shape), self.solver.show(shape));
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("state `{name}` is {to}, its start is {from}"),
                )
                .label(span, from),
            );
            return None;
        }
        Some(t.expr)
    }

    /// `h' = …`.
    pub(super) fn next(&mut self, slot: usize, t: Tensor, span: Span) -> Value {
        let (shape, path) = {
            let s = self.slot(slot);
            (s.shape.clone(), s.path.clone())
        };
        let t = match t.pending {
            Some(p) => self.decide(t, p, shape.clone()),
            None => t,
        };
        if !self.agree(&t.expr.shape, &shape) {
            let (from, to) = (self.solver.show(&t.expr.shape), self.solver.show(&shape));
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("state `{path}` is {to}, its next value is {from}"),
                )
                .label(span, format!("the right side is {from}")),
            );
        }
        let name = format!("{path}'");
        let t = self.bind(&name, t, span);
        self.slot(slot).next = Some(t.expr.clone());
        t.into()
    }

    pub(super) fn agree(&mut self, a: &[Dim], b: &[Dim]) -> bool {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(x, y)| self.solver.unify(x, y).is_ok())
    }

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
            | LayerKind::Embed { .. } => {
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
    fn join_halves(&mut self, a: Tensor, b: Tensor, span: Span) -> Value {
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

    /// The values after `with` or `from`; `None` where one of them is unknown.
    fn binds<'b>(&mut self, f: &mut Frame, binds: &'b [Bind]) -> Option<Vec<(&'b Bind, Tensor)>> {
        let mut out = Vec::new();
        let mut whole = true;
        for b in binds {
            match self.expr(f, &b.value) {
                Value::Tensor(t) => {
                    let t = self.bind("given", *t, b.value.span);
                    out.push((b, t));
                }
                Value::Poison => whole = false,
            }
        }
        whole.then_some(out)
    }

    #[allow(clippy::too_many_arguments)]
    fn scan_one(
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
    fn scan_body(
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
    fn inside(&mut self, t: &Tensor, shape: Vec<Dim>, name: &str, span: Span) -> (VarId, Tensor) {
        let var = self.fresh_var(name, shape.clone(), span);
        let mut inner = variable(var, shape, span);
        inner.tokens = t.tokens.clone();
        (var, inner)
    }

    /// `from h = …, gru.h = …`.
    fn from(&mut self, from: &[(&Bind, Tensor)]) {
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

    /// Which value goes to which input or context: the pipe fills the first input.
    pub(super) fn assign_inputs<'n>(
        &mut self,
        def: &str,
        names: &Names<'n>,
        input: &Tensor,
        span: Span,
        with: &[(&Bind, Tensor)],
    ) -> Option<Vec<(Decl<'n>, Tensor, Span)>> {
        let decls: Vec<Decl> = names
            .decls
            .iter()
            .copied()
            .filter(|d| matches!(d.kind, DeclKind::Input | DeclKind::Context))
            .collect();
        let first = decls.iter().position(|d| d.kind == DeclKind::Input);
        let mut out = Vec::new();
        let mut good = true;
        for (i, d) in decls.iter().enumerate() {
            if Some(i) == first {
                out.push((*d, input.clone(), span));
                continue;
            }
            let is = |b: &&(&Bind, Tensor)| b.0.path.len() == 1 && b.0.path[0].node == d.name.node;
            match with.iter().find(is) {
                Some((b, t)) => out.push((*d, t.clone(), b.value.span)),
                None => {
                    good = false;
                    let n = &d.name.node;
                    self.error(
                        Diagnostic::error(
                            "call::missing-input",
                            format!("`{def}` needs `{n}`, and is not given it"),
                        )
                        .label(span, format!("`{n}` is missing"))
                        .help(format!("add `with {n} = …`")),
                    );
                }
            }
        }
        if first.is_none() {
            good = false;
            self.error(
                Diagnostic::error("call::unknown-input", format!("`{def}` has no `input`"))
                    .label(span, "nothing takes the value piped into it"),
            );
        }
        for (b, _) in with {
            let Some(name) = b.path.first() else { continue };
            let known = decls.iter().enumerate();
            let others: Vec<&str> = known
                .filter(|(i, _)| Some(*i) != first)
                .map(|(_, d)| d.name.node.as_str())
                .collect();
            if b.path.len() != 1 || !others.contains(&name.node.as_str()) {
                good = false;
                let d = Diagnostic::error(
                    "call::unknown-input",
                    format!("`{def}` has no further input `{}`", name.node),
                )
                .label(name.span, "unknown");
                let d = match nearest(&name.node, others.iter().copied()) {
                    Some(n) => d.help(format!("did you mean `{n}`?")),
                    None => d,
                };
                self.error(d);
            }
        }
        good.then_some(out)
    }

    /// Makes a value agree with a declared input. With `lift`, axes before the declared ones are
    /// those over which the whole block repeats.
    pub(super) fn fit(
        &mut self,
        f: &Frame,
        d: &Decl,
        t: Tensor,
        at: Span,
        lift: bool,
    ) -> Option<Tensor> {
        let name = &d.name.node;
        let wants_tokens = matches!(unit(d.ty), Some(Unit::Token | Unit::Class));
        if wants_tokens != t.tokens.is_some() {
            let (is, help) = match wants_tokens {
                true => ("takes tokens; these are numbers", None),
                false => (
                    "takes numbers; these are tokens",
                    Some("`|> Embed(64)` makes vectors of tokens"),
                ),
            };
            let mut e = Diagnostic::error(
                if wants_tokens {
                    "token::needed"
                } else {
                    "token::not-a-number"
                },
                format!("input `{name}` {is}"),
            )
            .label(at, "given here");
            if let Some(h) = help {
                e = e.help(h);
            }
            self.error(e);
            return None;
        }
        let Some(declared) = d.ty.and_then(|t| t.shape.as_ref()) else {
            // `input x` without a shape takes what comes; with a unit it is one value a step.
            return Some(t);
        };
        let wanted = self.shape(f, d.ty, name)?;
        let time_named =
            |i: usize| matches!(&declared[i].kind, Ast::Name(n) if f.globals.is_time(n));
        let t = match t.pending {
            Some(p) => self.decide(t, p, wanted.clone()),
            None => t,
        };
        // One number, or one number a step, enters as one feature.
        let ends_in_time = t.last().is_none_or(|d| self.solver.is_time(d));
        let t = match (t.tokens.is_none() && ends_in_time, wanted.len()) {
            (true, n) if n > 0 && !time_named(n - 1) => {
                let axes = (0..t.expr.shape.len()).map(Some).chain([None]).collect();
                let shape = [t.expr.shape.as_slice(), &[Dim::constant(1)]].concat();
                Tensor {
                    expr: expand(t.expr.clone(), axes, shape),
                    ..t
                }
            }
            _ => t,
        };
        let extra = t.expr.shape.len().checked_sub(wanted.len());
        let fits = match extra {
            Some(0) => true,
            Some(_) => lift,
            None => false,
        };
        let tail = t.expr.shape.len().saturating_sub(wanted.len());
        let agree = fits && {
            let actual = t.expr.shape[tail..].to_vec();
            self.agree(&actual, &wanted)
        };
        let times = (0..wanted.len()).all(|i| !time_named(i) || self.solver.is_time(&wanted[i]));
        if !agree || !times {
            let (is, wants) = (
                self.solver.show(t.core()),
                self.declared_text(declared, &wanted),
            );
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("input `{name}` is {wants}; it is given {is}"),
                )
                .label(at, is),
            );
            return None;
        }
        Some(t.lifted(tail))
    }

    /// A declared shape with the names in it where their size is still open.
    fn declared_text(&self, declared: &[crate::ast::node::Expr], wanted: &[Dim]) -> String {
        let parts: Vec<String> = declared
            .iter()
            .zip(wanted)
            .map(|(e, d)| match (&e.kind, self.solver.is_known(d)) {
                (Ast::Name(n), false) => n.clone(),
                _ => self.solver.show_dim(d),
            })
            .collect();
        format!("[{}]", parts.join(", "))
    }

    /// `[y, c] |> gru`, a cell inside a cell.
    pub(super) fn run_inner(
        &mut self,
        f: &mut Frame,
        inner: &Rc<RefCell<Inner>>,
        stage: &Use,
        input: Tensor,
    ) -> Value {
        let span = stage.call.span;
        if inner.borrow().ran {
            return self.error(
                Diagnostic::error(
                    "cell::run-twice",
                    "a cell inside a cell runs once in a step",
                )
                .label(span, "runs it a second time")
                .help("a second cell has its own state: give it its own name"),
            );
        }
        inner.borrow_mut().ran = true;
        if let Some(b) = stage.from.first() {
            let at = b.path.first().map_or(span, |p| p.span);
            return self.error(
                Diagnostic::error(
                    "cell::initial-value",
                    "`from` starts a scan; this cell is inside one",
                )
                .label(at, "not here")
                .help("give it where the outer cell is scanned: `from gru.h = …`"),
            );
        }
        let (Some(with), Some(input)) = (self.binds(f, stage.with), self.decided(input)) else {
            return Value::Poison;
        };
        let Inner {
            layer,
            entry,
            sizes,
            states,
            ..
        } = inner.borrow().clone();
        let name = entry.def.name.node.clone();
        if !self.enter(&name, span) {
            return Value::Poison;
        }
        let mut names = Names::of(&entry.def.body);
        names.sort(&mut Vec::new());
        let frame = Frame {
            kind: FrameKind::Cell,
            globals: entry.globals.clone(),
            sizes,
            names: BTreeMap::new(),
            layer,
            index_form: false,
        };
        let value = match self.assign_inputs(&name, &names, &input, span, &with) {
            None => Value::Poison,
            Some(given) => {
                let mut args = Args::new();
                let mut good = true;
                for (d, t, at) in given {
                    match self.fit(&frame, &d, t, at, false) {
                        Some(t) => {
                            let t = self.bind(&d.name.node, t, d.name.span);
                            args.insert(d.name.node.clone(), (t.lifted(0), at));
                        }
                        None => good = false,
                    }
                }
                match good {
                    true => self.run(frame, &entry, &names, args, &states, &BTreeMap::new()),
                    false => Value::Poison,
                }
            }
        };
        self.leave();
        // Its next states are what the outer cell reads as `gru.h'`.
        if let Some(n) = f.names.iter().find_map(|(n, b)| match b {
            Binding::Inner(i) if Rc::ptr_eq(i, inner) => Some(n.clone()),
            _ => None,
        }) {
            for (state, slot) in &states {
                let s = self.slot(*slot).clone();
                let value = match s.next {
                    Some(e) => Tensor::new(e).into(),
                    None => Value::Poison,
                };
                f.names
                    .insert(format!("{n}.{state}'"), Binding::Value(value));
            }
        }
        value
    }

    /// `final(enc)`: the last value in the scan's own direction.
    pub(super) fn final_of(&mut self, t: &Tensor, span: Span) -> Value {
        let Some(info) = t.scan.clone() else {
            return self.error(
                Diagnostic::error("scan::final-of-value", "`final` takes a scan or its state")
                    .label(span, "not the value of a scan")
                    .help("`last(x)` and `first(x)` take any sequence"),
            );
        };
        if let Some((a, b)) = &info.halves {
            let (a, b) = (self.final_of(a, span), self.final_of(b, span));
            let (Value::Tensor(a), Value::Tensor(b)) = (a, b) else {
                return Value::Poison;
            };
            return self.concat(vec![(*a, span), (*b, span)], span);
        }
        if let Some(last) = &info.last {
            return last.clone().into();
        }
        let shape = t.expr.shape.get(1..).unwrap_or_default().to_vec();
        let value = Box::new(t.expr.clone());
        let kind = match info.reverse {
            true => ExprKind::First(value),
            false => ExprKind::Last(value),
        };
        Tensor::new(Expr { kind, shape, span }).into()
    }

    /// A shape for a weight or draw that no use has decided: a vector of unknown size.
    pub(super) fn decided(&mut self, t: Tensor) -> Option<Tensor> {
        match t.pending {
            None => Some(t),
            Some(p @ Pending::Weight(_)) => {
                let d = self.solver.unknown();
                Some(self.decide(t, p, vec![d]))
            }
            Some(Pending::Draw) => {
                self.error(
                    Diagnostic::error(
                        "shape::undetermined",
                        "nothing says the shape of `normal()`",
                    )
                    .label(t.expr.span, "a draw of which shape?")
                    .help("add it to or multiply it by a value, whose shape it takes"),
                );
                None
            }
        }
    }
}

pub(super) fn expand(value: Expr, axes: Vec<Option<usize>>, shape: Vec<Dim>) -> Expr {
    let span = value.span;
    Expr {
        kind: ExprKind::Expand {
            value: Box::new(value),
            axes,
        },
        shape,
        span,
    }
}
