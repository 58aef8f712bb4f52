//! What was measured, as text and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::bound::{Bound, Machine};
use crate::settings::Precision;
use crate::targets::cpu::memory::bytes;

/// Seconds of things that were done again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    pub runs: usize,
    pub median: f64,
    pub mean: f64,
    pub least: f64,
    /// Whether what was done differed from time to time, so that the mean is what compares.
    pub varied: bool,
}

impl Times {
    pub fn of(mut seconds: Vec<f64>) -> Times {
        seconds.sort_by(f64::total_cmp);
        Times {
            runs: seconds.len(),
            median: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
            mean: seconds.iter().sum::<f64>() / seconds.len().max(1) as f64,
            varied: false,
            least: seconds.first().copied().unwrap_or(0.0),
        }
    }

    fn json(&self) -> Value {
        json!({ "median": self.median, "mean": self.mean, "least": self.least })
    }

    /// What is set beside what the machine could do.
    fn typical(&self) -> f64 {
        if self.varied { self.mean } else { self.median }
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// As `check --cost` has them, at these sizes.
    pub temporaries: Option<u64>,
    /// All that the first step should add to what is resident.
    pub predicted: Option<u64>,
    /// What it added.
    pub growth: Option<u64>,
}

pub struct Training {
    pub step: Times,
    /// Parts of a step: the loss and its gradient; the update; waiting for the batch.
    pub gradient: Times,
    pub update: Times,
    pub wait: Times,
    pub compile_ms: f64,
    /// Since the process began.
    pub first_step_ms: f64,
    pub memory: Memory,
}

pub struct Predictions {
    /// Of one batch.
    pub call: Times,
    pub compile_ms: f64,
    pub memory: Memory,
}

pub struct Written {
    pub symbol: Times,
    /// Symbols of the longest text.
    pub length: usize,
    pub compile_ms: f64,
}

/// A kernel in a call.
pub struct Row {
    /// How many scans it is in.
    pub depth: usize,
    pub kernel: String,
    /// Without the kernels in it.
    pub seconds: f64,
    pub runs: f64,
    pub flops: f64,
    pub bytes: f64,
    /// Lines of source.
    pub from: String,
}

/// The share of all time below which a kernel has no line of text.
const LEAST: f64 = 2e-3;

pub struct Report {
    pub model: String,
    pub sizes: Vec<(String, usize)>,
    /// What was timed has its weights in; a step of training always in f32.
    pub precision: Precision,
    pub machine: Machine,
    pub train: Option<(Training, Bound)>,
    pub infer: Option<(Predictions, Bound)>,
    pub generate: Option<(Written, Bound)>,
    /// Of a step of training, or of a prediction; in the order in which they run.
    pub kernels: Vec<Row>,
}

/// Of a time: its rate, its share of the peak, of the roofline.
struct Shares {
    rate: Option<f64>,
    peak: Option<f64>,
    roofline: Option<f64>,
}

impl Bound {
    fn shares(&self, seconds: f64, machine: &Machine) -> Shares {
        let positive = |x: f64| (x > 0.0).then_some(x);
        let rate = self.flops.zip(positive(seconds)).map(|(f, s)| f / s);
        Shares {
            rate,
            peak: rate.zip(positive(machine.peak)).map(|(r, p)| r / p),
            roofline: self.roofline.zip(positive(seconds)).map(|(r, s)| r / s),
        }
    }

    /// The keys that say how far a time is from this.
    fn put(&self, o: &mut Value, seconds: f64, machine: &Machine) {
        let shares = self.shares(seconds, machine);
        o["flops"] = self.flops.into();
        o["gflops"] = shares.rate.map(|r| r / 1e9).into();
        o["peak_share"] = shares.peak.into();
        o["roofline_seconds"] = self.roofline.into();
        o["roofline_share"] = shares.roofline.into();
        o["bandwidth"] = self.bandwidth.into();
    }
}

impl Memory {
    fn put(&self, o: &mut Value) {
        o["temporaries_bytes"] = self.temporaries.into();
        o["predicted_bytes"] = self.predicted.into();
        o["growth_bytes"] = self.growth.into();
    }
}

impl Report {
    /// `train.step.median` and so on, in seconds; `first_step_ms` since the process began.
    pub fn json(&self) -> Value {
        let sizes = self.sizes.iter().map(|(n, s)| (n.clone(), Value::from(*s)));
        let mut all = json!({
            "model": self.model,
            "threads": self.machine.threads,
            "precision": self.precision.name(),
            "sizes": sizes.collect::<serde_json::Map<_, _>>(),
            "peak_gflops": self.machine.peak / 1e9,
        });
        if let Some((t, bound)) = &self.train {
            let mut o = json!({
                "steps": t.step.runs, "step": t.step.json(), "gradient": t.gradient.json(),
                "update": t.update.json(), "wait": t.wait.json(), "compile_ms": t.compile_ms,
                "first_step_ms": t.first_step_ms,
            });
            bound.put(&mut o, t.step.typical(), &self.machine);
            o["varied"] = t.step.varied.into();
            t.memory.put(&mut o);
            all["train"] = o;
        }
        if let Some((p, bound)) = &self.infer {
            let mut o = json!({
                "calls": p.call.runs, "call": p.call.json(), "compile_ms": p.compile_ms,
            });
            bound.put(&mut o, p.call.median, &self.machine);
            p.memory.put(&mut o);
            all["infer"] = o;
        }
        if let Some((w, bound)) = &self.generate {
            let mut o = json!({
                "texts": w.symbol.runs, "symbols": w.length, "symbol": w.symbol.json(),
                "compile_ms": w.compile_ms,
            });
            bound.put(&mut o, w.symbol.median, &self.machine);
            all["generate"] = o;
        }
        if !self.kernels.is_empty() {
            let all_ = self.kernels.iter().map(|k| k.seconds).sum::<f64>();
            let row = |k: &Row| {
                json!({
                    "kernel": k.kernel, "depth": k.depth, "seconds": k.seconds,
                    "share": k.seconds / all_, "runs": k.runs, "flops": k.flops,
                    "bytes": k.bytes, "peak_share": self.of_peak(k), "from": k.from,
                })
            };
            all["kernels"] = self.kernels.iter().map(row).collect();
        }
        all
    }
}

/// `12.3 ms`, in the unit that leaves one to three digits before the point.
fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.3} s"),
        s if s >= 1e-3 => format!("{:.3} ms", s * 1e3),
        s => format!("{:.2} µs", s * 1e6),
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, t: &Times) -> fmt::Result {
    let (typical, least) = (time(t.typical()), time(t.least));
    writeln!(f, "{name:<12} {typical:>11}   at least {least}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.sizes.iter().map(|(n, s)| format!("{n} = {s}"));
        let sizes = sizes.collect::<Vec<_>>().join(", ");
        let threads = match self.machine.threads {
            1 => "1 thread".to_string(),
            n => format!("{n} threads"),
        };
        let comma = match &self.train {
            Some((t, _)) if t.step.varied => " in the first batch, others differ: means; ",
            _ if sizes.is_empty() => "",
            _ => ", ",
        };
        let precision = self.precision.name();
        writeln!(
            f,
            "{}: {sizes}{comma}{threads}, {precision} weights",
            self.model
        )?;
        if let Some((t, bound)) = &self.train {
            line(f, "step", &t.step)?;
            line(f, "  gradient", &t.gradient)?;
            line(f, "  update", &t.update)?;
            line(f, "  waiting", &t.wait)?;
            self.against(f, bound, t.step.typical())?;
            let (compile, first) = (time(t.compile_ms / 1e3), time(t.first_step_ms / 1e3));
            writeln!(
                f,
                "compiled in  {compile:>11}   first step done after {first}"
            )?;
            remembered(f, &t.memory)?;
        }
        if let Some((p, bound)) = &self.infer {
            line(f, "predicting", &p.call)?;
            self.against(f, bound, p.call.median)?;
            writeln!(f, "compiled in  {:>11}", time(p.compile_ms / 1e3))?;
            remembered(f, &p.memory)?;
        }
        if let Some((w, bound)) = &self.generate {
            line(f, "a symbol", &w.symbol)?;
            self.against(f, bound, w.symbol.median)?;
            writeln!(f, "compiled in  {:>11}", time(w.compile_ms / 1e3))?;
        }
        match self.kernels.is_empty() {
            true => Ok(()),
            false => self.table(f),
        }
    }
}

impl Report {
    fn of_peak(&self, k: &Row) -> Option<f64> {
        let known = k.flops > 0.0 && k.seconds > 0.0 && self.machine.peak > 0.0;
        known.then(|| k.flops / k.seconds / self.machine.peak)
    }

    /// A line a kernel; what is indented runs at every step of the scan above, whose own line is the loop around.
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: f64 = self.kernels.iter().map(|k| k.seconds).sum();
        writeln!(
            f,
            "\n{:>10} {:>6} {:>9} {:>9} {:>7}  kernel",
            "time", "share", "MFLOP", "MB", "of peak"
        )?;
        // A scan's own line stands above what is in it.
        let few = |k: &&Row| k.seconds < LEAST * all && !k.kernel.starts_with("scan ");
        for k in self.kernels.iter().filter(|k| !few(k)) {
            let share = format!("{:.1}%", 100.0 * k.seconds / all.max(f64::MIN_POSITIVE));
            let peak = self.of_peak(k);
            let peak = peak.map_or(String::new(), |p| format!("{:.0}%", p * 100.0));
            let millions = |x: f64| match x {
                0.0 => String::new(),
                x => format!("{:.2}", x / 1e6),
            };
            let from = match k.from.is_empty() {
                true => String::new(),
                false => format!("  [{}]", k.from),
            };
            writeln!(
                f,
                "{:>10} {share:>6} {:>9} {:>9} {peak:>7}  {:indent$}{}{from}",
                time(k.seconds),
                millions(k.flops),
                millions(k.bytes),
                "",
                k.kernel,
                indent = 2 * k.depth
            )?;
        }
        let rest: Vec<f64> = self.kernels.iter().filter(few).map(|k| k.seconds).collect();
        if !rest.is_empty() {
            let (n, rest) = (rest.len(), rest.iter().sum::<f64>());
            let share = format!("{:.1}%", 100.0 * rest / all);
            writeln!(f, "{:>10} {share:>6} {:>27}  {n} more", time(rest), "")?;
        }
        Ok(())
    }

    fn against(&self, f: &mut fmt::Formatter<'_>, bound: &Bound, seconds: f64) -> fmt::Result {
        let shares = bound.shares(seconds, &self.machine);
        let percent = |x: Option<f64>| x.map_or("?".into(), |x| format!("{:.0}%", x * 100.0));
        if let Some((flops, rate)) = bound.flops.zip(shares.rate) {
            writeln!(
                f,
                "products     {:>6.1} MFLOP   {:.1} GFLOP/s, {} of this machine's {:.0}",
                flops / 1e6,
                rate / 1e9,
                percent(shares.peak),
                self.machine.peak / 1e9
            )?;
        }
        if let Some(roofline) = bound.roofline {
            let share = percent(shares.roofline);
            writeln!(
                f,
                "roofline     {:>11}   of which this is {share}",
                time(roofline)
            )?;
        }
        Ok(())
    }
}

fn remembered(f: &mut fmt::Formatter<'_>, memory: &Memory) -> fmt::Result {
    let Some(temporaries) = memory.temporaries else {
        return Ok(());
    };
    write!(f, "temporaries  {:>11}", bytes(temporaries.into()))?;
    if let Some((predicted, growth)) = memory.predicted.zip(memory.growth) {
        let (predicted, growth) = (bytes(predicted.into()), bytes(growth.into()));
        write!(
            f,
            "   the first step took {growth} of memory, predicted {predicted}"
        )?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_median() {
        let t = Times::of(vec![3e-3, 1e-3, 2e-3]);
        assert_eq!((t.runs, t.median, t.least), (3, 2e-3, 1e-3));
        assert_eq!((t.mean, t.typical()), (2e-3, 2e-3));
        let varied = Times {
            varied: true,
            ..Times::of(vec![1.0, 1.0, 4.0])
        };
        assert_eq!(varied.typical(), 2.0);
        assert_eq!(Times::of(Vec::new()), Times::default());
        assert_eq!(
            [time(2.5), time(0.0123), time(4.56e-6)],
            ["2.500 s", "12.300 ms", "4.56 µs"]
        );
    }
}
