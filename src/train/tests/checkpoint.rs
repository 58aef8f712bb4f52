//! Checkpoints under truncation, flips, full disks and crashes; links that lead elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::signature;
use crate::philox::{Domain, Place, Stream, key, path_hash};
use crate::settings::Schedule;
use crate::targets::executable::ParamSlot;
use crate::train::checkpoint::{Checkpoint, Which, linked, load, recover, save, steps};
use crate::train::disk::fault;
use crate::train::failure::{Class, Failure};
use crate::train::manifest::{self, Entry};
use crate::train::progress::Progress;

fn slots() -> Vec<ParamSlot> {
    signature(&[("embed.table", &[3, 2]), ("b", &[2])]).params
}

fn checkpoint(step: u64) -> Checkpoint {
    let arena = |scale: f32| (0..8).map(|i| scale * i as f32 / 3.0).collect::<Vec<f32>>();
    let schedule = Schedule::Constant { warmup: 0 };
    let mut progress = Progress::new(7, schedule, 100, "digest".into(), "data".into());
    progress.step = step;
    Checkpoint {
        weights: arena(step as f32),
        optimizer: vec![("mean".into(), arena(0.1)), ("square".into(), arena(0.2))],
        carried: BTreeMap::from([("rnn.h".to_string(), vec![0.5, -0.25])]),
        progress,
    }
}

fn load_latest(run: &Path) -> Result<Option<Checkpoint>, Failure> {
    load(run, Which::Latest, &slots(), 8, &["mean", "square"])
}

/// The names in a folder, in order.
fn listing(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap();
    let mut names: Vec<String> = names
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_checkpoint_comes_back_whole() {
    let run = tempfile::tempdir().unwrap();
    assert_eq!(load_latest(run.path()).unwrap(), None);
    save(run.path(), &slots(), &checkpoint(5), true).unwrap();
    assert_eq!(load_latest(run.path()).unwrap(), Some(checkpoint(5)));
    let files = ["carried.safetensors", "manifest", "optimizer.safetensors"];
    let files = files
        .into_iter()
        .chain(["state.json", "weights.safetensors"]);
    assert_eq!(
        listing(&run.path().join("step-5")),
        files.collect::<Vec<_>>()
    );
}

#[test]
fn the_best_and_the_newest_two_are_kept() {
    let run = tempfile::tempdir().unwrap();
    for step in 1..=6 {
        save(run.path(), &slots(), &checkpoint(step), step == 2).unwrap();
    }
    assert_eq!(steps(run.path()).unwrap(), [2, 5, 6]);
    assert_eq!(linked(run.path(), Which::Latest).unwrap(), Some(6));
    assert_eq!(linked(run.path(), Which::Best).unwrap(), Some(2));
    let names = ["best", "latest", "step-2", "step-5", "step-6"];
    assert_eq!(listing(run.path()), names);
}

#[test]
fn saving_a_step_again_replaces_it() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(3), true).unwrap();
    let mut again = checkpoint(3);
    again.weights[0] = 9.0;
    save(run.path(), &slots(), &again, false).unwrap();
    assert_eq!(load_latest(run.path()).unwrap(), Some(again));
    assert_eq!(listing(run.path()), ["best", "latest", "step-3"]);
}

/// How many bits are flipped; `SEQC_FLIPS=10000 cargo test --lib every_cut_and_flip` flips more.
fn flips() -> u32 {
    let asked = std::env::var("SEQC_FLIPS").ok();
    asked.map_or(1000, |n| n.parse().expect("a number"))
}

#[test]
fn every_cut_and_flip_of_a_checkpoint_is_found() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(4), true).unwrap();
    let folder = run.path().join("step-4");
    let refused = |what: String| {
        let failure = load_latest(run.path()).expect_err(&what);
        assert_eq!(failure.class, Class::Checkpoint, "{what}");
        assert_eq!(failure.diagnostics[0].code, "checkpoint::damaged", "{what}");
    };
    let names = listing(&folder);
    let whole: Vec<Vec<u8>> = (names.iter())
        .map(|n| fs::read(folder.join(n)).unwrap())
        .collect();
    let mut cuts = 0;
    for (name, bytes) in names.iter().zip(&whole) {
        for n in 0..bytes.len() {
            fs::write(folder.join(name), &bytes[..n]).unwrap();
            refused(format!("{name} cut to {n} bytes"));
            cuts += 1;
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
    // A bit of all the files, as likely here as there.
    let bits: u32 = whole.iter().map(|b| b.len() as u32 * 8).sum();
    let mut random = Stream::new(Place {
        key: key(1, Domain::Data),
        path: path_hash("flips"),
        step: 0,
    });
    for _ in 0..flips() {
        let mut bit = random.below(bits) as usize;
        let mut file = 0;
        while bit >= whole[file].len() * 8 {
            bit -= whole[file].len() * 8;
            file += 1;
        }
        let (name, mut flipped) = (&names[file], whole[file].clone());
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(folder.join(name), &flipped).unwrap();
        refused(format!("{name} with bit {bit} flipped"));
        fs::write(folder.join(name), &whole[file]).unwrap();
    }
    println!("{cuts} cuts and {} flips of {} files", flips(), names.len());
    assert_eq!(load_latest(run.path()).unwrap(), Some(checkpoint(4)));
}

/// Puts other bytes in the place of a file of step 4, with digests that say they are right.
fn forge(run: &Path, name: &str, bytes: &[u8]) {
    let folder = run.join("step-4");
    fs::write(folder.join(name), bytes).unwrap();
    let names = listing(&folder).into_iter().filter(|n| n != "manifest");
    let entries = names.map(|n| Entry::of(&n, &fs::read(folder.join(&n)).unwrap()));
    let text = manifest::text(&entries.collect::<Vec<_>>());
    fs::write(folder.join("manifest"), text).unwrap();
}

#[test]
fn a_state_that_no_run_reaches_is_refused_though_its_digest_is_right() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(4), true).unwrap();
    let state = fs::read_to_string(run.path().join("step-4/state.json")).unwrap();
    forge(run.path(), "state.json", state.as_bytes());
    assert_eq!(load_latest(run.path()).unwrap(), Some(checkpoint(4)));
    let most = u64::MAX.to_string();
    let cases = [
        ("\"step\": 4", "\"step\": 5"),
        ("\"step\": 4", "\"step\": -4"),
        ("\"epoch\": 0", &format!("\"epoch\": {most}")),
        ("\"index\": 0", &format!("\"index\": {most}")),
        ("\"index\": 0", "\"index\": 1e300"),
        ("\"validated\": 0", "\"validated\": 5"),
        ("\"worse\": 0", "\"worse\": 4294967295"),
        ("\"bad\": 0", "\"bad\": 4294967295"),
        ("\"seconds\": 0.0", "\"seconds\": -1.0"),
        ("\"seconds\": 0.0", "\"seconds\": 1e999"),
        ("\"best\": null", "\"best\": {\"step\": 9, \"value\": 1.0}"),
        ("\"weight\": 0.0", "\"weight\": -1.0"),
    ];
    for (from, to) in cases {
        assert!(state.contains(from), "{from}");
        forge(
            run.path(),
            "state.json",
            state.replacen(from, to, 1).as_bytes(),
        );
        let failure = load_latest(run.path()).expect_err(to);
        assert_eq!(failure.class, Class::Checkpoint, "{to}");
        assert_eq!(failure.diagnostics[0].code, "checkpoint::damaged", "{to}");
    }
    // Deeper than a reader that calls itself could follow.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    forge(run.path(), "state.json", deep.as_bytes());
    assert_eq!(
        load_latest(run.path()).unwrap_err().class,
        Class::Checkpoint
    );
}

#[test]
fn sizes_that_no_machine_has_are_refused_before_anything_is_read() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(4), true).unwrap();
    let folder = run.path().join("step-4");
    let whole = fs::read_to_string(folder.join("manifest")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let signed = |text: String| format!("{text}{}\n", manifest::digest(text.as_bytes()));
    let weights = folder.join("weights.safetensors");
    let bytes = fs::metadata(&weights).unwrap().len();
    for size in [
        u64::MAX.to_string(),
        (u128::from(u64::MAX) + 1).to_string(),
        "-1".to_string(),
        (1u64 << 40).to_string(),
    ] {
        let above = lines[..lines.len() - 1].join("\n") + "\n";
        let text = above.replace(&format!(" {bytes} "), &format!(" {size} "));
        assert_ne!(text, above);
        fs::write(folder.join("manifest"), signed(text)).unwrap();
        let failure = load_latest(run.path()).unwrap_err();
        assert_eq!(failure.class, Class::Checkpoint, "{size}");
    }
    // A file of that size, all of it a hole: more than memory, on most disks no more than a name.
    let file = fs::File::options().write(true).open(&weights).unwrap();
    if file.set_len(1 << 40).is_ok() {
        let failure = load_latest(run.path()).unwrap_err();
        assert_eq!(failure.class, Class::Checkpoint);
    }
}

#[test]
fn tensors_of_another_shape_or_type_are_refused_though_their_digest_is_right() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(4), true).unwrap();
    let whole = fs::read(run.path().join("step-4/weights.safetensors")).unwrap();
    let len = u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let header = std::str::from_utf8(&whole[8..8 + len]).unwrap();
    let cases = [
        ("[3,2]", "[2,3]", "weights::shape-differs"),
        ("[3,2]", "[6,1]", "weights::shape-differs"),
        ("F32", "I32", "weights::type-differs"),
        ("[3,2]", "[9,2]", "weights::unreadable"),
        ("\"b\"", "\"c\"", "weights::missing"),
    ];
    for (from, to, code) in cases {
        assert!(header.contains(from), "{header}");
        let mut bytes = whole[..8].to_vec();
        bytes.extend_from_slice(header.replacen(from, to, 1).as_bytes());
        bytes.extend_from_slice(&whole[8 + len..]);
        forge(run.path(), "weights.safetensors", &bytes);
        let failure = load_latest(run.path()).expect_err(to);
        assert_eq!(failure.class, Class::Checkpoint, "{to}");
        assert_eq!(failure.diagnostics[0].code, code, "{to}");
    }
}

#[test]
fn damage_names_the_checkpoint_that_is_intact() {
    let run = tempfile::tempdir().unwrap();
    for step in [1, 2] {
        save(run.path(), &slots(), &checkpoint(step), true).unwrap();
    }
    fs::write(run.path().join("step-2/weights.safetensors"), b"").unwrap();
    let failure = load_latest(run.path()).unwrap_err();
    let help = failure.diagnostics[0].help.as_deref().unwrap();
    assert!(help.starts_with("step-1 is intact"), "{help}");
}

#[test]
fn a_model_that_differs_is_refused_with_both_facts() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(1), true).unwrap();
    let other = signature(&[("embed.table", &[3, 2]), ("b", &[1, 2])]).params;
    let failure = load(run.path(), Which::Latest, &other, 8, &["mean", "square"]).unwrap_err();
    assert_eq!(failure.class, Class::Checkpoint);
    assert_eq!(
        failure.diagnostics[0].message,
        "`b` is [2] in the file, [1, 2] in the model"
    );
    let failure = load(run.path(), Which::Latest, &slots(), 8, &["velocity"]).unwrap_err();
    assert_eq!(failure.diagnostics[0].code, "weights::missing");
}

#[test]
fn links_out_of_the_run_are_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    save(outside.path(), &slots(), &checkpoint(1), true).unwrap();
    let run = tempfile::tempdir().unwrap();
    let link = |target: &Path, name: &str| {
        let _ = fs::remove_file(run.path().join(name));
        std::os::unix::fs::symlink(target, run.path().join(name)).unwrap();
    };
    for target in ["../x", "/etc", "step-01", "step-1/..", "step-1/../step-1"] {
        link(Path::new(target), "latest");
        let failure = load_latest(run.path()).unwrap_err();
        assert_eq!(
            failure.diagnostics[0].code, "checkpoint::damaged",
            "{target}"
        );
    }
    link(Path::new("step-1"), "latest");
    link(&outside.path().join("step-1"), "step-1");
    let failure = load_latest(run.path()).unwrap_err();
    assert!(failure.diagnostics[0].message.contains("not a folder"));
    // A file of the checkpoint that is a link.
    save(run.path(), &slots(), &checkpoint(2), true).unwrap();
    let file = run.path().join("step-2/state.json");
    let moved = outside.path().join("state.json");
    fs::rename(&file, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &file).unwrap();
    let failure = load_latest(run.path()).unwrap_err();
    assert!(failure.diagnostics[0].message.contains("not a plain file"));
}

#[test]
fn a_full_disk_at_any_call_keeps_the_checkpoint_before() {
    let mut failed = 0;
    for call in 0.. {
        let run = tempfile::tempdir().unwrap();
        for step in [1, 2, 3] {
            save(run.path(), &slots(), &checkpoint(step), true).unwrap();
        }
        fault::after(Some(call));
        let result = save(run.path(), &slots(), &checkpoint(4), true);
        if fault::after(None) {
            result.unwrap();
            break;
        }
        let loaded = load_latest(run.path()).unwrap().unwrap();
        let Err(failure) = result else {
            panic!("call {call} failed unseen");
        };
        failed += 1;
        assert_eq!(failure.class, Class::Resource);
        assert_eq!(failure.diagnostics[0].code, "io::no-space");
        let step = loaded.progress.step;
        assert!(step == 3 || step == 4);
        assert_eq!(loaded, checkpoint(step), "call {call}");
        let litter = |n: &String| n.ends_with(".tmp") || n.ends_with(".old");
        assert!(!listing(run.path()).iter().any(litter), "call {call}");
        // The next save works.
        save(run.path(), &slots(), &checkpoint(5), true).unwrap();
        assert_eq!(load_latest(run.path()).unwrap(), Some(checkpoint(5)));
    }
    assert!(failed > 15, "only {failed} calls");
}

#[test]
fn a_full_disk_while_replacing_a_step_keeps_one_of_the_two() {
    for call in 0.. {
        let run = tempfile::tempdir().unwrap();
        save(run.path(), &slots(), &checkpoint(3), true).unwrap();
        let mut again = checkpoint(3);
        again.weights[0] = 9.0;
        fault::after(Some(call));
        let result = save(run.path(), &slots(), &again, true);
        if fault::after(None) {
            result.unwrap();
            break;
        }
        recover(run.path()).unwrap();
        let loaded = load_latest(run.path()).unwrap();
        assert!(
            [Some(checkpoint(3)), Some(again)].contains(&loaded),
            "call {call}"
        );
        assert_eq!(
            listing(run.path()),
            ["best", "latest", "step-3"],
            "call {call}"
        );
    }
}

#[test]
fn recovery_clears_what_a_crash_left() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &slots(), &checkpoint(3), true).unwrap();
    // Killed between the two renames of a replacement, and in the middle of another save.
    fs::rename(run.path().join("step-3"), run.path().join("step-3.old")).unwrap();
    fs::create_dir(run.path().join("step-9.tmp")).unwrap();
    fs::write(run.path().join("step-9.tmp/weights.safetensors"), b"x").unwrap();
    std::os::unix::fs::symlink("step-9", run.path().join("latest.tmp")).unwrap();
    recover(run.path()).unwrap();
    assert_eq!(listing(run.path()), ["best", "latest", "step-3"]);
    assert_eq!(load_latest(run.path()).unwrap(), Some(checkpoint(3)));
}
