//! What is learnt from the training part before any training: vocabularies and statistics.
//!
//! In: the training part's symbols or values. Out: [`Fits`], stored in a run folder as JSON and
//! applied again by evaluation, generation and prediction, and [`Inverse`], which leads a scaled
//! value back to the unit of its column. Vocabularies are [`super::vocabulary`]'s.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::vocabulary::Vocabulary;

/// `y = (x − shift) / scale`, for each feature. There is one at least.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Affine {
    pub shift: Vec<f64>,
    pub scale: Vec<f64>,
}

/// The form in files, where the two lists may be of any length.
#[derive(Deserialize)]
struct Stored {
    shift: Vec<f64>,
    scale: Vec<f64>,
}

impl TryFrom<Stored> for Affine {
    type Error = String;

    fn try_from(Stored { shift, scale }: Stored) -> Result<Affine, String> {
        match shift.len() == scale.len() && !shift.is_empty() {
            true => Ok(Affine { shift, scale }),
            false => Err(format!("{} shifts, {} scales", shift.len(), scale.len())),
        }
    }
}

impl Affine {
    /// A feature past the last has the last's numbers: what a run recorded may be of another size.
    pub fn apply(&self, feature: usize, x: f64) -> f64 {
        let feature = feature.min(self.scale.len() - 1);
        (x - self.shift[feature]) / self.scale[feature]
    }

    /// The same for each of `features`, where it was fitted to all of them together.
    pub fn repeated(self, together: bool, features: usize) -> Affine {
        let repeat = |v: Vec<f64>| match (together, v.first()) {
            (true, Some(x)) => vec![*x; features],
            (_, _) => v,
        };
        Affine {
            shift: repeat(self.shift),
            scale: repeat(self.scale),
        }
    }

    pub fn invert(&self, feature: usize, y: f64) -> f64 {
        let feature = feature.min(self.scale.len() - 1);
        y * self.scale[feature] + self.shift[feature]
    }
}

/// Mean, spread and range of each feature, by Welford's updates (1962), which lose no digits where
/// the mean is large beside the spread.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    n: Vec<f64>,
    mean: Vec<f64>,
    squares: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Moments {
    /// Takes the features of one step; what is not a number is left out.
    pub fn push(&mut self, x: &[f64]) {
        if self.mean.is_empty() {
            self.n = vec![0.0; x.len()];
            self.mean = vec![0.0; x.len()];
            self.squares = vec![0.0; x.len()];
            self.low = vec![f64::INFINITY; x.len()];
            self.high = vec![f64::NEG_INFINITY; x.len()];
        }
        for (i, v) in x.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            self.n[i] += 1.0;
            let d = v - self.mean[i];
            self.mean[i] += d / self.n[i];
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
                .zip(&self.n)
                .map(|(s, n)| (s / n).sqrt())
                .map(|s| if s > 0.0 { s } else { 1.0 })
                .collect(),
        }
    }

    /// The mean of each feature as `shift`, with scale 1; `None` where one had no value.
    pub fn means(&self) -> Option<Affine> {
        let all = !self.n.is_empty() && self.n.iter().all(|n| *n > 0.0);
        all.then(|| Affine {
            shift: self.mean.clone(),
            scale: vec![1.0; self.mean.len()],
        })
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

/// What is done to a text before it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prepare {
    /// Lower case.
    Lower,
    /// Unicode's normal form C.
    Nfc,
}

impl Prepare {
    pub fn apply<'t>(self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self {
            Prepare::Lower => Cow::Owned(text.to_lowercase()),
            Prepare::Nfc if unicode_normalization::is_nfc(&text) => text,
            Prepare::Nfc => Cow::Owned(text.nfc().collect()),
        }
    }

    /// All of them, in order.
    pub fn all<'t>(steps: &[Prepare], text: &'t str) -> Cow<'t, str> {
        let begin = Cow::Borrowed(text);
        steps.iter().fold(begin, |text, step| step.apply(text))
    }
}

impl Inverse {
    pub fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a feature in the unit of its column.
    pub fn apply(&self, feature: usize, value: f64) -> f64 {
        self.0.iter().fold(value, |x, undo| match undo {
            Undo::Affine(a) => a.invert(feature, x),
            Undo::Exp => x.exp(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::SymbolKind;
    use super::*;

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
