//! Data files to batches.
//!
//! In: a [`spec::DataSpec`] (what the `data` block says) and a [`spec::Wanted`] (what the model
//! asks). Out: batches in the layout of the IR.

mod baseline;
mod batch;
#[cfg(feature = "tokenizers")]
mod bpe;
#[cfg(not(feature = "tokenizers"))]
#[path = "bpe_left_out.rs"]
mod bpe;
mod column;
mod columns;
mod content;
mod dataset;
pub mod fit;
mod fitting;
mod gather;
pub mod guarded;
mod guess;
mod intern;
mod lay;
mod left_out;
mod load;
mod long_text;
mod memory;
mod order;
#[cfg(feature = "tokenizers")]
mod pretrained;
#[cfg(not(feature = "tokenizers"))]
#[path = "pretrained_left_out.rs"]
mod pretrained;
mod probe;
mod reading;
mod segments;
mod source;
pub mod spec;
mod split;
mod steps;
mod store;
mod stream;
#[cfg(test)]
mod tests;
pub mod vocabulary;

pub use baseline::{bigram_nats, copied};
pub use batch::{Batch, BatchPlan, BatchSize, Batches, Tensor};
pub use column::Column;
pub use dataset::{Dataset, LoadOptions, Newest};
pub use fit::{Affine, Fit, Fits, Inverse, Prepare, Undo};
pub use guess::{majority, most_frequent, naive_bayes};
pub use left_out::LeftOut;
pub use probe::{header, is_small, probe};
pub use source::text::Text as Piece;
pub use spec::{DataSpec, Wanted};
pub use split::Part;
pub use vocabulary::{SymbolKind, Vocabulary};
