//! Faults in the scheduled program: wrong views, orders, bounds and lives.
//!
//! In: a program. Out: whether the fault found a place in it, and changed it there.

use std::collections::BTreeSet;

use seqc::dim::Dim;
use seqc::schedule::access;
use seqc::schedule::program::*;

/// Every task, those of scans' bodies too; stops where `change` has changed one.
fn first(tasks: &mut [Task], change: &mut dyn FnMut(&mut Task) -> bool) -> bool {
    for task in tasks {
        if change(task) {
            return true;
        }
        if let Task::Scan(s) = task
            && first(&mut s.body, change)
        {
            return true;
        }
    }
    false
}

/// The same for loops.
fn a_loop(p: &mut Program, mut change: impl FnMut(&mut Loop) -> bool) -> bool {
    first(&mut p.tasks, &mut |t| match t {
        Task::Loop(l) => change(l),
        Task::Gemm(_) | Task::Scan(_) | Task::Routine { .. } => false,
    })
}

fn a_product(p: &mut Program, mut change: impl FnMut(&mut Gemm) -> bool) -> bool {
    first(&mut p.tasks, &mut |t| match t {
        Task::Gemm(g) => change(g),
        Task::Loop(_) | Task::Scan(_) | Task::Routine { .. } => false,
    })
}

fn a_scan(p: &mut Program, mut change: impl FnMut(&mut Scan) -> bool) -> bool {
    first(&mut p.tasks, &mut |t| match t {
        Task::Scan(s) => change(s),
        Task::Loop(_) | Task::Gemm(_) | Task::Routine { .. } => false,
    })
}

fn less(d: &Dim) -> Dim {
    d.checked_sub(&Dim::constant(1)).unwrap()
}

/// Two temporaries that live at once share a slot.
pub fn slot_shared_while_alive(p: &mut Program) -> bool {
    let temps: Vec<usize> = (0..p.buffers.len())
        .filter(|i| matches!(p.buffers[*i].home, Home::Temp(_)))
        .collect();
    for &a in &temps {
        for &b in &temps {
            let (x, y) = (&p.buffers[a], &p.buffers[b]);
            // Written before the other is read for the last time.
            let overlap = x.life.0 < y.life.0 && y.life.0 < x.life.1;
            if overlap && x.home != y.home && x.shape == y.shape {
                p.buffers[b].home = p.buffers[a].home.clone();
                return true;
            }
        }
    }
    false
}

/// A load walks its buffer with two strides exchanged.
pub fn strides_exchanged(p: &mut Program) -> bool {
    a_loop(p, |l| {
        for v in &mut l.loads {
            let n = v.axes.len();
            if n < 2 || v.axes[n - 1].stride == v.axes[n - 2].stride {
                continue;
            }
            if v.axes[n - 1].stride == Dim::default() || v.axes[n - 2].stride == Dim::default() {
                continue;
            }
            let last = v.axes[n - 1].stride.clone();
            v.axes[n - 1].stride = std::mem::replace(&mut v.axes[n - 2].stride, last);
            return true;
        }
        false
    })
}

/// A load inside a loop over time reads what another step has.
pub fn step_not_counted(p: &mut Program) -> bool {
    a_loop(p, |l| match l.loads.iter_mut().find(|v| v.step.is_some()) {
        Some(v) => v.step.take().is_some(),
        None => false,
    })
}

/// The product's epilogue runs before the product.
pub fn epilogue_before_its_product(p: &mut Program) -> bool {
    fn swapped(tasks: &mut [Task]) -> bool {
        for i in 0..tasks.len().saturating_sub(1) {
            let writes: BTreeSet<u32> = access::of(&tasks[i])
                .writes
                .iter()
                .map(|v| v.buffer.0)
                .collect();
            let read = access::of(&tasks[i + 1]);
            let needs = read.reads.iter().any(|v| writes.contains(&v.buffer.0));
            if matches!((&tasks[i], &tasks[i + 1]), (Task::Gemm(_), Task::Loop(_))) && needs {
                tasks.swap(i, i + 1);
                return true;
            }
        }
        tasks.iter_mut().any(|t| match t {
            Task::Scan(s) => swapped(&mut s.body),
            Task::Gemm(_) | Task::Loop(_) | Task::Routine { .. } => false,
        })
    }
    swapped(&mut p.tasks)
}

/// A loop leaves out the end of its last axis.
pub fn loop_one_short(p: &mut Program) -> bool {
    a_loop(p, |l| {
        let n = l.space.len();
        if n == 0 {
            return false;
        }
        l.space[n - 1] = less(&l.space[n - 1]);
        let views = l.loads.iter_mut();
        let kept: usize = l.reduced.iter().filter(|r| !**r).count();
        for v in views {
            v.axes[n - 1].size = l.space[n - 1].clone();
        }
        for e in &mut l.effects {
            let to = match e {
                Effect::Store { to, .. } | Effect::Fold { to, .. } => to,
            };
            if !l.reduced[n - 1] && kept > 0 {
                to.axes[kept - 1].size = l.space[n - 1].clone();
            }
        }
        true
    })
}

/// The last task of a loop over time, which brings its carry up to date, is gone.
pub fn carry_stays_stale(p: &mut Program) -> bool {
    a_scan(p, |s| s.body.pop().is_some())
}

pub fn loop_over_time_turned_round(p: &mut Program) -> bool {
    a_scan(p, |s| {
        s.reverse = !s.reverse;
        true
    })
}

pub fn loop_over_time_one_short(p: &mut Program) -> bool {
    a_scan(p, |s| {
        s.extent = less(&s.extent);
        true
    })
}

pub fn fold_with_the_wrong_operation(p: &mut Program) -> bool {
    a_loop(p, |l| {
        let mut changed = false;
        for e in &mut l.effects {
            if let Effect::Fold { op, .. } = e {
                *op = match op {
                    FoldOp::Sum => FoldOp::Max,
                    FoldOp::Max => FoldOp::Sum,
                };
                changed = true;
            }
        }
        changed
    })
}

pub fn product_one_term_short(p: &mut Program) -> bool {
    a_product(p, |g| match g.k.first_mut() {
        Some(k) => {
            k.size = less(&k.size);
            true
        }
        None => false,
    })
}

/// The right operand is read as its transpose.
pub fn right_operand_transposed(p: &mut Program) -> bool {
    let dims = p.dims.clone();
    a_product(p, |g| {
        let (Some(k), Some(n)) = (g.k.first_mut(), g.n.first_mut()) else {
            return false;
        };
        let square = dims.eval_static(&k.size).is_some()
            && dims.eval_static(&k.size) == dims.eval_static(&n.size);
        if square {
            std::mem::swap(&mut k.rhs, &mut n.rhs);
        }
        square
    })
}

/// One load of a loop reads another's buffer.
pub fn load_of_another_buffer(p: &mut Program) -> bool {
    let buffers = p.buffers.clone();
    a_loop(p, |l| {
        for i in 1..l.loads.len() {
            let (a, b) = (l.loads[0].buffer, l.loads[i].buffer);
            let shape = |b: BufferId| &buffers[b.0 as usize].shape;
            if a != b && shape(a) == shape(b) && l.loads[0].axes == l.loads[i].axes {
                l.loads[i].buffer = a;
                return true;
            }
        }
        false
    })
}

pub fn operands_exchanged(p: &mut Program) -> bool {
    a_loop(p, |l| {
        for e in &mut l.exprs {
            if let Expr::Binary(Binary::Sub | Binary::Div | Binary::Le | Binary::Lt, a, b) = e {
                std::mem::swap(a, b);
                return true;
            }
        }
        false
    })
}

/// The last step is taken without regard to lengths.
pub fn taken_without_lengths(p: &mut Program) -> bool {
    first(&mut p.tasks, &mut |t| match t {
        Task::Routine {
            routine: Routine::Take { len, .. } | Routine::Put { len, .. },
            ..
        } => len.take().is_some(),
        Task::Routine { .. } | Task::Gemm(_) | Task::Loop(_) | Task::Scan(_) => false,
    })
}
