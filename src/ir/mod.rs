//! The tensor program: ops over shaped values, with `scan` as the only loop.
//!
//! In: built by `lower`. Out: an [`op::Func`] that `reverse`, `rewrite` and `step` turn into others,
//! `verify` checks, `print` shows, `interp` runs in f64, and `schedule` takes apart.

pub mod build;
pub mod infer;
pub mod interp;
pub mod op;
pub mod print;
pub mod recurrence;
pub mod support;
pub mod verify;

pub use op::*;
