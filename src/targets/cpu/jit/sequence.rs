//! Code for single steps of sequences, and for random draws.
//!
//! In: a sequence's view. Out: one function over a range of examples (of steps, for timed draws).

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};

use super::Generator;
use super::address::base;
use super::asm::Asm;
use super::calls::{self, call_kernel};
use super::nest::fixed_walk;
use super::routine::{COPY_NS, scattered, width};
use super::step::{Split, TaskFn, Work};
use super::table::Cell;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::philox;
use crate::schedule::program::{Dist, View};

/// Nanoseconds for one draw.
const DRAW_NS: f64 = 3.0;

impl Generator<'_> {
    /// Copies one step of each example between a sequence and `row`; `put` fills the sequence, zeros elsewhere.
    pub(super) fn take(
        &mut self,
        name: &str,
        sequence: &View,
        len: Option<&View>,
        row: &View,
        put: bool,
    ) -> Result<TaskFn, Diagnostic> {
        let w = width(&[sequence, row], &[2, 1], &self.table)?;
        if w.outer > 0 {
            return Err(scattered(name));
        }
        let batch = self.table.fix(&row.axes[0].size)?;
        let steps = self.table.fix(&sequence.axes[0].size)?;
        let strides = [&sequence.axes[0], &sequence.axes[1], &row.axes[0]];
        let mut bytes = Vec::new();
        for a in strides {
            bytes.push(self.table.fix(&a.stride)?);
        }
        let run = w.run;
        let kind = if put { "put" } else { "take" };
        let code = self.function(kind, name, |asm| {
            let (width, steps_n) = (asm.size(&run)?, asm.size(&steps)?);
            let step = asm.bytes(&bytes[0])?;
            let (example, to) = (asm.bytes(&bytes[1])?, asm.bytes(&bytes[2])?);
            let walk = |asm: &mut Asm<'_, '_>, v: &View| {
                let w = fixed_walk(v, asm.table)?;
                base(asm, &w)
            };
            let (all, rows) = (walk(asm, sequence)?, walk(asm, row)?);
            let lengths = match len {
                Some(v) => {
                    let stride = asm.table.fix(&v.axes[0].stride)?;
                    Some((walk(asm, v)?, asm.bytes(&stride)?))
                }
                None => None,
            };
            let (lo, hi, zero, one) = (asm.params.lo, asm.params.hi, asm.int(0), asm.int(1));
            asm.count(lo, hi, |asm, b| {
                let t = match lengths {
                    None => zero,
                    Some((p, stride)) => {
                        let far = asm.mul(b, stride);
                        let p = asm.add(p, far);
                        let flags = MemFlagsData::new().with_notrap();
                        let n = asm.b.ins().load(I32, flags, p, 0);
                        let n = asm.b.ins().sextend(I64, n);
                        asm.b.ins().iadd_imm_s(n, -1)
                    }
                };
                let far = asm.mul(b, example);
                let all = asm.add(all, far);
                let far = asm.mul(b, to);
                let row = asm.add(rows, far);
                let copy = |asm: &mut Asm<'_, '_>, from: Value, to: Value| {
                    call_kernel(
                        asm,
                        calls::COPY_ROWS,
                        &[zero, one, width, from, zero, to, zero],
                    )
                };
                if put {
                    return asm.count(zero, steps_n, |asm, i| {
                        let far = asm.mul(i, step);
                        let at = asm.add(all, far);
                        let here = asm.b.ins().icmp(IntCC::Equal, i, t);
                        either(
                            asm,
                            here,
                            |asm| copy(asm, row, at),
                            |asm| call_kernel(asm, calls::ZERO, &[width, at]),
                        )
                    });
                }
                let inside = asm.b.ins().icmp(IntCC::UnsignedLessThan, t, steps_n);
                let far = asm.mul(t, step);
                let at = asm.add(all, far);
                either(
                    asm,
                    inside,
                    |asm| copy(asm, at, row),
                    |asm| call_kernel(asm, calls::ZERO, &[width, row]),
                )
            })
        })?;
        let mut sizes = vec![&batch, &run];
        if put {
            sizes.push(&steps);
        }
        let work = Work::of(COPY_NS, sizes);
        Ok(TaskFn {
            code,
            lines: vec![format!("{kind} {name}, rows of {run}")],
            rows: Some(Split {
                extent: batch,
                grain: 1,
            }),
            columns: None,
            work,
        })
    }

    pub(super) fn random(
        &mut self,
        name: &str,
        path: &str,
        dist: Dist,
        timed: bool,
        out: &View,
        by_rows: bool,
    ) -> Result<TaskFn, Diagnostic> {
        let count = 1 + usize::from(timed);
        let w = width(&[out], &[count], &self.table)?;
        if w.outer > 0 {
            return Err(scattered(name));
        }
        debug_assert!(!(by_rows && timed));
        let mut axes = Vec::new();
        for a in &out.axes[..count] {
            axes.push((self.table.fix(&a.size)?, self.table.fix(&a.stride)?));
        }
        let run = w.run;
        let hash = i64::from(philox::path_hash(path));
        let symbol = match dist {
            Dist::Uniform => calls::UNIFORM,
            Dist::Normal => calls::NORMAL,
        };
        let code = self.function("random", name, |asm| {
            let width = asm.size(&run)?;
            let walk = fixed_walk(out, asm.table)?;
            let at = base(asm, &walk)?;
            let (key, step) = (asm.cell(Cell::Key), asm.cell(Cell::Step));
            let path = asm.int(hash);
            let (lo, hi, zero) = (asm.params.lo, asm.params.hi, asm.int(0));
            let outer = asm.bytes(&axes[0].1)?;
            let inner = match axes.get(1) {
                Some((size, stride)) => Some((asm.size(size)?, asm.bytes(stride)?)),
                None => None,
            };
            let fill = |asm: &mut Asm<'_, '_>, at: Value, example: Value, t: Value| {
                call_kernel(asm, symbol, &[width, at, key, path, step, example, t])
            };
            asm.count(lo, hi, |asm, i| {
                let far = asm.mul(i, outer);
                let at = asm.add(at, far);
                match inner {
                    None => {
                        let t = asm.params.time;
                        fill(asm, at, i, t)
                    }
                    Some((examples, stride)) => asm.count(zero, examples, |asm, example| {
                        let far = asm.mul(example, stride);
                        let at = asm.add(at, far);
                        fill(asm, at, example, i)
                    }),
                }
            })
        })?;
        let sizes: Vec<&Dim> = axes.iter().map(|a| &a.0).chain([&run]).collect();
        let work = Work::of(DRAW_NS, sizes);
        Ok(TaskFn {
            code,
            lines: vec![format!("random {name}, rows of {run}")],
            rows: Some(Split {
                extent: axes[0].0.clone(),
                grain: 1,
            }),
            columns: None,
            work,
        })
    }
}

/// One of two calls.
fn either(
    asm: &mut Asm<'_, '_>,
    which: Value,
    yes: impl FnOnce(&mut Asm<'_, '_>) -> Result<(), Diagnostic>,
    no: impl FnOnce(&mut Asm<'_, '_>) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    let (a, b, done) = (
        asm.b.create_block(),
        asm.b.create_block(),
        asm.b.create_block(),
    );
    asm.b.ins().brif(which, a, &[], b, &[]);
    asm.b.switch_to_block(a);
    yes(asm)?;
    asm.b.ins().jump(done, &[]);
    asm.b.switch_to_block(b);
    no(asm)?;
    asm.b.ins().jump(done, &[]);
    asm.b.switch_to_block(done);
    Ok(())
}
