//! The loops around a fused group: which axes there are, in which order they run, which one is a vector.
//!
//! In: a [`Loop`]. Out: a [`Nest`]. Axes of size 1 are left out; neighbours that every view walks with one stride are
//! one axis. Kept axes run outside, reduced ones inside. The vector axis is the last of the space:
//!
//! - all stores: the innermost loop;
//! - folds over the last axis: the innermost loop, four partial sums at a time;
//! - folds over other axes only: a block of columns outside the reduced loops, each column summed in order.

use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::schedule::program::{Axis, BufferId, Effect, Expr, Loop, View};

use super::machine::internal;
use super::table::{Table, too_large};

/// A view with one stride for every axis of the nest, sizes fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    pub(crate) buffer: BufferId,
    pub(crate) offset: Dim,
    pub(crate) step: Dim,
    pub(crate) strides: Vec<Dim>,
}

/// What a range of a group's function counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// Turns of the outermost loop.
    Outer,
    /// Steps of the space's first axis, whatever it was joined with.
    Rows,
    /// Steps of the space's last axis, a kept one, which is joined with none. All rows are run.
    Columns,
}

#[derive(Clone, Debug)]
pub(crate) struct NestAxis {
    pub(crate) size: Dim,
    pub(crate) reduced: bool,
    /// The axis of the space, where it is one alone.
    pub(crate) origin: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Nest {
    /// Outermost first.
    pub(crate) axes: Vec<NestAxis>,
    /// Position of the vector axis.
    pub(crate) vector: Option<usize>,
    /// Positions from here on are reduced.
    pub(crate) first_reduced: usize,
    /// How far the axis that ranges count may be divided among workers, in units of a range; `None` if it may not.
    pub(crate) split: Option<Dim>,
    /// Position of that axis.
    pub(crate) ranged: usize,
    /// Turns of the outermost loop in one unit of a range.
    pub(crate) scale: Dim,
    pub(crate) loads: Vec<Walk>,
    pub(crate) effects: Vec<Walk>,
}

impl Nest {
    pub(crate) fn new(l: &Loop, table: &Table, ranges: Ranges) -> Result<Nest, Diagnostic> {
        let space: Vec<Dim> = l
            .space
            .iter()
            .map(|d| table.fix(d))
            .collect::<Result<_, _>>()?;
        let folds = l.effects.iter().any(|e| matches!(e, Effect::Fold { .. }));
        let reduced: Vec<bool> = (0..space.len()).map(|i| folds && l.reduced[i]).collect();
        let mut loads = Vec::new();
        for v in &l.loads {
            loads.push(walk(v, &vec![false; space.len()], table)?);
        }
        let mut effects = Vec::new();
        for e in &l.effects {
            let (Effect::Store { to, .. } | Effect::Fold { to, .. }) = e;
            effects.push(walk(to, &reduced, table)?);
        }
        let mut axes: Vec<NestAxis> = Vec::new();
        let mut keep = Vec::new();
        for (i, size) in space.iter().enumerate() {
            let counted = match ranges {
                Ranges::Outer => false,
                Ranges::Rows => i == 0,
                Ranges::Columns => i + 1 == space.len(),
            };
            if counted || size.as_const() != Some(1) {
                keep.push(i);
                axes.push(NestAxis {
                    size: size.clone(),
                    reduced: reduced[i],
                    origin: Some(i),
                });
            }
        }
        for w in loads.iter_mut().chain(&mut effects) {
            w.strides = keep.iter().map(|i| w.strides[*i].clone()).collect();
        }
        let mut nest = Nest {
            axes,
            vector: None,
            first_reduced: 0,
            split: None,
            ranged: 0,
            scale: Dim::constant(1),
            loads,
            effects,
        };
        nest.join(l, ranges)?;
        nest.order(ranges);
        Ok(nest)
    }

    fn walks(&mut self) -> impl Iterator<Item = &mut Walk> {
        self.loads.iter_mut().chain(&mut self.effects)
    }

    /// Joins neighbouring axes that every view walks as one.
    fn join(&mut self, l: &Loop, ranges: Ranges) -> Result<(), Diagnostic> {
        let indexed = |axis: &NestAxis| {
            let used = |e: &Expr| matches!(e, Expr::Index(i) if Some(*i) == axis.origin);
            axis.origin.is_some() && l.exprs.iter().any(used)
        };
        let by_column = self.axes.last().is_some_and(|a| !a.reduced);
        let mut i = self.axes.len();
        while i > 1 {
            i -= 1;
            if ranges == Ranges::Columns && i + 1 == self.axes.len() {
                continue;
            }
            let (outer, inner) = (&self.axes[i - 1], &self.axes[i]);
            // Sums of columns keep their axes apart: each gives partial sums, which lose less to rounding.
            if outer.reduced != inner.reduced
                || (outer.reduced && by_column)
                || indexed(outer)
                || indexed(inner)
            {
                continue;
            }
            let size = inner.size.clone();
            let joined = self.walks().try_fold(true, |all, w| {
                let one = w.strides[i]
                    .checked_mul(&size)
                    .map_err(|_| too_large(&size))?;
                Ok::<bool, Diagnostic>(all && one == w.strides[i - 1])
            })?;
            if !joined {
                continue;
            }
            if ranges == Ranges::Rows && i == 1 {
                self.scale = self
                    .scale
                    .checked_mul(&size)
                    .map_err(|_| too_large(&size))?;
            }
            let outer = &mut self.axes[i - 1];
            outer.size = outer
                .size
                .checked_mul(&size)
                .map_err(|_| too_large(&size))?;
            outer.origin = None;
            self.axes.remove(i);
            self.walks().for_each(|w| {
                w.strides.remove(i - 1);
            });
        }
        Ok(())
    }

    /// Kept axes first; finds the vector axis and what may be divided.
    fn order(&mut self, ranges: Ranges) {
        let last = self.axes.len().checked_sub(1);
        let mut order: Vec<usize> = (0..self.axes.len()).collect();
        order.sort_by_key(|i| self.axes[*i].reduced);
        self.vector = last.and_then(|last| order.iter().position(|i| *i == last));
        self.axes = order.iter().map(|i| self.axes[*i].clone()).collect();
        self.walks().for_each(|w| {
            w.strides = order.iter().map(|i| w.strides[*i].clone()).collect();
        });
        self.first_reduced = self.axes.iter().filter(|a| !a.reduced).count();
        if self.first_reduced > 0 {
            self.ranged = match ranges {
                Ranges::Outer | Ranges::Rows => 0,
                Ranges::Columns => self.first_reduced - 1,
            };
            // With rows, a range counts rows; the caller knows how many there are.
            self.split = Some(self.axes[self.ranged].size.clone());
        }
        debug_assert!(ranges != Ranges::Rows || self.axes.is_empty() || self.split.is_some());
    }

    /// Whether ranges count steps of the vector's loop, so that they are best cut at multiples of a cache line.
    pub(crate) fn split_is_vector(&self) -> bool {
        self.vector.is_some_and(|v| self.is_ranged(v))
    }

    /// Whether a range bounds the loop at this position.
    pub(crate) fn is_ranged(&self, position: usize) -> bool {
        self.split.is_some() && self.ranged == position
    }

    /// Whether a range means the same for both.
    pub(crate) fn divides_as(&self, other: &Nest) -> bool {
        self.split == other.split
            && self.scale == other.scale
            && self.split_is_vector() == other.split_is_vector()
    }

    /// The deepest position on which a walk depends, counted from 1; 0 where it does not move.
    pub(crate) fn depth(w: &Walk) -> usize {
        let moving = |s: &Dim| s.as_const() != Some(0);
        w.strides.iter().rposition(moving).map_or(0, |p| p + 1)
    }
}

/// A view with a stride of 0 on reduced axes, which it does not list.
fn walk(v: &View, reduced: &[bool], table: &Table) -> Result<Walk, Diagnostic> {
    let mut axes = v.axes.iter();
    let mut strides = Vec::new();
    for skip in reduced {
        strides.push(if *skip {
            Dim::constant(0)
        } else {
            let axis: &Axis = axes
                .next()
                .ok_or_else(|| internal(&"a view has fewer axes than its loop"))?;
            table.fix(&axis.stride)?
        });
    }
    Ok(Walk {
        strides,
        ..fixed_walk(v, table)?
    })
}

/// Where a view begins, without its axes.
pub(crate) fn fixed_walk(v: &View, table: &Table) -> Result<Walk, Diagnostic> {
    Ok(Walk {
        buffer: v.buffer,
        offset: table.fix(&v.offset)?,
        step: match &v.step {
            Some(step) => table.fix(step)?,
            None => Dim::constant(0),
        },
        strides: Vec::new(),
    })
}
