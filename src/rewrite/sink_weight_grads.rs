//! Weight gradients leave the backward loop: one product over all steps instead of a sum of products.
//!
//! In a backward scan, `dU' = dU + dzᵀ·h` needs every step's `dz` and `h` but not `dU`: both are kept
//! as sequences (padded steps are exactly 0 there) and `dU` is one product over time and batch. The
//! same for sums over the batch (the gradients of biases and gains), and for what the body reads of each
//! example: the gradient of `enc` in `context = α·enc` is `Σₜ αₜ dcontextₜᵀ`, one product an example with
//! time as what is summed, instead of a sum of outer products the size of `enc` at every step.
//!
//! A vector's gradient over several axes of an example, as of `v` in `v·tanh(q + k[s])`, is summed over
//! the others in the loop, where its operands are at hand, and over time and batch after it. So no step
//! mixes examples.

use std::collections::{HashMap, HashSet};

use super::Pass;
use super::edit::{self, Map};
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "sink-weight-grads",
    why: "computes a weight's gradient for all steps at once, after the loop",
    run,
};

fn run(func: &mut Func) {
    let mut ops = Vec::new();
    for id in func.body.ops.clone() {
        ops.push(id);
        if matches!(func.op(id).kind, OpKind::Scan(_)) {
            let after = scan(func, id);
            let parts = stacked_parts(func, id);
            ops.extend(parts);
            ops.extend(after);
        }
    }
    func.body.ops = ops;
    super::dce::run(func);
}

/// The ops to run after the scan.
fn scan(func: &mut Func, id: OpId) -> Vec<OpId> {
    let s = edit::scan(func, id).clone();
    let mut makers: HashMap<ValueId, OpId> = s
        .body
        .ops
        .iter()
        .flat_map(|o| func.op(*o).results.iter().map(|r| (*r, *o)))
        .collect();
    let readers = edit::readers(func);
    let local = edit::local(func, &s);
    let mut after = Vec::new();
    let mut map = Map::new();
    for c in &s.carries {
        // next = param + share, and the sum so far is read by nothing else.
        let Some(add) = makers.get(&c.next).map(|m| func.op(*m).clone()) else {
            continue;
        };
        let batched = func.shape(c.param).first() == Some(&Func::batch());
        let is_sum = matches!(add.kind, OpKind::Binary(Binary::Add)) && add.args.contains(&c.param);
        if !is_sum || readers.get(&c.param) != Some(&1) {
            continue;
        }
        let share = if add.args[0] == c.param {
            add.args[1]
        } else {
            add.args[0]
        };
        let within = Within {
            func,
            makers: &makers,
            local: &local,
            scan: &s,
            held: batched && s.len.is_some(),
        };
        let Some(terms) = within.terms(share) else {
            continue;
        };
        let mut total = c.init;
        for term in terms {
            let maker = match term {
                Term::Whole(v) => makers[&v],
                Term::Of { value, each } => {
                    let (part, rest) = partial(func, id, makers[&value], each);
                    makers.insert(func.op(part).results[0], part);
                    makers.extend(func.op(rest).results.iter().map(|r| (*r, rest)));
                    rest
                }
            };
            let op = func.op(maker).clone();
            let sequences: Vec<ValueId> = op
                .args
                .iter()
                .map(|a| sequence(func, id, &makers, *a))
                .collect();
            let kind = over_time(&op.kind);
            let name = func.value(c.param).name.clone();
            let (op_id, sum) = edit::make(
                func,
                kind,
                &sequences,
                &[&name],
                op.spans.clone(),
                PASS.name,
            );
            after.push(op_id);
            let plus = OpKind::Binary(Binary::Add);
            let (op_id, sum) =
                edit::make(func, plus, &[total, sum[0]], &[&name], op.spans, PASS.name);
            after.push(op_id);
            total = sum[0];
        }
        map.insert(c.last, total);
        edit::scan_mut(func, id)
            .carries
            .retain(|k| k.param != c.param);
    }
    edit::refresh(func.op_mut(id));
    edit::replace(func, &map);
    after
}

/// The body of a backward scan, seen from one of its sums.
struct Within<'a> {
    func: &'a Func,
    makers: &'a HashMap<ValueId, OpId>,
    local: &'a HashSet<ValueId>,
    scan: &'a Scan,
    /// The sum holds at padded steps, so that what is added there is not zero by itself.
    held: bool,
}

/// An addend of a share.
enum Term {
    /// The op that makes it, over time as well.
    Whole(ValueId),
    /// In the loop only what `each` sums for every example; then over time and batch.
    Of { value: ValueId, each: OpKind },
}

impl Within<'_> {
    /// The addends of a share, where every one is better summed over time as well.
    fn terms(&self, share: ValueId) -> Option<Vec<Term>> {
        let op = self.func.op(*self.makers.get(&share)?);
        let one = match &op.kind {
            OpKind::Binary(Binary::Add) => {
                let mut all = self.terms(op.args[0])?;
                all.extend(self.terms(op.args[1])?);
                return Some(all);
            }
            OpKind::Contract { lhs, rhs, out } => {
                let labels = (&lhs[..], &rhs[..], &out[..]);
                match self.of_weight(op, labels) || self.of_example(op, labels) {
                    true => Term::Whole(share),
                    false => self.of_each(share, op, labels)?,
                }
            }
            OpKind::Reduce {
                op: ReduceOp::Sum,
                axes,
                masked: false,
            } if !self.held => {
                let batch = self.batch(op.args[0]).filter(|b| axes.contains(b))?;
                let others: Vec<usize> = axes.iter().copied().filter(|a| *a != batch).collect();
                let first = (0..batch).all(|a| others.contains(&a));
                match others.is_empty() {
                    true if batch == 0 => Term::Whole(share),
                    false if first => Term::Of {
                        value: share,
                        each: OpKind::Reduce {
                            op: ReduceOp::Sum,
                            axes: others,
                            masked: false,
                        },
                    },
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(vec![one])
    }

    fn batch(&self, v: ValueId) -> Option<usize> {
        let shape = self.func.shape(v);
        shape.iter().position(|d| *d == Func::batch())
    }

    fn batched(&self, v: ValueId) -> bool {
        self.batch(v) == Some(0)
    }

    /// Both operands vary with the example, which is summed over, and either their sequences are kept
    /// anyway or they make a matrix product.
    fn of_weight(&self, op: &Op, (lhs, rhs, out): (&[u8], &[u8], &[u8])) -> bool {
        let batch = |i: usize| self.batch(op.args[i]);
        let (Some(l), Some(r)) = (batch(0), batch(1)) else {
            return false;
        };
        let alone =
            |of: &[u8], other: &[u8]| of.iter().any(|a| out.contains(a) && !other.contains(a));
        let product = alone(lhs, rhs) && alone(rhs, lhs);
        let small = lhs.len() <= 2 && rhs.len() <= 2 && l == 0 && r == 0;
        let vary = op.args.iter().all(|a| self.local.contains(a));
        let summed = lhs[l] == rhs[r] && !out.contains(&lhs[l]);
        !self.held && summed && (small || (product && vary))
    }

    /// The same where neither holds: summed for each example.
    fn of_each(
        &self,
        value: ValueId,
        op: &Op,
        (lhs, rhs, out): (&[u8], &[u8], &[u8]),
    ) -> Option<Term> {
        let (l, r) = (self.batch(op.args[0])?, self.batch(op.args[1])?);
        let summed = lhs[l] == rhs[r] && !out.contains(&lhs[l]);
        let each = OpKind::Contract {
            lhs: lhs.to_vec(),
            rhs: rhs.to_vec(),
            out: [&[lhs[l]], out].concat(),
        };
        (!self.held && summed).then_some(Term::Of { value, each })
    }

    /// Both operands vary with the step, are less than what they add up to, and with time to sum over
    /// they make a matrix product.
    fn of_example(&self, op: &Op, (lhs, rhs, out): (&[u8], &[u8], &[u8])) -> bool {
        let alone = |of: &[u8], other: &[u8]| {
            of.iter().any(|l| out.contains(l) && !other.contains(l)) && of.len() < out.len()
        };
        let vary = op.args.iter().all(|a| self.local.contains(a));
        // A stack of what the body makes for each example is zero at padded steps; so is the product.
        let zero = |v: &ValueId| {
            let carried = self.scan.carries.iter().any(|c| c.next == *v);
            self.batched(*v) && self.makers.contains_key(v) && !carried
        };
        let zeroed = !self.held || op.args.iter().any(zero);
        vary && zeroed && alone(lhs, rhs) && alone(rhs, lhs)
    }
}

/// Puts `each` before the op that sums it over the batch too, which becomes a sum of its result.
fn partial(func: &mut Func, id: OpId, whole: OpId, each: OpKind) -> (OpId, OpId) {
    let op = func.op(whole).clone();
    let name = func.value(op.results[0]).name.clone();
    let (part, value) = edit::make(func, each, &op.args, &[&name], op.spans.clone(), PASS.name);
    let sum = OpKind::Reduce {
        op: ReduceOp::Sum,
        axes: vec![0],
        masked: false,
    };
    let rest = func.op_mut(whole);
    (rest.kind, rest.args) = (sum, value);
    let ops = &mut edit::scan_mut(func, id).body.ops;
    if let Some(at) = ops.iter().position(|o| *o == whole) {
        ops.insert(at, part);
    }
    (part, whole)
}

/// The same sum over time too: the sequences have time as their first axis.
fn over_time(kind: &OpKind) -> OpKind {
    match kind {
        OpKind::Contract { lhs, rhs, out } => {
            let time = edit::free_label(&[lhs, rhs, out]);
            OpKind::Contract {
                lhs: [&[time], &lhs[..]].concat(),
                rhs: [&[time], &rhs[..]].concat(),
                out: out.clone(),
            }
        }
        OpKind::Reduce { op, axes, masked } => OpKind::Reduce {
            op: *op,
            axes: std::iter::once(0)
                .chain(axes.iter().map(|a| a + 1))
                .collect(),
            masked: *masked,
        },
        _ => unreachable!("only products and sums are terms"),
    }
}

/// The value of every step: the sequence it was sliced from, or a stack. Zeroing padded steps is
/// what a stack does by itself, so a mask around the value is left out.
fn sequence(func: &mut Func, id: OpId, makers: &HashMap<ValueId, OpId>, step: ValueId) -> ValueId {
    let step = unmasked(func, id, makers, step);
    let s = edit::scan(func, id);
    if let Some(k) = s.slices.iter().find(|k| k.to == step) {
        return k.from;
    }
    if let Some(k) = s.stacks.iter().find(|k| k.from == step) {
        return k.to;
    }
    let shape = std::iter::once(&s.extent)
        .chain(func.shape(step))
        .cloned()
        .collect();
    let name = func.value(step).name.clone();
    let to = func.fresh(&name, Type::f32(shape));
    edit::scan_mut(func, id)
        .stacks
        .push(Stack { from: step, to });
    edit::refresh(func.op_mut(id));
    to
}

fn unmasked(func: &Func, id: OpId, makers: &HashMap<ValueId, OpId>, step: ValueId) -> ValueId {
    let s = edit::scan(func, id);
    let Some(op) = makers.get(&step).map(|m| func.op(*m)) else {
        return step;
    };
    if !matches!(op.kind, OpKind::Select) {
        return step;
    }
    let maker = |v: ValueId| makers.get(&v).map(|m| func.op(*m));
    let by_valid = maker(op.args[0])
        .is_some_and(|m| matches!(m.kind, OpKind::Expand { .. }) && Some(m.args[0]) == s.valid);
    let else_zero = maker(op.args[2]).is_some_and(|m| matches!(m.kind, OpKind::Const(0.0)));
    let x = op.args[1];
    // A carry's stack holds at padded steps, and a slice is what its sequence says there.
    let stacked_as_zero = makers.contains_key(&x) && !s.carries.iter().any(|c| c.next == x);
    if by_valid && else_zero && stacked_as_zero {
        x
    } else {
        step
    }
}

/// A stack of a part of something stacked whole is a part of the whole's stack.
fn stacked_parts(func: &mut Func, id: OpId) -> Vec<OpId> {
    let s = edit::scan(func, id).clone();
    let mut out = Vec::new();
    let mut map = Map::new();
    for whole in &s.stacks {
        let maker = s
            .body
            .ops
            .iter()
            .find(|o| func.op(**o).results.contains(&whole.from));
        let Some(op) = maker.map(|o| func.op(*o).clone()) else {
            continue;
        };
        let OpKind::Concat { axis } = op.kind else {
            continue;
        };
        let stacked = |p: &ValueId| s.stacks.iter().find(|k| k.from == *p && k.to != whole.to);
        let carried = |p: &ValueId| s.carries.iter().any(|c| c.param == *p || c.next == *p);
        if !op.args.iter().any(|p| stacked(p).is_some() && !carried(p)) {
            continue;
        }
        let sizes = op
            .args
            .iter()
            .map(|p| func.shape(*p)[axis].clone())
            .collect();
        let names: Vec<String> = op
            .args
            .iter()
            .map(|p| func.value(*p).name.clone())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let kind = OpKind::Split {
            axis: axis + 1,
            sizes,
        };
        let (cut, parts) = edit::make(func, kind, &[whole.to], &names, op.spans.clone(), PASS.name);
        out.push(cut);
        for (p, part) in op.args.iter().zip(parts) {
            if let Some(k) = stacked(p).filter(|_| !carried(p)) {
                map.insert(k.to, part);
            }
        }
    }
    let gone: Vec<ValueId> = map.keys().copied().collect();
    edit::scan_mut(func, id)
        .stacks
        .retain(|k| !gone.contains(&k.to));
    edit::refresh(func.op_mut(id));
    edit::replace(func, &map);
    out
}
