//! The runs that there are of a file.
//!
//! In: a folder of runs, a `.seq` file's path. Out: the folders of all runs, or of those that were started
//! from a file of that name.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::folder::{RECORD, holds_run, read_text};

/// The most runs that a message names.
pub const SOME: usize = 5;

/// The part of a record that names its file.
#[derive(Deserialize)]
struct Of {
    file: String,
}

/// The runs in `runs` that are of a file of this name, in order; the first of them where there are many.
pub fn of_file(runs: &Path, file: &Path) -> Vec<PathBuf> {
    let of = |run: &PathBuf| {
        let json = read_text(&run.join(RECORD)).ok()?;
        let of = serde_json::from_str::<Of>(&json).ok()?;
        (Path::new(&of.file).file_name()? == file.file_name()?).then_some(())
    };
    let mut found = all(runs);
    found.retain(|run| of(run).is_some());
    found.truncate(SOME);
    found
}

/// Every run in `runs`, in order of their names.
pub fn all(runs: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    found.retain(|run| holds_run(run));
    found.sort();
    found
}
