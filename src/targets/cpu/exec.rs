//! A compiled program that can be called: [`CpuExecutable`].
//!
//! In: a [`Program`] and [`Options`]. Out: an [`Executable`]. A call checks its arguments, places temporaries in one
//! arena, fills each worker's table and runs the steps in order; a step whose work pays for it is divided among the pool.
//!
//! Temporaries, panels and tables are kept from call to call and only grow, so a call with sizes seen before allocates
//! nothing. Whatever the number of workers, the bits are the same: ranges divide rows or columns, never a sum.

use std::sync::Arc;
use std::time::Instant;

use super::arena::Arena;
use super::barrier::Barrier;
use super::bind::{Binding, Launch};
use super::isa::Cpu;
use super::jit::ahead::Ahead;
use super::jit::machine::Code;
pub use super::jit::machine::Effort;
use super::jit::probe::Probe;
use super::jit::step::{Kind, Panel, Step};
use super::jit::table::{Cell, Table};
use super::jit::{self, Request};
use super::kernels::Kernels;
use super::memory;
use super::pages::Buffer;
use super::plan::{Plan, SHARE_NS, WAKE_NS};
use super::pool::Pool;
use super::profile::Clocks;
use super::trial::Trial;
use super::weights;
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};
use crate::philox::{self, Domain};
use crate::schedule::program::Program;
use crate::targets::executable::{Call, Executable, Signature};

/// How a program is compiled and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Workers, the calling thread among them.
    pub threads: usize,
    pub effort: Effort,
    /// The instruction set of kernels and code, one that this machine has.
    pub cpu: Cpu,
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
            cpu: Cpu::detect(),
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
    let kernels = Kernels::for_isa(options.cpu.isa).ok_or_else(|| {
        let message = format!("this machine has no {} instructions", options.cpu.isa);
        Diagnostic::error("compile::target", message)
    })?;
    let mut binding = Binding::new(program)?;
    let request = Request {
        cpu: options.cpu,
        effort: options.effort,
        verify: options.verify,
        texts: false,
        profile: options.profile,
        by_columns: pool.workers() > 1,
    };
    let compiled = jit::compile(program, request, kernels, &pool)?;
    let kept = weights::kept(program, &compiled.direct);
    binding.keep(&kept.buffers);
    let once = compiled
        .steps
        .iter()
        .map(|s| match (&s.kind, s.place.as_slice()) {
            (Kind::Pack(panel), _) => {
                weights::packed_once(program, &kept.once, compiled.panels[*panel].source)
            }
            (_, [task]) => kept.once[*task],
            _ => false,
        });
    let once = once.collect();
    let cell = |own: Cell| compiled.table.cells().iter().position(|c| *c == own);
    let own = [cell(Cell::Scratch), cell(Cell::Counters)];
    let workers = pool.workers();
    let barrier = Barrier::new(workers, pool.spin());
    let windows = compiled.table.windowed.len();
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
        barrier,
        apart: [0; 2],
        always_divide: options.always_divide,
        divided: false,
        once,
        held: false,
        made: false,
        ready: None,
        plans: Vec::new(),
        small: false,
        trial: Trial::new(),
        ended: None,
        cells: Vec::new(),
        own,
        ahead: compiled.ahead,
        left_out: Vec::new(),
        windows: vec![vec![0; windows]; workers],
        probes: compiled.probes,
        clocks: options.profile.then(Clocks::default),
        _code: compiled.code,
    };
    exec.reset_clocks();
    Ok(exec)
}

/// Machine code for a program, its memory and its threads.
pub struct CpuExecutable {
    pub(super) binding: Binding,
    pub(super) steps: Vec<Step>,
    pub(super) panels: Vec<Panel>,
    pub(super) products: Vec<[Dim; 2]>,
    pub(super) table: Table,
    /// The present call's sizes and addresses; kept for its memory.
    pub(super) launch: Launch,
    /// One a worker.
    pub(super) tables: Vec<Vec<i64>>,
    pub(super) arena: Buffer,
    pub(super) kernels: &'static Kernels,
    pub(super) pool: Arc<Pool>,
    pub(super) barrier: Barrier,
    /// Calls that divide no scan by columns: those left, and how many there were last.
    pub(super) apart: [u32; 2],
    pub(super) always_divide: bool,
    /// Whether the last call was divided at all.
    pub(super) divided: bool,
    /// Steps that make something of the weights alone, which stays.
    pub(super) once: Vec<bool>,
    /// Whether the weights of the next calls are the same.
    pub(super) held: bool,
    /// Whether the steps of `once` have run for them.
    pub(super) made: bool,
    /// Sizes that `plans`, `cells`, `left_out` and the places in `launch` are for; none before the first call.
    ready: Option<Vec<i64>>,
    pub(super) plans: Vec<Plan>,
    /// Whether some of them divide their step only among workers that wait.
    pub(super) small: bool,
    /// How far calls are divided.
    pub(super) trial: Trial,
    /// When the last call ended, where that matters.
    pub(super) ended: Option<Instant>,
    cells: Vec<i64>,
    /// The cells of scratch and counters, which each worker has its own of.
    own: [Option<usize>; 2],
    /// Products that a scan may make while it runs.
    pub(super) ahead: Vec<Ahead>,
    /// Steps that a scan runs for itself, with these sizes.
    pub(super) left_out: Vec<bool>,
    /// For each worker the words that say where windows are.
    windows: Vec<Vec<i64>>,
    pub(super) probes: Vec<Probe>,
    /// Where tasks are timed.
    pub(super) clocks: Option<Clocks>,
    /// Dropped last: the steps point into it.
    _code: Code,
}

impl CpuExecutable {
    /// Fills every worker's table from the launch.
    fn fill_tables(&mut self, call: &Call<'_>) {
        let [low, high] = philox::key(call.draw.seed, Domain::Dropout);
        let arena = self.arena.as_mut_ptr();
        let at = |floats: usize| arena.wrapping_add(floats) as i64;
        let placed = &self.launch.arena;
        let held = &mut self.cells;
        for (held, cell) in held.iter_mut().zip(self.table.cells()) {
            match cell {
                Cell::Key => *held = (u64::from(high) << 32 | u64::from(low)) as i64,
                Cell::Step => *held = call.draw.step as i64,
                Cell::Buffer(b) => *held = self.launch.buffers[b.0 as usize] as i64,
                Cell::Panel(i) => *held = placed.panels[*i].map_or(0, at),
                Cell::Scratch | Cell::Counters | Cell::Window(_) => {}
                Cell::Packed(_) | Cell::PanelBlock(_) | Cell::PanelShare(_) => {}
                Cell::Size(_) | Cell::Ahead(_) => {}
            }
        }
        let [scratch, counters] = self.own;
        for (worker, table) in self.tables.iter_mut().enumerate() {
            if let Some(i) = scratch {
                held[i] = at(placed.scratch + worker * placed.scratch_len);
            }
            if let (Some(i), Some(clocks)) = (counters, &mut self.clocks) {
                held[i] = clocks.counters[worker].as_mut_ptr() as i64;
            }
            let words = &mut self.windows[worker];
            for (word, buffer) in words.iter_mut().zip(&self.table.windowed) {
                *word = self.launch.buffers[buffer.0 as usize] as i64;
            }
            for (held, cell) in held.iter_mut().zip(self.table.cells()) {
                if let Cell::Window(i) = cell {
                    *held = words.as_mut_ptr().wrapping_add(*i) as i64;
                }
            }
            table.clear();
            table.extend(self.table.slots().iter().map(|i| held[*i]));
        }
    }

    /// Steps for which a scan makes its products at a time; 0 where they are made before it.
    fn window(&self, a: &Ahead) -> usize {
        let value = self.binding.value(&self.launch.sizes);
        let mut steps = self.steps.iter().zip(&self.plans);
        let scan = steps.find(|(s, _)| !s.pack() && s.place[0] == a.scan);
        match scan {
            Some((_, plan)) if plan.course(true).is_none() => a.window(plan.workers(true), &value),
            Some(_) | None => 0,
        }
    }

    /// Words of one packed matrix among the panels of this index.
    fn block_words(&self, i: usize, value: &dyn Fn(&Sym) -> Option<i64>) -> i64 {
        let p = &self.panels[i];
        let size = |d: &Dim| usize::try_from(d.eval(value)?).ok();
        let words =
            (size(&p.k).zip(size(&p.n))).and_then(|(k, n)| self.panel_words(p.halves, k, n));
        words.and_then(|w| i64::try_from(w).ok()).unwrap_or(0)
    }

    /// Places everything and divides the work, where the sizes are not those of the last call.
    fn prepare(&mut self) -> Result<(), Diagnostic> {
        if self.ready.as_ref() == Some(&self.launch.sizes) {
            return Ok(());
        }
        self.ready = None;
        self.made = false;
        let mut arena = std::mem::take(&mut self.launch.arena);
        let placed = self.place(&self.launch.sizes, &mut arena);
        self.launch.arena = arena;
        if placed.is_none() {
            return Err(memory::refused(u128::from(u64::MAX), memory::available()));
        }
        let value = self.binding.value(&self.launch.sizes);
        let (all, always) = (self.pool.workers(), self.always_divide);
        let together = all > 1 && (always || self.pool.spins());
        let plan = |s: &Step| Plan::of(s, &value, all, always, together);
        self.plans = self.steps.iter().map(plan).collect();
        self.small = self.plans.iter().any(Plan::is_small);
        let windows: Vec<usize> = self.ahead.iter().map(|a| self.window(a)).collect();
        let left_out = self.steps.iter().map(|s| {
            let mut ahead = self.ahead.iter().zip(&windows);
            !s.pack() && ahead.any(|(a, steps)| *steps > 0 && a.makes(s.place[0]))
        });
        self.left_out = left_out.collect();
        // Among whom the columns of scans are divided.
        let courses = self.plans.iter().filter_map(|p| p.course(true));
        let columns = courses.map(|c| c.workers as i64).max();
        self.cells.clear();
        for cell in self.table.cells() {
            self.cells.push(match cell {
                Cell::Size(d) => d.eval(&value).ok_or_else(|| jit::table::too_large(d))?,
                Cell::PanelBlock(i) => self.block_words(*i, &value),
                Cell::PanelShare(i) => columns.map_or(0, |n| self.block_words(*i, &value) / n),
                Cell::Packed(i) => i64::from(self.launch.arena.panels[*i].is_some()),
                Cell::Ahead(i) => i64::try_from(windows[*i]).unwrap_or(0),
                // Addresses and keys are each call's own.
                Cell::Key
                | Cell::Step
                | Cell::Scratch
                | Cell::Counters
                | Cell::Window(_)
                | Cell::Buffer(_)
                | Cell::Panel(_) => 0,
            });
        }
        self.ready = Some(self.launch.sizes.clone());
        Ok(())
    }
}

impl Executable for CpuExecutable {
    fn signature(&self) -> &Signature {
        &self.binding.signature
    }

    fn run(&mut self, mut call: Call<'_>) -> Result<(), Diagnostic> {
        self.binding.check(&call, &mut self.launch)?;
        self.prepare()?;
        let len = self.launch.arena.len;
        let outputs = self.binding.growth(&call, &self.launch);
        self.grow(len, outputs)?;
        let arena = self.arena.as_mut_ptr();
        self.binding.bind(&mut call, &mut self.launch, arena);
        self.fill_tables(&call);
        self.run_steps();
        self.binding.finish(&mut call, &self.launch);
        Ok(())
    }

    fn hold_params(&mut self, held: bool) {
        self.held = held;
        self.ready = None;
    }

    fn peak_bytes(&self, sizes: &[usize]) -> Option<u64> {
        let sizes = self.binding.sizes(sizes).ok()?;
        let mut arena = Arena::default();
        self.place(&sizes, &mut arena)?;
        u64::try_from(arena.len).ok()?.checked_mul(4)
    }

    fn together(&self, nanoseconds: f64, f: &(dyn Fn() + Sync)) {
        if self.always_divide {
            return self.pool.run(&|_, _| f());
        }
        let least = match self.pool.is_awake() && self.pool.spins() {
            true => SHARE_NS,
            false => WAKE_NS,
        };
        match !self.divided || nanoseconds < 2.0 * least {
            true => f(),
            false => self.pool.run(&|_, _| f()),
        }
    }
}
