//! Where a packed operand is, and whether its panels are of floats or of 16 bits, in code.
//!
//! In: a panel's cells. Out: calls of the kernels that take it.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::asm::{Asm, FLOAT};
use super::calls::call_kernel;
use super::table::Cell;
use crate::diagnostics::Diagnostic;

/// What a plan adds to panels of 16 bits.
pub(super) fn note(halves: bool) -> &'static str {
    if halves { ", bf16" } else { "" }
}

#[derive(Clone, Copy)]
pub(super) struct Panels {
    /// The address of the first.
    at: Value,
    /// Whether they are packed in this call.
    pub(super) used: Value,
    /// Words in one block, and a worker's share of them where columns are divided.
    block: Value,
    share: Value,
    /// Whether they are of 16 bits.
    halves: bool,
}

impl Panels {
    /// The panels of this index, if there are any.
    pub(super) fn new(asm: &mut Asm<'_, '_>, i: Option<usize>, halves: bool) -> Option<Panels> {
        let i = i?;
        Some(Panels {
            at: asm.cell(Cell::Panel(i)),
            used: asm.cell(Cell::Packed(i)),
            block: asm.cell(Cell::PanelBlock(i)),
            share: asm.cell(Cell::PanelShare(i)),
            halves,
        })
    }

    /// Words that are read before these are again, by a call for so many of all columns.
    pub(super) fn read(&self, asm: &mut Asm<'_, '_>, [columns, all]: [Value; 2]) -> Value {
        let part = (asm.b.ins()).icmp(IntCC::SignedLessThan, columns, all);
        asm.b.ins().select(part, self.share, self.block)
    }

    /// Calls that kernel of two, for floats or for 16 bits, which takes these panels; it gets the place of a block, a column
    /// and so many rows.
    pub(super) fn call(
        &self,
        asm: &mut Asm<'_, '_>,
        [block, n, k]: [Value; 3],
        [floats, halves]: [&str; 2],
        args: &dyn Fn(Value) -> Vec<Value>,
    ) -> Result<(), Diagnostic> {
        let far = asm.mul(block, self.block);
        let mut skipped = asm.mul(n, k);
        if self.halves {
            // Two columns lie in a word.
            skipped = asm.b.ins().sshr_imm_s(skipped, 1);
        }
        let far = asm.add(far, skipped);
        let far = asm.b.ins().imul_imm_s(far, FLOAT);
        let at = asm.add(self.at, far);
        let kernel = if self.halves { halves } else { floats };
        call_kernel(asm, kernel, &args(at))
    }
}
