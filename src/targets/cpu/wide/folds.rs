//! The end of a row's folds: sixteen lanes to one number.
//!
//! In: the registers that hold the lanes. Out: instructions that put each result among the arguments, halves onto each
//! other in a fixed order, so a result depends on the row alone.

use iced_x86::{Code as Op, Instruction, Register};

use super::code::{Cmp, FoldKind, Src, V};
use super::encode::{Encode, Made};
use super::operands::{ORDERED, Operand, argument, fold_register, predicate, zmm};

impl Encode<'_> {
    /// Adds `a`, or `a·b`, to a fold, or takes the greater; of a masked vector the lanes that the row has.
    pub(super) fn fold(&mut self, (fold, kind): (usize, FoldKind), a: V, b: Option<Src>) -> Made {
        use Register::{K1, K2};
        let (to, a, masked) = (fold_register(fold), zmm(a), self.masked);
        let end = move |mut made: Instruction| {
            if masked {
                made.set_op_mask(K2);
            }
            made
        };
        match (kind, b) {
            (FoldKind::Sum, Some(b)) => self.with(b, move |b| {
                b.third(Op::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er, to, a)
                    .map(end)
            }),
            (FoldKind::Sum, None) => {
                let op = Op::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er;
                self.plain(Instruction::with3(op, to, to, a).map(end))
            }
            (FoldKind::Max, _) => {
                // Where the fold is NaN it stays; where the operand is, the machine takes that.
                let compare = Operand::Register(to).compare(K1, to, ORDERED)?;
                self.plain(Ok(end(compare)))?;
                let op = Op::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae;
                let mut made = Instruction::with3(op, to, to, a)?;
                made.set_op_mask(K1);
                self.plain(Ok(made))
            }
        }
    }

    /// Brings each fold to one number: halves onto each other, in a fixed order.
    pub(super) fn results(&mut self) -> Made {
        use Register::{XMM0, XMM1, YMM0, YMM1};
        let (half, other) = (YMM0, YMM1);
        for (i, (kind, slot)) in self.code.folds.clone().into_iter().enumerate() {
            let from = fold_register(i);
            let op = Op::EVEX_Vextractf64x4_ymmm256_k1z_zmm_imm8;
            self.plain(Instruction::with3(op, half, from, 0))?;
            self.plain(Instruction::with3(op, other, from, 1))?;
            self.meet(
                kind,
                (
                    Op::VEX_Vaddps_ymm_ymm_ymmm256,
                    Op::VEX_Vmaxps_ymm_ymm_ymmm256,
                ),
                [half, other],
            )?;
            self.plain(Instruction::with3(
                Op::VEX_Vextractf128_xmmm128_ymm_imm8,
                XMM1,
                half,
                1,
            ))?;
            let four = (
                Op::VEX_Vaddps_xmm_xmm_xmmm128,
                Op::VEX_Vmaxps_xmm_xmm_xmmm128,
            );
            self.meet(kind, four, [XMM0, XMM1])?;
            for lanes in [0b01_00_11_10, 0b10_11_00_01] {
                let op = Op::VEX_Vpermilps_xmm_xmmm128_imm8;
                self.plain(Instruction::with3(op, XMM1, XMM0, lanes))?;
                self.meet(kind, four, [XMM0, XMM1])?;
            }
            self.plain(Instruction::with2(
                Op::VEX_Vmovss_m32_xmm,
                argument(slot),
                XMM0,
            ))?;
        }
        Ok(())
    }

    /// `a = a + b`, or the greater, NaN where either is.
    fn meet(&mut self, kind: FoldKind, (add, max): (Op, Op), [a, b]: [Register; 2]) -> Made {
        match kind {
            FoldKind::Sum => self.plain(Instruction::with3(add, a, a, b)),
            FoldKind::Max => {
                let wide = a.is_ymm();
                let (cmp, blend, kept, mask) = match wide {
                    true => (
                        Op::VEX_Vcmpps_ymm_ymm_ymmm256_imm8,
                        Op::VEX_Vblendvps_ymm_ymm_ymmm256_ymm,
                        Register::YMM2,
                        Register::YMM3,
                    ),
                    false => (
                        Op::VEX_Vcmpps_xmm_xmm_xmmm128_imm8,
                        Op::VEX_Vblendvps_xmm_xmm_xmmm128_xmm,
                        Register::XMM2,
                        Register::XMM3,
                    ),
                };
                self.plain(Instruction::with4(
                    cmp,
                    mask,
                    a,
                    a,
                    predicate(Cmp::Unordered),
                ))?;
                self.plain(Instruction::with3(max, kept, a, b))?;
                self.plain(Instruction::with4(blend, a, kept, a, mask))
            }
        }
    }
}
