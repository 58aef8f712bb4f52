//! Every use of every buffer, and which uses may be of the same memory.
//!
//! In: tasks. Out: [`Touch`]es. Memory can be written anew where every use of what it held comes before.

use std::cell::OnceCell;

use super::extent::Extent;
use super::program::{Effect, GemmAxis, Task, View};
use super::{access, size};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable};

/// One use of a buffer.
#[derive(Clone, Debug)]
pub struct Touch {
    /// The top-level task, and in a scan the task of its body.
    pub at: (usize, Option<usize>),
    pub writes: bool,
    /// A loop's load or store at the point that it computes.
    pub pointwise: bool,
    pub view: View,
    /// Sizes and strides, where the view does not have them: those of a product.
    axes: Vec<(Dim, Dim)>,
    /// Once it was asked for: few are, and those often.
    known: OnceCell<Known>,
}

/// What it is a use of.
#[derive(Clone, Debug)]
struct Known {
    extent: Extent,
    /// Whether all of it is in the step of its time.
    in_step: bool,
    /// Size and distance of its rows along the first axis, if each ends before the next begins.
    rows: Option<(Dim, Dim)>,
}

/// Uses of each of so many buffers, in order.
pub fn touches(tasks: &[Task], buffers: usize) -> Vec<Vec<Touch>> {
    let mut all = vec![Vec::new(); buffers];
    for (i, task) in tasks.iter().enumerate() {
        match task {
            Task::Scan(s) => {
                for (j, task) in s.body.iter().enumerate() {
                    add(&mut all, task, (i, Some(j)));
                }
            }
            Task::Gemm(_) | Task::Loop(_) | Task::Routine { .. } => add(&mut all, task, (i, None)),
        }
    }
    all
}

fn add(all: &mut [Vec<Touch>], task: &Task, at: (usize, Option<usize>)) {
    let mut one = |v: &View, axes, [writes, pointwise]: [bool; 2]| {
        all[v.buffer.0 as usize].push(Touch {
            at,
            writes,
            pointwise,
            view: v.clone(),
            axes,
            known: OnceCell::new(),
        });
    };
    match task {
        Task::Gemm(g) => {
            let axes = |stride: fn(&GemmAxis) -> &Dim| {
                let all = g.batch.iter().chain(&g.m).chain(&g.n).chain(&g.k);
                all.map(|a| (a.size.clone(), stride(a).clone())).collect()
            };
            one(&g.lhs, axes(|a| &a.lhs), [false, false]);
            one(&g.rhs, axes(|a| &a.rhs), [false, false]);
            one(&g.out, axes(|a| &a.out), [true, false]);
        }
        Task::Loop(l) => {
            for v in &l.loads {
                one(v, Vec::new(), [false, true]);
            }
            for e in &l.effects {
                match e {
                    Effect::Store { to, .. } => one(to, Vec::new(), [true, true]),
                    Effect::Fold { to, .. } => one(to, Vec::new(), [true, false]),
                }
            }
        }
        Task::Scan(_) | Task::Routine { .. } => {
            let touched = access::of(task);
            for v in touched.reads {
                one(v, Vec::new(), [false, false]);
            }
            for v in touched.writes {
                one(v, Vec::new(), [true, false]);
            }
        }
    }
}

impl Touch {
    /// The same use of other memory.
    pub fn moved(&self, view: View) -> Touch {
        Touch {
            at: self.at,
            writes: self.writes,
            pointwise: self.pointwise,
            view,
            axes: self.axes.clone(),
            known: OnceCell::new(),
        }
    }

    fn known(&self, dims: &DimTable) -> Result<&Known, Diagnostic> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let own = self.view.axes.iter();
        let mut axes: Vec<(Dim, Dim)> = own.map(|a| (a.size.clone(), a.stride.clone())).collect();
        axes.extend(self.axes.iter().cloned());
        let extent = Extent::new(&self.view, &axes, &|d| size::known(d, dims))?;
        let first = extent.axes.first().filter(|_| extent.has_rows());
        let new = Known {
            in_step: extent.in_step(),
            rows: first.cloned(),
            extent,
        };
        Ok(self.known.get_or_init(|| new))
    }

    /// Whether each point has an element of its own, in the step of its time.
    ///
    /// # Errors
    /// `shape::too-large` where a size leaves 64 bits.
    pub fn is_part_of_step(&self, dims: &DimTable) -> Result<bool, Diagnostic> {
        let known = self.known(dims)?;
        Ok(known.in_step && known.extent.is_nested())
    }

    /// Whether both can be of one memory, if what this one means by it comes before what `then` means.
    ///
    /// # Errors
    /// As [`Touch::is_part_of_step`].
    pub fn may_precede(&self, then: &Touch, dims: &DimTable) -> Result<bool, Diagnostic> {
        if !(self.writes || then.writes) || self.at.0 < then.at.0 {
            return Ok(true);
        }
        let same = (&self.view.offset, &self.view.step, &self.view.axes)
            == (&then.view.offset, &then.view.step, &then.view.axes);
        if self.at.0 == then.at.0 {
            // All loads at a point come before its stores.
            let here = self.at == then.at && self.pointwise && then.pointwise;
            let same_point = here && !self.writes && then.writes && same;
            if same_point && self.at.1.is_none() {
                return Ok(true);
            }
            let (a, b) = (self.known(dims)?, then.known(dims)?);
            // Where rows of a batch run apart, some are at other steps and tasks than others. They are then the first axis
            // of every view, and those of both are the same elements.
            let own_rows = a.rows.is_some() && a.rows == b.rows;
            let after = same_point || self.at.1 < then.at.1 && own_rows;
            if after && a.in_step && b.in_step && a.extent.step == b.extent.step {
                return Ok(true);
            }
        }
        let products = !(self.axes.is_empty() && then.axes.is_empty());
        let beside = || Ok(self.known(dims)?.extent.beside(&then.known(dims)?.extent));
        if same && !products {
            Ok(false)
        } else {
            beside()
        }
    }
}
