//! What the products of a plan must do: arithmetic, and weights that are read again at every step of a scan.
//!
//! In: a [`Program`] and the sizes of a call. Out: [`Products`], from which a bound from below on a call's time follows:
//! the multiply-adds at the machine's peak, or the weights at the bandwidth of the memory that holds them.

use std::collections::BTreeSet;

use crate::dim::{Dim, Sym};
use crate::schedule::narrow::narrow;
use crate::schedule::program::{
    BufferId, Effect, Gemm, GemmAxis, GemmClass, Home, Program, Routine, Scan, Task, View,
};

/// The products inside scans, and those outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Products {
    pub recurrent: Work,
    pub alone: Work,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Two for each multiply-add.
    pub flops: f64,
    /// Bytes read again at every step, by each product once: in a scan operands that stay the same, else weights.
    pub bytes: f64,
    /// Of these, the bytes of one step; of several scans the most.
    pub held: f64,
}

/// `None` where a size is not known.
pub fn products(program: &Program, sizes: &dyn Fn(&Sym) -> Option<i64>) -> Option<Products> {
    let count = Count {
        program,
        value: &|s| program.dims.static_value(s).or_else(|| sizes(s)),
        narrow: narrow(program),
    };
    let mut all = Products::default();
    for task in &program.tasks {
        let work = count.work(task, None)?;
        match task {
            Task::Scan(_) => {
                all.recurrent.flops += work.flops;
                all.recurrent.bytes += work.bytes;
                all.recurrent.held = all.recurrent.held.max(work.held);
            }
            Task::Gemm(_) | Task::Loop(_) | Task::Routine { .. } => all.alone.add(work),
        }
    }
    Some(all)
}

impl Work {
    /// Both.
    pub fn and(mut self, other: Work) -> Work {
        self.add(other);
        self
    }

    pub fn scaled(self, by: f64) -> Work {
        Work {
            flops: self.flops * by,
            bytes: self.bytes * by,
            held: self.held * by,
        }
    }

    fn add(&mut self, other: Work) {
        self.flops += other.flops;
        self.bytes += other.bytes;
        self.held += other.held;
    }
}

struct Count<'p> {
    program: &'p Program,
    value: &'p dyn Fn(&Sym) -> Option<i64>,
    narrow: BTreeSet<BufferId>,
}

impl Count<'_> {
    /// Of one task, which may stand in a scan's body.
    fn work(&self, task: &Task, scan: Option<&Scan>) -> Option<Work> {
        match task {
            Task::Gemm(g) => {
                let bytes = self.held(g, scan)?;
                Some(Work {
                    flops: multiply_adds(g, self.value)?,
                    bytes,
                    held: bytes,
                })
            }
            Task::Scan(s) => {
                let mut step = Work::default();
                for task in &s.body {
                    step.add(self.work(task, Some(s))?);
                }
                let n = s.extent.eval(self.value)? as f64;
                Some(Work {
                    flops: n * step.flops,
                    bytes: n * step.bytes,
                    ..step
                })
            }
            Task::Loop(_) | Task::Routine { .. } => Some(Work::default()),
        }
    }

    /// Bytes of the operands that a product reads again: inside a scan those that stay the same at every step, elsewhere
    /// weights.
    fn held(&self, g: &Gemm, scan: Option<&Scan>) -> Option<f64> {
        let stays = |v: &View| match scan {
            Some(scan) => v.step.is_none() && !writes(&scan.body, v.buffer),
            None => matches!(self.program.buffer(v.buffer).home, Home::Param(_)),
        };
        let elements = |stride: fn(&GemmAxis) -> &Dim| {
            let own = axes(g).filter(|a| *stride(a) != Dim::constant(0));
            product(own.map(|a| &a.size), self.value)
        };
        let mut sum = 0.0;
        // What is read by rows is read as it lies, in 32 bits; only the right operand is packed, and narrow then.
        if stays(&g.lhs) {
            sum += 4.0 * elements(|a| &a.lhs)?;
        }
        // Gates that were merged into one matrix are a temporary, and still a weight.
        if stays(&g.rhs) || scan.is_none() && g.class == GemmClass::PackedWeight {
            let narrow = self.narrow.contains(&g.rhs.buffer);
            sum += if narrow { 2.0 } else { 4.0 } * elements(|a| &a.rhs)?;
        }
        Some(sum)
    }
}

/// Operations of a product: two for each multiply-add.
pub fn multiply_adds(g: &Gemm, value: &dyn Fn(&Sym) -> Option<i64>) -> Option<f64> {
    Some(product(axes(g).map(|a| &a.size), value)? * 2.0)
}

fn axes(g: &Gemm) -> impl Iterator<Item = &GemmAxis> {
    g.batch.iter().chain(&g.m).chain(&g.n).chain(&g.k)
}

fn product<'d>(
    mut sizes: impl Iterator<Item = &'d Dim>,
    value: &dyn Fn(&Sym) -> Option<i64>,
) -> Option<f64> {
    sizes.try_fold(1.0, |n, d| Some(n * d.eval(value)? as f64))
}

fn writes(tasks: &[Task], buffer: BufferId) -> bool {
    tasks.iter().any(|task| match task {
        Task::Gemm(g) => g.out.buffer == buffer,
        Task::Loop(l) => l.effects.iter().any(|e| match e {
            Effect::Store { to, .. } | Effect::Fold { to, .. } => to.buffer == buffer,
        }),
        Task::Scan(s) => writes(&s.body, buffer),
        Task::Routine { routine, .. } => match routine {
            Routine::Softmax { out, .. }
            | Routine::Top { out, .. }
            | Routine::CrossEntropy { out, .. }
            | Routine::CrossEntropyGrad { out, .. }
            | Routine::Gather { out, .. }
            | Routine::ScatterAdd { out, .. }
            | Routine::Take { out, .. }
            | Routine::Put { out, .. }
            | Routine::Random { out, .. } => out.buffer == buffer,
        },
    })
}
