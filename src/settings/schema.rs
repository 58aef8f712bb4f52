//! The one table of settings.
//!
//! In: nothing. Out: for every setting its block, name, kind of value, default and meaning. Errors
//! ([`super::read`]), defaults and the reference in the guide ([`super::reference`]) all come from
//! here, so they cannot disagree. Long because it is a table.

use std::fmt;

/// Where a setting may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Block {
    Data,
    Train,
    /// Inside `params … { }` of a `train` block.
    Params,
    Generate,
    Tune,
}

impl Block {
    pub const ALL: [Block; 5] = [
        Block::Data,
        Block::Train,
        Block::Params,
        Block::Generate,
        Block::Tune,
    ];
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Block::Data => "data",
            Block::Train => "train",
            Block::Params => "params",
            Block::Generate => "generate",
            Block::Tune => "tune",
        })
    }
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    pub block: Block,
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written; `None` where the setting may be absent and nothing stands for it.
    pub default: Option<&'static str>,
    pub meaning: &'static str,
    pub built: Built,
}

/// Whether this version can run what the setting asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    Yes,
    NotYet,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number in `low..=high`.
    Whole {
        low: u64,
        high: u64,
    },
    Number(Range),
    /// Two numbers, `[0.9, 0.999]`.
    Pair(Range),
    /// A quoted text.
    Text,
    /// A column, a target or a metric, by name.
    Name,
    YesNo,
    /// One of these, `adam` or `adam(lr = 1e-3)`.
    Choice(&'static [Variant]),
    /// A number where the second kind is not meant: `32` or `tokens(4096)`.
    NumberOr {
        low: u64,
        high: u64,
        variants: &'static [Variant],
    },
    /// A quoted text where the second kind is not meant: `"v.txt"` or `idx(images = …)`.
    TextOr(&'static [Variant]),
    /// `[a, b]`; one value alone is a list of one.
    List(&'static Kind),
    /// A column of a table: `Date`, `"Closing price"`, or its number, counted from 1.
    Column,
    /// An expression over columns: read by the checker, not by this table.
    Expression,
}

/// Bounds of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    Any,
    /// > 0
    Positive,
    /// ≥ 0
    NotNegative,
    /// 0 ≤ x < 1
    Fraction,
    /// 0 < x ≤ 1
    Share,
    /// 0 < x < 1
    Inside,
}

impl Range {
    pub fn contains(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Range::Any => true,
                Range::Positive => x > 0.0,
                Range::NotNegative => x >= 0.0,
                Range::Fraction => (0.0..1.0).contains(&x),
                Range::Share => x > 0.0 && x <= 1.0,
                Range::Inside => x > 0.0 && x < 1.0,
            }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Range::Any => "a number",
            Range::Positive => "a number above 0",
            Range::NotNegative => "a number not below 0",
            Range::Fraction => "a number from 0 up to, not with, 1",
            Range::Share => "a number above 0 and at most 1",
            Range::Inside => "a number above 0 and below 1",
        })
    }
}

/// One choice and its arguments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variant {
    pub name: &'static str,
    pub args: &'static [Arg],
    pub meaning: &'static str,
    pub built: Built,
}

/// An argument, by position or by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arg {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Need,
    pub meaning: &'static str,
}

/// What stands for an argument that is not written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Need {
    Required,
    Default(&'static str),
    /// It may be absent.
    Optional,
}

const MAX: u64 = u32::MAX as u64;
/// The largest whole number that a literal holds exactly.
const MAX_LONG: u64 = 1 << 53;

const fn whole(low: u64) -> Kind {
    Kind::Whole { low, high: MAX }
}

const fn long(low: u64) -> Kind {
    Kind::Whole {
        low,
        high: MAX_LONG,
    }
}

const fn need(name: &'static str, kind: Kind, meaning: &'static str) -> Arg {
    Arg {
        name,
        kind,
        default: Need::Required,
        meaning,
    }
}

const fn arg(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Arg {
    Arg {
        name,
        kind,
        default: Need::Default(default),
        meaning,
    }
}

const fn maybe(name: &'static str, kind: Kind, meaning: &'static str) -> Arg {
    Arg {
        name,
        kind,
        default: Need::Optional,
        meaning,
    }
}

const fn built(name: &'static str, args: &'static [Arg], meaning: &'static str) -> Variant {
    Variant {
        name,
        args,
        meaning,
        built: Built::Yes,
    }
}

const fn later(name: &'static str, args: &'static [Arg], meaning: &'static str) -> Variant {
    Variant {
        name,
        args,
        meaning,
        built: Built::NotYet,
    }
}

const POSITIVE: Kind = Kind::Number(Range::Positive);
const NOT_NEGATIVE: Kind = Kind::Number(Range::NotNegative);
const FRACTION: Kind = Kind::Number(Range::Fraction);
const SHARE: Kind = Kind::Number(Range::Share);
const WARMUP: Arg = arg(
    "warmup",
    long(0),
    "0",
    "steps from the start over which the rate rises to its full value",
);
const BETAS: Arg = arg(
    "betas",
    Kind::Pair(Range::Fraction),
    "[0.9, 0.999]",
    "how much of the running means of the gradient and of its square stays at each step",
);
const EPS: Arg = arg(
    "eps",
    POSITIVE,
    "1e-8",
    "added to the root that is divided by",
);

pub const OPTIMIZERS: &[Variant] = &[
    built(
        "adam",
        &[
            arg(
                "lr",
                POSITIVE,
                "1e-3",
                "how far a step goes: the rate that `schedule` scales",
            ),
            BETAS,
            EPS,
        ],
        "per-weight steps from running means of the gradient and its square",
    ),
    built(
        "adamw",
        &[
            arg(
                "lr",
                POSITIVE,
                "1e-3",
                "how far a step goes: the rate that `schedule` scales",
            ),
            arg(
                "decay",
                NOT_NEGATIVE,
                "0.01",
                "the share of a weight that is taken off at each step, times the rate",
            ),
            BETAS,
            EPS,
        ],
        "adam, with each weight also shrunk by lr·decay at every step",
    ),
    built(
        "sgd",
        &[
            arg(
                "lr",
                POSITIVE,
                "0.1",
                "how far a step goes: the rate that `schedule` scales",
            ),
            arg(
                "momentum",
                FRACTION,
                "0",
                "how much of the last step is taken again",
            ),
            arg(
                "nesterov",
                Kind::YesNo,
                "no",
                "whether the gradient counts where the momentum leads",
            ),
        ],
        "plain gradient descent; with momentum where it is given, looking ahead by it with \
         `nesterov`",
    ),
    built(
        "rmsprop",
        &[
            arg(
                "lr",
                POSITIVE,
                "1e-3",
                "how far a step goes: the rate that `schedule` scales",
            ),
            arg(
                "smooth",
                FRACTION,
                "0.99",
                "how much of the running mean square stays at each step",
            ),
            EPS,
        ],
        "steps divided by the root of a running mean square",
    ),
    built(
        "adagrad",
        &[
            arg(
                "lr",
                POSITIVE,
                "0.01",
                "how far a step goes: the rate that `schedule` scales",
            ),
            arg(
                "eps",
                POSITIVE,
                "1e-10",
                "added to the root that is divided by",
            ),
        ],
        "steps divided by the root of the sum of all squares so far",
    ),
];

pub const SCHEDULES: &[Variant] = &[
    built("constant", &[WARMUP], "the same rate throughout"),
    built(
        "cosine",
        &[
            WARMUP,
            arg(
                "final",
                FRACTION,
                "0",
                "the share of the rate that is left at the last step",
            ),
        ],
        "half a cosine down to the fraction `final` at the last step",
    ),
    built(
        "linear",
        &[
            WARMUP,
            arg(
                "final",
                FRACTION,
                "0",
                "the share of the rate that is left at the last step",
            ),
        ],
        "a straight line down to the fraction `final` at the last step",
    ),
    built(
        "step",
        &[
            need("every", long(1), "steps between two changes of the rate"),
            arg("factor", SHARE, "0.1", "what the rate is multiplied by"),
            WARMUP,
        ],
        "times `factor` after every `every` steps",
    ),
    built(
        "exponential",
        &[
            need(
                "factor",
                SHARE,
                "what the rate is multiplied by at every step",
            ),
            WARMUP,
        ],
        "times `factor` at every step",
    ),
    built(
        "plateau",
        &[
            arg("factor", SHARE, "0.5", "what the rate is multiplied by"),
            arg(
                "patience",
                whole(1),
                "5",
                "measurements in a row without a new best, past which the rate falls",
            ),
            WARMUP,
        ],
        "times `factor` when the validation loss stops improving",
    ),
    built(
        "onecycle",
        &[arg(
            "up",
            FRACTION,
            "0.3",
            "the share of the run in which the rate rises",
        )],
        "up for this share of the run, then down",
    ),
];

pub const CLIPS: &[Variant] = &[
    built("none", &[], "gradients as they are"),
    built(
        "norm",
        &[need(
            "max",
            POSITIVE,
            "the largest norm that is left as it is",
        )],
        "all gradients scaled down together to at most this norm",
    ),
    built(
        "value",
        &[need(
            "max",
            POSITIVE,
            "the largest size of an element that is left as it is",
        )],
        "each gradient element cut to this size",
    ),
];

pub const LOSSES: &[Variant] = &[
    built(
        "cross_entropy",
        &[arg(
            "smoothing",
            FRACTION,
            "0",
            "the share of the truth that is spread over all classes",
        )],
        "minus the log of the true class's probability, in nats; in training `smoothing` of the \
         truth is spread over all classes",
    ),
    built(
        "binary_cross_entropy",
        &[],
        "the same for yes-or-no units, summed over them",
    ),
    built("mse", &[], "squared error, mean over features"),
    built(
        "perceptron",
        &[],
        "the score's distance to the right side of 0, where it is on the wrong one",
    ),
    built(
        "hinge",
        &[],
        "how far the score is from 1 on the right side of 0, summed over units",
    ),
    built("mae", &[], "absolute error, mean over features"),
    built(
        "huber",
        &[arg(
            "delta",
            POSITIVE,
            "1",
            "the error up to which the loss is a square",
        )],
        "half the squared error up to `delta`, straight past it, mean over features",
    ),
    built(
        "quantile",
        &[need(
            "q",
            Kind::Number(Range::Inside),
            "the share of answers that should lie below the prediction",
        )],
        "the error times `q` where too low, times 1 − `q` where too high: learns that quantile",
    ),
];

pub const METRICS: &[Variant] = &[
    built("perplexity", &[], "exp of the mean cross-entropy"),
    built("bits_per_char", &[], "mean cross-entropy in bits"),
    built(
        "accuracy",
        &[],
        "share of steps or examples whose likeliest class is true",
    ),
    built(
        "top",
        &[need("k", whole(1), "how many classes count as an answer")],
        "share of steps or examples whose true class is among the `k` likeliest",
    ),
    built("mae", &[], "mean absolute error, in the column's own unit"),
    built("mse", &[], "mean squared error, in the column's own unit"),
    built("rmse", &[], "root of `mse`"),
    built(
        "mape",
        &[],
        "mean absolute error as a share of the true value, where that is not 0",
    ),
    built(
        "versus",
        &[need(
            "rival",
            Kind::Name,
            "a column, or what is counted in the training part",
        )],
        "what `bigram` counts, the `majority`, the `most_frequent` class of a symbol, \
         `naive_bayes` or a column as prediction achieve",
    ),
    built(
        "copied",
        &[],
        "share of generated lines that stand in the training part",
    ),
    built(
        "f1",
        &[arg(
            "average",
            Kind::Choice(AVERAGES),
            "macro",
            "how the scores of classes become one",
        )],
        "harmonic mean of precision and recall",
    ),
    built(
        "entity_f1",
        &[],
        "the same of whole entities, in sequences of tags like `B-PER`, `I-PER`, `O`",
    ),
    built(
        "confusion",
        &[],
        "counts of true against predicted classes, as a table and a picture",
    ),
    built(
        "bleu",
        &[],
        "runs of words that a text written from inputs shares with the true one, 0 to 100",
    ),
];

const AVERAGES: &[Variant] = &[
    built(
        "macro",
        &[],
        "of each class (or unit) that occurs, then the mean",
    ),
    built("micro", &[], "of all answers together"),
];

pub const VALIDATES: &[Variant] = &[
    built("epoch", &[], "after each pass over the training part"),
    built(
        "every",
        &[need("steps", long(1), "steps between two measurements")],
        "after this many steps",
    ),
];

pub const STOPS: &[Variant] = &[
    built("never", &[], "run to the end"),
    built(
        "patience",
        &[
            need(
                "checks",
                whole(1),
                "measurements in a row without a new best",
            ),
            arg(
                "on",
                Kind::Name,
                "valid.loss",
                "the measure that has to improve: `valid.loss`, `valid.f1`",
            ),
        ],
        "after this many measurements in a row without a new best",
    ),
];

pub const PRECISIONS: &[Variant] = &[
    built("f32", &[], "32-bit floating point"),
    built(
        "bf16",
        &[],
        "weights of products rounded to 16 bits where nothing is trained: in `eval`, `predict`, `generate` and measurements of the validation part; all else, and training, in f32",
    ),
];

pub const INITS: &[Variant] = &[
    built("zeros", &[], "all 0"),
    built("ones", &[], "all 1"),
    built("xavier", &[], "uniform in ±√(6 / (rows + columns))"),
    built("he", &[], "uniform in ±√(6 / columns)"),
    built("orthogonal", &[], "rows or columns orthonormal"),
    built(
        "normal",
        &[arg("std", POSITIVE, "1", "the standard deviation")],
        "normal with mean 0",
    ),
    built(
        "uniform",
        &[need("bound", POSITIVE, "the largest absolute value")],
        "uniform in ± this bound",
    ),
    built(
        "constant",
        &[need("value", Kind::Number(Range::Any), "of every entry")],
        "all this value",
    ),
];

pub const SEARCHES: &[Variant] = &[
    built("sample", &[], "draw each step from the probabilities"),
    built("greedy", &[], "take the likeliest at each step"),
    built(
        "beam",
        &[
            need(
                "width",
                whole(1),
                "how many beginnings are kept at each step",
            ),
            arg(
                "length_penalty",
                NOT_NEGATIVE,
                "0",
                "above 0 ranks longer texts higher: the power of (5 + length) / 6 that divides ln P",
            ),
        ],
        "search for the likeliest sequence, this many kept at each step; ranked by ln P / ((5 + length) / 6)^penalty",
    ),
];

pub const RECOMPUTES: &[Variant] = &[
    built("auto", &[], "the compiler chooses, value by value"),
    built("nothing", &[], "keep every value"),
    built(
        "steps",
        &[],
        "keep the states, draws and outputs of a scan, and compute each step again from them: an eighth less memory for an LSTM, more for cells with more inside, none for some; one more forward pass of the scan",
    ),
    later(
        "sqrt",
        &[need("time", Kind::Name, "the time that is cut into pieces")],
        "keep states every √T steps along this time",
    ),
];

pub const BATCHES: &[Variant] = &[built(
    "tokens",
    &[need("steps", whole(1), "steps of a batch, padding counted")],
    "as many examples of similar length as hold about this many steps",
)];

const FILE: Arg = need(
    "file",
    Kind::Text,
    "a path, counted from the folder of the `.seq` file",
);
const BLOCKS: &[Variant] = &[
    built("no", &[], "one example a row"),
    built(
        "blank_line",
        &[],
        "one example a run of rows between blank lines",
    ),
];

/// What tables, `csv` and `tsv`, have besides.
const SORT: Arg = maybe(
    "sort",
    Kind::Column,
    "the column by which rows are put in order, least first: of numbers, or of ISO dates (2021-06-25, also 2021-06-25 14:30)",
);
const EXAMPLES: Arg = arg("blocks", Kind::Choice(BLOCKS), "no", "what an example is");

/// What may stand after `from =` in a data block.
pub const SOURCES: &[Variant] = &[
    built(
        "text",
        &[FILE],
        "one long text; what a bare file name means",
    ),
    built(
        "lines",
        &[FILE],
        "one example a line; blank lines are skipped",
    ),
    built(
        "csv",
        &[
            FILE,
            arg(
                "header",
                Kind::YesNo,
                "yes",
                "whether the first line names the columns",
            ),
            SORT,
            EXAMPLES,
        ],
        "comma-separated, with RFC 4180's quotes",
    ),
    built(
        "tsv",
        &[
            FILE,
            arg(
                "header",
                Kind::YesNo,
                "no",
                "whether the first line names the columns",
            ),
            SORT,
            EXAMPLES,
        ],
        "tab-separated, without quotes",
    ),
    built(
        "rows",
        &[
            need("count", whole(1), "how many examples"),
            arg("seed", long(0), "0", "of what is drawn"),
        ],
        "made-up examples: every column is an expression",
    ),
    built(
        "tensors",
        &[FILE],
        "a safetensors file; the first axis of each tensor is the example",
    ),
    built(
        "jsonl",
        &[FILE],
        "one JSON object a line; its texts, numbers, `true` and `false` are cells",
    ),
    built(
        "idx",
        &[
            need("images", Kind::Text, "the file of pictures"),
            need("labels", Kind::Text, "the file of their labels"),
        ],
        "MNIST's format: `pixels()` reads the images, `labels()` the labels",
    ),
];

/// What may stand after `|>` in a column.
pub const STEPS: &[Variant] = &[
    built("chars", &[], "a text as its Unicode characters"),
    built(
        "labels",
        &[maybe(
            "none",
            Kind::Text,
            "the text that says that there is no class",
        )],
        "a text as the name of a class; `none` says that there is no class, and as a target counts \
         neither in the loss nor in metrics",
    ),
    built("lower", &[], "lower case"),
    built("nfc", &[], "Unicode's composed form"),
    built("log", &[], "natural logarithm"),
    built(
        "scale",
        &[
            arg(
                "low",
                Kind::Number(Range::Any),
                "0",
                "what the least value becomes",
            ),
            arg(
                "high",
                Kind::Number(Range::Any),
                "1",
                "what the greatest value becomes",
            ),
        ],
        "linear, so that the training part's least and greatest value become these",
    ),
    built(
        "zscore",
        &[arg(
            "fit",
            Kind::Choice(FITS),
            "train",
            "the part whose mean and deviation are taken",
        )],
        "minus the training part's mean, divided by its standard deviation",
    ),
    built(
        "window",
        &[need("steps", whole(1), "rows of a window")],
        "the rows that end with this one, as a sequence",
    ),
    built(
        "steps",
        &[need("steps", whole(1), "steps of the sequence")],
        "features side by side as a sequence of this many steps",
    ),
    built(
        "first",
        &[],
        "the first value of a sequence alone: of a block's rows, of a window",
    ),
    built("last", &[], "the last value of a sequence alone"),
    built(
        "multihot",
        &[need(
            "units",
            whole(1),
            "how many there are; numbers count from 0",
        )],
        "a text of numbers as units that are 0 or 1",
    ),
    built(
        "split",
        &[need(
            "separator",
            Kind::Text,
            "what stands between two pieces",
        )],
        "a text cut at each separator, as a sequence",
    ),
    built(
        "words",
        &[
            arg(
                "min_count",
                whole(1),
                "1",
                "the least often that a word stands in the training part, to be kept",
            ),
            maybe(
                "max",
                whole(1),
                "the most words that are kept, the most frequent",
            ),
            arg(
                "punctuation",
                Kind::Choice(PUNCTUATION),
                "attached",
                "whether marks are words of their own",
            ),
        ],
        "a text as its words, and each line end; `<unknown>` is what is left out",
    ),
    built(
        "bpe",
        &[need("symbols", whole(256), "pieces in the vocabulary")],
        "a text as this many pieces, joined from bytes by frequency; every text has them",
    ),
    built(
        "tokenizer",
        &[
            FILE,
            maybe("end", Kind::Text, "the symbol of the file that is `<end>`"),
        ],
        "a text as the pieces of a `tokenizer.json` made elsewhere; `end` names its symbol for `<end>`",
    ),
    built(
        "pixels",
        &[],
        "an image as its grey values; `scale` and `zscore` take all of them together",
    ),
];

const PUNCTUATION: &[Variant] = &[
    built("attached", &[], "a word is all that stands between blanks"),
    built(
        "apart",
        &[],
        "cut at Unicode's word boundaries (UAX #29): each mark is a word by itself",
    ),
];

const FITS: &[Variant] = &[built("train", &[], "from the training part only")];

/// What may stand after `missing =` of `column` and `columns`, besides a number.
pub const MISSING: &[Variant] = &[
    built("drop", &[], "leaves the row out, before the split"),
    built(
        "previous",
        &[],
        "the value of the nearest row above in the same file",
    ),
    built("mean", &[], "the training part's mean"),
];

/// What may stand after `split =` in a data block.
pub const SPLITS: &[Variant] = &[
    built(
        "parts",
        &[
            need(
                "train",
                NOT_NEGATIVE,
                "percent of the examples, to learn from",
            ),
            arg(
                "valid",
                NOT_NEGATIVE,
                "0",
                "percent of the examples, measured while training",
            ),
            arg(
                "test",
                NOT_NEGATIVE,
                "0",
                "percent of the examples, kept for the end",
            ),
            maybe(
                "by",
                Kind::Choice(ORDERS),
                "`time` takes the parts in the order of the rows; without it they are shuffled",
            ),
            maybe(
                "stratify",
                Kind::Name,
                "a column of classes: each part gets the same share of every class",
            ),
        ],
        "percentages; a seeded shuffle, but one text or series is cut in order",
    ),
    built(
        "files",
        &[
            maybe(
                "valid",
                Kind::TextOr(PAIR),
                "the file of the validation part",
            ),
            maybe("test", Kind::TextOr(PAIR), "the file of the test part"),
        ],
        "other files of the same form; of idx a pair",
    ),
];

const PAIR: &[Variant] = &[built(
    "idx",
    &[
        need("images", Kind::Text, "the file of pictures"),
        need("labels", Kind::Text, "the file of their labels"),
    ],
    "two files of a part",
)];

const ORDERS: &[Variant] = &[built("time", &[], "in the order of the rows")];

const fn entry(
    block: Block,
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Entry {
    Entry {
        block,
        name,
        kind,
        default,
        meaning,
        built: Built::Yes,
    }
}

/// Every setting, in the order of the reference.
pub const ENTRIES: &[Entry] = &[
    entry(
        Block::Data,
        "from",
        Kind::Choice(SOURCES),
        None,
        "where the examples come from; a file's name alone means `text(…)`",
    ),
    entry(
        Block::Data,
        "keep",
        Kind::Expression,
        None,
        "keeps the examples for which this holds",
    ),
    entry(
        Block::Data,
        "split",
        Kind::Choice(SPLITS),
        Some("parts(90, 5, 5)"),
        "training, validation and test parts",
    ),
    entry(
        Block::Train,
        "batch",
        Kind::NumberOr {
            low: 1,
            high: MAX,
            variants: BATCHES,
        },
        Some("32"),
        "examples in one step, or parallel streams of one long text",
    ),
    entry(
        Block::Train,
        "accumulate",
        Kind::Whole { low: 1, high: 1000 },
        Some("1"),
        "parts that a batch is computed in, one after the other, their gradients added up: the same \
         update in less memory",
    ),
    entry(
        Block::Train,
        "window",
        whole(1),
        None,
        "steps of a long sequence that one example holds",
    ),
    entry(
        Block::Train,
        "bptt",
        whole(1),
        None,
        "steps after which gradients are cut while states are carried on",
    ),
    entry(
        Block::Train,
        "epochs",
        long(1),
        Some("10"),
        "passes over the training part; not with `steps`",
    ),
    entry(
        Block::Train,
        "steps",
        long(1),
        None,
        "updates of the weights; not with `epochs`",
    ),
    entry(
        Block::Train,
        "optimizer",
        Kind::Choice(OPTIMIZERS),
        Some("adam"),
        "the update rule",
    ),
    entry(
        Block::Train,
        "schedule",
        Kind::Choice(SCHEDULES),
        Some("constant"),
        "how the learning rate changes; `warmup` steps rise to it linearly",
    ),
    entry(
        Block::Train,
        "clip",
        Kind::Choice(CLIPS),
        Some("none"),
        "bounds the gradients before the update",
    ),
    entry(
        Block::Train,
        "loss",
        Kind::Choice(LOSSES),
        None,
        "instead of the loss of the target's unit; `loss.name` for one of several targets",
    ),
    entry(
        Block::Train,
        "weight",
        NOT_NEGATIVE,
        Some("1"),
        "factor on a target's loss, as `weight.name`",
    ),
    entry(
        Block::Train,
        "metrics",
        Kind::List(&Kind::Choice(METRICS)),
        None,
        "numbers reported for each part; by default what fits each target's unit",
    ),
    entry(
        Block::Train,
        "validate",
        Kind::Choice(VALIDATES),
        Some("epoch"),
        "when the validation part is measured",
    ),
    entry(
        Block::Train,
        "stop",
        Kind::Choice(STOPS),
        Some("never"),
        "ends training early",
    ),
    entry(
        Block::Train,
        "weights",
        Kind::Text,
        None,
        "a safetensors file, or the folder of a run, to start from: every weight that is not `fresh`",
    ),
    entry(
        Block::Train,
        "precision",
        Kind::Choice(PRECISIONS),
        Some("f32"),
        "what weights are kept in when predicting",
    ),
    entry(
        Block::Train,
        "seed",
        long(0),
        Some("0"),
        "of initial weights, order of examples and dropout",
    ),
    entry(
        Block::Params,
        "lr",
        POSITIVE,
        None,
        "instead of the optimizer's rate",
    ),
    entry(
        Block::Params,
        "decay",
        NOT_NEGATIVE,
        None,
        "instead of the optimizer's decay",
    ),
    entry(
        Block::Params,
        "frozen",
        Kind::YesNo,
        Some("no"),
        "keeps the weights as they start",
    ),
    entry(
        Block::Params,
        "init",
        Kind::Choice(INITS),
        None,
        "instead of the model's own start",
    ),
    entry(
        Block::Params,
        "fresh",
        Kind::YesNo,
        Some("no"),
        "starts as the model says where `weights` gives the others their start",
    ),
    entry(
        Block::Params,
        "lora",
        whole(1),
        None,
        "keeps the weights, and trains a low-rank update B·A of each matrix, of this rank",
    ),
    entry(
        Block::Generate,
        "prompt",
        Kind::Text,
        Some("\"\""),
        "what the output begins with",
    ),
    entry(
        Block::Generate,
        "length",
        whole(1),
        Some("200"),
        "the most steps to generate",
    ),
    entry(
        Block::Generate,
        "temperature",
        NOT_NEGATIVE,
        Some("1"),
        "divides the logits; 0 always takes the likeliest",
    ),
    entry(
        Block::Generate,
        "top_k",
        whole(1),
        None,
        "draws from this many likeliest only",
    ),
    entry(
        Block::Generate,
        "top_p",
        SHARE,
        None,
        "draws from the smallest set of likeliest with this probability",
    ),
    entry(
        Block::Generate,
        "search",
        Kind::Choice(SEARCHES),
        Some("sample"),
        "how the next step is chosen",
    ),
    entry(Block::Generate, "seed", long(0), Some("0"), "of the draws"),
    entry(
        Block::Tune,
        "recompute",
        Kind::Choice(RECOMPUTES),
        Some("auto"),
        "what the reverse pass computes again instead of keeping",
    ),
];

/// The settings of one block, in the reference's order.
pub fn entries(block: Block) -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().filter(move |e| e.block == block)
}

pub fn find(block: Block, name: &str) -> Option<&'static Entry> {
    entries(block).find(|e| e.name == name)
}
