//! Functions: which one a name means, what it takes, and the file's own, inlined.

use super::expr::path_of;
use super::value::{Pending, Tensor, Value};
use super::{Binding, Elab, Frame};
use crate::ast::node::{self, Arg};
use crate::check::program::{Binary, Expr, ExprKind, Unary};
use crate::diagnostics::{Diagnostic, nearest};
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
        if matches!(name, "mod" | "floor" | "split") {
            return match name {
                "split" => self.error(
                    Diagnostic::error("call::arguments", "`split` gives several values")
                        .label(span, "one value is needed here")
                        .help("`a, b = split(z, 2)` names the parts"),
                ),
                "mod" => self.error(
                    Diagnostic::error(
                        "call::arguments",
                        "`mod` stands in a condition, with a whole number or size",
                    )
                    .label(span, "not of that form")
                    .help("for example `where mod(s, 4) == 0`"),
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
        let allowed: &[&str] = match name {
            "dropout" => &["share", "p"],
            "route" => &["top"],
            _ => &[],
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
                let t = Tensor::new(Expr {
                    kind: ExprKind::Choose(Box::new(a), Box::new(b), Box::new(c)),
                    shape,
                    span,
                });
                lead.of(t).into()
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
            "route" => {
                let (t, at) = values.remove(0);
                self.route(f, t, at, &given, span)
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
        "route" => (1, 0, "top = k"),
        "zoneout" => (2, 1, "old, new, p"),
        "previous" => (1, 1, "y"),
        "normal" => (0, 0, ""),
        _ => return None,
    })
}

pub(super) fn count(n: usize) -> String {
    match n {
        0 => "no values".into(),
        1 => "1 value".into(),
        n => format!("{n} values"),
    }
}
