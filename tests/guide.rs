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

/// The blocks of a Markdown text that are marked as `.seq` files, each with its first line's number.
fn seq_blocks(text: &str) -> Vec<(usize, String)> {
    let (mut out, mut open) = (Vec::new(), false);
    for (line, n) in text.lines().zip(1..) {
        match line {
            "```seq" => {
                open = true;
                out.push((n + 1, String::new()));
            }
            "```" => open = false,
            _ if open => {
                let (_, block) = out.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
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
    let mut count = 0;
    for name in ["language.md", "primitives.md", "../README.md"] {
        let text = fs::read_to_string(docs(name)).unwrap();
        for (line, block) in seq_blocks(&text) {
            let problems = problems(&block);
            assert!(
                problems.is_empty(),
                "{name}, the block at line {line}: {problems:#?}"
            );
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} blocks");
}
