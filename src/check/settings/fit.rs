//! A model held against its data.
//!
//! In: a shaped model and a data block. Out: what the model asks of the data ([`Wanted`]), and
//! `data::missing-column`, `data::wrong-unit` or `data::features` where the block does not give it.

use super::features::{features, fits};
use crate::ast::node;
use crate::check::operands::operands;
use crate::check::program::{Expr, ExprKind, Head, InputKind, Model, Stmt, VarId};
use crate::data::spec::{
    ColumnExpr, ColumnKind, DataSpec, Field, FieldRole, Most, SourceKind, Step, Time, Unit, Wanted,
};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::Sym;
use crate::settings::read::clip;
use crate::span::Span;

/// The fields of a model: its inputs and targets, in order.
pub fn wanted(model: &Model) -> Wanted {
    let previous = previous(model);
    let mut out = Wanted::default();
    for input in &model.inputs {
        let var = model.var(input.var);
        let mut shape = var.shape.as_slice();
        let mut time = None;
        if let Some(first) = shape.first()
            && model.dims.is_time(first)
            && let Some(sym) = first.as_sym()
        {
            time = Some(sym.name().to_string());
            shape = &shape[1..];
            let fixed = model.dims.static_value(sym);
            if out.times.iter().all(|t| t.name != sym.name()) {
                out.times.push(Time {
                    name: sym.name().to_string(),
                    fixed: fixed.and_then(|n| usize::try_from(n).ok()),
                    most: most(model, sym),
                });
            }
        }
        let size = |d| {
            model
                .dims
                .eval_static(d)
                .and_then(|n| usize::try_from(n).ok())
        };
        out.fields.push(Field {
            name: var.name.clone(),
            role: match input.kind {
                InputKind::Input => FieldRole::Input,
                InputKind::Target => FieldRole::Target,
            },
            unit: unit(input.unit),
            time,
            features: shape.iter().map(size).collect(),
            feeds_itself: input.feeds_itself,
            previous: previous.contains(&input.var),
            span: input.span,
        });
    }
    out
}

/// The smallest limit that a table of positions sets on a time.
fn most(model: &Model, time: &Sym) -> Option<Most> {
    let of_time = model.limits.iter().filter(|l| l.time == *time);
    let known = of_time.filter_map(|l| {
        let steps = usize::try_from(model.dims.eval_static(&l.most)?).ok()?;
        Some(Most {
            steps,
            weight: l.path.clone(),
            span: l.span,
        })
    });
    known.min_by_key(|m| m.steps)
}

fn unit(unit: node::Unit) -> Unit {
    match unit {
        node::Unit::Token => Unit::Token,
        node::Unit::Class => Unit::Class,
        node::Unit::Number => Unit::Number,
        node::Unit::Binary => Unit::Binary,
    }
}

/// A column that only a metric reads: a number for each example or step of its target.
pub fn add_column(wanted: &mut Wanted, name: &str, target: &Field, span: Span) {
    if wanted.fields.iter().any(|f| f.name == name) {
        return;
    }
    wanted.fields.push(Field {
        name: name.to_string(),
        role: FieldRole::Column,
        feeds_itself: false,
        previous: false,
        span,
        ..target.clone()
    });
}

/// `at`: the data block's name after `on`.
pub fn check(wanted: &Wanted, data: &DataSpec, at: Span, report: &mut Vec<Diagnostic>) {
    for field in &wanted.fields {
        let what = match field.role {
            FieldRole::Input => "input",
            FieldRole::Target => "target",
            FieldRole::Column => continue,
        };
        let Some(column) = data.columns.iter().find(|c| c.name.node == field.name) else {
            report.push(missing(data, field, what, at));
            continue;
        };
        let given = gives(data, &column.value, 0);
        if given.is_text() && matches!(field.unit, Unit::Token | Unit::Class) {
            let message = format!("`{}` is text without a vocabulary", clip(&field.name));
            // A cell is one symbol, unless it is cut into a sequence of them.
            let cut = given == Gives::Text || field.time.is_some() && !in_blocks(data);
            let step = match (field.unit, cut) {
                (Unit::Token, true) => "`|> chars()`, `|> words()` or `|> labels()`",
                _ => "`|> labels()`",
            };
            report.push(
                Diagnostic::error("data::no-vocabulary", message)
                    .label(column.value.span, "text, of which nothing makes symbols")
                    .label(field.span, format!("the model's {what}"))
                    .help(format!("add {step}")),
            );
            continue;
        }
        if !given.fits(field.unit) {
            report.push(
                Diagnostic::error(
                    "data::wrong-unit",
                    format!(
                        "`{}` is {}, its column gives {}",
                        clip(&field.name),
                        match field.unit {
                            Unit::Token => "a token",
                            Unit::Class => "a class",
                            Unit::Number => "a number",
                            Unit::Binary => "yes or no",
                        },
                        given.text()
                    ),
                )
                .label(column.value.span, format!("gives {}", given.text()))
                .label(field.span, format!("the model's {what}")),
            );
            continue;
        }
        let found = features(data, &column.value, 0).filter(|n| !fits(field, *n));
        if let Some(n) = found {
            let asked: Vec<String> = (field.features.iter())
                .map(|f| f.map_or("?".to_string(), |n| n.to_string()))
                .collect();
            let gives = match n {
                1 => "1 number".to_string(),
                n => format!("{n} numbers"),
            };
            let message = format!(
                "`{}` has {n} feature{}, the model asks for [{}]",
                clip(&field.name),
                if n == 1 { "" } else { "s" },
                asked.join(", ")
            );
            report.push(
                Diagnostic::error("data::features", message)
                    .label(column.value.span, format!("gives {gives}"))
                    .label(field.span, format!("the model's {what}")),
            );
        }
    }
}

fn missing(data: &DataSpec, field: &Field, what: &str, at: Span) -> Diagnostic {
    let d = Diagnostic::error(
        "data::missing-column",
        format!(
            "`data {}` has no column `{}`",
            clip(&data.name.node),
            clip(&field.name)
        ),
    )
    .label(at, format!("gives no `{}`", field.name))
    .label(field.span, format!("this {what} needs it"));
    let names = data.columns.iter().map(|c| c.name.node.as_str());
    match nearest(&field.name, names) {
        Some(near) => d.help(format!("did you mean its column `{near}`?")),
        None => d,
    }
}

/// Whether an example is a run of rows.
fn in_blocks(data: &DataSpec) -> bool {
    match &data.source.kind {
        SourceKind::Csv(t) | SourceKind::Tsv(t) => t.blocks,
        SourceKind::Text(_)
        | SourceKind::Lines(_)
        | SourceKind::Jsonl(_)
        | SourceKind::Idx { .. }
        | SourceKind::Rows { .. }
        | SourceKind::Tensors(_) => false,
    }
}

/// What a column's values are, as far as the block alone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    /// A cell of a table: a text, that may be read as a number.
    Cell,
    Text,
    Symbols,
    Class,
    Number,
    Binary,
}

impl Gives {
    fn fits(self, unit: Unit) -> bool {
        match (self, unit) {
            // Numbered by `chars()`, `labels()` and the like alone.
            (Gives::Cell | Gives::Text, Unit::Token | Unit::Class) => false,
            (Gives::Cell, Unit::Number | Unit::Binary) => true,
            (Gives::Text, Unit::Number | Unit::Binary) => false,
            (Gives::Symbols, Unit::Token | Unit::Class) => true,
            (Gives::Symbols, Unit::Number | Unit::Binary) => false,
            (Gives::Class, Unit::Class | Unit::Token) => true,
            (Gives::Class, Unit::Number | Unit::Binary) => false,
            // Whole numbers may name tokens and classes.
            (Gives::Number | Gives::Binary, _) => true,
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Gives::Cell | Gives::Text)
    }

    fn text(self) -> &'static str {
        match self {
            Gives::Cell => "a cell",
            Gives::Text => "a text",
            Gives::Symbols => "symbols",
            Gives::Class => "a class",
            Gives::Number => "a number",
            Gives::Binary => "yes or no",
        }
    }
}

/// `depth` counts the columns followed, so that a cycle ends.
fn gives(data: &DataSpec, e: &ColumnExpr, depth: usize) -> Gives {
    match &e.kind {
        ColumnKind::Text(_) => Gives::Text,
        ColumnKind::Name(name) => match data.columns.iter().find(|c| c.name.node == *name) {
            Some(column) if depth <= data.columns.len() => gives(data, &column.value, depth + 1),
            Some(_) => Gives::Cell,
            None => Gives::Number,
        },
        ColumnKind::Whole | ColumnKind::Column(_) => match data.source.kind {
            SourceKind::Text(_) | SourceKind::Lines(_) => Gives::Text,
            SourceKind::Csv(_) | SourceKind::Tsv(_) | SourceKind::Jsonl(_) => Gives::Cell,
            SourceKind::Tensors(_) | SourceKind::Idx { .. } | SourceKind::Rows { .. } => {
                Gives::Number
            }
        },
        ColumnKind::Step { input, step } => match step {
            Step::Chars | Step::Words { .. } | Step::Bpe(_) | Step::Tokenizer { .. } => {
                Gives::Symbols
            }
            Step::Labels | Step::LabelsBut(_) => Gives::Class,
            Step::Lower | Step::Nfc => Gives::Text,
            Step::Multihot(_) => Gives::Binary,
            Step::Log | Step::Scale { .. } | Step::Zscore | Step::Pixels => Gives::Number,
            Step::Window(_) | Step::Steps(_) | Step::First | Step::Last => {
                gives(data, input, depth)
            }
            // Texts side by side: `labels()` may follow.
            Step::Split(_) => Gives::Cell,
        },
        ColumnKind::Next(value, _) | ColumnKind::Index(value, _) => gives(data, value, depth),
        ColumnKind::Number(_)
        | ColumnKind::Columns(_)
        | ColumnKind::Filled { .. }
        | ColumnKind::Length(_)
        | ColumnKind::Unary(..)
        | ColumnKind::Binary(..)
        | ColumnKind::Choose(..)
        | ColumnKind::Uniform { .. }
        | ColumnKind::Randint { .. }
        | ColumnKind::List(_)
        | ColumnKind::Reduce { .. } => Gives::Number,
    }
}

/// The variables that are read one step back.
fn previous(model: &Model) -> Vec<VarId> {
    let mut found = Vec::new();
    let mut see = |e: &Expr| visit(e, &mut found);
    for p in &model.predicts {
        match &p.head {
            Head::Softmax(e) | Head::Sigmoid(e) | Head::Step(e) | Head::Value(e) => see(e),
        }
    }
    model.penalties.iter().for_each(|(_, e)| see(e));
    model.outputs.iter().for_each(|(_, e)| see(e));
    statements(&model.body, &mut see);
    found
}

fn statements(body: &[Stmt], see: &mut dyn FnMut(&Expr)) {
    for stmt in body {
        match stmt {
            Stmt::Let { value, .. } => see(value),
            Stmt::Scan(scan) => {
                let bound = scan.inputs.iter().chain(&scan.contexts);
                bound.for_each(|(_, e)| see(e));
                for state in &scan.states {
                    see(&state.next);
                    state.initial.iter().for_each(&mut *see);
                }
                statements(&scan.body, see);
                see(&scan.output);
            }
        }
    }
}

fn visit(e: &Expr, found: &mut Vec<VarId>) {
    if let ExprKind::Previous(var) = &e.kind {
        found.push(*var);
    }
    operands(e).into_iter().for_each(|part| visit(part, found));
}
