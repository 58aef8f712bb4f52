//! The end of a model: sizes put in, weights in order of first use, limits.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::Elab;
use super::size::bytes;
use crate::check::defs::Entry;
use crate::check::program::{
    Expr, ExprKind, Head, Model, Param, ParamId, Predict, Scan, State, Stmt,
};
use crate::diagnostics::Diagnostic;
use crate::dim::{Binding, Dim, DimTable, Sym};
use crate::span::Span;

/// Numbers in one model's weights: 4 TB of them.
const MAX_WEIGHTS: i64 = 1 << 40;

/// Puts in what every symbol stands for, and renumbers weights.
struct Zonk<'a> {
    resolve: &'a dyn Fn(&Dim) -> Dim,
    params: BTreeMap<u32, u32>,
    /// Sizes of conditions: `K` of `t - s < K` may be in no shape.
    in_domains: RefCell<BTreeSet<Sym>>,
}

impl Zonk<'_> {
    fn shape(&self, shape: &mut [Dim]) {
        for d in shape {
            *d = (self.resolve)(d);
        }
    }

    fn param(&self, p: &mut ParamId) {
        if let Some(n) = self.params.get(&p.0) {
            p.0 = *n;
        }
    }

    fn expr(&self, e: &mut Expr) {
        self.shape(&mut e.shape);
        match &mut e.kind {
            ExprKind::Number(_)
            | ExprKind::Var(_)
            | ExprKind::Previous(_)
            | ExprKind::Normal { .. }
            | ExprKind::Index
            | ExprKind::Steps(_)
            | ExprKind::Reveal(_) => {}
            ExprKind::Where { value, domain, .. } => {
                *domain = domain.with_sizes(self.resolve);
                let sizes = domain.sizes().into_iter().flat_map(Dim::syms);
                self.in_domains.borrow_mut().extend(sizes);
                self.expr(value);
            }
            ExprKind::Param(p) => self.param(p),
            ExprKind::Embed { table, index } => {
                self.param(table);
                self.expr(index);
            }
            ExprKind::Delay { value, .. }
            | ExprKind::Unary(_, value)
            | ExprKind::Expand { value, .. }
            | ExprKind::Top { value, .. }
            | ExprKind::Split { value, .. }
            | ExprKind::Reduce { value, .. }
            | ExprKind::Softmax(value)
            | ExprKind::First(value)
            | ExprKind::Last(value)
            | ExprKind::Dropout { value, .. } => self.expr(value),
            ExprKind::Binary(_, a, b)
            | ExprKind::Dot(a, b)
            | ExprKind::Contract {
                left: a, right: b, ..
            } => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Zoneout { old, new, .. } => {
                self.expr(old);
                self.expr(new);
            }
            ExprKind::Choose(a, b, c) => {
                self.expr(a);
                self.expr(b);
                self.expr(c);
            }
            ExprKind::Concat(parts) => parts.iter_mut().for_each(|p| self.expr(p)),
        }
    }

    fn stmt(&self, s: &mut Stmt) {
        match s {
            Stmt::Let { value, .. } => self.expr(value),
            Stmt::Scan(Scan {
                inputs,
                contexts,
                states,
                body,
                output,
                ..
            }) => {
                for (_, e) in inputs.iter_mut().chain(contexts) {
                    self.expr(e);
                }
                for State { next, initial, .. } in states {
                    self.expr(next);
                    if let Some(e) = initial {
                        self.expr(e);
                    }
                }
                body.iter_mut().for_each(|s| self.stmt(s));
                self.expr(output);
            }
        }
    }
}

impl Elab<'_, '_> {
    /// Tries the sizes that were postponed.
    pub(super) fn settle(&mut self, span: Span) {
        if self.solver.settle().is_err() && self.diagnostics.is_empty() {
            self.error(
                Diagnostic::error(
                    "shape::mismatch",
                    "sizes of this definition contradict each other",
                )
                .label(span, "no sizes fit all its equations"),
            );
        }
    }

    /// A weight whose inferred shape mentions a time.
    pub(super) fn weights_along_time(&mut self) {
        for i in 0..self.weights.len() {
            let w = &self.weights[i];
            let timed = w
                .shape
                .iter()
                .flatten()
                .any(|d| self.solver.mentions_time(d));
            if timed && w.used.is_some() {
                let (path, span) = (w.path.clone(), w.span);
                self.along_time(&path, span);
            }
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    pub(super) fn finish(
        &mut self,
        entry: &Entry,
        predicts: Vec<Predict>,
        penalties: Vec<(String, Expr)>,
        outputs: Vec<(String, Expr)>,
    ) -> Option<Model> {
        self.settle(entry.def.name.span);
        self.weights_along_time();
        self.undetermined();
        for w in &self.weights {
            if w.used.is_none()
                && !self.incomplete
                && !self.diagnostics.iter().any(Diagnostic::is_error)
            {
                let d = Diagnostic::warning(
                    "name::unused",
                    format!("weight `{}` is used by nothing", w.path),
                );
                self.diagnostics.push(d.label(w.span, "declared here"));
            }
        }
        if self.incomplete || self.has_errors() {
            return None;
        }
        let order: Vec<usize> = {
            let mut used: Vec<usize> = (0..self.weights.len())
                .filter(|i| self.weights[*i].used.is_some())
                .collect();
            used.sort_by_key(|i| self.weights[*i].used);
            used
        };
        self.sizes_within_limits(&order);
        if self.has_errors() {
            return None;
        }
        let solver = &self.solver;
        let resolve = |d: &Dim| solver.resolve(d).unwrap_or_else(|_| d.clone());
        let zonk = Zonk {
            resolve: &resolve,
            params: order
                .iter()
                .enumerate()
                .map(|(new, old)| (*old as u32, new as u32))
                .collect(),
            in_domains: RefCell::default(),
        };
        let params: Vec<Param> = order
            .iter()
            .map(|i| {
                let w = &self.weights[*i];
                let mut shape = w.shape.clone().unwrap_or_default();
                let init = w.init(&shape, solver);
                zonk.shape(&mut shape);
                Param {
                    path: w.path.clone(),
                    shape,
                    init,
                    span: w.span,
                }
            })
            .collect();
        let mut vars = self.vars.clone();
        vars.iter_mut().for_each(|v| zonk.shape(&mut v.shape));
        let mut inputs = self.inputs.clone();
        for i in &mut inputs {
            if let Some(v) = &mut i.vocabulary {
                *v = resolve(v);
            }
        }
        let mut body = self.blocks.first().map_or(Vec::new(), |b| b.stmts.clone());
        body.iter_mut().for_each(|s| zonk.stmt(s));
        let fix = |mut named: Vec<(String, Expr)>| {
            named.iter_mut().for_each(|(_, e)| zonk.expr(e));
            named
        };
        let mut predicts = predicts;
        for p in &mut predicts {
            match &mut p.head {
                Head::Softmax(e) | Head::Sigmoid(e) | Head::Step(e) | Head::Value(e) => {
                    zonk.expr(e)
                }
            }
        }
        let (penalties, outputs) = (fix(penalties), fix(outputs));
        // Only symbols that are left in some shape or condition.
        let mut mentioned = zonk.in_domains.take();
        let shapes = vars
            .iter()
            .flat_map(|v| &v.shape)
            .chain(params.iter().flat_map(|p| &p.shape))
            .chain(inputs.iter().filter_map(|i| i.vocabulary.as_ref()));
        for d in shapes {
            mentioned.extend(d.syms());
        }
        let mut dims = DimTable::default();
        for e in self.solver.table.iter() {
            if mentioned.contains(&e.sym) {
                dims.declare(e.sym.clone(), e.role, e.binding);
            }
        }
        Some(Model {
            name: entry.def.name.node.clone(),
            span: entry.def.span,
            dims,
            vars,
            inputs,
            params,
            adapters: Vec::new(),
            body,
            predicts,
            penalties,
            outputs,
            watches: self.watches.clone(),
            limits: std::mem::take(&mut self.limits),
            reduced: std::mem::take(&mut self.reduced),
        })
    }

    /// Sizes that nothing gives, each at the weight or layer that has it.
    fn undetermined(&mut self) {
        if self.has_errors() || self.incomplete {
            return;
        }
        let mut seen: BTreeSet<Dim> = BTreeSet::new();
        for (d, span, what) in self.wanted.clone() {
            let d = self.solver.resolve(&d).unwrap_or(d);
            if !self.solver.is_known(&d) && seen.insert(d) {
                self.error(
                    Diagnostic::error(
                        "shape::undetermined",
                        format!("nothing says the size of {what}"),
                    )
                    .label(span, "size unknown")
                    .help("give it, as in `Linear(64)`; only a prediction gives it by itself"),
                );
            }
        }
        for i in 0..self.weights.len() {
            let w = self.weights[i].clone();
            let Some(shape) = w.shape.filter(|_| w.used.is_some()) else {
                continue;
            };
            for d in shape {
                let d = self.solver.resolve(&d).unwrap_or(d);
                if self.solver.is_known(&d) || !seen.insert(d) {
                    continue;
                }
                let shape = self.weights[i].shape.clone().unwrap_or_default();
                let shown = self.solver.show(&shape);
                self.error(
                    Diagnostic::error(
                        "shape::undetermined",
                        format!("nothing says the size `?` of weight `{}`", w.path),
                    )
                    .label(w.span, format!("known so far: {shown}"))
                    .help("give its shape where it is declared, as in `param W : [H, X]`"),
                );
            }
        }
    }

    /// Every weight has a positive number of elements that memory could hold.
    fn sizes_within_limits(&mut self, order: &[usize]) {
        let mut total: i64 = 0;
        for i in order {
            let w = self.weights[*i].clone();
            let shape = w.shape.unwrap_or_default();
            let mut product = Some(1i64);
            for d in &shape {
                let d = self.solver.resolve(d).unwrap_or_else(|_| d.clone());
                // Vocabularies and features whose number the data decides.
                let by_data = d.syms().iter().any(|s| {
                    let entry = self.solver.table.get(s);
                    entry.is_some_and(|e| e.binding == Binding::Static(None))
                });
                if by_data {
                    continue;
                }
                match self.solver.value(&d) {
                    Some(n) if n < 1 => {
                        let shown = self.solver.show_dim(&d);
                        self.error(
                            Diagnostic::error(
                                "size::not-positive",
                                format!(
                                    "weight `{}` would have {n} features along {shown}",
                                    w.path
                                ),
                            )
                            .label(w.span, "declared here"),
                        );
                        return;
                    }
                    n => product = n.and_then(|n| product?.checked_mul(n)),
                }
            }
            total = product.map_or(i64::MAX, |p| total.saturating_add(p));
            if total > MAX_WEIGHTS {
                let shown = self.solver.show(&shape);
                let needs = match product {
                    Some(p) => bytes(p),
                    None => "more than 2^63 numbers".into(),
                };
                self.error(
                    Diagnostic::error(
                        "limit::size",
                        format!("weight `{}` {shown} takes {needs}", w.path),
                    )
                    .label(w.span, "more than any machine holds"),
                );
                return;
            }
        }
    }
}
