//! Schedule to machine code, one folder a target, behind one trait.
//!
//! In: a [`crate::schedule`] program. Out: an [`executable::Executable`].

pub mod cpu;
pub mod executable;
