//! The interpreter's loop over time: holds, stacks and the direction of a scan.

use super::super::op::*;
use super::{Machine, Tensor};

impl Machine<'_> {
    pub(super) fn scan(&mut self, scan: &Scan) -> Result<(), String> {
        let steps = self.size(&scan.extent)?;
        let lens: Option<Vec<usize>> = match scan.len {
            Some(len) => Some(self.get(len)?.data.iter().map(|x| *x as usize).collect()),
            None => None,
        };
        for c in &scan.carries {
            let init = self.get(c.init)?.clone();
            self.set(c.param, init);
        }
        for s in &scan.stacks {
            let shape = self.shape(self.func.shape(s.to))?;
            self.set(s.to, Tensor::filled(shape, 0.0));
        }
        let around = self.time;
        for i in 0..steps {
            let t = if scan.reverse { steps - 1 - i } else { i };
            self.time = t;
            self.step(scan, t, lens.as_deref())?;
        }
        self.time = around;
        for c in &scan.carries {
            let last = self.get(c.param)?.clone();
            self.set(c.last, last);
        }
        Ok(())
    }

    fn step(&mut self, scan: &Scan, t: usize, lens: Option<&[usize]>) -> Result<(), String> {
        let real = |b: usize| lens.is_none_or(|l| t < l[b]);
        for s in &scan.slices {
            let from = self.get(s.from)?;
            let step = Tensor::new(from.shape[1..].to_vec(), from.row(t).to_vec());
            self.set(s.to, step);
        }
        if let (Some(valid), Some(lens)) = (scan.valid, lens) {
            let ones = lens.iter().map(|l| f64::from(t < *l)).collect();
            self.set(valid, Tensor::new(vec![lens.len()], ones));
        }
        self.region(&scan.body)?;
        let mut next = Vec::new();
        for c in &scan.carries {
            let mut new = self.get(c.next)?.clone();
            let batched = self.func.shape(c.param).first() == Some(&Func::batch());
            if batched && lens.is_some() {
                let old = self.get(c.param)?;
                for b in (0..new.shape[0]).filter(|b| !real(*b)) {
                    new.row_mut(b).copy_from_slice(old.row(b));
                }
            }
            next.push(new);
        }
        for s in &scan.stacks {
            let carried = scan.carries.iter().position(|c| c.next == s.from);
            let before = scan.carries.iter().any(|c| c.param == s.from);
            let mut value = match carried {
                Some(i) => next[i].clone(),
                None => self.get(s.from)?.clone(),
            };
            let batched = self.func.shape(s.from).first() == Some(&Func::batch());
            if carried.is_none() && !before && batched && lens.is_some() {
                for b in (0..value.shape[0]).filter(|b| !real(*b)) {
                    value.row_mut(b).fill(0.0);
                }
            }
            let to = self.values[s.to.0 as usize]
                .as_mut()
                .ok_or("a stack without memory")?;
            to.row_mut(t).copy_from_slice(&value.data);
        }
        for (c, new) in scan.carries.iter().zip(next) {
            self.set(c.param, new);
        }
        Ok(())
    }
}
