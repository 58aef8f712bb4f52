//! Values of a column as what was fitted has them.
//!
//! In: an [`Evaluator`] and a fit of its plan. Out: the fit's input as symbols of the training part's
//! vocabulary, or scaled and filled by its statistics.

use std::borrow::Cow;

use super::super::fit::Fit;
use super::super::source::text::shown;
use super::eval::{Evaluator, Value};
use super::numbers::fail;
use super::plan::{FitKind, Node};
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
            FitKind::Symbols(_) | FitKind::Words { .. } => match self.eval(&fit.input, p)? {
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

/// The message where a tokenizer made elsewhere fails on a text.
pub fn tokenizer_fails(why: &str) -> String {
    format!("the tokenizer: {}", shown(why, 52))
}

fn too_early(node: &Node, what: &str) -> Diagnostic {
    let message = format!("{what} of the training part, before the split");
    fail(node, "data::fitted-too-early", message)
        .help("`keep` and `stratify` read values as they stand in the file")
}
