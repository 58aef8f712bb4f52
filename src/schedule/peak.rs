//! How much temporary memory a program holds.
//!
//! In: a [`Program`]. Out: [`Peak`]: bytes as a polynomial in launch sizes (static sizes are numbers
//! already), and as a number once sizes are known.

use std::fmt;

use super::program::Program;
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};

use super::size;

/// Every element of a buffer is 4 bytes.
const ELEMENT: i64 = 4;

/// The sum of all slots, for launch sizes of at least 1. A slot shared by buffers of which none is
/// always the largest counts as the largest of several sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// Bytes of the slots that have one size.
    pub sum: Dim,
    /// Sizes in bytes of each other slot.
    pub largest_of: Vec<Vec<Dim>>,
}

pub fn peak(program: &Program) -> Result<Peak, Diagnostic> {
    let mut p = Peak {
        sum: size::zero(),
        largest_of: Vec::new(),
    };
    let element = Dim::constant(ELEMENT);
    for slot in &program.slots {
        let bytes = slot.iter().map(|d| size::mul(d, &element));
        let bytes = bytes.collect::<Result<Vec<Dim>, Diagnostic>>()?;
        // One that another covers is never the largest.
        let mut largest: Vec<Dim> = Vec::new();
        for d in &bytes {
            if !largest.iter().any(|l| size::mostly_covers(l, d)) {
                largest.retain(|l| !size::mostly_covers(d, l));
                largest.push(d.clone());
            }
        }
        match largest.as_slice() {
            [one] => p.sum = size::add(&p.sum, one)?,
            _ => p.largest_of.push(largest),
        }
    }
    Ok(p)
}

impl Peak {
    /// Bytes at these launch sizes; `None` where a size is unknown or the sum leaves 64 bits.
    pub fn at(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Option<u64> {
        let mut sum = self.sum.eval(value)?;
        for sizes in &self.largest_of {
            let sizes = sizes.iter().map(|d| d.eval(value));
            let largest = sizes.collect::<Option<Vec<i64>>>()?.into_iter().max();
            sum = sum.checked_add(largest.unwrap_or(0))?;
        }
        u64::try_from(sum).ok()
    }
}

/// `131072·B·T + 2048·B + max(…, …)`.
impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sum.formula())?;
        for sizes in &self.largest_of {
            let sizes: Vec<String> = sizes.iter().map(Dim::formula).collect();
            write!(f, " + max({})", sizes.join(", "))?;
        }
        Ok(())
    }
}
