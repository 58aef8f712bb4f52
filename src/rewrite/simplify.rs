//! Algebra that needs one op and its arguments' makers to see.

use std::collections::HashMap;

use super::Pass;
use super::edit::{self, Map};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "simplify",
    why: "removes operations that change nothing",
    run,
};

/// What becomes of an op.
enum Change {
    /// Its results are these values.
    Same(Vec<ValueId>),
    /// It is this op on these arguments.
    Other(OpKind, Vec<ValueId>),
}

fn run(func: &mut Func) {
    // Each round can open the way for another; every change removes or shrinks something.
    for _ in 0..8 {
        let makers = edit::makers(func);
        let mut map = Map::new();
        let mut changed = false;
        for (id, _) in edit::live_ops(func) {
            match rule(func, id, &makers) {
                Some(Change::Same(values)) => {
                    let results = func.op(id).results.clone();
                    for (old, new) in results.into_iter().zip(values) {
                        if old != new && edit::resolve(&map, new) != old {
                            map.insert(old, new);
                            changed = true;
                        }
                    }
                }
                Some(Change::Other(kind, args)) => {
                    let op = func.op_mut(id);
                    (op.kind, op.args) = (kind, args);
                    changed = true;
                }
                None => {}
            }
        }
        edit::replace(func, &map);
        if !changed {
            break;
        }
        // What was replaced is dead now and must not be found again.
        super::dce::run(func);
    }
}

fn rule(func: &Func, id: OpId, makers: &HashMap<ValueId, OpId>) -> Option<Change> {
    let op = func.op(id);
    let maker = |v: ValueId| makers.get(&v).map(|m| func.op(*m));
    let number = |v: ValueId| match maker(v)?.kind {
        OpKind::Const(x) => Some(x),
        _ => None,
    };
    // A constant also where it was repeated to a shape.
    let constant = |v: ValueId| match &maker(v)?.kind {
        OpKind::Expand { .. } => number(maker(v)?.args[0]),
        _ => number(v),
    };
    let shape = |v: ValueId| func.shape(v);
    // Only a value of the result's own shape can stand for it.
    let same = |v: ValueId| (shape(v) == shape(op.results[0])).then(|| Change::Same(vec![v]));
    match &op.kind {
        OpKind::Unary(Unary::Neg) => {
            // −(−x) = x
            let inner = maker(op.args[0])?;
            if matches!(inner.kind, OpKind::Unary(Unary::Neg)) {
                return same(inner.args[0]);
            }
            let x = number(op.args[0])?;
            Some(Change::Other(OpKind::Const(-x), vec![]))
        }
        OpKind::Binary(b) => {
            let (l, r) = (op.args[0], op.args[1]);
            if let (Some(x), Some(y)) = (number(l), number(r))
                && let Some(z) = fold(*b, x, y)
            {
                return Some(Change::Other(OpKind::Const(z), vec![]));
            }
            match (b, constant(l), constant(r)) {
                // x + 0, 0 + x, x − 0
                (Binary::Add | Binary::Sub, _, Some(0.0)) => same(l),
                (Binary::Add, Some(0.0), _) => same(r),
                // 0 − x
                (Binary::Sub, Some(0.0), _) if shape(r) == shape(op.results[0]) => {
                    Some(Change::Other(OpKind::Unary(Unary::Neg), vec![r]))
                }
                // x·1, 1·x, x / 1
                (Binary::Mul | Binary::Div, _, Some(1.0)) => same(l),
                (Binary::Mul, Some(1.0), _) => same(r),
                // x ^ 1, x ^ 2
                (Binary::Pow, _, Some(1.0)) => same(l),
                (Binary::Pow, _, Some(2.0)) if shape(l) == shape(op.results[0]) => {
                    Some(Change::Other(OpKind::Binary(Binary::Mul), vec![l, l]))
                }
                _ => None,
            }
        }
        OpKind::Expand { axes, shape: want } => {
            // Repeating what was repeated is repeating once.
            let inner = maker(op.args[0])?;
            if let OpKind::Expand { axes: first, .. } = &inner.kind {
                let axes = axes.iter().map(|a| a.and_then(|a| first[a])).collect();
                let kind = OpKind::Expand {
                    axes,
                    shape: want.clone(),
                };
                return Some(Change::Other(kind, vec![inner.args[0]]));
            }
            let in_place = axes.iter().enumerate().all(|(i, a)| *a == Some(i));
            in_place.then(|| same(op.args[0])).flatten()
        }
        OpKind::Split { axis, sizes } => {
            if sizes.len() == 1 {
                return Some(Change::Same(vec![op.args[0]]));
            }
            // The parts of what was just joined from equal parts.
            let inner = maker(op.args[0])?;
            let OpKind::Concat { axis: joined } = inner.kind else {
                return None;
            };
            let fits = joined == *axis
                && inner.args.len() == sizes.len()
                && inner
                    .args
                    .iter()
                    .zip(sizes)
                    .all(|(p, s)| &shape(*p)[*axis] == s);
            fits.then(|| Change::Same(inner.args.clone()))
        }
        OpKind::Concat { axis } => {
            if op.args.len() == 1 {
                return same(op.args[0]);
            }
            // All parts of one split, in order.
            let inner = maker(op.args[0])?;
            let OpKind::Split { axis: cut, .. } = inner.kind else {
                return None;
            };
            if cut == *axis && inner.results == op.args {
                return same(inner.args[0]);
            }
            None
        }
        // Outside the domain the operand holds the fill already.
        OpKind::Mask { domain, fill, .. } => {
            let inner = maker(op.args[0])?;
            let OpKind::Mask {
                domain: before,
                fill: had,
                ..
            } = &inner.kind
            else {
                return None;
            };
            let again = inner.args[1..] == op.args[1..] && had == fill && domain.contains(before);
            if again { same(op.args[0]) } else { None }
        }
        OpKind::Shift { by: 0 } => same(op.args[0]),
        OpKind::Select if op.args[1] == op.args[2] => same(op.args[1]),
        _ => None,
    }
}

fn fold(b: Binary, x: f64, y: f64) -> Option<f64> {
    Some(match b {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div if y != 0.0 => x / y,
        _ => return None,
    })
}
