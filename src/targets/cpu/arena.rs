//! Temporary memory of a call: one arena, kept from call to call.
//!
//! In: the sizes of a call. Out: [`Arena`], where slots, panels and scratch are; the arena grown to hold them.

use super::exec::CpuExecutable;
use super::memory;
use super::pages::Buffer;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;

/// Rows multiplied with a matrix in a call from which on it is packed first.
pub(super) const PACK_ROWS: f64 = 8.0;
/// Floats that parts of the arena are aligned to: a cache line.
const LINE: usize = 16;

/// Where things are in the arena, in floats.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    pub(super) slots: Vec<usize>,
    /// Buffers with memory of their own, in calls that hold the weights.
    pub(super) kept: Vec<usize>,
    /// `None` for panels that this call does not use.
    pub(super) panels: Vec<Option<usize>>,
    pub(super) scratch: usize,
    /// Floats of scratch for each worker.
    pub(super) scratch_len: usize,
    pub(super) len: usize,
}

impl Arena {
    /// The start of `floats` more.
    fn take(&mut self, floats: usize) -> Option<usize> {
        let at = self.len;
        self.len = at.checked_add(floats.checked_next_multiple_of(LINE)?)?;
        Some(at)
    }
}

impl CpuExecutable {
    /// Places slots, panels and scratch. `None` where a size leaves the address space.
    pub(super) fn place(&self, sizes: &[i64], arena: &mut Arena) -> Option<()> {
        let value = self.binding.value(sizes);
        let size = |d: &Dim| usize::try_from(d.eval(&value)?).ok();
        arena.slots.clear();
        arena.kept.clear();
        arena.panels.clear();
        arena.len = 0;
        for slot in &self.binding.slots {
            let mut floats = 0;
            for d in slot {
                floats = floats.max(size(d)?);
            }
            let at = arena.take(floats)?;
            arena.slots.push(at);
        }
        for d in self.binding.kept().filter(|_| self.held) {
            let at = arena.take(size(d)?)?;
            arena.kept.push(at);
        }
        for p in &self.panels {
            let rows = |uses: &Vec<Dim>| -> f64 {
                uses.iter().map(|d| size(d).unwrap_or(0) as f64).product()
            };
            if !self.held && p.uses.iter().map(rows).sum::<f64>() < PACK_ROWS {
                arena.panels.push(None);
                continue;
            }
            let mut floats = self.panel_words(p.halves, size(&p.k)?, size(&p.n)?)?;
            for d in &p.blocks {
                floats = floats.checked_mul(size(d)?)?;
            }
            let at = arena.take(floats)?;
            arena.panels.push(Some(at));
        }
        arena.scratch_len = 0;
        for [n, k] in &self.products {
            let floats = self.kernels.gemm_scratch_len(size(n)?, size(k)?);
            arena.scratch_len = arena.scratch_len.max(floats);
        }
        arena.scratch_len = arena.scratch_len.checked_next_multiple_of(LINE)?;
        arena.scratch = arena.take(arena.scratch_len.checked_mul(self.pool.workers())?)?;
        Some(())
    }

    /// Words of one packed matrix.
    pub(super) fn panel_words(&self, halves: bool, k: usize, n: usize) -> Option<usize> {
        match halves {
            true => self.kernels.packed_halves_len(k, n),
            false => self.kernels.packed_len(k, n),
        }
    }

    /// Makes the arena at least `len` floats long, if the system has room for that and for `outputs` bytes more.
    pub(super) fn grow(&mut self, len: usize, outputs: u128) -> Result<(), Diagnostic> {
        let held = self.arena.len();
        if len <= held && outputs == 0 {
            return Ok(());
        }
        let needed = if len > held { len as u128 * 4 } else { 0 };
        let freed = if len > held { held as u128 * 4 } else { 0 };
        let available = memory::available();
        if available.is_some_and(|a| needed + outputs > u128::from(a) + freed) {
            return Err(memory::refused(needed + outputs, available));
        }
        if len <= held {
            return Ok(());
        }
        // The old arena goes first, so that both are never held together.
        self.made = false;
        self.arena = Buffer::zeroed(0).map_err(|e| memory::refused(e.bytes, available))?;
        self.arena = Buffer::zeroed(len).map_err(|e| memory::refused(e.bytes, available))?;
        if self.pool.workers() > 1 {
            let arena = &self.arena;
            self.pool
                .run(&|worker, workers| arena.meet(worker, workers));
        }
        Ok(())
    }
}
