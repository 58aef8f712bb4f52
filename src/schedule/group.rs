//! Fusion: which ops of a region run in one loop.
//!
//! In: a placed function and a region's ops. Out: [`Group`]s in an order that can be run. A group is
//! convex: no path leaves it through another group and comes back. Elementwise ops over one space
//! form a storing group; reductions over the same axes of one space form a folding group, together
//! with the elementwise ops that only they use. Every other op is a group by itself.

use std::collections::BTreeMap;

use super::inline::is_inline;
use super::place::{Place, Placed};
use super::reads;
use crate::dim::Dim;
use crate::ir::{OpId, OpKind, TakeWhich, ValueId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Store,
    /// Which axes of the space are folded.
    Fold(Vec<bool>),
    Single,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub kind: Kind,
    pub space: Vec<Dim>,
    /// In order of execution.
    pub ops: Vec<OpId>,
}

/// Whether the op is computed point by point in a loop.
pub fn is_elementwise(kind: &OpKind) -> bool {
    match kind {
        OpKind::Const(_)
        | OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Select
        | OpKind::Expand { .. }
        | OpKind::Mask { .. }
        | OpKind::Iota { .. }
        | OpKind::ToFloat => true,
        OpKind::Contract { .. }
        | OpKind::Reduce { .. }
        | OpKind::Softmax
        | OpKind::Top { .. }
        | OpKind::CrossEntropy
        | OpKind::CrossEntropyGrad
        | OpKind::Gather
        | OpKind::ScatterAdd { .. }
        | OpKind::Split { .. }
        | OpKind::Concat { .. }
        | OpKind::Take(_)
        | OpKind::Put { .. }
        | OpKind::Shift { .. }
        | OpKind::Random { .. }
        | OpKind::Scan(_) => false,
    }
}

/// Whether the op is work of a task, not a view or something each reader computes.
fn has_task(p: &Placed, id: OpId) -> bool {
    let op = p.func.op(id);
    let view = matches!(
        op.kind,
        OpKind::Split { .. } | OpKind::Concat { .. } | OpKind::Take(TakeWhich::First)
    );
    !view && !op.results.iter().all(|&r| is_inline(&p.func, &p.facts, r))
}

pub fn group(p: &Placed, ops: &[OpId]) -> Vec<Group> {
    let mut f = Fusing::new(p, ops);
    f.folds();
    f.chains();
    f.siblings();
    f.into_groups()
}

/// Groups as a partition of the region's nodes, with the edges between nodes.
struct Fusing<'a> {
    p: &'a Placed,
    nodes: Vec<OpId>,
    node_of: BTreeMap<OpId, usize>,
    preds: Vec<Vec<usize>>,
    succs: Vec<Vec<usize>>,
    /// Those of `preds` that are read through a view, so at other points than they are written.
    elsewhere: Vec<Vec<usize>>,
    group_of: Vec<usize>,
    groups: Vec<Group>,
    members: Vec<Vec<usize>>,
}

impl<'a> Fusing<'a> {
    fn new(p: &'a Placed, ops: &[OpId]) -> Fusing<'a> {
        let nodes: Vec<OpId> = ops.iter().copied().filter(|&o| has_task(p, o)).collect();
        let node_of: BTreeMap<OpId, usize> =
            nodes.iter().enumerate().map(|(i, &o)| (o, i)).collect();
        let by: BTreeMap<ValueId, usize> = nodes
            .iter()
            .enumerate()
            .flat_map(|(i, &o)| p.func.op(o).results.iter().map(move |&r| (r, i)))
            .collect();
        let mut preds = vec![Vec::new(); nodes.len()];
        let mut succs = vec![Vec::new(); nodes.len()];
        let mut elsewhere = vec![Vec::new(); nodes.len()];
        for (i, &id) in nodes.iter().enumerate() {
            for v in reads::reads(p, id) {
                if let Some(&from) = by.get(&v)
                    && !preds[i].contains(&from)
                {
                    preds[i].push(from);
                    succs[from].push(i);
                }
            }
            for &a in p.func.op(id).args.iter().filter(|a| !by.contains_key(a)) {
                let mut seen = Vec::new();
                reads::leaves(p, a, &mut seen);
                elsewhere[i].extend(seen.iter().filter_map(|v| by.get(v)));
            }
        }
        let groups = nodes.iter().map(|&id| single(p, id)).collect();
        Fusing {
            p,
            group_of: (0..nodes.len()).collect(),
            members: (0..nodes.len()).map(|i| vec![i]).collect(),
            groups,
            nodes,
            node_of,
            preds,
            succs,
            elsewhere,
        }
    }

    /// Merges two groups of a kind over one space unless a path between them runs outside.
    fn try_merge(&mut self, a: usize, b: usize) -> bool {
        if a == b {
            return true;
        }
        let (x, y) = (&self.groups[a], &self.groups[b]);
        let alike = x.kind == y.kind && x.kind != Kind::Single && x.space == y.space;
        if !alike || self.detour(a, b) || self.detour(b, a) {
            return false;
        }
        // A fold's result is complete only after its loop.
        if matches!(x.kind, Kind::Fold(_)) && (self.follows(a, b) || self.follows(b, a)) {
            return false;
        }
        if self.reads_elsewhere(a, b) || self.reads_elsewhere(b, a) {
            return false;
        }
        self.absorb(a, b);
        true
    }

    fn absorb(&mut self, into: usize, from: usize) {
        let moved = std::mem::take(&mut self.members[from]);
        for &n in &moved {
            self.group_of[n] = into;
        }
        self.members[into].extend(moved);
        self.members[into].sort_unstable();
    }

    /// Whether `a` reads a value of `b` through a view.
    fn reads_elsewhere(&self, a: usize, b: usize) -> bool {
        let mut from = self.members[a].iter().flat_map(|&n| &self.elsewhere[n]);
        from.any(|&f| self.group_of[f] == b)
    }

    fn follows(&self, a: usize, b: usize) -> bool {
        let mut succs = self.members[a].iter().flat_map(|&n| &self.succs[n]);
        succs.any(|&s| self.group_of[s] == b)
    }

    /// Whether a path from `a` to `b` passes through a third group.
    fn detour(&self, a: usize, b: usize) -> bool {
        let mut seen = vec![false; self.groups.len()];
        let mut stack = Vec::new();
        for &n in &self.members[a] {
            for &s in &self.succs[n] {
                let g = self.group_of[s];
                if g != a && g != b && !seen[g] {
                    seen[g] = true;
                    stack.push(g);
                }
            }
        }
        while let Some(g) = stack.pop() {
            for &n in &self.members[g] {
                for &s in &self.succs[n] {
                    let next = self.group_of[s];
                    if next == b {
                        return true;
                    }
                    if !seen[next] {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
        }
        false
    }

    /// Reductions that share what they are computed from, then what only they use.
    fn folds(&mut self) {
        let folds: Vec<usize> = (0..self.nodes.len())
            .filter(|&n| matches!(self.groups[n].kind, Kind::Fold(_)))
            .collect();
        let sources: Vec<Vec<ValueId>> = folds.iter().map(|&n| self.sources(n)).collect();
        for (j, &b) in folds.iter().enumerate() {
            for (i, &a) in folds[..j].iter().enumerate() {
                if sources[i].iter().any(|v| sources[j].contains(v))
                    && self.try_merge(self.group_of[a], self.group_of[b])
                {
                    break;
                }
            }
        }
        for n in (0..self.nodes.len()).rev() {
            let result = self.p.func.op(self.nodes[n]).results[0];
            if self.groups[n].kind != Kind::Store || self.p.place[result.0 as usize] != Place::Own {
                continue;
            }
            let Some(&first) = self.succs[n].first() else {
                continue;
            };
            let g = self.group_of[first];
            let fold = matches!(self.groups[g].kind, Kind::Fold(_));
            let only = self.succs[n].iter().all(|&s| self.group_of[s] == g);
            if fold && only && self.groups[g].space == self.groups[n].space && self.direct(n) {
                self.absorb(g, n);
            }
        }
    }

    /// Whether the node's value is only read point by point, not through a view of it or by a scan.
    fn direct(&self, n: usize) -> bool {
        let v = self.p.func.op(self.nodes[n]).results[0];
        let uses = self.p.facts.uses(v);
        uses.iter().all(|u| match u {
            super::facts::Use::Arg(id, _) => self.node_of.contains_key(id),
            _ => false,
        })
    }

    /// Values as large as a fold's space from which it is computed, elementwise ones seen through.
    fn sources(&self, n: usize) -> Vec<ValueId> {
        let (mut out, mut stack) = (Vec::new(), vec![n]);
        while let Some(at) = stack.pop() {
            for v in reads::reads(self.p, self.nodes[at]) {
                let small = self.p.func.shape(v).len() < self.groups[n].space.len().max(2);
                if small || out.contains(&v) {
                    continue;
                }
                out.push(v);
                let by = self.p.facts.op_of(v).and_then(|id| self.node_of.get(&id));
                if let Some(&by) = by
                    && is_elementwise(&self.p.func.op(self.nodes[by]).kind)
                {
                    stack.push(by);
                }
            }
        }
        out
    }

    /// Each elementwise op with those whose results it reads.
    fn chains(&mut self) {
        for n in 0..self.nodes.len() {
            if self.groups[self.group_of[n]].kind != Kind::Store {
                continue;
            }
            for from in self.preds[n].clone() {
                let (a, b) = (self.group_of[from], self.group_of[n]);
                self.try_merge(a, b);
            }
        }
    }

    /// Loops over one space that read the same memory.
    fn siblings(&mut self) {
        let mut readers: BTreeMap<ValueId, Vec<usize>> = BTreeMap::new();
        for (n, &id) in self.nodes.iter().enumerate() {
            for v in reads::reads(self.p, id) {
                // Only what is as large as the loop is worth reading once.
                let rank = self.p.func.shape(v).len();
                if rank >= self.groups[n].space.len().max(2) {
                    readers.entry(v).or_default().push(n);
                }
            }
        }
        for nodes in readers.into_values() {
            for (i, &b) in nodes.iter().enumerate() {
                if self.groups[self.group_of[b]].kind != Kind::Store {
                    continue;
                }
                // The nearest earlier reader that can be joined.
                for &a in nodes[..i].iter().rev().take(8) {
                    let (x, y) = (self.group_of[a], self.group_of[b]);
                    if x != y && self.try_merge(x, y) {
                        break;
                    }
                }
            }
        }
    }

    fn into_groups(mut self) -> Vec<Group> {
        let mut out = Vec::new();
        for (g, members) in self.members.iter().enumerate() {
            if members.is_empty() {
                continue;
            }
            let mut group = self.groups[g].clone();
            group.ops = members.iter().map(|&n| self.nodes[n]).collect();
            out.push(group);
        }
        self.members.clear();
        out
    }
}

fn single(p: &Placed, id: OpId) -> Group {
    let op = p.func.op(id);
    let (kind, space) = match &op.kind {
        OpKind::Reduce { axes, .. } => {
            let space = p.func.shape(op.args[0]).to_vec();
            let folded = (0..space.len()).map(|i| axes.contains(&i)).collect();
            (Kind::Fold(folded), space)
        }
        kind if is_elementwise(kind) => (Kind::Store, p.func.shape(op.results[0]).to_vec()),
        _ => (Kind::Single, Vec::new()),
    };
    Group {
        kind,
        space,
        ops: vec![id],
    }
}
