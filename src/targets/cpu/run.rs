//! The steps of a call, in order, each on the workers that its work pays for.
//!
//! In: an executable whose tables are filled. Out: the call's results, where they were bound to go. A scan of few rows is
//! divided within each time, other steps by rows or columns; a [`Division`] says how small they may be.

use std::time::Instant;

use super::course;
use super::exec::CpuExecutable;
use super::jit::step::Kind;
use super::jit::table::Cell;
use super::plan::Plan;
use super::trial::Division;

impl CpuExecutable {
    /// Runs all steps that the call needs: what was made of weights that are held stays.
    pub(super) fn run_steps(&mut self) {
        let apart = self.apart[0] > 0;
        self.apart[0] = self.apart[0].saturating_sub(1);
        let division = match self.pool.workers() == 1 || self.always_divide {
            true => Division::All,
            false => self
                .trial
                .begin(Instant::now(), self.plans.iter().map(Plan::work).sum()),
        };
        self.divided = division != Division::None && !apart;
        let small = matches!(division, Division::Small | Division::All);
        if small {
            self.pool.rouse(self.ended);
        }
        for (number, (step, plan)) in self.steps.iter().zip(&self.plans).enumerate() {
            let began = self.clocks.as_ref().map(|_| Instant::now());
            if let Kind::Pack(panel) = step.kind
                && self.launch.arena.panels[panel].is_none()
            {
                continue;
            }
            if self.left_out[number] || self.made && self.once[number] {
                continue;
            }
            let (tables, code) = (&self.tables, step.run);
            let awake = small && self.pool.is_awake();
            let run = |worker: usize, workers: usize| {
                let Some([r0, r1, c0, c1]) = plan.share(worker, workers) else {
                    return;
                };
                let slots = &tables[worker][step.task.code.slots..];
                let table = slots.as_ptr();
                // SAFETY: `run` filled the tables for this call's sizes; buffers are as long as the sizes say, checked
                // on entry, and live until the call returns. Shares are disjoint and inside the extents.
                unsafe { code(table, 0, r0, r1, c0, c1) };
            };
            let course = plan.course(awake && division == Division::All);
            if division == Division::None {
                run(0, 1);
            } else if let Some(course) = course.filter(|_| !apart && self.apart[0] == 0) {
                self.barrier.reset();
                let met = Instant::now();
                let (barrier, slots) = (&self.barrier, self.table.slots());
                let counters = self.table.cells().iter().position(|c| *c == Cell::Counters);
                let counters = counters.and_then(|c| slots.iter().position(|s| *s == c));
                self.pool.run(&|worker, all| {
                    // Inside another job of a pool there is one worker.
                    if all < course.workers {
                        return run(0, 1);
                    }
                    let table = &tables[worker];
                    let counters = counters.map(|slot| table[slot] as *mut u64);
                    // SAFETY: as above. The counters in the worker's table are its own.
                    unsafe { course.run(table, barrier, worker, counters) };
                });
                let crowded = course::crowded(course.workers, met.elapsed(), self.barrier.late());
                self.apart = course::apart(self.apart[1], crowded && !self.always_divide);
            } else if plan.workers(awake) == 1 {
                run(0, 1);
            } else {
                // Inside another job of a pool there is one worker.
                self.pool.run(&|worker, all| {
                    let workers = plan.workers(awake).min(all);
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
        self.made = self.held;
        self.ended = self.small.then(Instant::now);
    }
}
