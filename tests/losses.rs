//! Losses: numbers worked out by hand, gradients against differences, settings that choose them.

mod common;

use common::models::{B, LENS, T, sizes};
use seqc::check::program::Model;
use seqc::check::settings::apply_losses;
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Func, InputRole, OutputRole};
use seqc::lower::Options;
use seqc::pipeline::{Build, with_vocabularies};
use seqc::span::Sources;

const CLASSES: usize = 4;

/// The model of a file whose only columns are its inputs and targets, with the losses its settings
/// ask for.
fn model(body: &str, columns: &str, settings: &str) -> Model {
    let text = format!(
        "time T\nmodel M {{\n{body}\n}}\ndata d {{ from = csv(\"x.csv\")\n{columns}\n}}\n\
         train M on d {{\n{settings}\n}}"
    );
    let mut sources = Sources::default();
    let id = sources.add("t.seq", text.as_str());
    let file = seqc::ast::parse::parse(&text, id).unwrap_or_else(|d| panic!("{text}\n{d:?}"));
    let checked = seqc::check::check(&file, &mut sources);
    assert!(!checked.has_errors(), "{text}\n{:?}", checked.diagnostics);
    let mut model = with_vocabularies(&checked.models[0], &|_| Some(CLASSES));
    let mut report = Vec::new();
    let experiment = seqc::check::settings::check(&file, &checked.models, &mut report);
    assert!(!report.iter().any(|d| d.is_error()), "{text}\n{report:?}");
    apply_losses(&experiment.trains[0].settings, &mut model);
    model
}

fn function(model: &Model, options: Options) -> Func {
    let gradients = options.training;
    Build::default()
        .stages(model, options, gradients)
        .unwrap()
        .optimized
}

/// What the function says for inputs of these names. Its weights, if any, are the identity.
fn outputs(func: &Func, given: &[(&str, &[f64])]) -> Vec<(OutputRole, Vec<f64>)> {
    let sizes = sizes(func);
    let inputs = inputs(func, given);
    let mut params = common::params(func, &sizes, 0.5);
    for w in &mut params {
        assert_eq!(w.shape, [CLASSES, CLASSES]);
        for (i, x) in w.data.iter_mut().enumerate() {
            *x = f64::from(u8::from(i % (CLASSES + 1) == 0));
        }
    }
    let draw = Draw { seed: 1, step: 3 };
    let out = run(func, &sizes, &inputs, &params, draw).unwrap();
    let roles = func.outputs.iter().map(|o| o.role.clone());
    roles.zip(out.into_iter().map(|t| t.data)).collect()
}

fn inputs(func: &Func, given: &[(&str, &[f64])]) -> Vec<Tensor> {
    let mut inputs = common::inputs(func, &sizes(func), &LENS, CLASSES);
    for (slot, tensor) in func.inputs.iter().zip(&mut inputs) {
        let InputRole::Data(name) = &slot.role else {
            continue;
        };
        if let Some((_, values)) = given.iter().find(|(n, _)| n == name) {
            assert_eq!(tensor.data.len(), values.len(), "{name}");
            tensor.data = values.to_vec();
        }
    }
    inputs
}

fn value(all: &[(OutputRole, Vec<f64>)], role: &OutputRole) -> f64 {
    all.iter().find(|(r, _)| r == role).expect("it is there").1[0]
}

fn close(have: f64, want: f64) {
    assert!((have - want).abs() < 1e-9, "{have} is not {want}");
}

#[test]
fn losses_of_numbers_by_hand() {
    // Errors of 0.5, −2 and 3.
    let (x, y) = ([1.5, 0.0, 3.0], [1.0, 2.0, 0.0]);
    for (loss, want) in [
        ("mse", (0.25 + 4.0 + 9.0) / 3.0),
        ("mae", (0.5 + 2.0 + 3.0) / 3.0),
        ("huber()", (0.125 + 1.5 + 2.5) / 3.0),
        ("huber(2)", (0.125 + 2.0 + 4.0) / 3.0),
        // Below the value by 2 costs 0.9 each, above it by 0.5 and 3 costs 0.1 each.
        ("quantile(0.9)", (0.05 + 1.8 + 0.3) / 3.0),
        ("quantile(0.5)", (0.25 + 1.0 + 1.5) / 3.0),
    ] {
        let body = "input x : number\ntarget y : number\npredict y = x";
        let m = model(
            body,
            "x = column(1)\ny = column(2)",
            &format!("loss = {loss}"),
        );
        for options in [Options::TRAIN, Options::EVALUATE] {
            let out = outputs(&function(&m, options), &[("x", &x), ("y", &y)]);
            close(value(&out, &OutputRole::Loss), want);
        }
    }
}

#[test]
fn losses_of_scores_by_hand() {
    let (x, y) = ([2.0, -0.5, 0.25], [1.0, 1.0, 0.0]);
    for (end, loss, want) in [
        ("σ", "hinge", (0.0 + 1.5 + 1.25) / 3.0),
        ("step", "hinge", (0.0 + 1.5 + 1.25) / 3.0),
        ("step", "perceptron", (0.0 + 0.5 + 0.25) / 3.0),
    ] {
        let body = format!("input x : number\ntarget y : binary\npredict y = x |> {end}");
        let m = model(
            &body,
            "x = column(1)\ny = column(2)",
            &format!("loss = {loss}"),
        );
        let out = outputs(&function(&m, Options::TRAIN), &[("x", &x), ("y", &y)]);
        close(value(&out, &OutputRole::Loss), want);
    }
}

/// Three rows of four scores; the second row has no label.
const SCORES: [f64; 12] = [
    1.0, 2.0, -1.0, 0.5, //
    9.0, 9.0, 9.0, 0.0, //
    0.0, 3.0, 0.0, 1.0,
];
const LABELS: [f64; 3] = [1.0, -1.0, 3.0];

/// Mean over labelled rows of −Σ q·log p, with q = 1 − ε on the truth and ε/4 on every class.
fn smoothed(eps: f64) -> f64 {
    let mut sum = 0.0;
    for (row, y) in SCORES.chunks(CLASSES).zip(LABELS) {
        if y < 0.0 {
            continue;
        }
        let total: f64 = row.iter().map(|z| z.exp()).sum();
        for (k, z) in row.iter().enumerate() {
            let q = eps / 4.0 + if k == y as usize { 1.0 - eps } else { 0.0 };
            sum -= q * (z.exp() / total).ln();
        }
    }
    sum / 2.0
}

#[test]
fn smoothing_is_for_training_and_unlabelled_rows_count_nowhere() {
    let body = "input x : [4]\ntarget y : class\npredict y = x |> Linear(bias = no) |> softmax";
    let columns = "x = columns(1, 2, 3, 4)\ny = column(5) |> labels()";
    for (loss, eps) in [
        ("cross_entropy", 0.0),
        ("cross_entropy(0.1)", 0.1),
        ("cross_entropy(smoothing = 0.5)", 0.5),
    ] {
        let m = model(body, columns, &format!("loss = {loss}"));
        let given: [(&str, &[f64]); 2] = [("x", &SCORES), ("y", &LABELS)];
        let train = outputs(&function(&m, Options::TRAIN), &given);
        close(value(&train, &OutputRole::Loss), smoothed(eps));
        close(value(&train, &OutputRole::LossCount("y".into())), 2.0);
        let measured = outputs(&function(&m, Options::EVALUATE), &given);
        close(value(&measured, &OutputRole::Loss), smoothed(0.0));
    }
}

/// Every loss on sequences of three lengths, of one feature and of two.
#[test]
fn gradients_equal_differences() {
    let labels: Vec<f64> = (0..B * T).map(|i| (i % 5 - 1) as f64).collect();
    let yes_no: Vec<f64> = (0..2 * B * T).map(|i| (i * i % 3 % 2) as f64).collect();
    let number = "target y : [T, 2]\npredict y = x |> tanh |> Linear(2)";
    let binary = "target y : [T, 2] binary\npredict y = x |> tanh |> Linear(2) |> σ";
    let class = "target y : [T] class\npredict y = x |> tanh |> Linear |> softmax";
    let cases: [(&str, &str, Option<&[f64]>); 9] = [
        (number, "mse", None),
        (number, "mae", None),
        (number, "huber(0.7)", None),
        (number, "quantile(0.3)", None),
        (binary, "binary_cross_entropy", Some(&yes_no)),
        (binary, "hinge", Some(&yes_no)),
        (class, "cross_entropy", Some(&labels)),
        (class, "cross_entropy(0.2)", Some(&labels)),
        (class, "cross_entropy(0.2)\nweight = 3", Some(&labels)),
    ];
    for (end, loss, y) in cases {
        let body = format!("input x : [T, 3]\n{end}");
        let columns = match end == class {
            true => "x = columns(1, 2, 3)\ny = column(4) |> labels()",
            false => "x = columns(1, 2, 3)\ny = columns(4, 5)",
        };
        let m = model(&body, columns, &format!("loss = {loss}"));
        let func = function(&m, Options::TRAIN);
        let given: Vec<(&str, &[f64])> = y.iter().map(|y| ("y", *y)).collect();
        let (sizes, inputs) = (sizes(&func), inputs(&func, &given));
        let params = common::params(&func, &sizes, 0.5);
        let worst = common::check_every_coordinate(&func, &sizes, &inputs, &params);
        assert!(worst < 1e-7, "{loss}: {worst:e}");
        common::check_schedule(&func, &sizes, &inputs, &params);
    }
}

#[test]
fn several_targets_are_weighed() {
    let body = "input x : number\ntarget a : number\ntarget b : number\n\
                predict a = x\npredict b = 2 * x";
    let columns = "x = column(1)\na = column(2)\nb = column(3)";
    // a errs by 1, −1, 2; b by 2, 0, 1.
    let given: [(&str, &[f64]); 3] = [
        ("x", &[1.0, 1.0, 2.0]),
        ("a", &[0.0, 2.0, 0.0]),
        ("b", &[0.0, 2.0, 3.0]),
    ];
    let (a, b) = (6.0 / 3.0, 5.0 / 3.0);
    for (settings, want) in [
        ("", a + b),
        ("weight.b = 0.25", a + 0.25 * b),
        ("weight.a = 0\nweight.b = 2", 2.0 * b),
        ("loss.a = mae", 4.0 / 3.0 + b),
        (
            "loss.a = mae\nloss.b = huber(1)\nweight.a = 10\nweight.b = 0.5",
            10.0 * 4.0 / 3.0 + 0.5 * (1.5 + 0.5) / 3.0,
        ),
    ] {
        let m = model(body, columns, settings);
        let out = outputs(&function(&m, Options::TRAIN), &given);
        close(value(&out, &OutputRole::Loss), want);
        // Sums are each target's own: weights are the whole loss's.
        let sum = value(&out, &OutputRole::LossSum("b".into()));
        close(sum, if settings.contains("huber") { 2.0 } else { 5.0 });
    }
}
