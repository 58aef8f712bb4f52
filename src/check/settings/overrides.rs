//! `--set train.batch=16`: a setting given on the command line.
//!
//! In: the file's tree and the text after `--set`. Out: the tree with that entry replaced or added in
//! every block of the kind, before anything is checked, so that a bad value is reported as one
//! written in the file would be.

use crate::ast::node::{File, Item, Setting, Settings, SettingsKind};
use crate::ast::parse;
use crate::diagnostics::{Diagnostic, nearest};
use crate::settings::read::clip;
use crate::settings::schema::{self, Block, Kind};
use crate::span::{FileId, Sources, Span};

const KINDS: [(&str, SettingsKind); 4] = [
    ("data", SettingsKind::Data),
    ("train", SettingsKind::Train),
    ("generate", SettingsKind::Generate),
    ("tune", SettingsKind::Tune),
];

/// Applies one override. `train.Latin.batch=16` is for the blocks of `Latin` alone. The text is added
/// to `sources`, where the spans of the new entry point.
///
/// # Errors
/// `override::malformed` where the text is no `block.name=value`, `override::unknown-block` where no file
/// has such a block, `override::no-block` where this one has none, and syntax errors of the value.
pub fn apply_override(
    file: &mut File,
    sources: &mut Sources,
    text: &str,
) -> Result<(), Vec<Diagnostic>> {
    let at = |id: FileId, text: &str| Span::new(id, 0, text.len());
    let Some((path, value)) = text.split_once('=') else {
        let id = sources.add("--set", text);
        return Err(vec![malformed(at(id, text))]);
    };
    let (kind, key) = path.trim().split_once('.').unwrap_or((path.trim(), ""));
    let Some((word, kind)) = KINDS.iter().find(|(word, _)| *word == kind) else {
        let id = sources.add("--set", text);
        if kind.is_empty() || key.is_empty() {
            let d = malformed(at(id, text));
            return Err(vec![match sets(kind) {
                Some(word) => d.help(format!("did you mean `{word}.{kind}`?")),
                None => d,
            }]);
        }
        let start = text.len() - text.trim_start().len();
        let place = Span::new(id, start, start + kind.len());
        let message = format!("`--set` changes no block `{}`", clip(kind));
        let d = Diagnostic::error("override::unknown-block", message).label(place, "no such block");
        return Err(vec![match nearest(kind, KINDS.iter().map(|(w, _)| *w)) {
            Some(near) => d.help(format!("did you mean `{near}.{key}`?")),
            // A block's own name comes after its kind.
            None => match file.items.iter().find_map(|item| block_named(item, kind)) {
                // Settings of a data block's model stand in its training.
                Some("data") if trains(key) => d.help(format!("did you mean `train.{key}`?")),
                Some(word) => d.help(format!("did you mean `{word}.{kind}.{key}`?")),
                None => d.help(
                    "it changes settings of `data`, `train`, `generate` and `tune`, as \
                     `train.batch=16`; models are changed in the file",
                ),
            },
        }]);
    };
    let blocks = || {
        file.items.iter().filter_map(|item| match item {
            Item::Settings(s) if s.kind == *kind => Some(s.name.node.as_str()),
            Item::Settings(_) | Item::Time(_) | Item::Dim(_) | Item::Def(_) | Item::Fn(_) => None,
        })
    };
    // The first part is a block's name where there is such a block and more follows.
    let (only, key) = match key.split_once('.') {
        Some((name, rest)) if blocks().any(|b| b == name) => (Some(name), rest),
        _ => (None, key),
    };
    let none = blocks().next().is_none();
    let entry = match key.strip_prefix("given.") {
        Some(name) => format!("given {name}"),
        None => key.to_string(),
    };
    // Shown is what was given; parsed is a block with the key and the value at the same places.
    let shown = format!("--set {text}");
    let id = sources.add("--set", shown.as_str());
    let start = shown.len() - text.len() + (key.as_ptr() as usize - text.as_ptr() as usize);
    let after = &shown[start + key.len()..];
    // One line, so that the braces we add cannot be closed and opened by the value unnoticed.
    if key.is_empty() || text.contains('\n') {
        return Err(vec![malformed(at(id, &shown))]);
    }
    let head = format!("{word} M {{");
    let blanks = " ".repeat(start.saturating_sub(head.len()));
    // A text needs no quotes within those of a shell.
    let block = Block::ALL.into_iter().find(|b| b.to_string() == *word);
    let setting = block.and_then(|b| schema::find(b, key));
    let bare = value.trim();
    let is_text = setting.is_some_and(|s| s.kind == Kind::Text) && !bare.is_empty();
    let after = match is_text && !bare.contains(['"', '\\', '\n']) {
        true => format!("=\"{bare}\""),
        false => after.to_string(),
    };
    let parsed = parse(&format!("{head}{blanks}{entry}{after} }}"), id)?;
    let [Item::Settings(Settings { entries, .. })] = parsed.items.as_slice() else {
        return Err(vec![malformed(at(id, &shown))]);
    };
    let [new @ Setting::Set { .. }] = entries.as_slice() else {
        return Err(vec![malformed(at(id, &shown))]);
    };
    if none {
        return Err(vec![
            Diagnostic::error(
                "override::no-block",
                format!("the file has no `{word}` block to set `{}` in", clip(key)),
            )
            .label(at(id, &shown), "given on the command line"),
        ]);
    }
    for item in &mut file.items {
        let Item::Settings(block) = item else {
            continue;
        };
        if block.kind == *kind && only.is_none_or(|name| block.name.node == name) {
            replace(&mut block.entries, new);
        }
    }
    Ok(())
}

/// The kind of block that has a setting of this name.
fn sets(name: &str) -> Option<&'static str> {
    let of = |word: &str| {
        let block = Block::ALL.into_iter().find(|b| b.to_string() == word);
        block.is_some_and(|b| schema::find(b, name).is_some())
    };
    // What stands in most files first.
    let order = ["train", "data", "generate", "tune"];
    order.into_iter().find(|word| of(word))
}

/// Refuses a column that `--set` has added and that nothing reads: its name stands nowhere in the file,
/// nor in what else was set. One that the file has is replaced, and one that its model names is read.
///
/// # Errors
/// `override::unread-column`, with the nearest name that the block has.
pub fn refuse_unread(file: &File, sources: &Sources, sets: &[String]) -> Result<(), Diagnostic> {
    let settings = || schema::entries(Block::Data).map(|e| e.name);
    let text = &sources.get(file.id).text;
    for item in &file.items {
        let Item::Settings(block) = item else {
            continue;
        };
        let names = block.entries.iter().filter_map(|s| match s {
            Setting::Set { name, .. } => Some(name),
            Setting::Params { .. } => None,
        });
        let known = || settings().chain(names.clone().map(|n| n.node.as_str()));
        for name in names.clone().filter(|n| n.span.file != file.id) {
            let own = name.node.as_str();
            let values = sets.iter().filter_map(|set| Some(set.split_once('=')?.1));
            let mut texts = values.chain([&text[..]]);
            if block.kind != SettingsKind::Data
                || settings().any(|s| s == own)
                || texts.any(|text| has_word(text, own))
            {
                continue;
            }
            let message = format!(
                "`{}` has no column `{}`, and nothing reads one",
                clip(&block.name.node),
                clip(own)
            );
            let d = Diagnostic::error("override::unread-column", message);
            let d = d.label(name.span, "given on the command line");
            return Err(match nearest(own, known().filter(|n| *n != own)) {
                Some(near) => d.help(format!("did you mean `{near}`?")),
                None => d,
            });
        }
    }
    Ok(())
}

/// Whether a name stands in a text as a whole word.
fn has_word(text: &str, name: &str) -> bool {
    let is_name = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_alphanumeric());
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !is_name(before.chars().next_back()) && !is_name(after.chars().next())
    })
}

/// Whether a key is a setting of training.
fn trains(key: &str) -> bool {
    let first = key.split('.').next().unwrap_or(key);
    schema::entries(Block::Train).any(|e| e.name == first)
}

/// The kind of a block of this name.
fn block_named(item: &Item, name: &str) -> Option<&'static str> {
    match item {
        Item::Settings(s) if s.name.node == name => {
            let word = KINDS.iter().find(|(_, kind)| *kind == s.kind);
            word.map(|(word, _)| *word)
        }
        Item::Settings(_) | Item::Time(_) | Item::Dim(_) | Item::Def(_) | Item::Fn(_) => None,
    }
}

/// In the place of the entry of that name, and of those that it excludes, else at the end.
fn replace(entries: &mut Vec<Setting>, new: &Setting) {
    let Setting::Set { name, given, .. } = new else {
        return;
    };
    let excluded = match name.node.as_str() {
        "epochs" => "steps",
        "steps" => "epochs",
        other => other,
    };
    let same = |s: &Setting| match s {
        Setting::Set {
            name: n, given: g, ..
        } => g == given && (n.node == name.node || n.node == excluded),
        Setting::Params { .. } => false,
    };
    match entries.iter().position(same) {
        Some(at) => entries[at] = new.clone(),
        None => entries.push(new.clone()),
    }
}

fn malformed(at: Span) -> Diagnostic {
    Diagnostic::error(
        "override::malformed",
        "`--set` takes `block.name=value`, such as `train.batch=16`",
    )
    .label(at, "not of that form")
}
