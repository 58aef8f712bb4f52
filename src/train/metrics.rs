//! Metrics of a part, gathered batch by batch.
//!
//! In: batches with what a model predicted for them. Out: sums of losses, shares of right answers,
//! errors in the unit of the data's column. A metric without a target's name belongs to the first
//! target that it fits. Sums are in f64, in the order of the batches.

use super::sample::likeliest;
use crate::data::spec::{FieldRole, Unit};
use crate::data::{Batch, Column, Dataset, Tensor};
use crate::settings::{Baseline, Metric, TrainSettings};
use crate::targets::executable::Role;

use super::feed::Feed;

/// A target and what has been added up for it.
#[derive(Clone, Debug, Default)]
struct Target {
    name: String,
    weight: f64,
    loss: f64,
    count: f64,
    right: f64,
    answers: f64,
    absolute: f64,
    squared: f64,
    /// Squared errors of the rival column, and ours in the same unit.
    rival: f64,
    ours: f64,
    values: f64,
}

/// Sums over a part.
#[derive(Clone, Debug)]
pub struct Sums {
    targets: Vec<Target>,
    rival: Option<String>,
    /// What of the loss no target accounts for, and over how many rows.
    penalty: Option<f64>,
    rows: f64,
}

impl Sums {
    /// `metrics` says which sums beside the losses are needed; `penalties`, that the loss has terms
    /// beside its targets'.
    pub fn new(
        settings: &TrainSettings,
        dataset: &Dataset,
        metrics: &[Metric],
        penalties: bool,
    ) -> Sums {
        let named = |name: &str| settings.losses.iter().find(|l| l.target == name);
        let columns = dataset.columns().iter();
        let targets = columns
            .filter(|c| c.role == FieldRole::Target)
            .map(|c| Target {
                name: c.name.clone(),
                weight: named(&c.name).map_or(1.0, |l| l.weight),
                ..Target::default()
            });
        let rival = metrics.iter().find_map(|m| match m {
            Metric::Versus(Baseline::Column(name)) => Some(name.clone()),
            _ => None,
        });
        Sums {
            targets: targets.collect(),
            rival,
            penalty: penalties.then_some(0.0),
            rows: 0.0,
        }
    }

    /// Adds a batch and the results of the call on it.
    pub fn add(&mut self, dataset: &Dataset, batch: &Batch, feed: &Feed) {
        let mut explained = 0.0;
        for target in &mut self.targets {
            let sum = feed.number(&Role::LossSum(target.name.clone()));
            let count = feed.number(&Role::LossCount(target.name.clone()));
            if let (Some(sum), Some(count)) = (sum, count) {
                target.loss += sum;
                target.count += count;
                explained += target.weight * sum / count.max(1.0);
            }
            let predicted = feed.output(&Role::Prediction(target.name.clone()));
            let column = dataset.column(&target.name);
            let truth = batch.data(&target.name);
            if let (Some(predicted), Some(column), Some(truth)) = (predicted, column, truth) {
                let rival = self.rival.as_deref();
                target.compare(dataset, batch, column, truth, predicted, rival);
            }
        }
        let rows = batch.rows as f64;
        self.rows += rows;
        if let (Some(penalty), Some(loss)) = (&mut self.penalty, feed.number(&Role::Loss)) {
            *penalty += rows * (loss - explained);
        }
    }

    /// Steps or examples that counted, of the first target.
    pub fn count(&self) -> f64 {
        self.targets.first().map_or(0.0, |t| t.count)
    }

    /// The loss of the part as a whole: each target's mean over all its real steps.
    pub fn loss(&self) -> f64 {
        let means = self
            .targets
            .iter()
            .map(|t| t.weight * t.loss / t.count.max(1.0));
        let penalty = self.penalty.map_or(0.0, |p| p / self.rows.max(1.0));
        means.sum::<f64>() + penalty
    }

    /// The first target with one of these units, and its mean loss.
    pub fn first(&self, dataset: &Dataset, units: &[Unit]) -> Option<(&str, f64)> {
        let fits = |t: &&Target| {
            dataset
                .column(&t.name)
                .is_some_and(|c| units.contains(&c.unit))
        };
        let target = self.targets.iter().find(fits)?;
        Some((&target.name, target.loss / target.count.max(1.0)))
    }

    /// The share of right answers of the first target that has any.
    pub fn accuracy(&self) -> Option<f64> {
        let target = self.targets.iter().find(|t| t.answers > 0.0)?;
        Some(target.right / target.answers)
    }

    /// Mean absolute and mean squared error of the first numeric target, in its column's unit.
    pub fn errors(&self) -> Option<(f64, f64)> {
        let t = self.targets.iter().find(|t| t.values > 0.0)?;
        Some((t.absolute / t.values, t.squared / t.values))
    }

    /// Mean squared errors of the model and of the rival column, in one unit.
    pub fn versus_column(&self) -> Option<(f64, f64)> {
        let t = self.targets.iter().find(|t| t.values > 0.0)?;
        self.rival.as_ref()?;
        Some((t.ours / t.values, t.rival / t.values))
    }
}

impl Target {
    fn compare(
        &mut self,
        dataset: &Dataset,
        batch: &Batch,
        column: &Column,
        truth: &Tensor,
        predicted: &[f32],
        rival: Option<&str>,
    ) {
        match truth {
            Tensor::I32(truth) => {
                let classes = predicted.len() / truth.len().max(1);
                if classes == 0 {
                    return;
                }
                for (y, p) in truth.iter().zip(predicted.chunks_exact(classes)) {
                    // Padding and symbols that training never saw count nowhere.
                    if *y >= 0 {
                        self.answers += 1.0;
                        self.right += f64::from(u8::from(likeliest(p) == *y as usize));
                    }
                }
            }
            Tensor::F32(truth) if truth.len() == predicted.len() => {
                let rival = rival.and_then(|name| {
                    let same = |c: &&Column| c.inverse == column.inverse;
                    let scaled = dataset.column(name).filter(same).is_some();
                    match batch.data(name)? {
                        Tensor::F32(v) if v.len() == truth.len() => Some((v, scaled, name)),
                        Tensor::F32(_) | Tensor::I32(_) => None,
                    }
                });
                let rival_column = rival.and_then(|(_, _, name)| dataset.column(name));
                let width: usize = column.features.iter().product::<usize>().max(1);
                let lengths = column.time.as_deref().and_then(|t| batch.lengths(t));
                for (i, (y, p)) in truth.iter().zip(predicted).enumerate() {
                    let (t, b, f) = place(i, width, batch.rows);
                    if lengths.is_some_and(|l| l.get(b).is_none_or(|l| t >= *l as usize)) {
                        continue;
                    }
                    let (y, p) = (f64::from(*y), f64::from(*p));
                    if column.unit == Unit::Binary {
                        self.answers += 1.0;
                        self.right += f64::from(u8::from((p >= 0.5) == (y >= 0.5)));
                        continue;
                    }
                    let error = column.inverse.apply(f, p) - column.inverse.apply(f, y);
                    self.values += 1.0;
                    self.absolute += error.abs();
                    self.squared += error * error;
                    if let (Some((values, scaled, _)), Some(other)) = (rival, rival_column) {
                        let r = f64::from(values[i]);
                        // Where both are scaled alike, in the unit of the loss.
                        let (ours, theirs) = match scaled {
                            true => (p - y, r - y),
                            false => {
                                let y = column.inverse.apply(f, y);
                                (error, other.inverse.apply(f, r) - y)
                            }
                        };
                        self.ours += ours * ours;
                        self.rival += theirs * theirs;
                    }
                }
            }
            Tensor::F32(_) => {}
        }
    }
}

/// Step, row and feature of an element of `[T, B, width]` (step 0 of `[B, width]`).
fn place(i: usize, width: usize, rows: usize) -> (usize, usize, usize) {
    let row = i / width;
    (row / rows.max(1), row % rows.max(1), i % width)
}
