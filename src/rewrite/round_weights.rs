//! Weights that stand in products are rounded to 16 bits (bfloat16), each once, before they are joined or parted.
//!
//! In: a function without gradients, after the products have their final form. Out: the same with `bf16 W` in place of
//! `W` wherever something made of weights alone is an operand of a product that sums, with something that is not. A target
//! may then keep these operands in half the memory. What is read in other ways, as a table of embeddings or a bias, stays
//! as it is, and so does everything that is not made of weights alone. What a weight is made into by moving elements
//! (joined, parted, repeated) is rounded before it is moved; what is computed of weights, after, once: in `(W + B·A)·x` the
//! sum is rounded, and neither `B` nor `A`, whose product is a weight like others.

use std::collections::{HashMap, HashSet};

use super::Pass;
use super::edit;
use crate::ir::*;

pub const PASS: Pass = Pass {
    name: "round-weights",
    why: "rounds weights that stand in products to 16 bits",
    run,
};

fn run(func: &mut Func) {
    let mut rounding = Rounding {
        makers: edit::makers(func),
        weights: weights(func),
        rounded: HashMap::new(),
    };
    for (id, _) in edit::live_ops(func) {
        let op = func.op(id);
        let OpKind::Contract { lhs, rhs, out } = &op.kind else {
            continue;
        };
        if lhs.iter().chain(rhs).all(|l| out.contains(l)) {
            continue;
        }
        if op.results.iter().all(|r| rounding.weights.contains(r)) {
            continue;
        }
        let args = op.args.clone();
        let args = args.into_iter().map(|v| rounding.of(func, v)).collect();
        func.op_mut(id).args = args;
    }
    super::dce::run(func);
}

/// Values made of weights and constants alone, at least one weight among them.
fn weights(func: &Func) -> HashSet<ValueId> {
    let mut weights: HashSet<ValueId> = func.params.iter().map(|p| p.value).collect();
    let mut fixed = weights.clone();
    for (id, _) in edit::live_ops(func) {
        let op = func.op(id);
        let varies = matches!(op.kind, OpKind::Scan(_) | OpKind::Random { .. });
        if !varies && op.args.iter().all(|a| fixed.contains(a)) {
            fixed.extend(&op.results);
            if op.args.iter().any(|a| weights.contains(a)) {
                weights.extend(&op.results);
            }
        }
    }
    weights
}

struct Rounding {
    makers: HashMap<ValueId, OpId>,
    weights: HashSet<ValueId>,
    /// What stands for a value in products.
    rounded: HashMap<ValueId, ValueId>,
}

impl Rounding {
    /// The value itself where it is not made of weights alone.
    fn of(&mut self, func: &mut Func, v: ValueId) -> ValueId {
        if !self.weights.contains(&v) {
            return v;
        }
        if let Some(known) = self.rounded.get(&v) {
            return *known;
        }
        let maker = self.makers.get(&v).copied();
        let op = maker.map(|id| func.op(id).clone());
        let moves = |op: &&Op| {
            let kind = &op.kind;
            matches!(
                kind,
                OpKind::Expand { .. } | OpKind::Split { .. } | OpKind::Concat { .. }
            )
        };
        let (new, from) = match op.as_ref().filter(moves) {
            Some(op) => {
                let args: Vec<ValueId> = op.args.iter().map(|a| self.of(func, *a)).collect();
                let names: Vec<String> = op.results.iter().map(|r| name(func, *r)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let spans = op.spans.clone();
                let made = edit::make(func, op.kind.clone(), &args, &names, spans, PASS.name);
                (made, op.results.clone())
            }
            None => {
                let kind = OpKind::Unary(Unary::Bf16);
                let spans = op.map_or(Vec::new(), |op| op.spans);
                let name = name(func, v);
                let made = edit::make(func, kind, &[v], &[&name], spans, PASS.name);
                (made, vec![v])
            }
        };
        let (id, results) = new;
        match maker {
            Some(maker) => edit::insert_after(func, maker, id),
            None => func.body.ops.insert(0, id),
        }
        self.rounded.extend(from.into_iter().zip(results));
        self.rounded.get(&v).copied().unwrap_or(v)
    }
}

fn name(func: &Func, v: ValueId) -> String {
    func.value(v).name.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::{Dim, DimTable};
    use crate::ir::build::Build;
    use crate::ir::interp::{self, Draw, Tensor, bf16};

    /// `y = [A; B]·x + (A + B)·x + c`, where the joined matrix is parted again.
    fn layer() -> Func {
        let mut func = Func::new("f", DimTable::default());
        let n = |n: i64| Dim::constant(n);
        let ty = |shape: &[i64]| Type::f32(shape.iter().map(|d| n(*d)).collect());
        let [a, b, c, x] = [("A", &[2, 3][..]), ("B", &[2, 3]), ("c", &[2]), ("x", &[3])]
            .map(|(name, shape)| func.fresh(name, ty(shape)));
        for (path, value) in [("A", a), ("B", b), ("c", c)] {
            let path = path.to_string();
            func.params.push(Param { path, value });
        }
        let role = InputRole::Data("x".to_string());
        func.inputs.push(Input { role, value: x });
        let mut m = Build::new(&mut func);
        let joined = m.emit(OpKind::Concat { axis: 0 }, &[a, b], "J");
        let product = |m: &mut Build<'_>, w: ValueId| {
            let kind = OpKind::Contract {
                lhs: vec![0, 1],
                rhs: vec![1],
                out: vec![0],
            };
            m.emit(kind, &[w, x], "p")
        };
        let both = product(&mut m, joined);
        let kind = OpKind::Split {
            axis: 0,
            sizes: vec![n(2), n(2)],
        };
        let parts = m.emit_all(kind, &[both], &["q"]);
        let sum = m.add(a, b, "s");
        let third = product(&mut m, sum);
        let y = m.add(parts[0], parts[1], "y");
        let y = m.add(y, third, "y");
        let y = m.add(y, c, "y");
        let ops = m.ops;
        func.body.ops = ops;
        let role = OutputRole::Named("y".to_string());
        func.outputs.push(Output { role, value: y });
        func
    }

    fn value(func: &Func, params: &[Vec<f64>; 3], x: &[f64]) -> Vec<f64> {
        let shapes = [vec![2, 3], vec![2, 3], vec![2]];
        let params = params.iter().zip(shapes);
        let params: Vec<Tensor> = params.map(|(d, s)| Tensor::new(s, d.clone())).collect();
        let x = Tensor::new(vec![3], x.to_vec());
        let out = interp::run(func, &[], &[x], &params, Draw::default()).expect("it runs");
        out[0].data.clone()
    }

    #[test]
    fn operands_made_of_weights_are_rounded_and_nothing_else_is() {
        let exact = layer();
        let mut func = layer();
        run(&mut func);
        verify::verify(&func).expect("a valid function");
        let weight = |i: usize| f64::from(0.3 + 0.017 * i as f32);
        let a: Vec<f64> = (0..6).map(weight).collect();
        let b: Vec<f64> = (6..12).map(weight).collect();
        let c: Vec<f64> = vec![f64::from(0.1f32), f64::from(0.7f32)];
        let x: Vec<f64> = (20..23).map(weight).collect();
        let got = value(&func, &[a.clone(), b.clone(), c.clone()], &x);
        let round = |w: &[f64]| w.iter().map(|w| bf16(*w)).collect::<Vec<_>>();
        // What is computed of weights is rounded as a whole: the sum's terms are the others'.
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| bf16(a + b)).collect();
        for i in 0..2 {
            let row = |w: &[f64]| -> f64 { (0..3).map(|j| w[i * 3 + j] * x[j]).sum() };
            let expected = row(&round(&a)) + row(&round(&b)) + row(&sum) + c[i];
            assert!(
                (got[i] - expected).abs() < 1e-12,
                "{got:?} at {i}: {expected}"
            );
        }
        assert_ne!(got, value(&exact, &[a, b, c], &x));
        let roundings = |op: &Op| matches!(op.kind, OpKind::Unary(Unary::Bf16));
        let live = edit::live_ops(&func);
        let all = live.iter().filter(|(id, _)| roundings(func.op(*id)));
        assert_eq!(all.count(), 3, "{func}");
    }

    /// `y = (W + B·A)·x`, a low-rank update.
    #[test]
    fn a_product_of_weights_is_rounded_with_what_it_is_added_to() {
        let mut func = Func::new("f", DimTable::default());
        let ty = |shape: &[i64]| Type::f32(shape.iter().map(|d| Dim::constant(*d)).collect());
        let named = [
            ("W", &[2, 3][..]),
            ("B", &[2, 1]),
            ("A", &[1, 3]),
            ("x", &[3]),
        ];
        let [w, b, a, x] = named.map(|(name, shape)| func.fresh(name, ty(shape)));
        for (path, value) in [("W", w), ("B", b), ("A", a)] {
            let path = path.to_string();
            func.params.push(Param { path, value });
        }
        let role = InputRole::Data("x".to_string());
        func.inputs.push(Input { role, value: x });
        let mut m = Build::new(&mut func);
        let product = |m: &mut Build<'_>, args: &[ValueId], [lhs, rhs, out]: [&[u8]; 3]| {
            let [lhs, rhs, out] = [lhs, rhs, out].map(<[u8]>::to_vec);
            m.emit(OpKind::Contract { lhs, rhs, out }, args, "p")
        };
        let update = product(&mut m, &[b, a], [&[0, 2], &[2, 1], &[0, 1]]);
        let sum = m.add(w, update, "s");
        let y = product(&mut m, &[sum, x], [&[0, 1], &[1], &[0]]);
        func.body.ops = m.ops;
        let role = OutputRole::Named("y".to_string());
        func.outputs.push(Output { role, value: y });
        run(&mut func);
        verify::verify(&func).expect("a valid function");
        let number = |i: usize| f64::from(0.3 + 0.017 * i as f32);
        let numbers = |range: std::ops::Range<usize>| range.map(number).collect::<Vec<f64>>();
        let [w, b, a, x] = [0..6, 6..8, 8..11, 11..14].map(numbers);
        let tensor = |shape: &[usize], data: &[f64]| Tensor::new(shape.to_vec(), data.to_vec());
        let params = [
            tensor(&[2, 3], &w),
            tensor(&[2, 1], &b),
            tensor(&[1, 3], &a),
        ];
        let out = interp::run(&func, &[], &[tensor(&[3], &x)], &params, Draw::default());
        let got = &out.expect("it runs")[0].data;
        for i in 0..2 {
            let term = |j: usize| bf16(w[i * 3 + j] + b[i] * a[j]) * x[j];
            let expected: f64 = (0..3).map(term).sum();
            assert!((got[i] - expected).abs() < 1e-12, "{got:?}: {expected}");
        }
    }
}
