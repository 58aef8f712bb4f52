//! Faults of reverse mode: wrong derivatives, and wrong values saved for them.
//!
//! In: a function. Out: whether the fault found a place in it, and changed it there.

use seqc::ir::build::Build;
use seqc::ir::*;

use super::edit::{
    all, backward, is_binary, live, mask, passes, reads_the_start, refresh, scan_mut, scan_of,
};

pub fn contribution_dropped(func: &mut Func) -> bool {
    backward(func, |f, id| {
        is_binary(f, id, Binary::Add) && passes(f, id, 0)
    })
}

pub fn contribution_doubled(func: &mut Func) -> bool {
    backward(func, |f, id| {
        let [a, b] = f.op(id).args[..] else {
            return false;
        };
        let fits = is_binary(f, id, Binary::Add) && f.value(a).ty == f.value(b).ty && a != b;
        if fits {
            f.op_mut(id).args = vec![b, b];
        }
        fits
    })
}

pub fn minus_lost(func: &mut Func) -> bool {
    let negated = |f: &mut Func, id: OpId| {
        matches!(f.op(id).kind, OpKind::Unary(Unary::Neg)) && passes(f, id, 0)
    };
    backward(func, negated)
}

pub fn difference_turned_round(func: &mut Func) -> bool {
    backward(func, |f, id| {
        let fits = is_binary(f, id, Binary::Sub);
        if fits {
            f.op_mut(id).args.reverse();
        }
        fits
    })
}

pub fn backward_loop_runs_forwards(func: &mut Func) -> bool {
    backward(func, |f, id| match scan_mut(f, id) {
        Some(scan) => {
            scan.reverse = !scan.reverse;
            true
        }
        None => false,
    })
}

pub fn delay_not_turned_round(func: &mut Func) -> bool {
    backward(func, |f, id| match &mut f.op_mut(id).kind {
        OpKind::Shift { by } => {
            *by = -*by;
            true
        }
        _ => false,
    })
}

pub fn last_gets_gradient_at_first(func: &mut Func) -> bool {
    backward(func, |f, id| match &mut f.op_mut(id).kind {
        OpKind::Put { which, .. } if *which == TakeWhich::Last => {
            *which = TakeWhich::First;
            true
        }
        _ => false,
    })
}

pub fn divisor_lost(func: &mut Func) -> bool {
    backward(func, |f, id| {
        is_binary(f, id, Binary::Div) && passes(f, id, 0)
    })
}

/// Two labels of the result change places where their sizes allow it.
fn transposed(func: &mut Func, id: OpId) -> bool {
    let OpKind::Contract { out, .. } = &func.op(id).kind else {
        return false;
    };
    let shape = func.shape(func.op(id).results[0]).to_vec();
    let pairs = (0..out.len()).flat_map(|i| (i + 1..out.len()).map(move |j| (i, j)));
    let square = pairs.into_iter().find(|(i, j)| shape[*i] == shape[*j]);
    let Some((i, j)) = square else { return false };
    if let OpKind::Contract { out, .. } = &mut func.op_mut(id).kind {
        out.swap(i, j);
    }
    true
}

pub fn gradient_transposed(func: &mut Func) -> bool {
    backward(func, transposed)
}

pub fn adjoint_reads_its_start(func: &mut Func) -> bool {
    reads_the_start(func, &|op| op.by.contains(&"reverse"), false)
}

pub fn stash_of_the_step_before(func: &mut Func) -> bool {
    let mut changed = false;
    for id in func.body.ops.clone() {
        if !func.op(id).by.contains(&"reverse") {
            continue;
        }
        let Some(mut scan) = scan_of(func, id) else {
            continue;
        };
        let mut b = Build::new(func);
        for s in &mut scan.slices {
            if b.func.value(s.from).ty.elem == Elem::F32 {
                s.from = b.emit(OpKind::Shift { by: 1 }, &[s.from], "stale");
                changed = true;
            }
        }
        let made = b.ops;
        func.op_mut(id).kind = OpKind::Scan(Box::new(scan));
        refresh(func, id);
        let at = func.body.ops.iter().position(|o| *o == id).unwrap();
        func.body.ops.splice(at..at, made);
    }
    changed
}

pub fn stash_of_the_state_after(func: &mut Func) -> bool {
    all(func, |f, id| {
        let Some(scan) = scan_mut(f, id) else {
            return false;
        };
        let mut changed = false;
        for s in &mut scan.stacks {
            if let Some(c) = scan.carries.iter().find(|c| c.param == s.from) {
                s.from = c.next;
                changed = true;
            }
        }
        changed
    })
}

pub fn only_the_last_step_adds(func: &mut Func) -> bool {
    let mut changed = false;
    for (id, around) in live(func) {
        let Some(scan) = around.and_then(|o| scan_of(func, o)) else {
            continue;
        };
        // A weight's gradient is summed in a carry without a batch.
        let sum = scan.carries.iter().find(|c| {
            func.op(id).results.contains(&c.next)
                && func.shape(c.param).first() != Some(&Func::batch())
        });
        let Some(c) = sum.copied() else { continue };
        let args = func.op(id).args.clone();
        if let Some(i) = args.iter().position(|a| *a != c.param)
            && is_binary(func, id, Binary::Add)
        {
            changed |= passes(func, id, i);
        }
    }
    changed
}

pub fn adjoint_not_masked(func: &mut Func) -> bool {
    backward(func, |f, id| mask(f, id).is_some() && passes(f, id, 0))
}
