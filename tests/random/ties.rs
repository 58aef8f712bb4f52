//! Choices that rounding decides: `route(top = k)` jumps where the last weight kept and the first one
//! left out change places, and where they are nearer than rounding moves them both answers are right.
//!
//! In: a function and data. Out: whether any choice of the call is such a tie.

use seqc::dim::Dim;
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Elem, Func, OpId, OpKind, Output, OutputRole, Stack, Type, ValueId};

use super::common::machine::Data;
use super::common::rounding::moved;

/// Two weights are a tie where they are nearer than so many times what rounding alone moved them.
const ROUNDING: f64 = 32.0;

/// What the choices of these ops are made among, as values that stand outside every loop, with how
/// many of a row are kept.
fn choices(func: &mut Func, ops: &[OpId]) -> Vec<(ValueId, usize)> {
    let mut found = Vec::new();
    for id in ops {
        let op = func.op(*id).clone();
        match op.kind {
            OpKind::Top { k } => found.push((op.args[0], k)),
            OpKind::Scan(mut scan) => {
                for (from, k) in choices(func, &scan.body.ops) {
                    let mut shape: Vec<Dim> = vec![scan.extent.clone()];
                    shape.extend_from_slice(func.shape(from));
                    let elem = Elem::F32;
                    let to = func.fresh("choice", Type { elem, shape });
                    scan.stacks.push(Stack { from, to });
                    found.push((to, k));
                }
                func.op_mut(*id).kind = OpKind::Scan(scan);
            }
            _ => {}
        }
    }
    found
}

/// Whether in a row a kept weight and one left out are nearer than rounding moved any of the row.
fn tied(row: &[f64], moved: &[&[f64]], k: usize) -> bool {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (Some(kept), Some(left)) = (sorted.get(k.wrapping_sub(1)), sorted.get(k)) else {
        return false;
    };
    let by = moved.iter().flat_map(|m| m.iter().zip(row));
    let by = by.map(|(m, x)| (m - x).abs()).fold(0.0, f64::max);
    kept - left < ROUNDING * by
}

/// Whether rounding decides a choice of this call.
pub fn any_tie(func: &Func, data: &Data) -> Result<bool, String> {
    let mut watched = func.clone();
    let ops = watched.body.ops.clone();
    let found = choices(&mut watched, &ops);
    let output = |(i, (value, _)): (usize, &(ValueId, usize))| Output {
        role: OutputRole::Named(format!("choice.{i}")),
        value: *value,
    };
    watched.outputs = found.iter().enumerate().map(output).collect();
    let draw = Draw { seed: 1, step: 3 };
    let results = |f: &Func| run(f, &data.sizes, &data.inputs, &data.params, draw);
    let exact = results(&watched)?;
    let near: Vec<Vec<Tensor>> = ["a", "b"]
        .iter()
        .map(|t| results(&moved(&watched, t)))
        .collect::<Result<_, _>>()?;
    Ok(found.iter().enumerate().any(|(i, (_, k))| {
        let n = exact[i].shape.last().copied().unwrap_or(1).max(1);
        let rows = exact[i].data.chunks(n).enumerate();
        rows.into_iter().any(|(r, row)| {
            let at = r * n..(r + 1) * n;
            let moved: Vec<&[f64]> = near.iter().map(|m| &m[i].data[at.clone()]).collect();
            tied(row, &moved, *k)
        })
    }))
}
