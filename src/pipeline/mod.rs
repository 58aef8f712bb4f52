//! The order of the stages: shaped program in, compiled functions out.
//!
//! ```text
//! lower ─▶ rewrite::FORWARD ─▶ reverse ─▶ rewrite::BACKWARD, CLEAN ─▶ schedule ─▶ target
//! ```
//!
//! The forward rewrites come before reverse mode, so that the backward loop inherits merged and hoisted
//! products. Every stage is kept for `emit`, and verified in debug builds.

pub mod reference;

use crate::check::program::Model;
use crate::ir::{Func, verify::verify};
use crate::lower::{self, lower};
use crate::reverse::differentiate;
use crate::rewrite::{self, Row};

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
        let off: Vec<&str> = self.off.iter().map(String::as_str).collect();
        let lowered = lower(model, options)?;
        checked("lower", &lowered)?;
        let mut func = lowered.clone();
        let mut table = vec![Row::of("lower", &func)];
        rewrite::run(&mut func, rewrite::FORWARD, &off, &mut table)?;
        rewrite::run(&mut func, rewrite::CLEAN, &off, &mut table)?;
        let mut gradient = None;
        if gradients {
            func = differentiate(&func, &|path| !self.frozen.iter().any(|f| f == path))?;
            checked("reverse", &func)?;
            table.push(Row::of("reverse", &func));
            gradient = Some(func.clone());
            rewrite::run(&mut func, rewrite::BACKWARD, &off, &mut table)?;
            rewrite::run(&mut func, rewrite::CLEAN, &off, &mut table)?;
        }
        Ok(Stages {
            lowered,
            gradient,
            optimized: func,
            table,
        })
    }
}

fn checked(stage: &str, func: &Func) -> Result<(), String> {
    if cfg!(debug_assertions) {
        verify(func).map_err(|rule| format!("after {stage}: {rule}\n{func}"))?;
    }
    Ok(())
}
