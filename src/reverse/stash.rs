//! What the forward loop keeps for the backward one: save or compute again.
//!
//! In: a forward value that a rule inside a backward body reads. Out: a value of that body: read from
//! outside, sliced from a sequence that exists, computed again where that is nearly free, or sliced
//! from a new stack of the forward scan (`stash.f`).

use std::collections::HashMap;

use super::Forward;
use crate::ir::build::{Build, scan_lists};
use crate::ir::*;

/// Serves the forward values of one scan to its backward body.
pub struct Stash {
    /// The forward scan's op, to which stacks are added.
    op: OpId,
    /// For values of the forward body: the op that makes them.
    made_by: HashMap<ValueId, OpId>,
    known: HashMap<ValueId, ValueId>,
    /// Slices to be listed by the backward scan.
    pub slices: Vec<Slice>,
    /// The backward scan's `valid`, made when first needed.
    pub valid: Option<ValueId>,
}

impl Stash {
    pub fn new(func: &Func, op: OpId, scan: &Scan) -> Stash {
        let mut made_by = HashMap::new();
        for id in &scan.body.ops {
            for r in &func.op(*id).results {
                made_by.insert(*r, *id);
            }
        }
        Stash {
            op,
            made_by,
            known: HashMap::new(),
            slices: Vec::new(),
            valid: None,
        }
    }

    /// A value of the backward body that is step `t` of the sequence `from`.
    pub fn slice(&mut self, b: &mut Build<'_>, from: ValueId, name: &str) -> ValueId {
        if let Some(s) = self.slices.iter().find(|s| s.from == from) {
            return s.to;
        }
        let ty = &b.func.value(from).ty;
        let ty = Type {
            elem: ty.elem,
            shape: ty.shape[1..].to_vec(),
        };
        let to = b.func.fresh(name, ty);
        self.slices.push(Slice { from, to });
        to
    }

    fn forward_scan<'b>(&self, func: &'b Func) -> &'b Scan {
        match &func.op(self.op).kind {
            OpKind::Scan(s) => s,
            _ => unreachable!("the stash belongs to a scan"),
        }
    }

    /// The stack that collects `v` in the forward scan, added where there is none.
    fn stack(&self, b: &mut Build<'_>, v: ValueId) -> ValueId {
        let scan = self.forward_scan(b.func);
        if let Some(s) = scan.stacks.iter().find(|s| s.from == v) {
            return s.to;
        }
        let ty = &b.func.value(v).ty;
        let shape = std::iter::once(&scan.extent)
            .chain(&ty.shape)
            .cloned()
            .collect();
        let name = format!("stash.{}", b.func.value(v).name);
        let to = b.func.fresh(
            &name,
            Type {
                elem: ty.elem,
                shape,
            },
        );
        let op = b.func.op_mut(self.op);
        if let OpKind::Scan(scan) = &mut op.kind {
            scan.stacks.push(Stack { from: v, to });
            (op.args, op.results) = scan_lists(scan);
        }
        to
    }

    fn find(&mut self, b: &mut Build<'_>, v: ValueId) -> ValueId {
        let name = b.func.value(v).name.clone();
        let scan = self.forward_scan(b.func);
        if let Some(s) = scan.slices.iter().find(|s| s.to == v).copied() {
            return self.slice(b, s.from, &name);
        }
        if scan.valid == Some(v) {
            return self.valid(b);
        }
        let carried = scan.carries.iter().any(|c| c.param == v);
        match self.made_by.get(&v) {
            None if !carried => v,
            Some(op) if nearly_free(b.func, *op) => {
                let op = b.func.op(*op).clone();
                let args = op
                    .args
                    .iter()
                    .map(|a| self.value(b, *a))
                    .collect::<Vec<_>>();
                b.emit(op.kind, &args, &name)
            }
            _ => {
                let stack = self.stack(b, v);
                self.slice(b, stack, &name)
            }
        }
    }

    pub fn valid(&mut self, b: &mut Build<'_>) -> ValueId {
        if let Some(v) = self.valid {
            return v;
        }
        let v = b.func.fresh("valid", Type::f32(vec![Func::batch()]));
        self.valid = Some(v);
        v
    }
}

impl Forward for Stash {
    fn value(&mut self, b: &mut Build<'_>, v: ValueId) -> ValueId {
        if let Some(k) = self.known.get(&v) {
            return *k;
        }
        let found = self.find(b, v);
        self.known.insert(v, found);
        found
    }

    fn masked(&mut self, b: &mut Build<'_>, g: ValueId) -> ValueId {
        if self.forward_scan(b.func).len.is_none() {
            return g;
        }
        let valid = self.valid(b);
        let shape = b.func.shape(g).to_vec();
        let axes = (0..shape.len()).map(|i| (i == 0).then_some(0)).collect();
        let valid = b.expand(valid, axes, &shape);
        let zero = b.number(0.0);
        let name = b.func.value(g).name.clone();
        b.select(valid, g, zero, &name)
    }
}

/// Ops that cost less to repeat than to save: constants, repetition, a sign, a number added.
fn nearly_free(func: &Func, op: OpId) -> bool {
    let op = func.op(op);
    match &op.kind {
        OpKind::Const(_) | OpKind::Expand { .. } | OpKind::Unary(Unary::Neg) => true,
        OpKind::Binary(Binary::Add | Binary::Sub) => {
            op.args.iter().any(|a| func.shape(*a).is_empty())
        }
        _ => false,
    }
}
