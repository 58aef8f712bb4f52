//! A scan divided by columns, run: the loop over time, on every worker at once.
//!
//! In: a [`ByColumns`] and the sizes of a call. Out: a [`Course`]: what each worker runs at each step, over which ranges,
//! and where it waits for the others. Running it allocates nothing.

use std::ops::Range;
use std::time::Duration;

use super::barrier::Barrier;
use super::jit::probe;
use super::jit::step::{ByColumns, Reach, Run};
use super::share::share;
use crate::dim::{Dim, Sym};

/// Nanoseconds that a meeting takes: 200 for the counters to go over to the other core, the rest for what one wrote and
/// the other reads, and because the two are never quite together.
const MEET_NS: f64 = 400.0;
/// Rows that a product takes as long for as for one, because reading the weights takes that time.
const FEW_ROWS: f64 = 2.0;
/// The time of so many rows goes by reading the weights, whatever the rows, where a core's second-level cache does not hold
/// them. One thread of a Xeon 6 (Redwood Cove) multiplies 8 rows with 4 MB in the time of 11.7, 32 in that of 35.2.
const READING_ROWS: f64 = 3.5;
/// Nanoseconds expected of a thread's part of a step on one row from which on its weights are more than that cache holds:
/// 2.5 MB.
const CACHE_NS: f64 = 20_000.0;
/// What a row takes longer where columns are divided: what is made ahead of the steps is not made shortly before, and each
/// worker reads what others wrote. (On two threads of that Xeon, 512 units, predicting for 16 rows takes 1.27 times as long
/// as its products at their own rate, for 64 rows 1.2.) Columns are better up to 22 rows there; up to 27 they are taken, for
/// [`super::trial`] finds rows to be faster where they are, but columns only where they are expected to be.
const DIVIDED: f64 = 1.25;

#[derive(Clone, Debug)]
pub(super) struct Course {
    turns: i64,
    reverse: bool,
    stops: Vec<Stop>,
    /// Ranges of all stops, for each worker in turn.
    calls: Vec<[i64; 4]>,
    pub(super) workers: usize,
}

/// One task of the body.
#[derive(Clone, Debug)]
struct Stop {
    run: Run,
    slots: usize,
    meet: bool,
    probe: Option<usize>,
    /// By worker, the calls that are its own.
    calls: Vec<Range<usize>>,
}

impl Course {
    /// `None` where a size has no value or nothing is divided.
    pub(super) fn of(
        s: &ByColumns,
        value: &dyn Fn(&Sym) -> Option<i64>,
        workers: usize,
    ) -> Option<Course> {
        let mut all = Course {
            turns: s.turns.eval(value)?,
            reverse: s.reverse,
            stops: Vec::new(),
            calls: Vec::new(),
            workers,
        };
        let size = |d: &Option<Dim>, none: i64| match d {
            Some(d) => d.eval(value),
            None => Some(none),
        };
        for part in &s.parts {
            let mut own = Vec::new();
            for worker in 0..workers {
                let begin = all.calls.len();
                let cut = |n: usize| {
                    let r = share(n, s.grain, worker, workers);
                    [r.start as i64, r.end as i64]
                };
                match &part.reach {
                    Reach::First { rows, columns } => {
                        if worker == 0 {
                            all.calls.push([0, size(rows, 1)?, 0, size(columns, 0)?]);
                        }
                    }
                    Reach::Group { columns } => {
                        let [lo, hi] = cut(*columns);
                        all.calls.extend((lo < hi).then_some([lo, hi, 0, 0]));
                    }
                    Reach::Product {
                        rows,
                        columns,
                        blocks,
                    } => {
                        let ([lo, hi], rows) = (cut(*columns), size(rows, 1)?);
                        for block in (0..*blocks).filter(|_| lo < hi) {
                            let far = (block * columns) as i64;
                            all.calls.push([0, rows, far + lo, far + hi]);
                        }
                    }
                }
                own.push(begin..all.calls.len());
            }
            all.stops.push(Stop {
                run: part.run?,
                slots: part.code.slots,
                meet: part.meet,
                probe: part.probe,
                calls: own,
            });
        }
        Some(all)
    }

    /// A worker's part of all steps.
    ///
    /// # Safety
    ///
    /// As for [`Run`], of every stop; `table` is the worker's own. All of `workers` run this at once, with one barrier
    /// that was reset. `counters` are the worker's own, where tasks are timed.
    pub(super) unsafe fn run(
        &self,
        table: &[i64],
        barrier: &Barrier,
        worker: usize,
        counters: Option<*mut u64>,
    ) {
        let mut met = 0;
        // SAFETY: as the caller says.
        let clock = |pair: usize| counters.map(|c| unsafe { probe::probe(c, pair) });
        clock(0);
        for turn in 0..self.turns {
            let time = if self.reverse {
                self.turns - 1 - turn
            } else {
                turn
            };
            for stop in &self.stops {
                if stop.meet {
                    met += 1;
                    barrier.wait(worker, self.workers, met);
                    clock(0);
                }
                let slots = table[stop.slots..].as_ptr();
                let calls = &self.calls[stop.calls[worker].clone()];
                for nth in 0..calls.len() {
                    // Products go through the panels backwards at odd times (see `jit::gemm`), and so through their blocks.
                    let nth = if time % 2 == 0 {
                        nth
                    } else {
                        calls.len() - 1 - nth
                    };
                    let [r0, r1, c0, c1] = calls[nth];
                    // SAFETY: as the caller says. Workers' ranges are disjoint, and they meet between a task and one
                    // that touches what another worker wrote.
                    unsafe { (stop.run)(slots, time, r0, r1, c0, c1) };
                }
                if let Some(probe) = stop.probe {
                    clock(probe + 1);
                }
            }
        }
    }
}

/// Nanoseconds of a scan on so many workers, by rows and by columns.
pub(super) fn costs(
    s: &ByColumns,
    value: &dyn Fn(&Sym) -> Option<i64>,
    workers: usize,
) -> [f64; 2] {
    let size = |d: &Dim| d.eval(value).unwrap_or(0) as f64;
    let rows = s.rows.as_ref().map(size);
    let (mut divided, mut alone) = (0.0, 0.0);
    for part in &s.parts {
        let work = part.work.nanoseconds(value);
        match part.reach {
            Reach::First { .. } => alone += work,
            Reach::Group { .. } | Reach::Product { .. } => divided += work,
        }
    }
    // The time of so many rows at once, as a part of what all cost, where each takes so long; scans that mix rows have
    // enough.
    let at_once = |n: f64, row_ns: f64| {
        let Some(all) = rows.map(|all| all.max(1.0)) else {
            return 1.0;
        };
        let n = match row_ns > CACHE_NS {
            true => n + READING_ROWS,
            false => n.max(FEW_ROWS),
        };
        n / all
    };
    let all = rows.unwrap_or(1.0).max(1.0);
    let (row, share) = (divided / all, divided / all / workers as f64);
    let by_rows = (divided + alone) * at_once((all / workers as f64).ceil(), row);
    let meets = s.parts.iter().filter(|p| p.meet).count() as f64;
    let whole = at_once(DIVIDED * all, share);
    let by_columns = whole * (divided / workers as f64 + alone) + meets * MEET_NS;
    [by_rows, by_columns].map(|n| n * size(&s.turns))
}

/// Whether so much of a divided scan's time went by waiting for workers without a core that one worker alone would have
/// been faster: it takes at most as many times the rest of the time as there are workers.
pub(super) fn crowded(workers: usize, took: Duration, late: Duration) -> bool {
    let alone = took.saturating_sub(late).as_secs_f64() * workers as f64;
    alone < took.as_secs_f64()
}

/// How many calls are to divide no scan by columns, left and in all, after one that did: where other programs take the
/// cores away, workers wait for each other at every step, and longer than one alone would take. What a call computes
/// does not depend on it.
pub(super) fn apart(last: u32, crowded: bool) -> [u32; 2] {
    const FIRST: u32 = 8;
    const MOST: u32 = 1024;
    match crowded {
        true => [(2 * last).clamp(FIRST, MOST); 2],
        false => [0, last / 2],
    }
}

#[cfg(test)]
mod tests {
    use cranelift_module::FuncId;

    use super::super::jit::step::{Function, Part, Work};
    use super::*;

    #[test]
    fn a_core_taken_away_for_a_while_costs_less_than_to_do_without_it() {
        let ms = Duration::from_millis;
        assert!(!crowded(2, ms(13), Duration::ZERO));
        assert!(!crowded(2, ms(14), ms(1)));
        assert!(crowded(2, ms(14), ms(8)));
        assert!(!crowded(4, ms(14), ms(8)));
        assert!(crowded(4, ms(14), ms(11)));
    }

    /// The way that a step's product of so many rows with `units` × 4·`units` weights is divided in two.
    fn by_columns(rows: i64, units: i64) -> bool {
        let [b, columns] = [rows, 4 * units].map(Dim::constant);
        let work = Work::of(0.025 * units as f64, [&b, &columns]);
        let part = Part {
            code: Function {
                id: FuncId::from_u32(0),
                slots: 0,
            },
            run: None,
            reach: Reach::Product {
                rows: Some(b.clone()),
                columns: units as usize,
                blocks: 4,
            },
            meet: true,
            probe: None,
            work,
        };
        let scan = ByColumns {
            turns: Dim::constant(100),
            reverse: false,
            rows: Some(b),
            parts: vec![part],
            grain: 32,
        };
        let [by_rows, by_columns] = costs(&scan, &|_| None, 2);
        by_columns < by_rows
    }

    #[test]
    fn more_rows_divide_columns_where_a_core_holds_its_share_of_the_weights_alone() {
        let upto = |units: i64| (1..64).take_while(|rows| by_columns(*rows, units)).count();
        assert_eq!([64, 128, 256, 512].map(upto), [1, 2, 3, 27]);
        assert!(!by_columns(64, 512));
    }

    #[test]
    fn crowded_calls_are_followed_by_ever_more_undivided_ones() {
        let mut last = 0;
        let mut all = Vec::new();
        for crowded in [true, true, false, true] {
            let [left, next] = apart(last, crowded);
            last = next;
            all.push(left);
        }
        assert_eq!(all, [8, 16, 0, 16]);
        assert_eq!(apart(1024, true), [1024; 2]);
    }
}
