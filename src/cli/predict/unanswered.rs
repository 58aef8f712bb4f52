//! Rows without an answer.
//!
//! In: what `missing = drop` left out of a file or of a stream. Out: the word on stderr that says so, or,
//! where nothing was answered, the error.

use super::args::PredictArgs;
use super::units::NAME;
use crate::data::LeftOut;
use crate::diagnostics::Diagnostic;

/// Tells what share of the rows was left out, and why.
pub fn show_share(left: &LeftOut, args: &PredictArgs) {
    let numbered = numbered(args);
    let have = if left.count == 1 { "has" } else { "have" };
    eprintln!(
        "{} {have} no answer: {}{numbered}",
        left.share(),
        left.why()
    );
}

/// The way to answers that can be laid beside the rows, unless it is taken.
fn numbered(args: &PredictArgs) -> &'static str {
    match args.lines {
        true => "",
        false => "; --lines numbers the answers",
    }
}

/// Tells of the rows that were left out, by their lines.
pub fn show(all: &[usize], args: &PredictArgs) {
    let lines: Vec<String> = all.iter().take(5).map(usize::to_string).collect();
    let lines = lines.join(", ");
    let more = match all.len().saturating_sub(5) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let numbered = numbered(args);
    let drop = "`missing = drop` leaves it out";
    match all.len() {
        0 => {}
        1 => eprintln!("line {lines} has no answer: {drop}{numbered}"),
        _ => eprintln!("lines {lines}{more} have no answer: {drop}{numbered}"),
    }
}

/// The error for a stream that ended without an answer, though something came. `needed`: how many rows
/// an example reads.
pub fn nothing(rows: usize, needed: usize) -> Diagnostic {
    let plural = if rows == 1 { "row" } else { "rows" };
    match rows {
        0 => {
            let message = format!("{NAME} has a header and no rows");
            let d = Diagnostic::error("data::empty", message);
            d.help("a line with the names of its columns comes first, then rows")
        }
        _ if rows < needed => {
            let message = format!("{rows} {plural} in {NAME}, and an example reads {needed}");
            Diagnostic::error("data::empty-part", message)
        }
        _ => {
            let message = format!("`missing = drop` leaves none of {rows} {plural}");
            Diagnostic::error("data::nothing-kept", message)
        }
    }
}
