//! What an op reads once views and inline values are seen through.
//!
//! In: a placed function. Out: the values that must be in memory, or in the same loop, before the op
//! can run.

use super::facts::{Def, scan_at};
use super::inline::is_inline;
use super::place::Placed;
use crate::ir::{OpId, OpKind, TakeWhich, ValueId};

/// Adds what `v` is made of: values that ops compute or that come from outside the region's ops.
pub fn leaves(p: &Placed, v: ValueId, out: &mut Vec<ValueId>) {
    match p.facts.def(v) {
        Def::Valid(scan) => {
            let len = scan_at(&p.func, scan).len;
            if let Some(len) = len {
                leaves(p, len, out);
            }
        }
        Def::Slice(scan, i) => leaves(p, scan_at(&p.func, scan).slices[i].from, out),
        Def::Op(id, _) => {
            let op = p.func.op(id);
            let through = matches!(
                op.kind,
                OpKind::Split { .. }
                    | OpKind::Concat { .. }
                    | OpKind::Take(TakeWhich::First)
                    | OpKind::Const(_)
            );
            if through || is_inline(&p.func, &p.facts, v) {
                for &a in &op.args {
                    leaves(p, a, out);
                }
            } else {
                out.push(v);
            }
        }
        Def::Param(_)
        | Def::Input(_)
        | Def::CarryParam(..)
        | Def::Stack(..)
        | Def::Last(..)
        | Def::None => out.push(v),
    }
}

/// What an op reads; a scan also reads what its body reads.
pub fn reads(p: &Placed, id: OpId) -> Vec<ValueId> {
    let mut out = Vec::new();
    match &p.func.op(id).kind {
        OpKind::Scan(scan) => {
            for c in &scan.carries {
                leaves(p, c.init, &mut out);
            }
            for s in &scan.slices {
                leaves(p, s.from, &mut out);
            }
            if let Some(v) = scan.len {
                leaves(p, v, &mut out);
            }
            for &inner in &scan.body.ops {
                for &a in &p.func.op(inner).args {
                    leaves(p, a, &mut out);
                }
            }
        }
        _ => {
            for &a in &p.func.op(id).args {
                leaves(p, a, &mut out);
            }
        }
    }
    out.sort();
    out.dedup();
    out
}
