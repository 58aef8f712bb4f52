//! Where values are exactly zero.
//!
//! In: a value and a domain over its axes and its examples' numbers. Out: whether the value is 0 at
//! every point outside the domain, as the ops that make it show: a mask, a softmax of what a mask sent
//! to −∞, and whatever keeps zeros. Factors are taken to be finite.

use std::collections::HashMap;

use super::edit;
use crate::domain::{Coord, Domain};
use crate::ir::*;

pub struct Zeros<'a> {
    func: &'a Func,
    makers: &'a HashMap<ValueId, OpId>,
    /// Steps of sequences, and the sequences.
    slices: HashMap<ValueId, ValueId>,
}

/// A domain as a mask of a value states it.
#[derive(Clone)]
pub struct Outside<'a> {
    pub domain: Domain,
    /// The numbers of each example.
    pub of: &'a [ValueId],
    pub batch: Option<usize>,
}

/// Products of products: what a step does, never a whole model.
const DEPTH: usize = 12;

impl<'a> Zeros<'a> {
    pub fn new(func: &'a Func, makers: &'a HashMap<ValueId, OpId>) -> Zeros<'a> {
        let mut slices = HashMap::new();
        for (id, _) in edit::live_ops(func) {
            if let OpKind::Scan(s) = &func.op(id).kind {
                slices.extend(s.slices.iter().map(|k| (k.to, k.from)));
            }
        }
        Zeros {
            func,
            makers,
            slices,
        }
    }

    pub fn outside(&self, v: ValueId, d: &Outside<'_>) -> bool {
        self.zero(v, d, DEPTH)
    }

    fn zero(&self, v: ValueId, d: &Outside<'_>, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        let Some(op) = self.makers.get(&v).map(|m| self.func.op(*m)) else {
            // A step of what a loop collected is that loop's value, or zero where the step is padded.
            let from = self.slices.get(&v).and_then(|seq| self.collected(*seq));
            return from.is_some_and(|from| self.zero(from, d, depth));
        };
        let zero = |i: usize| {
            let same = self.func.shape(op.args[i]) == self.func.shape(v);
            same && self.zero(op.args[i], d, depth)
        };
        match &op.kind {
            OpKind::Const(x) => *x == 0.0,
            OpKind::Mask { fill: 0.0, .. } => self.masked(op, 0.0, d) || zero(0),
            OpKind::Softmax => {
                let scores = self.makers.get(&op.args[0]).map(|m| self.func.op(*m));
                scores.is_some_and(|s| self.masked(s, f64::NEG_INFINITY, d))
            }
            OpKind::Unary(u) => match u {
                Unary::Neg
                | Unary::Sqrt
                | Unary::Abs
                | Unary::Sign
                | Unary::Tanh
                | Unary::Sin
                | Unary::Step
                | Unary::Erf
                | Unary::Stop => zero(0),
                Unary::Exp | Unary::Log | Unary::Sigmoid | Unary::Cos => false,
            },
            OpKind::Binary(Binary::Mul) => zero(0) || zero(1),
            OpKind::Binary(Binary::Div) => zero(0),
            OpKind::Binary(Binary::Add | Binary::Sub | Binary::Max | Binary::Min) => {
                zero(0) && zero(1)
            }
            OpKind::Select => {
                let branch = |i: usize| zero(i) || self.is_zero(op.args[i]);
                branch(1) && branch(2)
            }
            OpKind::Expand { axes, .. } => {
                let place = |c: Coord| match c {
                    Coord::Axis(i) => axes.get(i).copied().flatten().map(Coord::Axis),
                    Coord::Of(_) => Some(c),
                };
                let batch = d.batch.and_then(|b| axes.get(b).copied().flatten());
                let numbered = d.of.is_empty() || batch.is_some();
                let inner = d.domain.map(&place).filter(|_| numbered);
                inner.is_some_and(|domain| {
                    let inner = Outside {
                        domain,
                        batch,
                        of: d.of,
                    };
                    self.zero(op.args[0], &inner, depth)
                })
            }
            _ => false,
        }
    }

    /// Whether the op is a mask that puts `fill` everywhere outside the domain.
    fn masked(&self, op: &Op, fill: f64, d: &Outside<'_>) -> bool {
        let OpKind::Mask {
            domain,
            fill: with,
            batch,
        } = &op.kind
        else {
            return false;
        };
        let numbers = op.args[1..] == *d.of && (d.of.is_empty() || *batch == d.batch);
        *with == fill && numbers && d.domain.contains(domain)
    }

    fn is_zero(&self, v: ValueId) -> bool {
        let op = self.makers.get(&v).map(|m| self.func.op(*m));
        op.is_some_and(|op| matches!(op.kind, OpKind::Const(0.0)))
    }

    /// The value of a body that the sequence collects, where it is no carry.
    fn collected(&self, seq: ValueId) -> Option<ValueId> {
        let OpKind::Scan(s) = &self.func.op(*self.makers.get(&seq)?).kind else {
            return None;
        };
        let stack = s.stacks.iter().find(|k| k.to == seq)?;
        let carried = |c: &Carry| c.param == stack.from || c.next == stack.from;
        (!s.carries.iter().any(carried)).then_some(stack.from)
    }
}
