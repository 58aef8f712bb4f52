//! What can be typed: verbs and flags.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// A compiler for sequence models: check, train, evaluate, generate, predict.
#[derive(Parser, Debug)]
#[command(name = "seqc", version, propagate_version = true)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(clap::Args, Debug, Clone)]
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
    /// Says everything that can be known before running.
    Check(CheckArgs),
    /// Prints a stage of the compiler.
    Emit(EmitArgs),
    /// Explains an error's code, or prints a library cell.
    Explain(ExplainArgs),
    /// Formats files in place.
    Fmt(FmtArgs),
}

#[derive(clap::Args, Debug)]
pub struct CheckArgs {
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Prints the file with every default filled in and every weight's path and shape.
    #[arg(long)]
    pub resolved: bool,
    /// Prints parameters, FLOPs and peak bytes in closed form.
    #[arg(long)]
    pub cost: bool,
    /// Applies the edits that errors offer.
    #[arg(long)]
    pub fix: bool,
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

#[derive(clap::Args, Debug)]
pub struct EmitArgs {
    pub file: PathBuf,
    /// Stages, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    pub emit: Vec<Stage>,
    /// Which model, where the file has several.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Writes `<model>.<stage>` files into this folder instead of stdout.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Leaves a rewrite out, by name.
    #[arg(long, value_name = "PASS")]
    pub without: Vec<String>,
    /// The machine to generate for, instead of this one.
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
}

#[derive(clap::Args, Debug)]
pub struct ExplainArgs {
    /// An error's code, such as `shape::mismatch`, or a library name, such as `LSTM`.
    pub name: String,
}

#[derive(clap::Args, Debug)]
pub struct FmtArgs {
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Changes nothing; exits with 1 where a file is not formatted.
    #[arg(long)]
    pub check: bool,
    /// Writes `·`, `σ`, `α` as `@`, `sigmoid`, `alpha`.
    #[arg(long)]
    pub ascii: bool,
}
