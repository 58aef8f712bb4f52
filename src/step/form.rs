//! What each time axis of a value is to the step that is made now.
//!
//! In: an op and the form its result is read in. Out: the forms in which it reads its operands, or
//! why one step cannot be made of it.

use super::place::Source;
use super::{not_causal, unsupported};
use crate::diagnostics::Diagnostic;
use crate::ir::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// Not the target's time.
    Plain,
    /// The step that is made now: size 1.
    Row,
    /// All steps up to it.
    History,
}

/// One entry for each axis of a value.
pub type Form = Vec<Axis>;

pub fn count(form: &[Axis], axis: Axis) -> usize {
    form.iter().filter(|a| **a == axis).count()
}

/// Whether a value in this form is kept from step to step. What has no batch axis depends on steps'
/// numbers and weights alone and is made anew, and what repeats a value is made from the value's own
/// history.
pub fn is_kept(source: &Source<'_>, op: Option<&Op>, v: ValueId, form: &[Axis]) -> bool {
    let repeats = op.is_some_and(|op| match &op.kind {
        OpKind::Expand { axes, .. } => axes.contains(&None),
        _ => false,
    });
    count(form, Axis::History) == 1
        && count(form, Axis::Row) == 0
        && source.batch_axis(v).is_some()
        && !repeats
}

/// The form in which each argument is read; `None` for one that the step does not read.
pub fn operands(
    source: &Source<'_>,
    op: &Op,
    form: &[Axis],
) -> Result<Vec<Option<Form>>, Diagnostic> {
    let rank = |i: usize| source.func.shape(op.args[i]).len();
    let plain = |i: usize| Some(vec![Axis::Plain; rank(i)]);
    let same = || Some(form.to_vec());
    let time = &source.time;
    let reduced = |axis: &crate::dim::Dim| match source.is_time(axis) {
        true => Axis::History,
        false => Axis::Plain,
    };
    Ok(match &op.kind {
        OpKind::Const(_) | OpKind::Iota { .. } => Vec::new(),
        OpKind::Unary(_) => vec![same()],
        OpKind::Binary(_) | OpKind::Select => {
            let one = |i: usize| if rank(i) == 0 { plain(i) } else { same() };
            (0..op.args.len()).map(one).collect()
        }
        OpKind::ToFloat => {
            if source.is_length(op.args[0]) {
                let message = format!("the number of all steps along {time} is not known yet");
                return Err(not_causal(op, message));
            }
            vec![same()]
        }
        OpKind::Expand { axes, .. } => {
            let mut of = vec![Axis::Plain; rank(0)];
            for (axis, role) in axes.iter().zip(form) {
                if let Some(a) = axis {
                    of[*a] = *role;
                }
            }
            vec![Some(of)]
        }
        OpKind::Contract { lhs, rhs, out } => {
            let shapes = [source.func.shape(op.args[0]), source.func.shape(op.args[1])];
            let of = |labels: &[u8], shape: &[crate::dim::Dim]| -> Form {
                let one = |(l, d): (&u8, &crate::dim::Dim)| match out.iter().position(|o| o == l) {
                    Some(i) => form[i],
                    None => reduced(d),
                };
                labels.iter().zip(shape).map(one).collect()
            };
            let (l, r) = (of(lhs, shapes[0]), of(rhs, shapes[1]));
            summed(op, source, &l, form)?;
            vec![Some(l), Some(r)]
        }
        OpKind::Reduce { axes, masked, .. } => {
            let mut kept = form.iter();
            let mut of = Form::new();
            for (i, d) in source.func.shape(op.args[0]).iter().enumerate() {
                of.push(match axes.contains(&i) {
                    true => reduced(d),
                    false => kept.next().copied().unwrap_or(Axis::Plain),
                });
            }
            summed(op, source, &of, form)?;
            let mut all = vec![Some(of)];
            if *masked {
                all.push(plain(1).filter(|_| !source.is_length(op.args[1])));
            }
            all
        }
        OpKind::Softmax | OpKind::Top { .. } => {
            match form.last() {
                Some(Axis::Row) => return Err(whole(op, source)),
                Some(Axis::History) if count(form, Axis::Row) == 0 => {
                    return Err(whole(op, source));
                }
                _ => {}
            }
            vec![same()]
        }
        OpKind::Mask { .. } => {
            let numbers = (1..op.args.len()).map(plain);
            std::iter::once(same()).chain(numbers).collect()
        }
        OpKind::Gather => {
            let index = rank(1);
            let mut table = vec![Axis::Plain];
            table.extend(&form[index..]);
            if source.is_time(&source.func.shape(op.args[0])[0]) {
                let message = format!("steps along {time} looked up by number are not kept");
                return Err(unsupported(op, message));
            }
            vec![Some(table), Some(form[..index].to_vec())]
        }
        OpKind::Split { axis, .. } | OpKind::Concat { axis } => {
            if form[*axis] != Axis::Plain {
                let message = format!("steps along {time} are cut or joined");
                return Err(unsupported(op, message));
            }
            vec![same(); op.args.len()]
        }
        OpKind::Shift { by } => {
            if *by < 0 && form[0] == Axis::Row {
                let message = format!("a value {} steps later is not known yet", by.unsigned_abs());
                return Err(not_causal(op, message));
            }
            vec![same()]
        }
        OpKind::Take(_) => {
            if source.is_time(&source.func.shape(op.args[0])[0]) {
                let message = format!("first and last need all steps along {time}");
                return Err(not_causal(op, message));
            }
            let of = std::iter::once(Axis::Plain).chain(form.iter().copied());
            vec![Some(of.collect()), plain(1)]
        }
        OpKind::CrossEntropy
        | OpKind::CrossEntropyGrad
        | OpKind::ScatterAdd { .. }
        | OpKind::Put { .. }
        | OpKind::Random { .. } => {
            return Err(unsupported(op, "no op of a prediction without draws"));
        }
        OpKind::Scan(_) => return Err(super::internal("a scan's operands are its lists")),
    })
}

/// A sum over a history has a value only as of one step.
fn summed(op: &Op, source: &Source<'_>, of: &[Axis], form: &[Axis]) -> Result<(), Diagnostic> {
    let over = count(of, Axis::History) > count(form, Axis::History);
    match over
        && count(form, Axis::Row) == 0
        && source.place(op.results[0]) == super::place::Place::Timed
    {
        true => Err(whole(op, source)),
        false => Ok(()),
    }
}

fn whole(op: &Op, source: &Source<'_>) -> Diagnostic {
    not_causal(
        op,
        format!("this needs all steps along {} at once", source.time),
    )
}
