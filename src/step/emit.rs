//! Forwards through the function: every value that the step needs, in the forms it is needed in.
//!
//! In: a function and its [`Plan`]. Out: the step function. The step's number differs from example to
//! example, so what is made of steps' numbers alone gets a batch axis where its row is read: it is
//! then *numbered*, its batch axis first and the others as they were.

use std::collections::{HashMap, HashSet};

use super::form::{Axis, Form};
use super::mark::Plan;
use super::place::{Place, Source};
use super::{internal, room, setup};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::domain::Domain;
use crate::ir::build::Build;
use crate::ir::*;

/// A value of the step function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub id: ValueId,
    /// It has a batch axis, its first, that the old value has not.
    pub numbered: bool,
}

pub(super) struct Emit<'a, 'f> {
    pub source: &'a Source<'a>,
    pub plan: &'a Plan,
    pub b: Build<'f>,
    pub room: Dim,
    made: HashMap<(ValueId, Form), Made>,
    /// What is known of the values that a mask made: the domain, and its numbers.
    pub masks: HashMap<ValueId, (Domain, Vec<ValueId>)>,
    /// Carries of scans, histories and rows kept.
    pub outputs: Vec<Output>,
}

pub fn emit(source: &Source<'_>, plan: &Plan, outputs: &[&Output]) -> Result<Func, Diagnostic> {
    let old = source.func;
    let mut func = Func::new(&format!("{}_step", old.name), old.dims.clone());
    let mut e = Emit {
        source,
        plan,
        b: Build::new(&mut func),
        room: Dim::sym(&room(&source.time)),
        made: HashMap::new(),
        masks: HashMap::new(),
        outputs: Vec::new(),
    };
    for p in &old.params {
        let v = old.value(p.value);
        let value = e.b.func.fresh(&v.name, v.ty.clone());
        let path = p.path.clone();
        e.b.func.params.push(Param { path, value });
        e.put(p.value, &vec![Axis::Plain; v.ty.rank()], value, false);
    }
    e.region(&old.body)?;
    let mut made = Vec::new();
    for output in outputs {
        let mut form = vec![Axis::Plain; old.shape(output.value).len()];
        form[0] = Axis::Row;
        let value = e.get(output.value, &form)?.id;
        let role = output.role.clone();
        made.push(Output { role, value });
    }
    let (ops, carried) = (std::mem::take(&mut e.b.ops), std::mem::take(&mut e.outputs));
    func.body.ops = ops;
    func.outputs = made;
    func.outputs.extend(carried);
    let read = read(&func);
    func.inputs.retain(|i| read.contains(&i.value));
    let size = room(&source.time);
    let counted = InputRole::Lengths(size.name().to_string());
    let sized = func.inputs.iter().any(|i| i.role == counted);
    func.dims = super::dims(&old.dims, &source.time, sized);
    Ok(func)
}

/// What ops and outputs read.
fn read(func: &Func) -> HashSet<ValueId> {
    let mut read: HashSet<ValueId> = func.outputs.iter().map(|o| o.value).collect();
    for op in &func.ops {
        read.extend(&op.args);
        if let OpKind::Scan(scan) = &op.kind {
            read.extend(scan.carries.iter().map(|c| c.next));
            read.extend(scan.stacks.iter().map(|s| s.from));
        }
    }
    read
}

impl Emit<'_, '_> {
    pub fn old(&self) -> &Func {
        self.source.func
    }

    pub fn name(&self, v: ValueId) -> String {
        self.old().value(v).name.clone()
    }

    /// The sizes of an old value's axes in this form.
    pub fn dims(&self, v: ValueId, form: &[Axis]) -> Vec<Dim> {
        let one = |(d, a): (&Dim, &Axis)| match a {
            Axis::Plain => d.clone(),
            Axis::Row => Dim::constant(1),
            Axis::History => self.room.clone(),
        };
        self.old().shape(v).iter().zip(form).map(one).collect()
    }

    pub fn put(&mut self, v: ValueId, form: &[Axis], id: ValueId, numbered: bool) {
        self.made.insert((v, form.to_vec()), Made { id, numbered });
    }

    pub fn has(&self, v: ValueId, form: &[Axis]) -> bool {
        self.made.contains_key(&(v, form.to_vec()))
    }

    /// The value in this form: made before, an input, or what the setup made.
    pub fn get(&mut self, v: ValueId, form: &[Axis]) -> Result<Made, Diagnostic> {
        if let Some(made) = self.made.get(&(v, form.to_vec())) {
            return Ok(*made);
        }
        if self.source.is_length(v) {
            let id = self.length();
            return Ok(Made {
                id,
                numbered: false,
            });
        }
        let role = match self.source.input(v) {
            Some(input) => input.role.clone(),
            None if self.source.place(v) == Place::Setup => {
                InputRole::Carry(setup::path(self.old(), v))
            }
            None => return Err(internal(&format!("{} has no value", self.name(v)))),
        };
        let ty = Type {
            elem: self.old().value(v).ty.elem,
            shape: self.dims(v, form),
        };
        if form.contains(&Axis::History) {
            return Err(internal(&format!(
                "{} is kept as it is given",
                self.name(v)
            )));
        }
        let id = self.input(role, &self.name(v), ty);
        self.put(v, form, id, false);
        Ok(Made {
            id,
            numbered: false,
        })
    }

    /// The function's input of this role, made when first asked for.
    pub fn input(&mut self, role: InputRole, name: &str, ty: Type) -> ValueId {
        if let Some(i) = self.b.func.inputs.iter().find(|i| i.role == role) {
            return i.value;
        }
        let value = self.b.func.fresh(name, ty);
        self.b.func.inputs.push(Input { role, value });
        value
    }

    /// How many steps each example has, this one included.
    pub fn length(&mut self) -> ValueId {
        let name = format!("{}.len", self.source.time);
        let role = InputRole::Lengths(room(&self.source.time).name().to_string());
        self.input(role, &name, Type::i32(vec![Func::batch()]))
    }

    /// The number of this step, `[1, B]`.
    pub fn number(&mut self) -> ValueId {
        let time = self.source.time.name().to_string();
        let ty = Type::i32(vec![Dim::constant(1), Func::batch()]);
        self.input(InputRole::Steps(time.clone()), &format!("{time}.step"), ty)
    }

    pub fn region(&mut self, region: &Region) -> Result<(), Diagnostic> {
        for id in &region.ops {
            let op = self.source.func.op(*id);
            let outer = std::mem::replace(&mut self.b.spans, op.spans.clone());
            self.b.by = op.by.clone();
            match &op.kind {
                OpKind::Scan(scan) => self.scan(op, scan)?,
                _ => self.results(op)?,
            }
            self.b.spans = outer;
        }
        Ok(())
    }

    /// Every form of an op's results: rows before the histories they are written to.
    fn results(&mut self, op: &Op) -> Result<(), Diagnostic> {
        for r in &op.results {
            let (kept, made): (Vec<Form>, Vec<Form>) = (self.plan.forms(*r).into_iter())
                .partition(|f| self.plan.is_kept(self.source, *r, f));
            for form in made {
                if !self.has(*r, &form) {
                    self.op(op, *r, &form)?;
                }
            }
            for form in kept {
                self.keep(*r, &form)?;
            }
        }
        Ok(())
    }

    fn op(&mut self, op: &Op, result: ValueId, form: &[Axis]) -> Result<(), Diagnostic> {
        let mut args = Vec::new();
        for (arg, of) in op
            .args
            .iter()
            .zip(super::form::operands(self.source, op, form)?)
        {
            let made = match of {
                Some(of) => Some((*arg, self.get(*arg, &of)?, of)),
                None => None,
            };
            args.extend(made);
        }
        let name = self.name(result);
        let (id, numbered) = match &op.kind {
            OpKind::Const(_)
            | OpKind::Unary(_)
            | OpKind::Binary(_)
            | OpKind::Select
            | OpKind::ToFloat
            | OpKind::Gather => {
                let (ids, numbered) = self.level(&args, result, form);
                (self.b.emit(op.kind.clone(), &ids, &name), numbered)
            }
            OpKind::Concat { axis } => {
                let (ids, numbered) = self.level(&args, result, form);
                let axis = axis + usize::from(numbered);
                (self.b.emit(OpKind::Concat { axis }, &ids, &name), numbered)
            }
            OpKind::Split { axis, sizes } => {
                let x = args[0].1;
                let kind = OpKind::Split {
                    axis: axis + usize::from(x.numbered),
                    sizes: sizes.clone(),
                };
                let ids = self.b.emit_all(kind, &[x.id], &[&name]);
                for (r, id) in op.results.iter().zip(ids) {
                    self.put(*r, form, id, x.numbered);
                }
                return Ok(());
            }
            OpKind::Take(_) => {
                let ids: Vec<ValueId> = args.iter().map(|(_, m, _)| m.id).collect();
                (self.b.emit(op.kind.clone(), &ids, &name), false)
            }
            OpKind::Shift { by } => (self.shift(*by, &args[0], result, form)?, false),
            OpKind::Iota { size } => self.iota(size, form, &name),
            OpKind::Expand { axes, .. } => self.expand(axes, args[0].1, result, form),
            OpKind::Contract { lhs, rhs, out } => {
                self.contract((lhs, &args[0]), (rhs, &args[1]), out, &name)
            }
            OpKind::Reduce { op: how, axes, .. } => self.reduce(*how, axes, &args, &name)?,
            OpKind::Softmax | OpKind::Top { .. } => {
                let (v, made, of) = &args[0];
                let x = match of.last() {
                    Some(Axis::History) => {
                        self.past(*v, *made, of, of.len() - 1, f64::NEG_INFINITY)
                    }
                    _ => *made,
                };
                (self.b.emit(op.kind.clone(), &[x.id], &name), x.numbered)
            }
            OpKind::Mask { domain, fill, .. } => {
                let made = self.mask(op, domain, *fill, &args)?;
                (made.id, made.numbered)
            }
            OpKind::CrossEntropy
            | OpKind::CrossEntropyGrad
            | OpKind::ScatterAdd { .. }
            | OpKind::Put { .. }
            | OpKind::Random { .. }
            | OpKind::Scan(_) => return Err(internal("an op that no prediction has")),
        };
        self.put(result, form, id, numbered);
        Ok(())
    }

    /// Operands brought to one shape where some are numbered; whether the result then is.
    fn level(
        &mut self,
        args: &[(ValueId, Made, Form)],
        result: ValueId,
        form: &[Axis],
    ) -> (Vec<ValueId>, bool) {
        if !args.iter().any(|(_, m, _)| m.numbered) {
            return (args.iter().map(|(_, m, _)| m.id).collect(), false);
        }
        let mut shape = self.dims(result, form);
        let batch = self.source.batch_axis(result);
        let lead = batch.is_none();
        if lead {
            shape.insert(0, Func::batch());
        }
        let at = batch.unwrap_or(0);
        let mut ids = Vec::new();
        for (v, m, _) in args {
            let rank = self.old().shape(*v).len();
            let mut axes = vec![None; shape.len()];
            ids.push(match (m.numbered, rank) {
                (true, 0) => {
                    axes[at] = Some(0);
                    self.b.expand(m.id, axes, &shape)
                }
                (false, n) if n > 0 && lead => {
                    for (i, axis) in axes.iter_mut().enumerate().skip(1) {
                        *axis = Some(i - 1);
                    }
                    // Of a concatenation the parts differ in one axis.
                    let mut own = vec![Func::batch()];
                    own.extend(self.b.func.shape(m.id).iter().cloned());
                    self.b.expand(m.id, axes, &own)
                }
                _ => m.id,
            });
        }
        (ids, lead)
    }

    fn iota(&mut self, size: &Dim, form: &[Axis], name: &str) -> (ValueId, bool) {
        let size = match form[0] {
            Axis::Plain => size.clone(),
            Axis::History => self.room.clone(),
            Axis::Row => {
                let number = self.number();
                let x = self.b.emit(OpKind::ToFloat, &[number], name);
                let shape = [Func::batch(), Dim::constant(1)];
                return (self.b.expand(x, vec![Some(1), Some(0)], &shape), true);
            }
        };
        (self.b.emit(OpKind::Iota { size }, &[], name), false)
    }

    fn expand(
        &mut self,
        axes: &[Option<usize>],
        x: Made,
        result: ValueId,
        form: &[Axis],
    ) -> (ValueId, bool) {
        let mut shape = self.dims(result, form);
        if !x.numbered {
            return (self.b.expand(x.id, axes.to_vec(), &shape), false);
        }
        let mut axes: Vec<Option<usize>> = axes.iter().map(|a| a.map(|a| a + 1)).collect();
        match self.source.batch_axis(result) {
            Some(at) => {
                axes[at] = Some(0);
                (self.b.expand(x.id, axes, &shape), false)
            }
            None => {
                axes.insert(0, Some(0));
                shape.insert(0, Func::batch());
                (self.b.expand(x.id, axes, &shape), true)
            }
        }
    }
}
