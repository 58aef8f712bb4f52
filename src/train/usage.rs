//! What a run takes of the machine it is on.
//!
//! In: steps as they are done. Out: [`Usage`], over the time since the reading before, and of the
//! whole process. Nothing of a run depends on it, and no two runs have the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub seconds: f64,
    pub steps_per_second: f64,
    /// Steps of sequences (or examples, where there is no time) that counted in the loss.
    pub items_per_second: f64,
    /// Processors busy for this process, on average.
    pub cores: f64,
    /// The most memory that the process has had, in bytes.
    pub peak_bytes: u64,
}

impl Usage {
    /// `seconds`, `steps_per_second`, `items_per_second`, `cores`, `peak_bytes`.
    pub fn json(&self) -> Value {
        json!({
            "seconds": self.seconds, "steps_per_second": self.steps_per_second,
            "items_per_second": self.items_per_second, "cores": self.cores,
            "peak_bytes": self.peak_bytes,
        })
    }
}

/// `12k/s on 1.9 cores, 61 MB at most`.
impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rate, peak) = (short(self.items_per_second), self.peak_bytes as f64 / 1e6);
        write!(
            f,
            "{rate}/s on {:.1} cores, {peak:.0} MB at most",
            self.cores
        )
    }
}

/// A rate in few characters.
pub fn short(x: f64) -> String {
    match x {
        x if x >= 1e6 => format!("{:.1}M", x / 1e6),
        x if x >= 1e3 => format!("{:.0}k", x / 1e3),
        x => format!("{x:.0}"),
    }
}

/// Counts what is done between readings.
#[derive(Clone, Debug)]
pub struct Meter {
    since: Instant,
    processor: Duration,
    steps: u64,
    items: f64,
}

impl Meter {
    pub fn start() -> Meter {
        Meter {
            since: Instant::now(),
            processor: process().0,
            steps: 0,
            items: 0.0,
        }
    }

    /// One step with so many items.
    pub fn step(&mut self, items: f64) {
        self.steps += 1;
        self.items += items;
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Of the time since the start.
    pub fn read(&self) -> Usage {
        let seconds = self.since.elapsed().as_secs_f64();
        let rate = |n: f64| n / seconds.max(1e-9);
        let (processor, peak_bytes) = process();
        Usage {
            seconds,
            steps_per_second: rate(self.steps as f64),
            items_per_second: rate(self.items),
            cores: rate(processor.saturating_sub(self.processor).as_secs_f64()),
            peak_bytes,
        }
    }
}

/// Processor time of all threads, and the most memory in bytes, since the process began.
fn process() -> (Duration, u64) {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a value of the type that the call fills in.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) } != 0 {
        return (Duration::ZERO, 0);
    }
    let time = |t: libc::timeval| {
        let seconds = u64::try_from(t.tv_sec).unwrap_or(0);
        let micros = u64::try_from(t.tv_usec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    let most = u64::try_from(usage.ru_maxrss).unwrap_or(0);
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    (time(usage.ru_utime) + time(usage.ru_stime), most * unit)
}

/// Bytes of memory that this process has now, and the most it has had since [`forget_most_resident`], without what it maps
/// of files, such as pages of its own program; `None` where the system does not say.
pub fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let mapped = bytes("RssFile:").unwrap_or(0);
    let own = |name: &str| Some(bytes(name)?.saturating_sub(mapped));
    Some((own("VmRSS:")?, own("VmHWM:")?))
}

/// Lets the most memory be counted anew from here, memory that is free but not given back aside; false where the system
/// cannot.
pub fn forget_most_resident() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number and touches only memory that the allocator has free.
    unsafe {
        libc::malloc_trim(0);
    }
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_short() {
        let usage = Usage {
            items_per_second: 12_345.0,
            cores: 1.94,
            peak_bytes: 61_400_000,
            ..Usage::default()
        };
        assert_eq!(usage.to_string(), "12k/s on 1.9 cores, 61 MB at most");
    }

    #[test]
    fn a_reading_is_of_this_process() {
        let mut meter = Meter::start();
        // Memory that is touched, and work.
        let touched = vec![1u8; 64 << 20];
        let mut sum = 0u64;
        while meter.steps() < 3 || meter.elapsed() < Duration::from_millis(50) {
            let some = touched.iter().step_by(997);
            sum = some.fold(sum, |s, b| s.wrapping_mul(31).wrapping_add(u64::from(*b)));
            meter.step(5.0);
        }
        assert_ne!(std::hint::black_box(sum), 1);
        let usage = meter.read();
        assert!(usage.peak_bytes >= 64 << 20, "{usage:?}");
        // More processors than a machine has, or none, would be a wrong unit.
        assert!(usage.cores > 0.0 && usage.cores < 1024.0, "{usage:?}");
        assert!((usage.items_per_second / usage.steps_per_second - 5.0).abs() < 1e-9);
        assert!(usage.steps_per_second * usage.seconds >= 0.99);
    }
}
