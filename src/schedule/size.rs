//! Checked arithmetic on sizes, with the one error it can give.

use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable, Overflow, Sym};

pub fn too_large(_: Overflow) -> Diagnostic {
    Diagnostic::error(
        "shape::too-large",
        "a buffer's size leaves the range of 64-bit integers",
    )
}

pub fn add(a: &Dim, b: &Dim) -> Result<Dim, Diagnostic> {
    a.checked_add(b).map_err(too_large)
}

pub fn mul(a: &Dim, b: &Dim) -> Result<Dim, Diagnostic> {
    a.checked_mul(b).map_err(too_large)
}

pub fn zero() -> Dim {
    Dim::constant(0)
}

pub fn one() -> Dim {
    Dim::constant(1)
}

/// Elements of a buffer of this shape.
pub fn product(shape: &[Dim]) -> Result<Dim, Diagnostic> {
    shape.iter().try_fold(one(), |all, d| mul(&all, d))
}

/// Whether `a ≥ b` whatever the symbols (0 included): no coefficient of `a − b` is negative. A
/// sufficient test; `false` means undecided.
pub fn covers(a: &Dim, b: &Dim) -> bool {
    a.checked_sub(b)
        .is_ok_and(|gap| gap.terms().all(|(_, n)| n >= 0))
}

/// As [`covers`], for symbols of at least 1: a hint where nothing depends on its truth.
pub fn mostly_covers(a: &Dim, b: &Dim) -> bool {
    let Ok(gap) = a.checked_sub(b) else {
        return false;
    };
    let shifted = gap.subst(&|s| Dim::sym(s).checked_add(&one()).ok());
    shifted.is_ok_and(|d| d.terms().all(|(_, n)| n >= 0))
}

/// A size with every known static symbol replaced by its value.
pub fn known(d: &Dim, dims: &DimTable) -> Result<Dim, Diagnostic> {
    let value = |s: &Sym| dims.static_value(s).map(Dim::constant);
    d.subst(&value).map_err(too_large)
}
