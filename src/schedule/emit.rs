//! Groups as tasks, regions as lists of tasks.
//!
//! In: ordered groups and memory. Out: the [`Task`]s of the program, scans with their bodies.

use std::collections::BTreeMap;

use super::facts::{Def, Site};
use super::group::Kind;
use super::memory::Memory;
use super::order::Ordered;
use super::place::Placed;
use super::product::{self, Labelled};
use super::program::{CarryHome, Dist, Gemm, Routine, Scan, Task, View};
use super::store::{Regions, Storage};
use super::{carry, loops, reads, rows};
use crate::diagnostics::Diagnostic;
use crate::ir::{self, OpId, OpKind, TakeWhich, ValueId};

pub struct Emitter<'a> {
    pub p: &'a Placed,
    pub storage: &'a [Storage],
    pub regions: &'a Regions<Ordered>,
    pub memory: Memory<'a>,
    /// Carries that cannot be kept in place as they were meant to.
    pub clobbered: Vec<(OpId, usize)>,
}

impl<'a> Emitter<'a> {
    pub fn region(&mut self, site: Site) -> Result<Vec<Task>, Diagnostic> {
        let mut tasks = Vec::new();
        // The product that gave each value, until a loop has consumed it.
        let mut products: BTreeMap<ValueId, usize> = BTreeMap::new();
        let list: &'a [Ordered] = self.regions.get(&site).map_or(&[], Vec::as_slice);
        for o in list {
            if o.group.kind != Kind::Single {
                let mut l = loops::build(self.p, self.storage, &mut self.memory, &o.group)?;
                // A product that the loop only stands for, and does not load, is not its own.
                let loaded = |at: &usize| match &tasks[*at] {
                    Task::Gemm(g) => l.loads.iter().any(|v| v.buffer == g.out.buffer),
                    Task::Loop(_) | Task::Scan(_) | Task::Routine { .. } => false,
                };
                let used = o.needs.iter().filter_map(|v| products.get(v).copied());
                let latest = used.filter(loaded).max();
                if o.group.kind == Kind::Store {
                    l.epilogue_of = latest;
                }
                products.retain(|v, _| !o.needs.contains(v));
                tasks.push(Task::Loop(l));
                continue;
            }
            let id = o.group.ops[0];
            products.retain(|v, _| !o.needs.contains(v));
            let task = self.single(id, site)?;
            if matches!(task, Task::Gemm(_)) {
                products.insert(self.p.func.op(id).results[0], tasks.len());
            }
            tasks.push(task);
        }
        Ok(tasks)
    }

    fn view(&mut self, v: ValueId) -> Result<View, Diagnostic> {
        self.memory.view(v)
    }

    fn single(&mut self, id: OpId, site: Site) -> Result<Task, Diagnostic> {
        let p = self.p;
        let op = p.func.op(id);
        let name = p.func.value(op.results[0]).name.clone();
        let routine = match &op.kind {
            OpKind::Contract { lhs, rhs, out } => {
                return self.contract(id, (lhs, rhs, out), site).map(Task::Gemm);
            }
            OpKind::Scan(scan) => return self.scan(id, scan).map(Task::Scan),
            OpKind::Top { k } => Routine::Top {
                k: *k,
                x: self.view(op.args[0])?,
                out: self.view(op.results[0])?,
            },
            OpKind::Softmax => Routine::Softmax {
                x: self.view(op.args[0])?,
                out: self.view(op.results[0])?,
            },
            OpKind::CrossEntropy => Routine::CrossEntropy {
                logits: self.view(op.args[0])?,
                target: self.view(op.args[1])?,
                out: self.view(op.results[0])?,
            },
            OpKind::CrossEntropyGrad => Routine::CrossEntropyGrad {
                logits: self.view(op.args[0])?,
                target: self.view(op.args[1])?,
                g: self.view(op.args[2])?,
                out: self.view(op.results[0])?,
            },
            OpKind::Gather => Routine::Gather {
                table: self.view(op.args[0])?,
                index: self.view(op.args[1])?,
                out: self.view(op.results[0])?,
            },
            OpKind::ScatterAdd { .. } => Routine::ScatterAdd {
                grad: self.view(op.args[0])?,
                index: self.view(op.args[1])?,
                out: self.view(op.results[0])?,
            },
            OpKind::Take(_) => Routine::Take {
                x: self.view(op.args[0])?,
                len: Some(self.view(op.args[1])?),
                out: self.view(op.results[0])?,
            },
            OpKind::Put { which, .. } => Routine::Put {
                g: self.view(op.args[0])?,
                len: match which {
                    TakeWhich::First => None,
                    TakeWhich::Last => Some(self.view(op.args[1])?),
                },
                out: self.view(op.results[0])?,
            },
            OpKind::Random {
                path, dist, timed, ..
            } => Routine::Random {
                path: path.clone(),
                dist: match dist {
                    ir::Dist::Uniform => Dist::Uniform,
                    ir::Dist::Normal => Dist::Normal,
                },
                timed: *timed,
                out: self.view(op.results[0])?,
            },
            OpKind::Const(_)
            | OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::Expand { .. }
            | OpKind::Reduce { .. }
            | OpKind::Split { .. }
            | OpKind::Concat { .. }
            | OpKind::Mask { .. }
            | OpKind::Shift { .. }
            | OpKind::Iota { .. }
            | OpKind::ToFloat => unreachable!("'{name}' is part of a loop or a view"),
        };
        Ok(Task::Routine {
            name,
            routine,
            spans: op.spans.clone(),
        })
    }

    fn contract(
        &mut self,
        id: OpId,
        (lhs, rhs, out): (&[u8], &[u8], &[u8]),
        site: Site,
    ) -> Result<Gemm, Diagnostic> {
        let p = self.p;
        let op = p.func.op(id);
        let mut side = |v: ValueId, labels| -> Result<Labelled<'_>, Diagnostic> {
            Ok(Labelled {
                view: self.memory.view(v)?,
                labels,
                weight: is_weight(p, v),
                invariant: is_invariant(p, v, site),
            })
        };
        let l = side(op.args[0], lhs)?;
        let r = side(op.args[1], rhs)?;
        let o = side(op.results[0], out)?;
        let name = p.func.value(op.results[0]).name.clone();
        product::gemm(name, (l, r, o), site.is_some(), op.spans.clone())
    }

    fn scan(&mut self, id: OpId, scan: &ir::Scan) -> Result<Scan, Diagnostic> {
        let p = self.p;
        let mut body = self.region(Some(id))?;
        for i in carry::clobbered(p, &self.regions[&Some(id)], &body, &mut self.memory, id)? {
            self.clobbered.push((id, i));
        }
        let mut carries = Vec::new();
        for (i, c) in scan.carries.iter().enumerate() {
            let name = p.func.value(c.param).name.clone();
            let home = p.carries[&(id, i)];
            carries.push((name.clone(), home));
            if home == CarryHome::Copied && c.next != c.param {
                let (from, to) = (self.view(c.next)?, self.view(c.param)?);
                body.push(Task::Loop(loops::copy(name, from, to)));
            }
        }
        let names: Vec<&str> = carries.iter().map(|(n, _)| n.as_str()).collect();
        let name = match names.is_empty() {
            true => {
                let of = |s: &ir::Stack| p.func.value(s.to).name.clone();
                scan.stacks.iter().map(of).collect::<Vec<_>>().join(", ")
            }
            false => names.join(", "),
        };
        let rows_independent = rows::lead(&mut body);
        Ok(Scan {
            name,
            extent: scan.extent.clone(),
            reverse: scan.reverse,
            rows_independent,
            body,
            carries,
            spans: p.func.op(id).spans.clone(),
        })
    }
}

/// Whether the value is a weight or computed from weights alone.
fn is_weight(p: &Placed, v: ValueId) -> bool {
    let mut stack = Vec::new();
    reads::leaves(p, v, &mut stack);
    let mut seen: Vec<ValueId> = Vec::new();
    let mut any = false;
    while let Some(v) = stack.pop() {
        if seen.contains(&v) {
            continue;
        }
        seen.push(v);
        match p.facts.def(v) {
            Def::Param(_) => any = true,
            Def::Op(id, _) => {
                // Weights are joined, split and scaled; what a product makes is not one.
                if !super::group::is_elementwise(&p.func.op(id).kind) {
                    return false;
                }
                stack.extend(reads::reads(p, id));
            }
            Def::Input(_)
            | Def::Slice(..)
            | Def::CarryParam(..)
            | Def::Valid(_)
            | Def::Stack(..)
            | Def::Last(..)
            | Def::None => return false,
        }
    }
    any
}

/// Whether a value read in a scan's body stays the same at every step.
fn is_invariant(p: &Placed, v: ValueId, site: Site) -> bool {
    let Some(scan) = site else {
        return false;
    };
    // Only views lie between a body's reader and a value from outside.
    match p.facts.def(v) {
        Def::Op(id, _) if p.facts.site(v) == Some(scan) => {
            let op = p.func.op(id);
            let view = matches!(
                op.kind,
                OpKind::Split { .. } | OpKind::Expand { .. } | OpKind::Take(TakeWhich::First)
            );
            view && is_invariant(p, op.args[0], site)
        }
        _ => p.facts.site(v) != Some(scan),
    }
}
