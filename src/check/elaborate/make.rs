//! Layers made from a call: its sizes, its path, its weights shared by every use of a name.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::cell::Inner;
use super::size::hint;
use super::{Binding, Elab, Frame, FrameKind, Layer, LayerId, LayerKind};
use crate::ast::node::{self, Arg, DefKind, ExprKind as Ast};
use crate::check::defs::Entry;
use crate::check::names::Names;
use crate::diagnostics::{Diagnostic, Label, nearest};
use crate::span::Span;

impl Elab<'_, '_> {
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

    pub(super) fn layer_kind(
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
            "AddPosition" => {
                let [max] = self.arguments(callee, span, args, ["max"], 1)?;
                let Some(max) = max else {
                    self.missing_size(callee, "max", span);
                    return None;
                };
                let max = self.size(f, max, "P")?;
                Some(LayerKind::Position { max })
            }
            "BatchNorm" | "Repeat" => {
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
                    let near = match callee {
                        "Dense" | "FullyConnected" => Some("Linear"),
                        "Embedding" => Some("Embed"),
                        _ => nearest(callee, known.iter().map(String::as_str)),
                    };
                    if let Some(near) = near {
                        d = d.help(format!("did you mean `{near}`?")).fix(span, near);
                    }
                    self.error(d);
                    None
                }
            },
        }
    }

    /// Sizes of a cell or block, by position or by name, with its defaults.
    pub(super) fn instance(
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
                indices: Default::default(),
            };
            let before = self.diagnostics.len();
            let Some(d) = self.size(&inner, default, &hint(n)) else {
                // The numbers come from here, the formula may be the library's.
                for e in &mut self.diagnostics[before..] {
                    let apart = e.labels.iter().all(|l| l.span.file != span.file);
                    if apart {
                        let label = Label {
                            span,
                            text: format!("its size `{n}` is computed from these"),
                        };
                        e.labels.insert(0, label);
                    }
                }
                return None;
            };
            sizes.insert(n.clone(), d);
        }
        Some(LayerKind::Def {
            entry: entry.clone(),
            sizes,
        })
    }

    pub(super) fn missing_size(&mut self, callee: &str, formal: &str, span: Span) {
        self.error(
            Diagnostic::error(
                "call::arguments",
                format!("`{callee}` needs its size `{formal}`"),
            )
            .label(span, "no size given")
            .help(format!("for example `{formal} = 64` among its sizes")),
        );
    }

    pub(super) fn too_many(&mut self, callee: &str, takes: usize, extra: &node::Expr) {
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
    pub(super) fn arguments<'e, const N: usize>(
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

    /// `words = Embed(E)`, or `gru = GRU(H)` inside a cell.
    pub(super) fn bind_layer(
        &mut self,
        f: &mut Frame,
        name: &node::Ident,
        call: &node::Expr,
    ) -> Binding {
        let Some(layer) = self.make_layer(f, call, Some(&name.node), 0) else {
            return Binding::Unknown;
        };
        let cell = match &self.layers[layer.0].kind {
            LayerKind::Def { entry, .. } if entry.def.kind == DefKind::Cell => Some(entry.clone()),
            _ => None,
        };
        match cell {
            Some(entry) if f.kind == FrameKind::Cell => {
                match self.inner(layer, &entry, &name.node, call.span) {
                    Some(inner) => Binding::Inner(Rc::new(RefCell::new(inner))),
                    None => Binding::Unknown,
                }
            }
            _ => Binding::Layer(layer),
        }
    }

    /// The states of a cell inside a cell exist before it runs: `gru.h` is the one before.
    pub(super) fn inner(
        &mut self,
        layer: LayerId,
        entry: &Rc<Entry>,
        prefix: &str,
        span: Span,
    ) -> Option<Inner> {
        let names = Names::of(&entry.def.body);
        let frame = self.frame(layer, entry, &names);
        let states = self.states(&frame, &names, &format!("{prefix}."));
        Some(Inner {
            layer,
            entry: entry.clone(),
            sizes: frame.sizes,
            states,
            ran: false,
            span,
        })
    }

    pub(super) fn new_layer(&mut self, kind: LayerKind, path: String, span: Span) -> LayerId {
        self.layers.push(Layer::new(kind, path, span));
        LayerId(self.layers.len() - 1)
    }
}

/// `LSTM(64)` as its name and arguments.
pub(super) fn call_of(e: &node::Expr) -> Option<(&str, Span, &[Arg])> {
    match &e.kind {
        Ast::Name(n) => Some((n, e.span, &[])),
        Ast::Call { callee, args } => match &callee.kind {
            Ast::Name(n) => Some((n, callee.span, args)),
            _ => None,
        },
        _ => None,
    }
}
