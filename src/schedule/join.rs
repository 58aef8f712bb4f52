//! Joined values that are a run of the parts of a longer one.
//!
//! In: a region's ops. Out: for each `concat` whose parts stand side by side in another `concat` of
//! the region, that one and the first part. `[dr, dz]` needs no memory beside `[dr, dz, dn]`.

use std::collections::BTreeMap;

use crate::ir::{Func, OpId, OpKind, ValueId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    pub longer: ValueId,
    pub start: usize,
}

pub fn within(func: &Func, ops: &[OpId]) -> BTreeMap<ValueId, Within> {
    let joins: Vec<(usize, &[ValueId], ValueId)> = ops
        .iter()
        .filter_map(|&id| match func.op(id).kind {
            OpKind::Concat { axis } => {
                let op = func.op(id);
                Some((axis, op.args.as_slice(), op.results[0]))
            }
            _ => None,
        })
        .collect();
    let mut out = BTreeMap::new();
    for (axis, parts, joined) in &joins {
        for (other_axis, all, longer) in &joins {
            let run = all.windows(parts.len().max(1)).position(|w| w == *parts);
            if let Some(start) = run
                && axis == other_axis
                && all.len() > parts.len()
            {
                out.entry(*joined).or_insert(Within {
                    longer: *longer,
                    start,
                });
            }
        }
    }
    out
}
