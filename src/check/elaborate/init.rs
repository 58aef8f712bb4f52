//! Weights while their shapes and initial values are being found.
//!
//! In: how each weight is used. Out: its [`Init`], by these defaults: a vector starts at 0, at 1
//! where it only ever multiplies (a gain); a matrix is Xavier-uniform, orthogonal where it is square
//! and applied to a state, and orthogonal on the state's columns of `W·[h, x]`.

use crate::check::program::Init;
use crate::check::solve::Solver;
use crate::dim::Dim;
use crate::span::Span;

/// What a matrix is applied to.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// A state.
    State,
    /// A concatenation that begins (or ends) with a state of this size.
    Beside {
        size: Dim,
        first: bool,
    },
    Other,
}

#[derive(Clone, Debug)]
pub struct Weight {
    pub path: String,
    pub span: Span,
    /// `None` until its first use says.
    pub shape: Option<Vec<Dim>>,
    pub given: Option<Init>,
    /// By its first product.
    pub applied: Option<Applied>,
    /// How often it is read, and how often only to multiply something.
    pub reads: u32,
    pub multiplies: u32,
    /// Position of the first use.
    pub used: Option<usize>,
}

impl Weight {
    pub fn new(path: String, span: Span) -> Weight {
        Weight {
            path,
            span,
            shape: None,
            given: None,
            applied: None,
            reads: 0,
            multiplies: 0,
            used: None,
        }
    }

    pub fn init(&self, shape: &[Dim], solver: &Solver) -> Init {
        if let Some(init) = self.given {
            return init;
        }
        let [rows, .., columns] = shape else {
            return match self.reads > 0 && self.multiplies == self.reads {
                true => Init::Ones,
                false => Init::Zeros,
            };
        };
        let same = |a: &Dim, b: &Dim| match (solver.resolve(a), solver.resolve(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        match &self.applied {
            Some(Applied::State) if shape.len() == 2 && same(rows, columns) => Init::Orthogonal,
            Some(Applied::Beside { size, first }) if shape.len() == 2 && same(rows, size) => {
                Init::HeadOrthogonal { first: *first }
            }
            _ => Init::Xavier,
        }
    }
}
