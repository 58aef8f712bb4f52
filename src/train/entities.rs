//! Entities in tagged sequences, and how many of them a model finds.
//!
//! In: true and predicted tags of sequences, such as `B-PER I-PER O`. Out: the F1 score of whole
//! entities, counted as the CoNLL 2003 shared task does (Tjong Kim Sang and De Meulder 2003): an
//! entity is found where its kind, its first and its last step all agree.

use super::classes::f1;

/// A kind, the first step, and the step after the last.
type Entity<'a> = (&'a str, usize, usize);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entities {
    truth: u64,
    predicted: u64,
    both: u64,
}

impl Entities {
    /// Adds a sequence. Steps whose true tag is not known are to be left out of both.
    pub fn add(&mut self, truth: &[&str], predicted: &[&str]) {
        let (truth, predicted) = (entities(truth), entities(predicted));
        self.truth += truth.len() as u64;
        self.predicted += predicted.len() as u64;
        // Both are in order and overlap nowhere.
        let mut rest = predicted.as_slice();
        for e in &truth {
            let before = rest.iter().take_while(|p| p.1 < e.1).count();
            rest = &rest[before..];
            self.both += u64::from(rest.first() == Some(e));
        }
    }

    /// `None` where there is no entity, true or predicted.
    pub fn f1(&self) -> Option<f64> {
        f1(self.both, self.truth + self.predicted)
    }
}

/// The mark and the kind of a tag: `B-PER` is `B`, `PER`; a tag without a mark is outside.
fn parts(tag: &str) -> Option<(char, &str)> {
    let mut chars = tag.chars();
    let mark = chars.next().filter(|c| "BIES".contains(*c))?;
    let kind = chars.as_str();
    match kind.strip_prefix('-') {
        Some(kind) => Some((mark, kind)),
        None if kind.is_empty() => Some((mark, "")),
        None => None,
    }
}

/// Entities in order. `B` and `S` begin one, `E` and `S` end one; `I` goes on with one of its own
/// kind and begins one elsewhere.
fn entities<'a>(tags: &[&'a str]) -> Vec<Entity<'a>> {
    let mut out = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    for (t, tag) in tags.iter().enumerate() {
        let tag = parts(tag);
        let goes_on = match (tag, open) {
            (Some(('I' | 'E', kind)), Some((of, _))) => kind == of,
            (Some(_) | None, _) => false,
        };
        if !goes_on {
            out.extend(open.take().map(|(kind, from)| (kind, from, t)));
            open = tag.map(|(_, kind)| (kind, t));
        }
        if let Some(('E' | 'S', _)) = tag {
            out.extend(open.take().map(|(kind, from)| (kind, from, t + 1)));
        }
    }
    out.extend(open.map(|(kind, from)| (kind, from, tags.len())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tags: &str) -> Vec<Entity<'_>> {
        entities(&tags.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn tags_mark_entities() {
        assert_eq!(of("O B-A I-A O B-B"), [("A", 1, 3), ("B", 4, 5)]);
        // Two in a row; one that begins without its mark; one of another kind.
        assert_eq!(of("B-A B-A I-A"), [("A", 0, 1), ("A", 1, 3)]);
        assert_eq!(of("O I-A I-A"), [("A", 1, 3)]);
        assert_eq!(of("B-A I-B"), [("A", 0, 1), ("B", 1, 2)]);
        assert_eq!(
            of("S-A B-A E-A I-A"),
            [("A", 0, 1), ("A", 1, 3), ("A", 3, 4)]
        );
        assert_eq!(of("O NOUN BX <end>"), []);
        assert_eq!(of("B I O"), [("", 0, 2)]);
    }

    #[test]
    fn whole_entities_are_counted() {
        let mut e = Entities::default();
        assert_eq!(e.f1(), None);
        let add = |e: &mut Entities, truth: &str, predicted: &str| {
            let tags = |s| str::split(s, ' ').collect::<Vec<_>>();
            e.add(&tags(truth), &tags(predicted));
        };
        // The example of seqeval: MISC has the wrong length, PER is found; F1 is 0.5.
        add(
            &mut e,
            "O O O B-MISC I-MISC I-MISC O",
            "O O B-MISC I-MISC I-MISC I-MISC O",
        );
        add(&mut e, "B-PER I-PER O", "B-PER I-PER O");
        assert_eq!(e.f1(), Some(0.5));
        // One of three more is found, and one is invented.
        add(&mut e, "B-A O B-B B-C", "B-A B-A B-A O");
        assert_eq!(e.f1(), Some(2.0 * 2.0 / 10.0));
    }
}
