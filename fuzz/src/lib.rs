//! What is done with any bytes, for the fuzzers in `bin/` and for `tests/bad_input`, which replays
//! what they found.
//!
//! In: bytes. Out: nothing, or a panic that says which promise was broken.

pub mod checkpoint;
pub mod data;
pub mod source;

/// A new folder for this process, in memory where the system has a place for that.
fn folder(what: &str) -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    let parent = match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    };
    let thread = std::thread::current().id();
    let name = format!("seqc-fuzz-{what}-{}-{thread:?}", std::process::id());
    let folder = parent.join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the files that are read");
    folder
}

/// Where the environment names a folder, writes what a fuzzer begins with into it and ends.
#[cfg_attr(test, allow(dead_code))]
pub fn begin(seeds: fn() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("SEQC_SEEDS") else {
        return;
    };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).expect("a folder for seeds");
    for (i, seed) in seeds().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{i:03}")), seed).expect("a seed");
    }
    std::process::exit(0);
}
