//! Whether the rows of the batch run through a scan without meeting.
//!
//! In: a scan's body. Out: `true` where each task works on axis 0 of the batch alone: a target may
//! then run all steps on some rows before it runs the others. Where that takes no more than another
//! order of the loops, as for values `[S, B, K]` of a context, the loops are given it.

use super::program::{Effect, Expr, Gemm, Loop, Routine, Task, View};
use super::size;
use crate::dim::Dim;
use crate::ir::Func;

/// Brings the batch to the front of every task where each works on its rows alone; else changes
/// nothing and says `false`.
pub fn lead(body: &mut Vec<Task>) -> bool {
    if independent(body) {
        return true;
    }
    let mut turned = body.clone();
    for t in &mut turned {
        match t {
            Task::Loop(l) => loop_by_batch(l),
            Task::Gemm(g) => {
                let rows = if g.batch.is_empty() {
                    &mut g.m
                } else {
                    &mut g.batch
                };
                let at = rows.iter().position(|a| a.size == Func::batch());
                if let Some(at) = at {
                    rows[..=at].rotate_right(1);
                }
            }
            Task::Scan(_) | Task::Routine { .. } => {}
        }
    }
    let apart = independent(&turned);
    if apart {
        *body = turned;
    }
    apart
}

/// The same loop with the batch as its outermost axis. Its points are independent, and every fold
/// still takes its terms in their order.
fn loop_by_batch(l: &mut Loop) {
    let Some(at) = l.space.iter().position(|d| *d == Func::batch()) else {
        return;
    };
    if at == 0 || l.reduced[at] {
        return;
    }
    let kept = l.reduced[..at].iter().filter(|r| !**r).count();
    l.space[..=at].rotate_right(1);
    l.reduced[..=at].rotate_right(1);
    for v in &mut l.loads {
        v.axes[..=at].rotate_right(1);
    }
    for e in &mut l.exprs {
        if let Expr::Index(i) = e {
            *i = match *i {
                i if i == at => 0,
                i if i < at => i + 1,
                i => i,
            };
        }
    }
    for e in &mut l.effects {
        match e {
            Effect::Store { to, .. } => to.axes[..=at].rotate_right(1),
            Effect::Fold { to, .. } => to.axes[..=kept].rotate_right(1),
        }
    }
}

fn independent(body: &[Task]) -> bool {
    let b = Func::batch();
    body.iter().all(|t| match t {
        Task::Gemm(g) => gemm(g, &b),
        Task::Loop(l) => a_loop(l, &b),
        // The batch is an axis of the sequences, not the first of a step's values.
        Task::Scan(_) => false,
        Task::Routine { routine, .. } => routine_rows(routine, &b),
    })
}

/// The first row index, or the first index of a batch of products, is the batch, and no other is.
fn gemm(g: &Gemm, b: &Dim) -> bool {
    let is = |d: &Dim| d.syms().iter().any(|s| b.mentions(s));
    let first = g.batch.first().or(g.m.first());
    let moves = first.is_some_and(|a| a.size == *b && a.lhs != size::zero());
    let mut all = g.batch.iter().chain(&g.m).chain(&g.n).chain(&g.k);
    moves && all.by_ref().filter(|a| is(&a.size)).count() == 1
}

fn a_loop(l: &Loop, b: &Dim) -> bool {
    let mentions = |d: &Dim| d.syms().iter().any(|s| b.mentions(s));
    l.space.first() == Some(b)
        && !l.reduced[0]
        && !l.space[1..].iter().any(mentions)
        && l.effects.iter().all(|e| match e {
            Effect::Store { to, .. } | Effect::Fold { to, .. } => leads(to, b),
        })
}

fn leads(v: &View, b: &Dim) -> bool {
    let first = v.axes.first();
    first.is_some_and(|a| a.size == *b && a.stride != size::zero())
}

/// Rows of every operand that has them, and more axes than the rows where the last is worked over.
fn routine_rows(r: &Routine, b: &Dim) -> bool {
    let row = |v: &View| leads(v, b);
    match r {
        Routine::Softmax { x, out } | Routine::Top { x, out, .. } => {
            row(x) && row(out) && x.axes.len() > 1
        }
        Routine::CrossEntropy {
            logits,
            target,
            out,
        } => row(logits) && row(target) && row(out),
        Routine::CrossEntropyGrad {
            logits,
            target,
            g,
            out,
        } => row(logits) && row(target) && row(g) && row(out),
        Routine::Gather { table, index, out } => {
            let of_batch = |v: &View| v.axes.iter().any(|a| a.size == *b);
            row(index) && row(out) && !of_batch(table)
        }
        Routine::Random { timed, out, .. } => !timed && row(out),
        Routine::ScatterAdd { .. } | Routine::Take { .. } | Routine::Put { .. } => false,
    }
}
