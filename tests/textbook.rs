//! Cells and a gradient against numbers worked out by hand.
//!
//! With L = ln 3: σ(L) = 3/4, σ(−L) = 1/4 and tanh(L/2) = 1/2, so weights that are multiples of L make
//! every gate a fraction. One unit, one input.

mod common;

use common::machine::{Data, compiled};
use common::models::written;
use seqc::ir::InputRole;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::{Executable, Role};

const L: f64 = 1.098_612_288_668_109_8;

/// The loss, the states after the last step and the gradients of one cell with target `y`.
struct Got {
    loss: f64,
    states: Vec<(String, f64)>,
    grads: Vec<(String, f64)>,
}

impl Got {
    fn state(&self, path: &str) -> f64 {
        value(&self.states, path)
    }

    fn grad(&self, path: &str) -> f64 {
        value(&self.grads, path)
    }
}

fn value(all: &[(String, f64)], path: &str) -> f64 {
    let found = all.iter().find(|(p, _)| p == path);
    found.unwrap_or_else(|| panic!("no {path} in {all:?}")).1
}

/// Runs a cell over `x` from the states given, as machine code.
fn run(cell: &str, states: &[(&str, f64)], weights: &[(&str, f64)], x: &[f64], y: &[f64]) -> Got {
    let program = format!(
        "time T\n\nmodel One {{\n  input  x : [T, 1]\n  target y : [T, 1] number\n  \
         predict y = x |> scan {cell}(1)\n}}\n"
    );
    let model = written(cell, &program).remove(0);
    let stages = Build::default().stages(&model, Options::TRAIN, true);
    let func = stages.unwrap().optimized;
    let mut code = compiled(&schedule(&func).unwrap(), Isa::detect(), 1, false);
    let of = |all: &[(&str, f64)], path: &str| {
        let name = path.split_once('.').unwrap().1;
        let found = all.iter().find(|(n, _)| *n == name);
        vec![found.unwrap_or_else(|| panic!("{path}")).1]
    };
    let numbers = |role: &InputRole| match role {
        InputRole::Data(name) if name == "x" => x.to_vec(),
        InputRole::Data(_) => y.to_vec(),
        InputRole::Carry(path) => of(states, path),
        InputRole::Previous(_) | InputRole::Lengths(_) | InputRole::Steps(_) => unreachable!(),
    };
    let data = Data::given(&func, 1, x.len() as i64, &numbers, &|p| of(weights, p));
    let (outputs, grads) = data.call(&func, &mut code);
    let mut got = Got {
        loss: f64::NAN,
        states: Vec::new(),
        grads: Vec::new(),
    };
    let name = |path: &str| path.split_once('.').unwrap().1.to_string();
    for (slot, values) in code.signature().outputs.iter().zip(&outputs) {
        match &slot.role {
            Role::Loss => got.loss = f64::from(values[0]),
            Role::Carry(path) => got.states.push((name(path), f64::from(values[0]))),
            _ => {}
        }
    }
    for p in &code.signature().params {
        got.grads.push((name(&p.path), f64::from(grads[p.offset])));
    }
    got
}

fn assert_near(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() < 1e-6, "{what} is {got}, not {want}");
}

/// h' = tanh(Wx·x + Wh·h + b) = tanh(L/2·2 + L/4·(−2) + 0) = tanh(L/2) = 1/2.
#[test]
fn rnn() {
    let weights = [("Wx", L / 2.0), ("Wh", L / 4.0), ("b", 0.0)];
    let got = run("RNN", &[("h", -2.0)], &weights, &[2.0], &[0.0]);
    assert_near("h'", got.state("h"), 0.5);
    // The loss is the square of the distance from 0.
    assert_near("loss", got.loss, 0.25);
}

/// With x = 2 and h = −1:
/// i = σ(1·2 + 3/2·(−1) − 1/2) = σ(0) = 1/2,
/// f = σ(L·2 + L·(−1)) = 3/4,
/// g = tanh(L/4·2 + 1·(−1) + 1) = 1/2,
/// o = σ(0·2 + L·(−1) + 2L) = 3/4.
/// From c = (L/2 − 1/4)/(3/4) comes c' = f·c + i·g = L/2 − 1/4 + 1/4 = L/2,
/// and h' = o·tanh(c') = 3/4·1/2 = 3/8.
#[test]
fn lstm() {
    let weights = [
        ("Wi", 1.0),
        ("Ui", 1.5),
        ("bi", -0.5),
        ("Wf", L),
        ("Uf", L),
        ("bf", 0.0),
        ("Wg", L / 4.0),
        ("Ug", 1.0),
        ("bg", 1.0),
        ("Wo", 0.0),
        ("Uo", L),
        ("bo", 2.0 * L),
    ];
    let states = [("h", -1.0), ("c", (L / 2.0 - 0.25) / 0.75)];
    let got = run("LSTM", &states, &weights, &[2.0], &[0.0]);
    assert_near("c'", got.state("c"), L / 2.0);
    assert_near("h'", got.state("h"), 0.375);
}

/// With x = 2 and h = −1: r = σ(L·2 + L·(−1)) = 3/4 and z = σ(0·2 + L·(−1)) = 1/4. The reset scales
/// the product: n = tanh(L/4·2 − 3/20 + r·(2/5·(−1) + 3/5)) = tanh(L/2 − 3/20 + 3/4·1/5) = 1/2.
/// h' = (1 − z)·n + z·h = 3/8 − 1/4 = 1/8.
#[test]
fn gru() {
    let weights = [
        ("Wr", L),
        ("Ur", L),
        ("br", 0.0),
        ("Wz", 0.0),
        ("Uz", L),
        ("bz", 0.0),
        ("Wn", L / 4.0),
        ("bn", -0.15),
        ("Un", 0.4),
        ("cn", 0.6),
    ];
    let got = run("GRU", &[("h", -1.0)], &weights, &[2.0], &[0.0]);
    assert_near("h'", got.state("h"), 0.125);
}

/// The same gates; the reset scales the state: n = tanh(L/4·2 + 2/5·(3/4·(−1)) + 3/10) = 1/2.
#[test]
fn gru_as_published() {
    let weights = [
        ("Wr", L),
        ("Ur", L),
        ("br", 0.0),
        ("Wz", 0.0),
        ("Uz", L),
        ("bz", 0.0),
        ("Wn", L / 4.0),
        ("Un", 0.4),
        ("bn", 0.3),
    ];
    let got = run("GRU2014", &[("h", -1.0)], &weights, &[2.0], &[0.0]);
    assert_near("h'", got.state("h"), 0.125);
}

/// Two steps from h₀ = 0 with Wx = L/2, Wh = 2/5, b = 0:
/// x₁ = 1 gives h₁ = tanh(L/2) = 1/2;
/// x₂ = −1 − 2/(5L) gives h₂ = tanh(−L/2 − 1/5 + 2/5·1/2) = −1/2.
///
/// The loss is the mean over both steps of (h − y)². With y = 1/10, 3/10 it is
/// ((2/5)² + (4/5)²)/2 = 2/5, and ∂loss/∂hₜ = hₜ − yₜ where only step t is seen.
/// With δₜ = ∂loss/∂(the argument of tanh at t), and tanh' = 1 − h² = 3/4 at both steps:
/// δ₂ = −4/5·3/4 = −3/5,
/// δ₁ = (2/5 + Wh·δ₂)·3/4 = (2/5 − 6/25)·3/4 = 3/25.
///
/// ∂Wx = δ₁·x₁ + δ₂·x₂ = 3/25 + 3/5 + 6/(25L),
/// ∂Wh = δ₁·h₀ + δ₂·h₁ = −3/10,
/// ∂b = δ₁ + δ₂ = −12/25.
#[test]
fn gradient_of_two_steps() {
    let weights = [("Wx", L / 2.0), ("Wh", 0.4), ("b", 0.0)];
    let x = [1.0, -1.0 - 0.4 / L];
    let got = run("RNN", &[("h", 0.0)], &weights, &x, &[0.1, 0.3]);
    assert_near("h2", got.state("h"), -0.5);
    assert_near("loss", got.loss, 0.4);
    assert_near("dWx", got.grad("Wx"), 0.72 + 0.24 / L);
    assert_near("dWh", got.grad("Wh"), -0.3);
    assert_near("db", got.grad("b"), -0.48);
}
