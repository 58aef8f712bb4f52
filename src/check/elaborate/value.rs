//! Values while a body is elaborated.

use std::rc::Rc;

use super::index::Mark;
use super::scan::ScanInfo;
use crate::check::operands::operands;
use crate::check::program::{Expr, VarId};
use crate::dim::Dim;

/// The value of an expression, or the trace of an error that has been reported.
#[derive(Clone, Debug)]
pub enum Value {
    Tensor(Box<Tensor>),
    Poison,
}

impl From<Tensor> for Value {
    fn from(t: Tensor) -> Value {
        Value::Tensor(Box::new(t))
    }
}

/// Integers that name something: how many there are to choose from.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub vocabulary: Dim,
}

/// A shape that the next use decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// An unannotated weight: a matrix left of `·`, else a vector. Index into `Elab::weights`.
    Weight(usize),
    /// `normal()`: the whole shape of its partner.
    Draw,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub expr: Expr,
    /// How many of the leading axes are repeated over and not part of the value as the text around it
    /// sees it: from lifting the enclosing block, then from indices.
    pub lead: usize,
    /// The indices that the last of the leading axes are, in index form.
    pub marks: Vec<Mark>,
    pub tokens: Option<Tokens>,
    /// Made of weights and numbers only.
    pub weight: bool,
    /// A state, or a product with one: a square weight on it starts orthogonal.
    pub recurrent: bool,
    /// A concatenation that begins (`true`) or ends with a state of this size.
    pub beside: Option<(Dim, bool)>,
    pub pending: Option<Pending>,
    /// The value of a scan, or of one of its states.
    pub scan: Option<Rc<ScanInfo>>,
    /// Comes from `scan both`, so its last step is not the end of both directions.
    pub both: bool,
    /// The target that this is, for `previous` and `reveal`.
    pub input: Option<VarId>,
}

impl Tensor {
    pub fn new(expr: Expr) -> Tensor {
        Tensor {
            expr,
            lead: 0,
            marks: Vec::new(),
            tokens: None,
            weight: false,
            recurrent: false,
            beside: None,
            pending: None,
            scan: None,
            both: false,
            input: None,
        }
    }

    pub fn weight(expr: Expr) -> Tensor {
        Tensor {
            weight: true,
            ..Tensor::new(expr)
        }
    }

    pub fn lifted(self, lead: usize) -> Tensor {
        Tensor {
            lead,
            marks: Vec::new(),
            ..self
        }
    }

    /// With the leading axes of another value.
    pub fn like(self, other: &Tensor) -> Tensor {
        other.leading().of(self)
    }

    pub fn leading(&self) -> Lead {
        Lead {
            axes: self.lead,
            marks: self.marks.clone(),
        }
    }

    /// The shape as the text around it sees it.
    pub fn core(&self) -> &[Dim] {
        self.expr.shape.get(self.lead..).unwrap_or_default()
    }

    pub fn rank(&self) -> usize {
        self.core().len()
    }

    pub fn last(&self) -> Option<&Dim> {
        self.core().last()
    }
}

/// The leading axes of a value.
#[derive(Clone, Debug)]
pub struct Lead {
    pub axes: usize,
    pub marks: Vec<Mark>,
}

impl Lead {
    pub fn of(self, t: Tensor) -> Tensor {
        Tensor {
            lead: self.axes,
            marks: self.marks,
            ..t
        }
    }
}

/// Whether an expression has more than `levels` levels.
pub fn deeper(e: &Expr, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return true;
    };
    operands(e).iter().any(|part| deeper(part, left))
}
