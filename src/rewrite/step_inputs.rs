//! Products for all steps at once go back into the loops that take them step by step.
//!
//! The opposite of `hoist-input`, for when memory is dearer than time: `p = x·W` for all steps is as long as the
//! sequence, and four times as wide as an LSTM. It runs after gradients are taken, which are those of the one product,
//! and each step of each loop computes what it needs: `p[t] = x[t]·W`. An element is the same sum in the same order.

use std::collections::HashSet;

use super::Pass;
use super::edit;
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "step-inputs",
    why: "computes a step's inputs where they are needed, so that no sequence of them is kept",
    run,
};

fn run(func: &mut Func) {
    let makers = edit::makers(func);
    let sliced = sliced_alone(func);
    for id in edit::scans(func, &func.body.clone()) {
        let slices = edit::scan(func, id).slices.clone();
        for slice in slices {
            let maker = makers.get(&slice.from);
            if let Some(maker) = maker.filter(|_| sliced.contains(&slice.from)) {
                inside(func, id, slice, *maker);
            }
        }
        edit::refresh(func.op_mut(id));
    }
    super::dce::run(func);
}

/// Values that nothing but loops of the function's body reads, step by step.
fn sliced_alone(func: &Func) -> HashSet<ValueId> {
    let mut sliced: HashSet<ValueId> = HashSet::new();
    let mut elsewhere: HashSet<ValueId> = func.outputs.iter().map(|o| o.value).collect();
    for (id, around) in edit::live_ops(func) {
        let op = func.op(id);
        let OpKind::Scan(s) = &op.kind else {
            elsewhere.extend(&op.args);
            continue;
        };
        let to = match around.is_empty() {
            true => &mut sliced,
            false => &mut elsewhere,
        };
        to.extend(s.slices.iter().map(|s| s.from));
        elsewhere.extend(s.carries.iter().flat_map(|c| [c.init, c.next]));
        elsewhere.extend(s.stacks.iter().map(|s| s.from).chain(s.len));
    }
    sliced.retain(|v| !elsewhere.contains(v));
    sliced
}

/// Computes the slice in the body, where it is one of a product over whole sequences.
fn inside(func: &mut Func, id: OpId, slice: Slice, maker: OpId) {
    let op = func.op(maker).clone();
    let OpKind::Contract { lhs, rhs, out } = &op.kind else {
        return;
    };
    let Some((time, rest)) = out.split_first() else {
        return;
    };
    // An operand with the time has it in front, so that a step of it is a slice.
    let sides = [lhs, rhs].map(|labels| labels.iter().position(|l| l == time));
    if sides.iter().any(|at| at.is_some_and(|at| at > 0)) {
        return;
    }
    let mut args = op.args.clone();
    for (arg, at) in args.iter_mut().zip(sides) {
        if at.is_none() {
            continue;
        }
        let known = edit::scan(func, id).slices.iter().find(|s| s.from == *arg);
        *arg = match known {
            Some(s) => s.to,
            None => {
                let (name, ty) = (func.value(*arg).name.clone(), func.value(*arg).ty.clone());
                let ty = Type {
                    elem: ty.elem,
                    shape: ty.shape[1..].to_vec(),
                };
                let to = func.fresh(&name, ty);
                let from = *arg;
                edit::scan_mut(func, id).slices.push(Slice { from, to });
                to
            }
        };
    }
    let without = |labels: &[u8], at: Option<usize>| labels[at.map_or(0, |at| at + 1)..].to_vec();
    let kind = OpKind::Contract {
        lhs: without(lhs, sides[0]),
        rhs: without(rhs, sides[1]),
        out: rest.to_vec(),
    };
    let name = func.value(slice.to).name.clone();
    let made = edit::make(func, kind, &args, &[&name], op.spans, PASS.name);
    let (step, result) = (made.0, made.1[0]);
    let scan = edit::scan_mut(func, id);
    scan.slices.retain(|s| s.to != slice.to);
    scan.body.ops.insert(0, step);
    edit::replace(func, &edit::Map::from([(slice.to, result)]));
}
