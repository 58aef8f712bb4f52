//! Made-up data: columns as expressions.

use super::*;
use crate::data::{Part, Tensor};

/// The adding problem of the sequence-learning literature (Hochreiter and Schmidhuber 1997), with
/// the marks in the first and second half.
pub fn adding(time: Option<usize>) -> (DataSpec, Wanted) {
    let mark = |i: &str| binary(Binary::Eq, name("t"), name(i));
    let marks = ColumnSpec {
        indices: vec![here("t".to_string())],
        ..set(
            "m",
            e(ColumnKind::Choose(
                binary(Binary::Or, mark("i"), mark("j")).into(),
                number(1.0).into(),
                number(0.0).into(),
            )),
        )
    };
    let sum = e(ColumnKind::Reduce {
        op: Reduce::Sum,
        value: binary(Binary::Mul, name("v"), name("m")).into(),
        over: Some(here("T".to_string())),
    });
    let columns = vec![
        set("v", uniform(0.0, 1.0, Some("T"))),
        set("i", randint(10)),
        set("j", binary(Binary::Add, number(10.0), randint(10))),
        marks,
        set("x", e(ColumnKind::List(vec![name("v"), name("m")]))),
        set("y", sum),
    ];
    let spec = spec(rows(50, 1), columns, parts(98.0, 2.0, 0.0));
    let wanted = wanted(
        vec![
            input("x", Unit::Number, Some("T")).sized(&[2]),
            target("y", Unit::Number, None),
        ],
        time,
    );
    (spec, wanted)
}

#[test]
fn the_adding_problem() {
    let (spec, wanted) = adding(Some(20));
    let d = load(&[], &spec, &wanted);
    assert_eq!(d.len(Part::Train), 49);
    for b in d.each(Part::Train, &super::batches::in_order(1)) {
        let (Some(Tensor::F32(x)), Some(Tensor::F32(y))) = (b.data("x"), b.data("y")) else {
            panic!();
        };
        assert_eq!((x.len(), y.len()), (40, 1));
        let marks: Vec<f32> = x.iter().skip(1).step_by(2).copied().collect();
        assert_eq!(marks[..10].iter().sum::<f32>(), 1.0);
        assert_eq!(marks[10..].iter().sum::<f32>(), 1.0);
        let sum: f32 = x.chunks(2).map(|c| c[0] * c[1]).sum();
        assert!((sum - y[0]).abs() < 1e-6);
        assert!(x.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}

#[test]
fn an_index_needs_a_length() {
    let (spec, wanted) = adding(None);
    let errors = load_with(&[], &spec, &wanted, |_| {}).unwrap_err();
    assert!(errors.iter().all(|e| e.code == "data::unknown-length"));
}

#[test]
fn draws_do_not_depend_on_other_columns_or_rows() {
    let one = |count: usize, more: bool| {
        let mut columns = vec![set("a", uniform(-1.0, 1.0, None))];
        if more {
            columns.insert(0, set("b", uniform(0.0, 1.0, None)));
        }
        let spec = spec(rows(count, 7), columns, parts(100.0, 0.0, 0.0));
        let mut fields = vec![input("a", Unit::Number, None)];
        if more {
            fields.insert(0, input("b", Unit::Number, None));
        }
        let d = load(&[], &spec, &wanted(fields, None));
        let b = d
            .each(Part::Train, &super::batches::in_order(5))
            .next()
            .unwrap();
        b.data("a").unwrap().clone()
    };
    assert_eq!(one(5, false), one(500, true));
}

#[test]
fn a_line_in_the_plane() {
    let above = binary(
        Binary::Gt,
        name("b"),
        binary(
            Binary::Add,
            binary(Binary::Mul, number(0.5), name("a")),
            number(0.1),
        ),
    );
    let columns = vec![
        set("a", uniform(-1.0, 1.0, None)),
        set("b", uniform(-1.0, 1.0, None)),
        set("x", e(ColumnKind::List(vec![name("a"), name("b")]))),
        set("above", above),
        set("side", binary(Binary::Mul, number(3.0), name("above"))),
    ];
    let spec = spec(rows(200, 1), columns, parts(80.0, 20.0, 0.0));
    let fields = vec![
        input("x", Unit::Number, None).sized(&[2]),
        target("above", Unit::Binary, None),
        target("side", Unit::Class, None),
    ];
    let d = load(&[], &spec, &wanted(fields, None));
    assert_eq!(Part::ALL.map(|p| d.len(p)), [160, 40, 0]);
    // Whole numbers are classes up to the largest.
    assert_eq!(d.vocabulary("side").unwrap().len(), 4);
    let b = d
        .each(Part::Train, &super::batches::in_order(160))
        .next()
        .unwrap();
    let (Some(Tensor::F32(x)), Some(Tensor::F32(y)), Some(Tensor::I32(side))) =
        (b.data("x"), b.data("above"), b.data("side"))
    else {
        panic!();
    };
    for ((x, y), side) in x.chunks(2).zip(y).zip(side) {
        let above = f64::from(x[1]) > 0.5 * f64::from(x[0]) + 0.1;
        assert_eq!(*y == 1.0, above);
        assert_eq!(*side, if above { 3 } else { 0 });
    }
}

#[test]
fn more_than_fits_is_refused_at_once() {
    let columns = vec![set("v", uniform(0.0, 1.0, Some("T")))];
    let spec = spec(rows(1 << 22, 1), columns, parts(100.0, 0.0, 0.0));
    let wanted = wanted(vec![input("v", Unit::Number, Some("T"))], Some(1 << 22));
    let errors = load_with(&[], &spec, &wanted, |_| {}).unwrap_err();
    assert_eq!(errors[0].code, "resource::memory");
}

#[test]
fn features_become_steps() {
    let points = |names: &[&str], steps: usize| {
        let x = set("x", columns(names).to(Step::Steps(steps)));
        let kind = SourceKind::Csv(table("t.csv", true));
        let spec = spec(kind, vec![x], parts(100.0, 0.0, 0.0));
        let field = input("x", Unit::Number, Some("T")).sized(&[2]);
        let wanted = wanted(vec![field], Some(2));
        load_with(
            &[("t.csv", b"a,b,c,d\n1,2,3,4\n5,6,7,8\n")],
            &spec,
            &wanted,
            |_| {},
        )
    };
    let d = points(&["a", "b", "c", "d"], 2).unwrap();
    let mut batches = d.each(Part::Train, &super::batches::in_order(2));
    let batch = batches.next().unwrap();
    // Step by step, both examples: their first points, then their second ones.
    let steps = Tensor::F32(vec![1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
    assert_eq!(batch.data("x"), Some(&steps));
    let code = |names: &[&str]| points(names, 2).unwrap_err()[0].code;
    assert_eq!(code(&["a", "b", "c"]), "data::steps");
    assert_eq!(code(&["a", "b"]), "data::features");
}
