//! Settings blocks to typed settings, and the model, the data and the settings held against each
//! other.
//!
//! In: the syntax tree and the models that were shaped. Out: an [`Experiment`], every default filled
//! in, or diagnostics. A block that names a model or data block with errors of its own is read
//! without it, so that one mistake gives one error.
//!
//! ```text
//!  expression ─ value, column ─▶ value ─ block ─▶ read entries ─ train, generate, data ─▶ typed
//!                                      (schema)                 fit, metrics: cross-checks
//! ```

mod adapters;
mod block;
mod column;
mod column_names;
mod data;
mod expansion;
mod features;
mod fit;
mod generate;
mod losses;
mod metrics;
mod overrides;
mod print;
mod resolved;
mod step;
#[cfg(test)]
mod tests;
mod train;
mod value;
mod weights;

pub use adapters::apply_adapters;
pub use losses::apply_losses;
pub use overrides::{apply_override, refuse_unread};
pub use resolved::resolved;

use crate::ast::node::{DefKind, File, Ident, Item, Settings, SettingsKind};
use crate::check::leaks;
use crate::check::program::Model;
use crate::data::spec::{DataSpec, FieldRole, Wanted};
use crate::diagnostics::{Diagnostic, nearest};
use crate::settings::read::clip;
use crate::settings::{Baseline, GenerateSettings, Metric, Recompute, TrainSettings, TuneSettings};
use crate::span::Span;
use block::Entries;

/// Everything but the models that a file says.
#[derive(Clone, Debug, Default)]
pub struct Experiment {
    pub data: Vec<DataBlock>,
    pub trains: Vec<TrainBlock>,
    pub generates: Vec<GenerateBlock>,
    pub tunes: Vec<TuneBlock>,
}

#[derive(Clone, Debug)]
pub struct DataBlock {
    pub spec: DataSpec,
    /// `feature::unavailable` for what the block asks for and nothing runs yet.
    pub unavailable: Vec<Diagnostic>,
}

#[derive(Clone, Debug)]
pub struct TrainBlock {
    pub settings: TrainSettings,
    /// What the model and its metrics ask of the data.
    pub wanted: Wanted,
    /// Of this block and its data: `train` must refuse where it is not empty.
    pub unavailable: Vec<Diagnostic>,
    pub span: Span,
    entries: Entries,
    params: Vec<Entries>,
    losses: Vec<(String, String)>,
}

impl TrainBlock {
    /// Where a setting is named, if the block writes it.
    pub fn written(&self, name: &str) -> Option<Span> {
        self.entries.written(name).map(|read| read.name)
    }
}

#[derive(Clone, Debug)]
pub struct GenerateBlock {
    pub settings: GenerateSettings,
    pub unavailable: Vec<Diagnostic>,
    pub span: Span,
    entries: Entries,
}

#[derive(Clone, Debug)]
pub struct TuneBlock {
    pub settings: TuneSettings,
    pub unavailable: Vec<Diagnostic>,
    pub span: Span,
    entries: Entries,
}

impl TrainBlock {
    /// Where the value of a setting stands, if it is written.
    pub fn place(&self, setting: &str) -> Option<Span> {
        self.entries.written(setting).map(|read| read.value)
    }
}

impl Experiment {
    /// The first `train` block of this model, or of any.
    pub fn train(&self, model: Option<&str>) -> Option<&TrainBlock> {
        let of = |t: &&TrainBlock| model.is_none_or(|m| t.settings.model == m);
        self.trains.iter().find(of)
    }

    pub fn data(&self, name: &str) -> Option<&DataBlock> {
        self.data.iter().find(|d| d.spec.name.node == name)
    }

    pub fn tune(&self, model: &str) -> Option<&TuneBlock> {
        self.tunes.iter().find(|t| t.settings.model == model)
    }

    /// What the gradients of a model compute again.
    pub fn recompute(&self, model: &str) -> Recompute {
        let own = self.tune(model).map(|t| t.settings.recompute.clone());
        own.unwrap_or_default()
    }

    pub fn generate(&self, model: &str) -> Option<&GenerateBlock> {
        self.generates.iter().find(|g| g.settings.model == model)
    }
}

/// Reads every settings block. `models`: those of the file that have no errors.
pub fn check(file: &File, models: &[Model], report: &mut Vec<Diagnostic>) -> Experiment {
    let mut out = Experiment::default();
    let names = Names::of(file, report);
    for block in names.blocks(SettingsKind::Data) {
        let before = report.len();
        if let Some(spec) = data::data(block, &names.times, report) {
            let unavailable = unavailable(&report[before..]);
            out.data.push(DataBlock { spec, unavailable });
        }
    }
    for block in names.blocks(SettingsKind::Train) {
        out.trains
            .extend(train(block, &names, models, &out.data, report));
    }
    for block in names.blocks(SettingsKind::Generate) {
        let before = report.len();
        let model = names.model(block, models, report);
        if let Some((settings, entries)) = generate::generate(block, model, report) {
            out.generates.push(GenerateBlock {
                settings,
                unavailable: unavailable(&report[before..]),
                span: block.span,
                entries,
            });
        }
    }
    for block in names.blocks(SettingsKind::Tune) {
        names.model(block, models, report);
        let before = report.len();
        if let Some((settings, entries)) = generate::tune(block, report) {
            out.tunes.push(TuneBlock {
                settings,
                unavailable: unavailable(&report[before..]),
                span: block.span,
                entries,
            });
        }
    }
    out
}

fn train(
    block: &Settings,
    names: &Names,
    models: &[Model],
    data: &[DataBlock],
    report: &mut Vec<Diagnostic>,
) -> Option<TrainBlock> {
    let before = report.len();
    let model = names.model(block, models, report);
    let Some(on) = &block.on else {
        report.push(
            Diagnostic::error(
                "setting::missing",
                format!(
                    "`train {}` does not say on which data",
                    clip(&block.name.node)
                ),
            )
            .label(block.name.span, "needs `on` and a data block's name"),
        );
        return None;
    };
    names.data(on, report);
    let of = data.iter().find(|d| d.spec.name.node == on.node);
    let spec = of.map(|d| &d.spec);
    let read = train::train(block, &on.node, model, spec, report);
    let mut wanted = model.map(fit::wanted).unwrap_or_default();
    if let (Some(model), Some(spec)) = (model, spec) {
        let fitted = report.len();
        fit::check(&wanted, spec, on.span, report);
        if report.len() == fitted && leaks::check(model).is_empty() {
            report.extend(leaks::check_data(model, spec, None));
        }
    }
    let read = read?;
    let number = wanted
        .fields
        .iter()
        .find(|f| f.role == FieldRole::Target && f.unit == crate::data::spec::Unit::Number)
        .cloned();
    for metric in &read.settings.metrics {
        if let (Metric::Versus(Baseline::Column(name)), Some(target)) = (metric, &number) {
            fit::add_column(&mut wanted, name, target, block.span);
        }
    }
    let mut missing = unavailable(&report[before..]);
    missing.extend(of.iter().flat_map(|d| d.unavailable.iter().cloned()));
    Some(TrainBlock {
        losses: model.map_or_else(Vec::new, |m| losses::resolved_losses(&read.settings, m)),
        settings: read.settings,
        wanted,
        unavailable: missing,
        span: block.span,
        entries: read.entries,
        params: read.params,
    })
}

fn unavailable(report: &[Diagnostic]) -> Vec<Diagnostic> {
    let of = |d: &&Diagnostic| d.code == "feature::unavailable";
    report.iter().filter(of).cloned().collect()
}

/// The names that blocks refer to.
struct Names<'a> {
    file: &'a File,
    models: Vec<&'a str>,
    data: Vec<&'a str>,
    times: Vec<String>,
}

impl<'a> Names<'a> {
    fn of(file: &'a File, report: &mut Vec<Diagnostic>) -> Names<'a> {
        let mut names = Names {
            file,
            models: Vec::new(),
            data: Vec::new(),
            times: Vec::new(),
        };
        let mut data: Vec<&Ident> = Vec::new();
        for item in &file.items {
            match item {
                Item::Time(t) => names
                    .times
                    .extend(t.names.iter().map(|(n, _)| n.node.clone())),
                Item::Def(d) if d.kind == DefKind::Model => names.models.push(&d.name.node),
                Item::Settings(s) if s.kind == SettingsKind::Data => {
                    match data.iter().find(|n| n.node == s.name.node) {
                        Some(first) => {
                            report.push(block::repeated(&s.name.node, s.name.span, first.span));
                        }
                        None => data.push(&s.name),
                    }
                }
                Item::Def(_) | Item::Settings(_) | Item::Dim(_) | Item::Fn(_) => {}
            }
        }
        names.data = data.iter().map(|n| n.node.as_str()).collect();
        names
    }

    fn blocks(&self, kind: SettingsKind) -> impl Iterator<Item = &'a Settings> + use<'a> {
        self.file.items.iter().filter_map(move |item| match item {
            Item::Settings(s) if s.kind == kind => Some(s),
            Item::Settings(_) | Item::Time(_) | Item::Dim(_) | Item::Def(_) | Item::Fn(_) => None,
        })
    }

    /// The model a block is about; `None` too where it has errors of its own.
    fn model<'m>(
        &self,
        block: &Settings,
        models: &'m [Model],
        report: &mut Vec<Diagnostic>,
    ) -> Option<&'m Model> {
        if !self.models.contains(&block.name.node.as_str()) {
            report.push(unknown_block("model", &block.name, &self.models));
        }
        models.iter().find(|m| m.name == block.name.node)
    }

    fn data(&self, name: &Ident, report: &mut Vec<Diagnostic>) {
        if !self.data.contains(&name.node.as_str()) {
            report.push(unknown_block("data", name, &self.data));
        }
    }
}

fn unknown_block(kind: &str, name: &Ident, known: &[&str]) -> Diagnostic {
    let d = Diagnostic::error(
        "name::unknown",
        format!("there is no `{kind} {}` in this file", clip(&name.node)),
    )
    .label(name.span, "not known");
    match nearest(&name.node, known.iter().copied()) {
        Some(near) => d
            .help(format!("did you mean `{near}`?"))
            .fix(name.span, near.to_string()),
        None => d,
    }
}
