//! Counts elements and arithmetic in the IR.
//!
//! In: an [`ir::Func`](crate::ir::Func). Out: polynomials in its sizes.

use crate::dim::{Dim, Overflow};
use crate::ir::{Func, OpKind, Region};

pub fn elements(shape: &[Dim]) -> Result<Dim, Overflow> {
    shape
        .iter()
        .try_fold(Dim::constant(1), |all, d| all.checked_mul(d))
}

/// Two for each multiply-add of the contractions, those of a scan's body once a step. Elementwise
/// work is left out: it does not grow with the square of a size.
pub fn flops(func: &Func) -> Result<Dim, Overflow> {
    region(func, &func.body)
}

fn region(func: &Func, r: &Region) -> Result<Dim, Overflow> {
    let mut sum = Dim::constant(0);
    for &id in &r.ops {
        let op = func.op(id);
        let here = match &op.kind {
            OpKind::Contract { lhs, rhs, .. } => {
                let mut all = elements(func.shape(op.args[0]))?.checked_mul(&Dim::constant(2))?;
                for (label, d) in rhs.iter().zip(func.shape(op.args[1])) {
                    if !lhs.contains(label) {
                        all = all.checked_mul(d)?;
                    }
                }
                all
            }
            OpKind::Scan(s) => region(func, &s.body)?.checked_mul(&s.extent)?,
            OpKind::Const(_)
            | OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::Expand { .. }
            | OpKind::Reduce { .. }
            | OpKind::Softmax
            | OpKind::Top { .. }
            | OpKind::CrossEntropy
            | OpKind::CrossEntropyGrad
            | OpKind::Gather
            | OpKind::ScatterAdd { .. }
            | OpKind::Split { .. }
            | OpKind::Concat { .. }
            | OpKind::Take(_)
            | OpKind::Put { .. }
            | OpKind::Mask { .. }
            | OpKind::Shift { .. }
            | OpKind::ToFloat
            | OpKind::Iota { .. }
            | OpKind::Random { .. } => continue,
        };
        sum = sum.checked_add(&here)?;
    }
    Ok(sum)
}
