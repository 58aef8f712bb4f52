//! Workers of one job that wait for each other: all arrive, then all go on.
//!
//! In: a worker's number and how often it has arrived. Out: nothing, once every worker has arrived as often.
//!
//! Each worker counts its arrivals in a cache line of its own and reads those of the others, so a meeting of two costs one
//! line each way: some 0.2 µs between two cores of a virtual machine. Who waits longer than a moment sleeps, so that more
//! workers than cores, or a core taken away, cost time and nothing else.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pool::spin_until;

/// Who sleeps for longer waits for a worker that has lost its core to somebody else.
const LATE: Duration = Duration::from_micros(500);

/// A counter that shares its cache line, and the line that comes with it, with nothing.
#[repr(align(128))]
struct Line(AtomicUsize);

pub(super) struct Barrier {
    arrived: Vec<Line>,
    /// Workers that sleep, or are about to.
    asleep: Line,
    turn: Mutex<()>,
    woken: Condvar,
    /// Nanoseconds of waits that long, in the mean of those who waited.
    late: AtomicU64,
    /// How long a worker spins before it sleeps.
    spin: Duration,
}

impl Barrier {
    pub(super) fn new(workers: usize, spin: Duration) -> Barrier {
        Barrier {
            arrived: (0..workers).map(|_| Line(AtomicUsize::new(0))).collect(),
            asleep: Line(AtomicUsize::new(0)),
            turn: Mutex::new(()),
            woken: Condvar::new(),
            late: AtomicU64::new(0),
            spin,
        }
    }

    /// Forgets all arrivals. No worker may be waiting.
    pub(super) fn reset(&mut self) {
        for line in &mut self.arrived {
            *line.0.get_mut() = 0;
        }
    }

    /// How long was waited, since this was last asked, for workers that came so late that they cannot have had their
    /// core.
    pub(super) fn late(&self) -> Duration {
        Duration::from_nanos(self.late.swap(0, SeqCst))
    }

    /// The `count`-th arrival (from 1) of `worker`, one of the first `workers`: returns when all of them have arrived so
    /// often.
    pub(super) fn wait(&self, worker: usize, workers: usize, count: usize) {
        self.arrived[worker].0.store(count, SeqCst);
        // Either a sleeper sees this arrival, or it is seen here that somebody sleeps.
        if self.asleep.0.load(SeqCst) > 0 {
            drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
            self.woken.notify_all();
        }
        let all = || {
            self.arrived[..workers]
                .iter()
                .all(|l| l.0.load(SeqCst) >= count)
        };
        if spin_until(self.spin, all) {
            return;
        }
        let began = Instant::now();
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.0.fetch_add(1, SeqCst);
        while !all() {
            turn = self
                .woken
                .wait(turn)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.0.fetch_sub(1, SeqCst);
        let waited = began.elapsed();
        if waited > LATE {
            let each = waited.as_nanos() as u64 / (workers as u64 - 1).max(1);
            self.late.fetch_add(each, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Pool;
    use super::*;

    /// Every worker sees what all wrote before they met.
    fn meet(workers: usize, spin: Duration, turns: usize) {
        let pool = Pool::new(workers);
        let barrier = Barrier::new(workers, spin);
        let cells: Vec<AtomicUsize> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        pool.run(&|worker, all| {
            for turn in 1..=turns {
                cells[worker].store(turn, SeqCst);
                barrier.wait(worker, all, 2 * turn - 1);
                assert!(cells.iter().all(|c| c.load(SeqCst) == turn));
                barrier.wait(worker, all, 2 * turn);
            }
        });
    }

    #[test]
    fn workers_meet_spinning_and_asleep() {
        for workers in [1, 2, 3, 7] {
            meet(workers, Duration::from_micros(40), 300);
            meet(workers, Duration::ZERO, 300);
        }
    }

    #[test]
    fn a_late_worker_wakes_the_others() {
        let pool = Pool::new(3);
        let mut barrier = Barrier::new(3, Duration::from_micros(1));
        for late in 0..3 {
            barrier.reset();
            pool.run(&|worker, all| {
                for count in 1..=3 {
                    if worker == late {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    barrier.wait(worker, all, count);
                }
            });
            assert!(barrier.late() > LATE / 2);
            assert_eq!(barrier.late(), Duration::ZERO);
        }
    }
}
