//! How far predicted numbers are from the true ones, in the unit of the data's column.
//!
//! In: pairs of a true and a predicted value. Out: their mean errors.

use crate::settings::Metric;

/// Sums over the values of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    values: f64,
    absolute: f64,
    squared: f64,
    /// Of absolute errors as shares of the true value, and over how many values that are not 0.
    share: f64,
    shares: f64,
}

impl Errors {
    pub fn add(&mut self, truth: f64, predicted: f64) {
        let error = predicted - truth;
        self.values += 1.0;
        self.absolute += error.abs();
        self.squared += error * error;
        if truth != 0.0 {
            self.shares += 1.0;
            self.share += (error / truth).abs();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values == 0.0
    }

    /// `mae`, `mse`, `rmse` or `mape`; `None` for other metrics, and where nothing was counted.
    pub fn get(&self, metric: &Metric) -> Option<f64> {
        let mean = |sum: f64, n: f64| (n > 0.0).then(|| sum / n);
        match metric {
            Metric::Mae => mean(self.absolute, self.values),
            Metric::Mse => mean(self.squared, self.values),
            Metric::Rmse => mean(self.squared, self.values).map(f64::sqrt),
            Metric::Mape => mean(self.share, self.shares),
            Metric::Perplexity
            | Metric::BitsPerChar
            | Metric::Accuracy
            | Metric::Top(_)
            | Metric::Versus(_)
            | Metric::Copied
            | Metric::F1(_)
            | Metric::EntityF1
            | Metric::Bleu
            | Metric::Confusion => None,
        }
    }
}
