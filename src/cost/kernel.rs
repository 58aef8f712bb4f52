//! What one task of a plan costs in a call.
//!
//! In: a [`Program`], a task's place in it, the sizes of a call. Out: [`KernelCost`]. Unlike the closed form of a model this
//! counts elementwise work too, one for each operation at each point, a function such as exp as one.

use super::moved::moved_by;
use super::roofline::multiply_adds;
use crate::dim::{Dim, Sym};
use crate::schedule::program::{Expr, Program, Task};
use crate::span::Span;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelCost {
    /// Operations, two for a multiply-add.
    pub flops: f64,
    /// Bytes of operands and results, each element once a run.
    pub bytes: f64,
    /// How often it is run.
    pub runs: f64,
    /// Where in the sources it comes from.
    pub spans: Vec<Span>,
}

/// The cost of the task at `place`, indices from the program's own list inwards; of a scan without its body. `None`
/// where there is no such task or a size is not known.
pub fn kernel(
    program: &Program,
    place: &[usize],
    sizes: &dyn Fn(&Sym) -> Option<i64>,
) -> Option<KernelCost> {
    let value = |s: &Sym| program.dims.static_value(s).or_else(|| sizes(s));
    let (mut tasks, mut runs) = (&program.tasks, 1.0);
    let (last, around) = place.split_last()?;
    for i in around {
        let Task::Scan(scan) = tasks.get(*i)? else {
            return None;
        };
        runs *= scan.extent.eval(&value)? as f64;
        tasks = &scan.body;
    }
    let task = tasks.get(*last)?;
    let mut cost = KernelCost {
        runs,
        spans: spans(task).to_vec(),
        ..KernelCost::default()
    };
    if let Task::Scan(_) = task {
        return Some(cost);
    }
    let points = |space: &[Dim]| {
        let mut sizes = space.iter().map(|d| Some(d.eval(&value)? as f64));
        sizes.try_fold(1.0, |n, d| Some(n * d?))
    };
    let each = match task {
        Task::Gemm(g) => multiply_adds(g, &value)?,
        Task::Loop(l) => {
            let counts = |e: &&Expr| match e {
                Expr::Unary(..) | Expr::Binary(..) | Expr::Select(..) => true,
                Expr::Const(_) | Expr::Load(_) | Expr::Index(_) | Expr::Time | Expr::Size(_) => {
                    false
                }
            };
            points(&l.space)? * l.exprs.iter().filter(counts).count() as f64
        }
        Task::Scan(_) | Task::Routine { .. } => 0.0,
    };
    let moved = moved_by(task).ok()?;
    let all = moved.read.add(&moved.written).ok()?;
    cost.flops = runs * each;
    cost.bytes = runs * all.value(&value)? as f64;
    Some(cost)
}

fn spans(task: &Task) -> &[Span] {
    match task {
        Task::Gemm(g) => &g.spans,
        Task::Loop(l) => &l.spans,
        Task::Scan(s) => &s.spans,
        Task::Routine { spans, .. } => spans,
    }
}
