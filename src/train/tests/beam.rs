//! Beam search and decoding with hand-written models, held against greedy choice and against all
//! sequences there are.

use super::models::*;
use super::signature;
use crate::data::spec::{FieldRole, Unit};
use crate::data::{Batch, Inverse, SymbolKind, Tensor, Vocabulary};
use crate::diagnostics::Diagnostic;
use crate::dim::Sym;
use crate::philox::{Place, uniform};
use crate::targets::executable::{Arg, Call, Elem, Executable, Role, Signature};
use crate::train::beam::Beam;
use crate::train::decode::{Decoding, decode, decoded};
use crate::train::generate::{Generated, Request, generate};
use crate::train::sample::Choice;
use crate::train::{FieldInfo, Generator};

const END: usize = 3;

fn field(name: &str, role: FieldRole, unit: Unit, end: bool) -> FieldInfo {
    let is_target = role == FieldRole::Target;
    FieldInfo {
        name: name.into(),
        role,
        unit,
        time: is_target.then(|| "T".into()),
        features: Vec::new(),
        vocabulary: Some(Vocabulary::of(SymbolKind::Chars, ["a", "b", "c"], end)),
        inverse: Inverse::default(),
        prepared: Vec::new(),
        previous: is_target,
    }
}

fn name_field() -> FieldInfo {
    field("name", FieldRole::Target, Unit::Token, true)
}

fn request(n: usize, length: usize, beam: Option<(usize, f64)>) -> Request {
    Request {
        n,
        prompt: String::new(),
        length,
        choice: Choice {
            greedy: true,
            temperature: 1.0,
            top_k: None,
            top_p: None,
        },
        beam: beam.map(|(width, length_penalty)| Beam {
            width,
            length_penalty,
        }),
        given: Vec::new(),
        seed: 1,
        stream: 0,
    }
}

fn texts(weights: &[f32], request: &Request) -> Vec<String> {
    let mut step = Toy::functions(4, Trouble::None).step.unwrap();
    let (written, _) = generate(&mut step, weights, &[name_field()], request).unwrap();
    written.iter().map(Generated::text).collect()
}

/// Scores drawn by a seed, with a bias that the carried state multiplies.
fn drawn(seed: u32) -> Vec<f32> {
    let place = Place {
        key: [seed, 7],
        path: 1,
        step: 0,
    };
    (0..20)
        .map(|i| 6.0 * uniform(place.words(i)[0]) - 3.0)
        .collect()
}

/// ln P of symbols in a row by the toy's equations, in f64.
fn log(weights: &[f32], symbols: &[usize]) -> f64 {
    let (mut previous, mut h, mut sum) = (END, 0.0, 0.0);
    for s in symbols {
        h = 0.5 * h + 0.1 * previous as f64;
        let z = |k: usize| f64::from(weights[previous * 4 + k]) + f64::from(weights[16 + k]) * h;
        let total: f64 = (0..4).map(|k| z(k).exp()).sum();
        sum += z(*s) - total.ln();
        previous = *s;
    }
    sum
}

/// Every sequence that ends within `length` steps, with its rank, best first.
fn all(weights: &[f32], length: usize, penalty: f64) -> Vec<(String, f64)> {
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    let mut found = Vec::new();
    for _ in 0..length {
        let mut next = Vec::new();
        for symbols in open {
            for s in 0..4 {
                let mut longer = symbols.clone();
                longer.push(s);
                if s != END {
                    next.push(longer);
                    continue;
                }
                let text: String = symbols.iter().map(|s| ['a', 'b', 'c'][*s]).collect();
                let norm = ((5.0 + longer.len() as f64) / 6.0).powf(penalty);
                found.push((text, log(weights, &longer) / norm));
            }
        }
        open = next;
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

#[test]
fn a_beam_of_one_is_the_greedy_choice() {
    for seed in 0..20 {
        let weights = drawn(seed);
        let greedy = texts(&weights, &request(1, 6, None));
        for penalty in [0.0, 1.0] {
            let one = texts(&weights, &request(1, 6, Some((1, penalty))));
            assert_eq!(one, greedy, "seed {seed}");
        }
    }
}

#[test]
fn a_beam_as_wide_as_all_beginnings_finds_what_trying_all_finds() {
    for seed in 0..6 {
        let weights = drawn(seed);
        for penalty in [0.0, 0.6, 1.5] {
            // 27 beginnings of three symbols before the last step.
            let found = texts(&weights, &request(8, 4, Some((108, penalty))));
            let all = all(&weights, 4, penalty);
            let want: Vec<&str> = all.iter().take(8).map(|(t, _)| t.as_str()).collect();
            assert_eq!(found, want, "seed {seed}, penalty {penalty}");
        }
    }
}

#[test]
fn a_beam_finds_what_the_greedy_choice_walks_past() {
    // a is likelier than b at first (0.55 : 0.45), but after it anything follows, after b surely c.
    let mut weights = vec![0.0; 20];
    for (from, to, score) in [(3, 0, 20.2), (3, 1, 20.0), (1, 2, 20.0), (2, 3, 20.0)] {
        weights[from * 4 + to] = score;
    }
    let greedy = &texts(&weights, &request(1, 6, None))[0];
    let beam = &texts(&weights, &request(1, 6, Some((2, 0.0))))[0];
    let coded = |text: &str| -> Vec<usize> {
        let symbols = text.bytes().map(|b| usize::from(b - b'a'));
        symbols.chain([END]).collect()
    };
    assert!(greedy.starts_with('a'));
    assert_eq!(beam, "bc");
    assert!(log(&weights, &coded(beam)) > log(&weights, &coded(greedy)));
}

#[test]
fn a_prompt_is_forced_and_what_is_cut_off_comes_last() {
    let weights = drawn(3);
    let prompted = Request {
        prompt: "cb".into(),
        ..request(3, 3, Some((60, 0.0)))
    };
    for text in texts(&weights, &prompted) {
        assert!(text.starts_with("cb"), "{text}");
    }
    // Nothing can end: no step leads to `<end>`.
    let mut endless = vec![0.0; 20];
    (0..4).for_each(|from| endless[from * 4 + END] = -200.0);
    let cut = texts(&endless, &request(2, 3, Some((2, 0.0))));
    assert_eq!(cut, ["aaa", "aab"], "of equals the lower symbol");
}

/// Writes `<end>` → k → k+1 → … → `<end>` for a class k of each example, and carries how many steps
/// it has written in place of any input of the symbol.
struct Spell(Signature);

impl Spell {
    fn generator() -> Generator {
        let mut s = signature(&[]);
        s.sizes = vec![Sym::new("B"), Sym::new("T")];
        let state = || Role::Carry("n".into());
        s.inputs = vec![
            slot(Role::Previous("name".into()), Elem::I32, &["T", "B"]),
            slot(Role::Data("k".into()), Elem::I32, &["B"]),
            slot(state(), Elem::F32, &["B", "1"]),
        ];
        s.outputs = vec![
            slot(Role::Prediction("name".into()), Elem::F32, &["T", "B", "V"]),
            slot(state(), Elem::F32, &["B", "1"]),
        ];
        s.has_grads = false;
        Generator::plain(Box::new(Spell(s)))
    }
}

impl Executable for Spell {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic> {
        let (Arg::I32(k), Arg::F32(n)) = (call.inputs[1], call.inputs[2]) else {
            panic!("a class and a state were wanted");
        };
        let (mut p, mut after) = (vec![0.01; 4 * k.len()], Vec::new());
        for (row, (k, n)) in k.iter().zip(n).enumerate() {
            let next = (*k as usize + *n as usize).min(END);
            p[4 * row + next] = 0.97;
            after.push(n + 1.0);
        }
        (call.outputs[0], call.outputs[1]) = (p, after);
        Ok(())
    }

    fn peak_bytes(&self, _: &[usize]) -> Option<u64> {
        None
    }
}

#[test]
fn each_example_is_decoded_from_its_own_inputs() {
    let fields = [
        name_field(),
        field("k", FieldRole::Input, Unit::Class, false),
    ];
    let mut batch = Batch::empty(3);
    batch.data = vec![("k".into(), Tensor::I32(vec![2, 0, 1]))];
    let mut generator = Spell::generator();
    assert_eq!(decoded(&generator, &fields).unwrap().name, "name");
    for beam in [None, Some((1, 0.0)), Some((3, 0.0)), Some((5, 0.6))] {
        let how = Decoding {
            length: 10,
            beam: request(1, 1, beam).beam,
        };
        let written = decode(&mut generator, &[], &fields, &batch, &how).unwrap();
        let texts: Vec<String> = written.iter().map(Generated::text).collect();
        assert_eq!(texts, ["c", "abc", "bc"], "{beam:?}");
    }
    // Without an input there is nothing to decode from.
    let plain = Toy::functions(4, Trouble::None).step.unwrap();
    assert!(decoded(&plain, &[name_field()]).is_none());
}
