//! Answers guessed from counts of the training part: what a network for classes has to beat.
//!
//! In: a [`Dataset`], the name of a target of classes (or of yes-or-no units, for the majority).
//! Out: the share of answers of a part that the guesses get right. Of equally good guesses the class
//! that stands first is taken. Answers that the vocabulary does not have count nowhere, as in every
//! metric. `None`: the data has no such target, or the part no answer.

use std::collections::BTreeMap;
use std::io;

use super::column::{Column, SOME, Values};
use super::dataset::Dataset;
use super::reading::scratch;
use super::spec::{FieldRole, Unit};
use super::split::Part;
use super::vocabulary::Vocabulary;
use crate::diagnostics::Diagnostic;

/// The training part's most frequent class, for every answer; unit by unit where there are several.
///
/// Errors: a long text's scratch file cannot be read.
pub fn majority(dataset: &Dataset, target: &str, part: Part) -> Result<Option<f64>, Diagnostic> {
    let failed = |e: io::Error| scratch(&e);
    let Some(column) = dataset.column(target) else {
        return Ok(None);
    };
    let mut right = Right::default();
    if let Values::Stored(_) = column.values {
        let mut counts = Counts::default();
        column
            .each_step(dataset.parts[Part::Train as usize].clone(), |some| {
                classes(column, some).for_each(|y| counts.add(y));
            })
            .map_err(failed)?;
        let guess = counts.most();
        column
            .each_step(dataset.parts[part as usize].clone(), |some| {
                classes(column, some).for_each(|y| right.add(guess, y));
            })
            .map_err(failed)?;
        return Ok(right.share());
    }
    let units = column.width.max(1);
    let mut counts = vec![Counts::default(); units];
    for e in dataset.parts[Part::Train as usize].clone() {
        for (i, y) in answers(column, e).enumerate() {
            counts[i % units].add(y);
        }
    }
    let guesses: Vec<Option<usize>> = counts.iter().map(Counts::most).collect();
    for e in dataset.parts[part as usize].clone() {
        for (i, y) in answers(column, e).enumerate() {
            right.add(guesses[i % units], y);
        }
    }
    Ok(right.share())
}

/// For each step the class that its symbol has most often in the training part; for a symbol that
/// has none there, the most frequent class of all. The symbols are those of the first token input
/// along the target's time.
///
/// Errors: a long text's scratch file cannot be read.
pub fn most_frequent(
    dataset: &Dataset,
    target: &str,
    part: Part,
) -> Result<Option<f64>, Diagnostic> {
    let failed = |e: io::Error| scratch(&e);
    let Some(column) = dataset.column(target) else {
        return Ok(None);
    };
    let mut inputs = token_inputs(dataset);
    let Some(input) = inputs.find(|c| c.time.is_some() && c.time == column.time) else {
        return Ok(None);
    };
    let mut all = Counts::default();
    let mut of_symbol = BTreeMap::<i32, Counts>::new();
    each_pair(dataset, input, column, Part::Train, |symbol, y| {
        all.add(y);
        of_symbol.entry(symbol).or_default().add(y);
    })
    .map_err(failed)?;
    let most = all.most();
    let mut right = Right::default();
    each_pair(dataset, input, column, part, |symbol, y| {
        let guess = of_symbol.get(&symbol).and_then(Counts::most);
        right.add(guess.or(most), y);
    })
    .map_err(failed)?;
    Ok(right.share())
}

/// Shows each symbol of an input with the class that the target has at its step.
fn each_pair(
    dataset: &Dataset,
    input: &Column,
    target: &Column,
    part: Part,
    mut show: impl FnMut(i32, Option<usize>),
) -> io::Result<()> {
    let examples = dataset.parts[part as usize].clone();
    let (Values::Stored(symbols), Values::Stored(answered)) = (&input.values, &target.values)
    else {
        for e in examples {
            let steps = input.tokens(e).iter().zip(answers(target, e));
            steps.for_each(|(symbol, y)| show(*symbol, y));
        }
        return Ok(());
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for start in examples.clone().step_by(SOME) {
        let steps = start..examples.end.min(start + SOME);
        a.clear();
        b.clear();
        symbols.read(steps.clone(), &mut a)?;
        answered.read(steps, &mut b)?;
        let pairs = a.iter().zip(classes(target, &b));
        pairs.for_each(|(symbol, y)| show(*symbol, y));
    }
    Ok(())
}

/// Multinomial naive Bayes (Manning, Raghavan and Schütze 2008, chapter 13): the class y with the
/// largest log p(y) + Σ log p(symbol | y) over an example's symbols, whose counts in the training
/// part are each raised by one. The symbols are those of every token input with a time; symbols that
/// training never saw are left out.
pub fn naive_bayes(dataset: &Dataset, target: &str, part: Part) -> Option<f64> {
    let column = dataset.column(target).filter(|c| c.time.is_none())?;
    let classes = column.vocabulary.as_ref()?.len();
    let inputs: Vec<Table> = token_inputs(dataset)
        .filter(|c| c.time.is_some())
        .map(|c| Table::count(dataset, column, c, classes))
        .collect();
    if inputs.is_empty() {
        return None;
    }
    let mut prior = vec![0.0; classes];
    for e in dataset.parts[Part::Train as usize].clone() {
        for y in answers(column, e).flatten() {
            prior[y] += 1.0;
        }
    }
    let mut right = Right::default();
    for e in dataset.parts[part as usize].clone() {
        // A class that training never has would need the log of 0.
        let possible = (0..classes).filter(|y| prior[*y] > 0.0);
        let score = |y: usize| {
            let of = |t: &Table| t.log_probability(e, y);
            libm::log(prior[y]) + inputs.iter().map(of).sum::<f64>()
        };
        let best = possible
            .map(|y| (y, score(y)))
            .reduce(|a, b| if b.1 > a.1 { b } else { a });
        for y in answers(column, e) {
            right.add(best.map(|b| b.0), y);
        }
    }
    right.share()
}

/// The symbols of one input, counted by class.
struct Table<'d> {
    input: &'d Column,
    size: usize,
    /// `[class][symbol]`, and the sum of each class.
    counts: Vec<Vec<u32>>,
    totals: Vec<u64>,
}

impl<'d> Table<'d> {
    fn count(dataset: &Dataset, target: &Column, input: &'d Column, classes: usize) -> Table<'d> {
        let size = input.vocabulary.as_ref().map_or(0, Vocabulary::len);
        let mut table = Table {
            input,
            size,
            counts: vec![vec![0; size]; classes],
            totals: vec![0; classes],
        };
        for e in dataset.parts[Part::Train as usize].clone() {
            for y in answers(target, e).flatten() {
                for symbol in table.symbols(e) {
                    table.counts[y][symbol] += 1;
                    table.totals[y] += 1;
                }
            }
        }
        table
    }

    /// An example's symbols that training has.
    fn symbols(&self, e: usize) -> impl Iterator<Item = usize> + use<'d> {
        let size = self.size;
        let known = |symbol: &i32| usize::try_from(*symbol).ok();
        (self.input.tokens(e).iter().filter_map(known)).filter(move |s| *s < size)
    }

    fn log_probability(&self, e: usize, y: usize) -> f64 {
        let all = (self.totals[y] + self.size as u64) as f64;
        let of = |symbol: usize| f64::from(self.counts[y][symbol] + 1) / all;
        self.symbols(e).map(|s| libm::log(of(s))).sum()
    }
}

fn token_inputs(dataset: &Dataset) -> impl Iterator<Item = &Column> {
    let columns = dataset.columns().iter();
    columns.filter(|c| c.role == FieldRole::Input && c.unit == Unit::Token)
}

/// The true classes of an example, step by step; of units, 0 or 1 for each. `None`: not known.
fn answers<'d>(column: &'d Column, e: usize) -> Box<dyn Iterator<Item = Option<usize>> + 'd> {
    match &column.values {
        Values::I32(_) => Box::new(classes(column, column.tokens(e))),
        // They are read some at a time, by those who ask for them.
        Values::Stored(_) => Box::new(std::iter::empty()),
        Values::F32(v) => Box::new(
            v[column.range(e)]
                .iter()
                .map(|y| Some(usize::from(*y >= 0.5))),
        ),
    }
}

/// The same of tokens.
fn classes<'d>(column: &'d Column, tokens: &'d [i32]) -> impl Iterator<Item = Option<usize>> + 'd {
    let vocabulary = column.vocabulary.as_ref();
    let known = move |y: &i32| vocabulary.is_some_and(|v| v.is_known(*y));
    let tokens = tokens.iter().copied();
    tokens.map(move |y| Some(y).filter(known).map(|y| y as usize))
}

/// How often each class is the answer.
#[derive(Clone, Debug, Default)]
struct Counts(BTreeMap<usize, u64>);

impl Counts {
    fn add(&mut self, y: Option<usize>) {
        if let Some(y) = y {
            *self.0.entry(y).or_default() += 1;
        }
    }

    fn most(&self) -> Option<usize> {
        let counts = self.0.iter();
        counts
            .reduce(|a, b| if b.1 > a.1 { b } else { a })
            .map(|c| *c.0)
    }
}

#[derive(Default)]
struct Right {
    right: u64,
    answers: u64,
}

impl Right {
    fn add(&mut self, guess: Option<usize>, y: Option<usize>) {
        if y.is_some() {
            self.answers += 1;
            self.right += u64::from(guess == y);
        }
    }

    fn share(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.right as f64 / self.answers as f64)
    }
}
