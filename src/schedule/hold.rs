//! Makes what a scan with lengths does at padded steps explicit in its body.
//!
//! In: a scan whose body is desugared. Out: the same scan, where
//! - a carry with a batch axis takes `select(valid, next, param)`;
//! - any other stack collects `select(valid, from, 0)`. What else in the body reads `from` reads the
//!   selected value, so that it need not be stored twice: at a padded step everything the body
//!   computes is left out again, by the two rules here and by `valid` where a sum is carried.

use std::collections::BTreeMap;

use super::edit::Editor;
use crate::dim::Dim;
use crate::ir::{Func, OpId, OpKind, Region, Scan, Type, ValueId};

pub fn explicit(ed: &mut Editor, mut scan: Scan, id: OpId) -> Scan {
    let Some(_) = scan.len else {
        return scan;
    };
    let valid = match scan.valid {
        Some(v) => v,
        None => ed.value("valid", Type::f32(vec![Func::batch()])),
    };
    scan.valid = Some(valid);
    let mut body = Body {
        def: definitions(ed, &scan.body),
        valid,
        id,
        masked: BTreeMap::new(),
        start: Vec::new(),
        after: BTreeMap::new(),
    };

    let carried = scan.carries.clone();
    let of_carry = |v: ValueId| carried.iter().any(|c| c.param == v || c.next == v);
    for s in &mut scan.stacks {
        if !of_carry(s.from) {
            s.from = body.zero_padding(ed, s.from);
        }
    }
    let mut ops = std::mem::take(&mut body.start);
    for &op in &scan.body.ops {
        ops.push(op);
        ops.extend(body.after.remove(&op).unwrap_or_default());
    }
    body.rewrite_uses(ed, &ops);

    for c in &mut scan.carries {
        let shape = ed.func.shape(c.param).to_vec();
        if c.next == c.param || shape.first() != Some(&Func::batch()) {
            continue;
        }
        let next = body.masked.get(&c.next).copied().unwrap_or(c.next);
        let real = body.widened(ed, &mut ops, &shape);
        let name = format!("{}.hold", ed.name(c.next));
        let kind = (OpKind::Select, vec![real, next, c.param]);
        let held = ed.push(&mut ops, kind, (&name, shape), id);
        let given = c.next;
        c.next = held;
        for s in &mut scan.stacks {
            if s.from == given {
                s.from = held;
            }
        }
    }
    scan.body = Region { ops };
    scan
}

fn definitions(ed: &Editor, body: &Region) -> BTreeMap<ValueId, OpId> {
    let mut def = BTreeMap::new();
    for &id in &body.ops {
        for &r in &ed.func.op(id).results {
            def.insert(r, id);
        }
    }
    def
}

struct Body {
    def: BTreeMap<ValueId, OpId>,
    valid: ValueId,
    /// The scan's op.
    id: OpId,
    /// Each value that a stack collects, and what stands for it once padding is zero.
    masked: BTreeMap<ValueId, ValueId>,
    /// New ops for values that no op of the body defines.
    start: Vec<OpId>,
    /// New ops by the op they follow.
    after: BTreeMap<OpId, Vec<OpId>>,
}

impl Body {
    fn widened(&self, ed: &mut Editor, to: &mut Vec<OpId>, shape: &[Dim]) -> ValueId {
        let mut axes = vec![None; shape.len()];
        if let Some(first) = axes.first_mut() {
            *first = Some(0);
        }
        ed.expand(to, self.valid, axes, shape.to_vec(), self.id)
    }

    fn zero_padding(&mut self, ed: &mut Editor, v: ValueId) -> ValueId {
        if let Some(&done) = self.masked.get(&v) {
            return done;
        }
        if ed.func.shape(v).first() != Some(&Func::batch()) {
            return v;
        }
        let def = self.def.get(&v).copied();
        if let Some(op) = def
            && matches!(ed.func.op(op).kind, OpKind::Concat { axis } if axis != 0)
        {
            let parts = ed.func.op(op).args.clone();
            let parts = parts.into_iter().map(|p| self.zero_padding(ed, p));
            let parts: Vec<ValueId> = parts.collect();
            // A part may now be defined after the op that joins it only if it was: new ops follow
            // their own definitions, which precede this op.
            ed.func.op_mut(op).args = parts;
            self.masked.insert(v, v);
            return v;
        }
        let shape = ed.func.shape(v).to_vec();
        let mut ops = Vec::new();
        let real = self.widened(ed, &mut ops, &shape);
        let zero = ed.constant(&mut ops, 0.0, self.id);
        let name = format!("{}.real", ed.name(v));
        let out = ed.push(
            &mut ops,
            (OpKind::Select, vec![real, v, zero]),
            (&name, shape),
            def.unwrap_or(self.id),
        );
        match def {
            Some(op) => self.after.entry(op).or_default().extend(ops),
            None => self.start.extend(ops),
        }
        self.masked.insert(v, out);
        out
    }

    /// Lets the body read the selected values, but for the selections themselves.
    fn rewrite_uses(&self, ed: &mut Editor, ops: &[OpId]) {
        let made: Vec<ValueId> = self.masked.values().copied().collect();
        for &id in ops {
            if ed.func.op(id).results.iter().any(|r| made.contains(r))
                && matches!(ed.func.op(id).kind, OpKind::Select)
            {
                continue;
            }
            for i in 0..ed.func.op(id).args.len() {
                let a = ed.func.op(id).args[i];
                // A value from outside the body is stored there already: read as it is.
                if let Some(&to) = self.masked.get(&a)
                    && self.def.contains_key(&a)
                {
                    ed.func.op_mut(id).args[i] = to;
                }
            }
        }
    }
}
