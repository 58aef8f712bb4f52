//! Arithmetic of a function under construction: floats, one or four at a time.
//!
//! In: values and their [`Width`]. Out: CLIF. Every operation is the same lane for lane at both widths.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32, F32X4, I8, I32, I32X4};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Opcode, Type, Value};

use super::asm::{Asm, LANES, Width};

impl Asm<'_, '_> {
    /// A float constant in every lane.
    pub(crate) fn float(&mut self, w: Width, x: f32) -> Value {
        self.constant(w, w.float(), x.to_bits())
    }

    /// An integer constant in every lane.
    pub(crate) fn bits(&mut self, w: Width, x: i32) -> Value {
        self.constant(w, w.int(), x as u32)
    }

    /// Constants stand at the top of the function, each once: a loop then reads them from registers or the stack, where
    /// the same constant made inside a loop costs an instruction each turn (exp: a quarter of its time).
    fn constant(&mut self, w: Width, ty: Type, bits: u32) -> Value {
        let key = (ty.bits(), ty.lane_type().is_float(), bits);
        if let Some(v) = self.constants.get(&key) {
            return *v;
        }
        let func = &mut *self.b.func;
        let mut at = FuncCursor::new(func).at_first_insertion_point(self.entry);
        let v = match w {
            Width::Four => {
                let lanes = [bits.to_le_bytes(); LANES].concat();
                let data = at.func.dfg.constants.insert(lanes.as_slice().into());
                at.ins().vconst(ty, data)
            }
            Width::One if ty == F32 => at.ins().f32const(f32::from_bits(bits)),
            Width::One => at.ins().iconst(I32, i64::from(bits)),
        };
        self.constants.insert(key, v);
        v
    }

    fn cast(&mut self, ty: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == ty {
            return v;
        }
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(ty, flags, v)
    }

    /// The same bits as integers.
    pub(crate) fn as_int(&mut self, w: Width, v: Value) -> Value {
        self.cast(w.int(), v)
    }

    /// The same bits as floats.
    pub(crate) fn as_float(&mut self, w: Width, v: Value) -> Value {
        self.cast(w.float(), v)
    }

    /// `a·b + c`, rounded once where the machine can.
    pub(crate) fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        if self.fma {
            self.b.ins().fma(a, b, c)
        } else {
            let p = self.b.ins().fmul(a, b);
            self.b.ins().fadd(p, c)
        }
    }

    /// A truth value a lane: a byte for one float, all ones or zeros in each lane of four.
    pub(crate) fn compare(&mut self, cc: FloatCC, a: Value, b: Value) -> Value {
        let (a, b) = (self.in_register(a), self.in_register(b));
        self.b.ins().fcmp(cc, a, b)
    }

    /// `v`, not as a memory operand. Without AVX, Cranelift 0.135 folds a load into a comparison of four floats, whose
    /// instruction faults on an address that is not a multiple of 16.
    fn in_register(&mut self, v: Value) -> Value {
        let dfg = &self.b.func.dfg;
        let load = |i| dfg.insts[i].opcode() == Opcode::Load;
        let loaded = dfg.value_def(v).inst().is_some_and(load);
        if self.fma || !loaded || dfg.value_type(v) != F32X4 {
            return v;
        }
        let bits = self.as_int(Width::Four, v);
        self.as_float(Width::Four, bits)
    }

    /// `a` where `mask`, else `b`.
    pub(crate) fn choose(&mut self, w: Width, mask: Value, a: Value, b: Value) -> Value {
        match w {
            Width::One => self.b.ins().select(mask, a, b),
            Width::Four => {
                let ty = self.b.func.dfg.value_type(a);
                let mask = self.cast(ty, mask);
                self.b.ins().bitselect(mask, a, b)
            }
        }
    }

    /// The lesser of `a` and `b`; `b` where either is NaN. One instruction on x86.
    pub(crate) fn lesser(&mut self, w: Width, a: Value, b: Value) -> Value {
        let m = self.compare(FloatCC::LessThan, a, b);
        self.choose(w, m, a, b)
    }

    /// The greater of `a` and `b`; `b` where either is NaN. One instruction on x86.
    pub(crate) fn greater(&mut self, w: Width, a: Value, b: Value) -> Value {
        let m = self.compare(FloatCC::LessThan, b, a);
        self.choose(w, m, a, b)
    }

    /// `v` where it is NaN, else `other`.
    pub(crate) fn keep_nan(&mut self, w: Width, v: Value, other: Value) -> Value {
        let ordered = self.compare(FloatCC::Equal, v, v);
        self.choose(w, ordered, other, v)
    }

    /// 1 where `mask`, else 0.
    pub(crate) fn truth(&mut self, w: Width, mask: Value) -> Value {
        let one = self.float(w, 1.0);
        match w {
            Width::One => {
                let zero = self.float(w, 0.0);
                self.b.ins().select(mask, one, zero)
            }
            Width::Four => {
                let ones = self.as_int(w, one);
                let mask = self.as_int(w, mask);
                let kept = self.b.ins().band(mask, ones);
                self.as_float(w, kept)
            }
        }
    }

    /// The nearest number of 8 significant bits, of two equally near the even one; infinite where that is too large. NaN
    /// stays NaN: its quiet bit is among those kept.
    pub(crate) fn bf16(&mut self, w: Width, x: Value) -> Value {
        let bits = self.as_int(w, x);
        let (one, half) = (self.bits(w, 1), self.bits(w, 0x7fff));
        let last = self.b.ins().ushr_imm_u(bits, 16);
        let last = self.b.ins().band(last, one);
        let up = self.b.ins().iadd(bits, half);
        let up = self.b.ins().iadd(up, last);
        let quiet = self.bits(w, 0x0040_0000);
        let nan = self.b.ins().bor(bits, quiet);
        let (up, nan) = (self.as_float(w, up), self.as_float(w, nan));
        let ordered = self.compare(FloatCC::Equal, x, x);
        let chosen = self.choose(w, ordered, up, nan);
        let chosen = self.as_int(w, chosen);
        let high = self.bits(w, 0xffff_0000_u32 as i32);
        let kept = self.b.ins().band(chosen, high);
        self.as_float(w, kept)
    }

    /// A truth value of one float in every lane of a vector's mask.
    pub(crate) fn splat_mask(&mut self, mask: Value) -> Value {
        debug_assert_eq!(self.b.func.dfg.value_type(mask), I8);
        let wide = self.b.ins().uextend(I32, mask);
        let all = self.b.ins().ineg(wide);
        self.b.ins().splat(I32X4, all)
    }

    /// The lanes of a vector folded as `(0 ∘ 2) ∘ (1 ∘ 3)`.
    pub(crate) fn fold_lanes(
        &mut self,
        v: Value,
        mut f: impl FnMut(&mut Self, Value, Value) -> Value,
    ) -> Value {
        let lane: Vec<Value> = (0..LANES as u8)
            .map(|i| self.b.ins().extractlane(v, i))
            .collect();
        let (even, odd) = (f(self, lane[0], lane[2]), f(self, lane[1], lane[3]));
        f(self, even, odd)
    }
}
