//! A compiler for sequence models.
//!
//! ```text
//!  .seq text ─ ast ─▶ tree ─ check ─▶ shaped program ─ lower ─▶ ir
//!                                                              │ rewrite, reverse
//!  run folder ◀─ train ◀─ targets::cpu ◀─ schedule ◀───────────┘
//!      data ──────┘
//! ```

pub mod ast;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cost;
pub mod data;
pub mod diagnostics;
pub mod dim;
pub mod domain;
pub mod ir;
pub mod library;
pub mod lower;
pub mod philox;
pub mod pipeline;
pub mod reverse;
pub mod rewrite;
pub mod schedule;
pub mod settings;
pub mod span;
pub mod step;
pub mod targets;
pub mod train;
