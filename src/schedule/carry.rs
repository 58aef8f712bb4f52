//! Whether a carry can be kept in one buffer that is overwritten at each step.
//!
//! In: a body's groups in order, and their tasks. Out: the carries of which an old value would be
//! read after the new one was written, or at another point of the loop that writes it.

use super::access;
use super::facts::scan_at;
use super::memory::Memory;
use super::order::Ordered;
use super::place::Placed;
use super::program::{CarryHome, Task};
use super::reads;
use crate::diagnostics::Diagnostic;
use crate::ir::{OpId, ValueId};

pub fn clobbered(
    p: &Placed,
    groups: &[Ordered],
    tasks: &[Task],
    memory: &mut Memory<'_>,
    scan: OpId,
) -> Result<Vec<usize>, Diagnostic> {
    let mut out = Vec::new();
    for (i, c) in scan_at(&p.func, scan).carries.iter().enumerate() {
        if p.carries[&(scan, i)] != CarryHome::InPlace || c.next == c.param {
            continue;
        }
        let mut parts: Vec<ValueId> = Vec::new();
        reads::leaves(p, c.next, &mut parts);
        let gives = |o: &Ordered| {
            let mut ops = o.group.ops.iter();
            ops.any(|&id| p.func.op(id).results.iter().any(|r| parts.contains(r)))
        };
        let buffer = memory.view(c.param)?.buffer;
        let mut written = false;
        let mut early = false;
        for (o, task) in groups.iter().zip(tasks) {
            let old = o.needs.contains(&c.param);
            early |= old && written;
            if !gives(o) {
                continue;
            }
            written = true;
            let touched = access::of(task);
            let here = |v: &&&super::program::View| v.buffer == buffer;
            let same_point = touched.reads.iter().filter(here).all(|r| {
                let mut writes = touched.writes.iter().filter(here);
                writes.all(|w| r == w)
            });
            early |= old && !(matches!(task, Task::Loop(_)) && same_point);
        }
        if early {
            out.push(i);
        }
    }
    Ok(out)
}
