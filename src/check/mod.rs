//! Syntax tree to shaped program: names, shapes, settings, answer leaks.
//!
//! In: [`crate::ast::node::File`]. Out: [`program::Model`]s and typed settings, or diagnostics, one
//! for each mistake.

pub mod leaks;
pub mod program;
pub mod settings;
