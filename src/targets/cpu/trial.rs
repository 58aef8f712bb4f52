//! How far a call is divided among workers: tried, because no rule says what it takes on a machine to hand data from core
//! to core, nor what other programs leave of it.
//!
//! In: the beginning of each call, and what its work is expected to take. Out: [`Division`]. The time that counts is from
//! the beginning of a call to that of the next, so that whoever reads what the call wrote counts too; as a multiple of
//! what was expected, so that calls of different sizes compare; and of several the median: where others often take a core
//! away, workers that wait for each other lose by it. A tie goes to fewer workers. What a call computes does not depend on
//! it.

use std::time::Instant;

/// Which steps of a call are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    None,
    /// Those that are worth waking a worker.
    Large,
    /// Also those that are worth it for a worker that waits, but for scans: workers meet in each of their steps.
    Small,
    All,
}

/// The one that plans expect most of first.
const TRIED: [Division; 4] = [
    Division::All,
    Division::Small,
    Division::Large,
    Division::None,
];
/// Calls in a row with one division, and how often each has its turn.
const RUN: usize = 5;
const TURNS: usize = 3;
/// Calls of a trial.
pub(crate) const TRIAL: usize = RUN * TURNS * TRIED.len();
/// Calls after which it is tried again.
const AGAIN: usize = 6_000;
/// A call that is expected to take so many nanoseconds has enough to divide, and is not tried.
const LONG: f64 = 30e6;
/// What more workers have to gain.
const GAIN: f64 = 0.01;

#[derive(Clone, Copy, Debug)]
struct Begun {
    at: Instant,
    division: Division,
    expected: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// The call before this one.
    last: Option<Begun>,
    /// Calls since the trial began.
    calls: usize,
    /// The times of each of [`TRIED`] by what was expected, and how many there are.
    took: [([f64; RUN * TURNS], usize); TRIED.len()],
    chosen: Division,
}

impl Trial {
    pub(super) fn new() -> Trial {
        Trial {
            last: None,
            calls: 0,
            took: [([0.0; RUN * TURNS], 0); TRIED.len()],
            chosen: Division::All,
        }
    }

    /// The division of a call that begins now and is expected to take so many nanoseconds on one worker.
    pub(super) fn begin(&mut self, now: Instant, expected: f64) -> Division {
        if expected > LONG {
            self.last = None;
            return Division::All;
        }
        if self.calls > AGAIN {
            *self = Trial::new();
        }
        // The first of a row finds the caches as another division left them.
        if let Some(last) = self.last
            && self.calls <= TRIAL
            && self.calls % RUN != 1
        {
            let took = now.duration_since(last.at).as_secs_f64() / last.expected.max(1.0);
            for ((all, n), division) in self.took.iter_mut().zip(TRIED) {
                if division == last.division && *n < all.len() {
                    all[*n] = took;
                    *n += 1;
                }
            }
        }
        if self.calls == TRIAL {
            self.chosen = self.best();
        }
        let division = match self.calls {
            n if n < TRIAL => TRIED[n / RUN % TRIED.len()],
            _ => self.chosen,
        };
        self.calls += 1;
        self.last = Some(Begun {
            at: now,
            division,
            expected,
        });
        division
    }

    fn best(&mut self) -> Division {
        let mut best = (Division::All, f64::INFINITY);
        for (division, (all, n)) in TRIED.into_iter().zip(&mut self.took).rev() {
            let all = &mut all[..*n];
            all.sort_by(f64::total_cmp);
            let median = all.get(*n / 2).copied().unwrap_or(f64::INFINITY);
            if median < best.1 * (1.0 - GAIN) {
                best = (division, median);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The divisions of so many calls, each of which takes so many microseconds, by division.
    fn divisions(calls: usize, micros: impl Fn(usize, Division) -> u64) -> Vec<Division> {
        let (mut trial, mut now) = (Trial::new(), Instant::now());
        let call = |i: usize| {
            // Some are twice as long as others.
            let long = 1 + i as u64 / 2 % 2;
            let division = trial.begin(now, 1e5 * long as f64);
            now += Duration::from_micros(micros(i, division) * long);
            division
        };
        (0..calls).map(call).collect()
    }

    #[test]
    fn the_fastest_division_stays_and_a_tie_goes_to_fewer_workers() {
        for (fastest, micros) in [
            (Division::All, [50, 60, 80, 90]),
            (Division::Small, [60, 50, 80, 90]),
            (Division::Large, [60, 90, 50, 80]),
            (Division::None, [60, 90, 80, 50]),
            (Division::None, [500, 501, 501, 502]),
        ] {
            // Now and then somebody takes a core away.
            let took = |i: usize, d| {
                let place = TRIED.iter().position(|t| *t == d).unwrap();
                micros[place] + if i % 7 == 1 { 1_000 } else { 0 }
            };
            let all = divisions(3_000, took);
            assert_eq!(all[..3], [Division::All; 3]);
            let chosen = &all[TRIAL..];
            assert!(chosen.iter().all(|d| *d == fastest), "{micros:?}");
        }
    }

    #[test]
    fn long_calls_are_divided_whatever_is_best_for_short_ones() {
        let (mut trial, mut now) = (Trial::new(), Instant::now());
        for i in 0..3 * TRIAL {
            if i % 4 == 3 {
                assert_eq!(trial.begin(now, 2.0 * LONG), Division::All);
                now += Duration::from_millis(60);
                continue;
            }
            let division = trial.begin(now, 1e5);
            now += Duration::from_micros(if division == Division::None { 50 } else { 90 });
        }
        assert_eq!(trial.begin(now, 1e5), Division::None);
    }

    #[test]
    fn workers_that_others_often_delay_lose() {
        // The least is that of all workers.
        let took = |i: usize, d| match d {
            Division::None => 80,
            _ if i % 5 < 2 => 50,
            _ => 200,
        };
        assert_eq!(divisions(TRIAL + 1, took)[TRIAL], Division::None);
    }

    #[test]
    fn what_changes_is_found_out() {
        let took = |i, d| match (i < 1_000, d) {
            (true, Division::All) | (false, Division::None) => 50,
            _ => 90,
        };
        let all = divisions(9_000, took);
        assert_eq!((all[999], all[8_999]), (Division::All, Division::None));
    }
}
