//! Opens a data block's source: all of its files, of whatever form.
//!
//! In: the spec, the `.seq` file's folder, what the command line binds. Out: [`Source`], examples
//! numbered from 0 across its files.

mod idx;
mod jsonl;
mod lines;
pub mod path;
pub mod pieces;
pub mod records;
mod sorted;
mod table;
pub mod tensors;
pub mod text;

use std::path::Path;

use path::{Resolved, read, resolve, resolve_one_of};
use records::Records;
use table::Form;
use tensors::TensorFile;
use text::{Place, Text, shown};

use super::spec::{ColumnRef, DataSpec, PartFile, PathText, SourceKind, Split, Table};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Examples before any column is evaluated.
#[derive(Debug)]
pub enum Source {
    Records(Records),
    /// Made-up examples: only their number and the seed of their draws.
    Rows {
        count: usize,
        seed: u64,
    },
    Tensors(Vec<TensorFile>),
    /// One long text, not read yet.
    Text(Vec<TextFile>),
}

/// A file of one long text.
#[derive(Debug)]
pub enum TextFile {
    File(Resolved),
    /// At hand.
    Given(Text),
}

/// The most examples that `rows` makes.
const MAX_ROWS: usize = 1 << 31;

/// Reads the source (a text is only found) and, unless `alone`, the files that `split` names after it (training,
/// validation, test). With a `limit` only so many bytes of each text file, to the end of a line.
pub fn open(
    spec: &DataSpec,
    base: &Path,
    bound: Option<&Path>,
    alone: bool,
    limit: Option<u64>,
) -> Result<Source, Diagnostic> {
    let span = spec.source.span;
    let parts: Vec<&PartFile> = match &spec.split {
        Split::Files { valid, test, .. } if !alone => valid.iter().chain(test).collect(),
        Split::Files { .. } | Split::Parts { .. } => Vec::new(),
    };
    let others = || parts.iter().map(|p| &p.path);
    // A bound file stands for the source alone; a bound folder for all of its files.
    let folder = bound.filter(|b| b.is_dir());
    let files = |first: &PathText| -> Result<Vec<(Vec<u8>, Resolved)>, Diagnostic> {
        let one = |path: &PathText, bound| {
            let file = resolve(path, base, bound, &spec.name.node)?;
            Ok((read(&file, path, limit)?, file))
        };
        let mut all = vec![one(first, bound)?];
        for path in others() {
            all.push(one(path, folder)?);
        }
        Ok(all)
    };
    let texts = |first: &PathText| -> Result<Vec<Text>, Diagnostic> {
        files(first)?
            .into_iter()
            .map(|(bytes, file)| {
                let cut = limit.is_some_and(|l| bytes.len() as u64 >= l);
                let mut text = Text::decode(bytes, &file, cut, span)?;
                if cut {
                    let quoted = !matches!(spec.source.kind, SourceKind::Jsonl(_));
                    text.end_at_line(quoted);
                }
                Ok(text)
            })
            .collect()
    };
    match &spec.source.kind {
        SourceKind::Text(path) if limit.is_none() => {
            let mut all = vec![resolve(path, base, bound, &spec.name.node)?];
            for path in others() {
                all.push(resolve(path, base, folder, &spec.name.node)?);
            }
            Ok(Source::Text(all.into_iter().map(TextFile::File).collect()))
        }
        SourceKind::Text(path)
        | SourceKind::Lines(path)
        | SourceKind::Jsonl(path)
        | SourceKind::Csv(Table { path, .. })
        | SourceKind::Tsv(Table { path, .. }) => of_texts(spec, texts(path)?),
        SourceKind::Rows { count, seed } => {
            if *count == 0 || *count > MAX_ROWS {
                let message = format!("{count} rows, where 1 to {MAX_ROWS} can be made");
                return Err(
                    Diagnostic::error("data::rows", message).label(span, "this many".to_string())
                );
            }
            Ok(Source::Rows {
                count: *count,
                seed: *seed,
            })
        }
        SourceKind::Tensors(path) => {
            let all: Result<Vec<TensorFile>, _> = files(path)?
                .into_iter()
                .map(|(bytes, file)| tensors::parse(&bytes, &file.shown, span))
                .collect();
            Ok(Source::Tensors(all?))
        }
        SourceKind::Idx { images, labels } => {
            let file = |path: &PathText| -> Result<(Vec<u8>, Resolved), Diagnostic> {
                let file = resolve_one_of(path, base, bound, &spec.name.node)?;
                Ok((read(&file, path, None)?, file))
            };
            let images = match labels {
                Some(_) => file(images)?,
                // Alone it may be bound to a file.
                None => {
                    let file = resolve(images, base, bound, &spec.name.node)?;
                    (read(&file, images, None)?, file)
                }
            };
            let labels = labels.as_ref().map(file).transpose()?;
            let parsed = |images: &(Vec<u8>, Resolved), labels: Option<&(Vec<u8>, Resolved)>| {
                let labels = labels.map(|l| (&l.0[..], &l.1.shown[..]));
                idx::parse((&images.0, &images.1.shown), labels, span)
            };
            let mut all = vec![parsed(&images, labels.as_ref())?];
            for part in &parts {
                let labels = part.labels.as_ref().map(file).transpose()?;
                all.push(parsed(&file(&part.path)?, labels.as_ref())?);
            }
            let size = |f: &TensorFile| f.tensors[0].shape[1..].to_vec();
            if let Some(other) = all.iter().find(|f| size(f) != size(&all[0])) {
                let message = "the pictures of the parts are not of one size";
                return Err(Diagnostic::error("data::bad-idx", message)
                    .label(span, format!("unlike {}", shown(&other.name, 200))));
            }
            Ok(Source::Tensors(all))
        }
    }
}

/// The records of texts that are at hand, in the form of a source of text.
pub fn of_texts(spec: &DataSpec, texts: Vec<Text>) -> Result<Source, Diagnostic> {
    let span = spec.source.span;
    let mut records = Records::default();
    let (read, filled) = (spec.columns_read(), spec.columns_filled());
    let mut whole = Vec::new();
    for text in texts {
        let records = &mut records;
        match &spec.source.kind {
            SourceKind::Text(_) => whole.push(TextFile::Given(text)),
            SourceKind::Lines(_) => lines::lines(records, text, span)?,
            SourceKind::Csv(options) => table::add(records, text, Form::Csv, options, span)?,
            SourceKind::Tsv(options) => table::add(records, text, Form::Tsv, options, span)?,
            SourceKind::Jsonl(_) => jsonl::add(records, text, &read, &filled, span)?,
            SourceKind::Rows { .. } | SourceKind::Tensors(_) | SourceKind::Idx { .. } => {
                let message = "this source is no text";
                return Err(Diagnostic::error("data::not-text", message)
                    .label(span, "named here".to_string()));
            }
        }
    }
    Ok(match spec.source.kind {
        SourceKind::Text(_) => Source::Text(whole),
        _ => Source::Records(records),
    })
}

/// The error for a column of what is one text.
fn one_column(span: Span) -> Diagnostic {
    Diagnostic::error("data::unknown-column", "one long text has no columns")
        .label(span, "no such column".to_string())
        .help("`chars()`, `words()` and `bpe(n)` read the text itself")
}

/// The error for what the language has and this version does not.
pub fn unavailable(what: &str, span: Span) -> Diagnostic {
    Diagnostic::error("feature::unavailable", format!("`{what}` is not built yet"))
        .label(span, "asked for here".to_string())
}

impl Source {
    pub fn examples(&self) -> usize {
        match self {
            Source::Records(r) => r.examples.len(),
            Source::Rows { count, .. } => *count,
            Source::Tensors(files) => files.iter().map(|f| f.examples).sum(),
            Source::Text(files) => files.len(),
        }
    }

    /// The file of an example, 0 for the source itself, and its number in that file's order.
    pub fn file_of(&self, example: usize) -> (usize, usize) {
        match self {
            Source::Records(r) => (r.file_of(example), example),
            Source::Rows { .. } => (0, example),
            Source::Text(_) => (example, 0),
            Source::Tensors(files) => {
                let mut left = example;
                for (i, f) in files.iter().enumerate() {
                    if left < f.examples {
                        return (i, left);
                    }
                    left -= f.examples;
                }
                (files.len(), left)
            }
        }
    }

    /// The position of a column, in [`Records`] or among the tensors.
    pub fn column(&self, column: &ColumnRef, span: Span) -> Result<usize, Diagnostic> {
        match (self, column) {
            (Source::Records(r), column) => table::resolve(r, column, span),
            (Source::Tensors(files), ColumnRef::Named(name)) => {
                let at = files[0].find(name, span)?;
                // Files are sorted by name alike, or they differ.
                for other in &files[1..] {
                    if other.tensors.get(at).is_none_or(|t| t.name != *name) {
                        return Err(Diagnostic::error(
                            "data::unknown-tensor",
                            "the files of this source do not hold the same tensors",
                        )
                        .label(
                            span,
                            format!("`{}` is elsewhere in {}", shown(name, 40), other.name),
                        ));
                    }
                }
                Ok(at)
            }
            (Source::Text(_), ColumnRef::At(1)) => Ok(0),
            (Source::Text(_), _) => Err(one_column(span)),
            (Source::Tensors(_), ColumnRef::At(_)) => Err(Diagnostic::error(
                "data::unknown-column",
                "tensors have names, not numbers",
            )
            .label(span, "name a tensor".to_string())),
            (Source::Rows { .. }, _) => Err(Diagnostic::error(
                "data::unknown-column",
                "`rows` makes up its examples and has no columns to read",
            )
            .label(span, "no column".to_string())),
        }
    }

    /// Where a cell of an example begins in its file.
    pub fn place(&self, example: usize, column: usize) -> Option<Place> {
        match self {
            Source::Records(r) => Some(r.place(r.examples[example].start, column)),
            Source::Rows { .. } | Source::Tensors(_) | Source::Text(_) => None,
        }
    }

    /// The name of its first file, where it has one that is held.
    pub fn name(&self) -> Option<String> {
        match self {
            Source::Records(r) => r.files.first().map(|f| f.raw.name.clone()),
            Source::Tensors(files) => files.first().map(|f| f.name.clone()),
            Source::Rows { .. } | Source::Text(_) => None,
        }
    }

    /// An example as it is named in messages: its file and line, or its number.
    pub fn describe(&self, example: usize) -> String {
        match self.place(example, 0) {
            Some(place) => place.to_string(),
            None => format!("example {example}"),
        }
    }
}
