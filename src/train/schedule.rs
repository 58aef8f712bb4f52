//! The learning rate's factor at a step.
//!
//! In: a [`Schedule`], the step (from 0) and the number of steps of the whole run. Out: what the
//! peak rate is multiplied by. It depends on these alone, so a run that is stopped early or resumed
//! keeps its rates; only `plateau` also reads what validation found ([`Plateau`]).

use serde::{Deserialize, Serialize};

use crate::settings::Schedule;

/// `onecycle` starts at this part of the peak and ends at `ONECYCLE_END` of that (the constants in
/// common use; Smith and Topin give the shape).
const ONECYCLE_START: f64 = 1.0 / 25.0;
const ONECYCLE_END: f64 = 1e-4;

/// Steps in which the rate rises to its peak.
pub fn warmup(schedule: &Schedule) -> u64 {
    match *schedule {
        Schedule::Constant { warmup }
        | Schedule::Cosine { warmup, .. }
        | Schedule::Linear { warmup, .. }
        | Schedule::Step { warmup, .. }
        | Schedule::Exponential { warmup, .. }
        | Schedule::Plateau { warmup, .. } => warmup,
        Schedule::OneCycle { .. } => 0,
    }
}

/// The factor at `step` of `total`. Past the end it stays what it was at the last step.
pub fn factor(schedule: &Schedule, step: u64, total: u64, plateau: &Plateau) -> f64 {
    let warmup = warmup(schedule);
    if step < warmup {
        return (step + 1) as f64 / warmup as f64;
    }
    let after = step - warmup;
    // From 0 at the first step after the warm-up to 1 at the run's last.
    let last = total.saturating_sub(1).saturating_sub(warmup);
    let progress = match last {
        0 => 1.0,
        _ => (after as f64 / last as f64).min(1.0),
    };
    match *schedule {
        Schedule::Constant { .. } => 1.0,
        Schedule::Cosine { end, .. } => cosine(1.0, end, progress),
        Schedule::Linear { end, .. } => 1.0 + (end - 1.0) * progress,
        Schedule::Step { every, factor, .. } => {
            let times = after.checked_div(every).unwrap_or(0);
            libm::pow(factor, times as f64)
        }
        Schedule::Exponential { factor, .. } => libm::pow(factor, after as f64),
        Schedule::Plateau { .. } => plateau.factor,
        Schedule::OneCycle { up } => match progress < up {
            true => cosine(ONECYCLE_START, 1.0, progress / up),
            false => {
                let down = (progress - up) / (1.0 - up).max(f64::MIN_POSITIVE);
                cosine(1.0, ONECYCLE_START * ONECYCLE_END, down.min(1.0))
            }
        },
    }
}

/// Whether the factor of a step depends on how many steps the whole run has.
pub fn spans_run(schedule: &Schedule) -> bool {
    match schedule {
        Schedule::Cosine { .. } | Schedule::Linear { .. } | Schedule::OneCycle { .. } => true,
        Schedule::Constant { .. }
        | Schedule::Step { .. }
        | Schedule::Exponential { .. }
        | Schedule::Plateau { .. } => false,
    }
}

/// Half a cosine from `from` at 0 to `to` at 1.
fn cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress))
}

/// What `schedule = plateau` remembers between validations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    pub factor: f64,
    best: Option<f64>,
    bad: u32,
}

impl Default for Plateau {
    fn default() -> Plateau {
        Plateau {
            factor: 1.0,
            best: None,
            bad: 0,
        }
    }
}

impl Plateau {
    /// What no schedule leads to.
    pub fn impossible(&self) -> Option<&'static str> {
        let best = self.best.is_none_or(f64::is_finite);
        let sound = best && self.factor.is_finite() && self.factor >= 0.0 && self.bad < u32::MAX;
        (!sound).then_some("the plateau's numbers are none that a run has")
    }

    /// Takes a validation loss: after more than `patience` in a row that are no better than the
    /// best, the factor is applied once more.
    pub fn observe(&mut self, schedule: &Schedule, loss: f64) {
        let Schedule::Plateau {
            factor, patience, ..
        } = *schedule
        else {
            return;
        };
        if self.best.is_none_or(|b| loss < b) {
            self.best = Some(loss);
            self.bad = 0;
            return;
        }
        self.bad += 1;
        if self.bad > patience {
            self.factor *= factor;
            self.bad = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &Schedule, step: u64, total: u64) -> f64 {
        factor(s, step, total, &Plateau::default())
    }

    #[test]
    fn warm_up_is_a_line_that_ends_at_one() {
        let s = Schedule::Constant { warmup: 4 };
        let rates: Vec<f64> = (0..6).map(|i| at(&s, i, 100)).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        assert_eq!(at(&Schedule::Constant { warmup: 0 }, 0, 1), 1.0);
    }

    #[test]
    fn a_cosine_ends_at_its_end_on_the_last_step() {
        let s = Schedule::Cosine {
            warmup: 10,
            end: 0.1,
        };
        assert_eq!(at(&s, 10, 111), 1.0);
        assert!((at(&s, 60, 111) - 0.55).abs() < 1e-12, "halfway");
        assert!((at(&s, 110, 111) - 0.1).abs() < 1e-12);
        assert!((at(&s, 5000, 111) - 0.1).abs() < 1e-12, "and stays there");
        let falls = (10..110).all(|i| at(&s, i, 111) > at(&s, i + 1, 111));
        assert!(falls);
        assert_eq!(
            at(
                &Schedule::Cosine {
                    warmup: 0,
                    end: 0.0
                },
                0,
                1
            ),
            0.0
        );
    }

    #[test]
    fn lines_steps_and_powers() {
        let s = Schedule::Linear {
            warmup: 0,
            end: 0.5,
        };
        assert!((at(&s, 5, 11) - 0.75).abs() < 1e-12);
        let s = Schedule::Step {
            every: 3,
            factor: 0.5,
            warmup: 2,
        };
        let rates: Vec<f64> = (2..9).map(|i| at(&s, i, 100)).collect();
        assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
        let s = Schedule::Exponential {
            factor: 0.9,
            warmup: 0,
        };
        assert!((at(&s, 3, 100) - 0.729).abs() < 1e-12);
        let s = Schedule::OneCycle { up: 0.3 };
        assert!((at(&s, 0, 101) - 0.04).abs() < 1e-12);
        assert!((at(&s, 30, 101) - 1.0).abs() < 1e-12);
        assert!((at(&s, 100, 101) - 4e-6).abs() < 1e-12);
    }

    #[test]
    fn a_plateau_lowers_the_rate_after_patience() {
        let s = Schedule::Plateau {
            factor: 0.5,
            patience: 1,
            warmup: 0,
        };
        let mut p = Plateau::default();
        let mut factors = Vec::new();
        for loss in [3.0, 2.0, 2.5, 2.0, 2.1, 1.9, 1.95, 1.9] {
            p.observe(&s, loss);
            factors.push(factor(&s, 7, 100, &p));
        }
        assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]);
    }
}
