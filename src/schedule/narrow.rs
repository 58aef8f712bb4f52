//! Buffers whose elements are all 16-bit floats (bfloat16).
//!
//! In: a program. Out: the temporary buffers in which nothing else is ever stored: what was rounded, and what was moved
//! from such buffers. A target that keeps a matrix of them in 16 bits loses nothing.

use std::collections::BTreeSet;

use super::access;
use super::program::{BufferId, Effect, Expr, ExprId, Home, Loop, Program, Task, Unary};

pub fn narrow(program: &Program) -> BTreeSet<BufferId> {
    let temporary = |b: &BufferId| matches!(program.buffer(*b).home, Home::Temp(_));
    let all = (0..program.buffers.len()).map(|b| BufferId(b as u32));
    let mut found: BTreeSet<BufferId> = all.filter(temporary).collect();
    // What holds anything else disqualifies what is moved from it.
    loop {
        let before = found.len();
        for task in &program.tasks {
            strike(task, &mut found);
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Takes out the buffers into which the task writes other floats.
fn strike(task: &Task, found: &mut BTreeSet<BufferId>) {
    match task {
        Task::Loop(l) => {
            for effect in &l.effects {
                let (to, narrow) = match effect {
                    Effect::Store { value, to } => (to, is_half(l, *value, found)),
                    Effect::Fold { to, .. } => (to, false),
                };
                if !narrow {
                    found.remove(&to.buffer);
                }
            }
        }
        Task::Scan(s) => s.body.iter().for_each(|t| strike(t, found)),
        Task::Gemm(_) | Task::Routine { .. } => {
            for to in access::of(task).writes {
                found.remove(&to.buffer);
            }
        }
    }
}

fn is_half(l: &Loop, value: ExprId, found: &BTreeSet<BufferId>) -> bool {
    match &l.exprs[value.0 as usize] {
        Expr::Unary(Unary::Bf16, _) => true,
        Expr::Load(i) => found.contains(&l.loads[*i].buffer),
        Expr::Const(_)
        | Expr::Index(_)
        | Expr::Time
        | Expr::Size(_)
        | Expr::Unary(..)
        | Expr::Binary(..)
        | Expr::Select(..) => false,
    }
}
