//! Products over all steps that a scan is the first to read, made a few steps ahead of it instead of all before it.
//!
//! In: a program's tasks. Out: [`Ahead`], and the loop over windows of time in the scan's code.
//!
//! The projection of an input over all steps is several times as large as the second-level cache: made as one product it
//! is written to memory, and read from there. A scan makes it for a window of steps, runs these, and makes the next
//! window in the same place. Whether it does is decided at launch: one window should have rows enough for a product,
//! and where a scan runs on one worker of several, the product is better divided among all of them.
//!
//! The product's own function makes any range of its rows, which are steps by rows of the batch. Everything finds the
//! windowed buffer through a word of the worker's, in which stands where step 0 would be.
//!
//! Where what is made is read later, or the scan stores something else in its place (see [`crate::schedule`]'s reuse),
//! every step has its own place. The window is then in the buffer itself: what is overwritten is still in the cache.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};

use super::super::arena::PACK_ROWS;
use super::Generator;
use super::asm::Asm;
use super::gemm::Shape;
use super::probe::{self, Probe};
use super::recast;
use super::step::{Function, TaskFn};
use super::table::{Cell, Table, too_large};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};
use crate::schedule::access;
use crate::schedule::extent::Extent;
use crate::schedule::program::{BufferId, Effect, Gemm, Home, Program, Scan, Task, View};

/// Rows of a window: enough for a product to run at full speed, few enough that what it makes stays in the cache.
const ROWS: usize = 64;
/// Rows of a worker below which products of one step are too slow.
const LEAST: usize = 16;
/// A product that is made ahead has its right operand packed: [`stays`] counts on it.
const _: () = assert!(LEAST as f64 >= PACK_ROWS);

/// The products that a scan may make for itself.
#[derive(Clone, Debug)]
pub(crate) struct Ahead {
    /// The scan's place among the top-level tasks.
    pub(crate) scan: usize,
    products: Vec<Product>,
    /// Rows of a step.
    rows: Dim,
    extent: Dim,
}

#[derive(Clone, Debug)]
struct Product {
    name: String,
    place: usize,
    /// Its result's place among [`Table::windowed`]; none where every step has its own.
    window: Option<usize>,
    buffer: BufferId,
    /// Floats of the result in one step.
    step: Dim,
    /// Its code and its columns, once it is compiled.
    made: Option<(Function, Dim, String)>,
}

impl Ahead {
    /// Whether the task in this place is one of the products.
    pub(crate) fn makes(&self, place: usize) -> bool {
        self.products.iter().any(|p| p.place == place)
    }

    /// What the plan says of it.
    pub(crate) fn note(&self) -> String {
        let names: Vec<&str> = self.products.iter().map(|p| p.name.as_str()).collect();
        format!(", {} ahead", names.join(", "))
    }

    /// Steps of a window where the scan is divided among so many workers; 0 where the products are made before it.
    pub(crate) fn window(&self, workers: usize, value: &dyn Fn(&Sym) -> Option<i64>) -> usize {
        let size = |d: &Dim| d.eval(value).and_then(|n| usize::try_from(n).ok());
        let (rows, extent) = (
            size(&self.rows).unwrap_or(0),
            size(&self.extent).unwrap_or(0),
        );
        if rows / workers.max(1) < LEAST {
            return 0;
        }
        let steps = ROWS.div_ceil(rows);
        if steps < extent { steps } else { 0 }
    }
}

impl Generator<'_> {
    /// Finds the products that scans can make for themselves, before anything is compiled.
    pub(super) fn find_ahead(&mut self) -> Result<(), Diagnostic> {
        let program = self.program;
        for (place, task) in program.tasks.iter().enumerate() {
            let Task::Scan(s) = task else { continue };
            let Some(rows) = self.common_rows(s)? else {
                continue;
            };
            let extent = self.table.fix(&s.extent)?;
            let mut products = Vec::new();
            for (before, task) in program.tasks[..place].iter().enumerate() {
                let Task::Gemm(g) = task else { continue };
                let Some(step) = self.step_of(g, &rows, &extent)? else {
                    continue;
                };
                let dot = recast::dot(g, &self.table)?;
                let read = reads_steps(program, (before, place), s, g, &step, &self.table)?;
                let Some(later) = read.filter(|_| dot.is_none()) else {
                    continue;
                };
                if stays(program, before, place, g, &self.table)? {
                    let window = (!later).then_some(self.table.windowed.len());
                    self.table.windowed.extend(window.map(|_| g.out.buffer));
                    products.push(Product {
                        name: g.name.clone(),
                        place: before,
                        window,
                        buffer: g.out.buffer,
                        step,
                        made: None,
                    });
                }
            }
            if !products.is_empty() {
                self.ahead.push(Ahead {
                    scan: place,
                    products,
                    rows,
                    extent,
                });
            }
        }
        Ok(())
    }

    /// Floats of a step of the result, where it is that of all steps one after another: rows are steps by rows of the
    /// batch, columns lie side by side without gaps.
    fn step_of(&self, g: &Gemm, rows: &Dim, extent: &Dim) -> Result<Option<Dim>, Diagnostic> {
        let ([m], [n], true) = (&g.m[..], &g.n[..], g.batch.is_empty()) else {
            return Ok(None);
        };
        let times = |a: &Dim, b: &Dim| a.checked_mul(b).map_err(|_| too_large(a));
        let fix = |d: &Dim| self.table.fix(d);
        let width = fix(&m.out)?;
        let whole = fix(&m.size)? == times(rows, extent)?
            && fix(&n.size)? == width
            && fix(&n.out)?.as_const() == Some(1)
            && fix(&g.out.offset)?.as_const() == Some(0)
            && [&g.lhs, &g.rhs, &g.out].iter().all(|v| v.step.is_none());
        Ok(if whole {
            Some(times(rows, &width)?)
        } else {
            None
        })
    }

    /// Keeps the function of a product that its scan calls.
    pub(super) fn note_ahead(&mut self, place: usize, task: &TaskFn) {
        let products = self.ahead.iter_mut().flat_map(|a| &mut a.products);
        for p in products.filter(|p| p.place == place) {
            let columns = task.columns.as_ref().map(|c| c.extent.clone());
            let columns = columns.unwrap_or(Dim::constant(0));
            p.made = Some((task.code, columns, task.lines[0].clone()));
        }
    }

    /// Probes for the products, where tasks are timed; the first one's number.
    pub(super) fn probe_ahead(&mut self, a: &Ahead) -> Option<usize> {
        let all = self.probes.as_mut()?;
        let first = all.len();
        all.extend(a.products.iter().map(|p| {
            Probe {
                place: vec![p.place],
                within: a.scan,
                line: p
                    .made
                    .as_ref()
                    .map_or(String::new(), |(.., line)| line.clone()),
            }
        }));
        Some(first)
    }
}

/// Whether the scan in the second place is the first to use what the product in the first one makes, and at each step uses
/// that step's part of it; then, whether a step's part is used after the step.
fn reads_steps(
    program: &Program,
    (product, place): (usize, usize),
    scan: &Scan,
    g: &Gemm,
    step: &Dim,
    table: &Table,
) -> Result<Option<bool>, Diagnostic> {
    let buffer = g.out.buffer;
    let touched = |t: &Task| access::of(t).all().filter(|v| v.buffer == buffer).count();
    let others = program.tasks.iter().enumerate();
    let mut others = others.filter(|(i, t)| ![product, place].contains(i) && touched(t) > 0);
    let only_later = others.clone().all(|(i, _)| i > place);
    if !matches!(program.buffer(buffer).home, Home::Temp(_)) || !only_later {
        return Ok(None);
    }
    let (mut read, mut written) = (false, false);
    for task in &scan.body {
        let mut own = 0;
        if let Task::Loop(l) = task {
            let stores = l.effects.iter().filter_map(|e| match e {
                Effect::Store { to, .. } => Some(to),
                Effect::Fold { .. } => None,
            });
            let loads = l.loads.iter().map(|v| (v, false));
            for (v, writes) in loads.chain(stores.map(|v| (v, true))) {
                if v.buffer != buffer {
                    continue;
                }
                if !in_step(v, step, table)? {
                    return Ok(None);
                }
                own += 1;
                (read, written) = (read || !writes, written || writes);
            }
        }
        if own != touched(task) {
            return Ok(None);
        }
    }
    Ok(read.then_some(written || others.next().is_some()))
}

/// Whether a view in a scan's body is a part of the step's own floats.
fn in_step(v: &View, step: &Dim, table: &Table) -> Result<bool, Diagnostic> {
    let axes = v.axes.iter().map(|a| (a.size.clone(), a.stride.clone()));
    let extent = Extent::new(v, &axes.collect::<Vec<_>>(), &|d| table.fix(d))?;
    Ok(v.step.is_some() && extent.step == *step && extent.in_step())
}

/// Whether what the product reads is the same until the scan ends: memory of temporaries is shared. A right operand that
/// is packed before is read no more.
fn stays(
    program: &Program,
    product: usize,
    scan: usize,
    g: &Gemm,
    table: &Table,
) -> Result<bool, Diagnostic> {
    let packed = Shape::new(g, table, Some(0))?.panel.is_some();
    let home = |b: BufferId| &program.buffer(b).home;
    let clash = |a: BufferId, b: BufferId| {
        a == b || matches!((home(a), home(b)), (Home::Temp(a), Home::Temp(b)) if a == b)
    };
    let between = program.tasks[product + 1..=scan].iter();
    let mut written = between.flat_map(|t| access::of(t).writes);
    Ok(written.all(|w| {
        let again = packed || !clash(g.rhs.buffer, w.buffer);
        // The scan may write over the steps that it has read.
        let out = w.buffer == g.out.buffer || !clash(g.out.buffer, w.buffer);
        again && !clash(g.lhs.buffer, w.buffer) && out
    }))
}

/// The scan's loop over windows: before each its products, then its steps. `step` emits a step, given how many went
/// before; without products made ahead the one window is all of time.
pub(super) fn emit(
    asm: &mut Asm<'_, '_>,
    (number, ahead): (usize, &Ahead),
    turns: Value,
    reverse: bool,
    probes: Option<usize>,
    step: &mut dyn FnMut(&mut Asm<'_, '_>, Value) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    let zero = asm.int(0);
    let rows = asm.size(&ahead.rows)?;
    let steps = asm.cell(Cell::Ahead(number));
    let (lo, hi) = (asm.params.lo, asm.params.hi);
    let mut products = Vec::new();
    for p in &ahead.products {
        let Some((code, columns, _)) = &p.made else {
            return Err(super::machine::internal(&"a scan comes before its product"));
        };
        let window = p.window.map(|w| {
            let word = asm.cell(Cell::Window(w));
            (word, asm.cell(Cell::Buffer(p.buffer)))
        });
        let (bytes, columns) = (asm.bytes(&p.step)?, asm.size(columns)?);
        products.push((code.id, asm.table_of(code.slots), window, bytes, columns));
    }
    let windowed = asm.b.ins().icmp_imm_s(IntCC::NotEqual, steps, 0);
    let width = asm.b.ins().select(windowed, steps, turns);
    // All rows of a window are one product; those of a worker are one a step.
    let mine = asm.b.ins().isub(hi, lo);
    let all = asm.b.ins().icmp(IntCC::Equal, mine, rows);
    let (head, exit) = asm.open(zero, turns, &[]);
    let from = asm.enter(head)[0];
    let end = asm.add(from, width);
    let end = asm.b.ins().smin(end, turns);
    let count = asm.b.ins().isub(end, from);
    let begins = if reverse {
        asm.b.ins().isub(turns, end)
    } else {
        from
    };
    let (make, run) = (asm.b.create_block(), asm.b.create_block());
    asm.b.ins().brif(windowed, make, &[], run, &[]);
    asm.b.switch_to_block(make);
    let together = asm.mul(count, rows);
    let each = asm.b.ins().select(all, together, mine);
    let one = asm.int(1);
    let parts = asm.b.ins().select(all, one, count);
    let first = asm.mul(begins, rows);
    let first = asm.add(first, lo);
    for (i, (id, table, window, bytes, columns)) in products.into_iter().enumerate() {
        if let Some((word, base)) = window {
            let far = asm.mul(begins, bytes);
            let moved = asm.b.ins().isub(base, far);
            asm.b.ins().store(MemFlagsData::trusted(), moved, word, 0);
        }
        asm.count(zero, parts, |asm, part| {
            let skipped = asm.mul(part, rows);
            let row = asm.add(first, skipped);
            let past = asm.add(row, each);
            asm.call(id, &[table, zero, row, past, zero, columns]);
            Ok(())
        })?;
        if let Some(probe) = probes {
            probe::emit(asm, Some(probe + i))?;
        }
    }
    asm.b.ins().jump(run, &[]);
    asm.b.switch_to_block(run);
    asm.count(from, end, |asm, i| step(asm, i))?;
    // The next window begins where this one ended.
    let more = asm.b.ins().icmp(IntCC::SignedLessThan, end, turns);
    let args = [end.into()];
    asm.b.ins().brif(more, head, &args, exit, &args);
    asm.enter(exit);
    Ok(())
}
