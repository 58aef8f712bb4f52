//! Calls of compiled functions outside training, timed: predicting for a batch, and writing symbol by symbol.
//!
//! In: a [`Bench`], whose weights are those a run would begin with. Out: [`Predictions`] and [`Written`].

use std::time::{Duration, Instant};

use super::Bench;
use super::bound::Work;
use super::report::{Memory, Predictions, Times, Written};
use crate::cli::Failure;
use crate::cli::generate::default_settings;
use crate::cost::{flops, products};
use crate::dim::Sym;
use crate::lower::Options;
use crate::pipeline;
use crate::schedule::peak;
use crate::schedule::schedule;
use crate::targets::cpu::trial::TRIAL;
use crate::targets::executable::Draw;
use crate::train::feed::{Carried, Feed};
use crate::train::folder::FieldInfo;
use crate::train::generate::{Generated, Request, generate};

/// Calls that are not counted, and calls that are, at least.
const WARM: usize = 2;
const CALLS: usize = 3;
/// The most of the time for calls that are not counted, which try how far a call is best divided.
const SHARE: f64 = 0.25;

impl Bench<'_> {
    /// One forward pass over the first batch.
    pub(super) fn predictions(&self) -> Result<(Predictions, Work), Failure> {
        let mut compiler = self.compiler();
        let mut stage = compiler.stage(Options::PREDICT, false)?;
        let signature = stage.start.signature().clone();
        let weights = self.weights(&signature);
        // As `seqc predict` does.
        stage.hold_params(true);
        let (mut feed, none) = (Feed::default(), Carried::new());
        let times = self.repeat(&mut |_| {
            let function = stage.form(false);
            let draw = Draw::default();
            feed.run(function, &self.batch, &none, &weights, &mut [], draw)?;
            Ok(1.0)
        })?;
        let stages = self.build().stages(&self.model, Options::PREDICT, false);
        let func = stages.map_err(pipeline::internal)?.optimized;
        let program = schedule(&func)?;
        let size = |s: &Sym| func.dims.static_value(s).or_else(|| self.size(s));
        let temporaries = peak::peak(&program)?.at(&size);
        let predictions = Predictions {
            call: times,
            compile_ms: compiler.ms,
            memory: Memory {
                temporaries,
                predicted: temporaries,
                growth: None,
            },
        };
        let work = Work {
            sizes: self.sizes(&signature),
            flops: flops(&func, &size),
            products: products(&program, &size),
        };
        Ok((predictions, work))
    }

    /// Texts (or numbers) as the file's `generate` block has them written, one at a time.
    pub(super) fn writing(&self) -> Result<(Written, Work), Failure> {
        let mut compiler = self.compiler();
        let mut generator = compiler.generator(self.settings.window)?;
        let block = self.loaded.experiment.generate(&self.settings.model);
        let fallback = || default_settings(&self.settings.model);
        let settings = block.map_or_else(fallback, |g| g.settings.clone());
        let signature = generator.step.signature().clone();
        let weights = self.weights(&signature);
        let columns = self.dataset.columns().iter();
        let fields: Vec<FieldInfo> = columns.map(FieldInfo::from).collect();
        let mut most = 0usize;
        let symbol = self.repeat(&mut |turn| {
            let request = Request {
                stream: turn,
                ..Request::new(&settings, 1)
            };
            let (all, _) = generate(&mut generator, &weights, &fields, &request)?;
            let one = |g: &Generated| match g {
                Generated::Text(text) => {
                    let known = fields.iter().find_map(|f| f.vocabulary.as_ref());
                    known.map_or(0, |v| v.encode_text(text).len())
                }
                Generated::Numbers(steps) => steps.len(),
            };
            // One that was ended early took one step more than it has symbols.
            let steps: usize = all.iter().map(one).sum();
            most = most.max(steps);
            Ok((steps.max(1)) as f64)
        })?;
        let stages = self.build().stages(&self.model, Options::PREDICT, false);
        let func = stages.map_err(pipeline::internal)?.optimized;
        // A symbol is one step of one sequence.
        let size = |s: &Sym| func.dims.static_value(s).or(Some(1));
        let program = schedule(&func)?;
        let mut products = products(&program, &size);
        if let Some(p) = &mut products {
            // Every weight is read again for the next symbol.
            p.recurrent = p.recurrent.and(p.alone);
            p.alone = Default::default();
        }
        let written = Written {
            symbol,
            length: most,
            compile_ms: compiler.ms,
        };
        let work = Work {
            sizes: Vec::new(),
            flops: flops(&func, &size),
            products,
        };
        Ok((written, work))
    }

    /// Does something again and again for the time asked for; it says how many things it did.
    fn repeat(&self, one: &mut dyn FnMut(u32) -> Result<f64, Failure>) -> Result<Times, Failure> {
        let length = Duration::from_secs_f64(self.args.seconds);
        let mut turn = 0;
        let began = Instant::now();
        while turn < WARM as u32 || turn <= TRIAL as u32 && began.elapsed() < length.mul_f64(SHARE)
        {
            one(turn)?;
            turn += 1;
        }
        let (began, mut seconds) = (Instant::now(), Vec::new());
        while seconds.len() < CALLS || began.elapsed() < length {
            let now = Instant::now();
            let n = one(turn)?;
            seconds.push(now.elapsed().as_secs_f64() / n);
            turn = turn.wrapping_add(1);
        }
        Ok(Times::of(seconds))
    }
}
