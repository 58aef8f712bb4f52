//! Errors about rows, each mistake once.
//!
//! In: the errors of every row, found part by part, or rows of which some cannot be fitted to. Out: in the order of the rows, one error for those
//! that say the same, with how many there are and where the first stand; at most 20.

use std::collections::BTreeMap;

use super::columns::eval::Evaluator;
use super::columns::plan::{FitPlan, Node};
use super::fit::Fit;
use super::load::Load;
use super::spec::Unit;
use super::split::Part;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The most errors that are looked for in a part.
const MOST: usize = 1000;
/// The most errors shown.
const SHOWN: usize = 20;
/// Of errors of one kind at one place of the program, which say different things of different rows, the
/// most shown.
const ALIKE: usize = 3;
/// Places told besides the first.
const PLACES: usize = 2;

/// Errors with the examples of the source that they are in.
#[derive(Default)]
pub(super) struct Found {
    all: Vec<(usize, Diagnostic)>,
    /// Those of the parts before.
    before: usize,
}

impl Found {
    /// Begins another part.
    pub fn part(&mut self) {
        self.before = self.all.len();
    }

    /// The error of an example, and what else is wrong with it.
    pub fn push(&mut self, example: usize, error: Diagnostic, others: &mut Vec<Diagnostic>) {
        let errors = std::iter::once(error).chain(others.drain(..));
        self.all.extend(errors.map(|e| (example, e)));
    }

    /// Whether no more are looked for in this part. The rows of a part are in the source's order, so that
    /// the first of all stand among the first of each.
    pub fn enough(&self) -> bool {
        self.all.len() - self.before >= MOST
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, in the order of the rows, where there are any.
    pub fn none(mut self) -> Result<(), Vec<Diagnostic>> {
        self.all.sort_by_key(|(example, _)| *example);
        let all: Vec<Diagnostic> = self.all.into_iter().map(|(_, e)| e).collect();
        match all.is_empty() {
            true => Ok(()),
            false => Err(all),
        }
    }
}

impl Load<'_> {
    /// What is wrong with rows besides what stopped fit `i` in the training part: nothing is fitted on
    /// the other parts, and not all is fitted, but all is to be mended. What reads a fit is not looked at.
    pub(super) fn elsewhere(
        &self,
        i: usize,
        orders: &[Vec<usize>; 3],
        fitted: &[Option<Fit>],
        errors: &mut Found,
    ) {
        let train = &orders[self.options.only.unwrap_or(Part::Train) as usize];
        let whole = |node: &Node| !self.plan.reads_fit(node, &|_| true);
        let fits = self.plan.fits.iter().enumerate();
        let fits = fits.filter(|(j, f)| *j == i || self.needed(*j) && whole(&f.input));
        let fits: Vec<(usize, &FitPlan)> = fits.collect();
        let fields = self.wanted.fields.iter().zip(&self.plan.fields);
        let fields = fields.map(|(f, c)| (f.unit, &self.plan.columns[*c].node));
        let fields: Vec<(Unit, &Node)> = fields.filter(|(_, node)| whole(node)).collect();
        for order in orders {
            errors.part();
            let trained = std::ptr::eq(order, train);
            let mut evaluator = Evaluator::new(self.source, self.plan, fitted.to_vec(), order);
            let within = |p: usize, node: &Node| {
                let (back, ahead) = self.plan.reach(node);
                p >= back && p + ahead < order.len()
            };
            for (p, row) in order.iter().enumerate() {
                for (j, fit) in &fits {
                    if (*j != i || !trained)
                        && within(p, &fit.input)
                        && let Err(e) = evaluator.fitting_value(fit, p)
                    {
                        errors.push(*row, e, &mut evaluator.others);
                    }
                }
                for (unit, node) in &fields {
                    if within(p, node)
                        && let Err(e) = evaluator.wanted(*unit, node, p)
                    {
                        errors.push(*row, e, &mut evaluator.others);
                    }
                }
                if errors.enough() {
                    break;
                }
            }
        }
    }
}

pub(super) fn gathered(errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let all = errors.len();
    let mut groups: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    let mut known: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    for d in errors {
        let place = d.labels.first().map(|l| l.text.clone()).unwrap_or_default();
        let key = (d.code, d.message.clone());
        let n = *known.entry(key).or_insert(groups.len());
        match groups.get_mut(n) {
            // Two columns may read one cell.
            Some((_, places)) if places.contains(&place) => {}
            Some((_, places)) => places.push(place),
            None => groups.push((d, vec![place])),
        }
    }
    let mut groups = with_few_alike(groups);
    groups.truncate(SHOWN);
    let one = |(mut d, places, others): (Diagnostic, Vec<String>, usize)| {
        if let (Some(label), [_, _, ..]) = (d.labels.first_mut(), &places[..]) {
            let shown: Vec<&str> = places.iter().take(PLACES + 1).map(String::as_str).collect();
            let shown = shown.join(", ").replace(", at ", ", ");
            let more = places.len().saturating_sub(PLACES + 1);
            label.text = match more {
                0 => shown,
                _ if all >= MOST => format!("{shown} and {more} or more others"),
                _ => format!("{shown} and {more} more, {} in all", places.len()),
            };
        }
        if let (Some(label), 1..) = (d.labels.first_mut(), others) {
            let or = if all >= MOST { " or more" } else { "" };
            label.text = format!("{}; in {others}{or} other places, other values", label.text);
        }
        d
    };
    groups.into_iter().map(one).collect()
}

/// A column of texts where numbers are needed would else have an error for each text. The last that is kept
/// of a kind has the number of the places of those that are not.
fn with_few_alike(groups: Vec<(Diagnostic, Vec<String>)>) -> Vec<(Diagnostic, Vec<String>, usize)> {
    let mut kept: Vec<(Diagnostic, Vec<String>, usize)> = Vec::new();
    let mut known: BTreeMap<(&'static str, Option<Span>), (usize, usize)> = BTreeMap::new();
    for (d, places) in groups {
        let kind = (d.code, d.labels.first().map(|l| l.span));
        let (count, last) = known.entry(kind).or_insert((0, 0));
        match kept.get_mut(*last) {
            Some((_, _, others)) if *count == ALIKE => *others += places.len(),
            _ => {
                (*count, *last) = (*count + 1, kept.len());
                kept.push((d, places, 0));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::FileId;

    #[test]
    fn what_is_alike_is_told_once_with_its_places() {
        let error = |what: &str, line: usize| {
            Diagnostic::error("a::b", what).label(Span::default(), format!("at f.csv:{line}:1"))
        };
        let told = gathered((1..8).map(|i| error("empty", i)).collect());
        assert_eq!(told.len(), 1);
        let label = "at f.csv:1:1, f.csv:2:1, f.csv:3:1 and 4 more, 7 in all";
        assert_eq!(told[0].labels[0].text, label);
        let two = gathered(vec![error("empty", 1), error("full", 2), error("empty", 1)]);
        assert_eq!(two[0].labels[0].text, "at f.csv:1:1");
        assert_eq!(two.len(), 2);
        let many = (0..50).map(|i| error(&format!("cell {i}"), i)).collect();
        let many = gathered(many);
        let labels: Vec<&str> = many.iter().map(|d| &*d.labels[0].text).collect();
        let last = "at f.csv:2:1; in 47 other places, other values";
        assert_eq!(labels, ["at f.csv:0:1", "at f.csv:1:1", last]);
        let place = |i: usize| Span::new(FileId(0), i, i + 1);
        let many = (0..50).map(|i| Diagnostic::error("a::b", format!("{i}")).label(place(i), "x"));
        assert_eq!(gathered(many.collect()).len(), SHOWN);
    }
}
