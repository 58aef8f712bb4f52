//! What an expression of the shaped program reads.
//!
//! In: an expression. Out: the expressions directly inside it.

use super::program::{Expr, ExprKind};

/// The values an expression is computed from, in the order of its fields.
pub fn operands(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Number(_)
        | ExprKind::Var(_)
        | ExprKind::Param(_)
        | ExprKind::Previous(_)
        | ExprKind::Index
        | ExprKind::Steps(_)
        | ExprKind::Normal { .. }
        | ExprKind::Reveal(_) => Vec::new(),
        ExprKind::Delay { value, .. }
        | ExprKind::Unary(_, value)
        | ExprKind::Expand { value, .. }
        | ExprKind::Where { value, .. }
        | ExprKind::Top { value, .. }
        | ExprKind::Split { value, .. }
        | ExprKind::Reduce { value, .. }
        | ExprKind::Softmax(value)
        | ExprKind::First(value)
        | ExprKind::Last(value)
        | ExprKind::Embed { index: value, .. }
        | ExprKind::Dropout { value, .. } => vec![value],
        ExprKind::Binary(_, left, right)
        | ExprKind::Dot(left, right)
        | ExprKind::Contract { left, right, .. }
        | ExprKind::Zoneout {
            old: left,
            new: right,
            ..
        } => vec![left, right],
        ExprKind::Choose(cond, yes, no) => vec![cond, yes, no],
        ExprKind::Concat(parts) => parts.iter().collect(),
    }
}
