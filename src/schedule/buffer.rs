//! Lives of buffers and the sharing of memory among temporaries.
//!
//! In: a program's tasks and buffers. Out: each buffer's life in top-level tasks, and slots: two
//! temporaries whose lives do not meet may have one. A buffer of a scan's body lives as long as the
//! scan.

use std::collections::BTreeMap;

use super::access;
use super::program::{Buffer, Home, Task};
use super::size;
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable};

/// Fills in the lives. Results live to the end; what nothing touches has the empty life `(1, 0)`.
pub fn lives(buffers: &mut [Buffer], tasks: &[Task]) {
    for b in buffers.iter_mut() {
        b.life = (1, 0);
    }
    for (i, t) in tasks.iter().enumerate() {
        for v in access::of(t).all() {
            let b = &mut buffers[v.buffer.0 as usize];
            if b.life == (1, 0) {
                b.life.0 = i;
            }
            b.life.1 = i;
        }
    }
}

struct Slot {
    sizes: Vec<Dim>,
    /// The largest of the sizes, where one is known to be: its number in [`Sizes`].
    top: usize,
    lives: Vec<(usize, usize)>,
}

/// The different sizes of temporaries, few however many buffers there are, and which of them mostly
/// cover which: asked of every pair of a buffer and a slot.
#[derive(Default)]
struct Sizes {
    all: Vec<Dim>,
    covers: BTreeMap<(usize, usize), bool>,
}

impl Sizes {
    fn number(&mut self, d: &Dim) -> usize {
        let known = self.all.iter().position(|x| x == d);
        known.unwrap_or_else(|| {
            self.all.push(d.clone());
            self.all.len() - 1
        })
    }

    fn mostly_covers(&mut self, a: usize, b: usize) -> bool {
        let all = &self.all;
        let known = self.covers.entry((a, b));
        *known.or_insert_with(|| size::mostly_covers(&all[a], &all[b]))
    }

    /// How many of the sizes are larger.
    fn above(&mut self, own: usize) -> usize {
        let all = 0..self.all.len();
        let larger = |a: &usize| self.mostly_covers(*a, own) && !self.mostly_covers(own, *a);
        all.filter(larger).count()
    }
}

/// Gives temporaries their slots and returns the sizes each slot must hold. The largest are placed first, so that what
/// is small goes where there is room and not the other way (greedy by size: Pisarchyk and Lee 2020).
pub fn slots(buffers: &mut [Buffer], dims: &DimTable) -> Result<Vec<Vec<Dim>>, Diagnostic> {
    let mut sizes = Sizes::default();
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (i, b) in buffers.iter().enumerate() {
        if matches!(b.home, Home::Temp(_)) {
            let elements = size::known(&size::product(&b.shape)?, dims)?;
            order.push((i, sizes.number(&elements)));
        }
    }
    let above: Vec<usize> = (0..sizes.all.len()).map(|own| sizes.above(own)).collect();
    order.sort_by_key(|&(i, own)| (above[own], buffers[i].life, i));
    let mut slots: Vec<Slot> = Vec::new();
    for (i, own) in order {
        let b = &mut buffers[i];
        let free = |s: &Slot| {
            let mut lives = s.lives.iter();
            !lives.any(|l| l.0 <= b.life.1 && b.life.0 <= l.1)
        };
        // The same size, then a larger one, then one to enlarge, then any.
        let mut fit = |s: &Slot| {
            if s.top == own {
                0
            } else if sizes.mostly_covers(s.top, own) {
                1
            } else if sizes.mostly_covers(own, s.top) {
                2
            } else {
                3
            }
        };
        let best = (0..slots.len())
            .filter(|&s| free(&slots[s]))
            .min_by_key(|&s| (fit(&slots[s]), s));
        let at = best.unwrap_or_else(|| {
            slots.push(Slot {
                sizes: Vec::new(),
                top: own,
                lives: Vec::new(),
            });
            slots.len() - 1
        });
        let s = &mut slots[at];
        if sizes.mostly_covers(own, s.top) {
            s.top = own;
        }
        let elements = &sizes.all[own];
        if !s.sizes.iter().any(|old| size::covers(old, elements)) {
            s.sizes.retain(|old| !size::covers(elements, old));
            s.sizes.push(elements.clone());
        }
        s.lives.push(b.life);
        b.home = Home::Temp(at);
    }
    Ok(slots.into_iter().map(|s| s.sizes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dim::{Binding, Role, Sym};
    use crate::schedule::program::Elem;

    /// Lengths known at launch, and one known now.
    fn dims() -> DimTable {
        let mut dims = DimTable::default();
        for (name, role) in [("T", Role::Time), ("B", Role::Batch)] {
            dims.declare(Sym::new(name), role, Binding::Launch);
        }
        dims.declare(Sym::new("H"), Role::Feature, Binding::Static(Some(8)));
        dims
    }

    /// Where temporaries of these shapes and lives go, and what the slots hold.
    fn placed(all: &[(&[Dim], (usize, usize))]) -> (Vec<usize>, Vec<Vec<Dim>>) {
        let buffer = |(shape, life): &(&[Dim], (usize, usize))| Buffer {
            name: "x".to_string(),
            elem: Elem::F32,
            shape: shape.to_vec(),
            home: Home::Temp(usize::MAX),
            life: *life,
            then: Vec::new(),
        };
        let mut buffers: Vec<Buffer> = all.iter().map(buffer).collect();
        let slots = slots(&mut buffers, &dims()).unwrap();
        let at = |b: &Buffer| match b.home {
            Home::Temp(slot) => slot,
            _ => panic!("moved elsewhere"),
        };
        (buffers.iter().map(at).collect(), slots)
    }

    fn named(names: &[&str]) -> Vec<Dim> {
        names.iter().map(|n| Dim::named(n)).collect()
    }

    fn times(n: i64, of: &str) -> Dim {
        Dim::named(of).checked_mul(&Dim::constant(n)).unwrap()
    }

    #[test]
    fn what_is_large_has_its_place_before_what_is_small() {
        let (small, large) = (named(&["B"]), named(&["B", "H"]));
        // In the order of lives the small one would take the first's place, and the third have one of its own.
        let (at, slots) = placed(&[(&large, (0, 1)), (&small, (2, 5)), (&large, (3, 4))]);
        assert_eq!(at, [0, 1, 0]);
        assert_eq!(slots, [vec![times(8, "B")], named(&["B"])]);
    }

    #[test]
    fn what_lives_in_one_task_together_lies_apart() {
        let shape = named(&["B"]);
        let (at, slots) = placed(&[(&shape, (0, 2)), (&shape, (2, 3)), (&shape, (3, 3))]);
        assert_eq!(at, [0, 1, 0]);
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn a_slot_of_the_same_size_is_taken_before_a_larger_one() {
        let (small, large) = (named(&["B"]), named(&["B", "H"]));
        let all = [
            (&large[..], (0, 1)),
            (&small[..], (0, 1)),
            (&small[..], (2, 3)),
        ];
        assert_eq!(placed(&all).0, [0, 1, 1]);
        // A larger one is better than another slot.
        assert_eq!(placed(&[all[0], all[2]]).0, [0, 0]);
    }

    #[test]
    fn sizes_of_which_neither_is_larger_share_a_slot_that_holds_both() {
        let (at, slots) = placed(&[(&named(&["T"]), (0, 0)), (&named(&["B"]), (1, 1))]);
        assert_eq!(at, [0, 0]);
        assert_eq!(slots, [named(&["T", "B"])]);
    }
}
