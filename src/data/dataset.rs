//! The fields of a model, in memory, by part.
//!
//! In: a [`DataSpec`], a [`Wanted`], the folder of the `.seq` file, what the command line binds.
//! Out: [`Dataset`]: either examples, each with its own lengths, or, where a text or a series is
//! one long sequence, the steps of each part in a row. Everything fitted comes from the training
//! part, or from the [`Fits`] of an earlier run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::column::{Column, Filling, Values};
use super::eval::{Evaluator, Value};
use super::fit::{Fit, Fits, Moments, Vocabulary};
use super::plan::{FitKind, Node, Plan, plan};
use super::source::{Source, open};
use super::spec::{DataSpec, FieldRole, SourceKind, Split, SplitBy, Time, Unit, Wanted};
use super::split::{Part, split};
use crate::diagnostics::Diagnostic;

/// The most errors reported about rows.
const MAX_ERRORS: usize = 20;

/// Where the data is and what is known of it already.
#[derive(Clone, Debug)]
pub struct LoadOptions<'a> {
    /// The folder of the `.seq` file.
    pub base: &'a Path,
    /// `--data NAME=PATH`: a file, or a folder for a source of several files.
    pub bindings: BTreeMap<String, PathBuf>,
    /// The whole source is this part (`eval --data`); `split` is not applied.
    pub only: Option<Part>,
    /// What an earlier run fitted; else the training part is fitted.
    pub fits: Option<&'a Fits>,
}

impl<'a> LoadOptions<'a> {
    /// Nothing bound, nothing known.
    pub fn new(base: &'a Path) -> LoadOptions<'a> {
        LoadOptions {
            base,
            bindings: BTreeMap::new(),
            only: None,
            fits: None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Dataset {
    pub(super) columns: Vec<Column>,
    pub(super) times: Vec<Time>,
    /// Ranges of examples, or of steps where the data is one long sequence.
    pub(super) parts: [Range<usize>; 3],
    /// One long sequence: `starts` of columns are empty, every step stands alone.
    pub(super) long: bool,
    /// Steps of each example along each time, in the order of `times`; empty where long.
    pub(super) lengths: Vec<Vec<u32>>,
    /// The number in the source of each example (or step).
    rows: Vec<usize>,
    fits: Fits,
}

impl Dataset {
    /// Reads, fits and splits. Errors: paths and files (`io::…`, `data::…`), content with file, line
    /// and column, features not built.
    pub fn load(
        spec: &DataSpec,
        wanted: &Wanted,
        options: &LoadOptions,
    ) -> Result<Dataset, Vec<Diagnostic>> {
        let bound = options.bindings.get(&spec.name.node).map(PathBuf::as_path);
        let source =
            open(spec, options.base, bound, options.only.is_some()).map_err(|e| vec![e])?;
        let plan = plan(spec, wanted, &source)?;
        let load = Load {
            spec,
            wanted,
            options,
            source: &source,
            plan: &plan,
        };
        match spec.source.kind {
            SourceKind::Text(_) => super::long_text::load(&load),
            _ => load.rows(),
        }
    }

    /// The column of a field.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The symbols of a token or class field.
    pub fn vocabulary(&self, name: &str) -> Option<&Vocabulary> {
        self.column(name)?.vocabulary.as_ref()
    }

    /// Whether the data is one long text or series.
    pub fn is_long(&self) -> bool {
        self.long
    }

    /// Examples of a part, or steps where the data is one long sequence.
    pub fn len(&self, part: Part) -> usize {
        self.parts[part as usize].len()
    }

    pub fn is_empty(&self, part: Part) -> bool {
        self.len(part) == 0
    }

    /// The number in the source (as sorted, all files together), from 0, of the `i`-th example of a part.
    pub fn source_row(&self, part: Part, i: usize) -> Option<usize> {
        let at = self.parts[part as usize].clone().nth(i)?;
        Some(self.rows.get(at).copied().unwrap_or(at))
    }

    /// What was fitted, to be stored with a run.
    pub fn fits(&self) -> &Fits {
        &self.fits
    }

    /// Symbols of a part that the training part does not have, over all fields.
    pub fn unseen(&self, part: Part) -> usize {
        self.columns.iter().map(|c| c.unseen[part as usize]).sum()
    }
}

/// What loading works on.
pub(super) struct Load<'a> {
    pub spec: &'a DataSpec,
    pub wanted: &'a Wanted,
    pub options: &'a LoadOptions<'a>,
    pub source: &'a Source,
    pub plan: &'a Plan,
}

impl<'a> Load<'a> {
    /// The whole dataset of a source with rows.
    fn rows(&self) -> Result<Dataset, Vec<Diagnostic>> {
        let long = self.is_long()?;
        let kept = self.kept()?;
        let (back, ahead) = self.reach();
        let ordered = long || back > 0 || ahead > 0;
        let orders = self.split(&kept, ordered)?;
        let fitted = self.fit(&orders, long)?;
        let fits = self.name_fits(&fitted)?;
        let mut filling = Filling::new(self, &fits.0, &fitted, long);
        let mut parts: [Range<usize>; 3] = [0..0, 0..0, 0..0];
        let mut rows = Vec::new();
        let mut errors = Vec::new();
        for part in Part::ALL {
            let order = &orders[part as usize];
            let start = filling.examples;
            let mut evaluator = Evaluator::new(self.source, self.plan, fitted.clone(), order);
            let count = order.len().saturating_sub(back + ahead);
            for (p, row) in order.iter().enumerate().skip(back).take(count) {
                match filling.example(&mut evaluator, p, part) {
                    Ok(()) => rows.push(*row),
                    Err(e) => errors.push(e),
                }
                if errors.len() >= MAX_ERRORS {
                    return Err(errors);
                }
            }
            parts[part as usize] = start..filling.examples;
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        self.check_parts(&parts)?;
        Ok(Dataset {
            columns: filling.columns,
            times: self.wanted.times.clone(),
            parts,
            long,
            lengths: filling.lengths,
            rows,
            fits: fits.1,
        })
    }

    /// Assembles the dataset of one long text.
    pub fn long(
        &self,
        columns: Vec<Column>,
        parts: [Range<usize>; 3],
        fits: Fits,
    ) -> Result<Dataset, Vec<Diagnostic>> {
        self.check_parts(&parts)?;
        Ok(Dataset {
            columns,
            times: self.wanted.times.clone(),
            parts,
            long: true,
            lengths: Vec::new(),
            rows: Vec::new(),
            fits,
        })
    }

    fn check_parts(&self, parts: &[Range<usize>; 3]) -> Result<(), Vec<Diagnostic>> {
        let part = self.options.only.unwrap_or(Part::Train);
        if !parts[part as usize].is_empty() {
            return Ok(());
        }
        let message = format!(
            "the {} part of `{}` has no example",
            part.name(),
            self.spec.name.node
        );
        Err(vec![Diagnostic::error("data::empty-part", message).label(
            self.spec.span,
            "after `keep`, `split`, windows and `next`".to_string(),
        )])
    }

    /// A field with a time whose column has one step a row makes the rows one long series.
    fn is_long(&self) -> Result<bool, Vec<Diagnostic>> {
        let fields = || self.wanted.fields.iter().zip(&self.plan.fields);
        let has_steps = |c: usize| self.plan.columns[c].axis.is_some();
        let long = fields().any(|(f, c)| f.time.is_some() && !has_steps(*c));
        let mut errors = Vec::new();
        for (field, column) in fields() {
            let planned = &self.plan.columns[*column];
            let wrong = match (&field.time, has_steps(*column)) {
                (None, true) if field.role != FieldRole::Column => Some(format!(
                    "`{}` is a sequence, the model's is not",
                    field.name
                )),
                (None, false) if long && field.role != FieldRole::Column => Some(format!(
                    "`{}` is one value beside a long series",
                    field.name
                )),
                (_, true) if long => Some(format!(
                    "`{}` has sequences where another field is one series",
                    field.name
                )),
                (_, _) => None,
            };
            if let Some(message) = wrong {
                errors.push(
                    Diagnostic::error("data::mixed", message)
                        .label(planned.node.span, "this column".to_string())
                        .label(field.span, "this field".to_string())
                        .help("`window(n)` makes sequences of n rows"),
                );
            }
        }
        match errors.is_empty() {
            true => Ok(long),
            false => Err(errors),
        }
    }

    /// Rows before and after an example's own that its fields read.
    fn reach(&self) -> (usize, usize) {
        self.plan.fields.iter().fold((0, 0), |(back, ahead), c| {
            let (b, a) = self.plan.reach(&self.plan.columns[*c].node);
            (back.max(b), ahead.max(a))
        })
    }

    /// Examples that `keep` keeps, in the source's order.
    fn kept(&self) -> Result<Vec<usize>, Vec<Diagnostic>> {
        let all: Vec<usize> = (0..self.source.examples()).collect();
        let Some(condition) = &self.plan.keep else {
            return Ok(all);
        };
        self.no_neighbours(condition)?;
        let mut evaluator = self.unfitted(&all);
        let mut kept = Vec::new();
        let mut errors = Vec::new();
        for (p, example) in all.iter().enumerate() {
            match evaluator.number(condition, p) {
                Ok(v) if v.data.iter().all(|x| *x != 0.0) => kept.push(*example),
                Ok(_) => {}
                Err(e) => errors.push(e),
            }
            if errors.len() >= MAX_ERRORS {
                break;
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if kept.is_empty() {
            let message = format!("`keep` leaves none of {} examples", all.len());
            return Err(vec![
                Diagnostic::error("data::nothing-kept", message)
                    .label(condition.span, "never true".to_string()),
            ]);
        }
        Ok(kept)
    }

    fn no_neighbours(&self, condition: &Node) -> Result<(), Vec<Diagnostic>> {
        match self.plan.reach(condition) {
            (0, 0) => Ok(()),
            _ => Err(vec![
                Diagnostic::error(
                    "data::fitted-too-early",
                    "`next` and `window` are read before the split",
                )
                .label(condition.span, "reads other rows".to_string()),
            ]),
        }
    }

    fn unfitted(&self, order: &'a [usize]) -> Evaluator<'a> {
        Evaluator::new(
            self.source,
            self.plan,
            vec![None; self.plan.fits.len()],
            order,
        )
    }

    fn split(&self, kept: &[usize], ordered: bool) -> Result<[Vec<usize>; 3], Vec<Diagnostic>> {
        if let Some(part) = self.options.only {
            let mut out: [Vec<usize>; 3] = Default::default();
            out[part as usize] = kept.to_vec();
            return Ok(out);
        }
        let file = |e: usize| self.source.file_of(e).0;
        let mut classes = BTreeMap::new();
        if let (
            Some(node),
            Split::Parts {
                by: SplitBy::Stratify(_),
                ..
            },
        ) = (&self.plan.stratify, &self.spec.split)
        {
            self.no_neighbours(node)?;
            let mut evaluator = self.unfitted(kept);
            for (p, e) in kept.iter().enumerate() {
                let class = match evaluator.eval(node, p).map_err(|e| vec![e])? {
                    Value::Text(t) | Value::Chars(t) => t.into_owned(),
                    Value::Texts(t) => t.join("\t"),
                    Value::Numbers(n) => format!("{:?}", n.data),
                };
                classes.insert(*e, class);
            }
        }
        let class = |e: usize| classes.get(&e).cloned().unwrap_or_default();
        Ok(split(kept, &self.spec.split, ordered, &file, Some(&class)))
    }

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
    fn fit(
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
            let mut evaluator = Evaluator::new(self.source, self.plan, fitted.clone(), train);
            let mut chars = BTreeSet::new();
            let mut labels = BTreeSet::new();
            let mut moments = Moments::default();
            let mut errors = Vec::new();
            for p in 0..train.len() {
                let value = match plan.kind {
                    FitKind::Symbols(_) => evaluator.eval(&plan.input, p),
                    FitKind::Zscore | FitKind::Range { .. } => {
                        evaluator.number(&plan.input, p).map(Value::Numbers)
                    }
                };
                match value {
                    Ok(Value::Chars(t)) => chars.extend(t.chars()),
                    Ok(Value::Text(t)) => {
                        labels.insert(t.into_owned());
                    }
                    Ok(Value::Texts(t)) => {
                        labels.extend(t.into_iter().map(|t| t.into_owned()));
                    }
                    Ok(Value::Numbers(n)) => match plan.kind {
                        FitKind::Symbols(_) => labels.extend(n.data.iter().map(f64::to_string)),
                        FitKind::Zscore | FitKind::Range { .. } => {
                            for step in n.data.chunks(n.width.max(1)) {
                                moments.push(step);
                            }
                        }
                    },
                    Err(e) => errors.push(e),
                }
                if errors.len() >= MAX_ERRORS {
                    break;
                }
            }
            if !errors.is_empty() {
                return Err(errors);
            }
            let end = self.ends(Some(i), None, long);
            fitted[i] = Some(match plan.kind {
                FitKind::Symbols(kind) => {
                    labels.extend(chars.into_iter().map(String::from));
                    let symbols = labels.iter().map(String::as_str);
                    Fit::Vocabulary(Vocabulary::of(kind, symbols, end))
                }
                FitKind::Zscore => Fit::Affine(moments.zscore()),
                FitKind::Range { low, high } => Fit::Affine(moments.range(low, high)),
            });
        }
        self.fit_integers(train, fitted, long)
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
                    if x.fract() != 0.0 || *x < 0.0 || *x > f64::from(i32::MAX - 2) {
                        let message = format!("{x:?} is no token or class, which count from 0");
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

    /// Whether a wanted field reads a fit: what only `keep` reads has no use for one.
    fn needed(&self, fit: usize) -> bool {
        fn reads(plan: &Plan, node: &Node, fit: usize) -> bool {
            if matches!(node.kind, super::plan::NodeKind::Fitted(i) if i == fit) {
                return true;
            }
            let mut found = false;
            plan.visit(node, &mut |n| found = found || reads(plan, n, fit));
            found
        }
        (self.plan.fields.iter()).any(|c| reads(self.plan, &self.plan.columns[*c].node, fit))
    }

    /// The vocabulary of each field, and everything by name.
    fn name_fits(
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
                        let message = format!("`{}` has no symbol to learn from", field.name);
                        return Err(vec![
                            Diagnostic::error("data::empty", message)
                                .label(field.span, "this field".to_string()),
                        ]);
                    }
                    Some(v)
                }
                Some(Fit::Affine(_)) | None => None,
            });
        }
        Ok((vocabularies, fits))
    }
}

fn integers_key(field: &str) -> String {
    format!("{field}.values")
}

impl Column {
    /// Elements of example `e` (or of step `e`, where the data is long) as a range of its values.
    pub(super) fn range(&self, e: usize) -> Range<usize> {
        match self.starts.is_empty() {
            true => e * self.width..(e + 1) * self.width,
            false => self.starts[e] * self.width..self.starts[e + 1] * self.width,
        }
    }

    /// The indices of an example's tokens or classes, `<end>` included.
    pub fn tokens(&self, e: usize) -> &[i32] {
        match &self.values {
            Values::I32(v) => &v[self.range(e)],
            Values::F32(_) => &[],
        }
    }
}
