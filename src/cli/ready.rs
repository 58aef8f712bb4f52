//! What is asked of a program and its data before they are trained or measured.
//!
//! In: a checked file, a train block of it, where its data are. Out: the data, loaded; or why there is
//! nothing to begin with, and what is better known before.

use super::Failure;
use super::load::Loaded;
use super::session;
use crate::check::program::{Model, Var};
use crate::check::settings::TrainBlock;
use crate::data::spec::{FieldRole, Split, SplitBy, Unit};
use crate::data::{Column, DataSpec, Dataset, LoadOptions, Part};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, DimTable, Role, Sym};
use crate::settings::read::clip;
use crate::settings::{Patience, Watched};
use crate::span::{Sources, Span};
use crate::train::evaluate;

/// What `check` only warns of stops training.
pub fn refuse_unavailable(loaded: &Loaded, block: &TrainBlock) -> Result<(), Failure> {
    let model = loaded
        .diagnostics
        .iter()
        .filter(|d| d.code == crate::check::UNAVAILABLE);
    let mut all: Vec<Diagnostic> = block.unavailable.clone();
    let tune = loaded.experiment.tune(&block.settings.model);
    all.extend(tune.iter().flat_map(|t| &t.unavailable).cloned());
    let known = loaded.models.iter().any(|m| m.name == block.settings.model);
    if !known {
        all.extend(model.cloned());
    }
    if all.is_empty() && known {
        return Ok(());
    }
    for d in &mut all {
        d.severity = crate::diagnostics::Severity::Error;
    }
    if all.is_empty() {
        let message = format!("the model {} cannot be compiled", block.settings.model);
        all.push(Diagnostic::error(crate::check::UNAVAILABLE, message));
    }
    Err(Failure::new(all, loaded.sources.clone()))
}

/// What the names of the data's columns show of answers that the model would see.
pub fn refuse_leaks(
    loaded: &Loaded,
    block: &TrainBlock,
    options: &LoadOptions<'_>,
) -> Result<(), Failure> {
    match session::leaks(loaded, block, options) {
        none if none.is_empty() => Ok(()),
        found => Err(Failure::new(found, loaded.sources.clone())),
    }
}

/// Refuses to stop by a metric where nothing is there to measure it on.
pub fn refuse_unvalidated(
    loaded: &Loaded,
    block: &TrainBlock,
    dataset: &Dataset,
) -> Result<(), Failure> {
    let Some(Patience {
        on: Watched::Metric(metric),
        ..
    }) = &block.settings.stop
    else {
        return Ok(());
    };
    let [train, valid, test] = Part::ALL.map(|part| dataset.len(part));
    if valid > 0 {
        return Ok(());
    }
    let message = format!(
        "`stop` watches valid.{}; the validation part is empty",
        metric.key()
    );
    let mut d = Diagnostic::error("train::no-validation", message).label(
        block.place("stop").unwrap_or(block.span),
        "needs a validation part",
    );
    let what = if dataset.is_long() {
        "steps"
    } else {
        "examples"
    };
    let found = format!(
        "of {} {what}: train {train}, valid 0, test {test}",
        train + test
    );
    if let Some(data) = loaded.experiment.data(&block.settings.data) {
        let (Split::Parts { span, .. } | Split::Files { span, .. }) = &data.spec.split;
        d = d.label(*span, found);
    }
    let help =
        "more data or another `split` leave some to validate on; without `stop` none are needed";
    Err(Failure::new(vec![d.help(help)], loaded.sources.clone()))
}

/// The data of a train block, which can be cut into its batches.
pub fn dataset(
    loaded: &Loaded,
    block: &TrainBlock,
    options: &LoadOptions<'_>,
) -> Result<Dataset, Failure> {
    let data = loaded.experiment.data(&block.settings.data);
    let data = data.ok_or_else(|| {
        let message = format!("the file has no data block {}", block.settings.data);
        Diagnostic::error("usage::no-data", message)
    })?;
    let mut sources = loaded.sources.clone();
    let spec = bound(&data.spec, options, &mut sources);
    loaded_as(&spec, block, options).map_err(|found| Failure::new(found, sources))
}

/// The same of a data block at hand.
pub fn loaded_as(
    spec: &DataSpec,
    block: &TrainBlock,
    options: &LoadOptions<'_>,
) -> Result<Dataset, Vec<Diagnostic>> {
    let dataset = Dataset::load(spec, &block.wanted, options)?;
    let plan = evaluate::epoch_plan(&block.settings, 0);
    let cut = dataset.check_plan(&plan, block.span);
    cut.map_err(|d| vec![d])?;
    Ok(dataset)
}

/// A data block whose file the command line names: what is wrong with that file's name is shown there.
pub fn bound(spec: &DataSpec, options: &LoadOptions<'_>, sources: &mut Sources) -> DataSpec {
    let mut spec = spec.clone();
    let name = &spec.name.node;
    if let Some(path) = options.bindings.get(name).filter(|p| !p.is_dir()) {
        let option = format!("--data {name}=");
        let start = option.len();
        let text = format!("{option}{}", path.display());
        let end = text.len();
        let id = sources.add("command line", text);
        spec.source.kind.named_at(Span::new(id, start, end));
    }
    spec
}

/// What training would do without a word, and nobody means: settings that the data leaves nothing to do,
/// and a target with one answer.
pub fn doubtful(loaded: &Loaded, block: &TrainBlock, dataset: &Dataset) -> Vec<Diagnostic> {
    let mut out = idle(block, dataset);
    let columns = dataset.columns().iter();
    out.extend(columns.filter_map(|c| one_class(loaded, block, c, dataset)));
    out
}

/// How one long sequence is cut, said of data that is none.
fn idle(block: &TrainBlock, dataset: &Dataset) -> Vec<Diagnostic> {
    if dataset.is_long() {
        return Vec::new();
    }
    // How far back a model looks that writes by itself is told by `window`.
    let writes = block.wanted.fields.iter().any(|f| f.feeds_itself);
    let of = |name: &'static str| {
        if name == "window" && writes {
            return None;
        }
        let span = block.written(name)?;
        let message = format!("`{name}` cuts one long text or series; these examples are whole");
        let d = Diagnostic::warning("setting::idle", message).label(span, "changes nothing");
        Some(match name {
            "window" => d.help("in the data block a column's `|> window(n)` makes windows of rows"),
            _ => d.help(format!(
                "leave `{name}` out: each example is read from its beginning"
            )),
        })
    };
    ["bptt", "window"].into_iter().filter_map(of).collect()
}

/// A target that has the same class in every example of the training part: each model is right at once.
fn one_class(
    loaded: &Loaded,
    block: &TrainBlock,
    column: &Column,
    dataset: &Dataset,
) -> Option<Diagnostic> {
    if column.role != FieldRole::Target || column.unit != Unit::Class {
        return None;
    }
    let [only] = column.vocabulary.as_ref()?.symbols() else {
        return None;
    };
    if dataset.is_empty(Part::Train) {
        return None;
    }
    let name = &column.name;
    let message = format!(
        "`{name}` has one class, `{}`, in the training part",
        clip(only)
    );
    let field = block.wanted.fields.iter().find(|f| f.name == *name)?;
    let d = Diagnostic::warning("data::one-class", message)
        .label(field.span, "every answer is the same");
    let data = loaded.experiment.data(&block.settings.data)?;
    let in_order = |by: &SplitBy| matches!(by, SplitBy::Time);
    Some(match &data.spec.split {
        Split::Parts { by, .. } if in_order(by) => d.help(format!(
            "`stratify = {name}` gives each part its share of every class"
        )),
        Split::Parts { .. } | Split::Files { .. } => {
            d.help("a model learns classes from examples of each")
        }
    })
}

/// Steps that a model may attend over at once without a word about it: a million pairs.
const ATTENDED: usize = 1000;

/// A model that compares each step with every other, given a long text in long runs: what a step of
/// training takes grows with the square of a run.
pub fn long_attention(model: &Model, block: &TrainBlock, dataset: &Dataset) -> Option<Diagnostic> {
    let settings = &block.settings;
    if !dataset.is_long() || settings.window.is_some() {
        return None;
    }
    let whole = dataset.len(Part::Train);
    let steps = settings.bptt.map_or(whole, |n| whole.min(n as usize));
    if steps <= ATTENDED || !model.vars.iter().any(|v| compares_steps(v, &model.dims)) {
        return None;
    }
    let message = format!("attention over {steps} steps at once, and no `window`");
    let d = Diagnostic::warning("train::long-attention", message)
        .label(block.span, "each step is compared with all of them");
    Some(d.help("`window = 128` makes runs of 128 steps, each an example of its own"))
}

/// Whether a value has two axes along one time: a number for each pair of steps.
fn compares_steps(var: &Var, dims: &DimTable) -> bool {
    let is_time = |s: &&Sym| dims.get(s).is_some_and(|d| d.role == Role::Time);
    let times: Vec<&Sym> = var
        .shape
        .iter()
        .filter_map(Dim::as_sym)
        .filter(is_time)
        .collect();
    (1..times.len()).any(|i| times[..i].contains(&times[i]))
}
