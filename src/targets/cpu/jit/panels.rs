//! Where a packed operand is, and whether its panels are of floats or of 16 bits, in code.
//!
//! In: a panel's cells. Out: addresses, and calls of the kernel for the form that the panels have in this call. A program
//! whose panels cannot be of 16 bits has no branch.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value};

use super::asm::{Asm, FLOAT};
use super::calls::call_kernel;
use super::table::{Cell, HALVES};
use crate::diagnostics::Diagnostic;

/// What a plan adds to panels that may be of 16 bits.
pub(super) fn note(halves: bool) -> &'static str {
    if halves { ", bf16 for few rows" } else { "" }
}

#[derive(Clone, Copy)]
pub(super) struct Panels {
    /// The address of the first.
    at: Value,
    /// What [`Cell::Packed`] holds.
    pub(super) form: Value,
    /// Words in one block.
    block: Value,
    /// Whether they may be of 16 bits.
    halves: bool,
}

impl Panels {
    /// The panels of this index, if there are any.
    pub(super) fn new(asm: &mut Asm<'_, '_>, i: Option<usize>, halves: bool) -> Option<Panels> {
        let i = i?;
        Some(Panels {
            at: asm.cell(Cell::Panel(i)),
            form: asm.cell(Cell::Packed(i)),
            block: asm.cell(Cell::PanelBlock(i)),
            halves,
        })
    }

    /// Where a block's column `n` of `k` rows is; `halves`: two columns lie in a word.
    fn column(&self, asm: &mut Asm<'_, '_>, [block, n, k]: [Value; 3], halves: bool) -> Value {
        let far = asm.mul(block, self.block);
        let mut skipped = asm.mul(n, k);
        if halves {
            skipped = asm.b.ins().sshr_imm_s(skipped, 1);
        }
        let far = asm.add(far, skipped);
        let far = asm.b.ins().imul_imm_s(far, FLOAT);
        asm.add(self.at, far)
    }

    /// Runs one of two kernels, that for floats or that for 16 bits; both get the place of a block, a column and so many
    /// rows.
    pub(super) fn either(
        &self,
        asm: &mut Asm<'_, '_>,
        place: [Value; 3],
        kernels: [&str; 2],
        args: &dyn Fn(Value) -> Vec<Value>,
    ) -> Result<(), Diagnostic> {
        let one = |asm: &mut Asm<'_, '_>, halves: bool| {
            let at = self.column(asm, place, halves);
            call_kernel(asm, kernels[usize::from(halves)], &args(at))
        };
        if !self.halves {
            return one(asm, false);
        }
        let [narrow, wide, done] = [(); 3].map(|()| asm.b.create_block());
        let is = asm.b.ins().icmp_imm_s(IntCC::Equal, self.form, HALVES);
        asm.b.ins().brif(is, narrow, &[], wide, &[]);
        asm.b.switch_to_block(narrow);
        one(asm, true)?;
        asm.b.ins().jump(done, &[]);
        asm.b.switch_to_block(wide);
        one(asm, false)?;
        asm.b.ins().jump(done, &[]);
        asm.b.switch_to_block(done);
        Ok(())
    }
}
