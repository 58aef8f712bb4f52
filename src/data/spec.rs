//! What a `data` block says and what a model asks of it, as plain typed values.
//!
//! In: built by the checker from the syntax tree, every key and value already checked against the
//! schema. Out: [`DataSpec`] and [`Wanted`], which [`super::Dataset::load`] reads. Spans point into
//! the `.seq` file, so that an error in a data file can also show the setting that led there.

use std::collections::BTreeSet;

use crate::span::{Span, Spanned};

mod wanted;

pub use wanted::{Field, FieldRole, Most, Time, Unit, Wanted};

/// One `data` block.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    pub name: Spanned<String>,
    pub source: Source,
    /// In order of appearance; a column may use the names of any other, without a cycle.
    pub columns: Vec<ColumnSpec>,
    /// `keep = condition`: examples where it is 0 are left out, before the split.
    pub keep: Option<ColumnExpr>,
    pub split: Split,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub kind: SourceKind,
    pub span: Span,
}

/// A path as written, relative to the folder of the `.seq` file.
pub type PathText = Spanned<String>;

#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// `text("f.txt")`, or a bare file name: one long text.
    Text(PathText),
    /// One example a line; blank lines are skipped.
    Lines(PathText),
    /// Comma-separated with RFC 4180's quotes.
    Csv(Table),
    /// Tab-separated, no quotes.
    Tsv(Table),
    /// One JSON object a line.
    Jsonl(PathText),
    /// MNIST's format; new pictures have no labels yet.
    Idx {
        images: PathText,
        labels: Option<PathText>,
    },
    /// `rows(50000, seed = 1)`: every column is an expression.
    Rows { count: usize, seed: u64 },
    /// A safetensors file; the first axis of each tensor is the example.
    Tensors(PathText),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub path: PathText,
    /// Whether the first row names the columns: by default yes for csv, no for tsv.
    pub header: bool,
    /// Rows are put in the order of this column: by value where all are numbers, else by text.
    pub sort: Option<Spanned<ColumnRef>>,
    /// `blocks = blank_line`: an example is a run of rows between blank lines, one row a step.
    pub blocks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnRef {
    Named(String),
    /// Counted from 1.
    At(usize),
}

/// `x = e`, or `m[t] = e` with one index.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    pub name: Spanned<String>,
    /// The indices on the left; at most one is meant.
    pub indices: Vec<Spanned<String>>,
    pub value: ColumnExpr,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnExpr {
    pub kind: ColumnKind,
    pub span: Span,
}

impl SourceKind {
    /// Puts the place where the source's files are named.
    pub fn named_at(&mut self, at: Span) {
        match self {
            SourceKind::Text(p)
            | SourceKind::Lines(p)
            | SourceKind::Jsonl(p)
            | SourceKind::Tensors(p) => p.span = at,
            SourceKind::Csv(t) | SourceKind::Tsv(t) => t.path.span = at,
            SourceKind::Idx { images, labels } => {
                images.span = at;
                labels.iter_mut().for_each(|l| l.span = at);
            }
            SourceKind::Rows { .. } => {}
        }
    }
}

impl DataSpec {
    /// The named columns of the source that the block reads.
    pub fn columns_read(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for c in &self.columns {
            c.value.reads(&c.name.node, &mut out);
        }
        if let Some(keep) = &self.keep {
            keep.reads("keep", &mut out);
        }
        out
    }
}

impl DataSpec {
    /// Those of [`DataSpec::columns_read`] whose cells may be missing.
    pub fn columns_filled(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let all = self.columns.iter().map(|c| &c.value).chain(&self.keep);
        all.for_each(|e| e.fills(&mut out));
        out
    }
}

impl ColumnExpr {
    /// `name` is the column whose equation this stands in.
    fn reads(&self, name: &str, out: &mut BTreeSet<String>) {
        let mut add = |c: &ColumnRef| match c {
            ColumnRef::Named(name) => {
                out.insert(name.clone());
            }
            ColumnRef::At(_) => {}
        };
        match &self.kind {
            ColumnKind::Whole => add(&ColumnRef::Named(name.to_string())),
            ColumnKind::Column(c) => add(c),
            ColumnKind::Columns(all) => all.iter().for_each(add),
            _ => self.parts().iter().for_each(|p| p.reads(name, out)),
        }
    }

    /// The named columns whose missing cells are dealt with.
    fn fills(&self, out: &mut BTreeSet<String>) {
        match &self.kind {
            ColumnKind::Filled { columns, .. } => columns.reads("", out),
            _ => self.parts().iter().for_each(|p| p.fills(out)),
        }
    }

    /// Whether it, or an expression it is made of, is such.
    pub fn holds(&self, such: &dyn Fn(&ColumnExpr) -> bool) -> bool {
        such(self) || self.parts().iter().any(|p| p.holds(such))
    }

    /// The expressions it is made of.
    pub fn parts(&self) -> Vec<&ColumnExpr> {
        match &self.kind {
            ColumnKind::Number(_)
            | ColumnKind::Text(_)
            | ColumnKind::Name(_)
            | ColumnKind::Whole
            | ColumnKind::Column(_)
            | ColumnKind::Columns(_) => Vec::new(),
            ColumnKind::Step { input, .. } => vec![input],
            ColumnKind::Filled { columns, .. } => vec![columns],
            ColumnKind::Next(value, _)
            | ColumnKind::Length(value)
            | ColumnKind::Unary(_, value)
            | ColumnKind::Reduce { value, .. }
            | ColumnKind::Index(value, _) => vec![value],
            ColumnKind::Binary(_, a, b) => vec![a, b],
            ColumnKind::Choose(a, b, c) => vec![a, b, c],
            ColumnKind::Uniform { low, high, .. } => vec![low, high],
            ColumnKind::Randint { n, .. } => vec![n],
            ColumnKind::List(parts) => parts.iter().collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    Number(f64),
    /// A quoted string, to compare a column with (`column(lang) == "hi"`).
    Text(String),
    /// Another column, or an index of the equation (`t`), whose value counts from 0.
    Name(String),
    /// What a step without input reads (`text = chars()`): the whole text or line; in a table the
    /// column with the equation's name.
    Whole,
    Column(ColumnRef),
    /// Several numeric columns side by side.
    Columns(Vec<ColumnRef>),
    /// `column(x, missing = drop)`: numbers whose cells may be missing. `columns` is a
    /// [`ColumnKind::Column`] or [`ColumnKind::Columns`].
    Filled {
        columns: Box<ColumnExpr>,
        missing: Missing,
    },
    /// `input |> step`.
    Step {
        input: Box<ColumnExpr>,
        step: Step,
    },
    /// The value this many rows ahead, 1 by default; the last rows of a part have none and are left
    /// out.
    Next(Box<ColumnExpr>, usize),
    /// Symbols or steps of a sequence, before any `<end>`.
    Length(Box<ColumnExpr>),
    Unary(Unary, Box<ColumnExpr>),
    /// A comparison chain `a < b < c` is written `a < b and b < c`.
    Binary(Binary, Box<ColumnExpr>, Box<ColumnExpr>),
    Choose(Box<ColumnExpr>, Box<ColumnExpr>, Box<ColumnExpr>),
    /// A draw from `[low, high)`; one for each step `over` a time.
    Uniform {
        low: Box<ColumnExpr>,
        high: Box<ColumnExpr>,
        over: Option<Spanned<String>>,
    },
    /// A whole number from 0 to n − 1.
    Randint {
        n: Box<ColumnExpr>,
        over: Option<Spanned<String>>,
    },
    /// `[a, b]`: features side by side.
    List(Vec<ColumnExpr>),
    /// Over a time (or index) where named, else over the features.
    Reduce {
        op: Reduce,
        value: Box<ColumnExpr>,
        over: Option<Spanned<String>>,
    },
    /// `v[t]`: the step of a sequence named by an index of the equation.
    Index(Box<ColumnExpr>, Spanned<String>),
}

/// What stands for a missing value: an empty cell or `null`; of numbers also one of the usual words for
/// it, which as a text may be a label like any.
#[derive(Clone, Debug, PartialEq)]
pub enum Missing {
    /// The row is left out, before the split.
    Drop,
    /// The value of the nearest row above in the same file.
    Previous,
    /// The training part's mean.
    Mean,
    Number(f64),
    Text(String),
}

/// A stage of a column's pipe.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Unicode scalar values.
    Chars,
    /// The whole text as one class; on a sequence of texts, one class a step.
    Labels,
    /// The same, where this text says that there is no class.
    LabelsBut(String),
    Lower,
    Nfc,
    /// Natural logarithm.
    Log,
    /// Linear, so that the training part's least and greatest value become `low` and `high`.
    Scale {
        low: f64,
        high: f64,
    },
    /// Minus the training part's mean, divided by its standard deviation, for each feature.
    Zscore,
    /// The `n` rows that end with this one, as a sequence.
    Window(usize),
    /// A text of numbers below `n`, parted by blanks, as `n` features that are 0 or 1.
    Multihot(usize),
    /// A text cut at each separator, as a sequence.
    Split(String),
    Words {
        min_count: usize,
        max: Option<usize>,
        /// `punctuation = apart`: marks are symbols by themselves.
        apart: bool,
    },
    Bpe(usize),
    /// `tokenizer("tokenizer.json", end = "</s>")`: made elsewhere.
    Tokenizer {
        file: PathText,
        /// Its symbol that is `<end>`; else one is added.
        end: Option<String>,
    },
    Pixels,
    /// Features side by side as a sequence of `n` steps.
    Steps(usize),
    /// One step of a sequence.
    First,
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    Neg,
    Not,
    Exp,
    Log,
    Sqrt,
    Abs,
    Tanh,
    Sigmoid,
    Relu,
    Sin,
    Cos,
    Step,
    Floor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    /// The remainder with the sign of the divisor.
    Mod,
    Lt,
    Le,
    Eq,
    Ne,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    Sum,
    Mean,
    Max,
    Min,
}

/// How the source is divided into the training, validation and test part.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// Shares in percent; what they leave of 100 is not used.
    Parts {
        shares: [f64; 3],
        by: SplitBy,
        span: Span,
    },
    /// The source is the training part; the others are files of the same form.
    Files {
        valid: Option<PartFile>,
        test: Option<PartFile>,
        span: Span,
    },
}

/// The file of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct PartFile {
    /// Of idx the images.
    pub path: PathText,
    /// Of idx alone.
    pub labels: Option<PathText>,
}

impl From<PathText> for PartFile {
    fn from(path: PathText) -> PartFile {
        PartFile { path, labels: None }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum SplitBy {
    /// A shuffle of the examples by a fixed seed. One long text or series, and tables cut by
    /// `window` or `next`, are always contiguous.
    Shuffle,
    /// In the order of the rows.
    Time,
    /// Shuffled, each class of this column in the same shares.
    Stratify(Spanned<String>),
}
