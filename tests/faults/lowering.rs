//! Faults of lowering: padding that counts, states that run on after the end.
//!
//! In: a function. Out: whether the fault found a place in it, and changed it there.

use seqc::domain::{Affine, Coord, Domain};
use seqc::ir::*;

use super::edit::{all, live, mask, passes, refresh, scan_mut, set_domain};

pub fn sum_counts_padding(func: &mut Func) -> bool {
    all(func, |f, id| {
        matches!(mask(f, id), Some((_, 0.0, true))) && passes(f, id, 0)
    })
}

pub fn softmax_counts_padding(func: &mut Func) -> bool {
    all(func, |f, id| {
        matches!(mask(f, id), Some((_, fill, true)) if fill < 0.0) && passes(f, id, 0)
    })
}

pub fn padding_filled_with_zero(func: &mut Func) -> bool {
    all(func, |f, id| match &mut f.op_mut(id).kind {
        OpKind::Mask { fill, .. } if *fill < 0.0 => {
            *fill = 0.0;
            true
        }
        _ => false,
    })
}

pub fn loss_counts_padding(func: &mut Func) -> bool {
    all(func, |f, id| {
        let op = f.op_mut(id);
        let OpKind::Reduce { masked, .. } = &mut op.kind else {
            return false;
        };
        let was = std::mem::replace(masked, false);
        op.args.truncate(1);
        was
    })
}

pub fn state_not_held(func: &mut Func) -> bool {
    let changed = all(func, |f, id| match scan_mut(f, id) {
        Some(scan) if scan.valid.is_none() => scan.len.take().is_some(),
        _ => false,
    });
    for (id, _) in live(func) {
        refresh(func, id);
    }
    changed
}

pub fn end_one_later(func: &mut Func) -> bool {
    all(func, |f, id| {
        let Some((domain, ..)) = mask(f, id) else {
            return false;
        };
        let Some(axis) = domain.as_before_end(0) else {
            return false;
        };
        let (i, len) = (
            Affine::coord(Coord::Axis(axis)),
            Affine::coord(Coord::Of(0)),
        );
        set_domain(f, id, Domain::le(&i, &len).unwrap());
        true
    })
}

pub fn mask_along_the_rows(func: &mut Func) -> bool {
    all(func, |f, id| {
        let Some((domain, _, true)) = mask(f, id) else {
            return false;
        };
        let shape = f.shape(f.op(id).args[0]).to_vec();
        let axis = domain.as_before_end(0);
        let other = axis.and_then(|a| (0..shape.len()).find(|b| *b != a && shape[*b] == shape[a]));
        let Some(other) = other else { return false };
        set_domain(f, id, Domain::before_end(other, 0));
        true
    })
}

pub fn first_of_nothing(func: &mut Func) -> bool {
    all(func, |f, id| {
        let of_length = |d: &Domain| d.coords().iter().all(|c| matches!(c, Coord::Of(_)));
        matches!(mask(f, id), Some((d, _, true)) if of_length(&d)) && passes(f, id, 0)
    })
}
