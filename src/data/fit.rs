//! What is learnt from the training part before any training: vocabularies and statistics.
//!
//! In: the training part's symbols or values. Out: [`Fits`], stored in a run folder as JSON and
//! applied again by evaluation, generation and prediction, and [`Inverse`], which leads a scaled
//! value back to the unit of its column.
//!
//! Symbols are sorted by code point, so that a vocabulary does not depend on the order of the
//! data; labels that are all whole numbers are sorted by value. A sequence that the model
//! feeds to itself gets `<end>` as its last symbol. `<start>` is no symbol of its own: step 0 of
//! `previous` reads `<end>`, or, in one long text, which has none, index −1, which embeds as zeros.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// The index of a symbol that the training part does not have: embeds as zeros, and as a target is
/// left out of the loss.
pub const UNSEEN: i32 = -1;

/// How a text is cut into symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    /// Unicode scalar values.
    Chars,
    /// Whole texts.
    Labels,
    /// Whole numbers from 0.
    Integers,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredVocabulary", into = "StoredVocabulary")]
pub struct Vocabulary {
    kind: SymbolKind,
    symbols: Vec<String>,
    end: bool,
    index: HashMap<String, i32>,
}

/// The form in files: the index is derived.
#[derive(Clone, Serialize, Deserialize)]
struct StoredVocabulary {
    kind: SymbolKind,
    symbols: Vec<String>,
    end: bool,
}

impl From<StoredVocabulary> for Vocabulary {
    fn from(v: StoredVocabulary) -> Vocabulary {
        Vocabulary::ordered(v.kind, v.symbols, v.end)
    }
}

impl From<Vocabulary> for StoredVocabulary {
    fn from(v: Vocabulary) -> StoredVocabulary {
        StoredVocabulary {
            kind: v.kind,
            symbols: v.symbols,
            end: v.end,
        }
    }
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
            .collect::<std::collections::BTreeSet<&str>>()
            .into_iter()
            .map(str::to_string)
            .collect();
        let whole: Option<Vec<i64>> = symbols.iter().map(|s| s.parse().ok()).collect();
        if let (SymbolKind::Labels, Some(_)) = (kind, whole) {
            symbols.sort_by_key(|s| s.parse::<i64>().unwrap_or(0));
        }
        Vocabulary::ordered(kind, symbols, end)
    }

    /// The whole numbers below `n`.
    pub fn integers(n: usize, end: bool) -> Vocabulary {
        let symbols = (0..n).map(|i| i.to_string()).collect();
        Vocabulary::ordered(SymbolKind::Integers, symbols, end)
    }

    fn ordered(kind: SymbolKind, symbols: Vec<String>, end: bool) -> Vocabulary {
        let index = symbols
            .iter()
            .enumerate()
            .map(|(i, s)| (s.clone(), i as i32))
            .collect();
        Vocabulary {
            kind,
            symbols,
            end,
            index,
        }
    }

    /// Symbols, `<end>` included: the size of a softmax over them and of an embedding's table.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.symbols.len() + self.end as usize
    }

    pub fn kind(&self) -> SymbolKind {
        self.kind
    }

    /// In order of index, without `<end>`.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// The index of `<end>`, where there is one.
    pub fn end(&self) -> Option<i32> {
        self.end.then_some(self.symbols.len() as i32)
    }

    /// What `previous` reads at step 0.
    pub fn start(&self) -> i32 {
        self.end().unwrap_or(UNSEEN)
    }

    /// The index of one symbol, [`UNSEEN`] where the training part had none such.
    pub fn encode(&self, symbol: &str) -> i32 {
        self.index.get(symbol).copied().unwrap_or(UNSEEN)
    }

    /// The indices of a text's symbols (one for each character, or one for the whole), without
    /// `<end>`.
    pub fn encode_text(&self, text: &str) -> Vec<i32> {
        match self.kind {
            SymbolKind::Chars => {
                let mut buffer = [0; 4];
                text.chars()
                    .map(|c| self.encode(c.encode_utf8(&mut buffer)))
                    .collect()
            }
            SymbolKind::Labels | SymbolKind::Integers => vec![self.encode(text)],
        }
    }

    /// The symbol as it is shown: `<end>`, and `<unknown>` outside the vocabulary.
    pub fn symbol(&self, index: i32) -> &str {
        match usize::try_from(index) {
            Ok(i) if i < self.symbols.len() => &self.symbols[i],
            Ok(i) if self.end && i == self.symbols.len() => "<end>",
            _ => "<unknown>",
        }
    }

    /// The text of indices up to the first `<end>`; characters are joined, other symbols parted by
    /// a blank.
    pub fn decode(&self, indices: &[i32]) -> String {
        let end = self.end();
        let parts: Vec<&str> = indices
            .iter()
            .take_while(|i| Some(**i) != end)
            .map(|i| self.symbol(*i))
            .collect();
        parts.join(match self.kind {
            SymbolKind::Chars => "",
            SymbolKind::Labels | SymbolKind::Integers => " ",
        })
    }
}

/// `y = (x − shift) / scale`, for each feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Affine {
    pub shift: Vec<f64>,
    pub scale: Vec<f64>,
}

impl Affine {
    pub fn apply(&self, feature: usize, x: f64) -> f64 {
        (x - self.shift[feature]) / self.scale[feature]
    }

    pub fn invert(&self, feature: usize, y: f64) -> f64 {
        y * self.scale[feature] + self.shift[feature]
    }
}

/// Mean, spread and range of each feature, by Welford's updates (1962), which lose no digits where
/// the mean is large beside the spread.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    n: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Moments {
    /// Takes the features of one step.
    pub fn push(&mut self, x: &[f64]) {
        if self.mean.is_empty() {
            self.mean = vec![0.0; x.len()];
            self.squares = vec![0.0; x.len()];
            self.low = vec![f64::INFINITY; x.len()];
            self.high = vec![f64::NEG_INFINITY; x.len()];
        }
        self.n += 1.0;
        for (i, v) in x.iter().enumerate() {
            let d = v - self.mean[i];
            self.mean[i] += d / self.n;
            self.squares[i] += d * (v - self.mean[i]);
            self.low[i] = self.low[i].min(*v);
            self.high[i] = self.high[i].max(*v);
        }
    }

    /// To mean 0 and (population) standard deviation 1; a constant feature becomes 0.
    pub fn zscore(&self) -> Affine {
        Affine {
            shift: self.mean.clone(),
            scale: self
                .squares
                .iter()
                .map(|s| (s / self.n).sqrt())
                .map(|s| if s > 0.0 { s } else { 1.0 })
                .collect(),
        }
    }

    /// To the range `low ..= high`; a constant feature becomes `low`.
    pub fn range(&self, low: f64, high: f64) -> Affine {
        let scale: Vec<f64> = (self.low.iter().zip(&self.high))
            .map(|(a, b)| if b > a { (b - a) / (high - low) } else { 1.0 })
            .collect();
        Affine {
            shift: (self.low.iter().zip(&scale))
                .map(|(a, s)| a - low * s)
                .collect(),
            scale,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    Vocabulary(Vocabulary),
    Affine(Affine),
}

/// Everything fitted on a training part, by the column's name and the number of the step in its
/// pipe (`text.0`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fits(pub BTreeMap<String, Fit>);

impl Fits {
    pub fn vocabulary(&self, key: &str) -> Option<&Vocabulary> {
        match self.0.get(key) {
            Some(Fit::Vocabulary(v)) => Some(v),
            Some(Fit::Affine(_)) | None => None,
        }
    }

    pub fn affine(&self, key: &str) -> Option<&Affine> {
        match self.0.get(key) {
            Some(Fit::Affine(a)) => Some(a),
            Some(Fit::Vocabulary(_)) | None => None,
        }
    }
}

/// The way back from a field's values to the unit of its column: the steps of its pipe, undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inverse(pub Vec<Undo>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undo {
    Affine(Affine),
    /// Undoes a logarithm.
    Exp,
}

impl Inverse {
    pub fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a feature in the unit of its column.
    pub fn apply(&self, feature: usize, value: f64) -> f64 {
        self.0.iter().fold(value, |x, undo| match undo {
            Undo::Affine(a) => a.invert(feature.min(a.scale.len() - 1), x),
            Undo::Exp => x.exp(),
        })
    }
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
        let v = Vocabulary::of(SymbolKind::Labels, ["10", "9", "x"], false);
        assert_eq!(v.symbols(), ["10", "9", "x"]);
    }

    #[test]
    fn statistics_and_their_inverse() {
        let mut m = Moments::default();
        for x in [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0] {
            m.push(&[x, 5.0]);
        }
        let z = m.zscore();
        assert!((z.scale[0] - (2.0f64 / 3.0).sqrt()).abs() < 1e-9);
        assert_eq!(z.apply(1, 5.0), 0.0);
        let r = m.range(-1.0, 1.0);
        assert!((r.apply(0, 1e9 + 1.0) + 1.0).abs() < 1e-6);
        assert!((r.apply(0, 1e9 + 3.0) - 1.0).abs() < 1e-6);
        assert!((r.apply(1, 5.0) + 1.0).abs() < 1e-12);
        let back = Inverse(vec![Undo::Affine(z), Undo::Exp]);
        assert!((back.apply(1, 0.0) - 5f64.exp()).abs() < 1e-9);
    }

    #[test]
    fn fits_survive_json_bit_for_bit() {
        let mut fits = Fits::default();
        let v = Vocabulary::of(SymbolKind::Chars, ["a", "\u{939}"], true);
        fits.0.insert("text.0".into(), Fit::Vocabulary(v));
        let a = Affine {
            shift: vec![0.1 + 0.2, 1.0 / 3.0],
            scale: vec![f64::MIN_POSITIVE, 123456.789e-3],
        };
        fits.0.insert("x.1".into(), Fit::Affine(a));
        let json = serde_json::to_string(&fits).unwrap();
        let back: Fits = serde_json::from_str(&json).unwrap();
        assert_eq!(back, fits);
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
    }
}
