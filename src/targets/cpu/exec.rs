//! A compiled program that can be called: [`CpuExecutable`].
//!
//! In: a [`Program`] and [`Options`]. Out: an [`Executable`]. A call checks its arguments, places temporaries in one
//! arena, fills each worker's table and runs the steps in order; a step whose work pays for it is divided among the pool.
//!
//! Temporaries, panels and tables are kept from call to call and only grow, so a call with sizes seen before allocates
//! nothing. Whatever the number of workers, the bits are the same: ranges divide rows or columns, never a sum.

use std::sync::Arc;
use std::time::Instant;

use super::bind::{Binding, Launch};
use super::isa::Isa;
use super::jit::machine::Code;
pub use super::jit::machine::Effort;
use super::jit::probe::Probe;
use super::jit::step::{Kind, Panel, Split, Step};
use super::jit::table::{Cell, Table};
use super::jit::{self, Request};
use super::kernels::Kernels;
use super::memory;
use super::pages::Buffer;
use super::pool::Pool;
use super::profile::Clocks;
use super::share::share;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::philox::{self, Domain};
use crate::schedule::program::Program;
use crate::targets::executable::{Call, Executable, Signature};

/// Work of less than this many nanoseconds is not worth another worker.
const WORKER_NS: f64 = 30_000.0;
/// Rows multiplied with a matrix in a call from which on it is packed first.
const PACK_ROWS: f64 = 8.0;
/// Floats that parts of the arena are aligned to: a cache line.
const LINE: usize = 16;

/// How a program is compiled and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Workers, the calling thread among them.
    pub threads: usize,
    pub effort: Effort,
    /// The instruction set of kernels and code; one that this machine has.
    pub isa: Isa,
    /// Whether Cranelift's verifier looks over every function, which takes about half as long again.
    pub verify: bool,
    /// Divides every step among all workers, however little there is to do: tests show that no bit depends on it.
    pub always_divide: bool,
    /// Times every task, which makes calls slower (see [`super::profile`]).
    pub profile: bool,
}

impl Default for Options {
    /// All cores, the machine's widest instruction set; the verifier in debug builds.
    fn default() -> Options {
        Options {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            effort: Effort::default(),
            isa: Isa::detect(),
            verify: cfg!(debug_assertions),
            always_divide: false,
            profile: false,
        }
    }
}

/// Compiles a program for this machine.
///
/// # Errors
///
/// `compile::target` where the machine has not the instruction set asked for, `compile::unbound-size` where a static size
/// has no value, `resource::size` where a size leaves 64 bits, `compile::layout` for a layout no routine takes,
/// `compile::too-long` for a group that is too long, `compile::backend` where the code generator fails.
pub fn compile(program: &Program, options: &Options) -> Result<CpuExecutable, Diagnostic> {
    compile_on(program, options, Arc::new(Pool::new(options.threads)))
}

/// [`compile`] for a pool that other executables use too.
///
/// # Errors
///
/// As [`compile`].
pub fn compile_on(
    program: &Program,
    options: &Options,
    pool: Arc<Pool>,
) -> Result<CpuExecutable, Diagnostic> {
    let kernels = Kernels::for_isa(options.isa).ok_or_else(|| {
        let message = format!("this machine has no {} instructions", options.isa);
        Diagnostic::error("compile::target", message)
    })?;
    let binding = Binding::new(program)?;
    let request = Request {
        isa: options.isa,
        effort: options.effort,
        verify: options.verify,
        texts: false,
        profile: options.profile,
    };
    let compiled = jit::compile(program, request, kernels, &pool)?;
    let workers = pool.workers();
    let empty = Buffer::zeroed(0).map_err(|e| memory::refused(e.bytes, None))?;
    let mut exec = CpuExecutable {
        binding,
        steps: compiled.steps,
        panels: compiled.panels,
        products: compiled.products,
        launch: Launch::default(),
        tables: vec![Vec::new(); workers],
        table: compiled.table,
        arena: empty,
        kernels,
        pool,
        always_divide: options.always_divide,
        probes: compiled.probes,
        clocks: options.profile.then(Clocks::default),
        _code: compiled.code,
    };
    exec.reset_clocks();
    Ok(exec)
}

/// Machine code for a program, its memory and its threads.
pub struct CpuExecutable {
    binding: Binding,
    pub(super) steps: Vec<Step>,
    panels: Vec<Panel>,
    products: Vec<[Dim; 2]>,
    table: Table,
    /// The present call's sizes and addresses; kept for its memory.
    launch: Launch,
    /// One a worker.
    tables: Vec<Vec<i64>>,
    arena: Buffer,
    kernels: &'static Kernels,
    pub(super) pool: Arc<Pool>,
    always_divide: bool,
    pub(super) probes: Vec<Probe>,
    /// Where tasks are timed.
    pub(super) clocks: Option<Clocks>,
    /// Dropped last: the steps point into it.
    _code: Code,
}

/// Where things are in the arena, in floats.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    pub(super) slots: Vec<usize>,
    /// `None` for panels that this call does not use.
    pub(super) panels: Vec<Option<usize>>,
    scratch: usize,
    /// Floats of scratch for each worker.
    scratch_len: usize,
    len: usize,
}

impl Arena {
    /// The start of `floats` more.
    fn take(&mut self, floats: usize) -> Option<usize> {
        let at = self.len;
        self.len = at.checked_add(floats.checked_next_multiple_of(LINE)?)?;
        Some(at)
    }
}

impl CpuExecutable {
    /// Places slots, panels and scratch. `None` where a size leaves the address space.
    fn place(&self, sizes: &[i64], arena: &mut Arena) -> Option<()> {
        let value = self.binding.value(sizes);
        let size = |d: &Dim| usize::try_from(d.eval(&value)?).ok();
        arena.slots.clear();
        arena.panels.clear();
        arena.len = 0;
        for slot in &self.binding.slots {
            let mut floats = 0;
            for d in slot {
                floats = floats.max(size(d)?);
            }
            let at = arena.take(floats)?;
            arena.slots.push(at);
        }
        for p in &self.panels {
            let rows = |uses: &Vec<Dim>| -> f64 {
                uses.iter().map(|d| size(d).unwrap_or(0) as f64).product()
            };
            if p.uses.iter().map(rows).sum::<f64>() < PACK_ROWS {
                arena.panels.push(None);
                continue;
            }
            let mut floats = self.kernels.packed_len(size(&p.k)?, size(&p.n)?)?;
            for d in &p.blocks {
                floats = floats.checked_mul(size(d)?)?;
            }
            let at = arena.take(floats)?;
            arena.panels.push(Some(at));
        }
        arena.scratch_len = 0;
        for [n, k] in &self.products {
            let floats = self.kernels.gemm_scratch_len(size(n)?, size(k)?);
            arena.scratch_len = arena.scratch_len.max(floats);
        }
        arena.scratch_len = arena.scratch_len.checked_next_multiple_of(LINE)?;
        arena.scratch = arena.take(arena.scratch_len.checked_mul(self.pool.workers())?)?;
        Some(())
    }

    /// Makes the arena at least `len` floats long, if the system has room for that and for `outputs` bytes more.
    fn grow(&mut self, len: usize, outputs: u128) -> Result<(), Diagnostic> {
        let held = self.arena.len();
        if len <= held && outputs == 0 {
            return Ok(());
        }
        let needed = if len > held { len as u128 * 4 } else { 0 };
        let freed = if len > held { held as u128 * 4 } else { 0 };
        let available = memory::available();
        if available.is_some_and(|a| needed + outputs > u128::from(a) + freed) {
            return Err(memory::refused(needed + outputs, available));
        }
        if len <= held {
            return Ok(());
        }
        // The old arena goes first, so that both are never held together.
        self.arena = Buffer::zeroed(0).map_err(|e| memory::refused(e.bytes, available))?;
        self.arena = Buffer::zeroed(len).map_err(|e| memory::refused(e.bytes, available))?;
        Ok(())
    }

    /// Fills every worker's table from the launch.
    fn fill_tables(&mut self, call: &Call<'_>) -> Result<(), Diagnostic> {
        let value = self.binding.value(&self.launch.sizes);
        let [low, high] = philox::key(call.draw.seed, Domain::Dropout);
        let arena = self.arena.as_mut_ptr();
        let at = |floats: usize| arena.wrapping_add(floats) as i64;
        let placed = &self.launch.arena;
        let mut held = Vec::with_capacity(self.table.cells().len());
        for cell in self.table.cells() {
            held.push(match cell {
                Cell::Key => (u64::from(high) << 32 | u64::from(low)) as i64,
                Cell::Step => call.draw.step as i64,
                Cell::Scratch | Cell::Counters => 0,
                Cell::Buffer(b) => self.launch.buffers[b.0 as usize] as i64,
                Cell::Panel(i) => placed.panels[*i].map_or(0, at),
                Cell::Packed(i) => i64::from(placed.panels[*i].is_some()),
                Cell::PanelBlock(i) => {
                    let p = &self.panels[*i];
                    let size = |d: &Dim| usize::try_from(d.eval(&value)?).ok();
                    let floats = size(&p.k)
                        .zip(size(&p.n))
                        .and_then(|(k, n)| self.kernels.packed_len(k, n));
                    floats.and_then(|f| i64::try_from(f).ok()).unwrap_or(0)
                }
                Cell::Size(d) => d.eval(&value).ok_or_else(|| jit::table::too_large(d))?,
            });
        }
        let cells = self.table.cells();
        let scratch = cells.iter().position(|c| *c == Cell::Scratch);
        let counters = cells.iter().position(|c| *c == Cell::Counters);
        for (worker, table) in self.tables.iter_mut().enumerate() {
            if let Some(i) = scratch {
                held[i] = at(placed.scratch + worker * placed.scratch_len);
            }
            if let (Some(i), Some(clocks)) = (counters, &mut self.clocks) {
                held[i] = clocks.counters[worker].as_mut_ptr() as i64;
            }
            table.clear();
            table.extend(self.table.slots().iter().map(|i| held[*i]));
        }
        Ok(())
    }

    fn run_steps(&mut self) {
        let value = self.binding.value(&self.launch.sizes);
        let extent = |s: &Option<Split>| {
            let n = s.as_ref().map_or(Some(1), |s| s.extent.eval(&value));
            n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
        };
        for (number, step) in self.steps.iter().enumerate() {
            let began = self.clocks.as_ref().map(|_| Instant::now());
            if let Kind::Pack(panel) = step.kind
                && self.launch.arena.panels[panel].is_none()
            {
                continue;
            }
            let rows = extent(&step.task.rows);
            let columns = extent(&step.task.columns);
            let grain = |s: &Option<Split>| s.as_ref().map(|s| s.grain);
            let work = step.task.work.nanoseconds(&value);
            let workers = match self.always_divide {
                true => self.pool.workers(),
                false => ((work / WORKER_NS) as usize).clamp(1, self.pool.workers()),
            };
            let (row_grain, column_grain) = (grain(&step.task.rows), grain(&step.task.columns));
            let parts = |n: usize, grain: Option<usize>| grain.map_or(0, |g| n.div_ceil(g));
            let by_rows = parts(rows, row_grain) >= parts(columns, column_grain).min(workers);
            let (tables, code) = (&self.tables, step.run);
            let run = |worker: usize, workers: usize| {
                let (mut r, mut c) = (0..rows, 0..columns);
                if by_rows {
                    r = share(rows, row_grain.unwrap_or(1), worker, workers);
                } else {
                    c = share(columns, column_grain.unwrap_or(1), worker, workers);
                }
                if r.is_empty() && rows > 0 || c.is_empty() && columns > 0 {
                    return;
                }
                let slots = &tables[worker][step.task.code.slots..];
                let table = slots.as_ptr();
                let [r0, r1, c0, c1] = [r.start, r.end, c.start, c.end].map(|n| n as i64);
                // SAFETY: `run` filled the tables for this call's sizes; buffers are as long as the sizes say, checked
                // on entry, and live until the call returns. Shares are disjoint and inside the extents.
                unsafe { code(table, 0, r0, r1, c0, c1) };
            };
            if workers == 1 || rows == 0 && columns == 0 {
                run(0, 1);
            } else {
                // Inside another job of a pool there is one worker.
                self.pool.run(&|worker, all| {
                    let workers = workers.min(all);
                    if worker < workers {
                        run(worker, workers);
                    }
                });
            }
            if let (Some(began), Some(clocks)) = (began, &mut self.clocks) {
                let (nanoseconds, runs) = &mut clocks.steps[number];
                *nanoseconds += began.elapsed().as_nanos() as u64;
                *runs += 1;
            }
        }
    }
}

impl Executable for CpuExecutable {
    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn run(&mut self, mut call: Call<'_>) -> Result<(), Diagnostic> {
        self.binding.check(&call, &mut self.launch)?;
        let mut arena = std::mem::take(&mut self.launch.arena);
        let placed = self.place(&self.launch.sizes, &mut arena);
        let len = arena.len;
        self.launch.arena = arena;
        if placed.is_none() {
            return Err(memory::refused(u128::from(u64::MAX), memory::available()));
        }
        let outputs = self.binding.growth(&call, &self.launch.sizes)?;
        self.grow(len, outputs)?;
        self.binding
            .bind(&mut call, &mut self.launch, self.arena.as_mut_ptr())?;
        self.fill_tables(&call)?;
        self.run_steps();
        self.binding.finish(&mut call, &self.launch);
        Ok(())
    }

    fn peak_bytes(&self, sizes: &[usize]) -> Option<u64> {
        let sizes = self.binding.sizes(sizes).ok()?;
        let mut arena = Arena::default();
        self.place(&sizes, &mut arena)?;
        u64::try_from(arena.len).ok()?.checked_mul(4)
    }
}
