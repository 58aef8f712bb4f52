//! Attention by hand: what a condition leaves is what is counted, forward and backward.

use super::counted::{causal, dims, every, near};
use crate::cost::{Cost, cost};
use crate::dim::Dim;
use crate::domain::{Coord, Domain};
use crate::ir::build::Build;
use crate::ir::*;
use crate::reverse::differentiate;
use crate::schedule::schedule;

/// One head of width 16 over `x [T, B, 16]`: scores `[B, t, s]` where the domain over (t, s) holds.
pub fn attention(domain: Option<Domain>) -> Func {
    let mut func = Func::new("attention", dims());
    let [t, b, e] = [Dim::named("T"), Dim::named("B"), Dim::constant(16)];
    let weights = ["Wq", "Wk", "Wv"].map(|path| {
        let value = func.fresh(path, Type::f32(vec![e.clone(), e.clone()]));
        func.params.push(Param {
            path: path.into(),
            value,
        });
        value
    });
    let x = func.fresh("x", Type::f32(vec![t, b.clone(), e]));
    let len = func.fresh("len", Type::i32(vec![b]));
    for (role, value) in [
        (InputRole::Data("x".into()), x),
        (InputRole::Lengths("T".into()), len),
    ] {
        func.inputs.push(Input { role, value });
    }
    let mut b = Build::new(&mut func);
    let [q, k, v] = weights.map(|w| b.contract((&[0, 1, 2], x), (&[3, 2], w), &[0, 1, 3], "p"));
    let w = b.contract((&[0, 1, 3], q), (&[2, 1, 3], k), &[1, 0, 2], "w");
    let root = b.number(4.0);
    let mut w = b.div(w, root, "w");
    let mask = |b: &mut Build, x: ValueId, domain: Domain, fill: f64, of: &[ValueId]| {
        let kind = OpKind::Mask {
            domain,
            fill,
            batch: Some(0),
        };
        let args: Vec<ValueId> = std::iter::once(x).chain(of.iter().copied()).collect();
        b.emit(kind, &args, "masked")
    };
    if let Some(domain) = domain {
        let place = |c: Coord| match c {
            Coord::Axis(i) => Some(Coord::Axis(i + 1)),
            Coord::Of(_) => None,
        };
        let domain = domain.map(&place).unwrap();
        w = mask(&mut b, w, domain, f64::NEG_INFINITY, &[]);
    }
    let real = Domain::before_end(2, 0);
    w = mask(&mut b, w, real.clone(), f64::NEG_INFINITY, &[len]);
    let a = b.emit(OpKind::Softmax, &[w], "a");
    let a = mask(&mut b, a, real, 0.0, &[len]);
    let m = b.contract((&[1, 0, 2], a), (&[2, 1, 3], v), &[0, 1, 3], "m");
    let loss = b.reduce_masked(ReduceOp::Sum, m, len, &[0, 1], "loss");
    let loss = b.reduce(ReduceOp::Sum, loss, &[0], "loss");
    let ops = std::mem::take(&mut b.ops);
    func.body.ops = ops;
    func.outputs.push(Output {
        role: OutputRole::Loss,
        value: loss,
    });
    func
}

fn costs(domain: Option<Domain>) -> Cost {
    let forward = attention(domain);
    let train = differentiate(&forward, &|_| true).unwrap();
    verify::verify(&train).unwrap();
    cost(&forward, &train, &schedule(&train).unwrap()).unwrap()
}

/// Three projections of 2·16·16 each, and two products of 2·16 for each pair; the gradients take
/// twice that, less the gradient of the input.
#[test]
fn a_condition_counts_for_what_it_leaves_forward_and_backward() {
    let whole = costs(None);
    assert_eq!(whole.names(&whole.forward), "B·(64·T² + 1536·T)");
    assert_eq!(whole.names(&whole.backward), "B·(128·T² + 1536·T)");
    let half = costs(Some(causal()));
    assert_eq!(half.names(&half.forward), "B·(32·T·(T + 1) + 1536·T)");
    assert_eq!(half.names(&half.backward), "B·(64·T·(T + 1) + 1536·T)");
    let band = costs(Some(causal().and(near())));
    assert_eq!(band.names(&band.forward), "B·(32·K·(2·T - K + 1) + 1536·T)");
    assert!(band.forward.exact && band.backward.exact);
    let text = band.to_string();
    assert!(text.contains(" FLOPs, for K <= T\n"), "{text}");
    let strided = costs(Some(causal().and(near().or(every()))));
    assert_eq!(
        strided.names(&strided.forward),
        "B·(32·(T²/K + 2·K·T - T - K² + K) + 1536·T)"
    );
    assert_eq!(
        strided.names(&strided.backward),
        "B·(64·(T²/K + 2·K·T - T - K² + K) + 1536·T)"
    );
    assert!(strided.to_string().contains("for T a multiple of K\n"));
}

#[test]
fn bounds_are_called_bounds() {
    let twice = crate::domain::Affine::coord(Coord::Axis(1))
        .scale(2)
        .unwrap();
    let t = crate::domain::Affine::coord(Coord::Axis(0));
    let cost = costs(Some(Domain::le(&twice, &t).unwrap()));
    let text = cost.to_string();
    assert!(
        text.contains("forward      at most B·(64·T² + 1536·T) FLOPs\n"),
        "{text}"
    );
}

/// Every task reads its operands once and writes its results once; what is not trained moves nothing
/// else.
#[test]
fn bytes_moved_are_those_of_the_views() {
    let mut func = Func::new("one", dims());
    let shape = [Dim::named("B"), Dim::constant(3)];
    let x = func.fresh("x", Type::f32(shape.to_vec()));
    let w = func.fresh("W", Type::f32(vec![Dim::constant(5), Dim::constant(3)]));
    func.inputs.push(Input {
        role: InputRole::Data("x".into()),
        value: x,
    });
    func.params.push(Param {
        path: "W".into(),
        value: w,
    });
    let mut b = Build::new(&mut func);
    let y = b.contract((&[0, 1], x), (&[2, 1], w), &[0, 2], "y");
    func.body.ops = std::mem::take(&mut b.ops);
    func.outputs.push(Output {
        role: OutputRole::Named("y".into()),
        value: y,
    });
    let plan = schedule(&func).unwrap();
    let cost = cost(&func, &func, &plan).unwrap();
    assert_eq!(cost.names(&cost.moved.read), "12·B + 60");
    assert_eq!(cost.names(&cost.moved.written), "20·B");
    assert_eq!(cost.names(&cost.backward), "0");
}
