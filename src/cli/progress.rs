//! What a training run shows: a bar on a terminal, a line now and then elsewhere, and there one for
//! each measurement.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::LogFormat;
use super::events;
use super::render::printable;
use super::told::{amount, loss, measured, time};
use crate::settings::{Metric, TrainSettings, Watched};
use crate::train::observe::{End, Event, Observer, StepReport, Summary};
use crate::train::usage::short;

/// Without a terminal: a line after this long, or this many steps, and of a short run this share.
const EVERY: Duration = Duration::from_secs(10);
const STEPS: u64 = 100;
const LINES: u64 = 10;

/// Lines of a text that is shown as the model learns.
const SAMPLE_LINES: usize = 8;

pub struct Progress {
    quiet: bool,
    /// Not even what takes long before the first step is told.
    mute: bool,
    format: LogFormat,
    bar: Option<ProgressBar>,
    metrics: Vec<Metric>,
    total: u64,
    begun: bool,
    /// No step has been told of yet.
    first: bool,
    /// Smoothed over some steps, to be read.
    loss: f64,
    rate: f64,
    /// When the last line was written, and after which step.
    shown: (Instant, u64),
    /// A measurement came since.
    measured: bool,
    /// The last measurement and the best, by step, where the bar has let no line tell of them yet.
    untold: Option<(u64, String)>,
    best_untold: Option<(u64, String)>,
    /// Texts are shown beside the last measurement.
    texts: bool,
}

impl Progress {
    /// `quiet` of all but what takes long before the first step, `mute` of that too.
    pub fn new(quiet: bool, mute: bool, format: LogFormat, settings: &TrainSettings) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let text = format == LogFormat::Text;
        let bar = (terminal && text && !quiet).then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(10));
            let style = "{bar:30} {pos}/{len}  {msg}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            }
            bar
        });
        Progress {
            quiet,
            mute,
            format,
            bar,
            metrics: settings.metrics.clone(),
            total: 0,
            begun: false,
            first: true,
            loss: f64::NAN,
            rate: 0.0,
            shown: (Instant::now(), 0),
            measured: false,
            untold: None,
            best_untold: None,
            texts: false,
        }
    }

    /// Whether training got as far as its first step.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Ends the bar where an error ends the run.
    pub fn abandon(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Whether it is time for another line.
    fn due(&self, step: u64) -> bool {
        let (at, last) = self.shown;
        let steps = STEPS.max(self.total / LINES);
        at.elapsed() >= EVERY || step >= last.saturating_add(steps)
    }

    fn line(&self, text: &str) {
        match (&self.bar, self.quiet) {
            (_, true) => {}
            (Some(bar), _) => bar.println(text),
            // A reader of stderr that is gone is no reason to stop training.
            (None, _) => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// The event as one line of JSON; of steps the first, and others now and then.
    fn object(&mut self, event: &Event<'_>) {
        match event {
            Event::Started {
                step, total_steps, ..
            } => {
                self.begun = true;
                self.total = *total_steps;
                self.shown = (Instant::now(), *step);
            }
            Event::Step(s) if !self.first && !self.due(s.step) => return,
            Event::Step(s) => {
                self.first = false;
                self.shown = (Instant::now(), s.step);
            }
            Event::Preparing(_)
            | Event::Notice(_)
            | Event::Validating
            | Event::Validated { .. }
            | Event::Samples { .. }
            | Event::Saved { .. }
            | Event::Used { .. }
            | Event::Finished(_) => {}
        }
        if let Some(object) = events::json(event) {
            self.line(&object.to_string());
        }
    }

    fn step(&mut self, s: &StepReport) {
        let blend = |old: f64, new: f64| {
            if old.is_finite() {
                0.95 * old + 0.05 * new
            } else {
                new
            }
        };
        self.loss = blend(self.loss, s.loss);
        let speed = s.items as f64 / s.seconds.max(1e-9);
        self.rate = if self.rate == 0.0 {
            speed
        } else {
            blend(self.rate, speed)
        };
        let message = format!(
            "epoch {}  loss {}  {}/s",
            s.epoch,
            loss(self.loss),
            short(self.rate)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(s.step);
                bar.set_message(message);
            }
            None => {
                // The line of a measurement tells of the loss too.
                if self.due(s.step) && !self.measured && !s.measured {
                    self.shown = (Instant::now(), s.step);
                    self.line(&format!("step {}/{}  {message}", s.step, self.total));
                }
            }
        }
    }

    fn samples(&self, texts: &[String]) {
        let texts: Vec<String> = texts.iter().map(|t| printable(t)).collect();
        let one_line: usize = texts.iter().map(|t| t.chars().count() + 3).sum();
        if one_line <= 100 && texts.iter().all(|t| !t.contains('\n')) {
            self.line(&format!("    {}", texts.join("   ")));
            return;
        }
        for text in &texts {
            let mut lines = text.lines();
            for line in lines.by_ref().take(SAMPLE_LINES) {
                self.line(&format!("    {line}"));
            }
            if lines.next().is_some() {
                self.line("    …");
            }
        }
    }

    /// Ends the bar and says how it went.
    pub fn finish(&mut self, summary: &Summary) {
        if self.format == LogFormat::Json {
            return;
        }
        self.abandon();
        let (best, last) = (self.best_untold.take(), self.untold.take());
        for (_, text) in best
            .iter()
            .chain(last.iter().filter(|l| Some(*l) != best.as_ref()))
        {
            self.line(text);
        }
        if summary.usage.items_per_second > 0.0 {
            self.line(&summary.usage.to_string());
        }
        let how = match summary.end {
            End::Finished => "done",
            End::Stopped => "stopped early: no better for a while",
            End::MaxSteps => "stopped at --max-steps",
            End::Interrupted => "interrupted and saved; go on with --resume",
        };
        let mut text = format!(
            "{how}: {} steps in {}",
            summary.steps,
            time(summary.seconds)
        );
        if let Some(best) = &summary.best {
            let value = match &best.of {
                Watched::Loss => loss(best.value),
                Watched::Metric(metric) => amount(metric, best.value),
            };
            let (part, of, step) = (best.part.name(), best.of.key(), best.step);
            text.push_str(&format!(", best {part}.{of} {value} at step {step}"));
        }
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event<'_>) {
        let quiet = self.quiet;
        if matches!(event, Event::Preparing(_)) {
            self.quiet = self.mute;
        }
        self.tell(event);
        self.quiet = quiet;
    }
}

impl Progress {
    fn tell(&mut self, event: &Event<'_>) {
        if self.format == LogFormat::Json {
            self.object(event);
            return;
        }
        match event {
            Event::Started {
                folder,
                params,
                total_steps,
                step,
                ..
            } => {
                self.total = *total_steps;
                self.begun = true;
                self.shown = (Instant::now(), *step);
                if let Some(bar) = &self.bar {
                    bar.set_length(*total_steps);
                    bar.set_position(*step);
                    bar.reset_eta();
                }
                let from = if *step > 0 {
                    format!(", from step {step}")
                } else {
                    String::new()
                };
                self.line(&format!(
                    "{}: {params} weights, {total_steps} steps{from}",
                    folder.display()
                ));
            }
            Event::Preparing(text) | Event::Notice(text) => self.line(text),
            Event::Step(s) => self.step(s),
            Event::Validating | Event::Saved { .. } | Event::Used { .. } => {}
            Event::Validated {
                step,
                epoch,
                train_loss,
                valid,
                best,
            } => {
                let star = if *best { "  (best)" } else { "" };
                let text = format!(
                    "step {step}/{}, epoch {epoch}: train {}  valid {}{star}",
                    self.total,
                    loss(*train_loss),
                    measured(valid, &self.metrics)
                );
                self.texts = self.due(*step) || *step == self.total;
                self.measured = !self.texts;
                if self.texts {
                    self.shown = (Instant::now(), *step);
                }
                let told = self.texts || self.bar.is_none();
                if told {
                    self.line(&text);
                }
                let untold = (!told).then_some((*step, text));
                if *best {
                    self.best_untold.clone_from(&untold);
                }
                self.untold = untold;
            }
            Event::Samples { texts, .. } => {
                if self.texts {
                    self.samples(texts);
                }
            }
            Event::Finished(_) => {}
        }
    }
}
