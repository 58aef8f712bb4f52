//! Which metrics a model can be measured by.
//!
//! In: the `metrics` setting, the model and its data. Out: the metrics, or those that fit each
//! target's unit where none are named; `setting::does-not-fit` where no target has what one needs.

use super::block::Entries;
use crate::ast::node::Unit;
use crate::check::program::{Input, InputKind, Model};
use crate::data::spec::{ColumnExpr, ColumnKind, DataSpec, Step};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::{clip, unknown};
use crate::settings::schema::Block;
use crate::settings::{Average, Baseline, Metric};
use crate::span::Span;

pub fn chosen(
    e: &Entries,
    model: Option<&Model>,
    data: Option<&DataSpec>,
    report: &mut Vec<Diagnostic>,
) -> Vec<Metric> {
    let targets: Option<Vec<&Input>> = model.map(targets);
    let Some(Checked::List(items)) = e.get(Block::Train, "metrics") else {
        let mut out = Vec::new();
        for unit in targets.iter().flatten().map(|t| t.unit) {
            let metric = match unit {
                Unit::Token => Metric::Perplexity,
                Unit::Class | Unit::Binary => Metric::Accuracy,
                Unit::Number => Metric::Rmse,
            };
            if !out.contains(&metric) {
                out.push(metric);
            }
        }
        return out;
    };
    let mut out: Vec<Metric> = Vec::new();
    let mut places: Vec<Span> = Vec::new();
    for item in &items {
        let Checked::Choice(c) = item else { continue };
        let Some(metric) = metric(c, data, report) else {
            continue;
        };
        if let Some(at) = out.iter().position(|m| m.key() == metric.key()) {
            report.push(match out[at] == metric {
                true => Diagnostic::error(
                    "setting::repeated",
                    format!("metric `{}` is named twice", metric.key()),
                )
                .label(c.span, "here again"),
                // Two rivals, whose numbers would have one name.
                false => Diagnostic::error(
                    "setting::conflict",
                    format!("a run has one rival, not `{}` and `{metric}`", out[at]),
                )
                .label(c.span, "a second one")
                .label(places[at], "the first"),
            });
            continue;
        }
        if let Some(targets) = &targets
            && let Some(model) = model
            && !targets.iter().any(|t| fits(&metric, t, model))
        {
            report.push(
                Diagnostic::error(
                    "setting::does-not-fit",
                    format!("`{metric}` needs {}, no target is one", needs(&metric)),
                )
                .label(c.span, format!("needs {}", needs(&metric))),
            );
        }
        if let (Some(targets), Some(model), Some(data)) = (&targets, model, data)
            && let Metric::Versus(Baseline::Column(name)) = &metric
        {
            let measured = targets.iter().find(|t| fits(&metric, t, model));
            report.extend(measured.and_then(|t| no_rival(name, c.span, t, model, data)));
        }
        out.push(metric);
        places.push(c.span);
    }
    out
}

/// The targets that are predicted.
pub fn targets(model: &Model) -> Vec<&Input> {
    let predicted = |i: &&Input| model.predicts.iter().any(|p| p.target == i.var);
    model.inputs.iter().filter(predicted).collect()
}

fn metric(c: &Choice, data: Option<&DataSpec>, report: &mut Vec<Diagnostic>) -> Option<Metric> {
    Some(match c.name {
        "perplexity" => Metric::Perplexity,
        "bits_per_char" => Metric::BitsPerChar,
        "accuracy" => Metric::Accuracy,
        "mae" => Metric::Mae,
        "mse" => Metric::Mse,
        "rmse" => Metric::Rmse,
        "copied" => Metric::Copied,
        "top" => Metric::Top(c.number("k") as u32),
        "mape" => Metric::Mape,
        "f1" => match c.get("average") {
            Some(Checked::Choice(c)) if c.name == "micro" => Metric::F1(Average::Micro),
            Some(_) | None => Metric::F1(Average::Macro),
        },
        "entity_f1" => Metric::EntityF1,
        "bleu" => Metric::Bleu,
        "confusion" => Metric::Confusion,
        "versus" => {
            let rival = c.text("rival");
            let baseline = Baseline::named(&rival.node);
            if let (Some(data), Baseline::Column(_)) = (data, &baseline)
                && !data.columns.iter().any(|d| d.name.node == rival.node)
            {
                let columns = data.columns.iter().map(|d| d.name.node.as_str());
                report.push(unknown(
                    format!(
                        "`{}` is not a column of `data {}`",
                        clip(&rival.node),
                        clip(&data.name.node)
                    ),
                    &rival.node,
                    rival.span,
                    columns.chain(Baseline::NAMES),
                    || {
                        let names = Baseline::NAMES.join("`, `");
                        format!("a rival is `{names}` or a column of the data")
                    },
                ));
                return None;
            }
            Metric::Versus(baseline)
        }
        _ => return None,
    })
}

/// Why a column cannot be taken as the prediction of a target: it is the target, or it gives a window
/// where the target is one value.
fn no_rival(
    name: &str,
    at: Span,
    target: &Input,
    model: &Model,
    data: &DataSpec,
) -> Option<Diagnostic> {
    let column = data.columns.iter().find(|c| c.name.node == name)?;
    let var = model.var(target.var);
    let refused = |message: String| Diagnostic::error("setting::does-not-fit", message);
    if var.name == name {
        let message = format!("`versus({})`: the rival is the target itself", clip(name));
        return Some(
            refused(message)
                .label(at, "would be right always")
                .label(target.span, "what is predicted"),
        );
    }
    let steps = window(data, &column.value, 0)?;
    if var.shape.first().is_some_and(|d| model.dims.is_time(d)) {
        return None;
    }
    let message = format!(
        "`{}` is a window of {steps}, the target `{}` has no time",
        clip(name),
        clip(&var.name)
    );
    let mut value = format!("now = {name} |> last()");
    if data.columns.iter().any(|c| c.name.node == "now") {
        value = format!("{name}_now = {name} |> last()");
    }
    let rival = value.split(' ').next().unwrap_or_default().to_string();
    Some(
        refused(message)
            .label(at, "one value for each example is needed")
            .label(column.value.span, format!("gives {steps}"))
            .help(format!(
                "`{value}` in `data` is its newest value: `versus({rival})`"
            )),
    )
}

/// The steps of a column that is a window; `depth` counts the columns followed.
fn window(data: &DataSpec, e: &ColumnExpr, depth: usize) -> Option<usize> {
    match &e.kind {
        ColumnKind::Step {
            step: Step::Window(n),
            ..
        } => Some(*n),
        ColumnKind::Step {
            input,
            step: Step::Log | Step::Scale { .. } | Step::Zscore,
        } => window(data, input, depth),
        ColumnKind::Unary(_, x) => window(data, x, depth),
        ColumnKind::Name(name) if depth <= data.columns.len() => {
            let column = data.columns.iter().find(|c| c.name.node == *name)?;
            window(data, &column.value, depth + 1)
        }
        _ => None,
    }
}

/// Whether a target has what a metric measures.
pub fn fits(metric: &Metric, target: &Input, model: &Model) -> bool {
    // The time that a value has a step along.
    let time = |input: &Input| {
        let first = model.var(input.var).shape.first();
        first.filter(|d| model.dims.is_time(d)).cloned()
    };
    let read = |along: &dyn Fn(Option<Dim>) -> bool| {
        let inputs = model.inputs.iter().filter(|i| i.kind == InputKind::Input);
        inputs
            .filter(|i| i.unit == Unit::Token)
            .any(|i| along(time(i)))
    };
    match metric {
        Metric::Versus(Baseline::Majority) => target.unit != Unit::Number,
        Metric::Versus(Baseline::MostFrequent) => {
            let own = time(target);
            target.unit == Unit::Class && own.is_some() && read(&|t| t == own)
        }
        Metric::Versus(Baseline::NaiveBayes) => {
            target.unit == Unit::Class && time(target).is_none() && read(&|t| t.is_some())
        }
        Metric::Perplexity | Metric::Top(_) => matches!(target.unit, Unit::Token | Unit::Class),
        Metric::EntityF1 => target.unit == Unit::Class,
        Metric::BitsPerChar | Metric::Versus(Baseline::Bigram) | Metric::Copied => {
            target.unit == Unit::Token
        }
        Metric::Bleu => target.unit == Unit::Token && target.feeds_itself,
        Metric::Accuracy | Metric::F1(_) | Metric::Confusion => target.unit != Unit::Number,
        Metric::Mae
        | Metric::Mse
        | Metric::Rmse
        | Metric::Mape
        | Metric::Versus(Baseline::Column(_)) => target.unit == Unit::Number,
    }
}

fn needs(metric: &Metric) -> &'static str {
    match metric {
        Metric::Perplexity | Metric::Top(_) => "a token or class target",
        Metric::EntityF1 => "a class target",
        Metric::BitsPerChar | Metric::Versus(Baseline::Bigram) | Metric::Copied => "a token target",
        Metric::Bleu => "a text the model writes",
        Metric::Accuracy
        | Metric::F1(_)
        | Metric::Confusion
        | Metric::Versus(Baseline::Majority) => "a token, class or binary",
        Metric::Versus(Baseline::MostFrequent) => "a class at each token",
        Metric::Versus(Baseline::NaiveBayes) => "a class of a text",
        Metric::Mae
        | Metric::Mse
        | Metric::Rmse
        | Metric::Mape
        | Metric::Versus(Baseline::Column(_)) => "a number target",
    }
}
