//! A model measured on a part of its data, as a whole.
//!
//! In: the compiled evaluation, weights, a dataset and one of its parts. Out: [`Measured`]: the mean
//! loss over every real step of the part, and the metrics of the settings; or, for comparison with
//! other programs, the gradient of the part taken as one batch.

use std::sync::atomic::{AtomicBool, Ordering};

use super::classes::MOST;
use super::failure::Failure;
use super::feed::{Carried, Feed};
use super::metrics::Sums;
use super::observe::Measured;
use super::plan::Stage;
use super::rivals::Rivals;
use super::weights::{self, Named};
use crate::data::spec::Unit;
use crate::data::{Batch, BatchPlan, BatchSize, Column, Dataset, Part, copied};
use crate::settings::{self, Baseline, Metric, TrainSettings, Watched};
use crate::targets::executable::{Draw, Executable, Role, Signature};

/// Examples of a batch at least: a small batch of training would only make evaluation slow.
const MIN_ROWS: usize = 64;

/// Steps of a stream of a long sequence in evaluation, at least.
const STREAM: usize = 5_000;

/// How a part is cut for evaluation, its examples or steps being `len`. One long sequence is read
/// by at most as many streams as in training, each so long that its cold start does not count.
pub fn plan(settings: &TrainSettings, long: bool, len: usize) -> BatchPlan {
    let batch = match batch_size(settings.batch) {
        BatchSize::Rows(rows) if !long => BatchSize::Rows(rows.max(MIN_ROWS)),
        BatchSize::Rows(rows) => BatchSize::Rows(rows.min(len / STREAM).max(1)),
        size => size,
    };
    BatchPlan {
        batch,
        shuffle: false,
        ..epoch_plan(settings, 0)
    }
}

/// How an epoch of training is cut.
pub fn epoch_plan(settings: &TrainSettings, epoch: u64) -> BatchPlan {
    BatchPlan {
        batch: batch_size(settings.batch),
        bptt: settings.bptt.map(|n| n as usize),
        window: settings.window.map(|n| n as usize),
        seed: settings.seed,
        epoch: epoch as u32,
        shuffle: true,
    }
}

fn batch_size(batch: settings::Batch) -> BatchSize {
    match batch {
        settings::Batch::Rows(n) => BatchSize::Rows(n as usize),
        settings::Batch::Tokens(n) => BatchSize::Tokens(n as usize),
    }
}

/// Calls a function on every batch of a part, in order, states carried where batches continue one
/// another, and shows each batch with its results. Ends early, with `false`, once `stop` is set.
pub fn each_batch(
    stage: &mut Stage,
    weights: &[f32],
    dataset: &Dataset,
    part: Part,
    plan: &BatchPlan,
    stop: &AtomicBool,
    show: impl FnMut(&Batch, &Feed) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    stage.hold_params(true);
    let all = with_one_set(stage, weights, dataset, part, plan, stop, show);
    stage.hold_params(false);
    all
}

/// The calls of [`each_batch`], by a stage that holds the weights.
fn with_one_set(
    stage: &mut Stage,
    weights: &[f32],
    dataset: &Dataset,
    part: Part,
    plan: &BatchPlan,
    stop: &AtomicBool,
    mut show: impl FnMut(&Batch, &Feed) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let mut feed = Feed::default();
    let mut carried = Carried::new();
    for batch in dataset.batches(part, plan) {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let batch = batch?;
        if !batch.carries {
            carried.clear();
        }
        let form = stage.form(batch.carries);
        let mut grads = grads_of(form.signature());
        feed.run(form, &batch, &carried, weights, &mut grads, Draw::default())?;
        feed.carry(&mut carried);
        show(&batch, &feed)?;
    }
    Ok(true)
}

fn grads_of(signature: &Signature) -> Vec<f32> {
    let len = if signature.has_grads {
        signature.param_len
    } else {
        0
    };
    vec![0.0; len]
}

/// What the model wrote for a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wrote<'a> {
    /// Texts, for `copied`.
    pub texts: Option<&'a [String]>,
    /// The score of the part's decoded examples.
    pub bleu: Option<f64>,
}

/// Measures parts of one dataset with one model's settings.
pub struct Evaluator<'a> {
    settings: &'a TrainSettings,
    dataset: &'a Dataset,
    penalties: bool,
    metrics: Vec<Metric>,
    rivals: Rivals,
}

impl<'a> Evaluator<'a> {
    /// Errors: metrics that are not built, or that no target of the data fits.
    pub fn new(
        settings: &'a TrainSettings,
        dataset: &'a Dataset,
        penalties: bool,
    ) -> Result<Evaluator<'a>, Failure> {
        let mut metrics = settings.metrics.clone();
        if let Some(stop) = &settings.stop
            && let Watched::Metric(m) = &stop.on
            && !metrics.contains(m)
        {
            metrics.push(m.clone());
        }
        for metric in &metrics {
            check(metric, dataset)?;
        }
        Ok(Evaluator {
            settings,
            dataset,
            penalties,
            metrics,
            rivals: Rivals::default(),
        })
    }

    /// Whether generated texts are needed.
    pub fn wants_texts(&self) -> bool {
        self.metrics.contains(&Metric::Copied)
    }

    /// Whether every example of a part must be decoded.
    pub fn wants_bleu(&self) -> bool {
        self.metrics.contains(&Metric::Bleu)
    }

    /// Loss and metrics; `None` once `stop` is set.
    pub fn measure(
        &mut self,
        stage: &mut Stage,
        weights: &[f32],
        part: Part,
        wrote: Wrote<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<Measured>, Failure> {
        let dataset = self.dataset;
        let mut sums = Sums::new(self.settings, dataset, &self.metrics, self.penalties);
        let plan = plan(self.settings, dataset.is_long(), dataset.len(part));
        let whole = each_batch(stage, weights, dataset, part, &plan, stop, |batch, feed| {
            sums.add(dataset, batch, feed);
            Ok(())
        })?;
        if !whole {
            return Ok(None);
        }
        let mut measured = Measured {
            loss: sums.loss(),
            count: sums.count(),
            metrics: Vec::new(),
            by_class: sums.by_class(),
        };
        for metric in self.metrics.clone() {
            self.metric(&metric, &sums, part, wrote, &mut measured.metrics)?;
        }
        Ok(Some(measured))
    }

    /// Appends a metric's values; one without a value for this part is left out.
    fn metric(
        &mut self,
        metric: &Metric,
        sums: &Sums,
        part: Part,
        wrote: Wrote<'_>,
        out: &mut Vec<(String, f64)>,
    ) -> Result<(), Failure> {
        let nats = sums.first(self.dataset, &[Unit::Token, Unit::Class]);
        let mut put = |key: &str, value: Option<f64>| {
            if let Some(value) = value {
                out.push((key.to_string(), value));
            }
        };
        let key = &*metric.key();
        match metric {
            Metric::Perplexity => put(key, nats.map(|n| libm::exp(n.1))),
            Metric::BitsPerChar => put(key, nats.map(|n| n.1 / std::f64::consts::LN_2)),
            Metric::Accuracy => put(key, sums.accuracy()),
            Metric::Mae | Metric::Mse | Metric::Rmse | Metric::Mape => {
                put(key, sums.errors().get(metric));
            }
            Metric::Versus(baseline) => {
                let (rivals, data) = (&mut self.rivals, self.dataset);
                out.extend(rivals.entries(baseline, &self.metrics, data, sums, part)?);
            }
            Metric::Copied => {
                let target = sums.first(self.dataset, &[Unit::Token]);
                if let Some(((target, _), texts)) = target.zip(wrote.texts) {
                    put(key, copied(self.dataset, target, texts)?);
                }
            }
            Metric::Top(k) => put(key, sums.top(*k)),
            Metric::F1(average) => put(key, sums.f1(*average)),
            Metric::EntityF1 => put(key, sums.entity_f1()),
            Metric::Bleu => put(key, wrote.bleu),
            // Tables are no numbers: `by_class` has them.
            Metric::Confusion => {}
        }
        Ok(())
    }
}

/// Refuses a metric that is not built, or that nothing in the data fits.
fn check(metric: &Metric, dataset: &Dataset) -> Result<(), Failure> {
    use crate::data::spec::FieldRole;
    let (units, what): (&[Unit], _) = match metric {
        Metric::Perplexity | Metric::BitsPerChar | Metric::Top(_) => {
            (&[Unit::Token, Unit::Class], "classes")
        }
        Metric::Accuracy
        | Metric::F1(_)
        | Metric::Confusion
        | Metric::Versus(Baseline::Majority) => {
            (&[Unit::Token, Unit::Class, Unit::Binary], "classes")
        }
        Metric::EntityF1
        | Metric::Versus(Baseline::MostFrequent)
        | Metric::Versus(Baseline::NaiveBayes) => (&[Unit::Class], "classes"),
        Metric::Mae
        | Metric::Mse
        | Metric::Rmse
        | Metric::Mape
        | Metric::Versus(Baseline::Column(_)) => (&[Unit::Number], "numbers"),
        Metric::Versus(Baseline::Bigram) | Metric::Copied | Metric::Bleu => {
            (&[Unit::Token], "tokens")
        }
    };
    let mut targets = (dataset.columns().iter()).filter(|c| c.role == FieldRole::Target);
    let refused = |message| Err(Failure::program("train::metric-differs", message));
    let Some(target) = targets.find(|c| units.contains(&c.unit)) else {
        let message = format!("`{metric}` needs a target of {what}, and the model has none");
        return refused(message);
    };
    let inputs = (dataset.columns().iter()).any(|c| c.role == FieldRole::Input);
    if *metric == Metric::Bleu && (!inputs || !target.previous || dataset.is_long()) {
        return refused(format!(
            "`bleu` needs a text that is written from inputs, `{}` is none",
            target.name
        ));
    }
    let shape = |c: &Column| (c.time.clone(), c.features.iter().product::<usize>());
    if let Metric::Versus(Baseline::Column(name)) = metric
        && let Some(rival) = dataset.column(name)
        && shape(rival) != shape(target)
    {
        return refused(format!(
            "`{metric}`: `{name}` and `{}` differ in steps or features",
            target.name
        ));
    }
    let classes = target.vocabulary.as_ref().map_or(0, |v| v.len());
    if let Metric::Top(k) = metric
        && (1..*k as usize).contains(&classes)
    {
        return refused(format!(
            "`{metric}` asks for more classes than `{}` has, {classes}",
            target.name
        ));
    }
    if *metric == Metric::Confusion && classes > MOST {
        return refused(format!(
            "`confusion` shows at most {MOST} classes, `{}` has {classes}",
            target.name
        ));
    }
    if *metric == Metric::EntityF1 && (target.time.is_none() || dataset.is_long()) {
        return refused(format!(
            "`entity_f1` needs a sequence of tags an example, `{}` is none",
            target.name
        ));
    }
    Ok(())
}

/// Loss and gradients of a part taken as one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    pub loss: f32,
    /// Laid out as the weights.
    pub grads: Vec<f32>,
}

/// The gradient of a part's loss; `function` has gradients and no dropout. One long sequence is
/// taken whole.
pub fn gradients(
    function: &mut dyn Executable,
    weights: &[f32],
    dataset: &Dataset,
    part: Part,
) -> Result<Gradients, Failure> {
    let plan = BatchPlan {
        batch: BatchSize::Rows(dataset.len(part).max(1)),
        bptt: None,
        window: None,
        seed: 0,
        epoch: 0,
        shuffle: false,
    };
    let batch = dataset.batches(part, &plan).get(0).ok_or_else(|| {
        let message = format!("the {} part is empty: it has no gradient", part.name());
        Failure::program("data::empty-part", message)
    })?;
    let batch = batch?;
    let mut grads = grads_of(function.signature());
    let mut feed = Feed::default();
    let none = Carried::new();
    feed.run(
        function,
        &batch,
        &none,
        weights,
        &mut grads,
        Draw::default(),
    )?;
    let loss = feed.output(&Role::Loss).and_then(|l| l.first().copied());
    let loss = loss.ok_or_else(|| Failure::program("data::mismatch", "the model has no loss"))?;
    Ok(Gradients { loss, grads })
}

impl Gradients {
    /// A safetensors file with every weight's gradient under its path, and `loss`.
    pub fn file(&self, signature: &Signature) -> Result<Vec<u8>, Failure> {
        let mut tensors = weights::named(&signature.params, &self.grads, "");
        tensors.push(Named {
            name: "loss".to_string(),
            shape: Vec::new(),
            values: std::slice::from_ref(&self.loss),
        });
        weights::encode(&tensors)
    }
}
