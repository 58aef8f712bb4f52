//! Shared by the test drivers: sizes, random tensors and central differences.
#![allow(dead_code)]

pub mod attention;
pub mod binary;
pub mod cases;
pub mod machine;
pub mod models;
pub mod rounding;

use seqc::dim::{Dim, Sym};
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Elem, Func, OutputRole};
use seqc::philox::{Domain, Place, key, path_hash};

/// A reproducible tensor of standard normal draws.
pub fn normal(shape: &[usize], name: &str) -> Tensor {
    drawn(7, shape, name)
}

/// The same from another seed.
pub fn drawn(seed: u64, shape: &[usize], name: &str) -> Tensor {
    let place = Place {
        key: key(seed, Domain::Data),
        path: path_hash(name),
        step: 0,
    };
    let mut draws = vec![0.0f32; shape.iter().product()];
    place.fill_normal_flat(&mut draws, 0);
    Tensor::new(shape.to_vec(), draws.into_iter().map(f64::from).collect())
}

pub fn shape_of(func: &Func, dims: &[Dim], sizes: &[(Sym, i64)]) -> Vec<usize> {
    let value = |s: &Sym| {
        let launch = sizes.iter().find(|(n, _)| n == s).map(|(_, v)| *v);
        launch.or_else(|| func.dims.static_value(s))
    };
    dims.iter()
        .map(|d| d.eval(&value).expect("every size is given") as usize)
        .collect()
}

/// ‖a − b‖₂ / ‖b‖₂; the plain norm of the difference where b is 0.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let d = norm(&mut a.iter().zip(b).map(|(x, y)| x - y));
    let n = norm(&mut b.iter().copied());
    if n == 0.0 { d } else { d / n }
}

/// Runs the interpreter and returns the output of this role.
pub fn output(func: &Func, outputs: &[Tensor], role: &OutputRole) -> Tensor {
    let at = func
        .outputs
        .iter()
        .position(|o| &o.role == role)
        .expect("the output is there");
    outputs[at].clone()
}

/// The loss of a function by the interpreter.
pub fn loss(func: &Func, sizes: &[(Sym, i64)], inputs: &[Tensor], params: &[Tensor]) -> f64 {
    let out = run(func, sizes, inputs, params, Draw { seed: 1, step: 3 }).expect("runs");
    output(func, &out, &OutputRole::Loss).data[0]
}

/// Central differences of the loss along a direction in the space of one weight.
pub fn slope(
    func: &Func,
    sizes: &[(Sym, i64)],
    inputs: &[Tensor],
    params: &[Tensor],
    which: usize,
    direction: &[f64],
) -> f64 {
    // The fourth-order formula: its error is small at a step where rounding is too.
    let at = |step: f64| {
        let mut moved = params.to_vec();
        for (x, d) in moved[which].data.iter_mut().zip(direction) {
            *x += step * d;
        }
        loss(func, sizes, inputs, &moved)
    };
    let h = 1e-4;
    (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
}

/// Checks every coordinate of every gradient; returns the worst relative distance.
pub fn check_every_coordinate(
    func: &Func,
    sizes: &[(Sym, i64)],
    inputs: &[Tensor],
    params: &[Tensor],
) -> f64 {
    let out = run(func, sizes, inputs, params, Draw { seed: 1, step: 3 }).expect("runs");
    let mut worst = 0.0f64;
    for (i, p) in func.params.iter().enumerate() {
        let grad = output(func, &out, &OutputRole::Grad(p.path.clone()));
        let mut numeric = Vec::new();
        for k in 0..params[i].data.len() {
            let mut e = vec![0.0; params[i].data.len()];
            e[k] = 1.0;
            numeric.push(slope(func, sizes, inputs, params, i, &e));
        }
        worst = worst.max(distance(&grad.data, &numeric));
    }
    worst
}

/// Inputs for a function: lengths from `lens` (no longer than their axis, and for another time axis in
/// another order), integers below `vocabulary`, normal reals.
pub fn inputs(func: &Func, sizes: &[(Sym, i64)], lens: &[usize], vocabulary: usize) -> Vec<Tensor> {
    let mut axes = 0;
    let one = |i: &seqc::ir::Input| {
        let v = func.value(i.value);
        let shape = shape_of(func, &v.ty.shape, sizes);
        if let seqc::ir::InputRole::Lengths(axis) = &i.role {
            let steps = shape_of(func, &[Dim::named(axis)], sizes)[0];
            let of = |b: usize| lens[(b + axes) % lens.len()].min(steps) as f64;
            let of: Vec<f64> = (0..lens.len()).map(of).collect();
            axes += 1;
            return Tensor::new(shape, of);
        }
        let mut t = normal(&shape, &v.name);
        if v.ty.elem == Elem::I32 {
            for (k, x) in t.data.iter_mut().enumerate() {
                *x = ((x.abs() * 1000.0) as usize + k) as f64 % vocabulary as f64;
            }
        }
        t
    };
    func.inputs.iter().map(one).collect()
}

/// Random weights, of standard deviation `scale`.
pub fn params(func: &Func, sizes: &[(Sym, i64)], scale: f64) -> Vec<Tensor> {
    let one = |p: &seqc::ir::Param| {
        let shape = shape_of(func, func.shape(p.value), sizes);
        let mut t = normal(&shape, &p.path);
        t.data.iter_mut().for_each(|x| *x *= scale);
        t
    };
    func.params.iter().map(one).collect()
}

/// Schedules a function and compares the program with the function itself, output by output.
pub fn check_schedule(func: &Func, sizes: &[(Sym, i64)], inputs: &[Tensor], params: &[Tensor]) {
    use seqc::schedule::{interp, schedule};
    let program = schedule(func).unwrap_or_else(|e| panic!("{}\n{func}", e.message));
    let flat = |all: &[Tensor]| all.iter().map(|t| t.data.clone()).collect::<Vec<_>>();
    let data = interp::Data {
        sizes,
        params: &flat(params),
        inputs: &flat(inputs),
        draw: (1, 3),
    };
    let got = interp::run(&program, &data)
        .unwrap_or_else(|e| panic!("{}: {e}\n{func}\n{program:?}", func.name));
    let draw = Draw { seed: 1, step: 3 };
    let want = run(func, sizes, inputs, params, draw).expect("runs");
    let mut results = got.outputs.iter();
    for (o, t) in func.outputs.iter().zip(&want) {
        let data = match &o.role {
            OutputRole::Grad(path) => {
                let at = program.params.iter().position(|p| &p.path == path);
                &got.grads[at.expect("the weight is there")]
            }
            _ => results.next().expect("an output for each"),
        };
        let d = distance(data, &t.data);
        assert!(
            d < 1e-12,
            "{}: {:?} differs by {d:e}\n{data:?}\n{:?}\n{func}\n{program:?}",
            func.name,
            o.role,
            t.data
        );
    }
}
