//! Checkpoints, saved so that a crash at any instant leaves one to go on from.
//!
//! In: weights, optimizer state, carried states, [`Progress`]. Out: folders `step-N` of a run, which
//! `restore` reads back. A folder is written as `step-N.tmp`, flushed, renamed, its parent flushed, and only then
//! do the links `latest` and `best` move to it, each by a rename. The one before stays; older ones
//! go after the new one has been read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::disk;
use super::failure::Failure;
use super::manifest::{self, Entry};
use super::progress::Progress;
use super::restore::{damaged, read_files};
use super::weights::{self, Named};
use crate::targets::executable::ParamSlot;

pub use super::restore::{load, load_weights, stopped};

pub const WEIGHTS: &str = "weights.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
pub(super) const CARRIED: &str = "carried.safetensors";
pub(super) const STATE: &str = "state.json";
pub(super) const MANIFEST: &str = "manifest";

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

pub(super) fn folder_name(step: u64) -> String {
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
    read_files(run, step, checkpoint.weights.len())?;
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
