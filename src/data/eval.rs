//! Values of planned columns, row by row.
//!
//! In: a [`Plan`], its [`Source`], what was fitted so far, an order of examples. Out: the [`Value`]
//! of a node at a position of that order, or a diagnostic with the place in the data. Draws are
//! Philox's, keyed by the source's seed, the column and the example, so they do not depend on what
//! else is evaluated.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::fit::Fit;
use super::plan::{Dist, FitKind, Node, NodeKind, Plan};
use super::source::Source;
use super::spec::{Binary, Reduce, Unary};
use super::text::{Place, at, shown};
use crate::diagnostics::Diagnostic;
use crate::philox;
use crate::span::Span;

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

/// `[steps, width]`, or `[width]` where there are no steps; row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    pub data: Vec<f64>,
    pub steps: Option<usize>,
    pub width: usize,
}

impl Numbers {
    fn one(v: f64) -> Numbers {
        Numbers {
            data: vec![v],
            steps: None,
            width: 1,
        }
    }

    fn at(&self, step: usize, feature: usize) -> f64 {
        let step = if self.steps.is_some() { step } else { 0 };
        let feature = if self.width == 1 { 0 } else { feature };
        self.data[step * self.width + feature]
    }
}

pub struct Evaluator<'a> {
    source: &'a Source,
    plan: &'a Plan,
    /// What was fitted, by position in [`Plan::fits`].
    pub fitted: Vec<Option<Fit>>,
    /// Examples in the order in which `next` and `window` see them.
    order: &'a [usize],
    /// The last value of each column that is read more than once.
    memo: Vec<Option<(usize, Value<'a>)>>,
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
                let mut parts = Vec::new();
                for c in cells {
                    let value = self.cell(example, *c);
                    parts.push(self.numbers(value, node, p, Some(*c))?);
                }
                Value::Numbers(beside(parts, node)?)
            }
            NodeKind::Lower(x) => self.texts(x, p, |t| Cow::Owned(t.to_lowercase()))?,
            NodeKind::Nfc(x) => self.texts(x, p, |t| match unicode_normalization::is_nfc(&t) {
                true => t,
                false => Cow::Owned(t.nfc().collect()),
            })?,
            NodeKind::Chars(x) => match self.eval(x, p)? {
                Value::Text(t) | Value::Chars(t) => Value::Chars(t),
                Value::Texts(_) | Value::Numbers(_) => {
                    return Err(fail(node, "data::not-text", "chars() of what is no text"));
                }
            },
            NodeKind::Split(x, separator) => match self.eval(x, p)? {
                Value::Text(Cow::Borrowed(t)) => {
                    Value::Texts(t.split(separator).map(Cow::Borrowed).collect())
                }
                Value::Text(Cow::Owned(t)) => Value::Texts(
                    t.split(separator)
                        .map(|s| Cow::Owned(s.to_string()))
                        .collect(),
                ),
                Value::Chars(_) | Value::Texts(_) | Value::Numbers(_) => {
                    return Err(fail(node, "data::not-text", "split() of what is no text"));
                }
            },
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
            NodeKind::Next(x) => self.eval(x, p + 1)?,
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
        let parse = |t: &str, row: usize| {
            t.trim().parse::<f64>().map_err(|_| {
                let message = format!("`{}` is not a number", shown(t, 30));
                self.at(node, p, cell, row, "data::not-a-number", message)
            })
        };
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
    fn origin(&self, node: &'a Node, p: usize) -> Option<(usize, usize)> {
        match &node.kind {
            NodeKind::Cell(c) => Some((*c, p)),
            NodeKind::Cells(c) => Some((*c.first()?, p)),
            NodeKind::Next(x) => self.origin(x, p + 1),
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
            Source::Rows { .. } | Source::Tensors(_) => None,
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
            // The plan gives such a source no cell.
            Source::Rows { .. } => Value::Text(Cow::Borrowed("")),
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

    fn fitted(&mut self, i: usize, node: &'a Node, p: usize) -> Result<Value<'a>, Diagnostic> {
        let fit = &self.plan.fits[i];
        match fit.kind {
            FitKind::Symbols(_) => match self.eval(&fit.input, p)? {
                Value::Numbers(n) => {
                    // Numbers as labels: each by the text it is written as.
                    let one = |x: &f64| Cow::Owned(x.to_string());
                    match n.steps {
                        Some(_) => Ok(Value::Texts(n.data.iter().map(one).collect())),
                        None => Ok(Value::Text(one(&n.data[0]))),
                    }
                }
                value => Ok(value),
            },
            FitKind::Zscore | FitKind::Range { .. } => {
                let mut v = self.number(&fit.input, p)?;
                let Some(Fit::Affine(affine)) = &self.fitted[i] else {
                    return Err(fail(
                        node,
                        "data::fitted-too-early",
                        "statistics of the training part, before the split",
                    )
                    .help("`keep` and `stratify` read values as they stand in the file"));
                };
                if affine.scale.len() != v.width {
                    let message = format!("{} features, fitted on {}", v.width, affine.scale.len());
                    return Err(fail(node, "data::fit-mismatch", message));
                }
                for (j, x) in v.data.iter_mut().enumerate() {
                    *x = affine.apply(j % v.width, *x);
                }
                Ok(Value::Numbers(v))
            }
        }
    }

    fn stack(
        &self,
        rows: Vec<Value<'a>>,
        node: &'a Node,
        p: usize,
    ) -> Result<Value<'a>, Diagnostic> {
        if rows.iter().all(|r| matches!(r, Value::Text(_))) && self.plan.symbols(node).is_some() {
            let texts = rows.into_iter().filter_map(|r| match r {
                Value::Text(t) => Some(t),
                Value::Chars(_) | Value::Texts(_) | Value::Numbers(_) => None,
            });
            return Ok(Value::Texts(texts.collect()));
        }
        let steps = rows.len();
        let mut data = Vec::new();
        for (i, row) in rows.into_iter().enumerate() {
            let back = steps - 1 - i;
            data.extend(self.numbers(row, node, p - back, None)?.data);
        }
        let width = data.len() / steps;
        Ok(Value::Numbers(Numbers {
            data,
            steps: Some(steps),
            width,
        }))
    }

    fn multihot(
        &self,
        value: Value<'a>,
        width: usize,
        node: &'a Node,
        p: usize,
    ) -> Result<Numbers, Diagnostic> {
        let (texts, steps) = match value {
            Value::Text(t) => (vec![t], None),
            Value::Texts(t) => {
                let n = t.len();
                (t, Some(n))
            }
            Value::Chars(_) | Value::Numbers(_) => {
                return Err(fail(node, "data::not-text", "multihot() reads a text"));
            }
        };
        let mut data = vec![0.0; texts.len() * width];
        for (step, text) in texts.iter().enumerate() {
            for word in text.split_whitespace() {
                match word.parse::<usize>() {
                    Ok(i) if i < width => data[step * width + i] = 1.0,
                    _ => {
                        let message =
                            format!("`{}` is no whole number below {width}", shown(word, 20));
                        return Err(self.at(node, p, None, step, "data::multihot", message));
                    }
                }
            }
        }
        Ok(Numbers { data, steps, width })
    }

    fn draw(
        &mut self,
        dist: &'a Dist,
        path: &str,
        over: Option<usize>,
        example: usize,
        p: usize,
        node: &'a Node,
    ) -> Result<Value<'a>, Diagnostic> {
        let seed = match self.source {
            Source::Rows { seed, .. } => *seed,
            Source::Records(_) | Source::Tensors(_) => 0,
        };
        let place = philox::Place {
            key: philox::key(seed, philox::Domain::Data),
            path: philox::path_hash(path),
            step: 0,
        };
        let steps = match over {
            Some(axis) => Some(self.plan.extent(axis).unwrap_or(0)),
            None => None,
        };
        let mut draws = vec![0f32; 1];
        let mut data = Vec::with_capacity(steps.unwrap_or(1));
        let (low, width) = match dist {
            Dist::Uniform(low, high) => {
                let (low, high) = (self.number(low, p)?, self.number(high, p)?);
                (low.data[0], high.data[0] - low.data[0])
            }
            Dist::Below(n) => {
                let n = self.number(n, p)?.data[0];
                // Whole numbers are drawn from 24 bits.
                if !(1.0..=f64::from(1 << 24)).contains(&n) || n.fract() != 0.0 {
                    let message = format!("randint({n:?}) where 1 to 2^24 can be drawn");
                    return Err(fail(node, "data::randint", message));
                }
                (0.0, n)
            }
        };
        for t in 0..steps.unwrap_or(1) {
            place.fill_uniform(&mut draws, example as u32, t as u32);
            let x = low + f64::from(draws[0]) * width;
            data.push(match dist {
                Dist::Uniform(..) => x,
                Dist::Below(_) => x.floor(),
            });
        }
        Ok(Value::Numbers(Numbers {
            data,
            steps,
            width: 1,
        }))
    }
}

fn fail(node: &Node, code: &'static str, message: impl Into<String>) -> Diagnostic {
    at_span(code, message, node.span)
}

fn at_span(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic::error(code, message).label(span, "here".to_string())
}

/// Element by element: one step lifts over steps, one feature over features.
fn lift<const N: usize>(
    values: [&Numbers; N],
    node: &Node,
    f: impl Fn([f64; N]) -> f64,
) -> Result<Numbers, Diagnostic> {
    let width = values.iter().map(|v| v.width).max().unwrap_or(1);
    let steps = values.iter().filter_map(|v| v.steps).max();
    for v in values {
        if (v.width != width && v.width != 1) || (v.steps.is_some() && v.steps != steps) {
            let show = |v: &Numbers| match v.steps {
                Some(s) => format!("[{s}, {}]", v.width),
                None => format!("[{}]", v.width),
            };
            let all: Vec<String> = values.iter().map(|v| show(v)).collect();
            let message = format!("shapes {} do not agree", all.join(" and "));
            return Err(fail(node, "data::shapes", message));
        }
    }
    let n = steps.unwrap_or(1);
    let mut data = Vec::with_capacity(n * width);
    for s in 0..n {
        for j in 0..width {
            data.push(f(values.map(|v| v.at(s, j))));
        }
    }
    Ok(Numbers { data, steps, width })
}

/// Features side by side; what has no steps repeats along them.
fn beside(parts: Vec<Numbers>, node: &Node) -> Result<Numbers, Diagnostic> {
    let steps = parts.iter().filter_map(|p| p.steps).max();
    if let Some(p) = parts.iter().find(|p| p.steps.is_some() && p.steps != steps) {
        let message = format!(
            "{} steps beside {}",
            p.steps.unwrap_or(0),
            steps.unwrap_or(0)
        );
        return Err(fail(node, "data::shapes", message));
    }
    let width = parts.iter().map(|p| p.width).sum();
    let mut data = Vec::with_capacity(width * steps.unwrap_or(1));
    for s in 0..steps.unwrap_or(1) {
        for part in &parts {
            data.extend((0..part.width).map(|j| part.at(s, j)));
        }
    }
    Ok(Numbers { data, steps, width })
}

/// Sum and mean over nothing are 0; so are the largest and the least, of what has no step.
fn reduce(op: Reduce, v: &Numbers, over_steps: bool) -> Numbers {
    let fold = |values: &mut dyn Iterator<Item = f64>| {
        let mut n = 0usize;
        let mut out = 0.0f64;
        for x in values {
            out = match op {
                Reduce::Sum | Reduce::Mean => out + x,
                Reduce::Max if n > 0 => out.max(x),
                Reduce::Min if n > 0 => out.min(x),
                Reduce::Max | Reduce::Min => x,
            };
            n += 1;
        }
        match op {
            Reduce::Mean if n > 0 => out / n as f64,
            Reduce::Sum | Reduce::Mean | Reduce::Max | Reduce::Min => out,
        }
    };
    let n = v.steps.unwrap_or(1);
    match over_steps {
        true => Numbers {
            data: (0..v.width)
                .map(|j| fold(&mut (0..n).map(|s| v.at(s, j))))
                .collect(),
            steps: None,
            width: v.width,
        },
        false => Numbers {
            data: (0..n)
                .map(|s| fold(&mut (0..v.width).map(|j| v.at(s, j))))
                .collect(),
            steps: v.steps,
            width: 1,
        },
    }
}

fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Not => f64::from(x == 0.0),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Abs => x.abs(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Relu => x.max(0.0),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Step => f64::from(x > 0.0),
        Unary::Floor => x.floor(),
    }
}

fn binary(op: Binary, x: f64, y: f64) -> f64 {
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div => x / y,
        Binary::Pow => x.powf(y),
        Binary::Min => x.min(y),
        Binary::Max => x.max(y),
        Binary::Mod => x - y * (x / y).floor(),
        Binary::Lt => f64::from(x < y),
        Binary::Le => f64::from(x <= y),
        Binary::Eq => f64::from(x == y),
        Binary::Ne => f64::from(x != y),
        Binary::Gt => f64::from(x > y),
        Binary::Ge => f64::from(x >= y),
        Binary::And => f64::from(x != 0.0 && y != 0.0),
        Binary::Or => f64::from(x != 0.0 || y != 0.0),
    }
}
