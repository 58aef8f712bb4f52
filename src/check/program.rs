//! The shaped program: a model with every name resolved, every cell, block and function inlined at
//! its use, and every shape known. What `lower` reads.
//!
//! In: built by the checker. Out: [`Model`]. Shapes are the language's: no batch axis, a time axis
//! first where there is one (`[T, H]`). Sizes are symbols of the model's [`DimTable`]; literal sizes
//! become symbols named after the parameter they were given for (`LSTM(256)` declares `H = 256`),
//! one symbol for each different number, so that a test can shrink them.

use std::collections::BTreeMap;

pub use crate::ast::node::{ScanDir, Unit};
use crate::dim::{Dim, DimTable, Sym};
use crate::domain::Domain;
use crate::span::Span;

/// A value of the model or of a cell's body. Index into [`Model::vars`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarId(pub u32);

/// Index into [`Model::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub u32);

#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub span: Span,
    pub dims: DimTable,
    pub vars: Vec<Var>,
    /// `input` and `target` declarations, in order.
    pub inputs: Vec<Input>,
    /// In order of first use, which is the order of the weights in files and listings.
    pub params: Vec<Param>,
    /// Weights that are used with a low-rank update added, as `lora` in the settings asks.
    pub adapters: Vec<Adapter>,
    /// In an order in which every value is defined before it is used.
    pub body: Vec<Stmt>,
    pub predicts: Vec<Predict>,
    pub penalties: Vec<(String, Expr)>,
    /// `output` names and the values to return.
    pub outputs: Vec<(String, Expr)>,
    /// Watched values: shown name and value.
    pub watches: Vec<(String, VarId)>,
    /// Times that a table of positions limits.
    pub limits: Vec<Limit>,
    /// How index form names what a reduction runs over, by the reduction's span; for messages.
    pub reduced: BTreeMap<Span, Reduced>,
}

/// `softmax(w[n, t, s]) over s`: `s`, and `t` where both are places along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    pub over: String,
    /// Another index of the same size that stays.
    pub beside: Option<String>,
}

/// At most `most` steps along `time`, because the weight at `path` has a row for each.
#[derive(Clone, Debug)]
pub struct Limit {
    pub time: Sym,
    pub most: Dim,
    pub path: String,
    pub span: Span,
}

/// A value: the name it has in the source, made unique by a suffix where inlining repeats it.
#[derive(Clone, Debug)]
pub struct Var {
    pub name: String,
    pub shape: Vec<Dim>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    Input,
    Target,
}

#[derive(Clone, Debug)]
pub struct Input {
    pub kind: InputKind,
    pub var: VarId,
    /// `Number` where none is written. Tokens and classes are integers; a `[T] token` has shape `[T]`.
    pub unit: Unit,
    /// The size of the vocabulary, for tokens and classes: a symbol such as `V_text`.
    pub vocabulary: Option<Dim>,
    /// A token target fed through `previous` ends in `<end>` unless its data is one long text.
    pub feeds_itself: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Param {
    /// `rnn.Wf`, `embed.table`, `lstm_2.bf`.
    pub path: String,
    pub shape: Vec<Dim>,
    pub init: Init,
    pub span: Span,
}

/// Wherever the weight W is used, W + B·A is (Hu et al. 2021, with α = r). A is `[r, n]` and drawn, B
/// has W's other axes and r, and is zero, so that the model starts as it is without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adapter {
    pub weight: ParamId,
    pub a: ParamId,
    pub b: ParamId,
}

/// How a weight starts. `fan_in` and `fan_out` of a matrix are its last and first axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    Zeros,
    Ones,
    /// Uniform in ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    Xavier,
    /// Uniform in ±√(6 / fan_in) (He et al. 2015).
    He,
    /// Rows or columns orthonormal (Saxe et al. 2014). Where a weight is applied to a
    /// concatenation with a state, the square block on the state is.
    Orthogonal,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    Constant(f64),
    /// Parts side by side along the last axis, each of its own size and kind: `W·[h, x]` starts
    /// orthogonal on `h`, Xavier on `x`.
    HeadOrthogonal {
        /// Columns of the orthogonal block, which stands first or last.
        first: bool,
    },
}

#[derive(Clone, Debug)]
pub enum Stmt {
    Let { var: VarId, value: Expr },
    Scan(Scan),
}

/// One run of a cell along a time axis. `scan both` is two of these and a [`ExprKind::Concat`].
#[derive(Clone, Debug)]
pub struct Scan {
    /// Path of the cell instance: `lstm`, `lstm_2`, `rnn`; a reversed half of `both` ends in `_reverse`.
    pub path: String,
    /// The cell's name, for listings.
    pub cell: String,
    /// `Forward` or `Reverse`.
    pub dir: ScanDir,
    pub time: Sym,
    /// One value per step: the body's name for it, and the sequence it comes from.
    pub inputs: Vec<(VarId, Expr)>,
    /// The same at every step.
    pub contexts: Vec<(VarId, Expr)>,
    pub states: Vec<State>,
    /// The body, in order; may read inputs, contexts and states.
    pub body: Vec<Stmt>,
    /// The body's output and the sequence that collects it.
    pub output: Expr,
    pub sequence: VarId,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct State {
    /// `lstm.h`: the name of the state in carried inputs and outputs.
    pub path: String,
    /// In the body: the state before the step.
    pub before: VarId,
    /// In the body: the value at the next step.
    pub next: Expr,
    /// `from h = …`, or `state h = h0`; zeros where `None`.
    pub initial: Option<Expr>,
    /// In the model: the state after every step, `[T, …]` (a scan's field `enc.h`).
    pub sequence: VarId,
    /// In the model: the last state in the scan's own direction, `final(enc.h)`.
    pub last: VarId,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub shape: Vec<Dim>,
    /// The operator, or the name, that an error about this value points at.
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Neg,
    Not,
    Exp,
    Log,
    Sqrt,
    Abs,
    Tanh,
    Sigmoid,
    Relu,
    Gelu,
    Silu,
    Softplus,
    Sin,
    Cos,
    Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Lt,
    Le,
    Eq,
    Ne,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    Sum,
    Mean,
    Max,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Number(f64),
    Var(VarId),
    Param(ParamId),
    /// The target one step earlier: `<start>` or zeros at step 0.
    Previous(VarId),
    /// A sequence `by` steps earlier, zeros before its start.
    Delay {
        value: Box<Expr>,
        by: u32,
    },
    Unary(Unary, Box<Expr>),
    /// Equal shapes, or one side's shape is the end of the other's (it lifts over leading axes).
    Binary(Binary, Box<Expr>, Box<Expr>),
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `l·r`: contracts the last axis of each; the result has the right's leading axes, then the left's.
    Dot(Box<Expr>, Box<Expr>),
    /// Features side by side along the last axis; the parts agree in their other axes.
    Concat(Vec<Expr>),
    /// The value among new axes: result axis `i` is its axis `axes[i]`, or repeats where `None`; each
    /// of the value's axes appears once, in any order. Says what a concatenation leaves unsaid (a
    /// vector repeats along the time axis, a number is one feature), lets a number per step meet a
    /// vector per step, and puts the axes of an index form in the order of its indices.
    Expand {
        value: Box<Expr>,
        axes: Vec<Option<usize>>,
    },
    /// A product summed over the labels absent from `out`, one label for each axis: index form's
    /// `q[t, n] · k[s, n]`, and `sum(a[t, s] * v[s]) over s`. A label is on both sides or in `out`;
    /// of a summed time axis only real steps count.
    Contract {
        left: Box<Expr>,
        right: Box<Expr>,
        lhs: Vec<u8>,
        rhs: Vec<u8>,
        out: Vec<u8>,
    },
    /// The value inside the domain, `fill` (0 or −∞) outside. The domain speaks of the value's axes.
    Where {
        value: Box<Expr>,
        domain: Domain,
        fill: f64,
    },
    /// An index as a number: 0, 1, 2, … along the one axis of its shape.
    Index,
    /// The number of each step along this time, from the start of its sequence: integers, to look up
    /// a position's row with `Embed`.
    Steps(Sym),
    /// 1 for the `k` largest along the last axis (of equal ones the first), else 0; no gradient.
    Top {
        value: Box<Expr>,
        k: usize,
    },
    /// Part `index` of `parts` equal ones along the last axis.
    Split {
        value: Box<Expr>,
        parts: u32,
        index: u32,
    },
    /// Over the axis at this position; over a time axis only real steps count.
    Reduce {
        op: Reduce,
        value: Box<Expr>,
        axis: usize,
    },
    /// Over the last axis, padding of a time left out; −∞ gets weight 0, a row of nothing else is 0.
    Softmax(Box<Expr>),
    First(Box<Expr>),
    Last(Box<Expr>),
    /// Rows of the table `[V, E]` for integer values.
    Embed {
        table: ParamId,
        index: Box<Expr>,
    },
    /// Zeroes with probability `p` and scales the rest by 1/(1−p) when training; identity when
    /// evaluating. `share_time`: one draw for all steps. `path` names the draw for Philox.
    Dropout {
        value: Box<Expr>,
        p: f64,
        share_time: bool,
        path: String,
    },
    /// Keeps `old` with probability `p` when training; the mean of the two when evaluating
    /// (Krueger et al. 2016).
    Zoneout {
        old: Box<Expr>,
        new: Box<Expr>,
        p: f64,
        path: String,
    },
    /// A standard normal draw; its mean when evaluating.
    Normal {
        path: String,
    },
    /// The target, read through `reveal`.
    Reveal(VarId),
}

/// How a prediction ends, which is what its loss reads.
#[derive(Clone, Debug)]
pub enum Head {
    /// `softmax(logits)`.
    Softmax(Expr),
    /// `σ(logit)`.
    Sigmoid(Expr),
    /// `step(score)`.
    Step(Expr),
    /// The value itself.
    Value(Expr),
}

/// What a target's error is measured by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// −log p of the true class, in nats. In training the true class is asked for with 1 − ε, and ε
    /// is spread evenly over all classes (Szegedy et al. 2016); measurements take ε = 0.
    CrossEntropy { smoothing: f64 },
    /// −log p summed over units.
    BinaryCrossEntropy,
    /// Squared error, mean over features.
    Mse,
    /// Absolute error, mean over features.
    Mae,
    /// e²/2 up to |e| = δ, δ·(|e| − δ/2) past it, mean over features (Huber 1964).
    Huber(f64),
    /// max(q·e, (q − 1)·e) with e = y − prediction, mean over features: least where the share q of
    /// the values lies below (Koenker and Bassett 1978).
    Quantile(f64),
    /// max(0, 1 − s·z) with s = ±1 and the score z before the last function, summed over units
    /// (Cortes and Vapnik 1995).
    Hinge,
    /// max(0, −y·s) with y = ±1 and the score s before `step` (Rosenblatt 1958).
    Perceptron,
}

#[derive(Clone, Debug)]
pub struct Predict {
    /// The target predicted.
    pub target: VarId,
    pub head: Head,
    /// By the target's unit, or as `loss` in `train` says.
    pub loss: Loss,
    /// Factor on this target's mean loss.
    pub weight: f64,
    pub span: Span,
}

impl Model {
    pub fn var(&self, id: VarId) -> &Var {
        &self.vars[id.0 as usize]
    }

    pub fn param(&self, id: ParamId) -> &Param {
        &self.params[id.0 as usize]
    }
}
