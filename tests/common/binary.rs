//! The binary, run in a folder: arguments in, the JSON object out that it prints.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The binary with these arguments, to be run in `folder`.
pub fn seqc(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
    command.args(args).current_dir(folder);
    command
}

/// What it prints where it succeeds, as it must.
#[track_caller]
pub fn said(mut command: Command) -> Value {
    let ran = command.output().expect("seqc starts");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}\n{err}");
    serde_json::from_slice(&ran.stdout).expect("one JSON object")
}

/// Both.
#[track_caller]
pub fn json(folder: &Path, args: &[&str]) -> Value {
    said(seqc(folder, args))
}
