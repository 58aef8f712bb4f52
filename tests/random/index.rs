//! Index form at random: attention, sums with conditions, transposes, products along any axis.
//!
//! In: a definition with a time. Out: lines added to it, the last of which has the shape of a plain value.

use super::definitions::named;
use super::terms::{Gen, Scope};
use super::text::{Line, Shape, Term};

/// A condition on `t` and `s`, empty for none, and whether it leaves only `s <= t`.
fn condition(g: &mut Gen, same: bool) -> (&'static str, bool) {
    let past: &[&str] = &[
        "s <= t",
        "s <= t",
        "s < t",
        "0 <= t - s < 3",
        "s <= t and (t - s < 2 or mod(s, 2) == 0)",
        "s == t",
        "not (s > t)",
        "s <= t and mod(t - s, 2) == 0",
        "s + 1 <= t and not mod(s, 3) == 1",
    ];
    let any: &[&str] = &[
        "",
        "",
        "mod(s, 2) == 0",
        "t - s < 2",
        "s <= t or mod(s + t, 3) == 0",
        "s >= t",
        "s < 3 or s > (2*t)",
        "s != t",
    ];
    match same && g.choice.chance(60) {
        true => (*g.choice.pick(past), true),
        false => (*g.choice.pick(any), false),
    }
}

fn over(condition: &str) -> String {
    match condition {
        "" => "over s".into(),
        c => format!("over s where {c}"),
    }
}

/// `name[indices] = value`, a name that only index form reads.
fn line(s: &mut Scope, base: &str, indices: &str, value: Term) -> (String, bool) {
    let name = s.fresh(base);
    let fed = value.fed;
    s.lines.push(Line {
        names: vec![name.clone()],
        left: format!("{name}[{indices}] = "),
        value,
        right: String::new(),
    });
    (name, fed)
}

/// Some lines in index form, and a name for what they compute.
pub fn index(g: &mut Gen, s: &mut Scope) {
    match g.choice.below(12) {
        0..=3 => attention(g, s),
        4 | 5 => heads(g, s),
        6..=8 => sum(g, s),
        9 => transpose(g, s),
        10 => positions(g, s),
        _ => matrix(g, s),
    }
}

/// Times for `t` and `s`, and a condition on both.
fn pair(g: &mut Gen, s: &Scope) -> (&'static str, &'static str, &'static str, bool) {
    let (a, b) = (*g.choice.pick(&s.times), *g.choice.pick(&s.times));
    let (c, causal) = condition(g, a == b);
    (a, b, c, causal)
}

/// A name for a vector of this size at every step of a time; `ahead`: it is read at later steps.
fn sequence(g: &mut Gen, s: &mut Scope, time: &'static str, size: &str, ahead: bool) -> Term {
    g.clean += usize::from(ahead);
    let shape = Shape::new(Some(time), &[size]);
    let value = g.term(s, &shape, 2);
    g.clean -= usize::from(ahead);
    named(s, "a", value)
}

fn attention(g: &mut Gen, s: &mut Scope) {
    let (a, b, c, causal) = pair(g, s);
    let (d, e) = (
        g.choice.pick(&s.sizes).clone(),
        g.choice.pick(&s.sizes).clone(),
    );
    let q = sequence(g, s, a, &d, false);
    let k = sequence(g, s, b, &d, !causal);
    let v = sequence(g, s, b, &e, !causal);
    let none = Shape::new(None, &[]);
    let form = *g.choice.pick(&[
        "{}[t] · {}[s] / 2",
        "sum(tanh({}[t] + {}[s]))",
        "({}[t] - 0.5) · sin({}[s]) - 0.1*(t - s)",
    ]);
    let (w, fed) = line(s, "w", "t, s", Term::new(&none, form, vec![q, k]));
    let score = Term::name(&none, &w, fed);
    let form = format!("softmax({{}}[t, s]) {}", over(c));
    let (p, fed) = line(s, "p", "t, s", Term::new(&none, &form, vec![score]));
    // Where the condition stands in the weights, the sum need not repeat it.
    let p = Term::name(&none, &p, fed);
    let out = Shape::new(Some(a), &[&e]);
    let form = *g.choice.pick(&[
        "sum({}[t, s] * {}[s]) over s",
        "sum({}[t, s] * tanh({}[s])) over s",
    ]);
    let value = Term::new(&out, form, vec![p, v]);
    finish(s, "y", "t", value);
}

/// A last line in index form, whose value plain equations may read.
fn finish(s: &mut Scope, base: &str, indices: &str, value: Term) {
    let shape = value.shape.clone();
    let (name, fed) = line(s, base, indices, value);
    s.add(&name, &shape, fed);
}

fn heads(g: &mut Gen, s: &mut Scope) {
    let (a, b, c, causal) = pair(g, s);
    let (d, e, x) = (
        g.choice.pick(&s.sizes).clone(),
        g.choice.pick(&s.sizes).clone(),
        g.choice.pick(&s.sizes).clone(),
    );
    let rows = sequence(g, s, a, &x, false);
    let columns = sequence(g, s, b, &x, !causal);
    let project = |s: &mut Scope, of: &Term, time| {
        let w = s.fresh("W");
        s.declare(&w, format!("param {w} : [2, {d}, {x}]"));
        let shape = Shape::new(Some(time), &["2", &d]);
        let value = Term::new(&shape, &format!("{w}·{{}}"), vec![of.clone()]);
        named(s, "a", value)
    };
    let q = project(s, &rows, a);
    let k = project(s, &columns, b);
    let v = project(s, &columns, b);
    let none = Shape::new(None, &[]);
    let form = "{}[t, n] · {}[s, n] / 1.5";
    let (w, fed) = line(s, "w", "n, t, s", Term::new(&none, form, vec![q, k]));
    let form = format!("softmax({{}}[n, t, s]) {}", over(c));
    let score = Term::name(&none, &w, fed);
    let (p, fed) = line(s, "p", "n, t, s", Term::new(&none, &form, vec![score]));
    let p = Term::name(&none, &p, fed);
    let form = "sum({}[n, t, s] * {}[s, n]) over s";
    let (m, fed) = line(s, "m", "t, n", Term::new(&none, form, vec![p, v]));
    let o = s.fresh("W");
    s.declare(&o, format!("param {o} : [2, {e}, {d}]"));
    let out = Shape::new(Some(a), &[&e]);
    let m = Term::name(&none, &m, fed);
    let value = Term::new(&out, &format!("sum({o}[n] · {{}}[t, n]) over n"), vec![m]);
    finish(s, "y", "t", value);
}

/// A reduction without attention's softmax.
fn sum(g: &mut Gen, s: &mut Scope) {
    let (a, b, mut c, mut causal) = pair(g, s);
    let ops = ["sum", "mean", "sum", "mean", "max"];
    let op = *g.choice.pick(&ops[..if g.smooth { 4 } else { 5 }]);
    if op == "max" {
        // A maximum needs a step to take: of its own axis, or everywhere.
        (c, causal) = match a == b {
            true => ("s <= t", true),
            false => ("", false),
        };
        g.kinks = true;
        g.nonempty = true;
    }
    let d = g.choice.pick(&s.sizes).clone();
    let q = sequence(g, s, a, &d, false);
    let v = sequence(g, s, b, &d, !causal);
    let out = Shape::new(Some(a), &[&d]);
    let form = *g.choice.pick(&[
        "tanh({}[t]) * {}[s]",
        "sin({}[t] - {}[s])",
        "{}[t] * 0.8^(t - s) + {}[s] / (1 + s)",
        "{}[t] * choose(s < t, {}[s], 0.5)",
        "cos({}[t]) * {}[s] / (1 + (t - s)^2)",
    ]);
    let value = Term::new(&out, &format!("{op}({form}) {}", over(c)), vec![q, v]);
    finish(s, "y", "t", value);
}

/// Axes in another order, and a sum over the one that came first.
fn transpose(g: &mut Gen, s: &mut Scope) {
    let t = *g.choice.pick(&s.times);
    let d = g.choice.pick(&s.sizes).clone();
    let x = sequence(g, s, t, &d, false);
    let none = Shape::new(None, &[]);
    let (z, fed) = line(
        s,
        "z",
        "e, t",
        Term::new(&none, "{}[t, e]", vec![x.clone()]),
    );
    let z = Term::name(&none, &z, fed);
    if g.choice.chance(50) {
        let out = Shape::new(Some(t), &[&d]);
        let value = Term::new(&out, "tanh({}[e, t]) * {}[t, e]", vec![z, x]);
        finish(s, "y", "t, e", value);
    } else {
        let out = Shape::new(Some(t), &[]);
        let value = Term::new(&out, "sum({}[e, t] * {}[t, e]) over e", vec![z, x]);
        finish(s, "y", "t", value);
    }
}

/// The index as a number.
fn positions(g: &mut Gen, s: &mut Scope) {
    let t = *g.choice.pick(&s.times);
    let d = g.choice.pick(&s.sizes).clone();
    let x = sequence(g, s, t, &d, false);
    let out = Shape::new(Some(t), &[&d]);
    let form = *g.choice.pick(&[
        "sin(0.3*t) * {}[t]",
        "{}[t] + cos(t / 2)",
        "choose(t < 2, 1, -0.5) * {}[t]",
    ]);
    let value = Term::new(&out, form, vec![x]);
    finish(s, "y", "t", value);
}

/// A matrix computed along a time, and its product with a vector.
fn matrix(g: &mut Gen, s: &mut Scope) {
    let t = *g.choice.pick(&s.times);
    let (d, e) = (
        g.choice.pick(&s.sizes).clone(),
        g.choice.pick(&s.sizes).clone(),
    );
    let (x, z) = (sequence(g, s, t, &d, true), sequence(g, s, t, &e, true));
    let none = Shape::new(None, &[]);
    let form = *g.choice.pick(&[
        "sum({}[t, i] * {}[t, j]) over t",
        "mean({}[t, i] * sin({}[t, j])) over t",
        "sum({}[t, i] * {}[t, j]) over t where mod(t, 2) == 0",
    ]);
    let (m, fed) = line(s, "m", "i, j", Term::new(&none, form, vec![x, z]));
    let own = Shape::new(None, &[&e]);
    let value = g.term(s, &own, 2);
    let v = named(s, "a", value);
    let m = Term::name(&none, &m, fed);
    let out = Shape::new(None, &[&d]);
    let value = Term::new(&out, "sum({}[i, j] * {}[j]) over j", vec![m, v]);
    finish(s, "y", "i", value);
}

/// Attention of a cell's state over a context `k : [S, K]`.
pub fn attend(g: &mut Gen, s: &mut Scope, state: &str) {
    let h = Shape::new(None, &["H"]);
    let k = Shape::new(Some("S"), &["K"]);
    let context = Term::name(&k, "k", false);
    let query = g.times_weight(s, &h, Term::name(&h, state, false));
    let u = s.fresh("W");
    s.declare(&u, format!("param {u} : [H, K]"));
    let none = Shape::new(None, &[]);
    let form = match g.choice.chance(50) {
        true => {
            let v = s.fresh("v");
            s.declare(&v, format!("param {v} : [H] ~ normal(0.5)"));
            format!("{v} · tanh({{}} + {u}·{{}}[s])")
        }
        false => format!("{{}} · ({u}·{{}}[s])"),
    };
    let (w, _) = line(
        s,
        "w",
        "s",
        Term::new(&none, &form, vec![query, context.clone()]),
    );
    let condition = *g
        .choice
        .pick(&["", "", " where mod(s, 2) == 0", " where s < 2"]);
    let form = format!("softmax({{}}[s]) over s{condition}");
    let score = Term::name(&none, &w, false);
    let (p, _) = line(s, "p", "s", Term::new(&none, &form, vec![score]));
    let p = Term::name(&none, &p, false);
    let out = Shape::new(None, &["K"]);
    let value = Term::new(&out, "sum({}[s] * {}[s]) over s", vec![p, context]);
    s.equation("c", value);
}
