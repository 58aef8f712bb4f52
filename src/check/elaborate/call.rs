//! Functions: elementwise ones, reductions, random draws, the target's past, and the file's own.

use super::body::constant_or;
use super::cell::expand;
use super::ops::path_of;
use super::value::{Pending, Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerKind};
use crate::ast::node::{self, Arg, ExprKind as Ast};
use crate::check::program::{Binary, Expr, ExprKind, Reduce, Unary};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::Span;

/// What a call has: values in order (the piped one first) and named settings.
struct Given<'a> {
    values: Vec<(Value, Span)>,
    /// Positional arguments not evaluated yet, for numbers such as a probability.
    rest: Vec<&'a node::Expr>,
    named: Vec<(&'a node::Ident, &'a node::Expr)>,
}

fn elementwise(name: &str) -> Option<Unary> {
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
fn takes(name: &str) -> Option<(usize, usize, &'static str)> {
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

    fn no_function(&mut self, name: &str, span: Span) -> Value {
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

    fn primitive(&mut self, f: &mut Frame, name: &str, span: Span, given: Given) -> Value {
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

    pub(super) fn is_target(&self, v: crate::check::program::VarId) -> bool {
        self.inputs
            .iter()
            .any(|i| i.var == v && i.kind == crate::check::program::InputKind::Target)
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

    /// `mean(x)`: over the features; a time needs to be named.
    fn over_features(&mut self, name: &str, t: Tensor, at: Span, span: Span) -> Value {
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let Some(last) = t.last().cloned() else {
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("`{name}` runs over features; this is a number"),
                )
                .label(span, "nothing to run over")
                .label(at, "a number"),
            );
        };
        if self.solver.is_time(&last) {
            let t_name = self.solver.show_dim(&last);
            return self.error(
                Diagnostic::error(
                    "shape::time-as-feature",
                    format!("`{name}` runs over features, but the last axis is the time {t_name}"),
                )
                .label(span, "over which axis?")
                .help(format!(
                    "write `{name}(…) over {t_name}` if the time is meant"
                )),
            );
        }
        let axis = t.expr.shape.len() - 1;
        self.reduce_named(name, t, axis, span)
    }

    fn reduce_named(&mut self, name: &str, t: Tensor, axis: usize, span: Span) -> Value {
        let op = match name {
            "sum" => Reduce::Sum,
            "mean" => Reduce::Mean,
            "max" => Reduce::Max,
            "min" => {
                // min x = −max −x
                let neg = self.unary(Unary::Neg, t.into(), span, span);
                let Value::Tensor(neg) = neg else {
                    return Value::Poison;
                };
                let max = self.reduce(Reduce::Max, *neg, axis, span);
                return self.unary(Unary::Neg, max, span, span);
            }
            _ => {
                let shape = t.expr.shape.clone();
                return Tensor::new(Expr {
                    kind: ExprKind::Softmax(Box::new(t.expr)),
                    shape,
                    span,
                })
                .lifted(t.lead)
                .into();
            }
        };
        self.reduce(op, t, axis, span)
    }

    /// `mean(h) over T`.
    pub(super) fn over(
        &mut self,
        f: &mut Frame,
        value: &node::Expr,
        over_span: Span,
        axes: &[node::Ident],
        cond: Option<&node::Expr>,
    ) -> Value {
        let ([axis], None, Ast::Call { callee, args }) = (axes, cond, &value.kind) else {
            return self.index_form(f, over_span);
        };
        let (Ast::Name(name), [arg]) = (&callee.kind, args.as_slice()) else {
            return self.index_form(f, over_span);
        };
        if !matches!(name.as_str(), "sum" | "mean" | "max" | "min" | "softmax") {
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!("`{name}` does not run over an axis"),
                )
                .label(over_span, "belongs to sum, mean, max, min and softmax"),
            );
        }
        let Some(wanted) = f.sizes.get(&axis.node).cloned() else {
            return self.index_form(f, axis.span);
        };
        let Value::Tensor(t) = self.expr(f, &arg.value) else {
            return Value::Poison;
        };
        let Some(t) = self
            .numeric(*t, arg.value.span)
            .and_then(|t| self.decided(t))
        else {
            return Value::Poison;
        };
        let wanted = self.solver.resolve(&wanted).unwrap_or(wanted);
        let found: Vec<usize> = (t.lead..t.expr.shape.len())
            .filter(|i| {
                self.solver
                    .resolve(&t.expr.shape[*i])
                    .is_ok_and(|d| d == wanted)
            })
            .collect();
        let [position] = found.as_slice() else {
            let shown = self.solver.show(t.core());
            let how = if found.is_empty() {
                "no axis"
            } else {
                "more than one axis"
            };
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    format!("{how} of {shown} is `{}`", axis.node),
                )
                .label(axis.span, "which axis?")
                .label(arg.value.span, shown),
            );
        };
        if name == "softmax" && *position + 1 != t.expr.shape.len() {
            return self.unavailable("softmax over an axis that is not the last", over_span);
        }
        if name == "softmax" && self.solver.is_time(&t.expr.shape[*position]) {
            return self.unavailable("softmax over a time", over_span);
        }
        self.reduce_named(name, t, *position, callee.span)
    }

    fn end_of(&mut self, name: &str, t: Tensor, at: Span, span: Span) -> Value {
        if name == "final" {
            return self.final_of(&t, at);
        }
        if t.both {
            return self.error(
                Diagnostic::error(
                    "scan::last-of-both",
                    format!("`{name}` of a scan both ways: one direction has only begun there"),
                )
                .label(span, "half of this has seen one step")
                .help(match t.scan.is_some() {
                    true => "`final(…)` takes the last value of each direction",
                    false => "`final(…)` of the scan itself takes the last value of each direction",
                }),
            );
        }
        if !t.core().first().is_some_and(|d| self.solver.is_time(d)) || t.lead > 0 {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "scan::no-time-axis",
                    format!("`{name}` takes a sequence; this is {shown}"),
                )
                .label(span, "no time axis")
                .label(at, shown),
            );
        }
        if t.tokens.is_some() {
            return self.unavailable(&format!("`{name}` of tokens"), span);
        }
        let shape = t.expr.shape[1..].to_vec();
        let value = Box::new(t.expr);
        let kind = match name {
            "first" => ExprKind::First(value),
            _ => ExprKind::Last(value),
        };
        Tensor::new(Expr { kind, shape, span }).into()
    }

    /// A probability in `[0, 1)` written out.
    fn probability(&mut self, e: Option<&node::Expr>, name: &str, span: Span) -> Option<f64> {
        let at = e.map_or(span, |e| e.span);
        match e.and_then(|e| constant_or(Some(e), 0.0)) {
            Some(p) if (0.0..1.0).contains(&p) => Some(p),
            Some(p) => {
                self.error(
                    Diagnostic::error(
                        "call::arguments",
                        format!("`{name}` takes a probability in [0, 1), not {p}"),
                    )
                    .label(at, "out of range"),
                );
                None
            }
            None => {
                self.error(
                    Diagnostic::error(
                        "call::arguments",
                        format!("`{name}` takes a probability written as a number"),
                    )
                    .label(at, "for example 0.2"),
                );
                None
            }
        }
    }

    fn dropout(&mut self, f: &Frame, t: Tensor, at: Span, given: &Given, span: Span) -> Value {
        let named = |n: &str| {
            given
                .named
                .iter()
                .find(|(i, _)| i.node == n)
                .map(|(_, e)| *e)
        };
        let p = given.rest.first().copied().or(named("p"));
        let share_time = match named("share") {
            None => false,
            Some(e) if matches!(&e.kind, Ast::Name(n) if n == "time") => true,
            Some(e) => {
                return self.error(
                    Diagnostic::error("call::arguments", "`share` is `time`")
                        .label(e.span, "unknown"),
                );
            }
        };
        let Some(p) = self.probability(p, "dropout", span) else {
            return Value::Poison;
        };
        let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        let path = self.random_path(f.layer, "dropout");
        let shape = t.expr.shape.clone();
        let mut d = Tensor::new(Expr {
            kind: ExprKind::Dropout {
                value: Box::new(t.expr),
                p,
                share_time,
                path,
            },
            shape,
            span,
        });
        d.lead = t.lead;
        d.both = t.both;
        d.recurrent = t.recurrent;
        d.into()
    }

    fn zoneout(
        &mut self,
        f: &Frame,
        values: Vec<(Tensor, Span)>,
        given: &Given,
        span: Span,
    ) -> Value {
        let Some(p) = self.probability(given.rest.first().copied(), "zoneout", span) else {
            return Value::Poison;
        };
        let Some((mut parts, shape, lead)) = self.align(values, span, "zoneout") else {
            return Value::Poison;
        };
        let (Some(new), Some(old)) = (parts.pop(), parts.pop()) else {
            return Value::Poison;
        };
        let path = self.random_path(f.layer, "zoneout");
        Tensor::new(Expr {
            kind: ExprKind::Zoneout {
                old: Box::new(old),
                new: Box::new(new),
                p,
                path,
            },
            shape,
            span,
        })
        .lifted(lead)
        .into()
    }

    fn previous(&mut self, f: &Frame, t: Tensor, at: Span, given: &Given, span: Span) -> Value {
        if f.kind == FrameKind::Cell {
            return self.error(
                Diagnostic::error(
                    "cell::previous-inside",
                    "`previous` is for sequences; a cell sees one step",
                )
                .label(span, "inside a cell")
                .help("a value of the step before is a state: `state y`, then `y' = …`"),
            );
        }
        let by = match given.rest.first() {
            None => 1,
            Some(e) => match constant_or(Some(e), 1.0) {
                Some(k) if k.fract() == 0.0 && (1.0..=1e6).contains(&k) => k as u32,
                _ => {
                    return self.error(
                        Diagnostic::error(
                            "call::arguments",
                            "`previous(x, k)` takes a whole k ≥ 1",
                        )
                        .label(e.span, "steps back"),
                    );
                }
            },
        };
        if !t.core().first().is_some_and(|d| self.solver.is_time(d)) || t.lead > 0 {
            let shown = self.solver.show(t.core());
            return self.error(
                Diagnostic::error(
                    "scan::no-time-axis",
                    format!("`previous` takes a sequence; this is {shown}"),
                )
                .label(span, "no step before")
                .label(at, shown),
            );
        }
        let shape = t.expr.shape.clone();
        let target = t.input.filter(|v| self.is_target(*v));
        let mut e = match target {
            Some(v) => {
                for i in &mut self.inputs {
                    i.feeds_itself |= i.var == v;
                }
                Expr {
                    kind: ExprKind::Previous(v),
                    shape: shape.clone(),
                    span,
                }
            }
            None => t.expr.clone(),
        };
        let delay = if target.is_some() { by - 1 } else { by };
        if delay > 0 {
            if t.tokens.is_some() {
                return self.unavailable("a delay of tokens", span);
            }
            e = Expr {
                kind: ExprKind::Delay {
                    value: Box::new(e),
                    by: delay,
                },
                shape,
                span,
            };
        }
        let mut out = Tensor::new(e);
        out.tokens = t.tokens;
        out.into()
    }

    /// `split(z, 4)` or `z |> split(4)`: the value and the number of parts.
    pub(super) fn split_of(&mut self, f: &mut Frame, e: &node::Expr) -> Option<(Value, i64, Span)> {
        let is_split = |e: &node::Expr| matches!(&e.kind, Ast::Name(n) if n == "split");
        let (value, args, span) = match &e.kind {
            Ast::Paren(x) => return self.split_of(f, x),
            Ast::Call { callee, args } if is_split(callee) && args.len() == 2 => {
                (&args[0].value, &args[1], callee.span)
            }
            Ast::Pipe { input, stage, .. } if stage.scan.is_none() => match &stage.call.kind {
                Ast::Call { callee, args } if is_split(callee) && args.len() == 1 => {
                    (&**input, &args[0], callee.span)
                }
                _ => return None,
            },
            _ => return None,
        };
        let parts = match constant_or(Some(&args.value), 0.0) {
            Some(n) if n.fract() == 0.0 && (1.0..=1000.0).contains(&n) => n as i64,
            _ => {
                self.error(
                    Diagnostic::error("call::arguments", "`split` takes a number of equal parts")
                        .label(args.value.span, "for example 4"),
                );
                return Some((Value::Poison, 1, span));
            }
        };
        let value = match self.expr(f, value) {
            Value::Tensor(t) => match self.numeric(*t, span).and_then(|t| self.decided(t)) {
                Some(t) => t.into(),
                None => Value::Poison,
            },
            Value::Poison => Value::Poison,
        };
        Some((value, parts, span))
    }

    /// One of `parts` equal pieces of the last axis.
    pub(super) fn part(&mut self, t: &Tensor, parts: u32, index: u32, span: Span) -> Value {
        let Some(last) = t.last().cloned() else {
            return self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    "`split` takes a vector; this is a number",
                )
                .label(span, "nothing to split"),
            );
        };
        let piece = self.solver.unknown();
        let all = piece.checked_mul(&Dim::constant(i64::from(parts)));
        if !all.is_ok_and(|all| self.solver.unify(&all, &last).is_ok()) {
            let shown = self.solver.show_dim(&last);
            return match index {
                0 => self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("{shown} features do not split into {parts} equal parts"),
                    )
                    .label(span, "parts must be equal"),
                ),
                _ => Value::Poison,
            };
        }
        let mut shape = t.expr.shape.clone();
        if let Some(d) = shape.last_mut() {
            *d = piece;
        }
        Tensor::new(Expr {
            kind: ExprKind::Split {
                value: Box::new(t.expr.clone()),
                parts,
                index,
            },
            shape,
            span,
        })
        .lifted(t.lead)
        .into()
    }

    /// A function of the file, inlined.
    fn own_function(
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

    /// Weights of a named layer: `words.table`, `rnn.Wf`.
    pub(super) fn layer_field(
        &mut self,
        layer: super::LayerId,
        name: &str,
        field: &str,
        at: Span,
        span: Span,
    ) -> Value {
        if let Some(p) = self.layers[layer.0].params.get(field) {
            return self.weight(p.0 as usize, span);
        }
        match self.layers[layer.0].kind.clone() {
            LayerKind::Embed { size } if field == "table" => {
                let v = self.solver.unknown();
                let w = self.make_weight(layer, "table", vec![v, size], at);
                self.weight(w, span)
            }
            LayerKind::Def { entry, .. } => {
                let names = crate::check::names::Names::of(&entry.def.body);
                let is = |kind| names.of_kind(kind).any(|d| d.name.node == field);
                if is(node::DeclKind::State) {
                    return self.error(
                        Diagnostic::error(
                            "cell::state-outside",
                            format!("`{name}.{field}` is a state, read outside any scan"),
                        )
                        .label(at, "of which run?")
                        .help(format!(
                            "give the scan a name: `hs = … |> scan {name}`, then `final(hs.{field})`"
                        )),
                    );
                }
                if is(node::DeclKind::Param) {
                    return self.unavailable("a weight read before its layer is used", at);
                }
                self.error(
                    Diagnostic::error("name::unknown", format!("layer `{name}` has no `{field}`"))
                        .label(at, "unknown field"),
                )
            }
            LayerKind::Unknown => Value::Poison,
            LayerKind::Linear { size, .. } if field == "W" => {
                let from = self.solver.unknown();
                let w = self.make_weight(layer, "W", vec![size, from], at);
                self.weight(w, span)
            }
            LayerKind::Linear { size, bias: true } if field == "b" => {
                let w = self.make_weight(layer, "b", vec![size], at);
                self.weight(w, span)
            }
            LayerKind::Root | LayerKind::Linear { .. } | LayerKind::Embed { .. } => self.error(
                Diagnostic::error("name::unknown", format!("layer `{name}` has no `{field}`"))
                    .label(at, "unknown field"),
            ),
        }
    }

    /// A number per step of a value, as one feature.
    pub(super) fn as_feature(&mut self, t: Tensor) -> Tensor {
        if !t.last().is_none_or(|d| self.solver.is_time(d)) {
            return t;
        }
        let axes = (0..t.expr.shape.len()).map(Some).chain([None]).collect();
        let shape = [t.expr.shape.as_slice(), &[Dim::constant(1)]].concat();
        let lead = t.lead;
        let mut out = Tensor::new(expand(t.expr, axes, shape)).lifted(lead);
        out.weight = t.weight;
        out
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

fn count(n: usize) -> String {
    match n {
        0 => "no values".into(),
        1 => "1 value".into(),
        n => format!("{n} values"),
    }
}
