//! What the passes share: replacing values, counting readers, visiting regions.

use std::collections::{HashMap, HashSet};

use crate::ir::build::scan_lists;
use crate::ir::*;

/// Old value to new value; chains are followed.
pub type Map = HashMap<ValueId, ValueId>;

pub fn resolve(map: &Map, mut v: ValueId) -> ValueId {
    while let Some(next) = map.get(&v) {
        v = *next;
    }
    v
}

/// Puts the ops that `moved` gives for a scan before it, for each scan of the function's body.
pub fn before_scans(func: &mut Func, moved: impl Fn(&mut Func, OpId) -> Vec<OpId>) {
    let mut ops = Vec::new();
    for id in func.body.ops.clone() {
        if matches!(func.op(id).kind, OpKind::Scan(_)) {
            ops.extend(moved(func, id));
        }
        ops.push(id);
    }
    func.body.ops = ops;
}

/// Makes every reader of a replaced value read its replacement.
pub fn replace(func: &mut Func, map: &Map) {
    if map.is_empty() {
        return;
    }
    for op in &mut func.ops {
        for a in &mut op.args {
            *a = resolve(map, *a);
        }
        if let OpKind::Scan(scan) = &mut op.kind {
            for s in &mut scan.slices {
                s.from = resolve(map, s.from);
            }
            for c in &mut scan.carries {
                c.init = resolve(map, c.init);
                c.next = resolve(map, c.next);
            }
            for s in &mut scan.stacks {
                s.from = resolve(map, s.from);
            }
            scan.len = scan.len.map(|l| resolve(map, l));
        }
        refresh(op);
    }
    for out in &mut func.outputs {
        out.value = resolve(map, out.value);
    }
}

/// Brings a scan's `args` and `results` in line with its lists.
pub fn refresh(op: &mut Op) {
    if let OpKind::Scan(scan) = &op.kind {
        (op.args, op.results) = scan_lists(scan);
    }
}

/// Ids of the scans of a region, in order.
pub fn scans(func: &Func, region: &Region) -> Vec<OpId> {
    let is_scan = |id: &&OpId| matches!(func.op(**id).kind, OpKind::Scan(_));
    region.ops.iter().filter(is_scan).copied().collect()
}

pub fn scan(func: &Func, id: OpId) -> &Scan {
    match &func.op(id).kind {
        OpKind::Scan(s) => s,
        _ => unreachable!("not a scan"),
    }
}

pub fn scan_mut(func: &mut Func, id: OpId) -> &mut Scan {
    match &mut func.op_mut(id).kind {
        OpKind::Scan(s) => s,
        _ => unreachable!("not a scan"),
    }
}

/// Every op that runs, with the scans around it innermost last.
pub fn live_ops(func: &Func) -> Vec<(OpId, Vec<OpId>)> {
    let mut out = Vec::new();
    fn visit(func: &Func, region: &Region, around: &[OpId], out: &mut Vec<(OpId, Vec<OpId>)>) {
        for id in &region.ops {
            out.push((*id, around.to_vec()));
            if let OpKind::Scan(s) = &func.op(*id).kind {
                visit(func, &s.body, &[around, &[*id]].concat(), out);
            }
        }
    }
    visit(func, &func.body, &[], &mut out);
    out
}

/// The op that makes each value.
pub fn makers(func: &Func) -> HashMap<ValueId, OpId> {
    let mut out = HashMap::new();
    for (id, _) in live_ops(func) {
        for r in &func.op(id).results {
            out.insert(*r, id);
        }
    }
    out
}

/// How many times each value is read: by ops, by scans' lists, by outputs.
pub fn readers(func: &Func) -> HashMap<ValueId, usize> {
    let mut out: HashMap<ValueId, usize> = HashMap::new();
    let mut read = |v: ValueId| *out.entry(v).or_insert(0) += 1;
    for (id, _) in live_ops(func) {
        let op = func.op(id);
        op.args.iter().for_each(|a| read(*a));
        if let OpKind::Scan(s) = &op.kind {
            s.carries.iter().for_each(|c| read(c.next));
            s.stacks.iter().for_each(|s| read(s.from));
        }
    }
    func.outputs.iter().for_each(|o| read(o.value));
    out
}

/// Values that a scan's body defines, its slices, carries and `valid` included.
pub fn local(func: &Func, scan: &Scan) -> HashSet<ValueId> {
    let mut out: HashSet<ValueId> = scan.slices.iter().map(|s| s.to).collect();
    out.extend(scan.carries.iter().map(|c| c.param));
    out.extend(scan.valid);
    for id in &scan.body.ops {
        out.extend(&func.op(*id).results);
    }
    out
}

/// A new op that is in no region yet; its result types come from the shape rules.
pub fn make(
    func: &mut Func,
    kind: OpKind,
    args: &[ValueId],
    names: &[&str],
    spans: Vec<crate::span::Span>,
    by: &'static str,
) -> (OpId, Vec<ValueId>) {
    let mut b = build::Build::new(func);
    b.spans = spans;
    b.by = vec![by];
    let results = b.emit_all(kind, args, names);
    (b.ops[0], results)
}

/// A label that none of these products' axes has.
pub fn free_label(used: &[&[u8]]) -> u8 {
    let taken = |l: &u8| used.iter().any(|labels| labels.contains(l));
    // A product has few axes; one of 256 labels is free.
    (0..=u8::MAX).rev().find(|l| !taken(l)).unwrap_or_default()
}

/// Notes that a pass made or moved an op.
pub fn mark(func: &mut Func, id: OpId, by: &'static str) {
    let op = func.op_mut(id);
    if !op.by.contains(&by) {
        op.by.push(by);
    }
}

/// Puts an op that is in no region yet before another, in that one's region.
pub fn insert_before(func: &mut Func, before: OpId, new: OpId) {
    insert(func, before, 0, new);
}

/// The same behind the other.
pub fn insert_after(func: &mut Func, after: OpId, new: OpId) {
    insert(func, after, 1, new);
}

fn insert(func: &mut Func, other: OpId, past: usize, new: OpId) {
    let region = |func: &Func| {
        let around = live_ops(func).into_iter().find(|(id, _)| *id == other)?.1;
        Some(around.last().copied())
    };
    let ops = match region(func) {
        None => return,
        Some(None) => &mut func.body.ops,
        Some(Some(around)) => &mut scan_mut(func, around).body.ops,
    };
    if let Some(at) = ops.iter().position(|id| *id == other) {
        ops.insert(at + past, new);
    }
}
