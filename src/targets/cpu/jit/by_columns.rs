//! Scans whose steps are divided by columns: for a batch of too few rows to go round.
//!
//! In: a scan and its body's tasks as compiled for ranges of rows. Out: [`ByColumns`]. A product is divided by columns of
//! its result, so that each worker reads its own part of the weights and no sum is cut; a group by its last axis. Where a
//! product gives several values side by side (the gates of a cell), a worker's share is the same columns of each, so that
//! the group after it finds what it needs in the worker's own cache and nobody has to wait in between.

use super::super::weights::touched;
use super::Generator;
use super::gemm::Shape;
use super::meet::{Access, Doing, meetings};
use super::nest::Ranges;
use super::recast;
use super::scan::Inner;
use super::step::{ByColumns, Part, Reach, Split, TaskFn};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{BufferId, Effect, Gemm, GemmAxis, Loop, Scan, Task};

impl Generator<'_> {
    /// The scan divided by columns, if any product of its body can be.
    pub(super) fn by_columns(
        &mut self,
        s: &Scan,
        scan: &TaskFn,
        body: &[Inner],
    ) -> Result<Option<ByColumns>, Diagnostic> {
        if !self.by_columns {
            return Ok(None);
        }
        let extent = |s: &Option<Split>| s.as_ref().map(|s| s.extent.clone());
        let all_rows = extent(&scan.rows);
        let grain = self.kernels.nr;
        // Columns of the groups: where they agree, products are divided like them.
        let mut widths = Vec::new();
        for task in &s.body {
            if let Task::Loop(l) = task {
                widths.extend(self.columns(l)?);
            }
        }
        let units = widths.iter().copied().max_by_key(|w| {
            let alike = widths.iter().filter(|x| *x == w).count();
            (alike, *w)
        });
        let mut parts = Vec::new();
        let mut doing = Vec::new();
        for (task, inner) in s.body.iter().zip(body) {
            // In a scan whose ranges are rows, so are its tasks'.
            let rows = all_rows.clone().or_else(|| extent(&inner.task.rows));
            let columns = extent(&inner.task.columns);
            let mut code = inner.task.code;
            let mut reach = None;
            let mut does = None;
            match task {
                Task::Loop(l) => {
                    if let Some(columns) = self.columns(l)?.filter(|n| *n >= 2 * grain) {
                        reach = Some(Reach::Group { columns });
                        does = Some(self.group_does(l, columns)?);
                    }
                }
                Task::Gemm(g) if recast::dot(g, &self.table)?.is_none() => {
                    if let Some((columns, blocks)) = self.product_columns(g, units, grain)? {
                        does = Some(self.product_does(g, columns)?);
                        reach = Some(Reach::Product {
                            rows: rows.clone(),
                            columns,
                            blocks,
                        });
                    }
                }
                Task::Gemm(_) | Task::Scan(_) | Task::Routine { .. } => {}
            }
            let divided = does.filter(|d| !d.disturbs_itself(self.program));
            let (reach, does) = match (reach, divided) {
                (Some(reach), Some(does)) => (reach, does),
                _ => (Reach::First { rows, columns }, self.alone(task)),
            };
            if let (Reach::Group { .. }, Task::Loop(l)) = (&reach, task) {
                code = self.group(l, Ranges::Columns)?.0;
            }
            parts.push(Part {
                code,
                run: None,
                reach,
                meet: false,
                probe: inner.probe,
                work: inner.task.work.clone(),
            });
            doing.push(does);
        }
        let product = |p: &Part| matches!(p.reach, Reach::Product { .. });
        if !parts.iter().any(product) {
            return Ok(None);
        }
        let meet = meetings(&doing, s.reverse, self.program);
        for (part, meet) in parts.iter_mut().zip(meet) {
            part.meet = meet;
        }
        Ok(Some(ByColumns {
            turns: self.table.fix(&s.extent)?,
            reverse: s.reverse,
            rows: all_rows,
            parts,
            grain,
        }))
    }

    /// The size of a group's last axis, where it is known and no fold runs over it.
    fn columns(&self, l: &Loop) -> Result<Option<usize>, Diagnostic> {
        let folds = l.effects.iter().any(|e| matches!(e, Effect::Fold { .. }));
        let Some(last) = l
            .space
            .last()
            .filter(|_| !folds || l.reduced.last() == Some(&false))
        else {
            return Ok(None);
        };
        let n = self.table.fix(last)?.as_const();
        Ok(n.and_then(|n| usize::try_from(n).ok()))
    }

    /// How a product's columns are divided: the columns of a block and how many blocks there are.
    fn product_columns(
        &self,
        g: &Gemm,
        units: Option<usize>,
        grain: usize,
    ) -> Result<Option<(usize, usize)>, Diagnostic> {
        let shape = Shape::new(g, &self.table, None)?;
        let n = shape.columns.as_const();
        let all = n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if shape.turned || all < 2 * grain {
            return Ok(None);
        }
        // Blocks begin at whole panels.
        let fits = |u: &usize| *u >= 2 * grain && u.is_multiple_of(grain) && all.is_multiple_of(*u);
        Ok(Some(match units.filter(fits) {
            Some(u) => (u, all / u),
            None => (all, 1),
        }))
    }

    fn group_does(&self, l: &Loop, columns: usize) -> Result<Doing, Diagnostic> {
        let mut accesses = Vec::new();
        for v in &l.loads {
            let axes: Vec<(Dim, Dim)> = pairs(v.axes.iter().map(|a| (&a.size, &a.stride)));
            accesses.push(Access::of(v, &axes, Some(columns), false, &self.table)?);
        }
        for e in &l.effects {
            let (Effect::Store { to, .. } | Effect::Fold { to, .. }) = e;
            let axes = pairs(to.axes.iter().map(|a| (&a.size, &a.stride)));
            accesses.push(Access::of(to, &axes, Some(columns), true, &self.table)?);
        }
        Ok(Doing {
            accesses,
            alone: false,
        })
    }

    /// What a product does that is divided by columns in blocks of so many.
    fn product_does(&self, g: &Gemm, columns: usize) -> Result<Doing, Diagnostic> {
        let list = |lists: [&[GemmAxis]; 3], stride: fn(&GemmAxis) -> &Dim| {
            pairs(lists.into_iter().flatten().map(|a| (&a.size, stride(a))))
        };
        let left = list([&g.batch, &g.m, &g.k], |a| &a.lhs);
        let right = list([&g.batch, &g.n, &g.k], |a| &a.rhs);
        let mut out = list([&g.batch, &g.m, &g.n], |a| &a.out);
        // The divided axis last: the one whose columns lie side by side.
        let unit = |(size, stride): &(Dim, Dim)| {
            let (size, stride) = (self.table.fix(size), self.table.fix(stride));
            let is = |d: Result<Dim, Diagnostic>, n: i64| d.is_ok_and(|d| d.as_const() == Some(n));
            is(stride, 1) && !is(size, 1)
        };
        let own = match out.iter().position(unit) {
            Some(i) => {
                out[i..].rotate_left(1);
                Some(columns)
            }
            None => None,
        };
        let t = &self.table;
        Ok(Doing {
            accesses: vec![
                Access::of(&g.lhs, &left, None, false, t)?,
                Access::of(&g.rhs, &right, None, false, t)?,
                Access::of(&g.out, &out, own, true, t)?,
            ],
            alone: false,
        })
    }

    fn alone(&self, task: &Task) -> Doing {
        let everything = (0..self.program.buffers.len()).map(|b| BufferId(b as u32));
        let [reads, writes] = touched(task, &everything.collect());
        let reads = reads.into_iter().map(|b| Access::somewhere(b, false));
        let writes = writes.into_iter().map(|b| Access::somewhere(b, true));
        Doing {
            accesses: reads.chain(writes).collect(),
            alone: true,
        }
    }
}

fn pairs<'a>(axes: impl Iterator<Item = (&'a Dim, &'a Dim)>) -> Vec<(Dim, Dim)> {
    axes.map(|(a, b)| (a.clone(), b.clone())).collect()
}
