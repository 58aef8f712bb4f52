//! Attention as functions of the IR.

use seqc::dim::Dim;
use seqc::domain::{Affine, Coord, Domain};
use seqc::ir::*;

use super::cases::{Case, dims_of};

/// `s <= t`
fn causal(t: usize, s: usize) -> Domain {
    let axis = |i| Affine::coord(Coord::Axis(i));
    Domain::le(&axis(s), &axis(t)).unwrap()
}

pub fn mask(
    c: &mut Case<'_, '_>,
    args: &[ValueId],
    domain: Domain,
    fill: f64,
    batch: Option<usize>,
) -> ValueId {
    let kind = OpKind::Mask {
        domain,
        fill,
        batch,
    };
    c.b.emit(kind, args, "m")
}

/// Causal attention with several heads, as an example's part of a batch: `[T, B, E]` in and out.
pub fn multi_head(c: &mut Case<'_, '_>, batch_first: bool) -> ValueId {
    let (b, t, s, n, k, e) = (0, 1, 2, 3, 4, 5);
    let (x, len) = (c.weight("x", &["T", "B", "E"]), c.lengths());
    let [q, key, v] = ["Wq", "Wk", "Wv"].map(|name| {
        let w = c.weight(name, &["N", "K", "E"]);
        let by = if name == "Wq" { t } else { s };
        c.b.contract((&[by, b, e], x), (&[n, k, e], w), &[by, b, n, k], name)
    });
    let (order, t_axis, batch): (&[u8], _, _) = match batch_first {
        true => (&[b, n, t, s], 2, 0),
        false => (&[t, b, n, s], 0, 1),
    };
    let scores =
        c.b.contract((&[t, b, n, k], q), (&[s, b, n, k], key), order, "scores");
    let scale = c.b.number(0.5);
    let scores = c.b.mul(scores, scale, "scores");
    let domain = causal(t_axis, 3).and(Domain::before_end(3, 0));
    let scores = mask(c, &[scores, len], domain, f64::NEG_INFINITY, Some(batch));
    let weights = c.b.emit(OpKind::Softmax, &[scores], "alpha");
    // Padding is masked once more where a time is summed.
    let kept = mask(
        c,
        &[weights, len],
        Domain::before_end(3, 0),
        0.0,
        Some(batch),
    );
    let heads =
        c.b.contract((order, kept), (&[s, b, n, k], v), &[t, b, n, k], "heads");
    let wo = c.weight("Wo", &["E", "N", "K"]);
    let y =
        c.b.contract((&[t, b, n, k], heads), (&[e, n, k], wo), &[t, b, e], "y");
    mask(c, &[y, len], Domain::before_end(0, 0), 0.0, Some(1))
}

/// A recurrent decoder that attends to an encoder's states at every step: additive attention, with the
/// context fed to the state; `reverse` for a decoder that runs backwards.
pub fn decoder(c: &mut Case<'_, '_>, reverse: bool, with_len: bool) -> ValueId {
    let (b, s, k, h) = (0, 2, 4, 3);
    let (xs, enc) = (
        c.weight("xs", &["T", "B", "X"]),
        c.weight("enc", &["S", "B", "K"]),
    );
    let (len, of_s) = (with_len.then(|| c.lengths()), c.lengths_of("S"));
    let (wa, ua, va) = (
        c.weight("Wa", &["H", "H"]),
        c.weight("Ua", &["H", "K"]),
        c.weight("va", &["H"]),
    );
    let (w, u, wc) = (
        c.weight("W", &["H", "X"]),
        c.weight("U", &["H", "H"]),
        c.weight("C", &["H", "K"]),
    );
    let ba = c.weight("ba", &["H"]);
    let (h0, n0) = (c.weight("h0", &["B", "H"]), c.weight("n0", &["B", "H"]));
    let (x, state, count) = (
        c.fresh("x", &["B", "X"]),
        c.fresh("h", &["B", "H"]),
        c.fresh("n", &["B", "H"]),
    );
    let (body, (hn, cn, alpha)) = c.b.region(|bu| {
        let q = bu.contract((&[b, k], state), (&[h, k], wa), &[b, h], "q");
        let key = bu.contract((&[s, b, k], enc), (&[h, k], ua), &[s, b, h], "key");
        let sbh = dims_of(&["S", "B", "H"]);
        let q = bu.expand(q, vec![None, Some(0), Some(1)], &sbh);
        let bias = bu.expand_leading(ba, &sbh);
        let key = bu.add(key, bias, "key");
        let z = bu.add(q, key, "z");
        let z = bu.unary(Unary::Tanh, z, "z");
        let e = bu.contract((&[s, b, h], z), (&[h], va), &[b, s], "e");
        let kind = OpKind::Mask {
            domain: Domain::before_end(1, 0),
            fill: f64::NEG_INFINITY,
            batch: Some(0),
        };
        let e = bu.emit(kind, &[e, of_s], "e");
        let alpha = bu.emit(OpKind::Softmax, &[e], "alpha");
        let kind = OpKind::Mask {
            domain: Domain::before_end(1, 0),
            fill: 0.0,
            batch: Some(0),
        };
        let kept = bu.emit(kind, &[alpha, of_s], "alpha");
        let context = bu.contract((&[b, s], kept), (&[s, b, k], enc), &[b, k], "context");
        let p = bu.contract((&[b, k], x), (&[h, k], w), &[b, h], "p");
        let r = bu.contract((&[b, k], state), (&[h, k], u), &[b, h], "r");
        let c = bu.contract((&[b, k], context), (&[h, k], wc), &[b, h], "c");
        let z = bu.add(p, r, "z");
        let z = bu.add(z, c, "z");
        let hn = bu.unary(Unary::Tanh, z, "h");
        let cn = bu.mul(count, hn, "n");
        let cn = bu.add(cn, count, "n");
        (hn, cn, alpha)
    });
    let (hs, alphas) = (
        c.fresh("hs", &["T", "B", "H"]),
        c.fresh("alphas", &["T", "B", "S"]),
    );
    let (last, count_last) = (c.fresh("last", &["B", "H"]), c.fresh("count", &["B", "H"]));
    let carry = |init, param, next, last| Carry {
        init,
        param,
        next,
        last,
    };
    c.b.scan(Scan {
        extent: Dim::named("T"),
        reverse,
        len,
        valid: None,
        slices: vec![Slice { from: xs, to: x }],
        carries: vec![carry(h0, state, hn, last), carry(n0, count, cn, count_last)],
        stacks: vec![
            Stack { from: hn, to: hs },
            Stack {
                from: alpha,
                to: alphas,
            },
        ],
        body,
    });
    let sum = |c: &mut Case<'_, '_>, x| match len {
        Some(len) => c.b.reduce_masked(ReduceOp::Sum, x, len, &[0], "sum"),
        None => c.b.reduce(ReduceOp::Sum, x, &[0], "sum"),
    };
    let hs = sum(c, hs);
    let alphas = c.b.mul(alphas, alphas, "alphaalpha");
    let alphas = sum(c, alphas);
    let alphas = c.b.reduce(ReduceOp::Sum, alphas, &[1], "alpha");
    let alphas =
        c.b.expand(alphas, vec![Some(0), None], &dims_of(&["B", "H"]));
    let y = c.b.mul(hs, count_last, "y");
    let y = c.b.add(y, last, "y");
    c.b.add(y, alphas, "y")
}
