//! Attention, over whole sequences and inside loops: derivatives against differences, plans and machine
//! code against the interpreter, at sizes down to nothing.

mod common;

use common::attention::{decoder, multi_head};
use common::cases::{Case, check_compiled, dims_of};
use seqc::dim::Dim;
use seqc::domain::Domain;
use seqc::ir::build::Build;
use seqc::ir::*;

/// A loop over a time.
struct Along {
    time: &'static str,
    len: ValueId,
    reverse: bool,
}

impl Along {
    /// Runs `body`, which makes `next` of `state`, from `init` on: all states, and the last.
    fn states(
        &self,
        c: &mut Case<'_, '_>,
        slices: Vec<Slice>,
        [init, state, next]: [ValueId; 3],
        body: Region,
    ) -> (ValueId, ValueId) {
        let all = c.fresh("all", &[self.time, "B", "H"]);
        let last = c.fresh("last", &["B", "H"]);
        c.b.scan(Scan {
            extent: Dim::named(self.time),
            reverse: self.reverse,
            len: Some(self.len),
            valid: None,
            slices,
            carries: vec![Carry {
                init,
                param: state,
                next,
                last,
            }],
            stacks: vec![Stack {
                from: next,
                to: all,
            }],
            body,
        });
        (all, last)
    }

    /// The sum of the states that are there, times the last: a result that reads both.
    fn sum(&self, c: &mut Case<'_, '_>, all: ValueId, last: ValueId) -> ValueId {
        let sum = (c.b).reduce_masked(ReduceOp::Sum, all, self.len, &[0], "sum");
        c.b.mul(sum, last, "y")
    }
}

/// The softmax of scores over the steps that a context has, which lie along this axis.
fn shares(b: &mut Build<'_>, (scores, axis): (ValueId, usize), len: ValueId) -> ValueId {
    let kind = OpKind::Mask {
        domain: Domain::before_end(axis, 0),
        fill: f64::NEG_INFINITY,
        batch: Some(0),
    };
    let scores = b.emit(kind, &[scores, len], "e");
    b.emit(OpKind::Softmax, &[scores], "alpha")
}

#[test]
fn causal_attention_with_several_heads() {
    for batch_first in [false, true] {
        check_compiled("attention", |c| multi_head(c, batch_first));
    }
}

#[test]
fn attention_at_every_step_of_a_decoder() {
    for (reverse, with_len) in [(false, true), (true, false)] {
        check_compiled("decoder", |c| decoder(c, reverse, with_len));
    }
}

/// Dot-product attention inside a loop whose keys and values are products of weights and the context.
#[test]
fn several_heads_inside_a_loop() {
    let (b, s, n, k, h) = (0, 2, 5, 4, 3);
    check_compiled("heads in a loop", |c| {
        let (enc, of_s) = (c.weight("enc", &["S", "B", "E"]), c.lengths_of("S"));
        let len = c.lengths();
        let (wq, wk, wv) = (
            c.weight("Wq", &["N", "K", "H"]),
            c.weight("Wk", &["N", "K", "E"]),
            c.weight("Wv", &["N", "K", "E"]),
        );
        let wo = c.weight("Wo", &["H", "N", "K"]);
        let h0 = c.weight("h0", &["B", "H"]);
        let state = c.fresh("h", &["B", "H"]);
        let (body, next) = c.b.region(|bu| {
            let q = bu.contract((&[b, h], state), (&[n, k, h], wq), &[b, n, k], "q");
            let key = bu.contract((&[s, b, h], enc), (&[n, k, h], wk), &[s, b, n, k], "k");
            let v = bu.contract((&[s, b, h], enc), (&[n, k, h], wv), &[s, b, n, k], "v");
            let e = bu.contract((&[b, n, k], q), (&[s, b, n, k], key), &[b, n, s], "e");
            let alpha = shares(bu, (e, 2), of_s);
            let y = bu.contract((&[b, n, s], alpha), (&[s, b, n, k], v), &[b, n, k], "y");
            let y = bu.contract((&[b, n, k], y), (&[h, n, k], wo), &[b, h], "y");
            let y = bu.add(y, state, "y");
            bu.unary(Unary::Tanh, y, "h")
        });
        let along = Along {
            time: "T",
            len,
            reverse: false,
        };
        let (hs, last) = along.states(c, vec![], [h0, state, next], body);
        along.sum(c, hs, last)
    });
}

/// A network with a hidden layer scores each pair of the state and a step of the context, so that
/// matrices and biases act inside the loop on values of every step of the context.
#[test]
fn scores_by_a_deeper_network_inside_a_loop() {
    let (b, s, h, k) = (0, 2, 3, 4);
    check_compiled("deep scores", |c| {
        let (enc, of_s) = (c.weight("enc", &["S", "B", "H"]), c.lengths_of("S"));
        let len = c.lengths();
        let (w, bias, v) = (
            c.weight("W", &["K", "H"]),
            c.weight("b", &["K"]),
            c.weight("v", &["K"]),
        );
        let h0 = c.weight("h0", &["B", "H"]);
        let state = c.fresh("h", &["B", "H"]);
        let (body, next) = c.b.region(|bu| {
            let sbh = dims_of(&["S", "B", "H"]);
            let q = bu.expand(state, vec![None, Some(0), Some(1)], &sbh);
            let z = bu.mul(q, enc, "z");
            let z = bu.unary(Unary::Tanh, z, "z");
            let z = bu.contract((&[s, b, h], z), (&[k, h], w), &[s, b, k], "z");
            let bias = bu.expand_leading(bias, &dims_of(&["S", "B", "K"]));
            let z = bu.add(z, bias, "z");
            let z = bu.unary(Unary::Tanh, z, "z");
            let e = bu.contract((&[s, b, k], z), (&[k], v), &[b, s], "e");
            let a = shares(bu, (e, 1), of_s);
            let y = bu.contract((&[b, s], a), (&[s, b, h], enc), &[b, h], "y");
            bu.add(y, state, "h")
        });
        let along = Along {
            time: "T",
            len,
            reverse: true,
        };
        let (hs, last) = along.states(c, vec![], [h0, state, next], body);
        along.sum(c, hs, last)
    });
}

/// Two loops over axes of different lengths: the second reads every state of the first at every step,
/// and starts from its last.
#[test]
fn a_loop_that_reads_another_loops_states() {
    check_compiled("encoder and decoder", |c| {
        let (xs, of_s, len) = (
            c.weight("xs", &["S", "B", "H"]),
            c.lengths_of("S"),
            c.lengths(),
        );
        let (u, w) = (c.weight("U", &["H", "H"]), c.weight("W", &["H", "H"]));
        let zero = c.b.filled(0.0, &dims_of(&["B", "H"]), "zero");
        let (x, h) = (c.fresh("x", &["B", "H"]), c.fresh("h", &["B", "H"]));
        let (body, next) = c.b.region(|bu| {
            let z = bu.contract((&[0, 1], h), (&[2, 1], u), &[0, 2], "z");
            let z = bu.add(z, x, "z");
            bu.unary(Unary::Tanh, z, "h")
        });
        let along = Along {
            time: "S",
            len: of_s,
            reverse: false,
        };
        let (enc, first) = along.states(c, vec![Slice { from: xs, to: x }], [zero, h, next], body);
        let kind = OpKind::Mask {
            domain: Domain::before_end(0, 0),
            fill: 0.0,
            batch: Some(1),
        };
        let g = c.fresh("g", &["B", "H"]);
        let (body, next) = c.b.region(|bu| {
            let real = bu.emit(kind, &[enc, of_s], "enc");
            let e = bu.contract((&[0, 1], g), (&[2, 0, 1], real), &[2, 0], "e");
            let e = bu.unary(Unary::Sigmoid, e, "e");
            let y = bu.contract((&[2, 0], e), (&[2, 0, 1], real), &[0, 1], "y");
            let y = bu.contract((&[0, 1], y), (&[2, 1], w), &[0, 2], "y");
            let y = bu.add(y, g, "y");
            bu.unary(Unary::Tanh, y, "g")
        });
        let along = Along {
            time: "T",
            len,
            reverse: false,
        };
        let (dec, last) = along.states(c, vec![], [first, g, next], body);
        along.sum(c, dec, last)
    });
}
