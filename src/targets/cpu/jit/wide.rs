//! Rows of a fused group as functions of full vector width, where the machine has wider vectors than Cranelift.
//!
//! In: the emitter at the innermost axis of its nest. Out: a call of one function for the whole row; or nothing where the
//! group's walks are not of that kind, and Cranelift's vectors do.
//!
//! What a row needs is put into a list on the stack: addresses of its first elements, numbers that are the same along it,
//! its first coordinate, places for the results of folds.

use cranelift_codegen::ir::types::{F32, I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value};

use super::super::wide::code::{Cmp, Code, FoldKind, Next, Src};
use super::super::wide::{self, float};
use super::address::Stride;
use super::asm::FLOAT;
use super::loops::{Emitter, State};
use super::machine::internal;
use super::points::Computed;
use super::wide_ops::{binary, comparison, has_code, unary};
use crate::diagnostics::Diagnostic;
use crate::schedule::program::{Binary, Effect, Elem, Expr, ExprId, FoldOp};

/// Rows known to be shorter than this are left to Cranelift: a call costs more than it saves.
const SHORTEST: i64 = 8;
/// Folds of one row, of which each has a register to itself: as many as leave enough for what is folded.
const MOST_FOLDS: usize = 16;
/// Bytes of rows of later turns that are asked for meanwhile: half the first cache.
const NEXT_ROWS: i64 = 16 << 10;
/// A slot of a row's arguments.
const SLOT: usize = 8;

/// A row's arguments as they are found.
#[derive(Default)]
pub(super) struct Arguments {
    /// Groups of pointers.
    pub(super) pointers: Vec<usize>,
    /// Addresses behind them that belong to no group.
    pub(super) more: usize,
    /// Bytes that loads of each of `pointers` lie further than it: those of one of several rows. None where it is empty.
    pub(super) further: Vec<i32>,
    numbers: Vec<Number>,
    results: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Number {
    /// The value of an expression that does not change along the row.
    Same(ExprId),
    /// The coordinate of the row's first point.
    First,
}

impl Arguments {
    fn number(&mut self, n: Number) -> usize {
        let i = self.numbers.iter().position(|m| *m == n);
        self.pointers.len()
            + self.more
            + i.unwrap_or_else(|| {
                self.numbers.push(n);
                self.numbers.len() - 1
            })
    }
}

/// What of a nest runs at full width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wide {
    Nothing,
    /// The innermost axis.
    Row,
    /// The kept axis of folds along others.
    Columns,
}

impl Emitter<'_, '_, '_, '_> {
    pub(super) fn what_is_wide(&self) -> Wide {
        match (self.is_wide(), self.folds_columns()) {
            (true, _) => Wide::Row,
            (false, true) => Wide::Columns,
            (false, false) => Wide::Nothing,
        }
    }

    /// Whether rows of this nest run at full width: one contiguous innermost axis, operations that there are.
    fn is_wide(&self) -> bool {
        let Some(v) = self.nest.vector.filter(|v| v + 1 == self.nest.axes.len()) else {
            return false;
        };
        let folds = self.is_fold();
        let short = self.nest.axes[v]
            .size
            .as_const()
            .is_some_and(|n| n < SHORTEST);
        let few = self.nest.first_reduced == v && self.l.effects.len() <= MOST_FOLDS;
        if !self.asm.rows.on || short || folds && !few {
            return false;
        }
        let stride = |k: usize| self.pointers.stride(self.places[k].group, v);
        let contiguous = |k: usize| matches!(stride(k), Stride::Fixed(1) | Stride::Fixed(0));
        let stores = self.nest.loads.len()..self.places.len();
        let one = |k: usize| matches!(stride(k), Stride::Fixed(1));
        let known = |i: usize| !self.varied[i] || has_code(&self.l.exprs[i], &self.l.exprs);
        // An operand that is the same along a row is one number, so its walk is of no concern here.
        (0..self.nest.loads.len()).all(contiguous)
            && (folds || stores.clone().all(one))
            && (0..self.l.exprs.len()).all(known)
            && self
                .l
                .effects
                .iter()
                .all(|e| self.varied[effect_value(e).0 as usize] || !folds)
    }

    /// Runs the row `from..to` of the innermost axis; the results of its folds.
    pub(super) fn wide_row(
        &mut self,
        s: &State,
        (from, to): (Value, Value),
    ) -> Result<Vec<Value>, Diagnostic> {
        let depth = self.nest.axes.len() - 1;
        let mut arguments = Arguments::default();
        for (k, place) in self.places.iter().enumerate() {
            let stored = k >= self.nest.loads.len() && !self.reduces_vector();
            let moves = matches!(self.pointers.stride(place.group, depth), Stride::Fixed(1));
            if (moves || stored) && !arguments.pointers.contains(&place.group) {
                arguments.pointers.push(place.group);
            }
        }
        let mut code = self.row_code(&mut arguments, depth)?;
        code.next = self.next_rows(&arguments);
        let pointers = self.pointers.advance(self.asm, &s.pointers, depth, from);
        let rows: Vec<Value> = arguments.pointers.iter().map(|g| pointers[*g]).collect();
        let first = self.asm.b.ins().ireduce(I32, from);
        let numbers = self.numbers(s, &arguments, first)?;
        let points = self.asm.b.ins().isub(to, from);
        let list = self.called(&code, &rows, &numbers, (points, arguments.results))?;
        let first = rows.len() + numbers.len();
        let result = |i| {
            let flags = MemFlagsData::new().with_notrap();
            (self.asm.b.ins()).load(F32, flags, list, ((first + i) * SLOT) as i32)
        };
        Ok((0..arguments.results).map(result).collect())
    }

    /// Where the rows of the next turns are, if so much fits into the first cache beside what is computed. Of rows that
    /// follow one another without a gap the machine knows by itself.
    fn next_rows(&self, arguments: &Arguments) -> Option<Next> {
        let inner = self.nest.axes.len() - 1;
        let outer = inner.checked_sub(1)?;
        let points = self.nest.axes[inner].size.as_const()?;
        let apart = |g: usize| match self.pointers.stride(g, outer) {
            Stride::Fixed(n) if n != 0 && n != points => i32::try_from(n.checked_mul(FLOAT)?).ok(),
            Stride::Fixed(_) | Stride::Bytes(_) => None,
        };
        let mut asked = 0;
        for place in &self.places[..self.nest.loads.len()] {
            let moves = matches!(self.pointers.stride(place.group, inner), Stride::Fixed(1));
            asked += i64::from(moves && apart(place.group).is_some());
        }
        let most = NEXT_ROWS / points.checked_mul(FLOAT * asked)?.max(1);
        let bytes = arguments.pointers.iter().map(|g| apart(*g)).collect();
        Next::new(bytes, points, most)
    }

    /// The values of a row's numbers.
    pub(super) fn numbers(
        &mut self,
        s: &State,
        arguments: &Arguments,
        first: Value,
    ) -> Result<Vec<Value>, Diagnostic> {
        let value = |number: &Number| match number {
            Number::First => Ok(first),
            Number::Same(e) => match &s.computed[e.0 as usize] {
                Some(Computed::Same { one, .. }) => Ok(*one),
                _ => Err(internal(&"a row's number is not computed")),
            },
        };
        arguments.numbers.iter().map(value).collect()
    }

    /// Calls a row of `points` points that has no results.
    pub(super) fn call_row(
        &mut self,
        code: &Code,
        rows: &[Value],
        numbers: &[Value],
        points: Value,
    ) -> Result<(), Diagnostic> {
        self.called(code, rows, numbers, (points, 0)).map(|_| ())
    }

    /// Calls a row; its list of arguments, which ends in the results.
    fn called(
        &mut self,
        code: &Code,
        rows: &[Value],
        numbers: &[Value],
        (points, results): (Value, usize),
    ) -> Result<Value, Diagnostic> {
        let row = wide::encode(code, self.asm.rows.texts).map_err(|e| internal(&e))?;
        let id = self.asm.rows.add(row, self.asm.module)?;
        let size = ((rows.len() + numbers.len() + results) * SLOT) as u32;
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3);
        let slot = self.asm.b.create_sized_stack_slot(data);
        let list = self.asm.b.ins().stack_addr(I64, slot, 0);
        let flags = MemFlagsData::new().with_notrap();
        for (i, value) in rows.iter().chain(numbers).enumerate() {
            (self.asm.b.ins()).store(flags, *value, list, (i * SLOT) as i32);
        }
        self.asm.call(id, &[list, points]);
        Ok(list)
    }

    /// What one row computes.
    fn row_code(&mut self, arguments: &mut Arguments, depth: usize) -> Result<Code, Diagnostic> {
        let mut code = self.asm.rows.code(arguments.pointers.len());
        let values = self.row_values(arguments, depth, &mut code)?;
        let mut stores = Vec::new();
        for (k, effect) in self.l.effects.iter().enumerate() {
            let value = effect_value(effect);
            match effect {
                Effect::Store { .. } => {
                    let from = self.operand_of(value, &values, arguments)?;
                    stores.push((k, code.reg(from)));
                }
                Effect::Fold { op, .. } => {
                    let kind = match op {
                        FoldOp::Sum => FoldKind::Sum,
                        FoldOp::Max => FoldKind::Max,
                    };
                    let (a, b) = match self.absorbed_product(value) {
                        Some((x, y)) => (
                            self.operand_of(x, &values, arguments)?,
                            Some(self.operand_of(y, &values, arguments)?),
                        ),
                        None => (self.operand_of(value, &values, arguments)?, None),
                    };
                    code.fold(kind, k, a, b);
                    arguments.results += 1;
                }
            }
        }
        // All that is computed is read before anything is written.
        for (k, from) in stores {
            let place = self.places[self.nest.loads.len() + k];
            let pointer = arguments.pointers.iter().position(|g| *g == place.group);
            let pointer = pointer.ok_or_else(|| internal(&"a row without an address"))?;
            code.store(from, pointer, place.bytes);
        }
        let first = arguments.pointers.len() + arguments.numbers.len();
        for (_, slot) in &mut code.folds {
            *slot += first;
        }
        debug_assert_eq!(depth + 1, self.nest.axes.len());
        Ok(code)
    }

    /// The values of what changes along the axis at `depth`.
    pub(super) fn row_values(
        &mut self,
        arguments: &mut Arguments,
        depth: usize,
        code: &mut Code,
    ) -> Result<Vec<Option<Src>>, Diagnostic> {
        let mut values: Vec<Option<Src>> = vec![None; self.l.exprs.len()];
        for i in 0..self.l.exprs.len() {
            if self.varied[i] && !self.absorbed[i] {
                values[i] = Some(self.row_value(i, &values, code, (arguments, depth))?);
            }
        }
        Ok(values)
    }

    pub(super) fn operand_of(
        &self,
        e: ExprId,
        values: &[Option<Src>],
        arguments: &mut Arguments,
    ) -> Result<Src, Diagnostic> {
        let i = e.0 as usize;
        match (&self.l.exprs[i], values[i]) {
            (Expr::Const(x), _) => Ok(float(*x as f32)),
            (_, Some(v)) => Ok(v),
            (_, None) if !self.varied[i] => Ok(Src::Arg(arguments.number(Number::Same(e)))),
            (_, None) => Err(internal(&"an operand of a row is not computed")),
        }
    }

    fn row_value(
        &mut self,
        i: usize,
        values: &[Option<Src>],
        code: &mut Code,
        (arguments, depth): (&mut Arguments, usize),
    ) -> Result<Src, Diagnostic> {
        let e = self.l.exprs[i].clone();
        let v = match e {
            Expr::Load(k) => {
                let place = self.places[k];
                let moves = matches!(self.pointers.stride(place.group, depth), Stride::Fixed(1));
                let pointer = arguments.pointers.iter().position(|g| *g == place.group);
                let pointer = pointer.filter(|_| moves);
                let pointer = pointer.ok_or_else(|| internal(&"a row without an address"))?;
                let further = arguments.further.get(pointer).copied().unwrap_or(0);
                code.load(pointer, place.bytes + further, self.elems[k] == Elem::I32)
            }
            Expr::Index(_) => code.index(arguments.number(Number::First)),
            Expr::Const(_) | Expr::Time | Expr::Size(_) => {
                return Err(internal(&"a number does not change along a row"));
            }
            Expr::Unary(op, a) => {
                let a = self.operand_of(a, values, arguments)?;
                unary(code, op, a)?
            }
            Expr::Binary(op @ (Binary::Add | Binary::Sub), a, b)
                if self.absorbed[a.0 as usize] || self.absorbed[b.0 as usize] =>
            {
                let first = self.absorbed[a.0 as usize];
                let (product, other) = if first { (a, b) } else { (b, a) };
                let (x, y) = self
                    .absorbed_product(product)
                    .ok_or_else(|| internal(&"no product"))?;
                let x = self.operand_of(x, values, arguments)?;
                let y = self.operand_of(y, values, arguments)?;
                let c = self.operand_of(other, values, arguments)?;
                let minus = op == Binary::Sub;
                code.fma((x, y), c, minus && !first, minus && first)
            }
            Expr::Binary(op, a, b) => {
                let constant = |e: ExprId| match self.l.exprs[e.0 as usize] {
                    Expr::Const(x) => Some(x),
                    _ => None,
                };
                let known = [constant(a), constant(b)];
                let a = self.operand_of(a, values, arguments)?;
                let b = self.operand_of(b, values, arguments)?;
                binary(code, op, [a, b], known)?
            }
            Expr::Select(c, a, b) => {
                let yes = self.operand_of(a, values, arguments)?;
                let no = self.operand_of(b, values, arguments)?;
                let compared = match self.l.exprs[c.0 as usize] {
                    Expr::Binary(op, x, y) => comparison(op).map(|cmp| (cmp, x, y)),
                    _ => None,
                };
                match compared {
                    Some((cmp, x, y)) => {
                        let x = self.operand_of(x, values, arguments)?;
                        let y = self.operand_of(y, values, arguments)?;
                        code.select(cmp, x, y, yes, no)
                    }
                    None => {
                        let c = self.operand_of(c, values, arguments)?;
                        code.select(Cmp::NotEqual, c, float(0.0), yes, no)
                    }
                }
            }
        };
        Ok(Src::Reg(v))
    }
}

pub(super) fn effect_value(e: &Effect) -> ExprId {
    let (Effect::Store { value, .. } | Effect::Fold { value, .. }) = e;
    *value
}
