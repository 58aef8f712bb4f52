//! The rules of a scheduled program, checked after scheduling in debug builds and tests.
//!
//! In: a [`Program`]. Out: the first broken rule, with the task or buffer that breaks it.
//!
//! 1. Weights and inputs are never written; every result and gradient is.
//! 2. No buffer is read before a task has written it.
//! 3. Every view stays inside its buffer, checked at sizes 1, 2 and 5 of the launch symbols.
//! 4. A loop's views have its space (a fold's, the axes kept); its effects are all stores or all
//!    folds, and only folds reduce; operands come before their uses.
//! 5. A product does not overwrite what it reads; its views carry no axes of their own.
//! 6. `t` is used inside a scan's body only.
//! 7. A life covers every touch. Buffers that share a slot have lives apart, and fit it.
//! 8. An epilogue names an earlier product of its list whose result the loop reads.

use super::access;
use super::program::*;
use crate::dim::{Dim, Sym};

const SAMPLES: [i64; 3] = [1, 2, 5];

pub fn verify(p: &Program) -> Result<(), String> {
    let mut c = Checker {
        p,
        written: p
            .buffers
            .iter()
            .map(|b| matches!(b.home, Home::Param(_) | Home::Input(_)))
            .collect(),
    };
    for (i, t) in p.tasks.iter().enumerate() {
        for v in access::of(t).all() {
            let b = c.buffer(v)?;
            if i < b.life.0 || i > b.life.1 {
                return Err(format!("task {i} touches '{}' outside its life", b.name));
            }
        }
        c.task(t, &p.tasks, None)?;
    }
    for (b, written) in p.buffers.iter().zip(&c.written) {
        if !written && matches!(b.home, Home::Output(_) | Home::Grad(_)) {
            return Err(format!("nothing writes the result '{}'", b.name));
        }
    }
    c.slots()
}

struct Checker<'a> {
    p: &'a Program,
    written: Vec<bool>,
}

impl Checker<'_> {
    fn buffer(&self, v: &View) -> Result<&Buffer, String> {
        let at = self.p.buffers.get(v.buffer.0 as usize);
        at.ok_or_else(|| format!("a view of buffer {}, which is not there", v.buffer.0))
    }

    fn size(&self, d: &Dim, launch: i64) -> Option<i64> {
        d.eval(&|s: &Sym| match self.p.dims.get(s)?.binding {
            crate::dim::Binding::Static(v) => v,
            crate::dim::Binding::Launch => Some(launch),
        })
    }

    fn task(&mut self, t: &Task, list: &[Task], scan: Option<&Dim>) -> Result<(), String> {
        match t {
            Task::Scan(s) => {
                for t in &s.body {
                    self.task(t, &s.body, Some(&s.extent))?;
                }
                return Ok(());
            }
            Task::Loop(l) => self
                .a_loop(l, list, scan.is_some())
                .map_err(|e| format!("loop '{}': {e}", l.name))?,
            Task::Gemm(g) => self
                .gemm(g, scan)
                .map_err(|e| format!("gemm '{}': {e}", g.name))?,
            Task::Routine { .. } => {}
        }
        let touched = access::of(t);
        for v in &touched.reads {
            self.in_bounds(v, &[], scan)?;
            if !self.written[v.buffer.0 as usize] {
                let name = &self.buffer(v)?.name;
                return Err(format!("'{name}' is read before it is written"));
            }
        }
        for v in &touched.writes {
            self.in_bounds(v, &[], scan)?;
            let b = self.buffer(v)?;
            if matches!(b.home, Home::Param(_) | Home::Input(_)) {
                return Err(format!("'{}' is written, which is given", b.name));
            }
            self.written[v.buffer.0 as usize] = true;
        }
        Ok(())
    }

    /// `more` are indices beside the view's axes: sizes and strides.
    fn in_bounds(&self, v: &View, more: &[(&Dim, &Dim)], scan: Option<&Dim>) -> Result<(), String> {
        let b = self.buffer(v)?;
        if v.step.is_some() && scan.is_none() {
            return Err(format!("'{}' moves with a step outside a scan", b.name));
        }
        for launch in SAMPLES {
            let of = |d: &Dim| self.size(d, launch);
            let mut axes: Vec<(&Dim, &Dim)> = v.axes.iter().map(|a| (&a.size, &a.stride)).collect();
            axes.extend(more);
            if let (Some(step), Some(extent)) = (&v.step, scan) {
                axes.push((extent, step));
            }
            let Some(total) = b
                .shape
                .iter()
                .map(of)
                .try_fold(1i64, |n, d| n.checked_mul(d?))
            else {
                continue; // A size that is not known yet, or too large to be compared.
            };
            let Some(mut end) = of(&v.offset) else {
                continue;
            };
            let mut start = end;
            let mut empty = false;
            for (size, stride) in axes {
                let (Some(size), Some(stride)) = (of(size), of(stride)) else {
                    return Err(format!("a view of '{}' has an unknown size", b.name));
                };
                empty |= size <= 0;
                let far = (size - 1).saturating_mul(stride);
                end = end.saturating_add(far.max(0));
                start = start.saturating_add(far.min(0));
            }
            if !empty && (start < 0 || end >= total) {
                return Err(format!(
                    "'{}' is viewed at {start} to {end} of {total} (launch sizes {launch})",
                    b.name
                ));
            }
        }
        Ok(())
    }

    fn a_loop(&self, l: &Loop, list: &[Task], in_scan: bool) -> Result<(), String> {
        if l.reduced.len() != l.space.len() {
            return Err("its reduced axes do not match its space".into());
        }
        for v in &l.loads {
            if v.shape() != l.space {
                return Err(format!(
                    "a load of '{}' has another space",
                    self.buffer(v)?.name
                ));
            }
        }
        for (i, e) in l.exprs.iter().enumerate() {
            let before = |x: &ExprId| (x.0 as usize) < i;
            let fine = match e {
                Expr::Const(_) | Expr::Size(_) => true,
                Expr::Load(at) => *at < l.loads.len(),
                Expr::Index(axis) => *axis < l.space.len(),
                Expr::Time => in_scan,
                Expr::Unary(_, x) => before(x),
                Expr::Binary(_, x, y) => before(x) && before(y),
                Expr::Select(x, y, z) => before(x) && before(y) && before(z),
            };
            if !fine {
                return Err(format!("expression {i} ({e:?}) is out of place"));
            }
        }
        let kept: Vec<Dim> = l
            .space
            .iter()
            .zip(&l.reduced)
            .filter(|(_, reduced)| !**reduced)
            .map(|(d, _)| d.clone())
            .collect();
        let folds = l
            .effects
            .iter()
            .filter(|e| matches!(e, Effect::Fold { .. }))
            .count();
        if l.effects.is_empty() || (folds != 0 && folds != l.effects.len()) {
            return Err("its effects are neither all stores nor all folds".into());
        }
        if (folds > 0) != l.reduced.contains(&true) {
            return Err("only folds reduce axes".into());
        }
        for e in &l.effects {
            let (value, to) = match e {
                Effect::Store { value, to } | Effect::Fold { value, to, .. } => (value, to),
            };
            if value.0 as usize >= l.exprs.len() || to.shape() != kept {
                return Err(format!(
                    "what it gives '{}' does not fit",
                    self.buffer(to)?.name
                ));
            }
        }
        let Some(g) = l.epilogue_of else {
            return Ok(());
        };
        match list.get(g) {
            Some(Task::Gemm(g)) if l.loads.iter().any(|v| v.buffer == g.out.buffer) => Ok(()),
            _ => Err(format!("it is no epilogue of task {g}")),
        }
    }

    fn gemm(&self, g: &Gemm, scan: Option<&Dim>) -> Result<(), String> {
        if g.out == g.lhs || g.out == g.rhs {
            return Err("it overwrites an operand".into());
        }
        for (v, stride) in [
            (&g.lhs, (|a| &a.lhs) as fn(&GemmAxis) -> &Dim),
            (&g.rhs, |a| &a.rhs),
            (&g.out, |a| &a.out),
        ] {
            if !v.axes.is_empty() {
                return Err("its views have axes of their own".into());
            }
            let all = g.batch.iter().chain(&g.m).chain(&g.n).chain(&g.k);
            let more: Vec<(&Dim, &Dim)> = all.map(|a| (&a.size, stride(a))).collect();
            self.in_bounds(v, &more, scan)?;
        }
        Ok(())
    }

    fn slots(&self) -> Result<(), String> {
        for (i, a) in self.p.buffers.iter().enumerate() {
            let Home::Temp(slot) = a.home else { continue };
            let Some(sizes) = self.p.slots.get(slot) else {
                return Err(format!("'{}' has slot {slot}, which is not there", a.name));
            };
            for launch in SAMPLES {
                let of = |d: &Dim| self.size(d, launch);
                let need = a
                    .shape
                    .iter()
                    .map(of)
                    .try_fold(1i64, |n, d| n.checked_mul(d?));
                let room = sizes.iter().filter_map(of).max();
                if let (Some(need), Some(room)) = (need, room)
                    && need > room
                {
                    return Err(format!("'{}' needs {need} of slot {slot}'s {room}", a.name));
                }
            }
            for b in &self.p.buffers[i + 1..] {
                if a.home == b.home && a.life.0 <= b.life.1 && b.life.0 <= a.life.1 {
                    return Err(format!(
                        "'{}' and '{}' share slot {slot} at once",
                        a.name, b.name
                    ));
                }
            }
        }
        Ok(())
    }
}
