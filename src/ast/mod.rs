//! Source text to syntax tree and back.
//!
//! In: the text of a `.seq` file. Out: [`node::File`], or diagnostics; and the tree printed back, as a program
//! ([`format`](print::format)) or as a tree ([`dump`](dump::dump)).

pub mod dump;
pub mod node;
pub mod parse;
pub mod print;

pub use dump::dump;
pub use parse::{decode, parse};
pub use print::{Style, format};

#[cfg(test)]
mod tests;
