//! What a program makes of its weights alone.
//!
//! In: a program, and the buffers that products read as they lie, not packed. Out: [`Kept`]: for each top-level task, whether a call
//! may leave it out where the weights are those of the call before, and what such tasks make that others read. That is so
//! where a task reads weights and what such tasks made. What goes into panels keeps there; what others read as it lies
//! gets memory of its own while weights are held, for other memory is shared.

use std::collections::BTreeSet;

use crate::schedule::program::{BufferId, Effect, Home, Program, Routine, Task, View};

/// What need not be made again.
pub(super) struct Kept {
    /// For each top-level task.
    pub(super) once: Vec<bool>,
    /// Temporary buffers that other tasks read, in order.
    pub(super) buffers: Vec<BufferId>,
}

/// `direct` are the right operands of products that read them as they lie.
pub(super) fn kept(program: &Program, direct: &BTreeSet<BufferId>) -> Kept {
    let everything = BTreeSet::from_iter((0..program.buffers.len()).map(|b| BufferId(b as u32)));
    let all: Vec<[Vec<BufferId>; 2]> = (program.tasks.iter())
        .map(|t| touched(t, &everything))
        .collect();
    let weight = |b: &BufferId| matches!(program.buffer(*b).home, Home::Param(_));
    let temporary = |b: &BufferId| matches!(program.buffer(*b).home, Home::Temp(_));
    let may = |t: &Task| match t {
        Task::Loop(l) => !l.loads.is_empty(),
        Task::Gemm(_) => true,
        Task::Scan(_) | Task::Routine { .. } => false,
    };
    let mut once: Vec<bool> = program.tasks.iter().map(may).collect();
    // What a task makes that runs every time changes, and so does what is made of that.
    loop {
        let others = all.iter().zip(&once).filter(|(_, own)| !**own);
        let changing: BTreeSet<BufferId> = others.flat_map(|(t, _)| t[1].clone()).collect();
        let mut made: BTreeSet<BufferId> = BTreeSet::new();
        let mut next = Vec::new();
        for ([reads, writes], before) in all.iter().zip(&once) {
            let stays = |b: &BufferId| weight(b) || made.contains(b) && !changing.contains(b);
            let own = *before
                && reads.iter().all(stays)
                && writes.iter().all(|b| temporary(b) && !changing.contains(b));
            if own {
                made.extend(writes);
            }
            next.push(own);
        }
        if next == once {
            break;
        }
        once = next;
    }
    let mut made: BTreeSet<BufferId> = BTreeSet::new();
    let mut wanted: BTreeSet<BufferId> = BTreeSet::new();
    for ((task, own), [_, writes]) in program.tasks.iter().zip(&once).zip(&all) {
        match own {
            true => made.extend(writes),
            false => wanted.extend(&touched(task, direct)[0]),
        }
    }
    let ports = program.inputs.iter().chain(&program.outputs);
    wanted.extend(ports.map(|p| p.buffer));
    Kept {
        once,
        buffers: made.intersection(&wanted).copied().collect(),
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
