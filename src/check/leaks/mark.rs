//! What a value knows of the answer, said of its coordinates.
//!
//! In: nothing. Out: [`Mark`], one dependence of a value on the answer, and [`Pass`], what a use does
//! to the coordinates of what it reads, and by that to its marks.

/// A coordinate of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Along this axis of the value.
    Axis(usize),
    /// The step of the scan around it at this depth, the outermost 0.
    Step(usize),
}

/// A value depends on these steps of the answer. Of several marks, it depends on each one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Steps up to the coordinate plus the number.
    UpTo(Place, i64),
    /// Any step.
    Anything,
}

impl Mark {
    /// Whether only steps before the coordinate's own are seen.
    pub fn is_past(self) -> bool {
        matches!(self, Mark::UpTo(_, ahead) if ahead < 0)
    }
}

/// Where a use puts one coordinate of what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// At most this coordinate of the result, plus the number.
    At(Place, i64),
    /// It is 0.
    Zero,
    /// Anywhere along its axis.
    Free,
}

impl Onto {
    pub fn axis(axis: usize) -> Onto {
        Onto::At(Place::Axis(axis), 0)
    }
}

/// What a use does to the coordinates of what it reads. Steps of scans stay, but for one at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    pub axes: Vec<Onto>,
    pub step: Option<(usize, Onto)>,
}

impl Pass {
    /// A value of `from` axes as the end of one of `to`.
    pub fn lifted(from: usize, to: usize) -> Pass {
        let place = |i: usize| (i + to).checked_sub(from).map_or(Onto::Free, Onto::axis);
        Pass {
            axes: (0..from).map(place).collect(),
            step: None,
        }
    }

    pub fn same(rank: usize) -> Pass {
        Pass::lifted(rank, rank)
    }

    /// The same with another fate of one axis.
    pub fn with(mut self, axis: usize, onto: Onto) -> Pass {
        if let Some(a) = self.axes.get_mut(axis) {
            *a = onto;
        }
        self
    }

    pub fn with_step(mut self, depth: usize, onto: Onto) -> Pass {
        self.step = Some((depth, onto));
        self
    }

    /// What a mark of the value read becomes in the result.
    pub fn carry(&self, mark: Mark) -> Option<Mark> {
        let Mark::UpTo(place, ahead) = mark else {
            return Some(Mark::Anything);
        };
        let onto = match (place, self.step) {
            (Place::Axis(a), _) => self.axes.get(a).copied().unwrap_or(Onto::Free),
            (Place::Step(d), Some((depth, onto))) if d == depth => onto,
            (Place::Step(_), _) => Onto::At(place, 0),
        };
        match onto {
            Onto::At(to, by) => Some(
                ahead
                    .checked_add(by)
                    .map_or(Mark::Anything, |k| Mark::UpTo(to, k)),
            ),
            // At 0, what sees only earlier steps sees none.
            Onto::Zero => (ahead >= 0).then_some(Mark::Anything),
            Onto::Free => Some(Mark::Anything),
        }
    }
}
