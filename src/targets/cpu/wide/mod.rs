//! Code of full vector width for the innermost axis of a fused group: Cranelift's vectors are 128 bits wide.
//!
//! In: a group's expressions along one axis, as [`code::Code`]. Out: a function's bytes and their text.
//!
//! ```text
//! jit::wide (what a group computes) ─▶ code, math: instructions on as many values as needed
//!     ─▶ steady (what no vector changes) ─▶ plan: order, allot (registers, spills), cycles
//!     ─▶ encode (compute, elements, folds, operands) ─▶ layout: bytes
//! ```
//!
//! A function runs one row: `(args, n)`, where `args` holds the addresses of the row's first elements, then numbers
//! that are the same along the row, then places for results of folds. Rows end in a masked vector, whose lanes compute
//! as those of a whole one, so an element's bits don't depend on where a row is cut.

mod allot;
pub(crate) mod code;
mod compute;
mod cycles;
mod elements;
mod encode;
mod folds;
mod inst;
mod layout;
mod math;
mod operands;
mod order;
mod plan;
mod steady;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

pub(crate) use encode::encode;
pub(crate) use layout::Row;
pub(crate) use math::float;
