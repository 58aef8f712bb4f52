//! Expressions: names, arithmetic, products, concatenations, reductions.

use super::cell::expand;
use super::init::Applied;
use super::layer::Use;
use super::value::{Pending, Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerKind, number};
use crate::ast::node::{self, BinaryOp, CompareOp, ExprKind as Ast, UnaryOp};
use crate::check::program::{Binary, Expr, ExprKind, ParamId, Reduce, Unary};
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
            Ast::Index(_, indices) => {
                let span = indices.first().map_or(e.span, |i| i.span);
                self.index_form(f, span)
            }
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

    fn name(&mut self, f: &mut Frame, n: &str, span: Span) -> Value {
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
            None => match f.sizes.get(n).cloned() {
                Some(d) => match self.solver.value(&d) {
                    Some(k) => Tensor::weight(number(k as f64, span)).into(),
                    // On its own a definition's sizes have no numbers yet; any will do.
                    None if matches!(self.layers[f.layer.0].kind, LayerKind::Root)
                        && f.kind != FrameKind::Model
                        && !self.solver.is_time(&d) =>
                    {
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

    fn prime(&mut self, f: &mut Frame, x: &node::Expr, span: Span) -> Value {
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
    fn field(
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

    pub(super) fn index_form(&mut self, f: &mut Frame, span: Span) -> Value {
        if !f.index_form {
            f.index_form = true;
            self.unavailable("index form", span);
        }
        Value::Poison
    }

    /// A value that arithmetic can use: not tokens.
    pub(super) fn numeric(&mut self, t: Tensor, span: Span) -> Option<Tensor> {
        if t.tokens.is_some() {
            self.error(
                Diagnostic::error("token::not-a-number", "a token is a name, not a number")
                    .label(span, "tokens")
                    .help("`|> Embed(64)` makes a vector of each"),
            );
            return None;
        }
        Some(t)
    }

    pub(super) fn unary(&mut self, op: Unary, x: Value, op_span: Span, x_span: Span) -> Value {
        let Value::Tensor(t) = x else {
            return Value::Poison;
        };
        let Some(t) = self.numeric(*t, x_span).and_then(|t| self.decided(t)) else {
            return Value::Poison;
        };
        if let (Unary::Neg, ExprKind::Number(n)) = (op, &t.expr.kind) {
            return Tensor::weight(number(-n, op_span)).into();
        }
        let shape = t.expr.shape.clone();
        let mut out = Tensor::new(Expr {
            kind: ExprKind::Unary(op, Box::new(t.expr)),
            shape,
            span: op_span,
        });
        out.lead = t.lead;
        out.weight = t.weight;
        out.both = t.both;
        out.into()
    }

    pub(super) fn binary(
        &mut self,
        op: Binary,
        a: (Tensor, Span),
        b: (Tensor, Span),
        span: Span,
    ) -> Value {
        let tokens_equal = matches!(op, Binary::Eq | Binary::Ne);
        if !tokens_equal || a.0.tokens.is_none() != b.0.tokens.is_none() {
            for (t, at) in [&a, &b] {
                if self.numeric(t.clone(), *at).is_none() {
                    return Value::Poison;
                }
            }
        }
        if op == Binary::Mul {
            for (t, _) in [&a, &b] {
                if let ExprKind::Param(p) = t.expr.kind {
                    self.weights[p.0 as usize].multiplies += 1;
                }
            }
        }
        let recurrent = op == Binary::Mul && (a.0.recurrent || b.0.recurrent);
        let weight = a.0.weight && b.0.weight;
        let both = a.0.both || b.0.both;
        let Some((mut parts, shape, lead)) = self.align(vec![a, b], span, symbol(op)) else {
            return Value::Poison;
        };
        let (Some(right), Some(left)) = (parts.pop(), parts.pop()) else {
            return Value::Poison;
        };
        let mut t = Tensor::new(Expr {
            kind: ExprKind::Binary(op, Box::new(left), Box::new(right)),
            shape,
            span,
        });
        t.lead = lead;
        t.recurrent = recurrent;
        t.weight = weight;
        t.both = both;
        t.into()
    }

    /// `a <= b < c`.
    fn compare(
        &mut self,
        f: &mut Frame,
        first: &node::Expr,
        rest: &[(crate::span::Spanned<CompareOp>, node::Expr)],
    ) -> Value {
        let mut left = (self.expr(f, first), first.span);
        let mut all: Option<(Tensor, Span)> = None;
        for (op, e) in rest {
            let right = (self.expr(f, e), e.span);
            let (Value::Tensor(a), Value::Tensor(b)) = (&left.0, &right.0) else {
                return Value::Poison;
            };
            let b = Box::new(self.bind("compared", (**b).clone(), e.span));
            let kind = match op.node {
                CompareOp::Lt => Binary::Lt,
                CompareOp::Le => Binary::Le,
                CompareOp::Eq => Binary::Eq,
                CompareOp::Ne => Binary::Ne,
                CompareOp::Gt => Binary::Gt,
                CompareOp::Ge => Binary::Ge,
            };
            let one = self.binary(
                kind,
                ((**a).clone(), left.1),
                ((*b).clone(), right.1),
                op.span,
            );
            let Value::Tensor(one) = one else {
                return Value::Poison;
            };
            let joined = match all {
                None => Value::Tensor(one),
                Some(before) => self.binary(Binary::And, before, (*one, op.span), op.span),
            };
            let Value::Tensor(joined) = joined else {
                return Value::Poison;
            };
            all = Some((*joined, op.span));
            left = (Value::Tensor(b), right.1);
        }
        all.map_or(Value::Poison, |(t, _)| t.into())
    }

    /// Elementwise operands in one shape: equal, or the end of the others' (a vector lifts over
    /// leading axes), or a number.
    pub(super) fn align(
        &mut self,
        mut parts: Vec<(Tensor, Span)>,
        span: Span,
        symbol: &str,
    ) -> Option<(Vec<Expr>, Vec<Dim>, usize)> {
        let decided: Vec<Tensor> = parts
            .iter()
            .filter(|(t, _)| t.pending.is_none())
            .map(|(t, _)| t.clone())
            .collect();
        let partner = decided.iter().max_by_key(|t| t.rank()).cloned();
        for (t, at) in &mut parts {
            let Some(p) = t.pending else { continue };
            let shape = match (p, &partner) {
                (Pending::Draw, Some(x)) => {
                    t.lead = x.lead;
                    x.expr.shape.clone()
                }
                (Pending::Weight(_), Some(x)) if x.rank() > 0 => {
                    let last = x.last().cloned()?;
                    if self.solver.is_time(&last) {
                        self.along_time(&self.weights_name(t), *at);
                        return None;
                    }
                    vec![last]
                }
                (Pending::Draw, None) => {
                    self.decided(t.clone())?;
                    return None;
                }
                (Pending::Weight(_), _) => vec![self.solver.unknown()],
            };
            *t = self.decide(t.clone(), p, shape);
        }
        let big = parts.iter().map(|(t, _)| t).max_by_key(|t| t.rank())?;
        let core = big.core().to_vec();
        let lifted = parts.iter().map(|(t, _)| t).find(|t| t.lead > 0);
        let lead: Vec<Dim> = lifted.map_or(Vec::new(), |t| t.expr.shape[..t.lead].to_vec());
        for (t, _) in &parts {
            let from = core.len() - t.rank();
            let fits = self.agree(t.core(), &core[from..]);
            let same_lead = t.lead == 0 || self.agree(&t.expr.shape[..t.lead], &lead);
            if !fits || !same_lead {
                self.mismatch(&parts, span, symbol);
                return None;
            }
        }
        let shape = [lead.as_slice(), core.as_slice()].concat();
        let mut exprs = Vec::new();
        for (t, _) in parts {
            let gap = core.len() - t.rank();
            if t.lead > 0 && gap > 0 {
                // A number per step meets a vector per step.
                let axes = (0..t.lead)
                    .map(Some)
                    .chain(std::iter::repeat_n(None, gap))
                    .chain((t.lead..t.expr.shape.len()).map(Some))
                    .collect();
                exprs.push(expand(t.expr, axes, shape.clone()));
            } else {
                exprs.push(t.expr);
            }
        }
        Some((exprs, shape, lead.len()))
    }

    fn weights_name(&self, t: &Tensor) -> String {
        match t.expr.kind {
            ExprKind::Param(p) => self.weights[p.0 as usize].path.clone(),
            _ => String::new(),
        }
    }

    pub(super) fn along_time(&mut self, name: &str, span: Span) -> Value {
        self.error(
            Diagnostic::error(
                "shape::weight-sized-by-time",
                format!("weight `{name}` would be as long as the sequence"),
            )
            .label(span, "a time, which differs from example to example"),
        )
    }

    fn mismatch(&mut self, parts: &[(Tensor, Span)], span: Span, symbol: &str) {
        let shown: Vec<String> = parts
            .iter()
            .map(|(t, _)| self.solver.show(t.core()))
            .collect();
        let message = match shown.as_slice() {
            [a, b] => format!("left of `{symbol}` is {a}, right is {b}"),
            _ => format!("`{symbol}` joins {}", shown.join(", ")),
        };
        let mut d = Diagnostic::error("shape::mismatch", message).label(span, "shapes must agree");
        for ((_, at), shape) in parts.iter().zip(shown) {
            d = d.label(*at, shape);
        }
        self.error(d);
    }

    /// `l·r`.
    pub(super) fn dot(&mut self, a: (Tensor, Span), b: (Tensor, Span), span: Span) -> Value {
        let ((a, a_span), (b, b_span)) = (a, b);
        let (Some(a), Some(b)) = (self.numeric(a, a_span), self.numeric(b, b_span)) else {
            return Value::Poison;
        };
        let b = match (b.pending, a.pending, a.last()) {
            (None, ..) => b,
            (Some(p @ Pending::Weight(_)), None, Some(last)) => {
                let last = last.clone();
                self.decide(b, p, vec![last])
            }
            _ => match self.decided(b) {
                Some(b) => b,
                None => return Value::Poison,
            },
        };
        let Some(last) = b.last().cloned() else {
            return self.dot_of_number(&a, a_span, &b, b_span, span);
        };
        let a = match a.pending {
            None => a,
            Some(p) => {
                if self.solver.is_time(&last) {
                    let name = self.weights_name(&a);
                    return self.along_time(&name, b_span);
                }
                let rows = self.solver.unknown();
                let wanted = match p {
                    Pending::Weight(_) => vec![rows, last.clone()],
                    Pending::Draw => vec![last.clone()],
                };
                self.decide(a, p, wanted)
            }
        };
        let Some(a_last) = a.last().cloned() else {
            return self.dot_of_number(&a, a_span, &b, b_span, span);
        };
        let labels = |this: &Self, d: Diagnostic| {
            d.label(a_span, this.solver.show(a.core()))
                .label(b_span, this.solver.show(b.core()))
        };
        let over_time = b.core().first().is_some_and(|d| self.solver.is_time(d));
        if b.rank() >= 2 && !a.weight && a.rank() >= 2 {
            let d = Diagnostic::error(
                "product::two-readings",
                "`·` between two computed matrices has two readings",
            )
            .label(span, "which axes meet?");
            let d = labels(self, d);
            let d = match b.weight {
                true => d.help("a weight stands on the left: `W·x`"),
                false => d.help("index form says which: `w[t, s] = q[t] · k[s]`"),
            };
            return self.error(d);
        }
        if a.rank() == 1 && b.rank() >= 2 && !(over_time && b.rank() == 2) {
            let d = Diagnostic::error(
                "product::two-readings",
                "`·` of a vector and a matrix has two readings",
            )
            .label(span, "rows or columns?");
            let d = labels(self, d).help("the matrix stands on the left: `M·v`; or use index form");
            return self.error(d);
        }
        if self.solver.unify(&a_last, &last).is_err() {
            let (x, y) = (self.solver.show(a.core()), self.solver.show(b.core()));
            let d = Diagnostic::error(
                "shape::mismatch",
                format!("last axes of {x} · {y} do not agree"),
            )
            .label(span, "joins the last axis of each side");
            let d = labels(self, d);
            return self.error(d);
        }
        if self.solver.is_time(&last) {
            return self.unavailable("`·` along a time", span);
        }
        if let ExprKind::Param(p) = a.expr.kind {
            let applied = match (&b.beside, b.recurrent) {
                (_, true) => Applied::State,
                (Some((size, first)), false) => Applied::Beside {
                    size: size.clone(),
                    first: *first,
                },
                (None, false) => Applied::Other,
            };
            self.weights[p.0 as usize].applied.get_or_insert(applied);
        }
        if a.lead > 0 && b.lead > 0 {
            if a.rank() > 1 || b.rank() > 1 {
                return self.unavailable("a product of a matrix per step", span);
            }
            // Two vectors per step.
            let product = self.binary(Binary::Mul, (a, a_span), (b, b_span), span);
            return self.reduce_last(Reduce::Sum, product, span);
        }
        let lead = a.lead.max(b.lead);
        let shape = [
            &b.expr.shape[..b.expr.shape.len() - 1],
            &a.expr.shape[..a.expr.shape.len() - 1],
        ]
        .concat();
        let mut t = Tensor::new(Expr {
            kind: ExprKind::Dot(Box::new(a.expr), Box::new(b.expr)),
            shape,
            span,
        });
        t.lead = lead;
        t.weight = a.weight && b.weight;
        t.into()
    }

    fn dot_of_number(
        &mut self,
        a: &Tensor,
        a_span: Span,
        b: &Tensor,
        b_span: Span,
        span: Span,
    ) -> Value {
        let (x, y) = (self.solver.show(a.core()), self.solver.show(b.core()));
        self.error(
            Diagnostic::error(
                "shape::mismatch",
                format!("left of `·` is {x}, right is {y}"),
            )
            .label(span, "joins the last axis of each side")
            .label(a_span, x)
            .label(b_span, y)
            .help("`*` multiplies by a number"),
        )
    }

    pub(super) fn reduce_last(&mut self, op: Reduce, x: Value, span: Span) -> Value {
        let Value::Tensor(t) = x else {
            return Value::Poison;
        };
        let axis = t.expr.shape.len() - 1;
        self.reduce(op, *t, axis, span)
    }

    pub(super) fn reduce(&mut self, op: Reduce, t: Tensor, axis: usize, span: Span) -> Value {
        let mut shape = t.expr.shape.clone();
        shape.remove(axis);
        let mut r = Tensor::new(Expr {
            kind: ExprKind::Reduce {
                op,
                value: Box::new(t.expr),
                axis,
            },
            shape,
            span,
        });
        r.lead = t.lead;
        r.into()
    }

    /// `[h, x]`.
    pub(super) fn concat(&mut self, parts: Vec<(Tensor, Span)>, span: Span) -> Value {
        let mut whole = Vec::new();
        for (t, at) in parts {
            let Some(t) = self.numeric(t, at).and_then(|t| self.decided(t)) else {
                return Value::Poison;
            };
            // A number, or a number per step, counts as one feature.
            let one = t.last().is_none_or(|d| self.solver.is_time(d));
            whole.push((t, at, one));
        }
        let leading = |t: &Tensor, one: bool| match one {
            true => t.core().to_vec(),
            false => t.core()[..t.rank() - 1].to_vec(),
        };
        let axes: Vec<Dim> = whole
            .iter()
            .map(|(t, _, one)| leading(t, *one))
            .max_by_key(Vec::len)
            .unwrap_or_default();
        let lifted = whole.iter().map(|(t, ..)| t).find(|t| t.lead > 0);
        let lead: Vec<Dim> = lifted.map_or(Vec::new(), |t| t.expr.shape[..t.lead].to_vec());
        let front = [lead.as_slice(), axes.as_slice()].concat();
        let mut features = Dim::default();
        let mut exprs = Vec::new();
        let count = whole.len();
        let states: Vec<usize> = (0..count).filter(|i| whole[*i].0.recurrent).collect();
        let beside = match states.as_slice() {
            [0] if count > 1 => whole[0].0.last().cloned().map(|d| (d, true)),
            [i] if *i + 1 == count && count > 1 => whole[*i].0.last().cloned().map(|d| (d, false)),
            _ => None,
        };
        let both = whole.iter().any(|(t, ..)| t.both);
        let weight = whole.iter().all(|(t, ..)| t.weight);
        for (t, at, one) in &whole {
            let own = leading(t, *one);
            let gap = axes.len() - own.len();
            if !self.agree(&own, &axes[gap..]) {
                let all: Vec<(Tensor, Span)> =
                    whole.iter().map(|(t, at, _)| (t.clone(), *at)).collect();
                let shown = self.solver.show(t.core());
                let mut d = Diagnostic::error(
                    "shape::mismatch",
                    format!("parts side by side agree in other axes; one is {shown}"),
                );
                d = d.label(*at, shown);
                for (t, other) in &all {
                    if other != at {
                        d = d.label(*other, self.solver.show(t.core()));
                    }
                }
                return self.error(d);
            }
            let width = match (one, t.last()) {
                (false, Some(d)) => d.clone(),
                _ => Dim::constant(1),
            };
            let Ok(sum) = features.checked_add(&width) else {
                return self.error(
                    Diagnostic::error("limit::size", "a size that leaves 64 bits")
                        .label(span, "overflows"),
                );
            };
            features = sum;
            let mut map: Vec<Option<usize>> =
                (0..lead.len()).map(|i| (t.lead > 0).then_some(i)).collect();
            map.extend(std::iter::repeat_n(None, gap));
            map.extend((0..own.len()).map(|i| Some(t.lead + i)));
            map.push((!one).then(|| t.expr.shape.len() - 1));
            let plain = map.len() == t.expr.shape.len() && map.iter().all(Option::is_some);
            exprs.push(match plain {
                true => t.expr.clone(),
                false => {
                    let shape = [front.as_slice(), &[width]].concat();
                    expand(t.expr.clone(), map, shape)
                }
            });
        }
        let shape = [front.as_slice(), &[features]].concat();
        let mut t = match exprs.len() {
            1 => Tensor::new(exprs.remove(0)),
            _ => Tensor::new(Expr {
                kind: ExprKind::Concat(exprs),
                shape,
                span,
            }),
        };
        t.lead = lead.len();
        t.beside = beside;
        t.both = both;
        t.weight = weight;
        t.into()
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

fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Pow => "^",
        Binary::Min => "min",
        Binary::Max => "max",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::And => "and",
        Binary::Or => "or",
    }
}
