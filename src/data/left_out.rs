//! Examples that `missing = drop` leaves out, to be told.
//!
//! In: a source, its plan, the examples that were kept. Out: [`LeftOut`]: how many of how many, for want
//! of which columns, and on which lines.

use super::columns::has_values;
use super::columns::plan::Plan;
use super::source::Source;

/// Lines that are named; of more, their number.
const NAMED: usize = 5;

/// How many examples miss a value, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub count: usize,
    /// Of so many.
    pub of: usize,
    /// Whether an example is a block of rows.
    blocks: bool,
    /// The columns of which a value is missing, as `column(…)` names them.
    columns: Vec<String>,
    /// Where the first of them begin, in a source of one file.
    lines: Vec<usize>,
}

impl LeftOut {
    /// `first`: the first example of the source that counts; `kept` are in rising order.
    pub(super) fn of(
        source: &Source,
        plan: &Plan,
        first: usize,
        kept: &[usize],
    ) -> Option<LeftOut> {
        let of = source.examples().saturating_sub(first);
        let count = of.saturating_sub(kept.len());
        let Source::Records(records) = source else {
            return None;
        };
        if count == 0 {
            return None;
        }
        let mut rest = kept.iter().peekable();
        let out = (first..source.examples()).filter(|e| rest.next_if_eq(&e).is_none());
        let out: Vec<usize> = out.collect();
        let mut gaps = plan.drop.clone();
        gaps.sort_by_key(|gap| gap.cell);
        gaps.dedup_by_key(|gap| gap.cell);
        gaps.retain(|gap| out.iter().any(|e| !has_values(source, *e, *gap)));
        let columns = gaps.iter().map(|gap| records.written(gap.cell)).collect();
        let named = &out[..out.len().min(NAMED)];
        Some(LeftOut {
            count,
            of,
            blocks: plan.blocks,
            columns,
            lines: match records.files.len() {
                1 => records.lines(named),
                _ => Vec::new(),
            },
        })
    }

    /// `2 of 5 rows`.
    pub fn share(&self) -> String {
        let what = if self.blocks { "block" } else { "row" };
        let plural = if self.of == 1 { "" } else { "s" };
        format!("{} of {} {what}{plural}", self.count, self.of)
    }

    /// `` `Plan` is missing in lines 3, 4 and 7 more ``.
    pub fn why(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| format!("`{c}`")).collect();
        let lines: Vec<String> = self.lines.iter().map(usize::to_string).collect();
        let line = if self.count == 1 { "line" } else { "lines" };
        // A block is known by its first line.
        let from = if self.blocks { "what begins in " } else { "" };
        let place = match lines.len() {
            0 => String::new(),
            n if n == self.count => format!(" in {from}{line} {}", lines.join(", ")),
            n => format!(
                " in {from}{line} {} and {} more",
                lines.join(", "),
                self.count - n
            ),
        };
        format!("{} is missing{place}", names.join(" or "))
    }
}
