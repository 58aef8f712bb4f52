//! `train M on d { … }` to [`TrainSettings`].
//!
//! In: the block, the model and the data it names (where these are sound). Out: the settings with
//! every default filled in, and `setting::conflict` for what cannot be together.

use super::block::{Entries, conflict, entries};
use super::data::misplaced;
use super::losses::losses;
use super::metrics;
use super::weights::{no_decay, rule};
use crate::ast::node::{Setting, Settings};
use crate::check::program::Model;
use crate::data::spec::{DataSpec, Split};
use crate::diagnostics::Diagnostic;
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::{clip, unknown};
use crate::settings::schema::Block;
use crate::settings::{
    Batch, Clip, Length, Metric, Optimizer, Patience, Precision, Schedule, TrainSettings, Validate,
    Watched,
};

/// The settings, the entries they were read from, and those of each `params` block.
pub struct Train {
    pub settings: TrainSettings,
    pub entries: Entries,
    pub params: Vec<Entries>,
}

pub fn train(
    block: &Settings,
    data_name: &str,
    model: Option<&Model>,
    data: Option<&DataSpec>,
    report: &mut Vec<Diagnostic>,
) -> Option<Train> {
    let before = report.len();
    let e = entries(Block::Train, &block.entries, report);
    let mut params = Vec::new();
    let mut rules = Vec::new();
    let optimizer = e.choice(Block::Train, "optimizer").map(|c| optimizer(&c));
    for setting in &block.entries {
        match setting {
            Setting::Set {
                given: true, name, ..
            } => report.push(misplaced("given", "generate", name.span)),
            Setting::Set { .. } => {}
            Setting::Params {
                selector, entries, ..
            } => {
                let (rule, read) = rule(&selector.node, selector.span, entries, model, report);
                if let (Some(at), Some(optimizer)) = (read.written("decay"), optimizer) {
                    no_decay(optimizer, at, report);
                }
                rules.push(rule);
                params.push(read);
            }
        }
    }
    if let (
        Some(Optimizer::Sgd {
            momentum, nesterov, ..
        }),
        Some(at),
    ) = (optimizer, e.written("optimizer"))
        && nesterov
        && momentum == 0.0
    {
        let message = "`nesterov` looks ahead by `momentum`, which is 0";
        report.push(
            Diagnostic::error("setting::conflict", message).label(at.value, "needs a momentum"),
        );
    }
    let length = length(&e, report);
    let schedule = e.choice(Block::Train, "schedule").map(|c| schedule(&c));
    if let (Some(Length::Steps(steps)), Some(s), Some(at)) =
        (length, schedule, e.written("schedule"))
        && warmup(s) >= steps
    {
        report.push(
            Diagnostic::error(
                "setting::conflict",
                format!("`warmup` of {} leaves nothing of {steps} steps", warmup(s)),
            )
            .label(at.value, "longer than the run"),
        );
    }
    if let (Some(window), Some(bptt)) = (e.written("window"), e.written("bptt")) {
        report.push(conflict(
            "`window` cuts a sequence, `bptt` carries states through it".into(),
            bptt.name,
            window.name,
        ));
    }
    let losses = losses(&e, model, report);
    let chosen = metrics::chosen(&e, model, data, report);
    let stop = stop(&e, &chosen, data, report);
    let precision = e.choice(Block::Train, "precision")?;
    if report[before..].iter().any(Diagnostic::is_error) {
        return None;
    }
    let count = |name| e.number(Block::Train, name).map(|n| n as u32);
    let settings = TrainSettings {
        model: block.name.node.clone(),
        data: data_name.to_string(),
        batch: match e.get(Block::Train, "batch")? {
            Checked::Choice(c) => Batch::Tokens(c.number("steps") as u32),
            Checked::Number(n) => Batch::Rows(n as u32),
            Checked::Pair(..)
            | Checked::Text(_)
            | Checked::Name(_)
            | Checked::YesNo(_)
            | Checked::List(_) => return None,
        },
        accumulate: count("accumulate")?,
        window: count("window"),
        bptt: count("bptt"),
        length: length?,
        optimizer: optimizer?,
        schedule: schedule?,
        clip: e.choice(Block::Train, "clip").map(|c| match c.name {
            "norm" => Clip::Norm(c.number("max")),
            "value" => Clip::Value(c.number("max")),
            _ => Clip::None,
        })?,
        losses,
        metrics: chosen,
        validate: e.choice(Block::Train, "validate").map(|c| match c.name {
            "every" => Validate::EverySteps(c.number("steps") as u64),
            _ => Validate::EveryEpoch,
        })?,
        stop,
        weights: e.text(Block::Train, "weights"),
        params: rules,
        precision: match precision.name {
            "bf16" => Precision::Bf16,
            _ => Precision::F32,
        },
        seed: e.number(Block::Train, "seed")? as u64,
    };
    Some(Train {
        settings,
        entries: e,
        params,
    })
}

fn length(e: &Entries, report: &mut Vec<Diagnostic>) -> Option<Length> {
    if let (Some(epochs), Some(steps)) = (e.written("epochs"), e.written("steps")) {
        report.push(conflict(
            "`epochs` and `steps` both say when to end".into(),
            steps.name.max(epochs.name),
            steps.name.min(epochs.name),
        ));
        return None;
    }
    match e.number(Block::Train, "steps") {
        Some(steps) => Some(Length::Steps(steps as u64)),
        None => Some(Length::Epochs(e.number(Block::Train, "epochs")? as u64)),
    }
}

fn optimizer(c: &Choice) -> Optimizer {
    let lr = c.number("lr");
    match c.name {
        "adamw" => Optimizer::AdamW {
            lr,
            decay: c.number("decay"),
            betas: c.pair("betas"),
            eps: c.number("eps"),
        },
        "sgd" => Optimizer::Sgd {
            lr,
            momentum: c.number("momentum"),
            nesterov: c.get("nesterov") == Some(&Checked::YesNo(true)),
        },
        "rmsprop" => Optimizer::RmsProp {
            lr,
            smooth: c.number("smooth"),
            eps: c.number("eps"),
        },
        "adagrad" => Optimizer::Adagrad {
            lr,
            eps: c.number("eps"),
        },
        _ => Optimizer::Adam {
            lr,
            betas: c.pair("betas"),
            eps: c.number("eps"),
        },
    }
}

fn schedule(c: &Choice) -> Schedule {
    let long = |name| c.number(name) as u64;
    match c.name {
        "cosine" => Schedule::Cosine {
            warmup: long("warmup"),
            end: c.number("final"),
        },
        "linear" => Schedule::Linear {
            warmup: long("warmup"),
            end: c.number("final"),
        },
        "step" => Schedule::Step {
            every: long("every"),
            factor: c.number("factor"),
            warmup: long("warmup"),
        },
        "exponential" => Schedule::Exponential {
            factor: c.number("factor"),
            warmup: long("warmup"),
        },
        "plateau" => Schedule::Plateau {
            factor: c.number("factor"),
            patience: long("patience") as u32,
            warmup: long("warmup"),
        },
        "onecycle" => Schedule::OneCycle { up: c.number("up") },
        _ => Schedule::Constant {
            warmup: long("warmup"),
        },
    }
}

fn warmup(s: Schedule) -> u64 {
    match s {
        Schedule::Constant { warmup }
        | Schedule::Cosine { warmup, .. }
        | Schedule::Linear { warmup, .. }
        | Schedule::Step { warmup, .. }
        | Schedule::Exponential { warmup, .. }
        | Schedule::Plateau { warmup, .. } => warmup,
        Schedule::OneCycle { .. } => 0,
    }
}

fn stop(
    e: &Entries,
    chosen: &[Metric],
    data: Option<&DataSpec>,
    report: &mut Vec<Diagnostic>,
) -> Option<Patience> {
    let c = e.choice(Block::Train, "stop")?;
    if c.name != "patience" {
        return None;
    }
    let written = e.written("stop")?;
    let on = c.text("on");
    let watched = match on.node.strip_prefix("valid.") {
        Some("loss") => Some(Watched::Loss),
        Some(key) => chosen
            .iter()
            .find(|m| m.key() == key && **m != Metric::Confusion)
            .map(|m| Watched::Metric(m.clone())),
        None => None,
    };
    let Some(watched) = watched else {
        let numbers = chosen.iter().filter(|m| **m != Metric::Confusion);
        let measured: Vec<String> = std::iter::once("valid.loss".to_string())
            .chain(numbers.map(|m| format!("valid.{}", m.key())))
            .collect();
        report.push(unknown(
            format!("`{}` is not measured", clip(&on.node)),
            &on.node,
            on.span,
            measured.iter().map(String::as_str),
            || format!("measured are {}; `metrics` adds more", measured.join(", ")),
        ));
        return None;
    };
    let no_valid = data.is_some_and(|d| match &d.split {
        Split::Parts { shares, .. } => shares[1] <= 0.0,
        Split::Files { valid, .. } => valid.is_none(),
    });
    if no_valid {
        let split = data.map_or(written.name, |d| match &d.split {
            Split::Parts { span, .. } | Split::Files { span, .. } => *span,
        });
        report.push(conflict(
            "`stop` needs a validation part, `split` has none".into(),
            written.value,
            split,
        ));
    }
    Some(Patience {
        checks: c.number("checks") as u32,
        on: watched,
    })
}
