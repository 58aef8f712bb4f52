//! The expressions of a data block.
//!
//! In: the syntax tree of a column or of `keep`. Out: a [`ColumnExpr`], or diagnostics:
//! `setting::unknown` for a step or function that does not exist, `setting::wrong-type` for what a
//! column cannot be.

use super::step::{function_names, no_function, one_argument, reference, step};
use super::value::value;
use crate::ast::node::{Arg, BinaryOp, CompareOp, Expr, ExprKind, Ident, Stage, UnaryOp};
use crate::data::spec::{Binary, ColumnExpr, ColumnKind, ColumnRef, Missing, Unary};
use crate::diagnostics::Diagnostic;
use crate::settings::checked::Checked;
use crate::settings::read;
use crate::settings::schema::{Kind, MISSING as FILLS, Range, STEPS};
use crate::settings::value::{Value, ValueKind};
use crate::span::{Span, Spanned};

static MISSING: Kind = Kind::Choice(FILLS);
static NUMBER: Kind = Kind::Number(Range::Any);
/// Rows ahead: more than any table is read that far.
static AHEAD: Kind = Kind::Whole {
    low: 1,
    high: 1_000_000,
};

pub fn column(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<ColumnExpr> {
    let kind = match &e.kind {
        ExprKind::Number { value, .. } => ColumnKind::Number(*value),
        ExprKind::String(text) => ColumnKind::Text(text.clone()),
        ExprKind::Name(name) => ColumnKind::Name(name.clone()),
        ExprKind::Paren(inner) => return column(inner, report),
        ExprKind::List(parts) => ColumnKind::List(all(parts, report)?),
        ExprKind::Unary { op, value, .. } => {
            let value = Box::new(column(value, report)?);
            match op {
                UnaryOp::Neg => ColumnKind::Unary(Unary::Neg, value),
                UnaryOp::Not => ColumnKind::Unary(Unary::Not, value),
            }
        }
        ExprKind::Binary {
            op,
            op_span,
            left,
            right,
        } => {
            let (left, right) = (column(left, report), column(right, report));
            let op = match op {
                BinaryOp::Or => Binary::Or,
                BinaryOp::And => Binary::And,
                BinaryOp::Add => Binary::Add,
                BinaryOp::Sub => Binary::Sub,
                BinaryOp::Mul => Binary::Mul,
                BinaryOp::Div => Binary::Div,
                BinaryOp::Pow => Binary::Pow,
                BinaryOp::Dot => {
                    report.push(no_column("`·`", *op_span));
                    return None;
                }
            };
            ColumnKind::Binary(op, Box::new(left?), Box::new(right?))
        }
        ExprKind::Compare { first, rest } => return chain(first, rest, report),
        ExprKind::Index(base, indices) => {
            let base = column(base, report)?;
            match indices.as_slice() {
                [one] => match &one.kind {
                    ExprKind::Name(name) => {
                        ColumnKind::Index(Box::new(base), Spanned::new(name.clone(), one.span))
                    }
                    _ => {
                        report.push(no_column("a computed index", one.span));
                        return None;
                    }
                },
                _ => {
                    report.push(no_column("a second index", e.span));
                    return None;
                }
            }
        }
        ExprKind::Over {
            value,
            over_span,
            axes,
            cond,
        } => {
            if let Some(cond) = cond {
                report.push(no_column("`where`", cond.span));
                return None;
            }
            let [axis] = axes.as_slice() else {
                report.push(no_column("`over` two names", *over_span));
                return None;
            };
            return over(column(value, report)?, axis, *over_span, report);
        }
        ExprKind::Call { callee, args } => {
            let ExprKind::Name(name) = &callee.kind else {
                report.push(no_column("this call", callee.span));
                return None;
            };
            return call(name, callee.span, args, e, report);
        }
        ExprKind::Pipe { input, stage, .. } => {
            let input = column(input, report);
            return piped(input?, stage, e.span, report);
        }
        ExprKind::Prime(_) => {
            report.push(no_column("`'`", e.span));
            return None;
        }
        ExprKind::Field(..) => {
            report.push(no_column("a name with a dot", e.span));
            return None;
        }
    };
    Some(ColumnExpr { kind, span: e.span })
}

fn all(parts: &[Expr], report: &mut Vec<Diagnostic>) -> Option<Vec<ColumnExpr>> {
    let read: Vec<Option<ColumnExpr>> = parts.iter().map(|p| column(p, report)).collect();
    read.into_iter().collect()
}

/// `a < b < c` as `a < b and b < c`.
fn chain(
    first: &Expr,
    rest: &[(Spanned<CompareOp>, Expr)],
    report: &mut Vec<Diagnostic>,
) -> Option<ColumnExpr> {
    let mut left = column(first, report)?;
    let mut whole: Option<ColumnExpr> = None;
    for (op, right) in rest {
        let right = column(right, report)?;
        let span = left.span.to(right.span);
        let compare = match op.node {
            CompareOp::Lt => Binary::Lt,
            CompareOp::Le => Binary::Le,
            CompareOp::Eq => Binary::Eq,
            CompareOp::Ne => Binary::Ne,
            CompareOp::Gt => Binary::Gt,
            CompareOp::Ge => Binary::Ge,
        };
        let link = ColumnExpr {
            kind: ColumnKind::Binary(compare, Box::new(left), Box::new(right.clone())),
            span,
        };
        whole = Some(match whole {
            None => link,
            Some(before) => ColumnExpr {
                span: before.span.to(span),
                kind: ColumnKind::Binary(Binary::And, Box::new(before), Box::new(link)),
            },
        });
        left = right;
    }
    whole.or(Some(left))
}

/// `uniform(0, 1) over T`, `sum(v * m) over T`.
fn over(
    value: ColumnExpr,
    axis: &Ident,
    at: Span,
    report: &mut Vec<Diagnostic>,
) -> Option<ColumnExpr> {
    let axis = Some(axis.clone());
    let kind = match value.kind {
        ColumnKind::Uniform { low, high, .. } => ColumnKind::Uniform {
            low,
            high,
            over: axis,
        },
        ColumnKind::Randint { n, .. } => ColumnKind::Randint { n, over: axis },
        ColumnKind::Reduce { op, value, .. } => ColumnKind::Reduce {
            op,
            value,
            over: axis,
        },
        _ => {
            report.push(no_column("`over` without a sum or a draw", at));
            return None;
        }
    };
    Some(ColumnExpr {
        kind,
        span: value.span,
    })
}

fn call(
    name: &str,
    at: Span,
    args: &[Arg],
    e: &Expr,
    report: &mut Vec<Diagnostic>,
) -> Option<ColumnExpr> {
    let kind = match name {
        "column" | "columns" => {
            let named = |a: &&Arg| a.name.as_ref().is_some_and(|n| n.node == "missing");
            let (filled, args): (Vec<&Arg>, Vec<&Arg>) = args.iter().partition(named);
            let several = name == "columns";
            let unnamed = args.iter().all(|a| a.name.is_none());
            if args.is_empty() || !unnamed || filled.len() > 1 || (!several && args.len() > 1) {
                let what = if several { "columns" } else { "one column" };
                return takes(name, what, at, report);
            }
            let read: Vec<Option<ColumnRef>> =
                args.iter().map(|a| reference(&a.value, report)).collect();
            let mut read: Vec<ColumnRef> = read.into_iter().collect::<Option<_>>()?;
            let kind = match several {
                true => ColumnKind::Columns(read),
                false => ColumnKind::Column(read.swap_remove(0)),
            };
            match filled.first() {
                None => kind,
                Some(filled) => ColumnKind::Filled {
                    columns: Box::new(ColumnExpr { kind, span: e.span }),
                    missing: missing(&filled.value, report)?,
                },
            }
        }
        "next" if args.len() == 2 && args.iter().all(|a| a.name.is_none()) => {
            let value = column(&args[0].value, report);
            let k = value_of(&args[1].value, report)?;
            match read::read("next", &AHEAD, &k, report)? {
                Checked::Number(k) => ColumnKind::Next(Box::new(value?), k as usize),
                Checked::Pair(..)
                | Checked::Text(_)
                | Checked::Name(_)
                | Checked::YesNo(_)
                | Checked::Choice(_)
                | Checked::List(_) => return None,
            }
        }
        "uniform" => match args {
            [low, high] => ColumnKind::Uniform {
                low: Box::new(column(&low.value, report)?),
                high: Box::new(column(&high.value, report)?),
                over: None,
            },
            _ => return takes(name, "two bounds", at, report),
        },
        "randint" => match args {
            [n] => ColumnKind::Randint {
                n: Box::new(column(&n.value, report)?),
                over: None,
            },
            _ => return takes(name, "one bound", at, report),
        },
        "choose" => match args {
            [cond, yes, no] => {
                let parts = [cond, yes, no].map(|a| column(&a.value, report).map(Box::new));
                let [cond, yes, no] = parts;
                ColumnKind::Choose(cond?, yes?, no?)
            }
            _ => return takes(name, "a condition and two values", at, report),
        },
        "mod" => match args {
            [a, b] => two(Binary::Mod, a, b, report)?,
            _ => return takes(name, "two values", at, report),
        },
        "max" | "min" if args.len() == 2 => {
            let op = if name == "max" {
                Binary::Max
            } else {
                Binary::Min
            };
            two(op, &args[0], &args[1], report)?
        }
        _ => {
            // A step without an input takes the whole text, or the column of the equation's name.
            let function = one_argument(name, args);
            if let (Some(function), [one]) = (function, args) {
                function.apply(column(&one.value, report)?)
            } else if STEPS.iter().any(|s| s.name == name) {
                let whole = ColumnExpr {
                    kind: ColumnKind::Whole,
                    span: at,
                };
                ColumnKind::Step {
                    input: Box::new(whole),
                    step: step(e, report)?,
                }
            } else if function_names().any(|f| f == name) {
                return takes(name, "one value", at, report);
            } else {
                report.push(no_function(name, at));
                return None;
            }
        }
    };
    Some(ColumnExpr { kind, span: e.span })
}

/// What `missing =` may be.
fn missing(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<Missing> {
    let v = value_of(e, report)?;
    let kind = match v.kind {
        ValueKind::Number(_) => &NUMBER,
        ValueKind::Text(text) => return Some(Missing::Text(text)),
        ValueKind::Name(_) | ValueKind::Call { .. } | ValueKind::List(_) => &MISSING,
    };
    match read::read("missing", kind, &v, report)? {
        Checked::Number(n) => Some(Missing::Number(n)),
        Checked::Choice(c) => match c.name {
            "drop" => Some(Missing::Drop),
            "previous" => Some(Missing::Previous),
            "mean" => Some(Missing::Mean),
            _ => None,
        },
        Checked::Pair(..)
        | Checked::Text(_)
        | Checked::Name(_)
        | Checked::YesNo(_)
        | Checked::List(_) => None,
    }
}

fn value_of(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<Value> {
    value(e).map_err(|d| report.push(d)).ok()
}

fn two(op: Binary, a: &Arg, b: &Arg, report: &mut Vec<Diagnostic>) -> Option<ColumnKind> {
    let (a, b) = (column(&a.value, report), column(&b.value, report));
    Some(ColumnKind::Binary(op, Box::new(a?), Box::new(b?)))
}

fn piped(
    input: ColumnExpr,
    stage: &Stage,
    span: Span,
    report: &mut Vec<Diagnostic>,
) -> Option<ColumnExpr> {
    let extra = stage.scan.as_ref().map(|s| s.span);
    let bound = stage.with.first().or(stage.from.first());
    let bound = bound.and_then(|b| b.path.first()).map(|p| p.span);
    if let Some(at) = extra.or(bound) {
        report.push(no_column("a scan or a binding", at));
        return None;
    }
    let (name, args): (_, &[Arg]) = match &stage.call.kind {
        ExprKind::Name(name) => (name.as_str(), &[]),
        ExprKind::Call { callee, args } => match &callee.kind {
            ExprKind::Name(name) => (name.as_str(), args),
            _ => ("", &[]),
        },
        _ => ("", &[]),
    };
    let known_step = STEPS.iter().any(|s| s.name == name);
    let kind = match one_argument(name, args) {
        Some(function) if !known_step && args.is_empty() => function.apply(input),
        _ => ColumnKind::Step {
            input: Box::new(input),
            step: step(&stage.call, report)?,
        },
    };
    let value = ColumnExpr { kind, span };
    match &stage.over {
        Some(axis) => over(value, axis, axis.span, report),
        None => Some(value),
    }
}

fn takes(name: &str, what: &str, at: Span, report: &mut Vec<Diagnostic>) -> Option<ColumnExpr> {
    report.push(
        Diagnostic::error("setting::wrong-type", format!("`{name}` takes {what}"))
            .label(at, format!("needs {what}")),
    );
    None
}

fn no_column(what: &str, at: Span) -> Diagnostic {
    Diagnostic::error("setting::wrong-type", format!("a column cannot use {what}"))
        .label(at, "not in a data block")
}
