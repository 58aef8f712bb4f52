//! Whole files through the checker.

use super::program::Model;
use super::{Checked, check};
use crate::ast;
use crate::diagnostics::Diagnostic;
use crate::span::Sources;

/// Checks a text; a syntax error fails the test.
fn checked(text: &str) -> (Checked, Sources) {
    let mut sources = Sources::default();
    let id = sources.add("test.seq", text);
    let file = ast::parse(text, id).unwrap_or_else(|e| panic!("{}", shown(&e, &sources)));
    let out = check(&file, &mut sources);
    (out, sources)
}

/// Diagnostics as plain text, one fact a line.
fn shown(all: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for d in all {
        let severity = if d.is_error() { "error" } else { "warning" };
        out += &format!("{severity}[{}]: {}\n", d.code, d.message);
        for l in &d.labels {
            let (line, column) = sources.line_column(l.span);
            let name = &sources.get(l.span.file).name;
            let snippet = sources.snippet(l.span);
            out += &format!("  {name}:{line}:{column} `{snippet}`: {}\n", l.text);
        }
        if let Some(h) = &d.help {
            out += &format!("  help: {h}\n");
        }
    }
    out
}

/// Compares with `snapshots/check/<name>.snap`.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "../../snapshots/check",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

/// The only model of a text that has no mistakes.
fn model(text: &str) -> Model {
    let (mut out, sources) = checked(text);
    let errors = shown(&out.diagnostics, &sources);
    assert!(errors.is_empty(), "{errors}");
    assert_eq!(out.models.len(), 1);
    out.models.remove(0)
}

/// How many numbers the weights under `prefix` hold.
fn count(m: &Model, prefix: &str) -> i64 {
    let own = m.params.iter().filter(|p| p.path.starts_with(prefix));
    own.map(|p| {
        p.shape
            .iter()
            .map(|d| m.dims.eval_static(d).unwrap())
            .product::<i64>()
    })
    .sum()
}

fn scanning(cell: &str) -> Model {
    model(&format!(
        "time T\nmodel M {{\n input x : [T, 5]\n target y : number\n predict y = last(x |> scan {cell}) |> Linear\n}}\n"
    ))
}

#[test]
fn library_cells_have_the_number_of_weights_of_their_papers() {
    let (h, x) = (7, 5);
    for (cell, name, weights) in [
        ("RNN(7)", "rnn.", h * x + h * h + h),
        ("LSTM(7)", "lstm.", 4 * (h * x + h * h + h)),
        ("GRU(7)", "gru.", 3 * (h * x + h * h + h) + h),
        ("GRU2014(7)", "gru2014.", 3 * (h * x + h * h + h)),
        (
            "PeepholeLSTM(7)",
            "peepholelstm.",
            4 * (h * x + h * h + h) + 3 * h,
        ),
        (
            "LayerNormLSTM(7)",
            "layernormlstm.",
            4 * (h * x + h * h + h) + 8 * 2 * h + 2 * h,
        ),
        ("MinGRU(7)", "mingru.", 2 * (h * x + h)),
    ] {
        assert_eq!(count(&scanning(cell), name), weights, "{cell}");
    }
}

#[test]
fn the_textbook_cell_is_inferred() {
    let m = model(
        "time T\n\
         cell RNN(H) {\n input x : [X]\n state h : [H]\n param Wx, Wh, b\n \
         h' = tanh(Wx·x + Wh·h + b)\n}\n\
         model Names {\n target name : [T] token\n \
         hs = previous(name) |> Embed(16) |> scan RNN(128)\n \
         predict name = hs |> Linear |> softmax\n output hs\n}\n",
    );
    snapshot("textbook-rnn", &m.to_string());
}

#[test]
fn a_perceptron_has_one_score_and_an_mlp_its_classes() {
    let (out, sources) = checked(
        "model P {\n input x : [2]\n target above : binary\n \
         predict above = x |> Linear(1) |> step\n}\n\
         model MLP {\n input image : [784]\n target digit : class\n \
         predict digit = image |> Linear(128) |> relu |> Linear(64) |> relu |> Linear |> softmax\n}\n",
    );
    assert_eq!(shown(&out.diagnostics, &sources), "");
    let text: Vec<String> = out.models.iter().map(Model::to_string).collect();
    snapshot("perceptron-and-mlp", &text.join("\n"));
}
