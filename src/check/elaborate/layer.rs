//! Layers: what stands on the right of `|>`.

use std::collections::BTreeMap;

use super::body::Args;
use super::call::lower_lead;
use super::init::Weight;
use super::size::hint;
use super::value::{Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerId, LayerKind};
use crate::ast::node::{self, Arg, Bind, DefKind, ExprKind as Ast, Ident, ScanDir};
use crate::check::defs::{Entry, FUNCTIONS, LAYERS};
use crate::check::names::Names;
use crate::check::program::{Expr, ExprKind, ParamId};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::{Span, Spanned};

/// Copies that `Repeat` may make.
const MAX_COPIES: i64 = 1000;

/// A stage of a pipe, without its input.
pub(super) struct Use<'a> {
    pub call: &'a node::Expr,
    pub over: Option<&'a Ident>,
    pub with: &'a [Bind],
    pub from: &'a [Bind],
}

/// `LSTM(64)` as its name and arguments.
fn call_of(e: &node::Expr) -> Option<(&str, Span, &[Arg])> {
    match &e.kind {
        Ast::Name(n) => Some((n, e.span, &[])),
        Ast::Call { callee, args } => match &callee.kind {
            Ast::Name(n) => Some((n, callee.span, args)),
            _ => None,
        },
        _ => None,
    }
}

impl Elab<'_, '_> {
    pub(super) fn is_layer_name(&mut self, f: &Frame, name: &str) -> bool {
        !f.names.contains_key(name)
            && !f.sizes.contains_key(name)
            && (LAYERS.contains(&name) || self.defs.layer(name).is_some())
    }

    /// Whether an expression makes a layer: `LSTM(64)`, `LayerNorm`.
    pub(super) fn is_layer(&mut self, f: &Frame, e: &node::Expr) -> bool {
        call_of(e).is_some_and(|(name, ..)| self.is_layer_name(f, name))
    }

    /// `input |> stage`.
    pub(super) fn stage(
        &mut self,
        f: &mut Frame,
        stage: &Use,
        scan: Option<&Spanned<ScanDir>>,
        input: (Tensor, Span),
    ) -> Value {
        let Some((name, span, args)) = call_of(stage.call) else {
            return self.error(
                Diagnostic::error(
                    "call::not-a-function",
                    "`|>` leads into a layer or a function",
                )
                .label(stage.call.span, "neither"),
            );
        };
        if let Some(dir) = scan {
            return self.scan(f, stage, dir, input.0);
        }
        if let Some(over) = stage.over {
            return self.unavailable("`over` after a stage without `scan`", over.span);
        }
        let bound = match f.names.get(name) {
            Some(Binding::Layer(l)) => Some(Binding::Layer(*l)),
            Some(Binding::Inner(i)) => Some(Binding::Inner(i.clone())),
            Some(Binding::Unknown) => return Value::Poison,
            Some(Binding::Value(_) | Binding::Param(_)) => {
                return self.error(
                    Diagnostic::error(
                        "call::not-a-function",
                        format!("`{name}` is a value, not a layer or a function"),
                    )
                    .label(span, "nothing to lead into")
                    .help("`[a, b]` joins two values; `·` applies a weight"),
                );
            }
            None => None,
        };
        match bound {
            Some(Binding::Inner(inner)) => return self.run_inner(f, &inner, stage, input.0),
            Some(Binding::Layer(l)) => return self.apply(f, l, stage, input),
            Some(Binding::Value(_) | Binding::Param(_) | Binding::Unknown) | None => {}
        }
        if name == "Repeat" {
            return self.repeat(f, stage, args, input);
        }
        if FUNCTIONS.contains(&name) || self.defs.function(name).is_some() {
            if let Some(b) = stage.with.first().or(stage.from.first()) {
                return self.no_bindings(name, b);
            }
            return self.function(f, name, span, Some(input), args);
        }
        let Some(layer) = self.make_layer(f, stage.call, None, 0) else {
            return Value::Poison;
        };
        self.apply(f, layer, stage, input)
    }

    fn no_bindings(&mut self, name: &str, b: &Bind) -> Value {
        let at = b.path.first().map_or(b.value.span, |p| p.span);
        self.error(
            Diagnostic::error(
                "call::unknown-input",
                format!("`{name}` takes nothing by `with` or `from`"),
            )
            .label(at, "not taken"),
        )
    }

    fn apply(
        &mut self,
        f: &mut Frame,
        layer: LayerId,
        stage: &Use,
        input: (Tensor, Span),
    ) -> Value {
        let (t, at) = input;
        if !self.spend(stage.call.span) {
            return Value::Poison;
        }
        match self.layers[layer.0].kind.clone() {
            LayerKind::Root | LayerKind::Unknown => Value::Poison,
            LayerKind::Linear { size, bias } => match stage.with.first().or(stage.from.first()) {
                Some(b) => self.no_bindings("Linear", b),
                None => self.linear(layer, size, bias, t, at, stage.call.span),
            },
            LayerKind::Embed { size } => match stage.with.first().or(stage.from.first()) {
                Some(b) => self.no_bindings("Embed", b),
                None => self.embed(layer, size, t, at, stage.call.span),
            },
            LayerKind::Def { entry, .. } if entry.def.kind == DefKind::Cell => {
                let name = &entry.def.name.node;
                if f.kind == FrameKind::Cell {
                    let path = self.layers[layer.0].path.clone();
                    let outer = self.layers[f.layer.0].path.clone();
                    let prefix = path.strip_prefix(&format!("{outer}.")).unwrap_or(&path);
                    return match self.inner(layer, &entry, prefix, stage.call.span) {
                        Some(inner) => {
                            let inner = std::rc::Rc::new(std::cell::RefCell::new(inner));
                            self.run_inner(f, &inner, stage, t)
                        }
                        None => Value::Poison,
                    };
                }
                self.error(
                    Diagnostic::error(
                        "cell::missing-scan",
                        format!("`{name}` is a cell: it runs one step at a time"),
                    )
                    .label(stage.call.span, "a whole sequence comes in here")
                    .help("`|> scan` runs it along the sequence")
                    .fix(
                        Span {
                            end: stage.call.span.start,
                            ..stage.call.span
                        },
                        "scan ",
                    ),
                )
            }
            LayerKind::Def { entry, .. } => self.block(f, layer, &entry, stage, t),
        }
    }

    /// `W·x + b`.
    fn linear(
        &mut self,
        layer: LayerId,
        size: Dim,
        bias: bool,
        t: Tensor,
        at: Span,
        span: Span,
    ) -> Value {
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let t = self.as_feature(t);
        let Some(from) = t.last().cloned() else {
            return Value::Poison;
        };
        let known = self.layers[layer.0].params.get("W").copied();
        let w = match known {
            Some(w) => w.0 as usize,
            None => self.make_weight(layer, "W", vec![size.clone(), from.clone()], span),
        };
        let Value::Tensor(w) = self.weight(w, span) else {
            return Value::Poison;
        };
        if self.solver.unify(&w.expr.shape[1], &from).is_err() {
            let (has, is) = (
                self.solver.show_dim(&w.expr.shape[1]),
                self.solver.show(t.core()),
            );
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("this layer takes vectors of {has} elsewhere; here {is}"),
                )
                .label(span, "one weight has one shape")
                .label(at, is),
            );
        }
        let recurrent = t.recurrent;
        if recurrent && let ExprKind::Param(p) = w.expr.kind {
            self.weights[p.0 as usize]
                .applied
                .get_or_insert(super::init::Applied::State);
        }
        let lead = t.lead;
        let mut shape = t.expr.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = size.clone();
        }
        let both = t.both;
        let product = Expr {
            kind: ExprKind::Dot(Box::new(w.expr.clone()), Box::new(t.expr)),
            shape: shape.clone(),
            span,
        };
        let out = match bias {
            false => product,
            true => {
                let known = self.layers[layer.0].params.get("b").copied();
                let b = match known {
                    Some(b) => b.0 as usize,
                    None => self.make_weight(layer, "b", vec![size], span),
                };
                let Value::Tensor(b) = self.weight(b, span) else {
                    return Value::Poison;
                };
                Expr {
                    kind: ExprKind::Binary(
                        crate::check::program::Binary::Add,
                        Box::new(product),
                        Box::new(b.expr),
                    ),
                    shape,
                    span,
                }
            }
        };
        let mut t = Tensor::new(out).lifted(lead);
        t.both = both;
        t.into()
    }

    fn embed(&mut self, layer: LayerId, size: Dim, t: Tensor, at: Span, span: Span) -> Value {
        let Some(tokens) = t.tokens.clone() else {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "token::needed",
                    format!("`Embed` takes tokens; this is {shown}"),
                )
                .label(span, "looks up a vector for each token")
                .label(at, "numbers")
                .help("`Linear(64)` makes vectors of numbers"),
            );
        };
        let known = self.layers[layer.0].params.get("table").copied();
        let table = match known {
            Some(w) => w.0 as usize,
            None => {
                let shape = vec![tokens.vocabulary.clone(), size.clone()];
                self.make_weight(layer, "table", shape, span)
            }
        };
        let Value::Tensor(w) = self.weight(table, span) else {
            return Value::Poison;
        };
        if self
            .solver
            .unify(&w.expr.shape[0], &tokens.vocabulary)
            .is_err()
        {
            let (a, b) = (
                self.solver.show_dim(&w.expr.shape[0]),
                self.solver.show_dim(&tokens.vocabulary),
            );
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("one table for two vocabularies, {a} and {b}"),
                )
                .label(span, "shared by both")
                .label(at, format!("tokens of {b}")),
            );
        }
        let shape = [t.expr.shape.as_slice(), &[size]].concat();
        Tensor::new(Expr {
            kind: ExprKind::Embed {
                table: ParamId(table as u32),
                index: Box::new(t.expr),
            },
            shape,
            span,
        })
        .lifted(t.lead)
        .into()
    }

    pub(super) fn make_weight(
        &mut self,
        layer: LayerId,
        name: &str,
        shape: Vec<Dim>,
        span: Span,
    ) -> usize {
        // A weight is more than an expression: it is stored, listed and trained.
        self.spend(span);
        let mut w = Weight::new(format!("{}.{name}", self.layers[layer.0].path), span);
        w.shape = Some(shape);
        self.add_weight(layer, name, w)
    }

    fn block(
        &mut self,
        f: &mut Frame,
        layer: LayerId,
        entry: &std::rc::Rc<Entry>,
        stage: &Use,
        input: Tensor,
    ) -> Value {
        let name = &entry.def.name.node;
        let span = stage.call.span;
        if let Some(b) = stage.from.first() {
            return self.no_bindings(name, b);
        }
        let mut with = Vec::new();
        for b in stage.with {
            match self.expr(f, &b.value) {
                Value::Tensor(t) => with.push((b, *t)),
                Value::Poison => return Value::Poison,
            }
        }
        if !self.enter(name, span) {
            return Value::Poison;
        }
        let value = self.block_body(layer, entry, &with, input, span);
        self.leave();
        value
    }

    fn block_body(
        &mut self,
        layer: LayerId,
        entry: &std::rc::Rc<Entry>,
        with: &[(&Bind, Tensor)],
        input: Tensor,
        span: Span,
    ) -> Value {
        let mut names = Names::of(&entry.def.body);
        names.sort(&mut Vec::new());
        let inner = self.frame(layer, entry, &names);
        let name = &entry.def.name.node;
        let Some(given) = self.assign_inputs(name, &names, &input, span, with) else {
            return Value::Poison;
        };
        let mut args = Args::new();
        let mut leads = Vec::new();
        let mut good = true;
        for (d, t, at) in given {
            let outer_lead = t.lead;
            match self.fit(&inner, &d, t, at, true) {
                Some(t) => {
                    let t = self.bind(&d.name.node, t, d.name.span);
                    if t.lead > 0 {
                        leads.push((t.expr.shape[..t.lead].to_vec(), outer_lead));
                    }
                    args.insert(d.name.node.clone(), (t, at));
                }
                None => good = false,
            }
        }
        if !good || !self.same_lead(&leads, span) {
            return Value::Poison;
        }
        let value = self.run(inner, entry, &names, args, &[], &BTreeMap::new());
        self.shallow(lower_lead(value, &leads), name, span)
    }

    /// `Repeat(6, Layer)`: copies one after another, each with its own weights.
    fn repeat(&mut self, f: &mut Frame, stage: &Use, args: &[Arg], input: (Tensor, Span)) -> Value {
        let [times, inner] = args else {
            return self.error(
                Diagnostic::error("call::arguments", "`Repeat` takes a number and a layer")
                    .label(stage.call.span, "for example `Repeat(6, Layer)`"),
            );
        };
        let Some(n) = self.whole(f, &times.value) else {
            return Value::Poison;
        };
        if !(1..=MAX_COPIES).contains(&n) {
            return self.error(
                Diagnostic::error(
                    "limit::expansion",
                    format!("`Repeat` makes 1 to {MAX_COPIES} copies, not {n}"),
                )
                .label(times.value.span, "copies"),
            );
        }
        let name = match call_of(&inner.value) {
            Some((name, ..)) if self.is_layer_name(f, name) => name.to_lowercase(),
            _ => {
                return self.error(
                    Diagnostic::error("call::arguments", "`Repeat` takes a number and a layer")
                        .label(inner.value.span, "not a layer"),
                );
            }
        };
        // One path for the stack, numbered inside: layer.0, layer.1, …
        let key = (stage.call.span, usize::MAX);
        let holder = match self.layers[f.layer.0].subs.get(&key) {
            Some(l) => *l,
            None => {
                let path = self.sub_path(f.layer, &name);
                let l = self.new_layer(LayerKind::Unknown, path, stage.call.span);
                self.layers[f.layer.0].subs.insert(key, l);
                l
            }
        };
        if let Some(counter) = &times.counter
            && (f.sizes.contains_key(&counter.node) || f.names.contains_key(&counter.node))
        {
            return self.error(
                Diagnostic::error(
                    "name::clash",
                    format!("`{}` counts copies and names something else", counter.node),
                )
                .label(counter.span, "needs another name"),
            );
        }
        let mut value = Some(input);
        for i in 0..n as usize {
            let numbered = i.to_string();
            let outer = std::mem::replace(&mut f.layer, holder);
            if let Some(counter) = &times.counter {
                // `Repeat(8 as i, Conv(H, dilation = 2^i))` counts from 0.
                let at = Dim::constant(i as i64);
                f.sizes.insert(counter.node.clone(), at);
            }
            let layer = self.make_layer(f, &inner.value, Some(&numbered), i);
            f.layer = outer;
            let (Some(layer), Some(given)) = (layer, value.take()) else {
                break;
            };
            let one = Use {
                call: &inner.value,
                over: stage.over,
                with: stage.with,
                from: stage.from,
            };
            match self.apply(f, layer, &one, given) {
                Value::Tensor(t) => {
                    let t = self.bind(&name, *t, inner.value.span);
                    value = Some((t, inner.value.span));
                }
                Value::Poison => break,
            }
        }
        if let Some(counter) = &times.counter {
            f.sizes.remove(&counter.node);
        }
        value.map_or(Value::Poison, |(t, _)| t.into())
    }

    /// The layer that a stage runs; the second copy is the reverse half of `scan both`.
    pub(super) fn layer_of(
        &mut self,
        f: &mut Frame,
        call: &node::Expr,
        copy: usize,
    ) -> Option<LayerId> {
        let base = match call_of(call) {
            Some((name, span, _)) => match f.names.get(name) {
                Some(Binding::Layer(l)) => *l,
                Some(Binding::Inner(_)) => {
                    self.unavailable("a scan inside a cell", span);
                    return None;
                }
                Some(Binding::Unknown) => return None,
                Some(Binding::Value(_) | Binding::Param(_)) => {
                    self.error(
                        Diagnostic::error(
                            "scan::not-a-cell",
                            format!("`{name}` is a value; `scan` runs a cell"),
                        )
                        .label(span, "not a cell"),
                    );
                    return None;
                }
                None => self.make_layer(f, call, None, 0)?,
            },
            None => {
                self.error(
                    Diagnostic::error("scan::not-a-cell", "`scan` runs a cell")
                        .label(call.span, "not a cell"),
                );
                return None;
            }
        };
        if copy == 0 {
            return Some(base);
        }
        let key = (self.layers[base.0].span, copy);
        if let Some(l) = self.layers[base.0].subs.get(&key) {
            return Some(*l);
        }
        let path = format!("{}_reverse", self.layers[base.0].path);
        let l = self.new_layer(self.layers[base.0].kind.clone(), path, call.span);
        self.layers[base.0].subs.insert(key, l);
        Some(l)
    }

    /// The layer that `call` makes at this place; `name` where it is bound to one.
    pub(super) fn make_layer(
        &mut self,
        f: &mut Frame,
        call: &node::Expr,
        name: Option<&str>,
        copy: usize,
    ) -> Option<LayerId> {
        let key = (call.span, copy);
        if let Some(l) = self.layers[f.layer.0].subs.get(&key) {
            return Some(*l);
        }
        let (callee, span, args) = call_of(call)?;
        let kind = self.layer_kind(f, callee, span, args);
        let path = match name {
            Some(n) => match self.layers[f.layer.0].path.as_str() {
                "" => n.to_string(),
                path => format!("{path}.{n}"),
            },
            None => self.sub_path(f.layer, &callee.to_lowercase()),
        };
        let l = self.new_layer(kind?, path, call.span);
        self.layers[f.layer.0].subs.insert(key, l);
        Some(l)
    }

    fn layer_kind(
        &mut self,
        f: &mut Frame,
        callee: &str,
        span: Span,
        args: &[Arg],
    ) -> Option<LayerKind> {
        for a in args {
            if let Ast::Name(n) = &a.value.kind
                && matches!(f.names.get(n), Some(Binding::Value(_) | Binding::Param(_)))
                && !f.sizes.contains_key(n)
            {
                self.error(
                    Diagnostic::error(
                        "call::value-in-brackets",
                        format!("`{n}` is a value; brackets after a layer hold sizes"),
                    )
                    .label(a.value.span, "a value")
                    .help(format!("values reach a layer by `|>`: `{n} |> {callee}`")),
                );
                return None;
            }
        }
        match callee {
            "Linear" => {
                let [size, bias] = self.arguments(callee, span, args, ["n", "bias"], 1)?;
                let size = match size {
                    Some(e) => self.size(f, e, "N")?,
                    None => {
                        let d = self.solver.unknown();
                        self.wanted.push((d.clone(), span, "`Linear`".into()));
                        d
                    }
                };
                let bias = match bias {
                    Some(e) => self.switch(e)?,
                    None => true,
                };
                Some(LayerKind::Linear { size, bias })
            }
            "Embed" => {
                let [size] = self.arguments(callee, span, args, ["n"], 1)?;
                let Some(size) = size else {
                    self.missing_size(callee, "n", span);
                    return None;
                };
                let size = self.size(f, size, "E")?;
                Some(LayerKind::Embed { size })
            }
            "BatchNorm" | "AddPosition" | "Conv" | "Repeat" => {
                self.unavailable(&format!("`{callee}`"), span);
                None
            }
            _ => match self.defs.layer(callee) {
                Some(entry) => self.instance(f, callee, span, args, &entry),
                None => {
                    let mut known = self.defs.layer_names();
                    known.extend(self.defs.function_names());
                    known.extend(f.names.keys().cloned());
                    let mut d = Diagnostic::error(
                        "name::unknown",
                        format!("no layer or function is called `{callee}`"),
                    )
                    .label(span, "unknown");
                    if let Some(near) = nearest(callee, known.iter().map(String::as_str)) {
                        d = d.help(format!("did you mean `{near}`?")).fix(span, near);
                    }
                    self.error(d);
                    None
                }
            },
        }
    }

    /// Sizes of a cell or block, by position or by name, with its defaults.
    fn instance(
        &mut self,
        f: &mut Frame,
        callee: &str,
        span: Span,
        args: &[Arg],
        entry: &std::rc::Rc<Entry>,
    ) -> Option<LayerKind> {
        let formals: Vec<&str> = entry
            .def
            .sizes
            .iter()
            .map(|s| s.name.node.as_str())
            .collect();
        let mut sizes = BTreeMap::new();
        let mut next = 0;
        for a in args {
            let formal = match &a.name {
                Some(n) => match formals.iter().find(|x| **x == n.node) {
                    Some(x) => *x,
                    None => {
                        self.unknown_argument(callee, n, &formals);
                        return None;
                    }
                },
                None => {
                    next += 1;
                    match formals.get(next - 1) {
                        Some(x) => *x,
                        None => {
                            self.too_many(callee, formals.len(), &a.value);
                            return None;
                        }
                    }
                }
            };
            let d = self.size(f, &a.value, &hint(formal))?;
            sizes.insert(formal.to_string(), d);
        }
        for s in &entry.def.sizes {
            let n = &s.name.node;
            if sizes.contains_key(n) {
                continue;
            }
            let Some(default) = &s.default else {
                self.missing_size(callee, n, span);
                return None;
            };
            let inner = Frame {
                kind: FrameKind::Block,
                globals: entry.globals.clone(),
                sizes: sizes.clone(),
                names: BTreeMap::new(),
                layer: f.layer,
                index_form: false,
            };
            let d = self.size(&inner, default, &hint(n))?;
            sizes.insert(n.clone(), d);
        }
        Some(LayerKind::Def {
            entry: entry.clone(),
            sizes,
        })
    }

    fn missing_size(&mut self, callee: &str, formal: &str, span: Span) {
        self.error(
            Diagnostic::error(
                "call::arguments",
                format!("`{callee}` needs its size `{formal}`"),
            )
            .label(span, "no size given")
            .help(format!("for example `{callee}(64)`")),
        );
    }

    fn too_many(&mut self, callee: &str, takes: usize, extra: &node::Expr) {
        let takes = match takes {
            0 => "no size".to_string(),
            1 => "1 size".to_string(),
            n => format!("{n} sizes"),
        };
        self.error(
            Diagnostic::error(
                "call::arguments",
                format!("`{callee}` takes {takes}; one is extra"),
            )
            .label(extra.span, "extra"),
        );
    }

    /// Arguments of a primitive: the first `positional` may stand without a name.
    fn arguments<'e, const N: usize>(
        &mut self,
        callee: &str,
        _span: Span,
        args: &'e [Arg],
        names: [&str; N],
        positional: usize,
    ) -> Option<[Option<&'e node::Expr>; N]> {
        let mut out = [None; N];
        let mut next = 0;
        for a in args {
            let at = match &a.name {
                Some(n) => match names.iter().position(|x| *x == n.node) {
                    Some(i) => i,
                    None => {
                        self.unknown_argument(callee, n, &names);
                        return None;
                    }
                },
                None => {
                    next += 1;
                    if next > positional {
                        self.too_many(callee, positional, &a.value);
                        return None;
                    }
                    next - 1
                }
            };
            out[at] = Some(&a.value);
        }
        Some(out)
    }
}
