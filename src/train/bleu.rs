//! BLEU (Papineni, Roukos, Ward and Zhu 2002): how many runs of words of a translation stand in the
//! true one.
//!
//! In: pairs of texts, what was written and what is true. Out: a score from 0 to 100 of all pairs
//! together, as the program sacrebleu (Post 2018) gives it by its defaults, so that scores can be
//! compared:
//!
//! ```text
//! BLEU = min(1, exp(1 − r/c)) · (p₁·p₂·p₃·p₄)^¼ · 100
//! ```
//!
//! where c and r count the words of all written and all true texts, and pₙ is the share of the
//! written runs of n words that stand in their true text, each at most as often as there. A pₙ of 0
//! becomes 1/2, 1/4, … of one run in turn (Chen and Cherry 2014, method 3). Words are cut as by the
//! "13a" of the evaluations of NIST: punctuation and symbols stand alone, but not a point, comma or
//! dash inside a number.

use std::collections::BTreeMap;

/// The longest runs that are counted.
const ORDER: usize = 4;

/// Counts over pairs of texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bleu {
    /// Runs of each length that stand in the true text, and all that were written.
    matched: [u64; ORDER],
    written: [u64; ORDER],
    words: u64,
    true_words: u64,
}

impl Bleu {
    /// Adds a pair.
    pub fn add(&mut self, written: &str, truth: &str) {
        let (written, truth) = (words(written), words(truth));
        self.words += written.len() as u64;
        self.true_words += truth.len() as u64;
        for n in 1..=ORDER {
            let there = runs(&truth, n);
            for (run, count) in runs(&written, n) {
                self.written[n - 1] += count;
                self.matched[n - 1] += count.min(there.get(run).copied().unwrap_or(0));
            }
        }
    }

    /// From 0 to 100; `None` where nothing was added.
    pub fn score(&self) -> Option<f64> {
        if self.words == 0 || self.matched == [0; ORDER] {
            return (self.true_words > 0 || self.words > 0).then_some(0.0);
        }
        let (mut logs, mut halved) = (0.0, 1.0);
        for (matched, written) in self.matched.iter().zip(&self.written) {
            if *written == 0 {
                return Some(0.0);
            }
            let matched = match *matched {
                0 => {
                    halved *= 2.0;
                    1.0 / halved
                }
                n => n as f64,
            };
            logs += libm::log(matched / *written as f64);
        }
        let ratio = self.true_words as f64 / self.words as f64;
        let brevity = (1.0 - ratio).min(0.0);
        Some(100.0 * libm::exp(brevity + logs / ORDER as f64))
    }
}

/// How often each run of `n` words stands in a text.
fn runs(words: &[String], n: usize) -> BTreeMap<&[String], u64> {
    let mut counts = BTreeMap::new();
    for run in words.windows(n) {
        *counts.entry(run).or_default() += 1;
    }
    counts
}

/// Whether a character always stands alone: ASCII punctuation but `'`, `,`, `-` and `.`, and the
/// symbols.
fn stands_alone(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | '!'..='&' | '('..='+' | ':'..='@' | '/')
}

/// The words of a text by "13a".
fn words(text: &str) -> Vec<String> {
    let text = text.trim_end().replace("<skipped>", "");
    let text = text.replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&");
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let mut apart: Vec<char> = vec![' '];
    for c in text.chars() {
        match stands_alone(c) {
            true => apart.extend([' ', c, ' ']),
            false => apart.push(c),
        }
    }
    apart.push(' ');
    let mark = |c: char| c == '.' || c == ',';
    let digit = |c: char| c.is_ascii_digit();
    let after = pairs(&apart, |a, b| !digit(a) && mark(b), |a, b| [a, ' ', b, ' ']);
    let before = pairs(&after, |a, b| mark(a) && !digit(b), |a, b| [' ', a, ' ', b]);
    let dashed = pairs(
        &before,
        |a, b| digit(a) && b == '-',
        |a, b| [a, ' ', b, ' '],
    );
    let text: String = dashed.into_iter().collect();
    text.split_whitespace().map(str::to_string).collect()
}

/// Replaces neighbours, from the left, none of them twice.
fn pairs(
    from: &[char],
    fits: impl Fn(char, char) -> bool,
    by: impl Fn(char, char) -> [char; 4],
) -> Vec<char> {
    let mut out = Vec::with_capacity(from.len());
    let mut at = 0;
    while at < from.len() {
        match from.get(at + 1) {
            Some(next) if fits(from[at], *next) => {
                out.extend(by(from[at], *next));
                at += 2;
            }
            _ => {
                out.push(from[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_stands_alone_but_not_in_numbers() {
        let cut = |text: &str| words(text).join("|");
        assert_eq!(cut("It's 3.5, (or 1,000)."), "It's|3.5|,|(|or|1,000|)|.");
        assert_eq!(cut("1990-1999 well-known"), "1990|-|1999|well-known");
        assert_eq!(cut("a&lt;b &amp;amp; c\n"), "a|<|b|&|amp|;|c");
        assert_eq!(cut("café… नमस्ते। “ok”"), "café…|नमस्ते।|“ok”");
        assert_eq!(cut("  "), "");
    }

    #[test]
    fn scores_are_those_of_sacrebleu() {
        let table = include_str!("../../tests/reference/bleu.tsv");
        let expected = include_str!("../../tests/reference/bleu.json");
        let expected: BTreeMap<String, f64> = serde_json::from_str(expected).unwrap();
        let pairs: Vec<(&str, &str)> = (table.lines().filter(|l| !l.starts_with('#')))
            .map(|l| l.split_once('\t').unwrap())
            .collect();
        let score = |pairs: &[(&str, &str)]| {
            let mut bleu = Bleu::default();
            pairs.iter().for_each(|(w, t)| bleu.add(w, t));
            bleu.score().unwrap()
        };
        let close = |name: &str, have: f64| {
            let want = expected[name];
            assert!((have - want).abs() < 1e-9, "{name}: {have}, not {want}");
        };
        close("all", score(&pairs));
        for (i, pair) in pairs.iter().enumerate() {
            close(&format!("line {}", i + 1), score(&[*pair]));
        }
        assert_eq!(expected.len(), pairs.len() + 1);
        assert_eq!(Bleu::default().score(), None);
    }
}
