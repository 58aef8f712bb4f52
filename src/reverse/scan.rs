//! The reverse of a loop over time is a loop the other way.
//!
//! In: a forward scan and the adjoints of its results. Out: a scan in the opposite direction over the
//! same lengths, whose carries are the adjoints of the forward carries and one sum for each outer
//! value that the body reads; its stacks are the adjoints of the forward slices.

use std::collections::HashSet;

use super::stash::{Keep, Stash};
use super::{Adjoints, backward as region_backward};
use crate::ir::build::Build;
use crate::ir::*;

pub fn backward(
    b: &mut Build<'_>,
    id: OpId,
    scan: &Scan,
    active: &HashSet<ValueId>,
    adjoints: &mut Adjoints,
    keep: Keep,
) -> Result<(), String> {
    let results = scan
        .stacks
        .iter()
        .map(|s| s.to)
        .chain(scan.carries.iter().map(|c| c.last));
    if !results.clone().any(|r| adjoints.get(r).is_some()) {
        return Ok(());
    }
    let spans = b.spans.clone();
    let d = |b: &Build<'_>, v: ValueId| format!("d{}", b.func.value(v).name);

    // Outer values that a gradient reaches through the body.
    let captured = captured(b.func, scan, active);
    let moving: Vec<&Carry> = scan
        .carries
        .iter()
        .filter(|c| active.contains(&c.param))
        .collect();

    // Initial values are made outside the loop.
    let mut carries: Vec<Carry> = Vec::new();
    for c in &moving {
        let (name, ty) = (d(b, c.param), b.func.value(c.param).ty.clone());
        let init = match adjoints.get(c.last) {
            Some(g) => g,
            None => b.filled(0.0, &ty.shape, &name),
        };
        let param = b.func.fresh(&name, ty.clone());
        let last = b.func.fresh(&name, ty);
        carries.push(Carry {
            init,
            param,
            next: param,
            last,
        });
    }
    for w in &captured {
        let (name, ty) = (d(b, *w), b.func.value(*w).ty.clone());
        let init = b.filled(0.0, &ty.shape, &name);
        let param = b.func.fresh(&name, ty.clone());
        let last = b.func.fresh(&name, ty);
        carries.push(Carry {
            init,
            param,
            next: param,
            last,
        });
    }

    let mut stash = Stash::new(b.func, id, scan, keep);
    let (body, outcome) = b.region(|b| -> Result<Vec<(ValueId, Stack)>, String> {
        let mut inner = Adjoints::default();
        for (c, back) in moving.iter().zip(&carries) {
            inner.add(b, c.next, back.param);
        }
        for s in scan.stacks.iter().filter(|s| active.contains(&s.from)) {
            if let Some(g) = adjoints.get(s.to) {
                let name = d(b, s.from);
                let step = stash.slice(b, g, &name);
                inner.add(b, s.from, step);
            }
        }
        region_backward(b, &scan.body.ops, active, &mut inner, &mut stash)?;
        b.spans = spans.clone();
        for (c, back) in moving.iter().zip(&mut carries) {
            back.next = match inner.get(c.param) {
                Some(g) => g,
                None => {
                    let (name, shape) = (d(b, c.param), b.func.shape(c.param).to_vec());
                    b.filled(0.0, &shape, &name)
                }
            };
        }
        for (w, back) in captured.iter().zip(&mut carries[moving.len()..]) {
            if let Some(g) = inner.get(*w) {
                let name = d(b, *w);
                back.next = b.add(back.param, g, &name);
            }
        }
        let mut stacks = Vec::new();
        for s in scan.slices.iter().filter(|s| active.contains(&s.to)) {
            if let Some(g) = inner.get(s.to) {
                let ty = b.func.value(s.from).ty.clone();
                let to = b.func.fresh(&d(b, s.from), ty);
                stacks.push((s.from, Stack { from: g, to }));
            }
        }
        Ok(stacks)
    });
    let stacks = outcome?;
    let back = Scan {
        extent: scan.extent.clone(),
        reverse: !scan.reverse,
        len: scan.len,
        valid: stash.valid,
        slices: stash.slices,
        carries,
        stacks: stacks.iter().map(|(_, s)| *s).collect(),
        body,
    };
    let lasts = back.carries.clone();
    b.scan(back);

    for (c, back) in moving.iter().zip(&lasts) {
        if active.contains(&c.init) {
            adjoints.add(b, c.init, back.last);
        }
    }
    for (w, back) in captured.iter().zip(&lasts[moving.len()..]) {
        adjoints.add(b, *w, back.last);
    }
    for (from, s) in stacks {
        adjoints.add(b, from, s.to);
    }
    Ok(())
}

/// Active values of the regions around that the body reads, in order of first use.
fn captured(func: &Func, scan: &Scan, active: &HashSet<ValueId>) -> Vec<ValueId> {
    let mut local: HashSet<ValueId> = HashSet::new();
    local.extend(scan.slices.iter().map(|s| s.to));
    local.extend(scan.carries.iter().map(|c| c.param));
    local.extend(scan.valid);
    for id in &scan.body.ops {
        local.extend(&func.op(*id).results);
    }
    let mut out = Vec::new();
    let reads = scan.body.ops.iter().flat_map(|id| func.op(*id).args.iter());
    let nexts = scan
        .carries
        .iter()
        .map(|c| &c.next)
        .chain(scan.stacks.iter().map(|s| &s.from));
    for v in reads.chain(nexts) {
        if active.contains(v) && !local.contains(v) && !out.contains(v) {
            out.push(*v);
        }
    }
    out
}
