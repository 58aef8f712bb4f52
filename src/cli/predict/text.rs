//! Predictions as text, a line at a time.
//!
//! In: the results of an example, or of a step of one long series. Out: lines of CSV or JSON.
//!
//! A number `y` is the column `y`, or `y.0`, `y.1`, … where it has several features. A class or token
//! `y` is `y`, the likeliest label, and `y.p`, its probability; where all probabilities are asked for,
//! a column `y.<label>` follows for each label, in JSON one object `y.all`. Where it is asked for, `line`
//! is the line of the input on which the example, or the row of a series, begins.

use std::fmt::Write as _;

use super::rows::{Column, Rows};

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// An example.
    Examples,
    /// A step of an example; in JSON an example, with lists over its steps.
    Steps,
    /// A step of the one series there is.
    Series,
}

impl Lines {
    pub fn of(long: bool, first: Option<&[Rows]>) -> Lines {
        match (long, first) {
            (true, _) => Lines::Series,
            (false, Some(rows)) if rows.iter().any(|r| r.timed) => Lines::Steps,
            (false, _) => Lines::Examples,
        }
    }
}

/// How results are written.
pub struct Text<'r> {
    pub columns: Vec<Column<'r>>,
    pub lines: Lines,
    /// Of every label, not of the likeliest alone.
    pub probabilities: bool,
    /// With the line of the input.
    pub numbered: bool,
}

impl Text<'_> {
    /// Whether a result of this width is a distribution over the column's labels.
    fn labelled(column: &Column<'_>, width: usize) -> bool {
        column.labels.is_some_and(|v| v.len() == width)
    }

    /// The first line of a CSV file.
    pub fn header(&self, example: &[Rows]) -> String {
        let mut out = String::from(match self.lines {
            Lines::Examples => "example",
            Lines::Steps => "example,step",
            Lines::Series => "step",
        });
        if self.numbered {
            out.push_str(",line");
        }
        for (c, r) in self.columns.iter().zip(example) {
            let name = &c.name;
            let labels = c.labels.filter(|_| Self::labelled(c, r.width));
            match labels {
                Some(labels) => {
                    let _ = write!(out, ",{},{}", quoted(name), quoted(&format!("{name}.p")));
                    for k in (0..r.width).filter(|_| self.probabilities) {
                        let label = format!("{name}.{}", labels.symbol(k as i32));
                        let _ = write!(out, ",{}", quoted(&label));
                    }
                }
                None if r.width == 1 => {
                    let _ = write!(out, ",{}", quoted(name));
                }
                None => {
                    for k in 0..r.width {
                        let _ = write!(out, ",{}", quoted(&format!("{name}.{k}")));
                    }
                }
            }
        }
        out.push('\n');
        out
    }

    /// The lines of an example, or of the steps of a series from `first` on. `places`: where the example, or
    /// each step of the series, begins in the input.
    pub fn csv(&self, first: usize, example: &[Rows], places: &[Option<usize>]) -> String {
        let mut out = String::new();
        let steps = example.iter().filter(|r| r.timed).map(Rows::steps).max();
        for t in 0..steps.unwrap_or(1) {
            let _ = match self.lines {
                Lines::Examples => write!(out, "{first}"),
                Lines::Steps => write!(out, "{first},{t}"),
                Lines::Series => write!(out, "{}", first + t),
            };
            if self.numbered {
                out.push(',');
                if let Some(line) = self.place(places, t) {
                    let _ = write!(out, "{line}");
                }
            }
            for (c, r) in self.columns.iter().zip(example) {
                self.cells(c, r, t, &mut out);
            }
            out.push('\n');
        }
        out
    }

    /// The line of step `t`.
    fn place(&self, places: &[Option<usize>], t: usize) -> Option<usize> {
        let i = if self.lines == Lines::Series { t } else { 0 };
        places.get(i).copied().flatten()
    }

    fn cells(&self, column: &Column<'_>, r: &Rows, t: usize, out: &mut String) {
        let labelled = Self::labelled(column, r.width);
        let Some(row) = r.at(t) else {
            let cells = match labelled {
                true => 2 + r.width * usize::from(self.probabilities),
                false => r.width,
            };
            out.push_str(&",".repeat(cells));
            return;
        };
        if let Some((label, p)) = likeliest(row, column) {
            let _ = write!(out, ",{},{p}", quoted(label));
        }
        for v in row.iter().filter(|_| !labelled || self.probabilities) {
            let _ = write!(out, ",{v}");
        }
    }

    /// An object for an example; for each step of a series.
    pub fn jsonl(&self, example: &[Rows], places: &[Option<usize>]) -> String {
        let mut out = String::new();
        let steps = match self.lines {
            Lines::Series => example.iter().map(Rows::steps).max().unwrap_or(0),
            Lines::Examples | Lines::Steps => 1,
        };
        for t in 0..steps {
            let mut o = serde_json::Map::new();
            if self.numbered {
                o.insert("line".to_string(), self.place(places, t).into());
            }
            for (c, r) in self.columns.iter().zip(example) {
                let listed = r.timed && self.lines != Lines::Series;
                let rows: Vec<&[f32]> = match listed {
                    true => r.values.chunks(r.width.max(1)).collect(),
                    false => r.at(t).into_iter().collect(),
                };
                self.object(c, &rows, listed, &mut o);
            }
            let _ = writeln!(out, "{}", serde_json::Value::Object(o));
        }
        out
    }

    fn object(
        &self,
        column: &Column<'_>,
        rows: &[&[f32]],
        listed: bool,
        out: &mut serde_json::Map<String, serde_json::Value>,
    ) {
        use serde_json::Value;
        let name = &column.name;
        // Without a time there is one row, and no list around it.
        let list = |mut values: Vec<Value>| match listed {
            true => Value::from(values),
            false => values.pop().unwrap_or_default(),
        };
        let best: Option<Vec<(&str, f32)>> = rows.iter().map(|r| likeliest(r, column)).collect();
        let Some(best) = best.filter(|b| !b.is_empty()) else {
            let values = rows.iter().map(|row| match **row {
                [one] => one.into(),
                _ => row.to_vec().into(),
            });
            out.insert(name.clone(), list(values.collect()));
            return;
        };
        let (labels, p): (Vec<&str>, Vec<f32>) = best.into_iter().unzip();
        let labels = labels.into_iter().map(Into::into).collect();
        out.insert(name.clone(), list(labels));
        out.insert(
            format!("{name}.p"),
            list(p.into_iter().map(Into::into).collect()),
        );
        if let Some(labels) = column.labels.filter(|_| self.probabilities) {
            let all = rows.iter().map(|row| {
                let each = row.iter().enumerate();
                let each = each.map(|(k, p)| (labels.symbol(k as i32).to_string(), (*p).into()));
                Value::Object(each.collect())
            });
            out.insert(format!("{name}.all"), list(all.collect()));
        }
    }
}

/// The likeliest label of a step and its probability; `None` for what is no distribution over labels.
fn likeliest<'v>(row: &[f32], column: &Column<'v>) -> Option<(&'v str, f32)> {
    let labels = column.labels.filter(|v| v.len() == row.len())?;
    // Of equal ones the first.
    let best = (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
    Some((labels.symbol(best as i32), *row.get(best)?))
}

/// A cell of a CSV file (RFC 4180): quoted where it must be.
pub fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}
