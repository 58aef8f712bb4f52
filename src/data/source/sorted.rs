//! `sort = column`: rows put in the order of numbers or dates.
//!
//! In: the cells of the column, row by row. Out: what each is ordered by, or a diagnostic that names the
//! first cell that is neither, or not what the first one is. A date in another form is refused, because
//! as a text it would be out of order (`25/06/2021` after `24/12/2022`), and nothing later would show it.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::records::Records;
use super::text::{at, shown};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// What a row is ordered by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    Number(f64),
    /// Nanoseconds since 1970 began.
    Date(i128),
}

impl Key {
    /// All keys of a column are of one kind, and no number is NaN.
    pub fn order(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Date(a), Key::Date(b)) => a.cmp(b),
            (Key::Number(_), Key::Date(_)) => Ordering::Less,
            (Key::Date(_), Key::Number(_)) => Ordering::Greater,
        }
    }

    fn of(cell: &str) -> Option<Key> {
        let cell = cell.trim();
        let number = cell.parse::<f64>().ok().filter(|x| !x.is_nan());
        // -0 stands where 0 does.
        let number = number.map(|x| Key::Number(x + 0.0));
        number.or_else(|| date(cell).map(Key::Date))
    }
}

/// The keys of rows `from..to` by a column.
pub fn keys(
    records: &Records,
    rows: std::ops::Range<usize>,
    column: usize,
    span: Span,
) -> Result<Vec<Key>, Diagnostic> {
    let mut keys: Vec<Key> = Vec::with_capacity(rows.len());
    for row in rows {
        let cell = records.cell(row, column);
        let name = shown(&records.written(column), 20);
        let wrong = |message: String| {
            let d = at(
                "data::unordered",
                message,
                &records.place(row, column),
                span,
            );
            d.help(
                "`sort` takes numbers, or dates as 2021-06-25 or 2021-06-25 14:30; where the rows \
                 stand in order already, leave it out",
            )
        };
        let Some(key) = Key::of(cell) else {
            return Err(wrong(match cell.trim() {
                "" => format!("`sort = {name}`, and this row has nothing there"),
                cell => format!(
                    "`sort = {name}`, and `{}` is no number or ISO date",
                    shown(cell, 16)
                ),
            }));
        };
        if let Some(first) = keys.first()
            && std::mem::discriminant(first) != std::mem::discriminant(&key)
        {
            let (is, others) = match key {
                Key::Number(_) => ("a number", "a date"),
                Key::Date(_) => ("a date", "a number"),
            };
            let cell = shown(cell.trim(), 12);
            return Err(wrong(format!(
                "`sort = {name}`: `{cell}` is {is}, the first row has {others}"
            )));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// A date, a month alone, or a date and a time, with or without its zone (ISO 8601; a minute may have a
/// leap second). What says no zone is taken as universal time.
fn date(cell: &str) -> Option<i128> {
    let first = format!("{cell}-01");
    let cell = if is_month(cell) { &first } else { cell };
    if let Ok(moment) = cell.parse::<Timestamp>() {
        return Some(moment.as_nanosecond());
    }
    let local = cell.parse::<DateTime>().ok()?;
    let moment = TimeZone::UTC.to_timestamp(local).ok()?;
    Some(moment.as_nanosecond())
}

/// `2021-06`.
fn is_month(cell: &str) -> bool {
    cell.len() == 7 && cell.as_bytes()[4] == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_ordered_as_they_follow_each_other() {
        let rising = [
            "1999-12-31",
            "2000-02-28 23:59:59",
            "2000-02-29",
            "2000-03-01T00:00",
            "2000-03-01T05:30:00.25+05:30",
            "2000-03-01 00:00:00.5",
            "2000-03-01T00:00:01Z",
            "2000-03-01 09:00",
            "2000-03-01 1430",
            "2000-04",
            "2000-04-01 08:00",
            "2001-03-01",
        ];
        let keys: Vec<Key> = rising.iter().map(|t| Key::of(t).expect(t)).collect();
        for pair in keys.windows(2) {
            assert_eq!(pair[0].order(&pair[1]), Ordering::Less, "{pair:?}");
        }
        let day = |t: &str| date(t).unwrap().div_euclid(86_400_000_000_000);
        assert_eq!(day("2000-03-01") - day("2000-02-28"), 2);
        assert_eq!(day("2001-01-01") - day("2000-01-01"), 366);
    }

    #[test]
    fn what_is_no_date_has_no_order() {
        for text in [
            "25/06/2021",
            "Jan 05, 2021",
            "d10",
            "2021-6-5",
            "2021-13-01",
            "2021-06-32",
            "08:00",
            "2021-06-25 24:30",
            "2021-02-30",
            "2021-06 14:30",
            "2021-06-25-01",
            "NaN",
            "",
            "2021-06-25 14:30é",
            "٢٠٢١-06-25",
        ] {
            assert_eq!(Key::of(text), None, "{text}");
        }
        assert_eq!(Key::of(" -0 "), Some(Key::Number(0.0)));
        assert_eq!(Key::of("20210625"), Some(Key::Number(20210625.0)));
    }
}
