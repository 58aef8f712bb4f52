//! One product for all gates: products that share their activation become one with joined weights.
//!
//! `Wf·x, Wi·x, Wo·x, Wg·x` become `[Wf; Wi; Wo; Wg]·x`, split into its parts. Parts that a scan only
//! takes steps of are split inside it, so that their gradients come out of the backward loop joined. Products that
//! different scans take steps of, as the two directions of a bidirectional layer do, stay apart: joined, their gradients
//! would be copied to lie side by side, and no scan could make its own while it runs.

use std::collections::HashMap;

use super::Pass;
use super::edit::{self, Map};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "merge-gates",
    why: "computes the products of all gates with one activation as one",
    run,
};

fn run(func: &mut Func) {
    let mut body = std::mem::take(&mut func.body.ops);
    let mut known: Vec<ValueId> = func.params.iter().map(|p| p.value).collect();
    known.extend(func.inputs.iter().map(|i| i.value));
    let mut hoisted = Vec::new();
    body = region(func, body, None, &mut hoisted);
    let mut ops = Vec::new();
    for id in body {
        known.extend(&func.op(id).results);
        if matches!(func.op(id).kind, OpKind::Scan(_)) {
            let inner = edit::scan(func, id).body.ops.clone();
            let mut outside = Vec::new();
            let inner = region(func, inner, Some(&known), &mut outside);
            edit::scan_mut(func, id).body.ops = inner;
            ops.extend(outside);
        }
        ops.push(id);
    }
    func.body.ops = ops;
    split_inside(func);
    super::dce::run(func);
}

/// A set of products to be merged: their positions in the region.
struct Group {
    lhs: ValueId,
    kind: (Vec<u8>, Vec<u8>, Vec<u8>),
    /// The scan that takes steps of the results.
    reader: Option<OpId>,
    members: Vec<usize>,
}

/// Merges the products of one op list. For a scan's body (`scan`: the values known around it) the
/// joined weights are made before the scan (`outside`), else in place.
fn region(
    func: &mut Func,
    ops: Vec<OpId>,
    scan: Option<&[ValueId]>,
    outside: &mut Vec<OpId>,
) -> Vec<OpId> {
    let inside_scan = scan.is_some();
    let taken = takers(func, &ops);
    let mut groups: Vec<Group> = Vec::new();
    for (i, id) in ops.iter().enumerate() {
        let op = func.op(*id);
        let OpKind::Contract { lhs, rhs, out } = &op.kind else {
            continue;
        };
        // A weight: a matrix without batch or time, of which one axis is new in the result.
        if new_axis(lhs, rhs, out).is_none() || func.shape(op.args[1]).len() != 2 {
            continue;
        }
        let kind = (lhs.clone(), rhs.clone(), out.clone());
        let reader = taken.get(&op.results[0]).copied();
        let fits = |g: &Group| {
            let first = func.op(ops[g.members[0]]);
            let summed = |w: ValueId| {
                let at = rhs.iter().position(|l| !out.contains(l)).unwrap_or(0);
                func.shape(w)[at].clone()
            };
            g.lhs == op.args[0]
                && g.kind == kind
                && g.reader == reader
                && summed(first.args[1]) == summed(op.args[1])
        };
        // A weight of a scan's body is known before the scan.
        if scan.is_some_and(|outer| !outer.contains(&op.args[1])) {
            continue;
        }
        match groups.iter_mut().find(|g| fits(g)) {
            Some(g) => g.members.push(i),
            None => groups.push(Group {
                lhs: op.args[0],
                kind,
                reader,
                members: vec![i],
            }),
        }
    }
    groups.retain(|g| g.members.len() > 1);
    let mut map = Map::new();
    let mut insert: Vec<(usize, Vec<OpId>)> = Vec::new();
    let mut gone = Vec::new();
    for g in groups {
        let members: Vec<Op> = g.members.iter().map(|i| func.op(ops[*i]).clone()).collect();
        // The merged product stands where the last weight is known.
        let position = |w: ValueId| ops.iter().position(|o| func.op(*o).results.contains(&w));
        let made = members.iter().filter_map(|m| position(m.args[1])).max();
        let at = g.members[0];
        if made.is_some_and(|m| m > at) {
            continue;
        }
        let (lhs, rhs, out) = &g.kind;
        let Some((axis, label)) = new_axis(lhs, rhs, out) else {
            continue;
        };
        let spans: Vec<_> = members.iter().flat_map(|m| m.spans.clone()).collect();
        let weights: Vec<ValueId> = members.iter().map(|m| m.args[1]).collect();
        let sizes = weights
            .iter()
            .map(|w| func.shape(*w)[axis].clone())
            .collect();
        let names: Vec<String> = members
            .iter()
            .map(|m| func.value(m.results[0]).name.clone())
            .collect();
        let joined = OpKind::Concat { axis };
        let (cat, w) = edit::make(func, joined, &weights, &["W"], spans.clone(), PASS.name);
        let product = OpKind::Contract {
            lhs: lhs.clone(),
            rhs: rhs.clone(),
            out: out.clone(),
        };
        let name = if inside_scan { "z" } else { "p" };
        let (dot, z) = edit::make(
            func,
            product,
            &[g.lhs, w[0]],
            &[name],
            spans.clone(),
            PASS.name,
        );
        let along = out.iter().position(|l| *l == label).unwrap_or(0);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let cut = OpKind::Split { axis: along, sizes };
        let (cut, parts) = edit::make(func, cut, &[z[0]], &names, spans, PASS.name);
        if inside_scan {
            outside.push(cat);
            insert.push((at, vec![dot, cut]));
        } else {
            insert.push((at, vec![cat, dot, cut]));
        }
        map.extend(members.iter().map(|m| m.results[0]).zip(parts));
        gone.extend(g.members.iter().copied());
    }
    let mut result = Vec::new();
    for (i, id) in ops.into_iter().enumerate() {
        for (_, new) in insert.iter().filter(|(at, _)| *at == i) {
            result.extend(new);
        }
        if !gone.contains(&i) {
            result.push(id);
        }
    }
    edit::replace(func, &map);
    result
}

/// For each value that a scan takes steps of, that scan (the last of several).
fn takers(func: &Func, ops: &[OpId]) -> HashMap<ValueId, OpId> {
    let mut all = HashMap::new();
    for id in ops {
        if let OpKind::Scan(s) = &func.op(*id).kind {
            all.extend(s.slices.iter().map(|k| (k.from, *id)));
        }
    }
    all
}

/// The weight's axis that the result has and the activation has not, and its label.
fn new_axis(lhs: &[u8], rhs: &[u8], out: &[u8]) -> Option<(usize, u8)> {
    let mut new = rhs
        .iter()
        .enumerate()
        .filter(|(_, l)| out.contains(l) && !lhs.contains(l));
    let (axis, label) = new.next()?;
    new.next().is_none().then_some((axis, *label))
}

/// Moves a split whose parts are only taken step by step by one scan into that scan.
fn split_inside(func: &mut Func) {
    let readers = edit::readers(func);
    let body = func.body.clone();
    for id in &body.ops {
        let op = func.op(*id).clone();
        let OpKind::Split { axis, sizes } = &op.kind else {
            continue;
        };
        if *axis == 0 {
            continue;
        }
        for scan_id in edit::scans(func, &body) {
            let s = edit::scan(func, scan_id);
            let taken = |r: &ValueId| s.slices.iter().filter(|k| k.from == *r).count();
            let all = op.results.iter().all(|r| {
                let n = readers.get(r).copied().unwrap_or(0);
                n == taken(r) && n <= 1
            });
            if !all || op.results.iter().map(taken).sum::<usize>() == 0 {
                continue;
            }
            let whole = op.args[0];
            let ty = &func.value(whole).ty;
            let ty = Type {
                elem: ty.elem,
                shape: ty.shape[1..].to_vec(),
            };
            let name = func.value(whole).name.clone();
            let to = func.fresh(&name, ty);
            let names: Vec<String> = op
                .results
                .iter()
                .map(|r| func.value(*r).name.clone())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let kind = OpKind::Split {
                axis: axis - 1,
                sizes: sizes.clone(),
            };
            let (cut, parts) = edit::make(func, kind, &[to], &names, op.spans.clone(), PASS.name);
            let mut map = Map::new();
            let s = edit::scan_mut(func, scan_id);
            for (r, part) in op.results.iter().zip(parts) {
                if let Some(k) = s.slices.iter().find(|k| k.from == *r) {
                    map.insert(k.to, part);
                }
            }
            s.slices.retain(|k| !op.results.contains(&k.from));
            s.slices.push(Slice { from: whole, to });
            s.body.ops.insert(0, cut);
            edit::refresh(func.op_mut(scan_id));
            edit::replace(func, &map);
        }
    }
}
