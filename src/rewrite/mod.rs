//! IR to faster IR. Each pass is a value in a list; the runner times, verifies and counts.
//!
//! In: a [`Func`]. Out: an equal one, and the table that shows what each pass did. The passes of
//! [`FORWARD`] run before gradients are taken, so that the backward pass inherits merged and hoisted
//! products instead of having to find them again; those of [`BACKWARD`] run after. [`SMALL`], [`NARROW`] and [`HELD`] run
//! where they are asked for.

mod contract_sums;
mod cse;
mod dce;
mod drop_masks;
mod edit;
mod hoist_input;
mod hoist_invariant;
mod look_up;
mod merge_gates;
mod round_weights;
mod simplify;
mod sink_weight_grads;
mod split_concat;
mod step_inputs;
mod table;

pub use table::Row;

use crate::ir::{Func, verify::verify};

/// A rewrite. `run` changes the function in place and leaves it valid.
pub struct Pass {
    pub name: &'static str,
    /// What it is for, in one line.
    pub why: &'static str,
    pub run: fn(&mut Func),
}

/// Before gradients are taken.
pub const FORWARD: &[&Pass] = &[
    &simplify::PASS,
    &cse::PASS,
    &dce::PASS,
    &drop_masks::PASS,
    &contract_sums::PASS,
    &split_concat::PASS,
    &hoist_invariant::PASS,
    &hoist_input::PASS,
    &merge_gates::PASS,
];

/// After gradients are taken.
pub const BACKWARD: &[&Pass] = &[
    &simplify::PASS,
    &cse::PASS,
    &dce::PASS,
    &drop_masks::PASS,
    &sink_weight_grads::PASS,
];

/// After these, where memory is dearer than time.
pub const SMALL: &[&Pass] = &[&step_inputs::PASS];

/// After [`FORWARD`], where weights are kept in 16 bits. It changes what is computed, unlike the others.
pub const NARROW: &[&Pass] = &[&round_weights::PASS];

/// After [`FORWARD`] and [`NARROW`], in a function that is called again and again with the same weights.
pub const HELD: &[&Pass] = &[&look_up::PASS];

/// After each list: what the others left to tidy.
pub const CLEAN: &[&Pass] = &[&simplify::PASS, &cse::PASS, &dce::PASS];

/// Runs `passes` but those named in `off`, appending a row to `table` for each. The function is
/// verified after every pass in debug builds; a broken rule is a bug of the pass and is reported with
/// its name.
pub fn run(
    func: &mut Func,
    passes: &[&Pass],
    off: &[&str],
    table: &mut Vec<Row>,
) -> Result<(), String> {
    for pass in passes.iter().filter(|p| !off.contains(&p.name)) {
        (pass.run)(func);
        if cfg!(debug_assertions) {
            verify(func).map_err(|rule| format!("after {}: {rule}\n{func}", pass.name))?;
        }
        table.push(Row::of(pass.name, func));
    }
    Ok(())
}

/// All lists, so that every pass can be named.
const ALL: [&[&Pass]; 6] = [FORWARD, BACKWARD, SMALL, NARROW, HELD, CLEAN];

/// The names of all passes, each once, for switching them off.
pub fn names() -> Vec<&'static str> {
    let mut all: Vec<&'static str> = ALL.concat().iter().map(|p| p.name).collect();
    all.sort_unstable();
    all.dedup();
    all
}
