//! What a training run shows: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{Common, LogFormat};
use super::events;
use super::render::printable;
use crate::settings::{Baseline, Metric, TrainSettings};
use crate::train::observe::{End, Event, Measured, Observer, StepReport, Summary};
use crate::train::usage::short;

/// Without a terminal: a line after this long, or this many steps, and of a short run this share.
const EVERY: Duration = Duration::from_secs(10);
const STEPS: u64 = 100;
const LINES: u64 = 10;

/// Lines of a text that is shown as the model learns.
const SAMPLE_LINES: usize = 8;

pub struct Progress {
    quiet: bool,
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
    /// A measurement that no line has told of yet.
    untold: Option<String>,
}

impl Progress {
    pub fn new(common: &Common, format: LogFormat, settings: &TrainSettings) -> Progress {
        let quiet = common.quiet;
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
            format,
            bar,
            metrics: settings.metrics.clone(),
            total: 0,
            begun: false,
            first: true,
            loss: f64::NAN,
            rate: 0.0,
            shown: (Instant::now(), 0),
            untold: None,
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
            Event::Notice(_)
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
            s.epoch + 1,
            loss(self.loss),
            short(self.rate)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(s.step);
                bar.set_message(message);
            }
            None => {
                // Where measurements come often, their lines tell of the loss too.
                if self.due(s.step) && self.untold.is_none() {
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
        if let Some(text) = self.untold.take() {
            self.line(&text);
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
        if let Some((step, value)) = summary.best {
            text.push_str(&format!(", best {} at step {step}", loss(value)));
        }
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event<'_>) {
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
            Event::Notice(text) => self.line(text),
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
                if self.due(*step) || *step == self.total {
                    self.shown = (Instant::now(), *step);
                    self.untold = None;
                    self.line(&text);
                } else {
                    self.untold = Some(text);
                }
            }
            Event::Samples { texts, .. } => {
                // Beside the line of the measurement they belong to.
                if self.untold.is_none() {
                    self.samples(texts);
                }
            }
            Event::Finished(_) => {}
        }
    }
}

/// Loss and metrics on one line, a rival's number beside the model's:
/// `2.1013 (bigram 2.2916)  perplexity 8.18  copied 3.5%`, `0.4810  accuracy 80.2% (naive bayes 79.7%)`.
pub fn measured(m: &Measured, metrics: &[Metric]) -> String {
    let mut text = loss(m.loss);
    let rival = metrics.iter().find_map(|m| match m {
        Metric::Versus(rival) => Some(rival),
        _ => None,
    });
    let beside = |key: &str| match (rival, m.metric(key)) {
        (Some(rival), Some(value)) => Some((named(rival), value)),
        _ => None,
    };
    // In the unit of the loss, so beside it.
    if let (Some(Baseline::Bigram), Some((name, nats))) = (rival, beside("rival")) {
        text.push_str(&format!(" ({name} {nats:.4})"));
    }
    for metric in metrics {
        if let Metric::Versus(rival) = metric {
            text.push_str(&versus(m, rival, metrics));
            continue;
        }
        let Some(value) = m.metric(metric.key()) else {
            continue;
        };
        text.push_str(&match metric {
            Metric::Top(k) => format!("  top {k} {}", amount(metric, value)),
            Metric::BitsPerChar => format!("  bits per char {}", amount(metric, value)),
            _ => format!("  {} {}", metric.key(), amount(metric, value)),
        });
        if let Some((name, value)) = beside(&format!("rival.{}", metric.key())) {
            text.push_str(&format!(" ({name} {})", amount(metric, value)));
        }
    }
    text
}

/// What is said of a rival by itself: nothing where its numbers stand beside the model's.
fn versus(m: &Measured, rival: &Baseline, metrics: &[Metric]) -> String {
    let beside = |metric: &Metric| m.metric(&format!("rival.{}", metric.key())).is_some();
    if *rival == Baseline::Bigram || metrics.iter().any(beside) {
        return String::new();
    }
    let of = |key: &str| m.metric(key);
    match (of("rival.accuracy"), of("versus"), of("rival")) {
        (Some(accuracy), _, _) => {
            let accuracy = amount(&Metric::Accuracy, accuracy);
            format!("  {} accuracy {accuracy}", named(rival))
        }
        (None, Some(share), Some(error)) => {
            let (share, error) = (readable(share), readable(error));
            format!(
                "  squared error {share} of that of {} ({error})",
                named(rival)
            )
        }
        (None, _, _) => String::new(),
    }
}

fn named(rival: &Baseline) -> String {
    match rival {
        Baseline::Column(name) => printable(name),
        counted => counted.name().replace('_', " "),
    }
}

/// A metric's value with the digits that people compare.
fn amount(metric: &Metric, value: f64) -> String {
    match metric {
        Metric::Copied | Metric::Accuracy | Metric::Mape | Metric::Top(_) => {
            format!("{:.1}%", 100.0 * value)
        }
        Metric::Perplexity | Metric::Bleu => format!("{value:.2}"),
        Metric::BitsPerChar => format!("{value:.3}"),
        Metric::Mae
        | Metric::Mse
        | Metric::Rmse
        | Metric::F1(_)
        | Metric::EntityF1
        | Metric::Versus(_)
        | Metric::Confusion => readable(value),
    }
}

/// A loss with the digits that are compared, small ones in full.
fn loss(x: f64) -> String {
    match x.abs() {
        a if a < 1e-3 && a > 0.0 => format!("{x:.3e}"),
        _ => format!("{x:.4}"),
    }
}

/// Four digits that say something, whatever the size.
fn readable(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if !(1e-3..1e6).contains(&a) => format!("{x:.3e}"),
        a if a < 1.0 => format!("{x:.4}"),
        a if a < 100.0 => format!("{x:.3}"),
        _ => format!("{x:.1}"),
    }
}

fn time(seconds: f64) -> String {
    if seconds < 90.0 {
        return format!("{seconds:.1} s");
    }
    format!("{} min {:.0} s", (seconds / 60.0) as u64, seconds % 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_reads_as_a_sentence() {
        let m = Measured {
            loss: 2.10134,
            count: 1.0,
            metrics: vec![
                ("perplexity".into(), 8.1774),
                ("versus".into(), 0.917),
                ("rival".into(), 2.29161),
                ("copied".into(), 0.035),
            ],
            by_class: Default::default(),
        };
        let asked = [
            Metric::Perplexity,
            Metric::Versus(Baseline::Bigram),
            Metric::Copied,
        ];
        assert_eq!(
            measured(&m, &asked),
            "2.1013 (bigram 2.2916)  perplexity 8.18  copied 3.5%"
        );
        let rivals = |entries: &[(&str, f64)], asked: &[Metric]| {
            let metrics = entries.iter().map(|(k, v)| (k.to_string(), *v));
            let metrics = metrics.collect();
            measured(
                &Measured {
                    metrics,
                    ..m.clone()
                },
                asked,
            )
        };
        let bayes = Metric::Versus(Baseline::NaiveBayes);
        let entries = [
            ("accuracy", 0.802),
            ("versus", 0.975),
            ("rival", 0.203),
            ("rival.accuracy", 0.797),
        ];
        assert_eq!(
            rivals(&entries, &[Metric::Accuracy, bayes.clone()]),
            "2.1013  accuracy 80.2% (naive bayes 79.7%)"
        );
        assert_eq!(
            rivals(&entries, &[bayes]),
            "2.1013  naive bayes accuracy 79.7%"
        );
        let today = Metric::Versus(Baseline::Column("today".into()));
        let entries = [
            ("rmse", 31.4),
            ("versus", 1.02),
            ("rival", 0.5),
            ("rival.rmse", 31.1),
        ];
        assert_eq!(
            rivals(&entries, &[today.clone(), Metric::Rmse]),
            "2.1013  rmse 31.400 (today 31.100)"
        );
        assert_eq!(
            rivals(&entries, &[today]),
            "2.1013  squared error 1.020 of that of today (0.5000)"
        );
        assert_eq!(readable(0.0000123), "1.230e-5");
        assert_eq!(readable(12.3456), "12.346");
    }
}
