//! Index form: values whose axes stand in any order, products along any of them, and conditions.
//!
//! In: the language's axes and labels. Out: IR ops with the batch axis put in. A time can be any axis
//! here; wherever one is reduced, normalised or contracted, padding is masked out.

use super::{Lower, Val};
use crate::check::program as p;
use crate::dim::{Dim, Sym};
use crate::domain::{Coord, Domain};
use crate::ir::*;

impl Lower<'_, '_> {
    /// Where the language's axis `i` of `x` is in the IR.
    fn axis(x: &Val, i: usize) -> usize {
        i + usize::from(x.batched && i >= usize::from(x.timed))
    }

    /// The IR's batch axis of `x`.
    fn batch_axis(x: &Val) -> Option<usize> {
        x.batched.then_some(usize::from(x.timed))
    }

    /// `x` with a batch axis.
    pub(super) fn with_batch(&mut self, x: &Val) -> Val {
        if x.batched {
            return x.clone();
        }
        let at = usize::from(x.timed);
        let mut axes: Vec<Option<usize>> = (0..x.shape.len()).map(Some).collect();
        axes.insert(at, None);
        let want = self.ir_shape(&x.shape, x.timed, true);
        Val {
            id: self.b.expand(x.id, axes, &want),
            batched: true,
            ..x.clone()
        }
    }

    /// `x` inside a domain over the language's axes, `fill` outside.
    pub(super) fn within(
        &mut self,
        x: &Val,
        domain: &Domain,
        fill: f64,
        name: &str,
    ) -> Result<Val, String> {
        let place = |c: Coord| match c {
            Coord::Axis(i) => Some(Coord::Axis(Self::axis(x, i))),
            Coord::Of(_) => None,
        };
        let domain = domain.map(&place);
        let domain = domain.ok_or("a condition on what no axis counts")?;
        let kind = OpKind::Mask {
            domain,
            fill,
            batch: Self::batch_axis(x),
        };
        let id = self.b.emit(kind, &[x.id], name);
        Ok(Val { id, ..x.clone() })
    }

    /// `x` where the language's axis `axis` is no time or the step is real, `fill` at padded steps.
    pub(super) fn real_steps(
        &mut self,
        x: &Val,
        axis: usize,
        fill: f64,
        name: &str,
    ) -> Result<Val, String> {
        let Some(time) = x.shape.get(axis).filter(|d| self.model.dims.is_time(d)) else {
            return Ok(x.clone());
        };
        let time = time.as_sym().cloned().ok_or("a time axis is a name")?;
        let len = self.lengths(&time);
        let x = self.with_batch(x);
        let kind = OpKind::Mask {
            domain: Domain::before_end(Self::axis(&x, axis), 0),
            fill,
            batch: Self::batch_axis(&x),
        };
        let id = self.b.emit(kind, &[x.id, len], name);
        Ok(Val { id, ..x })
    }

    /// Over any axis; of a time only real steps count.
    pub(super) fn reduce_axis(
        &mut self,
        op: p::Reduce,
        x: &Val,
        axis: usize,
        name: &str,
    ) -> Result<Val, String> {
        let (ir_op, fill) = match op {
            p::Reduce::Sum | p::Reduce::Mean => (ReduceOp::Sum, 0.0),
            p::Reduce::Max => (ReduceOp::Max, f64::NEG_INFINITY),
        };
        let time = self.model.dims.is_time(&x.shape[axis]);
        let real = self.real_steps(x, axis, fill, name)?;
        let at = Self::axis(&real, axis);
        let mut id = self.b.reduce(ir_op, real.id, &[at], name);
        if time && op == p::Reduce::Max {
            id = self.some(id, name);
        }
        let mut shape = x.shape.clone();
        let gone = shape.remove(axis);
        let out = Val {
            id,
            shape,
            // The batch axis stands where it stood, less the axis before it.
            timed: real.timed && axis != 0,
            batched: real.batched,
        };
        let mut out = self.settled(&out);
        if op != p::Reduce::Mean {
            return Ok(out);
        }
        if !time {
            let k = self.b.number(1.0 / self.static_size(&gone)?);
            out.id = self.b.mul(out.id, k, name);
            return Ok(out);
        }
        let time = gone.as_sym().cloned().ok_or("a time axis is a name")?;
        let n = self.real_length(&time);
        let n = self.lift(&n, &out.shape.clone(), true)?;
        out.id = self.b.div(out.id, n.id, name);
        Ok(out)
    }

    /// The largest of some steps, and 0 of none: so that what is behind the end of a sequence, and what
    /// an empty one gives, stay numbers.
    pub(super) fn some(&mut self, largest: ValueId, name: &str) -> ValueId {
        let least = self.b.number(f64::from(f32::MIN));
        let any = self.b.binary(Binary::Le, least, largest, name);
        let zero = self.b.number(0.0);
        self.b.emit(OpKind::Select, &[any, largest, zero], name)
    }

    /// How many steps each example has, at least 1: the mean of an empty sequence is 0, as its sum is.
    pub(super) fn real_length(&mut self, time: &Sym) -> Val {
        let len = self.lengths(time);
        let n = self.b.emit(OpKind::ToFloat, &[len], "len");
        let one = self.b.number(1.0);
        Val {
            id: self.b.binary(Binary::Max, n, one, "len"),
            shape: vec![],
            timed: false,
            batched: true,
        }
    }

    /// A product with a label for each axis of the language; a summed time leaves padding out.
    pub(super) fn contract(
        &mut self,
        (l, lhs): (&Val, &[u8]),
        (r, rhs): (&Val, &[u8]),
        out: &[u8],
        shape: &[Dim],
        name: &str,
    ) -> Result<Val, String> {
        const BATCH: u8 = u8::MAX;
        let (mut l, r) = (self.number(l), self.number(r));
        for (i, label) in lhs.iter().enumerate() {
            if !out.contains(label) {
                l = self.real_steps(&l, i, 0.0, name)?;
            }
        }
        let labels = |v: &Val, own: &[u8]| {
            let mut all = own.to_vec();
            if let Some(at) = Self::batch_axis(v) {
                all.insert(at, BATCH);
            }
            all
        };
        let batched = l.batched || r.batched;
        let timed = self.is_timed(shape);
        let mut kept = out.to_vec();
        if batched {
            kept.insert(usize::from(timed), BATCH);
        }
        // The activation is the left operand of the product, so that weights stand on the right.
        let (l, lhs, r, rhs) = match l.batched || !r.batched {
            true => (&l, lhs, &r, rhs),
            false => (&r, rhs, &l, lhs),
        };
        let (lhs, rhs) = (labels(l, lhs), labels(r, rhs));
        let id = self.b.contract((&lhs, l.id), (&rhs, r.id), &kept, name);
        Ok(Val {
            id,
            shape: shape.to_vec(),
            timed,
            batched,
        })
    }

    /// `op` along the last axis of the language.
    pub(super) fn along_last(&mut self, op: OpKind, x: &Val, name: &str) -> Val {
        // Of a value that is nothing but a time, the batch axis stands last: it is brought first.
        let x = match x.shape.len() {
            1 => self.batch_first(x),
            _ => x.clone(),
        };
        let id = self.b.emit(op, &[x.id], name);
        self.settled(&Val { id, ..x })
    }

    /// The value with its batch axis where its shape says: after a time, or first.
    pub(super) fn settled(&mut self, x: &Val) -> Val {
        self.batch_at(x, self.is_timed(&x.shape))
    }

    /// The value with its batch axis first: as a scan carries it from step to step.
    pub(super) fn batch_first(&mut self, x: &Val) -> Val {
        self.batch_at(x, false)
    }

    fn batch_at(&mut self, x: &Val, timed: bool) -> Val {
        if x.timed == timed || !x.batched {
            return Val { timed, ..x.clone() };
        }
        let (from, to) = (usize::from(x.timed), usize::from(timed));
        let mut axes: Vec<usize> = (0..=x.shape.len()).filter(|i| *i != from).collect();
        axes.insert(to, from);
        let shape = self.ir_shape(&x.shape, timed, true);
        let axes = axes.into_iter().map(Some).collect();
        Val {
            id: self.b.expand(x.id, axes, &shape),
            timed,
            ..x.clone()
        }
    }
}
