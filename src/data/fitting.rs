//! Fitting vocabularies and statistics to the training part.
//!
//! In: the plan's fits and the examples of each part. Out: what was fitted, by position for the
//! evaluator and by name for the run folder; taken from an earlier run where there is one.

use std::collections::{BTreeMap, BTreeSet};

use super::bpe;
use super::columns::eval::{Evaluator, Value};
use super::columns::numbers::fail;
use super::columns::plan::{FitKind, FitPlan};
use super::fit::{Fit, Fits, Moments};
use super::gather::Found;
use super::load::Load;
use super::pretrained::MAX_BYTES;
use super::source::path::{read, resolve};
use super::source::text::shown;
use super::spec::{Field, Unit};
use super::split::Part;
use super::vocabulary::{SymbolKind, Vocabulary};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// Tokens or classes that numbers may stand for. Each takes a row of weights and a name: one damaged
/// number would else ask for gigabytes.
const MOST_INTEGERS: usize = 1 << 20;

impl<'a> Load<'a> {
    /// Whether a vocabulary has `<end>`: its symbols are a target that the model feeds to itself.
    pub fn ends(&self, fit: Option<usize>, field: Option<usize>, long: bool) -> bool {
        let fields = self.wanted.fields.iter().zip(&self.plan.fields).enumerate();
        !long
            && fields
                .filter(|(_, (f, _))| f.feeds_itself && f.unit == Unit::Token)
                .any(|(i, (_, c))| match fit {
                    Some(fit) => self.plan.symbols(&self.plan.columns[*c].node) == Some(fit),
                    None => Some(i) == field,
                })
    }

    /// What is fitted for each of [`Plan::fits`]: taken from an earlier run, or fitted on the
    /// training part (on the only part, where there is no other).
    pub fn fit(
        &self,
        orders: &[Vec<usize>; 3],
        long: bool,
    ) -> Result<Vec<Option<Fit>>, Vec<Diagnostic>> {
        let train = &orders[self.options.only.unwrap_or(Part::Train) as usize];
        let mut fitted: Vec<Option<Fit>> = vec![None; self.plan.fits.len()];
        for (i, plan) in self.plan.fits.iter().enumerate() {
            if !self.needed(i) {
                continue;
            }
            if let Some(fits) = self.options.fits {
                fitted[i] = Some(fits.0.get(&plan.key).cloned().ok_or_else(|| {
                    vec![
                        Diagnostic::error(
                            "data::fit-missing",
                            format!("the run has nothing fitted for `{}`", plan.key),
                        )
                        .label(plan.input.span, "fitted here".to_string()),
                    ]
                })?);
                continue;
            }
            if let FitKind::Pretrained = plan.kind {
                let end = self.ends(Some(i), None, long);
                let read = self.tokenizer(plan, end).map_err(|d| vec![d])?;
                fitted[i] = Some(Fit::Vocabulary(read));
                continue;
            }
            let mut evaluator = Evaluator::new(self.source, self.plan, fitted.clone(), train);
            let mut chars = BTreeSet::new();
            let mut labels = BTreeSet::new();
            let mut counts = BTreeMap::new();
            let mut pieces = bpe::Counts::default();
            let mut moments = Moments::default();
            let mut errors = Found::default();
            let alike = self.plan.alike(&plan.input);
            let mut features = 1;
            // Rows at either end may lack the neighbours that the fitted values are made of.
            let (back, ahead) = self.plan.reach(&plan.input);
            let whole = train.len().saturating_sub(back + ahead);
            for (p, row) in train.iter().enumerate().skip(back).take(whole) {
                match evaluator.fitting_value(plan, p) {
                    Ok(Value::Chars(t)) => chars.extend(t.chars()),
                    Ok(Value::Text(t)) if matches!(plan.kind, FitKind::Bpe(_)) => pieces.add(&t),
                    Ok(Value::Text(t)) => {
                        labels.insert(t.into_owned());
                    }
                    Ok(Value::Texts(t)) if matches!(plan.kind, FitKind::Words { .. }) => {
                        for word in t {
                            count(&mut counts, &word);
                        }
                    }
                    Ok(Value::Texts(t)) => {
                        labels.extend(t.into_iter().map(|t| t.into_owned()));
                    }
                    Ok(Value::Numbers(n)) => match plan.kind {
                        FitKind::Bpe(_) | FitKind::Pretrained => {
                            let e = fail(&plan.input, "data::not-text", "bpe() of what is no text");
                            errors.push(*row, e, &mut evaluator.others);
                        }
                        FitKind::Symbols(_) | FitKind::Words { .. } => {
                            labels.extend(n.data.iter().map(f64::to_string));
                        }
                        FitKind::Zscore | FitKind::Mean | FitKind::Range { .. } => {
                            features = n.width;
                            let together = if alike { 1 } else { n.width.max(1) };
                            for step in n.data.chunks(together) {
                                moments.push(step);
                            }
                        }
                    },
                    Err(e) => errors.push(*row, e, &mut evaluator.others),
                }
                if errors.enough() {
                    break;
                }
            }
            if !errors.is_empty() {
                self.elsewhere(i, orders, &fitted, &mut errors);
            }
            errors.none()?;
            let end = self.ends(Some(i), None, long);
            fitted[i] = Some(match plan.kind {
                FitKind::Symbols(kind) => {
                    labels.extend(chars.into_iter().map(String::from));
                    if let Some(none) = &plan.none {
                        labels.remove(none);
                    }
                    let symbols = labels.iter().map(String::as_str);
                    Fit::Vocabulary(Vocabulary::of(kind, symbols, end))
                }
                FitKind::Words {
                    min_count,
                    max,
                    apart,
                } => {
                    let kind = kind_of_words(apart);
                    let counts = counts
                        .iter()
                        .map(|(w, n): (&String, &u64)| (w.as_str(), *n));
                    Fit::Vocabulary(Vocabulary::of_counts(kind, counts, min_count, max, end))
                }
                FitKind::Pretrained => continue,
                FitKind::Bpe(size) => {
                    Fit::Vocabulary(byte_pairs(&pieces, size, end, plan.input.span)?)
                }
                FitKind::Zscore => Fit::Affine(moments.zscore().repeated(alike, features)),
                FitKind::Mean => match moments.means() {
                    Some(means) => Fit::Affine(means),
                    None => {
                        let message = "no mean: a column has no value in the training part";
                        return Err(vec![fail(&plan.input, "data::missing", message)]);
                    }
                },
                FitKind::Range { low, high } => {
                    Fit::Affine(moments.range(low, high).repeated(alike, features))
                }
            });
        }
        self.fit_integers(train, fitted, long)
    }

    /// What is wrong with the files of the tokenizers that wanted fields are cut by.
    pub fn wrong_tokenizers(&self) -> Vec<Diagnostic> {
        let fits = self.plan.fits.iter().enumerate();
        let cuts = |i: usize, f: &FitPlan| matches!(f.kind, FitKind::Pretrained) && self.needed(i);
        let read = fits.filter(|(i, f)| cuts(*i, f));
        read.filter_map(|(_, f)| self.tokenizer(f, false).err())
            .collect()
    }

    /// The vocabulary of a tokenizer made elsewhere.
    ///
    /// Errors: a path outside the folder of the `.seq` file, a file that is too large or cannot be used.
    pub fn tokenizer(&self, plan: &FitPlan, end: bool) -> Result<Vocabulary, Diagnostic> {
        let Some(file) = &plan.tokenizer else {
            return Err(fail(&plan.input, "data::tokenizer", "no file is named"));
        };
        let written = &file.path;
        let wrong = |message: String| {
            Diagnostic::error("data::tokenizer", message).label(written.span, "named here")
        };
        // A folder that the command line binds may hold it; a file that it binds is the source.
        let bound = self.options.bindings.get(&self.spec.name.node);
        let name = std::path::Path::new(&written.node).file_name();
        let bound = bound.filter(|b| name.is_some_and(|n| b.join(n).is_file()));
        let path = bound.map(|b| b.as_path());
        let data = &self.spec.name.node;
        let found = resolve(written, self.options.base, path, data).map_err(|d| {
            // A file that the command line binds would be the source.
            d.help(format!(
                "it may lie beside the .seq file, or in a folder: --data {data}=FOLDER"
            ))
        })?;
        let bytes = read(&found, written, Some(MAX_BYTES + 1))?;
        let name = shown(&written.node, 24);
        if bytes.len() as u64 > MAX_BYTES {
            let message = format!("`{name}` has more than {} MiB", MAX_BYTES >> 20);
            return Err(wrong(message));
        }
        let json = String::from_utf8(bytes);
        let json = json.map_err(|_| wrong(format!("`{name}` is not UTF-8")))?;
        Vocabulary::of_tokenizer(json, file.end.as_deref(), end)
            .map_err(|why| wrong(format!("`{name}` cannot be used")).help(shown(&why, 200)))
    }

    /// Token and class fields that are numbers: the vocabulary is every number up to the largest.
    /// These stand after the plan's fits, one a field.
    fn fit_integers(
        &self,
        train: &'a [usize],
        mut fitted: Vec<Option<Fit>>,
        long: bool,
    ) -> Result<Vec<Option<Fit>>, Vec<Diagnostic>> {
        let (back, ahead) = self.reach();
        for (i, (field, column)) in (self.wanted.fields.iter().zip(&self.plan.fields)).enumerate() {
            let node = &self.plan.columns[*column].node;
            if matches!(field.unit, Unit::Number | Unit::Binary)
                || self.plan.symbols(node).is_some()
            {
                fitted.push(None);
                continue;
            }
            if let Some(fits) = self.options.fits
                && let Some(fit) = fits.0.get(&integers_key(&field.name))
            {
                fitted.push(Some(fit.clone()));
                continue;
            }
            let mut evaluator = Evaluator::new(self.source, self.plan, fitted.clone(), train);
            let mut largest = None;
            for p in back..train.len().saturating_sub(ahead) {
                let value = evaluator.eval(node, p).map_err(|e| vec![e])?;
                let Value::Numbers(n) = value else {
                    let message = format!("`{}` is text without a vocabulary", field.name);
                    return Err(vec![
                        Diagnostic::error("data::no-vocabulary", message)
                            .label(node.span, "add `|> chars()` or `|> labels()`".to_string()),
                    ]);
                };
                for x in &n.data {
                    let whole = x.fract() == 0.0 && *x >= 0.0;
                    if !whole || *x >= MOST_INTEGERS as f64 {
                        let message = match whole {
                            false => format!("{x:?} is no token or class, which count from 0"),
                            true => format!("class {x} is beyond the {MOST_INTEGERS} there may be"),
                        };
                        return Err(vec![evaluator.at(
                            node,
                            p,
                            None,
                            0,
                            "data::not-a-class",
                            message,
                        )]);
                    }
                    largest = largest.max(Some(*x as usize));
                }
            }
            let n = largest.map_or(0, |l| l + 1);
            let end = self.ends(None, Some(i), long);
            fitted.push(Some(Fit::Vocabulary(Vocabulary::integers(n, end))));
        }
        Ok(fitted)
    }

    /// Whether a wanted field reads a fit, or `keep` counts its symbols: for the rest `keep` reads
    /// there is no use.
    pub(super) fn needed(&self, fit: usize) -> bool {
        let this = |i: usize| i == fit;
        let keep = self.plan.keep.iter().filter(|_| self.plan.keep_needs_fit());
        let fields = (self.plan.fields.iter()).map(|c| &self.plan.columns[*c].node);
        fields.chain(keep).any(|n| self.plan.reads_fit(n, &this))
    }

    /// The vocabulary of each field, and everything by name.
    pub fn name_fits(
        &self,
        fitted: &[Option<Fit>],
    ) -> Result<(Vec<Option<Vocabulary>>, Fits), Vec<Diagnostic>> {
        let mut fits = Fits::default();
        for (plan, fit) in self.plan.fits.iter().zip(fitted) {
            if let Some(fit) = fit {
                fits.0.insert(plan.key.clone(), fit.clone());
            }
        }
        let mut vocabularies = Vec::new();
        let numbers = &fitted[self.plan.fits.len()..];
        let fields = self.wanted.fields.iter().zip(&self.plan.fields);
        for ((field, column), own) in fields.zip(numbers) {
            let at = self.plan.symbols(&self.plan.columns[*column].node);
            let fit = match at {
                Some(i) => fitted[i].clone(),
                None => own.clone(),
            };
            if at.is_none() && own.is_some() {
                let key = integers_key(&field.name);
                fits.0.extend(own.clone().map(|f| (key, f)));
            }
            vocabularies.push(match fit {
                Some(Fit::Vocabulary(v)) => {
                    if v.symbols().is_empty() {
                        return Err(vec![nothing_left(field)]);
                    }
                    Some(v)
                }
                Some(Fit::Affine(_)) | None => None,
            });
        }
        Ok((vocabularies, fits))
    }
}

/// A vocabulary of `size` byte pairs, 256 of them the bytes themselves.
pub(super) fn byte_pairs(
    counts: &bpe::Counts,
    size: usize,
    end: bool,
    span: Span,
) -> Result<Vocabulary, Vec<Diagnostic>> {
    let (symbols, merges) = counts.train(size);
    Vocabulary::of_merges(symbols, merges, end).map_err(|message| {
        vec![Diagnostic::error("data::bpe", message).label(span, "cut in byte pairs here")]
    })
}

/// The error where a vocabulary has no symbol.
pub(super) fn nothing_left(field: &Field) -> Diagnostic {
    let message = format!("`{}` has no symbol to learn from", field.name);
    Diagnostic::error("data::empty", message).label(field.span, "this field".to_string())
}

/// How words are cut: with punctuation apart, or between blanks.
pub(super) fn kind_of_words(apart: bool) -> SymbolKind {
    match apart {
        true => SymbolKind::Segments,
        false => SymbolKind::Words,
    }
}

/// Adds one to a word's count.
fn count(counts: &mut BTreeMap<String, u64>, word: &str) {
    match counts.get_mut(word) {
        Some(n) => *n += 1,
        None => {
            counts.insert(word.to_string(), 1);
        }
    }
}

fn integers_key(field: &str) -> String {
    format!("{field}.values")
}
