//! Bad input of every kind, and what the command says to it.
//!
//! In: the `.cases` files of this folder. Out: a list of the cases where the command ends in another
//! way, or says something else, than what stands below the case. `case.rs` says how one is written;
//! `SEQC_UPDATE=1 cargo test --test bad_input` writes down what is said now, for review.
//!
//! What is never written down is never accepted: a panic (101, 134), a raw control character, and a case that takes
//! longer than [`run::LIMIT`].
//!
//! `replay` does what the fuzzers of `fuzz/` do, with a fixed seed.

mod case;
mod replay;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::Group;

fn groups() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input");
    let entries = fs::read_dir(folder).expect("this folder");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "cases"));
    paths.sort();
    paths
}

#[test]
fn every_fault_is_told_as_written_down() {
    let paths = groups();
    let groups: Vec<Group> = paths
        .iter()
        .map(|p| Group::parse(&fs::read_to_string(p).expect("text"), p))
        .collect();
    let prepared: Vec<_> = groups.iter().map(run::Prepared::new).collect();
    let jobs: Vec<(usize, usize)> = (groups.iter().enumerate())
        .flat_map(|(g, group)| (0..group.cases.len()).map(move |c| (g, c)))
        .collect();
    let (next, said) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((g, c)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = prepared[*g].run(&groups[*g].cases[*c]);
                    said.lock().expect("no panic").push((*g, *c, outcome));
                }
            });
        }
    });
    let mut said = said.into_inner().expect("no panic");
    said.sort();
    if std::env::var_os("SEQC_UPDATE").is_some() {
        for (g, (group, path)) in groups.iter().zip(&paths).enumerate() {
            let now = said.iter().filter(|(at, _, _)| *at == g);
            let now: Vec<&str> = now.map(|(_, _, text)| text.as_str()).collect();
            fs::write(path, group.text(&now)).expect("written");
        }
        return;
    }
    let mut wrong = Vec::new();
    for (g, c, now) in &said {
        let case = &groups[*g].cases[*c];
        let unacceptable = run::unacceptable(now);
        if *now != case.expected || unacceptable.is_some() {
            let why = unacceptable.unwrap_or("not what is written down");
            let file = paths[*g].file_name().unwrap_or_default().display();
            wrong.push(format!(
                "{file}: {}: {why}\n--- expected\n{}--- found\n{now}",
                case.name, case.expected
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        said.len(),
        wrong.join("\n")
    );
}

#[test]
fn there_are_two_hundred_cases() {
    let count = |p: &PathBuf| {
        Group::parse(&fs::read_to_string(p).expect("text"), p)
            .cases
            .len()
    };
    let cases: usize = groups().iter().map(count).sum();
    assert!(cases >= 200, "{cases}");
}
