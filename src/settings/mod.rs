//! What `train`, `generate` and `tune` blocks say, as plain typed values.
//!
//! In: nothing (a leaf). Out: the typed settings that a run folder stores ([`types`]) and the
//! matching of weight paths ([`glob`]). The checker fills them from the syntax tree, the trainer
//! and the generator read them.

pub mod glob;
pub mod types;

pub use glob::matches;
pub use types::*;
