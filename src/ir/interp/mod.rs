//! The reference interpreter: every op in f64, written for plainness, not speed.
//!
//! In: a function, sizes, and tensors. Out: its outputs. This is the oracle that rewrites, gradients
//! and generated code are compared with, and what `--dtype f64` runs.

mod ops;
mod scan;
mod select;
mod tensor;

pub use ops::bf16;
pub use tensor::Tensor;

use super::op::*;
use crate::dim::{Dim, Sym};

/// Keys of the random draws of one run (see [`crate::philox`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Draw {
    pub seed: u64,
    pub step: u64,
}

/// Runs `func`. `sizes` gives launch symbols (`B`, `T`); static ones come from its dim table.
/// Inputs and weights are in the function's order; integers are held as floats.
pub fn run(
    func: &Func,
    sizes: &[(Sym, i64)],
    inputs: &[Tensor],
    params: &[Tensor],
    draw: Draw,
) -> Result<Vec<Tensor>, String> {
    let mut m = Machine::new(func, sizes, draw);
    if inputs.len() != func.inputs.len() || params.len() != func.params.len() {
        return Err("one tensor for each input and weight".into());
    }
    for (input, tensor) in func.inputs.iter().zip(inputs) {
        m.set_checked(input.value, tensor.clone())?;
    }
    for (param, tensor) in func.params.iter().zip(params) {
        m.set_checked(param.value, tensor.clone())?;
    }
    m.region(&func.body)?;
    func.outputs
        .iter()
        .map(|o| m.get(o.value).cloned())
        .collect()
}

/// Values of one run, by id.
pub(crate) struct Machine<'a> {
    pub(crate) func: &'a Func,
    sizes: &'a [(Sym, i64)],
    values: Vec<Option<Tensor>>,
    pub(crate) draw: Draw,
    /// The step of the scan being run, for draws inside its body.
    pub(crate) time: usize,
}

impl<'a> Machine<'a> {
    fn new(func: &'a Func, sizes: &'a [(Sym, i64)], draw: Draw) -> Machine<'a> {
        Machine {
            func,
            sizes,
            values: vec![None; func.values.len()],
            draw,
            time: 0,
        }
    }

    pub(crate) fn size(&self, d: &Dim) -> Result<usize, String> {
        d.eval(&|s| self.symbol(s))
            .and_then(|v| usize::try_from(v).ok())
            .ok_or_else(|| format!("the size {d} has no value here"))
    }

    /// The value of a symbol: as launched, or as the model has it.
    pub(crate) fn symbol(&self, s: &Sym) -> Option<i64> {
        let launch = self.sizes.iter().find(|(n, _)| n == s).map(|(_, v)| *v);
        launch.or_else(|| self.func.dims.static_value(s))
    }

    pub(crate) fn shape(&self, dims: &[Dim]) -> Result<Vec<usize>, String> {
        dims.iter().map(|d| self.size(d)).collect()
    }

    pub(crate) fn get(&self, id: ValueId) -> Result<&Tensor, String> {
        self.values[id.0 as usize]
            .as_ref()
            .ok_or_else(|| format!("{} has no value yet", self.func.value(id).name))
    }

    pub(crate) fn set(&mut self, id: ValueId, tensor: Tensor) {
        self.values[id.0 as usize] = Some(tensor);
    }

    fn set_checked(&mut self, id: ValueId, tensor: Tensor) -> Result<(), String> {
        let want = self.shape(self.func.shape(id))?;
        if want != tensor.shape {
            let name = &self.func.value(id).name;
            return Err(format!(
                "{name} has shape {:?}, given {:?}",
                want, tensor.shape
            ));
        }
        self.set(id, tensor);
        Ok(())
    }

    pub(crate) fn region(&mut self, region: &Region) -> Result<(), String> {
        for id in &region.ops {
            let op = self.func.op(*id);
            match &op.kind {
                OpKind::Scan(scan) => self.scan(scan)?,
                kind => {
                    let args: Vec<&Tensor> = op
                        .args
                        .iter()
                        .map(|a| self.get(*a))
                        .collect::<Result<_, _>>()?;
                    let results = ops::eval(self, kind, &args)?;
                    for (r, t) in op.results.iter().zip(results) {
                        self.set(*r, t);
                    }
                }
            }
        }
        Ok(())
    }
}
