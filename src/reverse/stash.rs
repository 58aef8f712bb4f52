//! What the forward loop keeps for the backward one: save or compute again.
//!
//! In: a forward value that a rule inside a backward body reads. Out: a value of that body: read from
//! outside, sliced from a sequence that exists, computed again where [`Keep`] says so, or sliced
//! from a new stack of the forward scan (`stash.f`). What is computed again has the same bits.

use std::collections::{BTreeSet, HashMap};

use super::Forward;
use crate::ir::build::{Build, scan_lists};
use crate::ir::*;

/// What a forward loop keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All that its backward loop reads, but for what costs less to repeat than to save.
    #[default]
    Auto,
    /// All that its backward loop reads; constants and repetition aside.
    Everything,
    /// Its states, its random draws, and what it gives to others. A step's other values are computed
    /// again from these.
    States,
}

/// Serves the forward values of one scan to its backward body.
pub struct Stash {
    /// The forward scan's op, to which stacks are added.
    op: OpId,
    keep: Keep,
    /// The forward body.
    ops: Vec<OpId>,
    /// For its values: the place of the op that makes them.
    made_by: HashMap<ValueId, usize>,
    known: HashMap<ValueId, ValueId>,
    /// Slices to be listed by the backward scan.
    pub slices: Vec<Slice>,
    /// The backward scan's `valid`, made when first needed.
    pub valid: Option<ValueId>,
}

impl Stash {
    pub fn new(func: &Func, op: OpId, scan: &Scan, keep: Keep) -> Stash {
        let mut made_by = HashMap::new();
        for (place, id) in scan.body.ops.iter().enumerate() {
            for r in &func.op(*id).results {
                made_by.insert(*r, place);
            }
        }
        Stash {
            op,
            keep,
            ops: scan.body.ops.clone(),
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
        if !carried && !self.made_by.contains_key(&v) {
            return v;
        }
        if self.again(b.func, v).is_some() {
            return self.made_again(b, v);
        }
        let stack = self.stack(b, v);
        self.slice(b, stack, &name)
    }

    /// The place of the op that computes `v` again in the backward body, where that is how it gets there.
    fn again(&self, func: &Func, v: ValueId) -> Option<usize> {
        let place = *self.made_by.get(&v)?;
        let op = func.op(self.ops[place]);
        let again = match self.keep {
            Keep::Auto => nearly_free(func, op),
            Keep::Everything => repeats(&op.kind),
            Keep::States => {
                let scan = self.forward_scan(func);
                let state = scan.carries.iter().any(|c| c.next == v);
                let given = scan.stacks.iter().any(|s| s.from == v);
                let drawn = matches!(op.kind, OpKind::Random { .. } | OpKind::Scan(_));
                repeats(&op.kind) || !state && !given && !drawn
            }
        };
        again.then_some(place)
    }

    /// Computes `v` in the backward body, after all that it is made of and that is computed again too.
    fn made_again(&mut self, b: &mut Build<'_>, v: ValueId) -> ValueId {
        let mut places = BTreeSet::new();
        let mut open = vec![v];
        while let Some(v) = open.pop() {
            if self.known.contains_key(&v) {
                continue;
            }
            if let Some(place) = self.again(b.func, v)
                && places.insert(place)
            {
                open.extend(&b.func.op(self.ops[place]).args);
            }
        }
        for place in places {
            let op = b.func.op(self.ops[place]).clone();
            let names: Vec<String> = (op.results.iter())
                .map(|r| b.func.value(*r).name.clone())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let args: Vec<ValueId> = op.args.iter().map(|a| self.value(b, *a)).collect();
            let results = b.emit_all(op.kind, &args, &names);
            self.known.extend(op.results.into_iter().zip(results));
        }
        self.known[&v]
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

    fn keep(&self) -> Keep {
        self.keep
    }
}

/// Ops that compute nothing.
fn repeats(kind: &OpKind) -> bool {
    matches!(kind, OpKind::Const(_) | OpKind::Expand { .. })
}

/// Ops that cost less to repeat than to save: constants, repetition, a sign, a number added.
fn nearly_free(func: &Func, op: &Op) -> bool {
    match &op.kind {
        OpKind::Unary(Unary::Neg) => true,
        OpKind::Binary(Binary::Add | Binary::Sub) => {
            op.args.iter().any(|a| func.shape(*a).is_empty())
        }
        kind => repeats(kind),
    }
}
