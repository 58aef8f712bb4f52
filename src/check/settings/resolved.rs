//! Settings blocks printed with every default filled in.
//!
//! In: an [`Experiment`]. Out: for each block `.seq` text that means the same and leaves nothing unsaid, for
//! `check --resolved`.

use super::block::Entries;
use super::print;
use super::{Experiment, GenerateBlock, TrainBlock, TuneBlock};
use crate::settings::checked::escape;
use crate::settings::schema::{self, Block};
use crate::settings::{Given, Length, Selector};
use crate::span::Span;

/// Each block's text, with the place of the block in the file.
pub fn resolved(experiment: &Experiment) -> Vec<(Span, String)> {
    let e = experiment;
    let data = e.data.iter().map(|d| (d.spec.span, print::data(&d.spec)));
    let trains = e.trains.iter().map(|t| (t.span, train(t)));
    let generates = e.generates.iter().map(|g| (g.span, generate(g)));
    let tunes = e.tunes.iter().map(|t| (t.span, tune(t)));
    data.chain(trains).chain(generates).chain(tunes).collect()
}

/// The block's settings in the schema's order.
fn lines(block: Block, e: &Entries, leave: &[&str]) -> Vec<(String, String)> {
    schema::entries(block)
        .filter(|entry| !leave.contains(&entry.name))
        .filter_map(|entry| {
            Some((
                entry.name.to_string(),
                e.get(block, entry.name)?.to_string(),
            ))
        })
        .collect()
}

fn train(t: &TrainBlock) -> String {
    let s = &t.settings;
    let length = match s.length {
        Length::Epochs(_) => "steps",
        Length::Steps(_) => "epochs",
    };
    let mut all = lines(
        Block::Train,
        &t.entries,
        &[length, "loss", "weight", "metrics"],
    );
    let one = t.losses.len() == 1;
    for (target, loss) in &t.losses {
        let weight = s.losses.iter().find(|l| l.target == *target);
        let weight = weight.map_or(1.0, |l| l.weight).to_string();
        let name = |setting: &str| {
            if one {
                setting.to_string()
            } else {
                format!("{setting}.{target}")
            }
        };
        all.push((name("loss"), loss.clone()));
        all.push((name("weight"), weight));
    }
    let metrics: Vec<String> = s.metrics.iter().map(ToString::to_string).collect();
    all.push(("metrics".into(), format!("[{}]", metrics.join(", "))));
    let mut text = format!("train {} on {} {{\n", s.model, s.data);
    text.push_str(&print::aligned(&all));
    for (rule, e) in s.params.iter().zip(&t.params) {
        let selector = match &rule.selector {
            Selector::Glob(pattern) => format!("\"{}\"", escape(pattern)),
            Selector::Matrices => "matrices".into(),
            Selector::Vectors => "vectors".into(),
        };
        text.push_str(&format!("  params {selector} {{\n"));
        for read in &e.read {
            text.push_str(&format!("    {} = {}\n", read.entry.name, read.checked));
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

fn generate(g: &GenerateBlock) -> String {
    let mut all = lines(Block::Generate, &g.entries, &[]);
    for (name, given) in &g.settings.given {
        let value = match given {
            Given::Text(text) => format!("\"{}\"", escape(text)),
            Given::Number(n) => n.to_string(),
            Given::Numbers(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                format!("[{}]", all.join(", "))
            }
        };
        all.push((format!("given {name}"), value));
    }
    format!(
        "generate {} {{\n{}}}\n",
        g.settings.model,
        print::aligned(&all)
    )
}

fn tune(t: &TuneBlock) -> String {
    let all = lines(Block::Tune, &t.entries, &[]);
    format!("tune {} {{\n{}}}\n", t.settings.model, print::aligned(&all))
}
