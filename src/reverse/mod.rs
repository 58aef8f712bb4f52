//! Reverse mode: a function with a loss becomes one that also returns its gradients.
//!
//! In: an [`ir::Func`] with an output [`OutputRole::Loss`]. Out: the same function with the ops of the
//! backward pass appended and one [`OutputRole::Grad`] for each wanted weight. Differentiation is a
//! function of this module, not an op: `rules` has one arm an op, `scan` turns a loop into a loop the
//! other way, and `stash` alone decides what the forward loop saves for it.

mod active;
mod rules;
mod scan;
mod stash;

use std::collections::{HashMap, HashSet};

pub use stash::Keep;

use crate::ir::build::Build;
use crate::ir::*;

/// Appends the gradients of the loss with respect to the weights whose path `wanted` accepts.
/// Weights that the loss does not reach get zeros.
///
/// Errors name an op that has no derivative rule.
pub fn differentiate(func: &Func, wanted: &dyn Fn(&str) -> bool) -> Result<Func, String> {
    differentiate_keeping(func, wanted, Keep::Auto)
}

/// [`differentiate`], with loops that keep what `keep` says. The gradients have the same bits.
pub fn differentiate_keeping(
    func: &Func,
    wanted: &dyn Fn(&str) -> bool,
    keep: Keep,
) -> Result<Func, String> {
    let mut func = func.clone();
    let loss = func.outputs.iter().find(|o| o.role == OutputRole::Loss);
    let loss = loss
        .ok_or("a function without a loss has no gradients")?
        .value;
    let params: Vec<Param> = func
        .params
        .iter()
        .filter(|p| wanted(&p.path))
        .cloned()
        .collect();
    let active = active::of(&func, params.iter().map(|p| p.value));
    let forward = func.body.ops.clone();

    let mut b = Build::new(&mut func);
    b.by = vec!["reverse"];
    let mut adjoints = Adjoints::default();
    let one = b.number(1.0);
    adjoints.add(&mut b, loss, one);
    let mut direct = Direct { keep };
    backward(&mut b, &forward, &active, &mut adjoints, &mut direct)?;
    let mut outputs = Vec::new();
    for p in params {
        let value = match adjoints.get(p.value) {
            Some(g) => g,
            None => {
                let shape = b.func.shape(p.value).to_vec();
                let name = format!("d{}", b.func.value(p.value).name);
                b.filled(0.0, &shape, &name)
            }
        };
        outputs.push(Output {
            role: OutputRole::Grad(p.path),
            value,
        });
    }
    let backward = std::mem::take(&mut b.ops);
    func.body.ops.extend(backward);
    func.outputs.extend(outputs);
    Ok(func)
}

/// The gradients collected so far, by forward value.
#[derive(Default)]
struct Adjoints {
    of: HashMap<ValueId, ValueId>,
}

impl Adjoints {
    fn get(&self, v: ValueId) -> Option<ValueId> {
        self.of.get(&v).copied()
    }

    /// Adds a contribution to the adjoint of `v`.
    fn add(&mut self, b: &mut Build<'_>, v: ValueId, g: ValueId) {
        let sum = match self.get(v) {
            Some(old) => {
                let name = format!("d{}", b.func.value(v).name);
                b.add(old, g, &name)
            }
            None => g,
        };
        self.of.insert(v, sum);
    }
}

/// Where the backward pass finds the forward values it reads.
trait Forward {
    fn value(&mut self, b: &mut Build<'_>, v: ValueId) -> ValueId;

    /// Makes an adjoint zero at padded steps, where the pass runs inside a scan over lengths.
    fn masked(&mut self, b: &mut Build<'_>, g: ValueId) -> ValueId;

    /// What a loop among the ops that are walked keeps.
    fn keep(&self) -> Keep;
}

/// Outside scans: forward values are still there.
struct Direct {
    keep: Keep,
}

impl Forward for Direct {
    fn value(&mut self, _: &mut Build<'_>, v: ValueId) -> ValueId {
        v
    }

    fn masked(&mut self, _: &mut Build<'_>, g: ValueId) -> ValueId {
        g
    }

    fn keep(&self) -> Keep {
        self.keep
    }
}

/// Walks `ops` from the last to the first, adding to `adjoints` what each op passes back.
fn backward(
    b: &mut Build<'_>,
    ops: &[OpId],
    active: &HashSet<ValueId>,
    adjoints: &mut Adjoints,
    forward: &mut dyn Forward,
) -> Result<(), String> {
    for id in ops.iter().rev() {
        let op = b.func.op(*id).clone();
        if !op.results.iter().any(|r| active.contains(r)) {
            continue;
        }
        b.spans = op.spans.clone();
        if let OpKind::Scan(s) = &op.kind {
            scan::backward(b, *id, s, active, adjoints, forward.keep())?;
            continue;
        }
        let mut grads: Vec<Option<ValueId>> = op.results.iter().map(|r| adjoints.get(*r)).collect();
        if grads.iter().all(Option::is_none) {
            continue;
        }
        // A weight's share is summed over examples: padded ones must add exactly nothing. Shares of
        // values that belong to one example are dropped at padded steps by the carries' holds.
        let batched = |f: &Func, v: ValueId| f.shape(v).first() == Some(&Func::batch());
        let of_example: HashSet<ValueId> = op
            .args
            .iter()
            .filter(|a| batched(b.func, **a))
            .copied()
            .collect();
        let own = |v: ValueId| active.contains(&v) && of_example.contains(&v);
        for (arg, g) in rules::backward(b, &op, &grads, &own, forward)? {
            adjoints.add(b, arg, g);
        }
        let shared = |v: ValueId| active.contains(&v) && !of_example.contains(&v);
        if op.args.iter().any(|a| shared(*a)) {
            for g in grads.iter_mut().flatten() {
                if batched(b.func, *g) {
                    *g = forward.masked(b, *g);
                }
            }
            for (arg, g) in rules::backward(b, &op, &grads, &shared, forward)? {
                adjoints.add(b, arg, g);
            }
        }
    }
    Ok(())
}
