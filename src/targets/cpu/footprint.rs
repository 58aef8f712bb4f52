//! What a program keeps in memory on this machine beside its plan's temporaries.
//!
//! In: a program. Out: [`Footprint`]: the matrices that are packed before they are multiplied, and the room in which each
//! worker packs the others. The arena of a call has the plan's slots and this.
//!
//! Which matrices are packed is known where their products are compiled, so they are; sizes may be open.

use super::exec::Options;
use super::jit::{self, Request};
use super::kernels::Kernels;
use super::pool::Pool;
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Overflow};
use crate::schedule::program::Program;

/// Bytes of a float.
const FLOAT: i64 = 4;

/// Bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// Packed matrices. Exact where their sizes are numbers; columns that are not are counted as if they filled the last
    /// panel as badly as they can.
    pub packed: Dim,
    /// Scratch of all workers.
    pub scratch: u64,
}

/// # Errors
///
/// As [`super::exec::compile`], but for `compile::unbound-size`; `shape::too-large` where a coefficient leaves 64 bits.
pub fn footprint(program: &Program, pool: &Pool) -> Result<Footprint, Diagnostic> {
    let options = Options::default();
    let kernels = Kernels::detect();
    let request = Request {
        cpu: kernels.isa.into(),
        effort: options.effort,
        verify: options.verify,
        texts: false,
        profile: false,
        by_columns: false,
    };
    let compiled = jit::compile(program, request, kernels, pool)?;
    let packed = || -> Result<Dim, Overflow> {
        let mut all = Dim::constant(0);
        let nr = kernels.nr as i64;
        for p in &compiled.panels {
            let columns = match p.n.as_const() {
                Some(n) => Dim::constant(n.checked_add(nr - 1).ok_or(Overflow)? / nr * nr),
                None => p.n.checked_add(&Dim::constant(nr - 1))?,
            };
            let each = if p.halves { FLOAT / 2 } else { FLOAT };
            let mut bytes = Dim::constant(each).checked_mul(&columns)?;
            for d in p.blocks.iter().chain([&p.k]) {
                bytes = bytes.checked_mul(d)?;
            }
            all = all.checked_add(&bytes)?;
        }
        Ok(all)
    };
    let packed = packed().map_err(|_| {
        let message = "the packed weights leave the range of 64-bit integers";
        Diagnostic::error("shape::too-large", message)
    })?;
    let scratch = compiled.products.iter().map(|[n, k]| {
        // Past a block's size no more is needed.
        let known = |d: &Dim| d.as_const().and_then(|n| usize::try_from(n).ok());
        let [n, k] = [n, k].map(|d| known(d).unwrap_or(usize::MAX / 2));
        kernels.gemm_scratch_len(n, k)
    });
    let each = scratch.max().unwrap_or(0) as u64 * FLOAT as u64;
    Ok(Footprint {
        packed,
        scratch: each.saturating_mul(pool.workers() as u64),
    })
}
