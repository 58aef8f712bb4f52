//! Which values of a model anything reads.
//!
//! In: a model, and what its function is for. Out: the variables whose equations are lowered.

use std::collections::BTreeSet;

use super::Options;
use crate::check::program::{self as p, ExprKind, Model, Stmt, VarId};

/// Variables read by anything that the options ask for.
pub(super) fn used(model: &Model, options: Options) -> BTreeSet<VarId> {
    let mut out = BTreeSet::new();
    for predict in &model.predicts {
        let (p::Head::Softmax(e) | p::Head::Sigmoid(e) | p::Head::Step(e) | p::Head::Value(e)) =
            &predict.head;
        reads(e, &mut out);
    }
    for (_, e) in model.penalties.iter().chain(
        options
            .predictions
            .then_some(&model.outputs)
            .into_iter()
            .flatten(),
    ) {
        reads(e, &mut out);
    }
    // Equations are in order of dependence: walking backwards finds every reader first.
    for stmt in model.body.iter().rev() {
        match stmt {
            Stmt::Let { var, value } => {
                if out.contains(var) {
                    reads(value, &mut out);
                }
            }
            Stmt::Scan(s) => {
                for (_, e) in s.inputs.iter().chain(&s.contexts) {
                    reads(e, &mut out);
                }
                for state in &s.states {
                    reads(&state.next, &mut out);
                    state.initial.iter().for_each(|e| reads(e, &mut out));
                }
                reads(&s.output, &mut out);
                for inner in s.body.iter().rev() {
                    if let Stmt::Let { var, value } = inner
                        && out.contains(var)
                    {
                        reads(value, &mut out);
                    }
                }
            }
        }
    }
    out
}

fn reads(e: &p::Expr, out: &mut BTreeSet<VarId>) {
    match &e.kind {
        ExprKind::Number(_)
        | ExprKind::Param(_)
        | ExprKind::Index
        | ExprKind::Steps(_)
        | ExprKind::Normal { .. } => {}
        ExprKind::Var(v) | ExprKind::Previous(v) | ExprKind::Reveal(v) => {
            out.insert(*v);
        }
        ExprKind::Unary(_, a)
        | ExprKind::Softmax(a)
        | ExprKind::First(a)
        | ExprKind::Last(a)
        | ExprKind::Delay { value: a, .. }
        | ExprKind::Split { value: a, .. }
        | ExprKind::Expand { value: a, .. }
        | ExprKind::Where { value: a, .. }
        | ExprKind::Top { value: a, .. }
        | ExprKind::Reduce { value: a, .. }
        | ExprKind::Embed { index: a, .. }
        | ExprKind::Dropout { value: a, .. } => reads(a, out),
        ExprKind::Binary(_, a, b)
        | ExprKind::Dot(a, b)
        | ExprKind::Contract {
            left: a, right: b, ..
        }
        | ExprKind::Zoneout { old: a, new: b, .. } => {
            reads(a, out);
            reads(b, out);
        }
        ExprKind::Choose(a, b, c) => [a, b, c].into_iter().for_each(|x| reads(x, out)),
        ExprKind::Concat(parts) => parts.iter().for_each(|x| reads(x, out)),
    }
}
