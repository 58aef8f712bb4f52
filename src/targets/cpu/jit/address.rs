//! Addresses of views: one pointer for all views that walk together.
//!
//! In: the walks of a nest. Out: [`Pointers`], advanced loop by loop. Views of one buffer with equal strides (the gates
//! of one projection) share a pointer and differ by a constant displacement, so few registers hold many views.

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};

use super::asm::{Asm, FLOAT};
use super::nest::Walk;
use super::table::{Cell, too_large};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;

/// Displacements beyond this go into the pointer.
const FAR: i64 = 1 << 28;

/// Where a walk's element is: a pointer of [`Pointers`] and a displacement in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) group: usize,
    pub(crate) bytes: i32,
}

/// How far apart elements are along one axis.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stride {
    Fixed(i64),
    /// In bytes, known at launch.
    Bytes(Value),
}

struct Group {
    key: Walk,
    base: Value,
    strides: Vec<Stride>,
}

pub(crate) struct Pointers {
    groups: Vec<Group>,
}

impl Pointers {
    /// Computes base addresses; call before any loop. Places are in the order of the walks.
    pub(crate) fn new<'w>(
        asm: &mut Asm<'_, '_>,
        walks: impl Iterator<Item = &'w Walk>,
    ) -> Result<(Pointers, Vec<Place>), Diagnostic> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places = Vec::new();
        for w in walks {
            let fixed = w
                .offset
                .terms()
                .find_map(|(m, n)| m.is_empty().then_some(n))
                .filter(|n| n.abs() < FAR)
                .unwrap_or(0);
            let mut key = w.clone();
            key.offset = w
                .offset
                .checked_sub(&Dim::constant(fixed))
                .map_err(|_| too_large(&w.offset))?;
            let group = match groups.iter().position(|g| g.key == key) {
                Some(i) => i,
                None => {
                    let base = base(asm, &key)?;
                    let strides = key
                        .strides
                        .iter()
                        .map(|s| match s.as_const() {
                            Some(n) => Ok(Stride::Fixed(n)),
                            None => asm.bytes(s).map(Stride::Bytes),
                        })
                        .collect::<Result<_, Diagnostic>>()?;
                    groups.push(Group { key, base, strides });
                    groups.len() - 1
                }
            };
            places.push(Place {
                group,
                bytes: (fixed * FLOAT) as i32,
            });
        }
        Ok((Pointers { groups }, places))
    }

    /// The pointers before any loop.
    pub(crate) fn bases(&self) -> Vec<Value> {
        self.groups.iter().map(|g| g.base).collect()
    }

    pub(crate) fn stride(&self, group: usize, position: usize) -> Stride {
        self.groups[group].strides[position]
    }

    /// The pointers inside the loop at `position`, at turn `index`.
    pub(crate) fn advance(
        &self,
        asm: &mut Asm<'_, '_>,
        pointers: &[Value],
        position: usize,
        index: Value,
    ) -> Vec<Value> {
        let scaled = asm.b.ins().ishl_imm_s(index, 2);
        let mut out = Vec::new();
        for (g, p) in self.groups.iter().zip(pointers) {
            out.push(match g.strides[position] {
                Stride::Fixed(0) => *p,
                Stride::Fixed(1) => asm.add(*p, scaled),
                Stride::Fixed(n) => {
                    let far = asm.b.ins().imul_imm_s(index, n * FLOAT);
                    asm.add(*p, far)
                }
                Stride::Bytes(s) => {
                    let far = asm.mul(index, s);
                    asm.add(*p, far)
                }
            });
        }
        out
    }
}

/// The address of a walk's first element at the present step.
pub(crate) fn base(asm: &mut Asm<'_, '_>, w: &Walk) -> Result<Value, Diagnostic> {
    let windowed = asm.table.windowed.iter().position(|b| *b == w.buffer);
    let mut p = match windowed {
        Some(i) => {
            let word = asm.cell(Cell::Window(i));
            let flags = MemFlagsData::trusted().with_can_move();
            asm.b.ins().load(I64, flags, word, 0)
        }
        None => asm.cell(Cell::Buffer(w.buffer)),
    };
    if w.offset.as_const() != Some(0) {
        let offset = asm.bytes(&w.offset)?;
        p = asm.add(p, offset);
    }
    if w.step.as_const() != Some(0) {
        let step = asm.bytes(&w.step)?;
        let far = asm.mul(asm.params.time, step);
        p = asm.add(p, far);
    }
    Ok(p)
}
