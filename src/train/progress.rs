//! Where a run stands, beside its weights: everything the next step depends on, and what was found
//! so far.
//!
//! In: the loop of training. Out: `state.json` of a checkpoint.

use serde::{Deserialize, Serialize};

use super::schedule::Plateau;
use crate::settings::Schedule;

/// Steps, epochs and batches of a run at most: far past any that ends, and exact in every reader
/// of JSON.
const MOST_STEPS: u64 = 1 << 53;

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    pub fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.weight += weight;
    }

    /// `None` where nothing was added.
    pub fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Updates done.
    pub step: u64,
    /// The epoch of the next batch, from 0, and the batch's number in it.
    pub epoch: u64,
    pub index: u64,
    pub seed: u64,
    /// For the reader of a checkpoint; the settings of the run say it again.
    pub schedule: Schedule,
    pub total_steps: u64,
    pub plateau: Plateau,
    pub best: Option<Best>,
    /// Measurements in a row that were no better than the best.
    pub worse: u32,
    /// The step of the last measurement that counted, so that none is made twice or left out.
    pub validated: u64,
    /// `stop` has ended the run.
    pub stopped: bool,
    /// Loss of the steps since the last line of the log, and since the last measurement.
    pub logged: Mean,
    pub since_validation: Mean,
    /// Of training, over all sessions.
    pub seconds: f64,
    /// BLAKE3 of the `.seq` text.
    pub source: String,
    /// [`Dataset::digest`](crate::data::Dataset::digest); empty in runs of before it was kept.
    #[serde(default)]
    pub data: String,
}

impl Progress {
    pub fn new(
        seed: u64,
        schedule: Schedule,
        total_steps: u64,
        source: String,
        data: String,
    ) -> Progress {
        Progress {
            step: 0,
            epoch: 0,
            index: 0,
            seed,
            schedule,
            total_steps,
            plateau: Plateau::default(),
            best: None,
            worse: 0,
            validated: 0,
            stopped: false,
            logged: Mean::default(),
            since_validation: Mean::default(),
            seconds: 0.0,
            source,
            data,
        }
    }

    /// The epoch, from 1, that the last step done is of; 0 before the first.
    pub fn epoch_of_step(&self) -> u64 {
        self.epoch + u64::from(self.index > 0)
    }

    /// What no run can have reached, in a state that somebody wrote: counts that would not survive
    /// being counted on, numbers that are none.
    pub fn impossible(&self) -> Option<&'static str> {
        let counts = [self.step, self.epoch, self.index, self.validated];
        let means = [self.logged, self.since_validation];
        let finite = |m: &Mean| m.sum.is_finite() && m.weight.is_finite() && m.weight >= 0.0;
        let best = self.best.as_ref();
        if counts.into_iter().any(|n| n > MOST_STEPS) {
            Some("a count is too large for any run")
        } else if self.validated > self.step || best.is_some_and(|b| b.step > self.step) {
            Some("a measurement is of a step that is still to come")
        } else if u64::from(self.worse) > self.step {
            Some("there were more measurements than steps")
        } else if best.is_some_and(|b| !b.value.is_finite()) || !means.iter().all(finite) {
            Some("a mean or the best value is not a finite number")
        } else if !self.seconds.is_finite() || self.seconds < 0.0 {
            Some("its duration is no duration")
        } else {
            self.plateau.impossible()
        }
    }

    /// Takes a measurement of what `stop` watches; whether it is the best so far. A tie is not.
    pub fn measured(&mut self, value: f64, larger_is_better: bool) -> bool {
        let better = self.best.is_none_or(|b| match larger_is_better {
            true => value > b.value,
            false => value < b.value,
        });
        self.validated = self.step;
        match better {
            true => {
                self.best = Some(Best {
                    step: self.step,
                    value,
                });
                self.worse = 0;
            }
            false => self.worse += 1,
        }
        better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_kept_and_the_worse_are_counted() {
        let mut p = Progress::new(
            1,
            Schedule::Constant { warmup: 0 },
            10,
            String::new(),
            String::new(),
        );
        let mut seen = Vec::new();
        for (step, value) in [(1, 3.0), (2, 2.0), (3, 2.0), (4, 2.5), (5, 1.0)] {
            p.step = step;
            seen.push((p.measured(value, false), p.worse));
        }
        let want = [(true, 0), (true, 0), (false, 1), (false, 2), (true, 0)];
        assert_eq!(seen, want);
        assert_eq!(
            p.best,
            Some(Best {
                step: 5,
                value: 1.0
            })
        );
        assert!(p.measured(2.0, true), "where larger is better");
    }

    #[test]
    fn every_bit_survives_json() {
        let mut p = Progress::new(
            u64::MAX,
            Schedule::Constant { warmup: 0 },
            10,
            "x".into(),
            "y".into(),
        );
        for i in 1..2000u32 {
            p.logged.add(1.0 / f64::from(i), 0.1);
            let json = serde_json::to_string(&p).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), p);
        }
    }
}
