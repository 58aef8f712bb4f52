//! What the first step of training adds to a process's memory.
//!
//! In: the plan of a step, what the machine keeps beside it, and how many copies of weights and of batches a run holds.
//! Out: [`Resident`], in bytes. The weights themselves are there before.

use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Overflow, Sym};
use crate::schedule::peak::{self, Peak};
use crate::schedule::program::{Buffer, Home, Program};

/// Every element of a buffer is 4 bytes.
const ELEMENT: i64 = 4;

/// What a run holds that its plan does not say.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Bytes of matrices in the order in which this machine multiplies them.
    pub packed: Dim,
    /// Bytes of all threads' scratch.
    pub scratch: u64,
    /// Arenas as long as the weights: gradients, the optimizer's state.
    pub arenas: u64,
    /// Batches at a time.
    pub batches: u64,
}

/// Bytes. The sum of all is [`Resident::all`].
#[derive(Clone, Debug)]
pub struct Resident {
    pub temporaries: Peak,
    /// Packed weights and scratch.
    pub packed: Dim,
    /// Gradients and the optimizer's state.
    pub arenas: Dim,
    /// Batches and the results of a call.
    pub batches: Dim,
}

/// # Errors
/// `shape::too-large` where a coefficient leaves 64 bits.
pub fn resident(program: &Program, beside: &Beside) -> Result<Resident, Diagnostic> {
    let temporaries = peak::peak(program)?;
    let sums = || -> Result<[Dim; 3], Overflow> {
        let scratch = i64::try_from(beside.scratch).map_err(|_| Overflow)?;
        let packed = beside.packed.checked_add(&Dim::constant(scratch))?;
        let mut sums = [packed, Dim::constant(0), Dim::constant(0)];
        for b in &program.buffers {
            let (sum, times) = match b.home {
                Home::Param(_) => (1, beside.arenas),
                Home::Input(_) => (2, beside.batches),
                Home::Output(_) => (2, 1),
                // Gradients are an arena; temporaries share slots.
                Home::Grad(_) | Home::Temp(_) => continue,
            };
            let times = i64::try_from(times).map_err(|_| Overflow)?;
            let known = |s: &Sym| program.dims.static_value(s).map(Dim::constant);
            let bytes = bytes(b)?.subst(&known)?;
            let bytes = bytes.checked_mul(&Dim::constant(times))?;
            sums[sum] = sums[sum].checked_add(&bytes)?;
        }
        Ok(sums)
    };
    let [packed, arenas, batches] = sums().map_err(super::too_large)?;
    Ok(Resident {
        temporaries,
        packed,
        arenas,
        batches,
    })
}

fn bytes(b: &Buffer) -> Result<Dim, Overflow> {
    let mut sizes = b.shape.iter();
    sizes.try_fold(Dim::constant(ELEMENT), |all, d| all.checked_mul(d))
}

impl Resident {
    /// All of it, as one formula.
    ///
    /// # Errors
    /// `shape::too-large` where a coefficient leaves 64 bits.
    pub fn all(&self) -> Result<Peak, Diagnostic> {
        let mut all = self.temporaries.clone();
        for part in [&self.packed, &self.arenas, &self.batches] {
            all.sum = all.sum.checked_add(part).map_err(super::too_large)?;
        }
        Ok(all)
    }

    /// The sum at these sizes; `None` where one is not known.
    pub fn at(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> Option<u64> {
        self.all().ok()?.at(value)
    }
}
