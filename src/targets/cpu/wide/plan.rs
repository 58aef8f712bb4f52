//! The code of one vector, as fast as it is found to be.
//!
//! In: [`Code`] and how many registers there are. Out: [`Plan`]. How many numbers stay in registers and how many
//! vectors may be alive at once take from each other, so some of each are tried, the group's own order among them, and
//! what is fastest by [`cycles`] is taken. One vector's instructions wait for each other, so those of two that follow each
//! other are tried side by side.

use super::super::isa::Reciprocal;
use super::allot::{Allotted, allot};
use super::code::{Code, Inst};
use super::cycles::cycles;
use super::order::{late, order};
use super::steady::{Steady, steady};

/// Numbers in registers that are tried.
const PINNED: [usize; 3] = [0, 6, 14];
/// Which of these is tried for two vectors.
const PINNED_BESIDE_TWO: usize = 1;
/// Stores of a row beyond which two vectors are not tried.
const MOST_STORES: usize = 3;
/// Registers that are left to neither numbers nor vectors alive: operands in passing, spares.
const SPARE: [usize; 2] = [2, 6];
/// The part of the time that two vectors side by side must take, or their code is not worth its length.
const PAYS: f64 = 0.97;
/// Registers that vectors have at least.
const LEAST: usize = 6;
/// Instructions beyond which the group's order is kept: trying takes longer the more there are.
const LONGEST: usize = 3000;

pub(super) struct Plan {
    pub(super) steady: Steady,
    pub(super) one: Allotted,
    /// Two vectors side by side, where that is faster than one after the other.
    pub(super) two: Option<Allotted>,
    /// What one vector takes, about.
    pub(super) cycles: f64,
}

/// Instructions in the order found best, and the cycles of one turn.
struct Found {
    allotted: Allotted,
    cycles: f64,
}

/// Plans a vector's code for `registers` registers.
pub(super) fn plan(code: &Code, registers: u32) -> Plan {
    let all = steady(code);
    // The best order for each number of pins.
    let mut singles: Vec<(Steady, Found)> = Vec::new();
    for most in PINNED {
        let most = most.min((registers as usize).saturating_sub(LEAST));
        let s = all.pinned(most);
        if let Some((before, _)) = singles.last()
            && before.pinned.len() == s.pinned.len()
        {
            break;
        }
        let mut orders = vec![late(&s.insts, s.vectors)];
        orders.extend(SPARE.iter().filter_map(|n| listed(&s, registers, *n)));
        let tried = orders.iter().map(|insts| found(&s, insts, registers));
        singles.extend(fastest(tried).map(|best| (s.clone(), best)));
    }
    // Two vectors leave fewer registers to numbers.
    let few = PINNED_BESIDE_TWO.min(singles.len() - 1);
    let pays = match code.reciprocal {
        Reciprocal::Divider => PAYS,
        // Intel's cores look ahead over more instructions than the model has, but over fewer that wait.
        Reciprocal::Newton => 1.0,
    };
    let alone = singles.iter().map(|(_, one)| one.cycles);
    let least = alone.fold(f64::INFINITY, f64::min);
    let two = two(&singles[few].0, registers).filter(|t| t.cycles <= 2.0 * pays * least);
    let best = match &two {
        Some(_) => few,
        None => (singles.iter().position(|(_, one)| one.cycles == least)).unwrap_or(few),
    };
    let (steady, one) = singles.swap_remove(best);
    Plan {
        cycles: two.as_ref().map_or(one.cycles, |t| t.cycles / 2.0),
        steady,
        one: one.allotted,
        two: two.map(|t| t.allotted),
    }
}

/// Two vectors side by side, where their instructions wait for each other: those of rows that store much wait for memory.
fn two(s: &Steady, registers: u32) -> Option<Found> {
    let stores = s.insts.iter().filter(|i| matches!(i, Inst::Store { .. }));
    if stores.count() > MOST_STORES {
        return None;
    }
    let t = s.twice()?;
    listed(&t, registers, SPARE[0]).map(|insts| found(&t, &insts, registers))
}

fn fastest(all: impl Iterator<Item = Found>) -> Option<Found> {
    all.min_by(|a, b| a.cycles.total_cmp(&b.cycles))
}

/// The order with chains interleaved that leaves `spare` registers.
fn listed(s: &Steady, registers: u32, spare: usize) -> Option<Vec<Inst>> {
    let free = registers as usize - s.pinned.len();
    (s.insts.len() <= LONGEST).then(|| order(&s.insts, s.vectors, free.saturating_sub(spare)))
}

/// These instructions in this order.
fn found(s: &Steady, insts: &[Inst], registers: u32) -> Found {
    let allotted = allot(s, insts, registers);
    let cycles = cycles(&allotted.steps, allotted.slots);
    Found { allotted, cycles }
}
