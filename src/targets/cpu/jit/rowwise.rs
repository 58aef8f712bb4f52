//! Loops over rows for routines that work on one row at a time.
//!
//! In: views that share their leading axes. Out: [`Rows`]: those axes joined where all views walk them as one, loops over
//! the outer ones, and the innermost left to a kernel that takes a range of rows.

use cranelift_codegen::ir::Value;

use super::address::base;
use super::asm::Asm;
use super::machine::internal;
use super::nest::{Walk, fixed_walk};
use super::table::{Table, too_large};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Axis, View};

/// A leading axis: its size and its stride in each view.
#[derive(Clone, Debug)]
struct RowAxis {
    size: Dim,
    strides: Vec<Dim>,
}

#[derive(Clone, Debug)]
pub(crate) struct Rows {
    axes: Vec<RowAxis>,
    walks: Vec<Walk>,
}

/// A range of rows for a kernel: each view's address at row 0, and its stride in elements.
pub(crate) struct Range {
    pub(crate) lo: Value,
    pub(crate) hi: Value,
    pub(crate) at: Vec<Value>,
    pub(crate) strides: Vec<Value>,
}

impl Rows {
    /// The first `count` axes of every view. `unit` views must have their rows side by side in a kernel's range. With
    /// `apart` the first axis is not joined with others, so that ranges count it alone.
    pub(crate) fn new(
        views: &[&View],
        count: usize,
        unit: &[bool],
        apart: bool,
        table: &Table,
    ) -> Result<Rows, Diagnostic> {
        let mut axes = Vec::new();
        for i in 0..count {
            let axis = |v: &&View| {
                let a = v.axes.get(i);
                a.ok_or_else(|| internal(&"a routine's view has too few axes"))
                    .cloned()
            };
            let all: Vec<Axis> = views.iter().map(axis).collect::<Result<_, _>>()?;
            let strides = all
                .iter()
                .map(|a| table.fix(&a.stride))
                .collect::<Result<_, _>>()?;
            let size = table.fix(&all[0].size)?;
            axes.push(RowAxis { size, strides });
        }
        let mut walks = Vec::new();
        for v in views {
            walks.push(fixed_walk(v, table)?);
        }
        let mut rows = Rows { axes, walks };
        rows.join(apart)?;
        let side_by_side = |a: &RowAxis| {
            let one = |(s, unit): (&Dim, &bool)| !unit || s.as_const() == Some(1);
            a.strides.iter().zip(unit).all(one)
        };
        // A kernel always gets an axis: where the last does not suit it, one of a single row.
        if !rows.axes.last().is_some_and(side_by_side) {
            rows.axes.push(RowAxis {
                size: Dim::constant(1),
                strides: vec![Dim::constant(1); views.len()],
            });
        }
        Ok(rows)
    }

    fn join(&mut self, apart: bool) -> Result<(), Diagnostic> {
        let mut i = self.axes.len();
        while i > 1 + usize::from(apart) {
            i -= 1;
            let inner = self.axes[i].clone();
            let outer = &mut self.axes[i - 1];
            let mut joined = true;
            for (o, n) in outer.strides.iter().zip(&inner.strides) {
                let one = n.checked_mul(&inner.size).map_err(|_| too_large(n))?;
                joined &= one == *o;
            }
            if joined {
                outer.size = outer
                    .size
                    .checked_mul(&inner.size)
                    .map_err(|_| too_large(&inner.size))?;
                outer.strides = inner.strides;
                self.axes.remove(i);
            }
        }
        Ok(())
    }

    /// What a range counts.
    pub(crate) fn extent(&self) -> &Dim {
        &self.axes[0].size
    }

    /// Whether a range goes to the kernel whole.
    pub(crate) fn flat(&self) -> bool {
        self.axes.len() == 1
    }

    pub(crate) fn sizes(&self) -> impl Iterator<Item = &Dim> {
        self.axes.iter().map(|a| &a.size)
    }

    /// Loops over the range `bounds` of the first axis and all of the others but the last; `call` gets the last.
    pub(crate) fn emit(
        &self,
        asm: &mut Asm<'_, '_>,
        bounds: (Value, Value),
        call: &mut dyn FnMut(&mut Asm<'_, '_>, &Range) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let mut at = Vec::new();
        for w in &self.walks {
            at.push(base(asm, w)?);
        }
        // Read before any loop.
        let mut live = Vec::new();
        for (i, a) in self.axes.iter().enumerate() {
            let (lo, hi) = if i == 0 {
                bounds
            } else {
                (asm.int(0), asm.size(&a.size)?)
            };
            let mut bytes = Vec::new();
            let mut strides = Vec::new();
            for s in &a.strides {
                bytes.push(asm.bytes(s)?);
                strides.push(asm.size(s)?);
            }
            live.push((lo, hi, bytes, strides));
        }
        over(asm, &live, at, call)
    }
}

type Live = (Value, Value, Vec<Value>, Vec<Value>);

fn over(
    asm: &mut Asm<'_, '_>,
    live: &[Live],
    at: Vec<Value>,
    call: &mut dyn FnMut(&mut Asm<'_, '_>, &Range) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    let (lo, hi, bytes, strides) = &live[0];
    if live.len() == 1 {
        return call(
            asm,
            &Range {
                lo: *lo,
                hi: *hi,
                at,
                strides: strides.clone(),
            },
        );
    }
    asm.count(*lo, *hi, |asm, i| {
        let mut inner = Vec::new();
        for (p, stride) in at.iter().zip(bytes) {
            let far = asm.mul(i, *stride);
            inner.push(asm.add(*p, far));
        }
        over(asm, &live[1..], inner, call)
    })
}
