//! Functions: which one a name means, what it takes, and the file's own, inlined.

use super::expr::path_of;
use super::value::{Pending, Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind};
use crate::ast::node::{self, Arg, ExprKind as Ast};
use crate::check::program::{Binary, Expr, ExprKind, Unary};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::Span;

/// What a call has: values in order (the piped one first) and named settings.
pub(super) struct Given<'a> {
    pub values: Vec<(Value, Span)>,
    /// Positional arguments not evaluated yet, for numbers such as a probability.
    pub rest: Vec<&'a node::Expr>,
    pub named: Vec<(&'a node::Ident, &'a node::Expr)>,
}

impl Elab<'_, '_> {
    /// `name(args)`, with the value before `|>` first where there is one.
    pub(super) fn function(
        &mut self,
        f: &mut Frame,
        name: &str,
        span: Span,
        piped: Option<(Tensor, Span)>,
        args: &[Arg],
    ) -> Value {
        match f.names.get(name) {
            Some(Binding::Layer(_) | Binding::Inner(_)) => {
                return self.error(
                    Diagnostic::error(
                        "call::value-in-brackets",
                        format!("`{name}` is a layer: values reach it by `|>`"),
                    )
                    .label(span, "called like a function")
                    .help(format!("write `x |> {name}`")),
                );
            }
            Some(_) => {
                return self.error(
                    Diagnostic::error(
                        "call::not-a-function",
                        format!("`{name}` is a value, not a function"),
                    )
                    .label(span, "called here"),
                );
            }
            None => {}
        }
        if let Some(entry) = self.defs.function(name) {
            return self.own_function(f, &entry, span, piped, args);
        }
        let Some((values, plain, list)) = takes(name) else {
            return self.no_function(name, span);
        };
        let named: Vec<_> = args
            .iter()
            .filter_map(|a| a.name.as_ref().map(|n| (n, &a.value)))
            .collect();
        let mut positional: Vec<&node::Expr> = args
            .iter()
            .filter(|a| a.name.is_none())
            .map(|a| &a.value)
            .collect();
        let has_pipe = usize::from(piped.is_some());
        let total = positional.len() + has_pipe;
        // One argument of max and min is a reduction.
        let least = if matches!(name, "max" | "min") {
            1
        } else {
            values
        };
        let most = if matches!(name, "max" | "min") {
            8
        } else {
            values + plain
        };
        if total < least || total > most {
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("`{name}` takes {least} to {most} values; it is given {total}")
                        .replace(&format!("{least} to {least} values"), &count(least)),
                )
                .label(span, format!("`{name}({list})`")),
            );
        }
        let mut given = Given {
            values: piped
                .map(|(t, at)| (Value::from(t), at))
                .into_iter()
                .collect(),
            rest: Vec::new(),
            named,
        };
        let take = if matches!(name, "max" | "min") {
            8
        } else {
            values
        };
        let evaluated = positional.len().min(take.saturating_sub(has_pipe));
        given.rest = positional.split_off(evaluated);
        for e in positional {
            // `first(x)` and its like read the scan behind a name, so no copy is made.
            let v = self.expr(f, e);
            given.values.push((v, e.span));
        }
        self.primitive(f, name, span, given)
    }

    pub(super) fn no_function(&mut self, name: &str, span: Span) -> Value {
        if matches!(name, "route" | "mod" | "floor" | "split") {
            return match name {
                "split" => self.error(
                    Diagnostic::error("call::arguments", "`split` gives several values")
                        .label(span, "one value is needed here")
                        .help("`a, b = split(z, 2)` names the parts"),
                ),
                _ => self.unavailable(&format!("`{name}`"), span),
            };
        }
        if matches!(name, "uniform" | "randint" | "length" | "next") {
            return self.error(
                Diagnostic::error(
                    "name::unknown",
                    format!("`{name}` belongs to `data` blocks"),
                )
                .label(span, "not in a model"),
            );
        }
        let known = self.defs.function_names();
        let mut d = Diagnostic::error("name::unknown", format!("no function is called `{name}`"))
            .label(span, "unknown function");
        if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
            d = d.help(format!("did you mean `{near}`?")).fix(span, near);
        }
        self.error(d)
    }

    pub(super) fn primitive(
        &mut self,
        f: &mut Frame,
        name: &str,
        span: Span,
        given: Given,
    ) -> Value {
        let allowed: &[&str] = if name == "dropout" {
            &["share", "p"]
        } else {
            &[]
        };
        for (n, _) in &given.named {
            if !allowed.contains(&n.node.as_str()) {
                return self.unknown_argument(name, n, allowed);
            }
        }
        if given.values.iter().any(|(v, _)| matches!(v, Value::Poison)) {
            return Value::Poison;
        }
        let mut values: Vec<(Tensor, Span)> = given
            .values
            .iter()
            .filter_map(|(v, at)| match v {
                Value::Tensor(t) => Some(((**t).clone(), *at)),
                Value::Poison => None,
            })
            .collect();
        if let Some(op) = elementwise(name) {
            let (t, at) = values.remove(0);
            return self.unary(op, t.into(), span, at);
        }
        match name {
            "normal" => {
                let path = self.random_path(f.layer, "normal");
                let mut t = Tensor::new(Expr {
                    kind: ExprKind::Normal { path },
                    shape: Vec::new(),
                    span,
                });
                t.pending = Some(Pending::Draw);
                t.into()
            }
            "max" | "min" if values.len() > 1 => {
                let op = if name == "max" {
                    Binary::Max
                } else {
                    Binary::Min
                };
                let mut rest = values.into_iter();
                let Some(mut left) = rest.next() else {
                    return Value::Poison;
                };
                for right in rest {
                    match self.binary(op, left, right, span) {
                        Value::Tensor(t) => left = (*t, span),
                        Value::Poison => return Value::Poison,
                    }
                }
                left.0.into()
            }
            "clip" => {
                let (high, low, x) = (values.remove(2), values.remove(1), values.remove(0));
                match self.binary(Binary::Max, x, low, span) {
                    Value::Tensor(t) => self.binary(Binary::Min, (*t, span), high, span),
                    Value::Poison => Value::Poison,
                }
            }
            "choose" => {
                let Some((mut parts, shape, lead)) = self.align(values, span, "choose") else {
                    return Value::Poison;
                };
                let (Some(c), Some(b), Some(a)) = (parts.pop(), parts.pop(), parts.pop()) else {
                    return Value::Poison;
                };
                Tensor::new(Expr {
                    kind: ExprKind::Choose(Box::new(a), Box::new(b), Box::new(c)),
                    shape,
                    span,
                })
                .lifted(lead)
                .into()
            }
            "sum" | "mean" | "max" | "min" | "softmax" => {
                let (t, at) = values.remove(0);
                self.over_features(name, t, at, span)
            }
            "first" | "last" | "final" => {
                let (t, at) = values.remove(0);
                self.end_of(name, t, at, span)
            }
            "dropout" => {
                let (t, at) = values.remove(0);
                self.dropout(f, t, at, &given, span)
            }
            "zoneout" => self.zoneout(f, values, &given, span),
            "previous" => {
                let (t, at) = values.remove(0);
                self.previous(f, t, at, &given, span)
            }
            "reveal" => {
                let (t, at) = values.remove(0);
                match t.input.filter(|v| self.is_target(*v)) {
                    Some(v) => Tensor {
                        expr: Expr {
                            kind: ExprKind::Reveal(v),
                            span,
                            ..t.expr
                        },
                        input: None,
                        ..t
                    }
                    .into(),
                    None => self.error(
                        Diagnostic::error("predict::not-a-target", "`reveal` takes a target")
                            .label(at, "not a target"),
                    ),
                }
            }
            _ => self.no_function(name, span),
        }
    }

    pub(super) fn unknown_argument(
        &mut self,
        name: &str,
        arg: &node::Ident,
        allowed: &[&str],
    ) -> Value {
        let d = Diagnostic::error(
            "call::unknown-argument",
            format!("`{name}` has no setting `{}`", arg.node),
        )
        .label(arg.span, "unknown");
        let d = match nearest(&arg.node, allowed.iter().copied()) {
            Some(n) => d.help(format!("did you mean `{n}`?")).fix(arg.span, n),
            None if allowed.is_empty() => d,
            None => d.help(format!("it has {}", allowed.join(", "))),
        };
        self.error(d)
    }

    /// A function of the file, inlined.
    pub(super) fn own_function(
        &mut self,
        f: &mut Frame,
        entry: &std::rc::Rc<crate::check::defs::FnEntry>,
        span: Span,
        piped: Option<(Tensor, Span)>,
        args: &[Arg],
    ) -> Value {
        let name = &entry.def.name.node;
        let mut values: Vec<(Value, Span)> = piped
            .map(|(t, at)| (Value::from(t), at))
            .into_iter()
            .collect();
        for a in args {
            if let Some(n) = &a.name {
                return self.unknown_argument(name, n, &[]);
            }
            let v = self.expr(f, &a.value);
            values.push((v, a.value.span));
        }
        let wanted = entry.def.params.len();
        if values.len() != wanted {
            let listed: Vec<&str> = entry
                .def
                .params
                .iter()
                .map(|(n, _)| n.node.as_str())
                .collect();
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!(
                        "`{name}` takes {}; it is given {}",
                        count(wanted),
                        values.len()
                    ),
                )
                .label(span, format!("`{name}({})`", listed.join(", "))),
            );
        }
        if values.iter().any(|(v, _)| matches!(v, Value::Poison)) || !self.enter(name, span) {
            return Value::Poison;
        }
        let mut inner = Frame {
            kind: FrameKind::Function,
            globals: entry.globals.clone(),
            sizes: Default::default(),
            names: Default::default(),
            layer: f.layer,
            index_form: false,
        };
        // A function in a cell sees one step too.
        self.globals(&mut inner, true);
        for (_, ty) in &entry.def.params {
            for size in ty.iter().flat_map(|t| t.shape.iter().flatten()) {
                if let Ast::Name(n) = &size.kind
                    && !inner.sizes.contains_key(n)
                {
                    let d = self.solver.unknown();
                    inner.sizes.insert(n.clone(), d);
                }
            }
        }
        let mut good = true;
        let mut leads = Vec::new();
        for ((param, ty), (v, at)) in entry.def.params.iter().zip(values) {
            let Value::Tensor(t) = v else { continue };
            let outer_lead = t.lead;
            let decl = crate::check::names::Decl {
                kind: node::DeclKind::Input,
                name: param,
                ty: ty.as_ref(),
                init: None,
                value: None,
            };
            match self.fit(&inner, &decl, *t, at, true) {
                Some(t) => {
                    let t = self.bind(&param.node, t, param.span);
                    if t.lead > 0 {
                        leads.push((t.expr.shape[..t.lead].to_vec(), outer_lead));
                    }
                    inner
                        .names
                        .insert(param.node.clone(), Binding::Value(t.into()));
                }
                None => good = false,
            }
        }
        let value = match good && self.same_lead(&leads, span) {
            true => self.function_body(&mut inner, entry),
            false => Value::Poison,
        };
        self.leave();
        self.shallow(lower_lead(value, &leads), name, span)
    }

    /// All inputs that are lifted are lifted over the same axes.
    pub(super) fn same_lead(&mut self, leads: &[(Vec<Dim>, usize)], span: Span) -> bool {
        let Some((first, _)) = leads.first() else {
            return true;
        };
        for (other, _) in leads {
            if !self.agree(first, other) {
                let (a, b) = (self.solver.show(first), self.solver.show(other));
                self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("inputs repeat over different axes: {a} and {b}"),
                    )
                    .label(span, "applied at every one of them"),
                );
                return false;
            }
        }
        true
    }

    /// `yes` or `no`.
    pub(super) fn switch(&mut self, e: &node::Expr) -> Option<bool> {
        match path_of(e).as_deref() {
            Some(["yes"]) => Some(true),
            Some(["no"]) => Some(false),
            _ => {
                self.error(
                    Diagnostic::error("call::arguments", "this setting is `yes` or `no`")
                        .label(e.span, "neither"),
                );
                None
            }
        }
    }
}

pub(super) fn elementwise(name: &str) -> Option<Unary> {
    Some(match name {
        "exp" => Unary::Exp,
        "log" => Unary::Log,
        "sqrt" => Unary::Sqrt,
        "abs" => Unary::Abs,
        "tanh" => Unary::Tanh,
        "σ" | "sigmoid" => Unary::Sigmoid,
        "relu" => Unary::Relu,
        "gelu" => Unary::Gelu,
        "silu" => Unary::Silu,
        "softplus" => Unary::Softplus,
        "sin" => Unary::Sin,
        "cos" => Unary::Cos,
        "step" => Unary::Step,
        _ => return None,
    })
}

/// How many values each function takes, and how many plain arguments may follow.
pub(super) fn takes(name: &str) -> Option<(usize, usize, &'static str)> {
    if elementwise(name).is_some() {
        return Some((1, 0, "x"));
    }
    Some(match name {
        "sum" | "mean" | "softmax" | "first" | "last" | "final" | "reveal" => (1, 0, "x"),
        "max" | "min" => (2, 0, "a, b"),
        "clip" | "choose" => (
            3,
            0,
            if name == "clip" {
                "x, low, high"
            } else {
                "cond, a, b"
            },
        ),
        "dropout" => (1, 1, "x, p"),
        "zoneout" => (2, 1, "old, new, p"),
        "previous" => (1, 1, "y"),
        "normal" => (0, 0, ""),
        _ => return None,
    })
}

/// The value of an inlined body, seen from where it was used: what depends on a lifted input is
/// lifted over what that input was lifted over outside.
pub(super) fn lower_lead(value: Value, leads: &[(Vec<Dim>, usize)]) -> Value {
    match value {
        Value::Tensor(t) => {
            let outer = leads.iter().map(|(_, o)| *o).max().unwrap_or(0);
            let lead = if t.lead > 0 { outer } else { 0 };
            t.lifted(lead).into()
        }
        Value::Poison => Value::Poison,
    }
}

pub(super) fn count(n: usize) -> String {
    match n {
        0 => "no values".into(),
        1 => "1 value".into(),
        n => format!("{n} values"),
    }
}
