//! One step of a sequence: from a prediction over all steps to a function that makes the next one.
//!
//! In: the forward function of a model that reads its own target, and the target's name. Out:
//! [`OneStep`]: a `setup` function that runs once for a prompt or batch, and a `step` function in
//! which the target's time is one step long.
//!
//! ```text
//! all steps:   x [T,B,E] ──▶ k [T,B,D] ──▶ w[t,s] = q[t]·k[s] ──▶ Σₛ over s ≤ t ──▶ y [T,B,V]
//! one step:    x [1,B,E] ──▶ k [1,B,D] ──▶ written into a history [R,B,D] at the step's number
//!                                          w[s] = q·k[s] over s < len       ──▶ y [1,B,V]
//! ```
//!
//! Backwards from the prediction, every time axis of every value is found to be the step that is made
//! now ([`form::Axis::Row`]) or all steps up to it ([`form::Axis::History`]). A value read both ways is
//! made in both. A history is kept from call to call: the step's row is written into it. What does not
//! depend on the target's time at all is made by `setup`.
//!
//! The step function reads, beside the data, weights and the previous symbol:
//! - `Lengths(T.room)`, `i32 [B]`: how many steps each example has, this one included, which is at most
//!   the size `T.room` of the histories;
//! - `Steps(T)`, `i32 [1,B]`: this step's number, one less;
//! - `Carry(…)`: states of scans, histories (zeros at the start), the last rows of delays, and what
//!   `setup` made, by the same paths as its outputs. Whatever the step gives back under such a path
//!   replaces it.
//!
//! Each example counts its own steps, so sequences of one batch may start at different calls where no
//! state of a scan or delay is carried. The size of the histories is the launch symbol
//! [`OneStep::room`]; a sequence that is longer must begin again at step 0 with its last steps.
//!
//! That a prediction depends on earlier steps only is the checker's proof and is not repeated here: of
//! a sum over a history, later steps are left out. What plainly needs a later step is refused.

mod cache;
mod emit;
pub mod form;
mod index;
mod mark;
mod place;
mod scan;
mod setup;
mod sums;
mod within;

use crate::diagnostics::Diagnostic;
use crate::dim::{Binding, DimTable, Role, Sym};
use crate::ir::{Func, Op, Output, OutputRole};

/// The two functions of generation.
#[derive(Clone, Debug)]
pub struct OneStep {
    /// Its outputs are states by path, the step's inputs; `None` where there is nothing to make.
    pub setup: Option<Func>,
    pub step: Func,
    /// The target's time.
    pub time: String,
    /// The launch symbol of the histories' size, where steps are counted.
    pub room: Option<Sym>,
}

/// Takes a forward function apart. Weights keep their order in both functions.
///
/// Errors: `step::not-causal` where a value needs steps that are not there yet, `step::unsupported`
/// where a value cannot be kept from step to step; both at the operation.
pub fn one_step(func: &Func, target: &str) -> Result<OneStep, Diagnostic> {
    let role = OutputRole::Prediction(target.to_string());
    let none = || {
        let message = format!("nothing predicts `{target}` step by step");
        Diagnostic::error("step::unsupported", message)
    };
    let output = func.outputs.iter().find(|o| o.role == role);
    let output = output.ok_or_else(none)?;
    let time = time_of(func, output).ok_or_else(none)?;
    together(func, &[output], time)
}

/// The same for every prediction and named output at once, which all have the same time: what follows
/// a series reads them step by step.
///
/// Errors: those of [`one_step`]; an output without the time of the others.
pub fn every_output(func: &Func) -> Result<OneStep, Diagnostic> {
    let shown = |o: &&Output| matches!(o.role, OutputRole::Prediction(_) | OutputRole::Named(_));
    let outputs: Vec<&Output> = func.outputs.iter().filter(shown).collect();
    let mut time = None;
    for output in &outputs {
        let own = time_of(func, output);
        if own.is_none() || time.as_ref().is_some_and(|t| Some(t) != own.as_ref()) {
            let name = &func.value(output.value).name;
            let message = format!("`{name}` is not made step by step like the rest");
            return Err(Diagnostic::error("step::unsupported", message));
        }
        time = own;
    }
    let none = || Diagnostic::error("step::unsupported", "the model has no output");
    together(func, &outputs, time.ok_or_else(none)?)
}

/// The time an output has a row for each step of.
fn time_of(func: &Func, output: &Output) -> Option<Sym> {
    let first = func.shape(output.value).first();
    first.filter(|d| func.dims.is_time(d))?.as_sym().cloned()
}

fn together(func: &Func, outputs: &[&Output], time: Sym) -> Result<OneStep, Diagnostic> {
    let source = place::Source::new(func, &time);
    let plan = mark::mark(&source, outputs)?;
    let step = emit::emit(&source, &plan, outputs)?;
    let setup = setup::setup(&source, &plan);
    let room = room(&time);
    let sized = step.dims.get(&room).is_some();
    Ok(OneStep {
        setup,
        step,
        time: time.name().to_string(),
        room: sized.then_some(room),
    })
}

/// How many steps the histories along a time hold.
fn room(time: &Sym) -> Sym {
    Sym::new(&format!("{time}.room"))
}

/// The table without the target's time, and with the histories' size where there is one.
fn dims(of: &DimTable, time: &Sym, history: bool) -> DimTable {
    let mut out = DimTable::default();
    for e in of.iter().filter(|e| e.sym != *time) {
        out.declare(e.sym.clone(), e.role, e.binding);
    }
    if history {
        out.declare(room(time), Role::Time, Binding::Launch);
    }
    out
}

fn refuse(op: &Op, code: &'static str, message: impl Into<String>) -> Diagnostic {
    let d = Diagnostic::error(code, message);
    match op.spans.first() {
        Some(span) => d.label(*span, "in the prediction of one step"),
        None => d,
    }
}

fn not_causal(op: &Op, message: impl Into<String>) -> Diagnostic {
    refuse(op, "step::not-causal", message)
}

fn unsupported(op: &Op, message: impl Into<String>) -> Diagnostic {
    refuse(op, "step::unsupported", message)
}

/// A fault of the passes before, not of a program.
fn internal(what: &str) -> Diagnostic {
    Diagnostic::error("internal::compiler", format!("one step: {what}"))
}
