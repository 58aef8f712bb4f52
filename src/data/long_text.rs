//! One long text: every character, word or byte pair is a step, every part a run of them.
//!
//! In: a `text(f)` source whose fields are characters, words or byte pairs of it. Out: a [`Dataset`]
//! whose parts are contiguous. A field may be shifted by `next`, and the text changed by `lower()`
//! and `nfc()` before it is cut.
//!
//! What stays of the text is a number for each symbol: in memory where the text is small, else in
//! the scratch file of a [`super::store`].

use std::collections::BTreeMap;
use std::io;

use super::column::{Column, Values};
use super::columns::plan::{FitKind, Node, NodeKind};
use super::dataset::Dataset;
use super::fit::{Fit, Fits, Inverse};
use super::fitting::nothing_left;
use super::load::Load;
use super::reading::{Coded, Parts, Reader, scratch_of};
use super::source::TextFile;
use super::store::Stored;
use crate::diagnostics::Diagnostic;

pub(super) fn load(load: &Load, files: &[TextFile]) -> Result<Dataset, Vec<Diagnostic>> {
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
    // Each field is the symbols of a fit, some steps ahead.
    let mut fields = Vec::new();
    for column in &load.plan.fields {
        let node = &load.plan.columns[*column].node;
        fields.push(symbols(load, node, 0).ok_or_else(|| {
            let message = "one long text is read by chars(), words(), bpe(…) or tokenizer(…)";
            vec![
                Diagnostic::error("data::one-text", message)
                    .label(node.span, "not the symbols of the text".to_string()),
            ]
        })?);
    }
    let ahead = fields.iter().map(|(_, shift)| *shift).max().unwrap_or(0);
    let in_memory = bytes(files) <= load.options.held;
    let mut fits = Fits::default();
    let mut texts: BTreeMap<usize, Coded> = BTreeMap::new();
    let mut parts: Option<Parts> = None;
    for (fit, _) in &fields {
        if texts.contains_key(fit) {
            continue;
        }
        let plan = &load.plan.fits[*fit];
        let reader = Reader::new(load, files, *fit, in_memory).map_err(|e| vec![e])?;
        let (text, own) = reader.coded()?;
        if parts.get_or_insert_with(|| own.clone()) != &own {
            let message = "two fields cut the text to different lengths";
            return Err(vec![
                Diagnostic::error("data::unequal-lengths", message)
                    .label(plan.input.span, "this one".to_string()),
            ]);
        }
        let stored = Fit::Vocabulary(text.vocabulary.clone());
        fits.0.insert(plan.key.clone(), stored);
        texts.insert(*fit, text);
    }
    let parts = parts.unwrap_or([0..0, 0..0, 0..0]);
    // A step near a part's end whose `next` lies past it has no value there.
    let mut kept: Parts = [0..0, 0..0, 0..0];
    let mut start = 0;
    for (kept, part) in kept.iter_mut().zip(&parts) {
        *kept = start..start + part.len().saturating_sub(ahead);
        start = kept.end;
    }
    let mut columns = Vec::new();
    for (field, (fit, shift)) in load.wanted.fields.iter().zip(&fields) {
        let Some(text) = texts.get(fit) else {
            continue;
        };
        let vocabulary = &text.vocabulary;
        if vocabulary.symbols().is_empty() {
            return Err(vec![nothing_left(field)]);
        }
        let mut column = Column::new(field, Some(vocabulary.clone()), Inverse::default(), false);
        let failed = |e: io::Error| vec![scratch_of(load, &e)];
        let from = [0, 1, 2].map(|p| parts[p].start + shift);
        for (part, (range, from)) in kept.iter().zip(from).enumerate() {
            let mut unseen = 0;
            let count = |some: &[u32]| {
                let known = |n: &&u32| vocabulary.is_known(text.index[**n as usize]);
                unseen += some.len() - some.iter().filter(known).count();
            };
            let all = text.store.each(from..from + range.len(), count);
            all.map_err(failed)?;
            column.unseen[part] = unseen;
        }
        let stored = Stored {
            store: text.store.clone(),
            index: text.index.clone(),
            parts: kept.clone(),
            from,
        };
        column.values = match in_memory {
            true => Values::I32(stored.whole().map_err(failed)?),
            false => Values::Stored(stored),
        };
        column.prepared = load.plan.prepared(&load.plan.fits[*fit].input);
        columns.push(column);
    }
    load.long(columns, kept, fits)
}

fn bytes(files: &[TextFile]) -> u64 {
    let len = |f: &TextFile| match f {
        TextFile::File(f) => std::fs::metadata(&f.path).map_or(0, |m| m.len()),
        TextFile::Given(text) => text.text.len() as u64,
    };
    files.iter().map(len).sum()
}

/// The fit whose symbols a node is, and how many steps ahead it reads.
fn symbols(load: &Load, node: &Node, shift: usize) -> Option<(usize, usize)> {
    match &node.kind {
        NodeKind::Column(c) => symbols(load, &load.plan.columns[*c].node, shift),
        NodeKind::Next(x, k) => symbols(load, x, shift + k),
        NodeKind::Fitted(i) => match (&load.plan.fits[*i].kind, &load.plan.fits[*i].input.kind) {
            (FitKind::Bpe(_) | FitKind::Pretrained, _)
            | (_, NodeKind::Chars(_) | NodeKind::Words(..)) => Some((*i, shift)),
            _ => None,
        },
        _ => None,
    }
}
