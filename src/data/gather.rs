//! Errors about rows, each mistake once.
//!
//! In: an error for every row with one. Out: one error for those that say the same, with how many there
//! are and where the first stand; at most 20.

use std::collections::BTreeMap;

use super::load::MAX_ERRORS;
use crate::diagnostics::Diagnostic;

/// The most errors shown.
const SHOWN: usize = 20;
/// Places told besides the first.
const PLACES: usize = 2;

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
                _ if all >= MAX_ERRORS => format!("{shown} and {more} or more others"),
                _ => format!("{shown} and {more} more"),
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
        let label = "at f.csv:1:1, f.csv:2:1, f.csv:3:1 and 4 more";
        assert_eq!(told[0].labels[0].text, label);
        let two = gathered(vec![error("empty", 1), error("full", 2), error("empty", 1)]);
        assert_eq!(two[0].labels[0].text, "at f.csv:1:1");
        assert_eq!(two.len(), 2);
        let many = (0..50).map(|i| error(&format!("cell {i}"), i)).collect();
        assert_eq!(gathered(many).len(), SHOWN);
    }
}
