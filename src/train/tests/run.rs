//! Whole runs of hand-written models: resumed, interrupted, failing, stopping.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::models::{Toy, Trouble, long_text, names};
use super::settings;
use crate::data::Dataset;
use crate::settings::*;
use crate::train::checkpoint::{Which, linked};
use crate::train::folder::{Record, RunFolder};
use crate::train::*;

/// What a session of a run is told.
pub struct Session<'a> {
    pub settings: &'a TrainSettings,
    pub dataset: &'a Dataset,
    pub symbols: usize,
    pub run: &'a Path,
    pub threads: usize,
    pub max_steps: Option<u64>,
    pub trouble: Trouble,
    pub save_every: Duration,
    pub start: Start,
    /// Interrupt when this step is done.
    pub interrupt_at: Option<u64>,
    /// Steps and their rates, as the observer saw them.
    pub steps: Vec<(u64, f64)>,
    pub notices: Vec<String>,
    pub samples: Vec<String>,
}

struct Watch<'a> {
    interrupt_at: Option<u64>,
    flag: &'a AtomicBool,
    steps: Vec<(u64, f64)>,
    notices: Vec<String>,
    samples: Vec<String>,
}

impl Observer for Watch<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(report) => {
                self.steps.push((report.step, report.rate));
                if self.interrupt_at == Some(report.step) {
                    self.flag.store(true, Ordering::Relaxed);
                }
            }
            Event::Notice(text) => self.notices.push(text.clone()),
            Event::Samples { texts, .. } => self.samples.extend(texts.iter().cloned()),
            _ => {}
        }
    }
}

impl<'a> Session<'a> {
    pub fn new(settings: &'a TrainSettings, dataset: &'a Dataset, run: &'a Path) -> Session<'a> {
        Session {
            settings,
            dataset,
            symbols: dataset.vocabulary("name").unwrap().len(),
            run,
            threads: 2,
            max_steps: None,
            trouble: Trouble::None,
            save_every: Duration::MAX,
            start: Start::Initial,
            interrupt_at: None,
            steps: Vec::new(),
            notices: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Begins the run, or goes on with it where it is there.
    pub fn go(&mut self) -> Result<Summary, Failure> {
        let folder = match folder::holds_run(self.run) {
            true => RunFolder::open(self.run)?,
            false => {
                let bound = BTreeMap::new();
                let record = Record::new(
                    Path::new("x/names.seq"),
                    bound,
                    Vec::new(),
                    self.settings,
                    None,
                    self.dataset,
                );
                RunFolder::create(Some(self.run), Path::new("runs"), record, "time T\n")?
            }
        };
        let spec = |path: &str, shape: &[usize]| ParamSpec {
            path: path.into(),
            shape: shape.to_vec(),
            init: Init::Xavier,
            symbols: vec![Some("name".into()); shape.len()],
        };
        let n = self.symbols;
        let flag = AtomicBool::new(false);
        let mut watch = Watch {
            interrupt_at: self.interrupt_at,
            flag: &flag,
            steps: Vec::new(),
            notices: Vec::new(),
            samples: Vec::new(),
        };
        let generate = GenerateSettings {
            model: "M".into(),
            prompt: String::new(),
            length: 10,
            temperature: 1.0,
            top_k: None,
            top_p: None,
            search: Search::Sample,
            given: Vec::new(),
            seed: 1,
        };
        let result = train(Plan {
            settings: self.settings,
            generate: Some(&generate),
            params: &[spec("toy.W", &[n, n]), spec("toy.u", &[n])],
            dataset: self.dataset,
            functions: Toy::functions(n, self.trouble),
            folder,
            start: self.start.clone(),
            penalties: false,
            threads: self.threads,
            max_steps: self.max_steps,
            told: Vec::new(),
            interrupt: &flag,
            save_every: self.save_every,
            observer: &mut watch,
            started: Instant::now(),
            compile_ms: 0.0,
        });
        self.steps = watch.steps;
        self.notices = watch.notices;
        self.samples = watch.samples;
        result
    }
}

/// Everything of a run that must not depend on how often it was cut: the last weights, the
/// optimizer's state, and the log. Files by their digests.
pub fn outcome(run: &Path) -> Vec<(&'static str, String)> {
    let names = [
        "latest/weights.safetensors",
        "latest/optimizer.safetensors",
        "best/weights.safetensors",
        "metrics.jsonl",
    ];
    let digest = |name: &'static str| (name, manifest::digest(&fs::read(run.join(name)).unwrap()));
    names.map(digest).into()
}

pub fn eventful() -> TrainSettings {
    TrainSettings {
        batch: Batch::Rows(4),
        length: Length::Epochs(4),
        optimizer: Optimizer::AdamW {
            lr: 0.05,
            decay: 0.01,
            betas: (0.9, 0.99),
            eps: 1e-8,
        },
        schedule: Schedule::Cosine {
            warmup: 3,
            end: 0.0,
        },
        clip: Clip::Norm(0.5),
        metrics: vec![Metric::Perplexity, Metric::Accuracy, Metric::Copied],
        ..settings()
    }
}

#[test]
fn a_run_cut_at_any_step_ends_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let settings = eventful();
    let whole = dir.path().join("whole");
    let mut session = Session::new(&settings, &dataset, &whole);
    let summary = session.go().unwrap();
    assert_eq!(
        (summary.end, summary.steps, summary.epochs),
        (End::Finished, 12, 4)
    );
    let rates = session.steps.clone();
    for cut in 1..12 {
        let run = dir.path().join(format!("cut-{cut}"));
        let mut first = Session::new(&settings, &dataset, &run);
        // By turns stopped, interrupted, and failing without warning with every step saved.
        let mut seen = match cut % 3 {
            0 => {
                first.max_steps = Some(cut);
                assert_eq!(first.go().unwrap().end, End::MaxSteps);
                first.steps
            }
            1 => {
                first.interrupt_at = Some(cut);
                assert_eq!(first.go().unwrap().end, End::Interrupted);
                first.steps
            }
            _ => {
                first.trouble = Trouble::Fails(cut as usize);
                first.save_every = Duration::ZERO;
                first.go().unwrap_err();
                first.steps
            }
        };
        assert_eq!(seen.len() as u64, cut);
        let mut second = Session::new(&settings, &dataset, &run);
        // Batches made beside the steps, or between them.
        second.threads = 1 + cut as usize % 2;
        let summary = second.go().unwrap();
        seen.extend(second.steps);
        assert_eq!((summary.end, summary.steps), (End::Finished, 12));
        assert_eq!(seen, rates, "cut at {cut}: steps and rates");
        assert_eq!(outcome(&run), outcome(&whole), "cut at {cut}");
    }
}

#[test]
fn carried_states_and_lost_steps_are_the_same_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = long_text(dir.path());
    let settings = TrainSettings {
        bptt: Some(10),
        validate: Validate::EverySteps(5),
        schedule: Schedule::Plateau {
            factor: 0.5,
            patience: 0,
            warmup: 0,
        },
        metrics: vec![Metric::BitsPerChar],
        length: Length::Steps(20),
        ..eventful()
    };
    let whole = dir.path().join("whole");
    Session::new(&settings, &dataset, &whole).go().unwrap();
    for cut in [1, 4, 5, 7, 8, 11, 19] {
        for save_every in [Duration::ZERO, Duration::MAX] {
            let run = dir.path().join(format!("{cut}-{}", save_every.is_zero()));
            let mut first = Session::new(&settings, &dataset, &run);
            first.trouble = Trouble::Fails(cut);
            first.save_every = save_every;
            first.go().unwrap_err();
            let mut second = Session::new(&settings, &dataset, &run);
            second.go().unwrap();
            // Without saves between, the steps since the last measurement are made again.
            let again = second.steps[0].0 as usize - 1;
            let want = if save_every.is_zero() {
                cut
            } else {
                cut / 5 * 5
            };
            assert_eq!(again, want, "cut at {cut}");
            assert_eq!(outcome(&run), outcome(&whole), "cut at {cut}");
        }
    }
}

#[test]
fn a_finished_run_has_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let settings = eventful();
    let run = dir.path().join("run");
    Session::new(&settings, &dataset, &run).go().unwrap();
    let before = outcome(&run);
    let mut again = Session::new(&settings, &dataset, &run);
    let summary = again.go().unwrap();
    assert_eq!((summary.end, again.steps.len()), (End::Finished, 0));
    assert_eq!(outcome(&run), before);
    let svg = fs::read_to_string(run.join("loss.svg"));
    assert_eq!(
        svg.is_ok_and(|s| s.starts_with("<svg")),
        cfg!(feature = "cli")
    );
    // What was used is told once: the second session did nothing.
    let usage = fs::read_to_string(run.join("usage.jsonl")).unwrap();
    assert_eq!(usage.lines().count(), 1);
    assert!(run.join("events.out.tfevents.0001").is_file());
    assert!(!run.join("events.out.tfevents.0002").exists());
}

#[test]
fn it_learns_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let settings = TrainSettings {
        length: Length::Epochs(60),
        metrics: vec![
            Metric::Perplexity,
            Metric::Versus(Baseline::Bigram),
            Metric::Copied,
        ],
        schedule: Schedule::Constant { warmup: 0 },
        ..eventful()
    };
    let run = dir.path().join("run");
    let mut session = Session::new(&settings, &dataset, &run);
    let summary = session.go().unwrap();
    let valid = summary.valid.clone().unwrap();
    let best = summary.best.clone().unwrap();
    assert!(
        best.value < 4f64.ln() - 0.2,
        "{best:?}: better than a guess"
    );
    let perplexity = valid.metric("perplexity").unwrap();
    assert!((perplexity - valid.loss.exp()).abs() < 1e-9);
    let (versus, rival) = (
        valid.metric("versus").unwrap(),
        valid.metric("rival").unwrap(),
    );
    assert!((versus * rival - valid.loss).abs() < 1e-9);
    let copied = valid.metric("copied").unwrap();
    assert!((0.0..=1.0).contains(&copied) && copied > 0.0);
    assert!(!session.samples.is_empty());
    let json = summary.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    let want = "best.loss best.step compile_ms cores data_wait epochs first_step_ms items_per_second notices params peak_bytes run \
                seconds steps train.loss valid.copied valid.loss valid.perplexity valid.rival valid.versus";
    assert_eq!(keys, want.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn what_is_not_finite_stops_before_the_update() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let settings = eventful();
    let cases = [
        (Trouble::BadGradient(7), "step 7: the gradient of `toy.u`"),
        (Trouble::BadLoss(7), "step 7: the loss"),
    ];
    for (i, (trouble, message)) in cases.into_iter().enumerate() {
        let run = dir.path().join(format!("run-{i}"));
        let mut session = Session::new(&settings, &dataset, &run);
        session.trouble = trouble;
        let failure = session.go().unwrap_err();
        assert_eq!(failure.exit_code(), 5);
        let d = &failure.diagnostics[0];
        assert!(d.message.starts_with(message), "{}", d.message);
        let help = d.help.as_deref().unwrap();
        assert!(help.starts_with("step-6 is the last checkpoint"), "{help}");
        assert_eq!(linked(&run, Which::Latest).unwrap(), Some(6));
    }
}

#[test]
fn weights_that_overflow_are_never_saved() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let settings = TrainSettings {
        optimizer: Optimizer::Sgd {
            lr: 1e45,
            momentum: 0.0,
            nesterov: false,
        },
        schedule: Schedule::Constant { warmup: 0 },
        ..eventful()
    };
    let run = dir.path().join("run");
    let mut session = Session::new(&settings, &dataset, &run);
    session.save_every = Duration::ZERO;
    let failure = session.go().unwrap_err();
    let d = &failure.diagnostics[0];
    assert_eq!(
        d.message,
        "step 1: the weight `toy.W` is not a finite number"
    );
    assert_eq!(linked(&run, Which::Latest).unwrap(), None);
}

#[test]
fn patience_ends_a_run_that_no_longer_improves() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let mut settings = TrainSettings {
        length: Length::Epochs(50),
        // Nothing moves, so the first measurement stays the best.
        optimizer: Optimizer::Sgd {
            lr: 0.0,
            momentum: 0.0,
            nesterov: false,
        },
        stop: Some(Patience {
            checks: 3,
            on: Watched::Loss,
        }),
        ..eventful()
    };
    let run = dir.path().join("loss");
    let summary = Session::new(&settings, &dataset, &run).go().unwrap();
    assert_eq!((summary.end, summary.epochs), (End::Stopped, 4));
    assert_eq!(linked(&run, Which::Best).unwrap(), Some(3));
    let again = Session::new(&settings, &dataset, &run).go().unwrap();
    assert_eq!((again.end, again.epochs), (End::Stopped, 4));
    settings.stop = Some(Patience {
        checks: 1,
        on: Watched::Metric(Metric::Accuracy),
    });
    let run = dir.path().join("accuracy");
    let summary = Session::new(&settings, &dataset, &run).go().unwrap();
    assert_eq!((summary.end, summary.epochs), (End::Stopped, 2));
}

#[test]
fn a_run_starts_from_weights_and_frozen_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let mut settings = eventful();
    let first = dir.path().join("first");
    Session::new(&settings, &dataset, &first).go().unwrap();
    let file = first.join("latest/weights.safetensors");
    settings.params = vec![ParamRule {
        selector: Selector::Glob("*".into()),
        lr: None,
        decay: None,
        frozen: Some(true),
        init: None,
        fresh: None,
        lora: None,
    }];
    let second = dir.path().join("second");
    let mut session = Session::new(&settings, &dataset, &second);
    session.start = Start::Weights(file.clone());
    session.go().unwrap();
    let bytes = |p: PathBuf| fs::read(p).unwrap();
    assert_eq!(
        bytes(second.join("latest/weights.safetensors")),
        bytes(file)
    );
    let third = dir.path().join("third");
    let mut session = Session::new(&settings, &dataset, &third);
    session.start = Start::Weights(dir.path().join("missing.safetensors"));
    let code = session.go().unwrap_err().exit_code();
    assert_eq!(code, 3);
}

#[test]
fn a_changed_program_is_told_and_other_settings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = names(dir.path());
    let mut settings = eventful();
    let run = dir.path().join("run");
    let mut session = Session::new(&settings, &dataset, &run);
    session.max_steps = Some(2);
    session.go().unwrap();
    fs::write(run.join("source.seq"), "time T # longer\n").unwrap();
    let mut session = Session::new(&settings, &dataset, &run);
    session.go().unwrap();
    assert!(session.notices[0].contains("has changed"));
    settings.metrics = vec![Metric::Mae];
    let mut session = Session::new(&settings, &dataset, &run);
    let failure = session.go().unwrap_err();
    assert_eq!(failure.diagnostics[0].code, "train::metric-differs");
    settings.metrics = vec![Metric::Bleu];
    let mut session = Session::new(&settings, &dataset, &run);
    let failure = session.go().unwrap_err();
    assert_eq!(failure.diagnostics[0].code, "train::metric-differs");
}
