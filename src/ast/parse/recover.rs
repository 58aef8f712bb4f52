//! Items out of the flat text, as many of them and as many errors as the text allows.
//!
//! In: the [`Layout`]. Out: the tree's items. Where the grammar refuses a statement, that statement is blanked, with its
//! braces if it has any, and the item read again.

use pest::Parser;
use pest::error::InputLocation;

use super::grammar::{Grammar, Rule};
use super::item::Builder;
use super::layout::{Layout, Mark};
use super::{MAX_BYTES, MAX_ERRORS, unexpected};
use crate::ast::node::Item;
use crate::diagnostics::Diagnostic;
use crate::span::FileId;

pub fn items(
    source: &str,
    layout: &Layout,
    file: FileId,
    errors: &mut Vec<Diagnostic>,
) -> Vec<Item> {
    let mut items = Vec::new();
    // Reading again is bounded too: a huge item full of mistakes shows only the first of them.
    let mut work = 0;
    let (mut start, mut depth) = (0, 0usize);
    let ends = layout
        .marks
        .iter()
        .copied()
        .chain([(layout.flat.len(), Mark::Newline)]);
    for (at, mark) in ends {
        let end = match mark {
            Mark::Open => {
                depth += 1;
                continue;
            }
            Mark::Close => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            Mark::Newline => at,
        };
        if depth > 0 || end < start {
            continue;
        }
        let end = end.min(layout.flat.len());
        if !layout.flat[start..end].trim_ascii().is_empty() {
            items.extend(item(source, layout, start, end, file, errors, &mut work));
        }
        start = end;
        if errors.len() >= MAX_ERRORS {
            break;
        }
    }
    items
}

fn item(
    source: &str,
    layout: &Layout,
    start: usize,
    end: usize,
    file: FileId,
    errors: &mut Vec<Diagnostic>,
    work: &mut usize,
) -> Option<Item> {
    let inside = |list: &[usize]| list.iter().any(|at| (start..end).contains(at));
    if inside(&layout.broken) {
        return None;
    }
    let mut blanked;
    let mut text = &layout.flat[start..end];
    if inside(&layout.bad) {
        blanked = text.to_string();
        for at in layout.bad.iter().filter(|at| (start..end).contains(at)) {
            blanked = without_line(layout, start, &blanked, *at)?;
        }
        if blanked.trim_ascii().is_empty() {
            return None;
        }
        text = &blanked;
    }
    loop {
        let failure = match Grammar::parse(Rule::alone, text) {
            Ok(pairs) => {
                let mut builder = Builder::new(file, source, start);
                let item = pairs.into_iter().next().and_then(|pair| builder.item(pair));
                errors.append(&mut builder.errors);
                return item;
            }
            Err(failure) => failure,
        };
        let at = match failure.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        *work += text.len();
        let (at, error) = unexpected::at(text, start, at, &failure.variant, file);
        let known = errors
            .iter()
            .any(|old| old.labels.first() == error.labels.first());
        if !known {
            errors.push(error);
        }
        if errors.len() >= MAX_ERRORS || *work > 4 * MAX_BYTES {
            return None;
        }
        let next = without_line(layout, start, text, at)?;
        if next == text || next.trim_ascii().is_empty() {
            return None;
        }
        blanked = next;
        text = &blanked;
    }
}

/// The item's text with the statement around `at` (a position in the file) as blanks, and with it the braces that follow
/// it. `None` where that is the whole item.
fn without_line(layout: &Layout, base: usize, text: &str, at: usize) -> Option<String> {
    let marks = &layout.marks;
    let next = marks.partition_point(|(mark, _)| *mark < at);
    let start = if next == 0 { 0 } else { marks[next - 1].0 + 1 }.max(base);
    let mut end = marks.get(next).map_or(layout.flat.len(), |mark| mark.0);
    if marks.get(next).is_some_and(|mark| mark.1 == Mark::Open) {
        if start == base || text[..start - base].trim_ascii().is_empty() {
            return None;
        }
        let mut depth = 0usize;
        for (position, mark) in &marks[next..] {
            match mark {
                Mark::Open => depth += 1,
                Mark::Close => depth -= 1,
                Mark::Newline => {}
            }
            if depth == 0 {
                end = position + 1;
                break;
            }
        }
    }
    let (start, end) = (start - base, end.min(base + text.len()).max(start) - base);
    Some([&text[..start], &" ".repeat(end - start), &text[end..]].concat())
}
