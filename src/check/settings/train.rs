//! `train M on d { … }` to [`TrainSettings`].
//!
//! In: the block, the model and the data it names (where these are sound). Out: the settings with
//! every default filled in, and errors for what cannot be together: `setting::conflict`,
//! `setting::does-not-fit`, `setting::matches-nothing`.

use super::block::{Entries, Read, conflict, entries, repeated};
use super::data::misplaced;
use super::fit::loss_name;
use super::metrics;
use crate::ast::node::{self, Setting, Settings};
use crate::check::program::{Head, Loss, Model, Predict};
use crate::data::spec::{DataSpec, Split};
use crate::diagnostics::{Diagnostic, nearest};
use crate::settings::read::{Checked, Choice, clip, unknown};
use crate::settings::schema::Block;
use crate::settings::{
    Batch, Clip, InitRule, Length, LossName, Optimizer, ParamRule, Patience, Precision, Schedule,
    Selector, TargetLoss, TrainSettings, Validate, Watched,
};
use crate::span::Span;

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
    if precision.name == "bf16" {
        report.push(
            Diagnostic::warning(
                "feature::computed-in-f32",
                "`bf16` is allowed here, and computed in `f32`",
            )
            .label(precision.span, "a permission, not used by this machine"),
        );
    }
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

/// Decay is part of one update rule; with another it would silently do nothing.
fn no_decay(optimizer: Optimizer, at: &Read, report: &mut Vec<Diagnostic>) {
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

fn rule(
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
    let rule = ParamRule {
        selector,
        lr: number("lr"),
        decay: number("decay"),
        frozen: match e.written("frozen").map(|r| &r.checked) {
            Some(Checked::YesNo(yes)) => Some(*yes),
            _ => None,
        },
        init: match e.written("init").map(|r| &r.checked) {
            Some(Checked::Choice(c)) => Some(init(c)),
            _ => None,
        },
        lora: number("lora").map(|n| n as u32),
    };
    (rule, e)
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

fn losses(e: &Entries, model: Option<&Model>, report: &mut Vec<Diagnostic>) -> Vec<TargetLoss> {
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
        "cross_entropy" => LossName::CrossEntropy,
        "binary_cross_entropy" => LossName::BinaryCrossEntropy,
        "perceptron" => LossName::Perceptron,
        "mae" => LossName::Mae,
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
        LossName::CrossEntropy => ("softmax", matches!(predict.head, Head::Softmax(_))),
        LossName::BinaryCrossEntropy => ("σ", matches!(predict.head, Head::Sigmoid(_))),
        LossName::Perceptron => ("step", matches!(predict.head, Head::Step(_))),
        LossName::Mse | LossName::Mae | LossName::Huber(_) => {
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

fn stop(
    e: &Entries,
    chosen: &[crate::settings::Metric],
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
            .find(|m| m.key() == key)
            .map(|m| Watched::Metric(m.clone())),
        None => None,
    };
    let Some(watched) = watched else {
        let measured: Vec<String> = std::iter::once("valid.loss".to_string())
            .chain(chosen.iter().map(|m| format!("valid.{}", m.key())))
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

/// The losses that a run uses, by target: what the file says, else what the unit asks for.
pub fn resolved_losses(settings: &TrainSettings, model: &Model) -> Vec<(String, String)> {
    model
        .predicts
        .iter()
        .map(|p| {
            let target = model.var(p.target).name.clone();
            let named = settings.losses.iter().find(|l| l.target == target);
            let name = match named.and_then(|l| l.loss) {
                Some(LossName::CrossEntropy) => "cross_entropy".into(),
                Some(LossName::BinaryCrossEntropy) => "binary_cross_entropy".into(),
                Some(LossName::Mse) => "mse".into(),
                Some(LossName::Perceptron) => "perceptron".into(),
                Some(LossName::Mae) => "mae".into(),
                Some(LossName::Huber(delta)) => format!("huber(delta = {delta})"),
                None => loss_name(p.loss).into(),
            };
            (target, name)
        })
        .collect()
}

/// Gives each prediction the loss that the settings say.
pub fn apply_losses(settings: &TrainSettings, model: &mut Model) {
    for i in 0..model.predicts.len() {
        let target = model.var(model.predicts[i].target).name.as_str();
        let named = settings.losses.iter().find(|l| l.target == target);
        let loss = match named.and_then(|l| l.loss) {
            Some(LossName::CrossEntropy) => Loss::CrossEntropy,
            Some(LossName::BinaryCrossEntropy) => Loss::BinaryCrossEntropy,
            Some(LossName::Mse) => Loss::Mse,
            Some(LossName::Perceptron) => Loss::Perceptron,
            // Not built: `train` has refused them.
            Some(LossName::Mae | LossName::Huber(_)) | None => continue,
        };
        model.predicts[i].loss = loss;
    }
}
