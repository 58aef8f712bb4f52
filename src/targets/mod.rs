<<<<<<< HEAD
//! Schedule to machine code, one folder a target, behind one trait.
//!
//! In: a [`crate::schedule`] program. Out: an [`executable::Executable`].

pub mod cpu;
pub mod executable;
=======
//! Schedule in, code for a machine out: one folder a machine.

pub mod cpu;
>>>>>>> d459393 (Add packed matrix products, the thread pool and Philox)
