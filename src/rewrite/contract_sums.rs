//! A sum of products of repeated values is a matrix product.
//!
//! `Σₖ a[i,k]·b[k,j]` written with both operands repeated to `[i, k, j]` becomes one contraction, which
//! a target computes without that array. Only where it is one: rows that `a` has alone, columns that
//! `b` has alone, every summed axis on both, and no axis on neither. A mask of the product moves to the
//! operand that has all the axes its domain speaks of.

use std::collections::HashMap;

use super::Pass;
use super::edit;
use crate::domain::{Coord, Domain};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "contract-sums",
    why: "makes sums of products into matrix products",
    run,
};

fn run(func: &mut Func) {
    let makers = edit::makers(func);
    let readers = edit::readers(func);
    let found: Vec<(OpId, Sum)> = edit::live_ops(func)
        .into_iter()
        .filter_map(|(id, _)| Some((id, Sum::of(func, id, &makers, &readers)?)))
        .collect();
    for (id, sum) in found {
        let mask = sum.mask.map(|m| (m.side, sum.operands[m.side].0, m));
        let mut operands: Vec<(ValueId, Vec<u8>)> = sum.operands.to_vec();
        let mut masked = None;
        if let Some((side, x, m)) = mask {
            let kind = OpKind::Mask {
                domain: m.domain,
                fill: 0.0,
                batch: m.batch,
            };
            let args = [&[x], &m.numbers[..]].concat();
            let name = func.value(x).name.clone();
            let spans = func.op(id).spans.clone();
            let (op, results) = edit::make(func, kind, &args, &[&name], spans, PASS.name);
            operands[side].0 = results[0];
            masked = Some(op);
        }
        let [(l, lhs), (r, rhs)] = [operands[0].clone(), operands[1].clone()];
        let op = func.op_mut(id);
        op.kind = OpKind::Contract {
            lhs,
            rhs,
            out: sum.out,
        };
        op.args = vec![l, r];
        edit::mark(func, id, PASS.name);
        if let Some(first) = masked {
            edit::insert_before(func, id, first);
        }
    }
    super::dce::run(func);
}

/// A sum that is a matrix product.
struct Sum {
    /// Each operand before it was repeated, with the product's axes as labels.
    operands: [(ValueId, Vec<u8>); 2],
    out: Vec<u8>,
    mask: Option<Masked>,
}

/// A mask of the product as a mask of one operand.
struct Masked {
    side: usize,
    domain: Domain,
    numbers: Vec<ValueId>,
    batch: Option<usize>,
}

impl Sum {
    fn of(
        func: &Func,
        id: OpId,
        makers: &HashMap<ValueId, OpId>,
        readers: &HashMap<ValueId, usize>,
    ) -> Option<Sum> {
        // Nothing else may need the product itself.
        let made = |v: ValueId| {
            let once = readers.get(&v) == Some(&1);
            makers.get(&v).filter(|_| once).map(|m| func.op(*m))
        };
        let op = func.op(id);
        let OpKind::Reduce {
            op: ReduceOp::Sum,
            axes,
            masked,
        } = &op.kind
        else {
            return None;
        };
        // Padding left out by the sum is a mask of what is summed.
        let mut mask = masked.then(|| (Domain::before_end(0, 0), op.args[1..].to_vec(), Some(1)));
        let mut product = made(op.args[0])?;
        if let OpKind::Mask {
            domain,
            fill: 0.0,
            batch,
        } = &product.kind
            && mask.is_none()
        {
            mask = Some((domain.clone(), product.args[1..].to_vec(), *batch));
            product = made(product.args[0])?;
        }
        if !matches!(product.kind, OpKind::Binary(Binary::Mul)) {
            return None;
        }
        let rank = func.shape(product.results[0]).len();
        let operands = [0, 1].map(|i| operand(func, makers, product.args[i], rank));
        let [Some((l, lhs)), Some((r, rhs))] = operands else {
            return None;
        };
        let summed = |a: u8| axes.contains(&usize::from(a));
        let all = 0..u8::try_from(rank).ok()?;
        let fits = all.clone().all(|a| match summed(a) {
            true => lhs.contains(&a) && rhs.contains(&a),
            false => lhs.contains(&a) || rhs.contains(&a),
        });
        let alone = |of: &[u8], other: &[u8]| of.iter().any(|a| !other.contains(a));
        if !fits || !alone(&lhs, &rhs) || !alone(&rhs, &lhs) {
            return None;
        }
        let mask = match mask {
            None => None,
            Some(m) => Some([&lhs, &rhs].iter().enumerate().find_map(|(side, labels)| {
                let at = |a: usize| labels.iter().position(|l| usize::from(*l) == a);
                let place = |c: Coord| match c {
                    Coord::Axis(a) => at(a).map(Coord::Axis),
                    Coord::Of(_) => Some(c),
                };
                let batch = m.2.and_then(at);
                let known = m.1.is_empty() || batch.is_some();
                Some(Masked {
                    side,
                    domain: m.0.map(&place).filter(|_| known)?,
                    numbers: m.1.clone(),
                    batch,
                })
            })?),
        };
        Some(Sum {
            operands: [(l, lhs), (r, rhs)],
            out: all.filter(|a| !summed(*a)).collect(),
            mask,
        })
    }
}

/// A factor before it was repeated, and the product's axis for each of its own.
fn operand(
    func: &Func,
    makers: &HashMap<ValueId, OpId>,
    v: ValueId,
    rank: usize,
) -> Option<(ValueId, Vec<u8>)> {
    if func.shape(v).len() != rank {
        return None;
    }
    match makers.get(&v).map(|m| func.op(*m)) {
        Some(Op {
            kind: OpKind::Expand { axes, .. },
            args,
            ..
        }) => {
            let of = func.shape(args[0]).len();
            let labels = (0..of).map(|i| axes.iter().position(|a| *a == Some(i)));
            let labels: Option<Vec<usize>> = labels.collect();
            let labels = labels?.into_iter().map(|a| a as u8).collect();
            Some((args[0], labels))
        }
        _ => Some((v, (0..rank as u8).collect())),
    }
}
