//! Holding a value against the schema.
//!
//! In: a [`Value`] and the [`Kind`] it should have. Out: a [`Checked`] value with every default
//! filled in, or diagnostics: `setting::unknown`, `setting::wrong-type`, `setting::out-of-range`,
//! `setting::missing`; and `feature::unavailable` as a warning where the schema knows the value but
//! nothing runs it yet. Long because every kind of value is read, filled in and refused in one place.

use std::fmt;

use super::schema::{Arg, Built, Kind, Need, Variant};
use super::value::{Value, ValueKind};
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::{Span, Spanned};

/// A value known to be of its kind. `Display` writes it as a file would.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    Number(f64),
    Pair(f64, f64),
    Text(Spanned<String>),
    Name(Spanned<String>),
    YesNo(bool),
    Choice(Choice),
    List(Vec<Checked>),
}

/// One of a setting's choices with all its arguments, in the schema's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub name: &'static str,
    pub args: Vec<(&'static Arg, Option<Checked>)>,
    pub span: Span,
}

impl Choice {
    /// The argument called `name`, `None` where it is optional and absent.
    pub fn get(&self, name: &str) -> Option<&Checked> {
        self.args
            .iter()
            .find(|(a, _)| a.name == name)
            .and_then(|(_, v)| v.as_ref())
    }

    /// A required number or one with a default.
    ///
    /// # Panics
    /// Where the schema gives no number under that name, which is a mistake in the schema.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Checked::Number(n)) => *n,
            other => panic!("`{}` has no number `{name}`: {other:?}", self.name),
        }
    }

    /// A required pair or one with a default; panics as [`Choice::number`] does.
    pub fn pair(&self, name: &str) -> (f64, f64) {
        match self.get(name) {
            Some(Checked::Pair(a, b)) => (*a, *b),
            other => panic!("`{}` has no pair `{name}`: {other:?}", self.name),
        }
    }

    /// A required text or name; panics as [`Choice::number`] does.
    pub fn text(&self, name: &str) -> &Spanned<String> {
        match self.get(name) {
            Some(Checked::Text(t) | Checked::Name(t)) => t,
            other => panic!("`{}` has no text `{name}`: {other:?}", self.name),
        }
    }
}

/// Checks `value` against `kind`; `what` is the setting or argument, for messages. `None` where an
/// error was reported.
pub fn read(
    what: &str,
    kind: &'static Kind,
    value: &Value,
    report: &mut Vec<Diagnostic>,
) -> Option<Checked> {
    match kind {
        Kind::Whole { low, high } => whole(what, *low, *high, value, report),
        Kind::Number(range) => match value.kind {
            ValueKind::Number(n) if range.contains(n) => Some(Checked::Number(n)),
            ValueKind::Number(_) => {
                report.push(out_of_range(what, &range.to_string(), value));
                None
            }
            _ => wrong_type(what, "a number", value, report),
        },
        Kind::Pair(range) => match &value.kind {
            ValueKind::List(items) if items.len() == 2 => {
                let mut numbers = Vec::new();
                for item in items {
                    match item.kind {
                        ValueKind::Number(n) if range.contains(n) => numbers.push(n),
                        ValueKind::Number(_) => {
                            report.push(out_of_range(what, &range.to_string(), item));
                            return None;
                        }
                        _ => return wrong_type(what, "two numbers", item, report),
                    }
                }
                Some(Checked::Pair(numbers[0], numbers[1]))
            }
            _ => wrong_type(what, "two numbers, `[a, b]`", value, report),
        },
        Kind::Text => match &value.kind {
            ValueKind::Text(t) => Some(Checked::Text(Spanned::new(t.clone(), value.span))),
            _ => wrong_type(what, "a quoted text", value, report),
        },
        Kind::Name => match &value.kind {
            ValueKind::Name(n) => Some(Checked::Name(Spanned::new(n.clone(), value.span))),
            _ => wrong_type(what, "a name", value, report),
        },
        Kind::YesNo => match &value.kind {
            ValueKind::Name(n) if n == "yes" => Some(Checked::YesNo(true)),
            ValueKind::Name(n) if n == "no" => Some(Checked::YesNo(false)),
            _ => wrong_type(what, "`yes` or `no`", value, report),
        },
        Kind::Choice(variants) => choice(what, variants, value, report),
        Kind::NumberOr {
            low,
            high,
            variants,
        } => match value.kind {
            ValueKind::Number(_) => whole(what, *low, *high, value, report),
            _ => choice(what, variants, value, report),
        },
        Kind::List(item) => {
            let values = match &value.kind {
                ValueKind::List(items) => items.as_slice(),
                _ => std::slice::from_ref(value),
            };
            let read: Vec<Option<Checked>> =
                values.iter().map(|v| read(what, item, v, report)).collect();
            Some(Checked::List(read.into_iter().collect::<Option<_>>()?))
        }
        Kind::Column => match &value.kind {
            ValueKind::Name(n) => Some(Checked::Name(Spanned::new(n.clone(), value.span))),
            ValueKind::Text(t) => Some(Checked::Text(Spanned::new(t.clone(), value.span))),
            ValueKind::Number(_) => whole(what, 1, u64::from(u32::MAX), value, report),
            ValueKind::List(_) | ValueKind::Call { .. } => {
                wrong_type(what, "a column", value, report)
            }
        },
        Kind::Expression => wrong_type(what, "an expression over columns", value, report),
    }
}

fn whole(
    what: &str,
    low: u64,
    high: u64,
    value: &Value,
    report: &mut Vec<Diagnostic>,
) -> Option<Checked> {
    let ValueKind::Number(n) = value.kind else {
        return wrong_type(what, "a whole number", value, report);
    };
    if n.fract() != 0.0 || !n.is_finite() {
        return wrong_type(what, "a whole number", value, report);
    }
    if n < low as f64 || n > high as f64 {
        let range = if n < low as f64 {
            format!("a whole number from {low}")
        } else {
            format!("at most {high}")
        };
        report.push(out_of_range(what, &range, value));
        return None;
    }
    Some(Checked::Number(n))
}

fn choice(
    what: &str,
    variants: &'static [Variant],
    value: &Value,
    report: &mut Vec<Diagnostic>,
) -> Option<Checked> {
    let (name, given): (Spanned<&str>, &[_]) = match &value.kind {
        ValueKind::Name(n) => (Spanned::new(n, value.span), &[]),
        ValueKind::Call { name, args } => (Spanned::new(&name.node, name.span), args),
        ValueKind::Number(_) | ValueKind::Text(_) | ValueKind::List(_) => {
            report.push(
                mismatch(what, "one of its choices", value)
                    .help(format!("`{what}` is {}", one_of(variants))),
            );
            return None;
        }
    };
    let Some(variant) = variants.iter().find(|v| v.name == name.node) else {
        let names = variants.iter().map(|v| v.name);
        report.push(unknown(
            format!("`{}` is not a choice of `{}`", clip(name.node), clip(what)),
            name.node,
            name.span,
            names,
            || format!("`{what}` is {}", one_of(variants)),
        ));
        return None;
    };
    if variant.built == Built::NotYet {
        report.push(unavailable(variant.name, name.span));
    }
    let args = arguments(variant, name.span, given, report)?;
    Some(Checked::Choice(Choice {
        name: variant.name,
        args,
        span: value.span,
    }))
}

type Args = Vec<(&'static Arg, Option<Checked>)>;

fn arguments(
    variant: &'static Variant,
    head: Span,
    given: &[(Option<Spanned<String>>, Value)],
    report: &mut Vec<Diagnostic>,
) -> Option<Args> {
    let mut slots: Vec<Option<&Value>> = vec![None; variant.args.len()];
    let mut sound = true;
    for (position, (name, value)) in given.iter().enumerate() {
        let slot = match name {
            Some(name) => variant.args.iter().position(|a| a.name == name.node),
            None => (position < variant.args.len()).then_some(position),
        };
        match (slot, name) {
            (Some(slot), _) if slots[slot].is_none() => slots[slot] = Some(value),
            (Some(slot), _) => {
                sound = false;
                let again = variant.args[slot].name;
                report.push(
                    Diagnostic::error(
                        "setting::repeated",
                        format!("`{again}` of `{}` is given twice", variant.name),
                    )
                    .label(value.span, "here again")
                    .label(slots[slot].map_or(head, |v| v.span), "first here"),
                );
            }
            (None, Some(name)) => {
                sound = false;
                report.push(unknown(
                    format!("`{}` has no `{}`", variant.name, clip(&name.node)),
                    &name.node,
                    name.span,
                    variant.args.iter().map(|a| a.name),
                    || takes(variant),
                ));
            }
            (None, None) => {
                sound = false;
                report.push(
                    Diagnostic::error(
                        "setting::wrong-type",
                        format!(
                            "`{}` takes {}, found {}",
                            variant.name,
                            count(variant.args.len()),
                            given.len()
                        ),
                    )
                    .label(value.span, "one too many")
                    .help(takes(variant)),
                );
            }
        }
    }
    if !sound {
        return None;
    }
    let mut args = Vec::new();
    for (arg, slot) in variant.args.iter().zip(slots) {
        let checked = match (slot, arg.default) {
            (Some(value), _) => Some(read(arg.name, &arg.kind, value, report)?),
            (None, Need::Default(text)) => Some(default(arg.name, &arg.kind, text)),
            (None, Need::Optional) => None,
            (None, Need::Required) => {
                report.push(
                    Diagnostic::error(
                        "setting::missing",
                        format!("`{}` needs `{}`", variant.name, arg.name),
                    )
                    .label(head, format!("no `{}` here", arg.name))
                    .help(takes(variant)),
                );
                return None;
            }
        };
        args.push((arg, checked));
    }
    Some(args)
}

/// The value of a default, as the schema writes it.
///
/// # Panics
/// Where the schema's own text is not of the schema's own kind; a test reads them all.
pub fn default(what: &str, kind: &'static Kind, text: &str) -> Checked {
    let mut report = Vec::new();
    read(what, kind, &literal(text), &mut report)
        .unwrap_or_else(|| panic!("the default `{text}` of `{what}`: {report:?}"))
}

/// Reads the few forms that defaults are written in: a number, a quoted text, a name, a list or a
/// call of numbers.
fn literal(text: &str) -> Value {
    let list = |inner: &str| inner.split(',').map(|t| literal(t.trim())).collect();
    let kind = if let Ok(n) = text.parse() {
        ValueKind::Number(n)
    } else if let Some(inner) = text.strip_prefix('"') {
        ValueKind::Text(inner.trim_end_matches('"').into())
    } else if let Some(inner) = text.strip_prefix('[') {
        ValueKind::List(list(inner.trim_end_matches(']')))
    } else if let Some((name, inner)) = text.split_once('(') {
        let values: Vec<Value> = list(inner.trim_end_matches(')'));
        ValueKind::Call {
            name: Spanned::new(name.into(), Span::default()),
            args: values.into_iter().map(|v| (None, v)).collect(),
        }
    } else {
        ValueKind::Name(text.into())
    };
    Value {
        kind,
        span: Span::default(),
    }
}

fn wrong_type(
    what: &str,
    needs: &str,
    value: &Value,
    report: &mut Vec<Diagnostic>,
) -> Option<Checked> {
    report.push(mismatch(what, needs, value));
    None
}

/// `setting::wrong-type`; `needs` is a few words.
pub fn mismatch(what: &str, needs: &str, value: &Value) -> Diagnostic {
    let found = value.describe();
    Diagnostic::error(
        "setting::wrong-type",
        format!("`{}` needs {needs}, found {found}", clip(what)),
    )
    .label(value.span, format!("this is {found}"))
}

fn out_of_range(what: &str, range: &str, value: &Value) -> Diagnostic {
    Diagnostic::error(
        "setting::out-of-range",
        format!("`{}` needs {range}, found {}", clip(what), value.describe()),
    )
    .label(value.span, "out of range")
}

/// `setting::unknown`, with the nearest name as an edit, else `otherwise` as help.
pub fn unknown<'a>(
    message: String,
    name: &str,
    span: Span,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> Diagnostic {
    let d = Diagnostic::error("setting::unknown", message).label(span, "not known");
    match nearest(name, candidates) {
        Some(near) => d
            .help(format!("did you mean `{near}`?"))
            .fix(span, near.to_string()),
        None => d.help(otherwise()),
    }
}

/// The warning about something that is known and not built; `train` refuses what carries it.
pub fn unavailable(name: &str, span: Span) -> Diagnostic {
    Diagnostic::warning(
        "feature::unavailable",
        format!("`{}` is known, but not built yet", clip(name)),
    )
    .label(span, "cannot be run by this version")
}

fn one_of(variants: &[Variant]) -> String {
    let names: Vec<String> = variants.iter().map(|v| format!("`{}`", v.name)).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

fn count(values: usize) -> String {
    match values {
        0 => "no value".into(),
        1 => "1 value".into(),
        n => format!("{n} values"),
    }
}

fn takes(variant: &Variant) -> String {
    format!("it is written `{}`", signature(variant))
}

/// `adam(lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8)`, `norm(max)`; optional ones in brackets.
pub fn signature(variant: &Variant) -> String {
    if variant.args.is_empty() {
        return variant.name.into();
    }
    let args: Vec<String> = variant
        .args
        .iter()
        .map(|a| match a.default {
            Need::Required => a.name.to_string(),
            Need::Default(text) => format!("{} = {text}", a.name),
            Need::Optional => format!("{} = …", a.name),
        })
        .collect();
    format!("{}({})", variant.name, args.join(", "))
}

/// A user's name short enough for a message of 72 characters.
pub fn clip(name: &str) -> String {
    if name.chars().count() <= 16 {
        return name.into();
    }
    let head: String = name.chars().take(15).collect();
    format!("{head}…")
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checked::Number(n) => write_number(f, *n),
            Checked::Pair(a, b) => {
                f.write_str("[")?;
                write_number(f, *a)?;
                f.write_str(", ")?;
                write_number(f, *b)?;
                f.write_str("]")
            }
            Checked::Text(t) => write!(f, "\"{}\"", escape(&t.node)),
            Checked::Name(n) => f.write_str(&n.node),
            Checked::YesNo(yes) => f.write_str(if *yes { "yes" } else { "no" }),
            Checked::Choice(c) => write!(f, "{c}"),
            Checked::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let mut before = "(";
        for (arg, value) in &self.args {
            let Some(value) = value else { continue };
            match arg.default {
                Need::Required => write!(f, "{before}{value}")?,
                Need::Default(_) | Need::Optional => write!(f, "{before}{} = {value}", arg.name)?,
            }
            before = ", ";
        }
        f.write_str(if before == "(" { "" } else { ")" })
    }
}

/// The shortest text that reads back as the same number: `0.9`, `1e-8`.
fn write_number(f: &mut fmt::Formatter<'_>, n: f64) -> fmt::Result {
    if n != 0.0 && n.abs() < 1e-2 {
        write!(f, "{n:e}")
    } else {
        write!(f, "{n}")
    }
}

/// A text as it stands between quotes.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
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
                Kind::Choice(variants) | Kind::NumberOr { variants, .. } => default_args(variants),
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
            (
                "schedule",
                value(ValueKind::Name("plateau".into())),
                "feature::unavailable",
                "`plateau` is known, but not built yet",
            ),
        ];
        for (setting, value, code, message) in cases {
            let d = check(Block::Train, setting, &value).unwrap_err();
            assert_eq!((d.code, d.message.as_str()), (code, message));
        }
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
}
