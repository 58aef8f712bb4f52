//! Weights that are joined as they lie in the arena, and gradients that come out joined so.
//!
//! In: a desugared function. Out: for a `concat`, the weights it joins, where they follow each other in the arena; for a
//! joined value that `split` makes into gradients, the same. The first is then in memory already, and the second can be
//! computed where its parts are wanted: no weight and no gradient is copied.

use super::facts::{Def, Facts, Use};
use super::program::Weights;
use crate::ir::{Func, OpId, OpKind, OutputRole, ValueId};

/// The weights that a `concat` along the first axis joins.
pub fn joined(func: &Func, facts: &Facts, concat: OpId) -> Option<Weights> {
    let number = |v: &ValueId| match facts.def.get(v.0 as usize) {
        Some(Def::Param(i)) => Some(*i),
        _ => None,
    };
    let parts: Option<Vec<usize>> = func.op(concat).args.iter().map(number).collect();
    run(&parts?)
}

/// Whether no weight of `run` is in another run.
pub fn apart(runs: &[(Weights, ValueId)], run: Weights) -> bool {
    let (from, to) = (run.first, run.first + run.count);
    runs.iter()
        .all(|(r, _)| to <= r.first || r.first + r.count <= from)
}

/// A value whose parts along the first axis are the gradients of neighbours, and nothing else.
pub struct Grads {
    pub joined: ValueId,
    pub weights: Weights,
    /// By part, which result of the function it is.
    pub results: Vec<usize>,
}

pub fn grads(func: &Func, facts: &Facts, ops: &[OpId]) -> Vec<Grads> {
    let of = |id: &OpId| {
        let op = func.op(*id);
        if !matches!(op.kind, OpKind::Split { axis: 0, .. }) {
            return None;
        }
        let result = |v: &ValueId| match facts.uses(*v) {
            [Use::Output(i)] => Some(*i),
            _ => None,
        };
        let results: Option<Vec<usize>> = op.results.iter().map(result).collect();
        let results = results?;
        let weight = |i: &usize| grad_of(func, &func.outputs[*i].role);
        let weights: Option<Vec<usize>> = results.iter().map(weight).collect();
        Some(Grads {
            joined: op.args[0],
            weights: run(&weights?)?,
            results,
        })
    };
    ops.iter().filter_map(of).collect()
}

/// Several weights that follow each other in this order.
fn run(weights: &[usize]) -> Option<Weights> {
    let (&first, rest) = weights.split_first()?;
    let follow = (first + 1..).zip(rest).all(|(want, &w)| want == w);
    (follow && !rest.is_empty()).then_some(Weights {
        first,
        count: weights.len(),
    })
}

/// The gradient's weight, by its place in the function's list.
pub fn grad_of(func: &Func, role: &OutputRole) -> Option<usize> {
    match role {
        OutputRole::Grad(path) => func.params.iter().position(|p| &p.path == path),
        OutputRole::Loss
        | OutputRole::LossSum(_)
        | OutputRole::LossCount(_)
        | OutputRole::Prediction(_)
        | OutputRole::Named(_)
        | OutputRole::Carry(_) => None,
    }
}
