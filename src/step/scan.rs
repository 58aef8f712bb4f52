//! Scans along the target's time: one step of their body, with states carried in and out.
//!
//! In: a scan. Out: the same scan over the one step that is made, without lengths: the step is there.

use super::emit::Emit;
use super::form::{Axis, Form};
use super::mark::state_path;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::ir::*;

impl Emit<'_, '_> {
    pub fn scan(&mut self, op: &Op, scan: &Scan) -> Result<(), Diagnostic> {
        if !op.results.iter().any(|r| self.plan.forms.contains_key(r)) {
            return Ok(());
        }
        let old = self.source.func;
        let plain = |v: ValueId| vec![Axis::Plain; old.shape(v).len()];
        let row = |v: ValueId| -> Form {
            let mut form = plain(v);
            form[0] = Axis::Row;
            form
        };
        let mut slices = Vec::new();
        for s in &scan.slices {
            if self.plan.forms.contains_key(&s.to) {
                let from = self.get(s.from, &row(s.from))?.id;
                let v = old.value(s.to);
                let to = self.b.func.fresh(&v.name, v.ty.clone());
                self.put(s.to, &plain(s.to), to, false);
                slices.push(Slice { from, to });
            }
        }
        let mut carries = Vec::new();
        for c in &scan.carries {
            let path = state_path(self.source, c);
            let v = old.value(c.param);
            let role = InputRole::Carry(path.clone());
            let init = self.input(role, &format!("{path}.0"), v.ty.clone());
            let param = self.b.func.fresh(&v.name, v.ty.clone());
            let last = self.b.func.fresh(&format!("{path}.last"), v.ty.clone());
            self.put(c.param, &plain(c.param), param, false);
            carries.push((path, init, param, last));
        }
        if let Some(valid) = scan.valid {
            let one = self.b.filled(1.0, old.shape(valid), "valid");
            self.put(valid, &plain(valid), one, false);
        }
        let outer = std::mem::take(&mut self.b.ops);
        let spans = self.b.spans.clone();
        let body = self.region(&scan.body);
        self.b.spans = spans;
        let ops = std::mem::replace(&mut self.b.ops, outer);
        body?;
        let mut stepped = Vec::new();
        for (c, (path, init, param, last)) in scan.carries.iter().zip(carries) {
            let next = self.get(c.next, &plain(c.next))?.id;
            stepped.push(Carry {
                init,
                param,
                next,
                last,
            });
            self.outputs.push(Output {
                role: OutputRole::Carry(path),
                value: last,
            });
        }
        let mut stacks: Vec<Stack> = Vec::new();
        let mut kept = Vec::new();
        for s in scan
            .stacks
            .iter()
            .filter(|s| self.plan.forms.contains_key(&s.to))
        {
            let from = self.get(s.from, &plain(s.from))?.id;
            let v = old.value(s.to);
            let form = row(s.to);
            let to = self
                .b
                .func
                .fresh(&v.name, Type::f32(self.dims(s.to, &form)));
            stacks.push(Stack { from, to });
            self.put(s.to, &form, to, false);
            let forms = self.plan.forms(s.to).into_iter();
            kept.extend(forms.filter(|f| *f != form).map(|f| (s.to, f)));
        }
        self.b.scan(Scan {
            extent: Dim::constant(1),
            reverse: false,
            len: None,
            valid: None,
            slices,
            carries: stepped,
            stacks,
            body: Region { ops },
        });
        for (v, form) in kept {
            self.keep(v, &form)?;
        }
        Ok(())
    }
}
