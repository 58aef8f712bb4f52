//! Metrics of a part, gathered batch by batch.
//!
//! In: batches with what a model predicted for them. Out: sums of losses, shares of right answers,
//! errors in the unit of the data's column. A metric without a target's name belongs to the first
//! target that it fits. Sums are in f64, in the order of the batches.

use super::classes::{ByClass, Confusion, Counts};
use super::entities::Entities;
use super::errors::Errors;
use super::sample::likeliest;
use crate::data::spec::{FieldRole, Unit};
use crate::data::{Batch, Column, Dataset, Tensor};
use crate::settings::{Average, Baseline, Metric, TrainSettings};
use crate::targets::executable::Role;

use super::feed::Feed;

/// A target and what has been added up for it.
#[derive(Clone, Debug, Default)]
struct Target {
    name: String,
    unit: Option<Unit>,
    weight: f64,
    loss: f64,
    count: f64,
    right: f64,
    answers: f64,
    /// How many answers are among the `k` likeliest, for each `k` that a metric asks for.
    within: Vec<(u32, f64)>,
    /// By class, where a metric asks.
    counts: Option<Counts>,
    confusion: Option<Confusion>,
    entities: Option<Entities>,
    /// Of numbers, in the unit of the column: the model's, and those of the rival column.
    errors: Errors,
    rival_errors: Errors,
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
        let wants = |metric: fn(&Metric) -> bool| metrics.iter().any(metric);
        let f1 = wants(|m| matches!(m, Metric::F1(_)));
        let confusion = wants(|m| *m == Metric::Confusion);
        let entities = wants(|m| *m == Metric::EntityF1);
        let within = metrics.iter().filter_map(|m| match m {
            Metric::Top(k) => Some((*k, 0.0)),
            _ => None,
        });
        let within: Vec<(u32, f64)> = within.collect();
        let columns = dataset.columns().iter();
        let targets = columns
            .filter(|c| c.role == FieldRole::Target)
            .map(|c| Target {
                name: c.name.clone(),
                unit: Some(c.unit),
                weight: named(&c.name).map_or(1.0, |l| l.weight),
                within: within.clone(),
                counts: f1.then(|| Counts::new(names(c))),
                confusion: confusion.then(|| Confusion::new(sides(c))),
                entities: entities.then(Entities::default),
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
        let target = self.answering()?;
        Some(target.right / target.answers)
    }

    /// The share of answers among the `k` likeliest, of the first target of classes or tokens.
    pub fn top(&self, k: u32) -> Option<f64> {
        let target = self.answering_in(&[Unit::Token, Unit::Class])?;
        let (_, within) = target.within.iter().find(|(n, _)| *n == k)?;
        Some(within / target.answers)
    }

    /// The F1 score of the first target that has answers.
    pub fn f1(&self, average: Average) -> Option<f64> {
        let counts = self.answering()?.counts.as_ref()?;
        match average {
            Average::Macro => counts.macro_f1(),
            Average::Micro => counts.micro_f1(),
        }
    }

    /// What is known of single classes, of the first target that has answers.
    pub fn by_class(&self) -> ByClass {
        let target = self.answering();
        let owned = |(name, score): (&str, f64)| (name.to_string(), score);
        let counts = target.and_then(|t| t.counts.as_ref());
        ByClass {
            f1: counts.map(|c| c.by_class().into_iter().map(owned).collect()),
            confusion: target.and_then(|t| t.confusion.clone()),
        }
    }

    /// The F1 score of whole entities, of the first target of classes.
    pub fn entity_f1(&self) -> Option<f64> {
        self.answering_in(&[Unit::Class])?.entities?.f1()
    }

    fn answering(&self) -> Option<&Target> {
        self.targets.iter().find(|t| t.answers > 0.0)
    }

    fn answering_in(&self, units: &[Unit]) -> Option<&Target> {
        let mut fit = (self.targets.iter()).filter(|t| t.unit.is_some_and(|u| units.contains(&u)));
        fit.find(|t| t.answers > 0.0)
    }

    /// Every target that has answers, with the share of right ones.
    pub fn accuracies(&self) -> impl Iterator<Item = (&str, f64)> {
        let answering = self.targets.iter().filter(|t| t.answers > 0.0);
        answering.map(|t| (t.name.as_str(), t.right / t.answers))
    }

    /// The errors of the first numeric target.
    pub fn errors(&self) -> Errors {
        self.numeric().map(|t| t.errors).unwrap_or_default()
    }

    /// The rival column's errors as predictions of the first numeric target.
    pub fn rival_errors(&self) -> Errors {
        self.numeric().map(|t| t.rival_errors).unwrap_or_default()
    }

    /// Mean squared errors of the model and of the rival column, in one unit.
    pub fn versus_column(&self) -> Option<(f64, f64)> {
        let t = self.numeric().filter(|t| t.values > 0.0)?;
        Some((t.ours / t.values, t.rival / t.values))
    }

    fn numeric(&self) -> Option<&Target> {
        self.targets.iter().find(|t| !t.errors.is_empty())
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
            Tensor::I32(truth) => self.answered(batch, column, truth, predicted),
            Tensor::F32(truth) if truth.len() == predicted.len() => {
                self.erred(dataset, batch, column, truth, predicted, rival);
            }
            Tensor::F32(_) => {}
        }
    }

    /// `predicted`: probabilities of the classes, for each of `truth`.
    fn answered(&mut self, batch: &Batch, column: &Column, truth: &[i32], predicted: &[f32]) {
        let classes = predicted.len() / truth.len().max(1);
        if classes == 0 {
            return;
        }
        let answers = || truth.iter().zip(predicted.chunks_exact(classes));
        for (y, p) in answers() {
            // Padding and symbols that training never saw count nowhere.
            let Ok(y) = usize::try_from(*y) else { continue };
            let answer = likeliest(p);
            self.answers += 1.0;
            self.right += f64::from(u8::from(answer == y));
            for (k, within) in &mut self.within {
                *within += f64::from(u8::from(among(p, y, *k as usize)));
            }
            if let Some(counts) = &mut self.counts {
                counts.add(y, answer);
            }
            if let Some(confusion) = &mut self.confusion {
                confusion.add(y, answer);
            }
        }
        if let (Some(entities), Some(names)) = (&mut self.entities, &column.vocabulary) {
            for row in 0..batch.rows {
                // `[T, B]`: every `rows`-th answer is this row's.
                let known = answers().skip(row).step_by(batch.rows.max(1));
                let known = known.filter(|(y, _)| **y >= 0);
                let tags =
                    known.map(|(y, p)| (names.symbol(*y), names.symbol(likeliest(p) as i32)));
                let (truth, found): (Vec<&str>, Vec<&str>) = tags.unzip();
                entities.add(&truth, &found);
            }
        }
    }

    /// `predicted`: numbers, or probabilities of units being on.
    fn erred(
        &mut self,
        dataset: &Dataset,
        batch: &Batch,
        column: &Column,
        truth: &[f32],
        predicted: &[f32],
        rival: Option<&str>,
    ) {
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
                self.unit(f, y >= 0.5, p >= 0.5);
                continue;
            }
            let (true_value, value) = (column.inverse.apply(f, y), column.inverse.apply(f, p));
            self.errors.add(true_value, value);
            if let (Some((values, scaled, _)), Some(other)) = (rival, rival_column) {
                let r = f64::from(values[i]);
                let rival = other.inverse.apply(f, r);
                self.rival_errors.add(true_value, rival);
                // Where both are scaled alike, in the unit of the loss.
                let (ours, theirs) = match scaled {
                    true => (p - y, r - y),
                    false => (value - true_value, rival - true_value),
                };
                self.values += 1.0;
                self.ours += ours * ours;
                self.rival += theirs * theirs;
            }
        }
    }

    /// A unit that is on or off.
    fn unit(&mut self, unit: usize, truth: bool, predicted: bool) {
        self.answers += 1.0;
        self.right += f64::from(u8::from(truth == predicted));
        if let Some(counts) = &mut self.counts {
            counts.add_unit(unit, truth, predicted);
        }
        if let Some(confusion) = &mut self.confusion {
            confusion.add(usize::from(truth), usize::from(predicted));
        }
    }
}

/// Whether class `y` is among the `k` likeliest; of equals the first go before.
fn among(probabilities: &[f32], y: usize, k: usize) -> bool {
    let Some(of_y) = probabilities.get(y) else {
        return false;
    };
    let ahead = probabilities.iter().enumerate();
    let ahead = ahead.filter(|(i, p)| *p > of_y || (*p == of_y && *i < y));
    ahead.count() < k
}

/// The names of what a target's answers are counted by: its classes, or its units.
fn names(column: &Column) -> Vec<String> {
    if let Some(v) = &column.vocabulary {
        return (0..v.len() as i32)
            .map(|i| v.symbol(i).to_string())
            .collect();
    }
    match column.features.iter().product::<usize>().max(1) {
        1 => vec!["yes".to_string()],
        units => (0..units).map(|i| i.to_string()).collect(),
    }
}

/// The classes of a target's confusion: of units, off and on.
fn sides(column: &Column) -> Vec<String> {
    match column.unit {
        Unit::Binary => vec!["no".to_string(), "yes".to_string()],
        Unit::Token | Unit::Class | Unit::Number => names(column),
    }
}

/// Step, row and feature of an element of `[T, B, width]` (step 0 of `[B, width]`).
fn place(i: usize, width: usize, rows: usize) -> (usize, usize, usize) {
    let row = i / width;
    (row / rows.max(1), row % rows.max(1), i % width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equally_likely_classes_the_first_go_before() {
        let p = [0.2, 0.4, 0.2, 0.2];
        let first = |y| (0..=5).find(|k| among(&p, y, *k));
        assert_eq!(
            [0, 1, 2, 3, 4].map(first),
            [Some(2), Some(1), Some(3), Some(4), None]
        );
    }
}
