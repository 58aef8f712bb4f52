//! What columns mean: planned once, evaluated for each example.
//!
//! In: [`super::spec::ColumnSpec`]s and an opened source. Out: [`plan::Plan`], and its values by
//! [`eval::Evaluator`].

mod build;
mod ends;
pub mod eval;
mod fill;
pub mod fitted;
mod made;
mod names;
pub mod numbers;
pub mod plan;
mod steps;

pub use build::plan;
pub use fill::has_values;
