//! Work that is the same at every step is done once, before the loop.
//!
//! In attention the keys `Ua·enc[s]` depend on neither state nor step. As one value made before the
//! loop they are also differentiated outside it: the backward loop adds up one gradient of the keys,
//! and the products with `Ua` and `enc` follow once.
//!
//! A value that is larger than what it is made from leaves the loop only where that saves real work:
//! repeating, adding or masking is done again at every step for less than reading it back costs.

use std::collections::HashMap;

use super::Pass;
use super::edit;
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "hoist-invariant",
    why: "computes what is the same at every step once, before the loop",
    run,
};

fn run(func: &mut Func) {
    edit::before_scans(func, scan);
    super::dce::run(func);
}

/// The ops to run before the scan.
fn scan(func: &mut Func, id: OpId) -> Vec<OpId> {
    let s = edit::scan(func, id).clone();
    let mut local = edit::local(func, &s);
    let mut moved = Moved {
        before: Vec::new(),
        stay: HashMap::new(),
        copies: HashMap::new(),
    };
    let mut kept = Vec::new();
    for op_id in s.body.ops {
        let op = func.op(op_id);
        let outside = |a: &ValueId| !local.contains(a) || moved.stay.contains_key(a);
        let fixed = op.args.iter().all(outside) && !varies(&op.kind);
        if fixed && worth(func, op, &moved.stay) {
            for r in &op.results {
                local.remove(r);
            }
            moved.take(func, op_id);
            continue;
        }
        if fixed {
            moved.stay.extend(op.results.iter().map(|r| (*r, op_id)));
        }
        kept.push(op_id);
    }
    edit::scan_mut(func, id).body.ops = kept;
    moved.before
}

/// Whether the op gives something else at every step though its operands do not change.
fn varies(kind: &OpKind) -> bool {
    matches!(kind, OpKind::Random { .. } | OpKind::Scan(_))
}

/// Whether the op does more than the memory for its result costs.
fn worth(func: &Func, op: &Op, stay: &HashMap<ValueId, OpId>) -> bool {
    // A value of this size is in memory already, and may be needed no more.
    let in_place = || {
        let shape = func.shape(op.results[0]);
        let of = |a: &ValueId| func.shape(*a) == shape && !stay.contains_key(a);
        op.args.iter().any(of)
    };
    match &op.kind {
        OpKind::Const(_) | OpKind::Expand { .. } | OpKind::Iota { .. } => false,
        OpKind::Contract { lhs, out, .. } => lhs.iter().any(|l| !out.contains(l)) || in_place(),
        OpKind::Unary(u) => match u {
            Unary::Neg | Unary::Abs | Unary::Sign | Unary::Step | Unary::Stop => in_place(),
            Unary::Exp
            | Unary::Log
            | Unary::Sqrt
            | Unary::Tanh
            | Unary::Sigmoid
            | Unary::Sin
            | Unary::Cos
            | Unary::Erf
            | Unary::Bf16 => true,
        },
        OpKind::Binary(Binary::Pow) => true,
        OpKind::Binary(_)
        | OpKind::Select
        | OpKind::Mask { .. }
        | OpKind::Shift { .. }
        | OpKind::ToFloat => in_place(),
        OpKind::Reduce { .. }
        | OpKind::Softmax
        | OpKind::Top { .. }
        | OpKind::CrossEntropy
        | OpKind::CrossEntropyGrad
        | OpKind::Gather
        | OpKind::ScatterAdd { .. }
        | OpKind::Split { .. }
        | OpKind::Concat { .. }
        | OpKind::Take(_)
        | OpKind::Put { .. } => true,
        OpKind::Random { .. } | OpKind::Scan(_) => false,
    }
}

struct Moved {
    before: Vec<OpId>,
    /// Values that stay in the body though they could leave it, and what makes them.
    stay: HashMap<ValueId, OpId>,
    /// The same made before the loop as well, for what left it.
    copies: HashMap<ValueId, ValueId>,
}

impl Moved {
    fn take(&mut self, func: &mut Func, id: OpId) {
        for i in 0..func.op(id).args.len() {
            let a = func.op(id).args[i];
            func.op_mut(id).args[i] = self.outside(func, a);
        }
        edit::mark(func, id, PASS.name);
        self.before.push(id);
    }

    fn outside(&mut self, func: &mut Func, v: ValueId) -> ValueId {
        let Some(maker) = self.stay.get(&v) else {
            return v;
        };
        if let Some(copy) = self.copies.get(&v) {
            return *copy;
        }
        let op = func.op(*maker).clone();
        let args: Vec<ValueId> = op.args.iter().map(|a| self.outside(func, *a)).collect();
        let names: Vec<String> = op
            .results
            .iter()
            .map(|r| func.value(*r).name.clone())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (id, results) = edit::make(func, op.kind, &args, &names, op.spans, PASS.name);
        self.before.push(id);
        self.copies.extend(op.results.iter().copied().zip(results));
        self.copies[&v]
    }
}
