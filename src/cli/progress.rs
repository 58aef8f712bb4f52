//! What a training run shows: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Common;
use crate::train::observe::{End, Event, Measured, Observer, StepReport, Summary};

/// Without a terminal: a line after this long, or this many steps.
const EVERY: Duration = Duration::from_secs(10);
const STEPS: u64 = 100;

pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    total: u64,
    /// Smoothed over some steps, to be read.
    loss: f64,
    rate: f64,
    shown: (Instant, u64),
}

impl Progress {
    pub fn new(common: &Common) -> Progress {
        let quiet = common.quiet;
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
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
            bar,
            total: 0,
            loss: f64::NAN,
            rate: 0.0,
            shown: (Instant::now(), 0),
        }
    }

    fn line(&self, text: &str) {
        match (&self.bar, self.quiet) {
            (_, true) => {}
            (Some(bar), _) => bar.println(text),
            (None, _) => eprintln!("{text}"),
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
            "epoch {}  loss {:.4}  {}/s",
            s.epoch + 1,
            self.loss,
            short(self.rate)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(s.step);
                bar.set_message(message);
            }
            None => {
                let (at, step) = self.shown;
                if at.elapsed() >= EVERY || s.step >= step + STEPS {
                    self.shown = (Instant::now(), s.step);
                    self.line(&format!("step {}/{}  {message}", s.step, self.total));
                }
            }
        }
    }

    /// Ends the bar and says how it went.
    pub fn finish(&mut self, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
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
        if let Some((step, value)) = summary.best {
            text.push_str(&format!(", best {value:.4} at step {step}"));
        }
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started {
                folder,
                params,
                total_steps,
                step,
                ..
            } => {
                self.total = *total_steps;
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
            Event::Notice(text) => self.line(text),
            Event::Step(s) => self.step(s),
            Event::Validating | Event::Saved { .. } => {}
            Event::Validated {
                step,
                epoch,
                train_loss,
                valid,
                best,
            } => {
                let star = if *best { "  (best)" } else { "" };
                self.line(&format!(
                    "step {step}, epoch {epoch}: train {train_loss:.4}  valid {}{star}",
                    measured(valid)
                ));
            }
            Event::Samples { texts, .. } => {
                for text in *texts {
                    self.line(&format!("    {}", text.escape_debug()));
                }
            }
            Event::Finished(_) => {}
        }
    }
}

/// Loss and metrics on one line.
pub fn measured(m: &Measured) -> String {
    let mut text = format!("{:.4}", m.loss);
    for (key, value) in &m.metrics {
        text.push_str(&format!("  {key} {value:.4}"));
    }
    text
}

fn short(x: f64) -> String {
    match x {
        x if x >= 1e6 => format!("{:.1}M", x / 1e6),
        x if x >= 1e3 => format!("{:.0}k", x / 1e3),
        x => format!("{x:.0}"),
    }
}

fn time(seconds: f64) -> String {
    if seconds < 90.0 {
        return format!("{seconds:.1} s");
    }
    format!("{} min {:.0} s", (seconds / 60.0) as u64, seconds % 60.0)
}
