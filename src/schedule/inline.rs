//! Which values are in memory, which are views of others, and which each reader computes.
//!
//! In: a desugared function. Out: the answers, for any of its values.

use super::facts::{Def, Facts};
use crate::ir::{Func, OpKind, TakeWhich, Unary, ValueId};

/// Whether the value is computed anew in every loop that reads it, and never stored by itself.
pub fn is_inline(func: &Func, facts: &Facts, v: ValueId) -> bool {
    match facts.def(v) {
        Def::Valid(_) => true,
        Def::Op(id, _) => match &func.op(id).kind {
            OpKind::Expand { .. } | OpKind::ToFloat | OpKind::Iota { .. } => true,
            OpKind::Split { .. } | OpKind::Take(TakeWhich::First) => {
                is_inline(func, facts, func.op(id).args[0])
            }
            _ => is_number(func, facts, v),
        },
        _ => false,
    }
}

/// Whether every element is one number known now, from constants alone.
fn is_number(func: &Func, facts: &Facts, v: ValueId) -> bool {
    let Some(id) = facts.op_of(v) else {
        return false;
    };
    let op = func.op(id);
    match &op.kind {
        OpKind::Const(_) => true,
        // `Stop` is what copies are made of here: never seen through.
        OpKind::Unary(Unary::Stop) => false,
        OpKind::Unary(_) | OpKind::Binary(_) | OpKind::Select | OpKind::Expand { .. } => {
            op.args.iter().all(|&a| is_number(func, facts, a))
        }
        _ => false,
    }
}

/// Whether the value is another's memory, seen through a view, or is memory itself; `wide` where
/// repeated axes will do.
pub fn is_view(func: &Func, facts: &Facts, v: ValueId, wide: bool) -> bool {
    let Some(id) = facts.op_of(v) else {
        return !matches!(facts.def(v), Def::Valid(_));
    };
    match &func.op(id).kind {
        OpKind::Expand { .. } => wide && is_view(func, facts, func.op(id).args[0], wide),
        OpKind::Split { .. } | OpKind::Take(TakeWhich::First) => {
            is_view(func, facts, func.op(id).args[0], wide)
        }
        _ => !is_inline(func, facts, v),
    }
}
