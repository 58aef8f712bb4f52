//! The product of a row looked up in a small table is a row of the table's product.
//!
//! `W·E[x]` becomes `(E·W)[x]`: one product of two weights, made again only where they change, and a row of it a step. It
//! pays where a function is called many times with the same weights, as one that writes a text is, and is the same bit
//! for bit where a target sums each element of a product in one order. A negative index reads zeros, as it did.

use std::collections::HashSet;

use super::Pass;
use super::edit;
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "look-up-products",
    why: "looks up rows of a small table's product with a weight",
    run,
};

/// Rows of a table beyond which its product costs more than a short text saves.
const MOST_ROWS: i64 = 256;

fn run(func: &mut Func) {
    let makers = edit::makers(func);
    let weights = made_of_weights(func);
    let body = func.body.ops.clone();
    let looked_up = |id: OpId| {
        let op = func.op(id);
        let OpKind::Contract { lhs, rhs, out } = &op.kind else {
            return None;
        };
        let [row, weight] = op.args[..] else {
            return None;
        };
        let gather = func.op(*makers.get(&row)?);
        let (OpKind::Gather, [table, index]) = (&gather.kind, &gather.args[..]) else {
            return None;
        };
        // `lhs` is the index's axes and one that is summed; `out` those axes, then the weight's own.
        let (summed, index_axes) = lhs.split_last()?;
        let own = out.strip_prefix(index_axes)?;
        let fits = func.shape(*table).len() == 2
            && rhs.contains(summed)
            && !own.contains(summed)
            && rhs.iter().all(|l| l == summed || own.contains(l));
        let rows = func.dims.eval_static(&func.shape(*table)[0])?;
        let fixed = (func.shape(weight).iter()).all(|d| func.dims.eval_static(d).is_some());
        let pays = rows <= MOST_ROWS && fixed;
        if !fits || !pays || !weights.contains(table) || !weights.contains(&weight) {
            return None;
        }
        let row = edit::free_label(&[lhs, rhs, out]);
        let kind = OpKind::Contract {
            lhs: vec![row, *summed],
            rhs: rhs.clone(),
            out: [&[row], own].concat(),
        };
        Some((id, kind, [*table, weight], *index))
    };
    let found: Vec<_> = body.into_iter().filter_map(looked_up).collect();
    for (id, kind, args, index) in found {
        let name = func.value(func.op(id).results[0]).name.clone();
        let spans = func.op(id).spans.clone();
        let (product, rows) = edit::make(func, kind, &args, &[&name], spans, PASS.name);
        let op = func.op_mut(id);
        op.kind = OpKind::Gather;
        op.args = vec![rows[0], index];
        edit::mark(func, id, PASS.name);
        edit::insert_before(func, id, product);
    }
    super::dce::run(func);
}

/// Weights, and what the function's own region makes of them alone.
fn made_of_weights(func: &Func) -> HashSet<ValueId> {
    let mut made: HashSet<ValueId> = func.params.iter().map(|p| p.value).collect();
    for id in &func.body.ops {
        let op = func.op(*id);
        let drawn = matches!(op.kind, OpKind::Scan(_) | OpKind::Random { .. });
        if !drawn && !op.args.is_empty() && op.args.iter().all(|a| made.contains(a)) {
            made.extend(&op.results);
        }
    }
    made
}
