//! Tensor IR to buffers and tasks: what is fused, where values live, when memory is reused.
//!
//! In: an [`ir::Func`]. Out: a [`Program`].
//!
//! ```text
//! desugar ──────▶ place ─▶ group ───▶ store ──────▶ order ─▶ share ─▶ emit ─────────▶ reuse ────────────▶ buffer
//! (hold, sink)   (join)   (one loop) (in memory?)                    (loops, product, (in another's place)
//!                                                                     carry)
//! ```

pub mod access;
mod buffer;
mod carry;
mod coords;
mod desugar;
mod edit;
mod emit;
pub mod extent;
mod facts;
mod group;
mod hold;
mod inline;
pub mod interp;
mod join;
mod loops;
mod memory;
mod named;
pub mod narrow;
mod order;
pub mod peak;
mod place;
mod print;
mod product;
pub mod program;
mod reads;
mod relocate;
mod reuse;
mod rows;
mod share;
mod side_by_side;
mod sink;
mod size;
mod store;
mod touch;
pub mod verify;
mod view;

use std::collections::BTreeMap;

use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::ir::{self, Func, OpKind, TakeWhich};
use emit::Emitter;
use memory::Memory;
use order::Ordered;
use place::Placed;
use program::{CarryHome, Home, ParamPort, Port, Program, Role};
use store::Regions;

/// Decides groups, memory and order for a verified function.
///
/// # Errors
/// `internal::plan` where the result breaks a rule of [`verify`] (a bug; checked in debug builds),
/// `feature::unavailable` for a scan inside another's body, `shape::too-large` where a buffer's size
/// in elements has a coefficient outside `i64`.
pub fn schedule(func: &Func) -> Result<Program, Diagnostic> {
    let mut placed = place::place(desugar::desugar(func)?)?;
    loop {
        let clobbered = match emit(&placed)? {
            Ok(program) => {
                if cfg!(debug_assertions)
                    && let Err(rule) = verify::verify(&program)
                {
                    let message = format!("the plan of '{}' breaks a rule: {rule}", func.name);
                    return Err(Diagnostic::error("internal::plan", message));
                }
                return Ok(program);
            }
            Err(clobbered) => clobbered,
        };
        for carry in clobbered {
            placed.carries.insert(carry, CarryHome::Copied);
        }
    }
}

/// The program, or the carries that it would wrongly keep in place.
fn emit(p: &Placed) -> Result<Result<Program, Vec<(ir::OpId, usize)>>, Diagnostic> {
    let mut regions = BTreeMap::new();
    regions.insert(None, group::group(p, &p.func.body.ops));
    for &id in &p.func.body.ops {
        if let OpKind::Scan(scan) = &p.func.op(id).kind {
            regions.insert(Some(id), group::group(p, &scan.body.ops));
        }
    }
    let storage = store::storage(p, &regions);
    let regions: Regions<Ordered> = regions
        .into_iter()
        .map(|(site, groups)| (site, order::order(p, &storage, site, groups)))
        .collect();
    let mut e = Emitter {
        p,
        storage: &storage,
        regions: &regions,
        memory: Memory::new(p, share::share(p, &storage, &regions))?,
        clobbered: Vec::new(),
    };
    let tasks = e.region(None)?;
    let Emitter {
        memory, clobbered, ..
    } = e;
    Ok(match clobbered.is_empty() {
        true => Ok(program(p, memory, tasks)?),
        false => Err(clobbered),
    })
}

/// The times whose first step anything takes.
fn begun(func: &Func) -> Vec<Dim> {
    let mut out: Vec<Dim> = Vec::new();
    for op in &func.ops {
        if let OpKind::Take(TakeWhich::First) = op.kind
            && let Some(time) = func.shape(op.args[0]).first()
            && !out.contains(time)
        {
            out.push(time.clone());
        }
    }
    out
}

fn program(
    p: &Placed,
    memory: Memory<'_>,
    mut tasks: Vec<program::Task>,
) -> Result<Program, Diagnostic> {
    let func = &p.func;
    let mut outputs = Vec::new();
    for (i, o) in func.outputs.iter().enumerate() {
        let buffer = memory.output(i);
        if matches!(memory.buffers[buffer.0 as usize].home, Home::Grad(_)) {
            continue;
        }
        let role = match o.role.clone() {
            ir::OutputRole::Loss => Role::Loss,
            ir::OutputRole::LossSum(s) => Role::LossSum(s),
            ir::OutputRole::LossCount(s) => Role::LossCount(s),
            ir::OutputRole::Prediction(s) => Role::Prediction(s),
            ir::OutputRole::Named(s) => Role::Named(s),
            ir::OutputRole::Carry(s) => Role::Carry(s),
            ir::OutputRole::Grad(path) => {
                let message = format!("a gradient is asked for '{path}', which is no weight");
                return Err(Diagnostic::error("internal::unknown-weight", message));
            }
        };
        outputs.push(Port { role, buffer });
    }
    let params = func.params.iter().map(|w| ParamPort {
        path: w.path.clone(),
        shape: func.shape(w.value).to_vec(),
    });
    let params = params.collect();
    let inputs = func.inputs.iter().enumerate().map(|(i, input)| Port {
        role: match input.role.clone() {
            ir::InputRole::Data(s) => Role::Data(s),
            ir::InputRole::Previous(s) => Role::Previous(s),
            ir::InputRole::Lengths(s) => Role::Lengths(s),
            ir::InputRole::Steps(s) => Role::Steps(s),
            ir::InputRole::Carry(s) => Role::Carry(s),
        },
        buffer: memory.input(i),
    });
    let mut inputs: Vec<Port> = inputs.collect();
    let mut buffers = memory.buffers;
    let ids = reuse::reuse(&mut buffers, &mut tasks, &func.dims)?;
    for port in inputs.iter_mut().chain(&mut outputs) {
        port.buffer = ids[port.buffer.0 as usize];
    }
    buffer::lives(&mut buffers, &tasks);
    let slots = buffer::slots(&mut buffers, &func.dims)?;
    Ok(Program {
        name: func.name.clone(),
        dims: func.dims.clone(),
        buffers,
        slots,
        params,
        inputs,
        outputs,
        tasks,
        begun: begun(func),
    })
}
