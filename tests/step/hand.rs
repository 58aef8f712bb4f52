//! Models that the language does not write yet or must not: positions, delays, bare step numbers.

use seqc::dim::{Binding, Dim, DimTable, Role, Sym};
use seqc::ir::build::Build;
use seqc::ir::*;
use seqc::step::one_step;

use crate::case::check;

/// A model built by hand: the target's steps look up a table of positions.
struct Hand {
    func: Func,
}

impl Hand {
    /// `body` gets the embedded previous symbols, `[T, B, E]`, and gives the logits.
    fn new(body: impl FnOnce(&mut Build<'_>, ValueId) -> ValueId) -> Hand {
        let mut dims = DimTable::default();
        dims.declare(Sym::new("B"), Role::Batch, Binding::Launch);
        dims.declare(Sym::new("T"), Role::Time, Binding::Launch);
        dims.declare(Sym::new("E"), Role::Feature, Binding::Static(Some(4)));
        dims.declare(Sym::new("V"), Role::Vocabulary, Binding::Static(Some(5)));
        dims.declare(Sym::new("M"), Role::Feature, Binding::Static(Some(40)));
        let mut func = Func::new("hand", dims);
        let table = weight(&mut func, "table", &["V", "E"]);
        let whole = Type::i32(vec![Dim::named("T"), Dim::named("B")]);
        let previous = input(&mut func, InputRole::Previous("y".into()), whole);
        let mut b = Build::new(&mut func);
        let x = b.emit(OpKind::Gather, &[table, previous], "x");
        let y = body(&mut b, x);
        let y = b.emit(OpKind::Softmax, &[y], "y");
        func.body.ops = std::mem::take(&mut b.ops);
        func.outputs.push(Output {
            role: OutputRole::Prediction("y".into()),
            value: y,
        });
        Hand { func }
    }

    fn refused(&self) -> (&'static str, String) {
        verify::verify(&self.func).unwrap();
        let d = one_step(&self.func, "y").unwrap_err();
        (d.code, d.message)
    }
}

fn weight(func: &mut Func, path: &str, shape: &[&str]) -> ValueId {
    let shape = shape.iter().map(|s| Dim::named(s)).collect();
    let value = func.fresh(path, Type::f32(shape));
    func.params.push(Param {
        path: path.into(),
        value,
    });
    value
}

fn input(func: &mut Func, role: InputRole, ty: Type) -> ValueId {
    let value = func.fresh("input", ty);
    func.inputs.push(Input { role, value });
    value
}

fn sequence(axes: &[&str]) -> Vec<Dim> {
    axes.iter().map(|s| Dim::named(s)).collect()
}

#[test]
fn positions_delays_and_conditions_left_to_the_sum() {
    const T: u8 = 0;
    const B: u8 = 1;
    const E: u8 = 2;
    const S: u8 = 3;
    let hand = Hand::new(|b, x| {
        let ty = Type::i32(sequence(&["T", "B"]));
        let steps = input(b.func, InputRole::Steps("T".into()), ty);
        let table = weight(b.func, "positions", &["M", "E"]);
        let place = b.emit(OpKind::Gather, &[table, steps], "place");
        let x = b.add(x, place, "x");
        let late = b.emit(OpKind::Shift { by: 3 }, &[x], "late");
        // Not masked: the sum is made to leave later steps out by the factor alone.
        let w = b.contract((&[T, B, E], x), (&[S, B, E], late), &[T, B, S], "w");
        // Numbers of steps without a batch: 1 / (1 + |t − s|), weighted.
        let iota = b.emit(
            OpKind::Iota {
                size: Dim::named("T"),
            },
            &[],
            "i",
        );
        let pairs = sequence(&["T", "T"]);
        let (t, s) = (
            b.expand(iota, vec![Some(0), None], &pairs),
            b.expand(iota, vec![None, Some(0)], &pairs),
        );
        let gap = b.sub(t, s, "gap");
        let one = b.number(1.0);
        let behind = b.binary(Binary::Le, s, t, "behind");
        let gap = b.unary(Unary::Abs, gap, "gap");
        let gap = b.add(one, gap, "gap");
        let near = b.div(behind, gap, "near");
        // A product of step numbers and weights, no batch in sight.
        let scale = weight(b.func, "scale", &["E"]);
        let wide = b.contract((&[T, S], near), (&[E], scale), &[T, S, E], "wide");
        let near = b.reduce(ReduceOp::Sum, wide, &[2], "near");
        let full = sequence(&["T", "B", "T"]);
        let near = b.expand(near, vec![Some(0), None, Some(1)], &full);
        let w = b.mul(w, near, "w");
        let y = b.contract((&[T, B, S], w), (&[S, B, E], x), &[T, B, E], "y");
        let out = weight(b.func, "out", &["E", "V"]);
        b.contract((&[T, B, E], y), (&[E, S], out), &[T, B, S], "logits")
    });
    let one = check("positions", &hand.func, "y");
    let names: Vec<&str> = one
        .step
        .outputs
        .iter()
        .skip(1)
        .filter_map(|o| match &o.role {
            OutputRole::Carry(path) => Some(path.as_str()),
            _ => None,
        })
        .collect();
    // `x` and `late` are read as histories; of `late` the row comes from the last rows of `x`.
    let want = ["history of x.1", "last steps for late", "history of late"];
    assert_eq!(names, want);
}

#[test]
fn what_needs_later_steps_is_refused() {
    let logits = |b: &mut Build<'_>, x: ValueId| {
        let out = weight(b.func, "out", &["E", "V"]);
        b.contract((&[0, 1, 2], x), (&[2, 3], out), &[0, 1, 3], "logits")
    };
    let early = Hand::new(|b, x| {
        let x = b.emit(OpKind::Shift { by: -2 }, &[x], "early");
        logits(b, x)
    });
    let (code, message) = early.refused();
    assert_eq!(code, "step::not-causal");
    assert!(message.contains("2 steps later"), "{message}");

    let total = Hand::new(|b, x| {
        let sum = b.reduce(ReduceOp::Sum, x, &[0], "sum");
        let x = b.expand(
            sum,
            vec![None, Some(0), Some(1)],
            &sequence(&["T", "B", "E"]),
        );
        logits(b, x)
    });
    let (code, message) = total.refused();
    assert_eq!(code, "step::not-causal");
    assert!(message.contains("all steps along T"), "{message}");

    // Every step against every step: w[t, u] = Σₛ v[t, s] v[s, u].
    let squared = Hand::new(|b, x| {
        let v = b.contract((&[0, 1, 2], x), (&[3, 1, 2], x), &[1, 0, 3], "v");
        let w = b.contract((&[1, 0, 3], v), (&[1, 3, 4], v), &[1, 0, 4], "w");
        let y = b.contract((&[1, 0, 3], w), (&[3, 1, 2], x), &[0, 1, 2], "y");
        logits(b, y)
    });
    let (code, message) = squared.refused();
    assert_eq!(code, "step::unsupported");
    assert!(message.contains("every step"), "{message}");
}
