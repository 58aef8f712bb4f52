//! Names of what lies in a buffer at a task, for the program's text.
//!
//! In: a view and the task that uses it. Out: the name of the value that was stored there last: one buffer may hold
//! several after each other, and one part of it another than the next (see [`super::reuse`]).

use super::extent::Extent;
use super::program::{Program, Then, View};
use super::size;
use crate::dim::Dim;

/// A program at one of its tasks.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub program: &'a Program,
    /// The top-level task, and in a scan the task of its body.
    pub at: (usize, Option<usize>),
}

impl Named<'_> {
    /// A view that the task reads.
    pub fn read(self, v: &View) -> String {
        self.view(v, |by| by < self.at)
    }

    /// A view that the task writes.
    pub fn written(self, v: &View) -> String {
        self.view(v, |by| by <= self.at)
    }

    /// The name of what was stored here last, with the step of a sequence and the offset that is left.
    fn view(self, v: &View, done: impl Fn((usize, Option<usize>)) -> bool) -> String {
        let b = self.program.buffer(v.buffer);
        let here = |t: &&Then| {
            let mut stores = t.stores.iter().filter(|s| done(s.by));
            stores.any(|s| !self.beside(&s.to, v))
        };
        let then = b.then.iter().filter(here);
        let last = then
            .rev()
            .find_map(|t| Some((&t.name, t.offset(v, &b.shape)?)));
        let (name, offset) = last.unwrap_or((&b.name, v.offset.clone()));
        let zero = Dim::constant(0);
        let Some(step) = &v.step else {
            return match offset == zero {
                true => name.clone(),
                false => format!("{name}@{offset}"),
            };
        };
        // One step ahead is how a history is written.
        let ahead = offset.checked_sub(step).ok();
        let (place, rest) = match ahead {
            Some(rest) if rest.terms().all(|(_, n)| n >= 0) && *step != zero => ("t+1", rest),
            _ => ("t", offset),
        };
        match rest == zero {
            true => format!("{name}[{place}]"),
            false => format!("{name}[{place}]@{rest}"),
        }
    }

    /// Whether two views of a buffer are of different parts of its rows; of a product's, which have no axes of their own,
    /// where they begin.
    fn beside(self, a: &View, b: &View) -> bool {
        let extent = |v: &View| {
            let axes = v.axes.iter().map(|a| (a.size.clone(), a.stride.clone()));
            let known = |d: &Dim| size::known(d, &self.program.dims);
            Extent::new(v, &axes.collect::<Vec<_>>(), &known).ok()
        };
        extent(a).zip(extent(b)).is_some_and(|(a, b)| a.beside(&b))
    }
}

impl Then {
    /// How far into this value a view of its buffer begins; `None` where it is of something else there.
    fn offset(&self, v: &View, shape: &[Dim]) -> Option<Dim> {
        if self.at.shape() == shape {
            return Some(v.offset.clone());
        }
        let axes = &self.at.axes[usize::from(v.step.is_some())..];
        let own = v.offset == self.at.offset && v.axes == axes;
        own.then(|| Dim::constant(0))
    }
}
