//! The time that each task takes, in code compiled to be profiled and in no other.
//!
//! In: tasks as they are compiled, by their place in the program. Out: [`Probe`]s, and calls in a scan's code that add
//! to a worker's [`Counters`] after every task. A task at the top is timed by the driver; one in a scan can be
//! timed only from inside, because the loop over time is code.

use std::sync::LazyLock;
use std::time::Instant;

use super::asm::Asm;
use super::calls::{self, call_kernel};
use super::table::Cell;
use crate::diagnostics::Diagnostic;

/// A task inside a scan, or before it but run in its code.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// Indices of the tasks around it, from the program's own list inwards, and its own.
    pub(crate) place: Vec<usize>,
    /// The top-level task whose code it is run in.
    pub(crate) within: usize,
    /// Its line in the plan.
    pub(crate) line: String,
}

/// The words of a worker: when it last read the clock, and for each probe the nanoseconds since the reading before and
/// how often they were added. The first pair takes what belongs to no task.
pub(crate) type Counters = Vec<u64>;

/// The words for so many probes.
pub(crate) fn words(probes: usize) -> usize {
    3 + 2 * probes
}

/// Nanoseconds and calls of a probe.
pub(crate) fn read(counters: &[u64], probe: usize) -> (u64, u64) {
    (counters[3 + 2 * probe], counters[4 + 2 * probe])
}

/// Nanoseconds since some time before the first reading.
fn clock() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

/// Adds the time since the last reading to a pair of counters, 0 the one of no task.
///
/// # Safety
///
/// `counters` are [`words`] long for more than `pair` pairs, and no other thread's.
pub(crate) unsafe extern "C" fn probe(counters: *mut u64, pair: usize) {
    let now = clock();
    // SAFETY: as the caller says.
    unsafe {
        *counters.add(1 + 2 * pair) += now.saturating_sub(*counters);
        *counters.add(2 + 2 * pair) += 1;
        *counters = clock();
    }
}

/// Nanoseconds that a reading adds to what it measures.
pub(crate) fn overhead() -> f64 {
    const READINGS: u64 = 2_000;
    let mut counters: Counters = vec![0; words(0)];
    for _ in 0..READINGS {
        // SAFETY: there is one pair.
        unsafe { probe(counters.as_mut_ptr(), 0) };
    }
    // Without the first, which is since nothing.
    counters[1] = 0;
    for _ in 0..READINGS {
        // SAFETY: there is one pair.
        unsafe { probe(counters.as_mut_ptr(), 0) };
    }
    counters[1] as f64 / READINGS as f64
}

/// The time from here on is the next task's: `after` is the probe of the task that was just run, if any.
pub(crate) fn emit(asm: &mut Asm<'_, '_>, after: Option<usize>) -> Result<(), Diagnostic> {
    let counters = asm.cell(Cell::Counters);
    let pair = asm.int(after.map_or(0, |probe| probe as i64 + 1));
    call_kernel(asm, calls::PROBE, &[counters, pair])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_the_task_that_was_run() {
        let mut counters: Counters = vec![0; words(2)];
        let mut reach = |pair| {
            // SAFETY: there are three pairs.
            unsafe { probe(counters.as_mut_ptr(), pair) };
        };
        reach(0);
        reach(1);
        std::thread::sleep(std::time::Duration::from_millis(3));
        reach(2);
        let ((a, n), (b, m)) = (read(&counters, 0), read(&counters, 1));
        assert_eq!((n, m), (1, 1));
        assert!(b >= 3_000_000, "{b}");
        assert!(a < b, "{a} {b}");
    }
}
