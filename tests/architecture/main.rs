//! The architecture, enforced: in, the text of every file under `src/`; out, a list of the places
//! that break a rule of `docs/architecture.md`.
//!
//! The rules: every part of the crate is known and imports only what it may; the words of a machine
//! stay out of the parts that no machine should touch; a file opens with its module doc, and says
//! why where it is long. Test modules may import anything and don't count as length.

mod source;

use std::fs;
use std::path::Path;

use source::{crate_paths, tokens, without_tests};

/// Who may import what, in the order of the pipeline. `LEAVES` may be imported by all.
const IMPORTS: &[(&str, &[&str])] = &[
    ("span", &[]),
    ("diagnostics", &[]),
    ("dim", &[]),
    ("domain", &[]),
    ("philox", &[]),
    ("settings", &[]),
    ("library", &[]),
    ("ast", &[]),
    ("data", &[]),
    ("check", &["ast", "data", "library"]),
    ("ir", &[]),
    ("lower", &["check", "ir"]),
    ("reverse", &["ir"]),
    ("rewrite", &["ir"]),
    ("step", &["ir"]),
    ("schedule", &["ir"]),
    ("cost", &["ir", "schedule"]),
    ("targets", &["schedule"]),
    ("train", &["data", "targets::executable"]),
    ("pipeline", ALL_BUT_CLI),
    ("cli", ALL),
    ("main", ALL),
    ("lib", ALL),
];

/// Data types and arithmetic that know nothing of the pipeline.
const LEAVES: &[&str] = &["span", "diagnostics", "dim", "domain", "philox", "settings"];

const ALL_BUT_CLI: &[&str] = &[
    "ast", "check", "cost", "data", "ir", "library", "lower", "pipeline", "reverse", "rewrite",
    "schedule", "step", "targets", "train",
];

const ALL: &[&str] = &[
    "ast", "check", "cli", "cost", "data", "ir", "library", "lower", "pipeline", "reverse",
    "rewrite", "schedule", "step", "targets", "train",
];

/// Folders that know of no machine: what one offers reaches `schedule` as numbers.
const MACHINE_FREE: &[&str] = &[
    "ast", "check", "ir", "lower", "reverse", "rewrite", "step", "schedule",
];

/// Words of a machine; those that end in `*` also stand for what begins with them.
const MACHINE_WORDS: &[&str] = &[
    "avx*",
    "clif",
    "cranelift",
    "cuda*",
    "neon",
    "nvidia",
    "ptx",
    "sse",
    "sse2",
    "warp",
    "warps",
];

const MAX_LINES: usize = 400;

/// Whether a file is a test module kept beside the code it tests.
fn is_test_module(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Breaches of the import rules in one file; `path` is relative to `src/`, with slashes.
fn import_breaches(path: &str, source: &str) -> Vec<String> {
    let mut module: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let Some(&(part, may)) = IMPORTS.iter().find(|(name, _)| *name == module[0]) else {
        return vec![format!(
            "{path}: `{}` is not a part of the crate",
            module[0]
        )];
    };
    if matches!(module.last(), Some(&"mod" | &"lib" | &"main")) {
        module.pop();
    }
    if is_test_module(path) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for (to, line) in crate_paths(&without_tests(&tokens(source)).0, &module) {
        let Some(target) = to.first() else { continue };
        if target == part || target == "*" {
            let other = |a: &str, b: &str| path.starts_with(a) && to.get(1).is_some_and(|x| x == b);
            if other("targets/cpu/", "cuda") || other("targets/cuda/", "cpu") {
                out.push(format!("{path}:{line}: the targets may not meet"));
            }
            continue;
        }
        let full = to.join("::");
        let leaf =
            LEAVES.contains(&target.as_str()) && (target != "settings" || !LEAVES.contains(&part));
        let allowed = leaf
            || may
                .iter()
                .any(|m| full == *m || full.starts_with(&format!("{m}::")));
        if !allowed {
            out.push(format!("{path}:{line}: {part} may not import {full}"));
        }
    }
    out
}

/// The words of a text in lower case, `CamelCase` and `snake_case` split.
fn words(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut last = ' ';
    for c in line.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && last.is_lowercase()) {
            out.push(String::new());
        }
        if c.is_alphanumeric() {
            out.last_mut().unwrap().extend(c.to_lowercase());
        }
        last = c;
    }
    out.retain(|w| !w.is_empty());
    out
}

/// Words of a machine, comments included, in a file that should know of none.
fn machine_words(path: &str, source: &str) -> Vec<String> {
    let part = path.split(['/', '.']).next().unwrap_or(path);
    if !MACHINE_FREE.contains(&part) {
        return Vec::new();
    }
    let banned = |w: &str| {
        MACHINE_WORDS.iter().any(|m| match m.strip_suffix('*') {
            Some(stem) => w.starts_with(stem),
            None => w == *m,
        })
    };
    let mut out = Vec::new();
    for (line, n) in source.lines().zip(1..) {
        for w in words(line).into_iter().filter(|w| banned(w)) {
            out.push(format!("{path}:{n}: `{w}` is a machine's word"));
        }
    }
    out
}

/// A missing module doc, or a long file whose module doc does not say why it is long.
fn form_breaches(path: &str, source: &str) -> Vec<String> {
    let doc: Vec<String> = source
        .lines()
        .take_while(|l| l.starts_with("//!"))
        .map(|l| l.trim_start_matches("//!").trim().to_lowercase())
        .collect();
    if doc.is_empty() {
        return vec![format!("{path}:1: no module doc (`//!`) at the top")];
    }
    let doc = doc.join(" ");
    if is_test_module(path) {
        return Vec::new();
    }
    let lines = source.lines().count() - without_tests(&tokens(source)).1;
    let reason = doc.contains(&format!("{MAX_LINES} lines")) || doc.contains("long because");
    if lines > MAX_LINES && !reason {
        return vec![format!(
            "{path}: {lines} lines without tests; past {MAX_LINES} the module doc says why (\"long because …\")"
        )];
    }
    Vec::new()
}

/// Calls `f` with each `.rs` file under `folder`, in order, by its path relative to `src/`.
fn each_file(folder: &Path, prefix: &str, f: &mut impl FnMut(&str, &str)) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap()).collect();
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            each_file(&entry.path(), &format!("{name}/"), f);
        } else if name.ends_with(".rs") {
            f(&name, &fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn breaches_in_src(rule: fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let (mut found, mut files) = (Vec::new(), 0);
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    each_file(&src, "", &mut |path, source| {
        files += 1;
        found.extend(rule(path, source));
    });
    assert!(files > 10, "only {files} files were read");
    found
}

fn assert_none(found: Vec<String>) {
    assert!(
        found.is_empty(),
        "{} breaches:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn imports_go_one_way() {
    assert_none(breaches_in_src(import_breaches));
}

#[test]
fn machine_words_stay_in_the_targets() {
    assert_none(breaches_in_src(machine_words));
}

#[test]
fn files_open_with_their_doc_and_are_short_or_say_why() {
    assert_none(breaches_in_src(form_breaches));
}

#[test]
fn the_import_check_sees_every_way_to_write_a_path() {
    for (path, source) in [
        ("ir/op.rs", "use crate::schedule::program;"),
        ("ir/op.rs", "use crate::{dim::Dim, schedule::program};"),
        ("ir/op.rs", "fn f() -> crate::ast::node::File { todo() }"),
        ("ir/op.rs", "use super::super::ast;"),
        ("ir/mod.rs", "use super::ast::node;"),
        ("dim.rs", "use super::ast;"),
        ("dim.rs", "use crate::settings;"),
        ("ir/op.rs", "mod inner { use super::super::super::ast; }"),
        ("ir/op.rs", "pub use crate::check as c;"),
        ("reverse/mod.rs", "use crate::rewrite::Pass;"),
        ("targets/cpu/plan.rs", "use crate::ir::Func;"),
        ("targets/cpu/plan.rs", "use crate::targets::cuda::plan;"),
        ("targets/cuda/plan.rs", "use super::super::cpu::plan;"),
        ("train/mod.rs", "use crate::targets::cpu::Jit;"),
        ("pipeline.rs", "use crate::cli::run;"),
        ("surprise/mod.rs", ""),
    ] {
        assert_eq!(import_breaches(path, source).len(), 1, "{path}: {source}");
    }
    let two = import_breaches("ir/op.rs", "use crate::{ast, check::{a, b}, span};\n");
    assert_eq!(two.len(), 3, "{two:?}");
    let second = import_breaches("ir/op.rs", "/* crate::ast\n*/ \"\n\"; crate::ast::x");
    assert_eq!(second, ["ir/op.rs:3: ir may not import ast::x"]);
}

#[test]
fn the_import_check_allows_what_is_allowed() {
    for (path, source) in [
        (
            "ir/op.rs",
            "use crate::{dim::{Dim, Sym as S}, span::Span}; pub(crate) struct A;",
        ),
        ("ir/op.rs", "use super::build; use super::super::dim;"),
        (
            "ir/op.rs",
            "// crate::ast\n/* crate::ast /* nested */ crate::ast */ fn f<'a>() {}",
        ),
        (
            "ir/op.rs",
            r##"const A: &str = r#"crate::ast " "#; const B: &str = "\"crate::ast";"##,
        ),
        (
            "ir/op.rs",
            "const C: [char; 2] = ['\"', '\\'']; use crate::span; // 'crate::ast'",
        ),
        (
            "ir/op.rs",
            "#[cfg(test)]\nmod tests { use crate::ast; }\nuse crate::span;",
        ),
        (
            "ir/op.rs",
            "#[cfg(test)]\nuse crate::ast;\nuse crate::span;",
        ),
        ("dim.rs", "mod inner { use super::Dim; }"),
        (
            "check/mod.rs",
            "use crate::{ast::node, data::spec, settings::schema, library};",
        ),
        (
            "train/mod.rs",
            "use crate::targets::executable::Executable; use crate::data;",
        ),
        (
            "cli/train.rs",
            "use crate::{pipeline, train, targets::cpu};",
        ),
        ("main.rs", "use seqc::cli;"),
    ] {
        let found = import_breaches(path, source);
        assert!(found.is_empty(), "{path}: {source}: {found:?}");
    }
}

#[test]
fn the_word_check_sees_whole_words_in_code_and_comments() {
    for bad in [
        "// on CUDA",
        "struct CudaPlan;",
        "let has_avx512f = 1;",
        "/// a warp of 32",
    ] {
        assert_eq!(machine_words("schedule/group.rs", bad).len(), 1, "{bad}");
        assert_eq!(machine_words("targets/cpu/plan.rs", bad).len(), 0, "{bad}");
    }
    for good in [
        "fn swarp() {}",
        "assess(possessed)",
        "// warped",
        "barracuda",
    ] {
        assert_eq!(machine_words("schedule/group.rs", good), [""; 0], "{good}");
    }
}

#[test]
fn the_form_check_counts_lines_without_tests() {
    let body = "fn f() {}\n".repeat(MAX_LINES);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{body}}}\n");
    assert_eq!(form_breaches("a.rs", "use x;\n").len(), 1);
    assert_eq!(form_breaches("a.rs", "//! In. Out.\n"), [""; 0]);
    assert_eq!(
        form_breaches("a.rs", &format!("//! In. Out.\n{body}")).len(),
        1
    );
    assert_eq!(
        form_breaches("a.rs", &format!("//! In. Out.\n{tests}")),
        [""; 0]
    );
    let why = format!("//! In. Out. Long because\n//! it is a table.\n{body}");
    assert_eq!(form_breaches("a.rs", &why), [""; 0]);
}
