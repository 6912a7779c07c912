//! What a process holds open, by kind.

use std::collections::{BTreeMap, HashMap};

/// How the kernel's tables of TCP name a socket that listens.
const LISTENING: &str = "0A";

/// What a process holds open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    /// Files, pipes, what the runtime waits by, and sockets that listen.
    pub(crate) standing: usize,
    /// Connections that others made to it.
    pub(crate) taken: usize,
    /// Connections that it made to others, by their port.
    pub(crate) made: BTreeMap<u16, usize>,
}

impl Files {
    /// What the process with this id holds open now. What is closed or opened meanwhile may be missing.
    pub(crate) fn of(process: u32) -> Self {
        let sockets = sockets(process);
        let here: Vec<u16> = sockets
            .values()
            .filter(|socket| socket.listens)
            .map(|socket| socket.local)
            .collect();
        let mut files = Self::default();
        for entry in std::fs::read_dir(format!("/proc/{process}/fd"))
            .unwrap()
            .flatten()
        {
            let Ok(target) = std::fs::read_link(entry.path()) else {
                continue;
            };
            match sockets.get(&*target.to_string_lossy()) {
                Some(socket) if socket.listens => files.standing += 1,
                Some(socket) if here.contains(&socket.local) => files.taken += 1,
                Some(socket) => *files.made.entry(socket.remote).or_default() += 1,
                None => files.standing += 1,
            }
        }
        files
    }

    /// All of them.
    pub(crate) fn count(&self) -> usize {
        self.standing + self.taken + self.made.values().sum::<usize>()
    }
}

/// A socket of TCP: its ports, and whether it listens.
struct Socket {
    local: u16,
    remote: u16,
    listens: bool,
}

/// The sockets that the process sees, by what its files are linked to.
fn sockets(process: u32) -> HashMap<String, Socket> {
    let mut found = HashMap::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let port = |column: &str| u16::from_str_radix(column.rsplit(':').next().unwrap(), 16).unwrap();
            let socket = Socket {
                local: port(columns[1]),
                remote: port(columns[2]),
                listens: columns[3] == LISTENING,
            };
            found.insert(format!("socket:[{}]", columns[9]), socket);
        }
    }
    found
}
