//! `generate M { … }` and `tune M { … }` to their settings.
//!
//! In: the block and the model it names. Out: [`GenerateSettings`] or [`TuneSettings`]; `given` is
//! held against the model's inputs.

use super::block::{Entries, conflict, entries, repeated};
use super::data::misplaced;
use super::value::value;
use crate::ast::node::{Setting, Settings};
use crate::check::program::{InputKind, Model};
use crate::diagnostics::Diagnostic;
use crate::settings::read::{clip, mismatch, unknown};
use crate::settings::schema::Block;
use crate::settings::value::{Value, ValueKind};
use crate::settings::{GenerateSettings, Given, Recompute, Search, TuneSettings};
use crate::span::Spanned;

pub fn generate(
    block: &Settings,
    model: Option<&Model>,
    report: &mut Vec<Diagnostic>,
) -> Option<(GenerateSettings, Entries)> {
    let before = report.len();
    let e = entries(Block::Generate, &block.entries, report);
    let mut given: Vec<(Spanned<String>, Given)> = Vec::new();
    for setting in &block.entries {
        match setting {
            Setting::Params { selector, .. } => {
                report.push(misplaced("params", "train", selector.span));
            }
            Setting::Set {
                given: true,
                name,
                value: written,
                ..
            } => {
                if let Some((first, _)) = given.iter().find(|(n, _)| n.node == name.node) {
                    report.push(repeated(&name.node, name.span, first.span));
                    continue;
                }
                if let Some(model) = model {
                    is_input(name, model, report);
                }
                match value(written) {
                    Ok(v) => given.extend(supplied(&v, report).map(|g| (name.clone(), g))),
                    Err(d) => report.push(d),
                }
            }
            Setting::Set { .. } => {}
        }
    }
    let search = e.choice(Block::Generate, "search");
    if let (Some(search), Some(at)) = (&search, e.written("search"))
        && search.name != "sample"
    {
        for name in ["top_k", "top_p"] {
            if let Some(narrowed) = e.written(name) {
                report.push(conflict(
                    format!("`{name}` narrows draws, `{}` draws nothing", search.name),
                    narrowed.name,
                    at.value,
                ));
            }
        }
    }
    if report[before..].iter().any(Diagnostic::is_error) {
        return None;
    }
    let number = |name| e.number(Block::Generate, name);
    let search = search?;
    let settings = GenerateSettings {
        model: block.name.node.clone(),
        prompt: e.text(Block::Generate, "prompt")?,
        length: number("length")? as u32,
        temperature: number("temperature")?,
        top_k: number("top_k").map(|n| n as u32),
        top_p: number("top_p"),
        search: match search.name {
            "greedy" => Search::Greedy,
            "beam" => Search::Beam {
                width: search.number("width") as u32,
                length_penalty: search.number("length_penalty"),
            },
            _ => Search::Sample,
        },
        given: given.into_iter().map(|(n, g)| (n.node, g)).collect(),
        seed: number("seed")? as u64,
    };
    Some((settings, e))
}

fn is_input(name: &Spanned<String>, model: &Model, report: &mut Vec<Diagnostic>) {
    let inputs: Vec<&str> = model
        .inputs
        .iter()
        .filter(|i| i.kind == InputKind::Input)
        .map(|i| model.var(i.var).name.as_str())
        .collect();
    if inputs.contains(&name.node.as_str()) {
        return;
    }
    report.push(unknown(
        format!(
            "`{}` is not an input of `{}`",
            clip(&name.node),
            clip(&model.name)
        ),
        &name.node,
        name.span,
        inputs.iter().copied(),
        || match inputs.as_slice() {
            [] => "the model has no inputs".into(),
            _ => format!("its inputs are {}", inputs.join(", ")),
        },
    ));
}

fn supplied(v: &Value, report: &mut Vec<Diagnostic>) -> Option<Given> {
    match &v.kind {
        ValueKind::Text(text) => Some(Given::Text(text.clone())),
        ValueKind::Number(n) => Some(Given::Number(*n)),
        ValueKind::List(items) => {
            let mut numbers = Vec::new();
            for item in items {
                let ValueKind::Number(n) = item.kind else {
                    report.push(mismatch("given", "numbers", item));
                    return None;
                };
                numbers.push(n);
            }
            Some(Given::Numbers(numbers))
        }
        ValueKind::Name(_) | ValueKind::Call { .. } => {
            report.push(mismatch("given", "a text or numbers", v));
            None
        }
    }
}

pub fn tune(block: &Settings, report: &mut Vec<Diagnostic>) -> Option<(TuneSettings, Entries)> {
    let before = report.len();
    let e = entries(Block::Tune, &block.entries, report);
    for setting in &block.entries {
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
    if report[before..].iter().any(Diagnostic::is_error) {
        return None;
    }
    let c = e.choice(Block::Tune, "recompute")?;
    let settings = TuneSettings {
        model: block.name.node.clone(),
        recompute: match c.name {
            "nothing" => Recompute::Nothing,
            "steps" => Recompute::Steps,
            "sqrt" => Recompute::Sqrt(c.text("time").node.clone()),
            _ => Recompute::Auto,
        },
    };
    Some((settings, e))
}
