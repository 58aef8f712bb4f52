//! Errors about rows, each mistake once.
//!
//! In: the errors of every row, found part by part. Out: in the order of the rows, one error for those
//! that say the same, with how many there are and where the first stand; at most 20.

use std::collections::BTreeMap;

use crate::diagnostics::Diagnostic;

/// The most errors that are looked for in a part.
const MOST: usize = 1000;
/// The most errors shown.
const SHOWN: usize = 20;
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
    groups.truncate(SHOWN);
    let one = |(mut d, places): (Diagnostic, Vec<String>)| {
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
        d
    };
    groups.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

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
        assert_eq!(gathered(many).len(), SHOWN);
    }
}
