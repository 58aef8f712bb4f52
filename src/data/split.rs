//! Which examples train, which validate, which test.
//!
//! In: examples in the source's order, the `split` setting. Out: the examples of each [`Part`], in
//! the source's order. The shuffle has its own fixed seed: changing `train.seed` changes what is
//! learnt, never what it is measured on.

use std::collections::BTreeMap;
use std::ops::Range;

use super::spec::{Split, SplitBy};
use crate::philox;

/// A share of the data with one use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Train,
    Valid,
    Test,
}

impl Part {
    pub const ALL: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Valid => "valid",
            Part::Test => "test",
        }
    }
}

/// The seed of the shuffle that assigns examples to parts ("split" in ASCII).
const SEED: u64 = 0x0073_706c_6974;

/// `0..n` cut in shares, given in percent; each end is rounded to the nearest example. What they
/// leave of 100 is not used.
pub fn cut(n: usize, shares: [f64; 3]) -> [Range<usize>; 3] {
    let end = |percent: f64| ((n as f64 * percent / 100.0).round() as usize).min(n);
    let a = end(shares[0]);
    let b = end(shares[0] + shares[1]).max(a);
    let c = end(shares.iter().sum()).max(b);
    [0..a, a..b, b..c]
}

/// Assigns `kept` to the parts. `ordered`: whatever the setting, cut in the source's order, because
/// examples overlap or follow one another. `file` and `class` tell of an example.
pub fn split(
    kept: &[usize],
    split: &Split,
    ordered: bool,
    file: &dyn Fn(usize) -> usize,
    class: Option<&dyn Fn(usize) -> String>,
) -> [Vec<usize>; 3] {
    let mut out: [Vec<usize>; 3] = Default::default();
    match split {
        Split::Files { valid, .. } => {
            for e in kept {
                let part = match (file(*e), valid) {
                    (0, _) => 0,
                    (1, Some(_)) => 1,
                    _ => 2,
                };
                out[part].push(*e);
            }
            return out;
        }
        Split::Parts { shares, by, .. } => {
            let assign = |out: &mut [Vec<usize>; 3], order: &[usize]| {
                for (part, range) in out.iter_mut().zip(cut(order.len(), *shares)) {
                    part.extend_from_slice(&order[range]);
                }
            };
            match (by, class) {
                _ if ordered => assign(&mut out, kept),
                (SplitBy::Time, _) => assign(&mut out, kept),
                (SplitBy::Stratify(_), Some(class)) => {
                    let mut classes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
                    for e in kept {
                        classes.entry(class(*e)).or_default().push(*e);
                    }
                    for examples in classes.values() {
                        assign(&mut out, &shuffled(examples));
                    }
                }
                (SplitBy::Shuffle | SplitBy::Stratify(_), _) => assign(&mut out, &shuffled(kept)),
            }
        }
    }
    for part in &mut out {
        part.sort_unstable();
    }
    out
}

fn shuffled(examples: &[usize]) -> Vec<usize> {
    philox::permutation(examples.len() as u32, SEED, 0)
        .into_iter()
        .map(|i| examples[i as usize])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::{Span, Spanned};

    fn parts(n: usize, shares: [f64; 3], by: SplitBy, ordered: bool) -> [Vec<usize>; 3] {
        let setting = Split::Parts {
            shares,
            by,
            span: Span::default(),
        };
        let kept: Vec<usize> = (0..n).collect();
        let class = |e: usize| e.is_multiple_of(10).to_string();
        split(&kept, &setting, ordered, &|_| 0, Some(&class))
    }

    #[test]
    fn every_example_is_in_one_part() {
        for n in [1, 2, 7, 100, 1001] {
            for shares in [[90.0, 5.0, 5.0], [98.0, 2.0, 0.0], [33.0, 33.0, 34.0]] {
                let out = parts(n, shares, SplitBy::Shuffle, false);
                let mut all = out.concat();
                all.sort_unstable();
                assert_eq!(all, (0..n).collect::<Vec<_>>());
            }
        }
        let out = parts(100, [90.0, 5.0, 5.0], SplitBy::Shuffle, false);
        assert_eq!(out.map(|p| p.len()), [90, 5, 5]);
        let out = parts(100, [10.0, 5.0, 0.0], SplitBy::Shuffle, false);
        assert_eq!(out.map(|p| p.len()), [10, 5, 0]);
    }

    #[test]
    fn by_time_keeps_the_order_and_a_shuffle_does_not() {
        let time = parts(10, [70.0, 20.0, 10.0], SplitBy::Time, false);
        assert_eq!(time, [(0..7).collect(), vec![7, 8], vec![9]]);
        assert_eq!(parts(10, [70.0, 20.0, 10.0], SplitBy::Shuffle, true), time);
        assert_ne!(parts(10, [70.0, 20.0, 10.0], SplitBy::Shuffle, false), time);
    }

    #[test]
    fn strata_have_equal_shares() {
        let name = Spanned::new("y".to_string(), Span::default());
        let out = parts(1000, [80.0, 10.0, 10.0], SplitBy::Stratify(name), false);
        let rare = out.map(|p| p.iter().filter(|e| e.is_multiple_of(10)).count());
        assert_eq!(rare, [80, 10, 10]);
    }
}
