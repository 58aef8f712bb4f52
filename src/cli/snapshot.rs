//! `seqc snapshot`: a user's own snapshot tests of what the compiler makes of a file.
//!
//! In: files. Out: their stages held against `snapshots/<file>__<model>.<stage>.snap` beside each file.
//! As with insta, a text that is new or differs is written to `.snap.new` and fails, with the difference
//! on stdout; `--update` accepts it. Without `--stage` the stages are those recorded before. What depends
//! on a machine (plan, clif, asm) is made for one by name, never for the one at hand, and names it:
//! `…plan@portable.snap`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use similar::TextDiff;

use super::args::{Common, SnapshotArgs, Stage, Target};
use super::emit::{Compiled, Of, extension, generates_for};
use super::load::{Loaded, load, unwritten};
use super::snapfile::{self, Folder, Labels};
use super::{Failure, Within, first_exit_code, render, stdout};
use crate::diagnostics::Diagnostic;

/// What is recorded first: what the model is, and what a training step computes.
const DEFAULT: [Stage; 2] = [Stage::Checked, Stage::Plan];

pub fn run(common: &Common, args: &SnapshotArgs) -> Result<u8, Failure> {
    let mut code = 0;
    let mut all = Vec::new();
    for path in &args.files {
        let before = all.len();
        let result = file(common, args, path, &mut all);
        for outcome in &all[before..] {
            code = code.max(u8::from(outcome.state.fails()));
            if !common.json {
                outcome.print(common)?;
            }
        }
        if let Err(failure) = result {
            let by_code = || first_exit_code(&failure.diagnostics, &failure.sources);
            code = code.max(failure.exit.or_else(by_code).unwrap_or(1));
            render::show(&failure.diagnostics, &failure.sources, common);
        }
    }
    if common.json {
        let list: Vec<_> = all.iter().map(Outcome::json).collect();
        let o = serde_json::json!({ "ok": code == 0, "snapshots": list });
        stdout::line(&o.to_string())?;
    } else if !common.quiet && !all.is_empty() {
        stdout::line(&summary(&all))?;
        if all.iter().any(|o| o.state.fails()) {
            eprintln!("To accept what is there now: the same command with --update");
        }
    }
    Ok(code)
}

/// `snapshots: 3 same, 1 changed`.
fn summary(all: &[Outcome]) -> String {
    let count = |state: State| all.iter().filter(|o| o.state == state).count();
    let parts: Vec<String> = State::ALL
        .into_iter()
        .filter(|s| count(*s) > 0)
        .map(|s| format!("{} {}", count(s), s.word()))
        .collect();
    format!("snapshots: {}", parts.join(", "))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Same,
    Changed,
    New,
    Written,
}

impl State {
    const ALL: [State; 4] = [State::Same, State::Changed, State::New, State::Written];

    fn word(self) -> &'static str {
        match self {
            State::Same => "same",
            State::Changed => "changed",
            State::New => "new",
            State::Written => "written",
        }
    }

    fn fails(self) -> bool {
        matches!(self, State::Changed | State::New)
    }
}

/// How one snapshot fared.
struct Outcome {
    file: String,
    model: Option<String>,
    stage: String,
    snapshot: PathBuf,
    state: State,
    /// What was recorded against what is now; empty where they are the same.
    diff: String,
}

impl Outcome {
    /// What a reader should look at: the difference, or where a new text lies.
    fn print(&self, common: &Common) -> Result<(), Failure> {
        let path = self.snapshot.display();
        match self.state {
            State::Same => Ok(()),
            State::Changed => stdout::foreign(&self.diff),
            State::New => stdout::line(&format!("new: {path}.new")),
            State::Written if common.quiet => Ok(()),
            State::Written => stdout::line(&format!("wrote {path}")),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file, "model": self.model, "stage": self.stage,
            "snapshot": self.snapshot.display().to_string(),
            "state": self.state.word(), "diff": self.diff,
        })
    }
}

/// A stage, and the machine it is made for where it shows one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wanted {
    stage: Stage,
    target: Option<Target>,
}

impl Wanted {
    fn new(stage: Stage, target: Target) -> Wanted {
        let target = match stage {
            Stage::Plan | Stage::Clif | Stage::Asm => Some(target),
            Stage::Ast | Stage::Checked | Stage::Ir | Stage::Grad | Stage::Opt => None,
        };
        Wanted { stage, target }
    }

    /// The end of a snapshot's name: `checked`, `plan@portable`, `asm@portable-x86_64`.
    fn label(self) -> String {
        let stage = extension(self.stage);
        match (self.target.map(name), self.stage) {
            (None, _) => stage.to_string(),
            // Plain code differs between kinds of machine.
            (Some(target @ "portable"), Stage::Clif | Stage::Asm) => {
                format!("{stage}@{target}-{}", std::env::consts::ARCH)
            }
            (Some(target), _) => format!("{stage}@{target}"),
        }
    }

    /// What a label stands for on machines of this kind.
    fn of(label: &str) -> Option<Wanted> {
        let targets = Target::value_variants();
        let pairs = Stage::value_variants()
            .iter()
            .flat_map(|stage| targets.iter().map(|t| Wanted::new(*stage, *t)));
        pairs.into_iter().find(|w| w.label() == label)
    }
}

fn name(target: Target) -> &'static str {
    match target {
        Target::X86_64V3 => "x86-64-v3",
        Target::X86_64V4 => "x86-64-v4",
        Target::Portable => "portable",
    }
}

/// Compares or records every wanted stage of every model of a file.
fn file(
    common: &Common,
    args: &SnapshotArgs,
    path: &Path,
    out: &mut Vec<Outcome>,
) -> Result<(), Failure> {
    let folder = Folder::of(path);
    let recorded = folder.recorded()?;
    let wanted = wanted(common, args, &recorded)?;
    let mut loaded = load(path, common)?;
    // The tree of a file is there whatever its models lack.
    if wanted.iter().any(|w| w.stage != Stage::Ast) {
        loaded = loaded.valid()?;
        render::show(&loaded.diagnostics, &loaded.sources, common);
        apart(&loaded)?;
    }
    warn_of_lost(common, &folder, &loaded, &recorded);
    for w in wanted.iter().filter(|w| w.stage == Stage::Ast) {
        let text = crate::ast::dump::dump(&loaded.file);
        out.push(settle(&folder, args.update, None, *w, &text)?);
    }
    for model in &loaded.models {
        let mut compiled = BTreeMap::new();
        for w in wanted.iter().filter(|w| w.stage != Stage::Ast) {
            let text = match w.stage {
                Stage::Checked => model.to_string(),
                stage => {
                    let target = w.target.unwrap_or(Target::Portable);
                    // One compilation for each machine.
                    let made = match compiled.entry(name(target)) {
                        Entry::Occupied(e) => e.into_mut(),
                        Entry::Vacant(e) => {
                            let cpu = generates_for(Some(target))?;
                            let made = Compiled::new(&loaded, model, Of::Train, &[], cpu);
                            e.insert(made.within(&loaded.sources)?)
                        }
                    };
                    made.text(stage).within(&loaded.sources)?
                }
            };
            out.push(settle(&folder, args.update, Some(&model.name), *w, &text)?);
        }
    }
    Ok(())
}

/// The stages asked for; without any, those recorded; without those, the default ones.
fn wanted(common: &Common, args: &SnapshotArgs, recorded: &Labels) -> Result<Vec<Wanted>, Failure> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut add = |w: Wanted| {
        if !wanted.contains(&w) {
            wanted.push(w);
        }
    };
    if args.stage.is_empty() && args.target.is_none() && !recorded.is_empty() {
        let labels: BTreeSet<&str> = recorded.iter().map(|(_, label)| label.as_str()).collect();
        for label in labels {
            match Wanted::of(label).filter(|w| generates_for(w.target).is_ok()) {
                Some(w) => add(w),
                None if common.quiet => {}
                None => eprintln!("{label} cannot be made on this machine, and is not compared"),
            }
        }
    } else {
        let target = args.target.unwrap_or(Target::Portable);
        let stages: &[Stage] = match args.stage.as_slice() {
            [] => &DEFAULT,
            stages => stages,
        };
        for stage in stages {
            let w = Wanted::new(*stage, target);
            generates_for(w.target)?;
            add(w);
        }
    }
    Ok(wanted)
}

/// Models whose names differ in capitals alone would share a file on some systems.
fn apart(loaded: &Loaded) -> Result<(), Failure> {
    let mut seen = BTreeMap::new();
    for model in &loaded.models {
        if let Some(other) = seen.insert(model.name.to_lowercase(), &model.name) {
            let message = format!("{other} and {} would share snapshots", model.name);
            let d = Diagnostic::error("snapshot::shared-name", message);
            let d = d.label(model.span, "differs in capitals alone");
            return Err(d).within(&loaded.sources);
        }
    }
    Ok(())
}

/// Says which snapshots are of models that the file no longer has. They stay where they are.
fn warn_of_lost(common: &Common, folder: &Folder, loaded: &Loaded, recorded: &Labels) {
    let there = |name: &String| loaded.models.iter().any(|m| m.name == *name);
    for (model, label) in recorded {
        if let Some(model) = model.as_ref().filter(|m| !there(m)) {
            let path = folder.path(Some(model), label);
            let message = format!("{} is of no model of the file", path.display());
            let d = Diagnostic::warning("snapshot::unused", message);
            render::show(&[d], &loaded.sources, common);
        }
    }
}

/// Compares a text with what was recorded, or records it.
fn settle(
    folder: &Folder,
    update: bool,
    model: Option<&str>,
    wanted: Wanted,
    text: &str,
) -> Result<Outcome, Failure> {
    let path = folder.path(model, &wanted.label());
    let text = snapfile::normal(text);
    let old = folder.old(&path)?;
    let state = match &old {
        Some(old) if *old == text => State::Same,
        _ if update => State::Written,
        Some(_) => State::Changed,
        None => State::New,
    };
    let expression = expression(&folder.source, model, wanted);
    let write = |path: &Path| snapfile::write(path, &folder.source, &expression, &text);
    let written = match state {
        State::Same => snapfile::forget_pending(&path),
        State::Written => write(&path).and_then(|()| snapfile::forget_pending(&path)),
        State::Changed | State::New => write(&snapfile::pending(&path)),
    };
    written.map_err(|e| unwritten(&path, &e))?;
    let diff = match old.filter(|_| state == State::Changed) {
        None => String::new(),
        Some(old) => TextDiff::from_lines(&old, &text)
            .unified_diff()
            .header(&path.display().to_string(), "now")
            .to_string(),
    };
    Ok(Outcome {
        file: folder.file.clone(),
        model: model.map(str::to_string),
        stage: wanted.label(),
        snapshot: path,
        state,
        diff,
    })
}

/// The command that prints the same text.
fn expression(source: &str, model: Option<&str>, wanted: Wanted) -> String {
    let model = model.map_or(String::new(), |m| format!(" --model {m}"));
    let target = wanted.target.map(name);
    let target = target.map_or(String::new(), |t| format!(" --target {t}"));
    let stage = extension(wanted.stage);
    format!("seqc emit {} --emit={stage}{model}{target}", source)
}
