//! The f64 interpreter behind the trait of compiled functions: what `--dtype f64` runs.
//!
//! In: a function. Out: an [`Executable`] whose results are computed in f64 and rounded once, on return.

use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};
use crate::ir::interp::{self, Draw, Tensor};
use crate::ir::{Elem, Func, InputRole, OutputRole};
use crate::targets::executable::{
    self as exe, Arg, Call, Executable, ParamSlot, Role, Signature, Slot,
};

pub struct Reference {
    func: Func,
    signature: Signature,
}

impl Reference {
    /// Every static size of the function is known.
    pub fn new(func: Func) -> Result<Reference, Diagnostic> {
        let signature = signature(&func)?;
        Ok(Reference { func, signature })
    }
}

/// What the function takes and gives, as a caller of any backend sees it.
pub fn signature(func: &Func) -> Result<Signature, Diagnostic> {
    let unknown = || {
        Diagnostic::error(
            "size::unknown",
            "a size is known only once the data is read",
        )
    };
    let mut params = Vec::new();
    let mut offset = 0;
    for p in &func.params {
        let mut shape = Vec::new();
        for d in func.shape(p.value) {
            let n = func.dims.eval_static(d).ok_or_else(unknown)?;
            shape.push(usize::try_from(n).map_err(|_| unknown())?);
        }
        let len = shape.iter().product();
        params.push(ParamSlot {
            path: p.path.clone(),
            shape,
            offset,
            len,
        });
        offset += len;
    }
    let elem = |e: Elem| match e {
        Elem::F32 => exe::Elem::F32,
        Elem::I32 => exe::Elem::I32,
    };
    let launch = |shape: &[Dim]| -> Result<Vec<Dim>, Diagnostic> {
        let value = |s: &Sym| func.dims.static_value(s).map(Dim::constant);
        let dims = shape.iter().map(|d| d.subst(&value));
        dims.collect::<Result<_, _>>().map_err(|_| unknown())
    };
    let inputs = func.inputs.iter().map(|i| {
        let ty = &func.value(i.value).ty;
        let role = match &i.role {
            InputRole::Data(n) => Role::Data(n.clone()),
            InputRole::Previous(n) => Role::Previous(n.clone()),
            InputRole::Lengths(n) => Role::Lengths(n.clone()),
            InputRole::Steps(n) => Role::Steps(n.clone()),
            InputRole::Carry(n) => Role::Carry(n.clone()),
        };
        Ok(Slot {
            role,
            elem: elem(ty.elem),
            shape: launch(&ty.shape)?,
        })
    });
    let outputs = func.outputs.iter().filter_map(|o| {
        let role = match &o.role {
            OutputRole::Loss => Role::Loss,
            OutputRole::LossSum(n) => Role::LossSum(n.clone()),
            OutputRole::LossCount(n) => Role::LossCount(n.clone()),
            OutputRole::Prediction(n) => Role::Prediction(n.clone()),
            OutputRole::Named(n) => Role::Named(n.clone()),
            OutputRole::Carry(n) => Role::Carry(n.clone()),
            OutputRole::Grad(_) => return None,
        };
        let ty = &func.value(o.value).ty;
        Some(launch(&ty.shape).map(|shape| Slot {
            role,
            elem: elem(ty.elem),
            shape,
        }))
    });
    Ok(Signature {
        name: func.name.clone(),
        sizes: func.dims.launch_syms(),
        params,
        param_len: offset,
        inputs: inputs.collect::<Result<_, _>>()?,
        outputs: outputs.collect::<Result<_, _>>()?,
        has_grads: func
            .outputs
            .iter()
            .any(|o| matches!(o.role, OutputRole::Grad(_))),
    })
}

impl Executable for Reference {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic> {
        let wrong = |e: String| Diagnostic::error("call::mismatch", e);
        let syms = self.func.dims.launch_syms();
        let sizes: Vec<_> = syms
            .into_iter()
            .zip(call.sizes.iter().map(|s| *s as i64))
            .collect();
        let shape = |dims: &[crate::dim::Dim]| -> Result<Vec<usize>, Diagnostic> {
            let value = |s: &crate::dim::Sym| {
                let launch = sizes.iter().find(|(n, _)| n == s).map(|(_, v)| *v);
                launch.or_else(|| self.func.dims.static_value(s))
            };
            let one = |d: &crate::dim::Dim| {
                d.eval(&value)
                    .and_then(|n| usize::try_from(n).ok())
                    .ok_or_else(|| {
                        Diagnostic::error("call::mismatch", format!("the size {d} has no value"))
                    })
            };
            dims.iter().map(one).collect()
        };
        let mut inputs = Vec::new();
        for (slot, arg) in self.signature.inputs.iter().zip(call.inputs) {
            let data: Vec<f64> = match arg {
                Arg::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
                Arg::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            };
            let shape = shape(&slot.shape)?;
            if shape.iter().product::<usize>() != data.len() {
                return Err(wrong(format!(
                    "{:?} has {} elements",
                    slot.role,
                    data.len()
                )));
            }
            inputs.push(Tensor::new(shape, data));
        }
        let mut params = Vec::new();
        for p in &self.signature.params {
            let data = call.params[p.offset..p.offset + p.len]
                .iter()
                .map(|x| f64::from(*x));
            params.push(Tensor::new(p.shape.clone(), data.collect()));
        }
        let draw = Draw {
            seed: call.draw.seed,
            step: call.draw.step,
        };
        let results = interp::run(&self.func, &sizes, &inputs, &params, draw).map_err(wrong)?;
        call.grads.fill(0.0);
        let mut outputs = call.outputs.iter_mut();
        for (out, tensor) in self.func.outputs.iter().zip(results) {
            let rounded = tensor.data.iter().map(|x| *x as f32);
            if let OutputRole::Grad(path) = &out.role {
                if let Some(p) = self.signature.params.iter().find(|p| &p.path == path) {
                    let to = &mut call.grads[p.offset..p.offset + p.len];
                    to.iter_mut().zip(rounded).for_each(|(a, b)| *a = b);
                }
            } else if let Some(to) = outputs.next() {
                to.clear();
                to.extend(rounded);
            }
        }
        Ok(())
    }

    fn peak_bytes(&self, _: &[usize]) -> Option<u64> {
        None
    }
}
