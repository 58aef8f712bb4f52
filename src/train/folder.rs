//! A run's folder: its name, its lock, and what it holds beside checkpoints.
//!
//! In: what a run was started with. Out: [`RunFolder`], locked, and [`Record`], with which it can be
//! evaluated, generated from and resumed without the files it came from, data excepted.
//!
//! ```text
//! runs/names-Latin/
//!   run.json        Record: settings, `--set` and `--data` as they were given, fields with their
//!                   vocabularies and units
//!   source.seq      the program
//!   manifest        the digest of run.json
//!   metrics.jsonl   one object a line
//!   usage.jsonl     speed and memory, one object every ten seconds
//!   events.out.tfevents.0001 …  the same for TensorBoard, a file for each session
//!   loss.svg        and, from the end of a session, rate.svg and grad_norm.svg
//!   classes.json    scores of single classes at the best measurement, where metrics ask for them
//!   confusion.svg
//!   step-200/ …     checkpoints
//!   latest, best    links to two of them
//!   lock            the process that trains
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use serde::Deserialize;

use super::checkpoint;
use super::disk;
use super::failure::{Class, Failure};
use super::lock::{LOCK, lock};
use super::manifest::{self, Entry, FORMAT, digest};
use crate::diagnostics::Diagnostic;
use crate::settings::Length;

pub use super::record::{FieldInfo, Record};

pub(super) const RECORD: &str = "run.json";
const SOURCE: &str = "source.seq";
const MANIFEST: &str = "manifest";

/// The largest record or source that is read.
const MAX_BYTES: u64 = 256 << 20;

/// The most runs of one name.
const MAX_RUNS: u32 = 100_000;

/// A run's folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Unlocked when closed, by the system where the process is killed.
    _lock: File,
    pub record: Record,
    pub source: String,
    /// The thread that writes the record, until it is waited for.
    writing: Option<JoinHandle<Result<(), Failure>>>,
}

/// `<runs>/<file>-<model>`, with `-2`, `-3`, … for `n` above 1.
fn default_path(runs: &Path, file: &str, model: &str, n: u32) -> PathBuf {
    let stem = Path::new(file).file_stem().unwrap_or_default();
    let mut name = stem.to_os_string();
    name.push(format!("-{model}"));
    if n > 1 {
        name.push(format!("-{n}"));
    }
    runs.join(name)
}

/// The newest default run of a file and model, for `--resume` without a folder.
pub fn newest(runs: &Path, file: &str, model: &str) -> Option<PathBuf> {
    let paths = (1..MAX_RUNS).map(|n| default_path(runs, file, model, n));
    let there = paths.take_while(|p| fs::symlink_metadata(p).is_ok());
    there.filter(|p| holds_run(p)).last()
}

/// Whether a folder holds a run that can be resumed.
pub fn holds_run(path: &Path) -> bool {
    path.join(RECORD).is_file()
}

impl RunFolder {
    /// Makes the folder `out`, or where that is `None` the first free default name in `runs`.
    /// Nothing is overwritten: a folder that holds a run, or anything else, is refused.
    pub fn create(
        out: Option<&Path>,
        runs: &Path,
        record: Record,
        source: &str,
    ) -> Result<RunFolder, Failure> {
        RunFolder::make(out, runs, record, source, |writing| {
            writing.all()?;
            Ok(None)
        })
    }

    /// The same, but the record may be on its way to the disk still: see [`RunFolder::written`].
    pub fn begin(
        out: Option<&Path>,
        runs: &Path,
        record: Record,
        source: &str,
    ) -> Result<RunFolder, Failure> {
        RunFolder::make(out, runs, record, source, |writing| {
            let thread = Builder::new().name("record".into());
            let alone = writing.clone();
            match thread.spawn(move || writing.all()) {
                Ok(thread) => Ok(Some(thread)),
                Err(_) => alone.all().map(|()| None),
            }
        })
    }

    /// Waits until the record is on the disk: before that the folder is no run.
    pub fn written(&mut self) -> Result<(), Failure> {
        let Some(thread) = self.writing.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|_| {
            let message = "the thread that writes the run's record ended early";
            Err(Failure::program("run::unwritable", message))
        })
    }

    fn make(
        out: Option<&Path>,
        runs: &Path,
        record: Record,
        source: &str,
        write: impl FnOnce(Writing) -> Result<Option<JoinHandle<Result<(), Failure>>>, Failure>,
    ) -> Result<RunFolder, Failure> {
        let (path, made) = match out {
            Some(out) => (out.to_path_buf(), claim(out)?),
            None => {
                make_all(runs)?;
                let (file, model) = (&record.file, &record.train.model);
                let mut found = None;
                for n in 1..MAX_RUNS {
                    let path = default_path(runs, file, model, n);
                    match fs::create_dir(&path) {
                        Ok(()) => {
                            found = Some(path);
                            break;
                        }
                        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                        Err(e) => return Err(Failure::io("make the folder", &path, &e)),
                    }
                }
                let full =
                    || Failure::usage("run::too-many", "no run name is free; name one by --out");
                (found.ok_or_else(full)?, true)
            }
        };
        let write = || {
            let lock = lock(&path)?;
            if holds_run(&path) {
                return Err(already(&path));
            }
            let json = json(&record)?;
            let (path, source) = (path.clone(), source.to_string());
            let writing = write(Writing { path, source, json })?;
            Ok((lock, writing))
        };
        match write() {
            Ok((lock, writing)) => Ok(RunFolder {
                path,
                _lock: lock,
                record,
                source: source.to_string(),
                writing,
            }),
            Err(e) => {
                if made && !holds_run(&path) {
                    let _ = fs::remove_dir_all(&path);
                }
                Err(e)
            }
        }
    }

    /// Opens a run to go on with it: locks it and clears away what a crash left.
    pub fn open(path: &Path) -> Result<RunFolder, Failure> {
        let (record, source) = read(path)?;
        let lock = lock(path)?;
        checkpoint::recover(path)?;
        Ok(RunFolder {
            path: path.to_path_buf(),
            _lock: lock,
            record,
            source,
            writing: None,
        })
    }

    /// Makes the run longer, by what the command line says. Until the new record is there the manifest knows
    /// both, so that a crash leaves one or the other, and a run.
    pub fn lengthen(&mut self, set: &[String], length: Length) -> Result<(), Failure> {
        let mut record = self.record.clone();
        record.set.extend_from_slice(set);
        record.train.length = length;
        let was = read_text(&self.path.join(RECORD))?.into_bytes();
        let json = json(&record)?;
        let manifest = self.path.join(MANIFEST);
        disk::replace(&manifest, digests(&[&was, &json]).as_bytes())?;
        disk::replace(&self.path.join(RECORD), &json)?;
        disk::replace(&manifest, digests(&[&json]).as_bytes())?;
        self.record = record;
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the source.
    pub fn source_digest(&self) -> String {
        digest(self.source.as_bytes())
    }
}

impl Drop for RunFolder {
    /// Nobody writes into a folder that was let go.
    fn drop(&mut self) {
        let _ = self.written();
    }
}

/// What makes a folder a run.
#[derive(Clone)]
struct Writing {
    path: PathBuf,
    source: String,
    json: Vec<u8>,
}

impl Writing {
    fn all(self) -> Result<(), Failure> {
        disk::replace(&self.path.join(SOURCE), self.source.as_bytes())?;
        let digests = digests(&[&self.json]);
        disk::replace(&self.path.join(MANIFEST), digests.as_bytes())?;
        // Last: a folder with a record is a run.
        disk::replace(&self.path.join(RECORD), &self.json)?;
        disk::sync_parent(&self.path)
    }
}

/// A run's record and source, without its lock: to evaluate or generate.
pub fn read(path: &Path) -> Result<(Record, String), Failure> {
    if !holds_run(path) {
        let message = match (path.is_file(), path.exists()) {
            (true, _) => "a run is a folder, and this is a file",
            (_, true) => "this folder holds no run",
            (_, false) => "there is no such run",
        };
        let class = match path.exists() {
            true => Class::Usage,
            false => Class::Resource,
        };
        let d = Diagnostic::error("run::not-a-run", message);
        return Err(Failure::new(class, d).help(format!("the path is {}", path.display())));
    }
    let source = read_text(&path.join(SOURCE))?;
    let json = read_text(&path.join(RECORD))?;
    let format = serde_json::from_str::<Format>(&json).map(|f| f.format);
    if let Ok(newer) = format
        && newer > FORMAT
    {
        let message = format!("the run has format {newer}; this seqc reads up to {FORMAT}");
        return Err(Failure::checkpoint("checkpoint::newer", message));
    }
    let record = serde_json::from_str(&json).map_err(|e| {
        Failure::checkpoint("run::damaged", format!("{RECORD} cannot be read")).help(e.to_string())
    })?;
    // With one digit changed it may still be read, as another run. A changed source is told where
    // training goes on.
    let written = fs::read(path.join(MANIFEST)).unwrap_or_default();
    let own = Entry::of(RECORD, json.as_bytes());
    if !manifest::parse(&written).is_ok_and(|known| known.contains(&own)) {
        let message = format!("{RECORD} is not as the run wrote it");
        return Err(Failure::checkpoint("run::damaged", message)
            .help("a run is changed by `--set` and `--data`, never in its folder"));
    }
    Ok((record, source))
}

/// What the run's manifest says of its record, which is one of these.
pub(super) fn digests(records: &[&[u8]]) -> String {
    let entries: Vec<Entry> = records.iter().map(|r| Entry::of(RECORD, r)).collect();
    manifest::text(&entries)
}

fn json(record: &Record) -> Result<Vec<u8>, Failure> {
    let json = serde_json::to_vec_pretty(record);
    json.map_err(|e| Failure::program("run::unwritable", format!("cannot write the record: {e}")))
}

/// Enough of a record to tell its age.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("the run has no {name}");
            return Err(Failure::checkpoint("run::damaged", message));
        }
        other => other.map_err(|e| Failure::io("read", path, &e))?,
    };
    if !meta.is_file() || meta.len() > MAX_BYTES {
        let message = format!("the run's {name} is not a plain file of a usual size");
        return Err(Failure::checkpoint("run::damaged", message));
    }
    let bytes = fs::read(path).map_err(|e| Failure::io("read", path, &e))?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::checkpoint("run::damaged", format!("the run's {name} is not UTF-8")))
}

fn already(path: &Path) -> Failure {
    Failure::usage(
        "run::exists",
        "the folder given by --out holds a run already",
    )
    .help(format!(
        "go on with it by `--resume`, or name another folder; it is {}",
        path.display()
    ))
}

/// Makes `out`, or takes it where it is empty. Returns whether it was made.
fn claim(out: &Path) -> Result<bool, Failure> {
    if let Some(parent) = out.parent().filter(|p| *p != Path::new("")) {
        make_all(parent)?;
    }
    match fs::create_dir(out) {
        Ok(()) => return Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(Failure::io("make the folder", out, &e)),
    }
    if holds_run(out) {
        return Err(already(out));
    }
    let entries = fs::read_dir(out).map_err(|e| Failure::io("list", out, &e))?;
    // What the making of a run that was killed can leave.
    let ours = [
        LOCK,
        SOURCE,
        MANIFEST,
        "source.seq.tmp",
        "manifest.tmp",
        "run.json.tmp",
    ];
    let others = entries.filter_map(|e| Some(e.ok()?.file_name()));
    match others.into_iter().find(|n| !ours.iter().any(|o| n == o)) {
        None => Ok(false),
        Some(name) => Err(Failure::usage(
            "run::not-empty",
            "the folder given by --out is not empty",
        )
        .help(format!("it holds {}", name.to_string_lossy()))),
    }
}

fn make_all(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|e| Failure::io("make the folder", path, &e))
}
