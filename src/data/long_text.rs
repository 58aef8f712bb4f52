//! One long text: every character, word or byte pair is a step, every part a run of them.
//!
//! In: a `text(f)` source whose fields are characters, words or byte pairs of it. Out: a [`Dataset`] whose parts are
//! contiguous. A field may be shifted by `next`, and the text changed by `lower()` and `nfc()`
//! before it is cut.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::bpe;
use super::column::{Column, Values};
use super::columns::eval::{Evaluator, Value, tokenizer_fails};
use super::columns::plan::{FitKind, Node, NodeKind};
use super::dataset::Dataset;
use super::fit::{Fit, Fits, Inverse};
use super::fitting::{byte_pairs, kind_of_words, nothing_left};
use super::load::Load;
use super::spec::Split;
use super::split::{Part, cut};
use super::vocabulary::{SymbolKind, Vocabulary};
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
    let used: BTreeSet<usize> = fields.iter().map(|(fit, _)| *fit).collect();
    let files: Vec<usize> = (0..load.source.examples()).collect();
    let mut fits = Fits::default();
    let mut texts: BTreeMap<usize, (Cut, Vocabulary)> = BTreeMap::new();
    let mut parts: Option<[Range<usize>; 3]> = None;
    for fit in used {
        let plan = &load.plan.fits[fit];
        let (mut text, lengths) = whole(load, fit, &files).map_err(|e| vec![e])?;
        let mut own = ranges(load, &lengths);
        let vocabulary = fitted(load, fit, &text, &own)?;
        if matches!(vocabulary.kind(), SymbolKind::Bpe | SymbolKind::Pretrained) {
            // So far its symbols were characters.
            (text, own) = pieces(&text, &own, &vocabulary).map_err(|why| {
                let d = Diagnostic::error("data::tokenizer", tokenizer_fails(&why));
                vec![d.label(plan.input.span, "cut here")]
            })?;
        }
        if parts.get_or_insert_with(|| own.clone()) != &own {
            let message = "two fields cut the text to different lengths";
            return Err(vec![
                Diagnostic::error("data::unequal-lengths", message)
                    .label(plan.input.span, "this one".to_string()),
            ]);
        }
        let stored = Fit::Vocabulary(vocabulary.clone());
        fits.0.insert(plan.key.clone(), stored);
        texts.insert(fit, (text, vocabulary));
    }
    let parts = parts.unwrap_or([0..0, 0..0, 0..0]);
    // A step near a part's end whose `next` lies past it has no value there.
    let mut kept: [Range<usize>; 3] = [0..0, 0..0, 0..0];
    let mut start = 0;
    for (kept, part) in kept.iter_mut().zip(&parts) {
        *kept = start..start + part.len().saturating_sub(ahead);
        start = kept.end;
    }
    let mut columns = Vec::new();
    for (field, (fit, shift)) in load.wanted.fields.iter().zip(&fields) {
        let Some((text, vocabulary)) = texts.get(fit) else {
            continue;
        };
        if vocabulary.symbols().is_empty() {
            return Err(vec![nothing_left(field)]);
        }
        let index: Vec<i32> = (text.names.iter()).map(|n| vocabulary.encode(n)).collect();
        let mut column = Column::new(field, Some(vocabulary.clone()), Inverse::default(), false);
        let mut indices = Vec::with_capacity(start);
        for (part, range) in parts.iter().enumerate() {
            let before = indices.len();
            let n = range.len().saturating_sub(ahead);
            let from = (range.start + shift).min(text.symbols.len());
            let symbols = text.symbols[from..].iter().take(n);
            indices.extend(symbols.map(|s| index[*s as usize]));
            let unseen = indices[before..]
                .iter()
                .filter(|i| !vocabulary.is_known(**i));
            column.unseen[part] = unseen.count();
        }
        column.values = Values::I32(indices);
        column.prepared = load.plan.prepared(&load.plan.fits[*fit].input);
        columns.push(column);
    }
    load.long(columns, kept, fits)
}

/// What an earlier run fitted to a text, or what is fitted to its training part.
fn fitted(
    load: &Load,
    fit: usize,
    text: &Cut,
    parts: &[Range<usize>; 3],
) -> Result<Vocabulary, Vec<Diagnostic>> {
    let plan = &load.plan.fits[fit];
    if let Some(fits) = load.options.fits {
        return fits.vocabulary(&plan.key).cloned().ok_or_else(|| {
            let message = format!("the run has nothing fitted for `{}`", plan.key);
            vec![
                Diagnostic::error("data::fit-missing", message)
                    .label(plan.input.span, "fitted here".to_string()),
            ]
        });
    }
    let train = parts[load.options.only.unwrap_or(Part::Train) as usize].clone();
    match plan.kind {
        FitKind::Words {
            min_count,
            max,
            apart,
        } => {
            let (counts, kind) = (text.counts(train), kind_of_words(apart));
            Ok(Vocabulary::of_counts(kind, &counts, min_count, max, false))
        }
        FitKind::Pretrained => load.tokenizer(plan, false).map_err(|d| vec![d]),
        FitKind::Bpe(size) => {
            let mut counts = bpe::Counts::default();
            counts.add(&text.text(train));
            byte_pairs(&counts, size, false, plan.input.span)
        }
        FitKind::Symbols(_) | FitKind::Zscore | FitKind::Range { .. } => {
            let counts = text.counts(train);
            let symbols = counts.keys().map(String::as_str);
            Ok(Vocabulary::of(SymbolKind::Chars, symbols, false))
        }
    }
}

/// A text of characters cut again, part by part, into a vocabulary's symbols.
fn pieces<'a>(
    text: &Cut,
    parts: &[Range<usize>; 3],
    vocabulary: &Vocabulary,
) -> Result<(Cut<'a>, [Range<usize>; 3]), String> {
    let mut out = Cut {
        symbols: Vec::new(),
        names: (vocabulary.symbols().iter().cloned().map(Cow::Owned)).collect(),
    };
    let mut own = [0..0, 0..0, 0..0];
    for (own, part) in own.iter_mut().zip(parts.clone()) {
        let start = out.symbols.len();
        let text = text.text(part);
        for symbol in vocabulary.try_cut(&text)? {
            // Each piece is among the symbols that it was cut into.
            out.symbols
                .extend(u32::try_from(vocabulary.encode(&symbol)));
        }
        *own = start..out.symbols.len();
    }
    Ok((out, own))
}

/// The fit whose symbols a node is, and how many steps ahead it reads.
fn symbols(load: &Load, node: &Node, shift: usize) -> Option<(usize, usize)> {
    match &node.kind {
        NodeKind::Column(c) => symbols(load, &load.plan.columns[*c].node, shift),
        NodeKind::Next(x) => symbols(load, x, shift + 1),
        NodeKind::Fitted(i) => match (&load.plan.fits[*i].kind, &load.plan.fits[*i].input.kind) {
            (FitKind::Bpe(_) | FitKind::Pretrained, _)
            | (_, NodeKind::Chars(_) | NodeKind::Words(..)) => Some((*i, shift)),
            _ => None,
        },
        _ => None,
    }
}

/// A text cut into symbols, before any vocabulary.
#[derive(Default)]
struct Cut<'a> {
    /// Each symbol by its number among `names`.
    symbols: Vec<u32>,
    /// In the order of their first place in the text.
    names: Vec<Cow<'a, str>>,
}

impl Cut<'_> {
    /// A range as text, where symbols are characters.
    fn text(&self, range: Range<usize>) -> String {
        let symbols = self.symbols[range].iter();
        symbols.map(|s| self.names[*s as usize].as_ref()).collect()
    }

    /// How often each symbol stands in a range.
    fn counts(&self, range: Range<usize>) -> BTreeMap<String, u64> {
        let mut counts = vec![0u64; self.names.len()];
        for symbol in &self.symbols[range] {
            counts[*symbol as usize] += 1;
        }
        let found = self.names.iter().zip(counts).filter(|(_, n)| *n > 0);
        found.map(|(name, n)| (name.to_string(), n)).collect()
    }
}

/// The symbols of all files one after another, and how many each file has.
fn whole<'a>(
    load: &'a Load,
    fit: usize,
    order: &'a [usize],
) -> Result<(Cut<'a>, Vec<usize>), Diagnostic> {
    let input = &load.plan.fits[fit].input;
    let fitted = vec![None; load.plan.fits.len()];
    let mut evaluator = Evaluator::new(load.source, load.plan, fitted, order);
    let mut cut = Cut::default();
    let mut lengths = Vec::new();
    // By code point, for a long text has millions.
    let mut chars = vec![u32::MAX; char::MAX as usize + 1];
    let mut words: HashMap<Cow<str>, u32> = HashMap::new();
    for p in 0..order.len() {
        let before = cut.symbols.len();
        match evaluator.eval(input, p)? {
            Value::Text(t) | Value::Chars(t) => {
                for c in t.chars() {
                    let symbol = &mut chars[c as usize];
                    if *symbol == u32::MAX {
                        *symbol = cut.names.len() as u32;
                        cut.names.push(c.to_string().into());
                    }
                    cut.symbols.push(*symbol);
                }
            }
            Value::Texts(all) => {
                for word in all {
                    let symbol = words.get(&word).copied().unwrap_or_else(|| {
                        cut.names.push(word.clone());
                        words.insert(word, cut.names.len() as u32 - 1);
                        cut.names.len() as u32 - 1
                    });
                    cut.symbols.push(symbol);
                }
            }
            Value::Numbers(_) => {}
        }
        lengths.push(cut.symbols.len() - before);
    }
    Ok((cut, lengths))
}

/// The symbols of each part.
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
