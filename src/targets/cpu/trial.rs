//! How far a call is divided among workers: tried, because no rule says what it takes on a machine to hand data from core
//! to core, nor what other programs leave of it.
//!
//! In: the beginning of each call, and what its work is expected to take. Out: [`Division`]. The time that counts is from
//! the beginning of a call to that of the next, so that whoever reads what the call wrote counts too; as a multiple of
//! what was expected, so that calls of different sizes compare; and of several the least, since others only take time
//! away. A tie goes to fewer workers. What a call computes does not depend on it.

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
/// Calls in a row with one division, how often each has its turn, and calls of a trial.
const RUN: u32 = 5;
const TURNS: u32 = 3;
const TRIAL: u32 = RUN * TURNS * TRIED.len() as u32;
/// Calls after which it is tried again.
const AGAIN: u32 = 6_000;
/// A call of so many nanoseconds has enough to divide.
const LONG: f64 = 3e6;
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
    calls: u32,
    /// The least time of each of [`TRIED`], by what was expected.
    least: [f64; TRIED.len()],
    chosen: Division,
}

impl Trial {
    pub(super) fn new() -> Trial {
        Trial {
            last: None,
            calls: 0,
            least: [f64::INFINITY; TRIED.len()],
            chosen: Division::All,
        }
    }

    /// The division of a call that begins now and is expected to take so many nanoseconds on one worker.
    pub(super) fn begin(&mut self, now: Instant, expected: f64) -> Division {
        if self.calls > AGAIN {
            *self = Trial::new();
        }
        // The first of a row finds the caches as another division left them.
        if let Some(last) = self.last
            && self.calls <= TRIAL
            && self.calls % RUN != 1
        {
            let took = now.duration_since(last.at).as_secs_f64() / last.expected.max(1.0);
            for (least, division) in self.least.iter_mut().zip(TRIED) {
                if division == last.division {
                    *least = least.min(took);
                }
            }
        }
        if self.calls == TRIAL {
            self.chosen = self.best();
        }
        let division = match TRIED[(self.calls / RUN) as usize % TRIED.len()] {
            _ if self.calls >= TRIAL => self.chosen,
            Division::None if expected > LONG => Division::All,
            tried => tried,
        };
        self.calls += 1;
        self.last = Some(Begun {
            at: now,
            division,
            expected,
        });
        division
    }

    fn best(&self) -> Division {
        let mut best = (Division::All, f64::INFINITY);
        for (division, took) in TRIED.into_iter().zip(self.least).rev() {
            if took < best.1 * (1.0 - GAIN) {
                best = (division, took);
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
            let chosen = &all[TRIAL as usize..];
            assert!(chosen.iter().all(|d| *d == fastest), "{micros:?}");
        }
    }

    #[test]
    fn long_calls_are_never_left_to_one_worker() {
        let (mut trial, mut now) = (Trial::new(), Instant::now());
        for _ in 0..2 * TRIAL {
            assert_ne!(trial.begin(now, 2.0 * LONG), Division::None);
            now += Duration::from_millis(6);
        }
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
