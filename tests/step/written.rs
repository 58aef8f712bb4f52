//! Whole sequences written greedily or by a beam, against a full forward pass for each symbol.

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
use seqc::train::beam::Beam;
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
        let (all, outgrown) = self.all(prompt, length, given, None);
        assert_eq!(all[0], all[1], "equal sequences of one batch");
        (all[0].clone(), outgrown)
    }

    /// Two sequences, and whether any outgrew what is read at once.
    fn all(
        &mut self,
        prompt: &str,
        length: usize,
        given: &[(&str, &str)],
        width: Option<usize>,
    ) -> (Vec<String>, bool) {
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
            beam: width.map(|width| Beam {
                width,
                length_penalty: 0.0,
            }),
            given: given.iter().map(text).collect(),
            seed: 1,
            stream: 0,
        };
        let flat: Vec<f32> = (self.weights.iter().flat_map(|t| &t.data))
            .map(|x| *x as f32)
            .collect();
        let (all, outgrown) = generate(&mut self.generator, &flat, &self.fields, &request).unwrap();
        (all.iter().map(|g| g.text()).collect(), outgrown)
    }

    /// The same of [`Writer::writes`] by the full function over the last `window` steps.
    fn expects(
        &self,
        prompt: &str,
        length: usize,
        given: &[(&str, &str)],
        window: usize,
    ) -> String {
        self.searched(prompt, length, given, window, 1).remove(0)
    }

    /// The `width` sequences that keeping the likeliest at each step ends with, in order.
    fn searched(
        &self,
        prompt: &str,
        length: usize,
        given: &[(&str, &str)],
        window: usize,
        width: usize,
    ) -> Vec<String> {
        let mut begin = vec![-1.0];
        begin.extend(indices(prompt));
        let mut kept = vec![(0.0, begin)];
        for _ in 0..length {
            let mut all = Vec::new();
            for (log, read) in &kept {
                let next = self.next(read, given, window);
                // What is 0 as the compiled step rounds it is never written.
                let next = next.iter().enumerate();
                for (s, p) in next.filter(|(_, p)| **p > f64::from(f32::MIN_POSITIVE)) {
                    let mut longer = read.clone();
                    longer.push(s as f64);
                    all.push((log + p.ln(), longer));
                }
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            all.truncate(width);
            kept = all;
        }
        let text = |read: &Vec<f64>| read[1..].iter().map(|s| SYMBOLS[*s as usize]).collect();
        kept.iter().map(|(_, read)| text(read)).collect()
    }

    /// The probability of each symbol after what was read.
    fn next(&self, read: &[f64], given: &[(&str, &str)], window: usize) -> Vec<f64> {
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
        let sizes: Vec<(Sym, i64)> = self.full.dims.launch_syms().into_iter().map(size).collect();
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
                        indices(v)
                    }
                };
                Tensor::new(shape, data)
            })
            .collect();
        let out = interp::run(&self.full, &sizes, &inputs, &self.weights, Draw::default()).unwrap();
        let role = |o: &Output| matches!(o.role, OutputRole::Prediction(_));
        let at = self.full.outputs.iter().position(role).unwrap();
        out[at].data.rchunks(SYMBOLS.len()).next().unwrap().to_vec()
    }
}

fn indices(text: &str) -> Vec<f64> {
    let index = |c: char| SYMBOLS.iter().position(|s| s.starts_with(c)).unwrap() as f64;
    text.chars().map(index).collect()
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
            let length = length.min(6);
            let (found, _) = writer.all(prompt, length, &[], Some(3));
            let want = writer.searched(prompt, length, &[], window, 3);
            assert_eq!(found, want[..want.len().min(2)], "beam {most:?} {prompt}");
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
            let (found, _) = writer.all("c", 5, given, Some(4));
            let want = writer.searched("c", 5, given, 12, 4);
            assert_eq!(found, want[..2], "beam {file} {source}");
        }
        seen.dedup();
        assert!(seen.len() > 1, "{file}: the source matters, {seen:?}");
    }
}
