//! How far into the answer each value of a model can see.
//!
//! In: a [`Flow`], one of its targets, and any inputs that hold the same data. Out: the marks of every
//! value, one for each of its coordinates that bounds what it sees, and the path along which a value
//! came to see the most.
//!
//! The analysis is a least fixed point over the values of the model. A coordinate is an axis of the
//! value, or the step of a scan around it: scores `w[t, s]` of queries and keys that hold the past see
//! steps up to `t - 1` and up to `s - 1`. What is tied to no coordinate may see any step.

use std::collections::BTreeMap;

use super::flow::{Flow, NodeId, What};
use super::mark::{Mark, Place};
use crate::check::program::{ExprKind, Model, VarId};
use crate::dim::{Dim, Sym};

/// A value came to see more, by what its source had come to see before.
struct Event {
    node: NodeId,
    mark: Mark,
    /// `None` where the answer itself is read.
    cause: Option<usize>,
}

/// One step of a path from a prediction down to the answer, and the mark that the path is about.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub node: NodeId,
    pub mark: Mark,
}

/// The marks of every value for one target.
pub struct Reaches<'g, 'a> {
    pub flow: &'g Flow<'a>,
    pub target: VarId,
    /// The target's own time axis.
    pub time: Option<Sym>,
    /// The target, and inputs that hold its data.
    answers: BTreeMap<VarId, Mark>,
    events: Vec<Event>,
    /// Of each node, the event that brought the present mark of each place; `None` is any step, beside
    /// which no other is kept.
    marks: Vec<BTreeMap<Option<Place>, usize>>,
}

/// A value that came to see more this often does so at every turn of a scan: it sees any step.
const TURNS: usize = 64;

impl<'g, 'a> Reaches<'g, 'a> {
    /// `aliases`: inputs that hold the target's data, and what their steps see of it.
    pub fn new(
        flow: &'g Flow<'a>,
        target: VarId,
        aliases: &BTreeMap<VarId, Mark>,
    ) -> Reaches<'g, 'a> {
        let time = own_time(flow.model, target);
        let mut answers = aliases.clone();
        let own = match time {
            Some(_) => Mark::UpTo(Place::Axis(0), 0),
            None => Mark::Anything,
        };
        answers.insert(target, own);
        let mut reaches = Reaches {
            flow,
            target,
            time,
            answers,
            events: Vec::new(),
            marks: vec![BTreeMap::new(); flow.nodes.len()],
        };
        reaches.settle();
        reaches
    }

    /// Ends: a mark only grows, and no more than [`TURNS`] times.
    fn settle(&mut self) {
        let mut turns = vec![0; self.flow.nodes.len()];
        loop {
            let mut changed = false;
            for node in &self.flow.order {
                for (mark, cause) in self.brought(*node) {
                    changed |= self.raise(*node, mark, cause, &mut turns[*node]);
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// The marks that a node's sources bring into it, each with the event it comes from.
    fn brought(&self, node: NodeId) -> Vec<(Mark, Option<usize>)> {
        let mut out = Vec::new();
        for (source, pass) in &self.flow.nodes[node].sources {
            let answer = u32::try_from(*source).ok();
            if let Some(mark) = answer.and_then(|v| self.answers.get(&VarId(v))) {
                out.extend(pass.carry(*mark).map(|m| (m, None)));
                continue;
            }
            for event in self.marks[*source].values() {
                let mark = pass.carry(self.events[*event].mark);
                out.extend(mark.map(|m| (m, Some(*event))));
            }
        }
        out
    }

    fn raise(&mut self, node: NodeId, mark: Mark, cause: Option<usize>, turns: &mut usize) -> bool {
        let known = &self.marks[node];
        if known.contains_key(&None) {
            return false;
        }
        let (place, mark) = match mark {
            Mark::UpTo(..) if *turns >= TURNS => (None, Mark::Anything),
            Mark::UpTo(place, _) => (Some(place), mark),
            Mark::Anything => (None, mark),
        };
        if let Some(old) = known.get(&place)
            && self.events[*old].mark >= mark
        {
            return false;
        }
        *turns += 1;
        if place.is_none() {
            self.marks[node].clear();
        }
        self.marks[node].insert(place, self.events.len());
        self.events.push(Event { node, mark, cause });
        true
    }

    /// The mark of a prediction that sees what it must not, the worst of several: all but the steps
    /// before its own.
    pub fn leak(&self, head: NodeId) -> Option<Mark> {
        self.worst(head).map(|event| self.events[event].mark)
    }

    fn worst(&self, head: NodeId) -> Option<usize> {
        let own_axis = match self.flow.nodes[head].what {
            What::Expr(e) => e.shape.first().and_then(Dim::as_sym) == self.time.as_ref(),
            What::Var(..) => false,
        };
        let sound = |mark: Mark| {
            own_axis
                && self.time.is_some()
                && matches!(mark, Mark::UpTo(Place::Axis(0), k) if k < 0)
        };
        let events = self.marks[head].values().copied();
        events
            .filter(|e| !sound(self.events[*e].mark))
            .max_by_key(|e| self.events[*e].mark)
    }

    /// The way from a prediction's leak down to the answer, the prediction's end first.
    pub fn path(&self, head: NodeId) -> Vec<Step> {
        let mut path = Vec::new();
        let mut next = self.worst(head);
        // Each event was caused by an earlier one, so this ends.
        while let Some(Event { node, mark, cause }) = next.map(|e| &self.events[e]) {
            path.push(Step {
                node: *node,
                mark: *mark,
            });
            next = *cause;
        }
        path
    }

    /// The answer, or an input that holds its data, where a node reads one.
    pub fn answer_read(&self, node: NodeId) -> Option<VarId> {
        match self.flow.nodes[node].what {
            What::Expr(e) => match e.kind {
                ExprKind::Var(v) | ExprKind::Previous(v) => {
                    self.answers.contains_key(&v).then_some(v)
                }
                _ => None,
            },
            What::Var(..) => None,
        }
    }
}

/// The first axis of a variable, where it is a time.
pub fn own_time(model: &Model, var: VarId) -> Option<Sym> {
    let first = model.var(var).shape.first()?;
    if !model.dims.is_time(first) {
        return None;
    }
    first.as_sym().cloned()
}
