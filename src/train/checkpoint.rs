//! Checkpoints: saved so that a crash at any instant leaves one to go on from, and checked so that
//! a damaged one is never used.
//!
//! In: weights, optimizer state, carried states, [`Progress`]. Out: folders `step-N` of a run, and
//! back. A folder is written as `step-N.tmp`, flushed, renamed, its parent flushed, and only then
//! do the links `latest` and `best` move to it, each by a rename. The one before stays; older ones
//! go after the new one has been read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::disk;
use super::failure::{Class, Failure};
use super::manifest::{self, Entry, FORMAT, Unreadable};
use super::progress::Progress;
use super::weights::{self, Named, Origin};
use crate::diagnostics::Diagnostic;
use crate::targets::executable::ParamSlot;

pub const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const CARRIED: &str = "carried.safetensors";
const STATE: &str = "state.json";
const MANIFEST: &str = "manifest";

/// A manifest has a line for each of a handful of files.
const MAX_MANIFEST: u64 = 64 << 10;

/// Everything a run goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub weights: Vec<f32>,
    /// Arenas of the update rule, by name.
    pub optimizer: Vec<(String, Vec<f32>)>,
    /// States carried to the next batch of one long sequence, by path.
    pub carried: BTreeMap<String, Vec<f32>>,
    pub progress: Progress,
}

/// Which checkpoint of a run is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Latest,
    Best,
}

impl Which {
    pub fn name(self) -> &'static str {
        match self {
            Which::Latest => "latest",
            Which::Best => "best",
        }
    }
}

fn folder_name(step: u64) -> String {
    format!("step-{step}")
}

fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    // `step-007` and `step-+7` are not ours.
    (folder_name(step) == name).then_some(step)
}

/// Saves, moves `latest` to the new checkpoint (and `best`, if it is), and drops old ones. Whatever
/// fails, an earlier checkpoint and its links are as they were, and nothing half-written stays.
pub fn save(
    run: &Path,
    slots: &[ParamSlot],
    checkpoint: &Checkpoint,
    best: bool,
) -> Result<(), Failure> {
    let step = checkpoint.progress.step;
    let name = folder_name(step);
    let path = run.join(&name);
    let files = files(slots, checkpoint)?;
    let temporary = run.join(format!("{name}.tmp"));
    disk::remove(&temporary)?;
    if let Err(e) = write_folder(&temporary, &files) {
        let _ = fs::remove_dir_all(&temporary);
        return Err(e);
    }
    // The folder can be there: saved just before a crash, when no link had moved yet, or again
    // without a step between.
    let aside = run.join(format!("{name}.old"));
    let replaced = fs::symlink_metadata(&path).is_ok();
    if replaced {
        disk::remove(&aside)?;
    }
    let moved = match replaced {
        true => disk::rename(&path, &aside),
        false => Ok(()),
    };
    if let Err(e) = moved.and_then(|()| disk::rename(&temporary, &path)) {
        let _ = fs::remove_dir_all(&temporary);
        if replaced && fs::symlink_metadata(&path).is_err() {
            let _ = fs::rename(&aside, &path);
        }
        return Err(e);
    }
    disk::sync_folder(run)?;
    read_files(run, step)?;
    disk::point(&run.join(Which::Latest.name()), &name)?;
    if best || linked(run, Which::Best)?.is_none() {
        disk::point(&run.join(Which::Best.name()), &name)?;
    }
    prune(run)
}

/// The files of a checkpoint, the manifest last.
fn files(
    slots: &[ParamSlot],
    checkpoint: &Checkpoint,
) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let mut files = vec![(
        WEIGHTS,
        weights::encode(&weights::named(slots, &checkpoint.weights, ""))?,
    )];
    if !checkpoint.optimizer.is_empty() {
        let arenas = checkpoint.optimizer.iter();
        let tensors: Vec<Named<'_>> = arenas
            .flat_map(|(name, arena)| weights::named(slots, arena, &format!("{name}.")))
            .collect();
        files.push((OPTIMIZER, weights::encode(&tensors)?));
    }
    if !checkpoint.carried.is_empty() {
        let carried = checkpoint.carried.iter();
        let tensors: Vec<Named<'_>> = carried
            .map(|(path, values)| Named {
                name: path.clone(),
                shape: vec![values.len()],
                values,
            })
            .collect();
        files.push((CARRIED, weights::encode(&tensors)?));
    }
    let state = serde_json::to_vec_pretty(&checkpoint.progress).map_err(|e| {
        Failure::program("checkpoint::unwritable", format!("cannot write state: {e}"))
    })?;
    files.push((STATE, state));
    let entries: Vec<Entry> = files.iter().map(|(n, b)| Entry::of(n, b)).collect();
    files.push((MANIFEST, manifest::text(&entries).into_bytes()));
    Ok(files)
}

fn write_folder(path: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), Failure> {
    disk::create_folder(path)?;
    for (name, bytes) in files {
        disk::write(&path.join(name), bytes)?;
    }
    disk::sync_folder(path)
}

/// The step that a link names; `None` where there is no such link. Only a link made as ours are, to
/// a `step-N` beside it, is followed.
pub fn linked(run: &Path, which: Which) -> Result<Option<u64>, Failure> {
    let link = run.join(which.name());
    match fs::symlink_metadata(&link) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::io("read", &link, &e)),
        Ok(_) => {}
    }
    let target = fs::read_link(&link).ok();
    let step = target.as_deref().and_then(Path::to_str).and_then(step_of);
    match step {
        Some(step) => Ok(Some(step)),
        None => Err(damaged(format!(
            "`{}` is not a link to a checkpoint of this run",
            which.name()
        ))),
    }
}

/// The steps of the checkpoints there are, in order.
pub fn steps(run: &Path) -> Result<Vec<u64>, Failure> {
    let mut steps: Vec<u64> = names(run)?.iter().filter_map(|n| step_of(n)).collect();
    steps.sort_unstable();
    Ok(steps)
}

fn names(run: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(run).map_err(|e| Failure::io("list", run, &e))?;
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    Ok(names.collect())
}

/// Removes what a crash left half-done, and puts back a checkpoint that was being replaced. Only
/// with the run's lock held.
pub fn recover(run: &Path) -> Result<(), Failure> {
    for name in names(run)? {
        let path = run.join(&name);
        if let Some(original) = name.strip_suffix(".old").filter(|n| step_of(n).is_some()) {
            let original = run.join(original);
            match fs::symlink_metadata(&original).is_ok() {
                true => disk::remove(&path)?,
                false => disk::rename(&path, &original)?,
            }
        } else if name.ends_with(".tmp") {
            disk::remove(&path)?;
        }
    }
    Ok(())
}

/// Keeps what the links name and the newest two.
fn prune(run: &Path) -> Result<(), Failure> {
    let mut keep: Vec<u64> = steps(run)?.into_iter().rev().take(2).collect();
    for which in [Which::Latest, Which::Best] {
        keep.extend(linked(run, which)?);
    }
    for step in steps(run)?.into_iter().filter(|s| !keep.contains(s)) {
        disk::remove(&run.join(folder_name(step)))?;
    }
    for name in names(run)? {
        if name
            .strip_suffix(".old")
            .is_some_and(|n| step_of(n).is_some())
        {
            disk::remove(&run.join(name))?;
        }
    }
    Ok(())
}

/// The whole checkpoint that a link names; `None` where nothing was saved yet. `optimizer` names
/// the update rule's arenas.
pub fn load(
    run: &Path,
    which: Which,
    slots: &[ParamSlot],
    len: usize,
    optimizer: &[&str],
) -> Result<Option<Checkpoint>, Failure> {
    let Some((step, files)) = open(run, which)? else {
        return Ok(None);
    };
    let file = |name: &str| format!("step-{step}/{name}");
    let weights = read_weights(&files, step, slots, len)?;
    let mut arenas = Vec::new();
    if !optimizer.is_empty() {
        let (name, bytes) = (file(OPTIMIZER), part(&files, step, OPTIMIZER)?);
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
    let state = part(&files, step, STATE)?;
    let progress: Progress = serde_json::from_slice(state)
        .map_err(|e| damaged(format!("step-{step}/{STATE} cannot be read")).help(e.to_string()))?;
    if progress.step != step {
        let found = progress.step;
        return Err(damaged(format!(
            "step-{step} holds the state of step {found}"
        )));
    }
    Ok(Some(Checkpoint {
        weights,
        optimizer: arenas,
        carried,
        progress,
    }))
}

/// Only the weights, and their step.
pub fn load_weights(
    run: &Path,
    which: Which,
    slots: &[ParamSlot],
    len: usize,
) -> Result<Option<(u64, Vec<f32>)>, Failure> {
    let Some((step, files)) = open(run, which)? else {
        return Ok(None);
    };
    let weights = read_weights(&files, step, slots, len)?;
    Ok(Some((step, weights)))
}

type Files = BTreeMap<String, Vec<u8>>;

fn open(run: &Path, which: Which) -> Result<Option<(u64, Files)>, Failure> {
    let Some(step) = linked(run, which)? else {
        return Ok(None);
    };
    match read_files(run, step) {
        Ok(files) => Ok(Some((step, files))),
        Err(e) if e.class == Class::Checkpoint => {
            let mut others = steps(run)?.into_iter().rev().filter(|s| *s != step);
            let intact = others.find(|s| read_files(run, *s).is_ok());
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

/// The files of a checkpoint, each with the digest that the manifest gives it.
fn read_files(run: &Path, step: u64) -> Result<Files, Failure> {
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

fn damaged(message: String) -> Failure {
    let d = Diagnostic::error("checkpoint::damaged", message);
    Failure::new(Class::Checkpoint, d)
}
