//! Where the elements of rows are.
//!
//! In: the number of a row's address among the arguments, and bytes from there. Out: a memory operand; in: that of a load,
//! out: an instruction that asks for the same place in a later row.

use iced_x86::{Code as Op, IcedError, Instruction, MemoryOperand, Register};

use super::encode::{Encode, Made};
use super::operands::argument;

/// Registers of addresses; rows with more read the others when they need them.
pub(super) const POINTERS: [Register; 11] = [
    Register::RCX,
    Register::RDX,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

impl Encode<'_> {
    /// Element `rax` of a row, `bytes` further.
    pub(super) fn element(
        &mut self,
        pointer: usize,
        bytes: i32,
    ) -> Result<MemoryOperand, IcedError> {
        let base = match POINTERS.get(pointer) {
            Some(r) => *r,
            None => {
                self.plain(Instruction::with2(
                    Op::Mov_r64_rm64,
                    Register::R11,
                    argument(pointer),
                ))?;
                Register::R11
            }
        };
        Ok(MemoryOperand::new(
            base,
            Register::RAX,
            4,
            i64::from(bytes),
            1,
            false,
            Register::None,
        ))
    }

    /// Asks for the same place in a row that is run soon.
    pub(super) fn ask(&mut self, pointer: usize, mut place: MemoryOperand) -> Made {
        let next = self.code.next.as_ref();
        let Some(bytes) = next.and_then(|n| n.bytes.get(pointer).copied().flatten()) else {
            return Ok(());
        };
        place.displacement += self.ahead * i64::from(bytes);
        if i32::try_from(place.displacement).is_err() {
            return Ok(());
        }
        self.plain(Instruction::with1(Op::Prefetcht0_m8, place))
    }
}
