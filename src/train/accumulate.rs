//! The gradient of one batch, computed at once or in parts.
//!
//! In: a batch, whole or in parts. Out: [`Taken`]; the batch's gradient
//! in [`Run::grads`] and the states after it in [`Run::carried`].
//!
//! A batch's loss is, target by target, the sum of its errors divided by how many of its steps
//! count. The parts hold disjoint rows, so where each is divided by the whole batch's totals, which
//! are counted before the first is computed, their losses and gradients add up to the batch's own.
//! Only the order of the sums differs, by rounding.

use std::collections::BTreeMap;

use super::epoch::counted;
use super::failure::Failure;
use super::feed::Carried;
use super::run::Run;
use crate::data::{Batch, Tensor};
use crate::settings::{total, total_of};
use crate::targets::executable::{Draw, Role, Signature};

/// Draws of different parts have seeds that differ above this bit, past any seed that can be
/// written in a file.
const PART_BIT: u32 = 54;

/// One batch that was computed.
pub(super) struct Taken {
    /// The mean error, and the steps or examples it is the mean of.
    pub loss: f64,
    pub items: f64,
}

impl Run<'_> {
    /// Computes a batch, given in its parts: one, or those of `accumulate`, each with the number of
    /// its first row.
    pub(super) fn gradient(&mut self, parts: Vec<(Batch, usize)>) -> Result<Taken, Failure> {
        if parts.first().is_some_and(|(first, _)| !first.carries) {
            self.carried.clear();
        }
        match (self.plan.settings.accumulate, &parts[..]) {
            (0 | 1, [(batch, _)]) => self.whole(batch),
            _ => self.parts(parts),
        }
    }

    fn whole(&mut self, batch: &Batch) -> Result<Taken, Failure> {
        let loss = self.call(batch, 0)?;
        self.feed.carry(&mut self.carried);
        let items = counted(&self.feed, batch);
        Ok(Taken { loss, items })
    }

    fn parts(&mut self, mut parts: Vec<(Batch, usize)>) -> Result<Taken, Failure> {
        let rows = parts.iter().map(|(b, _)| b.rows).sum();
        let totals = self.totals(&parts, rows);
        let before = std::mem::take(&mut self.carried);
        let mut all = Carried::new();
        let mut sum = vec![0.0f32; self.grads.len()];
        let mut taken = Taken {
            loss: 0.0,
            items: 0.0,
        };
        let mut found: BTreeMap<String, f64> = BTreeMap::new();
        for (k, (batch, at)) in parts.iter_mut().enumerate() {
            for (name, n) in &totals {
                let n = n.max(1.0) as f32;
                batch.data.push((total(name), Tensor::F32(vec![n])));
            }
            self.carried = cut(&before, *at, batch.rows, rows);
            taken.loss += self.call(batch, k as u64)?;
            taken.items += counted(&self.feed, batch);
            for (role, values) in self.feed.outputs() {
                if let Role::LossCount(target) = role {
                    let n = values.first().copied().unwrap_or(0.0);
                    *found.entry(target.clone()).or_default() += f64::from(n);
                }
            }
            for (s, g) in sum.iter_mut().zip(&self.grads) {
                *s += g;
            }
            let mut after = Carried::new();
            self.feed.carry(&mut after);
            join(&mut all, after, *at, batch.rows, rows);
        }
        self.carried = all;
        self.grads = sum;
        // What the totals were counted by is what the model counts.
        for (target, n) in found {
            let counted = totals.get(&target).copied();
            if counted.is_some_and(|c| c != n) {
                let message = format!("`{target}` has {n} steps in parts, not {counted:?}");
                return Err(Failure::program("internal::totals", message));
            }
        }
        Ok(taken)
    }

    /// One call on rows of the present batch: its loss, as a part of the batch's.
    fn call(&mut self, batch: &Batch, part: u64) -> Result<f64, Failure> {
        let draw = Draw {
            seed: self.plan.settings.seed ^ (part << PART_BIT),
            step: self.progress.step,
        };
        let form = self.plan.functions.train.form(batch.carries);
        let (carried, weights) = (&self.carried, &self.weights);
        // Where every weight is frozen there are none.
        let grads = match form.signature().has_grads {
            true => &mut self.grads[..],
            false => &mut [],
        };
        self.feed.run(form, batch, carried, weights, grads, draw)?;
        Ok(self.feed.number(&Role::Loss).unwrap_or(f64::NAN))
    }

    /// What the function divides by: of each target its steps (or examples) that count, of a time
    /// its real steps, of `B` the examples.
    fn totals(&self, parts: &[(Batch, usize)], rows: usize) -> BTreeMap<String, f64> {
        let signature: &Signature = self.plan.functions.train.start.signature();
        let names = signature.inputs.iter().filter_map(|i| match &i.role {
            Role::Data(name) => total_of(name),
            _ => None,
        });
        let real = |time: &str| {
            let lengths = parts.iter().filter_map(|(b, _)| b.lengths(time));
            lengths.flatten().map(|n| f64::from(*n)).sum::<f64>()
        };
        let one = |name: &str| match self.plan.dataset.column(name) {
            Some(column) => {
                let labels = |(b, _): &(Batch, usize)| match b.data(name) {
                    // Padding and labels that do not count are below 0.
                    Some(Tensor::I32(v)) => Some(v.iter().filter(|y| **y >= 0).count() as f64),
                    Some(Tensor::F32(_)) | None => None,
                };
                let labels: Option<Vec<f64>> = parts.iter().map(labels).collect();
                match (labels, &column.time) {
                    (Some(counts), _) => counts.iter().sum(),
                    (None, Some(time)) => real(time),
                    (None, None) => rows as f64,
                }
            }
            None if parts.iter().any(|(b, _)| b.lengths(name).is_some()) => real(name),
            None => rows as f64,
        };
        names.map(|n| (n.to_string(), one(n))).collect()
    }
}

/// The states of some rows.
fn cut(carried: &Carried, at: usize, rows: usize, of: usize) -> Carried {
    let part = |v: &Vec<f32>| {
        let width = v.len() / of.max(1);
        v[at * width..(at + rows) * width].to_vec()
    };
    carried.iter().map(|(p, v)| (p.clone(), part(v))).collect()
}

/// Puts the states of some rows in their place among all.
fn join(all: &mut Carried, some: Carried, at: usize, rows: usize, of: usize) {
    for (path, values) in some {
        let width = values.len() / rows.max(1);
        let whole = all.entry(path).or_default();
        whole.resize(of * width, 0.0);
        whole[at * width..at * width + values.len()].copy_from_slice(&values);
    }
}
