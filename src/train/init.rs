//! The weights a run starts from.
//!
//! In: each weight's path, shape and [`Init`], the seed. Out: the canonical arena, filled. A weight
//! depends on the seed, its own path, shape and kind alone, so adding a layer changes no other
//! weight, and every machine starts from the same bits.

use std::sync::Mutex;

use super::lanes;
use crate::philox::{Domain, Place, key, path_hash};
use crate::settings::{InitRule, TrainSettings};
use crate::targets::executable::{ParamSlot, Signature};

/// How a weight starts. A weight `[…, n]` is a matrix with n columns whose rows are all its other
/// axes; its fan-in is n, its fan-out the number of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    Zeros,
    Ones,
    /// Uniform in ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    Xavier,
    /// Uniform in ±√(6 / fan_in) (He et al. 2015).
    He,
    /// The shorter of rows and columns orthonormal (Saxe, McClelland and Ganguli 2014).
    Orthogonal,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    Constant(f64),
    /// A square orthogonal block on as many columns as there are rows, the first ones or the last,
    /// and Xavier on the others: the start of a `W` in `W·[h, x]`.
    HeadOrthogonal {
        first: bool,
    },
}

impl From<InitRule> for Init {
    fn from(rule: InitRule) -> Init {
        match rule {
            InitRule::Zeros => Init::Zeros,
            InitRule::Ones => Init::Ones,
            InitRule::Xavier => Init::Xavier,
            InitRule::He => Init::He,
            InitRule::Orthogonal => Init::Orthogonal,
            InitRule::Normal(s) => Init::Normal(s),
            InitRule::Uniform(b) => Init::Uniform(b),
            InitRule::Constant(c) => Init::Constant(c),
        }
    }
}

/// A weight as the model declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    pub path: String,
    pub shape: Vec<usize>,
    pub init: Init,
    /// For each axis, the input or target whose symbols it runs over, if any.
    pub symbols: Vec<Option<String>>,
}

/// The whole arena of a signature. A weight that a rule of the settings gives a start to has that
/// one; a slot that no spec names starts at zero. Each weight has draws of its own, so that any of
/// `threads` may fill it.
pub fn arena(
    signature: &Signature,
    specs: &[ParamSpec],
    settings: &TrainSettings,
    threads: usize,
) -> Vec<f32> {
    let mut arena = vec![0.0; signature.param_len];
    let mut wanted = Vec::new();
    let (mut rest, mut at) = (&mut arena[..], 0);
    let mut slots: Vec<&ParamSlot> = signature.params.iter().collect();
    slots.sort_by_key(|slot| slot.offset);
    for slot in slots {
        let declared = specs.iter().find(|s| s.path == slot.path);
        let rule = settings.weight(&slot.path, slot.shape.len()).init;
        let init = rule
            .map(Init::from)
            .or(declared.map(|s| s.init))
            .unwrap_or(Init::Zeros);
        let (weight, after) = rest[slot.offset - at..].split_at_mut(slot.len);
        (rest, at) = (after, slot.offset + slot.len);
        wanted.push((weight, slot, init));
    }
    let workers = match signature.param_len {
        0..FEW => 1,
        _ => threads.min(wanted.len()),
    };
    let wanted = Mutex::new(wanted.into_iter());
    let next = || wanted.lock().ok()?.next();
    let work = || {
        while let Some((weight, slot, init)) = next() {
            fill(weight, slot, init, settings.seed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            // Where the system gives no thread, the others do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    arena
}

/// One weight, row-major in its shape.
pub fn fill(weight: &mut [f32], slot: &ParamSlot, init: Init, seed: u64) {
    let columns = slot.shape.last().copied().unwrap_or(1).max(1);
    let rows = weight.len() / columns;
    let place = Place {
        key: key(seed, Domain::Init),
        path: path_hash(&slot.path),
        step: 0,
    };
    match init {
        Init::Zeros => weight.fill(0.0),
        Init::Ones => weight.fill(1.0),
        Init::Constant(c) => weight.fill(c as f32),
        Init::Xavier => uniform(weight, place, 0, xavier(rows, columns)),
        Init::He => uniform(weight, place, 0, (6.0 / columns as f64).sqrt()),
        Init::Uniform(bound) => uniform(weight, place, 0, bound),
        Init::Normal(deviation) => {
            place.fill_normal_flat(weight, 0);
            for w in weight {
                *w = (f64::from(*w) * deviation) as f32;
            }
        }
        Init::HeadOrthogonal { first } if columns > rows => {
            let (mut head, mut rest) = (
                vec![0.0; rows * rows],
                vec![0.0; weight.len() - rows * rows],
            );
            orthogonal(&mut head, rows, place);
            let others = columns - rows;
            let after = head.len().div_ceil(4) as u64;
            uniform(&mut rest, place, after, xavier(rows, others));
            for (r, row) in weight.chunks_exact_mut(columns).enumerate() {
                let h = &head[r * rows..(r + 1) * rows];
                let x = &rest[r * others..(r + 1) * others];
                let (left, right) = if first { (h, x) } else { (x, h) };
                row[..left.len()].copy_from_slice(left);
                row[left.len()..].copy_from_slice(right);
            }
        }
        Init::Orthogonal | Init::HeadOrthogonal { .. } => orthogonal(weight, columns, place),
    }
}

fn xavier(rows: usize, columns: usize) -> f64 {
    (6.0 / (rows + columns).max(1) as f64).sqrt()
}

/// Uniform in ±`bound`, drawn from the groups of four that begin at `first`.
fn uniform(weight: &mut [f32], place: Place, first: u64, bound: f64) {
    place.fill_uniform_flat(weight, first);
    for w in weight {
        *w = ((2.0 * f64::from(*w) - 1.0) * bound) as f32;
    }
}

/// Fewer weights than these are filled before another thread has begun.
const FEW: usize = 1 << 14;

/// Vectors that are made orthonormal before the others are projected against them: they stay in
/// the nearest cache meanwhile.
const BLOCK: usize = 8;

/// The share of a vector's length that must be left of it, or rounding counts too much.
const LEFT: f64 = 1e-5;

/// Orthonormal vectors from normal draws. The factor R of [`gram_schmidt`] has a positive diagonal, so
/// the result is uniform over the orthogonal matrices.
fn orthogonal(weight: &mut [f32], columns: usize, place: Place) {
    if weight.is_empty() {
        return;
    }
    let rows = weight.len() / columns;
    place.fill_normal_flat(weight, 0);
    // The shorter axis counts the vectors: they lie along rows, else along columns.
    let along_rows = rows <= columns;
    let size = rows.max(columns);
    let at = |k: usize| match along_rows {
        true => k,
        false => k % size * columns + k / size,
    };
    let mut basis: Vec<f64> = (0..weight.len())
        .map(|k| f64::from(weight[at(k)]))
        .collect();
    gram_schmidt(&mut basis, size);
    for (k, x) in basis.iter().enumerate() {
        weight[at(k)] = *x as f32;
    }
}

/// Makes vectors of `size` elements orthonormal by modified Gram–Schmidt. What is left of a vector is
/// orthogonal to the others up to rounding over the share that is left, far below that of an f32;
/// where less than [`LEFT`] is, it is projected once more, which suffices (Giraud, Langou, Rozložník
/// and van den Eshof 2005).
fn gram_schmidt(basis: &mut [f64], size: usize) {
    let lengths: Vec<f64> = (basis.chunks_exact(size).map(|v| lanes::dot(v, v).sqrt())).collect();
    for first in (0..lengths.len()).step_by(BLOCK) {
        let last = (first + BLOCK).min(lengths.len());
        for (v, length) in (first..last).zip(&lengths[first..last]) {
            let (done, rest) = basis.split_at_mut(v * size);
            let new = &mut rest[..size];
            lanes::project(&done[first * size..], new, size);
            if lanes::dot(new, new).sqrt() < LEFT * length {
                lanes::project(done, new, size);
            }
            let norm = lanes::dot(new, new).sqrt();
            new.iter_mut().for_each(|x| *x /= norm);
        }
        let (done, rest) = basis.split_at_mut(last * size);
        lanes::project(&done[first * size..], rest, size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::{settings, signature};

    fn start(path: &str, shape: &[usize], init: Init, seed: u64) -> Vec<f32> {
        let len = shape.iter().product();
        let slot = ParamSlot {
            path: path.into(),
            shape: shape.to_vec(),
            offset: 0,
            len,
        };
        let mut weight = vec![f32::NAN; len];
        fill(&mut weight, &slot, init, seed);
        weight
    }

    /// The largest difference of WᵀW or WWᵀ, whichever is smaller, from the identity.
    fn off_identity(w: &[f32], rows: usize, columns: usize) -> f64 {
        let n = rows.min(columns);
        let at = |v: usize, i: usize| {
            let k = if rows <= columns {
                v * columns + i
            } else {
                i * columns + v
            };
            f64::from(w[k])
        };
        let mut worst = 0.0f64;
        for a in 0..n {
            for b in 0..n {
                let dot: f64 = (0..rows.max(columns)).map(|i| at(a, i) * at(b, i)).sum();
                worst = worst.max((dot - f64::from(a == b)).abs());
            }
        }
        worst
    }

    #[test]
    fn orthogonal_is_orthonormal_in_every_shape() {
        for (rows, columns) in [(1, 1), (5, 5), (64, 64), (7, 3), (3, 7), (128, 32)] {
            let w = start("u", &[rows, columns], Init::Orthogonal, 3);
            assert!(off_identity(&w, rows, columns) < 1e-6, "{rows}x{columns}");
        }
    }

    #[test]
    fn nearly_dependent_draws_become_orthogonal_too() {
        // The second is the first but for one part in 10⁹.
        let mut basis = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0 + 1e-9];
        gram_schmidt(&mut basis, 4);
        let dot: f64 = (0..4).map(|i| basis[i] * basis[4 + i]).sum();
        assert!(dot.abs() < 1e-12, "{dot:e}");
    }

    #[test]
    fn a_head_is_orthogonal_on_its_state_and_xavier_elsewhere() {
        let (h, x) = (8, 24);
        for first in [true, false] {
            let w = start("W", &[h, h + x], Init::HeadOrthogonal { first }, 1);
            let shift = if first { 0 } else { x };
            let block: Vec<f32> = (0..h * h)
                .map(|i| w[i / h * (h + x) + shift + i % h])
                .collect();
            assert!(off_identity(&block, h, h) < 1e-6);
            let shift = if first { h } else { 0 };
            let rest: Vec<f32> = (0..h * x)
                .map(|i| w[i / x * (h + x) + shift + i % x])
                .collect();
            let bound = (6.0f32 / (h + x) as f32).sqrt();
            assert!(rest.iter().all(|v| v.abs() <= bound));
            let largest = rest.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(largest > 0.9 * bound, "{largest} of {bound}");
        }
        let square = start("W", &[6, 6], Init::HeadOrthogonal { first: true }, 1);
        assert_eq!(square, start("W", &[6, 6], Init::Orthogonal, 1));
    }

    #[test]
    fn moments_are_those_of_the_kind() {
        let moments = |w: &[f32]| {
            let n = w.len() as f64;
            let mean = w.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
            let square = w.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
            (mean, square.sqrt())
        };
        // 60,000 draws: the mean is within 5/√60000 = 0.02 of a deviation.
        let (mean, deviation) = moments(&start("a", &[300, 200], Init::Normal(0.5), 1));
        assert!(mean.abs() < 0.01 && (deviation - 0.5).abs() < 0.01);
        let (mean, deviation) = moments(&start("a", &[300, 200], Init::Xavier, 1));
        let bound = (6.0f64 / 500.0).sqrt();
        assert!(
            mean.abs() < 0.02 * bound && (deviation - bound / 3f64.sqrt()).abs() < 0.01 * bound
        );
        let (_, deviation) = moments(&start("a", &[300, 200], Init::He, 1));
        assert!((deviation - (2.0f64 / 200.0).sqrt()).abs() < 0.001);
        assert_eq!(start("b", &[3], Init::Constant(0.25), 1), [0.25; 3]);
        assert_eq!(start("b", &[2], Init::Ones, 1), [1.0; 2]);
        assert_eq!(start("b", &[], Init::Ones, 1), [1.0]);
        assert_eq!(start("b", &[0, 4], Init::Orthogonal, 1), [0f32; 0]);
    }

    #[test]
    fn any_thread_may_fill_a_weight() {
        let shapes = [
            ("a", [40, 40]),
            ("b", [300, 20]),
            ("c", [3, 5]),
            ("d", [90, 120]),
        ];
        let shapes: Vec<(&str, &[usize])> = shapes.iter().map(|(p, s)| (*p, &s[..])).collect();
        let mut signature = signature(&shapes);
        let spec = |slot: &ParamSlot| ParamSpec {
            path: slot.path.clone(),
            shape: slot.shape.clone(),
            init: Init::Orthogonal,
            symbols: vec![None, None],
        };
        let specs: Vec<ParamSpec> = signature.params.iter().map(spec).collect();
        assert!(signature.param_len > FEW);
        let one = arena(&signature, &specs, &settings(), 1);
        signature.params.reverse();
        for threads in [2, 5] {
            assert_eq!(arena(&signature, &specs, &settings(), threads), one);
        }
        assert_eq!(
            one[..1600],
            start("a", &[40, 40], Init::Orthogonal, settings().seed)
        );
    }

    #[test]
    fn a_weight_depends_on_seed_and_path_only() {
        let w = |path, seed| start(path, &[4, 4], Init::Xavier, seed);
        assert_eq!(w("a.W", 1), w("a.W", 1));
        assert_ne!(w("a.W", 1), w("a.W", 2));
        assert_ne!(w("a.W", 1), w("a.U", 1));
    }
}
