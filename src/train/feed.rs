//! One call of a compiled function.
//!
//! In: a batch, carried states, weights. Out: the function's results by role. What a signature asks
//! for is looked up in the batch by name; a state that is not carried starts at zero.

use std::collections::BTreeMap;

use super::failure::Failure;
use crate::data::{Batch, Tensor};
use crate::dim::{Dim, Sym};
use crate::targets::executable::{Arg, Call, Draw, Elem, Executable, Role, Signature};

/// States by path, as one call leaves them for the next: `[B, …]`.
pub type Carried = BTreeMap<String, Vec<f32>>;

/// Results of the last call, kept so that their memory serves the next one.
#[derive(Debug, Default)]
pub struct Feed {
    roles: Vec<Role>,
    outputs: Vec<Vec<f32>>,
    zeros: Vec<f32>,
    /// By input, the numbers of its steps, where it takes them.
    numbers: Vec<Vec<i32>>,
    known: Known,
}

/// What follows from a function and its sizes, which most calls share with the call before.
#[derive(Debug, Default)]
struct Known {
    /// Where the function's signature lies. Another one's in its place would be found out by the function, which checks
    /// what it is given.
    signature: usize,
    sizes: Vec<usize>,
    /// Elements of each input.
    lens: Vec<usize>,
}

impl Known {
    /// Whether it is of the function with this signature, and of sizes like the batch's.
    fn holds(&self, place: usize, signature: &Signature, batch: &Batch) -> bool {
        let names = &signature.sizes;
        let same = |(s, n): (&Sym, &usize)| batch.size(s.name()) == Some(*n);
        self.signature == place
            && names.len() == self.sizes.len()
            && names.iter().zip(&self.sizes).all(same)
    }
}

impl Feed {
    /// Calls `function` on a batch. `grads` is as long as the arena where it has gradients.
    pub fn run(
        &mut self,
        function: &mut dyn Executable,
        batch: &Batch,
        carried: &Carried,
        weights: &[f32],
        grads: &mut [f32],
        draw: Draw,
    ) -> Result<(), Failure> {
        let signature = function.signature();
        let place = std::ptr::from_ref(signature).addr();
        if !self.known.holds(place, signature, batch) {
            let sizes = sizes(signature, batch)?;
            self.known = Known {
                signature: place,
                lens: lengths(signature, &sizes)?,
                sizes,
            };
            self.fill(signature);
        }
        let lens = &self.known.lens;
        for ((slot, len), numbers) in (signature.inputs.iter().zip(lens)).zip(&mut self.numbers) {
            // Every row of one step has its number, after those that came before the batch.
            if let Role::Steps(time) = &slot.role {
                let rows = batch.rows.max(1);
                let number = |i: usize| (i / rows) as i32 + batch.begun(time, i % rows);
                numbers.clear();
                numbers.extend((0..*len).map(number));
            }
        }
        let mut args = Vec::with_capacity(lens.len());
        for ((slot, len), numbers) in signature.inputs.iter().zip(lens).zip(&self.numbers) {
            let arg = match &slot.role {
                Role::Data(name) => batch.data(name).map(arg),
                Role::Previous(name) => batch.previous(name).map(arg),
                Role::Lengths(time) => batch.lengths(time).map(Arg::I32),
                Role::Steps(_) => Some(Arg::I32(numbers)),
                Role::Carry(path) => Some(Arg::F32(match carried.get(path) {
                    Some(values) => values,
                    None => &self.zeros[..*len],
                })),
                Role::Loss
                | Role::LossSum(_)
                | Role::LossCount(_)
                | Role::Prediction(_)
                | Role::Named(_)
                | Role::Grad(_) => None,
            };
            let (have, elem) = match arg {
                Some(Arg::F32(v)) => (v.len(), Elem::F32),
                Some(Arg::I32(v)) => (v.len(), Elem::I32),
                None => return Err(mismatch(format!("the data has no {:?}", slot.role))),
            };
            if have != *len || elem != slot.elem {
                return Err(mismatch(format!(
                    "{:?} has {have} {elem:?}, the model takes {len} {:?}",
                    slot.role, slot.elem
                )));
            }
            args.extend(arg);
        }
        let call = Call {
            sizes: &self.known.sizes,
            params: weights,
            inputs: &args,
            outputs: &mut self.outputs,
            grads,
            draw,
        };
        Ok(function.run(call)?)
    }

    /// Makes room for the zeros and the results of a function.
    fn fill(&mut self, signature: &Signature) {
        self.numbers.resize(signature.inputs.len(), Vec::new());
        let zeros = (signature.inputs.iter().zip(&self.known.lens))
            .filter(|(slot, _)| matches!(slot.role, Role::Carry(_)))
            .map(|(_, len)| *len)
            .max();
        if self.zeros.len() < zeros.unwrap_or(0) {
            self.zeros.resize(zeros.unwrap_or(0), 0.0);
        }
        let roles = || signature.outputs.iter().map(|o| &o.role);
        if !self.roles.iter().eq(roles()) {
            self.roles = roles().cloned().collect();
            self.outputs = vec![Vec::new(); self.roles.len()];
        }
    }

    /// The result with this role, row-major.
    pub fn output(&self, role: &Role) -> Option<&[f32]> {
        let i = self.roles.iter().position(|r| r == role)?;
        self.outputs.get(i).map(Vec::as_slice)
    }

    /// A result that is one number.
    pub fn number(&self, role: &Role) -> Option<f64> {
        self.output(role)?.first().map(|x| f64::from(*x))
    }

    pub fn outputs(&self) -> impl Iterator<Item = (&Role, &[f32])> {
        self.roles
            .iter()
            .zip(self.outputs.iter().map(Vec::as_slice))
    }

    /// Keeps the states after the last step in place of those before it. They are moved: the results
    /// no longer have them.
    pub fn carry(&mut self, carried: &mut Carried) {
        for (role, values) in self.roles.iter().zip(&mut self.outputs) {
            if let Role::Carry(path) = role {
                match carried.get_mut(path) {
                    Some(kept) => std::mem::swap(kept, values),
                    None => {
                        carried.insert(path.clone(), std::mem::take(values));
                    }
                }
            }
        }
    }
}

fn arg(tensor: &Tensor) -> Arg<'_> {
    match tensor {
        Tensor::F32(v) => Arg::F32(v),
        Tensor::I32(v) => Arg::I32(v),
    }
}

/// The launch sizes in the signature's order.
fn sizes(signature: &Signature, batch: &Batch) -> Result<Vec<usize>, Failure> {
    let size = |s: &Sym| {
        let size = batch.size(s.name());
        size.ok_or_else(|| mismatch(format!("the data does not say how large `{s}` is")))
    };
    signature.sizes.iter().map(size).collect()
}

/// Elements of each input.
fn lengths(signature: &Signature, sizes: &[usize]) -> Result<Vec<usize>, Failure> {
    let value = |s: &Sym| {
        let i = signature.sizes.iter().position(|n| n == s)?;
        i64::try_from(*sizes.get(i)?).ok()
    };
    let len = |shape: &[Dim]| {
        shape.iter().try_fold(1usize, |n, d| {
            n.checked_mul(usize::try_from(d.eval(&value)?).ok()?)
        })
    };
    let lens = signature.inputs.iter().map(|slot| {
        let unknown = || mismatch(format!("{:?} has no known size", slot.role));
        len(&slot.shape).ok_or_else(unknown)
    });
    lens.collect()
}

fn mismatch(message: String) -> Failure {
    Failure::program("data::mismatch", message)
}
