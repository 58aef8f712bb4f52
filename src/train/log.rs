//! A run's `metrics.jsonl`: one JSON object a line, in the order of steps.
//!
//! In: losses and measurements. Out: lines in the file, and the points of the loss curve. No line
//! holds a time of day or a duration, so a resumed run's file is that of one never interrupted.
//! Lines of training have `step`, `epoch`, `train.loss` (mean since the line before), `rate` and
//! `grad_norm`; lines of validation `step`, `epoch`, `valid.loss` and `valid.<metric>`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::disk;
use super::failure::Failure;
use super::observe::Measured;

pub const METRICS: &str = "metrics.jsonl";

/// A step and a loss.
pub type Point = (u64, f64);

#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    pub train: Vec<Point>,
    pub valid: Vec<Point>,
}

impl Log {
    /// Opens the log of a run that stands at `step`: later lines, and one cut off by a crash, go.
    pub fn open(run: &Path, step: u64) -> Result<Log, Failure> {
        let path = run.join(METRICS);
        let plain = fs::symlink_metadata(&path).map(|m| m.is_file());
        if matches!(plain, Ok(false)) {
            let message = format!("the run's {METRICS} is not a plain file");
            return Err(Failure::checkpoint("run::damaged", message));
        }
        let old = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Failure::io("read", &path, &e)),
        };
        let (mut kept, mut train, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for line in old.split_inclusive(|b| *b == b'\n') {
            let Ok(Value::Object(line_of)) = serde_json::from_slice(line) else {
                continue;
            };
            let at = line_of.get("step").and_then(Value::as_u64);
            let Some(at) = at.filter(|s| *s <= step && line.ends_with(b"\n")) else {
                continue;
            };
            let number = |key: &str| line_of.get(key).and_then(Value::as_f64);
            train.extend(number("train.loss").map(|l| (at, l)));
            valid.extend(number("valid.loss").map(|l| (at, l)));
            kept.extend_from_slice(line);
        }
        if kept != old {
            disk::replace(&path, &kept)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&path);
        Ok(Log {
            file: file.map_err(|e| Failure::io("open", &path, &e))?,
            path,
            train,
            valid,
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
        self.train.push((step, loss));
        let rest = [
            ("train.loss", loss),
            ("rate", rate),
            ("grad_norm", grad_norm),
        ];
        self.line(step, epoch, rest.map(|(k, v)| (k.to_string(), v)))
    }

    pub fn validated(&mut self, step: u64, epoch: u64, measured: &Measured) -> Result<(), Failure> {
        self.valid.push((step, measured.loss));
        let loss = [("valid.loss".to_string(), measured.loss)];
        let metrics = measured.metrics.iter();
        let metrics = metrics.map(|(k, v)| (format!("valid.{k}"), *v));
        self.line(step, epoch, loss.into_iter().chain(metrics))
    }

    fn line(
        &mut self,
        step: u64,
        epoch: u64,
        rest: impl IntoIterator<Item = (String, f64)>,
    ) -> Result<(), Failure> {
        let mut line = Map::new();
        line.insert("step".into(), step.into());
        line.insert("epoch".into(), epoch.into());
        line.extend(rest.into_iter().map(|(k, v)| (k, v.into())));
        let text = format!("{}\n", Value::Object(line));
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|e| Failure::io("write", &self.path, &e))
    }

    /// Flushes all lines to the disk.
    pub fn sync(&self) -> Result<(), Failure> {
        let done = self.file.sync_all();
        done.map_err(|e| Failure::io("flush", &self.path, &e))
    }
}
