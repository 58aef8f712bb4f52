//! Byte pairs: the pieces of text that a training part joins most often (Sennrich, Haddow and Birch
//! 2016), over bytes, so that no text is without symbols.
//!
//! In: the training part's texts, or the merges of an earlier run. Out: [`Bpe`], which cuts a text
//! into symbols and makes a text of them again.
//!
//! The crate `tokenizers` cuts texts into words (GPT-2's pattern, after each line end first), applies
//! the merges and turns bytes into visible characters and back. The merges are chosen here: its own
//! trainer breaks ties by the order of a hash table, so that two runs could differ.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::ops::Range;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Decoder, Model, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::guarded::guarded;

/// The most bytes of different words that are counted.
const COUNTED: usize = 16 << 20;

/// Two neighbours, by index.
pub type Pair = (u32, u32);

#[derive(Clone, Debug)]
pub struct Bpe {
    merges: Vec<Pair>,
    model: BPE,
}

impl PartialEq for Bpe {
    fn eq(&self, other: &Bpe) -> bool {
        self.merges == other.merges
    }
}

/// The bytes as visible characters, in order.
fn alphabet() -> Vec<String> {
    let mut all: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    all.sort_unstable();
    all.into_iter().map(String::from).collect()
}

/// A text's words, their bytes as visible characters.
fn words(text: &str) -> Vec<String> {
    let cut = |line: &str, by_pattern: bool| -> Option<Vec<String>> {
        let mut cut = PreTokenizedString::from(line);
        let level = ByteLevel::new(false, false, by_pattern);
        level.pre_tokenize(&mut cut).ok()?;
        let splits = cut.get_splits(OffsetReferential::Normalized, OffsetType::None);
        Some(splits.into_iter().map(|(w, _, _)| w.to_string()).collect())
    };
    (text.split_inclusive('\n'))
        // A pattern may give up on a line; then the line is one word.
        .flat_map(|line| {
            cut(line, true)
                .or_else(|| cut(line, false))
                .unwrap_or_default()
        })
        .collect()
}

/// A text cut before each blank that follows no blank: no word reaches across, so each chunk has the
/// words that it has in the text. Most chunks of a text stand in it often, and cutting one by the
/// pattern costs more than finding it again.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut inside = false;
        let begins = |(i, c): (usize, char)| {
            let blank = c.is_whitespace();
            let begins = blank && inside;
            inside = !blank;
            begins.then_some(i)
        };
        let end = rest.char_indices().find_map(begins).unwrap_or(rest.len());
        let (chunk, after) = rest.split_at(end);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// The words of texts, counted. Where different words take more than [`COUNTED`] bytes, the rarest
/// are forgotten, for they decide no merge (lossy counting, Manku and Motwani 2002).
#[derive(Default)]
pub struct Counts {
    words: BTreeMap<String, u64>,
    /// Of the different words.
    bytes: usize,
}

impl Counts {
    pub fn add(&mut self, text: &str) {
        let mut often: HashMap<&str, u64> = HashMap::new();
        for chunk in chunks(text) {
            *often.entry(chunk).or_default() += 1;
        }
        for (chunk, times) in often {
            for word in words(chunk) {
                match self.words.get_mut(&word) {
                    Some(n) => *n += times,
                    None => {
                        self.bytes += word.len();
                        self.words.insert(word, times);
                    }
                }
            }
        }
        if self.bytes > COUNTED {
            self.forget(COUNTED / 2);
        }
    }

    /// Forgets the rarest words until no more than `most` bytes are left.
    fn forget(&mut self, most: usize) {
        let mut rare = 1;
        while self.bytes > most {
            self.words.retain(|_, n| *n > rare);
            self.bytes = self.words.keys().map(String::len).sum();
            rare *= 2;
        }
    }

    /// The symbols, in order of index, and the merges that make them: of all pairs of neighbours
    /// the most frequent is joined, of equally frequent ones that of the lowest indices, until
    /// there are `size` symbols or no pair occurs twice.
    pub fn train(&self, size: usize) -> (Vec<String>, Vec<Pair>) {
        let mut symbols = alphabet();
        let mut index: HashMap<String, u32> = (symbols.iter().cloned()).zip(0..).collect();
        let mut words: Vec<(Vec<u32>, i64)> = (self.words.iter())
            .map(|(word, n)| {
                let letters = word
                    .chars()
                    .filter_map(|c| index.get(c.encode_utf8(&mut [0; 4])));
                (letters.copied().collect(), *n as i64)
            })
            .collect();
        let mut counts: HashMap<Pair, i64> = HashMap::new();
        let mut places: HashMap<Pair, HashSet<usize>> = HashMap::new();
        for (i, (word, n)) in words.iter().enumerate() {
            for pair in word.windows(2).map(|w| (w[0], w[1])) {
                *counts.entry(pair).or_default() += n;
                places.entry(pair).or_default().insert(i);
            }
        }
        let mut heap: BinaryHeap<(i64, Reverse<Pair>)> = counts
            .iter()
            .map(|(pair, n)| (*n, Reverse(*pair)))
            .collect();
        let (mut merges, mut done) = (Vec::new(), HashSet::new());
        while symbols.len() < size {
            let Some((n, Reverse(pair))) = heap.pop() else {
                break;
            };
            let now = counts.get(&pair).copied().unwrap_or(0);
            // Each change was pushed when it was made: a newer entry stands for an old one.
            if now < 2 || now != n {
                continue;
            }
            let joined = format!("{}{}", symbols[pair.0 as usize], symbols[pair.1 as usize]);
            let new = *index.entry(joined.clone()).or_insert(symbols.len() as u32);
            if new as usize == symbols.len() {
                symbols.push(joined);
            }
            // Where its left symbol was made in two ways, a pair comes up again.
            if done.insert(pair) {
                merges.push(pair);
            }
            let mut changed: HashSet<Pair> = HashSet::new();
            for i in places.remove(&pair).unwrap_or_default() {
                let (word, n) = &mut words[i];
                for old in word.windows(2).map(|w| (w[0], w[1])) {
                    *counts.entry(old).or_default() -= *n;
                    changed.insert(old);
                }
                join(word, pair, new);
                for made in word.windows(2).map(|w| (w[0], w[1])) {
                    *counts.entry(made).or_default() += *n;
                    places.entry(made).or_default().insert(i);
                    changed.insert(made);
                }
            }
            for pair in changed {
                match counts.get(&pair) {
                    Some(n) if *n > 0 => heap.push((*n, Reverse(pair))),
                    _ => {
                        counts.remove(&pair);
                    }
                }
            }
        }
        (symbols, merges)
    }
}

/// Replaces each `pair` in a word, from its start.
fn join(word: &mut Vec<u32>, pair: Pair, new: u32) {
    let (mut from, mut to) = (0, 0);
    while from < word.len() {
        let found = word[from] == pair.0 && word.get(from + 1) == Some(&pair.1);
        word[to] = if found { new } else { word[from] };
        from += if found { 2 } else { 1 };
        to += 1;
    }
    word.truncate(to);
}

impl Bpe {
    /// Of symbols and merges as [`Counts::train`] gives them. Errors: a merge of symbols that are
    /// not there, or a byte without a symbol.
    pub fn new(symbols: &[String], merges: Vec<Pair>) -> Result<Bpe, String> {
        let index: HashMap<&String, u32> = symbols.iter().zip(0..).collect();
        if index.len() != symbols.len() {
            return Err("a symbol stands twice".to_string());
        }
        if !alphabet().iter().all(|byte| index.contains_key(byte)) {
            return Err("a byte has no symbol".to_string());
        }
        let mut named = Vec::with_capacity(merges.len());
        for (a, b) in &merges {
            let at = |i: u32| symbols.get(i as usize).cloned();
            let (Some(a), Some(b)) = (at(*a), at(*b)) else {
                return Err("a merge of no symbol".to_string());
            };
            if !index.contains_key(&format!("{a}{b}")) {
                return Err("a merge makes no symbol".to_string());
            }
            named.push((a, b));
        }
        let vocabulary: Vocab = index.iter().map(|(s, i)| (s.to_string(), *i)).collect();
        let build = || BPE::builder().vocab_and_merges(vocabulary, named).build();
        // What comes from a file never ends the program.
        match guarded(build) {
            Some(Ok(model)) => Ok(Bpe { merges, model }),
            Some(Err(e)) => Err(e.to_string()),
            None => Err("the merges cannot be used".to_string()),
        }
    }

    pub fn merges(&self) -> &[Pair] {
        &self.merges
    }

    /// A text's symbols.
    pub fn cut(&self, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut seen: HashMap<&str, Range<usize>> = HashMap::new();
        for chunk in chunks(text) {
            if let Some(range) = seen.get(chunk) {
                out.extend_from_within(range.clone());
                continue;
            }
            let start = out.len();
            for word in words(chunk) {
                match guarded(|| self.model.tokenize(&word)) {
                    Some(Ok(tokens)) => out.extend(tokens.into_iter().map(|t| t.value)),
                    // Its bytes are symbols too.
                    Some(Err(_)) | None => out.extend(word.chars().map(String::from)),
                }
            }
            seen.insert(chunk, start..out.len());
        }
        out
    }

    /// The text of symbols. What no data file may hold becomes U+FFFD: bytes that are not UTF-8, and
    /// control characters, which a terminal would obey.
    pub fn join(&self, symbols: &[&str]) -> String {
        let symbols = symbols.iter().map(|s| s.to_string()).collect();
        let joined = ByteLevel::default().decode_chain(symbols);
        let text = joined.map(|parts| parts.concat()).unwrap_or_default();
        let safe = |c: char| !c.is_control() || c == '\n' || c == '\t';
        (text.chars().map(|c| if safe(c) { c } else { '\u{fffd}' })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "low lower lowest\nnew newer newest\nनमस्ते नमस्ते low\n\n  two  blanks\n";

    fn counts(text: &str) -> Counts {
        let mut counts = Counts::default();
        counts.add(text);
        counts
    }

    fn trained(text: &str, size: usize) -> (Vec<String>, Bpe) {
        let (symbols, merges) = counts(text).train(size);
        let bpe = Bpe::new(&symbols, merges).unwrap();
        (symbols, bpe)
    }

    #[test]
    fn frequent_pairs_are_joined_first() {
        let (symbols, bpe) = trained("aab aab ab\n", 260);
        // (a, b) and then the blank before a word, which stands as `Ġ`.
        assert_eq!(symbols[256], "ab");
        assert_eq!(symbols.len(), bpe.merges().len() + 256);
        assert_eq!(bpe.cut("ab"), ["ab"]);
    }

    #[test]
    fn any_text_comes_back() {
        let (symbols, bpe) = trained(TEXT, 300);
        for text in [TEXT, "", " ", "lowest नम unseen → é\t\n\n x", "a\u{1F600}b"] {
            let cut = bpe.cut(text);
            assert!(cut.iter().all(|s| symbols.contains(s)), "{cut:?}");
            let parts: Vec<&str> = cut.iter().map(String::as_str).collect();
            assert_eq!(bpe.join(&parts), text);
        }
        let escape = bpe.cut("\u{1b}[2J");
        let escape: Vec<&str> = escape.iter().map(String::as_str).collect();
        assert_eq!(bpe.join(&escape), "\u{fffd}[2J");
        assert!(bpe.cut("lowest").len() < 4, "{:?}", bpe.cut("lowest"));
    }

    #[test]
    fn training_and_cutting_agree_and_repeat() {
        let once = counts(TEXT).train(320);
        assert_eq!(counts(TEXT).train(320), once);
        // A smaller vocabulary is the beginning of a larger one.
        assert_eq!(counts(TEXT).train(264).0, once.0[..264]);
    }

    #[test]
    fn chunks_have_the_words_of_the_text() {
        let odd = "don't  stop 'tis 'em\u{a0}5x\n \n\t x  \n'st";
        for text in [TEXT, odd, "", "  ", "\n", "नम  स्ते!? \u{2003}a"] {
            let by_chunk: Vec<String> = chunks(text).flat_map(words).collect();
            assert_eq!(by_chunk, words(text), "{text:?}");
            assert_eq!(chunks(text).collect::<String>(), text);
        }
    }

    #[test]
    fn the_rarest_words_are_forgotten() {
        let mut counts = counts("often often often rare often rare once ");
        let all = counts.bytes;
        counts.forget(all);
        assert_eq!(counts.words.len(), 5);
        counts.forget(12);
        let left: Vec<&String> = counts.words.keys().collect();
        assert_eq!(left, ["Ġoften"]);
    }

    #[test]
    fn crafted_merges_are_refused() {
        let (symbols, merges) = counts(TEXT).train(280);
        let refused = |symbols: &[String], merges: Vec<Pair>| Bpe::new(symbols, merges).is_err();
        assert!(refused(&symbols, vec![(0, 999_999)]));
        assert!(refused(&symbols, vec![(0, 0)]));
        assert!(refused(&symbols[1..], merges.clone()));
        assert!(refused(&symbols[..260], merges.clone()));
        let mut twice = symbols.clone();
        twice.push(symbols[0].clone());
        assert!(refused(&twice, merges));
    }
}
