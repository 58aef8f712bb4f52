//! Vectors to the machine's registers.
//!
//! In: [`Code`]. Out: the same instructions with numbers of registers for vectors, and what is spilled and read back
//! between them. The code is straight, so the vector that is wanted last goes first (Belady 1966); loads and numbers
//! that are the same in every lane are made again instead of kept.

use super::code::{Code, Inst, Src, V};

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
    /// Instructions that read it, in order.
    uses: Vec<usize>,
    register: Option<u32>,
    slot: Option<usize>,
    /// Index of the instruction that makes it, where that may run again.
    again: Option<usize>,
}

impl Life {
    fn next(&self, after: usize) -> Option<usize> {
        self.uses.iter().copied().find(|u| *u >= after)
    }
}

struct Allotter<'c> {
    code: &'c Code,
    lives: Vec<Life>,
    /// What each register holds.
    held: Vec<Option<V>>,
    steps: Vec<Step>,
    slots: usize,
}

/// Allots `registers` registers, at least five.
pub(super) fn allot(code: &Code, registers: u32) -> Allotted {
    let mut lives = vec![Life::default(); code.vectors as usize];
    let mut stored = vec![false; code.vectors as usize];
    let mut needed = vec![false; code.vectors as usize];
    let mut kept = vec![true; code.insts.len()];
    for (i, inst) in code.insts.iter().enumerate().rev() {
        kept[i] = inst.writes().is_none_or(|v| needed[v.0 as usize]);
        if kept[i] {
            inst.reads()
                .iter()
                .for_each(|v| needed[v.0 as usize] = true);
        }
    }
    for (i, inst) in code.insts.iter().enumerate().filter(|(i, _)| kept[*i]) {
        for v in inst.reads() {
            lives[v.0 as usize].uses.push(i);
        }
        if let Inst::Store { from, .. } = inst {
            stored[from.0 as usize] = true;
        }
    }
    for (i, inst) in code.insts.iter().enumerate() {
        // A loaded vector that is stored must be read before anything is written.
        if let Inst::Load { to, .. } | Inst::Splat { to, .. } = inst
            && !stored[to.0 as usize]
        {
            lives[to.0 as usize].again = Some(i);
        }
    }
    let mut a = Allotter {
        code,
        lives,
        held: vec![None; registers as usize],
        steps: Vec::new(),
        slots: 0,
    };
    for i in (0..code.insts.len()).filter(|i| kept[*i]) {
        a.run(i);
    }
    Allotted {
        steps: a.steps,
        slots: a.slots,
    }
}

impl Allotter<'_> {
    fn run(&mut self, i: usize) {
        let inst = &self.code.insts[i];
        if inst
            .writes()
            .is_some_and(|v| self.lives[v.0 as usize].again == Some(i))
        {
            return;
        }
        let reads = inst.reads();
        for v in &reads {
            self.bring(*v, i, &reads);
        }
        let at = |lives: &[Life], v: V| V(lives[v.0 as usize].register.unwrap_or_default());
        let mut placed = inst.clone();
        rename(&mut placed, &mut |v| at(&self.lives, v));
        for v in &reads {
            if self.lives[v.0 as usize].next(i + 1).is_none()
                && let Some(r) = self.lives[v.0 as usize].register.take()
            {
                self.held[r as usize] = None;
            }
        }
        if let Some(to) = inst.writes() {
            // In the place of an operand that ends here, the addend before others: fused operations overwrite one.
            let ended = match &placed {
                Inst::Fma { c, a, .. } => vec![*c, *a],
                other => other.reads(),
            };
            let free = |v: &&V| self.held[v.0 as usize].is_none();
            let r = match ended.iter().find(free) {
                Some(v) => v.0,
                None => self.free(i, &reads),
            };
            self.held[r as usize] = Some(to);
            self.lives[to.0 as usize].register = Some(r);
            set_target(&mut placed, V(r));
        }
        self.steps.push(Step::Run(placed));
    }

    /// A register, freed if none is; `keep` stay where they are.
    fn free(&mut self, now: usize, keep: &[V]) -> u32 {
        if let Some(r) = self.held.iter().position(Option::is_none) {
            return r as u32;
        }
        let wanted = |v: &V| self.lives[v.0 as usize].next(now).unwrap_or(usize::MAX);
        let candidates = self.held.iter().flatten().copied();
        let last = candidates.filter(|v| !keep.contains(v)).max_by_key(wanted);
        let v = last.unwrap_or_else(|| unreachable!("an instruction reads four registers at most"));
        let life = &mut self.lives[v.0 as usize];
        let r = life.register.take().unwrap_or_default();
        if life.again.is_none() && life.slot.is_none() {
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
        let r = self.free(now, keep);
        self.held[r as usize] = Some(v);
        let life = &mut self.lives[v.0 as usize];
        life.register = Some(r);
        match (life.again, life.slot) {
            (Some(i), _) => {
                let mut inst = self.code.insts[i].clone();
                set_target(&mut inst, V(r));
                self.steps.push(Step::Run(inst));
            }
            (None, Some(slot)) => self.steps.push(Step::Reload { to: V(r), slot }),
            (None, None) => unreachable!("a vector is read after it is written"),
        }
    }
}

/// Replaces the vectors that an instruction reads.
fn rename(inst: &mut Inst, to: &mut dyn FnMut(V) -> V) {
    let src = |s: &mut Src, to: &mut dyn FnMut(V) -> V| {
        if let Src::Reg(v) = s {
            *v = to(*v);
        }
    };
    match inst {
        Inst::Load { .. } | Inst::Index { .. } => {}
        Inst::Splat { from, .. } => src(from, to),
        Inst::One { a, .. } => *a = to(*a),
        Inst::Two { a, b, .. } => {
            *a = to(*a);
            src(b, to);
        }
        Inst::Fma { a, b, c, .. } => {
            *a = to(*a);
            src(b, to);
            *c = to(*c);
        }
        Inst::Select { x, y, yes, no, .. } => {
            *x = to(*x);
            src(y, to);
            *yes = to(*yes);
            *no = to(*no);
        }
        Inst::Store { from, .. } => *from = to(*from),
        Inst::Fold { a, b, .. } => {
            *a = to(*a);
            if let Some(b) = b {
                src(b, to);
            }
        }
    }
}

fn set_target(inst: &mut Inst, r: V) {
    match inst {
        Inst::Load { to, .. }
        | Inst::Splat { to, .. }
        | Inst::Index { to, .. }
        | Inst::One { to, .. }
        | Inst::Two { to, .. }
        | Inst::Fma { to, .. }
        | Inst::Select { to, .. } => *to = r,
        Inst::Store { .. } | Inst::Fold { .. } => {}
    }
}
