//! The entries of a settings block, each held against the schema.
//!
//! In: the entries as parsed. Out: [`Entries`], by name, or `setting::unknown`,
//! `setting::repeated` and what the schema's reading says of values.

use super::value::value;
use crate::ast::node::Setting;
use crate::diagnostics::{Diagnostic, nearest};
use crate::settings::checked::{Checked, Choice};
use crate::settings::read::{self, clip, unavailable, unknown};
use crate::settings::schema::{self, Block, Built, Entry, Kind, Variant};
use crate::span::{Span, Spanned};

/// One setting that was read.
#[derive(Clone, Debug)]
pub struct Read {
    pub entry: &'static Entry,
    /// `stars` of `loss.stars`.
    pub part: Option<Spanned<String>>,
    pub checked: Checked,
    pub name: Span,
    pub value: Span,
}

#[derive(Clone, Debug)]
pub struct Entries {
    pub read: Vec<Read>,
}

/// Settings that may be given for one of several targets.
const OF_TARGETS: [&str; 2] = ["loss", "weight"];

/// Reads the `name = value` entries; `given` and `params` are the caller's.
pub fn entries(block: Block, settings: &[Setting], report: &mut Vec<Diagnostic>) -> Entries {
    let mut out = Entries { read: Vec::new() };
    for setting in settings {
        let Setting::Set {
            given: false,
            name,
            indices,
            value: written,
            span: _,
        } = setting
        else {
            continue;
        };
        if let Some(index) = indices.as_ref().and_then(|i| i.first()) {
            report.push(
                Diagnostic::error(
                    "setting::wrong-type",
                    format!("`{}` has an index, a setting has none", clip(&name.node)),
                )
                .label(index.span, "only a column of `data` has one"),
            );
            continue;
        }
        let (key, part) = match name.node.split_once('.') {
            Some((key, part)) if block == Block::Train && OF_TARGETS.contains(&key) => {
                (key, Some(Spanned::new(part.to_string(), name.span)))
            }
            _ => (name.node.as_str(), None),
        };
        let Some(entry) = schema::find(block, key) else {
            report.push(no_setting(block, name));
            continue;
        };
        if let Some(first) = out.of(entry.name, part.as_ref().map(|p| p.node.as_str())) {
            report.push(repeated(&name.node, name.span, first.name));
            continue;
        }
        if entry.built == Built::NotYet {
            report.push(unavailable(entry.name, name.span));
        }
        let checked = match value(written) {
            Ok(v) => read::read(entry.name, &entry.kind, &v, report),
            Err(d) => {
                report.push(d);
                None
            }
        };
        if let Some(checked) = checked {
            out.read.push(Read {
                entry,
                part,
                checked,
                name: name.span,
                value: written.span,
            });
        }
    }
    out
}

impl Entries {
    fn of(&self, name: &str, part: Option<&str>) -> Option<&Read> {
        self.read
            .iter()
            .find(|r| r.entry.name == name && r.part.as_ref().map(|p| p.node.as_str()) == part)
    }

    /// What was written, without a part.
    pub fn written(&self, name: &str) -> Option<&Read> {
        self.of(name, None)
    }

    /// The value written, or the schema's default.
    pub fn get(&self, block: Block, name: &str) -> Option<Checked> {
        if let Some(read) = self.written(name) {
            return Some(read.checked.clone());
        }
        let entry = schema::find(block, name)?;
        let text = entry.default?;
        Some(read::default(entry.name, &entry.kind, text))
    }

    pub fn number(&self, block: Block, name: &str) -> Option<f64> {
        match self.get(block, name)? {
            Checked::Number(n) => Some(n),
            Checked::Pair(..)
            | Checked::Text(_)
            | Checked::Name(_)
            | Checked::YesNo(_)
            | Checked::Choice(_)
            | Checked::List(_) => None,
        }
    }

    pub fn text(&self, block: Block, name: &str) -> Option<String> {
        match self.get(block, name)? {
            Checked::Text(t) | Checked::Name(t) => Some(t.node),
            Checked::Pair(..)
            | Checked::Number(_)
            | Checked::YesNo(_)
            | Checked::Choice(_)
            | Checked::List(_) => None,
        }
    }

    pub fn choice(&self, block: Block, name: &str) -> Option<Choice> {
        match self.get(block, name)? {
            Checked::Choice(c) => Some(c),
            Checked::Pair(..)
            | Checked::Number(_)
            | Checked::Text(_)
            | Checked::Name(_)
            | Checked::YesNo(_)
            | Checked::List(_) => None,
        }
    }
}

/// How a name is written that is a value of one of the block's settings, or an argument of one:
/// `optimizer = adam(lr = …)` for `lr`.
fn within(block: Block, name: &str) -> Option<String> {
    let name = match name {
        "learning_rate" | "rate" => "lr",
        "weight_decay" => "decay",
        other => other,
    };
    for e in schema::entries(block) {
        let (Kind::Choice(variants) | Kind::NumberOr { variants, .. }) = e.kind else {
            continue;
        };
        if let Some(v) = variants.iter().find(|v| v.name == name) {
            let form = match v.args.is_empty() {
                true => String::new(),
                false => "(…)".to_string(),
            };
            return Some(format!("{} = {name}{form}", e.name));
        }
        let has = |v: &&Variant| v.args.iter().any(|a| a.name == name);
        let usual = variants
            .iter()
            .filter(|v| e.default == Some(v.name) || v.name == "adam");
        if let Some(v) = usual.chain(variants).find(has) {
            return Some(format!("{} = {}({name} = …)", e.name, v.name));
        }
    }
    None
}

fn no_setting(block: Block, name: &Spanned<String>) -> Diagnostic {
    let message = format!("`{block}` has no setting `{}`", clip(&name.node));
    let names = || schema::entries(block).map(|e| e.name);
    let elsewhere = Block::ALL
        .into_iter()
        .find(|b| *b != Block::Data && schema::find(*b, &name.node).is_some());
    if let (None, Some(within)) = (nearest(&name.node, names()), within(block, &name.node)) {
        return Diagnostic::error("setting::unknown", message)
            .label(name.span, "not known")
            .help(format!("write `{within}`"));
    }
    if let (None, Some(other)) = (nearest(&name.node, names()), elsewhere) {
        return Diagnostic::error("setting::unknown", message)
            .label(name.span, format!("a setting of `{other}`"));
    }
    unknown(message, &name.node, name.span, names(), || {
        let all: Vec<&str> = names().collect();
        format!("`{block}` has {}", all.join(", "))
    })
}

pub fn repeated(name: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error(
        "setting::repeated",
        format!("`{}` is given twice", clip(name)),
    )
    .label(again, "here again")
    .label(first, "first here")
}

/// Two settings that cannot both be.
pub fn conflict(message: String, second: Span, first: Span) -> Diagnostic {
    Diagnostic::error("setting::conflict", message)
        .label(second, "not with the other")
        .label(first, "the other")
}
