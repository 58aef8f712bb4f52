//! Sums of columns of what lies in memory, such as a bias's gradient, by a precompiled kernel.
//!
//! In: a fused group and its nest. Out: one call, where the group is such a sum; or nothing. Compiled by
//! [`super::loops`] a column is a cache line wide, and the sum goes down rows that lie far apart once for every line.
//! The order is the same: each column by itself, along the innermost reduced axis first, those sums then along the outer.

use super::address::base;
use super::asm::Asm;
use super::calls::{self, call_kernel};
use super::nest::Nest;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Effect, Elem, Expr, FoldOp, Loop};

/// Whether the group is a sum over one or two axes of something read, and nothing else, by contiguous columns.
fn is_sum(l: &Loop, nest: &Nest, elems: &[Elem]) -> bool {
    let one = |d: &Dim| d.as_const() == Some(1);
    let read = matches!(l.exprs[..], [Expr::Load(0)]) && elems == [Elem::F32];
    let op = FoldOp::Sum;
    let summed = matches!(&l.effects[..], [Effect::Fold { op: o, .. }] if *o == op);
    read && summed
        && (2..=3).contains(&nest.axes.len())
        && nest.first_reduced == 1
        && nest.vector == Some(0)
        && one(&nest.scale)
        && nest
            .loads
            .iter()
            .chain(&nest.effects)
            .all(|w| one(&w.strides[0]))
}

/// Emits the call; `false` where the group is no such sum.
pub(super) fn emit(
    asm: &mut Asm<'_, '_>,
    l: &Loop,
    nest: &Nest,
    elems: &[Elem],
) -> Result<bool, Diagnostic> {
    if !is_sum(l, nest, elems) {
        return Ok(false);
    }
    let (x, out) = (&nest.loads[0], &nest.effects[0]);
    let (from, to) = match nest.is_ranged(0) {
        true => (asm.params.lo, asm.params.hi),
        false => (asm.int(0), asm.size(&nest.axes[0].size)?),
    };
    let outer = match nest.axes.len() {
        3 => [asm.size(&nest.axes[1].size)?, asm.size(&x.strides[1])?],
        _ => [asm.int(1), asm.int(0)],
    };
    let last = nest.axes.len() - 1;
    let inner = [
        asm.size(&nest.axes[last].size)?,
        asm.size(&x.strides[last])?,
    ];
    let (x, out) = (base(asm, x)?, base(asm, out)?);
    let args = [from, to, outer[0], inner[0], x, outer[1], inner[1], out];
    call_kernel(asm, calls::COLUMN_SUMS, &args)?;
    Ok(true)
}
