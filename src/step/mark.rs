//! Backwards from the predictions: which values the step needs, in which forms, and which it is given.
//!
//! In: a function with its places. Out: [`Plan`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::form::{Axis, Form, count, is_kept, operands};
use super::place::{Place, Source};
use super::{internal, not_causal, unsupported};
use crate::diagnostics::Diagnostic;
use crate::ir::*;

#[derive(Default)]
pub struct Plan {
    pub forms: BTreeMap<ValueId, BTreeSet<Form>>,
    /// Values that the setup function makes for the step.
    pub given: BTreeSet<ValueId>,
    /// States that scans along the time start from, by path; made by the setup function.
    pub starts: BTreeMap<String, ValueId>,
    /// The op that makes each value.
    pub makers: HashMap<ValueId, OpId>,
}

impl Plan {
    pub fn forms(&self, v: ValueId) -> Vec<Form> {
        let forms = self.forms.get(&v);
        forms
            .map(|f| f.iter().cloned().collect())
            .unwrap_or_default()
    }

    pub fn is_kept(&self, source: &Source<'_>, v: ValueId, form: &[Axis]) -> bool {
        let op = self.makers.get(&v).map(|id| source.func.op(*id));
        is_kept(source, op, v, form)
    }
}

/// The form of the step's own row.
pub fn row_of(form: &[Axis]) -> Form {
    let row = |a: &Axis| match a {
        Axis::History => Axis::Row,
        Axis::Plain | Axis::Row => *a,
    };
    form.iter().map(row).collect()
}

pub fn mark(source: &Source<'_>, outputs: &[&Output]) -> Result<Plan, Diagnostic> {
    let mut m = Mark {
        source,
        plan: Plan::default(),
        inside: false,
    };
    m.makers(&source.func.body);
    for output in outputs {
        let mut form = vec![Axis::Plain; source.func.shape(output.value).len()];
        form[0] = Axis::Row;
        m.plan.forms.entry(output.value).or_default().insert(form);
    }
    m.region(&source.func.body)?;
    Ok(m.plan)
}

struct Mark<'a> {
    source: &'a Source<'a>,
    plan: Plan,
    /// In the body of a scan along the time.
    inside: bool,
}

impl Mark<'_> {
    fn makers(&mut self, region: &Region) {
        for id in &region.ops {
            let op = self.source.func.op(*id);
            for r in &op.results {
                self.plan.makers.insert(*r, *id);
            }
            if let OpKind::Scan(scan) = &op.kind {
                self.makers(&scan.body);
            }
        }
    }

    /// `op` reads `v` in this form.
    fn read(&mut self, op: &Op, v: ValueId, form: Form) -> Result<(), Diagnostic> {
        let (source, time) = (self.source, &self.source.time);
        if source.place(v) == Place::Setup {
            self.plan.given.insert(v);
            return Ok(());
        }
        let ragged = |d: &crate::dim::Dim| d.mentions(time) && !source.is_time(d);
        if source.func.shape(v).iter().any(ragged) {
            let message = format!("an axis as long as {time} and something else is not kept");
            return Err(unsupported(op, message));
        }
        if self.inside && source.has_time(v) {
            let message = format!("a scan along {time} reads all steps of a value at once");
            return Err(not_causal(op, message));
        }
        if count(&form, Axis::History) > 1 || count(&form, Axis::Row) > 1 {
            let message = format!("every step along {time} against every step is not kept");
            return Err(unsupported(op, message));
        }
        let kept = self.plan.is_kept(source, v, &form);
        if kept && source.func.value(v).ty.elem == Elem::I32 {
            let message = format!("whole numbers of all steps along {time} are not kept");
            return Err(unsupported(op, message));
        }
        let forms = self.plan.forms.entry(v).or_default();
        if kept {
            forms.insert(row_of(&form));
        }
        forms.insert(form);
        Ok(())
    }

    fn plain(&mut self, op: &Op, v: ValueId) -> Result<(), Diagnostic> {
        let form = vec![Axis::Plain; self.source.func.shape(v).len()];
        self.read(op, v, form)
    }

    fn region(&mut self, region: &Region) -> Result<(), Diagnostic> {
        let source = self.source;
        for id in region.ops.iter().rev() {
            let op = source.func.op(*id);
            if let OpKind::Scan(scan) = &op.kind {
                self.scan(op, scan)?;
                continue;
            }
            for r in &op.results {
                for form in self.plan.forms(*r) {
                    if self.plan.is_kept(source, *r, &form) {
                        continue;
                    }
                    let of = operands(source, op, &form)?;
                    for (arg, form) in op.args.iter().zip(of) {
                        if let Some(form) = form {
                            self.read(op, *arg, form)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, op: &Op, scan: &Scan) -> Result<(), Diagnostic> {
        let (source, time) = (self.source, &self.source.time);
        if !op.results.iter().any(|r| self.plan.forms.contains_key(r)) {
            return Ok(());
        }
        if !source.is_time(&scan.extent) || self.inside {
            let message = format!("a scan at each step along {time} is not built yet");
            return Err(unsupported(op, message));
        }
        if scan.reverse {
            let message = format!("a scan from the end along {time} needs later steps");
            return Err(not_causal(op, message));
        }
        if (scan.carries.iter()).any(|c| self.plan.forms.contains_key(&c.last)) {
            let message = format!("a final state needs all steps along {time}");
            return Err(not_causal(op, message));
        }
        self.inside = true;
        for s in &scan.stacks {
            if self.plan.forms.contains_key(&s.to) {
                self.plain(op, s.from)?;
            }
        }
        for c in &scan.carries {
            self.plain(op, c.next)?;
        }
        self.region(&scan.body)?;
        self.inside = false;
        for s in &scan.slices {
            if self.plan.forms.contains_key(&s.to) {
                let mut form = vec![Axis::Plain; source.func.shape(s.from).len()];
                form[0] = Axis::Row;
                self.read(op, s.from, form)?;
            }
        }
        for c in &scan.carries {
            let input = source.input(c.init).map(|i| &i.role);
            if matches!(input, Some(InputRole::Carry(_))) {
                continue;
            }
            if source.place(c.init) == Place::Timed {
                let message = format!("an initial state made of steps along {time}");
                return Err(not_causal(op, message));
            }
            let path = state_path(source, c);
            if self.plan.starts.insert(path, c.init).is_some() {
                return Err(internal("two states of one path"));
            }
        }
        Ok(())
    }
}

/// The path a state is carried by.
pub fn state_path(source: &Source<'_>, carry: &Carry) -> String {
    if let Some(InputRole::Carry(path)) = source.input(carry.init).map(|i| &i.role) {
        return path.clone();
    }
    let mut named = source.func.outputs.iter().filter(|o| o.value == carry.last);
    let path = named.find_map(|o| match &o.role {
        OutputRole::Carry(path) => Some(path.clone()),
        _ => None,
    });
    path.unwrap_or_else(|| source.func.value(carry.param).name.clone())
}
