//! A run that goes on: which one, with what program, and for how long.
//!
//! In: the arguments of `train … --resume`. Out: the folder of the run; what to tell where the file that was
//! named is no longer the program that the run keeps; the length that `--set` gives it.

use std::path::{Path, PathBuf};

use super::args::{Common, TrainArgs};
use super::load::{Loaded, load, load_bytes, load_text, read};
use super::render::printable;
use super::{Failure, from_training, opened, session, shell};
use crate::check::settings;
use crate::diagnostics::Diagnostic;
use crate::settings::Length;
use crate::train::checkpoint;
use crate::train::folder::{self, Record};
use crate::train::schedule::spans_run;

/// Differences that a notice names, and how long each is at most.
const NAMED: usize = 4;
const LONGEST: usize = 60;

/// The run that `--resume` means where it is given a file.
pub fn newest(common: &Common, args: &TrainArgs) -> Result<PathBuf, Failure> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    if !args.file.is_file() {
        return Err(opened::no_such(&args.file));
    }
    let loaded = load(&args.file, common)?.valid()?;
    let model = session::train_block(&loaded, args.model.as_deref())?;
    let model = &model.settings.model;
    let file = args.file.file_name().unwrap_or_default().to_string_lossy();
    folder::newest(opened::RUNS.as_ref(), &file, model).ok_or_else(|| {
        let message = format!("there is no run of {file} with {model} in {}", opened::RUNS);
        let d = Diagnostic::error("usage::no-run", message);
        let command = opened::trained(&args.file, args.model.as_deref());
        d.help(format!("{command} begins one")).into()
    })
}

/// What to tell where the file on the command line is another program than the one that the run keeps
/// (comments and other models apart): the run's own counts.
pub fn changed(args: &TrainArgs, record: &Record, source: &str) -> Option<String> {
    let bytes = args.file.is_file().then(|| read(&args.file).ok())??;
    if bytes == source.as_bytes() {
        return None;
    }
    let file = printable(&args.file.to_string_lossy());
    let now = load_bytes(&record.file, &bytes, &record.set).and_then(Loaded::valid);
    let then = load_text(&record.file, source, &record.set).and_then(Loaded::valid);
    let how = match (now, then) {
        (Ok(now), Ok(then)) => match &differences(record, &now, &then)[..] {
            [] => return None,
            all if all.len() > NAMED => format!("{}, …", all[..NAMED].join("; ")),
            all => all.join("; "),
        },
        _ => "with what the run's --set changed it does not check".to_string(),
    };
    Some(format!(
        "{file} has changed since this run began, which goes on with its own copy of the program ({how}); \
         without --resume the file as it is begins a new run"
    ))
}

/// What differs of the run's model and of the blocks that it is trained by.
fn differences(record: &Record, now: &Loaded, then: &Loaded) -> Vec<String> {
    let model = |loaded: &Loaded| {
        let mut models = loaded.models.iter();
        let own = models.find(|m| m.name == record.train.model);
        own.map(ToString::to_string)
    };
    let mut out = Vec::new();
    if model(now) != model(then) {
        out.push(format!("the model {}", record.train.model));
    }
    let (now, then) = (settings_of(record, now), settings_of(record, then));
    let value = |all: &[(String, String)], name: &str| {
        let found = all.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| shortened(value))
    };
    for (name, is) in &now {
        let is = shortened(is);
        match value(&then, name) {
            Some(was) if was == is => {}
            Some(was) => out.push(format!("{name} = {is}, was {was}")),
            None => out.push(format!("{name} = {is} is new")),
        }
    }
    let gone = then.iter().filter(|(name, _)| value(&now, name).is_none());
    out.extend(gone.map(|(name, _)| format!("{name} is gone")));
    out
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_string(),
    }
}

/// Every setting of the run's blocks with its value, named as `--set` names it.
fn settings_of(record: &Record, loaded: &Loaded) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (_, text) in settings::resolved(&loaded.experiment) {
        let mut lines = text.lines();
        let mut head = lines.next().unwrap_or_default().split(' ');
        let (kind, name) = (head.next().unwrap_or_default(), head.next());
        let own = match kind {
            "data" => &record.train.data,
            _ => &record.train.model,
        };
        if name != Some(own) {
            continue;
        }
        // Of a rule inside, which has a head and settings of its own.
        let mut rule = String::new();
        for line in lines.map(str::trim) {
            match (line.strip_suffix('{'), line.split_once('=')) {
                (None, Some((name, value))) => {
                    let name = format!("{kind}.{rule}{}", name.trim());
                    out.push((name, value.trim().to_string()));
                }
                (head, _) => rule = head.unwrap_or_default().to_string(),
            }
        }
    }
    out
}

/// Refuses more steps for a run that `stop` has ended: it would take none of them.
pub fn refuse_stopped(length: Option<Length>, record: &Record, run: &Path) -> Result<(), Failure> {
    let ended = checkpoint::stopped(run).map_err(from_training)?;
    if length.is_none() || !ended {
        return Ok(());
    }
    let d = Diagnostic::error(
        "usage::resumed-settings",
        "`stop` has ended this run, which gets no longer",
    );
    // A file's paths count from its own folder, not from where the command is typed.
    let here = Path::new(&record.file)
        .parent()
        .is_none_or(|p| p.as_os_str().is_empty());
    let from = (!here).then(|| std::path::absolute(run).ok()).flatten();
    let from = from.as_deref().unwrap_or(run).display();
    let weights = shell::quoted(&format!("train.weights={from}"));
    Err(d
        .help(format!(
            "seqc train {} --set {weights} --set train.stop=never begins another with its weights",
            shell::quoted(&record.file)
        ))
        .into())
}

/// The length that `--set` gives a run, where that is more than it had. No other setting changes with a
/// run: it ends in the bits of one that was begun with all of them.
pub fn longer(common: &Common, record: &Record, source: &str) -> Result<Option<Length>, Failure> {
    let model = &record.train.model;
    let refuse = |message: &str, help: String| -> Result<Option<Length>, Failure> {
        let d = Diagnostic::error("usage::resumed-settings", message);
        Err(d.help(help).into())
    };
    let lengthens = |set: &String| {
        let path = set.split('=').next().unwrap_or_default().trim();
        let path = path.strip_prefix("train.").unwrap_or_default();
        let own = path.strip_prefix(&format!("{model}."));
        matches!(own.unwrap_or(path), "epochs" | "steps")
    };
    if common.seed.is_some() || !common.set.iter().all(lengthens) {
        let help = "leave out --set and --seed, but for `train.epochs` or `train.steps`, or start another run";
        return refuse(
            "a run is resumed with the settings it began with",
            help.into(),
        );
    }
    // The run's own program may have been edited: `train` of it does not count.
    if common.set.is_empty() {
        return Ok(None);
    }
    let all = [&record.set[..], &common.set].concat();
    let loaded = load_text(&record.file, source, &all)?.valid()?;
    let (was, is) = (
        record.train.length,
        session::train_block(&loaded, Some(model))?.settings.length,
    );
    let more = match (was, is) {
        (Length::Epochs(was), Length::Epochs(is)) | (Length::Steps(was), Length::Steps(is)) => {
            is.cmp(&was)
        }
        (Length::Epochs(_), Length::Steps(_)) | (Length::Steps(_), Length::Epochs(_)) => {
            std::cmp::Ordering::Less
        }
    };
    match more {
        std::cmp::Ordering::Equal => Ok(None),
        std::cmp::Ordering::Less => {
            let was = match was {
                Length::Epochs(n) => format!("train.epochs = {n}"),
                Length::Steps(n) => format!("train.steps = {n}"),
            };
            refuse("a run is only made longer", format!("it has {was}"))
        }
        std::cmp::Ordering::Greater if spans_run(&record.train.schedule) => refuse(
            "the schedule's rates are laid over the run's whole length",
            format!(
                "another length gives other rates from the first step on; a new run begins with this \
                 one's weights by --set {}",
                shell::quoted("train.weights=RUN")
            ),
        ),
        std::cmp::Ordering::Greater => Ok(Some(is)),
    }
}
