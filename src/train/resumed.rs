//! What is told of a run that goes on from a checkpoint.
//!
//! In: where the run stands, its settings, the digests of the program and the data as they are now. Out:
//! notices.

use super::progress::Progress;
use super::schedule::spans_run;
use crate::settings::{Length, TrainSettings};

/// The program of a run that goes on is another.
const CHANGED: &str = "the program has changed since the run's last checkpoint: its model and data \
                       count, `train` and `generate` stay as the run began";

/// Its data are others.
const OTHER_DATA: &str = "the data have changed since the run's last checkpoint: it goes on with \
                          them as they are, its vocabularies and statistics stay as it began";

/// `stop` has ended it.
const STOPPED: &str = "the run was ended by `stop`, and goes on no further; \
                       `--set train.weights=RUN` begins another with its weights";

/// Whether every step of the settings is done.
pub(super) fn is_finished(progress: &Progress, settings: &TrainSettings) -> bool {
    match settings.length {
        Length::Steps(steps) => progress.step >= steps,
        Length::Epochs(epochs) => progress.epoch >= epochs,
    }
}

pub(super) fn notices(
    progress: &Progress,
    settings: &TrainSettings,
    source: &str,
    data: &str,
) -> Vec<String> {
    let mut out = Vec::new();
    if progress.source != source {
        out.push(CHANGED.to_string());
    }
    if progress.data != data && !progress.data.is_empty() {
        out.push(OTHER_DATA.to_string());
    }
    if progress.stopped {
        out.push(STOPPED.to_string());
    } else if is_finished(progress, settings) {
        out.push(finished(settings));
    }
    out
}

/// Nothing is left to do, and how there would be.
fn finished(settings: &TrainSettings) -> String {
    let (what, setting) = match settings.length {
        Length::Epochs(n) => (format!("{n} epochs"), "epochs"),
        Length::Steps(n) => (format!("{n} steps"), "steps"),
    };
    match spans_run(&settings.schedule) {
        true => format!("the run has all of its {what}"),
        false => format!("the run has all of its {what}; `--set train.{setting}=N` gives it more"),
    }
}
