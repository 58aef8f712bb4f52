//! The function that runs once: all that the steps share.
//!
//! In: a function and what its steps are given. Out: the ops that make it, those that stand in the
//! body of a scan along the time but do not depend on it among them, with a state for each result.

use std::collections::BTreeSet;

use super::mark::Plan;
use super::place::Source;
use crate::ir::*;

/// The path under which the step is given a value of the setup.
pub fn path(func: &Func, v: ValueId) -> String {
    format!("setup of {}", func.value(v).name)
}

/// `None` where the steps are given nothing.
pub fn setup(source: &Source<'_>, plan: &Plan) -> Option<Func> {
    let old = source.func;
    let given = plan.given.iter().map(|v| (path(old, *v), *v));
    let starts = plan.starts.iter().map(|(p, v)| (p.clone(), *v));
    let results: Vec<(String, ValueId)> = starts.chain(given).collect();
    if results.is_empty() {
        return None;
    }
    let mut needed = BTreeSet::new();
    let mut read = BTreeSet::new();
    let mut waiting: Vec<ValueId> = results.iter().map(|(_, v)| *v).collect();
    while let Some(v) = waiting.pop() {
        if !read.insert(v) {
            continue;
        }
        if let Some(id) = plan.makers.get(&v).filter(|id| needed.insert(**id)) {
            reads(old, *id, &mut waiting);
        }
    }
    let mut func = old.clone();
    func.name = format!("{}_setup", old.name);
    func.dims = super::dims(&old.dims, &source.time, false);
    func.body = Region::default();
    ordered(old, &old.body, &needed, &mut func.body);
    func.inputs.retain(|i| read.contains(&i.value));
    let output = |(path, value)| Output {
        role: OutputRole::Carry(path),
        value,
    };
    func.outputs = results.into_iter().map(output).collect();
    Some(func)
}

/// What an op reads from outside itself.
fn reads(func: &Func, id: OpId, out: &mut Vec<ValueId>) {
    let op = func.op(id);
    out.extend(&op.args);
    if let OpKind::Scan(scan) = &op.kind {
        out.extend(scan.carries.iter().map(|c| c.next));
        out.extend(scan.stacks.iter().map(|s| s.from));
        for inner in &scan.body.ops {
            reads(func, *inner, out);
        }
    }
}

/// The needed ops in order of the text; those of a scan that is needed as a whole stay in it.
fn ordered(func: &Func, region: &Region, needed: &BTreeSet<OpId>, out: &mut Region) {
    for id in &region.ops {
        if needed.contains(id) {
            out.ops.push(*id);
        } else if let OpKind::Scan(scan) = &func.op(*id).kind {
            ordered(func, &scan.body, needed, out);
        }
    }
}
