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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::{Dim, DimTable};
    use crate::schedule::program::{
        Axis, Buffer, Elem, FoldOp, Gemm, GemmAxis, GemmClass, Scan, View, Weights,
    };

    const W: BufferId = BufferId(0);
    const Y: BufferId = BufferId(1);
    const A: BufferId = BufferId(2);
    const B: BufferId = BufferId(3);
    const C: BufferId = BufferId(4);
    const D: BufferId = BufferId(5);
    const E: BufferId = BufferId(6);

    /// Vectors of four: a weight, a result, and so many temporaries.
    fn program(temporaries: usize, tasks: Vec<Task>) -> Program {
        let homes = [Home::Param(Weights::one(0)), Home::Output(0)].into_iter();
        let buffer = |home| Buffer {
            name: "test".to_string(),
            elem: Elem::F32,
            shape: vec![Dim::constant(4)],
            home,
            life: (0, 0),
            then: Vec::new(),
        };
        let homes = homes.chain((0..temporaries).map(Home::Temp));
        Program {
            name: "test".to_string(),
            dims: DimTable::default(),
            buffers: homes.map(buffer).collect(),
            slots: Vec::new(),
            params: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            tasks,
            begun: Vec::new(),
        }
    }

    fn view(buffer: BufferId) -> View {
        View {
            buffer,
            offset: Dim::constant(0),
            step: None,
            axes: vec![Axis {
                size: Dim::constant(4),
                stride: Dim::constant(1),
            }],
        }
    }

    /// A loop that reads `from`, and what is done with its last expression.
    fn group(from: BufferId, then: &[Expr], effect: impl Fn(ExprId) -> Effect) -> Task {
        let exprs = [&[Expr::Load(0)], then].concat();
        Task::Loop(Loop {
            name: "test".to_string(),
            space: vec![Dim::constant(4)],
            reduced: vec![false],
            loads: vec![view(from)],
            effects: vec![effect(ExprId(exprs.len() as u32 - 1))],
            exprs,
            epilogue_of: None,
            spans: Vec::new(),
        })
    }

    fn store(from: BufferId, then: &[Expr], to: BufferId) -> Task {
        let to = view(to);
        group(from, then, |value| Effect::Store {
            value,
            to: to.clone(),
        })
    }

    fn fold(from: BufferId, to: BufferId) -> Task {
        let to = view(to);
        group(from, &[ROUND], |value| Effect::Fold {
            op: FoldOp::Sum,
            value,
            to: to.clone(),
        })
    }

    fn square(of: BufferId, to: BufferId) -> Task {
        let axis = |lhs, rhs, out| GemmAxis {
            size: Dim::constant(2),
            lhs: Dim::constant(lhs),
            rhs: Dim::constant(rhs),
            out: Dim::constant(out),
        };
        Task::Gemm(Gemm {
            name: "test".to_string(),
            lhs: view(of),
            rhs: view(of),
            out: view(to),
            batch: Vec::new(),
            m: vec![axis(2, 0, 2)],
            n: vec![axis(0, 1, 1)],
            k: vec![axis(1, 2, 0)],
            class: GemmClass::PackedWeight,
            rhs_invariant: false,
            spans: Vec::new(),
        })
    }

    fn scan(body: Vec<Task>) -> Task {
        Task::Scan(Scan {
            name: "test".to_string(),
            extent: Dim::constant(3),
            reverse: false,
            body,
            rows_independent: false,
            carries: Vec::new(),
            spans: Vec::new(),
        })
    }

    fn found(temporaries: usize, tasks: Vec<Task>) -> Vec<BufferId> {
        narrow(&program(temporaries, tasks)).into_iter().collect()
    }

    const ROUND: Expr = Expr::Unary(Unary::Bf16, ExprId(0));
    const NEGATE: Expr = Expr::Unary(Unary::Neg, ExprId(1));

    #[test]
    fn what_was_rounded_is_narrow_and_stays_so_where_it_is_moved() {
        let tasks = vec![
            // Found before what it is moved from.
            scan(vec![store(B, &[], C)]),
            store(W, &[ROUND], A),
            store(A, &[], B),
            store(W, &[], D),
            // Rounded, then computed with.
            store(W, &[ROUND, NEGATE], E),
            // The caller's memory is of floats.
            store(W, &[ROUND], Y),
        ];
        assert_eq!(found(5, tasks), [A, B, C]);
    }

    #[test]
    fn one_other_float_disqualifies_a_buffer_and_all_that_is_moved_from_it() {
        for other in [scan(vec![store(W, &[], A)]), fold(W, A), square(D, A)] {
            let tasks = vec![
                store(W, &[ROUND], A),
                store(B, &[], C),
                store(A, &[], B),
                store(W, &[ROUND], D),
                other,
            ];
            assert_eq!(found(4, tasks), [D]);
        }
    }
}
