//! Gradients kept within bounds, and checked.
//!
//! In: the arena of gradients and the ranges of it that are trained. Out: their norm before
//! clipping; the arena, clipped; or the first weight whose gradient is not finite.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::lanes::{self, ELEMENT_NS};
use crate::settings::Clip;
use crate::targets::executable::Together;

/// A trained weight's path and place in the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub path: String,
    pub range: Range<usize>,
}

/// The Euclidean norm of all trained gradients, summed in f64 weight by weight, into `squares`, whichever thread sums
/// which; `Err` names the first weight with an element that is not finite.
pub fn norm<'a>(
    grads: &[f32],
    trained: &'a [Trained],
    squares: &mut Vec<f64>,
    together: Together<'_>,
) -> Result<f64, &'a Trained> {
    squares.clear();
    squares.resize(trained.len(), 0.0);
    // What one thread has to read in any case pays for no other.
    let sizes = || trained.iter().map(|t| t.range.len());
    let elements = sizes().sum::<usize>() - sizes().max().unwrap_or(0);
    let left = Mutex::new(trained.iter().zip(squares.iter_mut()));
    together(elements as f64 * ELEMENT_NS, &|| {
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((weight, sum)) = next() {
            *sum = lanes::squares(&grads[weight.range.clone()]);
        }
    });
    match squares.iter().position(|s| !s.is_finite()) {
        Some(i) => Err(&trained[i]),
        None => Ok(squares.iter().fold(0.0, |sum, s| sum + s).sqrt()),
    }
}

/// Clips in place, given the norm.
///
/// By norm: all gradients times `limit / (norm + 1e-6)` where that is below 1 (Pascanu, Mikolov and
/// Bengio 2013; the small term as in common use, so that trajectories can be compared). By value:
/// each element to ±`limit`.
pub fn clip(grads: &mut [f32], trained: &[Trained], rule: Clip, norm: f64) {
    match rule {
        Clip::None => {}
        Clip::Norm(limit) => {
            let factor = limit / (norm + 1e-6);
            if factor < 1.0 {
                let factor = factor as f32;
                each(grads, trained, |g| *g *= factor);
            }
        }
        Clip::Value(limit) => {
            let limit = limit as f32;
            each(grads, trained, |g| *g = g.clamp(-limit, limit));
        }
    }
}

fn each(grads: &mut [f32], trained: &[Trained], f: impl Fn(&mut f32)) {
    for weight in trained {
        grads[weight.range.clone()].iter_mut().for_each(&f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained() -> Vec<Trained> {
        let at = |path: &str, range| Trained {
            path: path.into(),
            range,
        };
        vec![at("a", 0..2), at("b", 3..5)]
    }

    #[test]
    fn by_norm_all_trained_gradients_shrink_together() {
        let mut g = [3.0, 0.0, 100.0, 0.0, 4.0];
        let n = norm(&g, &trained(), &mut Vec::new(), &|_, f| f()).unwrap();
        assert_eq!(n, 5.0, "element 2 is frozen and does not count");
        clip(&mut g, &trained(), Clip::Norm(1.0), n);
        assert!((g[0] - 0.6).abs() < 1e-6 && (g[4] - 0.8).abs() < 1e-6);
        assert_eq!(g[2], 100.0);
        let before = g;
        clip(&mut g, &trained(), Clip::Norm(7.0), 1.0);
        assert_eq!(g, before, "a norm within the limit is left alone");
    }

    #[test]
    fn threads_that_share_the_weights_give_the_bits_of_one() {
        let g: Vec<f32> = (0..5000).map(|i| (i as f32 * 0.3).sin()).collect();
        let weight = |i: usize| Trained {
            path: i.to_string(),
            range: i * i..(i + 1) * (i + 1),
        };
        let trained: Vec<Trained> = (0..70).map(weight).collect();
        let alone = norm(&g, &trained, &mut Vec::new(), &|_, f| f()).unwrap();
        let four = norm(&g, &trained, &mut Vec::new(), &|_, f| {
            std::thread::scope(|threads| {
                (0..4).for_each(|_| {
                    threads.spawn(f);
                });
            });
        });
        assert_eq!(alone.to_bits(), four.unwrap().to_bits());
    }

    #[test]
    fn by_value_each_element_is_cut() {
        let mut g = [3.0, -0.5, 9.0, -7.0, 0.25];
        clip(&mut g, &trained(), Clip::Value(0.5), 0.0);
        assert_eq!(g, [0.5, -0.5, 9.0, -0.5, 0.25]);
        let mut g = [3.0; 5];
        clip(&mut g, &trained(), Clip::None, 1e9);
        assert_eq!(g, [3.0; 5]);
    }

    #[test]
    fn the_first_gradient_that_is_not_finite_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let g = [1.0, 1.0, bad, 1.0, 1.0];
            assert!(
                norm(&g, &trained(), &mut Vec::new(), &|_, f| f()).is_ok(),
                "a frozen weight's is not read"
            );
            let g = [1.0, 1.0, 1.0, bad, bad];
            let trained = trained();
            let bad = norm(&g, &trained, &mut Vec::new(), &|_, f| f()).unwrap_err();
            assert_eq!(bad.path, "b");
        }
    }
}
