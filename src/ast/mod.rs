//! Source text to syntax tree and back.
//!
//! In: the text of a `.seq` file. Out: [`node::File`], or diagnostics; and the tree printed back.

pub mod node;
pub mod parse;

pub use parse::{decode, parse};
