//! What faults in the IR share: finding a place in a function, and the smallest changes.
//!
//! In: a function of a stage. Out: whether something was changed.

use seqc::domain::Domain;
use seqc::ir::build::scan_lists;
use seqc::ir::*;

/// Every op that runs, in order, and the scan around it.
pub fn live(func: &Func) -> Vec<(OpId, Option<OpId>)> {
    fn walk(
        func: &Func,
        region: &Region,
        around: Option<OpId>,
        out: &mut Vec<(OpId, Option<OpId>)>,
    ) {
        for &id in &region.ops {
            out.push((id, around));
            if let OpKind::Scan(scan) = &func.op(id).kind {
                walk(func, &scan.body, Some(id), out);
            }
        }
    }
    let mut out = Vec::new();
    walk(func, &func.body, None, &mut out);
    out
}

/// Changes every op where `change` finds its place.
pub fn all(func: &mut Func, change: impl Fn(&mut Func, OpId) -> bool) -> bool {
    let ids = live(func);
    let changed: Vec<bool> = ids.iter().map(|(id, _)| change(func, *id)).collect();
    changed.contains(&true)
}

/// The same for the ops that reverse mode made.
pub fn backward(func: &mut Func, change: impl Fn(&mut Func, OpId) -> bool) -> bool {
    all(func, |f, id| {
        f.op(id).by.contains(&"reverse") && change(f, id)
    })
}

/// The op gives its operand `i` as it is.
pub fn passes(func: &mut Func, id: OpId, i: usize) -> bool {
    let (x, r) = (func.op(id).args[i], func.op(id).results[0]);
    if func.value(x).ty != func.value(r).ty {
        return false;
    }
    let shape = func.shape(x).to_vec();
    let op = func.op_mut(id);
    op.kind = OpKind::Expand {
        axes: (0..shape.len()).map(Some).collect(),
        shape,
    };
    op.args = vec![x];
    true
}

pub fn is_binary(func: &Func, id: OpId, op: Binary) -> bool {
    matches!(func.op(id).kind, OpKind::Binary(b) if b == op)
}

/// A mask of padding (its domain speaks of lengths and axes), or of axes alone.
pub fn mask(func: &Func, id: OpId) -> Option<(Domain, f64, bool)> {
    match &func.op(id).kind {
        OpKind::Mask { domain, fill, .. } => {
            Some((domain.clone(), *fill, func.op(id).args.len() > 1))
        }
        _ => None,
    }
}

pub fn set_domain(func: &mut Func, id: OpId, to: Domain) {
    if let OpKind::Mask { domain, .. } = &mut func.op_mut(id).kind {
        *domain = to;
    }
}

pub fn scan_mut(func: &mut Func, id: OpId) -> Option<&mut Scan> {
    match &mut func.op_mut(id).kind {
        OpKind::Scan(scan) => Some(scan),
        _ => None,
    }
}

pub fn scan_of(func: &Func, id: OpId) -> Option<Scan> {
    match &func.op(id).kind {
        OpKind::Scan(scan) => Some((**scan).clone()),
        _ => None,
    }
}

pub fn refresh(func: &mut Func, id: OpId) {
    if let Some(scan) = scan_of(func, id) {
        let (args, results) = scan_lists(&scan);
        let op = func.op_mut(id);
        op.args = args;
        op.results = results;
    }
}

/// In the bodies of scans that `which` takes: a read of a carry reads what it started from.
pub fn reads_the_start(func: &mut Func, which: &dyn Fn(&Op) -> bool, once: bool) -> bool {
    let mut changed = false;
    for (id, around) in live(func) {
        let Some(outer) = around.filter(|o| which(func.op(*o))) else {
            continue;
        };
        let Some(scan) = scan_of(func, outer) else {
            continue;
        };
        for c in &scan.carries {
            for a in &mut func.op_mut(id).args {
                if *a == c.param && !(once && changed) {
                    *a = c.init;
                    changed = true;
                }
            }
        }
    }
    changed
}
