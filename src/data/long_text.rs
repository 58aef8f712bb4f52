//! One long text: every character is a step, every part a run of them.
//!
//! In: a `text(f)` source whose fields are characters of it. Out: a [`Dataset`] whose parts are
//! contiguous. A field may be shifted by `next`, and the text changed by `lower()` and `nfc()`
//! before it is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::column::{Column, Values};
use super::columns::eval::{Evaluator, Value};
use super::columns::plan::{FitKind, Node, NodeKind};
use super::dataset::Dataset;
use super::fit::{Fit, Fits, Inverse, UNSEEN, Vocabulary};
use super::load::Load;
use super::spec::Split;
use super::split::{Part, cut};
use crate::diagnostics::Diagnostic;

pub(super) fn load(load: &Load) -> Result<Dataset, Vec<Diagnostic>> {
    if let Some(keep) = &load.plan.keep {
        return Err(vec![
            Diagnostic::error(
                "data::one-text",
                "`keep` of one long text, which is one example",
            )
            .label(keep.span, "nothing to choose from".to_string())
            .help("lines(\"…\") makes each line an example"),
        ]);
    }
    // Each field is the characters of a fit, some steps ahead.
    let mut fields = Vec::new();
    for column in &load.plan.fields {
        let node = &load.plan.columns[*column].node;
        fields.push(characters(load, node, 0).ok_or_else(|| {
            vec![
                Diagnostic::error(
                    "data::one-text",
                    "one long text is read by chars(), a step a character",
                )
                .label(node.span, "not characters of the text".to_string()),
            ]
        })?);
    }
    let ahead = fields.iter().map(|(_, shift)| *shift).max().unwrap_or(0);
    let used: BTreeSet<usize> = fields.iter().map(|(fit, _)| *fit).collect();
    let mut texts: BTreeMap<usize, Vec<char>> = BTreeMap::new();
    let mut parts: [Range<usize>; 3] = [0..0, 0..0, 0..0];
    let mut sizes: Option<Vec<usize>> = None;
    for fit in used {
        let (text, lengths) = whole(load, fit).map_err(|e| vec![e])?;
        parts = ranges(load, &lengths);
        if sizes.get_or_insert_with(|| lengths.clone()) != &lengths {
            let message = "two fields cut the text to different lengths";
            return Err(vec![
                Diagnostic::error("data::unequal-lengths", message)
                    .label(load.plan.fits[fit].input.span, "this one".to_string()),
            ]);
        }
        texts.insert(fit, text);
    }
    let mut fits = Fits::default();
    let mut vocabularies = BTreeMap::new();
    let train = parts[load.options.only.unwrap_or(Part::Train) as usize].clone();
    for (fit, text) in &texts {
        let plan = &load.plan.fits[*fit];
        let vocabulary = match load.options.fits {
            Some(fits) => fits.vocabulary(&plan.key).cloned().ok_or_else(|| {
                let message = format!("the run has nothing fitted for `{}`", plan.key);
                vec![
                    Diagnostic::error("data::fit-missing", message)
                        .label(plan.input.span, "fitted here".to_string()),
                ]
            })?,
            None => {
                let chars: BTreeSet<char> = text[train.clone()].iter().copied().collect();
                let symbols: Vec<String> = chars.into_iter().map(String::from).collect();
                let FitKind::Symbols(kind) = plan.kind else {
                    continue;
                };
                Vocabulary::of(kind, symbols.iter().map(String::as_str), false)
            }
        };
        fits.0
            .insert(plan.key.clone(), Fit::Vocabulary(vocabulary.clone()));
        vocabularies.insert(*fit, vocabulary);
    }
    // A step near a part's end whose `next` lies past it has no value there.
    let mut kept: [Range<usize>; 3] = [0..0, 0..0, 0..0];
    let mut start = 0;
    for (kept, part) in kept.iter_mut().zip(&parts) {
        *kept = start..start + part.len().saturating_sub(ahead);
        start = kept.end;
    }
    let mut columns = Vec::new();
    for (field, (fit, shift)) in load.wanted.fields.iter().zip(&fields) {
        let (Some(text), Some(vocabulary)) = (texts.get(fit), vocabularies.get(fit)) else {
            continue;
        };
        let mut column = Column::new(field, Some(vocabulary.clone()), Inverse::default(), false);
        let mut indices = Vec::with_capacity(start);
        for (part, range) in parts.iter().enumerate() {
            let before = indices.len();
            let n = range.len().saturating_sub(ahead);
            let from = range.start + shift;
            let known = encoder(vocabulary);
            indices.extend(
                text[from.min(text.len())..]
                    .iter()
                    .take(n)
                    .map(|c| known(*c)),
            );
            column.unseen[part] = (indices[before..].iter()).filter(|i| **i == UNSEEN).count();
        }
        column.values = Values::I32(indices);
        columns.push(column);
    }
    load.long(columns, kept, fits)
}

/// The fit whose characters a node is, and how many steps ahead it reads.
fn characters(load: &Load, node: &Node, shift: usize) -> Option<(usize, usize)> {
    match &node.kind {
        NodeKind::Column(c) => characters(load, &load.plan.columns[*c].node, shift),
        NodeKind::Next(x) => characters(load, x, shift + 1),
        NodeKind::Fitted(i) => match &load.plan.fits[*i].input.kind {
            NodeKind::Chars(_) => Some((*i, shift)),
            _ => None,
        },
        _ => None,
    }
}

/// The characters of all files one after another, and the length of each.
fn whole(load: &Load, fit: usize) -> Result<(Vec<char>, Vec<usize>), Diagnostic> {
    let input = &load.plan.fits[fit].input;
    let order: Vec<usize> = (0..load.source.examples()).collect();
    let fitted = vec![None; load.plan.fits.len()];
    let mut evaluator = Evaluator::new(load.source, load.plan, fitted, &order);
    let mut text = Vec::new();
    let mut lengths = Vec::new();
    for p in 0..order.len() {
        let before = text.len();
        match evaluator.eval(input, p)? {
            Value::Text(t) | Value::Chars(t) => text.extend(t.chars()),
            Value::Texts(all) => all.iter().for_each(|t| text.extend(t.chars())),
            Value::Numbers(_) => {}
        }
        lengths.push(text.len() - before);
    }
    Ok((text, lengths))
}

/// The characters of each part.
fn ranges(load: &Load, lengths: &[usize]) -> [Range<usize>; 3] {
    let n: usize = lengths.iter().sum();
    let mut out = [0..0, 0..0, 0..0];
    match (load.options.only, &load.spec.split) {
        (Some(part), _) => out[part as usize] = 0..n,
        (None, Split::Parts { shares, .. }) => out = cut(n, *shares),
        (None, Split::Files { valid, .. }) => {
            let mut start = 0;
            for (file, len) in lengths.iter().enumerate() {
                let part = match (file, valid) {
                    (0, _) => Part::Train,
                    (1, Some(_)) => Part::Valid,
                    _ => Part::Test,
                };
                out[part as usize] = start..start + len;
                start += len;
            }
        }
    }
    out
}

/// A character's index; the first 128 by a table, for a long text has millions.
fn encoder(vocabulary: &Vocabulary) -> impl Fn(char) -> i32 {
    let one = |c: char| vocabulary.encode(c.encode_utf8(&mut [0; 4]));
    let ascii: Vec<i32> = (0..128u8).map(|b| one(b as char)).collect();
    move |c| match ascii.get(c as usize) {
        Some(i) => *i,
        None => one(c),
    }
}
