//! A file with everything filled in: `check --resolved`.
//!
//! In: a checked file. Out: a `.seq` text that means the same, in which every block of settings has all of
//! them, as `--set` left them, and before each model stands, as a comment, what the compiler found: its
//! sizes, its losses, and each weight with its path, shape and start.

use super::load::Loaded;
use crate::ast::node::{DefKind, Item};
use crate::ast::{Style, format, parse};
use crate::check::{resolved, settings};
use crate::span::FileId;

pub fn filled(loaded: &Loaded) -> String {
    let text = &loaded.sources.get(loaded.file.id).text;
    let blocks = settings::resolved(&loaded.experiment);
    let (mut out, mut copied) = (String::new(), 0);
    for item in &loaded.file.items {
        let (start, end, put) = match item {
            Item::Def(d) if d.kind == DefKind::Model => {
                let start = d.span.start as usize;
                (start, start, model(loaded, &d.name.node))
            }
            Item::Settings(s) => {
                let found = blocks.iter().find(|(span, _)| *span == s.span);
                let (start, end) = (s.span.start as usize, s.span.end as usize);
                (
                    start,
                    end,
                    found.map(|(_, text)| text.trim_end().to_string()),
                )
            }
            Item::Time(_) | Item::Dim(_) | Item::Def(_) | Item::Fn(_) => continue,
        };
        // What has only warnings may be without an own text: it stays as it is written.
        let Some(put) = put else { continue };
        out.push_str(&text[copied..start]);
        out.push_str(&put);
        copied = end;
    }
    out.push_str(&text[copied..]);
    match parse(&out, FileId(0)) {
        Ok(file) => format(&file, &out, Style { ascii: false }),
        Err(_) => out,
    }
}

/// The comment that stands before a model.
fn model(loaded: &Loaded, name: &str) -> Option<String> {
    let mut model = loaded.models.iter().find(|m| m.name == name)?.clone();
    if let Some(train) = loaded.experiment.train(Some(name)) {
        settings::apply_adapters(&train.settings, &mut model);
    }
    Some(resolved::resolved(&model))
}
