//! Splits move up through elementwise ops, so that gates are computed where they are split.
//!
//! In: `z = a + b` over `[B,4H]`, used only as `f, i, o, g = split(z)`. Out: `f = a₀ + b₀`, … with the
//! splits on `a` and `b`, where they are views: the sum fuses with what follows it over `[B,H]`, and
//! nothing is computed twice.

use std::collections::BTreeMap;

use super::edit::Editor;
use crate::dim::Dim;
use crate::ir::{OpId, OpKind, Type, ValueId};

pub fn splits(ed: &mut Editor) {
    let ops = ed.func.body.ops.clone();
    let kept: Vec<ValueId> = ed.func.outputs.iter().map(|o| o.value).collect();
    let ops = region(ed, ops, &kept);
    ed.func.body.ops = ops.clone();
    for id in ops {
        let OpKind::Scan(scan) = ed.func.op(id).kind.clone() else {
            continue;
        };
        let mut scan = *scan;
        let mut kept: Vec<ValueId> = scan.carries.iter().map(|c| c.next).collect();
        kept.extend(scan.stacks.iter().map(|s| s.from));
        scan.body.ops = region(ed, scan.body.ops, &kept);
        ed.func.op_mut(id).kind = OpKind::Scan(Box::new(scan));
    }
}

/// One region; `kept` are values that leave it whole.
fn region(ed: &mut Editor, mut ops: Vec<OpId>, kept: &[ValueId]) -> Vec<OpId> {
    while let Some((at, splits)) = candidate(ed, &ops, kept) {
        ops = push_up(ed, &ops, at, &splits);
    }
    ops
}

/// The last elementwise op all of whose uses are splits of one kind, and those splits.
fn candidate(ed: &Editor, ops: &[OpId], kept: &[ValueId]) -> Option<(usize, Vec<OpId>)> {
    let mut uses: BTreeMap<ValueId, Vec<OpId>> = BTreeMap::new();
    for &id in ops {
        for v in reads(ed, id) {
            uses.entry(v).or_default().push(id);
        }
    }
    for (at, &id) in ops.iter().enumerate().rev() {
        let op = ed.func.op(id);
        let movable = matches!(
            op.kind,
            OpKind::Unary(_) | OpKind::Binary(_) | OpKind::Select | OpKind::ToFloat
        );
        if !movable || kept.contains(&op.results[0]) {
            continue;
        }
        let Some(users) = uses.get(&op.results[0]) else {
            continue;
        };
        let OpKind::Split { axis, sizes } = &ed.func.op(users[0]).kind else {
            continue;
        };
        let same = |u: &OpId| {
            matches!(&ed.func.op(*u).kind,
                OpKind::Split { axis: a, sizes: s } if a == axis && s == sizes)
        };
        if users.iter().all(same) {
            return Some((at, users.clone()));
        }
    }
    None
}

/// Every value an op reads, a scan's body included.
fn reads(ed: &Editor, id: OpId) -> Vec<ValueId> {
    let op = ed.func.op(id);
    let mut all = op.args.clone();
    if let OpKind::Scan(scan) = &op.kind {
        for &inner in &scan.body.ops {
            all.extend(&ed.func.op(inner).args);
        }
        all.extend(scan.carries.iter().map(|c| c.next));
        all.extend(scan.stacks.iter().map(|s| s.from));
    }
    all
}

fn push_up(ed: &mut Editor, ops: &[OpId], at: usize, splits: &[OpId]) -> Vec<OpId> {
    let id = ops[at];
    let op = ed.func.op(id).clone();
    let OpKind::Split { axis, sizes } = ed.func.op(splits[0]).kind.clone() else {
        unreachable!("candidates are split");
    };
    let parts = ed.func.op(splits[0]).results.clone();
    for other in &splits[1..] {
        let same = ed.func.op(*other).results.clone();
        for (a, b) in same.into_iter().zip(&parts) {
            ed.replace(a, *b);
        }
    }
    let mut new = Vec::new();
    let operands: Vec<Vec<ValueId>> = op
        .args
        .iter()
        .map(|&a| split_operand(ed, &mut new, a, (axis, &sizes), id))
        .collect();
    for (k, &part) in parts.iter().enumerate() {
        let args = operands.iter().map(|o| o[k]).collect();
        new.push(ed.op(op.kind.clone(), args, part, id));
    }
    let mut out: Vec<OpId> = Vec::with_capacity(ops.len() + new.len());
    for (i, &o) in ops.iter().enumerate() {
        if i == at {
            out.append(&mut new);
        } else if !splits.contains(&o) {
            out.push(o);
        }
    }
    if splits.len() > 1 {
        ed.settle_all(&out);
    }
    out
}

/// An operand's parts: itself where it is a number, narrower repeats where it repeats along the
/// axis, else a split.
fn split_operand(
    ed: &mut Editor,
    new: &mut Vec<OpId>,
    v: ValueId,
    (axis, sizes): (usize, &[Dim]),
    like: OpId,
) -> Vec<ValueId> {
    let ty = ed.func.value(v).ty.clone();
    if ty.shape.is_empty() {
        return vec![v; sizes.len()];
    }
    let name = ed.name(v);
    let part_type = |size: &Dim| {
        let mut ty: Type = ty.clone();
        ty.shape[axis] = size.clone();
        ty
    };
    let repeated = ed.expand_of(v).filter(|(axes, _)| axes[axis].is_none());
    if let Some((axes, inner)) = repeated {
        let narrow = |(k, size): (usize, &Dim)| {
            let ty = part_type(size);
            let kind = OpKind::Expand {
                axes: axes.clone(),
                shape: ty.shape.clone(),
            };
            let part = ed.value(&format!("{name}.{k}"), ty);
            new.push(ed.op(kind, vec![inner], part, like));
            part
        };
        return sizes.iter().enumerate().map(narrow).collect();
    }
    let parts: Vec<ValueId> = sizes
        .iter()
        .enumerate()
        .map(|(k, size)| ed.value(&format!("{name}.{k}"), part_type(size)))
        .collect();
    let kind = OpKind::Split {
        axis,
        sizes: sizes.to_vec(),
    };
    let split = ed.op(kind, vec![v], parts[0], like);
    ed.func.op_mut(split).results = parts.clone();
    new.push(split);
    parts
}
