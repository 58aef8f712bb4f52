//! Brings a function into the form that is scheduled: fewer kinds of op, lengths made explicit.
//!
//! In: a verified [`ir::Func`]. Out: the same function without
//! - `Stop`, and `Expand`, `Split` and `Concat` that do nothing;
//! - `Shift`: step `t − by` is a part of the sequence joined to zeros;
//! - products that are no matrix product (no rows, columns or contracted axis): these become
//!   elementwise products and sums, which fuse with what is around;
//! - slices of repeated values: the body repeats the value itself;
//! - holds and zeros at padded steps left to the scan ([`hold`](super::hold));
//! - splits of elementwise results ([`sink`](super::sink)).

use super::edit::Editor;
use super::{hold, sink, size};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::ir::{Func, OpId, OpKind, ReduceOp, Region, Scan, Type, Unary, ValueId};

pub fn desugar(func: &Func) -> Result<Func, Diagnostic> {
    let mut ed = Editor::new(func.clone());
    let ops = ed.func.body.ops.clone();
    ed.func.body.ops = region(&mut ed, &ops, false)?;
    ed.settle();
    ed.drop_unused();
    sink::splits(&mut ed);
    ed.settle();
    ed.drop_unused();
    ed.settle();
    Ok(ed.func)
}

fn region(ed: &mut Editor, ops: &[OpId], inside: bool) -> Result<Vec<OpId>, Diagnostic> {
    let mut out = Vec::with_capacity(ops.len());
    for &id in ops {
        let op = ed.func.op(id).clone();
        let args: Vec<ValueId> = op.args.iter().map(|&a| ed.now(a)).collect();
        match &op.kind {
            OpKind::Unary(Unary::Stop) => ed.replace(op.results[0], args[0]),
            OpKind::Expand { axes, shape }
                if axes.iter().enumerate().all(|(i, a)| *a == Some(i))
                    && axes.len() == ed.func.shape(args[0]).len() =>
            {
                debug_assert_eq!(shape, ed.func.shape(args[0]));
                ed.replace(op.results[0], args[0]);
            }
            OpKind::Split { sizes, .. } if sizes.len() == 1 => ed.replace(op.results[0], args[0]),
            OpKind::Concat { .. } if args.len() == 1 => ed.replace(op.results[0], args[0]),
            OpKind::Shift { by } => shift(ed, &mut out, id, args[0], *by)?,
            OpKind::Contract {
                lhs,
                rhs,
                out: kept,
            } => contract(ed, &mut out, id, (&args, lhs, rhs, kept))?,
            OpKind::Scan(_) if inside => {
                let mut d = Diagnostic::error(
                    "feature::unavailable",
                    "a scan inside another scan's step cannot be compiled yet",
                );
                if let Some(&span) = op.spans.first() {
                    d = d.label(span, "this scan runs at every step of another");
                }
                return Err(d);
            }
            OpKind::Scan(s) => scan(ed, &mut out, id, s)?,
            OpKind::Const(_)
            | OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::Expand { .. }
            | OpKind::Reduce { .. }
            | OpKind::Softmax
            | OpKind::Top { .. }
            | OpKind::CrossEntropy
            | OpKind::CrossEntropyGrad
            | OpKind::Gather
            | OpKind::ScatterAdd { .. }
            | OpKind::Split { .. }
            | OpKind::Concat { .. }
            | OpKind::Take(_)
            | OpKind::Put { .. }
            | OpKind::Mask { .. }
            | OpKind::ToFloat
            | OpKind::Iota { .. }
            | OpKind::Random { .. } => out.push(id),
        }
    }
    Ok(out)
}

/// `by > 0`: the first `T` steps of zeros joined to `x`; else the last `T` of `x` joined to zeros.
fn shift(
    ed: &mut Editor,
    out: &mut Vec<OpId>,
    id: OpId,
    x: ValueId,
    by: i64,
) -> Result<(), Diagnostic> {
    let result = ed.func.op(id).results[0];
    if by == 0 {
        ed.replace(result, x);
        return Ok(());
    }
    let ty = ed.func.value(x).ty.clone();
    let name = ed.name(result);
    let pad = Dim::constant(
        by.checked_abs()
            .ok_or_else(|| Diagnostic::error("shape::too-large", "a shift is too far"))?,
    );
    let with = |first: Dim| {
        let mut shape = ty.shape.clone();
        shape[0] = first;
        shape
    };
    let zero = ed.constant(out, 0.0, id);
    let zeros = ed.expand(out, zero, vec![None; ty.rank()], with(pad.clone()), id);
    let long = Type {
        elem: ty.elem,
        shape: with(size::add(&ty.shape[0], &pad)?),
    };
    let joined = ed.value(&format!("{name}.pad"), long);
    let parts = if by > 0 {
        vec![zeros, x]
    } else {
        vec![x, zeros]
    };
    out.push(ed.op(OpKind::Concat { axis: 0 }, parts, joined, id));
    let rest_ty = Type {
        elem: ty.elem,
        shape: with(pad.clone()),
    };
    let rest = ed.value(&format!("{name}.rest"), rest_ty);
    let t = ty.shape[0].clone();
    let (sizes, results) = if by > 0 {
        (vec![t, pad], vec![result, rest])
    } else {
        (vec![pad, t], vec![rest, result])
    };
    let split = ed.op(OpKind::Split { axis: 0, sizes }, vec![joined], result, id);
    ed.func.op_mut(split).results = results;
    out.push(split);
    Ok(())
}

/// Keeps a product with rows, columns and a contracted axis; takes any other apart.
fn contract(
    ed: &mut Editor,
    out: &mut Vec<OpId>,
    id: OpId,
    (args, lhs, rhs, kept): (&[ValueId], &[u8], &[u8], &[u8]),
) -> Result<(), Diagnostic> {
    let summed: Vec<u8> = lhs.iter().filter(|l| !kept.contains(l)).copied().collect();
    let rows = lhs.iter().any(|l| kept.contains(l) && !rhs.contains(l));
    let columns = rhs.iter().any(|l| kept.contains(l) && !lhs.contains(l));
    if rows && columns && !summed.is_empty() {
        out.push(id);
        return Ok(());
    }
    let result = ed.func.op(id).results[0];
    let size_of = |ed: &Editor, label: u8| {
        let (v, at) = match lhs.iter().position(|&l| l == label) {
            Some(i) => (args[0], i),
            None => (args[1], rhs.iter().position(|&l| l == label).unwrap_or(0)),
        };
        ed.func.shape(v)[at].clone()
    };
    // The space's order follows the larger operand, so that its last axis is walked fastest.
    let large = if lhs.len() >= rhs.len() { lhs } else { rhs };
    let mut space: Vec<u8> = large.to_vec();
    let others = kept.iter().chain(&summed).filter(|l| !large.contains(l));
    space.extend(others);
    let in_order: Vec<u8> = space.iter().filter(|l| kept.contains(l)).copied().collect();
    if in_order != kept {
        space = kept.iter().chain(&summed).copied().collect();
    }
    let shape: Vec<Dim> = space.iter().map(|&l| size_of(ed, l)).collect();
    let axes = |of: &[u8]| -> Vec<Option<usize>> {
        let find = |l: &u8| of.iter().position(|x| x == l);
        space.iter().map(find).collect()
    };
    let a = ed.expand(out, args[0], axes(lhs), shape.clone(), id);
    let b = ed.expand(out, args[1], axes(rhs), shape.clone(), id);
    if summed.is_empty() {
        let op = ed.op(
            OpKind::Binary(crate::ir::Binary::Mul),
            vec![a, b],
            result,
            id,
        );
        out.push(op);
        return Ok(());
    }
    let name = format!("{}.term", ed.name(result));
    let product = ed.product(out, (a, b), (&name, shape), id);
    let axes = (0..space.len())
        .filter(|&i| summed.contains(&space[i]))
        .collect();
    let kind = OpKind::Reduce {
        op: ReduceOp::Sum,
        axes,
        masked: false,
    };
    out.push(ed.op(kind, vec![product], result, id));
    Ok(())
}

fn scan(ed: &mut Editor, out: &mut Vec<OpId>, id: OpId, from: &Scan) -> Result<(), Diagnostic> {
    let mut scan = from.clone();
    let mut body = Vec::new();
    let mut slices = Vec::new();
    for mut s in scan.slices {
        // A sequence that repeats something is repeated in the body instead.
        let mut repeats = Vec::new();
        s.from = ed.now(s.from);
        while let Some(&wide) = out.iter().find(|&&o| ed.func.op(o).results[0] == s.from) {
            let OpKind::Expand { axes, shape } = ed.func.op(wide).kind.clone() else {
                break;
            };
            let inner = ed.func.op(wide).args[0];
            let step_shape = shape[1..].to_vec();
            match axes[0] {
                None => {
                    let all = axes[1..].to_vec();
                    repeats.push((Some(inner), all, step_shape));
                    break;
                }
                Some(0) => {
                    let less_one = axes[1..].iter().map(|a| a.map(|j| j - 1)).collect();
                    repeats.push((None, less_one, step_shape));
                    s.from = inner;
                }
                Some(_) => break,
            }
        }
        if repeats.is_empty() {
            slices.push(s);
            continue;
        }
        let mut step = match repeats.last() {
            Some((Some(inner), ..)) => *inner,
            _ => {
                let ty = ed.func.value(s.from).ty.clone();
                let name = ed.name(s.to);
                let shape = ty.shape[1..].to_vec();
                let to = ed.value(&format!("{name}.step"), Type { shape, ..ty });
                slices.push(crate::ir::Slice { from: s.from, to });
                to
            }
        };
        for (_, axes, shape) in repeats.into_iter().rev() {
            step = ed.expand(&mut body, step, axes, shape, id);
        }
        ed.replace(s.to, step);
    }
    scan.slices = slices;
    let rest = region(ed, &scan.body.ops, true)?;
    body.extend(rest);
    scan.body = Region { ops: body };
    ed.func.op_mut(id).kind = OpKind::Scan(Box::new(scan));
    ed.settle();
    let OpKind::Scan(scan) = ed.func.op(id).kind.clone() else {
        unreachable!("the scan was written above");
    };
    let scan = hold::explicit(ed, *scan, id);
    ed.func.op_mut(id).kind = OpKind::Scan(Box::new(scan));
    out.push(id);
    Ok(())
}
