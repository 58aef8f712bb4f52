//! What a program makes of its weights alone.
//!
//! In: a program, and the buffers that products read as they lie, not packed. Out: for each top-level task, whether a call may leave
//! it out where the weights are those of the call before. That is so where it reads weights and what such tasks made, and
//! what it makes is read by such tasks and into panels, which keep; other memory is shared and does not.

use std::collections::BTreeSet;

use crate::schedule::program::{BufferId, Effect, Home, Program, Routine, Task, View};

/// `direct` are the right operands of products that read them as they lie.
pub(super) fn made_once(program: &Program, direct: &BTreeSet<BufferId>) -> Vec<bool> {
    let everything = BTreeSet::from_iter((0..program.buffers.len()).map(|b| BufferId(b as u32)));
    let all: Vec<[Vec<BufferId>; 2]> = (program.tasks.iter())
        .map(|t| touched(t, &everything))
        .collect();
    let weight = |b: &BufferId| matches!(program.buffer(*b).home, Home::Param(_));
    // Forward: what is made of weights alone.
    let mut made: BTreeSet<BufferId> = BTreeSet::new();
    let mut other: BTreeSet<BufferId> = BTreeSet::new();
    let mut once: Vec<bool> = Vec::new();
    for (task, [reads, writes]) in program.tasks.iter().zip(&all) {
        let alone = reads
            .iter()
            .all(|b| weight(b) || made.contains(b) && !other.contains(b));
        let temporary = |b: &BufferId| matches!(program.buffer(*b).home, Home::Temp(_));
        let own = matches!(task, Task::Loop(l) if !l.loads.is_empty())
            && alone
            && writes.iter().all(temporary);
        let to = if own { &mut made } else { &mut other };
        to.extend(writes.iter().copied());
        once.push(own);
    }
    // Backward: what somebody else reads is made each time, and so is what that is made of.
    loop {
        let mut wanted: BTreeSet<BufferId> = other.clone();
        for (task, _) in program.tasks.iter().zip(&once).filter(|(_, own)| !**own) {
            wanted.extend(touched(task, direct)[0].iter());
        }
        let before = once.clone();
        for (i, own) in once.iter_mut().enumerate() {
            *own &= all[i][1].iter().all(|b| !wanted.contains(b));
        }
        if once == before {
            return once;
        }
    }
}

/// Whether a packed right operand is made of weights alone, by tasks run once.
pub(super) fn packed_once(program: &Program, once: &[bool], source: BufferId) -> bool {
    let none = BTreeSet::new();
    let mut writers = program.tasks.iter().zip(once);
    match program.buffer(source).home {
        Home::Param(_) => true,
        Home::Temp(_) => writers.all(|(t, own)| *own || !touched(t, &none)[1].contains(&source)),
        Home::Input(_) | Home::Output(_) | Home::Grad(_) => false,
    }
}

/// The buffers that a task reads and those that it writes; right operands of products only where they are `direct`.
pub(super) fn touched(task: &Task, direct: &BTreeSet<BufferId>) -> [Vec<BufferId>; 2] {
    let ids = |views: &[&View]| views.iter().map(|v| v.buffer).collect::<Vec<_>>();
    match task {
        Task::Loop(l) => {
            let to = |e: &Effect| {
                let (Effect::Store { to, .. } | Effect::Fold { to, .. }) = e;
                to.buffer
            };
            let reads = l.loads.iter().map(|v| v.buffer).collect();
            [reads, l.effects.iter().map(to).collect()]
        }
        Task::Gemm(g) => {
            let rhs = Some(&g.rhs).filter(|v| direct.contains(&v.buffer));
            let reads = [Some(&g.lhs), rhs].into_iter().flatten();
            [reads.map(|v| v.buffer).collect(), ids(&[&g.out])]
        }
        Task::Scan(s) => {
            let mut all = [Vec::new(), Vec::new()];
            for t in &s.body {
                let [reads, writes] = touched(t, direct);
                all[0].extend(reads);
                all[1].extend(writes);
            }
            all
        }
        Task::Routine { routine, .. } => match routine {
            Routine::Softmax { x, out } | Routine::Top { x, out, .. } => [ids(&[x]), ids(&[out])],
            Routine::CrossEntropy {
                logits,
                target,
                out,
            } => [ids(&[logits, target]), ids(&[out])],
            Routine::CrossEntropyGrad {
                logits,
                target,
                g,
                out,
            } => [ids(&[logits, target, g]), ids(&[out])],
            Routine::Gather { table, index, out } => [ids(&[table, index]), ids(&[out])],
            Routine::ScatterAdd { grad, index, out } => [ids(&[grad, index]), ids(&[out])],
            Routine::Take { x, len, out } => {
                let reads = [Some(x), len.as_ref()].into_iter().flatten();
                [reads.map(|v| v.buffer).collect(), ids(&[out])]
            }
            Routine::Put { g, len, out } => {
                let reads = [Some(g), len.as_ref()].into_iter().flatten();
                [reads.map(|v| v.buffer).collect(), ids(&[out])]
            }
            Routine::Random { out, .. } => [vec![], ids(&[out])],
        },
    }
}
