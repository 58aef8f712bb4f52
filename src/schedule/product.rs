//! Contractions as matrix products over strided views.
//!
//! In: the labels of a contraction and its operands' views. Out: a [`Gemm`] whose result has unit
//! stride along its columns, with neighbouring indices merged where one stride walks both.

use super::program::{Gemm, GemmAxis, GemmClass, View};
use super::size;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::ir::Func;
use crate::span::Span;

/// A view with a label on each of its axes.
pub struct Labelled<'a> {
    pub view: View,
    pub labels: &'a [u8],
    /// A weight, or something made of weights alone.
    pub weight: bool,
    /// Comes from outside of the scan around.
    pub invariant: bool,
}

impl Labelled<'_> {
    fn stride(&self, label: u8) -> Dim {
        let at = self.labels.iter().position(|&l| l == label);
        at.map_or(size::zero(), |i| self.view.axes[i].stride.clone())
    }

    fn has(&self, label: u8) -> bool {
        self.labels.contains(&label)
    }
}

pub fn gemm(
    name: String,
    (lhs, rhs, out): (Labelled<'_>, Labelled<'_>, Labelled<'_>),
    in_scan: bool,
    spans: Vec<Span>,
) -> Result<Gemm, Diagnostic> {
    // Columns are the indices of the operand that owns the result's unit stride.
    let unit = |l: &&u8| out.stride(**l).as_const() == Some(1);
    let last = out.labels.iter().rev().find(unit);
    let swap = last.is_some_and(|&l| lhs.has(l) && !rhs.has(l));
    let (lhs, rhs) = if swap { (rhs, lhs) } else { (lhs, rhs) };

    let axis = |label: u8, of: &Labelled<'_>| {
        let at = of.labels.iter().position(|&l| l == label).unwrap_or(0);
        GemmAxis {
            size: of.view.axes[at].size.clone(),
            lhs: lhs.stride(label),
            rhs: rhs.stride(label),
            out: out.stride(label),
        }
    };
    let (mut batch, mut m, mut n, mut k) = (vec![], vec![], vec![], vec![]);
    for &l in out.labels {
        // A repeated operand adds nothing to the index: a shared index on which one side does not
        // move belongs to the other.
        let moves = |side: &Labelled<'_>| side.has(l) && side.stride(l) != size::zero();
        let list = match (lhs.has(l), rhs.has(l)) {
            (true, true) if moves(&lhs) && !moves(&rhs) => &mut m,
            (true, true) if moves(&rhs) && !moves(&lhs) => &mut n,
            (true, true) => &mut batch,
            (true, false) => &mut m,
            (false, _) => &mut n,
        };
        list.push(axis(l, &out));
    }
    for &l in rhs.labels.iter().filter(|&&l| !out.has(l)) {
        k.push(axis(l, &rhs));
    }
    let merge = |axes: Vec<GemmAxis>| merged(axes, in_scan);
    let (m, n, k) = (merge(m)?, merge(n)?, merge(k)?);
    let class = if rhs.weight || (in_scan && rhs.invariant) {
        GemmClass::PackedWeight
    } else {
        GemmClass::OneShot
    };
    let plain = |v: &View| View {
        axes: Vec::new(),
        ..v.clone()
    };
    Ok(Gemm {
        name,
        lhs: plain(&lhs.view),
        rhs: plain(&rhs.view),
        out: plain(&out.view),
        batch: merge(batch)?,
        m,
        n,
        k,
        class,
        rhs_invariant: in_scan && rhs.invariant,
        spans,
    })
}

/// Merges an index with the next where `stride = next's size · next's stride` in all three views.
/// In a scan's body the batch stays apart, so that its rows can be divided.
fn merged(axes: Vec<GemmAxis>, in_scan: bool) -> Result<Vec<GemmAxis>, Diagnostic> {
    let mut out: Vec<GemmAxis> = Vec::new();
    for a in axes {
        if let Some(outer) = out.last_mut() {
            let along = |outer: &Dim, inner: &Dim| -> Result<bool, Diagnostic> {
                Ok(*outer == size::mul(&a.size, inner)?)
            };
            let is_batch = in_scan && (outer.size == Func::batch() || a.size == Func::batch());
            if !is_batch
                && along(&outer.lhs, &a.lhs)?
                && along(&outer.rhs, &a.rhs)?
                && along(&outer.out, &a.out)?
            {
                *outer = GemmAxis {
                    size: size::mul(&outer.size, &a.size)?,
                    ..a
                };
                continue;
            }
        }
        out.push(a);
    }
    Ok(out)
}
