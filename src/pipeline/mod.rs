//! The order of the stages: shaped program in, compiled functions out.
//!
//! ```text
//! lower ┐                       ┌▶ CLEAN ─▶ reverse ─▶ BACKWARD, SMALL, CLEAN ┐
//!       ├▶ lists of rewrite: FORWARD                                          ├▶ schedule ─▶ target
//! step  ┘                       └▶ NARROW, HELD, CLEAN ───────────────────────┘
//! ```
//!
//! The forward rewrites come before reverse mode, so that the backward loop inherits merged and hoisted
//! products. For generation the forward function is first taken apart into one step ([`generate`]).
//! SMALL, NARROW and HELD are for who asks: to save memory, to keep weights in 16 bits, to call a function
//! again and again with the same weights. Every stage is kept for `emit`, and verified in debug builds.

pub mod generate;
pub mod reference;

use std::sync::Arc;

use crate::check::program::Model;
use crate::diagnostics::Diagnostic;
use crate::dim::{Binding, Dim, Role};
use crate::ir::{Func, verify::verify};
use crate::lower::{self, lower};
use crate::reverse::{Keep, differentiate_keeping};
use crate::rewrite::{self, Pass, Row};
use crate::schedule::schedule;
use crate::settings::{Precision, Recompute};
use crate::targets::cpu::{self, pool::Pool};
use crate::targets::executable::Executable;

/// A function after each stage of the IR.
pub struct Stages {
    pub lowered: Func,
    /// After the forward rewrites and reverse mode; `None` for functions without gradients.
    pub gradient: Option<Func>,
    pub optimized: Func,
    pub table: Vec<Row>,
}

/// What to build.
#[derive(Clone, Default)]
pub struct Build {
    /// Names of rewrites to leave out.
    pub off: Vec<String>,
    /// Weights that get no gradient.
    pub frozen: Vec<String>,
    /// What gradients compute again instead of keeping.
    pub recompute: Recompute,
    /// What weights are kept in where nothing is trained.
    pub precision: Precision,
}

impl Build {
    /// Takes a model to optimized IR; with gradients where `options` asks for a loss in training.
    ///
    /// Errors are bugs of a stage or constructs that it does not know yet, in words.
    pub fn stages(
        &self,
        model: &Model,
        options: lower::Options,
        gradients: bool,
    ) -> Result<Stages, String> {
        let lowered = lower(model, options)?;
        checked("lower", &lowered)?;
        let table = vec![Row::of("lower", &lowered)];
        let mut stages = Stages {
            optimized: lowered.clone(),
            lowered,
            gradient: None,
            table,
        };
        if !gradients {
            self.forward(&mut stages, &[self.narrow()])?;
            return Ok(stages);
        }
        self.forward(&mut stages, &[])?;
        let keep = match self.recompute {
            // Not built yet, as the checker says.
            Recompute::Auto | Recompute::Sqrt(_) => Keep::Auto,
            Recompute::Nothing => Keep::Everything,
            Recompute::Steps => Keep::States,
        };
        let wanted = |path: &str| !self.frozen.iter().any(|f| f == path);
        let func = differentiate_keeping(&stages.optimized, &wanted, keep)?;
        checked("reverse", &func)?;
        stages.table.push(Row::of("reverse", &func));
        stages.optimized = func.clone();
        stages.gradient = Some(func);
        self.rewrite(&mut stages, rewrite::BACKWARD)?;
        if keep == Keep::States {
            self.rewrite(&mut stages, rewrite::SMALL)?;
        }
        self.rewrite(&mut stages, rewrite::CLEAN)?;
        Ok(stages)
    }

    /// Rewrites a function without gradients that is called again and again with the same weights, as one that writes
    /// a text symbol by symbol is.
    ///
    /// Errors are bugs of a pass, in words.
    pub fn held(&self, func: Func) -> Result<Stages, String> {
        let mut stages = Stages {
            table: vec![Row::of("step", &func)],
            optimized: func.clone(),
            lowered: func,
            gradient: None,
        };
        self.forward(&mut stages, &[self.narrow(), rewrite::HELD])?;
        Ok(stages)
    }

    /// What weights kept in 16 bits ask for.
    fn narrow(&self) -> &'static [&'static Pass] {
        match self.precision {
            Precision::F32 => &[],
            Precision::Bf16 => rewrite::NARROW,
        }
    }

    fn forward(&self, stages: &mut Stages, then: &[&[&Pass]]) -> Result<(), String> {
        self.rewrite(stages, rewrite::FORWARD)?;
        for passes in then {
            self.rewrite(stages, passes)?;
        }
        self.rewrite(stages, rewrite::CLEAN)
    }

    fn rewrite(&self, stages: &mut Stages, passes: &[&Pass]) -> Result<(), String> {
        let off: Vec<&str> = self.off.iter().map(String::as_str).collect();
        rewrite::run(&mut stages.optimized, passes, &off, &mut stages.table)
    }
}

fn checked(stage: &str, func: &Func) -> Result<(), String> {
    if cfg!(debug_assertions) {
        verify(func).map_err(|rule| format!("after {stage}: {rule}\n{func}"))?;
    }
    Ok(())
}

/// A diagnostic for what can only be a fault of the compiler: the program was accepted before.
pub fn internal(what: String) -> Diagnostic {
    let first = what.lines().next().unwrap_or("").to_string();
    Diagnostic::error("internal::compiler", first).help(format!(
        "this is a fault of seqc, not of the program:\n{what}"
    ))
}

/// The model with the sizes of its vocabularies, which only the data gives.
pub fn with_vocabularies(model: &Model, size: &dyn Fn(&str) -> Option<usize>) -> Model {
    let mut model = model.clone();
    for input in &model.inputs {
        let name = &model.vars[input.var.0 as usize].name;
        if let (Some(sym), Some(n)) = (input.vocabulary.as_ref().and_then(Dim::as_sym), size(name))
        {
            model.dims.bind(sym, n as i64);
        }
    }
    model
}

/// The vocabulary that a stage shown without data is compiled for.
pub const STAND_IN_VOCABULARY: usize = 64;

/// The features that such a stage takes an input to have where the data decides.
pub const STAND_IN_FEATURES: i64 = 16;

/// The model with every size that the data would give set to a stand-in, to show its stages.
pub fn with_stand_in_sizes(model: &Model) -> Model {
    let mut model = with_vocabularies(model, &|_| Some(STAND_IN_VOCABULARY));
    for entry in model.dims.clone().iter() {
        if (entry.role, entry.binding) == (Role::Feature, Binding::Static(None)) {
            model.dims.bind(&entry.sym, STAND_IN_FEATURES);
        }
    }
    model
}

/// Schedules a function and compiles it for this machine, on a pool that others use too.
pub fn machine(func: &Func, pool: Arc<Pool>) -> Result<Box<dyn Executable>, Diagnostic> {
    let program = schedule(func)?;
    let options = cpu::exec::Options {
        threads: pool.workers(),
        ..Default::default()
    };
    Ok(Box::new(cpu::exec::compile_on(&program, &options, pool)?))
}
