//! Partial results of folds: what they start from, how they meet, where they end.
//!
//! In: values of each point. Out: one result a kept point, combined in an order that sizes alone decide.

use cranelift_codegen::ir::{InstBuilder, Value};

use super::asm::{Asm, Width};
use super::loops::{Emitter, State};
use super::machine::internal;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::{Effect, FoldOp};

/// Partial results of every fold: one a vector of the block, or more where the vector axis is itself reduced.
pub(super) type Partial = Vec<Vec<Value>>;

impl Emitter<'_, '_, '_, '_> {
    fn folds(&self) -> Vec<FoldOp> {
        let op = |e: &Effect| match e {
            Effect::Fold { op, .. } => Some(*op),
            Effect::Store { .. } => None,
        };
        self.l.effects.iter().filter_map(op).collect()
    }

    /// What every partial result starts from.
    pub(super) fn start(&mut self, s: &State) -> Partial {
        let neutral = |op: &FoldOp| match op {
            FoldOp::Sum => 0.0,
            FoldOp::Max => f32::NEG_INFINITY,
        };
        let folds = self.folds();
        let mut out = Vec::new();
        for op in &folds {
            out.push(if self.reduces_vector() {
                let four = self.asm.float(Width::Four, neutral(op));
                let one = self.asm.float(Width::One, neutral(op));
                let mut p = vec![four; self.vectors];
                p.push(one);
                p
            } else {
                let v = self.asm.float(s.block.width, neutral(op));
                vec![v; s.block.vectors]
            });
        }
        out
    }

    fn fold(asm: &mut Asm<'_, '_>, w: Width, op: FoldOp, a: Value, b: Value) -> Value {
        match op {
            FoldOp::Sum => asm.b.ins().fadd(a, b),
            FoldOp::Max => {
                let m = asm.greater(w, a, b);
                asm.keep_nan(w, a, m)
            }
        }
    }

    pub(super) fn combine(&mut self, w: Width, a: Partial, b: Partial) -> Partial {
        let folds = self.folds();
        let mut out = Vec::new();
        for (op, (a, b)) in folds.into_iter().zip(a.into_iter().zip(b)) {
            let pairs = a.into_iter().zip(b);
            out.push(
                pairs
                    .map(|(a, b)| Self::fold(self.asm, w, op, a, b))
                    .collect(),
            );
        }
        out
    }

    /// Brings partial results to one a column and stores them.
    pub(super) fn store_folds(&mut self, s: &State, partial: Partial) -> Result<(), Diagnostic> {
        let folds = self.folds();
        for (k, (op, mut p)) in folds.into_iter().zip(partial).enumerate() {
            if !self.reduces_vector() {
                for (v, value) in p.into_iter().enumerate() {
                    self.store(s, k, v, value);
                }
                continue;
            }
            let rest = p
                .pop()
                .ok_or_else(|| internal(&"a fold without a result"))?;
            while p.len() > 1 {
                let half = p.split_off(p.len().div_ceil(2));
                for (i, b) in half.into_iter().enumerate() {
                    p[i] = Self::fold(self.asm, Width::Four, op, p[i], b);
                }
            }
            let total = self
                .asm
                .fold_lanes(p[0], |asm, a, b| Self::fold(asm, Width::One, op, a, b));
            let total = Self::fold(self.asm, Width::One, op, total, rest);
            self.store(s, k, 0, total);
        }
        Ok(())
    }

    /// Stores, or adds to the partial results.
    pub(super) fn effects(
        &mut self,
        s: &State,
        mut partial: Partial,
    ) -> Result<Partial, Diagnostic> {
        let mut stores = Vec::new();
        for (k, effect) in self.l.effects.iter().enumerate() {
            match effect {
                Effect::Store { value, .. } => {
                    for v in 0..s.block.vectors {
                        stores.push((k, v, self.value(s, *value, v)));
                    }
                }
                Effect::Fold { op, value, .. } => {
                    let w = s.block.width;
                    let product = self.absorbed_product(*value);
                    for (v, p) in partial[k].iter_mut().enumerate() {
                        *p = match product {
                            Some((x, y)) => {
                                let (x, y) = (self.operand(s, x, v, w), self.operand(s, y, v, w));
                                self.asm.fma(x, y, *p)
                            }
                            None => {
                                let x = self.value(s, *value, v);
                                Self::fold(self.asm, w, *op, *p, x)
                            }
                        };
                    }
                }
            }
        }
        for (k, v, value) in stores {
            self.store(s, k, v, value);
        }
        Ok(partial)
    }
}

/// Partial results out of a loop that carried them one after the other.
pub(super) fn regroup(flat: &[Value], shape: &[usize]) -> Partial {
    let mut at = 0;
    let group = |n: &usize| {
        at += n;
        flat[at - n..at].to_vec()
    };
    shape.iter().map(group).collect()
}
