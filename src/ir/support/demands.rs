//! Demand, backward: from where an op's results matter to where its arguments do.
//!
//! In: the regions of a function, from the last op to the first, with the zeros known. Out: for each
//! value a domain outside which nothing depends on it; several uses join.

use super::{Support, after_reduce, before_reduce, join, meet, moved, nowhere, of_mask};
use crate::domain::Domain;
use crate::ir::op::*;

impl Support {
    pub(super) fn demands(&mut self, func: &Func, region: &Region) {
        for &id in region.ops.iter().rev() {
            let op = func.op(id);
            if let OpKind::Scan(scan) = &op.kind {
                self.scan_demands(func, scan);
                continue;
            }
            for (i, d) in self.asked(func, op).into_iter().enumerate() {
                self.ask(op.args[i], &d);
            }
        }
    }

    fn ask(&mut self, v: ValueId, d: &Domain) {
        let old = &mut self.demand[v.0 as usize];
        *old = join(old, d);
    }

    /// Carried values matter everywhere: what one step leaves out, a later one may read.
    fn scan_demands(&mut self, func: &Func, scan: &Scan) {
        let all = Domain::everywhere();
        for c in &scan.carries {
            self.ask(c.next, &all);
            self.ask(c.init, &all);
        }
        for s in &scan.stacks {
            let d = moved(self.demand(s.to), func.shape(s.to), &|i| i.checked_sub(1));
            self.ask(s.from, &d);
        }
        self.demands(func, &scan.body);
        for s in &scan.slices {
            let d = moved(self.demand(s.to), func.shape(s.to), &|i| Some(i + 1));
            self.ask(s.from, &d);
        }
        if let Some(len) = scan.len {
            self.ask(len, &all);
        }
    }

    /// For each argument, where the op asks for it.
    fn asked(&self, func: &Func, op: &Op) -> Vec<Domain> {
        let all = Domain::everywhere;
        let results = op.results.iter().map(|r| self.demand(*r));
        let wanted = results.fold(nowhere(), |all, d| join(&all, d));
        if wanted == nowhere() {
            return vec![nowhere(); op.args.len()];
        }
        let shape = op.results.first().map_or(&[][..], |r| func.shape(*r));
        let zero = |i: usize| self.nonzero(op.args[i]);
        // An argument that lifts from a single number matters if any point does.
        let lifted = |d: Domain, i: usize| match func.shape(op.args[i]).len() == shape.len() {
            true => d,
            false => moved(&d, shape, &|_| None),
        };
        let last = shape.len().saturating_sub(1);
        let row = |d: &Domain| moved(d, shape, &|i| (i != last).then_some(i));
        match &op.kind {
            OpKind::Unary(_) => vec![wanted],
            OpKind::Binary(k) => match k {
                Binary::Mul => vec![
                    lifted(meet(&wanted, zero(1)), 0),
                    lifted(meet(&wanted, zero(0)), 1),
                ],
                Binary::Div => vec![lifted(wanted.clone(), 0), lifted(meet(&wanted, zero(0)), 1)],
                Binary::Add
                | Binary::Sub
                | Binary::Pow
                | Binary::Max
                | Binary::Min
                | Binary::Lt
                | Binary::Le
                | Binary::Eq => vec![lifted(wanted.clone(), 0), lifted(wanted, 1)],
            },
            OpKind::Select => vec![
                lifted(wanted.clone(), 0),
                lifted(meet(&wanted, zero(0)), 1),
                lifted(wanted, 2),
            ],
            OpKind::Expand { axes, .. } => vec![moved(&wanted, shape, &|i| axes[i])],
            OpKind::Contract { lhs, rhs, out } => {
                let side = |own: &[u8], other: &[u8], v: ValueId| {
                    let by = |from: &'_ [u8]| {
                        let from = from.to_vec();
                        let own = own.to_vec();
                        move |i: usize| own.iter().position(|l| *l == from[i])
                    };
                    let asked = moved(&wanted, shape, &by(out));
                    meet(&asked, &moved(self.nonzero(v), func.shape(v), &by(other)))
                };
                vec![side(lhs, rhs, op.args[1]), side(rhs, lhs, op.args[0])]
            }
            OpKind::Reduce { axes, masked, .. } => {
                let d = moved(&wanted, shape, &|i| Some(before_reduce(axes, i)));
                if !masked {
                    return vec![d];
                }
                let real = Domain::before_end(0, op.args[1].0 as usize);
                vec![meet(&d, &real), all()]
            }
            // Every element of a row weighs on the others.
            OpKind::Softmax | OpKind::Top { .. } => vec![row(&wanted)],
            OpKind::CrossEntropy => vec![moved(&wanted, shape, &Some), all()],
            OpKind::CrossEntropyGrad => {
                let rows = row(&wanted);
                vec![meet(&rows, zero(2)), all(), rows]
            }
            OpKind::Gather => {
                let rank = func.shape(op.args[1]).len();
                let table = |i: usize| Some(i.checked_sub(rank)? + 1);
                vec![moved(&wanted, shape, &table), all()]
            }
            OpKind::ScatterAdd { .. } => {
                let rank = func.shape(op.args[1]).len();
                let grad = |i: usize| Some(i.checked_sub(1)? + rank);
                vec![moved(&wanted, shape, &grad), all()]
            }
            // Places along the axis that is cut or joined are other places of the parts.
            OpKind::Split { axis, .. } | OpKind::Concat { axis } => {
                let d = moved(&wanted, shape, &|i| (i != *axis).then_some(i));
                vec![d; op.args.len()]
            }
            OpKind::Take(_) => vec![moved(&wanted, shape, &|i| Some(i + 1)), all()],
            OpKind::Put { .. } => vec![moved(&wanted, shape, &|i| after_reduce(&[0], i)), all()],
            OpKind::Mask { domain, batch, .. } => {
                let inside = of_mask(func, op, domain, *batch);
                let mut args = vec![meet(&wanted, &inside)];
                args.resize(op.args.len(), all());
                args
            }
            OpKind::Shift { .. } => vec![moved(&wanted, shape, &|i| (i != 0).then_some(i))],
            OpKind::Const(_)
            | OpKind::Iota { .. }
            | OpKind::ToFloat
            | OpKind::Random { .. }
            | OpKind::Scan(_) => vec![all(); op.args.len()],
        }
    }
}
