//! `params … { }` inside `train`: settings for some of the weights.
//!
//! In: the selector and its entries. Out: a [`ParamRule`]; `setting::matches-nothing` where the model
//! has no such weight, `setting::does-not-fit` where the update rule has no such constant.

use super::block::{Entries, Read, entries};
use super::data::misplaced;
use crate::ast::node::{self, Setting};
use crate::check::program::{Model, Param};
use crate::diagnostics::{Diagnostic, nearest};
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::clip;
use crate::settings::schema::Block;
use crate::settings::{InitRule, Optimizer, ParamRule, Selector};
use crate::span::Span;

/// Decay is part of one update rule; with another it would silently do nothing.
pub fn no_decay(optimizer: Optimizer, at: &Read, report: &mut Vec<Diagnostic>) {
    let name = match optimizer {
        Optimizer::AdamW { .. } => return,
        Optimizer::Sgd { .. } => "sgd",
        Optimizer::Adam { .. } => "adam",
        Optimizer::RmsProp { .. } => "rmsprop",
        Optimizer::Adagrad { .. } => "adagrad",
    };
    report.push(
        Diagnostic::error(
            "setting::does-not-fit",
            format!("`decay` needs `adamw`, the optimizer is `{name}`"),
        )
        .label(at.name, format!("`{name}` has no decay")),
    );
}

pub fn rule(
    selector: &node::Selector,
    at: Span,
    settings: &[Setting],
    model: Option<&Model>,
    report: &mut Vec<Diagnostic>,
) -> (ParamRule, Entries) {
    for setting in settings {
        match setting {
            Setting::Params { selector, .. } => {
                report.push(misplaced("params", "train", selector.span));
            }
            Setting::Set {
                given: true, name, ..
            } => report.push(misplaced("given", "generate", name.span)),
            Setting::Set { .. } => {}
        }
    }
    let e = entries(Block::Params, settings, report);
    let selector = match selector {
        node::Selector::Glob(pattern) => Selector::Glob(pattern.clone()),
        node::Selector::Matrices => Selector::Matrices,
        node::Selector::Vectors => Selector::Vectors,
    };
    if let Some(model) = model {
        matches_something(&selector, at, model, report);
    }
    // Not the schema's defaults: what is not written leaves earlier rules as they are.
    let number = |name| match e.written(name).map(|r| &r.checked) {
        Some(Checked::Number(n)) => Some(*n),
        _ => None,
    };
    let yes_no = |name| match e.written(name).map(|r| &r.checked) {
        Some(Checked::YesNo(yes)) => Some(*yes),
        _ => None,
    };
    if let (Some(model), Some(at)) = (model, e.written("lora")) {
        has_a_matrix(&selector, at, model, report);
    }
    let rule = ParamRule {
        selector,
        lr: number("lr"),
        decay: number("decay"),
        frozen: yes_no("frozen"),
        fresh: yes_no("fresh"),
        init: match e.written("init").map(|r| &r.checked) {
            Some(Checked::Choice(c)) => Some(init(c)),
            _ => None,
        },
        lora: number("lora").map(|n| n as u32),
    };
    (rule, e)
}

/// A low-rank update is one of a matrix.
fn has_a_matrix(selector: &Selector, at: &Read, model: &Model, report: &mut Vec<Diagnostic>) {
    let selects = |p: &&Param| selector.selects(&p.path, p.shape.len());
    let selected: Vec<&Param> = model.params.iter().filter(selects).collect();
    let Some(first) = selected.first() else {
        return;
    };
    if selected.iter().all(|p| p.shape.len() < 2) {
        let message = format!("`lora` needs a matrix, `{}` is none", clip(&first.path));
        report.push(
            Diagnostic::error("setting::does-not-fit", message)
                .label(at.name, "no matrix is selected")
                .label(first.span, "one axis or none"),
        );
    }
}

fn init(c: &Choice) -> InitRule {
    match c.name {
        "ones" => InitRule::Ones,
        "xavier" => InitRule::Xavier,
        "he" => InitRule::He,
        "orthogonal" => InitRule::Orthogonal,
        "normal" => InitRule::Normal(c.number("std")),
        "uniform" => InitRule::Uniform(c.number("bound")),
        "constant" => InitRule::Constant(c.number("value")),
        _ => InitRule::Zeros,
    }
}

fn matches_something(selector: &Selector, at: Span, model: &Model, report: &mut Vec<Diagnostic>) {
    let some = model
        .params
        .iter()
        .any(|p| selector.selects(&p.path, p.shape.len()));
    if some {
        return;
    }
    let shown = match selector {
        Selector::Glob(pattern) => format!("\"{}\"", clip(pattern)),
        Selector::Matrices => "matrices".into(),
        Selector::Vectors => "vectors".into(),
    };
    let d = Diagnostic::error(
        "setting::matches-nothing",
        format!("{shown} matches no weight of `{}`", clip(&model.name)),
    )
    .label(at, "no such weight");
    let paths = || model.params.iter().map(|p| p.path.as_str());
    let near = match selector {
        Selector::Glob(pattern) => nearest(pattern, paths()),
        Selector::Matrices | Selector::Vectors => None,
    };
    report.push(match near {
        Some(near) => d.help(format!("did you mean \"{near}\"?")),
        None => {
            let first: Vec<&str> = paths().take(8).collect();
            let more = if model.params.len() > 8 { ", …" } else { "" };
            d.help(format!("the weights are {}{more}", first.join(", ")))
        }
    });
}
