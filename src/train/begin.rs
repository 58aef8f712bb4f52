//! The weights a run takes over from another one, or from any file that names them by path.
//!
//! In: the file that `weights` names, the model's own start. Out: the arena the run begins with, and
//! a line that says what was taken, what started fresh and what the file has besides.
//!
//! Every weight of the model must be in the file, by path and shape, unless `fresh = yes` says that
//! it starts as the model declares it: a head for other classes, for one. The weights of a low-rank
//! update may be missing, for a base has none; an update that the file has and the model has not is
//! added to its weight. Where the file belongs to a run, its vocabularies are known, and a weight
//! with an axis over symbols is taken symbol by symbol: what is new starts as declared.

use std::path::{Path, PathBuf};

use super::checkpoint::{WEIGHTS, Which};
use super::failure::{Class, Failure};
use super::folder::{self, Record};
use super::init::ParamSpec;
use super::weights::{MAX_LISTED, Origin, Read, decode, missing, shown};
use crate::data::{Dataset, Vocabulary};
use crate::diagnostics::Diagnostic;
use crate::settings::{ADAPTER_A, ADAPTER_B, TrainSettings, adapted};
use crate::targets::executable::ParamSlot;

/// Paths named one by one in the line that says what happened.
const NAMED: usize = 6;

/// Fills `arena`, which holds the model's own start, from the file or the run at `path`. `Ok` is
/// what to tell.
pub fn begin(
    path: &Path,
    arena: &mut [f32],
    slots: &[ParamSlot],
    specs: &[ParamSpec],
    settings: &TrainSettings,
    dataset: &Dataset,
) -> Result<String, Failure> {
    let (file, record) = find(path)?;
    let bytes = read(&file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let origin = Origin {
        file: &name,
        class: Class::Program,
    };
    let mut tensors = decode(&bytes, origin)?;
    merge(&mut tensors, slots);
    let mut told = Told::default();
    let mut wrong = Vec::new();
    for slot in slots {
        let own = &mut arena[slot.offset..slot.offset + slot.len];
        let at = tensors.binary_search_by(|t| t.name.cmp(&slot.path));
        let is_fresh = settings.weight(&slot.path, slot.shape.len()).fresh;
        match at {
            Ok(i) if is_fresh => {
                tensors.remove(i);
                told.fresh.push(slot.path.clone());
            }
            Err(_) if is_fresh || adapted(&slot.path).is_some() => {
                told.fresh.push(slot.path.clone());
            }
            Ok(i) => {
                let tensor = tensors.remove(i);
                let spec = specs.iter().find(|s| s.path == slot.path);
                let axes = axes(slot, spec, record.as_ref(), dataset);
                match take(&tensor, slot, &axes, own) {
                    true => told.taken += 1,
                    false => wrong.push(differs(slot, &tensor, spec, record.is_some())),
                }
                let new: usize = axes.iter().map(Axis::unseen).sum();
                if new > 0 {
                    told.new_symbols.push(format!("{} ({new})", slot.path));
                }
            }
            Err(_) => wrong.push(slot.path.clone().into()),
        }
    }
    if wrong.is_empty() {
        told.left = tensors.into_iter().map(|t| t.name).collect();
        return Ok(told.text(&name, slots.len()));
    }
    let unused: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    let alike = |path: &str| {
        let own = slots.iter().find(|s| s.path == path)?;
        let end = |p: &str| p.rsplit('.').next().map(str::to_string);
        let spec = specs.iter().find(|s| s.path == path);
        let axes = axes(own, spec, record.as_ref(), dataset);
        let shape: Vec<usize> = axes.iter().map(Axis::of).collect();
        let same = |t: &&Read| t.shape == shape && end(&t.name) == end(path);
        tensors.iter().find(same).map(|t| shown(&t.name))
    };
    let wrong = wrong.into_iter().take(MAX_LISTED).map(|w| match w {
        Wrong::Missing(path) => missing(&path, &unused, || match alike(&path) {
            Some(other) => format!("the file has `{other}`: was the weight renamed?"),
            None => format!("`params \"{path}\" {{ fresh = yes }}` starts it as the model says"),
        }),
        Wrong::Differs(d) => d,
    });
    Err(Failure {
        class: origin.class,
        diagnostics: wrong.collect(),
    })
}

enum Wrong {
    Missing(String),
    Differs(Diagnostic),
}

impl From<String> for Wrong {
    fn from(path: String) -> Wrong {
        Wrong::Missing(path)
    }
}

/// The file with the weights, and the record of the run that it belongs to.
fn find(path: &Path) -> Result<(PathBuf, Option<Record>), Failure> {
    if folder::holds_run(path) {
        let (record, _) = folder::read(path)?;
        return Ok((path.join(Which::Best.name()).join(WEIGHTS), Some(record)));
    }
    let run = path.parent().and_then(Path::parent);
    let record = match run.filter(|r| folder::holds_run(r)) {
        Some(run) => Some(folder::read(run)?.0),
        None => None,
    };
    Ok((path.to_path_buf(), record))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || {
        // A FIFO or a device would never end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("not a plain file"));
        }
        std::fs::read(path)
    };
    read().map_err(|e| Failure::io("read", path, &e))
}

/// Adds each low-rank update that the model has no place for to its weight: W + B·A.
fn merge(tensors: &mut Vec<Read>, slots: &[ParamSlot]) {
    let updates: Vec<String> = tensors
        .iter()
        .filter_map(|t| t.name.strip_suffix(ADAPTER_A))
        .filter(|w| !slots.iter().any(|s| adapted(&s.path) == Some(w)))
        .map(str::to_string)
        .collect();
    for weight in updates {
        let at = |name: String| tensors.iter().position(|t| t.name == name);
        let found = (
            at(weight.clone()),
            at(weight.clone() + ADAPTER_A),
            at(weight + ADAPTER_B),
        );
        let (Some(w), Some(a), Some(b)) = found else {
            continue;
        };
        let [rank, n] = tensors[a].shape[..] else {
            continue;
        };
        let rows = tensors[b].values.len() / rank.max(1);
        let fits = rank > 0 && n > 0 && tensors[w].values.len() == rows * n;
        if !fits || tensors[b].values.len() != rows * rank {
            continue;
        }
        let mut sum = std::mem::take(&mut tensors[w].values);
        for (row, b) in sum
            .chunks_exact_mut(n)
            .zip(tensors[b].values.chunks_exact(rank))
        {
            for (b, a) in b.iter().zip(tensors[a].values.chunks_exact(n)) {
                for (s, a) in row.iter_mut().zip(a) {
                    *s += b * a;
                }
            }
        }
        tensors[w].values = sum;
        let gone = [tensors[a].name.clone(), tensors[b].name.clone()];
        tensors.retain(|t| !gone.contains(&t.name));
    }
}

/// How the places along an axis of a weight are those of the file's.
enum Axis {
    Same(usize),
    /// For each place of the model the file's with the same symbol, of so many.
    Symbols {
        from: Vec<Option<usize>>,
        of: usize,
    },
}

impl Axis {
    fn size(&self) -> usize {
        match self {
            Axis::Same(n) => *n,
            Axis::Symbols { from, .. } => from.len(),
        }
    }

    /// In the file.
    fn of(&self) -> usize {
        match self {
            Axis::Same(n) => *n,
            Axis::Symbols { of, .. } => *of,
        }
    }

    fn from(&self, i: usize) -> Option<usize> {
        match self {
            Axis::Same(_) => Some(i),
            Axis::Symbols { from, .. } => from[i],
        }
    }

    /// Symbols that the file does not have.
    fn unseen(&self) -> usize {
        match self {
            Axis::Same(_) => 0,
            Axis::Symbols { from, .. } => from.iter().filter(|f| f.is_none()).count(),
        }
    }
}

fn axes(
    slot: &ParamSlot,
    spec: Option<&ParamSpec>,
    record: Option<&Record>,
    dataset: &Dataset,
) -> Vec<Axis> {
    let axis = |(i, n): (usize, &usize)| {
        let field = spec.and_then(|s| s.symbols.get(i)?.as_ref());
        let vocabularies = field.and_then(|f| {
            let old = record?.field(f)?.vocabulary.as_ref()?;
            let new = dataset.vocabulary(f)?;
            (new.len() == *n).then_some((old, new))
        });
        match vocabularies {
            Some((old, new)) => Axis::Symbols {
                from: (0..*n).map(|i| place(old, new, i as i32)).collect(),
                of: old.len(),
            },
            None => Axis::Same(*n),
        }
    };
    slot.shape.iter().enumerate().map(axis).collect()
}

/// Where a symbol of the new vocabulary stands in the old one.
fn place(old: &Vocabulary, new: &Vocabulary, i: i32) -> Option<usize> {
    let found = if Some(i) == new.end() {
        old.end()
    } else if Some(i) == new.unknown() {
        old.unknown()
    } else {
        let known = old.symbols().iter().position(|s| s == new.symbol(i));
        known.map(|i| i as i32)
    };
    found.and_then(|i| usize::try_from(i).ok())
}

/// Copies what the file has; false where the shapes differ.
fn take(tensor: &Read, slot: &ParamSlot, axes: &[Axis], own: &mut [f32]) -> bool {
    let shape: Vec<usize> = axes.iter().map(Axis::of).collect();
    if tensor.shape != shape || own.len() != slot.len {
        return false;
    }
    if axes.iter().all(|a| matches!(a, Axis::Same(_))) {
        own.copy_from_slice(&tensor.values);
        return true;
    }
    for (i, w) in own.iter_mut().enumerate() {
        // The element's place along each axis, from the last one.
        let (mut rest, mut stride, mut at) = (i, 1, Some(0));
        for axis in axes.iter().rev() {
            let place = axis.from(rest % axis.size());
            rest /= axis.size();
            at = at.zip(place).map(|(at, p)| at + p * stride);
            stride *= axis.of();
        }
        if let Some(value) = at.and_then(|at| tensor.values.get(at)) {
            *w = *value;
        }
    }
    true
}

fn differs(slot: &ParamSlot, tensor: &Read, spec: Option<&ParamSpec>, in_run: bool) -> Wrong {
    let message = format!(
        "`{}` is {:?} in the file, {:?} in the model",
        shown(&slot.path),
        tensor.shape,
        slot.shape
    );
    let symbols = spec.is_some_and(|s| s.symbols.iter().any(Option::is_some));
    let help = match symbols && !in_run {
        true => {
            "name the run's folder instead of the file: it knows which row is which symbol".into()
        }
        false => format!(
            "`params \"{}\" {{ fresh = yes }}` starts it as the model says",
            slot.path
        ),
    };
    Wrong::Differs(Diagnostic::error("weights::shape-differs", message).help(help))
}

#[derive(Default)]
struct Told {
    taken: usize,
    fresh: Vec<String>,
    new_symbols: Vec<String>,
    left: Vec<String>,
}

impl Told {
    fn text(&self, file: &str, of: usize) -> String {
        let mut text = format!("{} of {of} weights from {}", self.taken, shown(file));
        for (what, which) in [
            ("started fresh", &self.fresh),
            ("new symbols in", &self.new_symbols),
            ("left in the file", &self.left),
        ] {
            if which.is_empty() {
                continue;
            }
            let named: Vec<String> = which.iter().take(NAMED).map(|p| shown(p)).collect();
            let more = which.len().saturating_sub(NAMED);
            let more = match more {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            text += &format!("; {what}: {}{more}", named.join(", "));
        }
        text
    }
}
