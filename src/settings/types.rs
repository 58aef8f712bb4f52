//! The typed settings of a run.
//!
//! In: nothing. Out: [`TrainSettings`], [`GenerateSettings`] and [`TuneSettings`], serialisable, for
//! a run folder stores them beside the checkpoints. Every field has its effective value: defaults
//! are filled in by the checker from the one table of settings. Long because it lists them all.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::glob;

/// A `train M on d { … }` block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    pub model: String,
    pub data: String,
    pub batch: Batch,
    /// Parts that a batch is computed in, one after the other.
    #[serde(default = "one")]
    pub accumulate: u32,
    /// Steps of a long sequence that one example holds; `None` takes examples whole.
    pub window: Option<u32>,
    /// Steps after which gradients are cut while states are carried on (Williams and Peng 1990).
    pub bptt: Option<u32>,
    pub length: Length,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    pub clip: Clip,
    /// What the file says about targets; a target that is not named has its unit's loss, weight 1.
    pub losses: Vec<TargetLoss>,
    pub metrics: Vec<Metric>,
    pub validate: Validate,
    pub stop: Option<Patience>,
    /// A safetensors file to start from, relative to the `.seq` file.
    pub weights: Option<String>,
    /// In the file's order; where several match a weight the later one wins, key by key.
    pub params: Vec<ParamRule>,
    pub precision: Precision,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batch {
    /// This many examples, or this many parallel streams of one long text.
    Rows(u32),
    /// As many examples of similar length as hold about this many steps.
    Tokens(u32),
}

/// Runs recorded before a batch could be computed in parts took it at once.
fn one() -> u32 {
    1
}

/// How long to train: exactly one of the two is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    Epochs(u64),
    Steps(u64),
}

/// The update rule and its constants. `lr` is the peak rate, which the schedule multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// v ← momentum·v + g; w ← w − lr·v (Polyak 1964), or with `nesterov`
    /// w ← w − lr·(g + momentum·v) (Nesterov 1983, as Sutskever et al. 2013 write it).
    Sgd {
        lr: f64,
        momentum: f64,
        nesterov: bool,
    },
    /// Kingma and Ba 2015, with bias correction.
    Adam {
        lr: f64,
        betas: (f64, f64),
        eps: f64,
    },
    /// Adam with decay applied to the weight itself (Loshchilov and Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW {
        lr: f64,
        decay: f64,
        betas: (f64, f64),
        eps: f64,
    },
    /// Tieleman and Hinton 2012; `smooth` is the decay of the mean square.
    #[serde(rename = "rmsprop")]
    RmsProp { lr: f64, smooth: f64, eps: f64 },
    /// Duchi, Hazan and Singer 2011.
    Adagrad { lr: f64, eps: f64 },
}

impl Optimizer {
    pub fn lr(&self) -> f64 {
        match *self {
            Optimizer::Sgd { lr, .. }
            | Optimizer::Adam { lr, .. }
            | Optimizer::AdamW { lr, .. }
            | Optimizer::RmsProp { lr, .. }
            | Optimizer::Adagrad { lr, .. } => lr,
        }
    }

    /// The decoupled weight decay; 0 for rules that have none.
    pub fn decay(&self) -> f64 {
        match *self {
            Optimizer::AdamW { decay, .. } => decay,
            Optimizer::Sgd { .. }
            | Optimizer::Adam { .. }
            | Optimizer::RmsProp { .. }
            | Optimizer::Adagrad { .. } => 0.0,
        }
    }
}

/// A factor on the learning rate, by step. Each begins with `warmup` steps rising linearly to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    Constant {
        warmup: u64,
    },
    /// Half a cosine from 1 down to the fraction `end` at the last step (Loshchilov and Hutter 2017).
    Cosine {
        warmup: u64,
        end: f64,
    },
    /// A straight line from 1 down to the fraction `end` at the last step.
    Linear {
        warmup: u64,
        end: f64,
    },
    /// Multiplied by `factor` every `every` steps.
    Step {
        every: u64,
        factor: f64,
        warmup: u64,
    },
    /// Multiplied by `factor` at every step.
    Exponential {
        factor: f64,
        warmup: u64,
    },
    /// Multiplied by `factor` when the validation loss has not improved `patience` times.
    Plateau {
        factor: f64,
        patience: u32,
        warmup: u64,
    },
    /// Up for the fraction `up` of the run, then down (Smith and Topin 2019).
    OneCycle {
        up: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    None,
    /// All gradients scaled down together to at most this Euclidean norm (Pascanu et al. 2013).
    Norm(f64),
    /// Each element cut to ± this.
    Value(f64),
}

/// `loss = …` or `loss.stars = …`, and `weight.stars = …`, for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetLoss {
    pub target: String,
    /// `None`: the loss of the target's unit.
    pub loss: Option<LossName>,
    pub weight: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossName {
    CrossEntropy {
        smoothing: f64,
    },
    BinaryCrossEntropy,
    Mse,
    Perceptron,
    Hinge,
    Mae,
    /// Squared up to this error, linear past it (Huber 1964).
    Huber(f64),
    /// Least where this share of the values lies below (Koenker and Bassett 1978).
    Quantile(f64),
}

/// A number reported beside the loss, for each part of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// exp of the mean cross-entropy.
    Perplexity,
    /// Mean cross-entropy in bits.
    BitsPerChar,
    /// The share of steps or examples whose likeliest class is the true one.
    Accuracy,
    /// The share of those whose true class is among this many likeliest.
    Top(u32),
    Mae,
    Mse,
    Rmse,
    /// Mean absolute error as a share of the true value.
    Mape,
    /// The errors of a plain rival on the same part, and ours against them.
    Versus(Baseline),
    /// The share of generated lines that stand in the training part.
    Copied,
    /// Harmonic mean of precision and recall.
    F1(Average),
    /// The same of whole entities in tagged sequences.
    EntityF1,
    Bleu,
    /// Counts of true against predicted classes: a table, not a number.
    Confusion,
}

/// What an F1 score is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Each class by itself, then the mean.
    Macro,
    /// All answers together.
    Micro,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Counts of pairs in the training part, 0.1 added to each.
    Bigram,
    /// The training part's most frequent class for every answer.
    Majority,
    /// The class that each symbol has most often in the training part, step by step.
    MostFrequent,
    /// Multinomial naive Bayes on the symbols of a sequence, one added to each count.
    NaiveBayes,
    /// This column of the data, taken as the prediction.
    Column(String),
}

impl Baseline {
    /// The names of those that are no column.
    pub const NAMES: [&str; 4] = ["bigram", "majority", "most_frequent", "naive_bayes"];

    /// A rival as it is written.
    pub fn named(name: &str) -> Baseline {
        match name {
            "bigram" => Baseline::Bigram,
            "majority" => Baseline::Majority,
            "most_frequent" => Baseline::MostFrequent,
            "naive_bayes" => Baseline::NaiveBayes,
            column => Baseline::Column(column.to_string()),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Baseline::Bigram => "bigram",
            Baseline::Majority => "majority",
            Baseline::MostFrequent => "most_frequent",
            Baseline::NaiveBayes => "naive_bayes",
            Baseline::Column(name) => name,
        }
    }
}

impl Metric {
    /// Whether a larger value is a better one, for `stop` and the choice of the best checkpoint.
    pub fn larger_is_better(&self) -> bool {
        match self {
            Metric::Accuracy | Metric::Top(_) | Metric::F1(_) | Metric::EntityF1 | Metric::Bleu => {
                true
            }
            Metric::Perplexity
            | Metric::BitsPerChar
            | Metric::Mae
            | Metric::Mse
            | Metric::Rmse
            | Metric::Mape
            | Metric::Versus(_)
            | Metric::Copied
            | Metric::Confusion => false,
        }
    }

    /// The name in `valid.<name>` and in the metrics of a run: `top_5`, `f1_micro`; the usual average is not named.
    pub fn key(&self) -> Cow<'static, str> {
        match self {
            Metric::Perplexity => "perplexity".into(),
            Metric::BitsPerChar => "bits_per_char".into(),
            Metric::Accuracy => "accuracy".into(),
            Metric::Mae => "mae".into(),
            Metric::Mse => "mse".into(),
            Metric::Rmse => "rmse".into(),
            Metric::Versus(_) => "versus".into(),
            Metric::Copied => "copied".into(),
            Metric::Top(k) => format!("top_{k}").into(),
            Metric::Mape => "mape".into(),
            Metric::F1(Average::Macro) => "f1".into(),
            Metric::F1(Average::Micro) => "f1_micro".into(),
            Metric::EntityF1 => "entity_f1".into(),
            Metric::Bleu => "bleu".into(),
            Metric::Confusion => "confusion".into(),
        }
    }
}

/// As it is written in a file.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metric::Versus(rival) => write!(f, "versus({})", rival.name()),
            Metric::Top(k) => write!(f, "top({k})"),
            Metric::F1(Average::Macro) => f.write_str("f1(average = macro)"),
            Metric::F1(Average::Micro) => f.write_str("f1(average = micro)"),
            Metric::Perplexity
            | Metric::BitsPerChar
            | Metric::Accuracy
            | Metric::Mae
            | Metric::Mse
            | Metric::Rmse
            | Metric::Mape
            | Metric::Copied
            | Metric::EntityF1
            | Metric::Bleu
            | Metric::Confusion => f.write_str(&self.key()),
        }
    }
}

/// When the validation part is measured; the run's end always measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validate {
    EveryEpoch,
    EverySteps(u64),
}

/// `stop = patience(3, on = valid.loss)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Measurements in a row without a new best value before training stops.
    pub checks: u32,
    pub on: Watched,
}

/// What `stop` and the best checkpoint look at, on the validation part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    Loss,
    Metric(Metric),
}

impl Watched {
    pub fn larger_is_better(&self) -> bool {
        match self {
            Watched::Loss => false,
            Watched::Metric(m) => m.larger_is_better(),
        }
    }

    /// `loss`, `accuracy`: what stands after `valid.`.
    pub fn key(&self) -> Cow<'static, str> {
        match self {
            Watched::Loss => "loss".into(),
            Watched::Metric(m) => m.key(),
        }
    }
}

/// `params "rnn.U*" { lr = 5e-4 }`: what the block names, `None` for what it does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamRule {
    pub selector: Selector,
    /// Instead of the optimizer's rate; the schedule multiplies it too.
    pub lr: Option<f64>,
    pub decay: Option<f64>,
    pub frozen: Option<bool>,
    pub init: Option<InitRule>,
    /// Starts as the model says, whatever `weights` has.
    #[serde(default)]
    pub fresh: Option<bool>,
    /// Rank of a low-rank update (Hu et al. 2021).
    pub lora: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Against the weight's path; `*` crosses dots.
    Glob(String),
    /// Weights with two axes or more.
    Matrices,
    /// Weights with one axis or none.
    Vectors,
}

impl Selector {
    pub fn selects(&self, path: &str, rank: usize) -> bool {
        match self {
            Selector::Glob(pattern) => glob::matches(pattern, path),
            Selector::Matrices => rank >= 2,
            Selector::Vectors => rank <= 1,
        }
    }
}

/// How a weight starts, where a file overrides the model's choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitRule {
    Zeros,
    Ones,
    Xavier,
    He,
    Orthogonal,
    /// Standard deviation.
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    Constant(f64),
}

/// What all rules together say of one weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightSettings {
    pub lr: f64,
    pub decay: f64,
    pub frozen: bool,
    /// `None`: as the model says.
    pub init: Option<InitRule>,
    pub fresh: bool,
    pub lora: Option<u32>,
}

/// The ends of the paths of a weight's low-rank update.
pub const ADAPTER_A: &str = ".lora_a";
pub const ADAPTER_B: &str = ".lora_b";

/// The weight whose low-rank update this path is a part of.
pub fn adapted(path: &str) -> Option<&str> {
    path.strip_suffix(ADAPTER_A)
        .or(path.strip_suffix(ADAPTER_B))
}

impl TrainSettings {
    /// The settings of the weight at `path` with `rank` axes: the optimizer's, overridden by every
    /// rule that selects it, in order. A weight with `lora` is frozen; its update has its rate and
    /// decay, and is trained.
    pub fn weight(&self, path: &str, rank: usize) -> WeightSettings {
        match adapted(path) {
            Some(weight) => WeightSettings {
                frozen: false,
                init: None,
                lora: None,
                ..self.own(weight, rank)
            },
            None => {
                let own = self.own(path, rank);
                WeightSettings {
                    frozen: own.frozen || own.lora.is_some(),
                    ..own
                }
            }
        }
    }

    fn own(&self, path: &str, rank: usize) -> WeightSettings {
        let mut w = WeightSettings {
            lr: self.optimizer.lr(),
            decay: self.optimizer.decay(),
            frozen: false,
            init: None,
            fresh: false,
            lora: None,
        };
        for rule in self
            .params
            .iter()
            .filter(|r| r.selector.selects(path, rank))
        {
            w.lr = rule.lr.unwrap_or(w.lr);
            w.decay = rule.decay.unwrap_or(w.decay);
            w.frozen = rule.frozen.unwrap_or(w.frozen);
            w.init = rule.init.or(w.init);
            w.fresh = rule.fresh.unwrap_or(w.fresh);
            w.lora = rule.lora.or(w.lora);
        }
        w
    }
}

/// What weights may be kept in by what predicts and measures. Training has them, and everything else, in `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    /// Those that stand in products, rounded to 8 significant bits; products add up in `f32`.
    Bf16,
}

impl Precision {
    /// The word that a file has for it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

/// A `generate M { … }` block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerateSettings {
    pub model: String,
    pub prompt: String,
    /// The most steps to generate; a sequence that reaches `<end>` stops before.
    pub length: u32,
    /// Divides the logits; towards 0 the likeliest is always taken.
    pub temperature: f64,
    /// Draw from this many likeliest only.
    pub top_k: Option<u32>,
    /// Draw from the smallest set of likeliest with at least this probability.
    pub top_p: Option<f64>,
    pub search: Search,
    /// `given lang = "Hindi"`, in the file's order.
    pub given: Vec<(String, Given)>,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Search {
    Sample,
    Greedy,
    Beam { width: u32, length_penalty: f64 },
}

/// The value of an input that generation is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A class's name, or a text that the data's own tokenizer encodes.
    Text(String),
    Number(f64),
    Numbers(Vec<f64>),
}

/// A `tune M { … }` block: speed and memory only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneSettings {
    pub model: String,
    pub recompute: Recompute,
}

/// What the reverse pass computes again instead of keeping. No bit of a result depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recompute {
    /// The compiler chooses, value by value.
    #[default]
    Auto,
    Nothing,
    /// States are kept; a step's other values are computed again from them.
    Steps,
    /// States are kept every √T steps along this time (Chen et al. 2016).
    Sqrt(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(selector: Selector) -> ParamRule {
        ParamRule {
            selector,
            lr: None,
            decay: None,
            frozen: None,
            init: None,
            fresh: None,
            lora: None,
        }
    }

    fn settings() -> TrainSettings {
        TrainSettings {
            model: "M".into(),
            data: "d".into(),
            batch: Batch::Rows(32),
            accumulate: 1,
            window: None,
            bptt: Some(70),
            length: Length::Epochs(3),
            optimizer: Optimizer::AdamW {
                lr: 1e-3,
                decay: 1e-2,
                betas: (0.9, 0.999),
                eps: 1e-8,
            },
            schedule: Schedule::Constant { warmup: 0 },
            clip: Clip::Norm(5.0),
            losses: Vec::new(),
            metrics: vec![Metric::Versus(Baseline::Bigram)],
            validate: Validate::EveryEpoch,
            stop: Some(Patience {
                checks: 2,
                on: Watched::Metric(Metric::Accuracy),
            }),
            weights: None,
            params: vec![
                ParamRule {
                    lr: Some(5e-4),
                    ..rule(Selector::Glob("rnn.*".into()))
                },
                ParamRule {
                    decay: Some(0.0),
                    ..rule(Selector::Vectors)
                },
                ParamRule {
                    lr: Some(1e-5),
                    frozen: Some(true),
                    ..rule(Selector::Glob("rnn.b*".into()))
                },
            ],
            precision: Precision::F32,
            seed: 42,
        }
    }

    #[test]
    fn later_rules_win_key_by_key() {
        let s = settings();
        let w = s.weight("rnn.Uf", 2);
        assert_eq!((w.lr, w.decay, w.frozen), (5e-4, 1e-2, false));
        let b = s.weight("rnn.bf", 1);
        assert_eq!((b.lr, b.decay, b.frozen), (1e-5, 0.0, true));
        let e = s.weight("embed.table", 2);
        assert_eq!((e.lr, e.decay, e.frozen), (1e-3, 1e-2, false));
    }

    #[test]
    fn settings_survive_a_run_folder() {
        let s = settings();
        let text = serde_json::to_string_pretty(&s).unwrap();
        assert_eq!(serde_json::from_str::<TrainSettings>(&text).unwrap(), s);
    }
}
