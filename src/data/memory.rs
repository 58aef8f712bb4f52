//! How much memory there is, so that data too large is refused before it is made.
//!
//! In: what the system says. Out: bytes that may still be taken, where that is known. An allocation
//! that seems to succeed can still end with the process killed, so its size is compared first.

use std::fs::read_to_string;

use crate::diagnostics::Diagnostic;

/// Bytes available to this process: the machine's, or what its control group leaves.
pub fn available() -> Option<u64> {
    let number = |path: &str| read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let machine = read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| from_meminfo(&text));
    let limit = number("/sys/fs/cgroup/memory.max");
    let used = number("/sys/fs/cgroup/memory.current");
    let group = limit.map(|l| l.saturating_sub(used.unwrap_or(0)));
    [machine, group].into_iter().flatten().min()
}

/// Refuses data of so many bytes where there are fewer.
pub fn check(needed: u64) -> Result<(), Diagnostic> {
    match available() {
        Some(available) if needed > available => {
            let message = format!("about {needed} bytes of data, {available} available");
            Err(Diagnostic::error("resource::memory", message))
        }
        _ => Ok(()),
    }
}

/// The `MemAvailable` line, in bytes.
fn from_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::from_meminfo;

    #[test]
    fn available_memory_is_in_bytes() {
        let text = "MemTotal:       16 kB\nMemAvailable:    3 kB\n";
        assert_eq!(from_meminfo(text), Some(3072));
        assert_eq!(from_meminfo("MemTotal: 16 kB\n"), None);
    }
}
