//! Which values depend on the target's time.
//!
//! In: a forward function and the time. Out: [`Source`], the function with a [`Place`] for each value.

use std::collections::HashMap;

use crate::dim::{Dim, Sym};
use crate::ir::*;

/// Where a value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At every step: it depends on the time.
    Timed,
    /// Once, by the setup function.
    Setup,
    /// Again in the step function: it is an input or a weight, or repeats one.
    Passed,
    /// The same, out of nothing but numbers.
    Constant,
}

pub struct Source<'a> {
    pub func: &'a Func,
    pub time: Sym,
    places: Vec<Place>,
    inputs: HashMap<ValueId, usize>,
}

impl<'a> Source<'a> {
    pub fn new(func: &'a Func, time: &Sym) -> Source<'a> {
        let name = time.name();
        let mut source = Source {
            func,
            time: time.clone(),
            places: vec![Place::Passed; func.values.len()],
            inputs: HashMap::new(),
        };
        for (i, input) in func.inputs.iter().enumerate() {
            source.inputs.insert(input.value, i);
            let counts = match &input.role {
                InputRole::Lengths(t) | InputRole::Steps(t) => t == name,
                InputRole::Data(_) | InputRole::Previous(_) | InputRole::Carry(_) => false,
            };
            if counts || source.has_time(input.value) {
                source.put(input.value, Place::Timed);
            }
        }
        source.region(&func.body);
        source
    }

    pub fn place(&self, v: ValueId) -> Place {
        self.places[v.0 as usize]
    }

    pub fn input(&self, v: ValueId) -> Option<&'a Input> {
        self.inputs.get(&v).map(|i| &self.func.inputs[*i])
    }

    /// The lengths along the target's time.
    pub fn is_length(&self, v: ValueId) -> bool {
        let name = self.time.name();
        (self.input(v)).is_some_and(|i| matches!(&i.role, InputRole::Lengths(t) if t == name))
    }

    pub fn is_time(&self, d: &Dim) -> bool {
        d.as_sym() == Some(&self.time)
    }

    /// Some axis's size is the time's, or is made from it.
    pub fn has_time(&self, v: ValueId) -> bool {
        self.func.shape(v).iter().any(|d| d.mentions(&self.time))
    }

    pub fn batch_axis(&self, v: ValueId) -> Option<usize> {
        let batch = Func::batch();
        self.func.shape(v).iter().position(|d| *d == batch)
    }

    fn put(&mut self, v: ValueId, place: Place) {
        self.places[v.0 as usize] = place;
    }

    fn region(&mut self, region: &Region) {
        for id in &region.ops {
            let op = self.func.op(*id);
            let place = match &op.kind {
                OpKind::Scan(scan) => self.scan(op, scan),
                _ => self.op(op),
            };
            for r in &op.results {
                self.put(*r, place);
            }
        }
    }

    fn op(&self, op: &Op) -> Place {
        let all = |p: Place| op.args.iter().all(|a| self.place(*a) == p);
        if op.results.iter().any(|r| self.has_time(*r))
            || op.args.iter().any(|a| self.place(*a) == Place::Timed)
        {
            return Place::Timed;
        }
        match op.kind {
            OpKind::Random { .. } => Place::Setup,
            _ if all(Place::Constant) => Place::Constant,
            OpKind::Expand { .. } => Place::Passed,
            _ => Place::Setup,
        }
    }

    /// A scan along the time depends on it, and so does what its body makes of steps and states.
    fn scan(&mut self, op: &Op, scan: &Scan) -> Place {
        let along = scan.extent.mentions(&self.time);
        let timed = along
            || op.args.iter().any(|a| self.place(*a) == Place::Timed)
            || op.results.iter().any(|r| self.has_time(*r));
        let outer = if timed { Place::Timed } else { Place::Setup };
        let locals = (scan.slices.iter().map(|s| s.to))
            .chain(scan.carries.iter().map(|c| c.param))
            .chain(scan.valid);
        for v in locals {
            self.put(v, outer);
        }
        self.region(&scan.body);
        let reads = scan.carries.iter().map(|c| c.next);
        let mut reads = reads.chain(scan.stacks.iter().map(|s| s.from));
        match timed || reads.any(|v| self.place(v) == Place::Timed) {
            true => Place::Timed,
            false => Place::Setup,
        }
    }
}
