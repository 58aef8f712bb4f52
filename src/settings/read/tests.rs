//! Values against the schema, built by hand.

use super::*;
use crate::settings::schema::{self, Block};
use crate::span::FileId;

fn span(start: usize, end: usize) -> Span {
    Span::new(FileId(0), start, end)
}

fn value(kind: ValueKind) -> Value {
    Value {
        kind,
        span: span(10, 20),
    }
}

fn named(name: &str, args: Vec<(Option<&str>, ValueKind)>) -> Value {
    value(ValueKind::Call {
        name: Spanned::new(name.into(), span(10, 12)),
        args: args
            .into_iter()
            .map(|(n, k)| (n.map(|n| Spanned::new(n.into(), span(13, 15))), value(k)))
            .collect(),
    })
}

fn check(block: Block, setting: &str, value: &Value) -> Result<Checked, Diagnostic> {
    let entry = schema::find(block, setting).unwrap();
    let mut report = Vec::new();
    let checked = read(setting, &entry.kind, value, &mut report);
    match report.pop() {
        Some(d) => Err(d),
        None => Ok(checked.unwrap()),
    }
}

fn default_args(variants: &'static [Variant]) {
    for arg in variants.iter().flat_map(|v| v.args) {
        if let Need::Default(text) = arg.default {
            default(arg.name, &arg.kind, text);
        }
        if let Kind::Choice(inner) = arg.kind {
            default_args(inner);
        }
    }
}

#[test]
fn every_default_is_of_its_own_kind() {
    for e in schema::ENTRIES {
        if let Some(text) = e.default {
            default(e.name, &e.kind, text);
        }
        match e.kind {
            Kind::Choice(variants) | Kind::NumberOr { variants, .. } | Kind::TextOr(variants) => {
                default_args(variants);
            }
            Kind::List(Kind::Choice(variants)) => default_args(variants),
            Kind::Whole { .. }
            | Kind::Number(_)
            | Kind::Pair(_)
            | Kind::Text
            | Kind::Name
            | Kind::YesNo
            | Kind::List(_)
            | Kind::Column
            | Kind::Expression => {}
        }
    }
}

#[test]
fn no_setting_stands_twice() {
    for (i, a) in schema::ENTRIES.iter().enumerate() {
        for b in &schema::ENTRIES[i + 1..] {
            assert!(a.block != b.block || a.name != b.name, "{}", a.name);
        }
    }
}

#[test]
fn arguments_are_filled_in_and_written_back() {
    let adam = named("adam", vec![(Some("lr"), ValueKind::Number(2e-3))]);
    let checked = check(Block::Train, "optimizer", &adam).unwrap();
    assert_eq!(
        checked.to_string(),
        "adam(lr = 2e-3, betas = [0.9, 0.999], eps = 1e-8)"
    );
    let clip = named("norm", vec![(None, ValueKind::Number(5.0))]);
    assert_eq!(
        check(Block::Train, "clip", &clip).unwrap().to_string(),
        "norm(5)"
    );
    let prompt = value(ValueKind::Text("a \"b\"\n".into()));
    assert_eq!(
        check(Block::Generate, "prompt", &prompt)
            .unwrap()
            .to_string(),
        "\"a \\\"b\\\"\\n\""
    );
}

#[test]
fn wrong_values_name_both_sides() {
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        (
            "batch",
            value(ValueKind::Number(0.0)),
            "setting::out-of-range",
            "`batch` needs a whole number from 1, found 0",
        ),
        (
            "batch",
            value(ValueKind::Number(1.5)),
            "setting::wrong-type",
            "`batch` needs a whole number, found 1.5",
        ),
        (
            "optimizer",
            named("adam", vec![(Some("lr"), ValueKind::Number(-1.0))]),
            "setting::out-of-range",
            "`lr` needs a number above 0, found -1",
        ),
        (
            "optimizer",
            named("adma", vec![]),
            "setting::unknown",
            "`adma` is not a choice of `optimizer`",
        ),
        (
            "optimizer",
            named("adam", vec![(Some("decay"), ValueKind::Number(0.1))]),
            "setting::unknown",
            "`adam` has no `decay`",
        ),
        (
            "optimizer",
            value(ValueKind::Number(3.0)),
            "setting::wrong-type",
            "`optimizer` needs one of its choices, found 3",
        ),
        (
            "clip",
            named("norm", vec![]),
            "setting::missing",
            "`norm` needs `max`",
        ),
        (
            "clip",
            named(
                "norm",
                vec![
                    (None, ValueKind::Number(1.0)),
                    (None, ValueKind::Number(2.0)),
                ],
            ),
            "setting::wrong-type",
            "`norm` takes 1 value, found 2",
        ),
        (
            "weights",
            value(ValueKind::Name("w".into())),
            "setting::wrong-type",
            "`weights` needs a quoted text, found `w`",
        ),
    ];
    for (setting, value, code, message) in cases {
        let d = check(Block::Train, setting, &value).unwrap_err();
        assert_eq!((d.code, d.message.as_str()), (code, message));
    }
    let later = named("sqrt", vec![(None, ValueKind::Name("T".into()))]);
    let d = check(Block::Tune, "recompute", &later).unwrap_err();
    assert_eq!(d.code, "feature::unavailable");
    assert_eq!(d.message, "`sqrt` is known, but not built yet");
}

#[test]
fn messages_stay_short_for_long_names() {
    let long = "x".repeat(400);
    for v in [
        value(ValueKind::Name(long.clone())),
        value(ValueKind::Number(1e300)),
        named(&long, vec![]),
        named("adam", vec![(Some(&long), ValueKind::Number(1.0))]),
        named("adam", vec![(None, ValueKind::Name(long.clone()))]),
    ] {
        for setting in ["optimizer", "batch", "weights", "metrics"] {
            if let Err(d) = check(Block::Train, setting, &v) {
                assert!(d.message.chars().count() <= 72, "{}", d.message);
            }
        }
    }
}
