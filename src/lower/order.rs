//! The order of the weights: those that multiply one value follow each other.
//!
//! In: a model. Out: its weights' numbers, in the order of the function's parameters and so of the arena that holds
//! them. `Wi·x, Wf·x, Wg·x, Wo·x` is then one product with a matrix that is there already: nothing is copied
//! to join the four, and their gradients come out of one product where they are kept. The order is the model's
//! alone, so that training, evaluation and generation share an arena.

use std::collections::HashMap;

use crate::check::operands::operands;
use crate::check::program::{Expr, ExprKind, Head, Model, ParamId, Stmt};

pub(super) fn order(model: &Model) -> Vec<ParamId> {
    let mut beside = Beside {
        model,
        groups: Vec::new(),
        number: HashMap::new(),
        placed: vec![false; model.params.len()],
    };
    beside.body(&model.body);
    for predict in &model.predicts {
        let (Head::Softmax(e) | Head::Sigmoid(e) | Head::Step(e) | Head::Value(e)) = &predict.head;
        beside.expr(e);
    }
    let Beside { groups, placed, .. } = beside;
    // A group stands where its first weight is declared.
    let mut at: HashMap<ParamId, Vec<ParamId>> = HashMap::new();
    for group in groups {
        let first = group.iter().copied().min();
        at.extend(first.map(|first| (first, group)));
    }
    let mut out = Vec::with_capacity(placed.len());
    for (i, grouped) in placed.iter().enumerate() {
        let id = ParamId(i as u32);
        match at.remove(&id) {
            Some(group) => out.extend(group),
            None if !grouped => out.push(id),
            None => {}
        }
    }
    out
}

struct Beside<'a> {
    model: &'a Model,
    /// The weights that multiply one value, in the order of the products.
    groups: Vec<Vec<ParamId>>,
    /// By the multiplied value as text, and which of the matrix' axes is summed.
    number: HashMap<(String, u8), usize>,
    placed: Vec<bool>,
}

impl Beside<'_> {
    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Let { value, .. } => self.expr(value),
                Stmt::Scan(s) => {
                    for (_, e) in s.inputs.iter().chain(&s.contexts) {
                        self.expr(e);
                    }
                    self.body(&s.body);
                    for state in &s.states {
                        state.initial.iter().for_each(|e| self.expr(e));
                        self.expr(&state.next);
                    }
                    self.expr(&s.output);
                }
            }
        }
    }

    fn expr(&mut self, e: &Expr) {
        operands(e).into_iter().for_each(|part| self.expr(part));
        let (left, right, summed) = match &e.kind {
            ExprKind::Dot(l, r) => (l, r, [1, 1]),
            ExprKind::Contract {
                left,
                right,
                lhs,
                rhs,
                out,
            } => {
                let summed = |labels: &[u8]| labels.iter().position(|l| !out.contains(l));
                let of = |labels| summed(labels).map_or(u8::MAX, |n| n as u8);
                (left, right, [of(lhs), of(rhs)])
            }
            _ => return,
        };
        match (&left.kind, &right.kind) {
            (ExprKind::Param(w), _) => self.product(*w, summed[0], right),
            (_, ExprKind::Param(w)) => self.product(*w, summed[1], left),
            _ => {}
        }
    }

    fn product(&mut self, w: ParamId, summed: u8, value: &Expr) {
        let at = w.0 as usize;
        if self.placed[at] || self.model.param(w).shape.len() != 2 {
            return;
        }
        self.placed[at] = true;
        let key = (self.model.text(value), summed);
        let next = self.groups.len();
        let n = *self.number.entry(key).or_insert(next);
        match self.groups.get_mut(n) {
            Some(group) => group.push(w),
            None => self.groups.push(vec![w]),
        }
    }
}
