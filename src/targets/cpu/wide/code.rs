//! Instructions on vectors with as many registers as are wanted, in the order they run for one vector of a row.
//!
//! In: calls that say what to compute. Out: [`Code`], which is in single assignment: every [`V`] is written once.

use std::collections::HashMap;

use super::super::isa::Reciprocal;
pub(crate) use super::inst::{Cmp, FoldKind, Inst, One, Src, Two, V};

/// Where the rows that are run next begin.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    /// Bytes from each row to the one after it, where that is another.
    pub(super) bytes: Vec<Option<i32>>,
    /// Points of a row.
    pub(super) points: i64,
    /// Rows ahead at most.
    pub(super) most: i64,
}

impl Next {
    /// Nothing where not one row may be asked for.
    pub(crate) fn new(bytes: Vec<Option<i32>>, points: i64, most: i64) -> Option<Next> {
        let next = Next {
            bytes,
            points,
            most,
        };
        (most > 0).then_some(next)
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
    /// The rows that are run next, where they are known and worth asking for.
    pub(crate) next: Option<Next>,
    pub(crate) reciprocal: Reciprocal,
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
        let a = self.reg(a);
        let c = match (b, c) {
            (Src::Reg(_), _) | (_, Src::Reg(_)) => c,
            _ => Src::Reg(self.reg(c)),
        };
        let to = self.next();
        self.insts.push(Inst::Fma {
            to,
            a,
            b,
            c,
            minus_product,
            minus_c,
            up: false,
        });
        to
    }

    /// `a·b + c`, rounded up.
    pub(super) fn fma_up(&mut self, a: V, b: V, c: V) -> V {
        let to = self.next();
        self.insts.push(Inst::Fma {
            to,
            a,
            b: Src::Reg(b),
            c: Src::Reg(c),
            minus_product: false,
            minus_c: false,
            up: true,
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
