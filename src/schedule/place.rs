//! Which memory each computed value is written to: its own, or a part of something larger.
//!
//! In: a desugared function. Out: [`Placed`]: the function, with copies added where a value is wanted
//! in a second place or is a view of something else, and a [`Place`] for each value that an op
//! computes. A value lives in the buffer of the concatenation, carry, stack or result that asks for
//! it first; so gates' gradients are stored straight into their joined gradient.

use std::collections::{BTreeMap, BTreeSet};

use super::edit::Editor;
use super::facts::{self, Def, Facts, Site, Use, scan_at};
use super::inline::{is_inline, is_view};
use super::join::{self, Within};
use super::program::{CarryHome, Weights};
use super::side_by_side;
use crate::diagnostics::Diagnostic;
use crate::ir::{Func, OpId, OpKind, TakeWhich, Unary, ValueId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A temporary of its own, where it is stored at all.
    Own,
    /// This part of a `Concat`'s result.
    Part(ValueId, usize),
    /// A joined value whose parts are neighbours in this longer one, from this part on.
    Within(ValueId, usize),
    /// Where the carry of this scan starts.
    Init(OpId, usize),
    /// Where the carry of this scan goes.
    Next(OpId, usize),
    /// A step of the stack of this scan.
    Stack(OpId, usize),
    /// Weights that lie side by side as they are joined: this run of [`Placed::weights`].
    Weights(usize),
    Output(usize),
}

/// A loop's value that lives on in a buffer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    Carry(OpId, usize),
    Stack(OpId, usize),
}

pub struct Placed {
    pub func: Func,
    pub facts: Facts,
    /// By value.
    pub place: Vec<Place>,
    /// By op: its place in the order of execution.
    pub order: Vec<usize>,
    pub carries: BTreeMap<(OpId, usize), CarryHome>,
    /// A stack that is a view: of a carry's history (`true`: after the step), or of another stack.
    pub views: BTreeMap<(OpId, usize), StackView>,
    /// The results that are a scan's buffers.
    pub results: BTreeMap<Kept, usize>,
    /// Weights that are joined as they lie in the arena, and gradients computed so: with the joined value.
    pub weights: Vec<(Weights, ValueId)>,
    pub grads: Vec<(Weights, ValueId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackView {
    Before(usize),
    After(usize),
    Stack(usize),
    /// The joined value collected is neighbouring parts of a longer one, collected by another stack.
    Within {
        stack: usize,
        longer: ValueId,
        start: usize,
    },
}

pub fn place(func: Func) -> Result<Placed, Diagnostic> {
    let facts = Facts::of(&func);
    let mut p = Placing {
        place: vec![Place::Own; func.values.len()],
        ed: Editor::new(func),
        facts,
        carries: BTreeMap::new(),
        views: BTreeMap::new(),
        results: BTreeMap::new(),
        taken: BTreeSet::new(),
        weights: Vec::new(),
        grads: Vec::new(),
    };
    let ops = std::mem::take(&mut p.ed.func.body.ops);
    let mut ops = p.region(ops, None);
    p.outputs(&mut ops);
    p.ed.func.body.ops = ops;
    let func = p.ed.func;
    let facts = Facts::of(&func);
    Ok(Placed {
        order: facts::positions(&func),
        facts,
        place: p.place,
        carries: p.carries,
        views: p.views,
        results: p.results,
        weights: p.weights,
        grads: p.grads,
        func,
    })
}

struct Placing {
    ed: Editor,
    /// Of the function before copies were added.
    facts: Facts,
    place: Vec<Place>,
    carries: BTreeMap<(OpId, usize), CarryHome>,
    views: BTreeMap<(OpId, usize), StackView>,
    results: BTreeMap<Kept, usize>,
    taken: BTreeSet<Kept>,
    weights: Vec<(Weights, ValueId)>,
    grads: Vec<(Weights, ValueId)>,
}

impl Placing {
    fn region(&mut self, ops: Vec<OpId>, site: Site) -> Vec<OpId> {
        let mut out = Vec::with_capacity(ops.len());
        let within = join::within(&self.ed.func, &ops);
        for id in ops {
            match self.ed.func.op(id).kind.clone() {
                OpKind::Concat { .. } if self.shares(id, &within, site) => out.push(id),
                OpKind::Concat { axis: 0 } if self.side_by_side(id) => out.push(id),
                OpKind::Concat { .. } => {
                    for i in 0..self.ed.func.op(id).args.len() {
                        let joined = self.ed.func.op(id).results[0];
                        let part = self.ed.func.op(id).args[i];
                        let at = Place::Part(joined, i);
                        let part = self.want(&mut out, part, site, at, Some(id));
                        self.ed.func.op_mut(id).args[i] = part;
                    }
                    out.push(id);
                }
                OpKind::Contract { .. } => self.viewed(&mut out, id, |_| true),
                OpKind::CrossEntropy => self.viewed(&mut out, id, |i| i == 1),
                OpKind::CrossEntropyGrad => self.viewed(&mut out, id, |i| i > 0),
                OpKind::Gather => self.viewed(&mut out, id, |i| i == 1),
                OpKind::ScatterAdd { .. } => self.viewed(&mut out, id, |i| i == 1),
                OpKind::Softmax
                | OpKind::Top { .. }
                | OpKind::Take(TakeWhich::Last)
                | OpKind::Put { .. } => self.viewed(&mut out, id, |_| false),
                OpKind::Scan(_) => self.scan(&mut out, id),
                OpKind::Const(_)
                | OpKind::Unary(_)
                | OpKind::Binary(_)
                | OpKind::Select
                | OpKind::Expand { .. }
                | OpKind::Reduce { .. }
                | OpKind::Split { .. }
                | OpKind::Take(TakeWhich::First)
                | OpKind::Mask { .. }
                | OpKind::Shift { .. }
                | OpKind::ToFloat
                | OpKind::Iota { .. }
                | OpKind::Random { .. } => out.push(id),
            }
        }
        out
    }

    /// Places the parts of a joined value in a longer one, where all of them can be there.
    fn shares(&mut self, id: OpId, within: &BTreeMap<ValueId, Within>, site: Site) -> bool {
        let joined = self.ed.func.op(id).results[0];
        let Some(&Within { longer, start }) = within.get(&joined) else {
            return false;
        };
        let parts = self.ed.func.op(id).args.clone();
        let at = |i: usize| Place::Part(longer, start + i);
        let free = |(i, &p): (usize, &ValueId)| {
            let place = self.place.get(p.0 as usize);
            self.is_computed(p, site) && (place == Some(&Place::Own) || place == Some(&at(i)))
        };
        if self.place[joined.0 as usize] != Place::Own || !parts.iter().enumerate().all(free) {
            return false;
        }
        for (i, p) in parts.iter().enumerate() {
            self.place[p.0 as usize] = at(i);
        }
        self.place[joined.0 as usize] = Place::Within(longer, start);
        true
    }

    /// Whether the parts joined are weights as they lie in the arena, so that the joined value is there already.
    fn side_by_side(&mut self, id: OpId) -> bool {
        let joined = self.ed.func.op(id).results[0];
        if self.place[joined.0 as usize] != Place::Own {
            return false;
        }
        let Some(run) = side_by_side::joined(&self.ed.func, &self.facts, id) else {
            return false;
        };
        if !side_by_side::apart(&self.weights, run) {
            return false;
        }
        self.place[joined.0 as usize] = Place::Weights(self.weights.len());
        self.weights.push((run, joined));
        true
    }

    /// Computes joined gradients where their parts are wanted, if those follow each other in the arena. Gives the
    /// results that are such parts.
    fn joined_grads(&mut self, ops: &[OpId]) -> BTreeSet<usize> {
        let mut done = BTreeSet::new();
        for part in side_by_side::grads(&self.ed.func, &self.facts, ops) {
            let place = self.place[part.joined.0 as usize];
            if self.is_computed(part.joined, None) && place == Place::Own {
                self.place[part.joined.0 as usize] = Place::Output(part.results[0]);
                self.grads.push((part.weights, part.joined));
                done.extend(part.results);
            }
        }
        done
    }

    /// Copies arguments that no view can stand for; `wide` says which may repeat.
    fn viewed(&mut self, out: &mut Vec<OpId>, id: OpId, wide: impl Fn(usize) -> bool) {
        for i in 0..self.ed.func.op(id).args.len() {
            let a = self.ed.func.op(id).args[i];
            if !self.is_view(a, wide(i)) {
                let copy = self.copy(out, a, Some(id));
                self.ed.func.op_mut(id).args[i] = copy;
            }
        }
        out.push(id);
    }

    fn is_view(&self, v: ValueId, wide: bool) -> bool {
        self.is_new(v) || is_view(&self.ed.func, &self.facts, v, wide)
    }

    /// Copies are newer than the facts.
    fn is_new(&self, v: ValueId) -> bool {
        v.0 as usize >= self.facts.def.len()
    }

    /// Whether an op of this region computes the value into memory of its own.
    fn is_computed(&self, v: ValueId, site: Site) -> bool {
        let f = &self.ed.func;
        !self.is_new(v)
            && self.facts.site(v) == site
            && self.facts.op_of(v).is_some_and(|id| {
                !matches!(
                    f.op(id).kind,
                    OpKind::Split { .. } | OpKind::Take(TakeWhich::First)
                )
            })
            && !is_inline(f, &self.facts, v)
    }

    fn copy(&mut self, out: &mut Vec<OpId>, v: ValueId, like: Option<OpId>) -> ValueId {
        let ty = self.ed.func.value(v).ty.clone();
        let name = format!("{}.copy", self.ed.name(v));
        let copy = self.ed.value(&name, ty);
        out.push(self.ed.op(OpKind::Unary(Unary::Stop), vec![v], copy, like));
        self.place.push(Place::Own);
        copy
    }

    /// `v` written at `at`: itself where it is computed here and wanted nowhere else yet, else a copy.
    fn want(
        &mut self,
        out: &mut Vec<OpId>,
        v: ValueId,
        site: Site,
        at: Place,
        like: Option<OpId>,
    ) -> ValueId {
        let free = |place| place == Place::Own || place == at;
        let v = if self.is_computed(v, site) && free(self.place[v.0 as usize]) {
            v
        } else {
            self.copy(out, v, like)
        };
        self.place[v.0 as usize] = at;
        v
    }

    fn scan(&mut self, out: &mut Vec<OpId>, id: OpId) {
        let mut scan = scan_at(&self.ed.func, id).clone();
        for s in &mut scan.slices {
            if !self.is_view(s.from, true) {
                s.from = self.copy(out, s.from, Some(id));
            }
        }
        if let Some(len) = &mut scan.len
            && !self.is_view(*len, true)
        {
            *len = self.copy(out, *len, Some(id));
        }
        self.histories(&scan, id);
        for i in 0..scan.carries.len() {
            let init = scan.carries[i].init;
            // A carry's buffer is overwritten: an initial value read elsewhere keeps its own.
            let keeps = self.carries[&(id, i)] == CarryHome::History
                || (!self.is_new(init) && self.facts.uses(init).len() == 1);
            scan.carries[i].init = if keeps {
                self.want(out, init, None, Place::Init(id, i), Some(id))
            } else {
                let copy = self.copy(out, init, Some(id));
                self.place[copy.0 as usize] = Place::Init(id, i);
                copy
            };
        }
        let mut body = self.region(std::mem::take(&mut scan.body.ops), Some(id));
        for i in 0..scan.carries.len() {
            let c = scan.carries[i];
            let stays = c.next == c.param && self.carries[&(id, i)] != CarryHome::History;
            if !stays {
                let at = Place::Next(id, i);
                scan.carries[i].next = self.want(&mut body, c.next, Some(id), at, Some(id));
            }
        }
        for i in 0..scan.stacks.len() {
            if !self.views.contains_key(&(id, i)) {
                let (from, at) = (scan.stacks[i].from, Place::Stack(id, i));
                scan.stacks[i].from = self.want(&mut body, from, Some(id), at, Some(id));
            }
        }
        scan.body.ops = body;
        self.ed.func.op_mut(id).kind = OpKind::Scan(Box::new(scan));
        out.push(id);
    }

    /// Decides how each carry is kept, and which stacks are views.
    fn histories(&mut self, scan: &crate::ir::Scan, id: OpId) {
        let only_result = |v: ValueId| {
            let uses = self.facts.uses(v);
            uses.iter().all(|u| matches!(u, Use::Output(_)))
        };
        for (i, c) in scan.carries.iter().enumerate() {
            let history = scan.stacks.iter().any(|s| {
                (s.from == c.param && c.next != c.param) || (s.from == c.next && !only_result(s.to))
            });
            let home = match history {
                true => CarryHome::History,
                false => CarryHome::InPlace,
            };
            self.carries.insert((id, i), home);
        }
        let within = join::within(&self.ed.func, &scan.body.ops);
        for (k, s) in scan.stacks.iter().enumerate() {
            let kept = |i: &usize| self.carries[&(id, *i)] == CarryHome::History;
            let mut carries = (0..scan.carries.len()).filter(kept);
            let view = carries.find_map(|i| match &scan.carries[i] {
                c if c.param == s.from => Some(StackView::Before(i)),
                c if c.next == s.from => Some(StackView::After(i)),
                _ => None,
            });
            let earlier = scan.stacks[..k].iter().position(|e| e.from == s.from);
            let longer = within.get(&s.from).and_then(|w| {
                let stack = scan.stacks.iter().position(|e| e.from == w.longer)?;
                Some(StackView::Within {
                    stack,
                    longer: w.longer,
                    start: w.start,
                })
            });
            if let Some(view) = view.or(earlier.map(StackView::Stack)).or(longer) {
                self.views.insert((id, k), view);
            }
        }
    }

    /// Results are computed where the caller wants them, where that is possible.
    fn outputs(&mut self, ops: &mut Vec<OpId>) {
        let joined = self.joined_grads(ops);
        for i in 0..self.ed.func.outputs.len() {
            if joined.contains(&i) {
                continue;
            }
            let v = self.ed.func.outputs[i].value;
            let kept = match self.facts.def(v) {
                Def::Stack(id, k) if !self.views.contains_key(&(id, k)) => Some(Kept::Stack(id, k)),
                Def::Last(id, c) if self.carries[&(id, c)] != CarryHome::History => {
                    Some(Kept::Carry(id, c))
                }
                _ => None,
            };
            if let Some(kept) = kept
                && self.taken.insert(kept)
            {
                self.results.insert(kept, i);
                continue;
            }
            let at = Place::Output(i);
            let v = self.want(ops, v, None, at, self.facts.op_of(v));
            self.ed.func.outputs[i].value = v;
        }
        debug_assert_eq!(self.place.len(), self.ed.func.values.len());
    }
}
