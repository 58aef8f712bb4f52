//! Where a value is known to be 0 or −∞ whatever the data is.
//!
//! In: an expression, and what is known of its operands. Out: [`Facts`]. They begin where a `where`
//! fills in a number, and end where something else is added. A point left out cannot tell anything,
//! which is how a sum over all of an axis comes to see only the past.

use super::bounds::project;
use crate::check::program::{Binary, Expr, ExprKind, Reduce, Unary};
use crate::domain::{Coord, Domain};

/// Domains in the value's axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Outside of it the value is 0.
    pub zero: Domain,
    /// Outside of it the value is −∞.
    pub low: Domain,
}

/// Formulas of more comparisons than this are given up: what they said is then not known.
const LARGEST: usize = 64;

impl Facts {
    pub fn none() -> Facts {
        Facts {
            zero: Domain::everywhere(),
            low: Domain::everywhere(),
        }
    }

    fn zero(zero: Domain) -> Facts {
        Facts {
            zero: bounded(zero),
            ..Facts::none()
        }
    }

    fn low(low: Domain) -> Facts {
        Facts {
            low: bounded(low),
            ..Facts::none()
        }
    }

    /// Outside of it the value is one number or the other, not the data's.
    pub fn live(&self) -> Domain {
        self.zero.clone().and(self.low.clone())
    }

    /// The same in other axes; what speaks of an axis without a place there is lost.
    fn placed(&self, to: &dyn Fn(usize) -> Option<usize>) -> Facts {
        Facts {
            zero: project(&self.zero, to),
            low: project(&self.low, to),
        }
    }

    /// Of a value of `from` axes as the end of one of `to`.
    fn lifted(&self, from: usize, to: usize) -> Facts {
        if from == to {
            return self.clone();
        }
        self.placed(&|a| (a + to).checked_sub(from))
    }
}

/// Where a product of two values is not known to be 0, each in axes of its own.
pub fn product(
    left: (&Facts, &dyn Fn(usize) -> Option<usize>),
    right: (&Facts, &dyn Fn(usize) -> Option<usize>),
) -> Domain {
    let left = project(&left.0.zero, left.1);
    bounded(left.and(project(&right.0.zero, right.1)))
}

/// A domain that holds both.
fn either(a: Domain, b: Domain) -> Domain {
    if a.contains(&b) {
        return a;
    }
    if b.contains(&a) {
        return b;
    }
    a.or(b)
}

fn bounded(d: Domain) -> Domain {
    if comparisons(&d) > LARGEST {
        return Domain::everywhere();
    }
    d
}

fn comparisons(d: &Domain) -> usize {
    match d {
        Domain::AtLeast(_) | Domain::Zero(_) | Domain::Multiple(..) => 1,
        Domain::Not(d) => comparisons(d),
        Domain::All(parts) | Domain::Any(parts) => parts.iter().map(comparisons).sum(),
    }
}

/// What is known of a value by what is known of its operands, in their order.
pub fn of(expr: &Expr, operands: &[(&Expr, &Facts)]) -> Facts {
    let rank = expr.shape.len();
    let parts: Vec<Facts> = operands
        .iter()
        .map(|(e, f)| f.lifted(e.shape.len(), rank))
        .collect();
    match (&expr.kind, parts.as_slice(), operands) {
        (ExprKind::Number(n), ..) => constant(*n),
        (ExprKind::Unary(op, _), [x], _) => unary(*op, x),
        (ExprKind::Binary(op, ..), [a, b], _) => binary(*op, a, b),
        // The condition tells which of two values it is, not what they are.
        (ExprKind::Choose(..), [_, yes, no], _) | (ExprKind::Zoneout { .. }, [yes, no], _) => {
            shared(yes, no)
        }
        (ExprKind::Where { domain, fill, .. }, [x], _) => filled(x, domain, *fill),
        (ExprKind::Expand { axes, .. }, _, [(_, f)]) => {
            f.placed(&|a| axes.iter().position(|from| *from == Some(a)))
        }
        (ExprKind::Softmax(_), [x], _) => Facts::zero(x.low.clone()),
        (ExprKind::Dropout { .. }, [x], _) => Facts::zero(x.zero.clone()),
        (ExprKind::Split { .. }, [x], _) => x.placed(&|a| (a + 1 < rank).then_some(a)),
        (ExprKind::Concat(_), parts, _) => parts
            .iter()
            .map(|x| x.placed(&|a| (a + 1 < rank).then_some(a)))
            .reduce(|a, b| shared(&a, &b))
            .unwrap_or_else(Facts::none),
        (ExprKind::Reduce { op, axis, .. }, _, [(_, f)]) => {
            let left = f.placed(&|a| without(*axis, a));
            match op {
                // A maximum of nothing is refused elsewhere, a sum of nothing is 0.
                Reduce::Max => left,
                Reduce::Sum | Reduce::Mean => Facts::zero(left.zero),
            }
        }
        (ExprKind::Contract { lhs, rhs, out, .. }, _, [(_, l), (_, r)]) => {
            let place = labels(lhs, rhs, out);
            let at = |labels: &[u8], a: usize| labels.get(a).and_then(|label| place(*label));
            let all = product((l, &|a| at(lhs, a)), (r, &|a| at(rhs, a)));
            Facts::zero(project(&all, &|a| (a < out.len()).then_some(a)))
        }
        (ExprKind::Dot(..), _, [(le, l), (re, r)]) => {
            let (left, right) = dot_places(le.shape.len(), re.shape.len());
            let all = product((l, &left), (r, &right));
            Facts::zero(project(&all, &|a| (a < rank).then_some(a)))
        }
        (
            ExprKind::Param(_)
            | ExprKind::Previous(_)
            | ExprKind::Delay { .. }
            | ExprKind::Index
            | ExprKind::Steps(_)
            | ExprKind::Top { .. }
            | ExprKind::First(_)
            | ExprKind::Last(_)
            | ExprKind::Embed { .. }
            | ExprKind::Normal { .. }
            | ExprKind::Reveal(_)
            | ExprKind::Var(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Choose(..)
            | ExprKind::Zoneout { .. }
            | ExprKind::Where { .. }
            | ExprKind::Expand { .. }
            | ExprKind::Softmax(_)
            | ExprKind::Dropout { .. }
            | ExprKind::Split { .. }
            | ExprKind::Reduce { .. }
            | ExprKind::Contract { .. }
            | ExprKind::Dot(..),
            ..,
        ) => Facts::none(),
    }
}

/// Where an axis comes to stand once another is taken away.
pub fn without(gone: usize, axis: usize) -> Option<usize> {
    match axis.cmp(&gone) {
        std::cmp::Ordering::Less => Some(axis),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(axis - 1),
    }
}

/// The place of each label of a contraction: the result's axes, then the summed ones.
pub fn labels<'l>(lhs: &[u8], rhs: &[u8], out: &'l [u8]) -> impl Fn(u8) -> Option<usize> + 'l {
    let mut summed: Vec<u8> = Vec::new();
    for label in lhs.iter().chain(rhs) {
        if !out.contains(label) && !summed.contains(label) {
            summed.push(*label);
        }
    }
    move |label| {
        let kept = out.iter().position(|l| *l == label);
        kept.or_else(|| {
            let at = summed.iter().position(|l| *l == label)?;
            Some(out.len() + at)
        })
    }
}

/// The places of both sides' axes in `l·r`: the right's leading ones, the left's, then the summed.
pub fn dot_places(
    left: usize,
    right: usize,
) -> (
    impl Fn(usize) -> Option<usize>,
    impl Fn(usize) -> Option<usize>,
) {
    let (l, r) = (left.saturating_sub(1), right.saturating_sub(1));
    let of_left = move |a: usize| Some(r + a);
    let of_right = move |a: usize| Some(if a < r { a } else { r + l });
    (of_left, of_right)
}

fn constant(n: f64) -> Facts {
    let nowhere = Domain::Any(Vec::new());
    if n == 0.0 {
        Facts::zero(nowhere)
    } else if n == f64::NEG_INFINITY {
        Facts::low(nowhere)
    } else {
        Facts::none()
    }
}

fn shared(a: &Facts, b: &Facts) -> Facts {
    Facts {
        zero: bounded(either(a.zero.clone(), b.zero.clone())),
        low: bounded(either(a.low.clone(), b.low.clone())),
    }
}

fn filled(x: &Facts, domain: &Domain, fill: f64) -> Facts {
    // What a value's own axes do not say is not relied on.
    let domain = domain.widened(&|c| matches!(c, Coord::Axis(_)).then_some(c));
    if fill == 0.0 {
        Facts::zero(x.zero.clone().and(domain))
    } else if fill == f64::NEG_INFINITY {
        Facts::low(x.low.clone().and(domain))
    } else {
        Facts::none()
    }
}

fn unary(op: Unary, x: &Facts) -> Facts {
    match op {
        Unary::Neg
        | Unary::Sqrt
        | Unary::Abs
        | Unary::Tanh
        | Unary::Gelu
        | Unary::Silu
        | Unary::Sin => Facts::zero(x.zero.clone()),
        // 0 of 0, and of −∞.
        Unary::Relu => Facts::zero(x.live()),
        Unary::Exp | Unary::Sigmoid | Unary::Softplus => Facts::zero(x.low.clone()),
        Unary::Log => Facts::low(x.zero.clone()),
        Unary::Not | Unary::Cos | Unary::Step => Facts::none(),
    }
}

fn binary(op: Binary, a: &Facts, b: &Facts) -> Facts {
    let both_zero = || either(a.zero.clone(), b.zero.clone());
    match op {
        Binary::Mul | Binary::And => Facts::zero(a.zero.clone().and(b.zero.clone())),
        Binary::Div => Facts::zero(a.zero.clone()),
        Binary::Add => Facts {
            zero: bounded(both_zero()),
            low: bounded(a.low.clone().and(b.low.clone())),
        },
        Binary::Sub => Facts {
            zero: bounded(both_zero()),
            low: a.low.clone(),
        },
        Binary::Min => Facts {
            zero: bounded(both_zero()),
            low: bounded(a.low.clone().and(b.low.clone())),
        },
        Binary::Max => shared(a, b),
        Binary::Or | Binary::Lt | Binary::Gt | Binary::Ne => Facts::zero(both_zero()),
        Binary::Pow | Binary::Le | Binary::Ge | Binary::Eq => Facts::none(),
    }
}
