//! Products that do not need the state leave the loop: one for the whole sequence instead of one a step.
//!
//! A product of a step's inputs, and what it needs, is lifted over time: `W·x` at every step becomes one
//! product with the sequence `xs`. What depends on no step at all has left the loop before
//! (`hoist-invariant`).

use std::collections::{HashMap, HashSet};

use super::Pass;
use super::edit;
use super::split_concat::moving;
use crate::dim::Dim;
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "hoist-input",
    why: "computes products that do not need the state for all steps at once",
    run,
};

fn run(func: &mut Func) {
    edit::before_scans(func, scan);
    super::dce::run(func);
}

/// The ops to run before the scan.
fn scan(func: &mut Func, id: OpId) -> Vec<OpId> {
    let mut s = edit::scan(func, id).clone();
    let moving = moving(func, &s);
    let local = edit::local(func, &s);
    let mut before = Vec::new();

    // Products of the step's inputs, and what they need.
    let mut needed: HashSet<ValueId> = HashSet::new();
    let mut lift = Vec::new();
    for op_id in s.body.ops.iter().rev() {
        let op = func.op(*op_id);
        let still = !op.results.iter().any(|r| moving.contains(r));
        let wanted = matches!(op.kind, OpKind::Contract { .. })
            || op.results.iter().any(|r| needed.contains(r));
        if still && wanted && liftable(&op.kind) {
            needed.extend(&op.args);
            lift.push(*op_id);
        }
    }
    lift.reverse();
    let mut sequences: HashMap<ValueId, ValueId> =
        s.slices.iter().map(|k| (k.to, k.from)).collect();
    for op_id in &lift {
        let lifted = over_time(func, *op_id, &s.extent, &local, &sequences, &mut before);
        let Some((new, results)) = lifted else {
            continue;
        };
        before.push(new);
        for (step, seq) in func.op(*op_id).results.clone().into_iter().zip(results) {
            sequences.insert(step, seq);
            s.slices.push(Slice {
                from: seq,
                to: step,
            });
        }
        s.body.ops.retain(|o| o != op_id);
    }
    *edit::scan_mut(func, id) = s;
    edit::refresh(func.op_mut(id));
    before
}

fn liftable(kind: &OpKind) -> bool {
    matches!(
        kind,
        OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::Const(_)
            | OpKind::Expand { .. }
            | OpKind::Contract { .. }
            | OpKind::Reduce { masked: false, .. }
            | OpKind::Split { .. }
            | OpKind::Concat { .. }
            | OpKind::Gather
            | OpKind::Softmax
    )
}

/// The op over the whole sequence; `None` where an argument has no sequence.
fn over_time(
    func: &mut Func,
    id: OpId,
    extent: &Dim,
    local: &HashSet<ValueId>,
    sequences: &HashMap<ValueId, ValueId>,
    before: &mut Vec<OpId>,
) -> Option<(OpId, Vec<ValueId>)> {
    let op = func.op(id).clone();
    let mut args = Vec::new();
    let mut timed = Vec::new();
    for a in &op.args {
        match sequences.get(a) {
            Some(seq) => {
                args.push(*seq);
                timed.push(true);
            }
            None if local.contains(a) => return None,
            None => {
                args.push(*a);
                timed.push(false);
            }
        }
    }
    // What is the same at every step has no sequence, and its axes stay where they are.
    if !timed.is_empty() && !timed.contains(&true) {
        return None;
    }
    let lead =
        |shape: &[Dim]| -> Vec<Dim> { std::iter::once(extent).chain(shape).cloned().collect() };
    let later = |axes: &[usize]| axes.iter().map(|a| a + 1).collect::<Vec<_>>();
    let kind = match &op.kind {
        OpKind::Contract { lhs, rhs, out } => {
            if !timed[0] && !timed[1] {
                return None;
            }
            let time = edit::free_label(&[lhs, rhs, out]);
            let with = |labels: &[u8], t: bool| -> Vec<u8> {
                t.then_some(time)
                    .into_iter()
                    .chain(labels.iter().copied())
                    .collect()
            };
            OpKind::Contract {
                lhs: with(lhs, timed[0]),
                rhs: with(rhs, timed[1]),
                out: with(out, true),
            }
        }
        OpKind::Expand { axes, shape } => {
            let shift = usize::from(timed[0]);
            let own = axes.iter().map(|a| a.map(|a| a + shift));
            let first = timed[0].then_some(0);
            OpKind::Expand {
                axes: std::iter::once(first).chain(own).collect(),
                shape: lead(shape),
            }
        }
        OpKind::Reduce { op, axes, masked } => OpKind::Reduce {
            op: *op,
            axes: later(axes),
            masked: *masked,
        },
        OpKind::Split { axis, sizes } => OpKind::Split {
            axis: axis + 1,
            sizes: sizes.clone(),
        },
        OpKind::Concat { axis } => OpKind::Concat { axis: axis + 1 },
        OpKind::Gather if timed[0] => return None,
        other => other.clone(),
    };
    // Operands that are equal at every step are repeated, but single numbers lift by themselves.
    let elementwise = matches!(
        op.kind,
        OpKind::Unary(_) | OpKind::Binary(_) | OpKind::Select | OpKind::Concat { .. }
    );
    if elementwise && !matches!(op.kind, OpKind::Const(_)) {
        for (arg, timed) in args.iter_mut().zip(&timed) {
            let shape = func.shape(*arg).to_vec();
            if !timed && !shape.is_empty() {
                let axes = std::iter::once(None)
                    .chain((0..shape.len()).map(Some))
                    .collect();
                let kind = OpKind::Expand {
                    axes,
                    shape: lead(&shape),
                };
                let name = func.value(*arg).name.clone();
                let (id, r) =
                    edit::make(func, kind, &[*arg], &[&name], op.spans.clone(), PASS.name);
                before.push(id);
                *arg = r[0];
            }
        }
    }
    if matches!(op.kind, OpKind::Const(_)) {
        return None;
    }
    let names: Vec<String> = op
        .results
        .iter()
        .map(|r| func.value(*r).name.clone())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (id, results) = edit::make(func, kind, &args, &names, op.spans.clone(), PASS.name);
    Some((id, results))
}
