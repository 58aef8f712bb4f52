//! The shipped examples, compiled for this machine and trained for a few steps: they learn, and a run
//! that was cut ends with the bits of one that was not, on one thread or two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use seqc::ast::parse::parse;
use seqc::check::program::{self, Model};
use seqc::check::settings::Experiment;
use seqc::data::{Dataset, LoadOptions};
use seqc::ir::Func;
use seqc::lower::Options;
use seqc::pipeline::{Build, generate, with_vocabularies};
use seqc::schedule::schedule;
use seqc::settings::Length;
use seqc::span::Sources;
use seqc::targets::cpu::exec;
use seqc::targets::executable::Executable;
use seqc::train::{
    End, Functions, Generator, Init, Later, ParamSpec, Plan, Record, RunFolder, Silent, Stage,
    Start, Summary, train,
};

/// A file's first model with its experiment and data.
struct Example {
    path: PathBuf,
    text: String,
    model: Model,
    experiment: Experiment,
    dataset: Dataset,
}

fn example(name: &str) -> Example {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut sources = Sources::default();
    let id = sources.add(name, text.as_str());
    let file = parse(&text, id).unwrap();
    let checked = seqc::check::check(&file, &mut sources);
    let mut report = Vec::new();
    let experiment = seqc::check::settings::check(&file, &checked.models, &mut report);
    assert!(!checked.has_errors() && report.iter().all(|d| !d.is_error()));
    let block = experiment.train(None).unwrap();
    let data = experiment.data(&block.settings.data).unwrap();
    let options = LoadOptions::new(path.parent().unwrap());
    let dataset = Dataset::load(&data.spec, &block.wanted, &options).unwrap();
    let found = |m: &&Model| m.name == block.settings.model;
    let model = checked.models.iter().find(found).unwrap();
    let size = |name: &str| dataset.vocabulary(name).map(|v| v.len());
    let model = with_vocabularies(model, &size);
    Example {
        path,
        text,
        model,
        experiment,
        dataset,
    }
}

fn machine(func: &Func, threads: usize) -> Box<dyn Executable> {
    let options = exec::Options {
        threads,
        ..exec::Options::default()
    };
    Box::new(exec::compile(&schedule(func).unwrap(), &options).unwrap())
}

impl Example {
    fn compile(&self, options: Options, gradients: bool, threads: usize) -> Box<dyn Executable> {
        let stages = Build::default().stages(&self.model, options, gradients);
        machine(&stages.unwrap().optimized, threads)
    }

    fn generator(&self, threads: usize) -> Generator {
        let own = generate::own_targets(&self.model).unwrap();
        let make = |f| Ok(machine(&generate::optimized(f)?, threads));
        generate::generator(&self.model, &own[0], None, &make).unwrap()
    }

    fn params(&self) -> Vec<ParamSpec> {
        let init = |i| match i {
            program::Init::Zeros => Init::Zeros,
            program::Init::Ones => Init::Ones,
            program::Init::Xavier => Init::Xavier,
            program::Init::He => Init::He,
            program::Init::Orthogonal => Init::Orthogonal,
            program::Init::Normal(s) => Init::Normal(s),
            program::Init::Uniform(b) => Init::Uniform(b),
            program::Init::Constant(c) => Init::Constant(c),
            program::Init::HeadOrthogonal { first } => Init::HeadOrthogonal { first },
        };
        let params = self.model.params.iter().map(|p| ParamSpec {
            path: p.path.clone(),
            shape: (p.shape.iter())
                .map(|d| self.model.dims.eval_static(d).unwrap() as usize)
                .collect(),
            init: init(p.init),
            symbols: vec![None; p.shape.len()],
        });
        params.collect()
    }

    /// Trains, or goes on training, in `run`: `steps` of the whole run, at most `most` so far.
    fn train(&self, run: &Path, steps: u64, most: Option<u64>, threads: usize) -> Summary {
        let block = self.experiment.train(None).unwrap();
        let mut settings = block.settings.clone();
        settings.length = Length::Steps(steps);
        let generate = self.experiment.generate(&settings.model);
        let generate = generate.map(|g| &g.settings);
        let folder = match run.exists() {
            true => RunFolder::open(run).unwrap(),
            false => {
                let none = BTreeMap::new();
                let data = &self.dataset;
                let record = Record::new(&self.path, none, Vec::new(), &settings, generate, data);
                RunFolder::create(Some(run), Path::new("runs"), record, &self.text).unwrap()
            }
        };
        let stage = |options, gradients| Stage {
            start: self.compile(options, gradients, threads),
            resume: None,
        };
        let summary = train(Plan {
            settings: &settings,
            generate,
            params: &self.params(),
            dataset: &self.dataset,
            functions: Functions {
                train: stage(Options::TRAIN, true),
                evaluate: Later::new(|| Ok(stage(Options::EVALUATE, false))),
                step: generate.map(|_| self.generator(threads)),
            },
            folder,
            start: Start::Initial,
            penalties: false,
            threads,
            max_steps: most,
            told: Vec::new(),
            interrupt: &AtomicBool::new(false),
            save_every: Duration::MAX,
            observer: &mut Silent,
            started: Instant::now(),
            compile_ms: 0.0,
        });
        summary.unwrap()
    }
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("latest/weights.safetensors")).unwrap()
}

#[test]
fn names_are_learnt_and_a_cut_run_has_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let names = example("names.seq");
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    let summary = names.train(&whole, 45, None, 1);
    assert_eq!((summary.end, summary.steps), (End::Finished, 45));
    let valid = summary.valid.unwrap();
    let guess = (names.dataset.vocabulary("name").unwrap().len() as f64).ln();
    assert!(
        valid.loss < guess - 0.3,
        "{} nats, {guess} for a guess",
        valid.loss
    );
    for key in ["perplexity", "versus", "rival", "copied"] {
        assert!(valid.metric(key).is_some_and(f64::is_finite), "{key}");
    }
    let summary = names.train(&cut, 45, Some(20), 2);
    assert_eq!((summary.end, summary.steps), (End::MaxSteps, 20));
    names.train(&cut, 45, None, 2);
    assert_eq!(weights(&cut), weights(&whole));
}

#[test]
fn the_other_examples_learn() {
    for (name, steps, metric) in [
        ("perceptron.seq", 400, "accuracy"),
        ("mlp.seq", 500, "accuracy"),
        ("textbook-rnn.seq", 60, "mae"),
        ("fibonacci.seq", 60, "versus"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let example = example(name);
        let run = dir.path().join("run");
        let first = example.train(&run, steps, Some(1), 1).valid.unwrap();
        let last = example.train(&run, steps, None, 1).valid.unwrap();
        assert!(
            last.loss < first.loss,
            "{name}: {} after one step, {} after {steps}",
            first.loss,
            last.loss
        );
        assert!(last.metric(metric).is_some_and(f64::is_finite), "{name}");
    }
}
