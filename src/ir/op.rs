//! The operations of the tensor IR and the function that holds them.
//!
//! In: nothing. Out: [`Func`]: one arena of values, one of ops, and regions that are ordered lists of op ids, so that moving
//! an op between regions moves an id. Axes are positions; dims only name them. There are no strides, transposes or layouts
//! here: those belong to a target.
//!
//! Conventions of shape: a sequence is `[T, B, …]`, a value per example `[B, …]`, inside a scan's body a step's value
//! `[B, …]`; weights have no batch axis and keep the order the language shows (`W : [H, X]` for `W·x`).

use std::collections::BTreeMap;

use crate::dim::{Dim, DimTable};
use crate::domain::Domain;
use crate::span::Span;

/// Index into [`Func::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// Index into [`Func::ops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elem {
    F32,
    /// Tokens, classes and lengths.
    I32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    pub elem: Elem,
    pub shape: Vec<Dim>,
}

impl Type {
    pub fn f32(shape: Vec<Dim>) -> Type {
        Type {
            elem: Elem::F32,
            shape,
        }
    }

    pub fn i32(shape: Vec<Dim>) -> Type {
        Type {
            elem: Elem::I32,
            shape,
        }
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

#[derive(Clone, Debug)]
pub struct Value {
    /// From the source (`z`), made unique inside the function by a suffix (`z.1`).
    pub name: String,
    pub ty: Type,
}

/// Elementwise functions of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unary {
    Neg,
    Exp,
    Log,
    Sqrt,
    Abs,
    /// −1, 0 or 1.
    Sign,
    Tanh,
    Sigmoid,
    Sin,
    Cos,
    /// 1 where x > 0, else 0; its gradient is 0.
    Step,
    /// Gauss's error function (the exact GELU needs it).
    Erf,
    /// The same bits, but no gradient passes.
    Stop,
    /// The nearest bfloat16 (8 significant bits), of two the even one; its gradient is 0.
    Bf16,
}

/// Elementwise functions of two values; comparisons give 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
    Lt,
    Le,
    Eq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceOp {
    Sum,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TakeWhich {
    /// Step 0.
    First,
    /// Step `len − 1` of each example.
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dist {
    /// `[0, 1)`.
    Uniform,
    /// Mean 0, variance 1.
    Normal,
}

/// An operation. Arguments and results are listed in [`Op`]; their order is given here.
#[derive(Clone, Debug)]
pub enum OpKind {
    /// `() → []`.
    Const(f64),
    /// `(x) → x's shape`.
    Unary(Unary),
    /// `(a, b) → shape`: equal shapes; a rank-0 operand lifts to the other's shape.
    Binary(Binary),
    /// `(c, a, b) → shape`: `a` where `c ≠ 0`, else `b`; rank-0 operands lift.
    Select,
    /// `(x) → shape`: result axis `i` is operand axis `axes[i]`, or repeats where `None`. Each of the
    /// operand's axes appears once, in any order.
    Expand {
        axes: Vec<Option<usize>>,
        shape: Vec<Dim>,
    },
    /// `(l, r) → [out…]`: a product summed over the labels absent from `out`. Each label on an
    /// operand's axis names one size; a label is on both operands or in `out` (or all three).
    Contract {
        lhs: Vec<u8>,
        rhs: Vec<u8>,
        out: Vec<u8>,
    },
    /// `(x)`, or `(x, len)` where `masked`, → x's shape less `axes` (ascending). With
    /// `len : i32 [B]`, `axes` holds the time axis 0 (batch axis 1, which may be reduced too) and
    /// steps `t ≥ len[b]` are left out; `Sum` over none is 0.
    Reduce {
        op: ReduceOp,
        axes: Vec<usize>,
        masked: bool,
    },
    /// `(x) → x's shape`: over the last axis; −∞ gets weight 0, and a row of nothing else is all 0.
    Softmax,
    /// `(x) → x's shape`: 1 for the `k` largest of the last axis (of equal ones the first), else 0.
    Top { k: usize },
    /// `() → [size]`: 0, 1, 2, …
    Iota { size: Dim },
    /// `(logits [.., V], target i32 [..]) → [..]` in nats; 0 where the target is negative.
    CrossEntropy,
    /// `(logits [.., V], target i32 [..], g [..]) → [.., V]`; exactly 0 where `g` is 0 or the target
    /// is negative.
    CrossEntropyGrad,
    /// `(table [V, …], index i32 […]) → […, …]`; a negative index reads as zeros.
    Gather,
    /// `(grad […, …], index i32 […]) → [V, …]`: the adjoint of `Gather`; `rows` is V.
    ScatterAdd { rows: Dim },
    /// `(x) → parts along axis`, of the given sizes.
    Split { axis: usize, sizes: Vec<Dim> },
    /// `(parts…) → joined along axis`.
    Concat { axis: usize },
    /// `(x [T, B, …], len i32 [B]) → [B, …]`.
    Take(TakeWhich),
    /// `(g [B, …], len i32 [B]) → [T, B, …]`: the adjoint of `Take`, zero elsewhere.
    Put { which: TakeWhich, extent: Dim },
    /// `(x, n i32 [B], …) → x's shape`: `x` inside the domain, `fill` (0 or −∞) outside. The domain
    /// speaks of x's axes and of the numbers `n` of the point's example, whose axis is `batch`.
    Mask {
        domain: Domain,
        fill: f64,
        batch: Option<usize>,
    },
    /// `(x [T, B, …]) → x's shape`: step `t` is step `t − by` of `x`, zero where there is none;
    /// negative `by` looks ahead.
    Shift { by: i64 },
    /// `(i32) → f32` of the same shape.
    ToFloat,
    /// `() → shape`, drawn by Philox from the stable `path`, the step of the run and the element's
    /// (example, t, feature); `shape` is `[T, B, …]` where `timed`, else `[B, …]`.
    Random {
        path: String,
        dist: Dist,
        shape: Vec<Dim>,
        timed: bool,
    },
    /// The only loop. Values are named in [`Scan`]; the op's `args` and `results` repeat them in
    /// the order: slices' `from`, carries' `init`, `len`; stacks' `to`, carries' `last`.
    Scan(Box<Scan>),
}

/// A loop over time with carried values.
///
/// With `len`, an example's carries hold at steps `t ≥ len[b]`. A stack whose `from` is a carry's
/// `param` or `next` collects that carry before or after the step, held values included; any other
/// stack of values that have a batch axis is exactly 0 at padded steps. A carry whose first axis is not the batch always takes its
/// next value, so what a body adds to it must be made zero at padded steps with `valid`. A body may
/// read any value of the regions around. No gradient may reach a padded step of a stack: losses,
/// reductions and `Take` leave padding out, so its adjoint there is exactly 0.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The time axis' size.
    pub extent: Dim,
    /// Runs from the last step to the first; with `len`, so from each example's own end.
    pub reverse: bool,
    /// `i32 [B]`.
    pub len: Option<ValueId>,
    /// In the body: `f32 [B]`, 1 where the step is real for the example, else 0.
    pub valid: Option<ValueId>,
    pub slices: Vec<Slice>,
    pub carries: Vec<Carry>,
    pub stacks: Vec<Stack>,
    pub body: Region,
}

/// `to` is step `t` of the sequence `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub from: ValueId,
    pub to: ValueId,
}

/// `param` starts at `init` and becomes `next` after each step; `last` is its final value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    pub init: ValueId,
    pub param: ValueId,
    pub next: ValueId,
    pub last: ValueId,
}

/// The sequence `to` collects the body's `from` of every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    pub from: ValueId,
    pub to: ValueId,
}

/// Ops in order of execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    pub ops: Vec<OpId>,
}

#[derive(Clone, Debug)]
pub struct Op {
    pub kind: OpKind,
    pub args: Vec<ValueId>,
    pub results: Vec<ValueId>,
    /// Where in the source the op comes from; merged ops keep every place.
    pub spans: Vec<Span>,
    /// The passes that made or moved it, printed as provenance.
    pub by: Vec<&'static str>,
}

/// What an input of a function carries, so that a runner knows how to fill it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputRole {
    /// A named `input` or `target` of the model.
    Data(String),
    /// The target shifted by one: `<start>` or zeros, then the target's earlier steps.
    Previous(String),
    /// Lengths of the time axis of this name, `i32 [B]`.
    Lengths(String),
    /// The number of every step of the time axis of this name, `i32 [T, B]`: 0, 1, 2, … from the
    /// start of the sequence, which a continued sequence goes on from.
    Steps(String),
    /// The state a scan starts from, by path (`lstm.h`).
    Carry(String),
}

#[derive(Clone, Debug)]
pub struct Input {
    pub role: InputRole,
    pub value: ValueId,
}

/// A weight: its path is its name in checkpoints.
#[derive(Clone, Debug)]
pub struct Param {
    pub path: String,
    pub value: ValueId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputRole {
    /// The scalar minimised: mean over the real steps of the batch.
    Loss,
    /// Sum over real steps of one target's loss, and how many there were: a part is evaluated as a
    /// whole from these.
    LossSum(String),
    LossCount(String),
    /// Probabilities, or values, of one prediction: `[T, B, …]` or `[B, …]`.
    Prediction(String),
    /// What the model's `output` names.
    Named(String),
    /// The state of a scan after its last step, by path.
    Carry(String),
    /// The gradient of the weight at this path.
    Grad(String),
}

#[derive(Clone, Debug)]
pub struct Output {
    pub role: OutputRole,
    pub value: ValueId,
}

/// A function of data, weights and carried states.
#[derive(Clone, Debug)]
pub struct Func {
    pub name: String,
    pub dims: DimTable,
    pub values: Vec<Value>,
    pub ops: Vec<Op>,
    pub inputs: Vec<Input>,
    pub params: Vec<Param>,
    pub body: Region,
    pub outputs: Vec<Output>,
    /// How often each base name was given, so that names stay unique.
    pub names: BTreeMap<String, u32>,
}

impl OpKind {
    /// `(x [T, B, …], len i32 [B])`: zero at padded steps.
    pub fn padding() -> OpKind {
        OpKind::Mask {
            domain: Domain::before_end(0, 0),
            fill: 0.0,
            batch: Some(1),
        }
    }
}

impl Func {
    pub fn new(name: &str, dims: DimTable) -> Func {
        Func {
            name: name.to_string(),
            dims,
            values: Vec::new(),
            ops: Vec::new(),
            inputs: Vec::new(),
            params: Vec::new(),
            body: Region::default(),
            outputs: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// A new value; its name gets a suffix where the base is taken (`z`, `z.1`, `z.2`).
    pub fn fresh(&mut self, name: &str, ty: Type) -> ValueId {
        let base = match name.rsplit_once('.') {
            Some((base, n)) if !base.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => base,
            _ => name,
        };
        let count = self.names.entry(base.to_string()).or_insert(0);
        let name = if *count == 0 {
            base.to_string()
        } else {
            format!("{base}.{count}")
        };
        *count += 1;
        self.values.push(Value { name, ty });
        ValueId(self.values.len() as u32 - 1)
    }

    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    pub fn op(&self, id: OpId) -> &Op {
        &self.ops[id.0 as usize]
    }

    pub fn op_mut(&mut self, id: OpId) -> &mut Op {
        &mut self.ops[id.0 as usize]
    }

    pub fn shape(&self, id: ValueId) -> &[Dim] {
        &self.value(id).ty.shape
    }

    /// The size of the batch axis in every function.
    pub fn batch() -> Dim {
        Dim::named("B")
    }
}
