//! Zeros, forward: from what is known of an op's arguments to what is known of its results.
//!
//! In: the regions of a function in order. Out: for each value a domain outside which it is 0, and
//! one outside which it is −∞. Facts begin at masks; a softmax turns −∞ into 0.

use super::{Support, after_reduce, join, meet, moved, nowhere, of_mask};
use crate::dim::Dim;
use crate::domain::Domain;
use crate::ir::op::*;

/// Outside the first 0, outside the second −∞.
type Known = (Domain, Domain);

impl Support {
    pub(super) fn zeros(&mut self, func: &Func, region: &Region) {
        for &id in &region.ops {
            let op = func.op(id);
            if let OpKind::Scan(scan) = &op.kind {
                self.scan_zeros(func, scan);
                continue;
            }
            let (nonzero, finite) = self.known(func, op);
            for r in &op.results {
                self.nonzero[r.0 as usize] = nonzero.clone();
                self.finite[r.0 as usize] = finite.clone();
            }
        }
    }

    fn scan_zeros(&mut self, func: &Func, scan: &Scan) {
        for s in &scan.slices {
            let step = |i: usize| i.checked_sub(1);
            self.copied(func, s.from, s.to, &step);
        }
        self.zeros(func, &scan.body);
        // A stack is zero at padded steps, whatever was stacked; but a carry's holds what it was.
        for s in &scan.stacks {
            let held = |c: &Carry| s.from == c.next || s.from == c.param;
            if scan.carries.iter().any(held) {
                continue;
            }
            let whole = |i: usize| Some(i + 1);
            let nonzero = moved(self.nonzero(s.from), func.shape(s.from), &whole);
            self.nonzero[s.to.0 as usize] = nonzero;
        }
    }

    fn copied(
        &mut self,
        func: &Func,
        from: ValueId,
        to: ValueId,
        at: &dyn Fn(usize) -> Option<usize>,
    ) {
        let (nonzero, finite) = self.through(func, from, at);
        self.nonzero[to.0 as usize] = nonzero;
        self.finite[to.0 as usize] = finite;
    }

    /// What is known of a value, said of another whose axis `at(i)` is its axis `i`.
    fn through(&self, func: &Func, v: ValueId, at: &dyn Fn(usize) -> Option<usize>) -> Known {
        let shape: &[Dim] = func.shape(v);
        (
            moved(self.nonzero(v), shape, at),
            moved(self.finite(v), shape, at),
        )
    }

    /// One answer for all results of the op.
    fn known(&self, func: &Func, op: &Op) -> Known {
        let all = Domain::everywhere;
        let zero = |i: usize| self.nonzero(op.args[i]);
        let finite = |i: usize| self.finite(op.args[i]);
        match &op.kind {
            OpKind::Const(0.0) => (nowhere(), all()),
            OpKind::Const(x) if *x == f64::NEG_INFINITY => (all(), nowhere()),
            OpKind::Unary(u) => match u {
                Unary::Neg
                | Unary::Sqrt
                | Unary::Abs
                | Unary::Sign
                | Unary::Tanh
                | Unary::Sin
                | Unary::Step
                | Unary::Erf => (zero(0).clone(), all()),
                Unary::Stop | Unary::Bf16 => (zero(0).clone(), finite(0).clone()),
                // 0 at −∞
                Unary::Exp | Unary::Sigmoid => (finite(0).clone(), all()),
                Unary::Log | Unary::Cos => (all(), all()),
            },
            OpKind::Binary(k) => match k {
                Binary::Mul => (meet(zero(0), zero(1)), all()),
                Binary::Div => (zero(0).clone(), all()),
                Binary::Add => (join(zero(0), zero(1)), meet(finite(0), finite(1))),
                Binary::Sub => (join(zero(0), zero(1)), finite(0).clone()),
                Binary::Max => (join(zero(0), zero(1)), join(finite(0), finite(1))),
                Binary::Min => (join(zero(0), zero(1)), meet(finite(0), finite(1))),
                Binary::Lt => (join(zero(0), zero(1)), all()),
                Binary::Pow | Binary::Le | Binary::Eq => (all(), all()),
            },
            // What is chosen where c ≠ 0 can only differ from 0 where c does.
            OpKind::Select => (
                join(&meet(zero(0), zero(1)), zero(2)),
                join(finite(1), finite(2)),
            ),
            OpKind::Expand { axes, .. } => self.through(func, op.args[0], &|i| {
                axes.iter().position(|a| *a == Some(i))
            }),
            OpKind::Contract { lhs, rhs, out } => {
                let side = |v: ValueId, own: &[u8]| {
                    let at = |i: usize| out.iter().position(|l| *l == own[i]);
                    moved(self.nonzero(v), func.shape(v), &at)
                };
                (meet(&side(op.args[0], lhs), &side(op.args[1], rhs)), all())
            }
            OpKind::Reduce {
                op: fold,
                axes,
                masked,
            } => {
                let (zero, low) = self.through(func, op.args[0], &|i| after_reduce(axes, i));
                match (fold, masked) {
                    (ReduceOp::Sum, _) => (zero, all()),
                    (ReduceOp::Max, false) => (zero, low),
                    // −∞ where an example has no step.
                    (ReduceOp::Max, true) => (all(), low),
                }
            }
            OpKind::Softmax => (finite(0).clone(), all()),
            OpKind::Mask {
                domain,
                fill,
                batch,
            } => {
                let inside = of_mask(func, op, domain, *batch);
                match *fill == 0.0 {
                    true => (meet(zero(0), &inside), all()),
                    false => (all(), meet(finite(0), &inside)),
                }
            }
            OpKind::CrossEntropyGrad => {
                let (zero, _) = self.through(func, op.args[2], &Some);
                (zero, all())
            }
            OpKind::Gather => {
                let rank = func.shape(op.args[1]).len();
                let (zero, _) = self.through(func, op.args[0], &|i| Some(i.checked_sub(1)? + rank));
                (zero, all())
            }
            OpKind::ScatterAdd { .. } => {
                let rank = func.shape(op.args[1]).len();
                let (zero, _) = self.through(func, op.args[0], &|i| Some(i.checked_sub(rank)? + 1));
                (zero, all())
            }
            OpKind::Split { axis, .. } => {
                self.through(func, op.args[0], &|i| (i != *axis).then_some(i))
            }
            OpKind::Concat { axis } => {
                let parts = op
                    .args
                    .iter()
                    .map(|a| self.through(func, *a, &|i| (i != *axis).then_some(i)));
                parts
                    .reduce(|(z, f), (zero, finite)| (join(&z, &zero), join(&f, &finite)))
                    .unwrap_or((all(), all()))
            }
            OpKind::Take(_) => self.through(func, op.args[0], &|i| i.checked_sub(1)),
            OpKind::Put { .. } => {
                let (zero, _) = self.through(func, op.args[0], &|i| Some(i + 1));
                (zero, all())
            }
            OpKind::Shift { .. } => {
                let (zero, _) = self.through(func, op.args[0], &|i| (i != 0).then_some(i));
                (zero, all())
            }
            OpKind::Const(_)
            | OpKind::Top { .. }
            | OpKind::Iota { .. }
            | OpKind::CrossEntropy
            | OpKind::ToFloat
            | OpKind::Random { .. }
            | OpKind::Scan(_) => (all(), all()),
        }
    }
}
