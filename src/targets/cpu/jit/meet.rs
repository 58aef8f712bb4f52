//! Where workers that divide a scan's step by columns must meet.
//!
//! In: what each task of the body reads and writes, and whether its columns are divided. Out: the tasks before which all
//! workers wait for each other, as few as can be shown to do. Between two meetings a worker may be anywhere in that
//! stretch of tasks, so no task in it may touch what another worker's part of any of them writes.

use super::table::Table;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::extent::{Extent, before, is_multiple};
use crate::schedule::program::{Buffer, BufferId, Program, View};

/// Memory that a task touches at one step.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) buffer: BufferId,
    pub(super) writes: bool,
    /// None where it is not known which.
    extent: Option<Extent>,
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
            extent: None,
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
        let extent = Extent::new(v, axes, &|d| table.fix(d))?;
        let owned = columns.filter(|n| {
            let whole = |d: &Dim| is_multiple(d, *n as i64);
            let Some((last, others)) = extent.axes.split_last() else {
                return false;
            };
            last.1.as_const() == Some(1)
                && whole(&extent.from)
                && whole(&extent.step)
                && others.iter().all(|(_, stride)| whole(stride))
        });
        Ok(Access {
            buffer: v.buffer,
            writes,
            extent: Some(extent),
            owned,
        })
    }
}

/// Whether two workers' accesses, at these times, may be to one element with a write among them.
fn clash(a: (&Access, i64), b: (&Access, i64), buffers: &[Buffer]) -> bool {
    let home = |x: &Access| &buffers[x.buffer.0 as usize].home;
    if !(a.0.writes || b.0.writes) || home(a.0) != home(b.0) {
        return false;
    }
    let same = a.0.buffer == b.0.buffer;
    let own = a.0.owned.is_some() && a.0.owned == b.0.owned;
    let apart =
        a.0.extent
            .as_ref()
            .zip(b.0.extent.as_ref())
            .is_some_and(|(x, y)| {
                let never = || before((x, a.1), (y, b.1)) || before((y, b.1), (x, a.1));
                x.beside(y) || x.step == y.step && never()
            });
    !(same && (own || apart))
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
