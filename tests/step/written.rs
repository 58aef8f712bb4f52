//! Whole sequences written greedily, against a full forward pass for each symbol.

use std::sync::Arc;

use seqc::data::spec::{FieldRole, Unit};
use seqc::data::{Inverse, SymbolKind, Vocabulary};
use seqc::dim::Sym;
use seqc::ir::interp::{self, Draw, Tensor};
use seqc::ir::*;
use seqc::lower::{self, lower};
use seqc::pipeline::{self, generate::optimized};
use seqc::settings::Given;
use seqc::targets::cpu::pool::Pool;
use seqc::train::generate::{Request, generate};
use seqc::train::sample::Choice;
use seqc::train::{FieldInfo, Generator};

use crate::case::weights;
use crate::{common, model};

const SYMBOLS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn field(name: &str, role: FieldRole, time: Option<&str>, kind: SymbolKind) -> FieldInfo {
    FieldInfo {
        name: name.into(),
        role,
        unit: if time.is_some() {
            Unit::Token
        } else {
            Unit::Class
        },
        time: time.map(str::to_string),
        features: Vec::new(),
        vocabulary: Some(Vocabulary::of(kind, SYMBOLS, false)),
        inverse: Inverse::default(),
        prepared: Vec::new(),
        previous: role == FieldRole::Target,
    }
}

struct Writer {
    full: Func,
    generator: Generator,
    fields: Vec<FieldInfo>,
    weights: Vec<Tensor>,
}

impl Writer {
    fn new(file: &str, target: &str, fields: Vec<FieldInfo>, most: Option<usize>) -> Writer {
        let model = model(file);
        let full = lower(&model, lower::Options::PREDICT).unwrap();
        let pool = Arc::new(Pool::new(1));
        let make = |f: Func| pipeline::machine(&optimized(f)?, pool.clone());
        let mut generator = pipeline::generate::generator(&model, target, None, &make).unwrap();
        generator.most = most;
        // Large enough that symbols differ.
        let mut weights = weights(&full, &[]);
        let all = weights.iter_mut().flat_map(|t| t.data.iter_mut());
        all.for_each(|x| *x *= 3.0);
        Writer {
            generator,
            weights,
            full,
            fields,
        }
    }

    fn writes(&mut self, prompt: &str, length: usize, given: &[(&str, &str)]) -> (String, bool) {
        let greedy = Choice {
            greedy: true,
            temperature: 1.0,
            top_k: None,
            top_p: None,
        };
        let text = |(n, v): &(&str, &str)| (n.to_string(), Given::Text(v.to_string()));
        let request = Request {
            n: 2,
            prompt: prompt.into(),
            length,
            choice: greedy,
            beam: None,
            given: given.iter().map(text).collect(),
            seed: 1,
            stream: 0,
        };
        let flat: Vec<f32> = (self.weights.iter().flat_map(|t| &t.data))
            .map(|x| *x as f32)
            .collect();
        let (all, outgrown) = generate(&mut self.generator, &flat, &self.fields, &request).unwrap();
        assert_eq!(all[0], all[1], "equal sequences of one batch");
        (all[0].text(), outgrown)
    }

    /// The same by the full function over the last `window` steps.
    fn expects(
        &self,
        prompt: &str,
        length: usize,
        given: &[(&str, &str)],
        window: usize,
    ) -> String {
        let symbol = |c: &str| SYMBOLS.iter().position(|s| *s == c).unwrap() as f64;
        let each =
            |text: &str| -> Vec<f64> { text.chars().map(|c| symbol(&c.to_string())).collect() };
        let mut read = vec![-1.0];
        read.extend(each(prompt));
        let mut text = prompt.to_string();
        for _ in 0..length {
            let seen = &read[read.len().saturating_sub(window)..];
            let source = given.iter().map(|(_, v)| v.len()).max().unwrap_or(1);
            let size = |s: Sym| {
                let n = match s.name() {
                    "B" => 1,
                    "T" => seen.len(),
                    _ => source,
                };
                (s, n as i64)
            };
            let sizes: Vec<(Sym, i64)> =
                self.full.dims.launch_syms().into_iter().map(size).collect();
            let inputs: Vec<Tensor> = (self.full.inputs.iter())
                .map(|i| {
                    let shape = common::shape_of(&self.full, self.full.shape(i.value), &sizes);
                    let data = match &i.role {
                        InputRole::Previous(_) => seen.to_vec(),
                        InputRole::Lengths(t) if t == "T" => vec![seen.len() as f64],
                        InputRole::Lengths(_) => vec![source as f64],
                        InputRole::Steps(_) => (0..shape[0]).map(|t| t as f64).collect(),
                        InputRole::Carry(_) => vec![0.0; shape.iter().product()],
                        InputRole::Data(name) => {
                            let (_, v) = given.iter().find(|(n, _)| n == name).unwrap();
                            each(v)
                        }
                    };
                    Tensor::new(shape, data)
                })
                .collect();
            let out =
                interp::run(&self.full, &sizes, &inputs, &self.weights, Draw::default()).unwrap();
            let role = |o: &Output| matches!(o.role, OutputRole::Prediction(_));
            let at = self.full.outputs.iter().position(role).unwrap();
            let last = out[at].data.rchunks(SYMBOLS.len()).next().unwrap();
            let best = (0..SYMBOLS.len())
                .max_by(|a, b| last[*a].total_cmp(&last[*b]))
                .unwrap();
            text.push_str(SYMBOLS[best]);
            read.push(best as f64);
        }
        text
    }
}

#[test]
fn attention_reads_its_last_window_again() {
    let fields = || {
        vec![field(
            "text",
            FieldRole::Target,
            Some("T"),
            SymbolKind::Chars,
        )]
    };
    for most in [None, Some(6), Some(1)] {
        let mut writer = Writer::new("attention.seq", "text", fields(), most);
        let window = most.unwrap_or(usize::MAX);
        for (prompt, length) in [("", 9), ("bad", 3), ("bade", 20), ("abcdeabcde", 5)] {
            let (text, outgrown) = writer.writes(prompt, length, &[]);
            assert_eq!(
                text,
                writer.expects(prompt, length, &[], window),
                "{most:?} {prompt}"
            );
            assert_eq!(
                outgrown,
                prompt.len() + length > window,
                "{most:?} {prompt} {length}"
            );
        }
    }
}

#[test]
fn sources_are_given() {
    let en = || field("en", FieldRole::Target, Some("T"), SymbolKind::Chars);
    let hi = || field("hi", FieldRole::Input, Some("S"), SymbolKind::Chars);
    let tone = field("tone", FieldRole::Input, None, SymbolKind::Labels);
    for (file, fields) in [
        ("translate.seq", vec![hi(), en()]),
        ("encdec.seq", vec![hi(), en()]),
        ("memory.seq", vec![hi(), tone, en()]),
    ] {
        let mut writer = Writer::new(file, "en", fields, Some(12));
        let mut seen = Vec::new();
        for source in ["abcd", "e", "deb"] {
            let given = [("hi", source), ("tone", "d")];
            let given = &given[..writer.fields.len() - 1];
            let (text, _) = writer.writes("c", 16, given);
            assert_eq!(text, writer.expects("c", 16, given, 12), "{file} {source}");
            seen.push(text);
        }
        seen.dedup();
        assert!(seen.len() > 1, "{file}: the source matters, {seen:?}");
    }
}
