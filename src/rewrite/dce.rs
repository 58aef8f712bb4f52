//! Removes what no output depends on: ops, and a scan's unread stacks, slices and carries.

use std::collections::HashSet;

use super::Pass;
use super::edit;
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "dce",
    why: "removes what nothing reads",
    run,
};

pub fn run(func: &mut Func) {
    let mut live: HashSet<ValueId> = func.outputs.iter().map(|o| o.value).collect();
    let ops = std::mem::take(&mut func.body.ops);
    let mut kept = Vec::new();
    for id in ops.into_iter().rev() {
        if !func.op(id).results.iter().any(|r| live.contains(r)) {
            continue;
        }
        if matches!(func.op(id).kind, OpKind::Scan(_)) {
            scan(func, id, &mut live);
        }
        live.extend(&func.op(id).args);
        kept.push(id);
    }
    kept.reverse();
    func.body.ops = kept;
}

/// Keeps what the live results need, adding to `live` what the body reads from outside.
fn scan(func: &mut Func, id: OpId, live: &mut HashSet<ValueId>) {
    let mut s = edit::scan(func, id).clone();
    s.stacks.retain(|k| live.contains(&k.to));
    let mut inner: HashSet<ValueId> = s.stacks.iter().map(|k| k.from).collect();
    inner.extend(
        s.carries
            .iter()
            .filter(|c| live.contains(&c.last))
            .map(|c| c.next),
    );
    // A carry that is read makes what computes its next value live, which may read other carries.
    loop {
        let before = inner.len();
        for op in s.body.ops.iter().rev() {
            let op = func.op(*op);
            if op.results.iter().any(|r| inner.contains(r)) {
                inner.extend(&op.args);
            }
        }
        for c in &s.carries {
            if inner.contains(&c.param) {
                inner.insert(c.next);
            }
        }
        if inner.len() == before {
            break;
        }
    }
    s.body
        .ops
        .retain(|op| func.op(*op).results.iter().any(|r| inner.contains(r)));
    s.carries
        .retain(|c| inner.contains(&c.param) || live.contains(&c.last));
    s.slices.retain(|k| inner.contains(&k.to));
    s.valid = s.valid.filter(|v| inner.contains(v));
    live.extend(inner);
    *edit::scan_mut(func, id) = s;
    edit::refresh(func.op_mut(id));
}
