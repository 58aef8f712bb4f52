//! `seqc eval --plot`: a picture of what was measured, or of how it was learned.
//!
//! In: a file's name, and what is to be seen in it. Out: an SVG or PNG file.

use std::path::Path;

use super::Failure;
use super::args::{EvalArgs, PlotArg};
use super::from_training;
use super::load::plain;
use crate::data::Dataset;
use crate::data::spec::FieldRole;
use crate::diagnostics::Diagnostic;
use crate::settings::{Metric, TrainSettings};
use crate::train::classes::{ByClass, MOST};
use crate::train::log::Series;
use crate::train::picture::Form;
use crate::train::plot::Curves;
use crate::train::truth::{self, Pairs};

/// Classes of the first target whose answers can be counted by class.
fn classes(dataset: &Dataset) -> Option<usize> {
    use crate::data::spec::Unit;
    let mut targets = (dataset.columns().iter()).filter(|c| c.role == FieldRole::Target);
    let target = targets.find(|c| c.unit != Unit::Number)?;
    Some(target.vocabulary.as_ref().map_or(2, |v| v.len()))
}

/// Whether the picture needs a confusion that the settings do not ask for.
pub fn wants_confusion(args: &EvalArgs, dataset: &Dataset, settings: &TrainSettings) -> bool {
    let answers = args.plot.is_some() && args.plot_of == PlotArg::Answers;
    let known = settings.metrics.contains(&Metric::Confusion);
    answers && !known && truth::target(dataset).is_none() && classes(dataset).is_some()
}

/// Refuses what cannot be drawn, before anything is measured.
pub fn refuse(
    path: &Path,
    of: PlotArg,
    dataset: &Dataset,
    run: Option<&Path>,
) -> Result<(), Failure> {
    if Form::of(path).is_none() {
        let d = Diagnostic::error("usage::plot-form", "--plot draws .svg and .png files");
        let help = format!("name it {}", path.with_extension("svg").display());
        return Err(d.help(help).into());
    }
    if of != PlotArg::Answers && run.is_none() {
        let message = "curves are of a run; --plot of a file draws `answers`";
        return Err(Diagnostic::error("usage::plot-of", message).into());
    }
    if of == PlotArg::Answers
        && truth::target(dataset).is_none()
        && let Some(n) = classes(dataset).filter(|n| *n > MOST)
    {
        let message = format!("a picture shows at most {MOST} classes; the data has {n}");
        return Err(Diagnostic::error("usage::plot-of", message).into());
    }
    Ok(())
}

/// The bytes of a picture of a run's log.
pub fn curves(path: &Path, of: PlotArg, run: &Path) -> Result<Vec<u8>, Failure> {
    let Some(form) = Form::of(path) else {
        return Ok(Vec::new());
    };
    let series = Series::read(run).map_err(from_training)?;
    let curves = match of {
        PlotArg::Loss => Curves::losses(&series),
        PlotArg::Rate => Curves::rate(&series),
        PlotArg::GradNorm => Curves::grad_norm(&series),
        PlotArg::Answers => return Ok(Vec::new()),
    };
    Ok(form.bytes(&curves))
}

/// The bytes of a picture of numbers, or where there are none of classes.
pub fn answers(path: &Path, pairs: Option<Pairs>, by_class: &ByClass) -> Vec<u8> {
    match (Form::of(path), pairs, &by_class.confusion) {
        (Some(form), Some(pairs), _) => form.bytes(&pairs),
        (Some(form), None, Some(confusion)) => form.bytes(confusion),
        (None, _, _) | (_, None, None) => Vec::new(),
    }
}

/// Writes a picture; one without bytes could not be drawn.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if bytes.is_empty() {
        let message = "there is nothing here that can be drawn";
        return Err(Diagnostic::error("usage::plot-of", message).into());
    }
    std::fs::write(path, bytes).map_err(|e| {
        let message = format!("{} cannot be written: {}", path.display(), plain(&e));
        Diagnostic::error("io::write", message).into()
    })
}
