//! Code for work that has a precompiled routine: addresses, loops over rows, and calls.
//!
//! In: a [`Routine`]. Out: one function over a range of its rows (of the table's, for a scatter).
//!
//! An index outside its table reads as zeros and adds nothing; a length outside the sequence takes zeros and puts nothing.

use cranelift_codegen::ir::{InstBuilder, Value};

use super::Generator;
use super::asm::{Asm, FLOAT};
use super::calls::{self, call_kernel};
use super::rowwise::{Range, Rows};
use super::step::{Split, TaskFn, Work};
use super::table::{Table, too_large};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Axis, Routine, View};

/// Nanoseconds for one element.
const ROW_NS: f64 = 0.6;
pub(super) const COPY_NS: f64 = 0.2;

/// The size of the first axis, where a routine can be run on a range of it.
pub(super) fn rows(r: &Routine) -> Option<&Dim> {
    match r {
        Routine::Softmax { out, .. } | Routine::Top { out, .. } if out.axes.len() > 1 => {
            Some(&out.axes[0].size)
        }
        Routine::Softmax { .. } | Routine::Top { .. } => None,
        Routine::CrossEntropy { target, .. } | Routine::CrossEntropyGrad { target, .. } => {
            target.axes.first().map(|a| &a.size)
        }
        Routine::Gather { index, .. } => index.axes.first().map(|a| &a.size),
        Routine::Random { timed, out, .. } => match timed {
            true => None,
            false => out.axes.first().map(|a| &a.size),
        },
        Routine::ScatterAdd { .. } | Routine::Take { .. } | Routine::Put { .. } => None,
    }
}

/// The last axes of two views joined into one run of floats, where they are one.
pub(super) struct Width {
    /// Floats that lie side by side in both.
    pub(super) run: Dim,
    /// Axes before the run.
    pub(super) outer: usize,
}

/// How much of the axes from `from` on lies side by side in every view.
pub(super) fn width(views: &[&View], from: &[usize], table: &Table) -> Result<Width, Diagnostic> {
    let mut run = Dim::constant(1);
    let mut outer = views[0].axes.len() - from[0];
    while outer > 0 {
        let axis = |i: usize| &views[i].axes[from[i] + outer - 1];
        for i in 0..views.len() {
            let alone = table.fix(&axis(i).size)?.as_const() == Some(1);
            if !alone && table.fix(&axis(i).stride)? != run {
                return Ok(Width { run, outer });
            }
        }
        let size = table.fix(&axis(0).size)?;
        run = run.checked_mul(&size).map_err(|_| too_large(&size))?;
        outer -= 1;
    }
    Ok(Width { run, outer })
}

pub(super) fn scattered(name: &str) -> Diagnostic {
    Diagnostic::error(
        "compile::layout",
        format!("the rows of {name} do not lie side by side"),
    )
}

/// A view without its last axis, if that is one run of floats; and that axis' size.
fn row_of(name: &str, v: &View, table: &Table) -> Result<Dim, Diagnostic> {
    let last: &Axis = v.axes.last().ok_or_else(|| scattered(name))?;
    let size = table.fix(&last.size)?;
    if size.as_const() != Some(1) && table.fix(&last.stride)?.as_const() != Some(1) {
        return Err(scattered(name));
    }
    Ok(size)
}

impl Generator<'_> {
    pub(super) fn routine(
        &mut self,
        name: &str,
        routine: &Routine,
        by_rows: bool,
    ) -> Result<TaskFn, Diagnostic> {
        match routine {
            Routine::Softmax { x, out } => {
                let width = row_of(name, x, &self.table)?;
                row_of(name, out, &self.table)?;
                let count = out.axes.len() - 1;
                let rows = self.rows(&[x, out], count, &[false; 2], by_rows)?;
                self.row_task("softmax", name, &rows, width, |asm, r, width| {
                    let [x, out] = [r.at[0], r.at[1]];
                    let args = [r.lo, r.hi, width, x, r.strides[0], out, r.strides[1]];
                    call_kernel(asm, calls::SOFTMAX, &args)
                })
            }
            Routine::Top { k, x, out } => {
                let width = row_of(name, x, &self.table)?;
                row_of(name, out, &self.table)?;
                let count = out.axes.len() - 1;
                let rows = self.rows(&[x, out], count, &[false; 2], by_rows)?;
                self.row_task("top", name, &rows, width, |asm, r, width| {
                    let k = asm.int(i64::try_from(*k).unwrap_or(i64::MAX));
                    let [x, out] = [r.at[0], r.at[1]];
                    let args = [r.lo, r.hi, width, k, x, r.strides[0], out, r.strides[1]];
                    call_kernel(asm, calls::TOP, &args)
                })
            }
            Routine::CrossEntropy {
                logits,
                target,
                out,
            } => {
                let width = row_of(name, logits, &self.table)?;
                let views = [logits, target, out];
                let rows = self.rows(&views, target.axes.len(), &[false, true, true], by_rows)?;
                self.row_task("cross_entropy", name, &rows, width, |asm, r, width| {
                    let args = [r.lo, r.hi, width, r.at[0], r.strides[0], r.at[1], r.at[2]];
                    call_kernel(asm, calls::CROSS_ENTROPY, &args)
                })
            }
            Routine::CrossEntropyGrad {
                logits,
                target,
                g,
                out,
            } => {
                let width = row_of(name, logits, &self.table)?;
                row_of(name, out, &self.table)?;
                let views = [logits, target, g, out];
                let unit = [false, true, true, false];
                let rows = self.rows(&views, target.axes.len(), &unit, by_rows)?;
                self.row_task("cross_entropy_grad", name, &rows, width, |asm, r, width| {
                    let args = [
                        r.lo,
                        r.hi,
                        width,
                        r.at[0],
                        r.strides[0],
                        r.at[1],
                        r.at[2],
                        r.at[3],
                        r.strides[3],
                    ];
                    call_kernel(asm, calls::CROSS_ENTROPY_GRAD, &args)
                })
            }
            Routine::Gather { table, index, out } => {
                self.gather(name, [table, index, out], by_rows)
            }
            Routine::ScatterAdd { grad, index, out } => self.scatter(name, [grad, index, out]),
            Routine::Take { x, len, out } => self.take(name, x, len.as_ref(), out, false),
            Routine::Put { g, len, out } => self.take(name, out, len.as_ref(), g, true),
            Routine::Random {
                path,
                dist,
                timed,
                out,
            } => self.random(name, path, *dist, *timed, out, by_rows),
        }
    }

    fn rows(
        &self,
        views: &[&View],
        count: usize,
        unit: &[bool],
        by_rows: bool,
    ) -> Result<Rows, Diagnostic> {
        Rows::new(views, count, unit, by_rows, &self.table)
    }

    /// A task that calls a kernel on ranges of rows; `call` gets the width.
    fn row_task(
        &mut self,
        kind: &str,
        name: &str,
        rows: &Rows,
        width: Dim,
        call: impl Fn(&mut Asm<'_, '_>, &Range, Value) -> Result<(), Diagnostic>,
    ) -> Result<TaskFn, Diagnostic> {
        let code = self.function(kind, name, |asm| {
            let width = asm.size(&width)?;
            let bounds = (asm.params.lo, asm.params.hi);
            rows.emit(asm, bounds, &mut |asm, r| call(asm, r, width))
        })?;
        let sizes: Vec<&Dim> = rows.sizes().chain([&width]).collect();
        let grain = if rows.flat() { 8 } else { 1 };
        Ok(TaskFn {
            code,
            lines: vec![format!("{kind} {name}, rows of {width}")],
            rows: Some(Split {
                extent: rows.extent().clone(),
                grain,
            }),
            columns: None,
            work: Work::of(ROW_NS, sizes),
        })
    }

    fn gather(
        &mut self,
        name: &str,
        [table, index, out]: [&View; 3],
        by_rows: bool,
    ) -> Result<TaskFn, Diagnostic> {
        let count = index.axes.len();
        let w = width(&[table, out], &[1, count], &self.table)?;
        if w.outer > 0 {
            return Err(scattered(name));
        }
        let entries = self.table.fix(&table.axes[0].size)?;
        let entry = self.table.fix(&table.axes[0].stride)?;
        // The table does not move along the rows; its address is that of a view without axes.
        let fixed = still(table, count);
        let rows = self.rows(&[index, &fixed, out], count, &[true, false, false], by_rows)?;
        let run = w.run;
        let code = self.function("gather", name, |asm| {
            let (width, entries) = (asm.size(&run)?, asm.size(&entries)?);
            let entry = asm.size(&entry)?;
            let bounds = (asm.params.lo, asm.params.hi);
            rows.emit(asm, bounds, &mut |asm, r| {
                let args = [
                    r.lo,
                    r.hi,
                    width,
                    r.at[1],
                    entry,
                    entries,
                    r.at[0],
                    r.at[2],
                    r.strides[2],
                ];
                call_kernel(asm, calls::GATHER, &args)
            })
        })?;
        let sizes: Vec<&Dim> = rows.sizes().chain([&run]).collect();
        Ok(TaskFn {
            code,
            lines: vec![format!("gather {name}, rows of {run}")],
            rows: Some(Split {
                extent: rows.extent().clone(),
                grain: 1,
            }),
            columns: None,
            work: Work::of(COPY_NS, sizes),
        })
    }

    /// Each worker goes over all positions and adds those of its own rows of the table.
    fn scatter(
        &mut self,
        name: &str,
        [grad, index, out]: [&View; 3],
    ) -> Result<TaskFn, Diagnostic> {
        let count = index.axes.len();
        let w = width(&[grad, out], &[count, 1], &self.table)?;
        if w.outer > 0 {
            return Err(scattered(name));
        }
        let entries = self.table.fix(&out.axes[0].size)?;
        let entry = self.table.fix(&out.axes[0].stride)?;
        let rows = self.rows(&[grad, index], count, &[false, true], false)?;
        let run = w.run;
        let code = self.function("scatter", name, |asm| {
            let (width, entry) = (asm.size(&run)?, asm.size(&entry)?);
            let positions = asm.size(rows.extent())?;
            let (lo, hi, zero, one) = (asm.params.lo, asm.params.hi, asm.int(0), asm.int(1));
            let to = super::address::base(asm, &super::nest::fixed_walk(out, asm.table)?)?;
            // The rows start from 0; then every range of positions adds to them.
            let none = [lo, hi, zero, width, to, to, zero, to, entry, zero];
            call_kernel(asm, calls::SCATTER_ADD, &none)?;
            rows.emit(asm, (zero, positions), &mut |asm, r| {
                let mut at = [r.at[1], r.at[0]];
                for (p, stride) in at.iter_mut().zip([r.strides[1], r.strides[0]]) {
                    let far = asm.mul(r.lo, stride);
                    let far = asm.b.ins().imul_imm_s(far, FLOAT);
                    *p = asm.add(*p, far);
                }
                let count = asm.b.ins().isub(r.hi, r.lo);
                let args = [
                    lo,
                    hi,
                    count,
                    width,
                    at[0],
                    at[1],
                    r.strides[0],
                    to,
                    entry,
                    one,
                ];
                call_kernel(asm, calls::SCATTER_ADD, &args)
            })
        })?;
        let sizes: Vec<&Dim> = rows.sizes().chain([&run]).collect();
        Ok(TaskFn {
            code,
            lines: vec![format!("scatter {name}, {entries} rows of {run}")],
            rows: Some(Split {
                extent: entries,
                grain: 1,
            }),
            columns: None,
            work: Work::of(COPY_NS, sizes),
        })
    }
}

/// The view's first element for each of `count` axes.
fn still(v: &View, count: usize) -> View {
    let axis = Axis {
        size: Dim::constant(1),
        stride: Dim::constant(0),
    };
    View {
        axes: vec![axis; count],
        ..v.clone()
    }
}
