//! Tensor IR to buffers and tasks: what is fused, where values live, when memory is reused.
//!
//! In: an [`crate::ir::Func`]. Out: a [`program::Program`].

pub mod program;
