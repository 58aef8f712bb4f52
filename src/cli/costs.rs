//! `seqc check --cost`: what each model costs, in closed form.
//!
//! In: a checked file. Out: weights by part of the model, FLOPs and memory, as text or JSON.

use std::fmt::Write as _;

use super::Failure;
use super::Within;
use super::load::Loaded;
use crate::check::program::Model;
use crate::cost::{Cost, Formula, cost};
use crate::dim::{Binding, Role, Sym};
use crate::lower::Options;
use crate::pipeline::{self, Build};
use crate::schedule::program::Program;
use crate::schedule::schedule;

/// The cost of every model, by name.
pub fn all(loaded: &Loaded) -> Result<Vec<(String, Cost)>, Failure> {
    let one = |model: &Model| {
        let (cost, _) = of(&with_open_sizes(model), &[]).within(&loaded.sources)?;
        Ok((String::clone(&model.name), cost))
    };
    loaded.models.iter().map(one).collect()
}

/// The cost of a model of which some weights are not trained, and the plan it was taken from.
pub fn of(model: &Model, frozen: &[String]) -> Result<(Cost, Program), Failure> {
    let build = Build {
        frozen: frozen.to_vec(),
        ..Build::default()
    };
    let stages = |options, gradients| {
        let made = build.stages(model, options, gradients);
        made.map_err(pipeline::internal)
    };
    let trains = !model.predicts.is_empty();
    let options = if trains {
        Options::TRAIN
    } else {
        Options::PREDICT
    };
    let forward = stages(options, false)?.optimized;
    let train = match trains {
        true => stages(options, true)?.optimized,
        false => forward.clone(),
    };
    let plan = schedule(&train)?;
    Ok((cost(&forward, &train, &plan)?, plan))
}

/// The model with every size that only the data gives left open, as those of a call are, so that it can
/// be planned and its memory stays a formula.
fn with_open_sizes(model: &Model) -> Model {
    let mut model = model.clone();
    let open: Vec<(Sym, Role)> = model
        .dims
        .iter()
        .filter(|e| e.binding == Binding::Static(None))
        .map(|e| (e.sym.clone(), e.role))
        .collect();
    for (sym, role) in open {
        model.dims.declare(sym, role, Binding::Launch);
    }
    model
}

pub fn text(models: &[(String, Cost)]) -> Result<String, Failure> {
    let mut out = String::new();
    for (name, cost) in models {
        let _ = write!(out, "model {name}\n{cost}");
        for (part, n) in cost.by_part()? {
            let part = if part.is_empty() { name } else { part };
            let _ = writeln!(out, "  weights of {part}: {}", cost.with_value(&n));
        }
    }
    Ok(out)
}

pub fn json(models: &[(String, Cost)]) -> serde_json::Value {
    let mut all = serde_json::Map::new();
    for (name, cost) in models {
        let both = |f: &Formula| {
            serde_json::json!({
                "formula": cost.names(f),
                "numbers": cost.numbers(f),
                "value": cost.value(f),
            })
        };
        let flops = |f: &Formula| {
            let mut all = both(f);
            let assumes = f.assumes.iter().map(ToString::to_string);
            all["exact"] = f.exact.into();
            all["assumes"] = assumes.collect::<Vec<_>>().into();
            all
        };
        let weights: serde_json::Map<_, _> = cost
            .weights
            .iter()
            .map(|(path, n)| (path.clone(), both(&Formula::of(n))))
            .collect();
        let one = serde_json::json!({
            "parameters": both(&cost.parameters),
            "forward_flops": flops(&cost.forward),
            "backward_flops": flops(&cost.backward),
            "bytes_read": both(&cost.moved.read),
            "bytes_written": both(&cost.moved.written),
            "peak_bytes": cost.peak.to_string(),
            "weights": weights,
        });
        all.insert(name.clone(), one);
    }
    all.into()
}
