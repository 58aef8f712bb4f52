//! The fields of a model, in memory, by part.
//!
//! In: a [`DataSpec`], a [`Wanted`], the folder of the `.seq` file, what the command line binds.
//! Out: [`Dataset`]: either examples, each with its own lengths, or, where a text or a series is
//! one long sequence, the steps of each part in a row. Everything fitted comes from the training
//! part, or from the [`Fits`] of an earlier run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::column::Column;
use super::columns::plan;
use super::fit::Fits;
use super::left_out::LeftOut;
use super::load::Load;
use super::source::text::Text;
use super::source::{Source, of_texts, open};
use super::spec::{DataSpec, FieldRole, Time, Unit, Wanted};
use super::split::Part;
use super::vocabulary::Vocabulary;
use crate::diagnostics::Diagnostic;
use crate::settings::read::clip;

/// Bytes of a text whose symbols are held in memory.
const HELD: u64 = 64 << 20;

/// Where the data is and what is known of it already.
#[derive(Clone, Debug)]
pub struct LoadOptions<'a> {
    /// The folder of the `.seq` file.
    pub base: &'a Path,
    /// `--data NAME=PATH`: a file, or a folder for a source of several files.
    pub bindings: BTreeMap<String, PathBuf>,
    /// The whole source is this part (`eval --data`); `split` is not applied.
    pub only: Option<Part>,
    /// What an earlier run fitted; else the training part is fitted.
    pub fits: Option<&'a Fits>,
    /// Read in place of the source's file.
    pub given: Option<Text>,
    /// The first examples of the source are no examples of the dataset: only `missing = previous`
    /// looks at them.
    pub behind: usize,
    /// The symbols of a text of up to this many bytes are held in memory.
    pub held: u64,
    /// Whether [`Dataset::line`] is asked for.
    pub lines: bool,
}

impl<'a> LoadOptions<'a> {
    /// Nothing bound, nothing known.
    pub fn new(base: &'a Path) -> LoadOptions<'a> {
        LoadOptions {
            base,
            bindings: BTreeMap::new(),
            only: None,
            fits: None,
            given: None,
            behind: 0,
            held: HELD,
            lines: false,
        }
    }
}

/// The last row of a stream, as those that come after it see it.
#[derive(Clone, Debug)]
pub struct Newest {
    /// Rows before and after an example's own that its fields read, by windows and `next`.
    pub back: usize,
    pub ahead: usize,
    /// Whether `kept` and `given` depend on the row.
    pub gaps: bool,
    /// `missing = drop` does not leave it out.
    pub kept: bool,
    /// Of the columns with `missing = previous`, those whose value it has, by their order.
    pub given: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub struct Dataset {
    pub(super) columns: Vec<Column>,
    pub(super) times: Vec<Time>,
    /// Ranges of examples, or of steps where the data is one long sequence.
    pub(super) parts: [Range<usize>; 3],
    /// One long sequence: `starts` of columns are empty, every step stands alone.
    pub(super) long: bool,
    /// Steps of each example along each time, in the order of `times`; empty where long.
    pub(super) lengths: Vec<Vec<u32>>,
    /// The number in the source of each example (or step).
    pub(super) rows: Vec<usize>,
    /// The line of its file on which each begins, where it was asked for and there are lines.
    pub(super) lines: Vec<usize>,
    pub(super) fits: Fits,
    /// Examples that `missing = drop` leaves out.
    pub(super) left_out: Option<LeftOut>,
}

impl Dataset {
    /// Reads, fits and splits. Errors: paths and files (`io::…`, `data::…`), content with file, line
    /// and column, features not built.
    pub fn load(
        spec: &DataSpec,
        wanted: &Wanted,
        options: &LoadOptions,
    ) -> Result<Dataset, Vec<Diagnostic>> {
        let source = opened(spec, options).map_err(|e| vec![e])?;
        let plan = plan(spec, wanted, &source)?;
        let load = Load {
            spec,
            wanted,
            options,
            source: &source,
            plan: &plan,
        };
        let dataset = match &source {
            Source::Text(files) => super::long_text::load(&load, files)?,
            Source::Records(_) | Source::Rows { .. } | Source::Tensors(_) => {
                load.rows().map_err(super::gather::gathered)?
            }
        };
        let long = dataset.too_long();
        match long.is_empty() {
            true => Ok(dataset),
            false => Err(long),
        }
    }

    /// What the last of the rows at hand is to those that come after it.
    pub fn newest(
        spec: &DataSpec,
        wanted: &Wanted,
        options: &LoadOptions,
    ) -> Result<Newest, Vec<Diagnostic>> {
        let source = opened(spec, options).map_err(|e| vec![e])?;
        let plan = plan(spec, wanted, &source)?;
        let load = Load {
            spec,
            wanted,
            options,
            source: &source,
            plan: &plan,
        };
        Ok(load.newest())
    }

    /// Examples with more steps than a table of positions has rows: the first along each time.
    fn too_long(&self) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        for (time, lengths) in self.times.iter().zip(&self.lengths) {
            let Some(most) = &time.most else { continue };
            let over = lengths.iter().position(|n| *n as usize > most.steps);
            if let Some(i) = over {
                let row = self.rows.get(i).copied().unwrap_or(i) + 1;
                let message = format!(
                    "example {row} has {} steps along {}; `{}` has {}",
                    lengths[i],
                    time.name,
                    clip(&most.weight),
                    most.steps
                );
                let d = Diagnostic::error("data::too-long", message);
                let d = d.label(most.span, format!("a row for each of {} steps", most.steps));
                out.push(d.help("raise `max`, or leave such examples out with `keep = length(…)`"));
            }
        }
        out
    }

    /// The column of a field.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The symbols of a token or class field.
    pub fn vocabulary(&self, name: &str) -> Option<&Vocabulary> {
        self.column(name)?.vocabulary.as_ref()
    }

    /// The text of the `i`-th example of a part, with U+FFFD for each symbol that the vocabulary does not
    /// have.
    pub fn text(&self, part: Part, field: &str, i: usize) -> Option<String> {
        let column = self.column(field)?;
        let at = self.parts[part as usize].clone().nth(i)?;
        let vocabulary = column.vocabulary.as_ref()?;
        Some(vocabulary.decode_with(column.tokens(at), "\u{fffd}"))
    }

    /// Whether the data is one long text or series.
    pub fn is_long(&self) -> bool {
        self.long
    }

    /// Examples of a part, or steps where the data is one long sequence.
    pub fn len(&self, part: Part) -> usize {
        self.parts[part as usize].len()
    }

    pub fn is_empty(&self, part: Part) -> bool {
        self.len(part) == 0
    }

    /// The number in the source (as sorted, all files together), from 0, of the `i`-th example of a part.
    pub fn source_row(&self, part: Part, i: usize) -> Option<usize> {
        let at = self.parts[part as usize].clone().nth(i)?;
        Some(self.rows.get(at).copied().unwrap_or(at))
    }

    /// The line of its file, from 1, on which the `i`-th example of a part begins, or the row where it
    /// stands where it reads others too. `None` unless [`LoadOptions::lines`] asked for it, and for what
    /// has no lines: tensors, made-up examples, the characters of one long text.
    pub fn line(&self, part: Part, i: usize) -> Option<usize> {
        let at = self.parts[part as usize].clone().nth(i)?;
        self.lines.get(at).copied()
    }

    /// What `missing = drop` leaves out of all parts, where it does.
    pub fn left_out(&self) -> Option<&LeftOut> {
        self.left_out.as_ref()
    }

    /// What was fitted, to be stored with a run.
    pub fn fits(&self) -> &Fits {
        &self.fits
    }

    /// What is to be told of [`Dataset::unseen`], for each field that has some.
    pub fn told_unseen(&self, part: Part) -> Vec<String> {
        let of = |c: &Column| {
            let n = c.unseen[part as usize];
            let what = match (c.unit, n) {
                (Unit::Class, 1) => "1 label",
                (Unit::Class, _) => &format!("{n} labels"),
                (_, 1) => "1 symbol",
                (_, _) => &format!("{n} symbols"),
            };
            let unknown = c.vocabulary.as_ref().and_then(Vocabulary::unknown);
            let how = match (c.role, unknown) {
                (FieldRole::Target, _) => "left out of what is measured",
                (FieldRole::Input | FieldRole::Column, Some(_)) => "read as `<unknown>`",
                (FieldRole::Input | FieldRole::Column, None) => "read as nothing",
            };
            let (name, part) = (&c.name, part.name());
            let are = if n == 1 { "is" } else { "are" };
            let text = format!(
                "{what} of `{name}` in the {part} part {are} not in the training part's vocabulary: {how}"
            );
            (n > 0).then_some(text)
        };
        self.columns.iter().filter_map(of).collect()
    }

    /// Symbols of a part that the vocabularies do not have, over all fields.
    pub fn unseen(&self, part: Part) -> usize {
        self.columns.iter().map(|c| c.unseen[part as usize]).sum()
    }
}

fn opened(spec: &DataSpec, options: &LoadOptions) -> Result<Source, Diagnostic> {
    if let Some(text) = &options.given {
        return of_texts(spec, vec![text.clone()]);
    }
    let bound = options.bindings.get(&spec.name.node).map(PathBuf::as_path);
    open(spec, options.base, bound, options.only.is_some(), None)
}
