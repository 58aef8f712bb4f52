//! The language by its programs: what is in `good/` compiles and computes what its equations say, what
//! is in `bad/` is refused for the reason in its first line.
//!
//! A new test is one `.seq` file.

#[path = "../common/mod.rs"]
mod common;

mod bad;
mod good;
mod small;
mod speed;
