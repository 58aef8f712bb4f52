//! Sums in the step: over a history, later steps are left out.
//!
//! In: a product or reduction and its operands. Out: the same of this step's row.

use super::emit::{Emit, Made};
use super::form::{Axis, Form};
use crate::diagnostics::Diagnostic;
use crate::ir::*;

/// A label that no operand has.
fn unused(labels: &[&[u8]]) -> u8 {
    let free = |l: &u8| !labels.iter().any(|all| all.contains(l));
    (0..=u8::MAX).find(free).unwrap_or(u8::MAX)
}

impl Emit<'_, '_> {
    pub fn contract(
        &mut self,
        (lhs, l): (&[u8], &(ValueId, Made, Form)),
        (rhs, r): (&[u8], &(ValueId, Made, Form)),
        out: &[u8],
        name: &str,
    ) -> (ValueId, bool) {
        let (mut lm, mut rm) = (l.1, r.1);
        // A sum over a history needs one side to be zero at later steps.
        for (i, label) in lhs.iter().enumerate() {
            if out.contains(label) || l.2[i] != Axis::History {
                continue;
            }
            let j = rhs.iter().position(|x| x == label).unwrap_or(0);
            if self.is_past(lm, i) || self.is_past(rm, j) {
                continue;
            }
            match r.2.contains(&Axis::Row) {
                true => rm = self.past(r.0, rm, &r.2, j, 0.0),
                false => lm = self.past(l.0, lm, &l.2, i, 0.0),
            }
        }
        let mut out = out.to_vec();
        let (mut lhs, mut rhs) = (lhs.to_vec(), rhs.to_vec());
        let batch = (self.source.batch_axis(l.0).map(|i| lhs[i]))
            .or_else(|| self.source.batch_axis(r.0).map(|i| rhs[i]));
        let mut numbered = false;
        if lm.numbered || rm.numbered {
            let label = batch.unwrap_or_else(|| unused(&[&lhs, &rhs]));
            for (m, labels) in [(lm, &mut lhs), (rm, &mut rhs)] {
                if m.numbered {
                    labels.insert(0, label);
                }
            }
            if batch.is_none() {
                out.insert(0, label);
                numbered = true;
            }
        }
        let id = self.b.contract((&lhs, lm.id), (&rhs, rm.id), &out, name);
        (id, numbered)
    }

    pub fn reduce(
        &mut self,
        how: ReduceOp,
        axes: &[usize],
        args: &[(ValueId, Made, Form)],
        name: &str,
    ) -> Result<(ValueId, bool), Diagnostic> {
        let (v, mut x, form) = (args[0].0, args[0].1, &args[0].2);
        let fill = match how {
            ReduceOp::Sum => 0.0,
            ReduceOp::Max => f64::NEG_INFINITY,
        };
        for axis in axes.iter().filter(|a| form[**a] == Axis::History) {
            x = self.past(v, x, form, *axis, fill);
        }
        if let Some((_, len, _)) = args.get(1) {
            return Ok((self.b.reduce_masked(how, x.id, len.id, axes, name), false));
        }
        let axes: Vec<usize> = axes.iter().map(|a| a + usize::from(x.numbered)).collect();
        Ok((self.b.reduce(how, x.id, &axes, name), x.numbered))
    }
}
