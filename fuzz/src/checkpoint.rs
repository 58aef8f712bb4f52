//! Bytes of a run folder through the loader of checkpoints and runs.
//!
//! In: a byte that says what they are (a file of a checkpoint, its manifest, a run's record, or
//! changes to an intact checkpoint), and the bytes. A changed file gets a manifest that fits it, or
//! nothing behind the digests would ever be reached. Out: a panic where the loader does, where it
//! takes a checkpoint with a bit changed, or where its failure is not a checkpoint's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seqc::settings::Schedule;
use seqc::span::Sources;
use seqc::targets::executable::ParamSlot;
use seqc::train::checkpoint::{self, Checkpoint};
use seqc::train::manifest::{self, Entry};
use seqc::train::progress::Progress;
use seqc::train::{Class, Failure, Which, folder, schedule};

const FILES: [&str; 4] = [
    checkpoint::WEIGHTS,
    "optimizer.safetensors",
    "carried.safetensors",
    "state.json",
];
const MANIFEST: &str = "manifest";
const ARENAS: [&str; 2] = ["m", "v"];

/// An intact checkpoint in a run folder of this thread's own.
struct Bench {
    run: PathBuf,
    /// Of the checkpoint, the manifest included.
    files: BTreeMap<&'static str, Vec<u8>>,
    slots: Vec<ParamSlot>,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

impl Bench {
    fn new() -> Bench {
        let run = super::folder("run");
        let slot = |path: &str, shape: &[usize], offset| ParamSlot {
            path: path.to_string(),
            shape: shape.to_vec(),
            offset,
            len: shape.iter().product(),
        };
        let slots = vec![slot("rnn.W", &[2, 3], 0), slot("rnn.b", &[2], 6)];
        let arena = vec![0.5; 8];
        let constant = Schedule::Constant { warmup: 0 };
        let mut progress = Progress::new(1, constant, 10, "digest".to_string(), "data".to_string());
        progress.step = 1;
        let intact = Checkpoint {
            optimizer: ARENAS.map(|n| (n.to_string(), arena.clone())).into(),
            weights: arena,
            carried: BTreeMap::from([("rnn.h".to_string(), vec![0.5; 2])]),
            progress,
        };
        checkpoint::save(&run, &slots, &intact, true).expect("an intact checkpoint");
        std::fs::write(run.join("source.seq"), "time T\n").expect("the folder is ours");
        let read = |name| std::fs::read(run.join("step-1").join(name)).expect("saved");
        let names = FILES.into_iter().chain([MANIFEST]);
        let files = names.map(|name| (name, read(name))).collect();
        Bench { run, files, slots }
    }

    fn load(&self) -> Result<Option<Checkpoint>, Failure> {
        checkpoint::load(&self.run, Which::Latest, &self.slots, 8, &ARENAS)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.run.join("step-1").join(name), bytes).expect("the folder is ours");
    }

    fn restore(&self, name: &str) {
        self.write(name, &self.files[name]);
    }

    /// One file changed, and the manifest to fit.
    fn change(&self, name: &str, bytes: &[u8]) {
        let entries: Vec<Entry> = FILES
            .iter()
            .map(|f| Entry::of(f, if *f == name { bytes } else { &self.files[f] }))
            .collect();
        self.write(name, bytes);
        self.write(MANIFEST, manifest::text(&entries).as_bytes());
        use_of(self.load());
        self.restore(name);
        self.restore(MANIFEST);
    }

    /// Bytes of an intact checkpoint changed, three for each change: which and by what.
    fn damage(&self, changes: &[u8]) {
        let mut damaged = self.files.clone();
        for change in changes.chunks_exact(3) {
            let name = match usize::from(change[0]) % 5 {
                4 => MANIFEST,
                i => FILES[i],
            };
            let bytes = damaged.get_mut(name).expect("one of its files");
            let at = (usize::from(change[0] / 5) << 8 | usize::from(change[1])) % bytes.len();
            bytes[at] ^= change[2];
        }
        if damaged == self.files {
            return;
        }
        for (name, bytes) in damaged.iter().filter(|(n, b)| self.files[*n] != **b) {
            self.write(name, bytes);
        }
        let failure = self.load().expect_err("a checkpoint with other bytes");
        let names: Vec<_> = damaged
            .keys()
            .filter(|n| self.files[*n] != damaged[*n])
            .collect();
        hold(&failure);
        names.iter().for_each(|name| self.restore(name));
    }
}

/// What to begin with: each file as it is, a few changes, and a record.
pub fn seeds() -> Vec<Vec<u8>> {
    let bench = Bench::new();
    let file = |(i, name): (usize, &&str)| [&[i as u8], &bench.files[*name][..]].concat();
    let mut seeds: Vec<Vec<u8>> = FILES
        .iter()
        .chain(&[MANIFEST])
        .enumerate()
        .map(file)
        .collect();
    seeds.push(vec![5, 0, 9, 1, 3, 40, 0x80]);
    seeds.push([&[6], &include_bytes!("../programs/run.json")[..]].concat());
    seeds
}

pub fn run(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else {
        return;
    };
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        match usize::from(*what) % 7 {
            4 => {
                bench.write(MANIFEST, bytes);
                use_of(bench.load());
                bench.restore(MANIFEST);
            }
            5 => bench.damage(bytes),
            6 => record(&bench.run, bytes),
            i => bench.change(FILES[i], bytes),
        }
    });
}

fn hold(failure: &Failure) {
    assert_eq!(failure.class, Class::Checkpoint, "{failure:?}");
    assert!(!failure.diagnostics.is_empty());
    for d in &failure.diagnostics {
        super::source::hold(d, &Sources::default());
    }
    super::source::show(&failure.diagnostics, &Sources::default());
}

/// What a run that goes on does with it first.
fn use_of(loaded: Result<Option<Checkpoint>, Failure>) {
    match loaded {
        Ok(found) => {
            let mut found = found.expect("the link is there").progress;
            let _ = schedule::factor(
                &found.schedule,
                found.step,
                found.total_steps,
                &found.plateau,
            );
            found.plateau.observe(&found.schedule, 1.0);
            found.measured(1.0, false);
            found.since_validation.add(1.0, 1.0);
        }
        Err(failure) => hold(&failure),
    }
}

/// A run's record, and what generation and prediction do with its vocabularies and units.
fn record(run: &Path, bytes: &[u8]) {
    let fitting = manifest::text(&[Entry::of("run.json", bytes)]);
    std::fs::write(run.join("run.json"), bytes).expect("the folder is ours");
    std::fs::write(run.join(MANIFEST), fitting).expect("the folder is ours");
    let record = match folder::read(run) {
        Ok((record, _)) => record,
        Err(failure) => return hold(&failure),
    };
    for field in &record.fields {
        if let Some(vocabulary) = &field.vocabulary {
            let indices = vocabulary.encode_text("a bé\n ab");
            let _ = vocabulary.decode(&indices);
            let _ = vocabulary.decode(&[-1, 0, i32::MAX]);
        }
        let _ = field.inverse.apply(0, 1.0) + field.inverse.apply(3, 1.0);
    }
}
