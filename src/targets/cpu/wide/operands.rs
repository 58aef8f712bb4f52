//! The machine's instructions and operands for those of [`super::code`], AVX-512F throughout.
//!
//! In: an operation. Out: its encoding's name; in: a register's or argument's number, out: an operand.

use iced_x86::{Code as Op, IcedError, Instruction, MemoryOperand, Register};

use super::code::{Cmp, Two, V};

/// Bytes of a vector.
pub(super) const BYTES: i64 = 64;
/// A comparison that holds where neither operand is NaN.
pub(super) const ORDERED: u32 = 7;

pub(super) fn zmm(v: V) -> Register {
    Register::ZMM0 + v.0
}

/// Immediate operands of comparisons; quiet, as none may trap.
pub(super) fn predicate(cmp: Cmp) -> u32 {
    match cmp {
        Cmp::Less => 0x11,
        Cmp::LessEqual => 0x12,
        Cmp::Equal => 0,
        Cmp::NotEqual => 4,
        Cmp::Unordered => 3,
    }
}

pub(super) fn two(op: Two) -> Op {
    match op {
        Two::Add => Op::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
        Two::Sub => Op::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
        Two::Mul => Op::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
        Two::Div => Op::EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
        Two::Max => Op::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae,
        Two::Min => Op::EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae,
        Two::And => Op::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32,
        Two::Or => Op::EVEX_Vpord_zmm_k1z_zmm_zmmm512b32,
        Two::Xor => Op::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32,
        Two::Scale => Op::EVEX_Vscalefps_zmm_k1z_zmm_zmmm512b32_er,
    }
}

/// The fused operations `to·b + c`, `to·a + b` and `a·b + to` with these signs of the product and the addend.
pub(super) fn fused(minus: (bool, bool)) -> [Op; 3] {
    match minus {
        (false, false) => [
            Op::EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
        ],
        (true, false) => [
            Op::EVEX_Vfnmadd132ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfnmadd213ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfnmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
        ],
        (false, true) => [
            Op::EVEX_Vfmsub132ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfmsub213ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfmsub231ps_zmm_k1z_zmm_zmmm512b32_er,
        ],
        (true, true) => [
            Op::EVEX_Vfnmsub132ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfnmsub213ps_zmm_k1z_zmm_zmmm512b32_er,
            Op::EVEX_Vfnmsub231ps_zmm_k1z_zmm_zmmm512b32_er,
        ],
    }
}

/// An instruction's last operand.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    Register(Register),
    Memory(MemoryOperand),
}

impl Operand {
    pub(super) fn third(self, op: Op, to: Register, a: Register) -> Result<Instruction, IcedError> {
        match self {
            Operand::Register(b) => Instruction::with3(op, to, a, b),
            Operand::Memory(b) => Instruction::with3(op, to, a, b),
        }
    }

    /// `to = x ? self`.
    pub(super) fn compare(
        self,
        to: Register,
        x: Register,
        predicate: u32,
    ) -> Result<Instruction, IcedError> {
        let op = Op::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae;
        match self {
            Operand::Register(y) => Instruction::with4(op, to, x, y, predicate),
            Operand::Memory(y) => Instruction::with4(op, to, x, y, predicate),
        }
    }
}

/// The mask of a comparison that holds for the whole row.
pub(super) fn mask(i: usize) -> Register {
    Register::K3 + i as u32
}

pub(super) fn fold_register(fold: usize) -> Register {
    Register::ZMM31 - fold as u32
}

pub(super) fn argument(slot: usize) -> MemoryOperand {
    MemoryOperand::new(
        Register::RDI,
        Register::None,
        1,
        (slot * 8) as i64,
        1,
        false,
        Register::None,
    )
}

pub(super) fn spilled(slot: usize) -> MemoryOperand {
    MemoryOperand::new(
        Register::RSP,
        Register::None,
        1,
        slot as i64 * BYTES,
        1,
        false,
        Register::None,
    )
}
