//! What a process and its children use, as Linux tells it.

use std::collections::HashMap;
use std::time::Duration;

/// How many clock ticks `/proc` counts in a second (`getconf CLK_TCK`).
const TICKS: u64 = 100;

/// The size of a page, in KiB (`getconf PAGE_SIZE`).
const PAGE: f64 = 4.0;

/// What a process and its children use.
pub(crate) struct Usage {
    /// Processor time since they began: user's and system's.
    pub(crate) cpu: Duration,
    /// Resident memory, in MiB.
    pub(crate) resident: f64,
}

struct Stat {
    parent: u32,
    ticks: u64,
    pages: f64,
}

/// What this process and all that descend of it use. Nothing if it has ended.
pub(crate) fn usage(root: u32) -> Usage {
    let all: HashMap<u32, Stat> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?))
        })
        .collect();
    let descends = |mut pid: u32| {
        loop {
            match all.get(&pid) {
                Some(_) if pid == root => return true,
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
    };
    let family = || {
        all.iter()
            .filter(|(pid, _)| descends(**pid))
            .map(|(_, stat)| stat)
    };
    Usage {
        cpu: Duration::from_millis(family().map(|stat| stat.ticks).sum::<u64>() * 1000 / TICKS),
        resident: family().map(|stat| stat.pages).sum::<f64>() * PAGE / 1024.0,
    }
}

/// The fields of `/proc/PID/stat` behind the program's name (which may hold spaces): proc(5) numbers them from 3.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        // Its own, and of children that ended and were waited for.
        ticks: field(14)? + field(15)? + field(16)? + field(17)?,
        pages: fields.get(24 - 3)?.parse().ok()?,
    })
}

/// Files and connections that a process has open.
pub(crate) fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
