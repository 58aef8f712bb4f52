//! Instructions on vectors.
//!
//! In: nothing. Out: [`Inst`], what it reads and what it writes.

/// A vector: the value of one expression in sixteen neighbouring points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct V(pub(crate) u32);

/// What an instruction may read besides registers, one number in every lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Src {
    Reg(V),
    /// The bits of a constant.
    Const(u32),
    /// The number in this slot of the row's arguments.
    Arg(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Two {
    Add,
    Sub,
    Mul,
    Div,
    /// The second operand where one is NaN, as the machine has it.
    Max,
    Min,
    And,
    Or,
    Xor,
    /// The first times two to the power of the second, rounded once.
    Scale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum One {
    Sqrt,
    /// 1/a, within 2⁻¹⁴ relative to it.
    Reciprocal,
    /// To the nearest integer, ties to even.
    Round,
    Floor,
    /// The exponent as a float, and the mantissa from ¾ to 1½ (of positive numbers, denormals too).
    Exponent,
    Mantissa,
}

/// Comparisons; those but `NotEqual` are false where an operand is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cmp {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Unordered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FoldKind {
    Sum,
    Max,
}

#[derive(Clone, Debug)]
pub(crate) enum Inst {
    /// From the row at argument `pointer`, `bytes` further; integers become floats.
    Load {
        to: V,
        pointer: usize,
        bytes: i32,
        int: bool,
    },
    Splat {
        to: V,
        from: Src,
    },
    /// The point's coordinate along the row, which begins at the one in argument `first`.
    Index {
        to: V,
        first: usize,
    },
    One {
        op: One,
        to: V,
        a: V,
    },
    Two {
        op: Two,
        to: V,
        a: V,
        b: Src,
    },
    /// `±a·b ± c`, rounded once. One of `b` and `c` at most is no register.
    Fma {
        to: V,
        a: V,
        b: Src,
        c: Src,
        minus_product: bool,
        minus_c: bool,
        /// To the next float above instead of the nearest; all operands are registers then.
        up: bool,
    },
    /// `yes` where `x cmp y`, else `no`.
    Select {
        to: V,
        cmp: Cmp,
        x: V,
        y: Src,
        yes: V,
        no: V,
    },
    /// `yes` where comparison `mask` holds, which is the same along the row; else `no`, or zero.
    Choose {
        to: V,
        mask: usize,
        yes: V,
        no: Option<V>,
    },
    Store {
        from: V,
        pointer: usize,
        bytes: i32,
    },
    /// Adds `a`, or `a·b`, to fold `fold`, or takes the greater.
    Fold {
        fold: usize,
        kind: FoldKind,
        a: V,
        b: Option<Src>,
    },
}

impl Inst {
    /// Vectors that it reads.
    pub(crate) fn reads(&self) -> Vec<V> {
        let reg = |s: &Src| match s {
            Src::Reg(v) => Some(*v),
            Src::Const(_) | Src::Arg(_) => None,
        };
        match self {
            Inst::Load { .. } | Inst::Index { .. } => vec![],
            Inst::Splat { from, .. } => reg(from).into_iter().collect(),
            Inst::One { a, .. } => vec![*a],
            Inst::Two { a, b, .. } => [*a].into_iter().chain(reg(b)).collect(),
            Inst::Fma { a, b, c, .. } => {
                let others = [reg(b), reg(c)].into_iter().flatten();
                [*a].into_iter().chain(others).collect()
            }
            Inst::Select { x, y, yes, no, .. } => {
                [*x, *yes, *no].into_iter().chain(reg(y)).collect()
            }
            Inst::Choose { yes, no, .. } => [*yes].into_iter().chain(*no).collect(),
            Inst::Store { from, .. } => vec![*from],
            Inst::Fold { a, b, .. } => [*a].into_iter().chain(b.as_ref().and_then(reg)).collect(),
        }
    }

    /// Replaces the vectors that it reads.
    pub(super) fn read_instead(&mut self, mut to: impl FnMut(V) -> V) {
        let mut src = |s: &mut Src| {
            if let Src::Reg(v) = s {
                *v = to(*v);
            }
        };
        match self {
            Inst::Load { .. } | Inst::Index { .. } => {}
            Inst::Splat { from, .. } => src(from),
            Inst::One { a, .. } => *a = to(*a),
            Inst::Two { a, b, .. } => {
                src(b);
                *a = to(*a);
            }
            Inst::Fma { a, b, c, .. } => {
                src(b);
                src(c);
                *a = to(*a);
            }
            Inst::Select { x, y, yes, no, .. } => {
                src(y);
                for v in [x, yes, no] {
                    *v = to(*v);
                }
            }
            Inst::Choose { yes, no, .. } => {
                *yes = to(*yes);
                if let Some(no) = no {
                    *no = to(*no);
                }
            }
            Inst::Store { from, .. } => *from = to(*from),
            Inst::Fold { a, b, .. } => {
                if let Some(b) = b {
                    src(b);
                }
                *a = to(*a);
            }
        }
    }

    /// Its operands that may be no registers.
    pub(super) fn free_operands(&mut self) -> Vec<&mut Src> {
        match self {
            Inst::Load { .. }
            | Inst::Splat { .. }
            | Inst::Index { .. }
            | Inst::One { .. }
            | Inst::Choose { .. }
            | Inst::Store { .. }
            | Inst::Fold { b: None, .. } => vec![],
            Inst::Two { b, .. } | Inst::Select { y: b, .. } | Inst::Fold { b: Some(b), .. } => {
                vec![b]
            }
            Inst::Fma { b, c, .. } => vec![b, c],
        }
    }

    /// Whether it reads a number from memory.
    pub(super) fn reads_number(&self) -> bool {
        let number = |s: &Src| !matches!(s, Src::Reg(_));
        match self {
            Inst::Load { .. }
            | Inst::Splat { .. }
            | Inst::Index { .. }
            | Inst::One { .. }
            | Inst::Choose { .. }
            | Inst::Store { .. } => false,
            Inst::Two { b, .. } | Inst::Select { y: b, .. } => number(b),
            Inst::Fma { b, c, .. } => number(b) || number(c),
            Inst::Fold { b, .. } => b.as_ref().is_some_and(number),
        }
    }

    /// Writes another vector.
    pub(super) fn write_instead(&mut self, v: V) {
        match self {
            Inst::Load { to, .. }
            | Inst::Splat { to, .. }
            | Inst::Index { to, .. }
            | Inst::One { to, .. }
            | Inst::Two { to, .. }
            | Inst::Fma { to, .. }
            | Inst::Select { to, .. }
            | Inst::Choose { to, .. } => *to = v,
            Inst::Store { .. } | Inst::Fold { .. } => {}
        }
    }

    /// The vector that it writes.
    pub(crate) fn writes(&self) -> Option<V> {
        match self {
            Inst::Load { to, .. }
            | Inst::Splat { to, .. }
            | Inst::Index { to, .. }
            | Inst::One { to, .. }
            | Inst::Two { to, .. }
            | Inst::Fma { to, .. }
            | Inst::Select { to, .. }
            | Inst::Choose { to, .. } => Some(*to),
            Inst::Store { .. } | Inst::Fold { .. } => None,
        }
    }
}
