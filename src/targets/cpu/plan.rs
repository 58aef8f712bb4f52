//! How a step's work is divided among workers, for one set of sizes.
//!
//! In: a step and the sizes of a call. Out: [`Plan`]: what each worker gets; for a scan of few rows a [`Course`]. A call
//! with the sizes of the last one need not ask again.

use super::course::{self, Course};
use super::jit::step::{Kind, Split, Step};
use super::share::share;
use crate::dim::Sym;

/// Work of less than this many nanoseconds is not worth waking another worker.
pub(super) const WAKE_NS: f64 = 30_000.0;
/// Work of less than this many is not worth another worker that waits for it; and what dividing a scan by columns has
/// to gain then. Where cores are near each other, that is; where they are not, a trial ([`super::trial`]) finds it out.
pub(super) const SHARE_NS: f64 = 2_000.0;
const MEETING_NS: f64 = 500.0;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Nanoseconds on one worker.
    work: f64,
    rows: usize,
    columns: usize,
    row_grain: usize,
    column_grain: usize,
    by_rows: bool,
    /// Workers that it is worth: where they sleep, and where they wait.
    workers: [usize; 2],
    /// The step divided within each time, where that is better than by rows.
    course: Option<Course>,
    /// Whether that is so where workers have to be woken.
    wakes: bool,
}

impl Plan {
    /// `always` divides among all, however little there is to do; `together` if all have cores, so that they may meet
    /// often.
    pub(super) fn of(
        step: &Step,
        value: &dyn Fn(&Sym) -> Option<i64>,
        all: usize,
        always: bool,
        together: bool,
    ) -> Plan {
        let extent = |s: &Option<Split>| {
            let n = s.as_ref().map_or(Some(1), |s| s.extent.eval(value));
            n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
        };
        let (rows, columns) = (extent(&step.task.rows), extent(&step.task.columns));
        let grain = |s: &Option<Split>| s.as_ref().map(|s| s.grain);
        let (row_grain, column_grain) = (grain(&step.task.rows), grain(&step.task.columns));
        let work = step.task.work.nanoseconds(value);
        let workers = [WAKE_NS, SHARE_NS].map(|least| match always {
            _ if rows == 0 && columns == 0 => 1,
            true => all,
            false if together => ((work / least) as usize).clamp(1, all),
            false => ((work / WAKE_NS) as usize).clamp(1, all),
        });
        let parts = |n: usize, grain: Option<usize>| grain.map_or(0, |g| n.div_ceil(g));
        let (course, wakes) = match &step.kind {
            Kind::Scan(Some(s)) if together => {
                let [by_rows, by_columns] = course::costs(s, value, all);
                let worth = [WAKE_NS, MEETING_NS].map(|least| match always {
                    true => rows < 2 * all,
                    false => by_columns + least < by_rows,
                });
                let course = worth[1].then(|| Course::of(s, value, all)).flatten();
                (course, worth[0])
            }
            Kind::Scan(_) | Kind::Loop | Kind::Gemm | Kind::Pack(_) | Kind::Routine => {
                (None, false)
            }
        };
        Plan {
            by_rows: parts(rows, row_grain) >= parts(columns, column_grain).min(workers[1]),
            workers,
            work,
            rows,
            columns,
            row_grain: row_grain.unwrap_or(1),
            column_grain: column_grain.unwrap_or(1),
            course,
            wakes,
        }
    }

    /// Nanoseconds that the step is expected to take on one worker.
    pub(super) fn work(&self) -> f64 {
        self.work
    }

    /// Workers for a division by rows or columns; `awake` if they wait for work.
    pub(super) fn workers(&self, awake: bool) -> usize {
        self.workers[usize::from(awake)]
    }

    /// The step divided within each time, where that is better than by rows.
    pub(super) fn course(&self, awake: bool) -> Option<&Course> {
        self.course.as_ref().filter(|_| awake || self.wakes)
    }

    /// Whether it is divided only among workers that wait.
    pub(super) fn is_small(&self) -> bool {
        self.workers[0] < self.workers[1] || self.course.is_some() && !self.wakes
    }

    /// `[row_lo, row_hi, column_lo, column_hi]` of a worker; `None` where nothing is left for it.
    pub(super) fn share(&self, worker: usize, workers: usize) -> Option<[i64; 4]> {
        let (mut r, mut c) = (0..self.rows, 0..self.columns);
        if self.by_rows {
            r = share(self.rows, self.row_grain, worker, workers);
        } else {
            c = share(self.columns, self.column_grain, worker, workers);
        }
        let none = r.is_empty() && self.rows > 0 || c.is_empty() && self.columns > 0;
        (!none).then(|| [r.start, r.end, c.start, c.end].map(|n| n as i64))
    }
}
