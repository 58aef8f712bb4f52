//! From a model to the functions that write a target step by step.
//!
//! In: a shaped program, the target. Out: [`OneStep`], or a [`Generator`] made of it by whatever
//! compiles functions.

use super::{Build, checked, internal};
use crate::check::program::Model;
use crate::diagnostics::Diagnostic;
use crate::ir::{Func, InputRole};
use crate::lower::{Options, lower};
use crate::step::{self, OneStep};
use crate::targets::executable::Executable;
use crate::train::Generator;

/// The targets that the model's predictions read back, in order.
pub fn own_targets(model: &Model) -> Result<Vec<String>, Diagnostic> {
    let full = lower(model, Options::PREDICT).map_err(internal)?;
    let own = full.inputs.iter().filter_map(|i| match &i.role {
        InputRole::Previous(name) => Some(name.clone()),
        InputRole::Data(_) | InputRole::Lengths(_) | InputRole::Steps(_) | InputRole::Carry(_) => {
            None
        }
    });
    Ok(own.collect())
}

/// The forward function taken apart; not rewritten yet.
///
/// Errors: a step of `target` needs steps that are not there yet, or keeps what cannot be kept.
pub fn one_step(model: &Model, target: &str) -> Result<OneStep, Diagnostic> {
    let full = lower(model, Options::PREDICT).map_err(internal)?;
    verified(step::one_step(&full, target)?)
}

fn verified(one: OneStep) -> Result<OneStep, Diagnostic> {
    for func in one.setup.iter().chain([&one.step]) {
        checked("step", func).map_err(internal)?;
    }
    Ok(one)
}

/// What [`Build::held`] makes of a function with every rewrite and full weights.
pub fn optimized(func: Func) -> Result<Func, Diagnostic> {
    let stages = Build::default().held(func).map_err(internal)?;
    Ok(stages.optimized)
}

/// The compiled one-step form. `window` is how many steps the model was trained to see at once, which
/// binds it where it looks back at them.
///
/// Errors: those of [`one_step`] and of `make`.
pub fn generator(
    model: &Model,
    target: &str,
    window: Option<usize>,
    make: &dyn Fn(Func) -> Result<Box<dyn Executable>, Diagnostic>,
) -> Result<Generator, Diagnostic> {
    compiled(model, one_step(model, target)?, window, make)
}

/// The same for all that the model returns, so that a series can be followed step by step.
pub fn follower(
    model: &Model,
    window: Option<usize>,
    make: &dyn Fn(Func) -> Result<Box<dyn Executable>, Diagnostic>,
) -> Result<Generator, Diagnostic> {
    let full = lower(model, Options::PREDICT).map_err(internal)?;
    let one = verified(step::every_output(&full)?)?;
    compiled(model, one, window, make)
}

fn compiled(
    model: &Model,
    one: OneStep,
    window: Option<usize>,
    make: &dyn Fn(Func) -> Result<Box<dyn Executable>, Diagnostic>,
) -> Result<Generator, Diagnostic> {
    let rows = model.limits.iter().filter(|l| l.time.name() == one.time);
    let rows = rows.filter_map(|l| usize::try_from(model.dims.eval_static(&l.most)?).ok());
    let seen = window.filter(|_| one.room.is_some());
    Ok(Generator {
        most: rows.chain(seen).min(),
        room: one.room.map(|s| s.name().to_string()),
        setup: one.setup.map(make).transpose()?,
        step: make(one.step)?,
    })
}
