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
        "Missing numbers: `column(x, missing = …)`, or a number",
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
    out
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
        Block::Tune => "`tune M { … }`: speed and memory only; results change by rounding at most.",
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
        Kind::Choice(variants) => names(variants),
        Kind::NumberOr { low, variants, .. } => {
            format!("whole number, at least {low}, or {}", names(variants))
        }
        Kind::TextOr(variants) => format!("quoted text, or {}", names(variants)),
        Kind::List(item) => match item {
            Kind::Choice(variants) => format!("list of {}", names(variants)),
            other => format!("list: {}", self::kind(other)),
        },
        Kind::Column => "column".into(),
        Kind::Expression => "expression over columns".into(),
    }
}

fn names(variants: &[Variant]) -> String {
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
