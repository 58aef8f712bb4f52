//! A `.seq` file read, overridden, parsed and checked: what most verbs begin with.

use std::path::{Component, Path, PathBuf};

use super::Failure;
use super::args::Common;
use crate::ast::{node, parse};
use crate::check;
use crate::check::program::Model;
use crate::check::settings::{self, Experiment, apply_override, refuse_unread};
use crate::diagnostics::Diagnostic;
use crate::span::{FileId, Sources};

/// Everything that is known of a file before anything runs.
pub struct Loaded {
    pub sources: Sources,
    pub file: node::File,
    pub models: Vec<Model>,
    pub experiment: Experiment,
    /// Errors and warnings, in order of place.
    pub diagnostics: Vec<Diagnostic>,
}

/// Larger files are not programs.
const LARGEST: u64 = 64 << 20;

/// The bytes of a file that the user named.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |why: String| {
        let message = format!("{} cannot be read: {why}", path.display());
        Failure::plain(Diagnostic::error("io::read", message))
    };
    let meta = std::fs::metadata(path).map_err(|e| cannot(plain(&e)))?;
    if !meta.is_file() {
        return Err(cannot("it is not a file".into()));
    }
    if meta.len() > LARGEST {
        return Err(cannot(format!(
            "{} bytes are more than a program has",
            meta.len()
        )));
    }
    std::fs::read(path).map_err(|e| cannot(plain(&e)))
}

/// The folder a file's data paths count from.
pub fn base(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Whether a path that a file names stays in the folder `base`, links followed. One that names
/// nothing yet is judged as it is written.
pub fn is_inside(base: &Path, written: &Path) -> bool {
    let plain = |c| matches!(c, Component::Normal(_) | Component::CurDir);
    if !written.components().all(plain) {
        return false;
    }
    match (base.join(written).canonicalize(), base.canonicalize()) {
        (Ok(real), Ok(home)) => real.starts_with(home),
        (_, _) => true,
    }
}

/// An I/O error without the system's number.
pub fn plain(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => e.to_string(),
    }
}

/// The error for a file that the user named and that cannot be written.
pub fn unwritten(path: &Path, e: &std::io::Error) -> Diagnostic {
    let why = match e.kind() {
        std::io::ErrorKind::NotFound => match path.parent().filter(|folder| !folder.is_dir()) {
            Some(folder) => format!("there is no folder {}", folder.display()),
            None => plain(e),
        },
        _ => plain(e),
    };
    let message = format!("{} cannot be written: {why}", path.display());
    Diagnostic::error("io::write", message)
}

/// Parses a file into a new table of sources.
pub fn parse_file(path: &Path) -> Result<(node::File, Sources), Failure> {
    parse_bytes(path.display().to_string(), &read(path)?)
}

/// The same for a file's bytes.
fn parse_bytes(name: String, bytes: &[u8]) -> Result<(node::File, Sources), Failure> {
    let mut sources = Sources::default();
    match parse::decode(bytes, FileId(0)) {
        Ok(text) => {
            let id = sources.add(name, text);
            match parse::parse(&sources.get(id).text.clone(), id) {
                Ok(file) => Ok((file, sources)),
                Err(diagnostics) => Err(Failure::new(diagnostics, sources)),
            }
        }
        Err(d) => {
            sources.add(name, byte_for_byte(bytes));
            Err(Failure::new(vec![d], sources))
        }
    }
}

/// Bytes that are not UTF-8 shown as `?`, so that offsets stay what they are.
fn byte_for_byte(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| '?'));
    }
    out
}

/// Reads, overrides and checks. A file with errors is returned too: `check` shows them all.
pub fn load(path: &Path, common: &Common) -> Result<Loaded, Failure> {
    let (file, sources) = parse_file(path)?;
    analyse(file, sources, &sets(common))
}

/// The same for a file's bytes and the texts of any `--set`.
pub fn load_bytes(name: &str, bytes: &[u8], sets: &[String]) -> Result<Loaded, Failure> {
    let (file, sources) = parse_bytes(name.to_string(), bytes)?;
    analyse(file, sources, sets)
}

/// The same for a text that is at hand, such as one that was kept in a run.
pub fn load_text(name: &str, text: &str, sets: &[String]) -> Result<Loaded, Failure> {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    match parse::parse(text, id) {
        Ok(file) => analyse(file, sources, sets),
        Err(diagnostics) => Err(Failure::new(diagnostics, sources)),
    }
}

/// What the command line overrides.
pub fn sets(common: &Common) -> Vec<String> {
    let seed = common.seed.map(|seed| format!("train.seed={seed}"));
    common.set.iter().cloned().chain(seed).collect()
}

fn analyse(mut file: node::File, mut sources: Sources, sets: &[String]) -> Result<Loaded, Failure> {
    let set = |file: &mut node::File, sources: &mut Sources| {
        for set in sets {
            apply_override(file, sources, set)?;
        }
        refuse_unread(file, sources, sets).map_err(|d| vec![d])
    };
    if let Err(diagnostics) = set(&mut file, &mut sources) {
        let exit = Some(2);
        return Err(Failure {
            exit,
            ..Failure::new(diagnostics, sources)
        });
    }
    let mut checked = check::check(&file, &mut sources);
    let mut diagnostics = std::mem::take(&mut checked.diagnostics);
    let models = checked.models;
    let experiment = settings::check(&file, &models, &mut diagnostics);
    diagnostics.sort_by_key(|d| d.labels.first().map(|l| l.span));
    // What `--set` puts into several blocks is one mistake.
    let mut each: Vec<Diagnostic> = Vec::new();
    for d in diagnostics {
        let place = |d: &Diagnostic| d.labels.first().map(|l| l.span);
        let beside = each.iter().rev().take_while(|o| place(o) == place(&d));
        if !beside.into_iter().any(|o| *o == d) {
            each.push(d);
        }
    }
    let diagnostics = each;
    Ok(Loaded {
        sources,
        file,
        models,
        experiment,
        diagnostics,
    })
}

impl Loaded {
    /// The same, for verbs that cannot go on with errors; warnings are returned to be shown.
    pub fn valid(self) -> Result<Loaded, Failure> {
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(Failure::new(self.diagnostics, self.sources));
        }
        Ok(self)
    }

    /// The model of this name, or the one of the file.
    pub fn model(&self, name: Option<&str>) -> Result<&Model, Diagnostic> {
        let first_trained = self
            .experiment
            .train(None)
            .map(|t| t.settings.model.as_str());
        match name.or(first_trained) {
            None => self
                .models
                .first()
                .ok_or_else(|| Diagnostic::error("usage::no-model", "the file defines no model")),
            Some(name) => self.models.iter().find(|m| m.name == name).ok_or_else(|| {
                let names: Vec<&str> = self.models.iter().map(|m| m.name.as_str()).collect();
                let d = Diagnostic::error("usage::no-model", format!("no model named {name}"));
                d.help(format!("the file has {}", names.join(", ")))
            }),
        }
    }
}
