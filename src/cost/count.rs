//! Counts elements and arithmetic in the IR.
//!
//! In: an [`ir::Func`](crate::ir::Func). Out: formulas in its sizes.

use super::assume::Assume;
use super::formula::Formula;
use super::points::points;
use super::poly::Poly;
use crate::dim::{Dim, Overflow};
use crate::ir::support::{Support, labels};
use crate::ir::{Func, Op, OpKind, Region};

pub fn elements(shape: &[Dim]) -> Result<Dim, Overflow> {
    shape
        .iter()
        .try_fold(Dim::constant(1), |all, d| all.checked_mul(d))
}

/// Two for each multiply-add of the contractions, those of a scan's body once a step, and only where
/// the operands can differ from zero and the result matters: `where s <= t` halves a square. Padding
/// counts, as if every example were as long as its axis. Elementwise work is left out: it does not
/// grow with the square of a size.
pub fn flops(func: &Func) -> Result<Formula, Overflow> {
    let mut counter = Counter {
        func,
        support: Support::of(func),
        assume: Assume {
            dims: &func.dims,
            made: Default::default(),
        },
    };
    let mut all = counter.region(&func.body)?;
    all.assumes = counter.assume.made;
    Ok(all)
}

struct Counter<'a> {
    func: &'a Func,
    support: Support,
    assume: Assume<'a>,
}

impl Counter<'_> {
    fn region(&mut self, r: &Region) -> Result<Formula, Overflow> {
        let mut sum = Formula::default();
        for &id in &r.ops {
            let op = self.func.op(id);
            let here = match &op.kind {
                OpKind::Contract { .. } => self.contraction(op)?,
                OpKind::Scan(s) => {
                    let steps = Poly::of(&s.extent);
                    Formula::default().add_times(&steps, &self.region(&s.body)?)?
                }
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
            sum = sum.add(&here)?;
        }
        Ok(sum)
    }

    fn contraction(&mut self, op: &Op) -> Result<Formula, Overflow> {
        let (labels, sizes): (Vec<u8>, Vec<Dim>) = labels(self.func, op).into_iter().unzip();
        let set = self.support.index_set(self.func, op, &labels);
        let kept = points(&set, &sizes, &mut self.assume)?;
        let mut all = Formula::product(&kept.sizes.mul(&Poly::int(2))?, &kept.sums)?;
        all.exact = kept.exact;
        Ok(all)
    }
}
