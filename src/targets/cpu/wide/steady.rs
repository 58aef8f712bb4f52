//! What does not change from one vector of a row to the next: constants in registers, comparisons in masks.
//!
//! In: [`Code`]. Out: [`Steady`]: the instructions of one vector that are needed, reading what stands ready before the
//! first.

use std::collections::HashMap;

use super::code::{Cmp, Code, Inst, Src, V};
use super::operands::BYTES;

/// Masks besides those for comparisons of one vector and for the row's end.
pub(super) const MASKS: usize = 5;

/// One vector's instructions, and what they find ready.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    pub(super) insts: Vec<Inst>,
    pub(super) vectors: u32,
    /// Comparisons that are the same in every lane of every vector.
    pub(super) masks: Vec<(Cmp, Src, Src)>,
    /// Vectors with a register of their own.
    pub(super) pinned: Vec<(V, Src)>,
}

/// The instructions whose results are used, with the comparisons that no point changes made once.
pub(super) fn steady(code: &Code) -> Steady {
    let mut s = Steady {
        insts: code.insts.clone(),
        vectors: code.vectors,
        masks: Vec::new(),
        pinned: Vec::new(),
    };
    let numbers = s.numbers();
    for inst in &mut s.insts {
        let &mut Inst::Select {
            to,
            cmp,
            x,
            y,
            yes,
            no,
        } = inst
        else {
            continue;
        };
        let (Some(x), Src::Const(_) | Src::Arg(_)) = (numbers.get(&x), y) else {
            continue;
        };
        let made = (cmp, *x, y);
        let known = s.masks.iter().position(|m| *m == made);
        let mask = match known {
            Some(mask) => mask,
            None if s.masks.len() < MASKS => {
                s.masks.push(made);
                s.masks.len() - 1
            }
            None => continue,
        };
        let no = Some(no).filter(|no| numbers.get(no) != Some(&Src::Const(0)));
        *inst = Inst::Choose { to, mask, yes, no };
    }
    s.drop_unused();
    s
}

impl Steady {
    /// The vectors that hold one number.
    fn numbers(&self) -> HashMap<V, Src> {
        let number = |inst: &Inst| match inst {
            Inst::Splat {
                to,
                from: from @ (Src::Const(_) | Src::Arg(_)),
            } => Some((*to, *from)),
            _ => None,
        };
        self.insts.iter().filter_map(number).collect()
    }

    fn drop_unused(&mut self) {
        let mut needed = vec![false; self.vectors as usize];
        let mut kept: Vec<Inst> = Vec::with_capacity(self.insts.len());
        for inst in self.insts.drain(..).rev() {
            if inst.writes().is_none_or(|v| needed[v.0 as usize]) {
                for v in inst.reads() {
                    needed[v.0 as usize] = true;
                }
                kept.push(inst);
            }
        }
        kept.reverse();
        self.insts = kept;
    }

    /// The instructions of this vector and the next one; nothing where they count points or add them up.
    pub(super) fn twice(&self) -> Option<Steady> {
        let alone = |i: &Inst| matches!(i, Inst::Index { .. } | Inst::Fold { .. });
        if self.insts.iter().any(alone) {
            return None;
        }
        let mut s = self.clone();
        s.vectors *= 2;
        let mut next: Vec<V> = (0..s.vectors).map(V).collect();
        for inst in &self.insts {
            let mut inst = inst.clone();
            inst.read_instead(|v| next[v.0 as usize]);
            match &mut inst {
                // Both read the same number.
                Inst::Splat { .. } => continue,
                Inst::Load { bytes, .. } | Inst::Store { bytes, .. } => *bytes += BYTES as i32,
                _ => {}
            }
            if let Some(v) = inst.writes() {
                let to = V(v.0 + self.vectors);
                next[v.0 as usize] = to;
                inst.write_instead(to);
            }
            s.insts.push(inst);
        }
        Some(s)
    }

    /// The same with `most` numbers in registers, those first that are read most often.
    pub(super) fn pinned(&self, most: usize) -> Steady {
        let mut s = self.clone();
        let numbers = s.numbers();
        // Each number, how often it is read, and its vector if it has one. Zero costs nothing to make.
        let mut all: Vec<(Src, usize, Option<V>)> = Vec::new();
        let mut count = |n: Src, v: Option<V>| match all.iter_mut().find(|(m, ..)| *m == n) {
            Some((_, reads, known)) => {
                *reads += 1;
                *known = known.or(v);
            }
            None => all.push((n, 1, v)),
        };
        for inst in &mut s.insts {
            for v in inst.reads() {
                if let Some(n) = numbers.get(&v) {
                    count(*n, Some(v));
                }
            }
            for n in inst.free_operands() {
                if !matches!(n, Src::Reg(_)) {
                    count(*n, None);
                }
            }
        }
        all.retain(|(n, ..)| *n != Src::Const(0));
        all.sort_by_key(|(_, reads, _)| std::cmp::Reverse(*reads));
        all.truncate(most);
        for (n, _, v) in all {
            let v = v.unwrap_or_else(|| {
                s.vectors += 1;
                V(s.vectors - 1)
            });
            for inst in &mut s.insts {
                for operand in inst.free_operands() {
                    if *operand == n {
                        *operand = Src::Reg(v);
                    }
                }
            }
            s.pinned.push((v, n));
        }
        let pinned = |v: V| s.pinned.iter().any(|(p, _)| *p == v);
        (s.insts).retain(|i| !matches!(i, Inst::Splat { to, .. } if pinned(*to)));
        s.drop_unused();
        s
    }
}
