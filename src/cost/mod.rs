//! What a model costs, known before it runs: weights, arithmetic and memory in closed form.
//!
//! In: the IR without and with gradients, and the plan of the latter. Out: [`Cost`], formulas in the
//! sizes by name (`4·H² + 4·H·X + 4·H`), with their values where sizes are known. A condition after
//! `where` counts for what it leaves: half a square for `s <= t` ([`points`]).

mod assume;
mod count;
mod formula;
mod kernel;
mod moved;
mod pairs;
mod points;
mod poly;
mod resident;
mod roofline;
mod show;

use std::fmt;

pub use formula::Formula;
pub use kernel::{KernelCost, kernel};
pub use moved::Moved;
pub use resident::{Beside, Resident, resident};
pub use roofline::{Products, Work, products};

use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable, Overflow, Sym};
use crate::ir::Func;
use crate::schedule::peak::{self, Peak};
use crate::schedule::program::Program;

#[derive(Clone, Debug)]
pub struct Cost {
    /// Elements of each weight, by path.
    pub weights: Vec<(String, Dim)>,
    /// Elements of all weights.
    pub parameters: Formula,
    /// Multiplications and additions of the contractions, for all of a batch; padding counts, what a
    /// `where` leaves out does not.
    pub forward: Formula,
    /// The same of the gradients alone.
    pub backward: Formula,
    /// Bytes that the tasks of one step read and write.
    pub moved: Moved,
    /// Bytes of temporaries while training.
    pub peak: Peak,
    dims: DimTable,
}

/// The cost of a model, from its function without gradients, the one with them, and its plan.
///
/// # Errors
/// `shape::too-large` where a coefficient leaves 64 bits.
pub fn cost(forward: &Func, train: &Func, plan: &Program) -> Result<Cost, Diagnostic> {
    let mut cost = Cost {
        weights: Vec::new(),
        parameters: Formula::default(),
        forward: count::flops(forward).map_err(too_large)?,
        backward: Formula::default(),
        moved: moved::moved(plan).map_err(too_large)?,
        peak: peak::peak(plan)?,
        dims: forward.dims.clone(),
    };
    for p in &forward.params {
        let n = count::elements(forward.shape(p.value)).map_err(too_large)?;
        let sum = cost.parameters.add(&Formula::of(&n));
        cost.parameters = sum.map_err(too_large)?;
        cost.weights.push((p.path.clone(), n));
    }
    let all = count::flops(train).map_err(too_large)?;
    cost.backward = all.sub(&cost.forward).map_err(too_large)?;
    Ok(cost)
}

/// Operations of a function's products at these sizes; `None` where one is not known.
pub fn flops(func: &Func, sizes: &dyn Fn(&Sym) -> Option<i64>) -> Option<f64> {
    let all = count::flops(func).ok()?;
    all.value(sizes).map(|n| n as f64)
}

fn too_large(_: Overflow) -> Diagnostic {
    Diagnostic::error(
        "shape::too-large",
        "the model's cost leaves the range of 64-bit integers",
    )
}

/// Five lines: parameters, FLOPs of the forward and the backward pass, bytes moved and held.
///
/// ```text
/// parameters   4·H² + 4·H·X + 4·H = 2,112
/// forward      B·(8·H²·T + 8·H·T·X) = 4096·B·T FLOPs
/// backward     …
/// moved        … bytes
/// temporaries  … bytes
/// ```
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "parameters   {}", self.with_value(&self.parameters))?;
        for (name, flops) in [("forward", &self.forward), ("backward", &self.backward)] {
            let bound = if flops.exact { "" } else { "at most " };
            let shown = self.with_value(flops);
            writeln!(f, "{name:<12} {bound}{shown} FLOPs{}", assumed(flops))?;
        }
        let (read, written) = (&self.moved.read, &self.moved.written);
        let moved = read.add(written).map_err(|_| fmt::Error)?;
        writeln!(f, "moved        {} bytes", self.numbers(&moved))?;
        writeln!(f, "temporaries  {} bytes", self.peak)
    }
}

/// `, for T a multiple of K`.
fn assumed(f: &Formula) -> String {
    let all: Vec<String> = f.assumes.iter().map(ToString::to_string).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(", for {}", all.join(" and ")),
    }
}

impl Cost {
    /// Elements of the weights of each part of the model, in the order of their first weights: a part
    /// is what stands before the last dot of a path.
    ///
    /// # Errors
    /// `shape::too-large` where a coefficient leaves `i64`.
    pub fn by_part(&self) -> Result<Vec<(&str, Formula)>, Diagnostic> {
        let mut parts: Vec<(&str, Formula)> = Vec::new();
        for (path, n) in &self.weights {
            let part = path.rsplit_once('.').map_or("", |(part, _)| part);
            match parts.iter_mut().find(|(name, _)| *name == part) {
                Some((_, sum)) => *sum = sum.add(&Formula::of(n)).map_err(too_large)?,
                None => parts.push((part, Formula::of(n))),
            }
        }
        Ok(parts)
    }

    /// The number, where every size in it is known.
    pub fn value(&self, f: &Formula) -> Option<i64> {
        f.value(&|s| self.dims.static_value(s))
    }

    /// The number at these sizes of a call, by name.
    pub fn value_at(&self, f: &Formula, sizes: &dyn Fn(&Sym) -> Option<i64>) -> Option<i64> {
        f.value(&|s| self.dims.static_value(s).or_else(|| sizes(s)))
    }

    /// Operations of a step of training at these sizes of a call.
    pub fn flops_at(&self, sizes: &dyn Fn(&Sym) -> Option<i64>) -> Option<f64> {
        let all = self.forward.add(&self.backward).ok()?;
        self.value_at(&all, sizes).map(|n| n as f64)
    }

    /// Bytes of temporaries at these sizes of a call.
    pub fn peak_at(&self, sizes: &dyn Fn(&Sym) -> Option<i64>) -> Option<u64> {
        self.peak
            .at(&|s| self.dims.static_value(s).or_else(|| sizes(s)))
    }

    /// With every size by name.
    pub fn names(&self, f: &Formula) -> String {
        f.show(&self.dims)
    }

    /// With the known sizes as numbers.
    pub fn numbers(&self, f: &Formula) -> String {
        let known = f.with(&|s| self.dims.static_value(s));
        match known {
            Ok(known) => match known.value(&|_| None) {
                Some(n) => grouped(n),
                None => known.show(&self.dims),
            },
            // A size too large to be multiplied out is still shown by name.
            Err(Overflow) => f.show(&self.dims),
        }
    }

    /// By name, and what is left once the known sizes are numbers.
    pub fn with_value(&self, f: &Formula) -> String {
        let (names, numbers) = (self.names(f), self.numbers(f));
        let known = f.with(&|s| self.dims.static_value(s));
        match known.is_ok_and(|k| k != *f) {
            true => format!("{names} = {numbers}"),
            false => names,
        }
    }
}

/// `1,234,567`.
fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if n < 0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests;
