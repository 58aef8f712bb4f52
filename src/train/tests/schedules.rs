//! Rate schedules over whole runs: what they remember is in the checkpoint.

use std::time::Duration;

use super::models::{Trouble, names};
use super::run::{Session, eventful, outcome};
use crate::settings::*;

/// A run that is cut after any of its steps has the rates and the bits of one that was not.
#[test]
fn every_schedule_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let schedules = [
        Schedule::Linear {
            warmup: 2,
            end: 0.1,
        },
        Schedule::Step {
            every: 2,
            factor: 0.5,
            warmup: 1,
        },
        Schedule::Exponential {
            factor: 0.8,
            warmup: 3,
        },
        Schedule::OneCycle { up: 0.4 },
        Schedule::Plateau {
            factor: 0.5,
            patience: 1,
            warmup: 2,
        },
    ];
    for (i, schedule) in schedules.into_iter().enumerate() {
        let settings = TrainSettings {
            schedule,
            // A rate that is too high makes some measurements worse than the one before.
            optimizer: Optimizer::Sgd {
                lr: 4.0,
                momentum: 0.9,
                nesterov: false,
            },
            validate: Validate::EverySteps(1),
            metrics: vec![Metric::Perplexity],
            ..eventful()
        };
        let whole = dir.path().join(format!("whole-{i}"));
        let mut session = Session::new(&settings, &dataset, &whole);
        session.go().unwrap();
        let rates = session.steps.clone();
        let distinct: std::collections::BTreeSet<u64> =
            rates.iter().map(|(_, r)| r.to_bits()).collect();
        assert!(
            distinct.len() > 3,
            "{schedule:?}: the rate changes: {rates:?}"
        );
        for cut in [1, 4, 6, 7, 11] {
            let run = dir.path().join(format!("{i}-{cut}"));
            let mut first = Session::new(&settings, &dataset, &run);
            first.trouble = Trouble::Fails(cut);
            first.save_every = Duration::ZERO;
            first.go().unwrap_err();
            let mut second = Session::new(&settings, &dataset, &run);
            second.go().unwrap();
            let seen = [first.steps, second.steps].concat();
            assert_eq!(seen, rates, "{schedule:?} cut at {cut}");
            assert_eq!(outcome(&run), outcome(&whole), "{schedule:?} cut at {cut}");
        }
    }
}
