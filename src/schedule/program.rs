//! The scheduled program: buffers, and tasks in order that read and write views of them.
//!
//! In: nothing. Out: [`Program`], the last target-independent form. It has its own expression type
//! and no reference to the IR, so a target reads this alone. Tiles, packing, vector widths, time
//! chunks and the division of work among threads are the target's.

use crate::dim::{Dim, DimTable};
use crate::span::Span;

/// Index into [`Program::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elem {
    F32,
    I32,
}

/// Weights that follow each other in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    pub first: usize,
    pub count: usize,
}

impl Weights {
    pub fn one(weight: usize) -> Weights {
        Weights {
            first: weight,
            count: 1,
        }
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// Who owns a buffer's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// These weights, in the canonical arena.
    Param(Weights),
    /// The argument of this index.
    Input(usize),
    /// The result of this index.
    Output(usize),
    /// The gradients of these weights, in an arena laid out as the weights'.
    Grad(Weights),
    /// Temporary memory; buffers whose lives do not overlap may share a slot.
    Temp(usize),
}

#[derive(Clone, Debug)]
pub struct Buffer {
    pub name: String,
    pub elem: Elem,
    /// Row-major; one more step than the time axis for a carry's history.
    pub shape: Vec<Dim>,
    pub home: Home,
    /// First and last top-level task that touches it.
    pub life: (usize, usize),
    /// What is stored here after it, in order.
    pub then: Vec<Then>,
}

/// A value that has no memory of its own: it is written where the last readers of another find that.
#[derive(Clone, Debug)]
pub struct Then {
    pub name: String,
    /// All of it.
    pub at: View,
    /// What stores it, in order: at least one.
    pub stores: Vec<Store>,
}

/// The task that stores something, in a scan with the task of its body, and where.
#[derive(Clone, Debug)]
pub struct Store {
    pub by: (usize, Option<usize>),
    pub to: View,
}

impl Then {
    /// The task that stores it first.
    pub fn from(&self) -> (usize, Option<usize>) {
        self.stores.first().map_or((0, None), |s| s.by)
    }
}

/// One axis of a view: how many elements, and how far apart in the buffer. Stride 0 repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    pub size: Dim,
    pub stride: Dim,
}

/// Elements `offset + Σ index·stride` of a buffer; inside a scan's body plus `t·step`, where `t` is
/// the step's place in time (also when time runs backwards).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub buffer: BufferId,
    pub offset: Dim,
    pub step: Option<Dim>,
    pub axes: Vec<Axis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Neg,
    Exp,
    Log,
    Sqrt,
    Abs,
    Sign,
    Tanh,
    Sigmoid,
    Sin,
    Cos,
    Step,
    Erf,
    Floor,
    /// The nearest bfloat16, of two the even one.
    Bf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Index of an expression in [`Loop::exprs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// A scalar computed at each point of a loop's space; operands come before their uses.
#[derive(Clone, Debug)]
pub enum Expr {
    Const(f64),
    /// An element of [`Loop::loads`]; integers arrive as floats.
    Load(usize),
    /// The point's coordinate on an axis of the space, as a float.
    Index(usize),
    /// The step's place in time, as a float; inside a scan's body only.
    Time,
    /// A size, as a float.
    Size(Dim),
    Unary(Unary, ExprId),
    Binary(Binary, ExprId, ExprId),
    /// The second where the first is not 0, else the third.
    Select(ExprId, ExprId, ExprId),
}

impl Expr {
    pub fn operands(&self) -> Vec<ExprId> {
        match self {
            Expr::Const(_) | Expr::Load(_) | Expr::Index(_) | Expr::Time | Expr::Size(_) => vec![],
            Expr::Unary(_, a) => vec![*a],
            Expr::Binary(_, a, b) => vec![*a, *b],
            Expr::Select(a, b, c) => vec![*a, *b, *c],
        }
    }
}

/// What happens to a computed value.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Stored at every point; the view's axes match the space's.
    Store { value: ExprId, to: View },
    /// Folded over the loop's reduced axes; the view's axes match the axes kept.
    Fold { op: FoldOp, value: ExprId, to: View },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FoldOp {
    Sum,
    Max,
}

/// A fused elementwise group over one iteration space, row-major, the last axis the fastest.
/// In one loop either all effects are stores or all are folds over the same axes.
#[derive(Clone, Debug)]
pub struct Loop {
    pub name: String,
    pub space: Vec<Dim>,
    /// For each axis of the space, whether folds run over it.
    pub reduced: Vec<bool>,
    /// Each view's axes match the space's, stride 0 where the value repeats. Loads happen before
    /// stores at each point; a loop may store to a view it loads (same index, in place).
    pub loads: Vec<View>,
    pub exprs: Vec<Expr>,
    pub effects: Vec<Effect>,
    /// The matrix product whose output this group consumes first, for printing and for targets that
    /// can run it on the tile: index of that task in the same list.
    pub epilogue_of: Option<usize>,
    pub spans: Vec<Span>,
}

impl Loop {
    /// For each expression, whether this value is computed from it.
    pub fn needed(&self, value: ExprId) -> Vec<bool> {
        let mut needed = vec![false; self.exprs.len()];
        needed[value.0 as usize] = true;
        for i in (0..self.exprs.len()).rev() {
            if needed[i] {
                for a in self.exprs[i].operands() {
                    needed[a.0 as usize] = true;
                }
            }
        }
        needed
    }
}

/// One index of a matrix product: its size and its strides in the three views (0 where absent).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GemmAxis {
    pub size: Dim,
    pub lhs: Dim,
    pub rhs: Dim,
    pub out: Dim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GemmClass {
    /// The right operand is a weight used by many rows, or again at every step of a scan: worth
    /// packing once.
    PackedWeight,
    /// Both operands are activations, the contracted axis is long (a weight's gradient).
    OneShot,
}

/// `out[m, n] = Σ_k lhs[m, k] · rhs[k, n]` for every batch index; neighbouring indices that can be
/// walked with one stride have been merged. The views give buffers, offsets and steps; their `axes`
/// are empty, strides are in the index lists.
#[derive(Clone, Debug)]
pub struct Gemm {
    pub name: String,
    pub lhs: View,
    pub rhs: View,
    pub out: View,
    pub batch: Vec<GemmAxis>,
    pub m: Vec<GemmAxis>,
    pub n: Vec<GemmAxis>,
    pub k: Vec<GemmAxis>,
    pub class: GemmClass,
    /// The right operand does not change during the scan around, so it is packed before it.
    pub rhs_invariant: bool,
    pub spans: Vec<Span>,
}

/// A loop over time. The body's tasks run once a step, in order.
#[derive(Clone, Debug)]
pub struct Scan {
    pub name: String,
    pub extent: Dim,
    pub reverse: bool,
    pub body: Vec<Task>,
    /// No task of the body mixes rows of the batch (axis 0 of every view in the body): a target may
    /// run all steps on a range of rows independently of the others.
    pub rows_independent: bool,
    /// How each carry is kept, for printing.
    pub carries: Vec<(String, CarryHome)>,
    pub spans: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CarryHome {
    /// All steps side by side with the initial value: reading step t, writing step t + 1.
    History,
    /// One buffer, overwritten.
    InPlace,
    /// One buffer, and a copy at the end of each step.
    Copied,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dist {
    Uniform,
    Normal,
}

/// Work that a target has a routine for. Views keep their axes; "rows" are all axes but the last.
#[derive(Clone, Debug)]
pub enum Routine {
    /// `out = softmax(x)` over the last axis.
    Softmax { x: View, out: View },
    /// `out = 1` for the `k` largest of the last axis (of equal ones the first), else 0.
    Top { k: usize, x: View, out: View },
    /// `out = −log softmax(logits)[target]`, 0 where the target is negative.
    CrossEntropy {
        logits: View,
        target: View,
        out: View,
    },
    /// `out = (softmax(logits) − onehot(target))·g`, exactly 0 where `g` is 0 or the target negative.
    CrossEntropyGrad {
        logits: View,
        target: View,
        g: View,
        out: View,
    },
    /// `out[…, :] = table[index[…], :]`, zeros for a negative index.
    Gather { table: View, index: View, out: View },
    /// `out = 0; out[index[…], :] += grad[…, :]`, in order of position.
    ScatterAdd { grad: View, index: View, out: View },
    /// `out[b, …] = x[first or len[b] − 1, b, …]`; `len` is `None` for the first step.
    Take {
        x: View,
        len: Option<View>,
        out: View,
    },
    /// `out = 0; out[first or len[b] − 1, b, …] = g[b, …]`.
    Put {
        g: View,
        len: Option<View>,
        out: View,
    },
    /// Draws by Philox; with `timed`, axes are (t, example, features…), else (example, features…).
    /// Inside a scan's body the time is the step's.
    Random {
        path: String,
        dist: Dist,
        timed: bool,
        out: View,
    },
}

#[derive(Clone, Debug)]
pub enum Task {
    Gemm(Gemm),
    Loop(Loop),
    Scan(Scan),
    Routine {
        name: String,
        routine: Routine,
        spans: Vec<Span>,
    },
}

/// What an argument or result carries: as in the function that was scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Data(String),
    Previous(String),
    Lengths(String),
    Steps(String),
    Carry(String),
    Loss,
    LossSum(String),
    LossCount(String),
    Prediction(String),
    Named(String),
}

/// An argument or result: its meaning and its buffer.
#[derive(Clone, Debug)]
pub struct Port {
    pub role: Role,
    pub buffer: BufferId,
}

#[derive(Clone, Debug)]
pub struct ParamPort {
    pub path: String,
    pub shape: Vec<Dim>,
}

#[derive(Clone, Debug)]
pub struct Program {
    pub name: String,
    pub dims: DimTable,
    pub buffers: Vec<Buffer>,
    /// The size in elements of each temporary slot: the largest of these at launch.
    pub slots: Vec<Vec<Dim>>,
    pub params: Vec<ParamPort>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub tasks: Vec<Task>,
    /// Times of which a view reads the first step: a call needs at least one.
    pub begun: Vec<Dim>,
}

impl Program {
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }
}
