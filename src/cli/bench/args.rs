//! What can be typed after `seqc bench`.

use std::path::PathBuf;

#[derive(clap::Args, Debug, Clone)]
pub struct BenchArgs {
    /// A `.seq` file with a train block, whose data and batches are used.
    pub file: PathBuf,
    /// Which model's train block, where there are several.
    pub model: Option<String>,
    /// How long to measure.
    #[arg(
        long,
        value_name = "S",
        default_value_t = 2.0,
        allow_negative_numbers = true
    )]
    pub seconds: f64,
    /// Times predicting for a batch, instead of a step of training.
    #[arg(long)]
    pub infer: bool,
    /// Times writing as the generate block says, instead of a step of training; with `--infer` both.
    #[arg(long)]
    pub generate: bool,
    /// Leaves out what each kernel takes.
    #[arg(long)]
    pub brief: bool,
}
