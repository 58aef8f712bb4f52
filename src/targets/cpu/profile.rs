//! What each kernel of a program takes: a program compiled a second time, to be timed from inside.
//!
//! In: a [`Program`]. Out: [`Profiled`], an executable that gives the same results, and after some calls its
//! [`Kernel`]s. It is slower by two readings of the clock for each kernel, so what a whole call takes is measured on the
//! program compiled as usual.

use std::sync::Arc;

use super::exec::{CpuExecutable, Options, compile_on};
use super::jit::probe;
use super::pool::Pool;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::Program;
use crate::targets::executable::{Call, Executable, Signature};

/// A kernel and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Indices of the tasks around it, from the program's own list inwards, and its own.
    pub place: Vec<usize>,
    /// It packs a matrix for the task in this place, or for one inside.
    pub pack: bool,
    /// Its line in the plan: what it is, its name, its sizes.
    pub line: String,
    /// Of all calls since it was reset; the mean over the workers that took part, without kernels listed by themselves.
    pub seconds: f64,
    /// How often it was run in all calls, by one worker.
    pub runs: f64,
}

/// Times of a step of the program, and of the tasks in scans by worker.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// Nanoseconds and runs, by step.
    pub(super) steps: Vec<(u64, u64)>,
    /// One a worker.
    pub(super) counters: Vec<probe::Counters>,
}

pub struct Profiled {
    exec: CpuExecutable,
    /// Nanoseconds that a reading of the clock adds.
    overhead: f64,
}

impl Profiled {
    /// Compiles a program to be timed.
    ///
    /// # Errors
    ///
    /// As [`super::exec::compile`].
    pub fn new(program: &Program, pool: Arc<Pool>) -> Result<Profiled, Diagnostic> {
        let options = Options {
            threads: pool.workers(),
            profile: true,
            ..Options::default()
        };
        Ok(Profiled {
            exec: compile_on(program, &options, pool)?,
            overhead: probe::overhead(),
        })
    }

    /// Forgets what was measured.
    pub fn reset(&mut self) {
        self.exec.reset_clocks();
    }

    /// The kernels in the order in which they run.
    pub fn kernels(&self) -> Vec<Kernel> {
        self.exec.kernels(self.overhead)
    }
}

impl Executable for Profiled {
    fn signature(&self) -> &Signature {
        self.exec.signature()
    }

    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic> {
        self.exec.run(call)
    }

    fn hold_params(&mut self, held: bool) {
        self.exec.hold_params(held);
    }

    fn peak_bytes(&self, sizes: &[usize]) -> Option<u64> {
        self.exec.peak_bytes(sizes)
    }

    fn together(&self, nanoseconds: f64, f: &(dyn Fn() + Sync)) {
        self.exec.together(nanoseconds, f);
    }
}

impl CpuExecutable {
    pub(super) fn reset_clocks(&mut self) {
        let words = probe::words(self.probes.len());
        if let Some(clocks) = &mut self.clocks {
            clocks.steps = vec![(0, 0); self.steps.len()];
            clocks.counters = vec![vec![0; words]; self.pool.workers()];
        }
    }

    fn kernels(&self, overhead: f64) -> Vec<Kernel> {
        let Some(clocks) = &self.clocks else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (step, (nanoseconds, runs)) in self.steps.iter().zip(&clocks.steps) {
            let inside = self.probes.iter().enumerate();
            let inside = inside.filter(|(_, p)| p.within == step.place[0] && !step.pack());
            let inner: Vec<Kernel> = inside
                .map(|(i, p)| {
                    let of = |c: &probe::Counters| Some(probe::read(c, i)).filter(|(_, n)| *n > 0);
                    let took: Vec<(u64, u64)> = clocks.counters.iter().filter_map(of).collect();
                    let workers = took.len().max(1) as f64;
                    let runs = took.iter().map(|t| t.1 as f64).sum::<f64>() / workers;
                    let time = took.iter().map(|t| t.0 as f64).sum::<f64>() / workers;
                    Kernel {
                        place: p.place.clone(),
                        pack: false,
                        line: p.line.clone(),
                        seconds: (time - runs * overhead).max(0.0) / 1e9,
                        runs,
                    }
                })
                .collect();
            let readings: f64 = inner.iter().map(|k| k.runs).sum();
            let own = *nanoseconds as f64 / 1e9 - inner.iter().map(|k| k.seconds).sum::<f64>();
            // What a scan ran for itself is listed there.
            if *runs == 0 && self.ahead.iter().any(|a| a.makes(step.place[0])) && !step.pack() {
                continue;
            }
            all.push(Kernel {
                place: step.place.clone(),
                pack: step.pack(),
                line: step.task.lines[0].clone(),
                seconds: (own - readings * overhead / 1e9).max(0.0),
                runs: *runs as f64,
            });
            all.extend(inner);
        }
        all
    }
}
