//! A function being brought into the form that is scheduled: new values, ops, and replaced values.
//!
//! In: an [`ir::Func`]. Out: the same with ops added; regions are rebuilt by the passes that use
//! this.

use std::collections::BTreeSet;

use crate::dim::Dim;
use crate::ir::{Binary, Func, Op, OpId, OpKind, Region, Type, Value, ValueId};

pub struct Editor {
    pub func: Func,
    names: BTreeSet<String>,
    /// What each value was replaced by; itself where it was not.
    replaced: Vec<ValueId>,
}

impl Editor {
    pub fn new(func: Func) -> Editor {
        Editor {
            names: func.values.iter().map(|v| v.name.clone()).collect(),
            replaced: (0..func.values.len() as u32).map(ValueId).collect(),
            func,
        }
    }

    /// A value named after `base`: `z.hold`, then `z.hold.1` where that is taken.
    pub fn value(&mut self, base: &str, ty: Type) -> ValueId {
        let mut name = base.to_string();
        let mut n = 0;
        while !self.names.insert(name.clone()) {
            n += 1;
            name = format!("{base}.{n}");
        }
        let id = ValueId(self.func.values.len() as u32);
        self.func.values.push(Value { name, ty });
        self.replaced.push(id);
        id
    }

    /// An op that comes from the same place in the source as `like`.
    pub fn op(
        &mut self,
        kind: OpKind,
        args: Vec<ValueId>,
        result: ValueId,
        like: impl Into<Option<OpId>>,
    ) -> OpId {
        let like = like.into();
        let spans = like.map_or(Vec::new(), |id| self.func.op(id).spans.clone());
        let id = OpId(self.func.ops.len() as u32);
        self.func.ops.push(Op {
            kind,
            args,
            results: vec![result],
            spans,
            by: vec!["schedule"],
        });
        id
    }

    /// A new f32 value of this shape and the op that gives it, appended to `to`.
    pub fn push(
        &mut self,
        to: &mut Vec<OpId>,
        (kind, args): (OpKind, Vec<ValueId>),
        (name, shape): (&str, Vec<Dim>),
        like: OpId,
    ) -> ValueId {
        let v = self.value(name, Type::f32(shape));
        to.push(self.op(kind, args, v, like));
        v
    }

    /// `v` repeated to `shape`; `v` itself where it has that shape already.
    pub fn expand(
        &mut self,
        to: &mut Vec<OpId>,
        v: ValueId,
        axes: Vec<Option<usize>>,
        shape: Vec<Dim>,
        like: OpId,
    ) -> ValueId {
        if axes.iter().enumerate().all(|(i, a)| *a == Some(i)) && axes.len() == self.rank(v) {
            return v;
        }
        let (name, ty) = (self.name(v), self.func.value(v).ty.clone());
        let kind = OpKind::Expand {
            axes,
            shape: shape.clone(),
        };
        let out = self.value(&format!("{name}.wide"), Type { shape, ..ty });
        to.push(self.op(kind, vec![v], out, like));
        out
    }

    pub fn constant(&mut self, to: &mut Vec<OpId>, x: f64, like: OpId) -> ValueId {
        let name = if x == 0.0 { "zero" } else { "const" };
        self.push(to, (OpKind::Const(x), vec![]), (name, vec![]), like)
    }

    pub fn product(
        &mut self,
        to: &mut Vec<OpId>,
        (a, b): (ValueId, ValueId),
        (name, shape): (&str, Vec<Dim>),
        like: OpId,
    ) -> ValueId {
        let kind = OpKind::Binary(Binary::Mul);
        self.push(to, (kind, vec![a, b]), (name, shape), like)
    }

    pub fn name(&self, v: ValueId) -> String {
        self.func.value(v).name.clone()
    }

    fn rank(&self, v: ValueId) -> usize {
        self.func.shape(v).len()
    }

    /// From now on `v` stands for `by` (wherever a pass asks [`Editor::now`]).
    pub fn replace(&mut self, v: ValueId, by: ValueId) {
        self.replaced[v.0 as usize] = by;
    }

    pub fn now(&self, v: ValueId) -> ValueId {
        let mut at = v;
        while self.replaced[at.0 as usize] != at {
            at = self.replaced[at.0 as usize];
        }
        at
    }

    /// Writes what values were replaced by into every op of the regions and into the outputs, and
    /// repeats a scan's values as its args and results.
    pub fn settle(&mut self) {
        for o in 0..self.func.outputs.len() {
            self.func.outputs[o].value = self.now(self.func.outputs[o].value);
        }
        let ops = self.func.body.ops.clone();
        self.settle_region(&ops);
    }

    /// As [`Editor::settle`], for a region that is not yet in its place.
    pub fn settle_all(&mut self, ops: &[OpId]) {
        self.settle_region(ops);
        self.settle();
    }

    /// The map and the operand of the live op that repeats something to give `v`.
    pub fn expand_of(&self, v: ValueId) -> Option<(Vec<Option<usize>>, ValueId)> {
        // Later ops replace earlier ones of the same result.
        let op = self
            .func
            .ops
            .iter()
            .rev()
            .find(|o| o.results.contains(&v))?;
        match &op.kind {
            OpKind::Expand { axes, .. } => Some((axes.clone(), op.args[0])),
            _ => None,
        }
    }

    fn settle_region(&mut self, ops: &[OpId]) {
        for &id in ops {
            let mut op = self.func.op(id).clone();
            for a in &mut op.args {
                *a = self.now(*a);
            }
            if let OpKind::Scan(scan) = &mut op.kind {
                for s in &mut scan.slices {
                    s.from = self.now(s.from);
                }
                for c in &mut scan.carries {
                    c.init = self.now(c.init);
                    c.next = self.now(c.next);
                }
                for s in &mut scan.stacks {
                    s.from = self.now(s.from);
                }
                scan.len = scan.len.map(|v| self.now(v));
                self.settle_region(&scan.body.ops);
                op.args = scan.slices.iter().map(|s| s.from).collect();
                op.args.extend(scan.carries.iter().map(|c| c.init));
                op.args.extend(scan.len);
                op.results = scan.stacks.iter().map(|s| s.to).collect();
                op.results.extend(scan.carries.iter().map(|c| c.last));
            }
            *self.func.op_mut(id) = op;
        }
    }

    /// Drops ops and stacks that nothing uses.
    pub fn drop_unused(&mut self) {
        let mut live = vec![false; self.func.values.len()];
        for o in &self.func.outputs {
            live[o.value.0 as usize] = true;
        }
        let ops = std::mem::take(&mut self.func.body.ops);
        self.func.body.ops = self.live_ops(&ops, &mut live);
    }

    fn live_ops(&mut self, ops: &[OpId], live: &mut [bool]) -> Vec<OpId> {
        let mut kept = Vec::new();
        for &id in ops.iter().rev() {
            let op = self.func.op(id);
            if !op.results.iter().any(|r| live[r.0 as usize]) {
                continue;
            }
            let mut kind = op.kind.clone();
            let args = op.args.clone();
            if let OpKind::Scan(scan) = &mut kind {
                scan.stacks.retain(|s| live[s.to.0 as usize]);
                for s in &scan.stacks {
                    live[s.from.0 as usize] = true;
                }
                for c in &scan.carries {
                    live[c.next.0 as usize] = true;
                }
                let body = self.live_ops(&scan.body.ops, live);
                scan.body = Region { ops: body };
                scan.slices.retain(|s| live[s.to.0 as usize]);
                let outside = scan.slices.iter().map(|s| s.from);
                let outside = outside.chain(scan.carries.iter().map(|c| c.init));
                for v in outside.chain(scan.len) {
                    live[v.0 as usize] = true;
                }
            } else {
                for a in args {
                    live[a.0 as usize] = true;
                }
            }
            self.func.op_mut(id).kind = kind;
            kept.push(id);
        }
        kept.reverse();
        kept
    }
}
