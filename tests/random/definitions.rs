//! Cells, blocks and functions at random, for a model to use.

use super::index::{attend, index};
use super::terms::{Callee, Gen, Place, Scope};
use super::text::{Definition, Line, Shape, Term};

/// A line that stands whether or not anything reads it.
pub fn always(left: &str, value: Term) -> Line {
    Line {
        names: Vec::new(),
        left: left.to_string(),
        value,
        right: String::new(),
    }
}

/// A name for this value.
pub fn named(s: &mut Scope, base: &str, value: Term) -> Term {
    let (shape, fed) = (value.shape.clone(), value.fed);
    let name = s.equation(base, value);
    Term::name(&shape, &name, fed)
}

/// `fn f(a, b) = …`, of two values of one shape.
pub fn function(g: &mut Gen, n: usize) -> Definition {
    let name = format!("f{n}");
    let form = *g.choice.pick(&[
        "tanh(a) * b",
        "a / (1 + b*b)",
        "σ(b) * a + (1 - σ(b)) * tanh(a)",
        "sin(a - b)",
        "softplus(a) - 0.3*b",
    ]);
    g.functions.push(name.clone());
    Definition {
        head: format!("fn {name}(a, b)"),
        name: Some(name),
        decls: Vec::new(),
        lines: vec![always(
            "output ",
            Term::new(&Shape::new(None, &[]), form, vec![]),
        )],
    }
}

/// A cell of one or two states, perhaps with a cell inside it.
pub fn cell(g: &mut Gen, n: usize) -> Definition {
    let name = format!("C{n}");
    let mut s = Scope::new(Place::Cell, vec!["H".into(), "X".into()], Vec::new());
    let (h, x) = (Shape::new(None, &["H"]), Shape::new(None, &["X"]));
    s.declare("x", "input x : [X]".into());
    s.add("x", &x, false);
    let mut callee = Callee {
        name: name.clone(),
        inputs: Vec::new(),
        contexts: Vec::new(),
        states: Vec::new(),
        width: 1,
        looks_ahead: false,
        timed: false,
    };
    if g.choice.chance(20) {
        s.declare("u", "input u : [Y]".into());
        s.add("u", &Shape::new(None, &["Y"]), false);
        callee.inputs.push("u".into());
    }
    let inner = g.choice.chance(25);
    let states = g
        .choice
        .weighted(&[(usize::from(inner), 0), (6, 1), (3, 2)]);
    for i in 1..=states {
        let state = format!("h{i}");
        s.declare(&state, format!("state {state} : [H]"));
        s.add(&state, &h, false);
        callee.states.push(state);
    }
    if inner {
        let r = s.fresh("r");
        let library = *g.choice.pick(&["GRU", "RNN", "LSTM", "MinGRU", "GRU2014"]);
        // Both lines always stand: an inner cell has to be run.
        let made = Term::new(&h, &format!("{library}(H)"), vec![]);
        s.lines.push(always(&format!("{r} = "), made));
        s.add(&format!("{r}.h"), &h, false);
        let into = g.vector(&mut s, None, 1);
        let a = s.fresh("a");
        let run = Term::new(&h, &format!("{{}} |> {r}"), vec![into]);
        s.lines.push(always(&format!("{a} = "), run));
        s.add(&a, &h, false);
        callee.states.push(format!("{r}.h"));
    }
    if g.choice.chance(20) {
        let k = Shape::new(None, &["K"]);
        s.declare("k", "context k : [K]".into());
        s.add("k", &k, false);
        callee.contexts.push(("k".into(), k));
    } else if states > 0 && g.choice.chance(25) {
        let k = Shape::new(Some("S"), &["K"]);
        s.declare("k", "context k : [S, K]".into());
        callee.contexts = vec![("k".into(), k)];
        attend(g, &mut s, "h1");
    }
    for _ in 0..g.choice.below(3) {
        inner_line(g, &mut s);
    }
    for i in 1..=states {
        let next = next_state(g, &mut s, &format!("h{i}"));
        s.lines.push(always(&format!("h{i}' = "), next));
        s.add(&format!("h{i}'"), &h, false);
    }
    if states == 1 && !inner && g.choice.chance(40) {
        return finished(g, callee, s, "H");
    }
    let mut out = g.term(&mut s, &h, 2);
    if let Some(last) = (states > 0).then(|| format!("h{states}'")) {
        out = Term::new(&h, "({} + {})", vec![out, Term::name(&h, &last, false)]);
    }
    if g.choice.chance(20) {
        let more = g.leaf(&mut s, &h);
        out = Term::new(&Shape::new(None, &["H+H"]), "[{}, {}]", vec![out, more]);
        callee.width = 2;
    }
    s.lines.push(always("output ", out));
    finished(g, callee, s, "H")
}

fn finished(g: &mut Gen, callee: Callee, s: Scope, size: &str) -> Definition {
    let head = format!("cell {}({size})", callee.name);
    let name = Some(callee.name.clone());
    g.cells.push(callee);
    Definition {
        head,
        name,
        decls: s.decls,
        lines: s.lines,
    }
}

/// A value of the body, or the parts of one that is split.
fn inner_line(g: &mut Gen, s: &mut Scope) {
    let size = g.choice.pick(&s.sizes).clone();
    let shape = Shape::new(None, &[&size]);
    if g.choice.chance(25) {
        let x = g.vector(s, None, 1);
        let w = s.fresh("W");
        s.declare(
            &w,
            format!("param {w} : [2*{size}, {}]", x.shape.features[0]),
        );
        split(
            s,
            &shape,
            Term::new(&shape, &format!("({w}·{{}})"), vec![x]),
        );
    } else {
        let value = g.term(s, &shape, 3);
        s.equation("a", value);
    }
}

/// `p, q = split(whole, 2)`, each of this shape.
pub fn split(s: &mut Scope, shape: &Shape, whole: Term) {
    let (p, q) = (s.fresh("p"), s.fresh("q"));
    let fed = whole.fed;
    s.lines.push(Line {
        names: vec![p.clone(), q.clone()],
        left: format!("{p}, {q} = split("),
        value: whole,
        right: ", 2)".into(),
    });
    s.add(&p, shape, fed);
    s.add(&q, shape, fed);
}

/// What a state becomes: bounded however long the sequence is.
fn next_state(g: &mut Gen, s: &mut Scope, state: &str) -> Term {
    let h = Shape::new(None, &["H"]);
    let before = Term::name(&h, state, false);
    let recurrent = g.times_weight(s, &h, before.clone());
    let (a, b) = (g.term(s, &h, 3), g.term(s, &h, 2));
    let drive = Term::new(&h, "({} + {})", vec![recurrent, a]);
    match g.choice.below(6) {
        0 | 1 => Term::new(&h, "tanh({})", vec![drive]),
        2 => Term::new(&h, "(σ({}) * {} + tanh({}))", vec![b, before, drive]),
        3 => Term::new(&h, "(0.5 * {} + sin({}))", vec![before, drive]),
        4 => {
            let z = s.equation("z", Term::new(&h, "σ({})", vec![b]));
            let z = Term::name(&h, &z, false);
            let parts = vec![z.clone(), before, z, drive];
            Term::new(&h, "((1 - {}) * {} + {} * tanh({}))", parts)
        }
        _ => Term::new(&h, "zoneout({}, tanh({}), 0.2)", vec![before, drive]),
    }
}

/// A block over one vector, or over a sequence.
pub fn block(g: &mut Gen, n: usize) -> Definition {
    let name = format!("B{n}");
    let timed = g.choice.chance(40);
    let time = timed.then_some("T");
    let mut s = Scope::new(
        Place::Block,
        vec!["N".into(), "X".into()],
        time.into_iter().collect(),
    );
    let x = Shape::new(time, &["X"]);
    s.declare("x", format!("input x : {}", x.written()));
    s.add("x", &x, false);
    let out = Shape::new(time, &["N"]);
    if timed && g.choice.chance(50) {
        index(g, &mut s);
    }
    for _ in 0..g.choice.below(3) {
        let shape = match g.choice.chance(70) {
            true => Shape::new(time, &[g.choice.pick(&s.sizes).as_str()]),
            false => Shape::new(time, &[]),
        };
        let value = g.term(&mut s, &shape, 3);
        s.equation("a", value);
    }
    // What a block makes of its input has the input's time.
    let own = g.times_weight(&mut s, &out, Term::name(&x, "x", false));
    let value = g.term(&mut s, &out, 3);
    let value = Term::new(&out, "{} + {}", vec![own, value]);
    s.lines.push(always("output ", value));
    g.blocks.push(Callee {
        name: name.clone(),
        inputs: Vec::new(),
        contexts: Vec::new(),
        states: Vec::new(),
        width: 1,
        looks_ahead: timed,
        timed,
    });
    Definition {
        head: format!("block {name}(N)"),
        name: Some(name),
        decls: s.decls,
        lines: s.lines,
    }
}
