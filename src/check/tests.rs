//! Whole files through the checker.

use std::path::{Path, PathBuf};

use super::program::{Init, Model};
use super::{Checked, check, resolved, settings};
use crate::ast;
use crate::diagnostics::Diagnostic;
use crate::dim::Role;
use crate::ir::verify::verify;
use crate::library;
use crate::lower::{self, Options};
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
        if let Some(f) = &d.fix {
            let (line, column) = sources.line_column(f.span);
            let old = sources.snippet(f.span);
            out += &format!("  fix: {line}:{column} `{old}` → `{}`\n", f.text);
        }
    }
    out
}

/// The codes of a text's diagnostics, in order.
fn codes(text: &str) -> Vec<&'static str> {
    checked(text).0.diagnostics.iter().map(|d| d.code).collect()
}

/// Compares with `snapshots/<folder>/<name>.snap`.
fn snapshot(folder: &str, name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => format!("../../snapshots/{folder}"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

/// The models of a text that has no mistakes, each shown to lower to sound IR.
fn models(text: &str) -> Vec<Model> {
    let (out, sources) = checked(text);
    let errors = shown(&out.diagnostics, &sources);
    assert!(errors.is_empty(), "{errors}");
    for m in &out.models {
        let mut m = m.clone();
        let vocabularies: Vec<_> = m
            .dims
            .iter()
            .filter(|e| e.role == Role::Vocabulary)
            .map(|e| e.sym.clone())
            .collect();
        for v in vocabularies {
            m.dims.bind(&v, 11);
        }
        for options in [Options::TRAIN, Options::EVALUATE] {
            let func = lower::lower(&m, options).unwrap_or_else(|e| panic!("{}: {e}\n{m}", m.name));
            verify(&func).unwrap_or_else(|e| panic!("{}: {e}\n{m}", m.name));
        }
    }
    out.models
}

fn model(text: &str) -> Model {
    let mut all = models(text);
    assert_eq!(all.len(), 1);
    all.remove(0)
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
        "time T\nmodel M {{\n input x : [T, 5]\n target y : number\n \
         predict y = last(x |> scan {cell}) |> Linear\n}}\n"
    ))
}

fn init_of(m: &Model, path: &str) -> Init {
    let found = m.params.iter().find(|p| p.path == path);
    found.unwrap_or_else(|| panic!("no {path}")).init
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
fn every_library_definition_is_sound_by_itself() {
    for part in &library::PARTS {
        let (out, sources) = checked(part.text);
        let errors = shown(&out.diagnostics, &sources);
        assert!(errors.is_empty(), "{}: {errors}", part.name);
        assert!(part.text.starts_with("# "), "{} cites no source", part.name);
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
    snapshot("check", "textbook-rnn", &m.to_string());
    snapshot("check", "textbook-rnn-resolved", &resolved::resolved(&m));
}

#[test]
fn a_perceptron_has_one_score_and_an_mlp_its_classes() {
    let all = models(
        "model P {\n input x : [2]\n target above : binary\n \
         predict above = x |> Linear(1) |> step\n}\n\
         model MLP {\n input image : [784]\n target digit : class\n \
         predict digit = image |> Linear(128) |> relu |> Linear(64) |> relu |> Linear |> softmax\n}\n",
    );
    let text: Vec<String> = all.iter().map(Model::to_string).collect();
    snapshot("check", "perceptron-and-mlp", &text.join("\n"));
}

#[test]
fn cells_inside_cells_carry_their_states_in_the_outer_scan() {
    let m = model(
        "time S, T\n\
         cell Decoder(H) {\n input y : [E]\n context c : [K]\n input z : number\n\
         gru = GRU(H)\n state a : [H] = a0\n param a0, W, V\n\
         out = [y, a, z] |> gru\n a' = tanh(W·out + V·c) * gru.h\n output [gru.h', a]\n}\n\
         model M {\n input src : [S] token\n input p : [T]\n target y : [T, 3]\n\
         enc = src |> Embed(12) |> scan both LSTM(4)\n\
         start = final(enc.c) |> Linear(8)\n\
         hs = previous(y) |> scan Decoder(8) with c = final(enc), z = p from gru.h = start\n\
         predict y = hs |> Linear\n}\n",
    );
    snapshot("check", "cell-in-cell", &m.to_string());
}

#[test]
fn a_block_written_for_a_vector_repeats_over_the_steps() {
    let m = model(
        "time T\n\
         block Norm {\n input x : [X]\n m = mean(x)\n u = (x - m)/sqrt(mean((x - m)^2) + 1e-6)\n\
         i, g = split(u, 2)\n output [σ(i)*g, m, u·u]\n}\n\
         fn swish(x) = x*σ(x)\n\
         model M {\n input x : [T, 6]\n target k : [T] class\n\
         predict k = [x |> Norm |> swish, previous(x), mean(x) over T, 1] |> Linear |> softmax\n}\n",
    );
    snapshot("check", "lifted-block", &m.to_string());
}

#[test]
fn weights_are_shared_by_the_uses_of_a_name_and_states_are_not() {
    let m = model(
        "time T\n\
         model M {\n input x : [T, 8]\n target y : number\n rnn = LSTM(8)\n\
         a = x |> scan rnn\n b = a |> scan rnn from c = final(a.c)\n\
         predict y = [last(a), final(b.h)] |> Repeat(2, Linear(16)) |> Linear\n}\n",
    );
    assert_eq!(count(&m, "rnn."), 4 * (8 * 8 + 8 * 8 + 8));
    let paths: Vec<&str> = m.params.iter().map(|p| p.path.as_str()).collect();
    let tail = &paths[12..];
    assert_eq!(
        tail,
        [
            "linear.0.W",
            "linear.0.b",
            "linear.1.W",
            "linear.1.b",
            "linear_2.W",
            "linear_2.b"
        ]
    );
    let text = m.to_string();
    assert!(
        text.contains("as rnn {") && text.contains("as rnn_2 {"),
        "{text}"
    );
}

#[test]
fn weights_start_as_the_language_says() {
    let m = model(
        "time T\n\
         cell C(H) {\n input x : [X]\n state h : [H]\n param W, U, V, b, gain\n\
         param R ~ normal(0.02)\n param k ~ constant(2)\n\
         z = W·[h, x] + V·[x, h] + b\n h' = tanh(gain*z + U·h + R·x) + k\n}\n\
         model M {\n input x : [T, 5]\n target y : number\n\
         predict y = last(x |> scan C(8)) |> Linear\n}\n",
    );
    assert_eq!(init_of(&m, "c.W"), Init::HeadOrthogonal { first: true });
    assert_eq!(init_of(&m, "c.V"), Init::HeadOrthogonal { first: false });
    assert_eq!(init_of(&m, "c.U"), Init::Orthogonal);
    assert_eq!(init_of(&m, "c.R"), Init::Normal(0.02));
    assert_eq!(init_of(&m, "c.b"), Init::Zeros);
    assert_eq!(init_of(&m, "c.gain"), Init::Ones);
    assert_eq!(init_of(&m, "c.k"), Init::Constant(2.0));
    assert_eq!(init_of(&m, "linear.W"), Init::Xavier);
}

#[test]
fn sizes_that_are_equal_in_numbers_become_equal_in_symbols() {
    // 2E of the concatenation is the H of the cell; D = E/N is its own symbol.
    let m = model(
        "time T\ndim E = 8, N = 2, D = E/N\n\
         cell Add(H) {\n input x : [H]\n state h : [H]\n h' = 0.5*h + x\n}\n\
         model M {\n input x : [T, 8]\n target y : [T, 4]\n\
         predict y = [x, x] |> scan Add(16) |> Linear(D)\n}\n",
    );
    assert_eq!(m.params[0].shape[1].to_string(), "2E");
    assert_eq!(m.params[0].shape[0].to_string(), "D");
}

#[test]
fn one_mistake_is_one_error_wherever_the_definition_is_used() {
    let bad = "time T\ncell C(H) {\n input x : [X]\n state h : [H]\n param W\n h' = W·x + x\n}\n";
    let used = format!(
        "{bad}model A {{\n input x : [T, 3]\n target y : number\n predict y = last(x |> scan C(4)) |> Linear\n}}\n\
         model B1 {{\n input x : [T, 3]\n target y : number\n predict y = last(x |> scan C(5)) |> Linear\n}}\n"
    );
    assert_eq!(codes(bad), ["shape::mismatch"]);
    assert_eq!(codes(&used), ["shape::mismatch"]);
}

#[test]
fn several_mistakes_are_several_errors() {
    let found = codes(
        "time T\nmodel M {\n input x : [T, 3]\n target y : number\n\
         a = last(x) + first(q)\n b = tanhh(a)\n c = x |> LSTM(4)\n\
         predict y = [a, b, c] |> Linear |> softmax\n}\n",
    );
    assert_eq!(
        found,
        ["name::unknown", "name::unknown", "cell::missing-scan"]
    );
}

#[test]
fn files_made_to_multiply_are_refused() {
    let mut bomb = String::from("block A0 {\n input x : [X]\n output tanh(x)\n}\n");
    for i in 1..=40 {
        let below = i - 1;
        bomb += &format!("block A{i} {{\n input x : [X]\n output x |> A{below} |> A{below}\n}}\n");
    }
    assert!(codes(&bomb).iter().all(|c| *c == "limit::expansion"));
    let copies = "block Wide {\n input x : [X]\n output x |> Repeat(1000, Linear(4))\n}\n\
         model M {\n input x : [4]\n target y : number\n \
         predict y = x |> Repeat(1000, Wide) |> Linear\n}\n";
    assert_eq!(codes(copies), ["limit::expansion"]);
    let mut power = String::from("dim A0 = 1000\n");
    for i in 1..60 {
        power += &format!("dim A{i} = A{}*A{}\n", i - 1, i - 1);
    }
    power += "block F {\n input x : [A59]\n output x\n}\n";
    assert_eq!(codes(&power), ["limit::size"]);
    let mut symbols = String::from("block A0(H) {\n input x : [X]\n output x |> Linear(H)\n}\n");
    for i in 1..=40 {
        let below = i - 1;
        symbols +=
            &format!("block A{i}(H) {{\n input x : [X]\n output x |> A{below}(H*H + H)\n}}\n");
    }
    assert!(codes(&symbols).iter().all(|c| *c == "limit::size"));
    let mut chain = String::from("model M {\n input x : [4]\n target y : number\n a0 = x\n");
    for i in 1..20_000 {
        chain += &format!(" a{i} = tanh(a{})\n", i - 1);
    }
    chain += " predict y = a19999 |> Linear\n}\n";
    assert!(codes(&chain).is_empty());
}

#[test]
fn a_size_past_all_memory_is_refused_at_once() {
    let text = "time T\nmodel M {\n input x : [T, 5]\n target y : number\n \
         predict y = last(x |> scan LSTM(1000000000000)) |> Linear\n}\n";
    let start = std::time::Instant::now();
    assert_eq!(codes(text), ["limit::size"]);
    let took = start.elapsed();
    assert!(took.as_millis() < 200, "{took:?}");
    let squared = text.replace("1000000000000", "2000000000");
    assert_eq!(codes(&squared), ["limit::size"]);
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Everything that `seqc check` says of a file.
fn everything(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let all = match ast::parse(text, id) {
        Err(errors) => errors,
        Ok(file) => {
            let mut out = check(&file, &mut sources);
            settings::check(&file, &out.models, &mut out.diagnostics);
            out.diagnostics
        }
    };
    (all, sources)
}

#[test]
fn every_error_page_explains_and_shows_its_own_error_once() {
    insta::glob!("../../examples/errors", "*.seq", |path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("# "), "{stem} has no explanation");
        let code = stem.replacen('-', "::", 1);
        let (all, sources) = everything(&format!("{stem}.seq"), &text);
        let found: Vec<&str> = all.iter().map(|d| d.code).collect();
        let text = shown(&all, &sources);
        assert_eq!(found, [code.as_str()], "{stem}:\n{text}");
        for d in &all {
            let width = d.message.chars().count();
            assert!(width <= 72, "{stem}: the message has {width} characters");
            assert_apart(d, stem);
        }
        insta::with_settings!({
            snapshot_path => "../../snapshots/errors",
            snapshot_suffix => "",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(stem.to_string(), text) });
    });
}

/// Labels of one diagnostic that overlap cannot be drawn.
fn assert_apart(d: &Diagnostic, page: &str) {
    for (i, a) in d.labels.iter().enumerate() {
        for b in &d.labels[i + 1..] {
            let apart = a.span.file != b.span.file
                || a.span.end <= b.span.start
                || b.span.end <= a.span.start;
            assert!(apart, "{page}: labels overlap: {a:?} {b:?}");
        }
    }
}

#[test]
fn every_error_page_has_a_mended_file_without_any() {
    for page in std::fs::read_dir(root("examples/errors")).unwrap() {
        let page = page.unwrap().path();
        let stem = page.file_stem().unwrap().to_str().unwrap();
        // What is not built yet is mended by waiting.
        if page.extension().is_none_or(|e| e != "seq") || stem == "feature-unavailable" {
            continue;
        }
        let mended = root(&format!("examples/errors/mended/{stem}.seq"));
        let text = std::fs::read_to_string(&mended)
            .unwrap_or_else(|e| panic!("{}: {e}", mended.display()));
        let (all, sources) = everything(stem, &text);
        assert!(all.is_empty(), "{stem}:\n{}", shown(&all, &sources));
    }
}
