//! Instructions that take more than one of the machine's, or have several forms.
//!
//! In: an operation and registers. Out: instructions.

use iced_x86::{Code as Op, Instruction, Register};

use super::code::{One, Src, V};
use super::encode::{Encode, Made};
use super::operands::{fused, zmm};

impl Encode<'_> {
    /// `yes` in the lanes of `mask`, in others `no` or zero.
    pub(super) fn choose(&mut self, to: V, mask: Register, yes: V, no: Option<V>) -> Made {
        let (to, yes) = (zmm(to), zmm(yes));
        let mut made = match no {
            Some(no) => {
                let op = Op::EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32;
                Instruction::with3(op, to, zmm(no), yes)?
            }
            None => Instruction::with2(Op::EVEX_Vmovaps_zmm_k1z_zmmm512, to, yes)?,
        };
        made.set_op_mask(mask);
        made.set_zeroing_masking(no.is_none());
        self.plain(Ok(made))
    }

    pub(super) fn one(&mut self, op: One, to: Register, a: Register) -> Made {
        let round = Op::EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae;
        self.plain(match op {
            One::Sqrt => Instruction::with2(Op::EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er, to, a),
            One::Reciprocal => Instruction::with2(Op::EVEX_Vrcp14ps_zmm_k1z_zmmm512b32, to, a),
            One::Round => Instruction::with3(round, to, a, 8),
            One::Floor => Instruction::with3(round, to, a, 9),
            One::Exponent => Instruction::with2(Op::EVEX_Vgetexpps_zmm_k1z_zmmm512b32_sae, to, a),
            One::Mantissa => {
                Instruction::with3(Op::EVEX_Vgetmantps_zmm_k1z_zmmm512b32_imm8_sae, to, a, 0)
            }
        })
    }

    /// Fused operations overwrite an operand: the one that ends here, else a copy.
    pub(super) fn fma(&mut self, to: V, (a, b): (V, Src), c: Src, minus: (bool, bool)) -> Made {
        let [f132, f213, f231] = fused(minus);
        match (b, c) {
            // `to·a + c`, whose last operand may be in memory.
            (Src::Reg(b), Src::Const(_) | Src::Arg(_)) => {
                let (kept, other) = if b == to { (b, a) } else { (a, b) };
                if kept != to {
                    self.splat(zmm(to), Src::Reg(kept))?;
                }
                let (to, other) = (zmm(to), zmm(other));
                self.with(c, move |c| c.third(f213, to, other))
            }
            (_, Src::Reg(c)) if c != to && (a == to || b == Src::Reg(to)) => {
                let factor = if a == to { b } else { Src::Reg(a) };
                let (to, c) = (zmm(to), zmm(c));
                self.with(factor, move |b| b.third(f132, to, c))
            }
            (_, c) => {
                if c != Src::Reg(to) {
                    self.splat(zmm(to), c)?;
                }
                let (to, a) = (zmm(to), zmm(a));
                self.with(b, move |b| b.third(f231, to, a))
            }
        }
    }
}
