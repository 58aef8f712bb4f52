//! Which elements count: index domains, and the largest of a row. In f64.

use super::Machine;
use super::tensor::{Tensor, each_index};
use crate::domain::{Coord, Domain};

pub(super) fn mask(
    m: &Machine<'_>,
    args: &[&Tensor],
    domain: &Domain,
    fill: f64,
    batch: Option<usize>,
) -> Result<Tensor, String> {
    let mut x = args[0].clone();
    let (shape, mut at, mut known) = (x.shape.clone(), 0, true);
    each_index(&shape, |i| {
        let coord = |c: Coord| match c {
            Coord::Axis(a) => i[a] as i64,
            Coord::Of(n) => batch.map_or(0, |b| args[1 + n].data[i[b]] as i64),
        };
        let holds = domain.holds(&coord, &|s| m.symbol(s));
        known &= holds.is_some();
        if holds == Some(false) {
            x.data[at] = fill;
        }
        at += 1;
    });
    match known {
        true => Ok(x),
        false => Err(format!("a size in {domain} has no value here")),
    }
}

pub(super) fn top(row: &[f64], k: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    // Stable: of equal values the first comes first.
    order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
    let mut out = vec![0.0; row.len()];
    order.into_iter().take(k).for_each(|i| out[i] = 1.0);
    out
}
