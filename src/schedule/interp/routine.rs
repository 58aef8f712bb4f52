//! The interpreter's arm for each [`Routine`].

use super::super::program::*;
use super::Machine;
use crate::philox::{self, Domain, Place};

impl Machine<'_> {
    pub(super) fn routine(&mut self, r: &Routine) -> Result<(), String> {
        match r {
            Routine::Top { k, x, out } => {
                let (shape, x) = self.read(x)?;
                let rows = x.chunks(last(&shape)).flat_map(|row| top(row, *k));
                self.write(out, &rows.collect::<Vec<f64>>())
            }
            Routine::Softmax { x, out } => {
                let (shape, x) = self.read(x)?;
                let rows = x.chunks(last(&shape)).flat_map(softmax);
                self.write(out, &rows.collect::<Vec<f64>>())
            }
            Routine::CrossEntropy {
                logits,
                target,
                out,
            } => {
                let (shape, x) = self.read(logits)?;
                let (_, y) = self.read(target)?;
                let rows = x.chunks(last(&shape)).zip(&y);
                let loss = rows.map(|(row, y)| match *y < 0.0 {
                    true => 0.0,
                    false => {
                        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                        let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
                        top + sum.ln() - row[*y as usize]
                    }
                });
                self.write(out, &loss.collect::<Vec<f64>>())
            }
            Routine::CrossEntropyGrad {
                logits,
                target,
                g,
                out,
            } => {
                let (shape, x) = self.read(logits)?;
                let (y, g) = (self.read(target)?.1, self.read(g)?.1);
                let n = last(&shape);
                let mut all = Vec::with_capacity(x.len());
                for ((row, y), g) in x.chunks(n).zip(&y).zip(&g) {
                    let none = *y < 0.0 || *g == 0.0;
                    let p = softmax(row).into_iter().enumerate();
                    all.extend(p.map(|(i, p)| match none {
                        true => 0.0,
                        false => (p - f64::from(i == *y as usize)) * g,
                    }));
                }
                self.write(out, &all)
            }
            Routine::Gather { table, index, out } => {
                let (shape, table) = self.read(table)?;
                let (_, index) = self.read(index)?;
                let n: usize = shape[1..].iter().product::<i64>() as usize;
                let mut all = Vec::new();
                for i in index {
                    match i < 0.0 {
                        true => all.extend(std::iter::repeat_n(0.0, n)),
                        false => all.extend(&table[i as usize * n..(i as usize + 1) * n]),
                    }
                }
                self.write(out, &all)
            }
            Routine::ScatterAdd { grad, index, out } => {
                let (_, grad) = self.read(grad)?;
                let (_, index) = self.read(index)?;
                let shape = self.sizes(&out.shape())?;
                let n = shape[1..].iter().product::<i64>() as usize;
                let mut all = vec![0.0; shape[0] as usize * n];
                for (i, row) in index.iter().zip(grad.chunks(n.max(1))) {
                    if *i >= 0.0 {
                        let to = &mut all[*i as usize * n..(*i as usize + 1) * n];
                        to.iter_mut().zip(row).for_each(|(a, b)| *a += b);
                    }
                }
                self.write(out, &all)
            }
            Routine::Take { x, len, out } => {
                let (shape, x) = self.read(x)?;
                let (batch, row) = (shape[1] as usize, last_all(&shape[2..]));
                let mut all = vec![0.0; batch * row];
                for (b, to) in all.chunks_mut(row.max(1)).enumerate() {
                    if let Some(t) = self.taken(len, b, shape[0])? {
                        to.copy_from_slice(&x[(t * batch + b) * row..][..row]);
                    }
                }
                self.write(out, &all)
            }
            Routine::Put { g, len, out } => {
                let (_, g) = self.read(g)?;
                let shape = self.sizes(&out.shape())?;
                let (batch, row) = (shape[1] as usize, last_all(&shape[2..]));
                let mut all = vec![0.0; shape[0] as usize * batch * row];
                for (b, from) in g.chunks(row.max(1)).enumerate() {
                    if let Some(t) = self.taken(len, b, shape[0])? {
                        all[(t * batch + b) * row..][..row].copy_from_slice(from);
                    }
                }
                self.write(out, &all)
            }
            Routine::Random {
                path,
                dist,
                timed,
                out,
            } => self.random(path, *dist, *timed, out),
        }
    }

    /// The step that an example's value is taken from or put to; `None` for an empty example.
    fn taken(&self, len: &Option<View>, b: usize, steps: i64) -> Result<Option<usize>, String> {
        let t = match len {
            None => 0,
            Some(v) => self.get(&self.walk(v)?, &[b as i64])? as i64 - 1,
        };
        Ok((0..steps).contains(&t).then_some(t as usize))
    }

    fn random(&mut self, path: &str, dist: Dist, timed: bool, out: &View) -> Result<(), String> {
        let place = Place {
            key: philox::key(self.data.draw.0, Domain::Dropout),
            path: philox::path_hash(path),
            step: self.data.draw.1 as u32,
        };
        let shape = self.sizes(&out.shape())?;
        let lead = 1 + usize::from(timed);
        let batch = shape[lead - 1] as usize;
        let mut row = vec![0.0f32; last_all(&shape[lead..])];
        let mut all = Vec::new();
        for r in 0..last_all(&shape[..lead]) {
            let t = if timed { r / batch } else { self.time };
            let (example, t) = ((r % batch) as u32, t as u32);
            match dist {
                Dist::Uniform => place.fill_uniform(&mut row, example, t),
                Dist::Normal => place.fill_normal(&mut row, example, t),
            }
            all.extend(row.iter().map(|x| f64::from(*x)));
        }
        self.write(out, &all)
    }
}

fn last(shape: &[i64]) -> usize {
    shape.last().map_or(1, |n| (*n as usize).max(1))
}

fn last_all(shape: &[i64]) -> usize {
    shape.iter().product::<i64>() as usize
}

fn top(row: &[f64], k: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    // Stable: of equal values the first comes first.
    order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
    let mut out = vec![0.0; row.len()];
    order.into_iter().take(k).for_each(|i| out[i] = 1.0);
    out
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return vec![0.0; row.len()];
    }
    let e: Vec<f64> = row.iter().map(|v| (v - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|v| v / sum).collect()
}
