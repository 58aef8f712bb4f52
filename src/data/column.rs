//! One field's values, in the type the model takes them in.
//!
//! In: values of an [`Evaluator`], example by example. Out: [`Column`]s filled side by side, every
//! value checked against what the model asks: unit, features, lengths, finite numbers.

use std::io;
use std::ops::Range;

use super::columns::eval::{Evaluator, Value};
use super::columns::plan::Node;
use super::fit::{Fit, Inverse, Prepare};
use super::load::Load;
use super::source::text::shown;
use super::spec::{Field, FieldRole, Unit};
use super::split::Part;
use super::steps::{fit_features, push_numbers};
use super::store::Stored;
use super::vocabulary::{UNSEEN, Vocabulary};
use crate::diagnostics::Diagnostic;

#[derive(Clone, Debug)]
pub enum Values {
    F32(Vec<f32>),
    /// Indices of a vocabulary; negative where the training part has no such symbol.
    I32(Vec<i32>),
    /// The same for a text too long to be held.
    Stored(Stored),
}

/// Tokens of a long text that are shown at once.
pub(super) const SOME: usize = 1 << 16;

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub role: FieldRole,
    pub unit: Unit,
    pub time: Option<String>,
    /// Sizes after the time, as the data has them.
    pub features: Vec<usize>,
    pub vocabulary: Option<Vocabulary>,
    /// Back to the unit of the file.
    pub inverse: Inverse,
    /// What is done to a text before it is cut.
    pub prepared: Vec<Prepare>,
    /// Whether the model reads `previous` of it.
    pub previous: bool,
    /// The text that says that there is no class.
    none: Option<String>,
    /// Symbols of each part that the vocabulary does not have, and that are not said to be none.
    pub unseen: [usize; 3],
    /// The first symbol that the vocabulary does not have, and its line; not of one long text.
    pub first_unseen: Option<(String, String)>,
    /// The first class that the vocabulary does not have: an error that says where it stands.
    pub unknown: Option<Box<Diagnostic>>,
    /// Elements of one step.
    pub(super) width: usize,
    pub(super) values: Values,
    /// The first step of each example and, last, the number of steps; empty where examples have one
    /// step each.
    pub(super) starts: Vec<usize>,
    /// Whether examples end in `<end>`.
    pub(super) end: bool,
}

impl Column {
    pub fn new(
        field: &Field,
        vocabulary: Option<Vocabulary>,
        inverse: Inverse,
        end: bool,
    ) -> Column {
        Column {
            name: field.name.clone(),
            role: field.role,
            unit: field.unit,
            time: field.time.clone(),
            features: Vec::new(),
            vocabulary,
            inverse,
            prepared: Vec::new(),
            previous: field.previous,
            none: None,
            unseen: [0; 3],
            first_unseen: None,
            unknown: None,
            width: 1,
            values: match field.unit {
                Unit::Token | Unit::Class => Values::I32(Vec::new()),
                Unit::Number | Unit::Binary => Values::F32(Vec::new()),
            },
            starts: Vec::new(),
            end,
        }
    }

    /// Elements of example `e` (or of step `e`, where the data is long) as a range of its values.
    pub(super) fn range(&self, e: usize) -> Range<usize> {
        match self.starts.is_empty() {
            true => e * self.width..(e + 1) * self.width,
            false => self.starts[e] * self.width..self.starts[e + 1] * self.width,
        }
    }

    /// The indices of an example's tokens or classes, `<end>` included; of a text that is not held
    /// none: see [`Column::each_step`].
    pub fn tokens(&self, e: usize) -> &[i32] {
        match &self.values {
            Values::I32(v) => &v[self.range(e)],
            Values::F32(_) | Values::Stored(_) => &[],
        }
    }

    /// Shows the tokens of steps of one long sequence, in order, some at a time. Errors: the scratch
    /// file of a text that is not held cannot be read.
    pub(super) fn each_step(
        &self,
        steps: Range<usize>,
        mut show: impl FnMut(&[i32]),
    ) -> io::Result<()> {
        match &self.values {
            Values::I32(v) => show(&v[steps.start * self.width..steps.end * self.width]),
            Values::F32(_) => {}
            Values::Stored(stored) => {
                let mut some = Vec::with_capacity(SOME);
                for start in steps.clone().step_by(SOME) {
                    some.clear();
                    stored.read(start..steps.end.min(start + SOME), &mut some)?;
                    show(&some);
                }
            }
        }
        Ok(())
    }
}

/// Columns being filled.
pub(super) struct Filling<'a> {
    load: &'a Load<'a>,
    long: bool,
    pub columns: Vec<Column>,
    /// By time, in the order of the wanted times.
    pub lengths: Vec<Vec<u32>>,
    pub examples: usize,
}

impl<'a> Filling<'a> {
    pub fn new(
        load: &'a Load<'a>,
        vocabularies: &[Option<Vocabulary>],
        fitted: &[Option<Fit>],
        long: bool,
    ) -> Filling<'a> {
        let affine = |i: usize| match &fitted[i] {
            Some(Fit::Affine(a)) => Some(a.clone()),
            Some(Fit::Vocabulary(_)) | None => None,
        };
        let fields = load.wanted.fields.iter().zip(&load.plan.fields);
        let columns = fields
            .zip(vocabularies)
            .map(|((field, column), vocabulary)| {
                let planned = &load.plan.columns[*column];
                let ends = field.feeds_itself && field.unit == Unit::Token && !long;
                let inverse = load.plan.inverse(&planned.node, &affine);
                let mut c = Column::new(field, vocabulary.clone(), inverse, ends);
                c.prepared = load.plan.prepared(&planned.node);
                c.none = load.plan.none(&planned.node).map(str::to_string);
                if planned.axis.is_some() {
                    c.starts.push(0);
                }
                c
            })
            .collect();
        let times = if long { 0 } else { load.wanted.times.len() };
        Filling {
            load,
            long,
            columns,
            lengths: vec![Vec::new(); times],
            examples: 0,
        }
    }

    /// Bytes of the values so far.
    pub fn bytes(&self) -> u64 {
        let of = |c: &Column| match &c.values {
            Values::F32(v) => 4 * v.len() as u64,
            Values::I32(v) => 4 * v.len() as u64,
            Values::Stored(_) => 0,
        };
        self.columns.iter().map(of).sum()
    }

    /// Adds the example at position `p` of the evaluator's order.
    pub fn example(
        &mut self,
        evaluator: &mut Evaluator<'a>,
        p: usize,
        part: Part,
    ) -> Result<(), Diagnostic> {
        // Steps of this example along each time, with the field that says so.
        let mut steps: Vec<Option<(usize, usize)>> = vec![None; self.lengths.len()];
        for (i, column) in self.columns.iter_mut().enumerate() {
            let planned = self.load.plan.fields[i];
            let node = &self.load.plan.columns[planned].node;
            let value = evaluator.column(planned, p)?;
            let field = &self.load.wanted.fields[i];
            let n = column.push(field, value, evaluator, node, p, part)?;
            if self.long || field.role == FieldRole::Column {
                continue;
            }
            let times = &self.load.wanted.times;
            let Some(t) = times
                .iter()
                .position(|t| Some(&t.name) == field.time.as_ref())
            else {
                continue;
            };
            let wrong = |code, message: String| {
                evaluator
                    .at(node, p, None, 0, code, message)
                    .label(field.span, "this field".to_string())
            };
            if n == 0 {
                let message = format!("`{}` is empty in this example", field.name);
                return Err(wrong("data::empty-sequence", message)
                    .help(format!("leave it out: keep = length({}) > 0", field.name)));
            }
            if let Some(fixed) = times[t].fixed
                && fixed != n
            {
                let message = format!(
                    "`{}` has {n} steps here, time {} has {fixed}",
                    shown(&field.name, 20),
                    times[t].name
                );
                return Err(wrong("data::length", message));
            }
            match steps[t] {
                Some((other, m)) if m != n => {
                    let other = &self.load.wanted.fields[other].name;
                    let message = format!(
                        "`{}` has {n} steps, `{}` has {m} along the same time",
                        shown(&field.name, 12),
                        shown(other, 12)
                    );
                    return Err(
                        wrong("data::unequal-lengths", message).help("give them different times")
                    );
                }
                _ => steps[t] = Some((i, n)),
            }
        }
        for (of_time, n) in self.lengths.iter_mut().zip(steps) {
            of_time.push(n.map_or(1, |(_, n)| n as u32));
        }
        self.examples += 1;
        Ok(())
    }
}

impl Column {
    /// Adds one example's value; gives its number of steps.
    fn push<'a>(
        &mut self,
        field: &Field,
        value: Value<'a>,
        evaluator: &Evaluator<'a>,
        node: &'a Node,
        p: usize,
        part: Part,
    ) -> Result<usize, Diagnostic> {
        let wrong = |code, message: String| evaluator.at(node, p, None, 0, code, message);
        let mut steps = match (&mut self.values, value) {
            (Values::I32(out), Value::Numbers(n)) => {
                let size = self.vocabulary.as_ref().map_or(0, |v| v.symbols().len());
                let steps = n.data.len() / n.width.max(1);
                for x in &n.data {
                    let known = x.fract() == 0.0 && (0.0..size as f64).contains(x);
                    out.push(if known { *x as i32 } else { UNSEEN });
                    if !known && self.unit == Unit::Class && self.unknown.is_none() {
                        let message = format!("{x} is a class the training data never had");
                        self.unknown = Some(Box::new(wrong("data::unknown-class", message)));
                    }
                    self.unseen[part as usize] += usize::from(!known);
                }
                fit_features(&mut self.features, &mut self.width, field, n.width)
                    .map_err(|m| wrong("data::features", m))?;
                steps
            }
            (Values::I32(out), value) => {
                let Some(vocabulary) = &self.vocabulary else {
                    let message = format!("`{}` is text without a vocabulary", field.name);
                    return Err(wrong("data::no-vocabulary", message));
                };
                let before = out.len();
                let meant = value.count_of(self.none.as_deref());
                if self.unit == Unit::Class && self.unknown.is_none() {
                    let none = self.none.as_deref();
                    self.unknown =
                        evaluator.unknown_class(field, vocabulary, none, &value, node, p);
                }
                match &value {
                    Value::Chars(t) => out.extend(vocabulary.encode_text(t)),
                    Value::Text(t) => out.push(vocabulary.encode(t)),
                    Value::Texts(all) => out.extend(all.iter().map(|t| vocabulary.encode(t))),
                    Value::Numbers(_) => {}
                }
                let new = &out[before..];
                let is_new = |x: &i32| !vocabulary.is_known(*x);
                let unknown = new.iter().filter(|x| is_new(x)).count();
                if unknown > meant && self.first_unseen.is_none() {
                    let symbol = new.iter().position(is_new).and_then(|i| value.symbol(i));
                    let symbol = symbol.filter(|s| self.none.as_ref() != Some(s));
                    self.first_unseen = symbol.map(|s| (s, evaluator.line_of(node, p)));
                }
                self.unseen[part as usize] += unknown - meant.min(unknown);
                new.len()
            }
            // Filled elsewhere.
            (Values::Stored(_), _) => 0,
            (Values::F32(out), value) => {
                let n = evaluator.field_numbers(self.unit, value, node, p)?;
                fit_features(&mut self.features, &mut self.width, field, n.width)
                    .map_err(|m| wrong("data::features", m))?;
                push_numbers(out, &n, field.unit)
                    .map_err(|(step, code, m)| evaluator.at(node, p, None, step, code, m))?
            }
        };
        if self.end
            && let (Values::I32(out), Some(v)) = (&mut self.values, &self.vocabulary)
            && let Some(end) = v.end()
        {
            out.push(end);
            steps += 1;
        }
        if let Some(last) = self.starts.last().copied() {
            self.starts.push(last + steps);
        }
        Ok(steps)
    }
}
