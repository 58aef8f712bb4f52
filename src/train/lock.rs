//! The lock of a run's folder: one process trains in it.
//!
//! In: a run's folder. Out: the file that holds the lock until it is closed, by the system where the process
//! is killed; or `run::locked`, which names the process that has it.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::failure::{Class, Failure};
use crate::diagnostics::Diagnostic;

pub(super) const LOCK: &str = "lock";

/// Takes the run's lock, and writes this process into it for others to read.
pub(super) fn lock(run: &Path) -> Result<File, Failure> {
    let path = run.join(LOCK);
    let failed = |e: &std::io::Error| Failure::io("lock", &path, e);
    if fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        let message = format!("the run's {LOCK} is not a plain file");
        return Err(Failure::checkpoint("run::damaged", message));
    }
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| failed(&e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.take(64).read_to_string(&mut text);
            let pid: Option<u32> = read.ok().and_then(|_| text.trim().parse().ok());
            let who = pid.map_or("another process".to_string(), |p| format!("process {p}"));
            let message = format!("{who} is training in this folder");
            let d = Diagnostic::error("run::locked", message)
                .help(format!("the folder is {}", run.display()));
            return Err(Failure::new(Class::Resource, d));
        }
        Err(TryLockError::Error(e)) => return Err(failed(&e)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    write(&mut file).map_err(|e| failed(&e))?;
    Ok(file)
}
