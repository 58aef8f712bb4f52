//! Errors and warnings as data: the facts are here, rendering is the command line's.
//!
//! In: facts from any stage. Out: [`Diagnostic`]s, each with a code named after the problem, both
//! facts in the message, the exact span, and help only where it offers an edit or a nearest name.

use crate::span::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// A marked piece of source; the first label of a diagnostic is its primary one.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// An edit that mends the problem: replace `span` by `text`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    pub span: Span,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Kebab-case, `area::problem`, for example `shape::mismatch`.
    pub code: &'static str,
    pub severity: Severity,
    /// At most 72 characters, stating both sides.
    pub message: String,
    /// Primary label first (on the operator); labels must not overlap.
    pub labels: Vec<Label>,
    pub help: Option<String>,
    pub fix: Option<Fix>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: short(message.into()),
            labels: Vec::new(),
            help: None,
            fix: None,
        }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message)
        }
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        let text = middle_cut(text.into(), MOST_LABEL);
        self.labels.push(Label { span, text });
        self
    }

    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    pub fn fix(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.fix = Some(Fix {
            span,
            text: text.into(),
        });
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The longest message, in characters, that fits a line beside its code.
pub const MOST_MESSAGE: usize = 72;

/// The longest label.
const MOST_LABEL: usize = 200;

/// What a name or shape in a message keeps where the message is too long.
const SHORT_NAME: usize = 17;

/// A message of at most [`MOST_MESSAGE`]: names and shapes in it lose their middle, from the longest on,
/// since only they can be of any length.
fn short(message: String) -> String {
    if message.chars().count() <= MOST_MESSAGE {
        return message;
    }
    let mut parts: Vec<String> = message.split('`').map(str::to_string).collect();
    // What stands between backticks has an odd number; of a message without them, each word.
    let (mark, step) = match parts.len() {
        1 => {
            parts = message.split(' ').map(str::to_string).collect();
            (" ", 1)
        }
        _ => ("`", 2),
    };
    let mut names: Vec<usize> = (step - 1..parts.len()).step_by(step).collect();
    names.sort_by_key(|i| std::cmp::Reverse(parts[*i].chars().count()));
    for i in names {
        let length = parts.join(mark).chars().count();
        if length <= MOST_MESSAGE {
            break;
        }
        let kept = parts[i]
            .chars()
            .count()
            .saturating_sub(length - MOST_MESSAGE);
        parts[i] = middle_cut(std::mem::take(&mut parts[i]), kept.max(SHORT_NAME));
    }
    let mut out = parts.join(mark);
    if let Some((end, _)) = out.char_indices().nth(MOST_MESSAGE) {
        let last = out[..end].char_indices().next_back().map_or(0, |(i, _)| i);
        out.truncate(last);
        out.push('…');
    }
    out
}

/// A text of at most `most` characters, its middle left out.
fn middle_cut(text: String, most: usize) -> String {
    let n = text.chars().count();
    if n <= most {
        return text;
    }
    let tail = most / 2;
    let head: String = text.chars().take(most - tail - 1).collect();
    let end: String = text.chars().skip(n - tail).collect();
    format!("{head}…{end}")
}

/// The candidate nearest to `name`, if it is near enough to be what was meant: the same but for capitals, else
/// one edit away, else begun with `name`, else a few edits away.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter_map(|c| {
            let edits = strsim::damerau_levenshtein(name, c);
            let own = name.chars().count();
            // Two different single letters are one edit apart, and nothing alike.
            let longer = own.max(c.chars().count());
            let rank = if longer > 1 && name.to_lowercase() == c.to_lowercase() {
                0
            } else if edits <= 1 && edits < longer {
                1
            } else if own >= SHORTENED && c.starts_with(name) {
                2
            } else if edits <= longer / 3 {
                3
            } else {
                return None;
            };
            Some((rank, edits, c))
        })
        .min_by_key(|(rank, edits, c)| (*rank, *edits, c.to_string()))
        .map(|(_, _, c)| c)
}

/// Letters that are enough of a name to be its beginning.
const SHORTENED: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_and_beginnings_count_more_than_edits() {
        assert_eq!(nearest("Gru", ["GRU", "Grus"]), Some("GRU"));
        let measured = ["valid.loss", "valid.f1", "valid.accuracy"];
        assert_eq!(nearest("valid.acc", measured), Some("valid.accuracy"));
        assert_eq!(nearest("valid.f2", measured), Some("valid.f1"));
        assert_eq!(nearest("adm", ["adamw", "adam"]), Some("adam"));
        assert_eq!(nearest("x", ["y", "X"]), None);
    }

    fn message(text: String) -> String {
        let d = Diagnostic::error("a::b", text);
        assert!(d.message.chars().count() <= MOST_MESSAGE, "{}", d.message);
        d.message
    }

    #[test]
    fn long_names_lose_their_middle_and_both_facts_stay() {
        let short = "`x` is [T, 2], `y` is [T, 3]";
        assert_eq!(message(short.to_string()), short);
        let long = message(format!(
            "no layer or function is called `{}`",
            "s".repeat(256)
        ));
        assert!(
            long.starts_with("no layer or function is called `sss"),
            "{long}"
        );
        assert!(long.ends_with("ss`"), "{long}");
        let two = message(format!(
            "`{}` is given, `{}` is not",
            "a".repeat(100),
            "b".repeat(90)
        ));
        assert!(
            two.contains("` is given, `") && two.ends_with("b` is not"),
            "{two}"
        );
        assert!(message("word ".repeat(40)).ends_with('…'));
        assert!(message("w".repeat(400)).contains('…'));
        assert_eq!(message("`".repeat(300)).chars().count(), MOST_MESSAGE);
    }
}
