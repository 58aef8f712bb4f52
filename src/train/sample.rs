//! One draw from a distribution over symbols.
//!
//! In: probabilities, how to draw, a number in [0, 1). Out: an index. Ties are broken by the lower
//! index, sums are in f64 in one order: the same inputs give the same symbol on every machine.

/// How the next symbol is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The likeliest, always.
    pub greedy: bool,
    /// Probabilities are raised to 1/temperature; at 0 the likeliest is taken.
    pub temperature: f64,
    /// Only this many likeliest.
    pub top_k: Option<usize>,
    /// Only the smallest set of likeliest with at least this probability (Holtzman et al. 2020),
    /// after temperature and `top_k`.
    pub top_p: Option<f64>,
}

/// The likeliest index.
pub fn likeliest(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (i, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = i;
        }
    }
    best
}

/// The index drawn by `u`, uniform in [0, 1). `None` where a probability is not a number, or none
/// is above zero.
pub fn pick(probabilities: &[f32], choice: &Choice, u: f64) -> Option<usize> {
    if probabilities.iter().any(|p| !p.is_finite()) {
        return None;
    }
    let best = likeliest(probabilities);
    let most = f64::from(*probabilities.get(best)?);
    if most <= 0.0 {
        return None;
    }
    if choice.greedy || choice.temperature <= 0.0 {
        return Some(best);
    }
    // Relative to the likeliest, so that no power underflows to nothing everywhere.
    let power = 1.0 / choice.temperature;
    let weight = |p: f32| match p > 0.0 {
        true if power == 1.0 => f64::from(p) / most,
        true => libm::pow(f64::from(p) / most, power),
        false => 0.0,
    };
    let mut weights: Vec<(usize, f64)> = (probabilities.iter().enumerate())
        .map(|(i, p)| (i, weight(*p)))
        .collect();
    if choice.top_k.is_some() || choice.top_p.is_some() {
        weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        weights.truncate(choice.top_k.unwrap_or(usize::MAX).max(1));
        if let Some(share) = choice.top_p {
            let total: f64 = weights.iter().map(|w| w.1).sum();
            let mut sum = 0.0;
            let enough = weights.iter().position(|w| {
                sum += w.1;
                sum >= share * total
            });
            weights.truncate(enough.map_or(weights.len(), |i| i + 1));
        }
    }
    let total: f64 = weights.iter().map(|w| w.1).sum();
    let mut left = u * total;
    for (i, w) in &weights {
        if left < *w {
            return Some(*i);
        }
        left -= w;
    }
    // Rounding can leave a little of u·total.
    weights.iter().rev().find(|w| w.1 > 0.0).map(|w| w.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Choice = Choice {
        greedy: false,
        temperature: 1.0,
        top_k: None,
        top_p: None,
    };

    /// The share of each index over evenly spaced draws.
    fn shares(p: &[f32], choice: Choice) -> Vec<f64> {
        let n = 10_000;
        let mut counts = vec![0.0; p.len()];
        for i in 0..n {
            let u = (f64::from(i) + 0.5) / f64::from(n);
            counts[pick(p, &choice, u).unwrap()] += 1.0 / f64::from(n);
        }
        counts
    }

    fn close(have: &[f64], want: &[f64]) {
        for (h, w) in have.iter().zip(want) {
            assert!((h - w).abs() < 1e-3, "{have:?} {want:?}");
        }
    }

    const P: [f32; 4] = [0.1, 0.4, 0.3, 0.2];

    #[test]
    fn shares_are_the_probabilities() {
        close(&shares(&P, PLAIN), &[0.1, 0.4, 0.3, 0.2]);
    }

    #[test]
    fn temperature_sharpens_and_flattens() {
        let half = Choice {
            temperature: 0.5,
            ..PLAIN
        };
        close(
            &shares(&P, half),
            &[1.0 / 30.0, 16.0 / 30.0, 9.0 / 30.0, 4.0 / 30.0],
        );
        let hot = Choice {
            temperature: 1e6,
            ..PLAIN
        };
        close(&shares(&P, hot), &[0.25; 4]);
        let cold = Choice {
            temperature: 1e-3,
            ..PLAIN
        };
        close(&shares(&P, cold), &[0.0, 1.0, 0.0, 0.0]);
        let zero = Choice {
            temperature: 0.0,
            ..PLAIN
        };
        close(&shares(&P, zero), &[0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn only_the_likeliest_are_drawn() {
        let two = Choice {
            top_k: Some(2),
            ..PLAIN
        };
        close(&shares(&P, two), &[0.0, 4.0 / 7.0, 3.0 / 7.0, 0.0]);
        let most = Choice {
            top_p: Some(0.75),
            ..PLAIN
        };
        close(&shares(&P, most), &[0.0, 4.0 / 9.0, 3.0 / 9.0, 2.0 / 9.0]);
        let one = Choice {
            top_p: Some(0.0),
            ..PLAIN
        };
        close(&shares(&P, one), &[0.0, 1.0, 0.0, 0.0]);
        let greedy = Choice {
            greedy: true,
            ..PLAIN
        };
        close(&shares(&P, greedy), &[0.0, 1.0, 0.0, 0.0]);
        // A tie goes to the lower index.
        let tied = Choice {
            top_k: Some(1),
            ..PLAIN
        };
        close(&shares(&[0.5, 0.5], tied), &[1.0, 0.0]);
    }

    #[test]
    fn what_cannot_be_drawn_is_none_and_zero_is_never_drawn() {
        assert_eq!(pick(&[0.5, f32::NAN], &PLAIN, 0.1), None);
        assert_eq!(pick(&[0.0, 0.0], &PLAIN, 0.1), None);
        assert_eq!(pick(&[], &PLAIN, 0.1), None);
        let last = 1.0 - f64::EPSILON / 2.0;
        assert_eq!(pick(&[0.3, 0.7, 0.0], &PLAIN, last), Some(1));
        assert_eq!(pick(&[0.0, 1.0], &PLAIN, 0.0), Some(1));
        assert_eq!(pick(&[1e-44, 0.0], &PLAIN, 0.5), Some(0));
    }
}
