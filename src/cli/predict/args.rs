//! What can be typed after `seqc predict`.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Jsonl,
    Npy,
    Npz,
    Safetensors,
}

#[derive(clap::Args, Debug)]
pub struct PredictArgs {
    /// A run folder.
    pub run: PathBuf,
    /// Inputs in the form of the run's data, answers left out; or `.safetensors`, a tensor for each field
    /// by name; or, where the data was made up, CSV with a column for each field (`x.0`, `x.1` for one of
    /// several numbers), of sequences a row for each step and a blank line between two. `-` is standard input: each line is answered at once, and along one long text or
    /// series states are carried on.
    pub input: PathBuf,
    /// The form of the result. csv: a line for each example and step; a class or token `y` gives the
    /// likeliest label `y` and its probability `y.p`. jsonl: an object for each example, or for each step
    /// of a series. npz: an array `[example, step, value]` for each prediction; npy: the only one. Of a class
    /// or token `y` the values are the probabilities of all labels, which are named in order in the array
    /// `y.labels`. Numbers are in the unit of their column of the data. safetensors: as npz, as the model
    /// computes them.
    /// Without it: by the ending of --output, else csv.
    #[arg(long, value_enum)]
    pub to: Option<Format>,
    /// Gives the probability of every label too: columns `y.<label>`, in JSON an object `y.all`.
    #[arg(long)]
    pub probabilities: bool,
    /// Gives the line of INPUT that each answer is for, as `line`: where windows, `next` or
    /// `missing = drop` leave rows without an answer, their count is not the answers'. csv and jsonl.
    #[arg(long)]
    pub lines: bool,
    /// Writes here instead of stdout.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

impl PredictArgs {
    /// The form of the result.
    pub fn form(&self) -> Format {
        self.to.or_else(|| self.ending()).unwrap_or(Format::Csv)
    }

    /// The form that the ending of --output stands for.
    pub fn ending(&self) -> Option<Format> {
        let ending = self.output.as_deref()?.extension()?.to_str()?;
        Format::from_str(ending, true).ok()
    }
}
