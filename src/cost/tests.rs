//! The textbook's LSTM, counted.

mod attention;
mod counted;

use super::*;
use crate::dim::{Binding, Role, Sym};
use crate::ir::build::Build;
use crate::ir::*;
use crate::reverse::differentiate;
use crate::rewrite;
use crate::schedule::schedule;

/// An LSTM's four gates over a sequence, with the textbook's twelve weights.
fn lstm() -> Func {
    let mut dims = DimTable::default();
    dims.declare(Sym::new("B"), Role::Batch, Binding::Launch);
    dims.declare(Sym::new("T"), Role::Time, Binding::Launch);
    dims.declare(Sym::new("H"), Role::Feature, Binding::Static(Some(16)));
    dims.declare(Sym::new("X"), Role::Feature, Binding::Static(Some(16)));
    let shape = |names: &[&str]| names.iter().map(|n| Dim::named(n)).collect::<Vec<_>>();
    let mut func = Func::new("lstm", dims);
    let mut weight = |path: String, names: &[&str]| {
        let value = func.fresh(&path, Type::f32(shape(names)));
        func.params.push(Param { path, value });
        value
    };
    let gates = ["f", "i", "o", "g"].map(|g| {
        let w = weight(format!("W{g}"), &["H", "X"]);
        let u = weight(format!("U{g}"), &["H", "H"]);
        (w, u, weight(format!("b{g}"), &["H"]))
    });
    let xs = func.fresh("xs", Type::f32(shape(&["T", "B", "X"])));
    func.inputs.push(Input {
        role: InputRole::Data("xs".into()),
        value: xs,
    });
    let bh = shape(&["B", "H"]);
    let mut b = Build::new(&mut func);
    let zero = b.filled(0.0, &bh, "zero");
    let x = b.func.fresh("x", Type::f32(shape(&["B", "X"])));
    let [h, c, h_last, c_last] =
        ["h", "c", "h.last", "c.last"].map(|n| b.func.fresh(n, Type::f32(bh.clone())));
    let (body, (hn, cn)) = b.region(|b| {
        let mut gate = |(w, u, bias): (ValueId, ValueId, ValueId), f| {
            let p = b.contract((&[0, 1], x), (&[2, 1], w), &[0, 2], "p");
            let q = b.contract((&[0, 1], h), (&[2, 1], u), &[0, 2], "q");
            let z = b.add(p, q, "z");
            let bias = b.expand_leading(bias, &bh);
            let z = b.add(z, bias, "z");
            b.unary(f, z, "gate")
        };
        let [f, i, o] = [0, 1, 2].map(|k| gate(gates[k], Unary::Sigmoid));
        let g = gate(gates[3], Unary::Tanh);
        let (old, new) = (b.mul(f, c, "old"), b.mul(i, g, "new"));
        let cn = b.add(old, new, "c'");
        let t = b.unary(Unary::Tanh, cn, "t");
        (b.mul(o, t, "h'"), cn)
    });
    let carry = |init, param, next, last| Carry {
        init,
        param,
        next,
        last,
    };
    b.scan(crate::ir::Scan {
        extent: Dim::named("T"),
        reverse: false,
        len: None,
        valid: None,
        slices: vec![Slice { from: xs, to: x }],
        carries: vec![carry(zero, h, hn, h_last), carry(zero, c, cn, c_last)],
        stacks: vec![],
        body,
    });
    let loss = b.reduce(ReduceOp::Sum, h_last, &[0, 1], "loss");
    let ops = std::mem::take(&mut b.ops);
    func.body.ops = ops;
    func.outputs.push(Output {
        role: OutputRole::Loss,
        value: loss,
    });
    func
}

#[test]
fn an_lstm_costs_what_the_textbook_says() {
    let forward = lstm();
    let train = differentiate(&forward, &|_| true).unwrap();
    let plan = schedule(&train).unwrap();
    let cost = cost(&forward, &train, &plan).unwrap();
    assert_eq!(cost.names(&cost.parameters), "4·H² + 4·H·X + 4·H");
    // 2·B·T·4H·(X + H)
    assert_eq!(cost.names(&cost.forward), "B·(8·H²·T + 8·H·T·X)");
    // Each product has two in the backward pass, but inputs need no gradient.
    assert_eq!(cost.names(&cost.backward), "B·(16·H²·T + 8·H·T·X)");
    assert_eq!(cost.weights.len(), 12);
    let text = cost.to_string();
    assert!(
        text.starts_with("parameters   4·H² + 4·H·X + 4·H = 2,112\n"),
        "{text}"
    );
    assert!(text.contains(" = 4096·B·T FLOPs\n"), "{text}");
    assert_eq!(text.lines().count(), 5);
}

/// What must be read again: the recurrence's weights at each step, those of the inputs once.
#[test]
fn weights_of_16_bits_are_half_the_bytes_of_a_recurrence() {
    let size = |s: &Sym| match s.name() {
        "T" => Some(7),
        "B" => Some(2),
        _ => None,
    };
    for (lists, each) in [
        (&[rewrite::FORWARD][..], 4.0),
        (&[rewrite::FORWARD, rewrite::NARROW], 2.0),
    ] {
        let mut func = lstm();
        for passes in lists {
            rewrite::run(&mut func, passes, &[], &mut Vec::new()).unwrap();
        }
        let found = products(&schedule(&func).unwrap(), &size).unwrap();
        // Four gates of 16 units, each of 16 weights.
        let weights = 4.0 * 16.0 * 16.0;
        let flops = 2.0 * 2.0 * 7.0 * weights;
        let work = |steps: f64| Work {
            flops,
            bytes: steps * each * weights,
            held: each * weights,
        };
        assert_eq!(found.recurrent, work(7.0), "{func}");
        assert_eq!(found.alone, work(1.0), "{func}");
    }
}

#[test]
fn large_numbers_are_grouped_and_too_large_ones_refused() {
    assert_eq!(grouped(0), "0");
    assert_eq!(grouped(999), "999");
    assert_eq!(grouped(-1_234_567), "-1,234,567");
    let mut func = Func::new("big", DimTable::default());
    let huge = Dim::constant(1 << 40);
    let value = func.fresh("W", Type::f32(vec![huge.clone(), huge]));
    func.params.push(Param {
        path: "W".into(),
        value,
    });
    assert_eq!(count::elements(func.shape(value)), Err(Overflow));
}
