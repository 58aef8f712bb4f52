//! `loss`, `loss.stars` and `weight.stars`: how each target's error is measured.
//!
//! In: the entries of a `train` block and the model. Out: a [`TargetLoss`] for each target that is
//! named; `setting::does-not-fit` where a loss needs another last function than the prediction has.

use super::block::{Entries, Read, repeated};
use crate::check::program::{Head, Loss, Model, Predict};
use crate::diagnostics::Diagnostic;
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::{clip, unknown};
use crate::settings::{LossName, TargetLoss, TrainSettings};
use crate::span::Span;

pub fn losses(e: &Entries, model: Option<&Model>, report: &mut Vec<Diagnostic>) -> Vec<TargetLoss> {
    let mut out: Vec<TargetLoss> = Vec::new();
    let mut first: Vec<(String, &str, Span)> = Vec::new();
    for read in &e.read {
        if !matches!(read.entry.name, "loss" | "weight") {
            continue;
        }
        let Some(target) = target_of(read, model, report) else {
            continue;
        };
        let seen = first
            .iter()
            .find(|(t, setting, _)| *t == target && *setting == read.entry.name);
        if let Some((_, setting, span)) = seen {
            report.push(repeated(setting, read.name, *span));
            continue;
        }
        first.push((target.clone(), read.entry.name, read.name));
        let at = match out.iter().position(|l| l.target == target) {
            Some(at) => at,
            None => {
                out.push(TargetLoss {
                    target: target.clone(),
                    loss: None,
                    weight: 1.0,
                });
                out.len() - 1
            }
        };
        match &read.checked {
            Checked::Choice(c) => {
                let loss = loss(c);
                if let Some(p) = model.and_then(|m| predict_of(m, &target)) {
                    fits(loss, c, p, read, &target, report);
                }
                out[at].loss = Some(loss);
            }
            Checked::Number(weight) => out[at].weight = *weight,
            Checked::Pair(..)
            | Checked::Text(_)
            | Checked::Name(_)
            | Checked::YesNo(_)
            | Checked::List(_) => {}
        }
    }
    out
}

/// The target that `loss`, `loss.stars` or `weight.stars` speaks of.
fn target_of(read: &Read, model: Option<&Model>, report: &mut Vec<Diagnostic>) -> Option<String> {
    let Some(model) = model else {
        return read.part.as_ref().map(|p| p.node.clone());
    };
    let names: Vec<&str> = model
        .predicts
        .iter()
        .map(|p| model.var(p.target).name.as_str())
        .collect();
    let setting = read.entry.name;
    match (&read.part, names.as_slice()) {
        (Some(part), _) if names.contains(&part.node.as_str()) => Some(part.node.clone()),
        (Some(part), _) => {
            let mut d = unknown(
                format!(
                    "`{}` is not a target of `{}`",
                    clip(&part.node),
                    clip(&model.name)
                ),
                &part.node,
                part.span,
                names.iter().copied(),
                || format!("its targets are {}", names.join(", ")),
            );
            if let Some(fix) = &mut d.fix {
                fix.text = format!("{setting}.{}", fix.text);
            }
            report.push(d);
            None
        }
        (None, [only]) => Some((*only).to_string()),
        (None, _) => {
            report.push(
                Diagnostic::error(
                    "setting::conflict",
                    format!("`{setting}` with {} targets: which one?", names.len()),
                )
                .label(read.name, "one for each target")
                .help(format!(
                    "write {}",
                    names
                        .iter()
                        .map(|n| format!("`{setting}.{n}`"))
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            );
            None
        }
    }
}

fn predict_of<'a>(model: &'a Model, target: &str) -> Option<&'a Predict> {
    model
        .predicts
        .iter()
        .find(|p| model.var(p.target).name == target)
}

fn loss(c: &Choice) -> LossName {
    match c.name {
        "cross_entropy" => LossName::CrossEntropy {
            smoothing: c.number("smoothing"),
        },
        "binary_cross_entropy" => LossName::BinaryCrossEntropy,
        "perceptron" => LossName::Perceptron,
        "hinge" => LossName::Hinge,
        "mae" => LossName::Mae,
        "quantile" => LossName::Quantile(c.number("q")),
        "huber" => LossName::Huber(c.number("delta")),
        _ => LossName::Mse,
    }
}

/// A loss reads the prediction before its last function, so it needs the function it is made for.
fn fits(
    loss: LossName,
    c: &Choice,
    predict: &Predict,
    read: &Read,
    target: &str,
    report: &mut Vec<Diagnostic>,
) {
    let (needs, sound) = match loss {
        LossName::CrossEntropy { .. } => ("softmax", matches!(predict.head, Head::Softmax(_))),
        LossName::BinaryCrossEntropy => ("σ", matches!(predict.head, Head::Sigmoid(_))),
        LossName::Perceptron => ("step", matches!(predict.head, Head::Step(_))),
        LossName::Hinge => (
            "σ or step",
            matches!(predict.head, Head::Sigmoid(_) | Head::Step(_)),
        ),
        LossName::Mse | LossName::Mae | LossName::Huber(_) | LossName::Quantile(_) => {
            ("a plain value", matches!(predict.head, Head::Value(_)))
        }
    };
    if sound {
        return;
    }
    let ends = match predict.head {
        Head::Softmax(_) => "softmax",
        Head::Sigmoid(_) => "σ",
        Head::Step(_) => "step",
        Head::Value(_) => "a plain value",
    };
    report.push(
        Diagnostic::error(
            "setting::does-not-fit",
            format!(
                "`{}` needs {needs}, `{}` ends in {ends}",
                c.name,
                clip(target)
            ),
        )
        .label(read.value, format!("needs {needs}"))
        .label(predict.span, format!("ends in {ends}")),
    );
}

/// The losses that a run uses, by target: what the file says, else what the unit asks for.
pub fn resolved_losses(settings: &TrainSettings, model: &Model) -> Vec<(String, String)> {
    model
        .predicts
        .iter()
        .map(|p| {
            let target = model.var(p.target).name.clone();
            let named = settings.losses.iter().find(|l| l.target == target);
            let loss = named.and_then(|l| l.loss).map_or(p.loss, meant);
            (target, written(loss))
        })
        .collect()
}

/// Gives each prediction the loss and the weight that the settings say.
pub fn apply_losses(settings: &TrainSettings, model: &mut Model) {
    for i in 0..model.predicts.len() {
        let target = model.var(model.predicts[i].target).name.as_str();
        let Some(named) = settings.losses.iter().find(|l| l.target == target) else {
            continue;
        };
        let predict = &mut model.predicts[i];
        predict.loss = named.loss.map_or(predict.loss, meant);
        predict.weight = named.weight;
    }
}

fn meant(name: LossName) -> Loss {
    match name {
        LossName::CrossEntropy { smoothing } => Loss::CrossEntropy { smoothing },
        LossName::BinaryCrossEntropy => Loss::BinaryCrossEntropy,
        LossName::Mse => Loss::Mse,
        LossName::Perceptron => Loss::Perceptron,
        LossName::Hinge => Loss::Hinge,
        LossName::Mae => Loss::Mae,
        LossName::Huber(delta) => Loss::Huber(delta),
        LossName::Quantile(q) => Loss::Quantile(q),
    }
}

/// A loss as it is written.
fn written(loss: Loss) -> String {
    match loss {
        Loss::CrossEntropy { smoothing } => format!("cross_entropy(smoothing = {smoothing})"),
        Loss::BinaryCrossEntropy => "binary_cross_entropy".into(),
        Loss::Mse => "mse".into(),
        Loss::Perceptron => "perceptron".into(),
        Loss::Hinge => "hinge".into(),
        Loss::Mae => "mae".into(),
        Loss::Huber(delta) => format!("huber(delta = {delta})"),
        Loss::Quantile(q) => format!("quantile({q})"),
    }
}
