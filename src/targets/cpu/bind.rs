//! A call's arguments against what the program wants.
//!
//! In: a [`Program`] once, then each [`Call`]. Out: the [`Signature`], checked sizes, and the address of every buffer.
//!
//! Compiled code trusts its addresses, so everything that could lead one astray is checked here: the lengths of all
//! slices, the example lengths against their time axis. Indices are checked by the routines that use them.

use super::arena::Arena;
use super::jit::table::too_large;
use super::roles::{name, role, timed};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};
use crate::schedule::program::{self as plan, BufferId, Home, Program, Weights};
use crate::targets::executable::{Arg, Call, Elem, ParamSlot, Signature, Slot};

/// Larger sizes are refused: positions are 32-bit in indices and in random draws.
const MOST: usize = i32::MAX as usize;

/// What an absent or empty slice points to.
static NOTHING: [u64; 32] = [0; 32];

#[derive(Clone, Debug)]
struct Bound {
    home: Home,
    /// Elements.
    len: Dim,
    /// Its number among what is kept while weights are held.
    kept: Option<usize>,
}

pub(super) struct Binding {
    pub(super) signature: Signature,
    /// Sizes of temporary slots, static sizes replaced.
    pub(super) slots: Vec<Vec<Dim>>,
    buffers: Vec<Bound>,
    /// Weights whose gradients nothing writes.
    unwritten: Vec<usize>,
    inputs: Vec<BufferId>,
    outputs: Vec<BufferId>,
    /// For inputs that are lengths, the time axis' size.
    extents: Vec<Option<Dim>>,
    /// Times that need a step in every call.
    begun: Vec<Dim>,
}

/// One call's sizes and addresses.
#[derive(Default)]
pub(super) struct Launch {
    pub(super) sizes: Vec<i64>,
    pub(super) arena: Arena,
    pub(super) buffers: Vec<*mut f32>,
    lengths: Lengths,
}

/// Elements of what a call of these sizes takes and gives.
#[derive(Default)]
struct Lengths {
    /// `None` before the first call.
    of: Option<Vec<i64>>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

// SAFETY: the addresses are those of one call and are not used after it.
unsafe impl Send for Launch {}
// SAFETY: shared references only read the addresses; what they point to is written by disjoint ranges.
unsafe impl Sync for Launch {}

fn bad(message: String) -> Diagnostic {
    Diagnostic::error("call::argument", message)
}

impl Binding {
    pub(super) fn new(program: &Program) -> Result<Binding, Diagnostic> {
        let dims = &program.dims;
        let fix = |d: &Dim| {
            d.subst(&|s| dims.static_value(s).map(Dim::constant))
                .map_err(|_| too_large(d))
        };
        let launch = dims.launch_syms();
        for b in &program.buffers {
            for d in &b.shape {
                if let Some(s) = fix(d)?.syms().iter().find(|s| !launch.contains(s)) {
                    let message = format!("the size {s} has no value yet");
                    return Err(Diagnostic::error("compile::unbound-size", message));
                }
            }
        }
        let product = |shape: &[Dim]| {
            let mut all = Dim::constant(1);
            for d in shape {
                all = all.checked_mul(&fix(d)?).map_err(|_| too_large(d))?;
            }
            Ok::<Dim, Diagnostic>(all)
        };
        let mut buffers = Vec::new();
        for b in &program.buffers {
            buffers.push(Bound {
                home: b.home.clone(),
                len: product(&b.shape)?,
                kept: None,
            });
        }
        let mut params = Vec::new();
        let mut offset = 0usize;
        for p in &program.params {
            let known = |d: &Dim| {
                let n = fix(d)?.as_const().and_then(|n| usize::try_from(n).ok());
                n.ok_or_else(|| {
                    let message = format!("the size {d} of weight {} is not fixed", p.path);
                    Diagnostic::error("compile::unbound-size", message)
                })
            };
            let shape = p.shape.iter().map(known).collect::<Result<Vec<_>, _>>()?;
            let len = shape
                .iter()
                .try_fold(1usize, |n, d| n.checked_mul(*d))
                .ok_or_else(|| too_large(&Dim::constant(i64::MAX)))?;
            let end = offset
                .checked_add(len)
                .ok_or_else(|| too_large(&Dim::constant(i64::MAX)))?;
            params.push(ParamSlot {
                path: p.path.clone(),
                shape,
                offset,
                len,
            });
            offset = end;
        }
        let written = |i: &usize| {
            let of = |b: &Bound| matches!(b.home, Home::Grad(run) if run.range().contains(i));
            buffers.iter().any(of)
        };
        let unwritten: Vec<usize> = (0..params.len()).filter(|i| !written(i)).collect();
        let slot = |p: &plan::Port| {
            let b = program.buffer(p.buffer);
            Ok(Slot {
                role: role(&p.role),
                elem: match b.elem {
                    plan::Elem::F32 => Elem::F32,
                    plan::Elem::I32 => Elem::I32,
                },
                shape: b.shape.iter().map(fix).collect::<Result<_, Diagnostic>>()?,
            })
        };
        let mut extents = Vec::new();
        for p in &program.inputs {
            let axis = timed(&p.role).map(|axis| fix(&Dim::named(axis)));
            extents.push(axis.transpose()?);
        }
        let mut slots = Vec::new();
        for s in &program.slots {
            slots.push(s.iter().map(fix).collect::<Result<Vec<_>, _>>()?);
        }
        let begun = program.begun.iter().map(fix);
        Ok(Binding {
            begun: begun.collect::<Result<_, Diagnostic>>()?,
            signature: Signature {
                name: program.name.clone(),
                sizes: launch,
                params,
                param_len: offset,
                inputs: program
                    .inputs
                    .iter()
                    .map(slot)
                    .collect::<Result<_, Diagnostic>>()?,
                outputs: program
                    .outputs
                    .iter()
                    .map(slot)
                    .collect::<Result<_, Diagnostic>>()?,
                has_grads: unwritten.len() < program.params.len(),
            },
            slots,
            buffers,
            unwritten,
            inputs: program.inputs.iter().map(|p| p.buffer).collect(),
            outputs: program.outputs.iter().map(|p| p.buffer).collect(),
            extents,
        })
    }

    /// Gives these temporary buffers memory of their own in calls that hold the weights.
    pub(super) fn keep(&mut self, buffers: &[BufferId]) {
        for (i, b) in buffers.iter().enumerate() {
            self.buffers[b.0 as usize].kept = Some(i);
        }
    }

    /// Elements of each buffer that is kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Dim> {
        let mut all: Vec<&Bound> = self.buffers.iter().filter(|b| b.kept.is_some()).collect();
        all.sort_by_key(|b| b.kept);
        all.into_iter().map(|b| &b.len)
    }

    /// The launch symbols' values.
    pub(super) fn value<'a>(&'a self, sizes: &'a [i64]) -> impl Fn(&Sym) -> Option<i64> + 'a {
        |s| {
            let at = self.signature.sizes.iter().position(|x| x == s)?;
            sizes.get(at).copied()
        }
    }

    /// The sizes of a call, checked.
    pub(super) fn sizes(&self, sizes: &[usize]) -> Result<Vec<i64>, Diagnostic> {
        let mut out = Vec::new();
        self.sizes_into(sizes, &mut out)?;
        Ok(out)
    }

    fn sizes_into(&self, sizes: &[usize], out: &mut Vec<i64>) -> Result<(), Diagnostic> {
        let names = &self.signature.sizes;
        if sizes.len() != names.len() {
            return Err(bad(format!(
                "{} takes {} sizes, the call gives {}",
                self.signature.name,
                names.len(),
                sizes.len()
            )));
        }
        if let Some((s, n)) = names.iter().zip(sizes).find(|(_, n)| **n > MOST) {
            let message = format!("the size {s} = {n} is beyond the largest, {MOST}");
            return Err(Diagnostic::error("resource::size", message));
        }
        out.clear();
        out.extend(sizes.iter().map(|n| *n as i64));
        Ok(())
    }

    fn len(&self, b: BufferId, sizes: &[i64]) -> Result<usize, Diagnostic> {
        let d = &self.buffers[b.0 as usize].len;
        let n = d.eval(&self.value(sizes));
        n.and_then(|n| usize::try_from(n).ok())
            .filter(|n| n.checked_mul(4).is_some_and(|b| b <= isize::MAX as usize))
            .ok_or_else(|| too_large(d))
    }

    /// Everything of a call that can be wrong, before anything is written.
    pub(super) fn check(&self, call: &Call<'_>, launch: &mut Launch) -> Result<(), Diagnostic> {
        let s = &self.signature;
        self.sizes_into(call.sizes, &mut launch.sizes)?;
        let sizes = &launch.sizes;
        if launch.lengths.of.as_ref() != Some(sizes) {
            launch.lengths = self.lengths(sizes)?;
        }
        let want = |what: &dyn Fn() -> String, want: usize, got: usize| {
            if want == got {
                return Ok(());
            }
            let what = what();
            Err(bad(format!("{what}: {want} are wanted, {got} are given")))
        };
        want(&|| "weights".to_string(), s.param_len, call.params.len())?;
        let grads = if s.has_grads { s.param_len } else { 0 };
        want(&|| "gradients".to_string(), grads, call.grads.len())?;
        want(&|| "inputs".to_string(), s.inputs.len(), call.inputs.len())?;
        want(
            &|| "outputs".to_string(),
            s.outputs.len(),
            call.outputs.len(),
        )?;
        for (i, (slot, arg)) in s.inputs.iter().zip(call.inputs).enumerate() {
            let name = || name(&slot.role);
            let len = launch.lengths.inputs[i];
            match (slot.elem, arg) {
                (Elem::F32, Arg::F32(x)) => want(&name, len, x.len())?,
                (Elem::I32, Arg::I32(x)) => want(&name, len, x.len())?,
                (Elem::F32, Arg::I32(_)) => {
                    return Err(bad(format!("{} holds numbers, integers are given", name())));
                }
                (Elem::I32, Arg::F32(_)) => {
                    return Err(bad(format!("{} holds integers, numbers are given", name())));
                }
            }
            if let (Some(extent), Arg::I32(x)) = (&self.extents[i], arg) {
                let steps = extent
                    .eval(&self.value(sizes))
                    .ok_or_else(|| too_large(extent))?;
                if let Some(l) = x.iter().find(|l| !(0..=steps).contains(&i64::from(**l))) {
                    let name = name();
                    return Err(bad(format!("{name}: {l} is outside 0 to {steps} steps")));
                }
            }
        }
        Ok(())
    }

    /// What follows from sizes alone, which most calls share with the call before.
    fn lengths(&self, sizes: &[i64]) -> Result<Lengths, Diagnostic> {
        // The first step is read where it stands, also when no example has it.
        for time in &self.begun {
            if time.eval(&self.value(sizes)) == Some(0) {
                return Err(bad(format!("a call needs at least one step along {time}")));
            }
        }
        let all = |buffers: &[BufferId]| -> Result<Vec<usize>, Diagnostic> {
            buffers.iter().map(|b| self.len(*b, sizes)).collect()
        };
        Ok(Lengths {
            inputs: all(&self.inputs)?,
            outputs: all(&self.outputs)?,
            of: Some(sizes.to_vec()),
        })
    }

    /// Bytes by which the outputs of a checked call will grow.
    pub(super) fn growth(&self, call: &Call<'_>, launch: &Launch) -> u128 {
        let outputs = launch.lengths.outputs.iter().zip(call.outputs.iter());
        let more = outputs.map(|(len, out)| len.saturating_sub(out.capacity()) as u128 * 4);
        more.sum()
    }

    /// Sizes the outputs of a checked call, finds every buffer's address, and clears the gradients that nothing writes.
    pub(super) fn bind(&self, call: &mut Call<'_>, launch: &mut Launch, arena: *mut f32) {
        let nothing = NOTHING.as_ptr().cast::<f32>().cast_mut();
        let some = |len: usize, p: *mut f32| if len == 0 { nothing } else { p };
        launch.buffers.clear();
        for b in &self.buffers {
            launch.buffers.push(match b.home {
                Home::Temp(slot) => {
                    let own = b.kept.and_then(|i| launch.arena.kept.get(i));
                    match own.or(launch.arena.slots.get(slot)) {
                        Some(at) => arena.wrapping_add(*at),
                        None => nothing,
                    }
                }
                Home::Param(run) => {
                    let at = self.arena(run);
                    some(at.len(), call.params[at].as_ptr().cast_mut())
                }
                Home::Grad(run) => {
                    let at = self.arena(run);
                    some(at.len(), call.grads[at].as_mut_ptr())
                }
                Home::Input(_) | Home::Output(_) => nothing,
            });
        }
        for (b, arg) in self.inputs.iter().zip(call.inputs) {
            launch.buffers[b.0 as usize] = match arg {
                Arg::F32(x) => some(x.len(), x.as_ptr().cast_mut()),
                Arg::I32(x) => some(x.len(), x.as_ptr().cast_mut().cast()),
            };
        }
        for (i, (b, out)) in self.outputs.iter().zip(call.outputs.iter_mut()).enumerate() {
            let len = launch.lengths.outputs[i];
            out.resize(len, 0.0);
            if self.owns(i) {
                launch.buffers[b.0 as usize] = some(len, out.as_mut_ptr());
            }
        }
        if self.signature.has_grads {
            for &weight in &self.unwritten {
                call.grads[self.arena(Weights::one(weight))].fill(0.0);
            }
        }
    }

    /// Where these weights are in the arena.
    fn arena(&self, run: Weights) -> std::ops::Range<usize> {
        let slots = &self.signature.params[run.range()];
        let from = slots.first().map_or(0, |s| s.offset);
        let to = slots.last().map_or(from, |s| s.offset + s.len);
        from..to
    }

    /// Whether output `i` is the memory of its buffer, and not a copy of what another port owns.
    fn owns(&self, i: usize) -> bool {
        let b = self.outputs[i];
        matches!(self.buffers[b.0 as usize].home, Home::Output(_))
            && !self.outputs[..i].contains(&b)
    }

    /// Fills the outputs whose values lie elsewhere: in an argument, or in another output.
    pub(super) fn finish(&self, call: &mut Call<'_>, launch: &Launch) {
        for (i, b) in self.outputs.iter().enumerate() {
            if self.owns(i) {
                continue;
            }
            let from = launch.buffers[b.0 as usize].cast_const();
            let out = &mut call.outputs[i];
            match self.signature.outputs[i].elem {
                // SAFETY: the buffer is as long as its output, and is another allocation: this output owns no buffer.
                Elem::F32 => unsafe {
                    out.as_mut_ptr().copy_from_nonoverlapping(from, out.len());
                },
                Elem::I32 => {
                    // SAFETY: as above; the buffer holds integers.
                    let from = unsafe { std::slice::from_raw_parts(from.cast::<i32>(), out.len()) };
                    for (to, n) in out.iter_mut().zip(from) {
                        *to = *n as f32;
                    }
                }
            }
        }
    }
}
