//! Writes that survive a crash: each is on the disk when it returns.
//!
//! In: paths and bytes. Out: files, folders and links, or a [`Failure`] that names the path. In
//! tests the i-th call can be made to fail ([`fault`]), a write after half of its bytes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::failure::Failure;

/// Writes a new file and flushes it to the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let go = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        fault::write(&mut file, bytes)?;
        fault::step()?;
        file.sync_all()
    };
    go().map_err(|e| Failure::io("write", path, &e))
}

/// Puts a file in the place of another: readers see the old bytes or the new ones.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let beside = beside(path);
    remove(&beside)?;
    let done = write(&beside, bytes).and_then(|()| rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done?;
    sync_parent(path)
}

/// Makes the link `path` point at `target`, a name in the same folder.
pub fn point(path: &Path, target: &str) -> Result<(), Failure> {
    let beside = beside(path);
    remove(&beside)?;
    let go = || {
        fault::step()?;
        std::os::unix::fs::symlink(target, &beside)
    };
    let done = go().map_err(|e| Failure::io("make the link", path, &e));
    let done = done.and_then(|()| rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done?;
    sync_parent(path)
}

pub fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    let go = || {
        fault::step()?;
        fs::rename(from, to)
    };
    go().map_err(|e| Failure::io("rename to", to, &e))
}

pub fn create_folder(path: &Path) -> Result<(), Failure> {
    let go = || {
        fault::step()?;
        fs::create_dir(path)
    };
    go().map_err(|e| Failure::io("make the folder", path, &e))
}

/// Flushes a folder's names to the disk.
pub fn sync_folder(path: &Path) -> Result<(), Failure> {
    let go = || {
        fault::step()?;
        File::open(path)?.sync_all()
    };
    go().map_err(|e| Failure::io("flush", path, &e))
}

pub fn sync_parent(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Removes a file, a link, or a folder with all it holds; one that is not there is no error. A link
/// is removed, never what it points at.
pub fn remove(path: &Path) -> Result<(), Failure> {
    let go = || {
        let kind = match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        fault::step()?;
        match kind.is_dir() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        }
    };
    go().map_err(|e| Failure::io("remove", path, &e))
}

/// `latest` → `latest.tmp`.
fn beside(path: &Path) -> std::path::PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Calls that fail on purpose.
pub(super) mod fault {
    use std::fs::File;
    use std::io::{self, Write};

    #[cfg(not(test))]
    pub(super) fn step() -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(test))]
    pub(super) fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// A full disk takes some of the bytes before it refuses.
    #[cfg(test)]
    pub(super) fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let refused = step();
        let taken = match refused {
            Ok(()) => bytes.len(),
            Err(_) => bytes.len() / 2,
        };
        file.write_all(&bytes[..taken])?;
        refused
    }

    #[cfg(test)]
    pub(super) fn step() -> io::Result<()> {
        LEFT.with(|left| match left.get() {
            Some(0) => {
                left.set(None);
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some(n) => {
                left.set(Some(n - 1));
                Ok(())
            }
            None => Ok(()),
        })
    }

    #[cfg(test)]
    thread_local! {
        static LEFT: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
    }

    /// The call after `n` more on this thread fails, once; `None`: no call does. Returns whether an
    /// earlier fault was still to come.
    #[cfg(test)]
    pub fn after(n: Option<u32>) -> bool {
        LEFT.with(|left| left.replace(n).is_some())
    }
}
