//! What a compiled function looks like from outside, whatever machine runs it.
//!
//! In: sizes, weights and data of one call. Out: the results. The reference interpreter and every
//! target implement [`Executable`], so training and generation do not know which one they drive.

use crate::diagnostics::Diagnostic;

/// What an argument or a result carries; the roles of the function it was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A named `input` or `target`.
    Data(String),
    /// A target shifted by one step.
    Previous(String),
    /// Lengths along the time axis of this name.
    Lengths(String),
    /// The number of every step along the time axis of this name.
    Steps(String),
    /// A state carried in or out, by path.
    Carry(String),
    Loss,
    LossSum(String),
    LossCount(String),
    Prediction(String),
    Named(String),
    /// The gradient of the weight at this path.
    Grad(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    F32,
    I32,
}

/// An argument or a result. Its static sizes are numbers; the symbols left are those of
/// [`Signature::sizes`].
#[derive(Clone, Debug)]
pub struct Slot {
    pub role: Role,
    pub elem: Elem,
    pub shape: Vec<crate::dim::Dim>,
}

/// A weight's place in the canonical arena: elements `offset .. offset + len`, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSlot {
    pub path: String,
    pub shape: Vec<usize>,
    pub offset: usize,
    pub len: usize,
}

/// What a compiled function takes and gives.
#[derive(Clone, Debug)]
pub struct Signature {
    pub name: String,
    /// Launch sizes in the order [`Call::sizes`] gives them (`B`, `T`, …).
    pub sizes: Vec<crate::dim::Sym>,
    pub params: Vec<ParamSlot>,
    /// Length of the arena of weights (and of gradients).
    pub param_len: usize,
    pub inputs: Vec<Slot>,
    /// Gradients are not listed: they are written to [`Call::grads`], laid out as the weights.
    pub outputs: Vec<Slot>,
    pub has_grads: bool,
}

/// Data given to one input, row-major in the input's shape.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
}

/// Keys of the random draws of one call (see [`crate::philox`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Draw {
    pub seed: u64,
    pub step: u64,
}

pub struct Call<'a> {
    pub sizes: &'a [usize],
    /// The canonical arena, `param_len` long.
    pub params: &'a [f32],
    /// One for each of [`Signature::inputs`].
    pub inputs: &'a [Arg<'a>],
    /// One for each of [`Signature::outputs`]; resized to the result's size.
    pub outputs: &'a mut [Vec<f32>],
    /// `param_len` long where the function has gradients, else empty. Overwritten.
    pub grads: &'a mut [f32],
    pub draw: Draw,
}

/// Runs a function on as many threads as so many nanoseconds of work pay for.
pub type Together<'a> = &'a dyn Fn(f64, &(dyn Fn() + Sync));

pub trait Executable: Send {
    fn signature(&self) -> &Signature;

    /// Runs once. Errors are about resources (`resource::memory`, with the bytes it would take) or
    /// arguments that do not fit the signature.
    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic>;

    /// Says that all calls from the next one on have the same weights, so that what is made of them
    /// alone can be made once; with `false`, that they may change again. Said anew, they may have
    /// changed in between.
    fn hold_params(&mut self, _held: bool) {}

    /// Bytes of temporaries that a call with these sizes holds at its peak.
    fn peak_bytes(&self, sizes: &[usize]) -> Option<u64>;

    /// Runs `f` on this thread, and at the same time on others of its own where work of so many
    /// nanoseconds pays for them. One `f` alone does all that there is to do; several share it.
    fn together(&self, _nanoseconds: f64, f: &(dyn Fn() + Sync)) {
        f();
    }
}
