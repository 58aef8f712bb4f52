//! Loads and stores of one float or a vector, contiguous or lane by lane.
//!
//! In: a view's place and the block. Out: values, integers among them as floats.

use cranelift_codegen::ir::types::{F32, F32X4};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};

use super::address::Stride;
use super::asm::{FLOAT, LANES, Width};
use super::loops::{Emitter, State};
use crate::schedule::program::Elem;

enum Lanes {
    Whole(Value, i32),
    Each(Vec<(Value, i32)>),
}

impl Emitter<'_, '_, '_, '_> {
    fn flags() -> MemFlagsData {
        MemFlagsData::new().with_notrap()
    }

    /// The pointer and displacement of each lane of vector `v`, or of the vector as a whole where it is contiguous.
    fn lanes(&mut self, s: &State, k: usize, v: usize) -> Lanes {
        let place = self.places[k];
        let p = s.pointers[place.group];
        let Some(position) = self.nest.vector.filter(|_| s.block.width == Width::Four) else {
            return Lanes::Whole(p, place.bytes);
        };
        let first = (v * LANES) as i64;
        match self.pointers.stride(place.group, position) {
            Stride::Fixed(1) => Lanes::Whole(p, place.bytes + (first * FLOAT) as i32),
            Stride::Fixed(n) => {
                let mut at = Vec::new();
                for lane in 0..LANES as i64 {
                    let far = (first + lane) * n * FLOAT;
                    at.push(match i32::try_from(far + i64::from(place.bytes)) {
                        Ok(bytes) => (p, bytes),
                        Err(_) => (self.asm.b.ins().iadd_imm_s(p, far), place.bytes),
                    });
                }
                Lanes::Each(at)
            }
            Stride::Bytes(stride) => {
                let far = self.asm.b.ins().imul_imm_s(stride, first);
                let mut q = self.asm.add(p, far);
                let mut at = vec![(q, place.bytes)];
                for _ in 1..LANES {
                    q = self.asm.add(q, stride);
                    at.push((q, place.bytes));
                }
                Lanes::Each(at)
            }
        }
    }

    fn read(&mut self, k: usize, w: Width, p: Value, bytes: i32) -> Value {
        let b = &mut self.asm.b;
        match self.elems[k] {
            Elem::F32 => b.ins().load(w.float(), Self::flags(), p, bytes),
            Elem::I32 => {
                let n = b.ins().load(w.int(), Self::flags(), p, bytes);
                b.ins().fcvt_from_sint(w.float(), n)
            }
        }
    }

    pub(super) fn load_one(&mut self, s: &State, k: usize) -> Value {
        let place = self.places[k];
        self.read(k, Width::One, s.pointers[place.group], place.bytes)
    }

    pub(super) fn load(&mut self, s: &State, k: usize, v: usize) -> Value {
        match self.lanes(s, k, v) {
            Lanes::Whole(p, bytes) => self.read(k, s.block.width, p, bytes),
            Lanes::Each(at) => {
                let mut out = None;
                for (lane, (p, bytes)) in at.into_iter().enumerate() {
                    let x = self.read(k, Width::One, p, bytes);
                    out = Some(match out {
                        None => self.asm.b.ins().scalar_to_vector(F32X4, x),
                        Some(v) => self.asm.b.ins().insertlane(v, x, lane as u8),
                    });
                }
                out.unwrap_or_else(|| unreachable!("a vector has lanes"))
            }
        }
    }

    /// Stores one float or one vector to effect `k`'s view.
    pub(super) fn store(&mut self, s: &State, k: usize, v: usize, value: Value) {
        let k = self.nest.loads.len() + k;
        let at = if self.asm.b.func.dfg.value_type(value) == F32 {
            let place = self.places[k];
            Lanes::Whole(s.pointers[place.group], place.bytes)
        } else {
            self.lanes(s, k, v)
        };
        match at {
            Lanes::Whole(p, bytes) => {
                self.asm.b.ins().store(Self::flags(), value, p, bytes);
            }
            Lanes::Each(at) => {
                for (lane, (p, bytes)) in at.into_iter().enumerate() {
                    let x = self.asm.b.ins().extractlane(value, lane as u8);
                    self.asm.b.ins().store(Self::flags(), x, p, bytes);
                }
            }
        }
    }
}
