//! How far rounding alone may move a result: the yardstick where a relative bound says nothing.
//!
//! In: a function and data. Out: for each output, about the distance that rounding every operation to
//! f32 causes. A gradient whose terms cancel is small beside them, and no compiler can give more digits
//! of it than the terms had. So every result of the function is moved by a random relative amount of one
//! unit of f32 (Monte Carlo arithmetic, Parker 1997) and the effect on the outputs measured.

use seqc::dim::Dim;
use seqc::ir::build::Build;
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::*;

use super::machine::Data;

/// Half the distance of neighbouring numbers of f32 around 1.
const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
/// The unit of f64 beside that of f32.
pub const OF_F64: f64 = 1.0 / (1u64 << 29) as f64;

/// ‖moved − exact‖₂ of every output; the larger of two tries.
pub fn rounding(func: &Func, data: &Data, exact: &[Tensor]) -> Result<Vec<f64>, String> {
    let mut worst = vec![0.0f64; exact.len()];
    for try_ in ["a", "b"] {
        let moved = moved(func, try_);
        let draw = Draw { seed: 1, step: 3 };
        let got = run(&moved, &data.sizes, &data.inputs, &data.params, draw)?;
        for (w, (a, b)) in worst.iter_mut().zip(got.iter().zip(exact)) {
            let squares = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).powi(2));
            let d = squares.filter(|d| d.is_finite()).sum::<f64>().sqrt();
            *w = w.max(d);
        }
    }
    Ok(worst)
}

/// Whether an op computes, and so rounds.
fn rounds(kind: &OpKind) -> bool {
    match kind {
        OpKind::Unary(u) => !matches!(
            u,
            Unary::Neg | Unary::Abs | Unary::Sign | Unary::Step | Unary::Stop
        ),
        OpKind::Binary(b) => matches!(
            b,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow
        ),
        OpKind::Contract { .. }
        | OpKind::Softmax
        | OpKind::CrossEntropy
        | OpKind::CrossEntropyGrad
        | OpKind::ScatterAdd { .. } => true,
        OpKind::Reduce { op, .. } => *op == ReduceOp::Sum,
        OpKind::Const(_)
        | OpKind::Select
        | OpKind::Expand { .. }
        | OpKind::Top { .. }
        | OpKind::Iota { .. }
        | OpKind::Gather
        | OpKind::Split { .. }
        | OpKind::Concat { .. }
        | OpKind::Take(_)
        | OpKind::Put { .. }
        | OpKind::Mask { .. }
        | OpKind::Shift { .. }
        | OpKind::ToFloat
        | OpKind::Random { .. }
        | OpKind::Scan(_) => false,
    }
}

/// The function with every result moved by about what rounding it to f32 does; its values keep their
/// numbers. Each `try_` moves them otherwise.
pub fn moved(func: &Func, try_: &str) -> Func {
    let mut out = func.clone();
    let body = std::mem::take(&mut out.body.ops);
    out.body.ops = region(&mut out, body, try_);
    out
}

fn region(func: &mut Func, ops: Vec<OpId>, try_: &str) -> Vec<OpId> {
    let mut all = Vec::new();
    for id in ops {
        all.push(id);
        if let OpKind::Scan(scan) = func.op(id).kind.clone() {
            let mut scan = scan;
            scan.body.ops = region(func, scan.body.ops, try_);
            func.op_mut(id).kind = OpKind::Scan(scan);
            continue;
        }
        if rounds(&func.op(id).kind) {
            all.extend(after(func, id, try_));
        }
    }
    all
}

/// The ops that move the only result of this one; its old name is the moved value's.
fn after(func: &mut Func, id: OpId, try_: &str) -> Vec<OpId> {
    let [v] = func.op(id).results[..] else {
        return Vec::new();
    };
    let (kind, args) = (func.op(id).kind.clone(), func.op(id).args.clone());
    let ty = func.value(v).ty.clone();
    let exact = func.fresh("exact", ty.clone());
    func.op_mut(id).results = vec![exact];
    let mut b = Build::new(func);
    let number = ty.shape.is_empty();
    let draw = OpKind::Random {
        path: format!("{try_}{}", v.0),
        dist: Dist::Normal,
        shape: if number {
            vec![Dim::constant(1)]
        } else {
            ty.shape
        },
        timed: false,
    };
    let mut r = b.emit(draw, &[], "r");
    if number {
        r = b.reduce(ReduceOp::Sum, r, &[0], "r");
    }
    let unit = b.number(UNIT);
    let r = b.mul(r, unit, "r");
    let size = terms(&mut b, &kind, &args, exact);
    let by = b.mul(r, size, "by");
    b.push(OpKind::Binary(Binary::Add), vec![exact, by], vec![v]);
    b.ops
}

/// What an op's result is as large as before terms of both signs met in it. A sum's terms may cancel. The log of a sum of exponentials, which
/// begins at 1 for the largest, is that much less than its terms where one class is nearly certain; so is
/// its gradient, a probability less 1.
fn terms(b: &mut Build<'_>, kind: &OpKind, args: &[ValueId], exact: ValueId) -> ValueId {
    let largest = match kind {
        OpKind::CrossEntropy => b.number(1.0),
        OpKind::CrossEntropyGrad => {
            let g = args[2];
            let shape = b.func.shape(exact).to_vec();
            let rank = shape.len() - 1;
            let axes = (0..rank).map(Some).chain([None]).collect();
            b.expand(g, axes, &shape)
        }
        // The same op on magnitudes.
        OpKind::Reduce { .. } | OpKind::Contract { .. } | OpKind::ScatterAdd { .. } => {
            let sizes: Vec<ValueId> = args
                .iter()
                .map(|a| match b.func.value(*a).ty.elem {
                    Elem::F32 => b.unary(Unary::Abs, *a, "size"),
                    Elem::I32 => *a,
                })
                .collect();
            return b.emit(kind.clone(), &sizes, "terms");
        }
        _ => return exact,
    };
    b.add(exact, largest, "terms")
}
