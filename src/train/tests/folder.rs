//! Run folders: names, records, locks, refusals.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::settings;
use crate::data::Fits;
use crate::settings::Length;
use crate::train::disk::fault;
use crate::train::failure::Class;
use crate::train::folder::{Record, RunFolder, digests, newest, read};

fn record() -> Record {
    Record {
        format: 1,
        file: "names.seq".into(),
        base: PathBuf::from("/somewhere"),
        data: BTreeMap::new(),
        set: Vec::new(),
        train: settings(),
        generate: None,
        fields: Vec::new(),
        fits: Fits::default(),
    }
}

fn create(out: Option<&Path>, runs: &Path) -> Result<RunFolder, (Class, &'static str)> {
    RunFolder::create(out, runs, record(), "time T\n").map_err(|f| (f.class, f.diagnostics[0].code))
}

#[test]
fn default_names_are_numbered_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("a/runs");
    assert_eq!(newest(&runs, "names.seq", "M"), None);
    for name in ["names-M", "names-M-2", "names-M-3"] {
        let folder = create(None, &runs).unwrap();
        assert_eq!(folder.path(), runs.join(name));
        assert_eq!(newest(&runs, "names.seq", "M"), Some(runs.join(name)));
        let (back, source) = read(folder.path()).unwrap();
        assert_eq!((back, source.as_str()), (record(), "time T\n"));
    }
}

#[test]
fn a_folder_that_holds_a_run_or_anything_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    drop(create(Some(&out), dir.path()).unwrap());
    let again = create(Some(&out), dir.path()).unwrap_err();
    assert_eq!(again, (Class::Usage, "run::exists"));
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.tex"), "x").unwrap();
    let refused = create(Some(&other), dir.path()).unwrap_err();
    assert_eq!(refused, (Class::Usage, "run::not-empty"));
    fs::remove_file(other.join("thesis.tex")).unwrap();
    create(Some(&other), dir.path()).unwrap();
    assert_eq!(read(dir.path()).unwrap_err().class, Class::Usage);
    let missing = read(&dir.path().join("missing")).unwrap_err();
    assert_eq!(missing.class, Class::Resource);
}

#[test]
fn a_second_trainer_is_refused_with_the_firsts_number() {
    let dir = tempfile::tempdir().unwrap();
    let folder = create(None, dir.path()).unwrap();
    let path = folder.path().to_path_buf();
    let failure = RunFolder::open(&path).unwrap_err();
    assert_eq!(failure.class, Class::Resource);
    assert_eq!(failure.diagnostics[0].code, "run::locked");
    let message = &failure.diagnostics[0].message;
    let pid = format!("process {} ", std::process::id());
    assert!(message.starts_with(&pid), "{message}");
    drop(folder);
    RunFolder::open(&path).unwrap();
}

#[test]
fn a_full_disk_at_any_call_leaves_no_folder() {
    for call in 0.. {
        let dir = tempfile::tempdir().unwrap();
        fault::after(Some(call));
        let result = create(None, dir.path());
        if fault::after(None) {
            result.unwrap();
            assert!(call > 5);
            break;
        }
        let left = fs::read_dir(dir.path()).unwrap().count();
        match result {
            // Only the flush of the parent comes after the run is whole.
            Err(e) => {
                assert_eq!(e, (Class::Resource, "io::no-space"));
                let run = dir.path().join("names-M");
                assert!(left == 0 || read(&run).is_ok(), "call {call}");
            }
            Ok(_) => panic!("call {call} failed unseen"),
        }
    }
}

#[test]
fn damaged_and_newer_records_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = create(None, dir.path()).unwrap().path().to_path_buf();
    let file = path.join("run.json");
    let json = fs::read_to_string(&file).unwrap();
    let newer = json.replacen("\"format\": 1", "\"format\": 2", 1);
    fs::write(&file, newer).unwrap();
    let failure = read(&path).unwrap_err();
    assert_eq!(failure.diagnostics[0].code, "checkpoint::newer");
    for n in 0..json.trim_end().len() {
        fs::write(&file, &json[..n]).unwrap();
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.class, Class::Checkpoint, "{n} bytes");
    }
}

#[test]
fn a_record_changed_by_one_bit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = create(None, dir.path()).unwrap().path().to_path_buf();
    for name in ["run.json", "manifest"] {
        let file = path.join(name);
        let whole = fs::read(&file).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &flipped).unwrap();
            let failure = read(&path).unwrap_err();
            assert_eq!(failure.class, Class::Checkpoint, "{name}, bit {bit}");
        }
        fs::write(&file, &whole).unwrap();
        read(&path).unwrap();
    }
}

#[test]
fn a_run_is_made_longer_and_is_one_at_every_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = create(None, dir.path()).unwrap();
    let path = folder.path().to_path_buf();
    let (json, manifest) = (path.join("run.json"), path.join("manifest"));
    let was = fs::read(&json).unwrap();
    let length = Length::Epochs(1000);
    let set = ["train.epochs=1000".to_string()];
    folder.lengthen(&set, length).unwrap();
    let now = fs::read(&json).unwrap();
    let (record, _) = read(&path).unwrap();
    assert_eq!((record.train.length, &record.set[..]), (length, &set[..]));
    assert_eq!(record, folder.record);
    // The record of before is none of this manifest's; while the two are written either is.
    fs::write(&json, &was).unwrap();
    assert_eq!(read(&path).unwrap_err().class, Class::Checkpoint);
    fs::write(&manifest, digests(&[&was, &now])).unwrap();
    assert_eq!(read(&path).unwrap().0.set.len(), 0);
    fs::write(&json, &now).unwrap();
    assert_eq!(read(&path).unwrap().0, folder.record);
}
