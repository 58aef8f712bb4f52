//! The shape rules of every op: what its results are, given its arguments.
//!
//! In: an op's kind and its arguments' types. Out: its results' types, or the rule that is broken, in
//! words. The builder takes the types from here and the verifier compares against them. A scan's
//! results are given by its own lists and are not inferred here.

use super::op::*;
use crate::dim::{Dim, show};
use crate::domain::Coord;

pub fn infer(kind: &OpKind, args: &[&Type]) -> Result<Vec<Type>, String> {
    let one = |shape: Vec<Dim>| Ok(vec![Type::f32(shape)]);
    match kind {
        OpKind::Const(_) => arity(args, 0).and_then(|_| one(vec![])),
        OpKind::Unary(_) => {
            arity(args, 1)?;
            float(args[0])?;
            one(args[0].shape.clone())
        }
        OpKind::Binary(_) => {
            arity(args, 2)?;
            one(lifted(args)?)
        }
        OpKind::Select => {
            arity(args, 3)?;
            one(lifted(args)?)
        }
        OpKind::Expand { axes, shape } => {
            arity(args, 1)?;
            float(args[0])?;
            if axes.len() != shape.len() {
                return Err("expand: one entry for each result axis".into());
            }
            let mut used: Vec<usize> = axes.iter().flatten().copied().collect();
            used.sort_unstable();
            if used != (0..args[0].rank()).collect::<Vec<_>>() {
                return Err("expand: each of the operand's axes appears once".into());
            }
            for (axis, size) in axes.iter().zip(shape) {
                if let Some(a) = axis {
                    same(&args[0].shape[*a], size, "expand")?;
                }
            }
            one(shape.clone())
        }
        OpKind::Contract { lhs, rhs, out } => {
            arity(args, 2)?;
            float(args[0])?;
            float(args[1])?;
            one(contract_shape(lhs, rhs, out, args)?)
        }
        OpKind::Reduce { axes, masked, .. } => {
            arity(args, if *masked { 2 } else { 1 })?;
            float(args[0])?;
            if axes.is_empty() || !axes.windows(2).all(|w| w[0] < w[1]) {
                return Err("reduce: axes ascending, at least one".into());
            }
            if axes.iter().any(|a| *a >= args[0].rank()) {
                return Err("reduce: an axis the operand does not have".into());
            }
            if *masked {
                lengths(args[1], args[0])?;
                if axes[0] != 0 {
                    return Err("reduce: a masked reduction runs over the time axis".into());
                }
            }
            let kept = args[0]
                .shape
                .iter()
                .enumerate()
                .filter(|(i, _)| !axes.contains(i));
            one(kept.map(|(_, d)| d.clone()).collect())
        }
        OpKind::Softmax | OpKind::Top { .. } => {
            arity(args, 1)?;
            float(args[0])?;
            if args[0].rank() == 0 {
                return Err("softmax and top: need an axis".into());
            }
            one(args[0].shape.clone())
        }
        OpKind::Iota { size } => arity(args, 0).and_then(|_| one(vec![size.clone()])),
        OpKind::CrossEntropy | OpKind::CrossEntropyGrad => {
            let grad = matches!(kind, OpKind::CrossEntropyGrad);
            arity(args, if grad { 3 } else { 2 })?;
            float(args[0])?;
            integer(args[1])?;
            let Some((_, rows)) = args[0].shape.split_last() else {
                return Err("cross-entropy: logits need an axis".into());
            };
            if rows != args[1].shape || (grad && rows != args[2].shape) {
                return Err("cross-entropy: one target for each row of logits".into());
            }
            one(if grad {
                args[0].shape.clone()
            } else {
                rows.to_vec()
            })
        }
        OpKind::Gather => {
            arity(args, 2)?;
            float(args[0])?;
            integer(args[1])?;
            if args[0].rank() == 0 {
                return Err("gather: a table has rows".into());
            }
            one(args[1]
                .shape
                .iter()
                .chain(&args[0].shape[1..])
                .cloned()
                .collect())
        }
        OpKind::ScatterAdd { rows } => {
            arity(args, 2)?;
            float(args[0])?;
            integer(args[1])?;
            let n = args[1].rank();
            if args[0].rank() < n || args[0].shape[..n] != args[1].shape[..] {
                return Err("scatter-add: one row for each index".into());
            }
            one(std::iter::once(rows)
                .chain(&args[0].shape[n..])
                .cloned()
                .collect())
        }
        OpKind::Split { axis, sizes } => {
            arity(args, 1)?;
            float(args[0])?;
            let whole = args[0].shape.get(*axis).ok_or("split: no such axis")?;
            same(&sum(sizes)?, whole, "split")?;
            Ok(sizes
                .iter()
                .map(|s| Type::f32(replaced(&args[0].shape, *axis, s)))
                .collect())
        }
        OpKind::Concat { axis } => {
            let first = args.first().ok_or("concat: needs a part")?;
            let mut sizes = Vec::new();
            for part in args {
                float(part)?;
                let size = part.shape.get(*axis).ok_or("concat: no such axis")?;
                if replaced(&first.shape, *axis, size) != part.shape {
                    return Err(format!(
                        "concat: {} beside {}",
                        show(&first.shape),
                        show(&part.shape)
                    ));
                }
                sizes.push(size.clone());
            }
            one(replaced(&first.shape, *axis, &sum(&sizes)?))
        }
        OpKind::Take(_) => {
            arity(args, 2)?;
            float(args[0])?;
            lengths(args[1], args[0])?;
            one(args[0].shape[1..].to_vec())
        }
        OpKind::Put { extent, .. } => {
            arity(args, 2)?;
            float(args[0])?;
            integer(args[1])?;
            one(std::iter::once(extent)
                .chain(&args[0].shape)
                .cloned()
                .collect())
        }
        OpKind::Mask { domain, batch, .. } => {
            let (x, numbers) = args.split_first().ok_or("mask: needs an operand")?;
            float(x)?;
            let rows = batch.map(|b| x.shape.get(b).ok_or("mask: no such batch axis"));
            let rows = rows.transpose()?;
            for n in numbers {
                integer(n)?;
                if n.rank() != 1 || rows != n.shape.first() {
                    return Err("mask: one number for each example".into());
                }
            }
            let inside = |c: &Coord| match c {
                Coord::Axis(i) => *i < x.rank(),
                Coord::Of(i) => *i < numbers.len(),
            };
            if !domain.coords().iter().all(inside) {
                return Err("mask: its domain reads an axis or a number that is not there".into());
            }
            one(x.shape.clone())
        }
        OpKind::Shift { .. } => {
            arity(args, 1)?;
            float(args[0])?;
            if args[0].rank() < 2 {
                return Err("shift: needs a time and a batch axis".into());
            }
            one(args[0].shape.clone())
        }
        OpKind::ToFloat => {
            arity(args, 1)?;
            integer(args[0])?;
            one(args[0].shape.clone())
        }
        OpKind::Random { shape, timed, .. } => {
            arity(args, 0)?;
            if shape.len() < 1 + usize::from(*timed) {
                return Err("random: needs its batch axis".into());
            }
            one(shape.clone())
        }
        OpKind::Scan(_) => Err("scan: its results are listed, not inferred".into()),
    }
}

fn arity(args: &[&Type], n: usize) -> Result<(), String> {
    if args.len() == n {
        Ok(())
    } else {
        Err(format!("{n} arguments expected, {} given", args.len()))
    }
}

fn float(t: &Type) -> Result<(), String> {
    if t.elem == Elem::F32 {
        Ok(())
    } else {
        Err("a real value expected, an integer given".into())
    }
}

fn integer(t: &Type) -> Result<(), String> {
    if t.elem == Elem::I32 {
        Ok(())
    } else {
        Err("an integer expected, a real value given".into())
    }
}

fn same(a: &Dim, b: &Dim, what: &str) -> Result<(), String> {
    if a == b {
        Ok(())
    } else {
        Err(format!("{what}: {a} against {b}"))
    }
}

fn sum(sizes: &[Dim]) -> Result<Dim, String> {
    let mut total = Dim::constant(0);
    for s in sizes {
        total = total.checked_add(s).map_err(|e| e.to_string())?;
    }
    Ok(total)
}

fn replaced(shape: &[Dim], axis: usize, size: &Dim) -> Vec<Dim> {
    let mut shape = shape.to_vec();
    shape[axis] = size.clone();
    shape
}

/// The one shape among operands of which some are single numbers.
fn lifted(args: &[&Type]) -> Result<Vec<Dim>, String> {
    let mut shape: &[Dim] = &[];
    for t in args {
        float(t)?;
        if t.rank() > 0 {
            if !shape.is_empty() && shape != t.shape {
                return Err(format!("{} against {}", show(shape), show(&t.shape)));
            }
            shape = &t.shape;
        }
    }
    Ok(shape.to_vec())
}

/// `len` is `i32 [B]` and the value `[T, B, …]`.
fn lengths(len: &Type, value: &Type) -> Result<(), String> {
    integer(len)?;
    if len.rank() != 1 || value.rank() < 2 || value.shape[1] != len.shape[0] {
        return Err("lengths are [B] for a value [T,B,…]".into());
    }
    Ok(())
}

fn contract_shape(lhs: &[u8], rhs: &[u8], out: &[u8], args: &[&Type]) -> Result<Vec<Dim>, String> {
    if lhs.len() != args[0].rank() || rhs.len() != args[1].rank() {
        return Err("contract: one label for each axis".into());
    }
    let mut sizes: Vec<(u8, &Dim)> = Vec::new();
    for (labels, shape) in [(lhs, &args[0].shape), (rhs, &args[1].shape)] {
        for (i, (label, size)) in labels.iter().zip(shape).enumerate() {
            if labels[..i].contains(label) {
                return Err("contract: a label twice on one operand".into());
            }
            match sizes.iter().find(|(l, _)| l == label) {
                Some((_, s)) => same(s, size, "contract")?,
                None => sizes.push((*label, size)),
            }
        }
    }
    for (label, _) in &sizes {
        let both = lhs.contains(label) && rhs.contains(label);
        if !both && !out.contains(label) {
            return Err("contract: a label on one operand only, and not in the result".into());
        }
    }
    let mut shape = Vec::new();
    for (i, label) in out.iter().enumerate() {
        let size = sizes.iter().find(|(l, _)| l == label);
        match size {
            Some((_, s)) if !out[..i].contains(label) => shape.push((*s).clone()),
            _ => return Err("contract: the result names a label twice or one not there".into()),
        }
    }
    Ok(shape)
}
