//! The steps and functions of a column, by name.
//!
//! In: a name and arguments of the syntax tree. Out: a [`Step`], a function of one value or a
//! [`ColumnRef`]; `setting::unknown` with the nearest name for what does not exist.

use super::value::{number, value};
use crate::ast::node::{Arg, Expr};
use crate::data::spec::{ColumnExpr, ColumnKind, ColumnRef, Reduce, Step, Unary};
use crate::diagnostics::Diagnostic;
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::{self, clip, unknown};
use crate::settings::schema::{Kind, STEPS};
use crate::settings::value::{Value, ValueKind};
use crate::span::Span;

/// Functions of one value, as `f(x)` or `x |> f`.
const UNARY: &[(&str, Unary)] = &[
    ("exp", Unary::Exp),
    ("log", Unary::Log),
    ("sqrt", Unary::Sqrt),
    ("abs", Unary::Abs),
    ("tanh", Unary::Tanh),
    ("sigmoid", Unary::Sigmoid),
    ("relu", Unary::Relu),
    ("sin", Unary::Sin),
    ("cos", Unary::Cos),
    ("step", Unary::Step),
    ("floor", Unary::Floor),
];

const REDUCE: &[(&str, Reduce)] = &[
    ("sum", Reduce::Sum),
    ("mean", Reduce::Mean),
    ("max", Reduce::Max),
    ("min", Reduce::Min),
];

/// The other functions, for the nearest name.
const OTHERS: &[&str] = &[
    "column", "columns", "next", "length", "choose", "uniform", "randint", "mod",
];

static STEP: Kind = Kind::Choice(STEPS);
static COLUMN: Kind = Kind::Column;

/// A function of one value.
pub enum Function {
    Unary(Unary),
    Reduce(Reduce),
    Next,
    Length,
}

impl Function {
    pub fn apply(self, value: ColumnExpr) -> ColumnKind {
        let value = Box::new(value);
        match self {
            Function::Unary(op) => ColumnKind::Unary(op, value),
            Function::Reduce(op) => ColumnKind::Reduce {
                op,
                value,
                over: None,
            },
            Function::Next => ColumnKind::Next(value, 1),
            Function::Length => ColumnKind::Length(value),
        }
    }
}

/// The function of one value with that name; a step with the same name (`log()`) has no argument.
pub fn one_argument(name: &str, args: &[Arg]) -> Option<Function> {
    if args.iter().any(|a| a.name.is_some()) {
        return None;
    }
    let unary = UNARY.iter().find(|(n, _)| *n == name);
    let reduce = REDUCE.iter().find(|(n, _)| *n == name);
    match (unary, reduce, name) {
        (Some((_, op)), _, _) => Some(Function::Unary(*op)),
        (_, Some((_, op)), _) => Some(Function::Reduce(*op)),
        (_, _, "next") => Some(Function::Next),
        (_, _, "length") => Some(Function::Length),
        _ => None,
    }
}

pub fn function_names() -> impl Iterator<Item = &'static str> {
    let unary = UNARY.iter().map(|(n, _)| *n);
    let reduce = REDUCE.iter().map(|(n, _)| *n);
    unary.chain(reduce).chain(OTHERS.iter().copied())
}

/// A column by name, quoted name or number.
pub fn reference(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<ColumnRef> {
    let v = read_value(e, report)?;
    let checked = read::read("column", &COLUMN, &v, report)?;
    column_ref(&checked)
}

/// What [`Kind::Column`] reads.
pub fn column_ref(checked: &Checked) -> Option<ColumnRef> {
    match checked {
        Checked::Name(n) | Checked::Text(n) => Some(ColumnRef::Named(n.node.clone())),
        Checked::Number(n) => Some(ColumnRef::At(*n as usize)),
        Checked::Pair(..) | Checked::YesNo(_) | Checked::Choice(_) | Checked::List(_) => None,
    }
}

pub fn step(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<Step> {
    let v = read_value(e, report)?;
    let name = match &v.kind {
        ValueKind::Name(name) => Some((name, v.span)),
        ValueKind::Call { name, .. } => Some((&name.node, name.span)),
        ValueKind::Number(_) | ValueKind::Text(_) | ValueKind::List(_) => None,
    };
    if let Some((name, at)) = name
        && !STEPS.iter().any(|s| s.name == name)
    {
        report.push(no_function(name, at));
        return None;
    }
    match read::read("step", &STEP, &v, report)? {
        Checked::Choice(choice) => made(&choice),
        Checked::Number(_)
        | Checked::Pair(..)
        | Checked::Text(_)
        | Checked::Name(_)
        | Checked::YesNo(_)
        | Checked::List(_) => None,
    }
}

fn made(c: &Choice) -> Option<Step> {
    let size = |name| c.number(name) as usize;
    Some(match c.name {
        "chars" => Step::Chars,
        "labels" => match c.get("none") {
            Some(_) => Step::LabelsBut(c.text("none").node.clone()),
            None => Step::Labels,
        },
        "lower" => Step::Lower,
        "nfc" => Step::Nfc,
        "log" => Step::Log,
        "scale" => Step::Scale {
            low: c.number("low"),
            high: c.number("high"),
        },
        "zscore" => Step::Zscore,
        "window" => Step::Window(size("steps")),
        "multihot" => Step::Multihot(size("units")),
        "split" => Step::Split(c.text("separator").node.clone()),
        "words" => Step::Words {
            min_count: size("min_count"),
            max: c.get("max").map(|_| size("max")),
            apart: matches!(
                c.get("punctuation"),
                Some(Checked::Choice(c)) if c.name == "apart"
            ),
        },
        "tokenizer" => Step::Tokenizer {
            file: c.text("file").clone(),
            end: c.get("end").map(|_| c.text("end").node.clone()),
        },
        "bpe" => Step::Bpe(size("symbols")),
        "pixels" => Step::Pixels,
        "steps" => Step::Steps(size("steps")),
        "first" => Step::First,
        "last" => Step::Last,
        _ => return None,
    })
}

/// An argument's value; names of columns and numbers only, so arithmetic is computed.
fn read_value(e: &Expr, report: &mut Vec<Diagnostic>) -> Option<Value> {
    if let Some(n) = number(e) {
        return Some(Value {
            kind: ValueKind::Number(n),
            span: e.span,
        });
    }
    value(e).map_err(|d| report.push(d)).ok()
}

pub fn no_function(name: &str, at: Span) -> Diagnostic {
    let names = STEPS.iter().map(|s| s.name).chain(function_names());
    unknown(
        format!("`{}` is no step or function of a column", clip(name)),
        name,
        at,
        names,
        || {
            let steps: Vec<&str> = STEPS.iter().map(|s| s.name).collect();
            format!("steps are {}", steps.join(", "))
        },
    )
}
