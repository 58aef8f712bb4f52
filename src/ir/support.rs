//! Where values are known to be zero, and where they matter.
//!
//! In: a function. Out: [`Support`]: two index domains for each value, neither of which is stored in
//! the IR. Outside the first the value is 0 ([`zeros`], from each op's arguments to its results);
//! outside the second no result of the function depends on it ([`demands`], from results back to
//! arguments). A contraction's index set is what both leave: attention over `s <= t` is half a square
//! although no op says so.
//!
//! Both say what is true of the values as the ops define them. Whoever leaves out work where a value
//! does not matter must still put zeros where others count on them.

mod demands;
#[cfg(test)]
mod tests;
mod zeros;

use super::op::*;
use crate::dim::Dim;
use crate::domain::{Coord, Domain};

/// Domains over a value's axes. `Coord::Of(v)` is the number that the value `v : i32 [B]` of the
/// function holds for the point's example, so that domains of different ops can be compared.
pub struct Support {
    /// The value is 0 outside.
    nonzero: Vec<Domain>,
    /// The value is −∞ outside.
    finite: Vec<Domain>,
    /// The value does not matter outside.
    demand: Vec<Domain>,
}

impl Support {
    pub fn of(func: &Func) -> Support {
        let n = func.values.len();
        let mut all = Support {
            nonzero: vec![Domain::everywhere(); n],
            finite: vec![Domain::everywhere(); n],
            demand: vec![nowhere(); n],
        };
        all.zeros(func, &func.body);
        for out in &func.outputs {
            all.demand[out.value.0 as usize] = Domain::everywhere();
        }
        all.demands(func, &func.body);
        all
    }

    /// The value is exactly 0 outside this domain.
    pub fn nonzero(&self, v: ValueId) -> &Domain {
        &self.nonzero[v.0 as usize]
    }

    /// The value is −∞ outside this domain.
    pub fn finite(&self, v: ValueId) -> &Domain {
        &self.finite[v.0 as usize]
    }

    /// No result of the function depends on the value outside this domain.
    pub fn demand(&self, v: ValueId) -> &Domain {
        &self.demand[v.0 as usize]
    }

    /// The multiply-adds of a contraction that can change a result: a domain whose axis `i` is the
    /// label `labels[i]`, see [`labels`].
    pub fn index_set(&self, func: &Func, op: &Op, labels: &[u8]) -> Domain {
        let OpKind::Contract { lhs, rhs, out } = &op.kind else {
            return Domain::everywhere();
        };
        let sides = [
            (self.nonzero(op.args[0]), lhs, op.args[0]),
            (self.nonzero(op.args[1]), rhs, op.args[1]),
            (self.demand(op.results[0]), out, op.results[0]),
        ];
        sides
            .into_iter()
            .fold(Domain::everywhere(), |all, (d, own, v)| {
                let at = |i: usize| labels.iter().position(|l| *l == own[i]);
                meet(&all, &moved(d, func.shape(v), &at))
            })
    }
}

/// Each label of a contraction once with its size: the left operand's, then those that only the
/// right one has.
pub fn labels(func: &Func, op: &Op) -> Vec<(u8, Dim)> {
    let OpKind::Contract { lhs, rhs, .. } = &op.kind else {
        return Vec::new();
    };
    let mut all: Vec<(u8, Dim)> = Vec::new();
    for (own, v) in [(lhs, op.args[0]), (rhs, op.args[1])] {
        for (label, size) in own.iter().zip(func.shape(v)) {
            if all.iter().all(|(l, _)| l != label) {
                all.push((*label, size.clone()));
            }
        }
    }
    all
}

/// No point at all.
fn nowhere() -> Domain {
    Domain::Any(Vec::new())
}

/// Both, less what one of them says already.
fn meet(a: &Domain, b: &Domain) -> Domain {
    if a.contains(b) {
        return b.clone();
    }
    if b.contains(a) {
        return a.clone();
    }
    a.clone().and(b.clone())
}

/// A domain that contains both: of what each demands, that which the other proves.
fn join(a: &Domain, b: &Domain) -> Domain {
    if a.contains(b) {
        return a.clone();
    }
    if b.contains(a) {
        return b.clone();
    }
    let parts = |d: &Domain| match d {
        Domain::All(parts) => parts.clone(),
        one => vec![one.clone()],
    };
    let proven =
        |of: &Domain, by: &Domain| parts(of).into_iter().filter(|p| p.contains(by)).collect();
    let (left, right): (Vec<Domain>, Vec<Domain>) = (proven(a, b), proven(b, a));
    left.iter()
        .chain(&right)
        .fold(Domain::everywhere(), |all, p| meet(&all, p))
}

/// What of a domain over a value of shape `from` can be said where its axis `i` is axis `to(i)`. The
/// numbers of an example are known only where its axis is.
fn moved(d: &Domain, from: &[Dim], to: &dyn Fn(usize) -> Option<usize>) -> Domain {
    let batch = batch_axis(from).and_then(to);
    d.widened(&|c| match c {
        Coord::Axis(i) => to(i).map(Coord::Axis),
        Coord::Of(_) => batch.map(|_| c),
    })
}

/// The one axis that counts examples.
fn batch_axis(shape: &[Dim]) -> Option<usize> {
    let mut all = (0..shape.len()).filter(|i| shape[*i] == Func::batch());
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

/// The domain of a mask in the coordinates of [`Support`]; wider where they cannot say it.
pub fn of_mask(func: &Func, op: &Op, domain: &Domain, batch: Option<usize>) -> Domain {
    let known = batch.is_some() && batch == batch_axis(func.shape(op.args[0]));
    domain.widened(&|c| match c {
        Coord::Axis(_) => Some(c),
        Coord::Of(k) => known.then(|| Coord::Of(op.args[1 + k].0 as usize)),
    })
}

/// Where axis `i` of a value is once `axes` (ascending) are reduced away.
fn after_reduce(axes: &[usize], i: usize) -> Option<usize> {
    (!axes.contains(&i)).then(|| i - axes.iter().filter(|a| **a < i).count())
}

/// Where axis `i` of what is left was before `axes` (ascending) were reduced away.
fn before_reduce(axes: &[usize], i: usize) -> usize {
    axes.iter().fold(i, |at, a| at + usize::from(*a <= at))
}
