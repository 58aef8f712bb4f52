//! Which values a gradient can reach: those that depend on a wanted weight.

use std::collections::HashSet;

use crate::ir::*;

/// All values, inside scans too, through which the given ones influence anything.
pub fn of(func: &Func, from: impl Iterator<Item = ValueId>) -> HashSet<ValueId> {
    let mut active: HashSet<ValueId> = from.collect();
    region(func, &func.body, &mut active);
    active
}

fn region(func: &Func, region: &Region, active: &mut HashSet<ValueId>) {
    for id in &region.ops {
        let op = func.op(*id);
        match &op.kind {
            OpKind::Scan(scan) => self::scan(func, scan, active),
            kind if passes(kind) && op.args.iter().any(|a| active.contains(a)) => {
                active.extend(&op.results);
            }
            _ => {}
        }
    }
}

fn scan(func: &Func, scan: &Scan, active: &mut HashSet<ValueId>) {
    // A carry can make another one active only at the next step: repeat until nothing changes.
    loop {
        let before = active.len();
        for s in &scan.slices {
            if active.contains(&s.from) {
                active.insert(s.to);
            }
        }
        for c in &scan.carries {
            if active.contains(&c.init) || active.contains(&c.next) {
                active.insert(c.param);
            }
        }
        region(func, &scan.body, active);
        if active.len() == before {
            break;
        }
    }
    for c in &scan.carries {
        if active.contains(&c.param) || active.contains(&c.next) {
            active.insert(c.last);
        }
    }
    for s in &scan.stacks {
        if active.contains(&s.from) {
            active.insert(s.to);
        }
    }
}

/// Whether a gradient goes through the op at all.
fn passes(kind: &OpKind) -> bool {
    match kind {
        OpKind::Unary(Unary::Sign | Unary::Step | Unary::Stop | Unary::Bf16) => false,
        OpKind::Binary(Binary::Lt | Binary::Le | Binary::Eq) => false,
        OpKind::Const(_)
        | OpKind::ToFloat
        | OpKind::Top { .. }
        | OpKind::Iota { .. }
        | OpKind::Random { .. } => false,
        OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Select
        | OpKind::Expand { .. }
        | OpKind::Contract { .. }
        | OpKind::Reduce { .. }
        | OpKind::Softmax
        | OpKind::CrossEntropy
        | OpKind::CrossEntropyGrad
        | OpKind::Gather
        | OpKind::ScatterAdd { .. }
        | OpKind::Split { .. }
        | OpKind::Concat { .. }
        | OpKind::Take(_)
        | OpKind::Put { .. }
        | OpKind::Mask { .. }
        | OpKind::Shift { .. }
        | OpKind::Scan(_) => true,
    }
}
