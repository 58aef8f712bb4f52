//! From an opened source to a dataset: which rows are kept, how they are split, every value checked.
//!
//! In: [`Load`]: the spec, what the model asks, the source, the plan of its columns. Out:
//! [`Dataset`], or at most 20 diagnostics about rows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::column::{Column, Filling};
use super::columns::eval::{Evaluator, Value};
use super::columns::has_values;
use super::columns::plan::{Gap, Node, Plan};
use super::dataset::{Dataset, LoadOptions, Newest};
use super::fit::{Fit, Fits};
use super::gather::Found;
use super::left_out::LeftOut;
use super::source::Source;
use super::source::text::shown;
use super::spec::{DataSpec, FieldRole, Split, SplitBy, Wanted};
use super::split::{Part, split};
use crate::diagnostics::Diagnostic;

/// What was fitted, by position in [`Plan::fits`].
type Fitted = Vec<Option<Fit>>;

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
    pub fn rows(&self) -> Result<Dataset, Vec<Diagnostic>> {
        let long = self.is_long()?;
        self.check_examples()?;
        // A length in byte pairs is known after the split only.
        let late = self.plan.keep_needs_fit();
        let all = self.complete()?;
        let left_out = LeftOut::of(self.source, self.plan, self.options.behind, &all);
        let kept = match late {
            true => all.clone(),
            false => self.kept(&all, self.unfitted())?,
        };
        let (back, ahead) = self.reach();
        let ordered = long || back > 0 || ahead > 0;
        let mut orders = self.split(&kept, ordered)?;
        let fitted = self.fit(&orders, long)?;
        if late {
            let kept: BTreeSet<usize> = self.kept(&all, fitted.clone())?.into_iter().collect();
            orders
                .iter_mut()
                .for_each(|o| o.retain(|e| kept.contains(e)));
        }
        let fits = self.name_fits(&fitted)?;
        let mut filling = Filling::new(self, &fits.0, &fitted, long);
        let mut parts: [Range<usize>; 3] = [0..0, 0..0, 0..0];
        let mut rows = Vec::new();
        let mut errors = Found::default();
        for part in Part::ALL {
            let order = &orders[part as usize];
            let start = filling.examples;
            errors.part();
            let mut evaluator = Evaluator::new(self.source, self.plan, fitted.clone(), order);
            let count = order.len().saturating_sub(back + ahead);
            for (p, row) in order.iter().enumerate().skip(back).take(count) {
                match filling.example(&mut evaluator, p, part) {
                    Ok(()) => {
                        rows.push(*row);
                        if filling.examples == 1 {
                            let total = orders.iter().map(Vec::len).sum();
                            self.check_memory(filling.bytes(), total)?;
                        }
                    }
                    // The next example is as large.
                    Err(e) if e.code == "resource::memory" => return Err(vec![e]),
                    Err(e) => {
                        // The fields after it were not looked at.
                        for (field, c) in self.wanted.fields.iter().zip(&self.plan.fields) {
                            let node = &self.plan.columns[*c].node;
                            let found = evaluator.wanted(field.unit, node, p).err();
                            evaluator.others.extend(found);
                        }
                        errors.push(*row, e, &mut evaluator.others);
                    }
                }
                if errors.enough() {
                    break;
                }
            }
            parts[part as usize] = start..filling.examples;
        }
        errors.none()?;
        self.check_parts(&parts, Some(&orders))?;
        let lines = match self.source {
            Source::Records(r) if self.options.lines => r.lines(&rows),
            _ => Vec::new(),
        };
        Ok(Dataset {
            columns: filling.columns,
            times: self.wanted.times.clone(),
            parts,
            long,
            lengths: filling.lengths,
            rows,
            lines,
            fits: fits.1,
            left_out,
        })
    }

    /// Assembles the dataset of one long text.
    pub fn long(
        &self,
        columns: Vec<Column>,
        parts: [Range<usize>; 3],
        fits: Fits,
    ) -> Result<Dataset, Vec<Diagnostic>> {
        self.check_parts(&parts, None)?;
        Ok(Dataset {
            columns,
            times: self.wanted.times.clone(),
            parts,
            long: true,
            lengths: Vec::new(),
            rows: Vec::new(),
            lines: Vec::new(),
            fits,
            left_out: None,
        })
    }

    /// Refuses more examples than fit, whatever is in them: a number in each of two orders, and a
    /// value or an index in each field.
    fn check_examples(&self) -> Result<(), Vec<Diagnostic>> {
        let values = |f: &super::spec::Field| -> u64 {
            let sizes = f.features.iter().flatten().map(|n| *n as u64);
            sizes.fold(4, u64::saturating_mul)
        };
        let fields = self.wanted.fields.iter().map(values);
        let each = fields.fold(16, u64::saturating_add);
        self.check_memory(each, self.source.examples())
    }

    /// Refuses to make more than fits, judged by the first example.
    fn check_memory(&self, bytes: u64, examples: usize) -> Result<(), Vec<Diagnostic>> {
        let needed = bytes.saturating_mul(examples as u64);
        let label = format!("{examples} examples");
        super::memory::check(needed).map_err(|d| vec![d.label(self.spec.source.span, label)])
    }

    /// Refuses an empty part to train on, or to read alone. `orders`: the rows of each part.
    fn check_parts(
        &self,
        parts: &[Range<usize>; 3],
        orders: Option<&[Vec<usize>; 3]>,
    ) -> Result<(), Vec<Diagnostic>> {
        let part = self.options.only.unwrap_or(Part::Train);
        if !parts[part as usize].is_empty() {
            return Ok(());
        }
        let rows = orders.map_or(0, |o| o[part as usize].len());
        if let Some((node, own, needed)) = self.widest()
            && (1..needed).contains(&rows)
        {
            let of = match self.options.only {
                Some(_) => self.source.name().unwrap_or_default(),
                None => format!("the {} part of {}", part.name(), self.spec.name.node),
            };
            let plural = if rows == 1 { "row" } else { "rows" };
            let of = shown(&of, 24);
            let message = format!("{rows} {plural} in {of}, and an example reads {needed}");
            return Err(vec![
                Diagnostic::error("data::empty-part", message)
                    .label(self.spec.source.span, "too few rows for windows and `next`")
                    .label(node.span, format!("reads {own} rows")),
            ]);
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
            let window = "`window(n)` makes sequences of n rows";
            let wrong = match (&field.time, has_steps(*column)) {
                (None, true) if field.role != FieldRole::Column => Some((
                    format!("`{}` is a sequence, the model's is not", field.name),
                    "`|> first()` or `|> last()` takes one value of each sequence",
                )),
                (None, false) if long && field.role != FieldRole::Column => Some((
                    format!("`{}` is one value beside a long series", field.name),
                    window,
                )),
                (_, true) if long => Some((
                    format!(
                        "`{}` has sequences where another field is one series",
                        field.name
                    ),
                    window,
                )),
                (_, _) => None,
            };
            if let Some((message, help)) = wrong {
                errors.push(
                    Diagnostic::error("data::mixed", message)
                        .label(planned.node.span, "this column".to_string())
                        .label(field.span, "this field".to_string())
                        .help(help),
                );
            }
        }
        match errors.is_empty() {
            true => Ok(long),
            false => Err(errors),
        }
    }

    /// Rows before and after an example's own that its fields read.
    pub fn reach(&self) -> (usize, usize) {
        self.plan.fields.iter().fold((0, 0), |(back, ahead), c| {
            let (b, a) = self.plan.reach(&self.plan.columns[*c].node);
            (back.max(b), ahead.max(a))
        })
    }

    /// The field's column that reads most rows, how many, and how many an example takes in all.
    fn widest(&self) -> Option<(&Node, usize, usize)> {
        let (back, ahead) = self.reach();
        let columns = self.plan.fields.iter().map(|c| &self.plan.columns[*c].node);
        let rows = |node: &&Node| {
            let (back, ahead) = self.plan.reach(node);
            back.saturating_add(ahead).saturating_add(1)
        };
        let widest = columns.rev().max_by_key(rows)?;
        let needed = back.saturating_add(ahead).saturating_add(1);
        Some((widest, rows(&widest), needed))
    }

    /// Examples that have every value for want of which `missing = drop` leaves one out.
    fn complete(&self) -> Result<Vec<usize>, Vec<Diagnostic>> {
        let n = self.source.examples();
        let whole = |e: &usize| {
            self.plan
                .drop
                .iter()
                .all(|gap| has_values(self.source, *e, *gap))
        };
        let all: Vec<usize> = (self.options.behind..n).filter(whole).collect();
        if all.is_empty() && n > 0 && !self.plan.drop.is_empty() {
            let message = format!("`missing = drop` leaves none of {n} examples");
            return Err(vec![
                Diagnostic::error("data::nothing-kept", message)
                    .label(self.spec.source.span, "every row misses a value"),
            ]);
        }
        Ok(all)
    }

    /// What the last example is to those that come after it.
    pub fn newest(&self) -> Newest {
        let (back, ahead) = self.reach();
        let last = self.source.examples().checked_sub(1);
        let has = |gap: &Gap| last.is_some_and(|e| has_values(self.source, e, *gap));
        // A block looks back no further than its own rows.
        let previous = self.plan.previous.iter().filter(|_| !self.plan.blocks);
        let given = previous.enumerate().filter(|(_, gap)| has(gap));
        Newest {
            back,
            ahead,
            gaps: !(self.plan.drop.is_empty() && self.plan.previous.is_empty()),
            kept: self.plan.drop.iter().all(has),
            given: given.map(|(i, _)| i).collect(),
        }
    }

    /// Examples that `keep` keeps, in the source's order.
    fn kept(&self, all: &[usize], fitted: Fitted) -> Result<Vec<usize>, Vec<Diagnostic>> {
        let Some(condition) = &self.plan.keep else {
            return Ok(all.to_vec());
        };
        self.no_neighbours(condition)?;
        let mut evaluator = Evaluator::new(self.source, self.plan, fitted, all);
        let mut kept = Vec::new();
        let mut errors = Found::default();
        for (p, example) in all.iter().enumerate() {
            match evaluator.number(condition, p) {
                Ok(v) if v.data.iter().all(|x| *x != 0.0) => kept.push(*example),
                Ok(_) => {}
                Err(e) => errors.push(*example, e, &mut evaluator.others),
            }
            if errors.enough() {
                break;
            }
        }
        errors.none()?;
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

    fn unfitted(&self) -> Fitted {
        vec![None; self.plan.fits.len()]
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
            let mut evaluator = Evaluator::new(self.source, self.plan, self.unfitted(), kept);
            let mut errors = Found::default();
            for (p, e) in kept.iter().enumerate() {
                let class = match evaluator.eval(node, p) {
                    Ok(Value::Text(t) | Value::Chars(t)) => t.into_owned(),
                    Ok(Value::Texts(t)) => t.join("\t"),
                    Ok(Value::Numbers(n)) => format!("{:?}", n.data),
                    Err(error) => {
                        errors.push(*e, error, &mut evaluator.others);
                        continue;
                    }
                };
                classes.insert(*e, class);
            }
            errors.none()?;
        }
        let class = |e: usize| classes.get(&e).cloned().unwrap_or_default();
        Ok(split(kept, &self.spec.split, ordered, &file, Some(&class)))
    }
}
