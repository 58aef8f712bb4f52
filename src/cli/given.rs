//! `--given NAME=VALUE` of `seqc generate`.
//!
//! In: the flags, the fields of a run. Out: the inputs' values, once, or once for each line of a file that
//! a flag names.

use std::path::Path;

use super::Failure;
use super::load::read;
use crate::diagnostics::Diagnostic;
use crate::settings::Given;
use crate::train::FieldInfo;

/// Values of inputs by name.
type Values = Vec<(String, Given)>;

/// What each round of writing is given; one round where no flag names a file.
pub fn rounds(flags: &[String], fields: &[FieldInfo]) -> Result<Vec<Values>, Failure> {
    let refuse = |message: String| -> Failure { Diagnostic::error("usage::given", message).into() };
    let mut rounds: Vec<Values> = vec![Vec::new()];
    // The file that says how many rounds there are.
    let mut by: Option<String> = None;
    for flag in flags {
        let Some((name, value)) = flag.split_once('=').filter(|(n, _)| !n.is_empty()) else {
            return Err(refuse(format!("--given {flag:.30}: expected NAME=VALUE")));
        };
        let Some(field) = fields.iter().find(|f| f.name == name) else {
            return Err(refuse(format!(
                "--given {name:.30}: the model has no such input"
            )));
        };
        let given = |text: &str| -> Result<(String, Given), Failure> {
            Ok((name.to_string(), value_of(field, text).map_err(&refuse)?))
        };
        let Some(path) = value.strip_prefix('@') else {
            let one = given(value)?;
            rounds.iter_mut().for_each(|round| round.push(one.clone()));
            continue;
        };
        let text = String::from_utf8(read(Path::new(path))?);
        let text = text.map_err(|_| refuse(format!("{path:.40} is not UTF-8")))?;
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        match &by {
            None => rounds = vec![rounds.pop().unwrap_or_default(); lines.len()],
            Some(other) if rounds.len() != lines.len() => {
                let (n, m) = (lines.len(), rounds.len());
                return Err(refuse(format!(
                    "{path:.20} has {n} lines, {other:.20} has {m}"
                )));
            }
            Some(_) => {}
        }
        by = Some(path.to_string());
        for (round, line) in rounds.iter_mut().zip(lines) {
            round.push(given(line)?);
        }
    }
    Ok(rounds)
}

/// A text, or for an input of numbers these, parted by commas or blanks.
fn value_of(field: &FieldInfo, text: &str) -> Result<Given, String> {
    if field.vocabulary.is_some() {
        return Ok(Given::Text(text.to_string()));
    }
    let parts = text.split([',', ' ', '\t']).filter(|p| !p.is_empty());
    let numbers = parts.map(|p| {
        let wrong = || format!("`{}` has numbers, {p:.20?} is none", field.name);
        p.parse().map_err(|_| wrong())
    });
    Ok(Given::Numbers(numbers.collect::<Result<_, String>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::spec::{FieldRole, Unit};
    use crate::data::{Inverse, SymbolKind, Vocabulary};

    fn field(name: &str, vocabulary: Option<Vocabulary>) -> FieldInfo {
        FieldInfo {
            name: name.into(),
            role: FieldRole::Input,
            unit: Unit::Token,
            time: None,
            features: Vec::new(),
            vocabulary,
            inverse: Inverse::default(),
            prepared: Vec::new(),
            previous: false,
        }
    }

    #[test]
    fn a_file_gives_a_round_a_line() {
        let words = Vocabulary::of(SymbolKind::Labels, ["a"], false);
        let fields = [field("k", Some(words)), field("x", None)];
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("k.txt");
        std::fs::write(&file, "one\n\ntwo\n").unwrap();
        let flag = |s: &str| s.replace('@', &format!("@{}", file.display()));
        let given = |all: &[&str]| {
            let flags: Vec<String> = all.iter().map(|f| flag(f)).collect();
            rounds(&flags, &fields).map_err(|f| f.diagnostics[0].code)
        };
        let text = |s: &str| ("k".to_string(), Given::Text(s.into()));
        let x = ("x".to_string(), Given::Numbers(vec![1.0, -2.5]));
        assert_eq!(given(&[]).unwrap(), [vec![]]);
        assert_eq!(
            given(&["k=a=b", "x=1, -2.5"]).unwrap(),
            [vec![text("a=b"), x.clone()]]
        );
        let two = [vec![x.clone(), text("one")], vec![x, text("two")]];
        assert_eq!(given(&["x=1 -2.5", "k=@"]).unwrap(), two);
        for wrong in ["k", "=a", "y=a", "x=one"] {
            assert_eq!(given(&[wrong]), Err("usage::given"));
        }
    }
}
