//! A run's `metrics.jsonl`: one JSON object a line, in the order of steps; and beside it what is not
//! part of the run's result, `usage.jsonl` and TensorBoard's events.
//!
//! In: losses and measurements. Out: lines in the files, and the points of curves. No line of
//! `metrics.jsonl` holds a time of day or a duration, so a resumed run's file is that of one never
//! interrupted. Lines of training have `step`, `epoch` (from 1), `train.loss` (mean since the line
//! before),
//! `rate` and `grad_norm` (of the gradient before clipping, at that step); lines of validation
//! `step`, `epoch`, `valid.loss` and `valid.<metric>`. Lines of `usage.jsonl` have `step` and the
//! keys of [`Usage`], over the time since the line before.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::disk;
use super::failure::Failure;
use super::observe::Measured;
use super::tensorboard::Events;
use super::usage::Usage;

pub const METRICS: &str = "metrics.jsonl";
const USAGE: &str = "usage.jsonl";

/// A step and a loss, or another number.
pub type Point = (u64, f64);

#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    usage: PathBuf,
    events: Events,
    pub series: Series,
}

/// What a log has of each step it tells of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Losses.
    pub train: Vec<Point>,
    pub valid: Vec<Point>,
    pub rates: Vec<Point>,
    /// Of gradients.
    pub norms: Vec<Point>,
}

impl Series {
    /// The points of a run's log, which stays as it is.
    pub fn read(run: &Path) -> Result<Series, Failure> {
        let mut series = Series::default();
        series.gather(&bytes(&run.join(METRICS))?, u64::MAX);
        Ok(series)
    }

    /// Takes the points of steps up to `step`, and returns their lines.
    fn gather(&mut self, old: &[u8], step: u64) -> Vec<u8> {
        let mut kept = Vec::new();
        for line in old.split_inclusive(|b| *b == b'\n') {
            let Ok(Value::Object(line_of)) = serde_json::from_slice(line) else {
                continue;
            };
            let at = line_of.get("step").and_then(Value::as_u64);
            let Some(at) = at.filter(|s| *s <= step && line.ends_with(b"\n")) else {
                continue;
            };
            let point = |key: &str| Some((at, line_of.get(key)?.as_f64()?));
            self.train.extend(point("train.loss"));
            self.valid.extend(point("valid.loss"));
            self.rates.extend(point("rate"));
            self.norms.extend(point("grad_norm"));
            kept.extend_from_slice(line);
        }
        kept
    }
}

/// The bytes of a log; none where there is none yet.
fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let plain = fs::symlink_metadata(path).map(|m| m.is_file());
    if matches!(plain, Ok(false)) {
        let message = format!("the run's {METRICS} is not a plain file");
        return Err(Failure::checkpoint("run::damaged", message));
    }
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Failure::io("read", path, &e)),
    }
}

impl Log {
    /// Opens the log of a run that stands at `step`: later lines, and one cut off by a crash, go.
    pub fn open(run: &Path, step: u64) -> Result<Log, Failure> {
        let path = run.join(METRICS);
        let old = bytes(&path)?;
        let mut series = Series::default();
        let kept = series.gather(&old, step);
        if kept != old {
            disk::replace(&path, &kept)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&path);
        Ok(Log {
            file: file.map_err(|e| Failure::io("open", &path, &e))?,
            path,
            usage: run.join(USAGE),
            events: Events::new(run, step),
            series,
        })
    }

    pub fn trained(
        &mut self,
        step: u64,
        epoch: u64,
        loss: f64,
        rate: f64,
        grad_norm: f64,
    ) -> Result<(), Failure> {
        self.series.train.push((step, loss));
        self.series.rates.push((step, rate));
        self.series.norms.push((step, grad_norm));
        let rest = [
            ("train.loss", loss),
            ("rate", rate),
            ("grad_norm", grad_norm),
        ];
        self.line(step, epoch, rest.map(|(k, v)| (k.to_string(), v)))
    }

    pub fn validated(&mut self, step: u64, epoch: u64, measured: &Measured) -> Result<(), Failure> {
        self.series.valid.push((step, measured.loss));
        let loss = [("valid.loss".to_string(), measured.loss)];
        let metrics = measured.metrics.iter();
        let metrics = metrics.map(|(k, v)| (format!("valid.{k}"), *v));
        self.line(step, epoch, loss.into_iter().chain(metrics))
    }

    /// Texts that the model wrote; only TensorBoard has them.
    pub fn samples(&mut self, step: u64, texts: &[String]) -> Result<(), Failure> {
        self.events.texts(step, "samples", texts)
    }

    pub fn used(&mut self, step: u64, usage: &Usage) -> Result<(), Failure> {
        let mut line = usage.json();
        if let Some(o) = line.as_object_mut() {
            o.insert("step".into(), step.into());
        }
        if fs::symlink_metadata(&self.usage).is_ok_and(|m| !m.is_file()) {
            let message = format!("the run's {USAGE} is not a plain file");
            return Err(Failure::checkpoint("run::damaged", message));
        }
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.append(true).create(true).open(&self.usage)?;
            file.write_all(format!("{line}\n").as_bytes())
        };
        write().map_err(|e| Failure::io("write", &self.usage, &e))?;
        let scalars = [
            ("steps per second", usage.steps_per_second),
            ("items per second", usage.items_per_second),
            ("cores", usage.cores),
            ("peak memory MB", usage.peak_bytes as f64 / 1e6),
        ];
        let scalars = scalars.map(|(name, value)| (format!("usage/{name}"), value));
        self.events.scalars(step, &scalars)
    }

    fn line(
        &mut self,
        step: u64,
        epoch: u64,
        rest: impl IntoIterator<Item = (String, f64)>,
    ) -> Result<(), Failure> {
        let rest: Vec<(String, f64)> = rest.into_iter().collect();
        let scalars: Vec<_> = rest.iter().map(|(k, v)| (tag(k), *v)).collect();
        let mut line = Map::new();
        line.insert("step".into(), step.into());
        line.insert("epoch".into(), epoch.into());
        line.extend(rest.into_iter().map(|(k, v)| (k, v.into())));
        let text = format!("{}\n", Value::Object(line));
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| Failure::io("write", &self.path, &e))?;
        self.events.scalars(step, &scalars)
    }

    /// Flushes all lines to the disk.
    pub fn sync(&self) -> Result<(), Failure> {
        let done = self.file.sync_all();
        done.map_err(|e| Failure::io("flush", &self.path, &e))
    }
}

/// The name that TensorBoard groups a number under: `valid.loss` → `valid/loss`, `rate` →
/// `train/rate`.
fn tag(key: &str) -> String {
    match key.split_once('.') {
        Some((part, name)) => format!("{part}/{name}"),
        None => format!("train/{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_checkpoint_goes_and_curves_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 0).unwrap();
        for step in 1..=4 {
            log.trained(step, 0, 1.0 / step as f64, 0.5, 2.0).unwrap();
        }
        log.validated(4, 0, &Measured::default()).unwrap();
        let half = fs::read_to_string(dir.path().join(METRICS)).unwrap();
        // Cut off within a line, as a crash may.
        fs::write(dir.path().join(METRICS), &half[..half.len() - 3]).unwrap();
        let read = Series::read(dir.path()).unwrap();
        assert_eq!((read.train.len(), read.valid.len()), (4, 0));
        let log = Log::open(dir.path(), 3).unwrap().series;
        let losses = [(1, 1.0), (2, 0.5), (3, 1.0 / 3.0)];
        assert_eq!((&log.train[..], &log.valid[..]), (&losses[..], &[][..]));
        assert_eq!(log.rates, [(1, 0.5), (2, 0.5), (3, 0.5)]);
        assert_eq!(log.norms.last(), Some(&(3, 2.0)));
        let kept = fs::read_to_string(dir.path().join(METRICS)).unwrap();
        assert!(half.starts_with(&kept) && kept.lines().count() == 3);
    }

    #[test]
    fn numbers_are_grouped_by_part() {
        let tags = ["train.loss", "rate", "valid.f1.macro"].map(tag);
        assert_eq!(tags, ["train/loss", "train/rate", "valid/f1.macro"]);
    }
}
