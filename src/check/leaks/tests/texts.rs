//! Whole files: what is said, and where.

use crate::diagnostics::Diagnostic;
use crate::span::Sources;

const MODELS: &[(&str, &str)] = &[
    (
        "itself",
        "predict text = text |> Embed(8) |> scan GRU(8) |> Linear |> softmax",
    ),
    (
        "both ways",
        "predict text = previous(text) |> Embed(8) |> scan both GRU(8) |> Linear |> softmax",
    ),
    (
        "a mean as initial state",
        "z = mean(previous(text) |> Embed(8)) over T |> Linear(8)\n\
         predict text = previous(text) |> Embed(8) |> scan GRU(8) from h = z |> Linear |> softmax",
    ),
    (
        "an encoder of the answer",
        "enc = text |> Embed(8) |> scan GRU(8)\n\
         predict text = previous(text) |> Embed(8) |> scan GRU(8) from h = final(enc.h) \
         |> Linear |> softmax",
    ),
    (
        "two of three inputs are sound",
        "a = previous(text) |> Embed(8)\nb = text |> Embed(8)\n\
         predict text = [a, b] |> scan GRU(8) |> Linear |> softmax",
    ),
];

/// What the checker finds in a file.
pub fn found(text: &str) -> (Sources, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let id = sources.add("m.seq", text);
    let found = match crate::ast::parse(text, id) {
        Ok(file) => crate::check::check(&file, &mut sources).diagnostics,
        Err(found) => found,
    };
    (sources, found)
}

/// Messages and labels of leaks, as lines.
pub fn said(name: &str, sources: &Sources, found: &[Diagnostic]) -> String {
    let mut out = format!("{name}\n");
    for d in found {
        assert_eq!(d.code, "leak::target-visible", "{name}: {d:?}");
        assert!(d.message.chars().count() <= 72);
        out += &format!("  {}\n", d.message);
        for l in &d.labels {
            let (line, column) = sources.line_column(l.span);
            let covered = sources.snippet(l.span);
            out += &format!("    {line}:{column} `{covered}`: {}\n", l.text);
        }
        out.extend(d.help.as_ref().map(|h| format!("    help: {h}\n")));
    }
    out
}

#[test]
fn what_is_said() {
    let mut out = String::new();
    for (name, body) in MODELS {
        let text = format!("time T\nmodel M {{\ntarget text : [T] token\n{body}\n}}\n");
        let (sources, found) = found(&text);
        out += &said(name, &sources, &found);
    }
    insta::with_settings!({
        snapshot_path => "../../../../snapshots/check",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("leaks", out) });
}
