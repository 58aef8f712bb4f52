//! Expressions by kind: names, fields, next values, and the operators' operands.

use super::layer::Use;
use super::value::{Pending, Tensor, Value};
use super::{Binding, Elab, Frame, number};
use crate::ast::node::{self, BinaryOp, ExprKind as Ast, UnaryOp};
use crate::check::program::{Binary, Expr, ExprKind, ParamId, Unary};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    pub(super) fn expr(&mut self, f: &mut Frame, e: &node::Expr) -> Value {
        if !self.spend(e.span) {
            return Value::Poison;
        }
        match &e.kind {
            Ast::Number { value, .. } => Tensor::weight(number(*value, e.span)).into(),
            Ast::String(_) => self.error(
                Diagnostic::error(
                    "call::arguments",
                    "text in quotes is not a value of a model",
                )
                .label(e.span, "text"),
            ),
            Ast::Name(n) => self.name(f, n, e.span),
            Ast::Prime(x) => self.prime(f, x, e.span),
            Ast::Field(base, field) => self.field(f, base, field, e.span),
            Ast::Index(base, indices) => self.bracket(f, base, indices, e.span),
            Ast::Call { callee, args } => match &callee.kind {
                Ast::Name(n) if self.is_layer(f, e) => self.error(
                    Diagnostic::error(
                        "call::not-applied",
                        format!("`{n}` is a layer, not a value"),
                    )
                    .label(callee.span, "applied to nothing")
                    .help("values reach a layer by `|>`"),
                ),
                Ast::Name(n) => self.function(f, n, callee.span, None, args),
                _ => self.error(
                    Diagnostic::error("call::arguments", "only a name can be called")
                        .label(callee.span, "not a function"),
                ),
            },
            Ast::List(parts) => {
                let values: Vec<(Value, Span)> =
                    parts.iter().map(|p| (self.expr(f, p), p.span)).collect();
                let mut tensors = Vec::new();
                for (v, span) in values {
                    let Value::Tensor(t) = v else {
                        return Value::Poison;
                    };
                    tensors.push((*t, span));
                }
                self.concat(tensors, e.span)
            }
            Ast::Paren(x) => self.expr(f, x),
            Ast::Unary {
                op,
                op_span,
                value: x,
            } => {
                let x_value = self.expr(f, x);
                let op = match op {
                    UnaryOp::Neg => Unary::Neg,
                    UnaryOp::Not => Unary::Not,
                };
                self.unary(op, x_value, *op_span, x.span)
            }
            Ast::Binary {
                op,
                op_span,
                left,
                right,
            } => {
                let a = self.expr(f, left);
                let b = self.expr(f, right);
                let (Value::Tensor(a), Value::Tensor(b)) = (a, b) else {
                    return Value::Poison;
                };
                let op = match op {
                    BinaryOp::Dot => {
                        return self.dot((*a, left.span), (*b, right.span), *op_span);
                    }
                    BinaryOp::Or => Binary::Or,
                    BinaryOp::And => Binary::And,
                    BinaryOp::Add => Binary::Add,
                    BinaryOp::Sub => Binary::Sub,
                    BinaryOp::Mul => Binary::Mul,
                    BinaryOp::Div => Binary::Div,
                    BinaryOp::Pow => Binary::Pow,
                };
                self.binary(op, (*a, left.span), (*b, right.span), *op_span)
            }
            Ast::Compare { first, rest } => self.compare(f, first, rest),
            Ast::Over {
                value,
                over_span,
                axes,
                cond,
            } => self.over(f, value, *over_span, axes, cond.as_deref()),
            Ast::Pipe {
                input,
                pipe_span: _,
                stage,
            } => {
                let input_value = self.expr(f, input);
                let stage_use = Use {
                    call: &stage.call,
                    over: stage.over.as_ref(),
                    with: &stage.with,
                    from: &stage.from,
                };
                match input_value {
                    Value::Poison => Value::Poison,
                    Value::Tensor(t) => {
                        self.stage(f, &stage_use, stage.scan.as_ref(), (*t, input.span))
                    }
                }
            }
        }
    }

    pub(super) fn name(&mut self, f: &mut Frame, n: &str, span: Span) -> Value {
        match f.names.get(n) {
            Some(Binding::Value(v)) => {
                let mut v = v.clone();
                if let Value::Tensor(t) = &mut v {
                    t.expr.span = span;
                }
                v
            }
            Some(Binding::Param(w)) => self.weight(*w, span),
            Some(Binding::Unknown) => Value::Poison,
            Some(Binding::Layer(_) | Binding::Inner(_)) => self.error(
                Diagnostic::error(
                    "call::not-applied",
                    format!("`{n}` is a layer, not a value"),
                )
                .label(span, "applied to nothing")
                .help(format!("`… |> {n}` applies it")),
            ),
            None if f.indices.contains_key(n) => {
                let index = f.indices[n].clone();
                self.index_number(&index, span)
            }
            None => match f.sizes.get(n).cloned() {
                Some(d) => match self.solver.value(&d) {
                    Some(k) => Tensor::weight(number(k as f64, span)).into(),
                    // On its own a definition's sizes have no numbers yet; any will do.
                    None if self.by_itself && !self.solver.is_time(&d) => {
                        Tensor::weight(number(1.0, span)).into()
                    }
                    None => self.unavailable("a length as a number", span),
                },
                None => self.unknown_name(f, n, span),
            },
        }
    }

    pub(super) fn unknown_name(&mut self, f: &Frame, n: &str, span: Span) -> Value {
        if self.is_layer_name(f, n) {
            return self.error(
                Diagnostic::error(
                    "call::not-applied",
                    format!("`{n}` is a layer, not a value"),
                )
                .label(span, "applied to nothing")
                .help(format!("`… |> {n}` applies it")),
            );
        }
        let mut known: Vec<String> = f.names.keys().cloned().collect();
        known.extend(f.sizes.keys().cloned());
        let mut d = Diagnostic::error("name::unknown", format!("nothing is called `{n}` here"))
            .label(span, "unknown name");
        if let Some(near) = nearest(n, known.iter().map(String::as_str)) {
            d = d.help(format!("did you mean `{near}`?")).fix(span, near);
        }
        self.error(d)
    }

    /// A weight as a value; its shape may be open.
    pub(super) fn weight(&mut self, index: usize, span: Span) -> Value {
        let w = &mut self.weights[index];
        if w.used.is_none() {
            w.used = Some(self.weights_used);
            self.weights_used += 1;
        }
        w.reads += 1;
        let mut t = Tensor::weight(Expr {
            kind: ExprKind::Param(ParamId(index as u32)),
            shape: w.shape.clone().unwrap_or_default(),
            span,
        });
        if w.shape.is_none() {
            t.pending = Some(Pending::Weight(index));
        }
        t.into()
    }

    /// Gives an open shape to a weight or a draw.
    pub(super) fn decide(&mut self, t: Tensor, pending: Pending, shape: Vec<Dim>) -> Tensor {
        let shape = match pending {
            Pending::Draw => shape,
            Pending::Weight(w) => self.weights[w].shape.get_or_insert(shape).clone(),
        };
        Tensor {
            expr: Expr { shape, ..t.expr },
            pending: None,
            ..t
        }
    }

    pub(super) fn prime(&mut self, f: &mut Frame, x: &node::Expr, span: Span) -> Value {
        let key = match path_of(x) {
            Some(path) => format!("{}'", path.join(".")),
            None => String::new(),
        };
        match f.names.get(&key) {
            Some(Binding::Value(v)) => v.clone(),
            Some(_) => Value::Poison,
            None => {
                if let Some(path) = path_of(x)
                    && let Some(Binding::Inner(inner)) = f.names.get(path[0])
                {
                    let known = inner
                        .borrow()
                        .states
                        .iter()
                        .any(|(n, _)| n == path[1..].join(".").as_str());
                    if known {
                        // The cell never runs, which is reported, or it failed.
                        return Value::Poison;
                    }
                }
                if let Ast::Name(n) = &x.kind
                    && !f.names.contains_key(n)
                {
                    return self.unknown_name(f, n, x.span);
                }
                self.error(
                    Diagnostic::error("name::not-a-state", format!("`{key}` is no next value"))
                        .label(span, "only a state has a next value"),
                )
            }
        }
    }

    /// `words.table`, `enc.h`, `gru.h`.
    pub(super) fn field(
        &mut self,
        f: &mut Frame,
        base: &node::Expr,
        field: &node::Ident,
        span: Span,
    ) -> Value {
        let Some(mut path) = path_of(base) else {
            return self.error(
                Diagnostic::error("name::unknown", "only a named value has fields")
                    .label(field.span, "of what?")
                    .help("give the scan or layer a name first"),
            );
        };
        path.push(&field.node);
        let (name, rest) = (path[0], path[1..].join("."));
        let missing = |what: &str, known: Vec<String>| {
            let d = Diagnostic::error("name::unknown", format!("{what} `{name}` has no `{rest}`"))
                .label(field.span, "unknown field");
            match nearest(&rest, known.iter().map(String::as_str)) {
                Some(n) => d.help(format!("did you mean `{n}`?")),
                None if known.is_empty() => d,
                None => d.help(format!("it has {}", known.join(", "))),
            }
        };
        match f.names.get(name) {
            Some(Binding::Value(Value::Tensor(t))) => match &t.scan {
                Some(info) => match info.fields.get(&rest) {
                    Some(t) => t.clone().into(),
                    None => {
                        let known = info.fields.keys().cloned().collect();
                        self.error(missing("scan", known))
                    }
                },
                None => {
                    let d = missing("value", Vec::new());
                    self.error(d.help("a name bound to a scan has its states as fields"))
                }
            },
            Some(Binding::Inner(inner)) => {
                let inner = inner.borrow().clone();
                match inner.states.iter().find(|(n, _)| *n == rest) {
                    Some((_, slot)) => self.before(*slot),
                    None => {
                        let known = inner.states.into_iter().map(|(n, _)| n).collect();
                        self.error(missing("cell", known))
                    }
                }
            }
            Some(Binding::Layer(layer)) => {
                let layer = *layer;
                self.layer_field(layer, name, &rest, field.span, span)
            }
            Some(Binding::Value(Value::Poison) | Binding::Unknown) => Value::Poison,
            Some(Binding::Param(_)) => self.error(missing("weight", Vec::new())),
            None => self.unknown_name(f, name, base.span),
        }
    }
}

/// `enc.gru.h` as its parts.
pub(super) fn path_of(e: &node::Expr) -> Option<Vec<&str>> {
    match &e.kind {
        Ast::Name(n) => Some(vec![n]),
        Ast::Field(base, field) => {
            let mut path = path_of(base)?;
            path.push(&field.node);
            Some(path)
        }
        _ => None,
    }
}
