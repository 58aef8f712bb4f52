//! A row's instructions to bytes, for machines with AVX-512F.
//!
//! In: [`Code`]. Out: [`Row`]: a function `(args, n)` by the System V convention, free of absolute addresses; and its text.
//!
//! ```text
//! rdi  arguments        rax  points done      k1  comparisons        zmm31…  folds
//! rsi  points           r11  scratch          k2  the row's end      below   numbers
//!                                              k3…  the whole row      others  vectors
//! ```
//!
//! Whole vectors first, two at a time and then one where that was planned, then the rest in one masked vector: the same
//! instructions as for one, loads and stores masked. Constants stand behind the code, and instructions read them from there
//! into every lane.

use iced_x86::{Code as Op, IcedError, Instruction, MemoryOperand, Register, RoundingControl};

use super::allot::{Step, pinned};
use super::code::{Code, FoldKind, Inst, Src, V};
use super::elements::POINTERS;
use super::layout::{Item, Label, Row, lay};
use super::operands::{
    BYTES, Operand, argument, fold_register, mask, predicate, spilled, two, zmm,
};
use super::plan::plan;
use super::steady::Steady;

/// Points of a vector.
const LANES: i32 = 16;
/// Cycles that memory beyond the second-level cache may take.
const FAR: f64 = 500.0;
/// Of the registers of addresses, those before are the caller's to save.
const SAVED: usize = 5;

pub(super) struct Encode<'c> {
    pub(super) code: &'c Code,
    items: Vec<Item>,
    pool: Vec<u32>,
    pub(super) masked: bool,
    /// How many rows before they are read the next rows are asked for.
    pub(super) ahead: i64,
}

pub(super) type Made = Result<(), IcedError>;

/// Encodes a row; `texts`: with its text.
///
/// # Errors
///
/// An instruction that the encoder refuses: a fault of this file.
pub(crate) fn encode(code: &Code, texts: bool) -> Result<Row, String> {
    let mut e = Encode {
        code,
        items: Vec::new(),
        // Sixteen lanes' numbers, for coordinates.
        pool: (0..LANES as u32).collect(),
        masked: false,
        ahead: 0,
    };
    e.all().map_err(|e| e.to_string())?;
    lay(&e.items, &e.pool, texts).map_err(|e| e.to_string())
}

impl Encode<'_> {
    pub(super) fn plain(&mut self, made: Result<Instruction, IcedError>) -> Made {
        self.items.push(Item::Plain(made?));
        Ok(())
    }

    fn all(&mut self) -> Made {
        use Register::{EAX, ESI, K2, R11D, RAX, RSI, RSP};
        let folds = self.code.folds.len() as u32;
        let planned = plan(self.code, 32 - folds);
        if let Some(next) = &self.code.next {
            let row = planned.cycles * next.points as f64 / f64::from(LANES);
            self.ahead = ((FAR / row).ceil() as i64).clamp(1, next.most);
        }
        let used = self.code.pointers.min(POINTERS.len());
        let slots = planned.two.as_ref().map_or(0, |two| two.slots);
        let stack = (planned.one.slots.max(slots) as i64 * BYTES) as i32;
        let saved: Vec<Register> = POINTERS[..used].iter().skip(SAVED).copied().collect();
        for r in &saved {
            self.plain(Instruction::with1(Op::Push_r64, *r))?;
        }
        if stack > 0 {
            self.plain(Instruction::with2(Op::Sub_rm64_imm32, RSP, stack))?;
        }
        for (i, r) in POINTERS[..used].iter().enumerate() {
            let from = argument(i);
            self.plain(Instruction::with2(Op::Mov_r64_rm64, *r, from))?;
        }
        for (i, (kind, _)) in self.code.folds.clone().into_iter().enumerate() {
            let neutral = match kind {
                FoldKind::Sum => 0.0f32,
                FoldKind::Max => f32::NEG_INFINITY,
            };
            self.splat(fold_register(i), Src::Const(neutral.to_bits()))?;
        }
        self.ready(&planned.steady, 32 - folds)?;
        self.plain(Instruction::with2(Op::Xor_r32_rm32, EAX, EAX))?;
        // rax = points done; rsi = the last point where a turn may begin, n − its points, until the rest.
        if let Some(two) = &planned.two {
            let turn = 2 * LANES;
            self.plain(Instruction::with2(Op::Sub_rm64_imm8, RSI, turn))?;
            self.items.push(Item::Branch(Op::Jl_rel32_64, Label::One));
            self.items.push(Item::Here(Label::Two));
            self.steps(&two.steps)?;
            self.turn(turn, Label::Two)?;
            self.items.push(Item::Here(Label::One));
            self.plain(Instruction::with2(Op::Add_rm64_imm8, RSI, LANES))?;
            self.plain(Instruction::with2(Op::Cmp_r64_rm64, RAX, RSI))?;
            self.items.push(Item::Branch(Op::Jg_rel32_64, Label::Rest));
            self.steps(&planned.one.steps)?;
            self.plain(Instruction::with2(Op::Add_rm64_imm8, RAX, LANES))?;
        } else {
            self.plain(Instruction::with2(Op::Sub_rm64_imm8, RSI, LANES))?;
            self.items.push(Item::Branch(Op::Jl_rel32_64, Label::Rest));
            self.items.push(Item::Here(Label::One));
            self.steps(&planned.one.steps)?;
            self.turn(LANES, Label::One)?;
        }
        self.items.push(Item::Here(Label::Rest));
        // k2 = the lowest n − done bits, of which there are fewer than sixteen.
        self.plain(Instruction::with2(Op::Add_rm64_imm8, RSI, LANES))?;
        self.plain(Instruction::with2(Op::Sub_r64_rm64, RSI, RAX))?;
        self.items.push(Item::Branch(Op::Jle_rel32_64, Label::End));
        self.plain(Instruction::with2(Op::Mov_r32_imm32, R11D, -1))?;
        self.plain(Instruction::with3(
            Op::VEX_Bzhi_r32_rm32_r32,
            R11D,
            R11D,
            ESI,
        ))?;
        self.plain(Instruction::with2(Op::VEX_Kmovw_kr_r32, K2, R11D))?;
        self.masked = true;
        self.steps(&planned.one.steps)?;
        self.items.push(Item::Here(Label::End));
        self.results()?;
        self.plain(Ok(Instruction::with(Op::VEX_Vzeroupper)))?;
        if stack > 0 {
            self.plain(Instruction::with2(Op::Add_rm64_imm32, RSP, stack))?;
        }
        for r in saved.iter().rev() {
            self.plain(Instruction::with1(Op::Pop_r64, *r))?;
        }
        self.plain(Ok(Instruction::with(Op::Retnq)))
    }

    /// `points` more are done; back to `to` while as many are left.
    fn turn(&mut self, points: i32, to: Label) -> Made {
        use Register::{RAX, RSI};
        self.plain(Instruction::with2(Op::Add_rm64_imm8, RAX, points))?;
        self.plain(Instruction::with2(Op::Cmp_r64_rm64, RAX, RSI))?;
        self.items.push(Item::Branch(Op::Jle_rel32_64, to));
        Ok(())
    }

    /// What stands ready before the first vector.
    fn ready(&mut self, steady: &Steady, registers: u32) -> Made {
        for (i, (cmp, x, y)) in steady.masks.iter().enumerate() {
            let (left, to, imm) = (Register::ZMM0, mask(i), predicate(*cmp));
            self.splat(left, *x)?;
            self.with(*y, move |y| y.compare(to, left, imm))?;
        }
        for (i, (_, number)) in steady.pinned.iter().enumerate() {
            self.splat(zmm(V(pinned(i, registers))), *number)?;
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[Step]) -> Made {
        for step in steps {
            match step {
                Step::Spill { from, slot } => {
                    let to = spilled(*slot);
                    self.plain(Instruction::with2(
                        Op::EVEX_Vmovups_zmmm512_k1z_zmm,
                        to,
                        zmm(*from),
                    ))?;
                }
                Step::Reload { to, slot } => {
                    let from = spilled(*slot);
                    self.plain(Instruction::with2(
                        Op::EVEX_Vmovups_zmm_k1z_zmmm512,
                        zmm(*to),
                        from,
                    ))?;
                }
                Step::Run(inst) => self.inst(inst)?,
            }
        }
        Ok(())
    }

    /// The constant's place in the pool.
    fn pooled(&mut self, bits: u32) -> usize {
        let first = LANES as usize;
        match self.pool[first..].iter().position(|b| *b == bits) {
            Some(i) => first + i,
            None => {
                self.pool.push(bits);
                self.pool.len() - 1
            }
        }
    }

    /// An instruction whose last operand may be a register or one number for every lane.
    pub(super) fn with(
        &mut self,
        src: Src,
        make: impl Fn(Operand) -> Result<Instruction, IcedError> + 'static,
    ) -> Made {
        match src {
            Src::Reg(v) => self.plain(make(Operand::Register(zmm(v)))),
            Src::Arg(i) => {
                let m = MemoryOperand::new(
                    Register::RDI,
                    Register::None,
                    1,
                    (i * 8) as i64,
                    1,
                    true,
                    Register::None,
                );
                self.plain(make(Operand::Memory(m)))
            }
            Src::Const(bits) => {
                let at = self.pooled(bits);
                let make = move |m| make(Operand::Memory(m));
                self.items.push(Item::Constant(Box::new(make), at, true));
                Ok(())
            }
        }
    }

    pub(super) fn splat(&mut self, to: Register, from: Src) -> Made {
        match from {
            Src::Reg(v) => self.plain(Instruction::with2(
                Op::EVEX_Vmovaps_zmm_k1z_zmmm512,
                to,
                zmm(v),
            )),
            Src::Arg(i) => self.plain(Instruction::with2(
                Op::EVEX_Vbroadcastss_zmm_k1z_xmmm32,
                to,
                argument(i),
            )),
            Src::Const(0) => self.plain(Instruction::with3(
                Op::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32,
                to,
                to,
                to,
            )),
            Src::Const(bits) => {
                let at = self.pooled(bits);
                let make = move |m| Instruction::with2(Op::EVEX_Vbroadcastss_zmm_k1z_xmmm32, to, m);
                self.items.push(Item::Constant(Box::new(make), at, false));
                Ok(())
            }
        }
    }

    fn inst(&mut self, inst: &Inst) -> Made {
        use Register::{EAX, K1, K2, R11D};
        match *inst {
            Inst::Load {
                to,
                pointer,
                bytes,
                int,
            } => {
                let from = self.element(pointer, bytes)?;
                let op = match int {
                    false => Op::EVEX_Vmovups_zmm_k1z_zmmm512,
                    true => Op::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
                };
                let mut made = Instruction::with2(op, zmm(to), from)?;
                if self.masked {
                    made.set_op_mask(K2);
                    made.set_zeroing_masking(true);
                }
                self.plain(Ok(made))?;
                self.ask(pointer, from)
            }
            Inst::Splat { to, from } => self.splat(zmm(to), from),
            Inst::Index { to, first } => {
                let to = zmm(to);
                self.plain(Instruction::with2(Op::Mov_r32_rm32, R11D, argument(first)))?;
                self.plain(Instruction::with2(Op::Add_r32_rm32, R11D, EAX))?;
                self.plain(Instruction::with2(
                    Op::EVEX_Vpbroadcastd_zmm_k1z_r32,
                    to,
                    R11D,
                ))?;
                let op = Op::EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32;
                let make = move |m| Instruction::with3(op, to, to, m);
                // All lanes of the pool's first vector.
                self.items.push(Item::Constant(Box::new(make), 0, false));
                self.plain(Instruction::with2(
                    Op::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
                    to,
                    to,
                ))
            }
            Inst::One { op, to, a } => self.one(op, zmm(to), zmm(a)),
            Inst::Two { op, to, a, b } => {
                let (op, to, a) = (two(op), zmm(to), zmm(a));
                self.with(b, move |b| b.third(op, to, a))
            }
            Inst::Fma {
                to,
                a,
                b,
                c,
                minus_product,
                minus_c,
                up,
            } => {
                self.fma(to, (a, b), c, (minus_product, minus_c))?;
                if let Some(Item::Plain(made)) = self.items.last_mut().filter(|_| up) {
                    made.set_rounding_control(RoundingControl::RoundUp);
                }
                Ok(())
            }
            Inst::Select {
                to,
                cmp,
                x,
                y,
                yes,
                no,
            } => {
                let (x, imm) = (zmm(x), predicate(cmp));
                self.with(y, move |y| y.compare(K1, x, imm))?;
                self.choose(to, K1, yes, Some(no))
            }
            Inst::Choose {
                to,
                mask: k,
                yes,
                no,
            } => self.choose(to, mask(k), yes, no),
            Inst::Store {
                from,
                pointer,
                bytes,
            } => {
                let to = self.element(pointer, bytes)?;
                let op = Op::EVEX_Vmovups_zmmm512_k1z_zmm;
                let mut made = Instruction::with2(op, to, zmm(from))?;
                if self.masked {
                    made.set_op_mask(K2);
                }
                self.plain(Ok(made))
            }
            Inst::Fold { fold, kind, a, b } => self.fold((fold, kind), a, b),
        }
    }
}
