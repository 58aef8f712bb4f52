//! What a plain table of counts achieves, and what was copied: the yardsticks of metrics.
//!
//! In: a [`Dataset`]. Out: the cross-entropy of a bigram table, and the share of generated texts
//! that stand in the training part. Neither holds a part in memory: the table has the pairs of the
//! measured part alone, some contexts at a time, and texts are compared as they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use super::column::Column;
use super::dataset::Dataset;
use super::reading::scratch;
use super::split::Part;
use super::vocabulary::{SymbolKind, Vocabulary};
use crate::diagnostics::Diagnostic;

/// Pairs counted at once, at most (or one context's).
const PAIRS: u64 = 4 << 20;

/// Tokens of the longest line that is compared with what was generated.
const LINE: usize = 1 << 16;

/// A token after a context, how often it stands in the training part and in the measured one.
struct Pair {
    token: u32,
    known: u64,
    seen: u64,
}

/// The mean cross-entropy on `part`, in nats a token, `<end>` counted, of a bigram table counted on
/// the training part, where each pair is given `smoothing` more than its count (0.1 by custom).
/// The context of a first token is `<end>` where there is one, else a context of its own. Tokens
/// that the vocabulary does not have are left out. `None`: no such token field, or no token.
/// Errors: a long text's scratch file cannot be read.
pub fn bigram_nats(
    dataset: &Dataset,
    field: &str,
    part: Part,
    smoothing: f64,
) -> Result<Option<f64>, Diagnostic> {
    let Some(column) = dataset.column(field) else {
        return Ok(None);
    };
    let Some(vocabulary) = &column.vocabulary else {
        return Ok(None);
    };
    let size = vocabulary.len();
    let pairs = |part: Part, f: &mut dyn FnMut(usize, u32)| {
        let read = each_pair(dataset, column, vocabulary, part, f);
        read.map_err(|e| scratch(&e))
    };
    // The last context is "nothing before".
    let mut seen = vec![0u64; size + 1];
    pairs(part, &mut |a, _| seen[a] += 1)?;
    let n: u64 = seen.iter().sum();
    let mut sum = 0.0;
    let mut first = 0;
    while first <= size {
        // A context has no more pairs than it has tokens, or than there are symbols.
        let mut last = first;
        let mut held = 0;
        while last <= size && (last == first || held + seen[last].min(size as u64) <= PAIRS) {
            held += seen[last].min(size as u64);
            last += 1;
        }
        let contexts = first..last;
        let mut rows: Vec<Vec<Pair>> = contexts.clone().map(|_| Vec::new()).collect();
        let find = |row: &[Pair], b: u32| row.binary_search_by_key(&b, |p| p.token);
        pairs(part, &mut |a, b| {
            if contexts.contains(&a) {
                let row = &mut rows[a - first];
                match find(row, b) {
                    Ok(i) => row[i].seen += 1,
                    Err(i) => {
                        let (token, known, seen) = (b, 0, 1);
                        row.insert(i, Pair { token, known, seen });
                    }
                }
            }
        })?;
        let mut totals = vec![0u64; contexts.len()];
        pairs(Part::Train, &mut |a, b| {
            if contexts.contains(&a) {
                totals[a - first] += 1;
                let row = &mut rows[a - first];
                if let Ok(i) = find(row, b) {
                    row[i].known += 1;
                }
            }
        })?;
        for (row, total) in rows.iter().zip(totals) {
            for pair in row {
                let all = total as f64 + smoothing * size as f64;
                let p = (pair.known as f64 + smoothing) / all;
                sum -= pair.seen as f64 * p.ln();
            }
        }
        first = last;
    }
    Ok((n > 0).then(|| sum / n as f64))
}

/// Shows each known token of a part with its context.
fn each_pair(
    dataset: &Dataset,
    column: &Column,
    vocabulary: &Vocabulary,
    part: Part,
    f: &mut dyn FnMut(usize, u32),
) -> io::Result<()> {
    let nothing = vocabulary.len();
    let begin = vocabulary.end().map_or(nothing, |e| e as usize);
    let mut before = begin;
    let mut show = |tokens: &[i32]| {
        for token in tokens {
            if vocabulary.is_known(*token) {
                f(before, token.unsigned_abs());
            }
            before = usize::try_from(*token).unwrap_or(nothing);
        }
        if !dataset.long {
            before = begin;
        }
    };
    let examples = dataset.parts[part as usize].clone();
    match dataset.long {
        true => column.each_step(examples, show),
        false => {
            examples.for_each(|e| show(column.tokens(e)));
            Ok(())
        }
    }
}

/// The share of generated texts that stand in the training part, each by lines where the data is
/// one long text. `None`: nothing was generated. Errors: a long text's scratch file cannot be read.
pub fn copied(
    dataset: &Dataset,
    field: &str,
    generated: &[String],
) -> Result<Option<f64>, Diagnostic> {
    let Some(column) = dataset.column(field) else {
        return Ok(None);
    };
    let Some(vocabulary) = &column.vocabulary else {
        return Ok(None);
    };
    let pieces: Vec<&str> = match dataset.is_long() {
        true => (generated.iter().flat_map(|g| g.lines()))
            .filter(|l| !l.trim().is_empty())
            .collect(),
        false => generated.iter().map(String::as_str).collect(),
    };
    let mut found: BTreeMap<&str, bool> = pieces.iter().map(|p| (*p, false)).collect();
    let mut mark = |text: &str| {
        if let Some(found) = found.get_mut(text) {
            *found = true;
        }
    };
    let train = dataset.parts[Part::Train as usize].clone();
    match dataset.long {
        true => {
            let read = each_line(column, vocabulary, train, mark);
            read.map_err(|e| scratch(&e))?;
        }
        false => train.for_each(|e| mark(&vocabulary.decode(column.tokens(e)))),
    }
    let same = pieces.iter().filter(|p| found[*p]).count();
    Ok((!pieces.is_empty()).then(|| same as f64 / pieces.len() as f64))
}

/// Shows each line of a long text, but of one longer than [`LINE`] tokens pieces.
fn each_line(
    column: &Column,
    vocabulary: &Vocabulary,
    steps: Range<usize>,
    mut show: impl FnMut(&str),
) -> io::Result<()> {
    // A byte pair may be blanks and a line end.
    let ends: BTreeSet<i32> = match vocabulary.kind() {
        SymbolKind::Bpe | SymbolKind::Pretrained => (0..vocabulary.symbols().len() as i32)
            .filter(|i| vocabulary.decode(&[*i]).ends_with('\n'))
            .collect(),
        _ => [vocabulary.encode("\n")]
            .into_iter()
            .filter(|i| *i >= 0)
            .collect(),
    };
    let mut line = Vec::new();
    let mut write = |line: &mut Vec<i32>| {
        let text = vocabulary.decode(line);
        text.lines().for_each(&mut show);
        line.clear();
    };
    column.each_step(steps, |tokens| {
        for token in tokens {
            line.push(*token);
            if ends.contains(token) || line.len() == LINE {
                write(&mut line);
            }
        }
    })?;
    write(&mut line);
    Ok(())
}
