//! Stages of a pipe: what stands on the right of `|>`.

use std::collections::BTreeMap;

use super::function::lower_lead;
use super::input::Args;
use super::make::call_of;
use super::value::{Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerId, LayerKind};
use crate::ast::node::{self, Arg, Bind, DefKind, Ident, ScanDir};
use crate::check::defs::{Entry, FUNCTIONS, LAYERS};
use crate::check::names::Names;
use crate::diagnostics::Diagnostic;
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
            return self.unavailable("`over` after no `scan`", over.span);
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

    pub(super) fn no_bindings(&mut self, name: &str, b: &Bind) -> Value {
        let at = b.path.first().map_or(b.value.span, |p| p.span);
        self.error(
            Diagnostic::error(
                "call::unknown-input",
                format!("`{name}` takes nothing by `with` or `from`"),
            )
            .label(at, "not taken"),
        )
    }

    pub(super) fn apply(
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
            LayerKind::Position { max } => match stage.with.first().or(stage.from.first()) {
                Some(b) => self.no_bindings("AddPosition", b),
                None => self.add_position(layer, max, t, at, stage.call.span),
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

    pub(super) fn block(
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

    pub(super) fn block_body(
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
        let mut given = given;
        let marks = self.meet_given(given.iter_mut().map(|(_, t, _)| t));
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
        self.shallow(lower_lead(value, &leads, marks), name, span)
    }

    /// `Repeat(6, Layer)`: copies one after another, each with its own weights.
    pub(super) fn repeat(
        &mut self,
        f: &mut Frame,
        stage: &Use,
        args: &[Arg],
        input: (Tensor, Span),
    ) -> Value {
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
}
