//! Conditions on histories: masks, and what they prove of later steps.
//!
//! In: values with a history axis. Out: the same with later steps left out.

use super::emit::{Emit, Made};
use super::form::{Axis, Form};
use super::within::{offset, replaced};
use super::{internal, unsupported};
use crate::diagnostics::Diagnostic;
use crate::domain::{Affine, Coord, Domain};
use crate::ir::*;

impl Emit<'_, '_> {
    /// The value with a batch axis.
    pub fn numbered(&mut self, v: ValueId, x: Made) -> Made {
        if x.numbered || self.source.batch_axis(v).is_some() {
            return x;
        }
        let mut shape = self.b.func.shape(x.id).to_vec();
        shape.insert(0, Func::batch());
        Made {
            id: self.b.expand_leading(x.id, &shape),
            numbered: true,
        }
    }

    fn batch(&self, v: ValueId, x: Made) -> Option<usize> {
        match x.numbered {
            true => Some(0),
            false => self.source.batch_axis(v),
        }
    }

    /// Whether a mask left out all later steps along an old axis.
    pub fn is_past(&mut self, x: Made, axis: usize) -> bool {
        let length = self.length();
        let at = axis + usize::from(x.numbered);
        self.masks.get(&x.id).is_some_and(|(domain, numbers)| {
            let of = numbers.iter().position(|n| *n == length);
            let bound = |i| domain.at_most_after(Coord::Axis(at), Coord::Of(i));
            of.and_then(bound).is_some_and(|n| n < 0)
        })
    }

    /// The value with `fill` at steps later than this one along an old axis.
    pub fn past(&mut self, v: ValueId, x: Made, form: &Form, axis: usize, fill: f64) -> Made {
        debug_assert_eq!(form[axis], Axis::History);
        if self.is_past(x, axis) {
            return x;
        }
        let x = self.numbered(v, x);
        let domain = Domain::before_end(axis + usize::from(x.numbered), 0);
        let length = self.length();
        self.within(v, x, domain, fill, vec![length])
    }

    fn within(
        &mut self,
        v: ValueId,
        x: Made,
        domain: Domain,
        fill: f64,
        numbers: Vec<ValueId>,
    ) -> Made {
        let kind = OpKind::Mask {
            domain: domain.clone(),
            fill,
            batch: self.batch(v, x),
        };
        let args: Vec<ValueId> = std::iter::once(x.id).chain(numbers.clone()).collect();
        let name = self.name(v);
        let id = self.b.emit(kind, &args, &name);
        self.masks.insert(id, (domain, numbers));
        Made { id, ..x }
    }

    /// A mask of the program: a row's place is the step's number, one less than its length.
    pub fn mask(
        &mut self,
        op: &Op,
        domain: &Domain,
        fill: f64,
        args: &[(ValueId, Made, Form)],
    ) -> Result<Made, Diagnostic> {
        let (v, mut x, form) = (args[0].0, args[0].1, &args[0].2);
        let coords = domain.coords();
        let rows = |c: &Coord| matches!(c, Coord::Axis(i) if form[*i] == Axis::Row);
        let length = coords.iter().any(rows).then(|| self.length());
        let mut numbers: Vec<ValueId> = Vec::new();
        let mut place = |id: ValueId| match numbers.iter().position(|n| *n == id) {
            Some(i) => i,
            None => {
                numbers.push(id);
                numbers.len() - 1
            }
        };
        let overflow = || unsupported(op, "the condition's numbers are too large");
        let mut to = Vec::new();
        for c in coords {
            let (number, by) = match (c, length) {
                (Coord::Axis(i), Some(length)) if form[i] == Axis::Row => (length, -1),
                (Coord::Axis(_), _) => continue,
                (Coord::Of(k), _) => {
                    let number = args.get(k + 1).ok_or_else(|| internal("a mask's number"))?;
                    (number.1.id, 0)
                }
            };
            let number = Coord::Of(place(number));
            to.push((c, offset(number, by).map_err(|_| overflow())?));
        }
        let at = |c: Coord| {
            let found = to.iter().find(|(k, _)| *k == c);
            found.map_or_else(|| Affine::coord(c), |(_, a)| a.clone())
        };
        let mut domain = replaced(domain, &at).map_err(|_| overflow())?;
        if domain.is_everywhere() {
            return Ok(x);
        }
        let reads = |c: &Coord| matches!(c, Coord::Of(_));
        if domain.coords().iter().any(reads) {
            x = self.numbered(v, x);
        }
        if x.numbered {
            let right = |c: Coord| match c {
                Coord::Axis(i) => Some(Coord::Axis(i + 1)),
                Coord::Of(_) => Some(c),
            };
            domain = domain.map(&right).ok_or_else(overflow)?;
        }
        Ok(self.within(v, x, domain, fill, numbers))
    }
}
