//! Values with the answer's time on more than one axis, as index form makes them.

use super::*;
use crate::domain::{Affine, Coord, Domain};

fn coord(axis: usize) -> Affine {
    Affine::coord(Coord::Axis(axis))
}

/// Axis `a` is at most axis `b` plus `c`.
fn within(a: usize, b: usize, c: i64) -> Domain {
    let right = coord(b).add(&Affine::constant(Dim::constant(c))).unwrap();
    Domain::le(&coord(a), &right).unwrap()
}

fn nearer_than(a: usize, b: usize, size: &str) -> Domain {
    let gap = coord(b).sub(&coord(a)).unwrap();
    Domain::lt(&gap, &Affine::constant(Dim::named(size))).unwrap()
}

impl Build {
    fn limited(&mut self, value: Expr, domain: Domain, fill: f64) -> Expr {
        let mut e = value.clone();
        e.span = self.span();
        e.kind = ExprKind::Where {
            value: Box::new(value),
            domain,
            fill,
        };
        e
    }

    fn contract(
        &mut self,
        (left, lhs): (Expr, &str),
        (right, rhs): (Expr, &str),
        out: &str,
        shape: &[&str],
    ) -> Expr {
        let kind = ExprKind::Contract {
            left: Box::new(left),
            right: Box::new(right),
            lhs: lhs.bytes().collect(),
            rhs: rhs.bytes().collect(),
            out: out.bytes().collect(),
        };
        self.expr(kind, shape)
    }

    fn unary(&mut self, op: Unary, value: Expr) -> Expr {
        let mut e = value.clone();
        e.span = self.span();
        e.kind = ExprKind::Unary(op, Box::new(value));
        e
    }

    fn binary(&mut self, op: Binary, left: Expr, right: Expr) -> Expr {
        let long = if left.shape.len() < right.shape.len() {
            &right
        } else {
            &left
        };
        let mut e = long.clone();
        e.span = self.span();
        e.kind = ExprKind::Binary(op, Box::new(left), Box::new(right));
        e
    }

    fn softmax(&mut self, value: Expr) -> Expr {
        let mut e = value.clone();
        e.span = self.span();
        e.kind = ExprKind::Softmax(Box::new(value));
        e
    }

    fn expand(&mut self, value: Expr, axes: &[Option<usize>], shape: &[&str]) -> Expr {
        let kind = ExprKind::Expand {
            value: Box::new(value),
            axes: axes.to_vec(),
        };
        self.expr(kind, shape)
    }

    /// `x[t] · x[s]`, axes t and s.
    fn scores(&mut self, x: VarId) -> Expr {
        let (q, k) = (self.read(x), self.read(x));
        self.contract((q, "th"), (k, "sh"), "ts", &["T", "T"])
    }

    /// The softmax of `x[t] · x[s]` over the s of a domain.
    fn weights(&mut self, x: VarId, domain: Domain) -> VarId {
        let w = self.scores(x);
        let w = self.limited(w, domain, f64::NEG_INFINITY);
        let a = self.softmax(w);
        self.bind("a", a)
    }

    /// `sum(a[t, s] * x[s]) over s`
    fn mixed(&mut self, a: VarId, x: VarId) -> Expr {
        let (a, x) = (self.read(a), self.read(x));
        self.contract((a, "ts"), (x, "sh"), "th", &["T", "H"])
    }

    fn past() -> (Build, VarId, VarId) {
        let (mut b, y) = Build::target(&["T", "H"]);
        let x = b.previous(y);
        let x = b.bind("x", x);
        (b, y, x)
    }

    /// Attention over the past of the answer, `s` in the domain.
    fn attention(domain: Domain) -> Model {
        let (mut b, y, x) = Build::past();
        let a = b.weights(x, domain);
        let e = b.mixed(a, x);
        b.predict(y, e)
    }
}

#[test]
fn attention_sees_what_its_domain_lets_in() {
    sound(&Build::attention(within(1, 0, 0)));
    sound(&Build::attention(within(1, 0, -3)));
    let near = nearer_than(1, 0, "H");
    sound(&Build::attention(within(1, 0, 0).and(near.clone())));
    let every = Domain::Multiple(coord(1), Dim::named("H"));
    let strided = near.clone().or(every.clone());
    sound(&Build::attention(within(1, 0, 0).and(strided)));

    let d = one(&Build::attention(within(1, 0, 1)));
    assert_eq!(d.message, "`predict y` sees `y` at the step it predicts");
    assert_eq!(d.labels[0].text, "runs 1 step past its own");
    let d = one(&Build::attention(within(1, 0, 3)));
    assert_eq!(d.message, "`predict y` sees `y` 2 steps ahead");
    let d = one(&Build::attention(Domain::everywhere()));
    assert_eq!(d.message, "`predict y` sees later steps of `y`");
    assert_eq!(d.labels[0].text, "taken over all steps of `T`");
    // The stride's own steps are not bounded where `or` joins it last.
    let d = one(&Build::attention(within(1, 0, 0).and(near).or(every)));
    assert_eq!(d.labels[0].text, "later steps of `T` are not all left out");
    // The condition on the wrong index.
    one(&Build::attention(within(0, 1, 0)));
}

#[test]
fn a_normaliser_over_all_steps_is_not_undone_by_a_masked_sum() {
    let (mut b, y, x) = Build::past();
    let w = b.scores(x);
    let a = b.softmax(w);
    let soft = a.span;
    let a = b.limited(a, within(1, 0, 0), 0.0);
    let a = b.bind("a", a);
    let e = b.mixed(a, x);
    let d = one(&b.predict(y, e));
    assert_eq!(d.labels[0].span, soft);
}

#[test]
fn a_term_beside_the_zero_weights_loses_the_mask() {
    let sum = |op: Binary| {
        let (mut b, y, x) = Build::past();
        let a = b.weights(x, within(1, 0, 0));
        let a = b.read(a);
        let a = b.expand(a, &[Some(0), Some(1), None], &["T", "T", "H"]);
        let v = b.read(x);
        let v = b.expand(v, &[None, Some(0), Some(1)], &["T", "T", "H"]);
        let weighted = b.binary(Binary::Mul, a, v.clone());
        let term = b.binary(op, weighted, v);
        let plus = term.span;
        let e = b.reduce(Reduce::Sum, term, 1, &["T", "H"]);
        let over = e.span;
        (b.predict(y, e), over, plus)
    };
    sound(&sum(Binary::Mul).0);
    let (model, over, plus) = sum(Binary::Add);
    let d = one(&model);
    assert_eq!(d.labels[0].span, over);
    assert!(d.labels.iter().any(|l| l.span == plus));
}

#[test]
fn zeros_pass_through_what_keeps_them() {
    let through = |f: &dyn Fn(&mut Build, Expr) -> Expr| {
        let (mut b, y, x) = Build::past();
        let a = b.weights(x, within(1, 0, 0));
        let a = b.read(a);
        let a = f(&mut b, a);
        let a = b.bind("c", a);
        let e = b.mixed(a, x);
        b.predict(y, e)
    };
    for op in [Unary::Neg, Unary::Relu, Unary::Tanh, Unary::Sqrt] {
        sound(&through(&|b, a| b.unary(op, a)));
    }
    for op in [Unary::Exp, Unary::Cos, Unary::Sigmoid] {
        one(&through(&|b, a| b.unary(op, a)));
    }
    // Two masks: either is enough in a product, and the wider one in a sum.
    let with = |op: Binary, c: i64| {
        through(&move |b, a| {
            let x = b.scores(VarId(1));
            let x = b.limited(x, within(1, 0, c), 0.0);
            b.binary(op, x, a)
        })
    };
    sound(&with(Binary::Mul, 9));
    sound(&with(Binary::Add, -2));
    one(&with(Binary::Add, 9));
    sound(&through(&|b, a| {
        let zero = b.expr(ExprKind::Number(0.0), &["T", "T"]);
        let cond = b.scores(VarId(1));
        let kind = ExprKind::Choose(Box::new(cond), Box::new(a), Box::new(zero));
        b.expr(kind, &["T", "T"])
    }));
    sound(&through(&|b, a| {
        let turned = b.expand(a, &[Some(1), Some(0)], &["T", "T"]);
        b.expand(turned, &[Some(1), Some(0)], &["T", "T"])
    }));
    sound(&through(&|b, a| {
        let value = Box::new(a);
        let kind = ExprKind::Dropout {
            value,
            p: 0.1,
            share_time: false,
            path: "d".into(),
        };
        b.expr(kind, &["T", "T"])
    }));
}

#[test]
fn weights_that_are_not_a_softmax() {
    // exp(w) is 0 where w is −∞; its sum over s divides it.
    let (mut b, y, x) = Build::past();
    let w = b.scores(x);
    let w = b.limited(w, within(1, 0, 0), f64::NEG_INFINITY);
    let u = b.unary(Unary::Exp, w);
    let u = b.bind("u", u);
    let top = b.mixed(u, x);
    let sum = b.read(u);
    let sum = b.reduce(Reduce::Sum, sum, 1, &["T"]);
    let sum = b.expand(sum, &[Some(0), None], &["T", "H"]);
    let e = b.binary(Binary::Div, top, sum);
    sound(&b.predict(y, e));
    // A maximum and a mean over the past.
    for (op, fill) in [(Reduce::Max, f64::NEG_INFINITY), (Reduce::Mean, 0.0)] {
        let (mut b, y, x) = Build::past();
        let v = b.read(x);
        let v = b.expand(v, &[None, Some(0), Some(1)], &["T", "T", "H"]);
        let v = b.limited(v, within(1, 0, 0), fill);
        let e = b.reduce(op, v, 1, &["T", "H"]);
        sound(&b.predict(y, e));
    }
}

#[test]
fn two_hops_add_up() {
    let hops = |first: i64, second: i64| {
        let (mut b, y, x) = Build::past();
        let a = b.weights(x, within(1, 0, first));
        let m = b.mixed(a, x);
        let m = b.bind("m", m);
        let a = b.weights(x, within(1, 0, second));
        let e = b.mixed(a, m);
        b.predict(y, e)
    };
    sound(&hops(0, 0));
    sound(&hops(2, -2));
    assert_eq!(
        one(&hops(1, 1)).message,
        "`predict y` sees `y` 1 step ahead"
    );
}

#[test]
fn a_product_of_masks_is_a_mask() {
    // c[t, s] = sum(a[t, z] * a[z, s]) over z is 0 where s > t.
    let (mut b, y, x) = Build::past();
    let a = b.weights(x, within(1, 0, 0));
    let (l, r) = (b.read(a), b.read(a));
    let c = b.contract((l, "tz"), (r, "zs"), "ts", &["T", "T"]);
    let c = b.bind("c", c);
    let e = b.mixed(c, x);
    sound(&b.predict(y, e));
}

#[test]
fn the_largest_of_a_row_have_seen_all_of_it() {
    let top = |domain: Domain| {
        let (mut b, y, x) = Build::past();
        let w = b.scores(x);
        let w = b.limited(w, domain.clone(), f64::NEG_INFINITY);
        let kind = ExprKind::Top {
            value: Box::new(w),
            k: 2,
        };
        let g = b.expr(kind, &["T", "T"]);
        let g = b.limited(g, domain, 0.0);
        let g = b.bind("g", g);
        let e = b.mixed(g, x);
        b.predict(y, e)
    };
    sound(&top(within(1, 0, 0)));
    one(&top(Domain::everywhere()));
}

#[test]
fn a_delay_pays_for_a_look_ahead() {
    let delayed = |by: u32| {
        let (mut b, y) = Build::target(&["T", "H"]);
        let value = Box::new(b.read(y));
        let x = b.expr(ExprKind::Delay { value, by }, &["T", "H"]);
        let x = b.bind("x", x);
        let a = b.weights(x, within(1, 0, 1));
        let e = b.mixed(a, x);
        b.predict(y, e)
    };
    sound(&delayed(2));
    one(&delayed(1));
}

#[test]
fn attention_over_another_time_is_free() {
    let mut b = Build::new();
    let s = b.input(InputKind::Input, "s", &["S", "H"]);
    let y = b.input(InputKind::Target, "y", &["T", "H"]);
    let (q, k) = (b.previous(y), b.read(s));
    let w = b.contract((q, "th"), (k, "sh"), "ts", &["T", "S"]);
    let a = b.softmax(w);
    let v = b.read(s);
    let e = b.contract((a, "ts"), (v, "sh"), "th", &["T", "H"]);
    sound(&b.predict(y, e));
}

#[test]
fn another_times_steps_that_saw_the_whole_answer_leak() {
    // m[s] = sum(w[s, t] * y[t]) over t, then back to t.
    let mut b = Build::new();
    let s = b.input(InputKind::Input, "s", &["S", "H"]);
    let y = b.input(InputKind::Target, "y", &["T", "H"]);
    let (k, v) = (b.read(s), b.previous(y));
    let w = b.contract((k, "sh"), (v.clone(), "th"), "st", &["S", "T"]);
    let m = b.contract((w, "st"), (v.clone(), "th"), "sh", &["S", "H"]);
    let gone = m.span;
    let w = b.contract((v, "th"), (m.clone(), "sh"), "ts", &["T", "S"]);
    let e = b.contract((w, "ts"), (m, "sh"), "th", &["T", "H"]);
    let d = one(&b.predict(y, e));
    assert_eq!(d.labels[0].span, gone);
}

#[test]
fn what_grows_at_every_turn_of_a_scan_is_refused() {
    // h'[t] = sum(h[s]) over s where s <= t + 1, run along another time.
    let mut b = Build::new();
    let x = b.input(InputKind::Input, "x", &["S", "H"]);
    let y = b.input(InputKind::Target, "y", &["T"]);
    let step = b.var("step", &["H"]);
    let before = b.var("h", &["T"]);
    let states = b.var("h.sequence", &["S", "T"]);
    let sequence = b.var("hs", &["S", "T"]);
    let last = b.var("h.last", &["T"]);
    let (source, initial, h) = (b.read(x), b.previous(y), b.read(before));
    let h = b.expand(h, &[None, Some(0)], &["T", "T"]);
    let h = b.limited(h, within(1, 0, 1), 0.0);
    let next = b.reduce(Reduce::Sum, h, 1, &["T"]);
    let span = b.span();
    b.model.body.push(Stmt::Scan(Scan {
        path: "c".into(),
        cell: "C".into(),
        dir: ScanDir::Forward,
        time: Sym::new("S"),
        inputs: vec![(step, source)],
        contexts: Vec::new(),
        states: vec![State {
            path: "c.h".into(),
            before,
            next: next.clone(),
            initial: Some(initial),
            sequence: states,
            last,
        }],
        body: Vec::new(),
        output: next,
        sequence,
        span,
    }));
    let e = b.read(last);
    let d = one(&b.predict(y, e));
    assert_eq!(d.message, "`predict y` sees later steps of `y`");
}
