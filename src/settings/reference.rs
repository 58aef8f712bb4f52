//! The reference of all settings, as Markdown for the guide.
//!
//! In: the schema. Out: [`reference`]: one table a block, one a choice with its arguments.

use super::read::signature;
use super::schema::{
    self, BATCHES, Block, Built, CLIPS, INITS, Kind, LOSSES, METRICS, MISSING, OPTIMIZERS,
    PRECISIONS, RECOMPUTES, SCHEDULES, SEARCHES, SOURCES, SPLITS, STEPS, STOPS, VALIDATES, Variant,
};

/// The tables of choices, with the heading each has in the reference.
const CHOICES: &[(&str, &[Variant])] = &[
    ("Sources: `from`", SOURCES),
    ("Steps of a column: after `|>`", STEPS),
    (
        "Missing values: `column(x, missing = …)`, or a number or text",
        MISSING,
    ),
    ("Parts: `split`", SPLITS),
    ("Batches: `batch`", BATCHES),
    ("Update rules: `optimizer`", OPTIMIZERS),
    ("Rates over time: `schedule`", SCHEDULES),
    ("Bounds on gradients: `clip`", CLIPS),
    ("Losses: `loss`", LOSSES),
    ("Metrics: `metrics`", METRICS),
    ("Measuring: `validate`", VALIDATES),
    ("Stopping early: `stop`", STOPS),
    ("Precision: `precision`", PRECISIONS),
    ("Initial weights: `init`, and `~` in a model", INITS),
    ("Choosing the next step: `search`", SEARCHES),
    ("Recomputing: `recompute`", RECOMPUTES),
];

/// Every setting with its type, default and meaning. What is known but not built is marked.
pub fn reference() -> String {
    let mut out = String::from("# Settings\n");
    for block in Block::ALL {
        out.push_str(&format!("\n## `{block}`\n\n{}\n\n", about(block)));
        out.push_str("| setting | value | default | meaning |\n|---|---|---|---|\n");
        for e in schema::entries(block) {
            let default = e.default.map_or("–".into(), |d| format!("`{d}`"));
            out.push_str(&format!(
                "| `{}` | {} | {default} | {}{} |\n",
                e.name,
                kind(&e.kind),
                e.meaning,
                mark(e.built)
            ));
        }
    }
    out.push_str("\n## Choices\n");
    for (heading, variants) in CHOICES {
        out.push_str(&format!(
            "\n### {heading}\n\n| value | meaning |\n|---|---|\n"
        ));
        for v in *variants {
            out.push_str(&format!(
                "| `{}` | {}{} |\n",
                signature(v).replace('|', "\\|"),
                v.meaning,
                mark(v.built)
            ));
        }
    }
    out.push_str("\n### Choices within these\n\n| argument | meaning |\n|---|---|\n");
    for (argument, of, v) in nested() {
        let of = of.join("`, `");
        out.push_str(&format!(
            "| `{argument} = {}` of `{of}` | {}{} |\n",
            v.name,
            v.meaning,
            mark(v.built)
        ));
    }
    out
}

/// What the tables say of a name: as a setting, as one of its choices, as an argument of a choice or a
/// choice within these.
pub fn named(name: &str) -> Vec<String> {
    let mut out = Vec::new();
    for e in schema::ENTRIES.iter().filter(|e| e.name == name) {
        let default = e
            .default
            .map_or(String::new(), |d| format!(", by default {d}"));
        let (value, meaning, mark) = (kind(&e.kind), e.meaning, mark(e.built));
        out.push(format!(
            "{name}, a setting of `{}`: {value}{default}\n    {meaning}{mark}\n",
            e.block
        ));
    }
    for (heading, variants) in CHOICES {
        for v in variants.iter().filter(|v| v.name == name) {
            let (form, mark) = (signature(v), mark(v.built));
            out.push(format!("{form}\n    {heading}\n    {}{mark}\n", v.meaning));
        }
    }
    for (argument, takes, of) in arguments() {
        if argument == name {
            let of: Vec<String> = of.iter().map(|v| signature(v)).collect();
            out.push(format!("{name}, of `{}`\n    {takes}\n", of.join("`, `")));
        }
    }
    for (argument, of, v) in nested() {
        if argument == name || v.name == name {
            let of = of.join("`, `");
            let (value, mark) = (v.name, mark(v.built));
            out.push(format!(
                "{argument} = {value}, of `{of}`\n    {}{mark}\n",
                v.meaning
            ));
        }
    }
    out
}

/// Every name of which [`named`] has something to say.
pub fn names() -> impl Iterator<Item = &'static str> {
    let choices = CHOICES.iter().flat_map(|(_, variants)| *variants);
    let nested = nested().into_iter();
    let nested = nested.flat_map(|(argument, _, v)| [argument, v.name]);
    let entries = schema::ENTRIES.iter().map(|e| e.name);
    let arguments = arguments().into_iter().map(|a| a.0);
    let all = entries.chain(choices.map(|v| v.name));
    all.chain(nested).chain(arguments)
}

/// The arguments that are no choices: their name, what they take, and whose they are.
fn arguments() -> Vec<(&'static str, String, Vec<&'static Variant>)> {
    let mut found: Vec<(&'static str, String, Vec<&'static Variant>)> = Vec::new();
    for v in CHOICES.iter().flat_map(|(_, variants)| *variants) {
        for a in v.args {
            if matches!(a.kind, Kind::Choice(_) | Kind::TextOr(_)) {
                continue;
            }
            let takes = kind(&a.kind);
            match found.iter_mut().find(|f| f.0 == a.name && f.1 == takes) {
                Some((_, _, of)) => of.push(v),
                None => found.push((a.name, takes, vec![v])),
            }
        }
    }
    found
}

/// The arguments that are choices themselves: their name, whose they are, and each value.
fn nested() -> Vec<(&'static str, Vec<&'static str>, &'static Variant)> {
    let mut found: Vec<(&'static str, Vec<&'static str>, &'static [Variant])> = Vec::new();
    for v in CHOICES.iter().flat_map(|(_, variants)| *variants) {
        for a in v.args {
            let (Kind::Choice(values) | Kind::TextOr(values)) = a.kind else {
                continue;
            };
            match found.iter_mut().find(|f| f.0 == a.name && f.2 == values) {
                Some((_, of, _)) if of.contains(&v.name) => {}
                Some((_, of, _)) => of.push(v.name),
                None => found.push((a.name, vec![v.name], values)),
            }
        }
    }
    let each = |(name, of, values): (&'static str, Vec<&'static str>, &'static [Variant])| {
        values.iter().map(move |v| (name, of.clone(), v))
    };
    found.into_iter().flat_map(each).collect()
}

fn about(block: Block) -> &'static str {
    match block {
        Block::Data => {
            "`data d { … }`. Every other name in the block is a column: `text = chars()`."
        }
        Block::Train => "`train M on d { … }`.",
        Block::Params => {
            "`params \"rnn.U*\" { … }`, `params matrices { … }` or `params vectors { … }` inside \
             `train`, for the weights whose path matches; `*` stands for any characters."
        }
        Block::Generate => {
            "`generate M { … }`. `given name = value` supplies an input of the model."
        }
        Block::Tune => "`tune M { … }`: speed and memory only; no bit of a result changes.",
    }
}

fn mark(built: Built) -> &'static str {
    match built {
        Built::Yes => "",
        Built::NotYet => " (not built yet)",
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Whole { low: 0, .. } => "whole number".into(),
        Kind::Whole { low, .. } => format!("whole number, at least {low}"),
        Kind::Number(range) => range.to_string(),
        Kind::Pair(_) => "two numbers".into(),
        Kind::Text => "quoted text".into(),
        Kind::Name => "name".into(),
        Kind::YesNo => "`yes` or `no`".into(),
        Kind::Choice(variants) => listed(variants),
        Kind::NumberOr { low, variants, .. } => {
            format!("whole number, at least {low}, or {}", listed(variants))
        }
        Kind::TextOr(variants) => format!("quoted text, or {}", listed(variants)),
        Kind::List(item) => match item {
            Kind::Choice(variants) => format!("list of {}", listed(variants)),
            other => format!("list: {}", self::kind(other)),
        },
        Kind::Column => "column".into(),
        Kind::Expression => "expression over columns".into(),
    }
}

fn listed(variants: &[Variant]) -> String {
    let names: Vec<String> = variants.iter().map(|v| format!("`{}`", v.name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_and_choice_is_listed() {
        let text = reference();
        for e in schema::ENTRIES {
            assert!(text.contains(&format!("| `{}` |", e.name)), "{}", e.name);
            if let Kind::Choice(variants) = e.kind {
                assert!(
                    CHOICES.iter().any(|(_, listed)| *listed == variants),
                    "no table of the choices of `{}`",
                    e.name
                );
            }
        }
        for v in CHOICES.iter().flat_map(|(_, variants)| *variants) {
            assert!(text.contains(&signature(v)), "{}", v.name);
        }
    }

    #[test]
    fn each_line_of_a_table_has_its_columns() {
        let text = reference();
        let mut width = 0;
        for line in text.lines() {
            let bars = line.matches('|').count();
            assert!(width == 0 || bars == 0 || bars == width, "{line}");
            width = bars;
        }
    }
}
