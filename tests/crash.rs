//! The command itself, killed while it trains: whatever the moment, the run goes on to the same bits.
//!
//! `SEQC_KILLS=20 cargo test --test crash` kills more often; `SEQC_KILL_SEED` moves the moments.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use seqc::philox::{Domain, Place, Stream, key, path_hash};
use tempfile::TempDir;

/// 32 names in 8 batches, saved every two steps: most of the time a save is under way.
const EPOCHS: u64 = 12;
const STEPS: u64 = 8 * EPOCHS;

fn program(epochs: u64) -> String {
    format!(
        r#"time T

model Tiny {{
  target name : [T] token
  predict name = previous(name) |> Embed(4) |> dropout(0.2) |> scan GRU(6) |> Linear |> softmax
}}

data tiny {{
  from  = tsv("tiny.tsv")
  name  = column(1) |> chars()
  split = parts(80, 20, 0)
}}

train Tiny on tiny {{
  batch     = 4
  optimizer = adamw(lr = 1e-2)
  schedule  = cosine(warmup = 5)
  clip      = norm(1)
  epochs    = {epochs}
  validate  = every(2)
  seed      = 1
}}
"#
    )
}

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

/// A folder with a program and 40 made-up names.
struct Case {
    dir: TempDir,
    draws: Stream,
}

impl Case {
    fn new(epochs: u64) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let syllables = ["ka", "ri", "mo", "na", "tu", "shi", "de", "la"];
        let draws = Stream::new(Place {
            key: key(number("SEQC_KILL_SEED", 5), Domain::Data),
            path: path_hash("kills"),
            step: 0,
        });
        let mut case = Case { dir, draws };
        let mut names = String::new();
        for _ in 0..40 {
            for _ in 0..=case.below(4) {
                names.push_str(syllables[case.below(8) as usize]);
            }
            names.push('\n');
        }
        fs::write(case.path("tiny.tsv"), names).unwrap();
        fs::write(case.path("tiny.seq"), program(epochs)).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A reproducible number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        u64::from(self.draws.below(n as u32))
    }

    fn command(&self, run: &str, threads: u64) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
        command.current_dir(self.dir.path());
        command.args(["train", "--quiet", "--threads", &threads.to_string()]);
        // A run that was killed before it was one is begun again.
        match self.path(run).join("run.json").exists() {
            true => command.args([run, "--resume"]),
            false => command.args(["tiny.seq", "--out", run]),
        };
        command
    }

    fn spawn(&self, run: &str, threads: u64) -> Child {
        self.command(run, threads)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs to the end, and returns the weights.
    fn finish(&self, run: &str, threads: u64) -> Vec<u8> {
        let out = self.command(run, threads).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        let latest = self.path(run).join("latest");
        assert_eq!(step(&latest), Some(STEPS));
        fs::read(latest.join("weights.safetensors")).unwrap()
    }
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// The step of the checkpoint that a link of a run points at.
fn step(link: &Path) -> Option<u64> {
    let target = fs::read_link(link).ok()?;
    target.to_str()?.strip_prefix("step-")?.parse().ok()
}

/// Waits for the run to have saved this step; whether it did before it ended.
fn reaches(run: &Path, child: &mut Child, wanted: u64) -> bool {
    let began = Instant::now();
    loop {
        if step(&run.join("latest")).is_some_and(|s| s >= wanted) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "no step {wanted}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn send(signal: &str, child: &Child) {
    let kill = format!("kill -{signal} {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(status.success());
}

/// All files of a run but its lock, which every process that opens it writes.
fn contents(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                all.insert(path, target.into_os_string().into_encoded_bytes());
            } else if path.file_name().unwrap() != "lock" {
                let bytes = fs::read(&path).unwrap();
                all.insert(path, bytes);
            }
        }
    }
    all
}

#[test]
fn killed_runs_end_with_the_bits_of_an_undisturbed_one() {
    let kills = number("SEQC_KILLS", 4);
    let mut case = Case::new(EPOCHS);
    let want = case.finish("whole", 1);
    assert!(
        want == case.finish("threads", 2),
        "threads change the weights"
    );
    let mut killed = 0;
    for kill in 0..kills {
        let run = case.path("killed");
        let threads = 1 + case.below(2);
        let mut child = case.spawn("killed", threads);
        // Every part of the run is hit; the first kill comes while it starts.
        let wanted = kill * (STEPS - 8) / kills;
        let delay = match kill {
            0 => case.below(300),
            _ => case.below(40),
        };
        if kill == 0 || reaches(&run, &mut child, wanted) {
            std::thread::sleep(Duration::from_millis(delay));
        }
        child.kill().unwrap();
        let out = child.wait_with_output().unwrap();
        match out.status.code() {
            None => killed += 1,
            // It may have come to its end in the delay.
            Some(code) => assert_eq!(code, 0, "{}", stderr(&out)),
        }
        let at = step(&run.join("latest"));
        println!("kill {kill}: {threads} threads, {delay} ms after step {wanted}; saved: {at:?}");
    }
    assert!(killed * 4 >= kills * 3, "only {killed} of {kills} kills");
    let got = case.finish("killed", 1);
    assert!(
        got == want,
        "the weights differ from those of the whole run"
    );
    // Nothing that a kill left half-written stays.
    for path in contents(&case.path("killed")).keys() {
        let text = path
            .strip_prefix(case.dir.path())
            .unwrap()
            .to_string_lossy();
        assert!(
            !text.contains(".tmp") && !text.contains(".old"),
            "{text} was left"
        );
    }
}

#[test]
fn a_terminated_run_saves_and_goes_on() {
    let case = Case::new(EPOCHS);
    let want = case.finish("whole", 2);
    let run = case.path("stopped");
    for (signal, code, wanted) in [("TERM", 143, 4), ("INT", 130, 40)] {
        let mut child = case.spawn("stopped", 2);
        assert!(reaches(&run, &mut child, wanted));
        send(signal, &child);
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{signal}: {}", stderr(&out));
        let at = step(&run.join("latest")).unwrap();
        assert!(at >= wanted && at < STEPS, "{signal} at step {at}");
    }
    assert!(
        case.finish("stopped", 2) == want,
        "the weights differ from those of the whole run"
    );
}

#[test]
fn one_folder_has_one_trainer() {
    let case = Case::new(10_000);
    let mut first = case.spawn("run", 1);
    assert!(reaches(&case.path("run"), &mut first, 2));
    let second = case.command("run", 1).output().unwrap();
    let running = first.try_wait().unwrap().is_none();
    first.kill().unwrap();
    let id = first.id();
    first.wait().unwrap();
    let text = stderr(&second);
    assert!(running, "the first ended");
    assert_eq!(second.status.code(), Some(3), "{text}");
    assert!(
        text.contains("run::locked") && text.contains(&format!("process {id} ")),
        "{text}"
    );
    // The lock of a process that was killed holds nobody up.
    let mut third = case.spawn("run", 1);
    let before = step(&case.path("run").join("latest")).unwrap();
    assert!(reaches(&case.path("run"), &mut third, before + 2));
    third.kill().unwrap();
    third.wait().unwrap();
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_alone() {
    let case = Case::new(EPOCHS);
    let run = case.path("run");
    let mut child = case.spawn("run", 1);
    // Within an epoch, where states in play are saved too.
    assert!(reaches(&run, &mut child, 12));
    send("TERM", &child);
    child.wait().unwrap();
    let latest = fs::canonicalize(run.join("latest")).unwrap();
    let names: Vec<_> = fs::read_dir(&latest)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let path = latest.join(&name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for bytes in [&whole[..whole.len() / 2], &[], &flipped] {
            fs::write(&path, bytes).unwrap();
            let before = contents(&run);
            let out = case.command("run", 1).output().unwrap();
            let text = stderr(&out);
            assert_eq!(out.status.code(), Some(4), "{name:?}: {text}");
            assert!(text.contains(name.to_str().unwrap()), "{name:?}: {text}");
            assert!(before == contents(&run), "{name:?}: the run was changed");
        }
        fs::remove_file(&path).unwrap();
        let out = case.command("run", 1).output().unwrap();
        assert_eq!(out.status.code(), Some(4), "{name:?}: {}", stderr(&out));
        fs::write(&path, &whole).unwrap();
    }
    // Whole again, it goes on.
    case.finish("run", 1);
}
