//! Values of a column as what was fitted has them.
//!
//! In: an [`Evaluator`] and a fit of its plan. Out: the fit's input as symbols of the training part's
//! vocabulary, or scaled and filled by its statistics.

use std::borrow::Cow;

use super::super::fit::Fit;
use super::super::source::Source;
use super::super::source::text::shown;
use super::super::spec::{Field, Unit};
use super::super::vocabulary::{SymbolKind, Vocabulary};
use super::eval::{Evaluator, Value};
use super::numbers::{Numbers, fail, meant};
use super::plan::{FitKind, FitPlan, Node};
use crate::diagnostics::Diagnostic;

impl<'a> Evaluator<'a> {
    pub(super) fn fitted(
        &mut self,
        i: usize,
        node: &'a Node,
        p: usize,
    ) -> Result<Value<'a>, Diagnostic> {
        let fit = &self.plan.fits[i];
        match fit.kind {
            FitKind::Symbols(_) | FitKind::Words { .. } => match self.symbols(fit, p)? {
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
            FitKind::Bpe(_) | FitKind::Pretrained => {
                let Some(Fit::Vocabulary(vocabulary)) = &self.fitted[i] else {
                    return Err(too_early(node, "symbols"));
                };
                let vocabulary = vocabulary.clone();
                match self.eval(&fit.input, p)? {
                    Value::Text(t) => {
                        let owned = |s: Cow<str>| Cow::Owned(s.into_owned());
                        let cut = vocabulary.try_cut(&t).map_err(|why| {
                            self.at(node, p, None, 0, "data::tokenizer", tokenizer_fails(&why))
                        })?;
                        Ok(Value::Texts(cut.into_iter().map(owned).collect()))
                    }
                    Value::Chars(_) | Value::Texts(_) | Value::Numbers(_) => {
                        Err(fail(node, "data::not-text", "pieces of what is no text"))
                    }
                }
            }
            FitKind::Zscore | FitKind::Mean | FitKind::Range { .. } => {
                let mut v = self.number(&fit.input, p)?;
                let Some(Fit::Affine(affine)) = &self.fitted[i] else {
                    return Err(too_early(node, "statistics"));
                };
                if affine.scale.len() != v.width {
                    let message = format!("{} features, fitted on {}", v.width, affine.scale.len());
                    return Err(fail(node, "data::fit-mismatch", message));
                }
                for (j, x) in v.data.iter_mut().enumerate() {
                    *x = match fit.kind {
                        FitKind::Mean if x.is_nan() => affine.shift[j % v.width],
                        FitKind::Mean => *x,
                        _ => affine.apply(j % v.width, *x),
                    };
                }
                Ok(Value::Numbers(v))
            }
        }
    }
}

impl<'a> Evaluator<'a> {
    /// What is fitted at position `p` of the order.
    pub fn fitting_value(&mut self, fit: &'a FitPlan, p: usize) -> Result<Value<'a>, Diagnostic> {
        match fit.kind {
            FitKind::Symbols(_) => self.symbols(fit, p),
            FitKind::Words { .. } | FitKind::Bpe(_) | FitKind::Pretrained => {
                self.eval(&fit.input, p)
            }
            FitKind::Zscore | FitKind::Mean | FitKind::Range { .. } => {
                self.number(&fit.input, p).map(Value::Numbers)
            }
        }
    }

    /// The node's value as a field of this unit has it.
    pub fn wanted(
        &mut self,
        unit: Unit,
        node: &'a Node,
        p: usize,
    ) -> Result<Value<'a>, Diagnostic> {
        match unit {
            Unit::Number | Unit::Binary => self.number(node, p).map(Value::Numbers),
            Unit::Token | Unit::Class => self.eval(node, p),
        }
    }

    /// The symbols that a vocabulary is fitted to, or has. Errors: an empty label, which nobody could
    /// tell from a value that is missing.
    fn symbols(&mut self, fit: &'a FitPlan, p: usize) -> Result<Value<'a>, Diagnostic> {
        let value = self.eval(&fit.input, p)?;
        let labels = match fit.kind {
            FitKind::Symbols(SymbolKind::Labels) => value.labels(),
            _ => &[],
        };
        let none = fit.none.as_deref();
        let empty = |t: &Cow<str>| t.trim().is_empty() && none != Some(&**t);
        let Some(step) = labels.iter().position(empty) else {
            return Ok(value);
        };
        let cell = self.origin(&fit.input, p).map_or(0, |(cell, _)| cell);
        let column = match self.source {
            Source::Records(r) => r.written(cell),
            Source::Rows { .. } | Source::Tensors(_) | Source::Text(_) => cell.to_string(),
        };
        let pieces = matches!(value, Value::Texts(_)) && !self.plan.blocks;
        let (what, help) = match pieces {
            true => (
                "piece",
                "`labels(none = \"\")` has such pieces in no loss".to_string(),
            ),
            false => (
                "cell",
                format!(
                    "`column({column}, missing = drop)` leaves such rows out, `missing = \"none\"` makes \
                     them a class of that name, `labels(none = \"\")` has them in no loss"
                ),
            ),
        };
        let message = format!("an empty {what} of `{column}`, where a label is needed");
        let error = self.at(&fit.input, p, None, step, "data::missing", message);
        Err(error.help(help))
    }
}

impl<'a> Value<'a> {
    /// The texts that are one symbol each.
    pub fn labels(&self) -> &[Cow<'a, str>] {
        match self {
            Value::Text(t) => std::slice::from_ref(t),
            Value::Texts(all) => all,
            Value::Chars(_) | Value::Numbers(_) => &[],
        }
    }

    /// The text of its `i`-th symbol.
    pub fn symbol(&self, i: usize) -> Option<String> {
        match self {
            Value::Chars(t) => t.chars().nth(i).map(String::from),
            Value::Text(_) | Value::Texts(_) => self.labels().get(i).map(|t| t.to_string()),
            Value::Numbers(_) => None,
        }
    }

    /// How many of its labels are this one.
    pub fn count_of(&self, label: Option<&str>) -> usize {
        let same = |t: &&Cow<str>| Some(&***t) == label;
        self.labels().iter().filter(same).count()
    }
}

impl<'a> Evaluator<'a> {
    /// The file and line that a node's value is read from, or the number of its example.
    pub fn line_of(&self, node: &'a Node, p: usize) -> String {
        let cell = self.origin(node, p).map_or(0, |(cell, _)| cell);
        match self.source.place(self.order[p], cell) {
            Some(place) => format!("{}:{}", shown(&place.file, 60), place.line),
            None => self.source.describe(self.order[p]),
        }
    }

    /// The numbers of a field; of one that is 0 or 1 a text is told how it would be.
    pub fn field_numbers(
        &self,
        unit: Unit,
        value: Value<'a>,
        node: &'a Node,
        p: usize,
    ) -> Result<Numbers, Diagnostic> {
        let text = match (&value, unit) {
            (Value::Text(t), Unit::Binary) => Some(t.clone()),
            _ => None,
        };
        self.numbers(value, node, p, None).map_err(|d| {
            let help = text.filter(|_| d.help.is_none());
            match help.and_then(|t| meant(&t, &self.written(node, p, None), true)) {
                Some(help) => d.help(help),
                None => d,
            }
        })
    }

    /// The error for the first label of a value that a vocabulary does not have, unless it is `none`.
    pub fn unknown_class(
        &self,
        field: &Field,
        vocabulary: &Vocabulary,
        none: Option<&str>,
        value: &Value<'a>,
        node: &'a Node,
        p: usize,
    ) -> Option<Box<Diagnostic>> {
        let unknown = |t: &Cow<str>| !vocabulary.is_known(vocabulary.encode(t));
        let mut labels = value.labels().iter().enumerate();
        let (step, text) = labels.find(|(_, t)| none != Some(t) && unknown(t))?;
        let (text, name) = (shown(text, 20), shown(&field.name, 12));
        let message = format!("`{text}` is a `{name}` the training data never had");
        let error = self.at(node, p, None, step, "data::unknown-class", message);
        Some(Box::new(error))
    }
}

/// The message where a tokenizer made elsewhere fails on a text.
pub fn tokenizer_fails(why: &str) -> String {
    format!("the tokenizer: {}", shown(why, 52))
}

fn too_early(node: &Node, what: &str) -> Diagnostic {
    let message = format!("{what} of the training part, before the split");
    fail(node, "data::fitted-too-early", message)
        .help("`keep` and `stratify` read values as they stand in the file")
}
