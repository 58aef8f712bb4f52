//! A first look at a data block's files, for a check that must be quick.
//!
//! In: the spec, what the model asks, where the data is. Out: whether it is so small that a check reads
//! it whole; and diagnostics: what the first 64 KiB of each file already show, and the whole of a
//! tokenizer's. A file that is not there and a feature that is not built are warnings here and errors
//! when loaded.

use std::path::Path;

use super::columns::plan;
use super::dataset::LoadOptions;
use super::load::Load;
use super::source::path::{resolve, resolve_one_of};
use super::source::{Source, open};
use super::spec::{
    ColumnExpr, ColumnKind, ColumnSpec, DataSpec, PathText, SourceKind, Split, Step, Table, Wanted,
};
use crate::diagnostics::{Diagnostic, Severity};

/// How much of a file is looked at, in bytes.
const LOOK: u64 = 64 << 10;

/// The most bytes of a source that a check reads whole.
const WHOLE: u64 = 8 << 20;
/// The most examples that a check makes up.
const MADE_UP: usize = 1000;

/// The names of the source's columns, where its first line has them and can be read.
pub fn header(spec: &DataSpec, options: &LoadOptions) -> Option<Vec<String>> {
    if !matches!(
        spec.source.kind,
        SourceKind::Csv(_) | SourceKind::Tsv(_) | SourceKind::Jsonl(_)
    ) {
        return None;
    }
    let bound = options.bindings.get(&spec.name.node).map(|p| p.as_path());
    match open(spec, options.base, bound, true, Some(LOOK)).ok()? {
        Source::Records(records) => records.header,
        Source::Rows { .. } | Source::Tensors(_) | Source::Text(_) => None,
    }
}

/// The files that `split` names, where they are read.
fn files_of_parts(spec: &DataSpec, alone: bool) -> Vec<&PathText> {
    match &spec.split {
        Split::Files { valid, test, .. } if !alone => {
            let parts = valid.iter().chain(test);
            let files = parts.flat_map(|p| std::iter::once(&p.path).chain(&p.labels));
            files.collect()
        }
        Split::Files { .. } | Split::Parts { .. } => Vec::new(),
    }
}

/// Whether a check reads the whole of a source, as training does: what takes no longer than reading
/// it, up to 8 MiB. A tokenizer of byte pairs is fitted to 1 MiB at most, and made-up data has up to
/// 1000 examples, of any length.
pub fn is_small(spec: &DataSpec, options: &LoadOptions) -> bool {
    let bound = options.bindings.get(&spec.name.node).map(|p| p.as_path());
    let files: Vec<&PathText> = match &spec.source.kind {
        SourceKind::Rows { count, .. } => return *count <= MADE_UP,
        SourceKind::Text(path)
        | SourceKind::Lines(path)
        | SourceKind::Jsonl(path)
        | SourceKind::Tensors(path)
        | SourceKind::Csv(Table { path, .. })
        | SourceKind::Tsv(Table { path, .. }) => vec![path],
        SourceKind::Idx { images, labels } => std::iter::once(images).chain(labels).collect(),
    };
    let parts = files_of_parts(spec, options.only.is_some());
    let folder = bound.filter(|b| b.is_dir());
    let own = files.into_iter().map(|path| (path, bound));
    let all = own.chain(parts.into_iter().map(|path| (path, folder)));
    let size = |(path, bound): (&PathText, Option<&Path>)| {
        let file = resolve(path, options.base, bound, &spec.name.node).ok()?;
        Some(std::fs::metadata(file.path).ok()?.len())
    };
    let sizes: Option<Vec<u64>> = all.map(size).collect();
    let pieces = |c: &ColumnSpec| {
        let by_pieces = |e: &ColumnExpr| matches!(&e.kind, ColumnKind::Step { step, .. } if matches!(step, Step::Bpe(_)));
        c.value.holds(&by_pieces)
    };
    let most = match spec.columns.iter().any(pieces) {
        true => WHOLE / 8,
        false => WHOLE,
    };
    sizes.is_some_and(|all| all.iter().fold(0, |a: u64, b| a.saturating_add(*b)) <= most)
}

/// Whether the files can be read and have the columns asked for, as far as their beginning tells.
pub fn probe(spec: &DataSpec, wanted: &Wanted, options: &LoadOptions) -> Vec<Diagnostic> {
    let bound = options.bindings.get(&spec.name.node).map(|p| p.as_path());
    let alone = options.only.is_some();
    let found = match &spec.source.kind {
        // A tensor's header may be longer than what is looked at.
        SourceKind::Tensors(path) => {
            let file = resolve(path, options.base, bound, &spec.name.node);
            file.err().into_iter().collect()
        }
        // Its pictures are longer too.
        SourceKind::Idx { images, labels } => std::iter::once(images)
            .chain(labels)
            .chain(files_of_parts(spec, alone))
            .filter_map(|p| resolve_one_of(p, options.base, bound, &spec.name.node).err())
            .collect(),
        _ => match open(spec, options.base, bound, alone, Some(LOOK)) {
            Ok(source) => match plan(spec, wanted, &source) {
                Ok(plan) => {
                    let load = Load {
                        spec,
                        wanted,
                        options,
                        source: &source,
                        plan: &plan,
                    };
                    load.wrong_tokenizers()
                }
                Err(found) => found,
            },
            Err(e) => vec![e],
        },
    };
    let soften = |mut d: Diagnostic| {
        if matches!(d.code, "io::not-found" | "feature::unavailable") {
            d.severity = Severity::Warning;
        }
        d
    };
    found.into_iter().map(soften).collect()
}
