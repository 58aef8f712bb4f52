//! `precision = bf16`: weights that stand in products are rounded to 16 bits where nothing is trained.
//!
//! A function so compiled gives the bits of the plain one with weights rounded before, for any batch, number of threads,
//! instruction set and kernel; what the interpreter gives for it; and answers near those of the full weights.

mod common;

use std::collections::BTreeSet;

use common::machine::{Data, compiled};
use common::models::{B, LENS, T, checked, models, programs, written};
use seqc::check::program::Model;
use seqc::dim::{Binding, Role};
use seqc::ir::interp::bf16;
use seqc::ir::{Func, OpKind, OutputRole, Unary};
use seqc::lower::Options;
use seqc::pipeline::generate::one_step;
use seqc::pipeline::{Build, Stages, with_vocabularies};
use seqc::rewrite;
use seqc::schedule::program::Program;
use seqc::schedule::schedule;
use seqc::settings::Precision;
use seqc::targets::cpu::emit;
use seqc::targets::cpu::isa::Isa;
use seqc::targets::executable::Executable;

fn function(model: &Model, precision: Precision, options: Options) -> Func {
    let build = Build {
        precision,
        ..Build::default()
    };
    build.stages(model, options, false).unwrap().optimized
}

/// The plain function, and the one with weights of 16 bits.
fn both(model: &Model, options: Options) -> [Func; 2] {
    [Precision::F32, Precision::Bf16].map(|p| function(model, p, options))
}

/// The weights that a function rounds, by path.
fn rounded(func: &Func) -> BTreeSet<String> {
    let rounds = |o: &&seqc::ir::Op| matches!(o.kind, OpKind::Unary(Unary::Bf16));
    let args = func.ops.iter().filter(rounds).flat_map(|o| &o.args);
    let read: Vec<_> = args.copied().collect();
    let params = func.params.iter().filter(|p| read.contains(&p.value));
    params.map(|p| p.path.clone()).collect()
}

/// The same data with the weights of these paths rounded.
fn with_rounded(func: &Func, data: &Data, paths: &BTreeSet<String>) -> Data {
    let mut data = data.clone();
    for (param, tensor) in func.params.iter().zip(&mut data.params) {
        if paths.contains(&param.path) {
            tensor.data.iter_mut().for_each(|w| *w = bf16(*w));
        }
    }
    data
}

fn bits(all: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let one = |x: &Vec<f32>| x.iter().map(|x| x.to_bits()).collect();
    all.iter().map(one).collect()
}

fn lens(rows: i64, steps: i64) -> Vec<usize> {
    (0..rows)
        .map(|i| (1 + (i * 5 + steps - 1) % steps) as usize)
        .collect()
}

const LAYER: &str = "
time T
dim H = {H}

model Layer {
  input  x : [T, 5]
  target y : [T, 3]
  h = x |> scan {cell}
  predict y = h |> Linear
}
";

fn layer(cell: &str, h: usize) -> Model {
    let text = LAYER.replace("{cell}", cell).replace("{H}", &h.to_string());
    written(cell, &text).remove(0)
}

/// See the paragraph on weights of 16 bits in `docs/architecture.md`.
const MOST_APART: f64 = 7e-3;

const CELLS: [&str; 4] = ["LSTM(H)", "GRU2014(H)", "LayerNormLSTM(H)", "both LSTM(H)"];

#[test]
fn predictions_have_the_bits_of_weights_rounded_before() {
    for cell in CELLS {
        // Whole panels in every gate; gates that end within a panel.
        for h in [128, 37] {
            let [plain, narrow] = both(&layer(cell, h), Options::PREDICT);
            let paths = rounded(&narrow);
            assert!(paths.len() >= 2, "{cell}: {paths:?}\n{narrow}");
            let (plain_program, program) = (schedule(&plain).unwrap(), schedule(&narrow).unwrap());
            for isa in Isa::available() {
                // Too few rows for panels, one tile, and several.
                for (rows, steps) in [(1, 2), (1, 9), (3, 4), (20, 3)] {
                    let data = Data::new(&narrow, rows, steps, &lens(rows, steps));
                    let before = with_rounded(&plain, &data, &paths);
                    let mut x = compiled(&plain_program, isa, 1, false);
                    let want = bits(&before.call(&plain, &mut x).0);
                    for threads in [1, 2] {
                        let mut x = compiled(&program, isa, threads, threads > 1);
                        for held in [false, true, true] {
                            if held {
                                x.hold_params(true);
                            }
                            let got = bits(&data.call(&narrow, &mut x).0);
                            let what = format!("{cell} of {h}, {isa}, {rows} rows, {threads}");
                            assert_eq!(got, want, "{what} threads, held: {held}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn all_models_compute_what_the_interpreter_does() {
    for path in programs() {
        for model in models(&path) {
            for options in [Options::PREDICT, Options::EVALUATE] {
                let func = function(&model, Precision::Bf16, options);
                let program = schedule(&func).unwrap();
                let data = Data::new(&func, B, T, &LENS);
                let want = data.expected(&func);
                for isa in Isa::available() {
                    let what = format!("{} {}, {isa}", path.display(), model.name);
                    data.compare(&what, &func, &want, &mut compiled(&program, isa, 1, false));
                }
            }
        }
    }
}

/// The model at the sizes that its file gives it; what the data would decide is small.
fn whole(model: &Model) -> Model {
    let mut model = with_vocabularies(model, &|_| Some(30));
    for e in model.dims.clone().iter() {
        if (e.role, e.binding) == (Role::Feature, Binding::Static(None)) {
            model.dims.bind(&e.sym, 3);
        }
    }
    model
}

/// Answers of all models, in the sizes of their files, with weights of 16 bits against those of the full ones: the largest
/// relative difference, by norm, of anything predicted. The figure stands in `docs/architecture.md`.
#[test]
fn answers_are_near_those_of_the_full_weights() {
    let mut all = Vec::new();
    for path in programs() {
        for model in checked(&path) {
            let [plain, narrow] = both(&whole(&model), Options::PREDICT);
            let mut data = Data::new(&plain, B, T, &LENS);
            // About as large as a run starts with.
            for tensor in &mut data.params {
                let columns = match &tensor.shape[..] {
                    [.., _, columns] => *columns as f64,
                    _ => 4.0,
                };
                let scaled = |w: &mut f64| *w = f64::from((*w * 2.0 / columns.sqrt()) as f32);
                tensor.data.iter_mut().for_each(scaled);
            }
            let [exact, near] = [&plain, &narrow].map(|func| {
                let program = schedule(func).unwrap();
                let (outputs, _) =
                    data.call(func, &mut compiled(&program, Isa::detect(), 1, false));
                let wide = |x: &Vec<f32>| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
                outputs.iter().map(wide).collect::<Vec<_>>()
            });
            for ((o, a), b) in plain.outputs.iter().zip(&exact).zip(&near) {
                if let OutputRole::Prediction(name) = &o.role {
                    let file = path.file_stem().unwrap().display();
                    all.push((
                        common::distance(b, a),
                        format!("{file} {} {name}", model.name),
                    ));
                }
            }
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (apart, what) in &all {
        println!("{apart:.1e} {what}");
    }
    let (worst, what) = &all[all.len() - 1];
    assert!(*worst > 1e-4 && *worst < MOST_APART, "{what}: {worst:e}");
}

#[test]
fn training_has_no_rounding() {
    let build = |precision| Build {
        precision,
        ..Build::default()
    };
    let model = layer("LSTM(H)", 37);
    let texts = [Precision::F32, Precision::Bf16].map(|p| {
        let stages = build(p).stages(&model, Options::TRAIN, true).unwrap();
        stages.optimized.to_string()
    });
    assert_eq!(texts[0], texts[1]);
}

const WRITER: &str = "
time T

model Writer {
  target s : [T] token
  predict s = previous(s) |> Embed(7) |> scan LSTM(6) |> Linear |> softmax
}
";

#[test]
fn every_pass_can_be_switched_off_where_weights_are_rounded() {
    let model = with_vocabularies(&written("writer", WRITER)[0], &|_| Some(5));
    let step = one_step(&model, "s").unwrap().step;
    let made = |precision, off: &[&str]| {
        let build = Build {
            off: off.iter().map(|pass| pass.to_string()).collect(),
            precision,
            ..Build::default()
        };
        let all = build.stages(&model, Options::PREDICT, false).unwrap();
        [all, build.held(step.clone()).unwrap()]
    };
    let (plain, narrow) = (made(Precision::F32, &[]), made(Precision::Bf16, &[]));
    let ran = |stages: &Stages, pass| stages.table.iter().any(|row| row.pass == pass);
    assert!(narrow.iter().all(|stages| ran(stages, "round-weights")));
    assert!(ran(&narrow[1], "look-up-products"));
    for pass in rewrite::names() {
        for (at, without) in made(Precision::Bf16, &[pass]).iter().enumerate() {
            assert!(!ran(without, pass), "{pass}");
            let want = match pass {
                "round-weights" => &plain[at],
                _ => &narrow[at],
            };
            let data = Data::new(&without.lowered, B, T, &LENS);
            let (got, want) = (&without.optimized, &want.optimized);
            for (a, b) in data.expected(got).iter().zip(&data.expected(want)) {
                let apart = common::distance(&a.data, &b.data);
                assert!(apart < 1e-12, "without {pass}: {apart:e}\n{got}");
            }
        }
    }
}

fn plan(program: &Program) -> String {
    emit::texts(program, Isa::Portable.into()).unwrap().plan
}

#[test]
fn a_plan_says_which_panels_are_narrow() {
    let [plain, narrow] = both(&layer("LSTM(H)", 128), Options::PREDICT);
    let (plain, narrow) = (schedule(&plain).unwrap(), schedule(&narrow).unwrap());
    assert!(!plan(&plain).contains("bf16"), "{}", plan(&plain));
    let text = plan(&narrow);
    let packed: Vec<&str> = text.lines().filter(|l| l.contains("  pack ")).collect();
    assert!(packed.len() >= 2, "{text}");
    for line in packed {
        assert!(line.contains(", bf16"), "{line} in\n{narrow}\n{text}");
    }
}
