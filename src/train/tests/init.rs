//! The weights a run starts from: their moments, their orthogonality, their independence of threads.

use std::sync::atomic::AtomicBool;

use super::{settings, signature};
use crate::philox::{Domain, Place, key, path_hash};
use crate::targets::executable::ParamSlot;
use crate::train::init::{AT_ONCE, FEW, Init, ParamSpec, arena, fill, gram_schmidt, long};

static GO_ON: AtomicBool = AtomicBool::new(false);

fn start(path: &str, shape: &[usize], init: Init, seed: u64) -> Vec<f32> {
    let len = shape.iter().product();
    let slot = ParamSlot {
        path: path.into(),
        shape: shape.to_vec(),
        offset: 0,
        len,
    };
    let mut weight = vec![f32::NAN; len];
    fill(&mut weight, &slot, init, seed, &GO_ON).expect("drawn");
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
    gram_schmidt(&mut basis, 4, &GO_ON).expect("made");
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
    assert!(mean.abs() < 0.02 * bound && (deviation - bound / 3f64.sqrt()).abs() < 0.01 * bound);
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
    let one = arena(&signature, &specs, &settings(), 1, &GO_ON).expect("drawn");
    signature.params.reverse();
    for threads in [2, 5] {
        let drawn = arena(&signature, &specs, &settings(), threads, &GO_ON);
        assert_eq!(drawn.as_ref(), Some(&one));
        let stopped = AtomicBool::new(true);
        assert_eq!(
            arena(&signature, &specs, &settings(), threads, &stopped),
            None
        );
    }
    assert_eq!(
        one[..1600],
        start("a", &[40, 40], Init::Orthogonal, settings().seed)
    );
}

#[test]
fn long_weights_are_drawn_as_if_at_once() {
    let shape = [AT_ONCE / 1024 + 1, 1024];
    let place = Place {
        key: key(3, Domain::Init),
        path: path_hash("a"),
        step: 0,
    };
    let mut whole = vec![0.0; shape[0] * shape[1]];
    place.fill_normal_flat(&mut whole, 0);
    assert!(start("a", &shape, Init::Normal(1.0), 3) == whole);
    place.fill_uniform_flat(&mut whole, 0);
    whole.iter_mut().for_each(|w| *w = 2.0 * *w - 1.0);
    assert!(start("a", &shape, Init::Uniform(1.0), 3) == whole);
}

#[test]
fn what_takes_long_is_told() {
    let spec = |slot: &ParamSlot, init| ParamSpec {
        path: slot.path.clone(),
        shape: slot.shape.clone(),
        init,
        symbols: vec![None, None],
    };
    let told = |shape: [usize; 2], init| {
        let signature = signature(&[("U", &shape[..])]);
        let specs: Vec<ParamSpec> = signature.params.iter().map(|s| spec(s, init)).collect();
        long(&signature, &specs, &settings())
    };
    let text = told([5000, 5000], Init::Orthogonal).expect("long");
    assert!(
        text.contains("1 orthogonal, the largest [5000, 5000], by 1.2e11"),
        "{text}"
    );
    assert_eq!(told([5000, 5000], Init::Xavier), None);
    assert_eq!(told([2000, 2000], Init::Orthogonal), None);
    assert!(told([5000, 9000], Init::HeadOrthogonal { first: true }).is_some());
}

#[test]
fn a_weight_depends_on_seed_and_path_only() {
    let w = |path, seed| start(path, &[4, 4], Init::Xavier, seed);
    assert_eq!(w("a.W", 1), w("a.W", 1));
    assert_ne!(w("a.W", 1), w("a.W", 2));
    assert_ne!(w("a.W", 1), w("a.U", 1));
}
