//! Shaped program to tensor IR: batch axes appear, masks and losses are spelled out.
//!
//! In: a [`Model`] whose vocabularies are known. Out: a forward [`Func`]. The batch axis goes after the
//! time axis where there is one (`[T, B, H]`), first elsewhere (`[B, H]`); weights have none. Literal
//! sizes that an equation needs as numbers (the 1/n of a mean) are read from the model's dim table, so
//! a model is shrunk before it is lowered.

mod expr;
mod index;
mod loss;
mod order;
mod scan;
mod used;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::check::program::{self as p, Model, ParamId, Stmt, VarId};
use crate::dim::{Binding, Dim, Role, Sym};
use crate::ir::build::Build;
use crate::ir::*;

/// What the function is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Dropout and other draws are active.
    pub training: bool,
    /// Targets are inputs and the loss is computed.
    pub loss: bool,
    /// Predictions, named outputs and watched values are returned.
    pub predictions: bool,
    /// The loss is that of a part of a batch: divided by the whole batch's totals, which are inputs.
    pub part: bool,
    /// Every state starts from its carried input, also where the model gives an initial value: for
    /// continuing what an earlier call began.
    pub resume: bool,
}

impl Options {
    pub const TRAIN: Options = Options {
        training: true,
        loss: true,
        predictions: false,
        part: false,
        resume: false,
    };
    pub const EVALUATE: Options = Options {
        training: false,
        loss: true,
        predictions: true,
        part: false,
        resume: false,
    };
    pub const PREDICT: Options = Options {
        training: false,
        loss: false,
        predictions: true,
        part: false,
        resume: false,
    };
}

/// Lowers the model. Errors name a construct or a size that cannot be lowered.
pub fn lower(model: &Model, options: Options) -> Result<Func, String> {
    let mut dims = crate::dim::DimTable::default();
    dims.declare(Sym::new("B"), Role::Batch, Binding::Launch);
    for e in model.dims.iter() {
        dims.declare(e.sym.clone(), e.role, e.binding);
    }
    let mut func = Func::new(&snake(&model.name), dims);
    let mut l = Lower {
        model,
        options,
        b: Build::new(&mut func),
        vars: HashMap::new(),
        params: HashMap::new(),
        lengths: BTreeMap::new(),
        splits: HashMap::new(),
        used: used::used(model, options),
        before_scan: None,
        outputs: Vec::new(),
    };
    for id in order::order(model) {
        l.param(id);
    }
    for adapter in &model.adapters {
        l.adapted(adapter);
    }
    for stmt in &model.body {
        l.stmt(stmt)?;
    }
    if options.loss {
        l.losses()?;
    }
    if options.predictions {
        l.predictions()?;
    }
    let (ops, outputs) = (std::mem::take(&mut l.b.ops), std::mem::take(&mut l.outputs));
    func.body.ops = ops;
    // Results that callers look for first come first.
    func.outputs = outputs;
    Ok(func)
}

/// An IR value together with what its axes mean.
#[derive(Clone, Debug)]
struct Val {
    id: ValueId,
    /// The language's shape: no batch axis.
    shape: Vec<Dim>,
    /// The first axis of `shape` is a time.
    timed: bool,
    /// There is a batch axis: after the time axis, or first.
    batched: bool,
}

struct Lower<'a, 'f> {
    model: &'a Model,
    options: Options,
    b: Build<'f>,
    vars: HashMap<VarId, Val>,
    params: HashMap<ParamId, Val>,
    lengths: BTreeMap<Sym, ValueId>,
    /// The parts of a value that was split, so that one op serves all names.
    splits: HashMap<(ValueId, u32), Vec<ValueId>>,
    /// Variables that anything reads: a scan stacks no others.
    used: BTreeSet<VarId>,
    /// While a scan's body is lowered: ops to run before the scan.
    before_scan: Option<Vec<OpId>>,
    outputs: Vec<Output>,
}

impl Lower<'_, '_> {
    fn stmt(&mut self, stmt: &Stmt) -> Result<(), String> {
        match stmt {
            Stmt::Let { var, value } => {
                if !self.used.contains(var) {
                    return Ok(());
                }
                let name = self.model.var(*var).name.clone();
                let val = self.expr(value, &name)?;
                self.vars.insert(*var, val);
                Ok(())
            }
            Stmt::Scan(scan) => self.scan(scan),
        }
    }

    /// The IR's axes for a value of the language.
    fn ir_shape(&self, shape: &[Dim], timed: bool, batched: bool) -> Vec<Dim> {
        let at = usize::from(timed);
        let mut out = shape.to_vec();
        if batched {
            out.insert(at, Func::batch());
        }
        out
    }

    fn is_timed(&self, shape: &[Dim]) -> bool {
        shape.first().is_some_and(|d| self.model.dims.is_time(d))
    }

    fn val(&self, id: ValueId, shape: Vec<Dim>, batched: bool) -> Val {
        let timed = self.is_timed(&shape);
        Val {
            id,
            shape,
            timed,
            batched,
        }
    }

    fn param(&mut self, id: ParamId) -> Val {
        if let Some(v) = self.params.get(&id) {
            return v.clone();
        }
        let p = self.model.param(id);
        let value = self.b.func.fresh(&p.path, Type::f32(p.shape.clone()));
        self.b.func.params.push(Param {
            path: p.path.clone(),
            value,
        });
        let val = Val {
            id: value,
            shape: p.shape.clone(),
            timed: false,
            batched: false,
        };
        self.params.insert(id, val.clone());
        val
    }

    /// From here on W + B·A stands for W: [.., n] + [.., r]·[r, n].
    fn adapted(&mut self, adapter: &p::Adapter) {
        let weight = self.param(adapter.weight);
        let (a, b) = (self.param(adapter.a).id, self.param(adapter.b).id);
        let path = self.model.param(adapter.weight).path.clone();
        // Labels 0, 1, … of W's axes, and the next one of the rank's.
        let axes: Vec<u8> = (0..=weight.shape.len() as u8).collect();
        let (w, rank) = axes.split_at(weight.shape.len());
        let (lead, last) = w.split_at(w.len() - 1);
        let (b_axes, a_axes) = ([lead, rank].concat(), [rank, last].concat());
        let update = self.b.contract((&b_axes, b), (&a_axes, a), w, &path);
        let id = self.b.add(weight.id, update, &path);
        self.params.insert(adapter.weight, Val { id, ..weight });
    }

    /// The function's input of this role, made when first asked for.
    fn input(&mut self, role: InputRole, name: &str, ty: Type) -> ValueId {
        if let Some(i) = self.b.func.inputs.iter().find(|i| i.role == role) {
            return i.value;
        }
        let value = self.b.func.fresh(name, ty);
        self.b.func.inputs.push(Input { role, value });
        value
    }

    /// Lengths along a time axis, `i32 [B]`.
    fn lengths(&mut self, time: &Sym) -> ValueId {
        if let Some(v) = self.lengths.get(time) {
            return *v;
        }
        let role = InputRole::Lengths(time.name().to_string());
        let name = format!("{time}.len");
        let v = self.input(role, &name, Type::i32(vec![Func::batch()]));
        self.lengths.insert(time.clone(), v);
        v
    }

    /// An `input` or `target` as data, or shifted by one step.
    fn data(&mut self, var: VarId, previous: bool) -> Result<Val, String> {
        let input = self.model.inputs.iter().find(|i| i.var == var);
        let input = input.ok_or("a value that no equation defines")?;
        let v = self.model.var(var);
        let timed = self.is_timed(&v.shape);
        let shape = self.ir_shape(&v.shape, timed, true);
        let integer = input.vocabulary.is_some();
        let ty = if integer {
            Type::i32(shape)
        } else {
            Type::f32(shape)
        };
        let (role, name) = if previous {
            (
                InputRole::Previous(v.name.clone()),
                format!("{}.previous", v.name),
            )
        } else {
            (InputRole::Data(v.name.clone()), v.name.clone())
        };
        let id = self.input(role, &name, ty);
        Ok(Val {
            id,
            shape: v.shape.clone(),
            timed,
            batched: true,
        })
    }

    /// `val` repeated over the axes that `shape` has and it lacks, with a batch axis if `batched`.
    /// Its own axes after a time are the last ones of `shape`.
    fn lift(&mut self, val: &Val, shape: &[Dim], batched: bool) -> Result<Val, String> {
        let timed = self.is_timed(shape);
        let batched = batched || val.batched;
        let want = self.ir_shape(shape, timed, batched);
        if val.shape == shape && val.batched == batched {
            return Ok(val.clone());
        }
        let own = val.shape.len() - usize::from(val.timed);
        let lead = usize::from(timed) + usize::from(batched);
        let place = |have: bool, at: usize| have.then_some(at);
        let mut axes = Vec::new();
        if timed {
            axes.push(place(val.timed, 0));
        }
        if batched {
            axes.push(place(val.batched, usize::from(val.timed)));
        }
        let features = want.len() - lead;
        let first = usize::from(val.timed) + usize::from(val.batched);
        for i in 0..features {
            axes.push((i + own).checked_sub(features).map(|k| first + k));
        }
        let used = axes.iter().flatten().count();
        if used != self.b.func.shape(val.id).len() || own > features {
            return Err(format!(
                "{} cannot be repeated to {}",
                crate::dim::show(&val.shape),
                crate::dim::show(shape)
            ));
        }
        let id = self.b.expand(val.id, axes, &want);
        Ok(Val {
            id,
            shape: shape.to_vec(),
            timed,
            batched,
        })
    }

    /// A static size as a number.
    fn static_size(&self, d: &Dim) -> Result<f64, String> {
        let n = self.model.dims.eval_static(d);
        n.map(|n| n as f64)
            .ok_or_else(|| format!("the size {d} is not known before the data is"))
    }

    fn predictions(&mut self) -> Result<(), String> {
        for predict in &self.model.predicts {
            let name = self.model.var(predict.target).name.clone();
            let (expr, head) = match &predict.head {
                p::Head::Softmax(e) => (e, Some(OpKind::Softmax)),
                p::Head::Sigmoid(e) => (e, Some(OpKind::Unary(Unary::Sigmoid))),
                p::Head::Step(e) => (e, Some(OpKind::Unary(Unary::Step))),
                p::Head::Value(e) => (e, None),
            };
            let val = self.prediction_value(expr, &name)?;
            let id = match head {
                Some(op) => self.b.emit(op, &[val.id], &name),
                None => val.id,
            };
            self.outputs.push(Output {
                role: OutputRole::Prediction(name),
                value: id,
            });
        }
        for (name, e) in &self.model.outputs {
            let val = self.expr(e, name)?;
            let shape = val.shape.clone();
            let val = self.lift(&val, &shape, true)?;
            self.outputs.push(Output {
                role: OutputRole::Named(name.clone()),
                value: val.id,
            });
        }
        Ok(())
    }
}

/// `CharLM` as `char_lm`, for the name of a function.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut lower_before = false;
    for c in name.chars() {
        if c.is_uppercase() && lower_before {
            out.push('_');
        }
        lower_before = c.is_lowercase() || c.is_ascii_digit();
        out.extend(c.to_lowercase());
    }
    out
}
