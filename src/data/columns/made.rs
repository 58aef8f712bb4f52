//! Values that are made rather than read: pieces of a text, windows of rows, 0/1 features, draws.
//!
//! In: a planned cut, window, multihot or draw. Out: a [`Value`] for one example, or a diagnostic. A draw depends on the
//! source's seed, its column and its example, and on nothing else.

use std::borrow::Cow;

use super::super::memory;
use super::super::source::Source;
use super::super::source::text::shown;
use super::eval::{Evaluator, Value};
use super::numbers::{Numbers, fail};
use super::plan::{Dist, Node};
use crate::diagnostics::Diagnostic;
use crate::philox;

/// Steps whose draws take longer than to ask how much memory there is.
const MANY: usize = 1 << 20;

impl<'a> Evaluator<'a> {
    /// The rows of a window as one sequence; labels stay texts.
    pub(super) fn stack(
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

    /// A text in pieces.
    pub(super) fn cut(
        &mut self,
        input: &'a Node,
        p: usize,
        node: &'a Node,
        step: &str,
        pieces: impl Fn(&str) -> Vec<&str>,
    ) -> Result<Value<'a>, Diagnostic> {
        match self.eval(input, p)? {
            Value::Text(Cow::Borrowed(t)) => Ok(Value::Texts(
                pieces(t).into_iter().map(Cow::Borrowed).collect(),
            )),
            Value::Text(Cow::Owned(t)) => {
                let owned = |piece: &str| Cow::Owned(piece.to_string());
                Ok(Value::Texts(pieces(&t).into_iter().map(owned).collect()))
            }
            Value::Chars(_) | Value::Texts(_) | Value::Numbers(_) => {
                let message = format!("{step}() of what is no text");
                Err(fail(node, "data::not-text", message))
            }
        }
    }

    pub(super) fn multihot(
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

    pub(super) fn draw(
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
            Source::Records(_) | Source::Tensors(_) | Source::Text(_) => 0,
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
        if let Some(steps) = steps.filter(|n| *n >= MANY) {
            self.check_memory(node, steps)?;
        }
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

    /// Refuses examples of so many steps, where there is no memory for them all, before the first is drawn: that alone
    /// can take minutes.
    fn check_memory(&self, node: &'a Node, steps: usize) -> Result<(), Diagnostic> {
        let examples = match self.source {
            Source::Rows { count, .. } => *count as u64,
            Source::Records(_) | Source::Tensors(_) | Source::Text(_) => 1,
        };
        let needed = examples.saturating_mul(4 * steps as u64);
        let label = format!("{steps} numbers in each of {examples}");
        memory::check(needed).map_err(|d| d.label(node.span, label))
    }
}
