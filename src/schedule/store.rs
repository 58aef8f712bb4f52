//! Which values are stored, and which are computed again where they are read.
//!
//! In: a placed function and the groups of every region. Out: [`Storage`] of each value an op gives.
//! A value read only in its own loop stays there. One that other loops read is stored, unless it is
//! one cheap operation on a value they can read instead (the centred input of a layer norm).

use std::collections::BTreeMap;

use super::facts::{Site, Use};
use super::group::{Group, Kind};
use super::place::{Place, Placed};
use super::reads;
use crate::ir::{Binary, OpId, OpKind, Unary, ValueId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Not in memory: inside its loop, inline, or a view.
    None,
    Memory,
    /// Computed again by each loop that reads it.
    Again,
}

/// The groups of every region.
pub type Regions<G> = BTreeMap<Site, Vec<G>>;

pub fn storage(p: &Placed, regions: &Regions<Group>) -> Vec<Storage> {
    let mut out = vec![Storage::None; p.func.values.len()];
    for groups in regions.values() {
        let readers = readers(p, groups);
        for group in groups {
            if group.kind == Kind::Single {
                for &id in &group.ops {
                    for &r in &p.func.op(id).results {
                        out[r.0 as usize] = Storage::Memory;
                    }
                }
            }
            for &id in &group.ops {
                let folded = matches!(p.func.op(id).kind, OpKind::Reduce { .. });
                if folded {
                    out[p.func.op(id).results[0].0 as usize] = Storage::Memory;
                }
            }
        }
        // In order of execution, so that what a value is computed from is decided first.
        let mut stored: Vec<(OpId, usize)> = Vec::new();
        for (g, group) in groups.iter().enumerate() {
            if group.kind == Kind::Store {
                stored.extend(group.ops.iter().map(|&id| (id, g)));
            }
        }
        stored.sort_by_key(|(id, _)| p.order[id.0 as usize]);
        for (id, g) in stored {
            let v = p.func.op(id).results[0];
            let outside: Vec<usize> = match readers.get(&v) {
                Some(all) => all.iter().copied().filter(|&r| r != g).collect(),
                None => Vec::new(),
            };
            let at = v.0 as usize;
            if p.place[at] != Place::Own {
                out[at] = Storage::Memory;
            } else if !outside.is_empty() {
                let loops = outside.iter().all(|&r| groups[r].kind != Kind::Single);
                let light = match loops && outside.len() <= 3 && only_args(p, v) {
                    true => cheap(p, &out, v),
                    false => None,
                };
                match light {
                    Some(again) => {
                        for v in again {
                            out[v.0 as usize] = Storage::Again;
                        }
                    }
                    None => out[at] = Storage::Memory,
                }
            }
        }
    }
    out
}

/// The groups that read each value.
fn readers(p: &Placed, groups: &[Group]) -> BTreeMap<ValueId, Vec<usize>> {
    let mut out: BTreeMap<ValueId, Vec<usize>> = BTreeMap::new();
    for (g, group) in groups.iter().enumerate() {
        for &id in &group.ops {
            for v in reads::reads(p, id) {
                let list = out.entry(v).or_default();
                if list.last() != Some(&g) {
                    list.push(g);
                }
            }
        }
    }
    out
}

fn only_args(p: &Placed, v: ValueId) -> bool {
    let uses = p.facts.uses(v);
    uses.iter().all(|u| matches!(u, Use::Arg(..)))
}

/// The most operations that are done again rather than stored once.
const CHEAP: usize = 3;

/// What must be computed again with `v`: a few light operations on values in memory, of which at most
/// one is as large as the result. `None` where storing is better.
fn cheap(p: &Placed, storage: &[Storage], v: ValueId) -> Option<Vec<ValueId>> {
    let mut again = vec![v];
    let mut large: Vec<ValueId> = Vec::new();
    let mut next = 0;
    while let Some(&at) = again.get(next) {
        next += 1;
        let id = p.facts.op_of(at)?;
        let op = p.func.op(id);
        if !is_light(&op.kind) || again.len() > CHEAP {
            return None;
        }
        for &a in &op.args {
            let mut from = Vec::new();
            reads::leaves(p, a, &mut from);
            for leaf in from {
                let computed = p.facts.op_of(leaf).is_some();
                match storage[leaf.0 as usize] {
                    Storage::None if computed && leaf == a && same_shape(p, a, v) => {
                        if p.place[leaf.0 as usize] != Place::Own {
                            return None;
                        }
                        if !again.contains(&leaf) {
                            again.push(leaf);
                        }
                    }
                    Storage::None if computed => return None,
                    Storage::Again if !again.contains(&leaf) => again.push(leaf),
                    Storage::None | Storage::Again | Storage::Memory => {}
                }
            }
            let inline = super::inline::is_inline(&p.func, &p.facts, a);
            let here = again.contains(&a);
            if !inline && !here && same_shape(p, a, v) && !large.contains(&a) {
                large.push(a);
            }
        }
    }
    (again.len() <= CHEAP && large.len() <= 1).then_some(again)
}

fn same_shape(p: &Placed, a: ValueId, b: ValueId) -> bool {
    p.func.shape(a) == p.func.shape(b)
}

fn is_light(kind: &OpKind) -> bool {
    match kind {
        OpKind::Unary(u) => matches!(u, Unary::Neg | Unary::Abs | Unary::Sign | Unary::Step),
        OpKind::Binary(b) => match b {
            Binary::Add
            | Binary::Sub
            | Binary::Mul
            | Binary::Max
            | Binary::Min
            | Binary::Lt
            | Binary::Le
            | Binary::Eq => true,
            Binary::Div | Binary::Pow => false,
        },
        OpKind::Select | OpKind::Mask { .. } => true,
        _ => false,
    }
}

/// What a group needs from memory: its own values left out, and values computed again seen through.
pub fn needs(p: &Placed, storage: &[Storage], group: &Group) -> Vec<ValueId> {
    let mut own: Vec<ValueId> = Vec::new();
    for &id in &group.ops {
        own.extend(&p.func.op(id).results);
    }
    let mut out = Vec::new();
    let mut todo = group.ops.clone();
    let mut seen: Vec<OpId> = Vec::new();
    while let Some(id) = todo.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        for v in reads::reads(p, id) {
            if own.contains(&v) {
                continue;
            }
            match (storage[v.0 as usize], p.facts.op_of(v)) {
                (Storage::Again, Some(by)) => todo.push(by),
                _ => out.push(v),
            }
        }
    }
    out.sort();
    out.dedup();
    out
}
