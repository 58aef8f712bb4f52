//! Expressions as the values of settings.
//!
//! In: an expression of the syntax tree. Out: a [`Value`], numbers computed (`1/3`, `10 * 1000`), or
//! `setting::wrong-type` where the expression is nothing a setting could be.

use crate::ast::node::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::diagnostics::Diagnostic;
use crate::settings::value::{Value, ValueKind};
use crate::span::Spanned;

pub fn value(e: &Expr) -> Result<Value, Diagnostic> {
    let kind = match &e.kind {
        ExprKind::Number { value, .. } => ValueKind::Number(*value),
        ExprKind::String(text) => ValueKind::Text(text.clone()),
        ExprKind::Name(name) => ValueKind::Name(name.clone()),
        ExprKind::Field(..) => ValueKind::Name(dotted(e).ok_or_else(|| not_a_value(e))?),
        ExprKind::Paren(inner) => {
            return value(inner).map(|v| Value { span: e.span, ..v });
        }
        ExprKind::List(items) => {
            ValueKind::List(items.iter().map(value).collect::<Result<_, _>>()?)
        }
        ExprKind::Call { callee, args } => {
            let name = dotted(callee).ok_or_else(|| not_a_value(e))?;
            let args = args
                .iter()
                .map(|a| match &a.counter {
                    Some(counter) => Err(not_a_value(e).label(counter.span, "no counter here")),
                    None => Ok((a.name.clone(), value(&a.value)?)),
                })
                .collect::<Result<_, _>>()?;
            ValueKind::Call {
                name: Spanned::new(name, callee.span),
                args,
            }
        }
        ExprKind::Unary { .. } | ExprKind::Binary { .. } => {
            ValueKind::Number(number(e).ok_or_else(|| not_a_value(e))?)
        }
        ExprKind::Prime(_)
        | ExprKind::Index(..)
        | ExprKind::Compare { .. }
        | ExprKind::Over { .. }
        | ExprKind::Pipe { .. } => return Err(not_a_value(e)),
    };
    Ok(Value { kind, span: e.span })
}

/// `valid.loss` as one name.
pub fn dotted(e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Field(base, field) => Some(format!("{}.{}", dotted(base)?, field.node)),
        _ => None,
    }
}

/// Arithmetic on literals.
pub fn number(e: &Expr) -> Option<f64> {
    match &e.kind {
        ExprKind::Number { value, .. } => Some(*value),
        ExprKind::Paren(inner) => number(inner),
        ExprKind::Unary {
            op: UnaryOp::Neg,
            value,
            ..
        } => Some(-number(value)?),
        ExprKind::Binary {
            op, left, right, ..
        } => {
            let (a, b) = (number(left)?, number(right)?);
            match op {
                BinaryOp::Add => Some(a + b),
                BinaryOp::Sub => Some(a - b),
                BinaryOp::Mul => Some(a * b),
                BinaryOp::Div => Some(a / b),
                BinaryOp::Pow => Some(a.powf(b)),
                BinaryOp::Or | BinaryOp::And | BinaryOp::Dot => None,
            }
        }
        _ => None,
    }
}

fn not_a_value(e: &Expr) -> Diagnostic {
    Diagnostic::error(
        "setting::wrong-type",
        "a setting needs a value, found an expression",
    )
    .label(e.span, "not a number, text, name, list or call")
}
