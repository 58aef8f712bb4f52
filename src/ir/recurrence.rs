//! Which carried values of a loop are linear recurrences: `h' = a·h + b`.
//!
//! In: a scan. Out: the carries whose next value is a sum of terms that each hold at most one of these
//! carries, as a factor, with no path from any carry of the loop to another factor or to a condition.
//! Such a loop is a composition of affine maps, which is associative: its steps need not be run in
//! order (Blelloch, *Prefix sums and their applications*, 1990; Martin and Cundy, *Parallelizing linear
//! recurrent neural nets over sequence length*, 2018). `a` may act on each element or be a product.

use std::collections::HashMap;

use super::op::*;

/// How a value of the body depends on the state before the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum On {
    /// Not at all.
    Free,
    /// As a sum of a free value and products of free values with the linear carries.
    Linear,
    Otherwise,
}

/// Indices of the carries that are linear together, ascending.
pub fn linear(func: &Func, scan: &Scan) -> Vec<usize> {
    let mut taken: Vec<bool> = vec![true; scan.carries.len()];
    // A carry that turns out not to be linear may have made others seem so.
    loop {
        let mut on: HashMap<ValueId, On> = HashMap::new();
        for (c, taken) in scan.carries.iter().zip(&taken) {
            let start = if *taken { On::Linear } else { On::Otherwise };
            on.insert(c.param, start);
        }
        for id in &scan.body.ops {
            let op = func.op(*id);
            let is = of(op, &on);
            if is != On::Free {
                on.extend(op.results.iter().map(|r| (*r, is)));
            }
        }
        let before = taken.clone();
        for (c, taken) in scan.carries.iter().zip(&mut taken) {
            *taken &= on.get(&c.next) != Some(&On::Otherwise);
        }
        if taken == before {
            return (0..taken.len()).filter(|i| taken[*i]).collect();
        }
    }
}

fn of(op: &Op, on: &HashMap<ValueId, On>) -> On {
    let arg = |i: usize| on.get(&op.args[i]).copied().unwrap_or(On::Free);
    let most = (0..op.args.len()).map(arg).max().unwrap_or(On::Free);
    // Linear in the first operand for whatever is fixed in the others.
    let in_first = || match (1..op.args.len()).all(|i| arg(i) == On::Free) {
        true => arg(0),
        false => On::Otherwise,
    };
    match &op.kind {
        // What a scan inside reads of the state is not listed among its operands.
        OpKind::Scan(_) => On::Otherwise,
        _ if most == On::Free => On::Free,
        OpKind::Unary(Unary::Neg | Unary::Stop)
        | OpKind::Binary(Binary::Add | Binary::Sub)
        | OpKind::Expand { .. }
        | OpKind::Split { .. }
        | OpKind::Concat { .. }
        | OpKind::Shift { .. } => most,
        OpKind::Binary(Binary::Mul) | OpKind::Contract { .. } => match (arg(0), arg(1)) {
            (On::Free, other) | (other, On::Free) => other,
            _ => On::Otherwise,
        },
        OpKind::Binary(Binary::Div)
        | OpKind::Reduce {
            op: ReduceOp::Sum, ..
        }
        | OpKind::Gather
        | OpKind::ScatterAdd { .. }
        | OpKind::Take(_)
        | OpKind::Put { .. } => in_first(),
        OpKind::Mask { fill, .. } if fill.is_finite() => in_first(),
        OpKind::Select if arg(0) == On::Free => most,
        OpKind::Const(_)
        | OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Select
        | OpKind::Mask { .. }
        | OpKind::Reduce { .. }
        | OpKind::Softmax
        | OpKind::Top { .. }
        | OpKind::Iota { .. }
        | OpKind::CrossEntropy
        | OpKind::CrossEntropyGrad
        | OpKind::ToFloat
        | OpKind::Random { .. } => On::Otherwise,
    }
}
