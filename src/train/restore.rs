//! A checkpoint read back, and refused where anything about it is not as it was saved.
//!
//! In: a run's folder and one of its links. Out: the [`Checkpoint`], or a failure that names the
//! file and what is wrong with it. Digests find what a disk did; what digests cannot find, because
//! somebody wrote them anew, is found by [`decode`]: names, shapes, types, numbers out of range.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::checkpoint::{
    CARRIED, Checkpoint, MANIFEST, OPTIMIZER, STATE, WEIGHTS, Which, folder_name, linked, steps,
};
use super::failure::{Class, Failure};
use super::manifest::{self, FORMAT, Unreadable};
use super::progress::Progress;
use super::weights::{self, Origin};
use crate::diagnostics::Diagnostic;
use crate::targets::executable::ParamSlot;

/// A manifest has a line for each of a handful of files.
const MAX_MANIFEST: u64 = 64 << 10;

/// Bytes of the state that is read by itself.
const MAX_STATE: u64 = 1 << 20;

/// Bytes of a file of a checkpoint at most, for a model of `len` numbers: its update rule keeps a few
/// for each, and states of a batch come to less than a gigabyte. What is larger than that, a hole of
/// a terabyte, say, is not read to find out that its digest differs.
fn most(len: usize) -> u64 {
    (1 << 30) + 64 * len as u64
}

/// The files of a checkpoint by name, without its manifest.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The whole checkpoint that a link names; `None` where nothing was saved yet. `optimizer` names
/// the update rule's arenas.
pub fn load(
    run: &Path,
    which: Which,
    slots: &[ParamSlot],
    len: usize,
    optimizer: &[&str],
) -> Result<Option<Checkpoint>, Failure> {
    let Some((step, files)) = open(run, which, len)? else {
        return Ok(None);
    };
    decode(&files, step, slots, len, optimizer).map(Some)
}

/// What the files of step `step` say, for a model with these weights and an update rule with these
/// arenas. Nothing in them can make this panic, whoever wrote them.
pub fn decode(
    files: &Files,
    step: u64,
    slots: &[ParamSlot],
    len: usize,
    optimizer: &[&str],
) -> Result<Checkpoint, Failure> {
    let file = |name: &str| format!("step-{step}/{name}");
    let weights = read_weights(files, step, slots, len)?;
    let mut arenas = Vec::new();
    if !optimizer.is_empty() {
        let (name, bytes) = (file(OPTIMIZER), part(files, step, OPTIMIZER)?);
        let prefixes: Vec<String> = optimizer.iter().map(|n| format!("{n}.")).collect();
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let read = weights::arenas(bytes, slots, len, &prefixes, origin(&name))?;
        arenas = optimizer.iter().map(|n| n.to_string()).zip(read).collect();
    }
    let mut carried = BTreeMap::new();
    if let Some(bytes) = files.get(CARRIED) {
        let name = file(CARRIED);
        let tensors = weights::decode(bytes, origin(&name))?;
        carried.extend(tensors.into_iter().map(|t| (t.name, t.values)));
    }
    let state = part(files, step, STATE)?;
    let progress: Progress = serde_json::from_slice(state)
        .map_err(|e| damaged(format!("step-{step}/{STATE} cannot be read")).help(e.to_string()))?;
    if progress.step != step {
        let found = progress.step;
        return Err(damaged(format!(
            "step-{step} holds the state of step {found}"
        )));
    }
    if let Some(what) = progress.impossible() {
        return Err(damaged(format!("step-{step}/{STATE}: {what}")));
    }
    Ok(Checkpoint {
        weights,
        optimizer: arenas,
        carried,
        progress,
    })
}

/// Whether `stop` has ended the run, as far as its last checkpoint can be read: what is wrong with that
/// is for [`load`] to say.
pub fn stopped(run: &Path) -> Result<bool, Failure> {
    let Some(step) = linked(run, Which::Latest)? else {
        return Ok(false);
    };
    let path = run.join(folder_name(step)).join(STATE);
    let small = |m: fs::Metadata| m.is_file() && m.len() <= MAX_STATE;
    if !fs::metadata(&path).is_ok_and(small) {
        return Ok(false);
    }
    let state = fs::read(&path).unwrap_or_default();
    Ok(serde_json::from_slice::<Progress>(&state).is_ok_and(|p| p.stopped))
}

/// Only the weights, and their step.
pub fn load_weights(
    run: &Path,
    which: Which,
    slots: &[ParamSlot],
    len: usize,
) -> Result<Option<(u64, Vec<f32>)>, Failure> {
    let Some((step, files)) = open(run, which, len)? else {
        return Ok(None);
    };
    let weights = read_weights(&files, step, slots, len)?;
    Ok(Some((step, weights)))
}

fn open(run: &Path, which: Which, len: usize) -> Result<Option<(u64, Files)>, Failure> {
    let Some(step) = linked(run, which)? else {
        return Ok(None);
    };
    match read_files(run, step, len) {
        Ok(files) => Ok(Some((step, files))),
        Err(e) if e.class == Class::Checkpoint => {
            let mut others = steps(run)?.into_iter().rev().filter(|s| *s != step);
            let intact = others.find(|s| read_files(run, *s, len).is_ok());
            Err(match intact {
                Some(s) => e.help(format!(
                    "step-{s} is intact: to use it, make `{}` a link to it",
                    which.name()
                )),
                None => e,
            })
        }
        Err(e) => Err(e),
    }
}

fn origin(file: &str) -> Origin<'_> {
    Origin {
        file,
        class: Class::Checkpoint,
    }
}

fn read_weights(
    files: &Files,
    step: u64,
    slots: &[ParamSlot],
    len: usize,
) -> Result<Vec<f32>, Failure> {
    let name = format!("step-{step}/{WEIGHTS}");
    let bytes = part(files, step, WEIGHTS)?;
    let mut read = weights::arenas(bytes, slots, len, &[""], origin(&name))?;
    Ok(read.pop().unwrap_or_default())
}

fn part<'f>(files: &'f Files, step: u64, name: &str) -> Result<&'f [u8], Failure> {
    let found = files.get(name).map(Vec::as_slice);
    found.ok_or_else(|| damaged(format!("step-{step} has no {name}")))
}

/// The files of a checkpoint of a model of `len` numbers, each with the digest that the manifest gives it.
pub(super) fn read_files(run: &Path, step: u64, len: usize) -> Result<Files, Failure> {
    let name = folder_name(step);
    let folder = run.join(&name);
    // Neither the folder nor a file in it may be a link, which could lead out of the run.
    if !fs::symlink_metadata(&folder).is_ok_and(|m| m.is_dir()) {
        return Err(damaged(format!("the checkpoint {name} is not a folder")));
    }
    let bytes = read_plain(&folder.join(MANIFEST), &name, MAX_MANIFEST)?;
    let entries = manifest::parse(&bytes).map_err(|e| match e {
        Unreadable::Damaged => damaged(format!("{name}/{MANIFEST} is damaged")),
        Unreadable::Newer(n) => Failure::checkpoint(
            "checkpoint::newer",
            format!("{name} has format {n}; this seqc reads up to {FORMAT}"),
        ),
    })?;
    let mut files = Files::new();
    for entry in entries {
        if ![WEIGHTS, OPTIMIZER, CARRIED, STATE].contains(&entry.name.as_str()) {
            return Err(damaged(format!("{name}/{MANIFEST} names an unknown file")));
        }
        if entry.bytes > most(len) {
            return Err(damaged(format!(
                "{name}/{} of {} bytes is too large for the model",
                entry.name, entry.bytes
            )));
        }
        let bytes = read_plain(&folder.join(&entry.name), &name, entry.bytes)?;
        if bytes.len() as u64 != entry.bytes {
            return Err(damaged(format!(
                "{name}/{} has {} bytes, not {}",
                entry.name,
                bytes.len(),
                entry.bytes
            )));
        }
        if manifest::digest(&bytes) != entry.digest {
            return Err(damaged(format!(
                "{name}/{} is not what was saved: its digest differs",
                entry.name
            )));
        }
        files.insert(entry.name, bytes);
    }
    Ok(files)
}

/// A plain file of at most `most` bytes.
fn read_plain(path: &PathBuf, folder: &str, most: u64) -> Result<Vec<u8>, Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(format!("{folder} has no {file}")));
        }
        other => other.map_err(|e| Failure::io("read", path, &e))?,
    };
    if !kind.is_file() {
        return Err(damaged(format!("{folder}/{file} is not a plain file")));
    }
    if kind.len() > most {
        let message = format!("{folder}/{file} has {} bytes, not {most}", kind.len());
        return Err(damaged(message));
    }
    fs::read(path).map_err(|e| Failure::io("read", path, &e))
}

pub(super) fn damaged(message: String) -> Failure {
    let d = Diagnostic::error("checkpoint::damaged", message);
    Failure::new(Class::Checkpoint, d)
}
