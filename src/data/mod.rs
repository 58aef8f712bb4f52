//! Data files to batches.
//!
//! In: a [`spec::DataSpec`] (what the `data` block says) and a [`spec::Wanted`] (what the model
//! asks). Out: batches in the layout of the IR.

pub mod fit;
mod path;
mod records;
mod source_table;
mod source_text;
pub mod spec;
mod text;
