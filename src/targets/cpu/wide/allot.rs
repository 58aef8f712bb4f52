//! Vectors to the machine's registers.
//!
//! In: instructions and what they find ready. Out: the same instructions with numbers of registers for vectors, and what
//! is spilled and read back between them. The code is straight, so the vector that is wanted last goes first (Belady
//! 1966); loads and numbers that are the same in every lane are made again instead of kept.

use super::code::{Inst, V};
use super::steady::Steady;

/// One thing to encode; a [`V`] is a register's number here.
#[derive(Debug)]
pub(super) enum Step {
    Run(Inst),
    Spill { from: V, slot: usize },
    Reload { to: V, slot: usize },
}

pub(super) struct Allotted {
    pub(super) steps: Vec<Step>,
    /// Vectors of stack.
    pub(super) slots: usize,
}

#[derive(Clone, Default)]
struct Life {
    /// Instructions that read it, in order, last first.
    uses: Vec<usize>,
    register: Option<u32>,
    slot: Option<usize>,
    /// Whether its register is its own.
    pinned: bool,
    /// Index of the instruction that makes it, where that may run again, and before which one it may.
    again: Option<(usize, usize)>,
}

impl Life {
    /// Its first use that is still to come.
    fn next(&self) -> Option<usize> {
        self.uses.last().copied()
    }
}

struct Allotter<'c> {
    insts: &'c [Inst],
    lives: Vec<Life>,
    /// What each register holds.
    held: Vec<Option<V>>,
    steps: Vec<Step>,
    slots: usize,
}

/// The register of the `i`th pinned vector, where `registers` are to be had.
pub(super) fn pinned(i: usize, registers: u32) -> u32 {
    registers - 1 - i as u32
}

/// Allots `registers` registers, at least five beside those of pinned vectors.
pub(super) fn allot(s: &Steady, insts: &[Inst], registers: u32) -> Allotted {
    let mut lives = vec![Life::default(); s.vectors as usize];
    for (i, inst) in insts.iter().enumerate().rev() {
        for v in inst.reads() {
            let uses = &mut lives[v.0 as usize].uses;
            if uses.last() != Some(&i) {
                uses.push(i);
            }
        }
    }
    for (i, (v, _)) in s.pinned.iter().enumerate() {
        let life = &mut lives[v.0 as usize];
        life.register = Some(pinned(i, registers));
        life.pinned = true;
    }
    // What is loaded must be read before anything is written.
    let first_store = insts.iter().position(|i| matches!(i, Inst::Store { .. }));
    for (i, inst) in insts.iter().enumerate() {
        let before = match inst {
            Inst::Load { .. } => first_store.unwrap_or(insts.len()),
            Inst::Splat { .. } => insts.len(),
            _ => continue,
        };
        if let Some(to) = inst.writes() {
            lives[to.0 as usize].again = Some((i, before));
        }
    }
    let mut a = Allotter {
        insts,
        lives,
        held: vec![None; registers as usize - s.pinned.len()],
        steps: Vec::new(),
        slots: 0,
    };
    for i in 0..insts.len() {
        a.run(i);
    }
    Allotted {
        steps: a.steps,
        slots: a.slots,
    }
}

impl Allotter<'_> {
    fn run(&mut self, i: usize) {
        let inst = &self.insts[i];
        if matches!(inst, Inst::Splat { .. }) {
            // Made where it is first read.
            return;
        }
        let reads = inst.reads();
        for v in &reads {
            self.bring(*v, i, &reads);
        }
        let mut placed = inst.clone();
        placed.read_instead(|v| V(self.lives[v.0 as usize].register.unwrap_or_default()));
        for v in &reads {
            let life = &mut self.lives[v.0 as usize];
            if life.next() == Some(i) {
                life.uses.pop();
            }
            if life.uses.is_empty()
                && !life.pinned
                && let Some(r) = life.register.take()
            {
                self.held[r as usize] = None;
            }
        }
        if let Some(to) = inst.writes() {
            // In the place of an operand that ends here, the addend before others: fused operations overwrite one.
            let mut ended = placed.reads();
            if let (Inst::Fma { .. }, [_, .., c]) = (&placed, &ended[..]) {
                let c = *c;
                ended.insert(0, c);
            }
            let free = |v: &&V| matches!(self.held.get(v.0 as usize), Some(None));
            let r = match ended.iter().find(free) {
                Some(v) => v.0,
                None => self.free(&reads),
            };
            self.held[r as usize] = Some(to);
            self.lives[to.0 as usize].register = Some(r);
            placed.write_instead(V(r));
        }
        self.steps.push(Step::Run(placed));
    }

    /// A register, freed if none is; `keep` stay where they are.
    fn free(&mut self, keep: &[V]) -> u32 {
        if let Some(r) = self.held.iter().position(Option::is_none) {
            return r as u32;
        }
        let wanted = |v: &V| self.lives[v.0 as usize].next().unwrap_or(usize::MAX);
        let candidates = self.held.iter().flatten().copied();
        let last = candidates.filter(|v| !keep.contains(v)).max_by_key(wanted);
        let v = last.unwrap_or_else(|| unreachable!("an instruction reads four registers at most"));
        let life = &mut self.lives[v.0 as usize];
        let r = life.register.take().unwrap_or_default();
        let again = match (life.again, life.next()) {
            (Some((_, before)), Some(next)) => next < before,
            _ => false,
        };
        if !again && life.slot.is_none() {
            life.slot = Some(self.slots);
            self.steps.push(Step::Spill {
                from: V(r),
                slot: self.slots,
            });
            self.slots += 1;
        }
        self.held[r as usize] = None;
        r
    }

    /// Makes sure that `v` is in a register.
    fn bring(&mut self, v: V, now: usize, keep: &[V]) {
        if self.lives[v.0 as usize].register.is_some() {
            return;
        }
        let r = self.free(keep);
        self.held[r as usize] = Some(v);
        let life = &mut self.lives[v.0 as usize];
        life.register = Some(r);
        match (life.again, life.slot) {
            (Some((i, before)), _) if now < before => {
                let mut inst = self.insts[i].clone();
                inst.write_instead(V(r));
                self.steps.push(Step::Run(inst));
            }
            (_, Some(slot)) => self.steps.push(Step::Reload { to: V(r), slot }),
            (_, None) => unreachable!("a vector is read after it is written"),
        }
    }
}
