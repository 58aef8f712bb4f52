//! How many numbers a column gives for each step, as far as its block alone says.
//!
//! In: a data block, an expression of it, the size that a field declares. Out: the number, `None` where
//! the data decide it or where the expression has an error of its own; whether it fits.

use crate::data::spec::{ColumnExpr, ColumnKind, DataSpec, Field, SourceKind, Step};

/// `depth` counts the columns followed, so that a cycle ends.
pub fn features(data: &DataSpec, e: &ColumnExpr, depth: usize) -> Option<usize> {
    let of = |e: &ColumnExpr| features(data, e, depth);
    // A cell of a table is one value; a tensor or picture has as many as its file says.
    let cells = |n| match data.source.kind {
        SourceKind::Csv(_) | SourceKind::Tsv(_) | SourceKind::Jsonl(_) => Some(n),
        SourceKind::Text(_)
        | SourceKind::Lines(_)
        | SourceKind::Idx { .. }
        | SourceKind::Tensors(_)
        | SourceKind::Rows { .. } => None,
    };
    match &e.kind {
        ColumnKind::Text(_) => None,
        ColumnKind::Number(_)
        | ColumnKind::Length(_)
        | ColumnKind::Uniform { .. }
        | ColumnKind::Randint { .. }
        | ColumnKind::Reduce { over: None, .. } => Some(1),
        ColumnKind::Name(name) => match data.columns.iter().find(|c| c.name.node == *name) {
            Some(column) if depth <= data.columns.len() => features(data, &column.value, depth + 1),
            Some(_) => None,
            // An index, which is a number.
            None => Some(1),
        },
        ColumnKind::Whole | ColumnKind::Column(_) => cells(1),
        ColumnKind::Columns(all) => cells(all.len()),
        ColumnKind::Step { input, step } => match step {
            Step::Log | Step::Scale { .. } | Step::Zscore => of(input),
            Step::Window(_) | Step::First | Step::Last => of(input),
            Step::Multihot(n) => Some(*n),
            Step::Steps(n) => of(input).filter(|w| w.is_multiple_of(*n)).map(|w| w / n),
            // Symbols, of which a step has one.
            Step::Chars
            | Step::Words { .. }
            | Step::Bpe(_)
            | Step::Tokenizer { .. }
            | Step::Labels
            | Step::LabelsBut(_)
            | Step::Lower
            | Step::Nfc
            | Step::Split(_)
            | Step::Pixels => None,
        },
        ColumnKind::Filled { columns: x, .. }
        | ColumnKind::Next(x, _)
        | ColumnKind::Unary(_, x)
        | ColumnKind::Reduce {
            value: x,
            over: Some(_),
            ..
        }
        | ColumnKind::Index(x, _) => of(x),
        ColumnKind::Binary(_, a, b) => lifted([of(a)?, of(b)?]),
        ColumnKind::Choose(a, b, c) => lifted([of(a)?, of(b)?, of(c)?]),
        ColumnKind::List(parts) => parts.iter().map(of).sum(),
    }
}

/// One feature goes with any number of them.
fn lifted<const N: usize>(widths: [usize; N]) -> Option<usize> {
    let most = widths.into_iter().max()?;
    let fits = |w: usize| w == 1 || w == most;
    widths.into_iter().all(fits).then_some(most)
}

/// Whether a field takes this many numbers for each step; one of its sizes may be the data's.
pub fn fits(field: &Field, found: usize) -> bool {
    let known: usize = field.features.iter().flatten().product();
    match field.features.iter().filter(|f| f.is_none()).count() {
        0 => known == found,
        1 => known > 0 && found.is_multiple_of(known),
        _ => true,
    }
}
