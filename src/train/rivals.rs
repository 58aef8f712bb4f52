//! The plain rivals of `versus(…)`, and how a model does against them.
//!
//! In: a rival, the data, what was summed over a part. Out: entries of a measurement: `rival`, the
//! rival's errors on the part; `versus`, the model's errors as a share of them, so that below 1 the
//! model is ahead; and the rival's value of each metric that people compare, as `rival.accuracy` or
//! `rival.rmse`. What is counted, is counted on the training part, once for each part; where the data
//! have none, such a rival has no entry.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::metrics::Sums;
use crate::data::spec::Unit;
use crate::data::{self, Dataset, Part, bigram_nats};
use crate::diagnostics::Diagnostic;
use crate::settings::{Baseline, Metric};

/// Counts of the bigram table: each pair has this many more.
const BIGRAM_SMOOTHING: f64 = 0.1;

/// What was counted so far, by part. A model has one rival.
#[derive(Default)]
pub struct Rivals {
    /// The bigram table's loss.
    bigram: BTreeMap<&'static str, Option<f64>>,
    /// The target that is guessed, and the share of right answers.
    guessed: BTreeMap<&'static str, Option<(String, f64)>>,
}

impl Rivals {
    /// The entries of `versus(baseline)`; `metrics` are all that are asked for. Errors: a long text
    /// cannot be read.
    pub fn entries(
        &mut self,
        baseline: &Baseline,
        metrics: &[Metric],
        dataset: &Dataset,
        sums: &Sums,
        part: Part,
    ) -> Result<Vec<(String, f64)>, Diagnostic> {
        let counted = !matches!(baseline, Baseline::Column(_));
        if counted && dataset.is_empty(Part::Train) {
            return Ok(Vec::new());
        }
        Ok(match baseline {
            Baseline::Bigram => self.bigram(dataset, sums, part)?,
            Baseline::Majority => self.guess(data::majority, dataset, sums, part)?,
            Baseline::MostFrequent => self.guess(data::most_frequent, dataset, sums, part)?,
            Baseline::NaiveBayes => self.guess(
                |d, t, p| Ok(data::naive_bayes(d, t, p)),
                dataset,
                sums,
                part,
            )?,
            Baseline::Column(_) => column(metrics, sums),
        })
    }

    /// In nats a symbol.
    fn bigram(
        &mut self,
        dataset: &Dataset,
        sums: &Sums,
        part: Part,
    ) -> Result<Vec<(String, f64)>, Diagnostic> {
        let Some((target, loss)) = sums.first(dataset, &[Unit::Token, Unit::Class]) else {
            return Ok(Vec::new());
        };
        let rival = match self.bigram.get(part.name()) {
            Some(counted) => *counted,
            None => bigram_nats(dataset, target, part, BIGRAM_SMOOTHING)?,
        };
        self.bigram.insert(part.name(), rival);
        Ok(rival.map_or_else(Vec::new, |rival| against(loss, rival)))
    }

    /// In wrong answers, of the first target that the rival can answer.
    fn guess(
        &mut self,
        right: fn(&Dataset, &str, Part) -> Result<Option<f64>, Diagnostic>,
        dataset: &Dataset,
        sums: &Sums,
        part: Part,
    ) -> Result<Vec<(String, f64)>, Diagnostic> {
        let count = || {
            let targets = sums.accuracies().map(|(name, _)| name);
            for name in targets {
                if let Some(share) = right(dataset, name, part)? {
                    return Ok(Some((name.to_string(), share)));
                }
            }
            Ok(None)
        };
        let guessed = match self.guessed.entry(part.name()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(count()?),
        };
        let Some((target, rival)) = guessed else {
            return Ok(Vec::new());
        };
        let ours = sums.accuracies().find(|(name, _)| name == target);
        let mut out = ours.map_or_else(Vec::new, |(_, ours)| against(1.0 - ours, 1.0 - *rival));
        out.push(("rival.accuracy".into(), *rival));
        Ok(out)
    }
}

/// In squared errors, in the unit of the loss where the column is scaled as the target is.
fn column(metrics: &[Metric], sums: &Sums) -> Vec<(String, f64)> {
    let pair = sums.versus_column();
    let mut out = pair.map_or_else(Vec::new, |(ours, rival)| against(ours, rival));
    let errors = sums.rival_errors();
    for metric in metrics {
        if let Some(value) = errors.get(metric) {
            out.push((format!("rival.{}", metric.key()), value));
        }
    }
    out
}

/// A rival without errors cannot be divided by.
fn against(ours: f64, rival: f64) -> Vec<(String, f64)> {
    let mut out = vec![("rival".to_string(), rival)];
    if rival > 0.0 {
        out.insert(0, ("versus".into(), ours / rival));
    }
    out
}
