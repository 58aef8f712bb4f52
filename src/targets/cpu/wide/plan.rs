//! The code of one vector, as fast as it is found to be.
//!
//! In: [`Code`] and how many registers there are. Out: [`Plan`]. How many numbers stay in registers and how many
//! vectors may be alive at once take from each other, so some of each are tried, the group's own order among them, and
//! what is fastest by [`cycles`] is taken.

use super::allot::{Allotted, allot};
use super::code::Code;
use super::cycles::cycles;
use super::order::{late, order};
use super::steady::{Steady, steady};

/// Numbers in registers that are tried.
const PINNED: [usize; 3] = [0, 6, 14];
/// Registers that are left to neither numbers nor vectors alive: operands in passing, spares.
const SPARE: [usize; 2] = [2, 6];
/// Registers that vectors have at least.
const LEAST: usize = 6;
/// Instructions beyond which the group's order is kept: trying takes longer the more there are.
const LONGEST: usize = 3000;

pub(super) struct Plan {
    pub(super) steady: Steady,
    pub(super) allotted: Allotted,
    /// What one vector takes, about.
    pub(super) cycles: f64,
}

/// Plans a vector's code for `registers` registers.
pub(super) fn plan(code: &Code, registers: u32) -> Plan {
    let all = steady(code);
    let mut best: Option<Plan> = None;
    let mut pins_before = None;
    for most in PINNED {
        let most = most.min((registers as usize).saturating_sub(LEAST));
        let s = all.pinned(most);
        if pins_before.replace(s.pinned.len()) == Some(s.pinned.len()) {
            break;
        }
        let free = registers as usize - s.pinned.len();
        let listed = |spare: &usize| order(&s.insts, s.vectors, free.saturating_sub(*spare));
        let mut orders = vec![late(&s.insts, s.vectors)];
        if s.insts.len() <= LONGEST {
            orders.extend(SPARE.iter().map(listed));
        }
        for insts in orders {
            let allotted = allot(&s, &insts, registers);
            let cycles = cycles(&allotted.steps, allotted.slots);
            if best.as_ref().is_none_or(|b| cycles < b.cycles) {
                best = Some(Plan {
                    steady: s.clone(),
                    allotted,
                    cycles,
                });
            }
        }
    }
    best.unwrap_or_else(|| unreachable!("one number of pins is tried at least"))
}
