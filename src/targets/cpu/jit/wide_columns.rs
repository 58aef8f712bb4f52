//! Folds of columns as rows of full vector width: a group that folds its outer axes and keeps its last one.
//!
//! In: the emitter at the vector axis of its nest, which lies outside the reduced ones. Out: loops over the reduced axes
//! whose body is one row of columns, added to a row of totals on the stack; or eight rows, one after the other.
//!
//! The data stand as the rows do, so every cache line is read once and in order; a block of a few columns would walk
//! down the data once for each block. A column's sum runs as everywhere: along the innermost reduced axis from 0, those
//! partial sums then along the outer ones.

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value};

use super::super::wide::code::{Code, FoldKind, Src, Two, V};
use super::super::wide::float;
use super::address::Stride;
use super::loops::{Emitter, State};
use super::machine::internal;
use super::wide::{Arguments, effect_value};
use super::wide_ops::has_code;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::{Effect, FoldOp};

/// Columns whose totals are on the stack at once: a kilobyte a fold.
const COLUMNS: i64 = 256;
/// Fewer columns than these are left to Cranelift, which keeps them in registers.
const FEWEST: i64 = 32;
/// Folds of one group beyond which the totals would leave the first cache.
const MOST_FOLDS: usize = 8;
const FLOAT: i64 = 4;
/// Rows that are added at once: their totals are read and written once, and they are called for once. A power of two.
const ROWS: i64 = 8;
/// Operations of all of them at most.
const MOST_AT_ONCE: usize = 64;

/// The rows of totals of each fold, and of the partial sums along the innermost reduced axis where there are outer ones.
struct Totals {
    whole: Vec<Value>,
    partial: Option<Vec<Value>>,
}

impl Totals {
    /// What the innermost loop adds to.
    fn inner(&self) -> &[Value] {
        self.partial.as_ref().unwrap_or(&self.whole)
    }
}

impl Emitter<'_, '_, '_, '_> {
    /// Whether this nest folds columns that can run as rows.
    pub(super) fn folds_columns(&self) -> bool {
        let Some(v) = self
            .nest
            .vector
            .filter(|v| v + 1 == self.nest.first_reduced)
        else {
            return false;
        };
        let many = self.nest.axes[v].size.terms().all(|(_, n)| n >= FEWEST);
        let effects = self.l.effects.len();
        if !self.asm.rows.on || !self.is_fold() || !many || effects > MOST_FOLDS {
            return false;
        }
        if self.nest.first_reduced == self.nest.axes.len() {
            return false;
        }
        let stride = |k: usize| self.pointers.stride(self.places[k].group, v);
        let stores = self.nest.loads.len()..self.places.len();
        let known = |i: usize| !self.varied[i] || has_code(&self.l.exprs[i], &self.l.exprs);
        (0..self.nest.loads.len()).all(|k| matches!(stride(k), Stride::Fixed(0 | 1)))
            && stores
                .clone()
                .all(|k| matches!(stride(k), Stride::Fixed(1)))
            && (0..self.l.exprs.len()).all(known)
    }

    /// Folds the columns `from..to`.
    pub(super) fn columns(
        &mut self,
        s: &State,
        (from, to): (Value, Value),
    ) -> Result<(), Diagnostic> {
        let depth = self.nest.first_reduced - 1;
        let nested = self.nest.axes.len() - self.nest.first_reduced > 1;
        let folds = self.l.effects.len();
        let bytes = FLOAT * COLUMNS * folds as i64 * if nested { 2 } else { 1 };
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes as u32, 6);
        let slot = self.asm.b.create_sized_stack_slot(slot);
        let mut place = |i: usize| {
            let at = (i as i64 * FLOAT * COLUMNS) as i32;
            self.asm.b.ins().stack_addr(I64, slot, at)
        };
        let totals = Totals {
            whole: (0..folds).map(&mut place).collect(),
            partial: nested.then(|| (folds..2 * folds).map(&mut place).collect()),
        };
        let (head, exit) = self.asm.open(from, to, &[]);
        let first = self.asm.enter(head)[0];
        let left = self.asm.b.ins().isub(to, first);
        let most = self.asm.int(COLUMNS);
        let points = self.asm.b.ins().smin(left, most);
        let mut inner = s.clone();
        inner.indices.push(first);
        inner.pointers = (self.pointers).advance(self.asm, &s.pointers, depth, first);
        self.begin(&totals.whole, points)?;
        if let Some(partial) = &totals.partial {
            self.begin(partial, points)?;
        }
        self.reduced(depth + 1, &inner, &totals, points)?;
        self.end(&inner, &totals.whole, points)?;
        self.asm.close(head, exit, first, to, COLUMNS, &[]);
        Ok(())
    }

    /// The loops from `depth` on, and the row inside them.
    fn reduced(
        &mut self,
        depth: usize,
        s: &State,
        totals: &Totals,
        points: Value,
    ) -> Result<(), Diagnostic> {
        let mut s = s.clone();
        for i in 0..self.l.exprs.len() {
            if self.depths[i] == depth && !self.varied[i] && !self.absorbed[i] {
                let c = self.compute(&s, i)?;
                s.computed[i] = Some(c);
            }
        }
        if depth == self.nest.axes.len() {
            return self.add_rows(&s, totals.inner(), points, None);
        }
        let (mut from, to) = (self.asm.int(0), self.sizes[depth]);
        if let Some(rows) = self.rows_at_once(depth) {
            let whole = self.asm.b.ins().band_imm_s(to, -ROWS);
            let (head, exit) = self.asm.open(from, whole, &[]);
            let turn = self.asm.enter(head)[0];
            let mut inner = s.clone();
            inner.indices.push(turn);
            inner.pointers = (self.pointers).advance(self.asm, &s.pointers, depth, turn);
            self.add_rows(&inner, totals.inner(), points, Some(&rows))?;
            from = self.asm.close(head, exit, turn, whole, ROWS, &[])[0];
        }
        let (head, exit) = self.asm.open(from, to, &[]);
        let turn = self.asm.enter(head)[0];
        let mut inner = s.clone();
        inner.indices.push(turn);
        inner.pointers = (self.pointers).advance(self.asm, &s.pointers, depth, turn);
        self.reduced(depth + 1, &inner, totals, points)?;
        // The innermost loop has ended: its sums are one term of the whole.
        if let (Some(partial), true) = (&totals.partial, depth + 2 == self.nest.axes.len()) {
            self.combine_rows(&totals.whole, partial, points)?;
        }
        self.asm.close(head, exit, turn, to, 1, &[]);
        Ok(())
    }

    /// Whether several rows along the axis at `depth` can be added at once: bytes from row to row, of each group of
    /// pointers. Nothing else may change from row to row.
    fn rows_at_once(&self, depth: usize) -> Option<Vec<i32>> {
        let innermost = depth + 1 == self.nest.axes.len();
        let many = (self.nest.axes[depth].size.as_const()).is_none_or(|n| n >= ROWS);
        let same = |i: usize| self.varied[i] || self.depths[i] <= depth;
        let exprs = self.l.exprs.len();
        if !innermost || !many || exprs * ROWS as usize > MOST_AT_ONCE || !(0..exprs).all(same) {
            return None;
        }
        // Displacements of places are less than a gibibyte too.
        let between = |k: usize| match self.pointers.stride(self.places[k].group, depth) {
            Stride::Fixed(n) if n.abs() < 1 << 24 => i32::try_from(n * FLOAT).ok(),
            Stride::Fixed(_) | Stride::Bytes(_) => None,
        };
        let mut all = Vec::new();
        for k in 0..self.nest.loads.len() {
            let group = self.places[k].group;
            all.resize(all.len().max(group + 1), 0);
            all[group] = between(k)?;
        }
        Some(all)
    }

    fn kinds(&self) -> Vec<FoldKind> {
        let kind = |e: &Effect| match e {
            Effect::Fold {
                op: FoldOp::Max, ..
            } => FoldKind::Max,
            Effect::Fold { .. } | Effect::Store { .. } => FoldKind::Sum,
        };
        self.l.effects.iter().map(kind).collect()
    }

    /// Puts what each fold starts from.
    fn begin(&mut self, rows: &[Value], points: Value) -> Result<(), Diagnostic> {
        let mut code = self.asm.rows.code(rows.len());
        for (k, kind) in self.kinds().into_iter().enumerate() {
            let neutral = code.reg(neutral(kind));
            code.store(neutral, k, 0);
        }
        self.call_row(&code, rows, &[], points)
    }

    /// Adds the partial sums to the whole ones, and begins them anew.
    fn combine_rows(
        &mut self,
        whole: &[Value],
        partial: &[Value],
        points: Value,
    ) -> Result<(), Diagnostic> {
        let folds = whole.len();
        let mut code = self.asm.rows.code(2 * folds);
        for (k, kind) in self.kinds().into_iter().enumerate() {
            let a = Src::Reg(code.load(k, 0, false));
            let b = Src::Reg(code.load(folds + k, 0, false));
            let all = meet(&mut code, kind, a, b);
            code.store(all, k, 0);
            let neutral = code.reg(neutral(kind));
            code.store(neutral, folds + k, 0);
        }
        self.call_row(&code, &[whole, partial].concat(), &[], points)
    }

    /// Puts the totals where they belong.
    fn end(&mut self, s: &State, whole: &[Value], points: Value) -> Result<(), Diagnostic> {
        let folds = whole.len();
        let mut code = self.asm.rows.code(2 * folds);
        let mut rows = whole.to_vec();
        for k in 0..folds {
            let place = self.places[self.nest.loads.len() + k];
            rows.push(s.pointers[place.group]);
            let total = code.load(k, 0, false);
            code.store(total, folds + k, place.bytes);
        }
        self.call_row(&code, &rows, &[], points)
    }

    /// Adds the row at the reduced axes' present turns; or, with the bytes from row to row of each group of pointers,
    /// that one and those after it, one after the other.
    fn add_rows(
        &mut self,
        s: &State,
        totals: &[Value],
        points: Value,
        between: Option<&[i32]>,
    ) -> Result<(), Diagnostic> {
        let depth = self.nest.first_reduced - 1;
        let mut arguments = Arguments::default();
        for place in &self.places[..self.nest.loads.len()] {
            let moves = matches!(self.pointers.stride(place.group, depth), Stride::Fixed(1));
            if moves && !arguments.pointers.contains(&place.group) {
                arguments.pointers.push(place.group);
            }
        }
        let groups = arguments.pointers.len();
        arguments.more = totals.len();
        let mut code = self.asm.rows.code(groups + totals.len());
        let kinds = self.kinds();
        let mut sums: Vec<V> = (0..kinds.len())
            .map(|k| code.load(groups + k, 0, false))
            .collect();
        for row in 0..between.map_or(1, |_| ROWS as i32) {
            let further = |g: &usize| {
                between
                    .and_then(|b| b.get(*g))
                    .map_or(0, |bytes| bytes * row)
            };
            arguments.further = arguments.pointers.iter().map(further).collect();
            let values = self.row_values(&mut arguments, depth, &mut code)?;
            for ((kind, sum), effect) in kinds.iter().zip(&mut sums).zip(&self.l.effects) {
                let (value, total) = (effect_value(effect), Src::Reg(*sum));
                *sum = match self.absorbed_product(value) {
                    Some((x, y)) => {
                        let x = self.operand_of(x, &values, &mut arguments)?;
                        let y = self.operand_of(y, &values, &mut arguments)?;
                        code.fma((x, y), total, false, false)
                    }
                    None => {
                        let x = self.operand_of(value, &values, &mut arguments)?;
                        meet(&mut code, *kind, total, x)
                    }
                };
            }
        }
        for (k, sum) in sums.into_iter().enumerate() {
            code.store(sum, groups + k, 0);
        }
        let mut rows: Vec<Value> = (arguments.pointers.iter())
            .map(|g| s.pointers[*g])
            .collect();
        rows.extend(totals);
        let first = s.indices.get(depth).copied();
        let first = first.ok_or_else(|| internal(&"a row of columns without a first one"))?;
        let first = self.asm.b.ins().ireduce(I32, first);
        let numbers = self.numbers(s, &arguments, first)?;
        self.call_row(&code, &rows, &numbers, points)
    }
}

fn neutral(kind: FoldKind) -> Src {
    float(match kind {
        FoldKind::Sum => 0.0,
        FoldKind::Max => f32::NEG_INFINITY,
    })
}

/// `a + b`, or the greater, NaN where either is.
fn meet(code: &mut Code, kind: FoldKind, a: Src, b: Src) -> V {
    match kind {
        FoldKind::Sum => code.two(Two::Add, a, b),
        FoldKind::Max => {
            let m = code.two(Two::Max, a, b);
            let a = code.reg(a);
            code.keep_nan(a, m)
        }
    }
}
