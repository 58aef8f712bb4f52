//! Domains of small functions, and each claim tried out with the interpreter.

use super::*;
use crate::dim::{Binding, DimTable, Role, Sym};
use crate::domain::Affine;
use crate::ir::build::Build;
use crate::ir::interp::{Draw, Tensor, run};

const T: i64 = 4;

fn func() -> Func {
    let mut dims = DimTable::default();
    dims.declare(Sym::new("B"), Role::Batch, Binding::Launch);
    dims.declare(Sym::new("T"), Role::Time, Binding::Launch);
    Func::new("f", dims)
}

fn input(f: &mut Func, name: &str, shape: &[&str]) -> ValueId {
    let shape = shape.iter().map(|n| Dim::named(n)).collect();
    let value = f.fresh(name, Type::f32(shape));
    f.inputs.push(Input {
        role: InputRole::Data(name.into()),
        value,
    });
    value
}

/// Axis `later` is not before axis `sooner`.
fn causal(later: usize, sooner: usize) -> Domain {
    let [t, s] = [later, sooner].map(|i| Affine::coord(Coord::Axis(i)));
    Domain::le(&s, &t).unwrap()
}

fn mask(domain: Domain, fill: f64) -> OpKind {
    OpKind::Mask {
        domain,
        fill,
        batch: None,
    }
}

fn finish(b: Build, outputs: &[ValueId]) -> Support {
    let ops = b.ops;
    b.func.body.ops = ops;
    for (i, v) in outputs.iter().enumerate() {
        b.func.outputs.push(Output {
            role: OutputRole::Named(i.to_string()),
            value: *v,
        });
    }
    crate::ir::verify::verify(b.func).unwrap();
    Support::of(b.func)
}

fn tensor(seed: usize) -> Tensor {
    let n = (T * T) as usize;
    let data = (0..n).map(|i| ((i * 7 + seed * 3) % 11) as f64 / 5.0 + 0.1);
    Tensor::new(vec![T as usize; 2], data.collect())
}

fn outputs(f: &Func, inputs: &[Tensor]) -> Vec<Tensor> {
    let sizes = [(Sym::new("T"), T), (Sym::new("B"), 2)];
    run(f, &sizes, inputs, &[], Draw::default()).unwrap()
}

fn inside(d: &Domain, i: usize) -> bool {
    let at = |c: Coord| match c {
        Coord::Axis(0) => i as i64 / T,
        Coord::Axis(_) => i as i64 % T,
        Coord::Of(_) => T,
    };
    d.holds(&at, &|_| Some(T)).unwrap()
}

/// Every `[T, T]` output is 0 where it is said to be, and no output changes when an input does where
/// it is said not to matter.
fn tried(f: &Func, s: &Support) {
    let inputs: Vec<Tensor> = (0..f.inputs.len()).map(tensor).collect();
    let base = outputs(f, &inputs);
    for (out, y) in f.outputs.iter().zip(&base) {
        for (i, y) in y
            .data
            .iter()
            .enumerate()
            .filter(|_| f.shape(out.value).len() == 2)
        {
            assert!(
                inside(s.nonzero(out.value), i) || *y == 0.0,
                "{i} of {out:?}"
            );
        }
    }
    for (k, input) in f.inputs.iter().enumerate() {
        for i in 0..(T * T) as usize {
            let mut other = inputs.clone();
            other[k].data[i] += 1.0;
            let same = outputs(f, &other)
                .iter()
                .zip(&base)
                .all(|(a, b)| a.data == b.data);
            assert!(same || inside(s.demand(input.value), i), "{i} of {input:?}");
        }
    }
}

#[test]
fn a_masked_softmax_is_zero_where_its_scores_were_left_out() {
    let mut f = func();
    let (x, v) = (
        input(&mut f, "x", &["T", "T"]),
        input(&mut f, "v", &["T", "T"]),
    );
    let mut b = Build::new(&mut f);
    let w = b.emit(mask(causal(0, 1), f64::NEG_INFINITY), &[x], "w");
    let a = b.emit(OpKind::Softmax, &[w], "a");
    // [s, t]: the axes change places.
    let turned = b.expand(
        a,
        vec![Some(1), Some(0)],
        &[Dim::named("T"), Dim::named("T")],
    );
    let m = b.contract((&[1, 0], turned), (&[1, 2], v), &[0, 2], "m");
    let s = finish(b, &[m, a, turned]);
    assert_eq!(s.finite(w), &causal(0, 1));
    assert_eq!(s.nonzero(a), &causal(0, 1));
    assert_eq!(s.nonzero(turned), &causal(1, 0));
    assert_eq!(s.demand(x), &causal(0, 1));
    assert!(s.nonzero(m).is_everywhere() && s.demand(v).is_everywhere());
    let op = f.op(*f.body.ops.last().unwrap());
    let labels: Vec<u8> = labels(&f, op).into_iter().map(|(l, _)| l).collect();
    assert_eq!(labels, [1, 0, 2]);
    assert_eq!(s.index_set(&f, op, &labels), causal(1, 0));
    tried(&f, &s);
}

#[test]
fn products_keep_zeros_sums_lose_them() {
    let mut f = func();
    let [x, y, z] = ["x", "y", "z"].map(|n| input(&mut f, n, &["T", "T"]));
    let mut b = Build::new(&mut f);
    let low = b.emit(mask(causal(0, 1), 0.0), &[x], "low");
    let near = Domain::lt(
        &Affine::coord(Coord::Axis(0)),
        &Affine::coord(Coord::Axis(1))
            .add(&Affine::constant(Dim::constant(2)))
            .unwrap(),
    )
    .unwrap();
    let band = b.emit(mask(near.clone(), 0.0), &[y], "band");
    let both = b.mul(low, band, "both");
    let any = b.add(low, band, "any");
    let same = b.sub(low, both, "same");
    let gone = b.unary(Unary::Cos, same, "gone");
    let over = b.div(both, z, "over");
    let zero = b.number(0.0);
    let chosen = b.select(low, z, zero, "chosen");
    let s = finish(b, &[both, any, same, gone, over, chosen]);
    assert!(s.nonzero(both).contains(&causal(0, 1).and(near.clone())));
    assert!(causal(0, 1).contains(s.nonzero(both)) && near.contains(s.nonzero(both)));
    assert!(s.nonzero(any).is_everywhere());
    assert_eq!(s.nonzero(same), &causal(0, 1));
    assert!(s.nonzero(gone).is_everywhere());
    assert_eq!(s.nonzero(over), s.nonzero(both));
    assert_eq!(s.nonzero(chosen), &causal(0, 1));
    // z is divided by where the quotient is not 0, and chosen where x is seen.
    assert_eq!(s.demand(z), &causal(0, 1));
    assert_eq!(s.demand(x), &causal(0, 1));
    tried(&f, &s);
}

#[test]
fn uses_join() {
    let strict = Domain::lt(
        &Affine::coord(Coord::Axis(1)),
        &Affine::coord(Coord::Axis(0)),
    )
    .unwrap();
    for (other, want) in [
        (strict, causal(0, 1)),
        (causal(1, 0), Domain::everywhere()),
        (Domain::everywhere(), Domain::everywhere()),
    ] {
        let mut f = func();
        let x = input(&mut f, "x", &["T", "T"]);
        let mut b = Build::new(&mut f);
        let one = b.emit(mask(causal(0, 1), 0.0), &[x], "one");
        let two = b.emit(mask(other, 0.0), &[x], "two");
        let unread = b.unary(Unary::Exp, x, "unread");
        let s = finish(b, &[one, two]);
        assert_eq!(s.demand(x), &want);
        assert_eq!(s.demand(unread), &nowhere());
        tried(&f, &s);
    }
}

#[test]
fn numbers_of_an_example_go_where_its_axis_goes() {
    let mut f = func();
    let x = input(&mut f, "x", &["T", "B", "T"]);
    let len = f.fresh("len", Type::i32(vec![Dim::named("B")]));
    f.inputs.push(Input {
        role: InputRole::Lengths("T".into()),
        value: len,
    });
    let mut b = Build::new(&mut f);
    let real = b.emit(OpKind::padding(), &[x, len], "real");
    let of_len = |axis| Domain::before_end(axis, len.0 as usize);
    let shape = ["B", "T", "T"].map(Dim::named);
    let turned = b.expand(real, vec![Some(1), Some(2), Some(0)], &shape);
    let kept = b.reduce(ReduceOp::Sum, turned, &[1], "kept");
    let lost = b.reduce(ReduceOp::Sum, turned, &[0], "lost");
    let last = b.emit(OpKind::Take(TakeWhich::First), &[real, len], "first");
    let s = finish(b, &[kept, lost, last]);
    assert_eq!(s.nonzero(real), &of_len(0));
    assert_eq!(s.nonzero(turned), &of_len(2));
    assert_eq!(s.nonzero(kept), &of_len(1));
    assert!(s.nonzero(lost).is_everywhere());
    assert!(s.nonzero(last).is_everywhere());
    assert_eq!(s.demand(x), &of_len(0));
}

#[test]
fn reduced_axes_are_found_again() {
    for axes in [vec![0], vec![1], vec![0, 1], vec![0, 2], vec![1, 3]] {
        for i in 0..6 {
            match after_reduce(&axes, i) {
                Some(j) => assert_eq!(before_reduce(&axes, j), i, "{axes:?}"),
                None => assert!(axes.contains(&i)),
            }
        }
    }
}
