//! The steps of a column's pipe, planned: `|> lower() |> chars()`.
//!
//! In: a step and its planned input. Out: the step's node and the axis of its steps, or a
//! diagnostic where the input is not what the step reads.

use super::super::source::{Source, unavailable};
use super::super::spec::{ColumnExpr, Step, Unary};
use super::super::vocabulary::SymbolKind;
use super::build::{Builder, Built, Context};
use super::plan::{Axis, Dist, End, FitKind, FitPlan, Node, NodeKind, TokenizerFile};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

impl<'a> Builder<'a> {
    pub(super) fn step(
        &mut self,
        e: &ColumnExpr,
        input: &ColumnExpr,
        step: &Step,
        context: &mut Context<'a>,
    ) -> Built {
        let (input, axis) = self.build(input, context)?;
        let x = Box::new(input);
        let node = |kind| Node { kind, span: e.span };
        let kind = match step {
            Step::Lower => NodeKind::Lower(x),
            Step::Nfc => NodeKind::Nfc(x),
            Step::Log => NodeKind::Unary(Unary::Log, x),
            Step::Chars => {
                one_text("chars", axis, e.span)?;
                let chars = node(NodeKind::Chars(x));
                let fitted = self.fit(chars, FitKind::Symbols(SymbolKind::Chars), context);
                let axis = self.plan.axes.fresh(None);
                return Ok((node(fitted), Some(axis)));
            }
            Step::Words {
                min_count,
                max,
                apart,
            } => {
                one_text("words", axis, e.span)?;
                let kind = FitKind::Words {
                    min_count: *min_count as u64,
                    max: *max,
                    apart: *apart,
                };
                let fitted = self.fit(node(NodeKind::Words(x, *apart)), kind, context);
                let axis = self.plan.axes.fresh(None);
                return Ok((node(fitted), Some(axis)));
            }
            Step::Labels => self.fit(*x, FitKind::Symbols(SymbolKind::Labels), context),
            Step::LabelsBut(none) => {
                let kind = FitKind::Symbols(SymbolKind::Labels);
                let fitted = self.fit(*x, kind, context);
                if let Some(plan) = self.plan.fits.last_mut() {
                    plan.none = Some(none.clone());
                }
                fitted
            }
            Step::Zscore => self.fit(*x, FitKind::Zscore, context),
            Step::Scale { low, high } => {
                if low >= high || !low.is_finite() || !high.is_finite() {
                    let message = format!("scale({low:?}, {high:?}) is not a range");
                    return Err(Diagnostic::error("data::scale", message)
                        .label(e.span, "the first must be below the second".to_string()));
                }
                let (low, high) = (*low, *high);
                self.fit(*x, FitKind::Range { low, high }, context)
            }
            Step::Window(n) => {
                if *n == 0 || axis.is_some() {
                    let message = match n {
                        0 => "a window of 0 rows",
                        _ => "a window of what is a sequence already",
                    };
                    return Err(Diagnostic::error("data::window", message)
                        .label(e.span, "here".to_string()));
                }
                let axis = self.plan.axes.fresh(Some(*n));
                return Ok((node(NodeKind::Window(x, *n)), Some(axis)));
            }
            Step::Multihot(n) => NodeKind::Multihot(x, *n),
            Step::Split(separator) => {
                if separator.is_empty() || axis.is_some() {
                    let message = match separator.is_empty() {
                        true => "split needs a separator that is not empty",
                        false => "split of what is a sequence already",
                    };
                    return Err(Diagnostic::error("data::split-text", message)
                        .label(e.span, "here".to_string()));
                }
                let axis = self.plan.axes.fresh(None);
                return Ok((node(NodeKind::Split(x, separator.clone())), Some(axis)));
            }
            Step::Bpe(n) => {
                one_text("bpe", axis, e.span)?;
                built("bpe", e.span)?;
                let fitted = self.fit(*x, FitKind::Bpe(*n), context);
                let axis = self.plan.axes.fresh(None);
                return Ok((node(fitted), Some(axis)));
            }
            Step::Tokenizer { file, end } => {
                one_text("tokenizer", axis, e.span)?;
                built("tokenizer", e.span)?;
                let fitted = self.fit(*x, FitKind::Pretrained, context);
                if let Some(plan) = self.plan.fits.last_mut() {
                    plan.tokenizer = Some(TokenizerFile {
                        path: file.clone(),
                        end: end.clone(),
                    });
                }
                let axis = self.plan.axes.fresh(None);
                return Ok((node(fitted), Some(axis)));
            }
            Step::Steps(n) => {
                no_steps_yet(axis, e.span)?;
                let axis = self.plan.axes.fresh(Some(*n));
                return Ok((node(NodeKind::Steps(x, *n)), Some(axis)));
            }
            Step::First | Step::Last => {
                let name = if *step == Step::First {
                    "first"
                } else {
                    "last"
                };
                let symbols = self.plan.symbols(&x).map(|i| self.plan.fits[i].kind);
                let cut = symbols.is_some_and(|k| k != FitKind::Symbols(SymbolKind::Labels));
                if axis.is_none() || cut {
                    let (code, message, why) = match cut {
                        true => (
                            "data::chars-of-sequence",
                            format!("{name}() of the symbols of a text"),
                            "a text, cut",
                        ),
                        false => (
                            "data::no-steps",
                            format!("{name}() of what is one value already"),
                            "there is one step only",
                        ),
                    };
                    return Err(Diagnostic::error(code, message).label(e.span, why));
                }
                let end = match step {
                    Step::First => End::First,
                    _ => End::Last,
                };
                return Ok((node(NodeKind::One(x, end)), None));
            }
            Step::Pixels => match self.source {
                Source::Tensors(_) => NodeKind::Pixels(x),
                Source::Records(_) | Source::Rows { .. } | Source::Text(_) => {
                    let message = "pixels() reads images; this source has none";
                    return Err(Diagnostic::error("data::no-images", message)
                        .label(e.span, "no image")
                        .help("idx(images = …, labels = …) and tensors(…) have images"));
                }
            },
        };
        Ok((node(kind), axis))
    }

    pub(super) fn fit(&mut self, input: Node, kind: FitKind, context: &mut Context) -> NodeKind {
        let key = format!("{}.{}", context.column, context.fits);
        context.fits += 1;
        self.plan.fits.push(FitPlan {
            key,
            kind,
            input,
            tokenizer: None,
            none: None,
        });
        NodeKind::Fitted(self.plan.fits.len() - 1)
    }

    pub(super) fn draw(
        &mut self,
        dist: Dist,
        over: Option<Axis>,
        context: &mut Context,
    ) -> NodeKind {
        let path = format!("{}.{}", context.column, context.draws);
        context.draws += 1;
        NodeKind::Draw { dist, path, over }
    }
}

/// Refuses a step of the crate `tokenizers` in a build without it.
fn built(step: &str, span: Span) -> Result<(), Diagnostic> {
    match cfg!(feature = "tokenizers") {
        true => Ok(()),
        false => Err(unavailable(step, span).help("build seqc with the feature `tokenizers`")),
    }
}

/// Refuses to cut what has steps already.
fn one_text(step: &str, axis: Option<Axis>, span: Span) -> Result<(), Diagnostic> {
    match axis {
        None => Ok(()),
        Some(_) => {
            let message = format!("{step}() of a sequence of texts would have two axes");
            Err(Diagnostic::error("data::chars-of-sequence", message)
                .label(span, "use labels() for one symbol a step".to_string()))
        }
    }
}

/// Refuses to make a sequence of a sequence.
fn no_steps_yet(axis: Option<Axis>, span: Span) -> Result<(), Diagnostic> {
    match axis {
        None => Ok(()),
        Some(_) => {
            let message = "steps() of what is a sequence already";
            Err(Diagnostic::error("data::steps", message).label(span, "has steps"))
        }
    }
}
