//! Generation and evaluation with hand-written models.

use std::sync::atomic::AtomicBool;

use super::models::*;
use super::{settings, signature};
use crate::data::spec::*;
use crate::data::{Affine, Inverse, Part, Prepare, SymbolKind, Undo, Vocabulary};
use crate::diagnostics::Diagnostic;
use crate::dim::Sym;
use crate::settings::{Baseline, Given, Metric, TrainSettings};
use crate::targets::executable::{Arg, Call, Elem, Executable, Role, Signature};
use crate::train::evaluate::{Evaluator, Wrote, gradients};
use crate::train::generate::{Generated, Request, generate};
use crate::train::sample::Choice;
use crate::train::{FieldInfo, Generator, Stage};

pub static NEVER: AtomicBool = AtomicBool::new(false);

/// Nothing was written for a measurement.
pub const NONE: Wrote<'static> = Wrote {
    texts: None,
    bleu: None,
};

fn name_field() -> FieldInfo {
    FieldInfo {
        name: "name".into(),
        role: FieldRole::Target,
        unit: Unit::Token,
        time: Some("T".into()),
        features: Vec::new(),
        vocabulary: Some(Vocabulary::of(SymbolKind::Chars, ["a", "b", "c"], true)),
        inverse: Inverse::default(),
        prepared: Vec::new(),
        previous: true,
    }
}

fn request(n: usize) -> Request {
    Request {
        n,
        prompt: String::new(),
        length: 10,
        choice: Choice {
            greedy: true,
            temperature: 1.0,
            top_k: None,
            top_p: None,
        },
        beam: None,
        given: Vec::new(),
        seed: 1,
        stream: 0,
    }
}

fn step_of(symbols: usize) -> Generator {
    Toy::functions(symbols, Trouble::None).step.unwrap()
}

/// Scores that make each symbol's follower certain: `<end>` (3) → a → b → c → `<end>`.
pub fn chain() -> Vec<f32> {
    let mut w = vec![0.0; 20];
    for (from, to) in [(3, 0), (0, 1), (1, 2), (2, 3)] {
        w[from * 4 + to] = 50.0;
    }
    w
}

fn texts(weights: &[f32], request: &Request) -> Vec<String> {
    let (written, _) = generate(&mut step_of(4), weights, &[name_field()], request).unwrap();
    written.iter().map(Generated::text).collect()
}

#[test]
fn the_chain_is_followed_to_its_end() {
    assert_eq!(texts(&chain(), &request(2)), ["abc", "abc"]);
    let prompt = Request {
        prompt: "ab".into(),
        ..request(1)
    };
    assert_eq!(
        texts(&chain(), &prompt),
        ["abc"],
        "the prompt is part of it"
    );
    let odd = Request {
        prompt: "ca".into(),
        length: 1,
        ..request(1)
    };
    assert_eq!(
        texts(&chain(), &odd),
        ["cab"],
        "the prompt is forced, then one step"
    );
    let short = Request {
        length: 2,
        ..request(1)
    };
    assert_eq!(texts(&chain(), &short), ["ab"]);
    assert!(texts(&chain(), &request(0)).is_empty());
}

#[test]
fn a_prompt_is_changed_as_the_data_was() {
    let mut field = name_field();
    field.prepared = vec![Prepare::Lower];
    let prompt = Request {
        prompt: "AB".into(),
        ..request(1)
    };
    let (written, _) = generate(&mut step_of(4), &chain(), &[field], &prompt).unwrap();
    assert_eq!(written[0].text(), "abc");
}

#[test]
fn unknown_is_read_and_never_written() {
    let counts = [("a", 2), ("b", 2), ("c", 1)];
    let mut field = name_field();
    // a, b, `<unknown>`, `<end>`.
    field.vocabulary = Some(Vocabulary::of_words(counts, 2, None, true));
    let mut weights = vec![0.0; 20];
    for (from, to, score) in [
        (3, 2, 50.0),
        (3, 0, 45.0),
        (0, 1, 50.0),
        (2, 1, 50.0),
        (1, 3, 50.0),
    ] {
        weights[from * 4 + to] = score;
    }
    let written = |prompt: &str| {
        let request = Request {
            prompt: prompt.into(),
            ..request(1)
        };
        let (written, _) = generate(&mut step_of(4), &weights, &[field.clone()], &request).unwrap();
        written[0].text()
    };
    assert_eq!(written(""), "a b");
    assert_eq!(written("what"), "<unknown> b");
}

#[test]
fn more_sequences_change_none_and_seeds_change_all() {
    let weights = vec![0.1; 20];
    let draw = |n, seed, stream| {
        let mut r = request(n);
        r.choice.greedy = false;
        texts(&weights, &Request { seed, stream, ..r })
    };
    let five = draw(5, 1, 0);
    assert_eq!(draw(3, 1, 0), five[..3]);
    assert_eq!(draw(5, 1, 0), five);
    assert_ne!(draw(5, 2, 0), five);
    assert_ne!(draw(5, 1, 1), five);
}

#[test]
fn drawn_symbols_have_the_models_shares() {
    // After `<end>`: a with 1/2, b with 1/4, c with 1/4, and then the end.
    let mut w = vec![0.0; 20];
    w[12..16].copy_from_slice(&[2f32.ln(), 0.0, 0.0, -50.0]);
    for from in 0..3 {
        w[from * 4 + 3] = 50.0;
    }
    let mut r = request(4000);
    r.choice.greedy = false;
    let written = texts(&w, &r);
    let share = |s: &str| written.iter().filter(|t| *t == s).count() as f64 / 4000.0;
    // Within four deviations, √(p(1−p)/4000).
    assert!((share("a") - 0.5).abs() < 0.032);
    assert!((share("b") - 0.25).abs() < 0.028);
    assert!((share("c") - 0.25).abs() < 0.028);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let fails = |request: Request, weights: &[f32]| {
        let failed = generate(&mut step_of(4), weights, &[name_field()], &request);
        let failure = failed.unwrap_err();
        (
            failure.diagnostics[0].code,
            failure.diagnostics[0].message.clone(),
        )
    };
    let prompt = Request {
        prompt: "aé".into(),
        ..request(1)
    };
    let (code, message) = fails(prompt, &chain());
    assert_eq!(code, "generate::unknown-symbol");
    assert!(
        message.contains("\"é\"") && message.contains("3 symbols"),
        "{message}"
    );
    assert_eq!(fails(request(1), &[f32::NAN; 20]).0, "generate::non-finite");
}

/// y[t] = 2·y[t−1] + k, with k a given class.
struct Doubling(Signature);

impl Doubling {
    fn new() -> Doubling {
        let mut s = signature(&[]);
        s.sizes = vec![Sym::new("B"), Sym::new("T")];
        s.inputs = vec![
            slot(Role::Previous("y".into()), Elem::F32, &["T", "B"]),
            slot(Role::Data("k".into()), Elem::I32, &["B"]),
        ];
        s.outputs = vec![slot(Role::Prediction("y".into()), Elem::F32, &["T", "B"])];
        s.has_grads = false;
        Doubling(s)
    }
}

impl Executable for Doubling {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic> {
        let (Arg::F32(y), Arg::I32(k)) = (call.inputs[0], call.inputs[1]) else {
            panic!("numbers and a class were wanted");
        };
        let next = y.iter().zip(k).map(|(y, k)| 2.0 * y + *k as f32);
        call.outputs[0] = next.collect();
        Ok(())
    }

    fn peak_bytes(&self, _: &[usize]) -> Option<u64> {
        None
    }
}

#[test]
fn numbers_are_fed_back_and_shown_in_their_unit() {
    let field = |name: &str, role, unit, vocabulary, inverse| FieldInfo {
        name: name.into(),
        role,
        unit,
        time: (role == FieldRole::Target).then(|| "T".into()),
        features: Vec::new(),
        vocabulary,
        inverse,
        prepared: Vec::new(),
        previous: role == FieldRole::Target,
    };
    // A file's value is 10 times the model's.
    let tenfold = Inverse(vec![Undo::Affine(Affine {
        shift: vec![0.0],
        scale: vec![10.0],
    })]);
    let classes = Vocabulary::of(SymbolKind::Labels, ["none", "one"], false);
    let fields = [
        field("y", FieldRole::Target, Unit::Number, None, tenfold),
        field(
            "k",
            FieldRole::Input,
            Unit::Class,
            Some(classes),
            Inverse::default(),
        ),
    ];
    let go = |prompt: &str, given: &[(String, Given)]| {
        let request = Request {
            prompt: prompt.into(),
            length: 3,
            given: given.to_vec(),
            ..request(1)
        };
        let mut generator = Generator::plain(Box::new(Doubling::new()));
        generate(&mut generator, &[], &fields, &request).map(|(written, _)| written)
    };
    let one = [("k".to_string(), Given::Text("one".into()))];
    let steps = |values: &[f64]| Generated::Numbers(values.iter().map(|v| vec![*v]).collect());
    assert_eq!(go("", &one).unwrap(), [steps(&[10.0, 30.0, 70.0])]);
    assert_eq!(
        go("20, 50", &one).unwrap(),
        [steps(&[20.0, 50.0, 110.0, 230.0, 470.0])]
    );
    assert_eq!(go("", &one).unwrap()[0].text(), "10\n30\n70");
    let code = |prompt: &str, given: &[(String, Given)]| {
        go(prompt, given).unwrap_err().diagnostics[0].code
    };
    assert_eq!(code("", &[]), "generate::needs-given");
    assert_eq!(code("two", &one), "generate::not-a-number");
    let other = [("k".to_string(), Given::Text("three".into()))];
    assert_eq!(code("", &other), "generate::given-differs");
}

/// Points of y = x + 1 with a rival column, in order: two to train, three to measure.
pub fn points(dir: &std::path::Path) -> crate::data::Dataset {
    let csv = "x,y,r\n0,1,0\n1,2,0\n2,4,3\n3,4,3\n4,8,6\n";
    std::fs::write(dir.join("p.csv"), csv).unwrap();
    let table = Table {
        path: here("p.csv".into()),
        header: true,
        sort: None,
        blocks: false,
    };
    let names = ["x", "y", "r"];
    let columns = names.map(|n| set(n, column(n)));
    let fields = [
        field("x", FieldRole::Input, Unit::Number, None),
        field("y", FieldRole::Target, Unit::Number, None),
        field("r", FieldRole::Column, Unit::Number, None),
    ];
    let kind = SourceKind::Csv(table);
    load(dir, kind, columns.into(), fields.into(), [40.0, 60.0, 0.0])
}

#[test]
fn a_part_is_measured_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = points(dir.path());
    let settings = TrainSettings {
        metrics: vec![
            Metric::Mae,
            Metric::Mse,
            Metric::Rmse,
            Metric::Versus(Baseline::Column("r".into())),
        ],
        ..settings()
    };
    let mut evaluator = Evaluator::new(&settings, &dataset, false).unwrap();
    let mut stage = Stage::plain(Box::new(Line::new()));
    let measured = evaluator.measure(&mut stage, &[1.0, 1.0], Part::Valid, NONE, &NEVER);
    let m = measured.unwrap().unwrap();
    // Errors of the line: −1, 0, −3; of the rival: −1, −1, −2.
    let close = |key: &str, want: f64| {
        let have = m.metric(key).unwrap();
        assert!((have - want).abs() < 1e-6, "{key}: {have}, not {want}");
    };
    assert_eq!(m.count, 3.0);
    close("loss", 10.0 / 3.0);
    close("mae", 4.0 / 3.0);
    close("mse", 10.0 / 3.0);
    close("rmse", (10.0f64 / 3.0).sqrt());
    close("versus", 10.0 / 6.0);
    close("rival", 2.0);
    let stopped = evaluator.measure(
        &mut stage,
        &[1.0, 1.0],
        Part::Valid,
        NONE,
        &AtomicBool::new(true),
    );
    assert_eq!(stopped.unwrap(), None);
}

#[test]
fn gradients_of_a_part_are_those_of_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = points(dir.path());
    let mut line = Line::new();
    let found = gradients(&mut line, &[1.0, 1.0], &dataset, Part::Valid).unwrap();
    // 2/3·Σ e·x and 2/3·Σ e for e = −1, 0, −3 at x = 2, 3, 4.
    let want = [-28.0 / 3.0, -8.0 / 3.0];
    for (have, want) in found.grads.iter().zip(want) {
        assert!((f64::from(*have) - want).abs() < 1e-5);
    }
    let bytes = found.file(line.signature()).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort();
    assert_eq!(names, ["b", "loss", "w"]);
    let empty = gradients(&mut line, &[1.0, 1.0], &dataset, Part::Test).unwrap_err();
    assert_eq!(empty.diagnostics[0].code, "data::empty-part");
}

#[test]
fn accuracy_leaves_padding_out() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let settings = TrainSettings {
        metrics: vec![Metric::Accuracy, Metric::BitsPerChar],
        ..settings()
    };
    let mut evaluator = Evaluator::new(&settings, &dataset, false).unwrap();
    let mut stage = Toy::evaluating(4);
    let measured = evaluator.measure(&mut stage, &chain(), Part::Valid, NONE, &NEVER);
    let m = measured.unwrap().unwrap();
    // abcb ab bca abcabc c abab with ends: 5 + 3 + 4 + 7 + 2 + 5 symbols, of which the chain
    // `<end>`abc`<end>` foretells those that follow their predecessor in it.
    let right = 3.0 + 2.0 + 1.0 + 6.0 + 1.0 + 3.0;
    assert_eq!(m.count, 26.0);
    let accuracy = m.metric("accuracy").unwrap();
    assert!(
        (accuracy - right / 26.0).abs() < 1e-9,
        "{}",
        accuracy * 26.0
    );
    let bits = m.metric("bits_per_char").unwrap();
    assert!((bits - m.loss / 2f64.ln()).abs() < 1e-12);
}
