//! A mask is left out where it changes nothing: its operand is zero there already, or nothing depends
//! on what is there.
//!
//! Attention over padded sequences masks its scores to −∞, so that their softmax is 0 at padding; the
//! sum over the same time with those weights masks padding once more, and so does the gradient of the
//! weights, which is multiplied by them.

use super::Pass;
use super::edit::{self, Map};
use crate::domain::Domain;
use crate::ir::support::{Support, of_mask};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "drop-masks",
    why: "removes masks of what is zero there already, or matters nowhere there",
    run,
};

fn run(func: &mut Func) {
    let zeroing: Vec<(OpId, Domain)> = edit::live_ops(func)
        .into_iter()
        .filter_map(|(id, _)| Some((id, domain(func, func.op(id))?)))
        .collect();
    if zeroing.is_empty() {
        return;
    }
    // What a mask is given is zero for reasons that come before it: all of these may go at once.
    let support = Support::of(func);
    let mut map = Map::new();
    let mut rest = Vec::new();
    for (id, inside) in zeroing {
        let op = func.op(id);
        match inside.contains(support.nonzero(op.args[0])) {
            true => {
                map.insert(op.results[0], op.args[0]);
            }
            false => rest.push((id, inside)),
        }
    }
    let mut changed = !map.is_empty();
    edit::replace(func, &map);
    // Of two factors with masks either mask may go, but not both.
    while let Some((at, map)) = unread(func, &rest) {
        edit::replace(func, &map);
        rest.remove(at);
        changed = true;
    }
    if changed {
        super::dce::run(func);
    }
}

/// The domain of a mask that puts zeros outside, where it can be compared with others.
fn domain(func: &Func, op: &Op) -> Option<Domain> {
    let OpKind::Mask {
        domain,
        fill: 0.0,
        batch,
    } = &op.kind
    else {
        return None;
    };
    let inside = of_mask(func, op, domain, *batch);
    // What cannot be said without numbers of the examples would seem to be everywhere.
    let said = inside.coords().len() == domain.coords().len();
    said.then_some(inside)
}

/// A mask outside whose domain nothing reads its result, and what stands for it.
fn unread(func: &Func, masks: &[(OpId, Domain)]) -> Option<(usize, Map)> {
    let support = Support::of(func);
    let at = masks.iter().position(|(id, inside)| {
        let demand = support.demand(func.op(*id).results[0]);
        let unread = *demand != Domain::Any(Vec::new()) && inside.contains(demand);
        unread && unread_without(func, *id, inside)
    })?;
    let op = func.op(masks[at].0);
    Some((at, Map::from([(op.results[0], op.args[0])])))
}

/// Whether that still holds where the mask is gone: in a square both factors are zero by this one
/// mask, and each would leave it to the other.
fn unread_without(func: &Func, id: OpId, inside: &Domain) -> bool {
    let mut without = func.clone();
    let (x, result) = (func.op(id).args[0], func.op(id).results[0]);
    let shape = func.shape(x).to_vec();
    let op = without.op_mut(id);
    op.kind = OpKind::Expand {
        axes: (0..shape.len()).map(Some).collect(),
        shape,
    };
    op.args = vec![x];
    inside.contains(Support::of(&without).demand(result))
}
