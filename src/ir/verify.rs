//! The rules that every function obeys between passes.
//!
//! In: a function. Out: nothing, or the first rule broken, in words.
//!
//! 1. Every op's results have the types that `infer` gives.
//! 2. A value is defined once, before its uses, in the same region or one around it.
//! 3. A scan's `args` and `results` repeat its lists; slices and stacks differ from their sequences
//!    by the leading time axis; a carry's four values have one type; `len` is `i32 [B]`, `valid` is
//!    `f32 [B]` and there only with `len`.
//! 4. Inputs, weights and outputs name defined values; each output role appears once.
//! 5. A weight's gradient has the weight's shape.

use std::collections::HashSet;

use super::build::scan_lists;
use super::infer::infer;
use super::op::*;
use super::print::typed;
use crate::dim::Dim;

pub fn verify(func: &Func) -> Result<(), String> {
    let mut defined = HashSet::new();
    for id in func
        .inputs
        .iter()
        .map(|i| i.value)
        .chain(func.params.iter().map(|p| p.value))
    {
        define(func, &mut defined, id)?;
    }
    region(func, &func.body, &mut defined)?;
    let mut roles = Vec::new();
    for out in &func.outputs {
        if !defined.contains(&out.value) {
            return Err(format!(
                "output {} is not defined at the end",
                typed(func, out.value)
            ));
        }
        if roles.contains(&&out.role) {
            return Err(format!("output {:?} appears twice", out.role));
        }
        roles.push(&out.role);
        if let OutputRole::Grad(path) = &out.role {
            let param = func.params.iter().find(|p| &p.path == path);
            let param = param.ok_or_else(|| format!("gradient of an unknown weight {path}"))?;
            if func.shape(param.value) != func.shape(out.value) {
                return Err(format!("the gradient of {path} has another shape"));
            }
        }
    }
    Ok(())
}

fn define(func: &Func, defined: &mut HashSet<ValueId>, id: ValueId) -> Result<(), String> {
    if defined.insert(id) {
        Ok(())
    } else {
        Err(format!("{} is defined twice", typed(func, id)))
    }
}

fn region(func: &Func, region: &Region, defined: &mut HashSet<ValueId>) -> Result<(), String> {
    for id in &region.ops {
        let op = func.op(*id);
        for a in &op.args {
            if !defined.contains(a) {
                return Err(format!("{} is used before it is defined", typed(func, *a)));
            }
        }
        if let OpKind::Scan(scan) = &op.kind {
            self::scan(func, op, scan, defined)?;
        } else {
            let args: Vec<&Type> = op.args.iter().map(|a| &func.value(*a).ty).collect();
            let types = infer(&op.kind, &args)?;
            if types.len() != op.results.len() {
                return Err(format!("{:?} has {} results", op.kind, types.len()));
            }
            for (ty, r) in types.iter().zip(&op.results) {
                if ty != &func.value(*r).ty {
                    return Err(format!("{} should be {ty:?}", typed(func, *r)));
                }
            }
        }
        for r in &op.results {
            define(func, defined, *r)?;
        }
    }
    Ok(())
}

fn scan(func: &Func, op: &Op, scan: &Scan, defined: &mut HashSet<ValueId>) -> Result<(), String> {
    if (op.args.clone(), op.results.clone()) != scan_lists(scan) {
        return Err("a scan's arguments and results repeat its lists".into());
    }
    let timed = |step: ValueId| -> Vec<Dim> {
        std::iter::once(&scan.extent)
            .chain(func.shape(step))
            .cloned()
            .collect()
    };
    let outside = defined.clone();
    for s in &scan.slices {
        if func.shape(s.from) != timed(s.to) {
            return Err(format!(
                "{} is no step of {}",
                typed(func, s.to),
                typed(func, s.from)
            ));
        }
        define(func, defined, s.to)?;
    }
    for c in &scan.carries {
        let ty = &func.value(c.param).ty;
        if [c.init, c.next, c.last]
            .iter()
            .any(|v| &func.value(*v).ty != ty)
        {
            return Err(format!("carry {} changes its type", typed(func, c.param)));
        }
        define(func, defined, c.param)?;
    }
    if let Some(len) = scan.len
        && (func.value(len).ty.elem != Elem::I32 || func.value(len).ty.rank() != 1)
    {
        return Err("lengths are i32 [B]".into());
    }
    if let Some(valid) = scan.valid {
        let Some(len) = scan.len else {
            return Err("valid without lengths".into());
        };
        if func.shape(valid) != func.shape(len) {
            return Err("valid has the lengths' shape".into());
        }
        define(func, defined, valid)?;
    }
    region(func, &scan.body, defined)?;
    for c in &scan.carries {
        if !defined.contains(&c.next) {
            return Err(format!("carry {} has no next value", typed(func, c.param)));
        }
    }
    for s in &scan.stacks {
        if !defined.contains(&s.from) {
            return Err(format!("stack {} has no source", typed(func, s.to)));
        }
        if func.shape(s.to) != timed(s.from) {
            return Err(format!(
                "{} does not stack {}",
                typed(func, s.to),
                typed(func, s.from)
            ));
        }
    }
    // What the body defines is not seen outside it.
    *defined = outside;
    Ok(())
}
