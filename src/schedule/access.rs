//! The views a task reads and writes.
//!
//! In: a [`Task`]. Out: [`Access`]; a scan's includes its body's. [`each`] changes them.

use super::program::{Effect, Routine, Task, View};

#[derive(Default)]
pub struct Access<'a> {
    pub reads: Vec<&'a View>,
    pub writes: Vec<&'a View>,
}

impl<'a> Access<'a> {
    pub fn all(&self) -> impl Iterator<Item = &'a View> {
        self.reads.iter().chain(&self.writes).copied()
    }
}

pub fn of(task: &Task) -> Access<'_> {
    let mut a = Access::default();
    visit(task, &mut a);
    a
}

fn visit<'a>(task: &'a Task, a: &mut Access<'a>) {
    match task {
        Task::Gemm(g) => {
            a.reads.extend([&g.lhs, &g.rhs]);
            a.writes.push(&g.out);
        }
        Task::Loop(l) => {
            a.reads.extend(&l.loads);
            for e in &l.effects {
                match e {
                    Effect::Store { to, .. } | Effect::Fold { to, .. } => a.writes.push(to),
                }
            }
        }
        Task::Scan(s) => s.body.iter().for_each(|t| visit(t, a)),
        Task::Routine { routine, .. } => routine_views(routine, a),
    }
}

fn routine_views<'a>(routine: &'a Routine, a: &mut Access<'a>) {
    match routine {
        Routine::Softmax { x, out } | Routine::Top { x, out, .. } => {
            a.reads.push(x);
            a.writes.push(out);
        }
        Routine::CrossEntropy {
            logits,
            target,
            out,
        } => {
            a.reads.extend([logits, target]);
            a.writes.push(out);
        }
        Routine::CrossEntropyGrad {
            logits,
            target,
            g,
            out,
        } => {
            a.reads.extend([logits, target, g]);
            a.writes.push(out);
        }
        Routine::Gather { table, index, out } => {
            a.reads.extend([table, index]);
            a.writes.push(out);
        }
        Routine::ScatterAdd { grad, index, out } => {
            a.reads.extend([grad, index]);
            a.writes.push(out);
        }
        Routine::Take { x, len, out } => {
            a.reads.push(x);
            a.reads.extend(len);
            a.writes.push(out);
        }
        Routine::Put { g, len, out } => {
            a.reads.push(g);
            a.reads.extend(len);
            a.writes.push(out);
        }
        Routine::Random { out, .. } => a.writes.push(out),
    }
}

/// Changes every view of a task.
pub fn each(task: &mut Task, change: &mut dyn FnMut(&mut View)) {
    let views: Vec<&mut View> = match task {
        Task::Gemm(g) => vec![&mut g.lhs, &mut g.rhs, &mut g.out],
        Task::Loop(l) => {
            let effects = l.effects.iter_mut().map(|e| match e {
                Effect::Store { to, .. } | Effect::Fold { to, .. } => to,
            });
            l.loads.iter_mut().chain(effects).collect()
        }
        Task::Scan(s) => return s.body.iter_mut().for_each(|t| each(t, change)),
        Task::Routine { routine, .. } => match routine {
            Routine::Softmax { x, out } | Routine::Top { x, out, .. } => vec![x, out],
            Routine::CrossEntropy {
                logits,
                target,
                out,
            } => vec![logits, target, out],
            Routine::CrossEntropyGrad {
                logits,
                target,
                g,
                out,
            } => vec![logits, target, g, out],
            Routine::Gather { table, index, out } => vec![table, index, out],
            Routine::ScatterAdd { grad, index, out } => vec![grad, index, out],
            Routine::Take { x, len, out } => [x, out].into_iter().chain(len).collect(),
            Routine::Put { g, len, out } => [g, out].into_iter().chain(len).collect(),
            Routine::Random { out, .. } => vec![out],
        },
    };
    views.into_iter().for_each(change);
}
