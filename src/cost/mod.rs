//! What a model costs, known before it runs: weights, arithmetic and memory in closed form.
//!
//! In: the IR without and with gradients, and the plan of the latter. Out: [`Cost`], polynomials in
//! the sizes by name (`4·H² + 4·H·X + 4·H`), with their values where every size is known.

mod count;

use std::fmt;

use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable, Overflow};
use crate::ir::Func;
use crate::schedule::peak::{self, Peak};
use crate::schedule::program::Program;

#[derive(Clone, Debug)]
pub struct Cost {
    /// Elements of each weight, by path.
    pub weights: Vec<(String, Dim)>,
    /// Elements of all weights.
    pub parameters: Dim,
    /// Multiplications and additions of the contractions, for all of a batch; padding counts.
    pub forward: Dim,
    /// The same of the gradients alone.
    pub backward: Dim,
    /// Bytes of temporaries while training.
    pub peak: Peak,
    dims: DimTable,
}

/// The cost of a model, from its function without gradients, the one with them, and its plan.
///
/// # Errors
/// `shape::too-large` where a coefficient leaves `i64`.
pub fn cost(forward: &Func, train: &Func, plan: &Program) -> Result<Cost, Diagnostic> {
    let weights = forward.params.iter().map(|p| {
        let n = count::elements(forward.shape(p.value))?;
        Ok((p.path.clone(), n))
    });
    let weights = weights
        .collect::<Result<Vec<_>, Overflow>>()
        .map_err(too_large)?;
    let parameters = weights
        .iter()
        .try_fold(Dim::constant(0), |sum, (_, n)| sum.checked_add(n));
    let flops = count::flops(forward).map_err(too_large)?;
    let all = count::flops(train).map_err(too_large)?;
    Ok(Cost {
        parameters: parameters.map_err(too_large)?,
        backward: all.checked_sub(&flops).map_err(too_large)?,
        forward: flops,
        weights,
        peak: peak::peak(plan)?,
        dims: forward.dims.clone(),
    })
}

fn too_large(_: Overflow) -> Diagnostic {
    Diagnostic::error(
        "shape::too-large",
        "the model's cost leaves the range of 64-bit integers",
    )
}

/// Four lines: parameters, FLOPs of the forward and the backward pass, and memory.
///
/// ```text
/// parameters   4·H² + 4·H·X + 4·H = 2,112
/// forward      8·B·H²·T + 8·B·H·T·X = 2048·B·T FLOPs
/// backward     …
/// temporaries  … bytes
/// ```
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "parameters   {}", self.with_value(&self.parameters))?;
        writeln!(f, "forward      {} FLOPs", self.with_value(&self.forward))?;
        writeln!(f, "backward     {} FLOPs", self.with_value(&self.backward))?;
        writeln!(f, "temporaries  {} bytes", self.peak)
    }
}

impl Cost {
    /// Elements of the weights of each part of the model, in the order of their first weights: a part
    /// is what stands before the last dot of a path.
    ///
    /// # Errors
    /// `shape::too-large` where a coefficient leaves `i64`.
    pub fn by_part(&self) -> Result<Vec<(&str, Dim)>, Diagnostic> {
        let mut parts: Vec<(&str, Dim)> = Vec::new();
        for (path, n) in &self.weights {
            let part = path.rsplit_once('.').map_or("", |(part, _)| part);
            match parts.iter_mut().find(|(name, _)| *name == part) {
                Some((_, sum)) => *sum = sum.checked_add(n).map_err(too_large)?,
                None => parts.push((part, n.clone())),
            }
        }
        Ok(parts)
    }

    /// The number, where every size in it is known.
    pub fn value(&self, d: &Dim) -> Option<i64> {
        self.dims.eval_static(d)
    }

    /// A polynomial by name, and what is left of it once the known sizes are numbers.
    pub fn with_value(&self, d: &Dim) -> String {
        let known = d.subst(&|s| self.dims.static_value(s).map(Dim::constant));
        match known {
            Ok(v) if v != *d => match v.as_const() {
                Some(n) => format!("{} = {}", d.formula(), grouped(n)),
                None => format!("{} = {}", d.formula(), v.formula()),
            },
            // A size too large to be multiplied out is still shown by name.
            Ok(_) | Err(Overflow) => d.formula(),
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
