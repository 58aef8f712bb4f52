//! Data files to batches.
//!
//! In: a [`spec::DataSpec`] (what the `data` block says) and a [`spec::Wanted`] (what the model
//! asks). Out: batches in the layout of the IR.

mod baseline;
mod batch;
mod column;
mod dataset;
mod eval;
pub mod fit;
mod long_text;
mod path;
mod plan;
mod records;
mod source;
mod source_table;
mod source_tensors;
mod source_text;
pub mod spec;
mod split;
mod stream;
#[cfg(test)]
mod tests;
mod text;

pub use baseline::{bigram_nats, copied, training_texts};
pub use batch::{Batch, BatchPlan, BatchSize, Batches, Tensor};
pub use column::Column;
pub use dataset::{Dataset, LoadOptions};
pub use fit::{Affine, Fit, Fits, Inverse, SymbolKind, Undo, Vocabulary};
pub use spec::{DataSpec, Wanted};
pub use split::Part;
