//! One function an op, in f64.

use super::super::op::*;
use super::select;
use super::tensor::{Tensor, each_index, strides};
use super::{Draw, Machine};
use crate::philox::{self, Domain, Place};

pub(super) fn eval(
    m: &Machine<'_>,
    kind: &OpKind,
    args: &[&Tensor],
) -> Result<Vec<Tensor>, String> {
    let one = |t: Tensor| Ok(vec![t]);
    match kind {
        OpKind::Const(x) => one(Tensor::scalar(*x)),
        OpKind::Unary(u) => one(map(args[0], |x| unary(*u, x))),
        OpKind::Binary(b) => one(zip(args, |v| binary(*b, v[0], v[1]))),
        OpKind::Select => one(zip(args, |v| if v[0] != 0.0 { v[1] } else { v[2] })),
        OpKind::Expand { axes, shape } => one(expand(args[0], axes, m.shape(shape)?)),
        OpKind::Contract { lhs, rhs, out } => one(contract(args, lhs, rhs, out)),
        OpKind::Reduce { op, axes, masked } => {
            one(reduce(*op, args[0], axes, masked.then(|| args[1])))
        }
        OpKind::Softmax => one(rows(args[0], softmax)),
        OpKind::CrossEntropy => one(cross_entropy(args[0], args[1])),
        OpKind::CrossEntropyGrad => one(cross_entropy_grad(args[0], args[1], args[2])),
        OpKind::Gather => one(gather(args[0], args[1])),
        OpKind::ScatterAdd { rows } => one(scatter_add(args[0], args[1], m.size(rows)?)),
        OpKind::Split { axis, sizes } => Ok(split(args[0], *axis, &m.shape(sizes)?)),
        OpKind::Concat { axis } => one(concat(args, *axis)),
        OpKind::Take(which) => one(take(*which, args[0], args[1])),
        OpKind::Put { which, extent } => one(put(*which, args[0], args[1], m.size(extent)?)),
        OpKind::Top { k } => one(rows(args[0], |row| select::top(row, *k))),
        OpKind::Iota { size } => {
            let n = m.size(size)?;
            one(Tensor::new(vec![n], (0..n).map(|i| i as f64).collect()))
        }
        OpKind::Mask {
            domain,
            fill,
            batch,
        } => one(select::mask(m, args, domain, *fill, *batch)?),
        OpKind::Shift { by } => {
            let x = args[0];
            let mut out = Tensor::filled(x.shape.clone(), 0.0);
            for t in 0..x.shape[0] as i64 {
                if (0..x.shape[0] as i64).contains(&(t - by)) {
                    out.row_mut(t as usize)
                        .copy_from_slice(x.row((t - by) as usize));
                }
            }
            one(out)
        }
        OpKind::ToFloat => one(args[0].clone()),
        OpKind::Random {
            path,
            dist,
            shape,
            timed,
        } => one(random(path, *dist, m.shape(shape)?, *timed, m.draw, m.time)),
        OpKind::Scan(_) => Err("a scan is run by the machine".into()),
    }
}

fn map(x: &Tensor, f: impl Fn(f64) -> f64) -> Tensor {
    Tensor::new(x.shape.clone(), x.data.iter().map(|v| f(*v)).collect())
}

/// Elementwise over several operands; a single number lifts.
fn zip(args: &[&Tensor], f: impl Fn(&[f64]) -> f64) -> Tensor {
    let shape = args
        .iter()
        .map(|t| &t.shape)
        .max_by_key(|s| s.len())
        .cloned()
        .unwrap_or_default();
    let n = shape.iter().product();
    let at = |t: &Tensor, i: usize| {
        if t.shape.is_empty() {
            t.data[0]
        } else {
            t.data[i]
        }
    };
    let mut v = vec![0.0; args.len()];
    let data = (0..n).map(|i| {
        for (slot, t) in v.iter_mut().zip(args) {
            *slot = at(t, i);
        }
        f(&v)
    });
    let data = data.collect();
    Tensor::new(shape, data)
}

fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Abs => x.abs(),
        Unary::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Step => f64::from(x > 0.0),
        Unary::Erf => libm::erf(x),
        Unary::Stop => x,
        Unary::Bf16 => bf16(x),
    }
}

/// [`Unary::Bf16`] of what an f32 holds; other numbers become one first.
pub fn bf16(x: f64) -> f64 {
    let bits = (x as f32).to_bits();
    if x.is_nan() {
        return x;
    }
    let even = 0x7fff + (bits >> 16 & 1);
    f64::from(f32::from_bits((bits + even) & 0xffff_0000))
}

/// `max` and `min` give NaN where either operand is NaN.
fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Max => {
            if a > b || a.is_nan() {
                a
            } else {
                b
            }
        }
        Binary::Min => {
            if a < b || a.is_nan() {
                a
            } else {
                b
            }
        }
        Binary::Lt => f64::from(a < b),
        Binary::Le => f64::from(a <= b),
        Binary::Eq => f64::from(a == b),
    }
}

fn expand(x: &Tensor, axes: &[Option<usize>], shape: Vec<usize>) -> Tensor {
    let from = x.strides();
    let strides: Vec<usize> = axes.iter().map(|a| a.map_or(0, |a| from[a])).collect();
    let mut data = Vec::with_capacity(shape.iter().product());
    each_index(&shape, |i| data.push(x.data[dot(i, &strides)]));
    Tensor::new(shape, data)
}

fn dot(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

fn contract(args: &[&Tensor], lhs: &[u8], rhs: &[u8], out: &[u8]) -> Tensor {
    let (ls, rs) = (args[0].strides(), args[1].strides());
    let stride = |labels: &[u8], strides: &[usize], l: u8| {
        labels
            .iter()
            .position(|x| *x == l)
            .map_or(0, |i| strides[i])
    };
    let size = |l: u8| {
        let of =
            |labels: &[u8], t: &Tensor| labels.iter().position(|x| *x == l).map(|i| t.shape[i]);
        of(lhs, args[0]).or_else(|| of(rhs, args[1])).unwrap_or(0)
    };
    let summed: Vec<u8> = lhs.iter().filter(|l| !out.contains(l)).copied().collect();
    let shape: Vec<usize> = out.iter().map(|l| size(*l)).collect();
    let inner: Vec<usize> = summed.iter().map(|l| size(*l)).collect();
    let of = |labels: &[u8], strides: &[usize], wanted: &[u8]| -> Vec<usize> {
        wanted.iter().map(|l| stride(labels, strides, *l)).collect()
    };
    let (lo, ro) = (of(lhs, &ls, out), of(rhs, &rs, out));
    let (li, ri) = (of(lhs, &ls, &summed), of(rhs, &rs, &summed));
    // Offsets of the summed indices are the same for every element of the result.
    let mut offsets = Vec::new();
    each_index(&inner, |k| offsets.push((dot(k, &li), dot(k, &ri))));
    let mut data = Vec::with_capacity(shape.iter().product());
    each_index(&shape, |i| {
        let (a, b) = (dot(i, &lo), dot(i, &ro));
        let terms = offsets
            .iter()
            .map(|(x, y)| args[0].data[a + x] * args[1].data[b + y]);
        data.push(terms.sum());
    });
    Tensor::new(shape, data)
}

fn reduce(op: ReduceOp, x: &Tensor, axes: &[usize], len: Option<&Tensor>) -> Tensor {
    let kept: Vec<usize> = (0..x.shape.len()).filter(|i| !axes.contains(i)).collect();
    let shape: Vec<usize> = kept.iter().map(|i| x.shape[*i]).collect();
    let start = match op {
        ReduceOp::Sum => 0.0,
        ReduceOp::Max => f64::NEG_INFINITY,
    };
    let mut out = Tensor::filled(shape.clone(), start);
    let (to, from) = (strides(&shape), x.strides());
    each_index(&x.shape, |i| {
        if len.is_some_and(|l| i[0] as f64 >= l.data[i[1]]) {
            return;
        }
        let at: usize = kept.iter().zip(&to).map(|(k, s)| i[*k] * s).sum();
        let v = x.data[dot(i, &from)];
        out.data[at] = match op {
            ReduceOp::Sum => out.data[at] + v,
            ReduceOp::Max => binary(Binary::Max, out.data[at], v),
        };
    });
    out
}

fn rows(x: &Tensor, f: impl Fn(&[f64]) -> Vec<f64>) -> Tensor {
    let n = x.shape.last().copied().unwrap_or(1).max(1);
    Tensor::new(x.shape.clone(), x.data.chunks(n).flat_map(f).collect())
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return vec![0.0; row.len()];
    }
    let e: Vec<f64> = row.iter().map(|v| (v - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|v| v / sum).collect()
}

fn cross_entropy(logits: &Tensor, target: &Tensor) -> Tensor {
    let n = logits.shape.last().copied().unwrap_or(1).max(1);
    let losses = logits.data.chunks(n).zip(&target.data).map(|(row, y)| {
        if *y < 0.0 {
            return 0.0;
        }
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
        top + sum.ln() - row[*y as usize]
    });
    Tensor::new(target.shape.clone(), losses.collect())
}

fn cross_entropy_grad(logits: &Tensor, target: &Tensor, g: &Tensor) -> Tensor {
    let n = logits.shape.last().copied().unwrap_or(1).max(1);
    let mut data = Vec::with_capacity(logits.data.len());
    for ((row, y), g) in logits.data.chunks(n).zip(&target.data).zip(&g.data) {
        if *y < 0.0 || *g == 0.0 {
            data.extend(std::iter::repeat_n(0.0, n));
            continue;
        }
        let p = softmax(row).into_iter().enumerate();
        data.extend(p.map(|(i, p)| (p - f64::from(i == *y as usize)) * g));
    }
    Tensor::new(logits.shape.clone(), data)
}

fn gather(table: &Tensor, index: &Tensor) -> Tensor {
    let row: usize = table.shape[1..].iter().product();
    let mut data = Vec::with_capacity(index.data.len() * row);
    for i in &index.data {
        if *i < 0.0 {
            data.extend(std::iter::repeat_n(0.0, row));
        } else {
            data.extend_from_slice(table.row(*i as usize));
        }
    }
    Tensor::new([&index.shape[..], &table.shape[1..]].concat(), data)
}

fn scatter_add(grad: &Tensor, index: &Tensor, n: usize) -> Tensor {
    let tail = &grad.shape[index.shape.len()..];
    let row: usize = tail.iter().product();
    let mut out = Tensor::filled([&[n], tail].concat(), 0.0);
    for (i, g) in index.data.iter().zip(grad.data.chunks(row.max(1))) {
        if *i >= 0.0 && row > 0 {
            let to = out.row_mut(*i as usize);
            to.iter_mut().zip(g).for_each(|(a, b)| *a += b);
        }
    }
    out
}

fn split(x: &Tensor, axis: usize, sizes: &[usize]) -> Vec<Tensor> {
    let inner: usize = x.shape[axis + 1..].iter().product();
    let whole = x.shape[axis] * inner;
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes {
        let mut shape = x.shape.clone();
        shape[axis] = *size;
        let rows = x.data.chunks(whole.max(1));
        let data = rows
            .flat_map(|r| r[start..start + size * inner].iter().copied())
            .collect();
        parts.push(Tensor::new(shape, data));
        start += size * inner;
    }
    parts
}

fn concat(parts: &[&Tensor], axis: usize) -> Tensor {
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let mut data = Vec::new();
    for o in 0..outer {
        for p in parts {
            let n: usize = p.shape[axis..].iter().product();
            data.extend_from_slice(&p.data[o * n..(o + 1) * n]);
        }
    }
    Tensor::new(shape, data)
}

/// The step taken for one example; `None` for an empty one.
fn taken(which: TakeWhich, len: f64) -> Option<usize> {
    match which {
        TakeWhich::First => Some(0),
        TakeWhich::Last => (len >= 1.0).then(|| len as usize - 1),
    }
}

fn take(which: TakeWhich, x: &Tensor, len: &Tensor) -> Tensor {
    let mut out = Tensor::filled(x.shape[1..].to_vec(), 0.0);
    let row: usize = x.shape[2..].iter().product();
    for (b, l) in len.data.iter().enumerate() {
        if let Some(t) = taken(which, *l).filter(|t| *t < x.shape[0]) {
            let at = (t * x.shape[1] + b) * row;
            out.data[b * row..(b + 1) * row].copy_from_slice(&x.data[at..at + row]);
        }
    }
    out
}

fn put(which: TakeWhich, g: &Tensor, len: &Tensor, steps: usize) -> Tensor {
    let mut out = Tensor::filled([&[steps], &g.shape[..]].concat(), 0.0);
    let row: usize = g.shape[1..].iter().product();
    for (b, l) in len.data.iter().enumerate() {
        if let Some(t) = taken(which, *l).filter(|t| *t < steps) {
            let at = (t * g.shape[0] + b) * row;
            out.data[at..at + row].copy_from_slice(&g.data[b * row..(b + 1) * row]);
        }
    }
    out
}

fn random(
    path: &str,
    dist: Dist,
    shape: Vec<usize>,
    timed: bool,
    draw: Draw,
    time: usize,
) -> Tensor {
    let key = philox::key(draw.seed, Domain::Dropout);
    let place = Place {
        key,
        path: philox::path_hash(path),
        step: draw.step as u32,
    };
    let lead = 1 + usize::from(timed);
    let batch = shape[lead - 1];
    let features: usize = shape[lead..].iter().product();
    let rows: usize = shape[..lead].iter().product();
    let mut row = vec![0.0f32; features];
    let mut data = Vec::with_capacity(rows * features);
    for r in 0..rows {
        let t = if timed { r / batch } else { time };
        let example = (r % batch) as u32;
        match dist {
            Dist::Uniform => place.fill_uniform(&mut row, example, t as u32),
            Dist::Normal => place.fill_normal(&mut row, example, t as u32),
        }
        data.extend(row.iter().map(|x| f64::from(*x)));
    }
    Tensor::new(shape, data)
}
