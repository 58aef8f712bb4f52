//! Bytes that the tasks of a plan read and write.
//!
//! In: a [`Program`]. Out: [`Moved`], per call at full size. Every task reads each element of its
//! operands once and writes each element of its results once, the body's tasks of a scan at every
//! step. What repeats along an axis is read once, a table only at the rows that are looked up. What
//! a cache keeps between two tasks, or a target reads again, is not known here.

use super::formula::Formula;
use super::poly::Poly;
use crate::dim::{Dim, Overflow};
use crate::schedule::program::{Effect, Gemm, GemmAxis, Program, Routine, Task, View};

/// Every element of a buffer is 4 bytes.
const ELEMENT: i64 = 4;

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Moved {
    pub read: Formula,
    pub written: Formula,
}

/// # Errors
/// Overflow of a coefficient.
pub fn moved(program: &Program) -> Result<Moved, Overflow> {
    tasks(&program.tasks)
}

/// Of one task alone.
///
/// # Errors
/// Overflow of a coefficient.
pub fn moved_by(task: &Task) -> Result<Moved, Overflow> {
    tasks(std::slice::from_ref(task))
}

fn tasks(list: &[Task]) -> Result<Moved, Overflow> {
    let mut all = Moved::default();
    for t in list {
        let (one, times) = match t {
            Task::Gemm(g) => (gemm(g)?, Dim::constant(1)),
            Task::Loop(l) => {
                let mut loads: Vec<&View> = Vec::new();
                for v in &l.loads {
                    if !loads.contains(&v) {
                        loads.push(v);
                    }
                }
                let stores = l.effects.iter().map(|e| match e {
                    Effect::Store { to, .. } | Effect::Fold { to, .. } => to,
                });
                (
                    views(&loads, &stores.collect::<Vec<_>>())?,
                    Dim::constant(1),
                )
            }
            Task::Scan(s) => (tasks(&s.body)?, s.extent.clone()),
            Task::Routine { routine: r, .. } => (routine(r)?, Dim::constant(1)),
        };
        let times = Poly::of(&times);
        all.read = all.read.add_times(&times, &one.read)?;
        all.written = all.written.add_times(&times, &one.written)?;
    }
    Ok(all)
}

fn bytes(sizes: impl Iterator<Item = Dim>) -> Result<Formula, Overflow> {
    let mut all = sizes;
    let all = all.try_fold(Dim::constant(ELEMENT), |all, d| all.checked_mul(&d))?;
    Ok(Formula::of(&all))
}

/// Elements apart: what repeats along an axis is one.
fn of_view(v: &View) -> Result<Formula, Overflow> {
    let zero = Dim::constant(0);
    let apart = v.axes.iter().filter(|a| a.stride != zero);
    bytes(apart.map(|a| a.size.clone()))
}

fn views(reads: &[&View], writes: &[&View]) -> Result<Moved, Overflow> {
    let sum = |list: &[&View]| {
        list.iter()
            .try_fold(Formula::default(), |sum, v| sum.add(&of_view(v)?))
    };
    Ok(Moved {
        read: sum(reads)?,
        written: sum(writes)?,
    })
}

fn gemm(g: &Gemm) -> Result<Moved, Overflow> {
    let zero = Dim::constant(0);
    let side = |stride: &dyn Fn(&GemmAxis) -> &Dim| {
        let axes = g.batch.iter().chain(&g.m).chain(&g.n).chain(&g.k);
        let apart = axes.filter(|a| *stride(a) != zero);
        bytes(apart.map(|a| a.size.clone()))
    };
    Ok(Moved {
        read: side(&|a| &a.lhs)?.add(&side(&|a| &a.rhs)?)?,
        written: side(&|a| &a.out)?,
    })
}

fn routine(r: &Routine) -> Result<Moved, Overflow> {
    match r {
        Routine::Softmax { x, out } | Routine::Top { x, out, .. } => views(&[x], &[out]),
        Routine::CrossEntropy {
            logits,
            target,
            out,
        } => views(&[logits, target], &[out]),
        Routine::CrossEntropyGrad {
            logits,
            target,
            g,
            out,
        } => views(&[logits, target, g], &[out]),
        // As many elements of the table, or of the sequence, as are given out.
        Routine::Gather { index, out, .. } => views(&[index, out], &[out]),
        Routine::Take { len, out, .. } => match len {
            Some(len) => views(&[len, out], &[out]),
            None => views(&[out], &[out]),
        },
        Routine::Put { g, len, out } => match len {
            Some(len) => views(&[g, len], &[out]),
            None => views(&[g], &[out]),
        },
        // Every row is cleared; those that are added to are read and written again.
        Routine::ScatterAdd { grad, index, out } => views(&[grad, index, grad], &[out, grad]),
        Routine::Random { out, .. } => views(&[], &[out]),
    }
}
