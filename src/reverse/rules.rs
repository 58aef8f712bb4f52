//! What each op passes back to its arguments: one arm an op, the equation above it.
//!
//! In: an op, the adjoints `g` of its results, and its forward values. Out: pairs of an argument and
//! its share of the gradient, for the arguments that are wanted. `y` is the op's result.

use super::Forward;
use crate::dim::Dim;
use crate::ir::build::Build;
use crate::ir::*;

pub fn backward(
    b: &mut Build<'_>,
    op: &Op,
    grads: &[Option<ValueId>],
    wanted: &dyn Fn(ValueId) -> bool,
    forward: &mut dyn Forward,
) -> Result<Vec<(ValueId, ValueId)>, String> {
    let mut out = Vec::new();
    let wants = |i: usize| wanted(op.args[i]);
    if !op.args.iter().any(|a| wanted(*a)) {
        return Ok(out);
    }
    let Some(g) = grads.iter().flatten().next().copied() else {
        return Ok(out);
    };
    let names: Vec<String> = op
        .args
        .iter()
        .map(|a| format!("d{}", b.func.value(*a).name))
        .collect();
    match &op.kind {
        OpKind::Unary(u) => {
            if let Some(dx) = unary(b, *u, op, g, &names[0], forward) {
                out.push((op.args[0], dx));
            }
        }
        OpKind::Binary(k) => {
            for (i, name) in names.iter().enumerate() {
                if wants(i)
                    && let Some(d) = binary(b, *k, op, i, g, name, forward)
                {
                    let d = unlift(b, d, op.args[i]);
                    out.push((op.args[i], d));
                }
            }
        }
        // a: g where c, else 0;  b: g where not c, else 0
        OpKind::Select => {
            let c = forward.value(b, op.args[0]);
            for (i, name) in names.iter().enumerate().skip(1) {
                if wants(i) {
                    let zero = b.number(0.0);
                    let (x, y) = if i == 1 { (g, zero) } else { (zero, g) };
                    let d = b.select(c, x, y, name);
                    let d = unlift(b, d, op.args[i]);
                    out.push((op.args[i], d));
                }
            }
        }
        // dx = Σ g over the axes that repeat, the others in the operand's order
        OpKind::Expand { axes, .. } => {
            let over: Vec<usize> = (0..axes.len()).filter(|i| axes[*i].is_none()).collect();
            let dx = if over.is_empty() {
                g
            } else {
                b.reduce(ReduceOp::Sum, g, &over, &names[0])
            };
            let kept: Vec<usize> = axes.iter().flatten().copied().collect();
            let back = (0..kept.len()).map(|a| kept.iter().position(|k| *k == a));
            let shape = b.func.shape(op.args[0]).to_vec();
            let dx = b.expand(dx, back.collect(), &shape);
            out.push((op.args[0], dx));
        }
        // dl = g·r,  dr = l·g, each summed over what the other side and the result have alone
        OpKind::Contract { lhs, rhs, out: o } => {
            if wants(0) {
                let r = forward.value(b, op.args[1]);
                out.push((op.args[0], b.contract((o, g), (rhs, r), lhs, &names[0])));
            }
            if wants(1) {
                let l = forward.value(b, op.args[0]);
                out.push((op.args[1], b.contract((o, g), (lhs, l), rhs, &names[1])));
            }
        }
        // sum: dx = g repeated;  max: g where x is the maximum, in equal parts where several are (the
        // state of one token may stand at several steps).  Nothing at padded steps.
        OpKind::Reduce {
            op: r,
            axes,
            masked,
        } => {
            let shape = b.func.shape(op.args[0]).to_vec();
            let dx = match r {
                ReduceOp::Sum => {
                    let dx = repeat(b, g, axes, &shape);
                    real(b, dx, op, *masked, &names[0])
                }
                ReduceOp::Max => {
                    let (x, y) = (
                        forward.value(b, op.args[0]),
                        forward.value(b, op.results[0]),
                    );
                    let y = repeat(b, y, axes, &shape);
                    let hit = b.binary(Binary::Eq, x, y, "hit");
                    let hit = real(b, hit, op, *masked, "hit");
                    let n = b.reduce(ReduceOp::Sum, hit, axes, "hits");
                    let one = b.number(1.0);
                    let n = b.binary(Binary::Max, n, one, "hits");
                    let part = b.div(g, n, &names[0]);
                    let part = repeat(b, part, axes, &shape);
                    let zero = b.number(0.0);
                    b.select(hit, part, zero, &names[0])
                }
            };
            out.push((op.args[0], dx));
        }
        // dx = y·(g − Σ g·y)
        OpKind::Softmax => {
            let y = forward.value(b, op.results[0]);
            let shape = b.func.shape(y).to_vec();
            let last = shape.len() - 1;
            let gy = b.mul(g, y, "gy");
            let sum = b.reduce(ReduceOp::Sum, gy, &[last], "gy");
            let sum = repeat(b, sum, &[last], &shape);
            let d = b.sub(g, sum, &names[0]);
            out.push((op.args[0], b.mul(y, d, &names[0])));
        }
        // dlogits = (softmax(logits) − onehot(target))·g
        OpKind::CrossEntropy => {
            let logits = forward.value(b, op.args[0]);
            let target = forward.value(b, op.args[1]);
            let d = b.emit(OpKind::CrossEntropyGrad, &[logits, target, g], &names[0]);
            out.push((op.args[0], d));
        }
        OpKind::CrossEntropyGrad => {
            return Err("the gradient of a cross-entropy has no derivative rule".into());
        }
        OpKind::Gather => {
            let rows = b.func.shape(op.args[0])[0].clone();
            let index = forward.value(b, op.args[1]);
            let d = b.emit(OpKind::ScatterAdd { rows }, &[g, index], &names[0]);
            out.push((op.args[0], d));
        }
        OpKind::ScatterAdd { .. } => {
            let index = forward.value(b, op.args[1]);
            out.push((op.args[0], b.emit(OpKind::Gather, &[g, index], &names[0])));
        }
        // parts that nothing reads pass zeros
        OpKind::Split { axis, .. } => {
            let mut parts = Vec::new();
            for (g, r) in grads.iter().zip(&op.results) {
                let shape = b.func.shape(*r).to_vec();
                parts.push(match g {
                    Some(g) => *g,
                    None => b.filled(0.0, &shape, "zero"),
                });
            }
            out.push((
                op.args[0],
                b.emit(OpKind::Concat { axis: *axis }, &parts, &names[0]),
            ));
        }
        OpKind::Concat { axis } => {
            let sizes = op
                .args
                .iter()
                .map(|a| b.func.shape(*a)[*axis].clone())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let parts = b.emit_all(OpKind::Split { axis: *axis, sizes }, &[g], &names);
            for (i, part) in parts.into_iter().enumerate() {
                if wants(i) {
                    out.push((op.args[i], part));
                }
            }
        }
        OpKind::Take(which) => {
            let extent = b.func.shape(op.args[0])[0].clone();
            let put = OpKind::Put {
                which: *which,
                extent,
            };
            out.push((op.args[0], b.emit(put, &[g, op.args[1]], &names[0])));
        }
        OpKind::Put { which, .. } => {
            out.push((
                op.args[0],
                b.emit(OpKind::Take(*which), &[g, op.args[1]], &names[0]),
            ));
        }
        // g inside the domain, 0 outside whatever the fill was
        OpKind::Mask { domain, batch, .. } => {
            let kind = OpKind::Mask {
                domain: domain.clone(),
                fill: 0.0,
                batch: *batch,
            };
            let mut args = op.args.clone();
            args[0] = g;
            out.push((op.args[0], b.emit(kind, &args, &names[0])));
        }
        OpKind::Shift { by } => {
            out.push((
                op.args[0],
                b.emit(OpKind::Shift { by: -by }, &[g], &names[0]),
            ));
        }
        OpKind::Const(_)
        | OpKind::ToFloat
        | OpKind::Top { .. }
        | OpKind::Iota { .. }
        | OpKind::Random { .. } => {}
        OpKind::Scan(_) => return Err("a scan inside a scan has no derivative rule".into()),
    }
    Ok(out)
}

fn unary(
    b: &mut Build<'_>,
    u: Unary,
    op: &Op,
    g: ValueId,
    name: &str,
    forward: &mut dyn Forward,
) -> Option<ValueId> {
    let (x, y) = (op.args[0], op.results[0]);
    Some(match u {
        Unary::Neg => b.unary(Unary::Neg, g, name),
        // g·y
        Unary::Exp => {
            let y = forward.value(b, y);
            b.mul(g, y, name)
        }
        // g / x
        Unary::Log => {
            let x = forward.value(b, x);
            b.div(g, x, name)
        }
        // g / 2y
        Unary::Sqrt => {
            let y = forward.value(b, y);
            let two = b.number(2.0);
            let y2 = b.mul(two, y, "y2");
            b.div(g, y2, name)
        }
        // g·sign(x)
        Unary::Abs => {
            let x = forward.value(b, x);
            let s = b.unary(Unary::Sign, x, "sign");
            b.mul(g, s, name)
        }
        // g·(1 − y²)
        Unary::Tanh => {
            let y = forward.value(b, y);
            let (one, yy) = (b.number(1.0), b.mul(y, y, "yy"));
            let d = b.sub(one, yy, "slope");
            b.mul(g, d, name)
        }
        // g·y·(1 − y)
        Unary::Sigmoid => {
            let y = forward.value(b, y);
            let one = b.number(1.0);
            let d = b.sub(one, y, "slope");
            let d = b.mul(y, d, "slope");
            b.mul(g, d, name)
        }
        // g·cos x
        Unary::Sin => {
            let x = forward.value(b, x);
            let c = b.unary(Unary::Cos, x, "cos");
            b.mul(g, c, name)
        }
        // −g·sin x
        Unary::Cos => {
            let x = forward.value(b, x);
            let s = b.unary(Unary::Sin, x, "sin");
            let d = b.mul(g, s, name);
            b.unary(Unary::Neg, d, name)
        }
        // g·2/√π·exp(−x²)
        Unary::Erf => {
            let x = forward.value(b, x);
            let xx = b.mul(x, x, "xx");
            let xx = b.unary(Unary::Neg, xx, "xx");
            let e = b.unary(Unary::Exp, xx, "bell");
            let k = b.number(std::f64::consts::FRAC_2_SQRT_PI);
            let d = b.mul(k, e, "slope");
            b.mul(g, d, name)
        }
        Unary::Sign | Unary::Step | Unary::Stop | Unary::Bf16 => return None,
    })
}

fn binary(
    b: &mut Build<'_>,
    k: Binary,
    op: &Op,
    side: usize,
    g: ValueId,
    name: &str,
    forward: &mut dyn Forward,
) -> Option<ValueId> {
    let (l, r, y) = (op.args[0], op.args[1], op.results[0]);
    Some(match (k, side) {
        (Binary::Add, _) | (Binary::Sub, 0) => g,
        (Binary::Sub, _) => b.unary(Unary::Neg, g, name),
        (Binary::Mul, _) => {
            let other = forward.value(b, if side == 0 { r } else { l });
            b.mul(g, other, name)
        }
        (Binary::Div, 0) => {
            let r = forward.value(b, r);
            b.div(g, r, name)
        }
        // −g·y / r
        (Binary::Div, _) => {
            let (y, r) = (forward.value(b, y), forward.value(b, r));
            let d = b.mul(g, y, name);
            let d = b.div(d, r, name);
            b.unary(Unary::Neg, d, name)
        }
        // g·r·l^(r − 1)
        (Binary::Pow, 0) => {
            let (l, r) = (forward.value(b, l), forward.value(b, r));
            let one = b.number(1.0);
            let less = b.sub(r, one, "power");
            let p = b.binary(Binary::Pow, l, less, "power");
            let d = b.mul(r, p, "slope");
            b.mul(g, d, name)
        }
        // g·y·log l
        (Binary::Pow, _) => {
            let (l, y) = (forward.value(b, l), forward.value(b, y));
            let log = b.unary(Unary::Log, l, "log");
            let d = b.mul(y, log, "slope");
            b.mul(g, d, name)
        }
        // to the operand that won; the left one where they are equal
        (Binary::Max | Binary::Min, _) => {
            let (l, r) = (forward.value(b, l), forward.value(b, r));
            let (low, high) = if k == Binary::Max { (r, l) } else { (l, r) };
            let left = b.binary(Binary::Le, low, high, "left");
            let zero = b.number(0.0);
            let (x, y) = if side == 0 { (g, zero) } else { (zero, g) };
            b.select(left, x, y, name)
        }
        (Binary::Lt | Binary::Le | Binary::Eq, _) => return None,
    })
}

/// The adjoint of lifting a single number to a shape.
fn unlift(b: &mut Build<'_>, d: ValueId, arg: ValueId) -> ValueId {
    let rank = b.func.shape(d).len();
    let want = b.func.shape(arg).len();
    if want < rank {
        let axes: Vec<usize> = (0..rank).collect();
        return b.reduce(ReduceOp::Sum, d, &axes, "d");
    }
    if want > rank {
        // Both the adjoint and the other operand were single numbers.
        let shape = b.func.shape(arg).to_vec();
        return b.expand_leading(d, &shape);
    }
    d
}

/// Nothing at the padded steps of what a masked reduction reads.
fn real(b: &mut Build<'_>, x: ValueId, op: &Op, masked: bool, name: &str) -> ValueId {
    match masked {
        true => b.emit(OpKind::padding(), &[x, op.args[1]], name),
        false => x,
    }
}

/// `x` repeated along `axes`, which were reduced away, back to `shape`.
fn repeat(b: &mut Build<'_>, x: ValueId, axes: &[usize], shape: &[Dim]) -> ValueId {
    let mut next = 0;
    let map = (0..shape.len()).map(|i| {
        if axes.contains(&i) {
            None
        } else {
            next += 1;
            Some(next - 1)
        }
    });
    let map = map.collect();
    b.expand(x, map, shape)
}
