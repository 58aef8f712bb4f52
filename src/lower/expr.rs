//! Expressions: one arm for each kind of the shaped program.
//! Long because the arms are many and each is read beside its neighbours.

use super::{Lower, Val};
use crate::check::program::{self as p, Expr, ExprKind};
use crate::dim::{Dim, show};
use crate::domain::{Affine, Coord, Domain};
use crate::ir::*;

impl Lower<'_, '_> {
    /// Lowers `e`; the ops made for it are named `name`.
    pub(super) fn expr(&mut self, e: &Expr, name: &str) -> Result<Val, String> {
        let outer = std::mem::replace(&mut self.b.spans, vec![e.span]);
        let val = self.kind(e, name);
        self.b.spans = outer;
        val
    }

    fn kind(&mut self, e: &Expr, name: &str) -> Result<Val, String> {
        match &e.kind {
            ExprKind::Number(x) => {
                let id = self.b.number(*x);
                Ok(self.val(id, vec![], false))
            }
            ExprKind::Var(v) | ExprKind::Reveal(v) => match self.vars.get(v) {
                Some(val) => {
                    let val = val.clone();
                    Ok(self.settled(&val))
                }
                None => self.data(*v, false),
            },
            ExprKind::Param(id) => Ok(self.param(*id)),
            ExprKind::Previous(v) => self.data(*v, true),
            ExprKind::Delay { value, by } => {
                let x = self.expr(value, name)?;
                let id = self
                    .b
                    .emit(OpKind::Shift { by: i64::from(*by) }, &[x.id], name);
                Ok(Val { id, ..x })
            }
            ExprKind::Unary(u, a) => {
                let a = self.expr(a, name)?;
                let a = self.number(&a);
                let id = self.unary(*u, a.id, name);
                Ok(Val { id, ..a })
            }
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.expr(a, name)?, self.expr(b, name)?);
                let (a, b) = self.both(&a, &b, &e.shape)?;
                let id = self.binary(*op, a.id, b.id, name);
                self.joined(id, &[&a, &b])
            }
            ExprKind::Choose(c, a, b) => {
                let (c, a, b) = (
                    self.expr(c, name)?,
                    self.expr(a, name)?,
                    self.expr(b, name)?,
                );
                let batched = c.batched || a.batched || b.batched;
                let c = self.operand(&c, &e.shape, batched)?;
                let a = self.operand(&a, &e.shape, batched)?;
                let b = self.operand(&b, &e.shape, batched)?;
                let id = self.b.select(c.id, a.id, b.id, name);
                self.joined(id, &[&c, &a, &b])
            }
            ExprKind::Dot(l, r) => {
                let (l, r) = (self.expr(l, name)?, self.expr(r, name)?);
                self.dot(&l, &r, name)
            }
            ExprKind::Concat(parts) => {
                let parts: Vec<Val> = parts
                    .iter()
                    .map(|x| self.expr(x, name))
                    .collect::<Result<_, _>>()?;
                self.concat(&parts, &e.shape, name)
            }
            ExprKind::Expand { value, axes } => {
                let x = self.expr(value, name)?;
                let x = self.number(&x);
                Ok(self.expanded(&x, axes, &e.shape))
            }
            ExprKind::Contract {
                left,
                right,
                lhs,
                rhs,
                out,
            } => {
                let (l, r) = (self.expr(left, name)?, self.expr(right, name)?);
                self.contract((&l, lhs), (&r, rhs), out, &e.shape, name)
            }
            ExprKind::Where {
                value,
                domain,
                fill,
            } => {
                let x = self.expr(value, name)?;
                self.within(&x, domain, *fill, name)
            }
            ExprKind::Index => {
                let size = e.shape.first().cloned().ok_or("an index has an axis")?;
                let id = self.b.emit(OpKind::Iota { size }, &[], name);
                Ok(self.val(id, e.shape.clone(), false))
            }
            ExprKind::Steps(time) => {
                let shape = vec![Dim::sym(time)];
                let ty = Type::i32(self.ir_shape(&shape, true, true));
                let role = InputRole::Steps(time.name().to_string());
                let id = self.input(role, &format!("{time}.step"), ty);
                Ok(self.val(id, shape, true))
            }
            ExprKind::Top { value, k } => {
                let x = self.expr(value, name)?;
                Ok(self.along_last(OpKind::Top { k: *k }, &x, name))
            }
            ExprKind::Split {
                value,
                parts,
                index,
            } => {
                let x = self.expr(value, name)?;
                let ids = self.split(&x, *parts, &e.shape, name)?;
                let id = ids[*index as usize];
                Ok(Val {
                    id,
                    shape: e.shape.clone(),
                    ..x
                })
            }
            ExprKind::Reduce { op, value, axis } => {
                let x = self.expr(value, name)?;
                self.reduce(*op, &x, *axis, name)
            }
            ExprKind::Softmax(a) => {
                let a = self.expr(a, name)?;
                let last = a.shape.len().saturating_sub(1);
                let a = self.real_steps(&a, last, f64::NEG_INFINITY, name)?;
                Ok(self.along_last(OpKind::Softmax, &a, name))
            }
            ExprKind::First(a) => self.take(TakeWhich::First, a, name),
            ExprKind::Last(a) => self.take(TakeWhich::Last, a, name),
            ExprKind::Embed { table, index } => {
                let table = self.param(*table);
                let index = self.expr(index, name)?;
                let id = self.b.emit(OpKind::Gather, &[table.id, index.id], name);
                Ok(Val {
                    id,
                    shape: e.shape.clone(),
                    ..index
                })
            }
            ExprKind::Dropout {
                value,
                p,
                share_time,
                path,
            } => {
                let x = self.expr(value, name)?;
                if !self.options.training || *p == 0.0 {
                    return Ok(x);
                }
                // A weight has one value, but every example its own draw.
                let x = self.with_batch(&x);
                let u = self.random(path, Dist::Uniform, &x.shape, *share_time)?;
                // x / (1 − p) where u ≥ p, else 0.
                let k = self.b.number(*p);
                let kept = self.b.binary(Binary::Le, k, u.id, "kept");
                let scale = self.b.number(1.0 / (1.0 - p));
                let kept = self.b.mul(kept, scale, "kept");
                let id = self.b.mul(x.id, kept, name);
                Ok(Val { id, ..x })
            }
            ExprKind::Zoneout { old, new, p, path } => {
                let (old, new) = (self.expr(old, name)?, self.expr(new, name)?);
                let old = self.lift(&old, &e.shape, true)?;
                let new = self.lift(&new, &e.shape, true)?;
                let k = self.b.number(*p);
                let id = if self.options.training {
                    let u = self.random(path, Dist::Uniform, &e.shape, false)?;
                    let hold = self.b.binary(Binary::Lt, u.id, k, "hold");
                    self.b.select(hold, old.id, new.id, name)
                } else {
                    // The mean of the two: new + p·(old − new).
                    let d = self.b.sub(old.id, new.id, name);
                    let d = self.b.mul(k, d, name);
                    self.b.add(new.id, d, name)
                };
                Ok(Val { id, ..new })
            }
            ExprKind::Normal { path } => {
                if self.options.training {
                    return self.random(path, Dist::Normal, &e.shape, false);
                }
                let id = self.b.number(0.0);
                let zero = self.val(id, vec![], false);
                self.lift(&zero, &e.shape, true)
            }
        }
    }

    /// `x` among new axes; the batch axis, if there is one, keeps its place after the time.
    fn expanded(&mut self, x: &Val, axes: &[Option<usize>], shape: &[Dim]) -> Val {
        let timed = self.is_timed(shape);
        let own = |k: usize| k + usize::from(x.batched && k >= usize::from(x.timed));
        let mut to: Vec<Option<usize>> = axes.iter().map(|a| a.map(own)).collect();
        if x.batched {
            to.insert(usize::from(timed), Some(usize::from(x.timed)));
        }
        let want = self.ir_shape(shape, timed, x.batched);
        let id = self.b.expand(x.id, to, &want);
        Val {
            id,
            shape: shape.to_vec(),
            timed,
            batched: x.batched,
        }
    }

    /// A real value: an integer input that stands in arithmetic is converted.
    pub(super) fn number(&mut self, v: &Val) -> Val {
        if self.b.func.value(v.id).ty.elem == Elem::F32 {
            return v.clone();
        }
        let name = self.b.func.value(v.id).name.clone();
        let id = self.b.emit(OpKind::ToFloat, &[v.id], &name);
        Val { id, ..v.clone() }
    }

    /// An operand brought to the result's shape; single numbers stay as they are.
    fn operand(&mut self, v: &Val, shape: &[Dim], batched: bool) -> Result<Val, String> {
        let v = self.number(v);
        if v.shape.is_empty() && !v.batched {
            return Ok(v);
        }
        self.lift(&v, shape, batched)
    }

    fn both(&mut self, a: &Val, b: &Val, shape: &[Dim]) -> Result<(Val, Val), String> {
        let batched = a.batched || b.batched;
        Ok((
            self.operand(a, shape, batched)?,
            self.operand(b, shape, batched)?,
        ))
    }

    /// The result of an elementwise op over operands brought to one shape.
    fn joined(&self, id: ValueId, args: &[&Val]) -> Result<Val, String> {
        let widest = args.iter().max_by_key(|v| self.b.func.shape(v.id).len());
        let widest = (*widest.ok_or("an op without operands")?).clone();
        Ok(Val { id, ..widest })
    }

    fn unary(&mut self, u: p::Unary, x: ValueId, name: &str) -> ValueId {
        let b = &mut self.b;
        let plain = |op: Unary| Some(op);
        let simple = match u {
            p::Unary::Neg => plain(Unary::Neg),
            p::Unary::Exp => plain(Unary::Exp),
            p::Unary::Log => plain(Unary::Log),
            p::Unary::Sqrt => plain(Unary::Sqrt),
            p::Unary::Abs => plain(Unary::Abs),
            p::Unary::Tanh => plain(Unary::Tanh),
            p::Unary::Sigmoid => plain(Unary::Sigmoid),
            p::Unary::Sin => plain(Unary::Sin),
            p::Unary::Cos => plain(Unary::Cos),
            p::Unary::Step => plain(Unary::Step),
            p::Unary::Not | p::Unary::Relu | p::Unary::Gelu | p::Unary::Silu => None,
            p::Unary::Softplus => return softplus(b, x, name),
        };
        if let Some(op) = simple {
            return b.unary(op, x, name);
        }
        match u {
            // 1 where x is 0
            p::Unary::Not => {
                let zero = b.number(0.0);
                b.binary(Binary::Eq, x, zero, name)
            }
            // max(0, x): at 0 the gradient goes to the constant
            p::Unary::Relu => {
                let zero = b.number(0.0);
                b.binary(Binary::Max, zero, x, name)
            }
            // x·Φ(x) (Hendrycks and Gimpel 2016)
            p::Unary::Gelu => {
                let k = b.number(std::f64::consts::FRAC_1_SQRT_2);
                let (one, half) = (b.number(1.0), b.number(0.5));
                let z = b.mul(x, k, name);
                let z = b.unary(Unary::Erf, z, name);
                let z = b.add(one, z, name);
                let z = b.mul(half, z, name);
                b.mul(x, z, name)
            }
            // x·σ(x)
            _ => {
                let s = b.unary(Unary::Sigmoid, x, name);
                b.mul(x, s, name)
            }
        }
    }

    fn binary(&mut self, op: p::Binary, l: ValueId, r: ValueId, name: &str) -> ValueId {
        let b = &mut self.b;
        match op {
            p::Binary::Add => b.add(l, r, name),
            p::Binary::Sub => b.sub(l, r, name),
            p::Binary::Mul => b.mul(l, r, name),
            p::Binary::Div => b.div(l, r, name),
            p::Binary::Pow => b.binary(Binary::Pow, l, r, name),
            p::Binary::Min => b.binary(Binary::Min, l, r, name),
            p::Binary::Max => b.binary(Binary::Max, l, r, name),
            p::Binary::Lt => b.binary(Binary::Lt, l, r, name),
            p::Binary::Le => b.binary(Binary::Le, l, r, name),
            p::Binary::Gt => b.binary(Binary::Lt, r, l, name),
            p::Binary::Ge => b.binary(Binary::Le, r, l, name),
            p::Binary::Eq => b.binary(Binary::Eq, l, r, name),
            p::Binary::Ne => {
                let same = b.binary(Binary::Eq, l, r, name);
                let one = b.number(1.0);
                b.sub(one, same, name)
            }
            p::Binary::And => b.mul(l, r, name),
            p::Binary::Or => b.binary(Binary::Max, l, r, name),
        }
    }

    /// Contracts the last axis of each: time and batch first, then the right's other axes, then the
    /// left's.
    fn dot(&mut self, l: &Val, r: &Val, name: &str) -> Result<Val, String> {
        const TIME: u8 = 0;
        const BATCH: u8 = 1;
        const SUMMED: u8 = 2;
        let labels = |v: &Val, from: u8| -> (Vec<u8>, Vec<u8>) {
            let own = v.shape.len() - usize::from(v.timed);
            let others: Vec<u8> = (0..own.saturating_sub(1) as u8).map(|i| from + i).collect();
            let mut all = Vec::new();
            if v.timed {
                all.push(TIME);
            }
            if v.batched {
                all.push(BATCH);
            }
            all.extend(&others);
            all.push(SUMMED);
            (all, others)
        };
        if [l, r].iter().any(|v| v.shape.len() == usize::from(v.timed)) {
            return Err(format!("{} · {}", show(&l.shape), show(&r.shape)));
        }
        let (ll, lo) = labels(l, 3);
        let (rl, ro) = labels(r, 100);
        let mut out = Vec::new();
        if l.timed || r.timed {
            out.push(TIME);
        }
        if l.batched || r.batched {
            out.push(BATCH);
        }
        out.extend(&ro);
        out.extend(&lo);
        // The activation is the left operand of the product, so that weights stand on the right.
        let id = self.b.contract((&rl, r.id), (&ll, l.id), &out, name);
        let timed = l.timed || r.timed;
        let mut shape: Vec<Dim> = Vec::new();
        if timed {
            let from = if r.timed { r } else { l };
            shape.push(from.shape[0].clone());
        }
        for v in [r, l] {
            let own = &v.shape[usize::from(v.timed)..];
            shape.extend_from_slice(&own[..own.len() - 1]);
        }
        Ok(Val {
            id,
            shape,
            timed,
            batched: l.batched || r.batched,
        })
    }

    fn concat(&mut self, parts: &[Val], shape: &[Dim], name: &str) -> Result<Val, String> {
        let batched = parts.iter().any(|p| p.batched);
        let timed = self.is_timed(shape);
        let lead = &shape[..shape.len() - 1];
        let mut ids = Vec::new();
        for part in parts {
            let part = self.number(part);
            // A number is one feature.
            let single = part.shape.len() == usize::from(part.timed);
            let part = if single {
                let mut wide = part.shape.clone();
                wide.push(Dim::constant(1));
                let n = self.b.func.shape(part.id).len();
                let mut axes: Vec<Option<usize>> = (0..n).map(Some).collect();
                axes.push(None);
                let want = self.ir_shape(&wide, part.timed, part.batched);
                let id = self.b.expand(part.id, axes, &want);
                Val {
                    id,
                    shape: wide,
                    ..part
                }
            } else {
                part
            };
            let last = part.shape.last().cloned().unwrap_or_default();
            let want: Vec<Dim> = lead.iter().cloned().chain([last]).collect();
            ids.push(self.lift(&part, &want, batched)?.id);
        }
        let axis = lead.len() + usize::from(batched);
        let id = if ids.len() == 1 {
            ids[0]
        } else {
            self.b.emit(OpKind::Concat { axis }, &ids, name)
        };
        Ok(Val {
            id,
            shape: shape.to_vec(),
            timed,
            batched,
        })
    }

    fn split(
        &mut self,
        x: &Val,
        parts: u32,
        part: &[Dim],
        name: &str,
    ) -> Result<Vec<ValueId>, String> {
        if let Some(ids) = self.splits.get(&(x.id, parts)) {
            return Ok(ids.clone());
        }
        let axis = self.b.func.shape(x.id).len() - 1;
        let size = part.last().cloned().ok_or("split needs an axis")?;
        let kind = OpKind::Split {
            axis,
            sizes: vec![size; parts as usize],
        };
        let ids = self.b.emit_all(kind, &[x.id], &[name]);
        self.splits.insert((x.id, parts), ids.clone());
        Ok(ids)
    }

    fn reduce(&mut self, op: p::Reduce, x: &Val, axis: usize, name: &str) -> Result<Val, String> {
        let shape = x.shape.get(1..).unwrap_or_default().to_vec();
        let sequence = x.timed && x.batched && axis == 0;
        if !sequence || self.is_timed(&shape) {
            return self.reduce_axis(op, x, axis, name);
        }
        let ir_op = match op {
            p::Reduce::Sum | p::Reduce::Mean => ReduceOp::Sum,
            p::Reduce::Max => ReduceOp::Max,
        };
        let time = x.shape[0].as_sym().cloned();
        let time = time.ok_or("a time axis is a name")?;
        let len = self.lengths(&time);
        let mut id = self.b.reduce_masked(ir_op, x.id, len, &[0], name);
        match op {
            p::Reduce::Sum => {}
            p::Reduce::Max => id = self.some(id, name),
            p::Reduce::Mean => {
                let n = self.real_length(&time);
                let n = self.lift(&n, &shape, true)?;
                id = self.b.div(id, n.id, name);
            }
        }
        Ok(Val {
            id,
            shape,
            timed: false,
            batched: true,
        })
    }

    fn take(&mut self, which: TakeWhich, e: &Expr, name: &str) -> Result<Val, String> {
        let x = self.expr(e, name)?;
        let time = x.shape.first().and_then(Dim::as_sym).cloned();
        let time = time
            .filter(|_| x.timed)
            .ok_or("first and last read a sequence")?;
        let len = self.lengths(&time);
        let x = self.with_batch(&x);
        let mut id = self.b.emit(OpKind::Take(which), &[x.id, len], name);
        if which == TakeWhich::First {
            // Of an empty sequence step 0 is padding: it reads as 0, as the last step does.
            let none = Affine::constant(Dim::default());
            let some = Domain::lt(&none, &Affine::coord(Coord::Of(0)));
            let kind = OpKind::Mask {
                domain: some.map_err(|_| "a length leaves the integers")?,
                fill: 0.0,
                batch: Some(0),
            };
            id = self.b.emit(kind, &[id, len], name);
        }
        Ok(self.settled(&Val {
            id,
            shape: x.shape[1..].to_vec(),
            timed: false,
            batched: true,
        }))
    }

    /// A draw for a value of this shape; `shared`: one for all steps.
    fn random(
        &mut self,
        path: &str,
        dist: Dist,
        shape: &[Dim],
        shared: bool,
    ) -> Result<Val, String> {
        let timed = self.is_timed(shape);
        let own = if shared && timed { &shape[1..] } else { shape };
        let drawn_timed = timed && !shared;
        let ir = self.ir_shape(own, drawn_timed, true);
        let kind = OpKind::Random {
            path: path.to_string(),
            dist,
            shape: ir,
            timed: drawn_timed,
        };
        // A draw that a whole scan shares is made before it.
        let id = match (&mut self.before_scan, shared) {
            (Some(before), true) => {
                std::mem::swap(before, &mut self.b.ops);
                let id = self.b.emit(kind, &[], "u");
                if let Some(before) = &mut self.before_scan {
                    std::mem::swap(before, &mut self.b.ops);
                }
                id
            }
            _ => self.b.emit(kind, &[], "u"),
        };
        let val = Val {
            id,
            shape: own.to_vec(),
            timed: drawn_timed,
            batched: true,
        };
        self.lift(&val, shape, true)
    }
}

/// log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|), which overflows nowhere.
pub(super) fn softplus(b: &mut build::Build<'_>, x: ValueId, name: &str) -> ValueId {
    let (zero, one) = (b.number(0.0), b.number(1.0));
    let top = b.binary(Binary::Max, x, zero, name);
    let a = b.unary(Unary::Abs, x, name);
    let a = b.unary(Unary::Neg, a, name);
    let a = b.unary(Unary::Exp, a, name);
    let a = b.add(one, a, name);
    let a = b.unary(Unary::Log, a, name);
    b.add(top, a, name)
}
