//! Instructions on vectors with as many registers as are wanted, in the order they run for one vector of a row.
//!
//! In: calls that say what to compute. Out: [`Code`], which is in single assignment: every [`V`] is written once.

use std::collections::HashMap;

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
    /// `±a·b ± c`, rounded once.
    Fma {
        to: V,
        a: V,
        b: Src,
        c: V,
        minus_product: bool,
        minus_c: bool,
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
            Inst::Fma { a, b, c, .. } => [*a, *c].into_iter().chain(reg(b)).collect(),
            Inst::Select { x, y, yes, no, .. } => {
                [*x, *yes, *no].into_iter().chain(reg(y)).collect()
            }
            Inst::Store { from, .. } => vec![*from],
            Inst::Fold { a, b, .. } => [*a].into_iter().chain(b.as_ref().and_then(reg)).collect(),
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
            | Inst::Select { to, .. } => Some(*to),
            Inst::Store { .. } | Inst::Fold { .. } => None,
        }
    }
}

/// A row's instructions.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) insts: Vec<Inst>,
    pub(crate) vectors: u32,
    /// The kind of each fold and the argument its result goes to.
    pub(crate) folds: Vec<(FoldKind, usize)>,
    /// Arguments that are addresses come first; then numbers.
    pub(crate) pointers: usize,
    splats: HashMap<Src, V>,
}

impl Code {
    pub(crate) fn new(pointers: usize) -> Code {
        Code {
            pointers,
            ..Code::default()
        }
    }

    fn next(&mut self) -> V {
        self.vectors += 1;
        V(self.vectors - 1)
    }

    pub(crate) fn load(&mut self, pointer: usize, bytes: i32, int: bool) -> V {
        let to = self.next();
        self.insts.push(Inst::Load {
            to,
            pointer,
            bytes,
            int,
        });
        to
    }

    pub(crate) fn index(&mut self, first: usize) -> V {
        let to = self.next();
        self.insts.push(Inst::Index { to, first });
        to
    }

    /// A register with the same number in every lane, made once.
    pub(crate) fn reg(&mut self, s: Src) -> V {
        match s {
            Src::Reg(v) => v,
            Src::Const(_) | Src::Arg(_) => {
                if let Some(v) = self.splats.get(&s) {
                    return *v;
                }
                let to = self.next();
                self.insts.push(Inst::Splat { to, from: s });
                self.splats.insert(s, to);
                to
            }
        }
    }

    pub(crate) fn one(&mut self, op: One, a: V) -> V {
        let to = self.next();
        self.insts.push(Inst::One { op, to, a });
        to
    }

    /// Operands that are no registers stand second where the operation allows it.
    pub(crate) fn two(&mut self, op: Two, a: Src, b: Src) -> V {
        let turns = matches!(op, Two::Add | Two::Mul | Two::And | Two::Or | Two::Xor);
        let (a, b) = match (a, b) {
            (Src::Reg(_), _) => (a, b),
            (_, Src::Reg(_)) if turns => (b, a),
            _ => (a, b),
        };
        let a = self.reg(a);
        let to = self.next();
        self.insts.push(Inst::Two { op, to, a, b });
        to
    }

    /// `±a·b ± c`.
    pub(crate) fn fma(
        &mut self,
        (a, b): (Src, Src),
        c: Src,
        minus_product: bool,
        minus_c: bool,
    ) -> V {
        let (a, b) = match (a, b) {
            (Src::Reg(_), _) => (a, b),
            _ => (b, a),
        };
        let (a, c) = (self.reg(a), self.reg(c));
        let to = self.next();
        self.insts.push(Inst::Fma {
            to,
            a,
            b,
            c,
            minus_product,
            minus_c,
        });
        to
    }

    pub(crate) fn select(&mut self, cmp: Cmp, x: Src, y: Src, yes: Src, no: Src) -> V {
        let (x, yes, no) = (self.reg(x), self.reg(yes), self.reg(no));
        let to = self.next();
        self.insts.push(Inst::Select {
            to,
            cmp,
            x,
            y,
            yes,
            no,
        });
        to
    }

    pub(crate) fn store(&mut self, from: V, pointer: usize, bytes: i32) {
        self.insts.push(Inst::Store {
            from,
            pointer,
            bytes,
        });
    }

    /// A new fold whose result goes to argument `slot`.
    pub(crate) fn fold(&mut self, kind: FoldKind, slot: usize, a: Src, b: Option<Src>) {
        let (a, b) = match (a, b) {
            (Src::Reg(_), _) | (_, None) => (a, b),
            (_, Some(b)) => (b, Some(a)),
        };
        let a = self.reg(a);
        let fold = self.folds.len();
        self.folds.push((kind, slot));
        self.insts.push(Inst::Fold { fold, kind, a, b });
    }
}
