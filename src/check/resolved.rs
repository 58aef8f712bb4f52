//! A model with nothing left unsaid: `check --resolved`.
//!
//! In: a [`Model`]. Out: text with the sizes, every input and target with its loss, and every
//! weight with its path, shape, start and number of entries, as comments, so that it can stand
//! before the model in its file.

use std::fmt::Write;

use super::print::wrapped;
use super::program::{Head, InputKind, Loss, Model, Param};
use super::words::{dim, init, shape, unit};
use crate::dim::Dim;

/// Every default of a model filled in; lines start with `#`.
pub fn resolved(model: &Model) -> String {
    let mut text = format!("model {}\n", model.name);
    let sizes: Vec<String> = model
        .dims
        .iter()
        .map(|e| dim(e.role, &e.binding, e.sym.name()))
        .collect();
    if !sizes.is_empty() {
        // Writing to a string cannot fail.
        let _ = wrapped(&mut text, "  sizes ", &sizes);
    }
    for i in &model.inputs {
        let v = model.var(i.var);
        let kind = match i.kind {
            InputKind::Input => "input",
            InputKind::Target => "target",
        };
        let of = i
            .vocabulary
            .as_ref()
            .map_or(String::new(), |d| format!(" of {d}"));
        let fed = match i.feeds_itself {
            true => ", its last step fed back",
            false => "",
        };
        let of_each = match v.shape.as_slice() {
            [] => String::new(),
            axes => format!("{} ", shape(axes)),
        };
        let _ = writeln!(
            text,
            "  {kind} {} : {of_each}{}{of}{fed}{}",
            v.name,
            unit(i.unit),
            ending(model, i.var)
        );
    }
    let rows: Vec<[String; 4]> = model
        .params
        .iter()
        .map(|p| {
            [
                p.path.clone(),
                shape(&p.shape),
                init(p.init),
                entries(model, p),
            ]
        })
        .collect();
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [path, shape, init, count] in &rows {
        let line = format!(
            "  param {path:<0$} : {shape:<1$} ~ {init:<2$}  {count}",
            widths[0], widths[1], widths[2]
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "  weights in all: {}", total(model));
    text.lines().map(|l| format!("# {l}\n")).collect()
}

/// How the prediction of a target ends, and its loss.
fn ending(model: &Model, var: super::program::VarId) -> String {
    let Some(p) = model.predicts.iter().find(|p| p.target == var) else {
        return String::new();
    };
    let end = match p.head {
        Head::Softmax(_) => "softmax",
        Head::Sigmoid(_) => "σ",
        Head::Step(_) => "step",
        Head::Value(_) => "a number",
    };
    let loss = match p.loss {
        Loss::CrossEntropy { .. } => "cross entropy",
        Loss::BinaryCrossEntropy => "binary cross entropy",
        Loss::Mse => "mean squared error",
        Loss::Mae => "mean absolute error",
        Loss::Huber(_) => "huber",
        Loss::Quantile(_) => "quantile",
        Loss::Hinge => "hinge",
        Loss::Perceptron => "perceptron",
    };
    format!("; ends in {end}, loss {loss}")
}

/// The number of entries of a weight in symbols.
fn product(p: &Param) -> Option<Dim> {
    let one = Dim::constant(1);
    p.shape
        .iter()
        .try_fold(one, |all, d| all.checked_mul(d))
        .ok()
}

fn entries(model: &Model, p: &Param) -> String {
    match product(p) {
        None => String::new(),
        Some(d) => match model.dims.eval_static(&d) {
            Some(n) => n.to_string(),
            None => d.formula(),
        },
    }
}

fn total(model: &Model) -> String {
    let sum = model
        .params
        .iter()
        .try_fold(Dim::default(), |sum, p| sum.checked_add(&product(p)?).ok());
    let Some(sum) = sum else {
        return "more than can be counted".into();
    };
    // Numbers where they are known, so that only vocabularies stay symbols.
    let known = |s: &crate::dim::Sym| model.dims.static_value(s).map(Dim::constant);
    match sum.subst(&known) {
        Ok(d) => d.formula(),
        Err(_) => sum.formula(),
    }
}
