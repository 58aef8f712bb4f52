//! A whole program at random: definitions, and a model that uses them.
//!
//! In: a seed and how large the program may be. Out: [`Random`], the program and what must be known to
//! test it. Predictions mostly see their own target only through `previous`; the few that see more are
//! for the checker to refuse.

use super::choice::Choice;
use super::definitions::{always, block, cell, function, split};
use super::index::index;
use super::target::{predict, target};
use super::terms::{Callee, Gen, Place, Scope};
use super::text::{Definition, Program, Shape, Term};

pub struct Random {
    pub program: Program,
    /// It has a function with a kink: no central differences.
    pub kinks: bool,
    /// It takes a maximum over a time: every example needs a step.
    pub nonempty: bool,
}

/// The program of this seed. `fuel` bounds the number of its expressions.
pub fn random(seed: u64, fuel: usize) -> Random {
    let mut g = Gen {
        choice: Choice::new(seed, "program"),
        fuel,
        clean: 0,
        smooth: seed.is_multiple_of(2),
        kinks: false,
        nonempty: false,
        cells: Vec::new(),
        blocks: Vec::new(),
        functions: Vec::new(),
    };
    let mut defs = Vec::new();
    if g.choice.chance(30) {
        defs.push(function(&mut g, 1));
    }
    for n in 1..=g.choice.weighted(&[(2, 0), (5, 1), (2, 2)]) {
        g.fuel = fuel / 3;
        defs.push(cell(&mut g, n));
    }
    for n in 1..=g.choice.weighted(&[(4, 0), (5, 1)]) {
        g.fuel = fuel / 3;
        defs.push(block(&mut g, n));
    }
    g.fuel = fuel;
    let two = g.choice.chance(35);
    let times: Vec<&'static str> = if two { vec!["S", "T"] } else { vec!["T"] };
    defs.push(model(&mut g, times.clone()));
    let fixed = g.choice.chance(10);
    let written = |t: &&str| match (*t, fixed) {
        ("S", true) => "S = 4".to_string(),
        (name, _) => name.to_string(),
    };
    Random {
        program: Program {
            times: times.iter().map(written).collect(),
            defs,
        },
        kinks: g.kinks,
        nonempty: g.nonempty,
    }
}

fn model(g: &mut Gen, times: Vec<&'static str>) -> Definition {
    let mut sizes: Vec<String> = ["2", "3", "4", "5"].map(String::from).to_vec();
    sizes.remove(g.choice.below(4));
    let mut s = Scope::new(Place::Model, sizes, times.clone());
    // The last time is the one that targets run along.
    let own = times[times.len() - 1];
    let feeds = g.choice.chance(45);
    for &t in &times {
        // A target that is fed back may be all there is along its time.
        if t == own && feeds && g.choice.chance(50) {
            continue;
        }
        input(g, &mut s, t);
    }
    if g.choice.chance(25) {
        let size = g.choice.pick(&s.sizes).clone();
        s.declare("g0", format!("input g0 : [{size}]"));
        s.add("g0", &Shape::new(None, &[&size]), false);
    }
    if g.choice.chance(10) {
        s.declare("kind", "input kind : class".into());
        let size = g.choice.pick(&s.sizes).clone();
        let shape = Shape::new(None, &[&size]);
        s.equation(
            "e",
            Term::new(&shape, &format!("(kind |> Embed({size}))"), vec![]),
        );
    }
    let target = target(g, &mut s, own, feeds);
    for _ in 0..2 + g.choice.below(4) {
        line(g, &mut s);
    }
    predict(g, &mut s, &target);
    if g.choice.chance(25) {
        s.declare("also", "target also : number".into());
        let value = g.term(&mut s, &Shape::new(None, &[]), 3);
        s.lines.push(always("predict also = ", value));
    }
    if g.choice.chance(20) {
        let shape = Shape::new(None, &[]);
        let value = g.term(&mut s, &shape, 3);
        let value = Term::new(&shape, "(0.1 * {}^2)", vec![value]);
        s.lines.push(always("penalty small = ", value));
    }
    Definition {
        head: "model M".into(),
        name: None,
        decls: s.decls,
        lines: s.lines,
    }
}

/// A sequence of vectors along this time: given, or embedded tokens, or numbers.
fn input(g: &mut Gen, s: &mut Scope, t: &'static str) {
    let size = g.choice.pick(&s.sizes).clone();
    let vector = Shape::new(Some(t), &[&size]);
    let name = format!("x{t}");
    match g.choice.below(10) {
        0..=5 => {
            s.declare(&name, format!("input {name} : [{t}, {size}]"));
            s.add(&name, &vector, false);
        }
        6 | 7 => {
            s.declare(&name, format!("input {name} : [{t}] token"));
            s.equation(
                "e",
                Term::new(&vector, &format!("({name} |> Embed({size}))"), vec![]),
            );
        }
        _ => {
            s.declare(&name, format!("input {name} : [{t}] number"));
            let number = Shape::new(Some(t), &[]);
            s.add(&name, &number, false);
            let x = Term::name(&number, &name, false);
            let pair = Shape::new(Some(t), &["1+1"]);
            s.equation("e", Term::new(&pair, "[{}, sin({})]", vec![x.clone(), x]));
        }
    }
}

/// One more value of the model.
fn line(g: &mut Gen, s: &mut Scope) {
    match g.choice.below(13) {
        10..=12 => index(g, s),
        0..=3 => scan(g, s),
        4 | 5 if !g.blocks.is_empty() => apply_block(g, s),
        6 => {
            let size = g.choice.pick(&s.sizes).clone();
            let time = some_time(g, s);
            let x = g.vector(s, time, 2);
            let shape = Shape::new(time, &[&size]);
            let whole = Term::new(&shape, &format!("({{}} |> Linear(2*{size}))"), vec![x]);
            split(s, &shape, whole);
        }
        _ => {
            let time = some_time(g, s);
            let size = g.choice.pick(&s.sizes).clone();
            let shape = match g.choice.below(10) {
                0 => Shape::new(time, &[]),
                1 => Shape::new(time, &["2", &size]),
                _ => Shape::new(time, &[&size]),
            };
            let value = g.term(s, &shape, 4);
            s.equation("a", value);
        }
    }
}

fn some_time(g: &mut Gen, s: &Scope) -> Option<&'static str> {
    match g.choice.chance(70) {
        true => Some(*g.choice.pick(&s.times)),
        false => None,
    }
}

/// `a = x |> B(4)`, or copies of it stacked.
fn apply_block(g: &mut Gen, s: &mut Scope) {
    let b = g.choice.pick(&g.blocks).clone();
    let time = match b.timed {
        true => Some(*g.choice.pick(&s.times)),
        false => some_time(g, s),
    };
    g.clean += usize::from(b.looks_ahead);
    let x = g.vector(s, time, 2);
    g.clean -= usize::from(b.looks_ahead);
    let size = g.choice.pick(&s.sizes).clone();
    let own = x.shape.features[0].clone();
    let (size, form) = match g.choice.chance(30) && !own.contains('+') {
        true => (
            own.clone(),
            format!("({{}} |> Repeat(2, {}({own})))", b.name),
        ),
        false => (size.clone(), format!("({{}} |> {}({size}))", b.name)),
    };
    let shape = Shape::new(time, &[&size]);
    s.equation("a", Term::new(&shape, &form, vec![x]));
}

/// `s = x |> scan C(4) with … from …`, and the values that can be read from it.
fn scan(g: &mut Gen, s: &mut Scope) {
    let time = *g.choice.pick(&s.times);
    let library = |name: &str, states: &[&str]| Callee {
        name: name.into(),
        inputs: Vec::new(),
        contexts: Vec::new(),
        states: states.iter().map(|s| s.to_string()).collect(),
        width: 1,
        looks_ahead: false,
        timed: false,
    };
    let c = match g.cells.is_empty() || g.choice.chance(30) {
        true => g
            .choice
            .weighted(&[(3, 0), (3, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]),
        false => 7,
    };
    let c = match c {
        0 => library("GRU", &["h"]),
        1 => library("LSTM", &["h", "c"]),
        2 => library("RNN", &["h"]),
        3 => library("GRU2014", &["h"]),
        4 => library("PeepholeLSTM", &["h", "c"]),
        5 => library("LayerNormLSTM", &["h", "c"]),
        6 => library("MinGRU", &["h"]),
        _ => g.choice.pick(&g.cells).clone(),
    };
    let way = g.choice.weighted(&[(6, ""), (2, "reverse "), (2, "both ")]);
    let ahead = !way.is_empty();
    g.clean += usize::from(ahead);
    let mut parts = vec![g.vector(s, Some(time), 2)];
    let size = g.choice.pick(&s.sizes).clone();
    let mut form = format!("{{}} |> scan {way}{}({size})", c.name);
    if s.times.len() > 1 && g.choice.chance(20) {
        form.push_str(&format!(" over {time}"));
    }
    let mut bound = Vec::new();
    for name in &c.inputs {
        parts.push(g.vector(s, Some(time), 1));
        bound.push(format!("{name} = {{}}"));
    }
    for (name, shape) in &c.contexts {
        match shape.time {
            None => parts.push(g.vector(s, None, 2)),
            Some(_) => {
                // What a cell attends to is seen whole at every step.
                let along = s.times[0];
                g.clean += 1;
                parts.push(g.vector(s, Some(along), 2));
                g.clean -= 1;
            }
        }
        bound.push(format!("{name} = {{}}"));
    }
    if !bound.is_empty() {
        form.push_str(&format!(" with {}", bound.join(", ")));
    }
    if way != "both " && !c.states.is_empty() && g.choice.chance(25) {
        let state = g.choice.pick(&c.states).clone();
        let shape = Shape::new(None, &[&size]);
        parts.push(g.term(s, &shape, 2));
        form.push_str(&format!(" from {state} = {{}}"));
    }
    g.clean -= usize::from(ahead);
    let times = c.width * if way == "both " { 2 } else { 1 };
    let width = vec![size.as_str(); times].join("+");
    let value = Term::new(&Shape::new(Some(time), &[&width]), &form, parts);
    let fed = value.fed;
    let name = s.equation("s", value);
    if g.choice.chance(40) {
        // The last value in the scan's own direction.
        let end = Shape::new(None, &[&width]);
        let whole = Shape::new(Some(time), &[&width]);
        if !fed {
            let x = Term::name(&whole, &name, fed);
            s.equation("l", Term::new(&end, "final({})", vec![x]));
        }
    }
    for state in &c.states {
        if !state.contains('.') && way != "both " && g.choice.chance(30) {
            let shape = Shape::new(Some(time), &[&size]);
            s.add(&format!("{name}.{state}"), &shape, fed);
        }
    }
}
