//! Update rules.
//!
//! In: weights, gradients and state in one arena each, the rate's factor of this step. Out: the
//! weights and the state after it. Elementwise in f32 with coefficients computed in f64, weight by
//! weight, and no product is fused with a sum: the bits depend on nothing but the numbers, whatever thread takes which
//! weights.
//!
//! | rule | update (g the gradient, η the rate of the step) |
//! |---|---|
//! | `sgd` | v ← μ·v + g; w ← w − η·v (Polyak 1964; without momentum v = g) |
//! | `sgd` with `nesterov` | v ← μ·v + g; w ← w − η·(g + μ·v) (Nesterov 1983; Sutskever et al. 2013) |
//! | `adam` | m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; w ← w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε) (Kingma and Ba 2015) |
//! | `adamw` | w ← w − η·λ·w, then as adam (Loshchilov and Hutter 2019) |
//! | `rmsprop` | v ← α·v + (1−α)g²; w ← w − η·g / (√v + ε) (Tieleman and Hinton 2012) |
//! | `adagrad` | v ← v + g²; w ← w − η·g / (√v + ε) (Duchi, Hazan and Singer 2011) |
//!
//! ε stands outside the root. A decay that `params … { decay = … }` gives a weight is applied as
//! adamw's under every rule. A frozen weight and its state never change.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::clip::Trained;
use super::lanes::{ELEMENT_NS, widest};
use crate::settings::{Optimizer, TrainSettings};
use crate::targets::executable::{Signature, Together};

/// What a rule does to one trained weight.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    range: Range<usize>,
    lr: f64,
    decay: f64,
}

/// Elements that a thread takes at a time.
const PIECE: usize = 4 * 1024;

/// The same elements of a weight, its gradient and its state.
#[derive(Default)]
struct Piece<'a> {
    w: &'a mut [f32],
    g: &'a [f32],
    state: [&'a mut [f32]; 2],
}

impl<'a> Piece<'a> {
    /// Takes off the first elements.
    fn take(&mut self) -> Piece<'a> {
        let n = PIECE.min(self.w.len());
        let first = |all: &mut &'a mut [f32]| {
            let n = n.min(all.len());
            let (first, rest) = std::mem::take(all).split_at_mut(n);
            *all = rest;
            first
        };
        let (g, rest) = self.g.split_at(n);
        self.g = rest;
        Piece {
            w: first(&mut self.w),
            g,
            state: self.state.each_mut().map(first),
        }
    }
}

/// A rule, the weights it trains, and its state.
#[derive(Clone, Debug)]
pub struct Updater {
    rule: Optimizer,
    groups: Vec<Group>,
    trained: Vec<Trained>,
    /// One arena for each of [`state_names`].
    state: Vec<Vec<f32>>,
}

/// The names of a rule's arenas of state, in order.
pub fn state_names(rule: &Optimizer) -> &'static [&'static str] {
    match rule {
        Optimizer::Sgd { momentum, .. } if *momentum == 0.0 => &[],
        Optimizer::Sgd { .. } => &["velocity"],
        Optimizer::Adam { .. } | Optimizer::AdamW { .. } => &["mean", "square"],
        Optimizer::RmsProp { .. } => &["square"],
        Optimizer::Adagrad { .. } => &["sum"],
    }
}

impl Updater {
    /// The state is zero.
    pub fn new(signature: &Signature, settings: &TrainSettings) -> Updater {
        let mut groups = Vec::new();
        let mut trained = Vec::new();
        for slot in &signature.params {
            let s = settings.weight(&slot.path, slot.shape.len());
            if s.frozen {
                continue;
            }
            let range = slot.offset..slot.offset + slot.len;
            trained.push(Trained {
                path: slot.path.clone(),
                range: range.clone(),
            });
            groups.push(Group {
                range,
                lr: s.lr,
                decay: s.decay,
            });
        }
        let names = state_names(&settings.optimizer);
        Updater {
            rule: settings.optimizer,
            groups,
            trained,
            state: vec![vec![0.0; signature.param_len]; names.len()],
        }
    }

    /// The weights that change, in the arena's order.
    pub fn trained(&self) -> &[Trained] {
        &self.trained
    }

    /// Arenas of state by name.
    pub fn state(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        let names = state_names(&self.rule).iter().copied();
        names.zip(self.state.iter().map(Vec::as_slice))
    }

    /// Puts back what [`Updater::state`] gave, in the same order.
    pub fn restore(&mut self, state: Vec<Vec<f32>>) {
        debug_assert_eq!(state.len(), self.state.len());
        self.state = state;
    }

    /// One step of weights by gradients. `step` counts from 0; `factor` is the schedule's.
    pub fn update(
        &mut self,
        (weights, grads): (&mut [f32], &[f32]),
        (step, factor): (u64, f64),
        together: Together<'_>,
    ) {
        let read_and_written = 3 + 2 * self.state.len();
        for group in &self.groups {
            let range = group.range.clone();
            let mut state = self.state.iter_mut().map(|s| &mut s[range.clone()]);
            let all = Piece {
                w: &mut weights[range.clone()],
                g: &grads[range.clone()],
                state: [(); 2].map(|()| state.next().unwrap_or_default()),
            };
            let rule = Rule {
                rule: &self.rule,
                rate: group.lr * factor,
                decay: group.decay,
                adam: match self.rule {
                    Optimizer::Adam { betas, eps, .. } | Optimizer::AdamW { betas, eps, .. } => {
                        Some(Adam::at(step, group.lr * factor, betas, eps))
                    }
                    _ => None,
                },
            };
            let nanoseconds = (range.len() * read_and_written) as f64 * ELEMENT_NS;
            let left = Mutex::new(all);
            together(nanoseconds, &|| {
                loop {
                    let piece = left.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if piece.w.is_empty() {
                        return;
                    }
                    widest(|| rule.update(piece));
                }
            });
        }
    }
}

/// What happens to a weight in one step.
struct Rule<'a> {
    rule: &'a Optimizer,
    rate: f64,
    decay: f64,
    /// Where the rule is Adam's.
    adam: Option<Adam>,
}

impl Rule<'_> {
    #[inline(always)]
    fn update(&self, Piece { w, g, state }: Piece<'_>) {
        let (rate, [first, second]) = (self.rate, state);
        if self.decay != 0.0 {
            let keep = (1.0 - rate * self.decay) as f32;
            w.iter_mut().for_each(|w| *w *= keep);
        }
        match *self.rule {
            Optimizer::Sgd { momentum: 0.0, .. } => sgd(w, g, rate),
            Optimizer::Sgd {
                momentum, nesterov, ..
            } => match nesterov {
                false => sgd_momentum(w, g, first, rate, momentum),
                true => sgd_nesterov(w, g, first, rate, momentum),
            },
            Optimizer::Adam { .. } | Optimizer::AdamW { .. } => {
                if let Some(coefficients) = &self.adam {
                    adam(w, g, first, second, coefficients);
                }
            }
            Optimizer::RmsProp { smooth, eps, .. } => rmsprop(w, g, first, rate, smooth, eps),
            Optimizer::Adagrad { eps, .. } => adagrad(w, g, first, rate, eps),
        }
    }
}

#[inline(always)]
fn sgd(w: &mut [f32], g: &[f32], rate: f64) {
    let rate = rate as f32;
    for (w, g) in w.iter_mut().zip(g) {
        *w -= rate * g;
    }
}

#[inline(always)]
fn sgd_momentum(w: &mut [f32], g: &[f32], v: &mut [f32], rate: f64, momentum: f64) {
    let (rate, momentum) = (rate as f32, momentum as f32);
    for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
        *v = momentum * *v + g;
        *w -= rate * *v;
    }
}

#[inline(always)]
fn sgd_nesterov(w: &mut [f32], g: &[f32], v: &mut [f32], rate: f64, momentum: f64) {
    let (rate, momentum) = (rate as f32, momentum as f32);
    for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
        *v = momentum * *v + g;
        *w -= rate * (g + momentum * *v);
    }
}

/// The coefficients of one step of Adam.
struct Adam {
    b1: f32,
    rest1: f32,
    b2: f32,
    rest2: f32,
    /// η / (1 − β₁ᵗ).
    rate: f32,
    /// √(1 − β₂ᵗ).
    correction: f32,
    eps: f32,
}

impl Adam {
    fn at(step: u64, rate: f64, betas: (f64, f64), eps: f64) -> Adam {
        let t = step.saturating_add(1) as f64;
        Adam {
            b1: betas.0 as f32,
            rest1: (1.0 - betas.0) as f32,
            b2: betas.1 as f32,
            rest2: (1.0 - betas.1) as f32,
            rate: (rate / (1.0 - libm::pow(betas.0, t))) as f32,
            correction: (1.0 - libm::pow(betas.1, t)).sqrt() as f32,
            eps: eps as f32,
        }
    }
}

#[inline(always)]
fn adam(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: &Adam) {
    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        *m = c.b1 * *m + c.rest1 * g;
        *v = c.b2 * *v + c.rest2 * g * g;
        *w -= c.rate * *m / (v.sqrt() / c.correction + c.eps);
    }
}

#[inline(always)]
fn rmsprop(w: &mut [f32], g: &[f32], v: &mut [f32], rate: f64, smooth: f64, eps: f64) {
    let (rate, keep, rest, eps) = (
        rate as f32,
        smooth as f32,
        (1.0 - smooth) as f32,
        eps as f32,
    );
    for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
        *v = keep * *v + rest * g * g;
        *w -= rate * g / (v.sqrt() + eps);
    }
}

#[inline(always)]
fn adagrad(w: &mut [f32], g: &[f32], v: &mut [f32], rate: f64, eps: f64) {
    let (rate, eps) = (rate as f32, eps as f32);
    for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
        *v += g * g;
        *w -= rate * g / (v.sqrt() + eps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ParamRule, Selector};
    use crate::train::tests::{settings, signature};

    /// The weights after each of `grads`, one weight of one element that starts at 1.
    fn trajectory(rule: Optimizer, grads: &[f32]) -> Vec<f32> {
        let mut s = settings();
        s.optimizer = rule;
        let mut u = Updater::new(&signature(&[("w", &[1])]), &s);
        let mut w = [1.0];
        let after = grads.iter().enumerate().map(|(i, g)| {
            u.update((&mut w, &[*g]), (i as u64, 1.0), &|_, f| f());
            w[0]
        });
        after.collect()
    }

    fn close(have: &[f32], want: &[f64]) {
        assert_eq!(have.len(), want.len());
        for (h, w) in have.iter().zip(want) {
            assert!((f64::from(*h) - w).abs() < 1e-6, "{have:?} {want:?}");
        }
    }

    #[test]
    fn threads_that_share_a_weight_give_the_bits_of_one() {
        let (lr, betas, eps) = (0.1, (0.9, 0.99), 1e-8);
        let sgd = |momentum, nesterov| Optimizer::Sgd {
            lr,
            momentum,
            nesterov,
        };
        let rules = [
            sgd(0.0, false),
            sgd(0.9, false),
            sgd(0.9, true),
            Optimizer::Adam { lr, betas, eps },
            Optimizer::AdamW {
                lr,
                decay: 0.5,
                betas,
                eps,
            },
            Optimizer::RmsProp {
                lr,
                smooth: 0.9,
                eps,
            },
            Optimizer::Adagrad { lr, eps },
        ];
        let n = 3 * PIECE + 5;
        let numbers = |by: f32| (0..n).map(|i| (i as f32 * by).sin()).collect::<Vec<f32>>();
        for rule in rules {
            let mut s = settings();
            s.optimizer = rule;
            let after = |together: Together<'_>| {
                let mut u = Updater::new(&signature(&[("w", &[n])]), &s);
                let mut w = numbers(0.7);
                for step in 0..3 {
                    u.update((&mut w, &numbers(0.3)), (step, 1.0), together);
                }
                let bits = |a: &[f32]| a.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
                let state: Vec<Vec<u32>> = u.state().map(|(_, a)| bits(a)).collect();
                (bits(&w), state)
            };
            let alone = after(&|_, f| f());
            let four = after(&|_, f| {
                std::thread::scope(|threads| {
                    (0..4).for_each(|_| {
                        threads.spawn(f);
                    });
                });
            });
            assert!(alone == four, "{:?}", s.optimizer);
        }
    }

    #[test]
    fn sgd_on_a_quadratic_is_a_geometric_sequence() {
        // f = w²/2 has gradient w: each step multiplies w by 1 − η.
        let mut s = settings();
        s.optimizer = Optimizer::Sgd {
            lr: 0.1,
            momentum: 0.0,
            nesterov: false,
        };
        let mut u = Updater::new(&signature(&[("w", &[1])]), &s);
        let mut w = [1.0f32];
        for step in 0..10 {
            let g = w;
            u.update((&mut w, &g), (step, 1.0), &|_, f| f());
        }
        assert!((f64::from(w[0]) - 0.9f64.powi(10)).abs() < 1e-6);
    }

    #[test]
    fn momentum_adds_up_to_a_geometric_series() {
        // Constant gradient 1: v = 1, 1.5, 1.75.
        let rule = Optimizer::Sgd {
            lr: 0.1,
            momentum: 0.5,
            nesterov: false,
        };
        close(&trajectory(rule, &[1.0; 3]), &[0.9, 0.75, 0.575]);
    }

    #[test]
    fn nesterov_steps_from_where_momentum_leads() {
        // Gradients 1, 1, −2: v = 1, 1.5, −1.25; steps 0.1·(g + v/2) = 0.15, 0.175, −0.2625.
        let rule = Optimizer::Sgd {
            lr: 0.1,
            momentum: 0.5,
            nesterov: true,
        };
        close(&trajectory(rule, &[1.0, 1.0, -2.0]), &[0.85, 0.675, 0.9375]);
    }

    #[test]
    fn adam_moves_by_the_rate_under_a_constant_gradient() {
        // m/(1−β₁ᵗ) = g and v/(1−β₂ᵗ) = g² exactly, so each step is η·g/(|g| + ε).
        let rule = Optimizer::Adam {
            lr: 0.1,
            betas: (0.9, 0.999),
            eps: 1e-12,
        };
        for g in [1e-3f32, 1.0, -50.0] {
            let s = f64::from(g).signum();
            close(
                &trajectory(rule, &[g; 3]),
                &[1.0 - 0.1 * s, 1.0 - 0.2 * s, 1.0 - 0.3 * s],
            );
        }
    }

    #[test]
    fn adam_follows_its_recurrence() {
        // The recurrence in f64 for gradients 1, −2, 0.5.
        let (b1, b2, eps, lr) = (0.8f64, 0.9f64, 1e-2, 0.05);
        let (mut m, mut v, mut w, mut want) = (0.0f64, 0.0f64, 1.0f64, Vec::new());
        for (i, g) in [1.0, -2.0, 0.5].into_iter().enumerate() {
            let t = i as i32 + 1;
            m = b1 * m + (1.0 - b1) * g;
            v = b2 * v + (1.0 - b2) * g * g;
            w -= lr * (m / (1.0 - b1.powi(t))) / ((v / (1.0 - b2.powi(t))).sqrt() + eps);
            want.push(w);
        }
        let rule = Optimizer::Adam {
            lr,
            betas: (b1, b2),
            eps,
        };
        close(&trajectory(rule, &[1.0, -2.0, 0.5]), &want);
    }

    #[test]
    fn adamw_decays_the_weight_and_not_the_gradient() {
        let rule = Optimizer::AdamW {
            lr: 0.1,
            decay: 0.5,
            betas: (0.9, 0.999),
            eps: 1e-8,
        };
        // Each step: w·(1 − 0.05) − 0.1.
        close(&trajectory(rule, &[2.0; 2]), &[0.85, 0.7075]);
        close(&trajectory(rule, &[0.0; 2]), &[0.95, 0.9025]);
    }

    #[test]
    fn rmsprop_and_adagrad_divide_by_their_root() {
        let rule = Optimizer::RmsProp {
            lr: 0.1,
            smooth: 0.75,
            eps: 0.0,
        };
        // Constant gradient 2: v = 1, 1.75; steps 0.1·2/1, 0.1·2/√1.75.
        let second = 0.8 - 0.2 / 1.75f64.sqrt();
        close(&trajectory(rule, &[2.0; 2]), &[0.8, second]);
        let rule = Optimizer::RmsProp {
            lr: 0.1,
            smooth: 0.75,
            eps: 1.0,
        };
        close(&trajectory(rule, &[2.0]), &[0.9]);
        let rule = Optimizer::Adagrad { lr: 0.1, eps: 0.0 };
        let second = 0.9 - 0.1 / 2f64.sqrt();
        close(&trajectory(rule, &[3.0; 2]), &[0.9, second]);
    }

    #[test]
    fn rules_of_a_weight_replace_rate_and_decay_and_freeze() {
        let mut s = settings();
        s.optimizer = Optimizer::Sgd {
            lr: 0.1,
            momentum: 0.9,
            nesterov: false,
        };
        let rule = |selector, lr, decay, frozen| ParamRule {
            selector,
            lr,
            decay,
            frozen,
            init: None,
            fresh: None,
            lora: None,
        };
        s.params = vec![
            rule(Selector::Vectors, Some(0.5), None, None),
            rule(Selector::Glob("rnn.*".into()), None, Some(0.2), None),
            rule(Selector::Glob("embed*".into()), None, None, Some(true)),
        ];
        let sig = signature(&[
            ("embed.table", &[2, 1]),
            ("rnn.W", &[1, 1]),
            ("rnn.b", &[1]),
        ]);
        let mut u = Updater::new(&sig, &s);
        let paths: Vec<&str> = u.trained().iter().map(|t| t.path.as_str()).collect();
        assert_eq!(paths, ["rnn.W", "rnn.b"]);
        let mut w = [1.0; 4];
        u.update((&mut w, &[f32::NAN, 1.0, 1.0, 1.0]), (0, 0.5), &|_, f| f());
        // rnn.W: 1 − 0.05·0.2 − 0.05; rnn.b: 1 − 0.25·0.2 − 0.25.
        close(&w, &[1.0, 1.0, 0.94, 0.7]);
        let velocity = u.state().next().unwrap();
        assert_eq!(velocity, ("velocity", &[0.0, 0.0, 1.0, 1.0][..]));
    }
}
