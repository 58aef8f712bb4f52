//! Padding counts for nothing: what stands behind the end of a sequence, and how much stands there.
//!
//! In: a function, data, and its results. Out: nothing, or the first result that changed.

use seqc::ir::interp::Tensor;
use seqc::ir::{Func, InputRole};

use super::common::machine::Data;
use super::oracle::{Finding, same_numbers};

/// What stands behind the end of a sequence changes nothing.
pub fn padding(
    check: &'static str,
    func: &Func,
    data: &Data,
    want: &[Tensor],
) -> Result<(), Finding> {
    let mut other = data.clone();
    if other.pad(func, 2.5, 3.0) == 0 {
        return Ok(());
    }
    let got = other.expected(func);
    same_numbers(check, (func, data, want), (func, &got))
}

/// The same data among more steps of padding: as if a longer sequence stood in the batch.
fn lengthened(func: &Func, data: &Data, by: usize) -> Data {
    let mut out = data.clone();
    let times: Vec<String> = func
        .inputs
        .iter()
        .filter_map(|i| match &i.role {
            InputRole::Lengths(axis) => Some(axis.clone()),
            InputRole::Data(_)
            | InputRole::Previous(_)
            | InputRole::Steps(_)
            | InputRole::Carry(_) => None,
        })
        .filter(|axis| data.sizes.iter().any(|(s, _)| s.name() == axis))
        .collect();
    for (s, n) in &mut out.sizes {
        *n += if times.iter().any(|t| t == s.name()) {
            by as i64
        } else {
            0
        };
    }
    for (input, t) in func.inputs.iter().zip(&mut out.inputs) {
        let axis = func
            .shape(input.value)
            .first()
            .and_then(|d| d.as_sym().cloned());
        if axis.is_some_and(|a| times.iter().any(|t| t == a.name())) {
            let row: usize = t.shape[1..].iter().product();
            let steps = t.shape[0];
            t.shape[0] += by;
            for step in steps..steps + by {
                let number = if matches!(input.role, InputRole::Steps(_)) {
                    step
                } else {
                    0
                };
                t.data.extend(std::iter::repeat_n(number as f64, row));
            }
        }
    }
    out
}

/// How long the longest sequence of a batch is changes nothing.
pub fn longer(
    check: &'static str,
    func: &Func,
    data: &Data,
    want: &[Tensor],
) -> Result<(), Finding> {
    let got = lengthened(func, data, 2).expected(func);
    // A prediction has more steps then; losses, carried states and gradients do not.
    same_numbers(check, (func, data, want), (func, &got))
}
