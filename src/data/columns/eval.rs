//! Values of planned columns, row by row.
//!
//! In: a [`Plan`], its [`Source`], what was fitted so far, an order of examples. Out: the [`Value`]
//! of a node at a position of that order, or a diagnostic with the place in the data. Draws are
//! Philox's, keyed by the source's seed, the column and the example, so they do not depend on what
//! else is evaluated.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::fit::{Fit, Prepare};
use super::super::segments::segments;
use super::super::source::Source;
use super::super::source::text::{Place, at, shown};
use super::super::spec::Binary;
use super::super::vocabulary::words;
use super::fill::is_missing;
use super::numbers::{
    Numbers, all_good, beside, binary, fail, lift, meant, not_a_number, reduce, unary,
};
use super::plan::{Node, NodeKind, Plan};
use crate::diagnostics::Diagnostic;

/// The value of a column for one example.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text, or one label.
    Text(Cow<'a, str>),
    /// A text of which each character is a step.
    Chars(Cow<'a, str>),
    /// One text a step.
    Texts(Vec<Cow<'a, str>>),
    Numbers(Numbers),
}

pub struct Evaluator<'a> {
    pub(super) source: &'a Source,
    pub(super) plan: &'a Plan,
    /// What was fitted, by position in [`Plan::fits`].
    pub fitted: Vec<Option<Fit>>,
    /// Examples in the order in which `next` and `window` see them.
    pub(super) order: &'a [usize],
    /// The last value of each column that is read more than once.
    memo: Vec<Option<(usize, Value<'a>)>>,
    /// For a column of the source, read as text or not, the last example and the row at or above it that
    /// has a value.
    pub(super) carried: BTreeMap<(usize, bool), (usize, usize)>,
    /// What else is wrong with the example of the last error.
    pub others: Vec<Diagnostic>,
}

impl<'a> Evaluator<'a> {
    pub fn new(
        source: &'a Source,
        plan: &'a Plan,
        fitted: Vec<Option<Fit>>,
        order: &'a [usize],
    ) -> Evaluator<'a> {
        Evaluator {
            source,
            plan,
            fitted,
            order,
            memo: vec![None; plan.columns.len()],
            carried: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    pub fn column(&mut self, column: usize, p: usize) -> Result<Value<'a>, Diagnostic> {
        let planned = &self.plan.columns[column];
        if planned.uses < 2 {
            return self.eval(&planned.node, p);
        }
        if let Some((at, value)) = &self.memo[column]
            && *at == p
        {
            return Ok(value.clone());
        }
        let value = self.eval(&planned.node, p)?;
        self.memo[column] = Some((p, value.clone()));
        Ok(value)
    }

    /// The node's value at position `p` of the order.
    pub fn eval(&mut self, node: &'a Node, p: usize) -> Result<Value<'a>, Diagnostic> {
        let Some(example) = self.order.get(p).copied() else {
            return Err(fail(node, "data::no-next", "the last row has no next one"));
        };
        Ok(match &node.kind {
            NodeKind::Number(v) => Value::Numbers(Numbers::one(*v)),
            NodeKind::Text(t) => Value::Text(Cow::Borrowed(t)),
            NodeKind::Column(c) => self.column(*c, p)?,
            NodeKind::Index(axis) => {
                let n = self.plan.extent(*axis).unwrap_or(0);
                Value::Numbers(Numbers {
                    data: (0..n).map(|i| i as f64).collect(),
                    steps: Some(n),
                    width: 1,
                })
            }
            NodeKind::Cell(c) => self.cell(example, *c),
            NodeKind::Cells(cells) => {
                let of = |c: &usize| self.numbers(self.cell(example, *c), node, p, Some(*c));
                let parts = cells.iter().map(of).collect();
                Value::Numbers(beside(all_good(parts, &mut self.others)?, node)?)
            }
            NodeKind::Filled(filled) => self.filled(filled, node, p, example)?,
            NodeKind::Lower(x) => self.texts(x, p, |t| Prepare::Lower.apply(t))?,
            NodeKind::Nfc(x) => self.texts(x, p, |t| Prepare::Nfc.apply(t))?,
            NodeKind::Steps(x, n) => {
                // Planned where the input has no steps of its own.
                let v = self.number(x, p)?;
                if !v.width.is_multiple_of(*n) {
                    let message = format!("{} features are not {n} steps of one size", v.width);
                    return Err(fail(node, "data::steps", message));
                }
                Value::Numbers(Numbers {
                    steps: Some(*n),
                    width: v.width / n,
                    data: v.data,
                })
            }
            NodeKind::One(x, end) => {
                let value = self.eval(x, p)?;
                match value.one(*end) {
                    Some(one) => one,
                    None => {
                        let message = "this sequence has no step";
                        return Err(self.at(node, p, None, 0, "data::empty-sequence", message));
                    }
                }
            }
            NodeKind::Chars(x) => match self.eval(x, p)? {
                Value::Text(t) | Value::Chars(t) => Value::Chars(t),
                Value::Texts(_) | Value::Numbers(_) => {
                    return Err(fail(node, "data::not-text", "chars() of what is no text"));
                }
            },
            NodeKind::Words(x, false) => self.cut(x, p, node, "words", |t| words(t).collect())?,
            NodeKind::Words(x, true) => self.cut(x, p, node, "words", |t| segments(t).collect())?,
            NodeKind::Split(x, separator) => {
                self.cut(x, p, node, "split", |t| t.split(separator).collect())?
            }
            NodeKind::Pixels(x) => self.eval(x, p)?,
            NodeKind::Multihot(x, width) => {
                let value = self.eval(x, p)?;
                Value::Numbers(self.multihot(value, *width, node, p)?)
            }
            NodeKind::Fitted(i) => self.fitted(*i, node, p)?,
            NodeKind::Window(x, n) => {
                let Some(first) = (p + 1).checked_sub(*n) else {
                    return Err(fail(
                        node,
                        "data::window",
                        "no window before the first rows",
                    ));
                };
                let mut rows = Vec::with_capacity(*n);
                for q in first..=p {
                    let value = self.eval(x, q)?;
                    rows.push(value);
                }
                self.stack(rows, node, p)?
            }
            NodeKind::Next(x, k) => self.eval(x, p.saturating_add(*k))?,
            NodeKind::Length(x) => {
                let n = match self.eval(x, p)? {
                    Value::Text(t) | Value::Chars(t) => t.chars().count(),
                    Value::Texts(t) => t.len(),
                    Value::Numbers(n) => match n.steps {
                        Some(steps) => steps,
                        None => {
                            return Err(fail(node, "data::no-steps", "length of one value"));
                        }
                    },
                };
                Value::Numbers(Numbers::one(n as f64))
            }
            NodeKind::Unary(op, x) => {
                let mut v = self.number(x, p)?;
                for x in &mut v.data {
                    *x = unary(*op, *x);
                }
                Value::Numbers(v)
            }
            NodeKind::Binary(op, a, b) => {
                let (left, right) = (self.eval(a, p)?, self.eval(b, p)?);
                if let (Binary::Eq | Binary::Ne, Value::Text(l), Value::Text(r)) =
                    (op, &left, &right)
                {
                    let same = (l == r) == (*op == Binary::Eq);
                    return Ok(Value::Numbers(Numbers::one(f64::from(same))));
                }
                let left = self.numbers(left, a, p, None)?;
                let right = self.numbers(right, b, p, None)?;
                Value::Numbers(lift([&left, &right], node, |[x, y]| binary(*op, x, y))?)
            }
            NodeKind::Choose(three) => {
                let [c, x, y] = &**three;
                let (c, x, y) = (self.number(c, p)?, self.number(x, p)?, self.number(y, p)?);
                let pick = |[c, x, y]: [f64; 3]| if c != 0.0 { x } else { y };
                Value::Numbers(lift([&c, &x, &y], node, pick)?)
            }
            NodeKind::Draw { dist, path, over } => {
                self.draw(dist, path, *over, example, p, node)?
            }
            NodeKind::List(nodes) => {
                let mut parts = Vec::new();
                for n in nodes {
                    parts.push(self.number(n, p)?);
                }
                Value::Numbers(beside(parts, node)?)
            }
            NodeKind::Reduce { op, value, steps } => {
                let v = self.number(value, p)?;
                Value::Numbers(reduce(*op, &v, *steps))
            }
        })
    }

    /// The node's value as numbers; a text is parsed.
    pub fn number(&mut self, node: &'a Node, p: usize) -> Result<Numbers, Diagnostic> {
        let value = self.eval(node, p)?;
        self.numbers(value, node, p, None)
    }

    pub fn numbers(
        &self,
        value: Value<'a>,
        node: &'a Node,
        p: usize,
        cell: Option<usize>,
    ) -> Result<Numbers, Diagnostic> {
        let parse = |t: &str, row: usize| self.parse(t, node, p, cell, row);
        match value {
            Value::Numbers(n) => Ok(n),
            Value::Text(t) => Ok(Numbers::one(parse(&t, 0)?)),
            Value::Texts(all) => {
                let data: Result<Vec<f64>, _> = all
                    .iter()
                    .enumerate()
                    .map(|(row, t)| parse(t, row))
                    .collect();
                Ok(Numbers {
                    data: data?,
                    steps: Some(all.len()),
                    width: 1,
                })
            }
            Value::Chars(_) => Err(fail(
                node,
                "data::not-a-number",
                "characters are no numbers",
            )),
        }
    }

    /// The number that a text is.
    pub(super) fn parse(
        &self,
        t: &str,
        node: &'a Node,
        p: usize,
        cell: Option<usize>,
        row: usize,
    ) -> Result<f64, Diagnostic> {
        let (code, message) = match t.trim().parse::<f64>() {
            Ok(x) if x.is_finite() => return Ok(x),
            Ok(_) => (
                "data::not-finite",
                format!("`{}` is not finite", shown(t, 30)),
            ),
            Err(_) => ("data::not-a-number", not_a_number(t)),
        };
        let error = self.at(node, p, cell, row, code, message);
        Err(match is_missing(t, false) {
            true => error.help(
                "`missing = drop` leaves such rows out, `previous`, `mean` or a number fills \
                 them: `column(x, missing = drop)`",
            ),
            false => match meant(t, &self.written(node, p, cell), false) {
                Some(help) => error.help(help),
                None => error,
            },
        })
    }

    /// The column of a cell, or that a node's value is read from, as `column(…)` names it.
    pub(super) fn written(&self, node: &'a Node, p: usize, cell: Option<usize>) -> String {
        let cell = cell.or_else(|| self.origin(node, p).map(|(cell, _)| cell));
        match (self.source, cell) {
            (Source::Records(r), Some(cell)) => r.written(cell),
            _ => "x".to_string(),
        }
    }

    /// An error about the node's value at `p`, with the place of the cell it comes from.
    pub fn at(
        &self,
        node: &'a Node,
        p: usize,
        cell: Option<usize>,
        row: usize,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let found = match cell {
            Some(cell) => Some((cell, p)),
            None => self.origin(node, p),
        };
        match found.and_then(|(cell, p)| self.place(cell, p, row)) {
            Some(place) => at(code, message, &place, node.span),
            None => Diagnostic::error(code, message)
                .label(node.span, self.source.describe(self.order[p])),
        }
    }

    /// The cell a node's value is read from, through columns and steps.
    pub(super) fn origin(&self, node: &'a Node, p: usize) -> Option<(usize, usize)> {
        match &node.kind {
            NodeKind::Cell(c) => Some((*c, p)),
            NodeKind::Cells(c) => Some((*c.first()?, p)),
            NodeKind::Filled(f) => Some((*f.cells.first()?, p)),
            NodeKind::Next(x, k) => self.origin(x, p.saturating_add(*k)),
            _ => {
                let mut found = None;
                self.plan.visit(node, &mut |n| {
                    if found.is_none() {
                        found = self.origin(n, p);
                    }
                });
                found
            }
        }
    }

    fn place(&self, cell: usize, p: usize, row: usize) -> Option<Place> {
        let example = *self.order.get(p)?;
        match self.source {
            Source::Records(r) => {
                let rows = &r.examples[example];
                Some(r.place((rows.start + row).min(rows.end - 1), cell))
            }
            Source::Rows { .. } | Source::Tensors(_) | Source::Text(_) => None,
        }
    }

    fn cell(&self, example: usize, cell: usize) -> Value<'a> {
        match self.source {
            Source::Records(r) => {
                let rows = r.examples[example].clone();
                match self.plan.blocks {
                    true => Value::Texts(rows.map(|row| r.cell(row, cell).into()).collect()),
                    false => Value::Text(r.cell(rows.start, cell).into()),
                }
            }
            Source::Tensors(files) => {
                let (file, i) = self.source.file_of(example);
                let tensor = &files[file].tensors[cell];
                let size: usize = tensor.shape[1..].iter().product();
                let most = tensor.shape.get(1).copied().unwrap_or(1);
                let steps = self.plan.sequences[cell].then(|| match &tensor.lengths {
                    Some(lengths) => lengths[i],
                    None => most,
                });
                let width = match steps {
                    Some(_) => tensor.shape[2..].iter().product(),
                    None => size,
                };
                let n = steps.map_or(size, |s| s * width);
                Value::Numbers(Numbers {
                    data: tensor.values(i * size, i * size + n),
                    steps,
                    width,
                })
            }
            // The plan gives such a source no cell; a long text is read elsewhere.
            Source::Rows { .. } | Source::Text(_) => Value::Text(Cow::Borrowed("")),
        }
    }

    fn texts(
        &mut self,
        node: &'a Node,
        p: usize,
        f: impl Fn(Cow<'a, str>) -> Cow<'a, str>,
    ) -> Result<Value<'a>, Diagnostic> {
        Ok(match self.eval(node, p)? {
            Value::Text(t) => Value::Text(f(t)),
            Value::Chars(t) => Value::Chars(f(t)),
            Value::Texts(all) => Value::Texts(all.into_iter().map(f).collect()),
            Value::Numbers(_) => {
                return Err(fail(node, "data::not-text", "numbers have no letters"));
            }
        })
    }
}
