//! The symbols of a text and their numbers.
//!
//! In: the training part's symbols. Out: [`Vocabulary`], which numbers any text's symbols and makes
//! a text of numbers again.
//!
//! Symbols are sorted by code point, so that a vocabulary does not depend on the order of the
//! data; labels that are all whole numbers are sorted by value. After them stands `<unknown>`, where
//! the training part has symbols that were left out (words too rare): it has a vector of its own,
//! and as a target it is left out of the loss. A sequence that the model feeds to itself gets
//! `<end>` as its last symbol. `<start>` is no symbol of its own: step 0 of `previous` reads
//! `<end>`, or, in one long text, which has none, index −1, which embeds as zeros.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::stored::Stored;
use super::bpe::{Bpe, Pair};
use super::pretrained::Pretrained;
use super::segments::{Joiner, segments};

mod stored;

/// The index of a symbol that the training part does not have: embeds as zeros, and as a target is
/// left out of the loss.
pub const UNSEEN: i32 = -1;

/// How a text is cut into symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    /// Unicode scalar values.
    Chars,
    /// What stands between blanks, and every end of a line.
    Words,
    /// Words and punctuation marks by themselves, and every end of a line.
    Segments,
    /// Byte pairs: pieces of words that the training part has often.
    Bpe,
    /// The pieces of a tokenizer that was made elsewhere.
    Pretrained,
    /// Whole texts.
    Labels,
    /// Whole numbers from 0.
    Integers,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Vocabulary {
    kind: SymbolKind,
    unknown: bool,
    end: bool,
    /// Shared: every dataset made with it has it, and of a stream each row is one.
    table: Arc<Table>,
    /// Cuts and joins, where symbols are byte pairs.
    bpe: Option<Arc<Bpe>>,
    pretrained: Option<Arc<Named>>,
}

/// The symbols in order of index, and the index of each.
#[derive(Debug, PartialEq)]
struct Table {
    symbols: Vec<String>,
    index: HashMap<String, i32>,
}

/// A tokenizer that was made elsewhere, and which of its symbols is the end.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    tokenizer: Pretrained,
    end: Option<i32>,
}

impl Vocabulary {
    /// Of symbols in any order, repeats allowed.
    pub fn of<'a>(
        kind: SymbolKind,
        symbols: impl IntoIterator<Item = &'a str>,
        end: bool,
    ) -> Vocabulary {
        let mut symbols: Vec<String> = symbols
            .into_iter()
            .collect::<BTreeSet<&str>>()
            .into_iter()
            .map(str::to_string)
            .collect();
        let whole: Option<Vec<i64>> = symbols.iter().map(|s| s.parse().ok()).collect();
        if let (SymbolKind::Labels, Some(_)) = (kind, whole) {
            symbols.sort_by_key(|s| s.parse::<i64>().unwrap_or(0));
        }
        Vocabulary::ordered(kind, symbols, false, end)
    }

    /// Of different words with how often each occurs: those that do at least `min_count` times, the
    /// `max` most frequent; of equally frequent ones the first by code point. `<unknown>` stands for
    /// those left out.
    pub fn of_words<'a>(
        counts: impl IntoIterator<Item = (&'a str, u64)>,
        min_count: u64,
        max: Option<usize>,
        end: bool,
    ) -> Vocabulary {
        Vocabulary::of_counts(SymbolKind::Words, counts, min_count, max, end)
    }

    /// The same of symbols of this kind.
    pub(super) fn of_counts<'a>(
        kind: SymbolKind,
        counts: impl IntoIterator<Item = (&'a str, u64)>,
        min_count: u64,
        max: Option<usize>,
        end: bool,
    ) -> Vocabulary {
        let mut different = 0;
        let mut kept: Vec<(&str, u64)> = (counts.into_iter())
            .inspect(|_| different += 1)
            .filter(|(_, n)| *n >= min_count)
            .collect();
        kept.sort_unstable();
        if let Some(max) = max {
            kept.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
            kept.truncate(max);
            kept.sort_unstable();
        }
        let unknown = kept.len() < different;
        let symbols = kept.into_iter().map(|(w, _)| w.to_string()).collect();
        Vocabulary::ordered(kind, symbols, unknown, end)
    }

    /// Byte pairs: symbols in the order in which merges made them.
    pub(super) fn of_merges(
        symbols: Vec<String>,
        merges: Vec<Pair>,
        end: bool,
    ) -> Result<Vocabulary, String> {
        let bpe = Bpe::new(&symbols, merges)?;
        Ok(Vocabulary {
            bpe: Some(Arc::new(bpe)),
            ..Vocabulary::ordered(SymbolKind::Bpe, symbols, false, end)
        })
    }

    /// The symbols of a `tokenizer.json`, given as its text. What its model calls unknown is
    /// `<unknown>`; `last` names the symbol that is `<end>`, which else is added.
    ///
    /// Errors: a file that the crate `tokenizers` does not read; no symbol of that name.
    pub(super) fn of_tokenizer(
        json: String,
        last: Option<&str>,
        end: bool,
    ) -> Result<Vocabulary, String> {
        let tokenizer = Pretrained::new(json)?;
        let at = match last {
            Some(name) => {
                let none = || format!("it has no symbol {name:.30?}");
                Some(tokenizer.index_of(name).ok_or_else(none)?)
            }
            None => None,
        };
        let symbols = tokenizer.symbols().to_vec();
        let named = Named { tokenizer, end: at };
        Ok(Vocabulary {
            pretrained: Some(Arc::new(named)),
            ..Vocabulary::ordered(SymbolKind::Pretrained, symbols, false, end)
        })
    }

    /// The whole numbers below `n`.
    pub fn integers(n: usize, end: bool) -> Vocabulary {
        let symbols = (0..n).map(|i| i.to_string()).collect();
        Vocabulary::ordered(SymbolKind::Integers, symbols, false, end)
    }

    fn ordered(kind: SymbolKind, symbols: Vec<String>, unknown: bool, end: bool) -> Vocabulary {
        let index = symbols
            .iter()
            .enumerate()
            .map(|(i, s)| (s.clone(), i as i32))
            .collect();
        Vocabulary {
            kind,
            unknown,
            end,
            table: Arc::new(Table { symbols, index }),
            bpe: None,
            pretrained: None,
        }
    }

    /// Symbols, `<unknown>` and `<end>` included: the size of a softmax over them and of an
    /// embedding's table.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        let inside = self.pretrained.as_ref().is_some_and(|p| p.end.is_some());
        self.symbols().len() + self.unknown as usize + (self.end && !inside) as usize
    }

    pub fn kind(&self) -> SymbolKind {
        self.kind
    }

    /// In order of index, without `<unknown>` and `<end>`, unless a tokenizer's file has them.
    pub fn symbols(&self) -> &[String] {
        &self.table.symbols
    }

    /// The index of `<unknown>`, where there is one.
    pub fn unknown(&self) -> Option<i32> {
        let of_file = self.pretrained.as_ref().and_then(|p| p.tokenizer.unknown());
        of_file.or(self.unknown.then_some(self.symbols().len() as i32))
    }

    /// The index of `<end>`, where there is one.
    pub fn end(&self) -> Option<i32> {
        let at = self.symbols().len() + self.unknown as usize;
        let of_file = self.pretrained.as_ref().and_then(|p| p.end);
        self.end.then_some(of_file.unwrap_or(at as i32))
    }

    /// What `previous` reads at step 0.
    pub fn start(&self) -> i32 {
        self.end().unwrap_or(UNSEEN)
    }

    /// Whether an index names a symbol or `<end>`: others are left out of a loss.
    pub fn is_known(&self, index: i32) -> bool {
        index >= 0 && Some(index) != self.unknown()
    }

    /// The index of one symbol; of one that is not there `<unknown>`'s, or [`UNSEEN`].
    pub fn encode(&self, symbol: &str) -> i32 {
        let other = || self.unknown().unwrap_or(UNSEEN);
        self.table.index.get(symbol).copied().unwrap_or_else(other)
    }

    /// A text cut into symbols, without `<end>`. Where a tokenizer made elsewhere fails, the text is
    /// one symbol, which is none of its own.
    pub fn cut<'t>(&self, text: &'t str) -> Vec<Cow<'t, str>> {
        self.try_cut(text).unwrap_or_else(|_| vec![text.into()])
    }

    /// The same. Errors: what a tokenizer made elsewhere says where it fails.
    pub fn try_cut<'t>(&self, text: &'t str) -> Result<Vec<Cow<'t, str>>, String> {
        if let Some(named) = &self.pretrained {
            let cut = named.tokenizer.cut(text)?;
            let name = |i: &i32| Some(Cow::Owned(self.symbols().get(*i as usize)?.clone()));
            return Ok(cut.iter().filter_map(name).collect());
        }
        Ok(self.cut_plainly(text))
    }

    fn cut_plainly<'t>(&self, text: &'t str) -> Vec<Cow<'t, str>> {
        if let Some(bpe) = &self.bpe {
            return bpe.cut(text).into_iter().map(Cow::Owned).collect();
        }
        match self.kind {
            SymbolKind::Chars => (text.char_indices())
                .map(|(i, c)| text[i..i + c.len_utf8()].into())
                .collect(),
            SymbolKind::Words => words(text).map(Cow::Borrowed).collect(),
            SymbolKind::Segments => segments(text).map(Cow::Borrowed).collect(),
            SymbolKind::Bpe
            | SymbolKind::Pretrained
            | SymbolKind::Labels
            | SymbolKind::Integers => vec![text.into()],
        }
    }

    /// The indices of a text's symbols, without `<end>`.
    pub fn encode_text(&self, text: &str) -> Vec<i32> {
        self.cut(text).iter().map(|s| self.encode(s)).collect()
    }

    /// The symbol as it is shown: `<end>`, and `<unknown>` outside the vocabulary.
    pub fn symbol(&self, index: i32) -> &str {
        match usize::try_from(index) {
            Ok(_) if Some(index) == self.end() => "<end>",
            Ok(i) if i < self.symbols().len() && self.is_known(index) => &self.symbols()[i],
            _ => "<unknown>",
        }
    }

    /// The text of indices up to the first `<end>`: as their tokenizer joins them, characters side by
    /// side, words with punctuation apart as prose is written, other symbols parted by a blank, but not
    /// at the ends of lines.
    pub fn decode(&self, indices: &[i32]) -> String {
        self.decode_with(indices, "<unknown>")
    }

    /// The same with this text for what is no symbol.
    pub fn decode_with(&self, indices: &[i32], unknown: &str) -> String {
        let end = self.end();
        let symbol = |index: i32| match usize::try_from(index) {
            Ok(i) if i < self.symbols().len() && self.is_known(index) => self.symbols()[i].as_str(),
            Ok(_) | Err(_) => unknown,
        };
        let shown = || indices.iter().take_while(|i| Some(**i) != end);
        if let Some(named) = &self.pretrained {
            let shown: Vec<i32> = shown().copied().collect();
            return named.tokenizer.join(&shown);
        }
        if self.kind == SymbolKind::Segments {
            let mut joiner = Joiner::default();
            shown().for_each(|i| joiner.push(symbol(*i)));
            return joiner.finish();
        }
        if let Some(bpe) = &self.bpe {
            return bpe.join(&shown().map(|i| symbol(*i)).collect::<Vec<_>>());
        }
        let mut text = String::new();
        let mut line_begins = true;
        for index in shown() {
            let symbol = symbol(*index);
            let joined = match self.kind {
                SymbolKind::Chars => true,
                SymbolKind::Words => line_begins || symbol == "\n",
                SymbolKind::Segments
                | SymbolKind::Bpe
                | SymbolKind::Pretrained
                | SymbolKind::Labels
                | SymbolKind::Integers => line_begins,
            };
            if !joined {
                text.push(' ');
            }
            text.push_str(symbol);
            line_begins = self.kind == SymbolKind::Words && symbol == "\n";
        }
        text
    }
}

/// What stands between blanks, and each line end as a word of its own.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    (text.split_inclusive('\n')).flat_map(|line| {
        let end = line.strip_suffix('\n').map(|_| "\n");
        line.split_whitespace().chain(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_sorted_and_end_is_last() {
        let v = Vocabulary::of(SymbolKind::Chars, ["b", "a", "b", "é"], true);
        assert_eq!(v.symbols(), ["a", "b", "é"]);
        assert_eq!((v.len(), v.end(), v.start()), (4, Some(3), 3));
        assert_eq!(v.encode_text("éxa"), [2, UNSEEN, 0]);
        assert_eq!(v.decode(&[1, 0, 3, 1]), "ba");
        assert_eq!(v.symbol(-1), "<unknown>");
        assert_eq!(Vocabulary::of(SymbolKind::Chars, ["a"], false).start(), -1);
    }

    #[test]
    fn labels_that_are_numbers_are_sorted_by_value() {
        let v = Vocabulary::of(SymbolKind::Labels, ["10", "9", "2"], false);
        assert_eq!(v.symbols(), ["2", "9", "10"]);
        assert_eq!(v.decode(&[0, 2]), "2 10");
        let v = Vocabulary::of(SymbolKind::Labels, ["10", "9", "x"], false);
        assert_eq!(v.symbols(), ["10", "9", "x"]);
    }

    fn counted(text: &str) -> std::collections::BTreeMap<&str, u64> {
        let mut counts = std::collections::BTreeMap::new();
        for word in words(text) {
            *counts.entry(word).or_default() += 1;
        }
        counts
    }

    #[test]
    fn words_keep_the_ends_of_lines() {
        let text = "  to be,\tor\u{a0}not \n\nto be";
        let all: Vec<&str> = words(text).collect();
        assert_eq!(all, ["to", "be,", "or", "not", "\n", "\n", "to", "be"]);
        let v = Vocabulary::of_words(counted(text), 1, None, true);
        assert_eq!((v.unknown(), v.len()), (None, 7));
        assert_eq!(v.decode(&v.encode_text(text)), "to be, or not\n\nto be");
        assert_eq!(v.encode("nothing"), UNSEEN);
    }

    #[test]
    fn rare_words_are_unknown() {
        let counts = counted("b b b c c a a d");
        let v = Vocabulary::of_words(counts.clone(), 2, None, true);
        assert_eq!(v.symbols(), ["a", "b", "c"]);
        assert_eq!((v.unknown(), v.end(), v.len()), (Some(3), Some(4), 5));
        assert_eq!(v.encode_text("a d e"), [0, 3, 3]);
        assert_eq!(v.decode(&[0, 3, 4, 0]), "a <unknown>");
        assert!(v.is_known(4) && !v.is_known(3) && !v.is_known(UNSEEN));
        // Of equally frequent words the first.
        let v = Vocabulary::of_words(counts, 1, Some(2), false);
        assert_eq!(v.symbols(), ["a", "b"]);
        assert_eq!((v.unknown(), v.end()), (Some(2), None));
        let json = serde_json::to_string(&v).unwrap();
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), v);
    }

    #[cfg(feature = "tokenizers")]
    #[test]
    fn byte_pairs_are_stored_with_their_merges() {
        let mut counts = super::super::bpe::Counts::default();
        counts.add("low lower lowest");
        let (symbols, merges) = counts.train(260);
        let v = Vocabulary::of_merges(symbols, merges, true).unwrap();
        let json = serde_json::to_string(&v).unwrap();
        let back: Vocabulary = serde_json::from_str(&json).unwrap();
        assert_eq!(back, v);
        let cut = back.encode_text("lower ü");
        assert_eq!(cut, v.encode_text("lower ü"));
        assert!(cut.len() < "lower ü".len() && cut.iter().all(|i| v.is_known(*i)));
        assert_eq!(back.decode(&cut), "lower ü");
        let crafted = json.replace("\"merges\":[[", "\"merges\":[[70000,1],[");
        assert!(serde_json::from_str::<Vocabulary>(&crafted).is_err());
    }

    #[test]
    fn a_vocabulary_stored_before_there_was_unknown_is_read() {
        let v: Vocabulary =
            serde_json::from_str(r#"{"kind":"chars","symbols":["a"],"end":true}"#).unwrap();
        assert_eq!((v.unknown(), v.end()), (None, Some(1)));
    }
}
