//! How much memory this process may still take: nothing in, bytes out.
//!
//! An allocation beyond it may succeed and end the process later, when the pages are touched; so arenas ask first.

use std::fs;
use std::path::Path;

use crate::diagnostics::Diagnostic;

/// Bytes that can be taken now, or `None` where the system does not say: the least of what the kernel estimates as
/// available and what the control group leaves.
pub fn available() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| meminfo(&text));
    let group = [
        ("memory.max", "memory.current"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
        ),
    ]
    .into_iter()
    .filter_map(|(limit, usage)| {
        let root = Path::new("/sys/fs/cgroup");
        let limit = fs::read_to_string(root.join(limit)).ok()?;
        let usage = fs::read_to_string(root.join(usage)).ok()?;
        left(&limit, &usage)
    })
    .min();
    machine.into_iter().chain(group).min()
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What a control group leaves; `None` without a limit.
fn left(limit: &str, usage: &str) -> Option<u64> {
    let limit: u64 = limit.trim().parse().ok()?;
    let usage: u64 = usage.trim().parse().ok()?;
    Some(limit.saturating_sub(usage))
}

/// The error of a call that needs more than there is.
pub fn refused(needed: u128, available: Option<u64>) -> Diagnostic {
    let message = match available {
        Some(a) => format!(
            "this call needs {} of memory, {} are available",
            bytes(needed),
            bytes(u128::from(a))
        ),
        None => format!(
            "this call needs {} of memory, which the system refuses",
            bytes(needed)
        ),
    };
    Diagnostic::error("resource::memory", message).help(format!(
        "{needed} bytes; a smaller batch or shorter sequences need less"
    ))
}

/// A number of bytes with a unit: `12.3 GB`.
pub fn bytes(n: u128) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut x = n as f64;
    let mut unit = 0;
    while x >= 999.95 && unit + 1 < UNITS.len() {
        x /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} B")
    } else {
        format!("{x:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        let text = "MemTotal: 100 kB\nMemAvailable:   12 kB\n";
        assert_eq!(meminfo(text), Some(12 * 1024));
        assert_eq!(meminfo("MemTotal: 100 kB\n"), None);
        assert_eq!(left("max\n", "5\n"), None);
        assert_eq!(left("7\n", "5\n"), Some(2));
        assert_eq!(left("5\n", "7\n"), Some(0));
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        assert_eq!(bytes(999_999), "1.0 MB");
    }
}
