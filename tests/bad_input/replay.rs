//! What the fuzzers of `fuzz/` do, without their engine: their seeds and those of their finds that
//! were kept, each as it is and changed, by a fixed seed. `SEQC_FUZZ=100000` changes more.
//!
//! Their own engine needs the compiler built a second time, counting branches; this needs nothing,
//! so it runs wherever the tests run, and holds what was found.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use seqc::philox::{Domain, Place, Stream, key, path_hash};

/// Words that single bytes would seldom make.
const WORDS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "|> ",
    " = ",
    ": ",
    "'",
    "·",
    "σ",
    "\"",
    "\u{feff}",
    "\0",
    "\r\n",
    "1e999",
    "99999999999999999999",
    "-1",
    "0",
    "T",
    "H",
    "h'",
    "model ",
    "cell ",
    "param ",
    "state ",
    "scan ",
    "previous(",
    "sum(",
    " over s",
    " where s <= t",
    ",",
    "\t",
    "null",
    "nan",
    "\\u0000",
    "\"shape\":[",
    "\x1b[2J",
    "é",
    "\u{202e}",
];

fn changes() -> u64 {
    match std::env::var("SEQC_FUZZ") {
        Ok(n) => n.parse().expect("a number"),
        Err(_) => 1500,
    }
}

/// A seed with up to eight changes; `other` is spliced in.
fn changed(seed: &[u8], other: &[u8], draws: &mut Stream) -> Vec<u8> {
    let mut below = |n: usize| draws.below(n.max(1) as u32) as usize;
    let mut bytes = seed.to_vec();
    for _ in 0..=below(8) {
        let at = below(bytes.len() + 1);
        let end = (at + 1 + below(16)).min(bytes.len());
        match below(7) {
            0 if at < end => bytes[at] ^= 1 << below(8),
            1 if at < end => bytes[at] = below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                let times = 1 + below(3);
                bytes.splice(at..at, again.repeat(times));
            }
            4 => drop(bytes.splice(at..at, WORDS[below(WORDS.len())].bytes())),
            5 => drop(bytes.splice(at..end, WORDS[below(WORDS.len())].bytes())),
            _ => {
                let from = below(other.len() + 1);
                let to = (from + below(64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    bytes
}

/// Runs a target on its seeds, its finds and changes of both. `share`: of [`changes`].
fn replay(target: &'static str, run: fn(&[u8]), mut seeds: Vec<Vec<u8>>, share: u64) {
    let finds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/finds")
        .join(target);
    let mut paths: Vec<_> = match fs::read_dir(finds) {
        Ok(entries) => entries.map(|e| e.expect("an entry").path()).collect(),
        Err(_) => Vec::new(),
    };
    paths.sort();
    seeds.extend(paths.iter().map(|p| fs::read(p).expect("a find")));
    let work = move || {
        let hold = |bytes: &[u8]| {
            if catch_unwind(AssertUnwindSafe(|| run(bytes))).is_err() {
                panic!("{target} fell over: b\"{}\"", bytes.escape_ascii());
            }
        };
        seeds.iter().for_each(|seed| hold(seed));
        let mut draws = Stream::new(Place {
            key: key(1, Domain::Shuffle),
            path: path_hash(target),
            step: 0,
        });
        for _ in 0..changes() / share {
            let mut pick = || draws.below(seeds.len() as u32) as usize;
            let (one, other) = (pick(), pick());
            hold(&changed(&seeds[one], &seeds[other], &mut draws));
        }
    };
    // As much stack as the command gives itself.
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(work);
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn programs() {
    replay("source", fuzz::source::run, fuzz::source::seeds(), 2);
}

#[test]
fn data_files() {
    replay("data", fuzz::data::run, fuzz::data::seeds(), 1);
}

#[test]
fn run_folders() {
    replay(
        "checkpoint",
        fuzz::checkpoint::run,
        fuzz::checkpoint::seeds(),
        1,
    );
}
