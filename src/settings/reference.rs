//! The reference of all settings, as Markdown for the guide.
//!
//! In: the schema. Out: [`reference`]: one table a block, one a choice with its arguments.

use super::read::signature;
use super::schema::{
    self, BATCHES, Block, Built, CLIPS, Entry, INITS, Kind, LOSSES, METRICS, MISSING, OPTIMIZERS,
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
    out.push_str("\n### Arguments\n\n| argument | of | value | meaning |\n|---|---|---|---|\n");
    for a in arguments() {
        let of: Vec<&str> = a.of.iter().map(|v| v.name).collect();
        let (name, of) = (a.name, of.join("`, `"));
        out.push_str(&format!(
            "| `{name}` | `{of}` | {} | {} |\n",
            a.takes, a.meaning
        ));
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
    out.extend(schema::ENTRIES.iter().filter(|e| e.name == name).map(line));
    for (heading, variants) in CHOICES {
        for v in variants.iter().filter(|v| v.name == name) {
            let (form, mark) = (signature(v), mark(v.built));
            out.push(format!("{form}\n    {heading}\n    {}{mark}\n", v.meaning));
        }
    }
    for a in arguments().into_iter().filter(|a| a.name == name) {
        let of: Vec<String> = a.of.iter().map(|v| signature(v)).collect();
        let (takes, meaning) = (a.takes, a.meaning);
        let of = of.join("`, `");
        out.push(format!("{name}, of `{of}`: {takes}\n    {meaning}\n"));
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

/// What the table says of one setting by its block, `train.batch`, as `--set` names it; or of the block `M`
/// alone, `train.M.batch`.
pub fn setting(path: &str) -> Option<String> {
    let (block, name) = path.split_once('.')?;
    let name = name.rsplit('.').next().unwrap_or(name);
    let block = Block::ALL.into_iter().find(|b| b.to_string() == block)?;
    schema::find(block, name).map(line)
}

/// Every name of which [`setting`] has something to say.
pub fn settings() -> impl Iterator<Item = String> {
    schema::ENTRIES
        .iter()
        .map(|e| format!("{}.{}", e.block, e.name))
}

fn line(e: &Entry) -> String {
    let default = e.default;
    let default = default.map_or(String::new(), |d| format!(", by default {d}"));
    let (value, mark) = (kind(&e.kind), mark(e.built));
    let (name, block, meaning) = (e.name, e.block, e.meaning);
    format!("{name}, a setting of `{block}`: {value}{default}\n    {meaning}{mark}\n")
}

/// Every name of which [`named`] has something to say.
pub fn names() -> impl Iterator<Item = &'static str> {
    let choices = CHOICES.iter().flat_map(|(_, variants)| *variants);
    let nested = nested().into_iter();
    let nested = nested.flat_map(|(argument, _, v)| [argument, v.name]);
    let entries = schema::ENTRIES.iter().map(|e| e.name);
    let arguments = arguments().into_iter().map(|a| a.name);
    let all = entries.chain(choices.map(|v| v.name));
    all.chain(nested).chain(arguments)
}

/// An argument, with those that have it in one sense.
struct Argument {
    name: &'static str,
    takes: String,
    meaning: &'static str,
    of: Vec<&'static Variant>,
}

/// Every argument, in the order of the tables.
fn arguments() -> Vec<Argument> {
    let mut found: Vec<Argument> = Vec::new();
    for v in CHOICES.iter().flat_map(|(_, variants)| *variants) {
        for a in v.args {
            let (name, takes, meaning) = (a.name, kind(&a.kind), a.meaning);
            let same = |f: &&mut Argument| (f.name, &f.takes, f.meaning) == (name, &takes, meaning);
            match found.iter_mut().find(same) {
                Some(known) => known.of.push(v),
                None => found.push(Argument {
                    name,
                    takes,
                    meaning,
                    of: vec![v],
                }),
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
