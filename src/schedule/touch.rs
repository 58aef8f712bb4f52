//! Every use of every buffer, and which uses may be of the same memory.
//!
//! In: tasks. Out: [`Touch`]es. Memory can be written anew where every use of what it held comes before.

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
            view,
            ..self.clone()
        }
    }

    /// What it is a use of.
    ///
    /// # Errors
    /// `shape::too-large` where a size leaves 64 bits.
    pub fn extent(&self, dims: &DimTable) -> Result<Extent, Diagnostic> {
        let own = self.view.axes.iter();
        let mut axes: Vec<(Dim, Dim)> = own.map(|a| (a.size.clone(), a.stride.clone())).collect();
        axes.extend(self.axes.iter().cloned());
        Extent::new(&self.view, &axes, &|d| size::known(d, dims))
    }

    /// Whether both can be of one memory, if what this one means by it comes before what `then` means.
    ///
    /// # Errors
    /// As [`Touch::extent`].
    pub fn may_precede(&self, then: &Touch, dims: &DimTable) -> Result<bool, Diagnostic> {
        if !(self.writes || then.writes) || self.at.0 < then.at.0 {
            return Ok(true);
        }
        // All loads at a point come before its stores.
        let here = self.at == then.at && self.pointwise && then.pointwise;
        let same_point = here
            && !self.writes
            && then.writes
            && (&self.view.offset, &self.view.step, &self.view.axes)
                == (&then.view.offset, &then.view.step, &then.view.axes);
        if same_point && self.at.1.is_none() {
            return Ok(true);
        }
        let (a, b) = (self.extent(dims)?, then.extent(dims)?);
        if a.beside(&b) {
            return Ok(true);
        }
        let in_step = self.at.0 == then.at.0 && a.in_step() && b.in_step();
        // Rows of a batch may be at different steps, and of one step at different tasks.
        let own_rows = || a.rows().is_some() && a.rows() == b.rows();
        Ok(in_step && (same_point || self.at.1 < then.at.1 && own_rows()))
    }
}
