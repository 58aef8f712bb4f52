//! Runs a scheduled program in f64, written for plainness: the oracle of `schedule` and of targets.
//!
//! In: a [`Program`], sizes and data. Out: results and gradients. Temporaries share memory exactly as
//! planned, and every buffer starts its life as NaN, so a wrong view, order or life shows as a wrong
//! number.

mod routine;

use super::program::*;
use crate::dim::{Dim, Sym};
use crate::ir::interp::bf16;

/// Data of one run, row-major; integers as floats.
pub struct Data<'a> {
    pub sizes: &'a [(Sym, i64)],
    pub params: &'a [Vec<f64>],
    pub inputs: &'a [Vec<f64>],
    /// Seed of the run and step, for random draws.
    pub draw: (u64, u64),
}

#[derive(Clone, Debug)]
pub struct Results {
    pub outputs: Vec<Vec<f64>>,
    /// By weight; empty where the program gives none.
    pub grads: Vec<Vec<f64>>,
}

pub fn run(p: &Program, data: &Data<'_>) -> Result<Results, String> {
    let mut m = Machine {
        p,
        data,
        memory: Vec::new(),
        place: Vec::new(),
        time: 0,
    };
    m.allocate()?;
    for (i, task) in p.tasks.iter().enumerate() {
        m.begin_lives(i)?;
        m.task(task)?;
    }
    let content = |b: BufferId| m.memory[m.place[b.0 as usize]].clone();
    let mut grads = vec![Vec::new(); p.params.len()];
    for (i, b) in p.buffers.iter().enumerate() {
        if let Home::Grad(run) = b.home {
            let joined = content(BufferId(i as u32));
            let mut rest = joined.as_slice();
            for w in run.range() {
                let len: i64 = m.sizes(&p.params[w].shape)?.iter().product();
                let (own, after) = rest.split_at(len as usize);
                grads[w] = own.to_vec();
                rest = after;
            }
        }
    }
    Ok(Results {
        outputs: p.outputs.iter().map(|o| content(o.buffer)).collect(),
        grads,
    })
}

struct Machine<'a> {
    p: &'a Program,
    data: &'a Data<'a>,
    memory: Vec<Vec<f64>>,
    /// Where in `memory` each buffer is; temporaries of one slot share it.
    place: Vec<usize>,
    /// The step of the scan being run.
    time: usize,
}

/// A view with numbers for sizes.
struct Walk {
    memory: usize,
    base: i64,
    strides: Vec<i64>,
}

impl Walk {
    fn at(&self, index: &[i64]) -> usize {
        let sum: i64 = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
        (self.base + sum) as usize
    }
}

impl Machine<'_> {
    fn size(&self, d: &Dim) -> Result<i64, String> {
        let value = |s: &Sym| {
            let launch = self.data.sizes.iter().find(|(n, _)| n == s);
            launch.map(|(_, v)| *v).or(self.p.dims.static_value(s))
        };
        d.eval(&value)
            .ok_or_else(|| format!("the size {d} has no value here"))
    }

    fn sizes(&self, dims: &[Dim]) -> Result<Vec<i64>, String> {
        dims.iter().map(|d| self.size(d)).collect()
    }

    fn allocate(&mut self) -> Result<(), String> {
        for sizes in &self.p.slots {
            let largest = self.sizes(sizes)?.into_iter().max().unwrap_or(0);
            self.memory.push(vec![f64::NAN; largest as usize]);
        }
        for b in &self.p.buffers {
            let n: i64 = self.sizes(&b.shape)?.iter().product();
            let given = match &b.home {
                Home::Temp(slot) => {
                    if n as usize > self.memory[*slot].len() {
                        return Err(format!("'{}' does not fit slot {slot}", b.name));
                    }
                    self.place.push(*slot);
                    continue;
                }
                Home::Param(run) => self.data.params[run.range()].concat(),
                Home::Input(i) => self.data.inputs[*i].clone(),
                Home::Output(_) | Home::Grad(_) => vec![f64::NAN; n as usize],
            };
            if given.len() != n as usize {
                return Err(format!(
                    "'{}' has {n} elements, not {}",
                    b.name,
                    given.len()
                ));
            }
            self.place.push(self.memory.len());
            self.memory.push(given);
        }
        Ok(())
    }

    fn begin_lives(&mut self, task: usize) -> Result<(), String> {
        for (i, b) in self.p.buffers.iter().enumerate() {
            if matches!(b.home, Home::Temp(_)) && b.life.0 == task {
                let n: i64 = self.sizes(&b.shape)?.iter().product();
                self.memory[self.place[i]][..n as usize].fill(f64::NAN);
            }
        }
        Ok(())
    }

    fn walk(&self, v: &View) -> Result<Walk, String> {
        let step = match &v.step {
            Some(d) => self.size(d)? * self.time as i64,
            None => 0,
        };
        let strides = v.axes.iter().map(|a| self.size(&a.stride));
        Ok(Walk {
            memory: self.place[v.buffer.0 as usize],
            base: self.size(&v.offset)? + step,
            strides: strides.collect::<Result<_, _>>()?,
        })
    }

    fn get(&self, w: &Walk, index: &[i64]) -> Result<f64, String> {
        let at = w.at(index);
        let cell = self.memory[w.memory].get(at);
        cell.copied()
            .ok_or_else(|| format!("a read at {at}, past its buffer's end"))
    }

    fn set(&mut self, w: &Walk, index: &[i64], x: f64) -> Result<(), String> {
        let at = w.at(index);
        match self.memory[w.memory].get_mut(at) {
            Some(cell) => *cell = x,
            None => return Err(format!("a write at {at}, past its buffer's end")),
        }
        Ok(())
    }

    fn task(&mut self, task: &Task) -> Result<(), String> {
        match task {
            Task::Loop(l) => self.run_loop(l).map_err(|e| format!("{}: {e}", l.name)),
            Task::Gemm(g) => self.gemm(g).map_err(|e| format!("{}: {e}", g.name)),
            Task::Scan(s) => {
                let steps = self.size(&s.extent)? as usize;
                for i in 0..steps {
                    self.time = if s.reverse { steps - 1 - i } else { i };
                    for t in &s.body {
                        self.task(t)?;
                    }
                }
                self.time = 0;
                Ok(())
            }
            Task::Routine { name, routine, .. } => {
                self.routine(routine).map_err(|e| format!("{name}: {e}"))
            }
        }
    }

    fn run_loop(&mut self, l: &Loop) -> Result<(), String> {
        let space = self.sizes(&l.space)?;
        let loads = l.loads.iter().map(|v| self.walk(v));
        let loads = loads.collect::<Result<Vec<Walk>, String>>()?;
        let mut effects = Vec::new();
        for e in &l.effects {
            let (Effect::Store { to, .. } | Effect::Fold { to, .. }) = e;
            effects.push(self.walk(to)?);
        }
        let kept: Vec<usize> = (0..space.len()).filter(|&i| !l.reduced[i]).collect();
        let kept_space: Vec<i64> = kept.iter().map(|&i| space[i]).collect();
        for (e, w) in l.effects.iter().zip(&effects) {
            if let Effect::Fold { op, .. } = e {
                let start = match op {
                    FoldOp::Sum => 0.0,
                    FoldOp::Max => f64::NEG_INFINITY,
                };
                each(&kept_space, |i| self.set(w, i, start))?;
            }
        }
        let mut values = vec![0.0; l.exprs.len()];
        each(&space, |index| {
            for (e, expr) in l.exprs.iter().enumerate() {
                values[e] = self.expr(expr, &loads, index, &values)?;
            }
            let kept_index: Vec<i64> = kept.iter().map(|&i| index[i]).collect();
            for (e, w) in l.effects.iter().zip(&effects) {
                match e {
                    Effect::Store { value, .. } => self.set(w, index, values[value.0 as usize])?,
                    Effect::Fold { op, value, .. } => {
                        let old = self.get(w, &kept_index)?;
                        let x = values[value.0 as usize];
                        let new = match op {
                            FoldOp::Sum => old + x,
                            FoldOp::Max => binary(Binary::Max, old, x),
                        };
                        self.set(w, &kept_index, new)?;
                    }
                }
            }
            Ok(())
        })
    }

    fn expr(&self, e: &Expr, loads: &[Walk], index: &[i64], values: &[f64]) -> Result<f64, String> {
        let v = |e: &ExprId| values[e.0 as usize];
        Ok(match e {
            Expr::Const(x) => *x,
            Expr::Load(i) => self.get(&loads[*i], index)?,
            Expr::Index(axis) => index[*axis] as f64,
            Expr::Time => self.time as f64,
            Expr::Size(d) => self.size(d)? as f64,
            Expr::Unary(f, x) => unary(*f, v(x)),
            Expr::Binary(f, x, y) => binary(*f, v(x), v(y)),
            Expr::Select(c, x, y) => {
                if v(c) != 0.0 {
                    v(x)
                } else {
                    v(y)
                }
            }
        })
    }

    fn gemm(&mut self, g: &Gemm) -> Result<(), String> {
        let outer: Vec<&GemmAxis> = g.batch.iter().chain(&g.m).chain(&g.n).collect();
        let walk = |view: &View, strides: Vec<&Dim>| -> Result<Walk, String> {
            let strides = strides.into_iter().map(|d| self.size(d));
            Ok(Walk {
                strides: strides.collect::<Result<_, _>>()?,
                ..self.walk(view)?
            })
        };
        let all: Vec<&GemmAxis> = outer.iter().copied().chain(&g.k).collect();
        let lhs = walk(&g.lhs, all.iter().map(|a| &a.lhs).collect())?;
        let rhs = walk(&g.rhs, all.iter().map(|a| &a.rhs).collect())?;
        let out = walk(&g.out, outer.iter().map(|a| &a.out).collect())?;
        let size = |axes: &[&GemmAxis]| -> Result<Vec<i64>, String> {
            axes.iter().map(|a| self.size(&a.size)).collect()
        };
        let space = size(&outer)?;
        let inner = size(&g.k.iter().collect::<Vec<_>>())?;
        each(&space, |i| {
            let mut sum = 0.0;
            each(&inner, |k| {
                let index = [i, k].concat();
                sum += self.get(&lhs, &index)? * self.get(&rhs, &index)?;
                Ok(())
            })?;
            self.set(&out, i, sum)
        })
    }

    /// All elements of a view in its shape's order.
    fn read(&self, v: &View) -> Result<(Vec<i64>, Vec<f64>), String> {
        let shape = self.sizes(&v.shape())?;
        let w = self.walk(v)?;
        let mut data = Vec::new();
        each(&shape, |i| {
            data.push(self.get(&w, i)?);
            Ok(())
        })?;
        Ok((shape, data))
    }

    fn write(&mut self, v: &View, data: &[f64]) -> Result<(), String> {
        let shape = self.sizes(&v.shape())?;
        let w = self.walk(v)?;
        let mut next = data.iter();
        each(&shape, |i| {
            let x = next.next().copied().ok_or("too few elements")?;
            self.set(&w, i, x)
        })?;
        match next.next() {
            None => Ok(()),
            Some(_) => Err("too many elements".into()),
        }
    }
}

/// Calls `f` at every index of a space, row-major.
fn each(space: &[i64], mut f: impl FnMut(&[i64]) -> Result<(), String>) -> Result<(), String> {
    if space.iter().any(|n| *n <= 0) {
        return Ok(());
    }
    let mut index = vec![0; space.len()];
    loop {
        f(&index)?;
        let Some(axis) = (0..space.len()).rev().find(|&a| index[a] + 1 < space[a]) else {
            return Ok(());
        };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

fn unary(f: Unary, x: f64) -> f64 {
    match f {
        Unary::Neg => -x,
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Abs => x.abs(),
        Unary::Sign => match x {
            x if x > 0.0 => 1.0,
            x if x < 0.0 => -1.0,
            x => x,
        },
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Step => f64::from(x > 0.0),
        Unary::Erf => libm::erf(x),
        Unary::Floor => x.floor(),
        Unary::Bf16 => bf16(x),
    }
}

/// `max` and `min` give NaN where either operand is NaN.
fn binary(f: Binary, a: f64, b: f64) -> f64 {
    match f {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Max => {
            if a > b || a.is_nan() {
                a
            } else {
                b
            }
        }
        Binary::Min => {
            if a < b || a.is_nan() {
                a
            } else {
                b
            }
        }
        Binary::Lt => f64::from(a < b),
        Binary::Le => f64::from(a <= b),
        Binary::Eq => f64::from(a == b),
    }
}
