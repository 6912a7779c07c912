//! What the kernel tells of this process, read when somebody asks for the metrics.
//!
//! It stands in `/proc/self` (the manual pages `proc_pid_stat(5)`, `proc_pid_status(5)`, `proc_pid_limits(5)`). Where
//! there is no such folder, these metrics are missing.

use std::fs;

use super::names::{CPU, MEMORY, MOST_FILES, OPEN_FILES, STARTED};

/// How often a second the kernel counts, in what it tells of processes (`USER_HZ`, `time(7)`): the same on all machines
/// that Linux runs on today.
const TICKS: u64 = 100;

/// Sets the metrics.
pub(super) fn refresh() {
    if let Some(bytes) = status("VmRSS:").and_then(|kib| kib.checked_mul(1024)) {
        gauge(MEMORY, bytes);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The look itself has one open.
        gauge(OPEN_FILES, (files.count() as u64).saturating_sub(1));
    }
    if let Some(most) = limit() {
        gauge(MOST_FILES, most);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(times) = times(&stat) {
        metrics::counter!(CPU).absolute(times.computed / TICKS);
        if let Some(boot) = boot_time() {
            gauge(STARTED, boot + times.started / TICKS);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; no such number comes near its limits"
)]
fn gauge(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}

/// A number of `/proc/self/status`, in KiB.
fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit of open files; none if there is none.
fn limit() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// When the machine was started, in seconds since the epoch.
fn boot_time() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// In ticks.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    computed: u64,
    /// Since the machine's own start.
    started: u64,
}

/// Reads `/proc/self/stat`. The second field is the name in brackets, and may hold anything.
fn times(stat: &str) -> Option<Times> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The first of these is the third of all.
    let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    Some(Times {
        computed: field(14)? + field(15)?,
        started: field(22)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_moves_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 4 0 1234 1 1";
        assert_eq!(
            times(stat),
            Some(Times {
                computed: 300,
                started: 1234
            })
        );
        assert_eq!(times("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_numbers() {
        assert!(status("VmRSS:").unwrap() > 100);
        assert!(limit().unwrap() > 10);
        let started = boot_time().unwrap()
            + times(&fs::read_to_string("/proc/self/stat").unwrap())
                .unwrap()
                .started
                / TICKS;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(
            started <= now + 1 && started + 30 * 24 * 3600 > now,
            "{started} {now}"
        );
    }
}
