//! How long a row's code takes for one vector, about.
//!
//! In: instructions with their registers. Out: cycles. One table of latencies and pipes, those of a Zen 4, stands for all
//! machines with AVX-512, so that the same code is chosen on all that divide alike.
//!
//! The model: up to [`WIDTH`] instructions enter a cycle, in order, while fewer than [`WINDOW`] are unfinished; each runs
//! as soon as its operands are there and its pipe is free; they leave in order.

use super::allot::Step;
use super::code::{Inst, One, Src, Two};

const WIDTH: u32 = 6;
/// Registers behind the scenes bound the instructions under way.
const WINDOW: usize = 150;
/// Cycles from a load to its use.
const LOAD: u32 = 8;
/// From a spill to the value read back.
const FORWARD: u32 = 10;
/// Vectors that are run, and the first whose end counts.
const RUNS: [usize; 2] = [5, 2];

/// What an instruction occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pipe {
    /// Products.
    Multiply,
    /// Sums, comparisons, rounding.
    Add,
    /// Logic, by either of those before.
    Either,
    Load,
    Store,
}

impl Pipe {
    pub(super) const COUNT: usize = 5;
}

pub(super) fn pipe(inst: &Inst) -> Pipe {
    match inst {
        Inst::Load { .. } | Inst::Splat { .. } => Pipe::Load,
        Inst::Store { .. } => Pipe::Store,
        Inst::Index { .. } | Inst::Select { .. } => Pipe::Add,
        Inst::Choose { .. } => Pipe::Either,
        Inst::One { op, .. } => match op {
            One::Sqrt | One::Reciprocal => Pipe::Multiply,
            One::Round | One::Floor | One::Exponent | One::Mantissa => Pipe::Add,
        },
        Inst::Two { op, .. } => match op {
            Two::Mul | Two::Div | Two::Scale => Pipe::Multiply,
            Two::Add | Two::Sub | Two::Max | Two::Min => Pipe::Add,
            Two::And | Two::Or | Two::Xor => Pipe::Either,
        },
        Inst::Fma { .. } | Inst::Fold { .. } => Pipe::Multiply,
    }
}

/// Cycles from an instruction's begin to that of one that needs its result.
pub(super) fn latency(inst: &Inst) -> u32 {
    match inst {
        Inst::Load { .. } | Inst::Splat { .. } => LOAD,
        Inst::Store { .. } => 1,
        Inst::Index { .. } => 10,
        Inst::Select { .. } => 6,
        Inst::Choose { .. } => 1,
        Inst::One { op, .. } => match op {
            One::Sqrt => 21,
            One::Reciprocal => 5,
            One::Round | One::Floor | One::Exponent | One::Mantissa => 3,
        },
        Inst::Two { op, .. } => match op {
            Two::Div => 11,
            Two::Scale => 5,
            Two::Mul | Two::Add | Two::Sub => 3,
            Two::Max | Two::Min => 2,
            Two::And | Two::Or | Two::Xor => 1,
        },
        Inst::Fma { .. } | Inst::Fold { .. } => 4,
    }
}

/// Cycles for which its pipe takes no other instruction.
fn occupied(inst: &Inst) -> u32 {
    match inst {
        Inst::Two { op: Two::Div, .. }
        | Inst::Two { op: Two::Scale, .. }
        | Inst::One { op: One::Sqrt, .. }
        | Inst::Store { .. } => 2,
        _ => 1,
    }
}

/// The cycles in which each pipe is taken.
#[derive(Default)]
struct Pipes {
    taken: [Vec<bool>; Pipe::COUNT],
    /// When the divider is free.
    divider: u32,
}

impl Pipes {
    fn is_free(&self, p: Pipe, at: u32) -> bool {
        !self.taken[p as usize]
            .get(at as usize)
            .copied()
            .unwrap_or(false)
    }

    /// The first cycle from `from` on with `p` free for `cycles`; takes them.
    fn take(&mut self, p: Pipe, from: u32, cycles: u32) -> u32 {
        let mut at = from;
        let (both, one) = ([Pipe::Multiply, Pipe::Add], [p]);
        let (p, at) = loop {
            let choices = if p == Pipe::Either { &both[..] } else { &one };
            let free = |p: &&Pipe| (at..at + cycles).all(|t| self.is_free(**p, t));
            if let Some(p) = choices.iter().rev().find(free) {
                break (*p, at);
            }
            at += 1;
        };
        let taken = &mut self.taken[p as usize];
        taken.resize(taken.len().max((at + cycles) as usize), false);
        taken[at as usize..(at + cycles) as usize].fill(true);
        at
    }
}

/// The state of a run.
struct Run {
    pipes: Pipes,
    registers: Vec<u32>,
    slots: Vec<u32>,
    /// When each instruction so far is done, in order.
    left: Vec<u32>,
    entered: u32,
}

/// Cycles for one vector where many follow each other.
pub(super) fn cycles(steps: &[Step], slots: usize) -> f64 {
    let mut run = Run {
        pipes: Pipes::default(),
        registers: vec![0; 32],
        slots: vec![0; slots],
        left: Vec::with_capacity(RUNS[0] * steps.len()),
        entered: 0,
    };
    let mut ends = Vec::new();
    for _ in 0..RUNS[0] {
        for step in steps {
            run.step(step);
        }
        ends.push(run.left.last().copied().unwrap_or(0));
    }
    let [last, first] = RUNS.map(|r| ends[r - 1]);
    f64::from(last - first) / (RUNS[0] - RUNS[1]) as f64
}

impl Run {
    fn step(&mut self, step: &Step) {
        let enters = (self.entered / WIDTH).max(match self.left.len().checked_sub(WINDOW) {
            Some(i) => self.left[i],
            None => 0,
        });
        self.entered = self.entered.max(enters * WIDTH) + 1;
        let done = match step {
            Step::Spill { from, slot } => {
                let there = self.registers[from.0 as usize].max(enters);
                let at = self.pipes.take(Pipe::Store, there, 2);
                self.slots[*slot] = at + FORWARD;
                at + 1
            }
            Step::Reload { to, slot } => {
                let at = self.pipes.take(Pipe::Load, enters, 1);
                let done = (at + LOAD).max(self.slots[*slot]);
                self.registers[to.0 as usize] = done;
                done
            }
            Step::Run(inst) => self.inst(inst, enters),
        };
        let before = self.left.last().copied().unwrap_or(0);
        self.left.push(before.max(done));
    }

    fn inst(&mut self, inst: &Inst, enters: u32) -> u32 {
        let reads = inst.reads().into_iter();
        let there = reads.map(|v| self.registers[v.0 as usize]).max();
        let mut there = there.unwrap_or(0).max(enters);
        let zero = Src::Const(0);
        let splat_of_zero = matches!(inst, Inst::Splat { from, .. } if *from == zero);
        let divides = matches!(
            inst,
            Inst::Two { op: Two::Div, .. } | Inst::One { op: One::Sqrt, .. }
        );
        if inst.reads_number() {
            there = there.max(self.pipes.take(Pipe::Load, enters, 1) + LOAD);
        }
        if divides {
            there = there.max(self.pipes.divider);
        }
        let at = match splat_of_zero {
            true => enters,
            false => self.pipes.take(pipe(inst), there, occupied(inst)),
        };
        if divides {
            self.pipes.divider = at + 6;
        }
        if matches!(inst, Inst::Two { op: Two::Scale, .. }) {
            self.pipes.take(Pipe::Add, at, 1);
        }
        let done = at + if splat_of_zero { 0 } else { latency(inst) };
        if let Some(to) = inst.writes() {
            self.registers[to.0 as usize] = done;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::V;
    use super::*;

    fn product(to: u32, a: u32) -> Step {
        Step::Run(Inst::Two {
            op: Two::Mul,
            to: V(to),
            a: V(a),
            b: Src::Reg(V(31)),
        })
    }

    #[test]
    fn what_depends_on_nothing_is_bound_by_its_pipe() {
        let steps: Vec<Step> = (0..12).map(|r| product(r, 30)).collect();
        assert_eq!(cycles(&steps, 0), 12.0);
    }

    #[test]
    fn what_runs_through_a_register_waits_for_it() {
        let steps: Vec<Step> = (0..12).map(|_| product(0, 0)).collect();
        assert_eq!(cycles(&steps, 0), 36.0);
    }

    #[test]
    fn a_vector_read_back_takes_longer_than_one_kept() {
        let kept = vec![product(0, 0)];
        let spilled = vec![
            product(0, 0),
            Step::Spill {
                from: V(0),
                slot: 0,
            },
            Step::Reload { to: V(0), slot: 0 },
        ];
        assert!(cycles(&spilled, 1) > cycles(&kept, 0) + f64::from(LOAD));
    }
}
