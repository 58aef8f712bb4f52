//! What a plain table of counts achieves, and what was copied: the yardsticks of metrics.
//!
//! In: a [`Dataset`]. Out: the cross-entropy of a bigram table, and the training part's texts.

use std::collections::BTreeSet;

use super::dataset::Dataset;
use super::split::Part;

/// The mean cross-entropy on `part`, in nats a token, `<end>` counted, of a bigram table counted on
/// the training part, where each pair is given `smoothing` more than its count (0.1 by custom).
/// The context of a first token is `<end>` where there is one, else a context of its own. Tokens
/// that the vocabulary does not have are left out. `None`: no such token field, or no token.
pub fn bigram_nats(dataset: &Dataset, field: &str, part: Part, smoothing: f64) -> Option<f64> {
    let column = dataset.column(field)?;
    let vocabulary = column.vocabulary.as_ref()?;
    let size = vocabulary.len();
    // The last context is "nothing before".
    let nothing = size;
    let context = |previous: Option<i32>| match previous {
        None => vocabulary.end().map_or(nothing, |e| e as usize),
        Some(token) => usize::try_from(token).unwrap_or(nothing),
    };
    let pairs = |part: Part, f: &mut dyn FnMut(usize, usize)| {
        let mut previous = None;
        for e in dataset.parts[part as usize].clone() {
            if !dataset.long {
                previous = None;
            }
            for token in column.tokens(e) {
                if vocabulary.is_known(*token) {
                    f(context(previous), *token as usize);
                }
                previous = Some(*token);
            }
        }
    };
    // A row for each context with counts only: most pairs never occur.
    let mut counts = vec![std::collections::BTreeMap::<usize, u32>::new(); size + 1];
    let mut totals = vec![0u64; size + 1];
    pairs(Part::Train, &mut |a, b| {
        *counts[a].entry(b).or_default() += 1;
        totals[a] += 1;
    });
    let (mut sum, mut n) = (0.0, 0u64);
    pairs(part, &mut |a, b| {
        let count = counts[a].get(&b).copied().unwrap_or(0);
        let p = (f64::from(count) + smoothing) / (totals[a] as f64 + smoothing * size as f64);
        sum -= p.ln();
        n += 1;
    });
    (n > 0).then(|| sum / n as f64)
}

/// The texts of the training part: each example's, or each line's of one long text.
pub fn training_texts(dataset: &Dataset, field: &str) -> Option<BTreeSet<String>> {
    let column = dataset.column(field)?;
    let vocabulary = column.vocabulary.as_ref()?;
    let range = dataset.parts[Part::Train as usize].clone();
    if !dataset.long {
        let text = |e| vocabulary.decode(column.tokens(e));
        return Some(range.map(text).collect());
    }
    let mut tokens = Vec::with_capacity(range.len());
    for e in range {
        tokens.extend_from_slice(column.tokens(e));
    }
    let text = vocabulary.decode(&tokens);
    let lines = text.lines().filter(|l| !l.trim().is_empty());
    Some(lines.map(str::to_string).collect())
}

/// The share of generated texts that stand in the training part, each by lines where the data is
/// one long text. `None`: nothing was generated.
pub fn copied(dataset: &Dataset, field: &str, generated: &[String]) -> Option<f64> {
    let known = training_texts(dataset, field)?;
    let pieces: Vec<&str> = match dataset.is_long() {
        true => (generated.iter().flat_map(|g| g.lines()))
            .filter(|l| !l.trim().is_empty())
            .collect(),
        false => generated.iter().map(String::as_str).collect(),
    };
    let same = pieces.iter().filter(|p| known.contains(**p)).count();
    (!pieces.is_empty()).then(|| same as f64 / pieces.len() as f64)
}
