//! Holding a value against the schema.
//!
//! In: a [`Value`] and the [`Kind`] it should have. Out: a [`Checked`] value with every default
//! filled in, or diagnostics: `setting::unknown`, `setting::wrong-type`, `setting::out-of-range`,
//! `setting::missing`; and `feature::unavailable` as a warning where the schema knows the value but
//! nothing runs it yet.

use super::checked::{Checked, Choice};
use super::elsewhere::elsewhere;
use super::schema::{Arg, Built, Kind, Need, Variant};
use super::value::{Value, ValueKind};
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::{Span, Spanned};

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
            ValueKind::Name(n) => {
                let d = mismatch(what, "a quoted text", value);
                let quoted = format!("\"{n}\"");
                let d = d.help(format!("write {quoted}")).fix(value.span, quoted);
                report.push(d);
                None
            }
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
        Kind::Choice(variants) => choice(what, "", variants, value, report),
        Kind::NumberOr {
            low,
            high,
            variants,
        } => match value.kind {
            ValueKind::Number(_) => whole(what, *low, *high, value, report),
            ValueKind::Name(_) | ValueKind::Call { .. } => {
                choice(what, "a whole number", variants, value, report)
            }
            ValueKind::Text(_) | ValueKind::List(_) => {
                wrong_type(what, "a whole number", value, report)
            }
        },
        Kind::TextOr(variants) => match value.kind {
            ValueKind::Name(_) | ValueKind::Call { .. } => {
                choice(what, "a quoted text", variants, value, report)
            }
            ValueKind::Text(_) | ValueKind::Number(_) | ValueKind::List(_) => {
                read(what, &Kind::Text, value, report)
            }
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

/// `or`: what the setting may be besides, in a few words.
fn choice(
    what: &str,
    or: &str,
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
                    .help(format!("`{what}` is {}", one_of(or, variants))),
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
            || format!("`{what}` is {}", one_of(or, variants)),
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
                    || elsewhere(variant.name, &name.node).unwrap_or_else(|| takes(variant)),
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

fn one_of(or: &str, variants: &[Variant]) -> String {
    let before = (!or.is_empty()).then(|| or.to_string());
    let names = variants.iter().map(|v| format!("`{}`", v.name));
    let names: Vec<String> = before.into_iter().chain(names).collect();
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

#[cfg(test)]
mod tests;
