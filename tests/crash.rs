//! The command itself, killed while it trains, or refused by its disk: whatever the moment, the run
//! goes on to the same bits.
//!
//! `SEQC_KILLS=200 cargo test --test crash killed -- --nocapture` kills 200 times and says how many
//! hit a save; `SEQC_KILL_SEED` moves the moments, `SEQC_KILL_BINARY` names another seqc to kill.

#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
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
        let binary = std::env::var("SEQC_KILL_BINARY");
        let mut command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_seqc")));
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

/// What shows in a run's folder that a save is under way, or was when the process died: a folder or
/// link that is still to be renamed, a checkpoint set aside, or one that `latest` does not name yet.
fn saving(run: &Path) -> bool {
    let Ok(entries) = fs::read_dir(run) else {
        return false;
    };
    let mut newest = None;
    for name in entries.filter_map(|e| e.ok()?.file_name().into_string().ok()) {
        let checkpoint = name.starts_with("step-") || name.starts_with("latest");
        if checkpoint && (name.ends_with(".tmp") || name.ends_with(".old")) {
            return true;
        }
        let at = name.strip_prefix("step-").and_then(|n| n.parse().ok());
        newest = newest.max(at);
    }
    newest > step(&run.join("latest"))
}

/// Waits, at the cost of a processor, until a save is under way; whether one was before the end.
fn meets_a_save(run: &Path, child: &mut Child) -> bool {
    loop {
        for _ in 0..100 {
            if saving(run) {
                return true;
            }
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
}

/// Kills of one run, from its start to its end.
const CHAIN: u64 = 4;

#[test]
fn killed_runs_end_with_the_bits_of_an_undisturbed_one() {
    let kills = number("SEQC_KILLS", CHAIN);
    let mut case = Case::new(EPOCHS);
    let want = case.finish("whole", 1);
    assert!(
        want == case.finish("threads", 2),
        "threads change the weights"
    );
    let (mut killed, mut inside, mut runs) = (0, 0, 0);
    while killed < kills {
        let name = format!("killed-{runs}");
        let run = case.path(&name);
        let chain = CHAIN.min(kills - killed);
        for kill in 0..chain {
            let threads = 1 + case.below(2);
            let mut child = case.spawn(&name, threads);
            // Every part of the run is hit; the first kill of some runs comes while they start.
            let wanted = kill * (STEPS - 8) / chain;
            let while_starting = kill == 0 && case.below(2) == 0;
            // Every other one waits for a save, and is not far into it.
            let aimed = !while_starting && (killed + runs) % 2 == 0;
            let delay = match (while_starting, aimed) {
                (true, _) => Duration::from_millis(case.below(300)),
                (_, true) => Duration::from_micros(case.below(3000)),
                (_, false) => Duration::from_micros(case.below(40_000)),
            };
            if (while_starting || reaches(&run, &mut child, wanted))
                && (!aimed || meets_a_save(&run, &mut child))
            {
                std::thread::sleep(delay);
            }
            child.kill().unwrap();
            let out = child.wait_with_output().unwrap();
            let hit = match out.status.code() {
                None => {
                    killed += 1;
                    saving(&run)
                }
                // It may have come to its end in the delay.
                Some(code) => {
                    assert_eq!(code, 0, "{}", stderr(&out));
                    false
                }
            };
            inside += u64::from(hit);
            let at = step(&run.join("latest"));
            let place = if hit { ", inside a save" } else { "" };
            println!("run {runs}: killed {delay:?} after step {wanted}; saved: {at:?}{place}");
        }
        runs += 1;
        let got = case.finish(&name, 1);
        assert!(
            got == want,
            "the weights of {name} differ from those of the whole run"
        );
        // Nothing that a kill left half-written stays.
        for path in contents(&run).keys() {
            let text = path.strip_prefix(&run).unwrap().to_string_lossy();
            assert!(
                !text.contains(".tmp") && !text.contains(".old"),
                "{text} was left"
            );
        }
        assert!(
            runs < 2 * kills.div_ceil(CHAIN) + 2,
            "only {killed} of {kills} kills came before the end of a run"
        );
        fs::remove_dir_all(&run).unwrap();
    }
    println!(
        "{killed} of {killed} killed runs ended with the bits of the whole one; \
         {inside} kills were inside a save"
    );
    assert!(
        kills < 20 || inside * 10 >= kills * 3,
        "only {inside} saves"
    );
}

/// The files and links of the last checkpoint, and the links that name checkpoints.
fn checkpoint(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let latest = fs::canonicalize(run.join("latest")).unwrap();
    let mut all = contents(run);
    all.retain(|path, _| path.starts_with(&latest) || path.is_symlink());
    all
}

/// A run stopped at a checkpoint in the middle.
fn half(case: &Case, run: &str) {
    let mut child = case.spawn(run, 1);
    assert!(reaches(&case.path(run), &mut child, 12));
    send("TERM", &child);
    child.wait().unwrap();
}

/// Resumes a run whose disk refuses to be written; what it says.
fn refused(case: &Case, name: &str, command: &mut Command) -> String {
    let run = fs::canonicalize(case.path(name)).unwrap();
    // A session has events of its own, from its first step on.
    let events = |p: &PathBuf| p.to_string_lossy().contains("events.out.tfevents.");
    let names = || -> BTreeSet<PathBuf> {
        let all = contents(&run).into_keys();
        all.filter(|p| !events(p)).collect()
    };
    let (before, there) = (checkpoint(&run), names());
    let out = command.output().unwrap();
    let text = stderr(&out);
    assert_eq!(out.status.code(), Some(3), "{text}");
    assert!(before == checkpoint(&run), "the checkpoint was changed");
    let left = names();
    let new: Vec<_> = left.difference(&there).collect();
    assert!(new.is_empty(), "{new:?} was left");
    text
}

#[test]
fn a_full_disk_leaves_the_checkpoint_before_and_no_litter() {
    let case = Case::new(EPOCHS);
    let large = program(EPOCHS).replace("GRU(6)", "GRU(40)");
    fs::write(case.path("tiny.seq"), large).unwrap();
    let want = case.finish("whole", 1);
    half(&case, "run");
    // No file may grow past 8 kB, less than the weights: a write over that fails halfway.
    let mut command = case.command("run", 1);
    // SAFETY: between fork and exec there are two system calls, whose argument is on the stack.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let most = libc::rlimit {
                rlim_cur: 8 << 10,
                rlim_max: 8 << 10,
            };
            match libc::setrlimit(libc::RLIMIT_FSIZE, &most) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let text = refused(&case, "run", &mut command);
    assert!(text.contains("cannot write weights.safetensors"), "{text}");
    assert!(case.finish("run", 1) == want, "the weights differ");
}

#[test]
fn a_read_only_folder_leaves_the_checkpoint_before_and_no_litter() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new(EPOCHS);
    let want = case.finish("whole", 1);
    half(&case, "run");
    let mode = |bits| {
        let permissions = fs::Permissions::from_mode(bits);
        fs::set_permissions(case.path("run"), permissions).unwrap();
    };
    mode(0o555);
    let mut command = case.command("run", 1);
    // SAFETY: the one call between fork and exec is a system call without memory of ours. It takes
    // from root, whom no mode stops, the right to be an exception (CAP_DAC_OVERRIDE, number 1); for
    // others it fails, and nothing is to be taken.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_CAPBSET_DROP, 1, 0, 0, 0);
            Ok(())
        });
    }
    let text = refused(&case, "run", &mut command);
    mode(0o755);
    assert!(text.contains("io::not-permitted"), "{text}");
    assert!(case.finish("run", 1) == want, "the weights differ");
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
fn a_second_signal_ends_a_run_within_its_step() {
    let case = Case::new(1);
    // One step that takes seconds, on any machine.
    let long = "kari".repeat(1000);
    let text = (0..12).map(|_| format!("{long}\n")).collect::<String>();
    fs::write(case.path("tiny.tsv"), text).unwrap();
    let slow = program(1)
        .replace("GRU(6)", "GRU(400)")
        .replace("batch     = 4", "batch     = 8");
    fs::write(case.path("tiny.seq"), slow).unwrap();
    for (signals, codes) in [(["INT", "INT"], [130, 130]), (["TERM", "INT"], [143, 130])] {
        let name = signals.concat();
        let mut child = case.spawn(&name, 1);
        let log = case.path(&name).join("metrics.jsonl");
        // It is made when all is ready for the first step.
        while !log.exists() {
            assert!(child.try_wait().unwrap().is_none(), "{name} did not start");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(100));
        send(signals[0], &child);
        std::thread::sleep(Duration::from_millis(100));
        let within = child.try_wait().unwrap().is_none();
        let second = Instant::now();
        send(signals[1], &child);
        let out = child.wait_with_output().unwrap();
        println!("{name}: {:?} after the second", second.elapsed());
        assert!(within, "the step was over before the second signal");
        assert_eq!(out.status.code(), Some(codes[1]), "{}", stderr(&out));
        // At once: nothing was saved.
        assert_eq!(step(&case.path(&name).join("latest")), None);
    }
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
