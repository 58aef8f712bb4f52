//! A snapshot file in the form of insta's, so that `cargo insta review` reads it too.
//!
//! ```text
//! ---
//! source: names.seq
//! expression: "seqc emit names.seq --emit=checked --model Latin"
//! ---
//! model Latin
//! ```
//!
//! In: a path, a text. Out: what was recorded there, or the file written whole; and which snapshots a
//! `.seq` file has. As in insta, what waits for review is `<name>.snap.new`, and white space at the end of
//! a text does not count.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::fmt::replace;
use super::load::plain;
use super::{Failure, render};
use crate::diagnostics::Diagnostic;

/// What a `.snap` file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The name of the file it was made from.
    pub source: String,
    pub text: String,
}

/// Why a file that is there cannot be compared with.
#[derive(Debug)]
pub enum Unread {
    Io(io::Error),
    /// It has no header with a source.
    NotOne,
}

/// The snapshot at `path`, where there is one.
pub fn read(path: &Path) -> Result<Option<Recorded>, Unread> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Unread::Io(e)),
    };
    let text = String::from_utf8(bytes).map_err(|_| Unread::NotOne)?;
    parse(&text.replace("\r\n", "\n"))
        .map(Some)
        .ok_or(Unread::NotOne)
}

fn parse(text: &str) -> Option<Recorded> {
    let (header, text) = text.strip_prefix("---\n")?.split_once("\n---\n")?;
    let source = header.lines().find_map(|l| l.strip_prefix("source: "))?;
    // Quoted by us and, where it must be, by insta.
    let source = match source.starts_with('"') {
        true => serde_json::from_str(source).ok()?,
        false => source.trim_matches('\'').to_string(),
    };
    let text = normal(text);
    Some(Recorded { source, text })
}

/// A text as it is compared and written: one newline at its end.
pub fn normal(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

/// Writes a snapshot whole or not at all, and makes its folder.
pub fn write(path: &Path, source: &str, expression: &str, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A JSON string is a YAML string.
    let quoted = |s: &str| serde_json::Value::from(s).to_string();
    let (source, expression) = (quoted(source), quoted(expression));
    let text = normal(text);
    let all = format!("---\nsource: {source}\nexpression: {expression}\n---\n{text}");
    replace(path, &all)
}

/// Where a text lies until somebody accepts it.
pub fn pending(path: &Path) -> PathBuf {
    path.with_extension("snap.new")
}

/// Takes away what lay in wait: it was accepted, or is no longer so.
pub fn forget_pending(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(pending(path)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The model, where a snapshot is not of the whole file, and what the snapshot shows of it.
pub type Labels = BTreeSet<(Option<String>, String)>;

/// Where the snapshots of a file lie.
pub struct Folder {
    /// The file as it was given, and its name alone.
    pub file: String,
    pub source: String,
    /// The beginning of every snapshot's name.
    stem: String,
    folder: PathBuf,
}

impl Folder {
    pub fn of(path: &Path) -> Folder {
        let source = path.file_name().unwrap_or_default().to_string_lossy();
        Folder {
            file: path.display().to_string(),
            stem: source.strip_suffix(".seq").unwrap_or(&source).to_string(),
            source: source.into_owned(),
            folder: path.with_file_name("snapshots"),
        }
    }

    pub fn path(&self, model: Option<&str>, label: &str) -> PathBuf {
        let model = model.map_or(String::new(), |m| format!("{m}."));
        self.folder
            .join(format!("{}__{model}{label}.snap", self.stem))
    }

    /// The model, where it is not of the whole file, and the label of every snapshot of this file.
    pub fn recorded(&self) -> Result<Labels, Failure> {
        let cannot = |e: std::io::Error| {
            let message = format!("{} cannot be read: {}", self.folder.display(), plain(&e));
            Failure::plain(Diagnostic::error("io::read", message))
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(e) => return Err(cannot(e)),
        };
        let mut out = BTreeSet::new();
        for entry in entries {
            let file = entry.map_err(cannot)?.file_name();
            let prefix = format!("{}__", self.stem);
            let rest = file.to_str().and_then(|f| f.strip_prefix(&prefix));
            let Some(rest) = rest.and_then(|f| f.strip_suffix(".snap")) else {
                continue;
            };
            // The files `a.seq` and `a__b.seq` have names with one beginning.
            let own = read(&self.folder.join(&file));
            if !matches!(own, Ok(Some(r)) if r.source == self.source) {
                continue;
            }
            out.insert(match rest.split_once('.') {
                Some((model, label)) => (Some(model.to_string()), label.to_string()),
                None => (None, rest.to_string()),
            });
        }
        Ok(out)
    }

    /// What was recorded at a path. A file that is there but of something else is never written over.
    pub fn old(&self, path: &Path) -> Result<Option<String>, Failure> {
        let foreign = |what: String| Diagnostic::error("snapshot::foreign", what).into();
        match read(path) {
            Ok(None) => Ok(None),
            Ok(Some(old)) if old.source == self.source => Ok(Some(old.text)),
            Ok(Some(old)) => {
                let (path, of) = (path.display(), render::printable(&old.source));
                Err(foreign(format!("{path} is of {of}, not {}", self.source)))
            }
            Err(Unread::NotOne) => Err(foreign(format!("{} is no snapshot", path.display()))),
            Err(Unread::Io(e)) => {
                let message = format!("{} cannot be read: {}", path.display(), plain(&e));
                Err(Diagnostic::error("io::read", message).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("snapshots/a__\"M\".plan.snap");
        assert!(matches!(read(&path), Ok(None)));
        write(&path, "a \"b\" ल.seq", "seqc", "one\n\n---\ntwo \n\n").expect("written");
        let found = read(&path).expect("read").expect("there");
        assert_eq!(found.source, "a \"b\" ल.seq");
        assert_eq!(found.text, "one\n\n---\ntwo\n");
        assert_eq!(pending(&path).extension(), Some("new".as_ref()));
    }

    #[test]
    fn other_files_are_not_taken_for_snapshots() {
        for text in ["", "---\n", "---\nexpression: x\n---\nmine\n", "mine\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        let plain = parse("---\nsource: a.seq\ninfo: 1\n---\nx").expect("insta's own");
        assert_eq!((&*plain.source, &*plain.text), ("a.seq", "x\n"));
    }
}
