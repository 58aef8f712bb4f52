//! What is kept from step to step: histories, and the last rows of a delay.
//!
//! In: the row of this step. Out: the history with the row in its place, or the row of some steps
//! before; each with a state that carries it.

use super::emit::{Emit, Made};
use super::form::{Axis, Form};
use super::internal;
use super::mark::row_of;
use super::within::offset;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::domain::{Affine, Coord, Domain};
use crate::ir::*;

impl Emit<'_, '_> {
    /// Writes the row of `v` into its history. Steps after this one become 0, whatever was there.
    pub fn keep(&mut self, v: ValueId, form: &Form) -> Result<(), Diagnostic> {
        let row = self.get(v, &row_of(form))?;
        let axis = form.iter().position(|a| *a == Axis::History);
        let (Some(axis), Some(batch), false) = (axis, self.source.batch_axis(v), row.numbered)
        else {
            return Err(internal("a history without a batch"));
        };
        let name = self.name(v);
        let path = format!("history of {name}");
        let shape = self.dims(v, form);
        let role = InputRole::Carry(path.clone());
        let before = self.input(role, &name, Type::f32(shape.clone()));
        let length = self.length();
        let overflow = |_| internal("a step's number");
        let number = offset(Coord::Of(0), -1).map_err(overflow)?;
        let step = Affine::coord(Coord::Axis(axis));
        let earlier = Domain::lt(&step, &number).map_err(overflow)?;
        let now = Domain::equal(&step, &number).map_err(overflow)?;
        let flat = self.b.reduce(ReduceOp::Sum, row.id, &[axis], &name);
        let mut axes: Vec<Option<usize>> = (0..shape.len() - 1).map(Some).collect();
        axes.insert(axis, None);
        let repeated = self.b.expand(flat, axes, &shape);
        let mut part = |domain: Domain, x: ValueId| {
            let kind = OpKind::Mask {
                domain,
                fill: 0.0,
                batch: Some(batch),
            };
            self.b.emit(kind, &[x, length], &name)
        };
        let (old, new) = (part(earlier, before), part(now, repeated));
        let after = self.b.add(old, new, &name);
        self.outputs.push(Output {
            role: OutputRole::Carry(path),
            value: after,
        });
        self.put(v, form, after, false);
        Ok(())
    }

    /// The operand `by` steps earlier. Along a history it is what it was.
    pub fn shift(
        &mut self,
        by: i64,
        (v, x, of): &(ValueId, Made, Form),
        result: ValueId,
        form: &[Axis],
    ) -> Result<ValueId, Diagnostic> {
        let name = self.name(result);
        if x.numbered {
            return Err(internal("a delay of steps' numbers"));
        }
        if form[0] != Axis::Row || by == 0 {
            return Ok(self.b.emit(OpKind::Shift { by }, &[x.id], &name));
        }
        let mut shape = self.dims(*v, of);
        shape[0] = Dim::constant(by);
        let path = format!("last steps for {name}");
        let kept = self.input(InputRole::Carry(path.clone()), &name, Type::f32(shape));
        let (row, after) = if by == 1 {
            (kept, x.id)
        } else {
            let sizes = vec![Dim::constant(1), Dim::constant(by - 1)];
            let parts = self
                .b
                .emit_all(OpKind::Split { axis: 0, sizes }, &[kept], &[&name]);
            let joined = self
                .b
                .emit(OpKind::Concat { axis: 0 }, &[parts[1], x.id], &name);
            (parts[0], joined)
        };
        self.outputs.push(Output {
            role: OutputRole::Carry(path),
            value: after,
        });
        Ok(row)
    }
}
