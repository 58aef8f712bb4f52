//! Appends ops to a function, taking result types from `infer`.
//!
//! In: op kinds and arguments. Out: new values. A broken shape rule here is a bug of the caller (the
//! checker has already refused the user's mistakes), so it panics with the rule.

use super::infer::infer;
use super::op::*;
use crate::dim::Dim;
use crate::span::Span;

/// Ops under construction for one region of `func`.
pub struct Build<'a> {
    pub func: &'a mut Func,
    pub ops: Vec<OpId>,
    /// Given to every op that is emitted.
    pub spans: Vec<Span>,
    pub by: Vec<&'static str>,
}

impl<'a> Build<'a> {
    pub fn new(func: &'a mut Func) -> Build<'a> {
        Build {
            func,
            ops: Vec::new(),
            spans: Vec::new(),
            by: Vec::new(),
        }
    }

    pub fn emit_all(&mut self, kind: OpKind, args: &[ValueId], names: &[&str]) -> Vec<ValueId> {
        let types: Vec<&Type> = args.iter().map(|a| &self.func.value(*a).ty).collect();
        let results = match infer(&kind, &types) {
            Ok(results) => results,
            Err(rule) => {
                let shown: Vec<String> = args
                    .iter()
                    .map(|a| super::print::typed(self.func, *a))
                    .collect();
                panic!("{rule} ({kind:?} of {})", shown.join(", "))
            }
        };
        let mut ids = Vec::new();
        for (i, ty) in results.into_iter().enumerate() {
            let name = names.get(i).or(names.last()).copied().unwrap_or("v");
            ids.push(self.func.fresh(name, ty));
        }
        self.push(kind, args.to_vec(), ids.clone());
        ids
    }

    pub fn emit(&mut self, kind: OpKind, args: &[ValueId], name: &str) -> ValueId {
        self.emit_all(kind, args, &[name])[0]
    }

    /// Appends an op whose results exist already.
    pub fn push(&mut self, kind: OpKind, args: Vec<ValueId>, results: Vec<ValueId>) -> OpId {
        let op = Op {
            kind,
            args,
            results,
            spans: self.spans.clone(),
            by: self.by.clone(),
        };
        self.func.ops.push(op);
        let id = OpId(self.func.ops.len() as u32 - 1);
        self.ops.push(id);
        id
    }

    pub fn number(&mut self, x: f64) -> ValueId {
        self.emit(OpKind::Const(x), &[], "k")
    }

    pub fn unary(&mut self, op: Unary, x: ValueId, name: &str) -> ValueId {
        self.emit(OpKind::Unary(op), &[x], name)
    }

    pub fn binary(&mut self, op: Binary, a: ValueId, b: ValueId, name: &str) -> ValueId {
        self.emit(OpKind::Binary(op), &[a, b], name)
    }

    pub fn add(&mut self, a: ValueId, b: ValueId, name: &str) -> ValueId {
        self.binary(Binary::Add, a, b, name)
    }

    pub fn sub(&mut self, a: ValueId, b: ValueId, name: &str) -> ValueId {
        self.binary(Binary::Sub, a, b, name)
    }

    pub fn mul(&mut self, a: ValueId, b: ValueId, name: &str) -> ValueId {
        self.binary(Binary::Mul, a, b, name)
    }

    pub fn div(&mut self, a: ValueId, b: ValueId, name: &str) -> ValueId {
        self.binary(Binary::Div, a, b, name)
    }

    pub fn select(&mut self, c: ValueId, a: ValueId, b: ValueId, name: &str) -> ValueId {
        self.emit(OpKind::Select, &[c, a, b], name)
    }

    /// `x` repeated to `shape`; its axes land where `axes` says.
    pub fn expand(&mut self, x: ValueId, axes: Vec<Option<usize>>, shape: &[Dim]) -> ValueId {
        if axes.iter().enumerate().all(|(i, a)| *a == Some(i)) && self.func.shape(x) == shape {
            return x;
        }
        let name = self.func.value(x).name.clone();
        self.emit(
            OpKind::Expand {
                axes,
                shape: shape.to_vec(),
            },
            &[x],
            &name,
        )
    }

    /// `x` repeated over leading axes, so that its shape becomes `shape`.
    pub fn expand_leading(&mut self, x: ValueId, shape: &[Dim]) -> ValueId {
        let (rank, extra) = (self.func.shape(x).len(), shape.len());
        let lead = extra - rank;
        let axes = (0..extra).map(|i| i.checked_sub(lead)).collect();
        self.expand(x, axes, shape)
    }

    /// A constant of any shape.
    pub fn filled(&mut self, x: f64, shape: &[Dim], name: &str) -> ValueId {
        let k = self.number(x);
        if shape.is_empty() {
            return k;
        }
        let kind = OpKind::Expand {
            axes: vec![None; shape.len()],
            shape: shape.to_vec(),
        };
        self.emit(kind, &[k], name)
    }

    pub fn contract(
        &mut self,
        (lhs, l): (&[u8], ValueId),
        (rhs, r): (&[u8], ValueId),
        out: &[u8],
        name: &str,
    ) -> ValueId {
        let kind = OpKind::Contract {
            lhs: lhs.to_vec(),
            rhs: rhs.to_vec(),
            out: out.to_vec(),
        };
        self.emit(kind, &[l, r], name)
    }

    pub fn reduce(&mut self, op: ReduceOp, x: ValueId, axes: &[usize], name: &str) -> ValueId {
        self.emit(
            OpKind::Reduce {
                op,
                axes: axes.to_vec(),
                masked: false,
            },
            &[x],
            name,
        )
    }

    /// Over real steps only.
    pub fn reduce_masked(
        &mut self,
        op: ReduceOp,
        x: ValueId,
        len: ValueId,
        axes: &[usize],
        name: &str,
    ) -> ValueId {
        self.emit(
            OpKind::Reduce {
                op,
                axes: axes.to_vec(),
                masked: true,
            },
            &[x, len],
            name,
        )
    }

    /// Runs `body` with an empty op list and returns the region it made.
    pub fn region<R>(&mut self, body: impl FnOnce(&mut Build<'_>) -> R) -> (Region, R) {
        let outer = std::mem::take(&mut self.ops);
        let out = body(self);
        let ops = std::mem::replace(&mut self.ops, outer);
        (Region { ops }, out)
    }

    /// Appends a scan whose lists are complete, deriving `args` and `results`.
    pub fn scan(&mut self, scan: Scan) -> OpId {
        let (args, results) = scan_lists(&scan);
        self.push(OpKind::Scan(Box::new(scan)), args, results)
    }
}

/// A scan's arguments and results in the order that [`OpKind::Scan`] promises.
pub fn scan_lists(scan: &Scan) -> (Vec<ValueId>, Vec<ValueId>) {
    let slices = scan.slices.iter().map(|s| s.from);
    let args = slices
        .chain(scan.carries.iter().map(|c| c.init))
        .chain(scan.len)
        .collect();
    let stacks = scan.stacks.iter().map(|s| s.to);
    let results = stacks.chain(scan.carries.iter().map(|c| c.last)).collect();
    (args, results)
}
