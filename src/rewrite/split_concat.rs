//! `W·[h, x]` becomes `W_h·h + W_x·x`, so that the part without the state can leave the loop.

use std::collections::HashSet;

use super::Pass;
use super::edit::{self, Map};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "split-concat",
    why: "parts a product over a concatenation into what needs the state and what does not",
    run,
};

fn run(func: &mut Func) {
    let body = func.body.clone();
    for id in edit::scans(func, &body) {
        scan(func, id);
    }
    super::dce::run(func);
}

fn scan(func: &mut Func, id: OpId) {
    let s = edit::scan(func, id).clone();
    let moving = moving(func, &s);
    let makers = edit::makers(func);
    let mut map = Map::new();
    let mut ops = Vec::new();
    for op_id in &s.body.ops {
        let op = func.op(*op_id).clone();
        let parts = match &op.kind {
            OpKind::Contract { lhs, rhs, out } => {
                // The concatenation may stand on either side.
                let at = |side: usize| makers.get(&op.args[side]).map(|m| func.op(*m).clone());
                let labels = [lhs, rhs];
                (0..2).find_map(|side| {
                    let joined = at(side)?;
                    let OpKind::Concat { axis } = joined.kind else {
                        return None;
                    };
                    let summed = labels[side].get(axis).filter(|l| !out.contains(l))?;
                    let other = labels[1 - side].iter().position(|l| l == summed)?;
                    let stays = joined.args.iter().filter(|a| moving.contains(a)).count();
                    let worth = stays > 0 && stays < joined.args.len();
                    worth.then_some((side, axis, other, joined))
                })
            }
            _ => None,
        };
        let Some((side, axis, other, joined)) = parts else {
            ops.push(*op_id);
            continue;
        };
        let weight = op.args[1 - side];
        let sizes = joined
            .args
            .iter()
            .map(|a| func.shape(*a)[axis].clone())
            .collect();
        let name = func.value(weight).name.clone();
        let cut = OpKind::Split { axis: other, sizes };
        let (cut, weights) =
            edit::make(func, cut, &[weight], &[&name], op.spans.clone(), PASS.name);
        ops.push(cut);
        let name = func.value(op.results[0]).name.clone();
        let mut sum: Option<ValueId> = None;
        for (x, w) in joined.args.iter().zip(weights) {
            let args = if side == 0 { [*x, w] } else { [w, *x] };
            let (id, term) = edit::make(
                func,
                op.kind.clone(),
                &args,
                &[&name],
                op.spans.clone(),
                PASS.name,
            );
            ops.push(id);
            sum = Some(match sum {
                None => term[0],
                Some(s) => {
                    let add = OpKind::Binary(Binary::Add);
                    let (id, total) = edit::make(
                        func,
                        add,
                        &[s, term[0]],
                        &[&name],
                        op.spans.clone(),
                        PASS.name,
                    );
                    ops.push(id);
                    total[0]
                }
            });
        }
        if let Some(sum) = sum {
            map.insert(op.results[0], sum);
        }
    }
    edit::scan_mut(func, id).body.ops = ops;
    edit::replace(func, &map);
}

/// Values of the body that depend on a carried state.
pub fn moving(func: &Func, s: &Scan) -> HashSet<ValueId> {
    let mut out: HashSet<ValueId> = s.carries.iter().map(|c| c.param).collect();
    for id in &s.body.ops {
        let op = func.op(*id);
        let drawn = matches!(op.kind, OpKind::Random { .. });
        if drawn || op.args.iter().any(|a| out.contains(a)) {
            out.extend(&op.results);
        }
    }
    out
}
