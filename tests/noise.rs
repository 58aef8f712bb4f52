//! Draws of training: a dropout that all steps share, and zoneout, against their definitions.

mod common;

use common::models::{B, T, sizes, written};
use seqc::ir::interp::{Draw, run};
use seqc::ir::{InputRole, OutputRole};
use seqc::lower::{Options, lower};

const FEATURES: usize = 40;

/// Training's draws without its loss.
const DRAWN: Options = Options {
    training: true,
    ..Options::PREDICT
};

/// The prediction at `[t][example][feature]` of a model of `x : [T, 40]`, and x.
fn predict(body: &str, options: Options) -> (Vec<f64>, Vec<f64>) {
    let text = format!(
        "time T\ncell Keep {{\n  input x : [X]\n  state h : [X]\n  h' = zoneout(h, x, 0.3)\n  output h'\n}}\n\
         model M {{\n  input x : [T, 40]\n  target y : [T, 40] number\n  predict y = x {body}\n}}\n"
    );
    let func = lower(&written("noise", &text)[0], options).unwrap();
    let sizes = sizes(&func);
    let mut inputs = common::inputs(&func, &sizes, &[T as usize; B as usize], 4);
    let mut x = Vec::new();
    for (slot, tensor) in func.inputs.iter().zip(&mut inputs) {
        match slot.role {
            InputRole::Data(_) => x = tensor.data.clone(),
            InputRole::Carry(_) => tensor.data.fill(0.0),
            InputRole::Previous(_) | InputRole::Lengths(_) | InputRole::Steps(_) => {}
        }
    }
    let draw = Draw { seed: 3, step: 1 };
    let out = run(&func, &sizes, &inputs, &[], draw).unwrap();
    let y = common::output(&func, &out, &OutputRole::Prediction("y".into())).data;
    assert_eq!(y.len(), T as usize * B as usize * FEATURES);
    (x, y)
}

/// Which places dropout kept, where it kept them with the right scale.
fn kept(body: &str, p: f64) -> Vec<bool> {
    let (x, y) = predict(body, DRAWN);
    let one = |(x, y): (&f64, &f64)| {
        assert!(
            *y == 0.0 || (y - x / (1.0 - p)).abs() < 1e-12,
            "{x} became {y}"
        );
        *y != 0.0
    };
    x.iter().zip(&y).map(one).collect()
}

#[test]
fn a_shared_dropout_draws_once_for_all_steps() {
    let step = B as usize * FEATURES;
    let shared = kept("|> dropout(0.25, share = time)", 0.25);
    assert!(shared.chunks(step).all(|s| s == &shared[..step]));
    let examples: Vec<&[bool]> = shared[..step].chunks(FEATURES).collect();
    assert_ne!(examples[0], examples[1], "examples differ");
    let own = kept("|> dropout(0.25)", 0.25);
    assert_ne!(own[..step], own[step..2 * step], "without it steps differ");
    // A share of 0.25 within four deviations.
    let dropped = own.iter().filter(|k| !**k).count() as f64 / own.len() as f64;
    let deviation = (0.25 * 0.75 / own.len() as f64).sqrt();
    assert!((dropped - 0.25).abs() < 4.0 * deviation, "{dropped}");
    for body in ["|> dropout(0.25, share = time)", "|> dropout(0.25)"] {
        let (x, y) = predict(body, Options::PREDICT);
        assert_eq!(x, y, "nothing is dropped outside training");
    }
}

#[test]
fn zoneout_keeps_a_state_or_takes_the_new_one() {
    let step = B as usize * FEATURES;
    let (x, y) = predict("|> scan Keep", DRAWN);
    let mut stayed = 0;
    for i in 0..y.len() {
        let before = if i < step { 0.0 } else { y[i - step] };
        assert!(
            y[i] == before || y[i] == x[i],
            "{} of {before} and {}",
            y[i],
            x[i]
        );
        stayed += usize::from(y[i] == before);
    }
    let share = stayed as f64 / y.len() as f64;
    let deviation = (0.3 * 0.7 / y.len() as f64).sqrt();
    assert!((share - 0.3).abs() < 4.0 * deviation, "{share}");
    // Outside training the two are mixed in these shares.
    let (x, y) = predict("|> scan Keep", Options::PREDICT);
    for i in 0..y.len() {
        let before = if i < step { 0.0 } else { y[i - step] };
        assert!((y[i] - (0.3 * before + 0.7 * x[i])).abs() < 1e-12);
    }
}
