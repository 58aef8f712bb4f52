//! Where workers that divide a scan's step by columns must meet.
//!
//! In: what each task of the body reads and writes, and whether its columns are divided. Out: the tasks before which all
//! workers wait for each other, as few as can be shown to do. Between two meetings a worker may be anywhere in that
//! stretch of tasks, so no task in it may touch what another worker's part of any of them writes.

use std::ops::Range;

use super::table::Table;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Buffer, BufferId, Program, View};

/// Memory that a task touches at one step.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) buffer: BufferId,
    pub(super) writes: bool,
    /// Where it begins at time 0, how much further at each time, and the sizes and strides from there; none where that is
    /// not known.
    from: Dim,
    step: Dim,
    axes: Option<Vec<(Dim, Dim)>>,
    /// The number of columns, where worker and column are one: address modulo this is the divided axis' coordinate.
    owned: Option<usize>,
}

/// A task of the body.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    pub(super) accesses: Vec<Access>,
    /// Run by the first worker alone.
    pub(super) alone: bool,
}

impl Access {
    /// An unknown part of a buffer.
    pub(super) fn somewhere(buffer: BufferId, writes: bool) -> Access {
        Access {
            buffer,
            writes,
            from: Dim::constant(0),
            step: Dim::constant(0),
            axes: None,
            owned: None,
        }
    }

    /// What a view with these axes, as sizes and strides, touches. With `columns` each worker touches its share of the
    /// last axis, which has that size.
    pub(super) fn of(
        v: &View,
        axes: &[(Dim, Dim)],
        columns: Option<usize>,
        writes: bool,
        table: &Table,
    ) -> Result<Access, Diagnostic> {
        let from = table.fix(&v.offset)?;
        let step = match &v.step {
            Some(step) => table.fix(step)?,
            None => Dim::constant(0),
        };
        let mut fixed = Vec::new();
        for (size, stride) in axes {
            fixed.push((table.fix(size)?, table.fix(stride)?));
        }
        let owned = columns.filter(|n| {
            let whole = |d: &Dim| is_multiple(d, *n as i64);
            let (last, others) = match fixed.split_last() {
                Some(split) => split,
                None => return false,
            };
            last.1.as_const() == Some(1)
                && whole(&from)
                && whole(&step)
                && others.iter().all(|(_, stride)| whole(stride))
        });
        Ok(Access {
            buffer: v.buffer,
            writes,
            axes: Some(fixed),
            from,
            step,
            owned,
        })
    }

    /// Its first element at time t + `later`, less t steps.
    fn start(&self, later: i64) -> Option<Dim> {
        let far = self.step.checked_mul(&Dim::constant(later)).ok()?;
        self.from.checked_add(&far).ok()
    }

    /// Where in stretches of `pitch` elements it lies, at any time.
    fn residue(&self, pitch: i64) -> Option<Range<i64>> {
        let mut from = 0;
        for (m, c) in self.from.terms() {
            match m.is_empty() {
                true => from = c.rem_euclid(pitch),
                false if c % pitch == 0 => {}
                false => return None,
            }
        }
        let within = self.axes.as_ref()?.iter();
        let far = span(within.filter(|(_, stride)| !is_multiple(stride, pitch)))?.as_const()?;
        (is_multiple(&self.step, pitch) && from + far <= pitch).then_some(from..from + far)
    }

    /// Distances of elements along its axes, where they are known.
    fn pitches(&self) -> impl Iterator<Item = i64> {
        let strides = self.axes.iter().flatten().filter_map(|(_, s)| s.as_const());
        strides.filter(|s| *s > 1)
    }
}

/// One more than the furthest element of axes with these sizes and strides.
fn span<'a>(axes: impl Iterator<Item = &'a (Dim, Dim)>) -> Option<Dim> {
    let mut all = Dim::constant(1);
    for (size, stride) in axes {
        if !never_negative(stride) {
            return None;
        }
        let far = size.checked_sub(&Dim::constant(1)).ok()?;
        let far = far.checked_mul(stride).ok()?;
        all = all.checked_add(&far).ok()?;
    }
    Some(all)
}

fn is_multiple(d: &Dim, of: i64) -> bool {
    d.terms().all(|(_, c)| c % of == 0)
}

/// Whether it can be seen that this is at least 0: sizes are.
fn never_negative(d: &Dim) -> bool {
    d.terms().all(|(_, c)| c >= 0)
}

/// Whether `a` ends before `b` begins.
fn before(a: (&Access, i64), b: (&Access, i64)) -> Option<bool> {
    let far = span(a.0.axes.as_ref()?.iter())?;
    let end = a.0.start(a.1)?.checked_add(&far).ok()?;
    // It begins there only if no stride leads back.
    span(b.0.axes.as_ref()?.iter())?;
    Some(never_negative(&b.0.start(b.1)?.checked_sub(&end).ok()?))
}

/// Whether both lie side by side in every row, say, of a matrix.
fn beside(a: &Access, b: &Access) -> bool {
    a.pitches().chain(b.pitches()).any(|pitch| {
        let both = a.residue(pitch).zip(b.residue(pitch));
        both.is_some_and(|(a, b)| a.end <= b.start || b.end <= a.start)
    })
}

/// Whether two workers' accesses, at these times, may be to one element with a write among them.
fn clash(a: (&Access, i64), b: (&Access, i64), buffers: &[Buffer]) -> bool {
    let home = |x: &Access| &buffers[x.buffer.0 as usize].home;
    if !(a.0.writes || b.0.writes) || home(a.0) != home(b.0) {
        return false;
    }
    let same = a.0.buffer == b.0.buffer;
    let own = a.0.owned.is_some() && a.0.owned == b.0.owned;
    let apart = || before(a, b) == Some(true) || before(b, a) == Some(true);
    !(same && (own || beside(a.0, b.0) || a.0.step == b.0.step && apart()))
}

/// A task and how much later than the stretch's first it is run, in steps of time.
type At<'d> = (&'d Doing, i64);

fn clashes(a: At<'_>, b: At<'_>, buffers: &[Buffer]) -> bool {
    let pairs = |x: &Access| {
        let other = |y| clash((x, a.1), (y, b.1), buffers);
        b.0.accesses.iter().any(other)
    };
    !(a.0.alone && b.0.alone) && a.0.accesses.iter().any(pairs)
}

impl Doing {
    /// Whether its own parts, run by different workers, disturb one another. They write different columns.
    pub(super) fn disturbs_itself(&self, program: &Program) -> bool {
        let (writes, reads): (Vec<_>, Vec<_>) = self.accesses.iter().partition(|a| a.writes);
        let met = |w: &&Access| {
            let other = |r: &&Access| clash((w, 0), (r, 0), &program.buffers);
            reads.iter().any(other)
        };
        writes.iter().any(met)
    }
}

/// Before which tasks workers meet, one at least: of all ways to begin, the one that meets least.
pub(super) fn meetings(tasks: &[Doing], reverse: bool, program: &Program) -> Vec<bool> {
    let later = if reverse { -1 } else { 1 };
    let n = tasks.len();
    let from = |first: usize| {
        let mut meet = vec![false; n];
        let mut stretch: Vec<At<'_>> = Vec::new();
        for i in first..first + n {
            // Past the body's end a task is the next step's.
            let at = (&tasks[i % n], if i >= n { later } else { 0 });
            if i == first || stretch.iter().any(|s| clashes(*s, at, &program.buffers)) {
                meet[i % n] = true;
                stretch.clear();
            }
            stretch.push(at);
        }
        meet
    };
    let count = |meet: &Vec<bool>| meet.iter().filter(|m| **m).count();
    (0..n).map(from).min_by_key(count).unwrap_or_default()
}
