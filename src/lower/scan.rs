//! Scans: slices, carries, stacks and the body's region.

use super::{Lower, Val};
use crate::check::program as p;
use crate::check::program::ScanDir;
use crate::dim::Dim;
use crate::ir::*;

impl Lower<'_, '_> {
    pub(super) fn scan(&mut self, s: &p::Scan) -> Result<(), String> {
        if self.before_scan.is_some() {
            return Err("a scan inside a cell is not built yet".into());
        }
        let outer_spans = std::mem::replace(&mut self.b.spans, vec![s.span]);
        let extent = Dim::sym(&s.time);
        let len = self.lengths(&s.time);

        let mut slices = Vec::new();
        for (var, value) in &s.inputs {
            let name = self.model.var(*var).name.clone();
            let from = self.expr(value, &name)?;
            let timed: Vec<Dim> = std::iter::once(&extent)
                .chain(&self.model.var(*var).shape)
                .cloned()
                .collect();
            let from = self.lift(&from, &timed, true)?;
            let step = self.model.var(*var).shape.clone();
            let ty = Type {
                elem: self.b.func.value(from.id).ty.elem,
                shape: self.ir_shape(&step, false, true),
            };
            let to = self.b.func.fresh(&name, ty);
            slices.push(Slice { from: from.id, to });
            self.vars.insert(
                *var,
                Val {
                    id: to,
                    shape: step,
                    timed: false,
                    batched: true,
                },
            );
        }
        for (var, value) in &s.contexts {
            let name = self.model.var(*var).name.clone();
            let val = self.expr(value, &name)?;
            self.vars.insert(*var, val);
        }

        let mut starts = Vec::new();
        for state in &s.states {
            let v = self.model.var(state.before);
            let (name, shape) = (v.name.clone(), v.shape.clone());
            let ty = Type::f32(self.ir_shape(&shape, false, true));
            let init = match &state.initial {
                Some(e) if !self.options.resume => {
                    let val = self.expr(e, &name)?;
                    let val = self.lift(&val, &shape, true)?;
                    self.batch_first(&val).id
                }
                _ => {
                    let role = InputRole::Carry(state.path.clone());
                    self.input(role, &format!("{}.0", state.path), ty.clone())
                }
            };
            let param = self.b.func.fresh(&name, ty);
            let val = Val {
                id: param,
                shape,
                timed: false,
                batched: true,
            };
            self.vars.insert(state.before, val);
            starts.push((init, param));
        }

        self.before_scan = Some(Vec::new());
        let outer = std::mem::take(&mut self.b.ops);
        let body = self.body(s);
        let ops = std::mem::replace(&mut self.b.ops, outer);
        self.b
            .ops
            .extend(self.before_scan.take().unwrap_or_default());
        let (nexts, output) = body?;

        let mut carries = Vec::new();
        let mut stacks: Vec<Stack> = Vec::new();
        for ((state, (init, param)), next) in s.states.iter().zip(starts).zip(&nexts) {
            let ty = self.b.func.value(param).ty.clone();
            let last = self.b.func.fresh(&format!("{}.last", state.path), ty);
            carries.push(Carry {
                init,
                param,
                next: next.id,
                last,
            });
            let val = Val {
                id: last,
                ..next.clone()
            };
            self.vars.insert(state.last, val);
            let role = OutputRole::Carry(state.path.clone());
            self.outputs.push(Output { role, value: last });
            if self.used.contains(&state.sequence) {
                self.stack(&extent, next, state.sequence, &mut stacks);
            }
        }
        if self.used.contains(&s.sequence) {
            self.stack(&extent, &output, s.sequence, &mut stacks);
        }
        let scan = Scan {
            extent,
            reverse: s.dir == ScanDir::Reverse,
            len: Some(len),
            valid: None,
            slices,
            carries,
            stacks,
            body: Region { ops },
        };
        self.b.scan(scan);
        self.b.spans = outer_spans;
        Ok(())
    }

    /// The next value of every state, and the output of a step.
    fn body(&mut self, s: &p::Scan) -> Result<(Vec<Val>, Val), String> {
        for stmt in &s.body {
            self.stmt(stmt)?;
        }
        let mut nexts = Vec::new();
        for state in &s.states {
            let v = self.model.var(state.before);
            let (name, shape) = (v.name.clone(), v.shape.clone());
            let next = self.expr(&state.next, &name)?;
            let next = self.lift(&next, &shape, true)?;
            nexts.push(self.batch_first(&next));
        }
        let name = self.model.var(s.sequence).name.clone();
        let output = self.expr(&s.output, &name)?;
        let shape = output.shape.clone();
        let output = self.lift(&output, &shape, true)?;
        Ok((nexts, self.batch_first(&output)))
    }

    /// Collects `step` as the sequence `var`; values collected twice share one stack.
    fn stack(&mut self, extent: &Dim, step: &Val, var: p::VarId, stacks: &mut Vec<Stack>) {
        let shape: Vec<Dim> = std::iter::once(extent)
            .chain(&step.shape)
            .cloned()
            .collect();
        let to = match stacks.iter().find(|s| s.from == step.id) {
            Some(s) => s.to,
            None => {
                let ty = Type::f32(self.ir_shape(&shape, true, true));
                let to = self.b.func.fresh(&self.model.var(var).name.clone(), ty);
                stacks.push(Stack { from: step.id, to });
                to
            }
        };
        self.vars.insert(
            var,
            Val {
                id: to,
                shape,
                timed: true,
                batched: true,
            },
        );
    }
}
