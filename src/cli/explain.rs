//! `seqc explain`: the page of an error, or what a library cell, a layer or a function is.
//!
//! In: an error's code or a name. Out: text on stdout. A library part shows its source, its weights and
//! its cost; a built-in its section of `docs/primitives.md`, a word of the language that of `docs/words.md`,
//! a setting or one of its values what the table of settings says; an error that a file shows by itself the
//! page `examples/errors/<area>-<problem>.seq` and the same file mended; any other its section of
//! `docs/errors.md`.

use include_dir::{Dir, include_dir};

use super::args::{Common, ExplainArgs};
use super::{Failure, stdout, trial};
use crate::diagnostics::{Diagnostic, nearest};
use crate::library;
use crate::settings::reference;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/errors");
const ERRORS: &str = include_str!("../../docs/errors.md");
const PRIMITIVES: &str = include_str!("../../docs/primitives.md");
const WORDS: &str = include_str!("../../docs/words.md");

pub fn run(common: &Common, args: &ExplainArgs) -> Result<u8, Failure> {
    let wanted = bare(&args.name);
    // As written first: a name in other letters may be another thing.
    let found = text(common, wanted).or_else(|| {
        let lower = wanted.to_lowercase();
        let same = names().into_iter().find(|n| n.to_lowercase() == lower)?;
        text(common, &same)
    });
    match found {
        Some(text) if common.json => {
            let object = serde_json::json!({ "name": wanted, "text": text });
            stdout::line(&object.to_string()).map(|()| 0)
        }
        Some(text) => stdout::write(&text).map(|()| 0),
        None => Err(unknown(wanted).into()),
    }
}

/// The name alone: `top(3)` is `top` with an argument.
fn bare(written: &str) -> &str {
    let written = written.trim();
    match written.split_once('(') {
        Some((name, _)) if !name.is_empty() => name.trim_end(),
        Some(_) | None => written,
    }
}

fn unknown(wanted: &str) -> Diagnostic {
    let shown: String = wanted.chars().take(40).collect();
    let d = Diagnostic::error("usage::unknown-name", format!("nothing is named {shown}"));
    let mut names = names();
    if wanted.contains('.') {
        names.extend(reference::settings());
    }
    match nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d.help(
            "words of a file, settings and their values, cells, layers, functions and codes of \
             errors are explained",
        ),
    }
}

/// What there is to say of a name.
fn text(common: &Common, name: &str) -> Option<String> {
    if let Some(part) = library::find(name) {
        let cost = trial::cost(part, common).unwrap_or_default();
        return Some(format!("{}{cost}", part.text));
    }
    if let Some(error) = page(name).or_else(|| section(ERRORS, name)) {
        return Some(error);
    }
    // `step` is a function and a schedule, `from` a word and a setting.
    let mut all: Vec<String> = [PRIMITIVES, WORDS]
        .into_iter()
        .filter_map(|text| section(text, name))
        .collect();
    all.extend(reference::named(name));
    all.extend(reference::setting(name));
    (!all.is_empty()).then(|| all.join("\n"))
}

/// The page of a code, and the same file mended.
fn page(code: &str) -> Option<String> {
    let (area, problem) = code.split_once("::")?;
    let file = format!("{area}-{problem}.seq");
    let read = |path: &str| PAGES.get_file(path).and_then(|f| f.contents_utf8());
    let page = read(&file)?.trim_end();
    Some(match read(&format!("mended/{file}")) {
        Some(mended) => format!("{page}\n\n# Mended:\n\n{mended}"),
        None => format!("{page}\n"),
    })
}

/// The section of a Markdown text whose heading has this name, without its mark.
fn section(text: &str, name: &str) -> Option<String> {
    let (_, found) = sections(text).find(|(names, _)| names.split(", ").any(|n| n == name))?;
    Some(format!("{}\n", found.trim_end()))
}

/// The headings of a Markdown text and what begins with each.
fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = text.split("\n## ").skip(1);
    parts.map(|part| (part.lines().next().unwrap_or(""), part))
}

/// Everything that has an explanation, in any of the texts.
fn names() -> Vec<String> {
    let mut all = headings();
    all.extend(sections(WORDS).flat_map(|(names, _)| names.split(", ").map(str::to_string)));
    all.extend(reference::names().map(str::to_string));
    all
}

/// What has a page or section of its own.
fn headings() -> Vec<String> {
    let mut names: Vec<String> = library::PARTS.iter().map(|p| p.name.to_string()).collect();
    for text in [PRIMITIVES, ERRORS] {
        let headings = sections(text).flat_map(|(names, _)| names.split(", "));
        names.extend(headings.map(str::to_string));
    }
    names.extend(PAGES.files().filter_map(|f| {
        let (area, problem) = f.path().file_stem()?.to_str()?.split_once('-')?;
        Some(format!("{area}::{problem}"))
    }));
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::cli::args::Args;

    fn common() -> Common {
        Args::parse_from(["seqc", "doctor"]).common
    }

    /// Every string of the form `area::problem` in the sources, outside tests.
    fn codes(folder: &Path, out: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.ends_with("tests") {
                    codes(&path, out);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Tests stand at the foot of a file.
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                out.extend(text.split('"').filter(|s| is_code(s)).map(str::to_string));
            }
        }
    }

    /// `area::problem` in kebab case.
    fn is_code(s: &str) -> bool {
        let word = |w: &str| {
            let first = w.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
            first
                && w.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        s.split_once("::").is_some_and(|(a, b)| word(a) && word(b))
    }

    #[test]
    fn every_code_has_one_page() {
        let mut all = BTreeSet::new();
        codes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        assert!(all.len() > 180, "found only {all:?}");
        for code in &all {
            let places = [page(code), section(ERRORS, code)];
            let count = places.iter().flatten().count();
            assert_eq!(
                count, 1,
                "pages of {code}, in examples/errors or docs/errors.md"
            );
        }
        // A page of what no longer exists misleads.
        for code in names().iter().filter(|n| n.contains("::")) {
            assert!(
                all.contains(code),
                "{code} has a page, and nothing gives it"
            );
        }
    }

    #[test]
    fn every_part_of_the_library_shows_its_cost() {
        for part in &library::PARTS {
            let text = text(&common(), part.name).unwrap();
            assert!(text.starts_with(part.text), "{text}");
            assert!(
                text.contains("#   forward "),
                "{} has no cost:\n{text}",
                part.name
            );
        }
        let lstm = text(&common(), "LSTM").unwrap();
        for line in [
            "lstm.Wi : [H, X] ~ xavier",
            "parameters   4·H² + 4·H·X + 4·H = 52,608",
        ] {
            assert!(lstm.contains(line), "{line} in\n{lstm}");
        }
    }

    #[test]
    fn every_primitive_has_a_section() {
        use crate::check::{FUNCTIONS, LAYERS};
        for name in LAYERS.iter().chain(&FUNCTIONS) {
            let known = library::find(name).is_some() || section(PRIMITIVES, name).is_some();
            assert!(known, "{name} is not in docs/primitives.md");
        }
        let twice: Vec<String> = headings();
        let once: BTreeSet<&String> = twice.iter().collect();
        assert_eq!(once.len(), twice.len(), "a name is explained twice");
    }

    #[test]
    fn every_word_and_setting_is_explained() {
        let said = |name: &str| text(&common(), name).unwrap_or_default();
        for word in "scan over where with from given time dim cell block fn model data train generate tune \
                     input target context state param predict output watch penalty token class params"
            .split(' ')
        {
            assert!(section(WORDS, word).is_some(), "{word} is not in docs/words.md");
        }
        for name in reference::names() {
            assert!(!said(name).is_empty(), "{name}");
        }
        assert!(said("step").contains("exp, log") && said("step").contains("schedule"));
        assert!(said("blank_line").contains("blocks = blank_line, of `csv`, `tsv`"));
        assert!(said("majority").contains("most frequent"));
        // Arguments too, with whose they are; `none` is one, and a choice as well.
        assert!(said("missing").contains("leaves the row out"));
        assert!(said("none").contains("labels(none = …)") && said("none").contains("clip"));
        assert!(said("warmup").contains("cosine("), "{}", said("warmup"));
        assert_eq!(said(bare("top(3)")), said("top"));
        // As `--set` names them.
        for name in reference::settings() {
            assert!(!said(&name).is_empty(), "{name}");
        }
        assert!(said("generate.seed").contains("of the draws"));
        assert!(!said("generate.seed").contains("initial weights"));
        assert_eq!(said("train.Latin.batch"), said("train.batch"));
        assert!(said("stratify").contains("the same share of every class"));
        assert_eq!(bare(" chars() "), "chars");
    }

    #[test]
    fn names_that_nothing_has_get_the_nearest() {
        let near = |name: &str| unknown(name).help;
        assert_eq!(near("LSMT").as_deref(), Some("did you mean `LSTM`?"));
        assert_eq!(
            near("shape::mismach").as_deref(),
            Some("did you mean `shape::mismatch`?")
        );
        assert_eq!(
            near("run::locke").as_deref(),
            Some("did you mean `run::locked`?")
        );
        assert_eq!(
            near("train.bacth").as_deref(),
            Some("did you mean `train.batch`?")
        );
        assert_eq!(near("adm").as_deref(), Some("did you mean `adam`?"));
        assert!(near("zzzzzzzzzzzz").is_some_and(|h| !h.contains("did you mean")));
    }
}
