//! The bytes of a `.seq` file through the parser, the checker, the settings and the diagnostics.
//!
//! In: a file, and after each NUL byte the text of one `--set`. Out: a panic where a diagnostic
//! points outside its source, is longer than a line, or would print a control character.

use std::path::Path;

use seqc::ast::{Style, dump, format, parse};
use seqc::cli::load::{Loaded, load_bytes};
use seqc::cli::render;
use seqc::diagnostics::Diagnostic;
use seqc::span::{Sources, Span};

/// Rendering costs more than finding: the first of each file, in the order of the text.
const RENDERED: usize = 2;

/// What to begin with: the project's own files, those with errors too, and one with `--set`.
pub fn seeds() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = match root.ends_with("fuzz") {
        true => root.join(".."),
        false => root.to_path_buf(),
    };
    let mut folders = ["examples", "src", "tests", "fuzz/programs"]
        .map(|f| root.join(f))
        .to_vec();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                None if path.is_dir() => folders.push(path),
                Some(e) if e == "seq" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a file of the project");
    let mut seeds: Vec<Vec<u8>> = files.iter().map(read).collect();
    let set = b"\0train.optimizer=sgd(lr = 0.1)\0train.stop=patience(3)";
    let with_sets = files.iter().find(|p| p.ends_with("names.seq")).map(read);
    seeds.extend(with_sets.map(|file| [&file[..], &set[..]].concat()));
    seeds
}

pub fn run(bytes: &[u8]) {
    let mut parts = bytes.split(|b| *b == 0);
    let file = parts.next().unwrap_or_default();
    let sets: Vec<String> = parts
        .map(|set| String::from_utf8_lossy(set).into_owned())
        .collect();
    match load_bytes("fuzz.seq", file, &sets) {
        Ok(loaded) => {
            for d in &loaded.diagnostics {
                hold(d, &loaded.sources);
            }
            show(&loaded.diagnostics, &loaded.sources);
            if sets.is_empty() {
                laid_out_alike(&loaded);
            }
        }
        Err(failure) => {
            assert!(failure.diagnostics.iter().any(Diagnostic::is_error));
            for d in &failure.diagnostics {
                hold(d, &failure.sources);
            }
            show(&failure.diagnostics, &failure.sources);
        }
    }
}

/// What every diagnostic promises.
pub(super) fn hold(d: &Diagnostic, sources: &Sources) {
    let (area, problem) = d.code.split_once("::").expect("a code is area::problem");
    let kebab = |s: &str| {
        s.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    assert!(kebab(area) && kebab(problem), "{}", d.code);
    let length = d.message.chars().count();
    assert!(length <= 72, "{length} characters: {}", d.message);
    for label in &d.labels {
        inside(label.span, sources, d);
    }
    if let Some(fix) = &d.fix {
        inside(fix.span, sources, d);
    }
}

fn inside(span: Span, sources: &Sources, d: &Diagnostic) {
    let source = sources.find(span.file);
    let text = &source.unwrap_or_else(|| panic!("no such file: {d:?}")).text;
    let range = span.start as usize..span.end as usize;
    assert!(
        text.get(range).is_some(),
        "{span:?} of {}: {d:?}",
        text.len()
    );
}

pub(super) fn show(all: &[Diagnostic], sources: &Sources) {
    for d in all.iter().take(RENDERED) {
        let shown = render::text(d, sources, false);
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let raw = shown
            .chars()
            .find(|c| turns(*c) || (c.is_control() && !matches!(c, '\n' | '\t')));
        assert!(raw.is_none(), "{raw:?} in {shown}");
    }
}

/// Laying out a file changes blanks alone: its tree stays, and laid out again nothing changes.
fn laid_out_alike(loaded: &Loaded) {
    let file = &loaded.file;
    let text = &loaded.sources.get(file.id).text;
    let once = format(file, text, Style::default());
    let again = match parse(&once, file.id) {
        Ok(again) => again,
        Err(e) => panic!("{once}\n{e:?}"),
    };
    assert_eq!(dump(file), dump(&again), "{once}");
    assert_eq!(once, format(&again, &once, Style::default()));
}
