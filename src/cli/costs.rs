//! `seqc check --cost`: what each model costs, in closed form.
//!
//! In: a checked file. Out: weights by part of the model, FLOPs and memory, as text or JSON.

use std::fmt::Write as _;

use super::Failure;
use super::Within;
use super::load::Loaded;
use super::session;
use crate::check::program::Model;
use crate::check::settings::{apply_adapters, apply_losses};
use crate::cost::{Beside, Cost, Formula, Resident, cost, resident};
use crate::dim::{Binding, Role, Sym};
use crate::lower::Options;
use crate::pipeline::{self, Build};
use crate::schedule::program::Program;
use crate::schedule::schedule;
use crate::settings::{Recompute, TrainSettings};
use crate::targets::cpu::footprint::footprint;
use crate::targets::cpu::pool::Pool;
use crate::train::batches_held;
use crate::train::optimize::state_names;

/// A model's cost, whatever the machine.
pub struct Costs {
    pub name: String,
    pub cost: Cost,
    plan: Program,
}

/// The cost of every model, of one that the file trains with the losses, low-rank updates and frozen weights of its settings.
pub fn all(loaded: &Loaded) -> Result<Vec<Costs>, Failure> {
    let one = |model: &Model| {
        let recompute = loaded.experiment.recompute(&model.name);
        let mut model = with_open_sizes(model);
        let mut frozen = Vec::new();
        if let Some(block) = loaded.experiment.train(Some(&model.name)) {
            apply_losses(&block.settings, &mut model);
            apply_adapters(&block.settings, &mut model);
            frozen = session::frozen(&model, &block.settings);
        }
        let made = of(&model, &frozen, &recompute);
        let (cost, plan) = made.within(&loaded.sources)?;
        let name = model.name.clone();
        Ok(Costs { name, cost, plan })
    };
    loaded.models.iter().map(one).collect()
}

/// What the first step of training adds to the memory of a process on this machine.
pub fn held(plan: &Program, settings: &TrainSettings, pool: &Pool) -> Result<Resident, Failure> {
    let own = footprint(plan, pool)?;
    let states = state_names(&settings.optimizer).len() as u64;
    // The sum over the parts of a batch has an arena of its own.
    let sum = u64::from(settings.accumulate > 1);
    let beside = Beside {
        packed: own.packed,
        scratch: own.scratch,
        arenas: 1 + sum + states,
        batches: batches_held(pool.workers()),
    };
    Ok(resident(plan, &beside)?)
}

/// The cost of a model of which some weights are not trained, and the plan it was taken from.
pub fn of(
    model: &Model,
    frozen: &[String],
    recompute: &Recompute,
) -> Result<(Cost, Program), Failure> {
    let build = Build {
        frozen: frozen.to_vec(),
        recompute: recompute.clone(),
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

/// What training each model holds, where the file trains it; in the order of the models.
fn trained(
    loaded: &Loaded,
    models: &[Costs],
    pool: &Pool,
) -> Result<Vec<Option<Resident>>, Failure> {
    let one = |m: &Costs| match loaded.experiment.train(Some(&m.name)) {
        Some(block) => held(&m.plan, &block.settings, pool).map(Some),
        None => Ok(None),
    };
    models.iter().map(one).collect()
}

pub fn text(loaded: &Loaded, models: &[Costs], pool: &Pool) -> Result<String, Failure> {
    let mut out = String::new();
    let resident = trained(loaded, models, pool)?;
    for (Costs { name, cost, .. }, resident) in models.iter().zip(resident) {
        let _ = write!(out, "model {name}\n{cost}");
        if let Some(r) = resident {
            let threads = pool.workers();
            let plural = if threads == 1 { "" } else { "s" };
            let _ = writeln!(
                out,
                "training     {} bytes on {threads} thread{plural}:\n  temporaries, {} of packed weights, {} of gradients \
                 and state, {} of batches",
                r.all()?,
                r.packed.formula(),
                r.arenas.formula(),
                r.batches.formula(),
            );
        }
        for (part, n) in cost.by_part()? {
            let part = if part.is_empty() { name } else { part };
            let _ = writeln!(out, "  weights of {part}: {}", cost.with_value(&n));
        }
    }
    Ok(out)
}

pub fn json(loaded: &Loaded, models: &[Costs], pool: &Pool) -> Result<serde_json::Value, Failure> {
    let mut all = serde_json::Map::new();
    let resident = trained(loaded, models, pool)?;
    for (Costs { name, cost, .. }, resident) in models.iter().zip(resident) {
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
        let mut one = serde_json::json!({
            "parameters": both(&cost.parameters),
            "forward_flops": flops(&cost.forward),
            "backward_flops": flops(&cost.backward),
            "bytes_read": both(&cost.moved.read),
            "bytes_written": both(&cost.moved.written),
            "peak_bytes": cost.peak.to_string(),
            "weights": weights,
        });
        if let Some(r) = resident {
            one["training_bytes"] = r.all()?.to_string().into();
        }
        all.insert(name.clone(), one);
    }
    Ok(all.into())
}
