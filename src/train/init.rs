//! The weights a run starts from.
//!
//! In: each weight's path, shape and [`Init`], the seed. Out: the canonical arena, filled. A weight
//! depends on the seed, its own path, shape and kind alone, so adding a layer changes no other
//! weight, and every machine starts from the same bits. Orthonormal rows take a cubic time, so a
//! flag that asks to stop is looked at between weights and within each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// How a slot starts. A weight that a rule of the settings gives a start to has that one; a slot
/// that no spec names starts at zero.
fn started(slot: &ParamSlot, specs: &[ParamSpec], settings: &TrainSettings) -> Init {
    let declared = specs.iter().find(|s| s.path == slot.path);
    let rule = settings.weight(&slot.path, slot.shape.len()).init;
    rule.map(Init::from)
        .or(declared.map(|s| s.init))
        .unwrap_or(Init::Zeros)
}

/// Says what is drawn where that takes a while: orthonormal vectors are made by about (vectors)² ·
/// (elements of each) multiply-adds.
pub fn long(
    signature: &Signature,
    specs: &[ParamSpec],
    settings: &TrainSettings,
) -> Option<String> {
    let (mut work, mut count, mut largest) = (0.0, 0, (0.0, [0; 2]));
    for slot in &signature.params {
        let columns = slot.shape.last().copied().unwrap_or(1).max(1);
        let rows = slot.len / columns;
        let sides = match started(slot, specs, settings) {
            Init::Orthogonal => [rows, columns],
            Init::HeadOrthogonal { .. } => [rows, columns.min(rows)],
            Init::Zeros
            | Init::Ones
            | Init::Xavier
            | Init::He
            | Init::Normal(_)
            | Init::Uniform(_)
            | Init::Constant(_) => continue,
        };
        let [short, long] = [rows.min(sides[1]), rows.max(sides[1])].map(|n| n as f64);
        let own = short * short * long;
        work += own;
        count += 1;
        if own > largest.0 {
            largest = (own, sides);
        }
    }
    (work >= LONG).then(|| {
        let [rows, columns] = largest.1;
        format!(
            "drawing the initial weights: {count} orthogonal, the largest [{rows}, {columns}], by {work:.1e} \
             multiply-adds; `params \"*\" {{ init = xavier }}` draws them at once"
        )
    })
}

/// The whole arena of a signature. Each weight has draws of its own, so that any of `threads` may
/// fill it. `None` where `stop` was set before all were drawn.
pub fn arena(
    signature: &Signature,
    specs: &[ParamSpec],
    settings: &TrainSettings,
    threads: usize,
    stop: &AtomicBool,
) -> Option<Vec<f32>> {
    let mut arena = vec![0.0; signature.param_len];
    let mut wanted = Vec::new();
    let (mut rest, mut at) = (&mut arena[..], 0);
    let mut slots: Vec<&ParamSlot> = signature.params.iter().collect();
    slots.sort_by_key(|slot| slot.offset);
    for slot in slots {
        let init = started(slot, specs, settings);
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
            if fill(weight, slot, init, settings.seed, stop).is_none() {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            // Where the system gives no thread, the others do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    on(stop)?;
    Some(arena)
}

/// `None` once `stop` is set.
fn on(stop: &AtomicBool) -> Option<()> {
    (!stop.load(Ordering::Relaxed)).then_some(())
}

/// One weight, row-major in its shape; `None` where it was left undone.
pub(super) fn fill(
    weight: &mut [f32],
    slot: &ParamSlot,
    init: Init,
    seed: u64,
    stop: &AtomicBool,
) -> Option<()> {
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
        Init::Xavier => uniform(weight, place, 0, xavier(rows, columns), stop)?,
        Init::He => uniform(weight, place, 0, (6.0 / columns as f64).sqrt(), stop)?,
        Init::Uniform(bound) => uniform(weight, place, 0, bound, stop)?,
        Init::Normal(deviation) => {
            normal(weight, place, stop)?;
            for w in weight {
                *w = (f64::from(*w) * deviation) as f32;
            }
        }
        Init::HeadOrthogonal { first } if columns > rows => {
            let (mut head, mut rest) = (
                vec![0.0; rows * rows],
                vec![0.0; weight.len() - rows * rows],
            );
            orthogonal(&mut head, rows, place, stop)?;
            let others = columns - rows;
            let after = head.len().div_ceil(4) as u64;
            uniform(&mut rest, place, after, xavier(rows, others), stop)?;
            for (r, row) in weight.chunks_exact_mut(columns).enumerate() {
                let h = &head[r * rows..(r + 1) * rows];
                let x = &rest[r * others..(r + 1) * others];
                let (left, right) = if first { (h, x) } else { (x, h) };
                row[..left.len()].copy_from_slice(left);
                row[left.len()..].copy_from_slice(right);
            }
        }
        Init::Orthogonal | Init::HeadOrthogonal { .. } => {
            orthogonal(weight, columns, place, stop)?;
        }
    }
    on(stop)
}

fn xavier(rows: usize, columns: usize) -> f64 {
    (6.0 / (rows + columns).max(1) as f64).sqrt()
}

/// Uniform in ±`bound`, drawn from the groups of four that begin at `first`.
fn uniform(
    weight: &mut [f32],
    place: Place,
    first: u64,
    bound: f64,
    stop: &AtomicBool,
) -> Option<()> {
    for (i, some) in weight.chunks_mut(AT_ONCE).enumerate() {
        on(stop)?;
        place.fill_uniform_flat(some, first + (i * AT_ONCE / 4) as u64);
        for w in some {
            *w = ((2.0 * f64::from(*w) - 1.0) * bound) as f32;
        }
    }
    Some(())
}

/// Standard normal draws.
fn normal(weight: &mut [f32], place: Place, stop: &AtomicBool) -> Option<()> {
    for (i, some) in weight.chunks_mut(AT_ONCE).enumerate() {
        on(stop)?;
        place.fill_normal_flat(some, (i * AT_ONCE / 4) as u64);
    }
    Some(())
}

/// Draws between two looks at the flag: whole groups of four, milliseconds.
pub(super) const AT_ONCE: usize = 1 << 20;

/// From so many multiply-adds on, about a second, it is said what goes on.
const LONG: f64 = 1e10;

/// Fewer weights than these are filled before another thread has begun.
pub(super) const FEW: usize = 1 << 14;

/// Vectors that are made orthonormal before the others are projected against them: they stay in
/// the nearest cache meanwhile.
const BLOCK: usize = 8;

/// Vectors that are projected against a block between two looks at the flag; a multiple of four, for
/// they are taken by fours.
const TOGETHER: usize = 512;

/// The share of a vector's length that must be left of it, or rounding counts too much.
const LEFT: f64 = 1e-5;

/// Orthonormal vectors from normal draws. The factor R of [`gram_schmidt`] has a positive diagonal, so
/// the result is uniform over the orthogonal matrices.
fn orthogonal(weight: &mut [f32], columns: usize, place: Place, stop: &AtomicBool) -> Option<()> {
    if weight.is_empty() {
        return Some(());
    }
    let rows = weight.len() / columns;
    normal(weight, place, stop)?;
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
    gram_schmidt(&mut basis, size, stop)?;
    for (k, x) in basis.iter().enumerate() {
        weight[at(k)] = *x as f32;
    }
    Some(())
}

/// Makes vectors of `size` elements orthonormal by modified Gram–Schmidt. What is left of a vector is
/// orthogonal to the others up to rounding over the share that is left, far below that of an f32;
/// where less than [`LEFT`] is, it is projected once more, which suffices (Giraud, Langou, Rozložník
/// and van den Eshof 2005).
pub(super) fn gram_schmidt(basis: &mut [f64], size: usize, stop: &AtomicBool) -> Option<()> {
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
        for some in rest.chunks_mut(TOGETHER * size) {
            on(stop)?;
            lanes::project(&done[first * size..], some, size);
        }
    }
    Some(())
}
