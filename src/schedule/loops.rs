//! Groups as loops: each point's computation as expressions over loads.
//!
//! In: a group, and the views of what it reads and stores. Out: a [`Loop`]. An operand is reached
//! through an index map, so that views, repeats and inline values cost nothing.

use super::facts::{Def, scan_at};
use super::group::{Group, Kind};
use super::inline::is_inline;
use super::memory::Memory;
use super::place::Placed;
use super::program::{Axis, Binary, Effect, Expr, ExprId, FoldOp, Loop, Unary, View};
use super::size;
use super::store::Storage;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::domain::Domain;
use crate::ir::{self, OpId, OpKind, ReduceOp, TakeWhich, ValueId};

/// Where an axis of a value is on the loop's space: along one of its axes, or at a fixed place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At {
    pub(super) axis: Option<usize>,
    pub(super) offset: Dim,
}

pub(super) type Map = Vec<At>;

pub fn build(
    p: &Placed,
    storage: &[Storage],
    memory: &mut Memory<'_>,
    group: &Group,
) -> Result<Loop, Diagnostic> {
    let mut b = Builder {
        p,
        storage,
        memory,
        group,
        body: Loop {
            name: String::new(),
            space: group.space.clone(),
            reduced: match &group.kind {
                Kind::Fold(axes) => axes.clone(),
                Kind::Store | Kind::Single => vec![false; group.space.len()],
            },
            loads: Vec::new(),
            exprs: Vec::new(),
            effects: Vec::new(),
            epilogue_of: None,
            spans: Vec::new(),
        },
        known: Vec::new(),
    };
    let here: Map = (0..group.space.len())
        .map(|i| At {
            axis: Some(i),
            offset: size::zero(),
        })
        .collect();
    let mut names: Vec<String> = Vec::new();
    for &id in &group.ops {
        let op = p.func.op(id);
        let v = op.results[0];
        for s in &op.spans {
            if !b.body.spans.contains(s) {
                b.body.spans.push(*s);
            }
        }
        let effect = match &op.kind {
            OpKind::Reduce {
                op: fold, masked, ..
            } => {
                let (fold, empty) = match fold {
                    ReduceOp::Sum => (FoldOp::Sum, 0.0),
                    ReduceOp::Max => (FoldOp::Max, f64::NEG_INFINITY),
                };
                let mut value = b.value(op.args[0], &here)?;
                if *masked {
                    value = b.within(op.args[1], &here, value, empty)?;
                }
                let to = b.memory.view(v)?;
                Effect::Fold {
                    op: fold,
                    value,
                    to,
                }
            }
            _ if storage[v.0 as usize] == Storage::Memory => Effect::Store {
                value: b.value(v, &here)?,
                to: b.memory.view(v)?,
            },
            _ => continue,
        };
        names.push(p.func.value(v).name.clone());
        b.body.effects.push(effect);
    }
    b.body.name = names.join(", ");
    Ok(b.body)
}

/// A loop that copies one view to another of the same shape.
pub fn copy(name: String, from: View, to: View) -> Loop {
    let space = to.shape();
    Loop {
        name,
        reduced: vec![false; space.len()],
        space,
        loads: vec![from],
        exprs: vec![Expr::Load(0)],
        effects: vec![Effect::Store {
            value: ExprId(0),
            to,
        }],
        epilogue_of: None,
        spans: Vec::new(),
    }
}

pub(super) struct Builder<'a, 'b> {
    p: &'a Placed,
    storage: &'a [Storage],
    memory: &'a mut Memory<'b>,
    group: &'a Group,
    body: Loop,
    /// What each value is at each map, so that nothing is computed twice.
    known: Vec<(ValueId, Map, ExprId)>,
}

impl Builder<'_, '_> {
    pub(super) fn expr(&mut self, e: Expr) -> ExprId {
        let e = match e {
            // The same condition twice: the inner choice is made already.
            Expr::Select(c, x, y) => {
                let x = match self.body.exprs[x.0 as usize] {
                    Expr::Select(inner, then, _) if inner == c => then,
                    _ => x,
                };
                Expr::Select(c, x, y)
            }
            other => other,
        };
        let at = self.body.exprs.iter().position(|x| same(x, &e));
        ExprId(at.unwrap_or_else(|| {
            self.body.exprs.push(e);
            self.body.exprs.len() - 1
        }) as u32)
    }

    pub(super) fn value(&mut self, v: ValueId, at: &Map) -> Result<ExprId, Diagnostic> {
        let known = self.known.iter().find(|(k, m, _)| *k == v && m == at);
        if let Some((_, _, e)) = known {
            return Ok(*e);
        }
        let e = match (self.p.facts.def(v), self.p.facts.op_of(v)) {
            (Def::Valid(scan), _) => {
                let Some(len) = scan_at(&self.p.func, scan).len else {
                    unreachable!("only a scan with lengths has padded steps");
                };
                let len = self.value(len, at)?;
                let time = self.expr(Expr::Time);
                self.expr(Expr::Binary(Binary::Lt, time, len))
            }
            (_, Some(id)) if self.computes(v, id) => self.computed(id, at, v)?,
            _ => self.load(v, at)?,
        };
        self.known.push((v, at.clone(), e));
        Ok(e)
    }

    /// Whether this loop computes the value rather than loading it.
    fn computes(&self, v: ValueId, id: OpId) -> bool {
        let folded = matches!(self.p.func.op(id).kind, OpKind::Reduce { .. });
        (self.group.ops.contains(&id) && !folded)
            || self.storage[v.0 as usize] == Storage::Again
            || is_inline(&self.p.func, &self.p.facts, v)
            || self.views_unstored(id)
    }

    /// Whether the op is a view of something that is computed again.
    fn views_unstored(&self, id: OpId) -> bool {
        let op = self.p.func.op(id);
        let view = matches!(
            op.kind,
            OpKind::Split { .. } | OpKind::Take(TakeWhich::First)
        );
        view && self.p.facts.op_of(op.args[0]).is_some_and(|from| {
            self.storage[op.args[0].0 as usize] == Storage::Again || self.views_unstored(from)
        })
    }

    fn load(&mut self, v: ValueId, at: &Map) -> Result<ExprId, Diagnostic> {
        let from = self.memory.view(v)?;
        let mut axes: Vec<Axis> = self
            .group
            .space
            .iter()
            .map(|d| Axis {
                size: d.clone(),
                stride: size::zero(),
            })
            .collect();
        let mut offset = from.offset.clone();
        for (place, axis) in at.iter().zip(&from.axes) {
            offset = size::add(&offset, &size::mul(&place.offset, &axis.stride)?)?;
            if let Some(i) = place.axis {
                axes[i].stride = size::add(&axes[i].stride, &axis.stride)?;
            }
        }
        let view = View {
            offset,
            axes,
            ..from
        };
        let known = self.body.loads.iter().position(|l| *l == view);
        let at = known.unwrap_or_else(|| {
            self.body.loads.push(view);
            self.body.loads.len() - 1
        });
        Ok(self.expr(Expr::Load(at)))
    }

    /// An operand of an elementwise op: a number lifts to every point.
    fn operand(&mut self, v: ValueId, at: &Map) -> Result<ExprId, Diagnostic> {
        if self.p.func.shape(v).is_empty() {
            return self.value(v, &Map::new());
        }
        self.value(v, at)
    }

    fn computed(&mut self, id: OpId, at: &Map, v: ValueId) -> Result<ExprId, Diagnostic> {
        let op = self.p.func.op(id);
        let a = &op.args;
        Ok(match &op.kind {
            OpKind::Const(x) => self.expr(Expr::Const(*x)),
            OpKind::Unary(ir::Unary::Stop) | OpKind::ToFloat => self.operand(a[0], at)?,
            OpKind::Unary(u) => {
                let x = self.operand(a[0], at)?;
                self.expr(Expr::Unary(unary(*u), x))
            }
            OpKind::Binary(f) => {
                let (x, y) = (self.operand(a[0], at)?, self.operand(a[1], at)?);
                self.expr(Expr::Binary(binary(*f), x, y))
            }
            OpKind::Select => {
                let c = self.operand(a[0], at)?;
                let (x, y) = (self.operand(a[1], at)?, self.operand(a[2], at)?);
                self.expr(Expr::Select(c, x, y))
            }
            OpKind::Mask {
                domain,
                fill,
                batch,
            } => {
                let x = self.value(a[0], at)?;
                let holds = self.domain(domain, at, *batch, &a[1..])?;
                let fill = self.expr(Expr::Const(*fill));
                self.expr(Expr::Select(holds, x, fill))
            }
            OpKind::Iota { .. } => self.place(&at[0])?,
            OpKind::Expand { axes, .. } => {
                let rank = self.p.func.shape(a[0]).len();
                let place = |j: usize| {
                    let i = axes.iter().position(|x| *x == Some(j));
                    at[i.unwrap_or(0)].clone()
                };
                let inner: Map = (0..rank).map(place).collect();
                self.value(a[0], &inner)?
            }
            OpKind::Split { axis, sizes } => {
                let part = op.results.iter().position(|&r| r == v).unwrap_or(0);
                let mut inner = at.clone();
                for d in &sizes[..part] {
                    inner[*axis].offset = size::add(&inner[*axis].offset, d)?;
                }
                self.value(a[0], &inner)?
            }
            OpKind::Take(TakeWhich::First) => {
                let mut inner = at.clone();
                let first = At {
                    axis: None,
                    offset: size::zero(),
                };
                inner.insert(0, first);
                self.value(a[0], &inner)?
            }
            OpKind::Contract { .. }
            | OpKind::Reduce { .. }
            | OpKind::Softmax
            | OpKind::Top { .. }
            | OpKind::CrossEntropy
            | OpKind::CrossEntropyGrad
            | OpKind::Gather
            | OpKind::ScatterAdd { .. }
            | OpKind::Concat { .. }
            | OpKind::Take(TakeWhich::Last)
            | OpKind::Put { .. }
            | OpKind::Shift { .. }
            | OpKind::Random { .. }
            | OpKind::Scan(_) => unreachable!("{:?} is no part of a loop", op.kind),
        })
    }

    /// `x` at steps before the example's end, else `other`; axis 0 is the time, axis 1 the batch.
    fn within(
        &mut self,
        len: ValueId,
        at: &Map,
        x: ExprId,
        other: f64,
    ) -> Result<ExprId, Diagnostic> {
        let real = self.domain(&Domain::before_end(0, 0), at, Some(1), &[len])?;
        let other = self.expr(Expr::Const(other));
        Ok(self.expr(Expr::Select(real, x, other)))
    }
}

fn same(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (Expr::Const(x), Expr::Const(y)) => x.to_bits() == y.to_bits(),
        (Expr::Load(x), Expr::Load(y)) => x == y,
        (Expr::Index(x), Expr::Index(y)) => x == y,
        (Expr::Time, Expr::Time) => true,
        (Expr::Size(x), Expr::Size(y)) => x == y,
        (Expr::Unary(f, x), Expr::Unary(g, y)) => f == g && x == y,
        (Expr::Binary(f, x, y), Expr::Binary(g, z, w)) => f == g && x == z && y == w,
        (Expr::Select(a, b, c), Expr::Select(x, y, z)) => a == x && b == y && c == z,
        _ => false,
    }
}

fn unary(u: ir::Unary) -> Unary {
    match u {
        ir::Unary::Neg => Unary::Neg,
        ir::Unary::Exp => Unary::Exp,
        ir::Unary::Log => Unary::Log,
        ir::Unary::Sqrt => Unary::Sqrt,
        ir::Unary::Abs => Unary::Abs,
        ir::Unary::Sign => Unary::Sign,
        ir::Unary::Tanh => Unary::Tanh,
        ir::Unary::Sigmoid => Unary::Sigmoid,
        ir::Unary::Sin => Unary::Sin,
        ir::Unary::Cos => Unary::Cos,
        ir::Unary::Step => Unary::Step,
        ir::Unary::Erf => Unary::Erf,
        ir::Unary::Bf16 => Unary::Bf16,
        ir::Unary::Stop => unreachable!("a copy has no function"),
    }
}

fn binary(b: ir::Binary) -> Binary {
    match b {
        ir::Binary::Add => Binary::Add,
        ir::Binary::Sub => Binary::Sub,
        ir::Binary::Mul => Binary::Mul,
        ir::Binary::Div => Binary::Div,
        ir::Binary::Pow => Binary::Pow,
        ir::Binary::Max => Binary::Max,
        ir::Binary::Min => Binary::Min,
        ir::Binary::Lt => Binary::Lt,
        ir::Binary::Le => Binary::Le,
        ir::Binary::Eq => Binary::Eq,
    }
}
