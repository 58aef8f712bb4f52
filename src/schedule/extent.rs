//! Which elements of its buffer a view touches, and whether two views can be seen to touch none in common.
//!
//! In: a view and its axes. Out: [`Extent`]. Sizes that are not known yet are symbols of at least 0; what cannot be shown
//! for all of them is not taken to be so.

use std::ops::Range;

use super::program::View;
use crate::dim::Dim;

/// Elements `from + t·step + Σ index·stride`, in a scan's body at time `t`.
#[derive(Clone, Debug)]
pub struct Extent {
    pub from: Dim,
    /// 0 where the view does not move with time.
    pub step: Dim,
    /// Sizes and strides.
    pub axes: Vec<(Dim, Dim)>,
}

impl Extent {
    /// What a view with these axes, as sizes and strides, touches; `fix` puts in the sizes that are known.
    ///
    /// # Errors
    /// Those of `fix`.
    pub fn new<E>(
        v: &View,
        axes: &[(Dim, Dim)],
        fix: &dyn Fn(&Dim) -> Result<Dim, E>,
    ) -> Result<Extent, E> {
        let axes = axes
            .iter()
            .map(|(size, stride)| Ok((fix(size)?, fix(stride)?)));
        Ok(Extent {
            from: fix(&v.offset)?,
            step: match &v.step {
                Some(step) => fix(step)?,
                None => Dim::constant(0),
            },
            axes: axes.collect::<Result<_, E>>()?,
        })
    }

    /// Its first element at time t + `later`, less t steps.
    fn start(&self, later: i64) -> Option<Dim> {
        let far = self.step.checked_mul(&Dim::constant(later)).ok()?;
        self.from.checked_add(&far).ok()
    }

    /// Where it ends at time 0.
    fn end(&self) -> Option<Dim> {
        let far = span(self.axes.iter())?;
        self.from.checked_add(&far).ok()
    }

    /// Where in stretches of `pitch` elements it lies, at any time.
    fn residue(&self, pitch: i64) -> Option<Range<i64>> {
        let mut from = 0;
        for (m, c) in self.from.terms() {
            match m.is_empty() {
                true => from = c.rem_euclid(pitch),
                false if c % pitch == 0 => {}
                false => return None,
            }
        }
        let within = self.axes.iter();
        let far = span(within.filter(|(_, stride)| !is_multiple(stride, pitch)))?.as_const()?;
        (is_multiple(&self.step, pitch) && from + far <= pitch).then_some(from..from + far)
    }

    /// Distances of elements along its axes, where they are known.
    fn pitches(&self) -> impl Iterator<Item = i64> {
        let strides = self.axes.iter().filter_map(|(_, s)| s.as_const());
        strides.filter(|s| *s > 1)
    }

    /// Whether all it touches at a time is in the step of that time.
    pub fn in_step(&self) -> bool {
        let left = self.end().and_then(|end| self.step.checked_sub(&end).ok());
        never_negative(&self.from) && left.is_some_and(|left| never_negative(&left))
    }

    /// Whether each of its rows along the first axis ends before the next begins.
    pub fn has_rows(&self) -> bool {
        let left = || {
            let ((_, stride), rest) = self.axes.split_first()?;
            let end = self.from.checked_add(&span(rest.iter())?).ok()?;
            stride.checked_sub(&end).ok()
        };
        left().is_some_and(|left| never_negative(&left))
    }

    /// Whether it is laid out as rows of rows, so that each index has an element of its own: nothing repeats or overlaps.
    pub fn is_nested(&self) -> bool {
        let mut inner = Some(Dim::constant(1));
        self.axes.iter().rev().all(|(size, stride)| {
            let Some(far) = &inner else { return false };
            let fits = stride
                .checked_sub(far)
                .is_ok_and(|gap| never_negative(&gap));
            let more = size.checked_sub(&Dim::constant(1)).ok();
            let more = more.and_then(|n| n.checked_mul(stride).ok());
            inner = more.and_then(|more| far.checked_add(&more).ok());
            fits
        })
    }

    /// Whether both lie side by side in every row, say, of a matrix, at any time.
    pub fn beside(&self, other: &Extent) -> bool {
        self.pitches().chain(other.pitches()).any(|pitch| {
            let both = self.residue(pitch).zip(other.residue(pitch));
            both.is_some_and(|(a, b)| a.end <= b.start || b.end <= a.start)
        })
    }
}

/// One more than the furthest element of axes with these sizes and strides.
fn span<'a>(axes: impl Iterator<Item = &'a (Dim, Dim)>) -> Option<Dim> {
    let mut all = Dim::constant(1);
    for (size, stride) in axes {
        if !never_negative(stride) {
            return None;
        }
        let far = size.checked_sub(&Dim::constant(1)).ok()?;
        let far = far.checked_mul(stride).ok()?;
        all = all.checked_add(&far).ok()?;
    }
    Some(all)
}

pub fn is_multiple(d: &Dim, of: i64) -> bool {
    d.terms().all(|(_, c)| c % of == 0)
}

/// Whether it can be seen that this is at least 0: sizes are.
fn never_negative(d: &Dim) -> bool {
    d.terms().all(|(_, c)| c >= 0)
}

/// Whether `a`, so many steps later, ends before `b` begins.
pub fn before(a: (&Extent, i64), b: (&Extent, i64)) -> bool {
    let gap = || {
        let far = span(a.0.axes.iter())?;
        let end = a.0.start(a.1)?.checked_add(&far).ok()?;
        // It begins there only if no stride leads back.
        span(b.0.axes.iter())?;
        b.0.start(b.1)?.checked_sub(&end).ok()
    };
    gap().is_some_and(|gap| never_negative(&gap))
}
