//! Products that are written where their consumer's result will be.
//!
//! In: the ordered groups of every region. Out: for each such value, the value whose memory it has.
//! `y = x·W` and then `z = y + b` need one buffer: the loop reads each point before it writes it.

use std::collections::BTreeMap;

use super::group::Kind;
use super::order::Ordered;
use super::place::{Place, Placed};
use super::program::CarryHome;
use super::reads;
use super::store::{Regions, Storage};
use crate::ir::{OpId, OpKind, ValueId};

pub fn share(
    p: &Placed,
    storage: &[Storage],
    regions: &Regions<Ordered>,
) -> BTreeMap<ValueId, ValueId> {
    let mut out = BTreeMap::new();
    for groups in regions.values() {
        for (g, producer) in groups.iter().enumerate() {
            let id = producer.group.ops[0];
            if !matches!(p.func.op(id).kind, OpKind::Contract { .. }) {
                continue;
            }
            let v = p.func.op(id).results[0];
            let mut readers = groups[g..].iter().filter(|o| o.needs.contains(&v));
            let (Some(reader), None) = (readers.next(), readers.next()) else {
                continue;
            };
            let fits = p.place[v.0 as usize] == Place::Own
                && reader.group.kind == Kind::Store
                && reader.group.space == p.func.shape(v)
                && pointwise(p, storage, &reader.group.ops, v);
            if !fits {
                continue;
            }
            let taken: Vec<ValueId> = out.values().copied().collect();
            let results = reader.group.ops.iter().map(|&id| p.func.op(id).results[0]);
            let mut stored = results.filter(|w| {
                storage[w.0 as usize] == Storage::Memory && !taken.contains(w) && unread(p, *w)
            });
            if let Some(w) = stored.next() {
                out.insert(v, w);
            }
        }
    }
    out
}

/// Whether every op that reads `v`, also through values computed again, reads it point by point.
fn pointwise(p: &Placed, storage: &[Storage], ops: &[OpId], v: ValueId) -> bool {
    let again = |l: ValueId| storage[l.0 as usize] == Storage::Again;
    ops.iter().all(|&id| {
        p.func.op(id).args.iter().all(|&a| {
            if a == v {
                return true;
            }
            if let Some(by) = p.facts.op_of(a).filter(|_| again(a)) {
                return pointwise(p, storage, &[by], v);
            }
            let mut leaves = Vec::new();
            reads::leaves(p, a, &mut leaves);
            !leaves.iter().any(|&l| l == v || (l != a && again(l)))
        })
    })
}

/// Whether nothing in the place of `w` is read before `w` is written.
fn unread(p: &Placed, w: ValueId) -> bool {
    match p.place[w.0 as usize] {
        Place::Own | Place::Part(..) | Place::Stack(..) | Place::Output(_) => true,
        Place::Next(scan, i) => p.carries[&(scan, i)] == CarryHome::History,
        Place::Init(..) | Place::Within(..) | Place::Weights(_) => false,
    }
}
