//! The CPU: packed-panel matrix kernels chosen at run time, everything else compiled by Cranelift.
