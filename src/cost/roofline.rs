//! What the products of a plan must do: arithmetic, and weights that are read again at every step of a scan.
//!
//! In: a [`Program`] and the sizes of a call. Out: [`Products`], from which a bound from below on a call's time follows:
//! the multiply-adds at the machine's peak, or the weights at the bandwidth of the memory that holds them.

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
    let value = |s: &Sym| program.dims.static_value(s).or_else(|| sizes(s));
    let mut all = Products::default();
    for task in &program.tasks {
        let work = work(program, task, None, &value)?;
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

    fn add(&mut self, other: Work) {
        self.flops += other.flops;
        self.bytes += other.bytes;
        self.held += other.held;
    }
}

/// Of one task, which may stand in a scan's body.
pub fn work(
    program: &Program,
    task: &Task,
    scan: Option<&Scan>,
    value: &dyn Fn(&Sym) -> Option<i64>,
) -> Option<Work> {
    match task {
        Task::Gemm(g) => {
            let bytes = held(program, g, scan, value)?;
            Some(Work {
                flops: product(axes(g).map(|a| &a.size), value)? * 2.0,
                bytes,
                held: bytes,
            })
        }
        Task::Scan(s) => {
            let mut step = Work::default();
            for task in &s.body {
                step.add(work(program, task, Some(s), value)?);
            }
            let n = s.extent.eval(value)? as f64;
            Some(Work {
                flops: n * step.flops,
                bytes: n * step.bytes,
                ..step
            })
        }
        Task::Loop(_) | Task::Routine { .. } => Some(Work::default()),
    }
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

/// Bytes of the operands that a product reads again: inside a scan those that stay the same at every step, elsewhere
/// weights.
fn held(
    program: &Program,
    g: &Gemm,
    scan: Option<&Scan>,
    value: &dyn Fn(&Sym) -> Option<i64>,
) -> Option<f64> {
    let stays = |v: &View| match scan {
        Some(scan) => v.step.is_none() && !writes(&scan.body, v.buffer),
        None => matches!(program.buffer(v.buffer).home, Home::Param(_)),
    };
    let narrow = narrow(program);
    let bytes = |v: &View, stride: fn(&GemmAxis) -> &Dim| {
        let own = axes(g).filter(|a| *stride(a) != Dim::constant(0));
        let each = if narrow.contains(&v.buffer) { 2.0 } else { 4.0 };
        Some(each * product(own.map(|a| &a.size), value)?)
    };
    let mut sum = 0.0;
    if stays(&g.lhs) {
        sum += bytes(&g.lhs, |a| &a.lhs)?;
    }
    // Gates that were merged into one matrix are a temporary, and still a weight.
    if stays(&g.rhs) || scan.is_none() && g.class == GemmClass::PackedWeight {
        sum += bytes(&g.rhs, |a| &a.rhs)?;
    }
    Some(sum)
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
