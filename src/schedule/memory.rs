//! Where each value is: buffers made as they are first needed, and views into them.
//!
//! In: a placed function. Out: [`Memory::view`] of any value that is not inline.

use std::collections::BTreeMap;

use super::facts::{Def, scan_at};
use super::place::{Kept, Place, Placed, StackView};
use super::program::{Buffer, BufferId, CarryHome, Elem, Home, View, Weights};
use super::side_by_side::grad_of;
use super::size;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::ir::{self, OpId, OpKind, ValueId};

pub struct Memory<'a> {
    p: &'a Placed,
    shared: BTreeMap<ValueId, ValueId>,
    pub buffers: Vec<Buffer>,
    views: BTreeMap<ValueId, View>,
    kept: BTreeMap<Kept, BufferId>,
    /// By weight: its own buffer, or its part of one that holds several.
    params: Vec<View>,
    inputs: Vec<BufferId>,
    /// By output of the function; gradients included.
    outputs: Vec<BufferId>,
}

impl<'a> Memory<'a> {
    /// `shared` says whose memory a value has, where it has none of its own.
    pub fn new(
        p: &'a Placed,
        shared: BTreeMap<ValueId, ValueId>,
    ) -> Result<Memory<'a>, Diagnostic> {
        let mut m = Memory {
            p,
            shared,
            buffers: Vec::new(),
            views: BTreeMap::new(),
            kept: BTreeMap::new(),
            params: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for (i, w) in p.func.params.iter().enumerate() {
            let run = p.weights.iter().find(|(r, _)| r.range().contains(&i));
            let view = match run {
                Some((run, joined)) if run.first == i => {
                    let name = &p.func.value(*joined).name;
                    let b = m.like(*joined, name, Home::Param(*run));
                    m.run(m.whole(b)?, w.value, (*joined, 0), 0)?
                }
                Some((run, joined)) => {
                    let whole = m.whole(m.params[run.first].buffer)?;
                    m.run(whole, w.value, (*joined, i - run.first), 0)?
                }
                None => {
                    let b = m.like(w.value, &w.path, Home::Param(Weights::one(i)));
                    m.whole(b)?
                }
            };
            m.params.push(view);
        }
        for (i, input) in p.func.inputs.iter().enumerate() {
            let b = m.like(input.value, &p.func.value(input.value).name, Home::Input(i));
            m.inputs.push(b);
        }
        let mut results = 0;
        for o in &p.func.outputs {
            let weight = grad_of(&p.func, &o.role);
            let joined = weight.and_then(|w| {
                let of = |(run, _): &&(Weights, ValueId)| run.range().contains(&w);
                p.grads.iter().find(of)
            });
            if let Some((run, joined)) = joined {
                let home = Home::Grad(*run);
                let b = match m.buffers.iter().position(|b| b.home == home) {
                    Some(b) => BufferId(b as u32),
                    None => m.like(*joined, &p.func.value(*joined).name, home),
                };
                m.outputs.push(b);
                continue;
            }
            let home = match weight {
                Some(w) => Home::Grad(Weights::one(w)),
                None => {
                    results += 1;
                    Home::Output(results - 1)
                }
            };
            let b = m.like(o.value, &result_name(&o.role), home);
            m.outputs.push(b);
        }
        Ok(m)
    }

    pub fn input(&self, i: usize) -> BufferId {
        self.inputs[i]
    }

    pub fn output(&self, i: usize) -> BufferId {
        self.outputs[i]
    }

    fn buffer(&mut self, name: &str, elem: ir::Elem, shape: Vec<Dim>, home: Home) -> BufferId {
        self.buffers.push(Buffer {
            name: name.to_string(),
            elem: match elem {
                ir::Elem::F32 => Elem::F32,
                ir::Elem::I32 => Elem::I32,
            },
            shape,
            home,
            life: (0, 0),
            then: Vec::new(),
        });
        BufferId(self.buffers.len() as u32 - 1)
    }

    fn like(&mut self, v: ValueId, name: &str, home: Home) -> BufferId {
        let ty = self.p.func.value(v).ty.clone();
        self.buffer(name, ty.elem, ty.shape, home)
    }

    fn whole(&self, b: BufferId) -> Result<View, Diagnostic> {
        View::whole(b, &self.buffers[b.0 as usize].shape)
    }

    pub fn view(&mut self, v: ValueId) -> Result<View, Diagnostic> {
        if let Some(done) = self.views.get(&v) {
            return Ok(done.clone());
        }
        let view = match self.p.facts.def(v) {
            Def::Param(i) => self.params[i].clone(),
            Def::Input(i) => self.whole(self.inputs[i])?,
            Def::Slice(scan, i) => {
                let from = scan_at(&self.p.func, scan).slices[i].from;
                self.view(from)?.per_step(0)?
            }
            Def::CarryParam(scan, i) => self.carry(scan, i, false)?,
            Def::Last(scan, i) => self.last(scan, i)?,
            Def::Stack(scan, i) => self.stack(scan, i)?,
            Def::Op(id, at) => self.computed(v, id, at)?,
            Def::Valid(_) | Def::None => {
                unreachable!("'{}' is in no memory", self.p.func.value(v).name)
            }
        };
        self.views.insert(v, view.clone());
        Ok(view)
    }

    fn computed(&mut self, v: ValueId, id: OpId, at: usize) -> Result<View, Diagnostic> {
        let op = self.p.func.op(id);
        match &op.kind {
            OpKind::Split { axis, sizes } => {
                let start = sizes[..at]
                    .iter()
                    .try_fold(size::zero(), |sum, d| size::add(&sum, d))?;
                self.view(op.args[0])?.narrow(*axis, &start, &sizes[at])
            }
            OpKind::Expand { axes, shape } => Ok(self.view(op.args[0])?.expand(axes, shape)),
            OpKind::Take(ir::TakeWhich::First) => self.view(op.args[0])?.index(0, &size::zero()),
            _ => match self.p.place[v.0 as usize] {
                Place::Own => match self.shared.get(&v) {
                    Some(&with) => self.view(with),
                    None => self.own(v),
                },
                Place::Next(scan, i) if self.p.carries[&(scan, i)] == CarryHome::Copied => {
                    self.own(v)
                }
                Place::Part(joined, part) => self.part(joined, part),
                Place::Within(longer, start) => {
                    let whole = self.view(longer)?;
                    self.run(whole, v, (longer, start), 0)
                }
                Place::Init(scan, i) => self.start(scan, i),
                Place::Next(scan, i) => self.carry(scan, i, true),
                Place::Stack(scan, i) => {
                    let b = self.stack_buffer(scan, i);
                    self.whole(b)?.per_step(0)
                }
                Place::Weights(n) => {
                    let (run, _) = self.p.weights[n];
                    self.whole(self.params[run.first].buffer)
                }
                Place::Output(i) => self.whole(self.outputs[i]),
            },
        }
    }

    fn own(&mut self, v: ValueId) -> Result<View, Diagnostic> {
        let name = self.p.func.value(v).name.clone();
        let b = self.like(v, &name, Home::Temp(0));
        self.whole(b)
    }

    fn part(&mut self, joined: ValueId, part: usize) -> Result<View, Diagnostic> {
        let args = &self.join(joined).1;
        let v = args[part];
        let whole = self.view(joined)?;
        self.run(whole, v, (joined, part), 0)
    }

    /// The axis and the parts of a joined value.
    fn join(&self, joined: ValueId) -> (usize, Vec<ValueId>) {
        let op = self.p.facts.op_of(joined).map(|id| self.p.func.op(id));
        match op.map(|op| (&op.kind, &op.args)) {
            Some((OpKind::Concat { axis }, args)) => (*axis, args.clone()),
            _ => unreachable!("'{}' is not joined", self.p.func.value(joined).name),
        }
    }

    /// `v` inside `whole`, which holds the joined value from its part `start` on; `lead` axes come
    /// before the joined value's own.
    fn run(
        &self,
        whole: View,
        v: ValueId,
        (joined, start): (ValueId, usize),
        lead: usize,
    ) -> Result<View, Diagnostic> {
        let (axis, parts) = self.join(joined);
        let mut sizes = parts[..start].iter().map(|&p| &self.p.func.shape(p)[axis]);
        let from = sizes.try_fold(size::zero(), |sum, d| size::add(&sum, d))?;
        whole.narrow(axis + lead, &from, &self.p.func.shape(v)[axis])
    }

    fn keeps_history(&self, scan: OpId, i: usize) -> bool {
        self.p.carries[&(scan, i)] == CarryHome::History
    }

    fn carry_buffer(&mut self, scan: OpId, i: usize) -> Result<BufferId, Diagnostic> {
        let key = Kept::Carry(scan, i);
        if let Some(&b) = self.kept.get(&key) {
            return Ok(b);
        }
        if let Some(&o) = self.p.results.get(&key) {
            self.kept.insert(key, self.outputs[o]);
            return Ok(self.outputs[o]);
        }
        let s = scan_at(&self.p.func, scan);
        let v = self.p.func.value(s.carries[i].param).clone();
        let mut shape = v.ty.shape;
        if self.keeps_history(scan, i) {
            shape.insert(0, size::add(&s.extent, &size::one())?);
        }
        let b = self.buffer(&v.name, v.ty.elem, shape, Home::Temp(0));
        self.kept.insert(key, b);
        Ok(b)
    }

    /// The carry inside the body: before the step, or after it (`next`).
    fn carry(&mut self, scan: OpId, i: usize, next: bool) -> Result<View, Diagnostic> {
        let b = self.carry_buffer(scan, i)?;
        let view = self.whole(b)?;
        if self.keeps_history(scan, i) {
            let reverse = scan_at(&self.p.func, scan).reverse;
            return view.per_step(i64::from(next != reverse));
        }
        Ok(view)
    }

    /// Where a scan finds its carry at the first step.
    fn start(&mut self, scan: OpId, i: usize) -> Result<View, Diagnostic> {
        let s = scan_at(&self.p.func, scan);
        let at = if s.reverse {
            s.extent.clone()
        } else {
            size::zero()
        };
        self.edge(scan, i, &at)
    }

    fn last(&mut self, scan: OpId, i: usize) -> Result<View, Diagnostic> {
        let s = scan_at(&self.p.func, scan);
        let at = if s.reverse {
            size::zero()
        } else {
            s.extent.clone()
        };
        self.edge(scan, i, &at)
    }

    fn edge(&mut self, scan: OpId, i: usize, at: &Dim) -> Result<View, Diagnostic> {
        let b = self.carry_buffer(scan, i)?;
        let view = self.whole(b)?;
        match self.keeps_history(scan, i) {
            true => view.index(0, at),
            false => Ok(view),
        }
    }

    fn stack_buffer(&mut self, scan: OpId, i: usize) -> BufferId {
        let key = Kept::Stack(scan, i);
        if let Some(&b) = self.kept.get(&key) {
            return b;
        }
        let b = match self.p.results.get(&key) {
            Some(&o) => self.outputs[o],
            None => {
                let to = scan_at(&self.p.func, scan).stacks[i].to;
                let name = self.p.func.value(to).name.clone();
                self.like(to, &name, Home::Temp(0))
            }
        };
        self.kept.insert(key, b);
        b
    }

    fn stack(&mut self, scan: OpId, i: usize) -> Result<View, Diagnostic> {
        let s = scan_at(&self.p.func, scan);
        let (c, after) = match self.p.views.get(&(scan, i)) {
            None => {
                let b = self.stack_buffer(scan, i);
                return self.whole(b);
            }
            Some(StackView::Stack(other)) => return self.stack(scan, *other),
            Some(StackView::Within {
                stack,
                longer,
                start,
            }) => {
                let whole = self.stack(scan, *stack)?;
                return self.run(whole, s.stacks[i].from, (*longer, *start), 1);
            }
            Some(StackView::Before(c)) => (*c, false),
            Some(StackView::After(c)) => (*c, true),
        };
        let b = self.carry_buffer(scan, c)?;
        let from = Dim::constant(i64::from(after != s.reverse));
        self.whole(b)?.narrow(0, &from, &s.extent)
    }
}

/// A result's name says what it is for, as the value may be a copy.
fn result_name(role: &ir::OutputRole) -> String {
    match role {
        ir::OutputRole::Loss => "loss".to_string(),
        ir::OutputRole::LossSum(s) => format!("loss.sum.{s}"),
        ir::OutputRole::LossCount(s) => format!("loss.count.{s}"),
        ir::OutputRole::Prediction(s) | ir::OutputRole::Named(s) => s.clone(),
        ir::OutputRole::Carry(s) => format!("{s}'"),
        ir::OutputRole::Grad(s) => format!("d.{s}"),
    }
}
