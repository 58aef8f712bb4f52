//! The CPU: packed-panel matrix kernels chosen at run time, everything else compiled by Cranelift.
//!
//! ```text
//! isa ─▶ simd ─▶ microkernel ─▶ gemm ─┐
//!                pack ────────────────┤
//!          math ─▶ rows, columns ─────┼─▶ kernels: one table of C function pointers an instruction set
//!                  gather ────────────┘
//! pages (memory)   pool (threads)
//! ```

pub mod gemm;
pub mod isa;
pub mod kernels;
mod microkernel;
pub mod pack;
pub mod pages;
pub mod pool;
#[allow(dead_code)]
mod simd;
#[cfg(target_arch = "aarch64")]
mod simd_neon;
#[cfg(target_arch = "x86_64")]
#[allow(dead_code)]
mod simd_x86;
