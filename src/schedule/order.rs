//! The order in which a region's groups run.
//!
//! In: groups and what each needs. Out: an order that follows the data, runs a loop right after the
//! matrix product it consumes, and otherwise keeps the source's order. In a scan's body the readers
//! of a carry come before what overwrites it, where the data allow.

use std::collections::BTreeMap;

use super::facts::{Site, scan_at};
use super::group::{Group, Kind};
use super::place::Placed;
use super::program::CarryHome;
use super::reads;
use super::store::{self, Storage};
use crate::ir::{OpKind, ValueId};

pub struct Ordered {
    pub group: Group,
    /// What it reads from memory.
    pub needs: Vec<ValueId>,
}

pub fn order(p: &Placed, storage: &[Storage], site: Site, groups: Vec<Group>) -> Vec<Ordered> {
    let mut list: Vec<Ordered> = Vec::new();
    for group in groups {
        let results = group.ops.iter().flat_map(|&id| &p.func.op(id).results);
        let mut results = results.map(|r| storage[r.0 as usize]);
        if results.any(|s| s == Storage::Memory) {
            let needs = store::needs(p, storage, &group);
            list.push(Ordered { group, needs });
        }
    }
    let n = list.len();
    let mut giver: BTreeMap<ValueId, usize> = BTreeMap::new();
    for (g, o) in list.iter().enumerate() {
        for &id in &o.group.ops {
            giver.extend(p.func.op(id).results.iter().map(|&r| (r, g)));
        }
    }
    let mut before: Vec<Vec<usize>> = list
        .iter()
        .map(|o| {
            o.needs
                .iter()
                .filter_map(|v| giver.get(v).copied())
                .collect()
        })
        .collect();
    if let Some(scan) = site {
        for (i, c) in scan_at(&p.func, scan).carries.iter().enumerate() {
            if p.carries[&(scan, i)] != CarryHome::InPlace || c.next == c.param {
                continue;
            }
            let mut parts = Vec::new();
            reads::leaves(p, c.next, &mut parts);
            let mut writers: Vec<usize> =
                parts.iter().filter_map(|v| giver.get(v).copied()).collect();
            writers.dedup();
            let readers: Vec<usize> = (0..n)
                .filter(|&g| list[g].needs.contains(&c.param))
                .collect();
            for &w in &writers {
                for &r in &readers {
                    if r != w && !comes_before(&before, w, r) {
                        before[w].push(r);
                    }
                }
            }
        }
    }
    let first = |g: usize| {
        let at = list[g].group.ops.iter().map(|id| p.order[id.0 as usize]);
        at.min().unwrap_or(0)
    };
    let mut done = vec![false; n];
    let mut sequence: Vec<usize> = Vec::with_capacity(n);
    while sequence.len() < n {
        let ready = (0..n).filter(|&g| !done[g] && before[g].iter().all(|&b| done[b]));
        let after_product = |g: usize| {
            list[g].group.kind == Kind::Store
                && sequence.last().is_some_and(|&last| {
                    let id = list[last].group.ops[0];
                    matches!(p.func.op(id).kind, OpKind::Contract { .. })
                        && before[g].contains(&last)
                })
        };
        let Some(next) = ready.min_by_key(|&g| (!after_product(g), first(g))) else {
            unreachable!("groups are convex, so one is always ready");
        };
        done[next] = true;
        sequence.push(next);
    }
    let mut list: Vec<Option<Ordered>> = list.into_iter().map(Some).collect();
    sequence
        .into_iter()
        .filter_map(|g| list[g].take())
        .collect()
}

/// Whether `a` must run before `b`.
fn comes_before(before: &[Vec<usize>], a: usize, b: usize) -> bool {
    let mut seen = vec![false; before.len()];
    let mut stack = vec![b];
    while let Some(g) = stack.pop() {
        for &prev in &before[g] {
            if prev == a {
                return true;
            }
            if !seen[prev] {
                seen[prev] = true;
                stack.push(prev);
            }
        }
    }
    false
}
