//! Names and addresses of the precompiled functions that compiled code calls.
//!
//! In: the kernels of an instruction set. Out: symbols for the module, to be registered before it is made;
//! and calls of them.

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, Signature, Value};
use cranelift_jit::JITBuilder;
use cranelift_module::Module;

use super::super::kernels::Kernels;
use super::super::{random, top};
use super::asm::Asm;
use super::probe;
use crate::diagnostics::Diagnostic;

pub(crate) const SIN: &str = "sin_far";
pub(crate) const COS: &str = "cos_far";
pub(crate) const PACK_B: &str = "pack_b";
pub(crate) const GEMM_PACKED: &str = "gemm_packed";
pub(crate) const PACK_B_HALVES: &str = "pack_b_halves";
pub(crate) const GEMM_PACKED_HALVES: &str = "gemm_packed_halves";
pub(crate) const GEMM: &str = "gemm";
pub(crate) const TOP: &str = "top";
pub(crate) const SOFTMAX: &str = "softmax";
pub(crate) const CROSS_ENTROPY: &str = "cross_entropy";
pub(crate) const CROSS_ENTROPY_GRAD: &str = "cross_entropy_grad";
pub(crate) const GATHER: &str = "gather";
pub(crate) const SCATTER_ADD: &str = "scatter_add";
pub(crate) const COPY_ROWS: &str = "copy_rows";
pub(crate) const UNIFORM: &str = "fill_uniform";
pub(crate) const NORMAL: &str = "fill_normal";
pub(crate) const ZERO: &str = "zero";
pub(crate) const PROBE: &str = "probe";

/// sin of an argument too large for the vector code's reduction.
extern "C" fn sin_far(x: f32) -> f32 {
    f64::from(x).sin() as f32
}

/// cos of an argument too large for the vector code's reduction.
extern "C" fn cos_far(x: f32) -> f32 {
    f64::from(x).cos() as f32
}

/// `n` floats of 0.
///
/// # Safety
///
/// `p` is writable for `n` floats.
unsafe extern "C" fn zero(n: usize, p: *mut f32) {
    // SAFETY: as the caller says; a float of 0 is all zero bytes.
    unsafe { p.write_bytes(0, n) };
}

/// [`random::fill_uniform`] with a word for every argument.
///
/// # Safety
///
/// As there.
unsafe extern "C" fn uniform(
    features: usize,
    dst: *mut f32,
    key: u64,
    path: u64,
    step: u64,
    example: u64,
    t: u64,
) {
    // SAFETY: passed on from the caller. Words are cut as the counter's layout says.
    unsafe {
        random::fill_uniform(
            features,
            dst,
            key,
            path as u32,
            step as u32,
            example as u32,
            t as u32,
        );
    }
}

/// [`random::fill_normal`] with a word for every argument.
///
/// # Safety
///
/// As there.
unsafe extern "C" fn normal(
    features: usize,
    dst: *mut f32,
    key: u64,
    path: u64,
    step: u64,
    example: u64,
    t: u64,
) {
    // SAFETY: passed on from the caller. Words are cut as the counter's layout says.
    unsafe {
        random::fill_normal(
            features,
            dst,
            key,
            path as u32,
            step as u32,
            example as u32,
            t as u32,
        );
    }
}

pub(crate) fn register(builder: &mut JITBuilder, kernels: &Kernels) {
    for (name, address) in [
        (SIN, sin_far as *const u8),
        (COS, cos_far as *const u8),
        (PACK_B, kernels.pack_b as *const u8),
        (GEMM_PACKED, kernels.gemm_packed as *const u8),
        (PACK_B_HALVES, kernels.pack_b_halves as *const u8),
        (GEMM_PACKED_HALVES, kernels.gemm_packed_halves as *const u8),
        (GEMM, kernels.gemm as *const u8),
        (SOFTMAX, kernels.softmax as *const u8),
        (CROSS_ENTROPY, kernels.cross_entropy as *const u8),
        (CROSS_ENTROPY_GRAD, kernels.cross_entropy_grad as *const u8),
        (GATHER, kernels.gather as *const u8),
        (SCATTER_ADD, kernels.scatter_add as *const u8),
        (COPY_ROWS, kernels.copy_rows as *const u8),
        (UNIFORM, uniform as *const u8),
        (NORMAL, normal as *const u8),
        (ZERO, zero as *const u8),
        (TOP, top::top as *const u8),
        (PROBE, probe::probe as *const u8),
    ] {
        builder.symbol(name, address);
    }
}

/// Calls a kernel that takes words and returns nothing.
pub(crate) fn call_kernel(
    asm: &mut Asm<'_, '_>,
    name: &str,
    args: &[Value],
) -> Result<(), Diagnostic> {
    let mut signature: Signature = asm.module.make_signature();
    signature
        .params
        .extend(args.iter().map(|_| AbiParam::new(I64)));
    asm.call_symbol(name, &signature, args)?;
    Ok(())
}
