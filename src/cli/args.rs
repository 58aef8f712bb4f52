//! What can be typed: verbs and flags. Long because it lists them all.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::settings::schema::{self, Block};

/// A compiler for sequence models: check, train, evaluate, generate, predict.
#[derive(Parser, Debug)]
#[command(name = "seqc", version, propagate_version = true)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that mean nothing to a verb that reads no data and runs nothing.
const IDLE: &[&str] = &[
    "device", "threads", "seed", "set", "data", "quiet", "verbose",
];

/// Flags of every verb that mean nothing to it, and are not shown with it.
const UNUSED: [(&str, &[&str]); 4] = [
    ("new", IDLE),
    ("fmt", IDLE),
    ("explain", IDLE),
    // It measures on so many threads.
    (
        "doctor",
        &["device", "seed", "set", "data", "quiet", "verbose"],
    ),
];

/// The command line of this process.
pub fn parse() -> Result<Args, clap::Error> {
    let matches = command().try_get_matches().map_err(settings_are_set)?;
    Args::from_arg_matches(&matches)
}

/// An unknown flag that is called as a setting: how the setting is given.
fn settings_are_set(mut e: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = e.get(ContextKind::InvalidArg) else {
        return e;
    };
    let name = flag.trim_start_matches('-').replace('-', "_");
    let blocks = [Block::Train, Block::Generate];
    let has = |b: &Block| schema::find(*b, &name).is_some();
    let Some(block) = blocks.into_iter().find(has) else {
        return e;
    };
    let tip = format!("a setting of the file is overridden by '--set {block}.{name}=VALUE'");
    e.remove(ContextKind::SuggestedArg);
    e.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![tip.into()]),
    );
    e
}

fn command() -> clap::Command {
    let mut command = Args::command();
    for (verb, flags) in UNUSED {
        let shared = command.clone();
        let hidden = shared
            .get_arguments()
            .filter(|a| flags.contains(&a.get_id().as_str()));
        let hidden: Vec<clap::Arg> = hidden.map(|a| a.clone().hide(true)).collect();
        // A flag that a verb has already is not given to it again.
        command = command.mut_subcommand(verb, |verb| verb.args(hidden));
    }
    command
}

/// Flags of every verb.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// What the program runs on.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub device: Device,
    /// Threads to use; the result is the same, bit for bit, for any number.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Overrides the seed of the file.
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
    /// Overrides a setting of the file, for example `train.batch=16`.
    #[arg(long, global = true, value_name = "BLOCK.NAME=VALUE")]
    pub set: Vec<String>,
    /// Binds the source of a data block to a file or folder: `names=PATH`.
    #[arg(long, global = true, value_name = "NAME=PATH")]
    pub data: Vec<String>,
    /// Prints the result as one JSON object on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours on the terminal.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: Color,
    /// Only errors on stderr.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More on stderr.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Device {
    Auto,
    Cpu,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Says everything that can be known before running: of the program, and of data up to 8 MiB.
    Check(CheckArgs),
    /// Trains a model; writes a run folder.
    Train(TrainArgs),
    /// Measures a run, or a file with weights, on a part of the data.
    Eval(EvalArgs),
    /// Writes text (or numbers) with a trained model.
    Generate(GenerateArgs),
    /// Predicts for new inputs.
    Predict(super::predict::args::PredictArgs),
    /// Turns weights of other programs into those of a model.
    Import(ImportArgs),
    /// Times what a file costs on this machine, against what the machine can do.
    Bench(super::bench::args::BenchArgs),
    /// Prints a stage of the compiler.
    Emit(EmitArgs),
    /// Compares stages of the compiler with recorded ones; fails where they changed.
    Snapshot(SnapshotArgs),
    /// Explains an error's code, a word, a setting, a library cell, a layer or a function.
    Explain(ExplainArgs),
    /// Formats files in place.
    Fmt(FmtArgs),
    /// Says what was found on this machine.
    Doctor,
    /// Writes a starter file.
    New(NewArgs),
}

#[derive(clap::Args, Debug)]
pub struct CheckArgs {
    /// `.seq` files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Prints the file with every default filled in, and as comments every weight's path and shape.
    #[arg(long)]
    pub resolved: bool,
    /// Prints parameters, FLOPs and peak bytes in closed form.
    #[arg(long)]
    pub cost: bool,
    /// Applies the edits that errors offer.
    #[arg(long)]
    pub fix: bool,
}

/// Where weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Foreign {
    /// A state dict of PyTorch's modules, as safetensors.
    Pytorch,
}

#[derive(clap::Args, Debug)]
pub struct ImportArgs {
    /// The program that the weights come from.
    #[arg(value_enum)]
    pub of: Foreign,
    /// The weights (safetensors).
    pub file: PathBuf,
    /// The `.seq` file whose model takes them; without it the layers of FILE are listed.
    pub program: Option<PathBuf>,
    /// Which model, where the program has several.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Which layer of theirs is which of ours, where shapes and order do not say: `fc=linear_2`.
    #[arg(long, value_name = "THEIRS=OURS")]
    pub map: Vec<String>,
    /// Writes the weights here, for `weights` in `train` and `--weights`.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    Ast,
    Checked,
    Ir,
    Grad,
    Opt,
    Plan,
    Clif,
    Asm,
}

/// What `emit` can generate for; its output is then equal on every machine that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// AVX2 and FMA.
    #[value(name = "x86-64-v3")]
    X86_64V3,
    /// AVX-512.
    #[value(name = "x86-64-v4")]
    X86_64V4,
    /// What every machine of this kind has.
    Portable,
}

#[derive(clap::Args, Debug)]
pub struct EmitArgs {
    /// A `.seq` file.
    pub file: PathBuf,
    /// Stages, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    pub emit: Vec<Stage>,
    /// Which model, where the file has several.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Shows predicting for a batch, instead of a step of training.
    #[arg(long, conflicts_with = "generate")]
    pub infer: bool,
    /// Shows writing a symbol, instead of a step of training.
    #[arg(long)]
    pub generate: bool,
    /// Writes `<model>.<stage>` files into this folder instead of stdout; `<model>.infer.<stage>` with --infer.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Leaves a rewrite out, by name.
    #[arg(long, value_name = "PASS")]
    pub without: Vec<String>,
    /// Generates for any machine of a kind, instead of what is fastest on this one.
    #[arg(long, value_enum, value_name = "TARGET")]
    pub target: Option<Target>,
}

#[derive(clap::Args, Debug)]
pub struct SnapshotArgs {
    /// `.seq` files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Records what is there now, instead of failing where it differs.
    #[arg(long)]
    pub update: bool,
    /// Stages, separated by commas; without it those recorded before, at first `checked,plan`.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub stage: Vec<Stage>,
    /// The machine that plan, clif and asm are for; without it the portable one, never this one.
    #[arg(long, value_enum, value_name = "TARGET")]
    pub target: Option<Target>,
}

#[derive(clap::Args, Debug)]
pub struct NewArgs {
    /// The file's name; `.seq` is added.
    pub name: String,
}

#[derive(clap::Args, Debug)]
pub struct ExplainArgs {
    /// An error's code, such as `shape::mismatch`, or a name, such as `LSTM`, `dropout`, `batch` or
    /// `train.batch`.
    pub name: String,
}

#[derive(clap::Args, Debug)]
pub struct FmtArgs {
    /// `.seq` files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Changes nothing; exits with 1 where a file is not formatted.
    #[arg(long)]
    pub check: bool,
    /// Writes `·`, `σ`, `α` as `@`, `sigmoid`, `alpha`.
    #[arg(long)]
    pub ascii: bool,
}

#[derive(clap::Args, Debug, Clone)]
pub struct TrainArgs {
    /// A `.seq` file, or with --resume a run folder.
    pub file: PathBuf,
    /// Which model's train block, where there are several.
    pub model: Option<String>,
    /// The run folder to make, instead of `runs/<file>-<model>`.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Goes on with a run from its last checkpoint: the run folder FILE, or of a `.seq` file its newest
    /// run in `runs` (or the one of --out). The run's own copy of the program counts; of its settings
    /// `--set train.epochs=N` (or `train.steps`) alone may change, to train further.
    #[arg(long)]
    pub resume: bool,
    /// Stops once the run has this many steps, those before --resume among them; schedules stay as
    /// they are.
    #[arg(long, value_name = "N", value_parser = steps)]
    pub max_steps: Option<u64>,
    /// Reads all data, takes one step, reports it, and keeps nothing.
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
    /// How progress is told on stderr.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A bar on a terminal, lines elsewhere.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartArg {
    Train,
    Valid,
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    F32,
    F64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlotArg {
    /// Predictions against the truth: numbers as curves and dots, classes as a confusion matrix.
    Answers,
    /// The losses of the run by step.
    Loss,
    /// The learning rate by step.
    Rate,
    /// The norm of the gradient by step, before clipping.
    GradNorm,
}

#[derive(clap::Args, Debug)]
pub struct EvalArgs {
    /// A run folder, or a `.seq` file together with --weights.
    pub run: PathBuf,
    /// Weights to use instead of the run's best ones (safetensors, by path).
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Which model, for a file with several.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The part to measure: `valid`, or all of a file that --data binds for a run.
    #[arg(long, value_enum)]
    pub on: Option<PartArg>,
    /// Writes the gradient of every weight and the loss (safetensors), the part as one batch.
    #[arg(long, value_name = "FILE")]
    pub grads: Option<PathBuf>,
    /// Draws into this file, whose name ends in .svg or .png.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// What --plot draws.
    #[arg(long, value_enum, default_value = "answers", requires = "plot")]
    pub plot_of: PlotArg,
    /// f64 runs the reference interpreter.
    #[arg(long, value_enum, default_value = "f32")]
    pub dtype: Dtype,
}

#[derive(clap::Args, Debug)]
pub struct GenerateArgs {
    /// A run folder.
    pub run: PathBuf,
    /// What the text begins with.
    #[arg(long)]
    pub prompt: Option<String>,
    /// A value of an input, once for each: a text, or numbers parted by commas; `NAME=@FILE` writes
    /// for each line of a file.
    #[arg(long, value_name = "NAME=VALUE")]
    pub given: Vec<String>,
    /// The most steps after the prompt.
    #[arg(long, value_name = "N")]
    pub length: Option<usize>,
    /// Below 1 safer, above 1 wilder; 0 always takes the likeliest.
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Draws from the N likeliest only.
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Draws from the likeliest that together have this probability.
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// How to choose: `sample`, `greedy` (always the likeliest) or `beam=4` (a search that keeps 4).
    #[arg(long, value_name = "HOW", value_parser = search)]
    pub search: Option<SearchArg>,
    /// How many; of a beam the likeliest, at most its width.
    #[arg(short, long = "number", value_name = "N", default_value_t = 1)]
    pub n: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchArg {
    Sample,
    Greedy,
    /// Of this width.
    Beam(u32),
}

fn steps(text: &str) -> Result<u64, String> {
    let wrong = || "expected a whole number, at least 1".to_string();
    text.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)
}

fn search(text: &str) -> Result<SearchArg, String> {
    let width = |text: &str| text.parse().ok().filter(|width| *width > 0);
    match text {
        "sample" => Ok(SearchArg::Sample),
        "greedy" => Ok(SearchArg::Greedy),
        _ => match text.strip_prefix("beam=").and_then(width) {
            Some(width) => Ok(SearchArg::Beam(width)),
            None => Err("expected `sample`, `greedy` or `beam=4`".to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_shows_no_flag_that_does_nothing() {
        let mut command = command();
        command.build();
        command.clone().debug_assert();
        for (verb, flags) in UNUSED {
            let of = command.find_subcommand_mut(verb).expect("a verb");
            let help = of.render_long_help().to_string();
            for flag in flags {
                assert!(!help.contains(&format!("--{flag}")), "{verb}: {help}");
            }
            assert!(help.contains("--color"), "{verb}: {help}");
        }
        let train = command.find_subcommand_mut("train").expect("a verb");
        assert!(train.render_long_help().to_string().contains("--seed"));
        // They are read still, before the verb and after it.
        let read = |words: &[&str]| {
            let matches = super::command().try_get_matches_from(words);
            Args::from_arg_matches(&matches.expect("read")).expect("read")
        };
        let args = read(&["seqc", "new", "a", "--seed", "3"]);
        assert_eq!(args.common.seed, Some(3));
        assert_eq!(
            read(&["seqc", "--seed", "4", "new", "a"]).common.seed,
            Some(4)
        );
    }
}
