//! The guide kept true: in, the files under `docs/`; out, a failure where they and the code differ.

use std::fs;
use std::path::PathBuf;

use seqc::ast::parse;
use seqc::check::{check, settings};
use seqc::diagnostics::Diagnostic;
use seqc::span::Sources;

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// `docs/settings.md` is written by this test where `SEQC_UPDATE=1` is set.
#[test]
fn the_reference_of_settings_comes_from_the_schema() {
    let (path, now) = (docs("settings.md"), seqc::settings::reference());
    if std::env::var_os("SEQC_UPDATE").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "docs/settings.md differs from the schema; run `SEQC_UPDATE=1 cargo test --test guide`"
    );
}

/// A block of a Markdown text that is marked as a `.seq` file.
struct Block {
    /// Of its text.
    line: usize,
    text: String,
    /// The code of the error it shows, where the mark names one.
    refused: Option<String>,
}

fn seq_blocks(text: &str) -> Vec<Block> {
    let (mut out, mut open) = (Vec::new(), false);
    for (line, n) in text.lines().zip(1..) {
        let mark = line.strip_prefix("```seq").map(str::trim);
        match (mark, line) {
            (Some(mark), _) => {
                open = true;
                out.push(Block {
                    line: n + 1,
                    text: String::new(),
                    refused: Some(mark.to_string()).filter(|m| !m.is_empty()),
                });
            }
            (None, "```") => open = false,
            (None, _) if open => {
                let block = out.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, _) => {}
        }
    }
    out
}

/// What parsing and checking have to say of a file, and of its settings.
fn problems(text: &str) -> Vec<Diagnostic> {
    let mut sources = Sources::default();
    let id = sources.add("shown.seq", text);
    let file = match parse(text, id) {
        Ok(file) => file,
        Err(problems) => return problems,
    };
    let checked = check(&file, &mut sources);
    let mut found = checked.diagnostics;
    settings::check(&file, &checked.models, &mut found);
    found
}

#[test]
fn every_file_shown_in_the_guide_is_one() {
    let (mut sound, mut refused) = (0, 0);
    for name in ["language.md", "primitives.md", "../README.md"] {
        let text = fs::read_to_string(docs(name)).unwrap();
        for block in seq_blocks(&text) {
            let found = problems(&block.text);
            let codes: Vec<&str> = found.iter().map(|d| d.code).collect();
            let expected: Vec<&str> = block.refused.as_deref().into_iter().collect();
            let line = block.line;
            assert_eq!(
                codes, expected,
                "{name}, the block at line {line}: {found:#?}"
            );
            match block.refused {
                None => sound += 1,
                Some(_) => refused += 1,
            }
        }
    }
    assert!(
        sound >= 25 && refused >= 2,
        "{sound} blocks, {refused} refused"
    );
}

/// The forms of what stands at the top of a file, as `seqc explain WORD` prints them.
#[test]
fn the_forms_of_words_make_one_program() {
    let text = fs::read_to_string(docs("words.md")).unwrap();
    let tops = "time dim cell block fn model data train generate tune";
    let tops: Vec<&str> = tops.split(' ').collect();
    let mut program = String::new();
    for section in text.split("\n## ").skip(1) {
        let (word, rest) = section.split_once('\n').unwrap();
        if tops.contains(&word) {
            let form = rest.lines().filter_map(|line| line.strip_prefix("    "));
            form.for_each(|line| program.push_str(&format!("{line}\n")));
        }
    }
    let items = program
        .lines()
        .filter(|l| tops.contains(&l.split(' ').next().unwrap()));
    assert!(items.count() >= tops.len(), "{program}");
    let found = problems(&program);
    assert!(found.is_empty(), "{program}{found:#?}");
}
