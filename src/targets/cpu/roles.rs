//! What inputs and outputs are for: a plan's roles as a signature's, and in words.
//!
//! In: a role. Out: the same for callers, or its name.

use crate::schedule::program as plan;
use crate::targets::executable::Role;

/// What an input or output is called in messages.
pub(super) fn name(r: &Role) -> String {
    match r {
        Role::Data(s) => format!("input {s}"),
        Role::Previous(s) => format!("previous {s}"),
        Role::Lengths(s) => format!("lengths along {s}"),
        Role::Steps(s) => format!("step numbers along {s}"),
        Role::Carry(s) => format!("carried state {s}"),
        Role::Loss => "the loss".to_string(),
        Role::LossSum(s) => format!("the loss sum of {s}"),
        Role::LossCount(s) => format!("the loss count of {s}"),
        Role::Prediction(s) => format!("prediction {s}"),
        Role::Named(s) => format!("output {s}"),
        Role::Grad(s) => format!("the gradient of {s}"),
    }
}

/// The time whose lengths an input holds.
pub(super) fn timed(r: &plan::Role) -> Option<&str> {
    match r {
        plan::Role::Lengths(axis) => Some(axis),
        plan::Role::Data(_)
        | plan::Role::Previous(_)
        | plan::Role::Steps(_)
        | plan::Role::Carry(_)
        | plan::Role::Loss
        | plan::Role::LossSum(_)
        | plan::Role::LossCount(_)
        | plan::Role::Prediction(_)
        | plan::Role::Named(_) => None,
    }
}

/// The role as callers know it.
pub(super) fn role(r: &plan::Role) -> Role {
    match r {
        plan::Role::Data(s) => Role::Data(s.clone()),
        plan::Role::Previous(s) => Role::Previous(s.clone()),
        plan::Role::Lengths(s) => Role::Lengths(s.clone()),
        plan::Role::Steps(s) => Role::Steps(s.clone()),
        plan::Role::Carry(s) => Role::Carry(s.clone()),
        plan::Role::Loss => Role::Loss,
        plan::Role::LossSum(s) => Role::LossSum(s.clone()),
        plan::Role::LossCount(s) => Role::LossCount(s.clone()),
        plan::Role::Prediction(s) => Role::Prediction(s.clone()),
        plan::Role::Named(s) => Role::Named(s.clone()),
    }
}
