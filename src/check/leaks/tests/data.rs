//! Models on data in which an input may hold the answer.

use super::*;
use crate::data::spec::{
    ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, Source, SourceKind, Split, SplitBy, Step, Table,
};
use crate::span::Spanned;

fn column(name: &str, kind: ColumnKind) -> ColumnSpec {
    let span = Span::default();
    ColumnSpec {
        name: Spanned::new(name.into(), span),
        indices: Vec::new(),
        value: ColumnExpr { kind, span },
        span,
    }
}

fn piped(kind: ColumnKind, step: Step) -> ColumnKind {
    ColumnKind::Step {
        input: Box::new(ColumnExpr {
            kind,
            span: Span::default(),
        }),
        step,
    }
}

fn next(kind: ColumnKind) -> ColumnKind {
    ColumnKind::Next(
        Box::new(ColumnExpr {
            kind,
            span: Span::default(),
        }),
        1,
    )
}

fn named(name: &str) -> ColumnKind {
    ColumnKind::Column(ColumnRef::Named(name.into()))
}

fn spec(source: SourceKind, columns: Vec<ColumnSpec>) -> DataSpec {
    let span = Span::default();
    DataSpec {
        name: Spanned::new("d".into(), span),
        source: Source { kind: source, span },
        columns,
        keep: None,
        split: Split::Parts {
            shares: [90.0, 5.0, 5.0],
            by: SplitBy::Shuffle,
            span,
        },
        span,
    }
}

fn csv(columns: Vec<ColumnSpec>) -> DataSpec {
    let table = Table {
        path: Spanned::new("x.csv".into(), Span::default()),
        header: true,
        sort: None,
        blocks: false,
    };
    spec(SourceKind::Csv(table), columns)
}

/// An input of these axes and a target, the prediction reading the input by its sum over `T`
/// where it has one and `whole` is asked, else step by step.
fn model(input: &[&str], target: &[&str], whole: bool) -> Model {
    let mut b = Build::new();
    let x = b.input(InputKind::Input, "x", input);
    let y = b.input(InputKind::Target, "y", target);
    let e = b.read(x);
    let e = if whole {
        b.reduce(Reduce::Sum, e, 0, &["H"])
    } else {
        e
    };
    b.predict(y, e)
}

fn leaks(model: &Model, data: &DataSpec) -> bool {
    assert_eq!(check(model), Vec::new());
    !check_data(model, data, None).is_empty()
}

#[test]
fn one_column_under_two_names_is_the_answer() {
    let path = || Spanned::new("x.txt".into(), Span::default());
    let chars = || piped(ColumnKind::Whole, Step::Chars);
    let columns = vec![column("y", chars()), column("x", chars())];
    let data = spec(SourceKind::Lines(path()), columns);
    assert!(leaks(&model(&["T"], &["T"], false), &data));
    assert!(leaks(&model(&["S"], &["T"], true), &data));
}

#[test]
fn tomorrow_is_not_among_the_last_days() {
    let past = || piped(piped(named("Close"), Step::Zscore), Step::Window(30));
    let forecast = model(&["T", "H"], &["H"], true);
    let ahead = vec![column("x", past()), column("y", next(named("Close")))];
    assert!(!leaks(&forecast, &csv(ahead)));
    let today = vec![column("x", past()), column("y", named("Close"))];
    assert!(leaks(&forecast, &csv(today)));
    let other = vec![column("x", past()), column("y", named("Open"))];
    assert!(!leaks(&forecast, &csv(other)));
}

#[test]
fn a_copy_among_several_features_is_seen() {
    let columns = |names: &[&str]| {
        let names = names.iter().map(|n| ColumnRef::Named((*n).into()));
        ColumnKind::Columns(names.collect())
    };
    let m = model(&["H"], &["H"], false);
    let apart = vec![
        column("x", columns(&["a", "b"])),
        column("y", columns(&["c", "d"])),
    ];
    assert!(!leaks(&m, &csv(apart)));
    let copied = vec![
        column("x", columns(&["a", "b", "c"])),
        column("y", columns(&["c", "d"])),
    ];
    assert!(leaks(&m, &csv(copied)));
}

#[test]
fn a_series_shifted_back_is_the_past_and_forward_is_not() {
    let tagged = model(&["T", "H"], &["T", "H"], false);
    let shifted = vec![column("x", named("v")), column("y", next(named("v")))];
    assert!(!leaks(&tagged, &csv(shifted)));
    let ahead = vec![column("x", next(named("v"))), column("y", named("v"))];
    assert!(leaks(&tagged, &csv(ahead)));
    let same = vec![
        column("x", named("v")),
        column("y", piped(ColumnKind::Name("x".into()), Step::Zscore)),
    ];
    assert!(leaks(&tagged, &csv(same)));
}

#[test]
fn a_target_computed_from_two_columns_is_a_task() {
    use crate::data::spec::Binary;
    let boxed = |name: &str| {
        Box::new(ColumnExpr {
            kind: ColumnKind::Name(name.into()),
            span: Span::default(),
        })
    };
    let draw = || ColumnKind::Uniform {
        low: boxed("zero"),
        high: boxed("one"),
        over: None,
    };
    let list = |names: &[&str]| ColumnKind::List(names.iter().map(|n| *boxed(n)).collect());
    let rows = |y: ColumnKind| {
        let columns = vec![
            column("zero", ColumnKind::Number(0.0)),
            column("one", ColumnKind::Number(1.0)),
            column("a", draw()),
            column("b", draw()),
            column("x", list(&["a", "b"])),
            column("y", y),
        ];
        spec(SourceKind::Rows { count: 10, seed: 1 }, columns)
    };
    let m = model(&["H"], &["H"], false);
    let sum = ColumnKind::Binary(Binary::Add, boxed("a"), boxed("b"));
    assert!(!leaks(&m, &rows(sum)));
    assert!(leaks(&m, &rows(ColumnKind::Name("a".into()))));
}
