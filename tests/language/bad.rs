//! Every program of `bad/` is refused, with one error: the code of its first line, after which that
//! line says what is wrong. What a reader sees is kept in `snapshots/language/bad/`.

use std::path::Path;
use std::process::Command;

use seqc::check;
use seqc::diagnostics::Diagnostic;
use seqc::span::Sources;

use crate::small::files;

/// Every error of a text, in its syntax, its models and its settings.
fn errors(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let mut all = match seqc::ast::parse::parse(text, id) {
        Err(errors) => errors,
        Ok(file) => {
            let mut out = check::check(&file, &mut sources);
            check::settings::check(&file, &out.models, &mut out.diagnostics);
            out.diagnostics
        }
    };
    all.retain(Diagnostic::is_error);
    (all, sources)
}

/// What `seqc check` writes for a person.
fn shown(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Command::new(env!("CARGO_BIN_EXE_seqc"))
        .current_dir(root)
        .args(["check", "--quiet", "--color", "never"])
        .arg(path.strip_prefix(root).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{}: {text}", path.display());
    text.replace('\\', "/")
}

#[test]
fn every_bad_program_is_refused_once_for_its_reason() {
    let mut wrong = Vec::new();
    let all = files("bad");
    assert!(all.len() > 60, "only {} programs", all.len());
    for path in &all {
        let stem = path.file_stem().unwrap().to_string_lossy();
        let text = std::fs::read_to_string(path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let code = first.trim_start_matches("# ").split(' ').next();
        let (found, sources) = errors(&stem, &text);
        let codes: Vec<&str> = found.iter().map(|d| d.code).collect();
        if codes.len() != 1 || code != codes.first().copied() {
            wrong.push(format!("{stem}: {code:?} is expected, not {codes:?}"));
            continue;
        }
        let d = &found[0];
        let width = d.message.chars().count();
        if width > 72 {
            wrong.push(format!("{stem}: a message of {width} characters"));
        }
        let own = d.labels.first().map(|l| &sources.get(l.span.file).name);
        if own.is_none_or(|name| *name != stem) {
            wrong.push(format!("{stem}: points at {own:?}"));
        }
        for (i, a) in d.labels.iter().enumerate() {
            let over = |b: &seqc::diagnostics::Label| {
                a.span.file == b.span.file && a.span.start < b.span.end && b.span.start < a.span.end
            };
            if d.labels[i + 1..].iter().any(over) {
                wrong.push(format!("{stem}: labels overlap at {:?}", a.span));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_reader_sees_of_every_bad_program() {
    for path in files("bad") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({
            snapshot_path => "../../snapshots/language/bad",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(stem, shown(&path)) });
    }
}
