//! Plans of whole models: what is fused and where values live, and that they compute what the IR does.

mod common;

use seqc::dim::{Binding, Dim, DimTable, Role, Sym};
use seqc::ir::build::Build;
use seqc::ir::*;
use seqc::reverse::differentiate;
use seqc::rewrite;
use seqc::schedule::program::{CarryHome, Effect, Program, Task};
use seqc::schedule::schedule;

const B: i64 = 3;
const T: i64 = 5;
const LENS: [usize; 3] = [5, 2, 0];

fn dims() -> DimTable {
    let mut d = DimTable::default();
    d.declare(Sym::new("B"), Role::Batch, Binding::Launch);
    d.declare(Sym::new("T"), Role::Time, Binding::Launch);
    d.declare(Sym::new("H"), Role::Feature, Binding::Static(Some(4)));
    d.declare(Sym::new("X"), Role::Feature, Binding::Static(Some(3)));
    d.declare(Sym::new("V"), Role::Vocabulary, Binding::Static(Some(7)));
    d
}

fn sizes() -> Vec<(Sym, i64)> {
    vec![(Sym::new("B"), B), (Sym::new("T"), T)]
}

fn dims_of(names: &[&str]) -> Vec<Dim> {
    names.iter().map(|n| Dim::named(n)).collect()
}

fn weight(f: &mut Func, name: &str, shape: &[&str]) -> ValueId {
    let value = f.fresh(name, Type::f32(dims_of(shape)));
    let path = name.to_string();
    f.params.push(Param { path, value });
    value
}

fn input(f: &mut Func, role: InputRole, name: &str, ty: Type) -> ValueId {
    let value = f.fresh(name, ty);
    f.inputs.push(Input { role, value });
    value
}

/// A step's body: from `x` and the states before the step, the states after it.
type Step = fn(&mut Build<'_>, x: ValueId, states: &[ValueId]) -> Vec<ValueId>;

/// `W·x`, with a weight made on the spot.
fn linear(b: &mut Build<'_>, name: &str, x: ValueId) -> ValueId {
    let from = b.func.shape(x)[1].to_string();
    let w = weight(b.func, name, &["H", &from]);
    b.contract((&[0, 1], x), (&[2, 1], w), &[0, 2], "p")
}

/// `σ(W·x + U·h + b)`, or another function.
fn gate(b: &mut Build<'_>, name: &str, f: Unary, x: ValueId, h: ValueId) -> ValueId {
    let p = linear(b, &format!("W{name}"), x);
    let q = linear(b, &format!("U{name}"), h);
    let z = b.add(p, q, "z");
    let bias = weight(b.func, &format!("b{name}"), &["H"]);
    let shape = b.func.shape(z).to_vec();
    let bias = b.expand_leading(bias, &shape);
    let z = b.add(z, bias, "z");
    b.unary(f, z, name)
}

fn lstm(b: &mut Build<'_>, x: ValueId, s: &[ValueId]) -> Vec<ValueId> {
    let (h, c) = (s[0], s[1]);
    let f = gate(b, "f", Unary::Sigmoid, x, h);
    let i = gate(b, "i", Unary::Sigmoid, x, h);
    let o = gate(b, "o", Unary::Sigmoid, x, h);
    let g = gate(b, "g", Unary::Tanh, x, h);
    let old = b.mul(f, c, "old");
    let new = b.mul(i, g, "new");
    let c = b.add(old, new, "c'");
    let t = b.unary(Unary::Tanh, c, "t");
    vec![b.mul(o, t, "h'"), c]
}

/// The form of 2014: the reset gate acts before the product.
fn gru(b: &mut Build<'_>, x: ValueId, s: &[ValueId]) -> Vec<ValueId> {
    let h = s[0];
    let r = gate(b, "r", Unary::Sigmoid, x, h);
    let z = gate(b, "z", Unary::Sigmoid, x, h);
    let rh = b.mul(r, h, "rh");
    let n = gate(b, "n", Unary::Tanh, x, rh);
    let one = b.number(1.0);
    let keep = b.sub(one, z, "keep");
    let (old, new) = (b.mul(keep, h, "old"), b.mul(z, n, "new"));
    vec![b.add(old, new, "h'")]
}

/// A plain cell whose pre-activation is normalised over its features.
fn layer_norm(b: &mut Build<'_>, x: ValueId, s: &[ValueId]) -> Vec<ValueId> {
    let p = linear(b, "W", x);
    let q = linear(b, "U", s[0]);
    let z = b.add(p, q, "z");
    let shape = b.func.shape(z).to_vec();
    let n = b.number(4.0);
    let sum = b.reduce(ReduceOp::Sum, z, &[1], "sum");
    let mean = b.div(sum, n, "mean");
    let mean = b.expand(mean, vec![Some(0), None], &shape);
    let d = b.sub(z, mean, "d");
    let dd = b.mul(d, d, "dd");
    let var = b.reduce(ReduceOp::Sum, dd, &[1], "var");
    let var = b.div(var, n, "var");
    let small = b.number(1e-5);
    let var = b.add(var, small, "var");
    let sd = b.unary(Unary::Sqrt, var, "sd");
    let sd = b.expand(sd, vec![Some(0), None], &shape);
    let y = b.div(d, sd, "y");
    vec![b.unary(Unary::Tanh, y, "h'")]
}

/// States that change places: neither can be overwritten before the other is read.
fn rotating(b: &mut Build<'_>, x: ValueId, s: &[ValueId]) -> Vec<ValueId> {
    let q = linear(b, "U", s[1]);
    let p = linear(b, "W", x);
    vec![s[1], b.add(p, q, "z")]
}

/// Tokens in, embedded, through a cell, and each next token predicted: the loss and, where `hidden`,
/// all states of the cell.
fn model(name: &str, step: Step, states: usize, reverse: bool, hidden: bool) -> Func {
    let mut f = Func::new(name, dims());
    let tokens = Type::i32(dims_of(&["T", "B"]));
    let xs = input(&mut f, InputRole::Data("x".into()), "x", tokens.clone());
    let ys = input(&mut f, InputRole::Data("y".into()), "y", tokens);
    let len_type = Type::i32(dims_of(&["B"]));
    let len = input(&mut f, InputRole::Lengths("T".into()), "len", len_type);
    let table = weight(&mut f, "embed", &["V", "X"]);
    let out = weight(&mut f, "out", &["V", "H"]);
    let mut b = Build::new(&mut f);
    let e = b.emit(OpKind::Gather, &[table, xs], "e");
    let bh = dims_of(&["B", "H"]);
    let zeros: Vec<ValueId> = (0..states).map(|_| b.filled(0.0, &bh, "zeros")).collect();
    let x = b.func.fresh("x_t", Type::f32(dims_of(&["B", "X"])));
    let params: Vec<ValueId> = ["h", "c"][..states]
        .iter()
        .map(|n| b.func.fresh(n, Type::f32(bh.clone())))
        .collect();
    let (body, next) = b.region(|b| step(b, x, &params));
    let hs = b.func.fresh("hs", Type::f32(dims_of(&["T", "B", "H"])));
    let carries = (0..states).map(|i| Carry {
        init: zeros[i],
        param: params[i],
        next: next[i],
        last: b.func.fresh("last", Type::f32(bh.clone())),
    });
    let carries: Vec<Carry> = carries.collect();
    let lasts: Vec<ValueId> = carries.iter().map(|c| c.last).collect();
    b.scan(Scan {
        extent: Dim::named("T"),
        reverse,
        len: Some(len),
        valid: None,
        slices: vec![Slice { from: e, to: x }],
        carries,
        stacks: vec![Stack {
            from: next[0],
            to: hs,
        }],
        body,
    });
    let logits = b.contract((&[0, 1, 2], hs), (&[3, 2], out), &[0, 1, 3], "logits");
    let losses = b.emit(OpKind::CrossEntropy, &[logits, ys], "losses");
    let loss = b.reduce_masked(ReduceOp::Sum, losses, len, &[0, 1], "loss");
    let ops = std::mem::take(&mut b.ops);
    f.body.ops = ops;
    f.outputs.push(Output {
        role: OutputRole::Loss,
        value: loss,
    });
    if hidden {
        f.outputs.push(Output {
            role: OutputRole::Named("hs".into()),
            value: hs,
        });
        for (i, value) in lasts.into_iter().enumerate() {
            let role = OutputRole::Carry(format!("cell.{i}"));
            f.outputs.push(Output { role, value });
        }
    }
    verify::verify(&f).unwrap_or_else(|e| panic!("{e}\n{f}"));
    f
}

fn trained(func: &Func, fast: bool) -> Func {
    let mut f = func.clone();
    let mut table = Vec::new();
    if fast {
        rewrite::run(&mut f, rewrite::FORWARD, &[], &mut table).unwrap();
    }
    let mut f = differentiate(&f, &|_| true).unwrap();
    if fast {
        rewrite::run(&mut f, rewrite::BACKWARD, &[], &mut table).unwrap();
        rewrite::run(&mut f, rewrite::CLEAN, &[], &mut table).unwrap();
    }
    f
}

fn check(func: &Func) -> Program {
    let inputs = common::inputs(func, &sizes(), &LENS, 7);
    let params = common::params(func, &sizes(), 0.5);
    common::check_schedule(func, &sizes(), &inputs, &params);
    schedule(func).unwrap()
}

const CELLS: [(&str, Step, usize); 4] = [
    ("lstm", lstm, 2),
    ("gru", gru, 1),
    ("layer-norm", layer_norm, 1),
    ("rotating", rotating, 2),
];

#[test]
fn whole_models_compute_what_the_ir_does() {
    for (name, step, states) in CELLS {
        for reverse in [false, true] {
            for hidden in [false, true] {
                let func = model(name, step, states, reverse, hidden);
                check(&func);
                check(&trained(&func, false));
                check(&trained(&func, true));
            }
        }
    }
}

/// The scans of a program, in order.
fn scans(p: &Program) -> Vec<&seqc::schedule::program::Scan> {
    let mut out = Vec::new();
    for t in &p.tasks {
        if let Task::Scan(s) = t {
            out.push(s);
        }
    }
    out
}

/// `g` for a product, `e` for a loop that is a product's epilogue, `l` for another loop.
fn shape_of(body: &[Task]) -> String {
    let letter = |t: &Task| match t {
        Task::Gemm(_) => 'g',
        Task::Loop(l) if l.epilogue_of.is_some() => 'e',
        Task::Loop(_) => 'l',
        Task::Scan(_) => 's',
        Task::Routine { .. } => 'r',
    };
    body.iter().map(letter).collect()
}

#[test]
fn a_step_is_its_products_and_their_epilogues() {
    // Forward and backward bodies.
    for (name, step, states, forward, backward) in [
        ("lstm", lstm as Step, 2, "ge", "lge"),
        ("gru", gru, 1, "gege", "lgege"),
    ] {
        let func = trained(&model(name, step, states, false, false), true);
        let p = schedule(&func).unwrap();
        let scans = scans(&p);
        assert_eq!(shape_of(&scans[0].body), forward, "{p}");
        assert_eq!(shape_of(&scans[1].body), backward, "{p}");
        assert!(scans.iter().all(|s| s.rows_independent), "{p}");
    }
}

#[test]
fn carries_are_kept_as_their_readers_allow() {
    let kept = |step: Step, states: usize, training: bool| {
        let mut func = model("m", step, states, false, false);
        // Without the stack of all states a history has no reader.
        if !training {
            let scan = func
                .body
                .ops
                .iter()
                .rev()
                .find_map(|&id| match &func.op(id).kind {
                    OpKind::Scan(s) => Some(s.carries[0].last),
                    _ => None,
                });
            func.outputs = vec![Output {
                role: OutputRole::Carry("h".into()),
                value: scan.unwrap(),
            }];
        } else {
            func = trained(&func, true);
        }
        let p = check(&func);
        let homes = scans(&p)[0].carries.iter().map(|(_, home)| *home);
        homes.collect::<Vec<_>>()
    };
    use CarryHome::{Copied, History, InPlace};
    assert_eq!(kept(lstm, 2, true), [History, History]);
    assert_eq!(kept(lstm, 2, false), [InPlace, InPlace]);
    assert_eq!(kept(gru, 1, false), [InPlace]);
    // The first state takes the old second one, which a product still reads.
    let rotating = kept(rotating, 2, false);
    assert!(!rotating.contains(&History), "{rotating:?}");
    assert!(rotating.contains(&Copied) || rotating == [InPlace, InPlace]);
}

#[test]
fn joined_gradients_are_written_in_place() {
    let func = trained(&model("lstm", lstm, 2, false, false), true);
    let p = schedule(&func).unwrap();
    let back = scans(&p)[1];
    let Task::Loop(l) = &back.body[0] else {
        panic!("{p}");
    };
    // Four gates' gradients are stored into one buffer at four offsets; the fifth store is the state.
    let stores = l.effects.iter().map(|e| match e {
        Effect::Store { to, .. } | Effect::Fold { to, .. } => to.buffer,
    });
    let stores: Vec<_> = stores.collect();
    let joined = stores.iter().filter(|b| **b == stores[0]).count();
    assert_eq!((stores.len(), joined), (5, 4), "{p}");
}

#[test]
fn gates_and_their_gradients_take_the_place_of_the_projection() {
    let func = trained(&model("lstm", lstm, 2, false, false), true);
    let p = schedule(&func).unwrap();
    let products = p.tasks.iter().filter_map(|t| match t {
        Task::Gemm(g) => Some(p.buffer(g.out.buffer)),
        _ => None,
    });
    let then = products.max_by_key(|b| b.then.len()).unwrap().then.iter();
    let then: Vec<&str> = then.map(|t| t.name.as_str()).collect();
    assert_eq!(then.len(), 5, "{p}");
    assert!(then[..4].iter().all(|n| n.starts_with("stash.")), "{p}");
    // All is called by its own name.
    let text = p.to_string();
    assert!(text.contains(&format!("{}[t] = select", then[0])), "{p}");
    assert!(text.contains(&format!("{}[t]@3H = select", then[4])), "{p}");
}

#[test]
fn a_shorter_joined_gradient_is_a_part_of_the_longer_one() {
    // Of the GRU's three gates' gradients, joined for the input product, two are joined for the state's.
    let func = trained(&model("gru", gru, 1, false, false), true);
    let p = schedule(&func).unwrap();
    let back = scans(&p)[1];
    for t in &back.body {
        let Task::Loop(l) = t else { continue };
        for (i, e) in l.effects.iter().enumerate() {
            let same = |f: &Effect| match (e, f) {
                (Effect::Store { value: a, .. }, Effect::Store { value: b, .. }) => a == b,
                _ => false,
            };
            assert!(!l.effects[..i].iter().any(same), "stored twice:\n{p}");
        }
    }
}

#[test]
fn a_product_is_written_where_its_epilogue_stores() {
    let mut f = Func::new("dense", dims());
    let x = input(
        &mut f,
        InputRole::Data("x".into()),
        "x",
        Type::f32(dims_of(&["T", "B", "X"])),
    );
    let (w, bias) = (
        weight(&mut f, "W", &["H", "X"]),
        weight(&mut f, "b", &["H"]),
    );
    let mut b = Build::new(&mut f);
    let y = b.contract((&[0, 1, 2], x), (&[3, 2], w), &[0, 1, 3], "y");
    let shape = dims_of(&["T", "B", "H"]);
    let bias = b.expand_leading(bias, &shape);
    let z = b.add(y, bias, "z");
    let z = b.unary(Unary::Tanh, z, "z");
    f.body.ops = std::mem::take(&mut b.ops);
    f.outputs.push(Output {
        role: OutputRole::Named("z".into()),
        value: z,
    });
    let p = check(&f);
    assert!(p.slots.is_empty(), "{p}");
    assert_eq!(shape_of(&p.tasks), "ge", "{p}");
}

/// Batches of one, single steps, and sequences of which none has a step.
#[test]
fn sizes_at_the_edge_compute_what_the_ir_does() {
    for (b, t, lens) in [
        (1, 1, vec![1]),
        (1, 4, vec![3]),
        (2, 1, vec![0, 0]),
        (3, 2, vec![0, 2, 1]),
    ] {
        let sizes = vec![(Sym::new("B"), b), (Sym::new("T"), t)];
        for (name, step, states) in CELLS {
            for reverse in [false, true] {
                let func = trained(&model(name, step, states, reverse, true), true);
                let inputs = common::inputs(&func, &sizes, &lens, 7);
                let params = common::params(&func, &sizes, 0.5);
                common::check_schedule(&func, &sizes, &inputs, &params);
            }
        }
    }
}

#[test]
fn a_scan_inside_a_step_is_refused_with_its_place() {
    let mut f = Func::new("nested", dims());
    let bh = dims_of(&["B", "H"]);
    let h0 = weight(&mut f, "h0", &["B", "H"]);
    let fresh = |f: &mut Func, n: &str| f.fresh(n, Type::f32(bh.clone()));
    let carry = |f: &mut Func, init, next: Option<ValueId>| {
        let param = fresh(f, "h");
        let next = next.unwrap_or(param);
        let last = fresh(f, "last");
        Carry {
            init,
            param,
            next,
            last,
        }
    };
    let scan = |carry: Carry, body: Region| Scan {
        extent: Dim::named("T"),
        reverse: false,
        len: None,
        valid: None,
        slices: vec![],
        carries: vec![carry],
        stacks: vec![],
        body,
    };
    let mut b = Build::new(&mut f);
    let outer = carry(b.func, h0, None);
    let (body, next) = b.region(|b| {
        let inner = carry(b.func, outer.param, None);
        let (body, _) = b.region(|_| ());
        b.scan(scan(inner, body));
        inner.last
    });
    b.scan(scan(Carry { next, ..outer }, body));
    f.body.ops = std::mem::take(&mut b.ops);
    f.outputs.push(Output {
        role: OutputRole::Named("h".into()),
        value: outer.last,
    });
    assert_eq!(schedule(&f).unwrap_err().code, "feature::unavailable");
}

#[test]
fn peak_is_the_sum_of_the_slots() {
    let func = trained(&model("lstm", lstm, 2, false, false), true);
    let p = schedule(&func).unwrap();
    let peak = seqc::schedule::peak::peak(&p).unwrap();
    let at = |b: i64, t: i64| {
        let value = move |s: &Sym| match s.name() {
            "B" => Some(b),
            "T" => Some(t),
            _ => None,
        };
        peak.at(&value).unwrap()
    };
    let slots = p.slots.iter().map(|sizes| {
        let value = |s: &Sym| sizes_of(s, 2, 10).or(p.dims.static_value(s));
        sizes.iter().map(|d| d.eval(&value).unwrap()).max().unwrap()
    });
    assert_eq!(at(2, 10), 4 * slots.sum::<i64>() as u64);
    assert!(at(2, 20) > at(2, 10) && at(4, 10) > at(2, 10));
    assert_eq!(peak.at(&|_| None), None);
}

fn sizes_of(s: &Sym, b: i64, t: i64) -> Option<i64> {
    match s.name() {
        "B" => Some(b),
        "T" => Some(t),
        _ => None,
    }
}

#[test]
fn text_fits_the_page_and_does_not_change() {
    for (name, step, states) in CELLS {
        let func = trained(&model(name, step, states, false, true), true);
        let text = schedule(&func).unwrap().to_string();
        assert_eq!(text, schedule(&func).unwrap().to_string());
        let longest = text.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(longest <= 100, "{text}");
    }
}

/// Every shipped example, shrunk: in training, when evaluated, and when it predicts.
#[test]
fn examples_compute_what_the_ir_does() {
    use seqc::lower::Options;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seq"))
        .collect();
    files.sort();
    assert!(files.len() >= 7);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sources = seqc::span::Sources::default();
        let id = sources.add(path.to_string_lossy(), text.as_str());
        let file = seqc::ast::parse(&text, id).unwrap();
        for model in seqc::check::check(&file, &mut sources).models {
            let mut model = seqc::pipeline::with_stand_in_sizes(&model);
            let fixed: Vec<Sym> = model
                .dims
                .iter()
                .filter(|e| matches!(e.binding, Binding::Static(Some(n)) if n > 3))
                .map(|e| e.sym.clone())
                .collect();
            for (i, sym) in fixed.iter().enumerate() {
                model.dims.bind(sym, 2 + i as i64 % 3);
            }
            for (options, gradients) in [
                (Options::TRAIN, true),
                (Options::EVALUATE, false),
                (Options::PREDICT, false),
            ] {
                let build = seqc::pipeline::Build::default();
                let stages = build.stages(&model, options, gradients).unwrap();
                for func in [&stages.lowered, &stages.optimized] {
                    let mut sizes: Vec<(Sym, i64)> = Vec::new();
                    for s in func.dims.launch_syms() {
                        let n = if s.name() == "B" { B } else { T };
                        sizes.push((s, n));
                    }
                    let inputs = common::inputs(func, &sizes, &LENS, 2);
                    let params = common::params(func, &sizes, 0.5);
                    common::check_schedule(func, &sizes, &inputs, &params);
                }
            }
        }
    }
}
