//! The CPU: packed-panel matrix kernels chosen at run time, everything else compiled by Cranelift.
//!
//! ```text
//! isa ─▶ simd ─┬─▶ microkernel ─▶ block, pack ─▶ gemm ─┐
//!              └─▶ math ─▶ rows, table_rows ──────────┴─▶ kernels: one table of C functions an instruction set
//! pages: memory    pool, share, barrier: threads    random: draws for compiled code    limits: what the machine can do
//! profile: what each kernel takes
//!
//! program ─▶ jit (wide: rows of full width): machine code, calling kernels ─▶ exec ─▶ an executable
//!                 (bind, roles: arguments, arena, memory: what is left, run: a call's steps, plan, course, trial: workers,
//!                  weights: what is made once; footprint: what it keeps)
//!              └─▶ emit: plan and code as text
//! ```

mod arena;
mod barrier;
mod bind;
mod block;
mod course;
pub mod emit;
pub mod exec;
#[cfg(test)]
mod exec_tests;
pub mod footprint;
mod gemm;
#[cfg(test)]
mod gemm_tests;
pub mod isa;
mod jit;
pub mod kernels;
pub mod limits;
mod maps;
mod math;
pub mod memory;
mod microkernel;
mod pack;
pub mod pages;
mod plan;
pub mod pool;
mod prefetch;
pub mod profile;
pub mod random;
mod roles;
mod rows;
mod run;
pub mod share;
mod simd;
#[cfg(target_arch = "aarch64")]
mod simd_neon;
#[cfg(target_arch = "x86_64")]
mod simd_x86;
mod table_rows;
mod top;
pub(crate) mod trial;
mod weights;
mod wide;
