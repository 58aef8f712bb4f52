//! What `data`, `train`, `generate` and `tune` blocks may say, and what they said, as typed values.
//!
//! In: nothing (a leaf). Out: [`schema`], the one table of settings, from which errors ([`read`])
//! and the guide's reference ([`reference`]) come; the typed settings that a run folder stores
//! ([`types`]); the matching of weight paths ([`glob`]), and the
//! names of a batch's totals ([`totals`]). The checker turns expressions into
//! [`value::Value`]s and fills the types; the trainer and the generator read them.

pub mod checked;
mod elsewhere;
pub mod glob;
pub mod read;
pub mod reference;
pub mod schema;
pub mod totals;
pub mod types;
pub mod value;

pub use glob::matches;
pub use reference::reference;
pub use totals::{total, total_of};
pub use types::*;
