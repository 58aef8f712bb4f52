//! Code for a fused group: loops around straight-line code, one or four points at a time.
//!
//! In: a [`Loop`] and its [`Nest`]. Out: one function that runs a range of the outermost kept axis, or of the last.
//!
//! An expression is computed in the outermost loop that has all it depends on; a value that does not change along the
//! vector axis is computed once and repeated in every lane. The vector loop runs blocks of several vectors, then single
//! vectors, then single floats, all with the same arithmetic, so an element's bits depend neither on the block it falls
//! in nor on how the range was cut. A product used by one sum only is fused with it (one rounding) where the machine
//! can.
//!
//! **Order of sums.** Over other axes than the last: each column by itself, along the innermost reduced axis first,
//! those partial sums then along the outer ones. Over the last axis: four lanes in each of the block's vectors, folded by
//! a fixed tree, the remainder last. Neither depends on threads.
//!
//! **NaN.** `max`, `min` and folds give NaN if any operand is NaN. A comparison with NaN is 0, `step` of NaN is 0, `sign`
//! of NaN is NaN. A select takes its second operand where the condition is NaN, since NaN is not 0.

use cranelift_codegen::ir::{InstBuilder, Value};

use super::address::{Place, Pointers};
use super::asm::{Asm, Width};
use super::folds::{Partial, regroup};
use super::machine::internal;
use super::nest::Nest;
use super::points::{Computed, weight};
use super::wide::Wide;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::{Binary, Effect, Elem, Expr, ExprId, FoldOp, Loop};

/// Vectors in a block that sums columns: a cache line of sixteen floats.
const COLUMN_VECTORS: usize = 4;
/// Expressions beyond which a group is refused: code for one point must stay in proportion.
const MOST_EXPRS: usize = 20_000;

/// Vectors in a block, so that independent chains hide each other's latency; long bodies have enough of their own.
pub(crate) fn unroll(l: &Loop, columns: bool) -> usize {
    let weight: usize = l.exprs.iter().map(weight).sum();
    match weight {
        _ if columns && weight <= 200 => COLUMN_VECTORS,
        0..=12 => 4,
        13..=60 => 2,
        _ => 1,
    }
}

/// What the vector loop is doing: its width and how many vectors a turn has. Outside of it, one float.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) width: Width,
    pub(super) vectors: usize,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) computed: Vec<Option<Computed>>,
    /// Positions' counters.
    pub(super) indices: Vec<Value>,
    pub(super) pointers: Vec<Value>,
    pub(super) block: Block,
}

pub(crate) struct Emitter<'a, 'x, 'f, 'l> {
    pub(super) asm: &'a mut Asm<'x, 'f>,
    pub(super) l: &'l Loop,
    pub(super) nest: &'l Nest,
    pub(super) elems: Vec<Elem>,
    /// Loop depth of each expression: how many loops are around it.
    pub(super) depths: Vec<usize>,
    /// Whether it changes along the vector axis.
    pub(super) varied: Vec<bool>,
    /// A product that is part of the one sum that uses it.
    pub(super) absorbed: Vec<bool>,
    pub(super) pointers: Pointers,
    pub(super) places: Vec<Place>,
    pub(super) sizes: Vec<Value>,
    pub(super) bounds: (Value, Value),
    pub(super) vectors: usize,
    /// What the vector axis runs as.
    wide: Wide,
}

/// Emits the whole group into the function that `asm` has begun. `elems` are the types of the loads.
pub(crate) fn emit(
    asm: &mut Asm<'_, '_>,
    l: &Loop,
    nest: &Nest,
    elems: Vec<Elem>,
) -> Result<(), Diagnostic> {
    if l.exprs.len() > MOST_EXPRS {
        return Err(Diagnostic::error(
            "compile::too-long",
            format!(
                "a fused group has {} expressions; at most {MOST_EXPRS} are compiled",
                l.exprs.len()
            ),
        ));
    }
    let sizes = nest
        .axes
        .iter()
        .map(|a| asm.size(&a.size))
        .collect::<Result<Vec<_>, _>>()?;
    let (pointers, places) = Pointers::new(asm, nest.loads.iter().chain(&nest.effects))?;
    let scale = asm.size(&nest.scale)?;
    let (lo, hi) = (asm.params.lo, asm.params.hi);
    let bounds = match nest.scale.as_const() {
        Some(1) => (lo, hi),
        _ => (asm.mul(lo, scale), asm.mul(hi, scale)),
    };
    let columns = nest
        .vector
        .is_some_and(|v| v < nest.first_reduced && nest.first_reduced < nest.axes.len());
    let state = State {
        computed: vec![None; l.exprs.len()],
        indices: Vec::new(),
        pointers: pointers.bases(),
        block: Block {
            width: Width::One,
            vectors: 1,
        },
    };
    let mut e = Emitter {
        asm,
        l,
        nest,
        elems,
        depths: Vec::new(),
        varied: Vec::new(),
        absorbed: vec![false; l.exprs.len()],
        pointers,
        places,
        sizes,
        bounds,
        vectors: unroll(l, columns),
        wide: Wide::Nothing,
    };
    e.analyse()?;
    e.wide = e.what_is_wide();
    e.level(0, &state, Vec::new()).map(drop)
}

impl Emitter<'_, '_, '_, '_> {
    /// Finds depths, what varies along the vector axis, and products to fuse.
    fn analyse(&mut self) -> Result<(), Diagnostic> {
        let vector_depth = self.nest.vector.map_or(usize::MAX, |v| v + 1);
        let mut uses = vec![0usize; self.l.exprs.len()];
        for (i, e) in self.l.exprs.iter().enumerate() {
            let own = match e {
                Expr::Const(_) | Expr::Time | Expr::Size(_) => (0, false),
                Expr::Load(k) => {
                    let w = self.nest.loads.get(*k);
                    let w = w.ok_or_else(|| internal(&"a load without a view"))?;
                    let along = |v: usize| w.strides[v].as_const() != Some(0);
                    (Nest::depth(w), self.nest.vector.is_some_and(along))
                }
                Expr::Index(axis) => match self.position(*axis) {
                    Some(p) => (p + 1, p + 1 == vector_depth),
                    None => (0, false),
                },
                Expr::Unary(..) | Expr::Binary(..) | Expr::Select(..) => (0, false),
            };
            let (mut depth, mut varied) = own;
            for a in e.operands() {
                let a = a.0 as usize;
                if a >= i {
                    return Err(internal(&"an expression is used before it is computed"));
                }
                uses[a] += 1;
                depth = depth.max(self.depths[a]);
                varied |= self.varied[a];
            }
            self.depths.push(depth);
            self.varied.push(varied);
        }
        for e in &self.l.effects {
            let (Effect::Store { value, .. } | Effect::Fold { value, .. }) = e;
            uses[value.0 as usize] += 1;
        }
        for i in 0..self.l.exprs.len() {
            if let Some((product, _)) = self.fused(i, &uses) {
                self.absorbed[product] = true;
            }
        }
        for e in &self.l.effects {
            if let Effect::Fold {
                op: FoldOp::Sum,
                value,
                ..
            } = e
            {
                let i = value.0 as usize;
                let product = matches!(self.l.exprs[i], Expr::Binary(Binary::Mul, ..));
                let innermost = self.depths[i] == self.nest.axes.len();
                self.absorbed[i] |= product && innermost && uses[i] == 1 && self.asm.fma;
            }
        }
        Ok(())
    }

    /// For a sum, the operand that is a product used nowhere else and computed at the same place, and the other.
    fn fused(&self, sum: usize, uses: &[usize]) -> Option<(usize, ExprId)> {
        let Expr::Binary(Binary::Add | Binary::Sub, a, b) = &self.l.exprs[sum] else {
            return None;
        };
        [(a, b), (b, a)].into_iter().find_map(|(p, other)| {
            let i = p.0 as usize;
            let product = matches!(self.l.exprs[i], Expr::Binary(Binary::Mul, ..));
            let alone = uses[i] == 1
                && self.depths[i] == self.depths[sum]
                && self.varied[i] == self.varied[sum];
            (product && alone && self.asm.fma).then_some((i, *other))
        })
    }

    /// The position of a space's axis in the nest; `None` where it has size 1.
    pub(super) fn position(&self, axis: usize) -> Option<usize> {
        self.nest.axes.iter().position(|a| a.origin == Some(axis))
    }

    /// Emits what belongs inside `depth` loops, and the loops further in.
    fn level(
        &mut self,
        depth: usize,
        outer: &State,
        partial: Partial,
    ) -> Result<Partial, Diagnostic> {
        let mut s = outer.clone();
        for i in 0..self.l.exprs.len() {
            if self.depths[i] == depth && !self.absorbed[i] {
                let c = self.compute(&s, i)?;
                s.computed[i] = Some(c);
            }
        }
        if depth == self.nest.first_reduced
            && self.is_fold()
            && self.wide == Wide::Row
            && depth + 1 == self.nest.axes.len()
        {
            let range = self.range(depth);
            let totals = self.wide_row(&s, range)?;
            (totals.into_iter().enumerate()).for_each(|(k, total)| self.store(&s, k, 0, total));
            Ok(partial)
        } else if depth == self.nest.first_reduced && self.is_fold() {
            let start = self.start(&s);
            let end = self.around(depth, &s, start)?;
            self.store_folds(&s, end)?;
            Ok(partial)
        } else {
            self.around(depth, &s, partial)
        }
    }

    pub(super) fn is_fold(&self) -> bool {
        matches!(self.l.effects.first(), Some(Effect::Fold { .. }))
    }

    pub(super) fn reduces_vector(&self) -> bool {
        self.nest
            .vector
            .is_some_and(|v| v >= self.nest.first_reduced)
    }

    /// The loop at position `depth`, or the effects where there is none.
    fn around(&mut self, depth: usize, s: &State, partial: Partial) -> Result<Partial, Diagnostic> {
        if depth == self.nest.axes.len() {
            return self.effects(s, partial);
        }
        let (from, to) = self.range(depth);
        if self.nest.vector == Some(depth) {
            match self.wide {
                Wide::Nothing => return self.vector_loop(depth, s, partial, (from, to)),
                Wide::Row => drop(self.wide_row(s, (from, to))?),
                Wide::Columns => self.columns(s, (from, to))?,
            }
            return Ok(partial);
        }
        // Columns' partial sums along the innermost reduced axis start anew.
        let nested = self.nest.axes.len() - self.nest.first_reduced > 1;
        if depth + 1 == self.nest.axes.len() && nested && !self.reduces_vector() {
            let fresh = self.start(s);
            let inner = self.plain_loop(depth, s, fresh, (from, to))?;
            return Ok(self.combine(s.block.width, partial, inner));
        }
        self.plain_loop(depth, s, partial, (from, to))
    }

    /// The loop at `depth` runs over these.
    fn range(&mut self, depth: usize) -> (Value, Value) {
        if self.nest.is_ranged(depth) {
            self.bounds
        } else {
            (self.asm.int(0), self.sizes[depth])
        }
    }

    fn plain_loop(
        &mut self,
        depth: usize,
        s: &State,
        partial: Partial,
        (from, to): (Value, Value),
    ) -> Result<Partial, Diagnostic> {
        self.counted(depth, s, partial, (from, to), s.block)
            .map(|(_, p)| p)
    }

    /// A loop in steps of one block, with partial results carried.
    fn counted(
        &mut self,
        depth: usize,
        s: &State,
        partial: Partial,
        (from, to): (Value, Value),
        block: Block,
    ) -> Result<(Value, Partial), Diagnostic> {
        let shape: Vec<usize> = partial.iter().map(Vec::len).collect();
        let flat: Vec<Value> = partial.into_iter().flatten().collect();
        let step = if self.nest.vector == Some(depth) {
            (block.vectors * block.width.lanes()) as i64
        } else {
            1
        };
        let (head, exit) = self.asm.open(from, to, &flat);
        let params = self.asm.enter(head);
        let mut inner = s.clone();
        inner.block = block;
        inner.indices.push(params[0]);
        inner.pointers = self
            .pointers
            .advance(self.asm, &s.pointers, depth, params[0]);
        let carried = regroup(&params[1..], &shape);
        let after = self.level(depth + 1, &inner, carried)?;
        let flat: Vec<Value> = after.into_iter().flatten().collect();
        let out = self.asm.close(head, exit, params[0], to, step, &flat);
        Ok((out[0], regroup(&out[1..], &shape)))
    }

    /// Blocks of vectors, single vectors, single floats.
    fn vector_loop(
        &mut self,
        depth: usize,
        s: &State,
        mut partial: Partial,
        (mut from, to): (Value, Value),
    ) -> Result<Partial, Diagnostic> {
        let ranged = self.nest.is_ranged(depth);
        let mut left = (!ranged)
            .then(|| self.nest.axes[depth].size.as_const())
            .flatten();
        let mut blocks = vec![
            Block {
                width: Width::Four,
                vectors: self.vectors,
            },
            Block {
                width: Width::Four,
                vectors: 1,
            },
            Block {
                width: Width::One,
                vectors: 1,
            },
        ];
        blocks.dedup_by_key(|b| (b.width, b.vectors));
        for block in blocks {
            let step = (block.vectors * block.width.lanes()) as i64;
            if let Some(n) = left {
                if n < step {
                    continue;
                }
                left = Some(n % step);
            }
            let bound = if step == 1 {
                to
            } else {
                self.asm.b.ins().iadd_imm_s(to, 1 - step)
            };
            if self.reduces_vector() {
                // The block's own share of the partial results: its vectors, or the single floats' one.
                let own = match block.width {
                    Width::Four => 0..block.vectors,
                    Width::One => self.vectors..self.vectors + 1,
                };
                let share = partial.iter().map(|p| p[own.clone()].to_vec()).collect();
                let (next, share) = self.counted(depth, s, share, (from, bound), block)?;
                from = next;
                for (all, new) in partial.iter_mut().zip(share) {
                    all.splice(own.clone(), new);
                }
            } else {
                let (next, same) = self.counted(depth, s, partial, (from, bound), block)?;
                (from, partial) = (next, same);
            }
        }
        Ok(partial)
    }
}
