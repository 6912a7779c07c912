//! A terminal, as far as a command can tell: a pseudo-terminal whose other end the test holds.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What the person types, and the terminal's end for the command.
pub(crate) struct Terminal {
    person: File,
    command: File,
}

impl Terminal {
    /// A terminal on which this was typed; what is not read stays typed.
    pub(crate) fn with_typed(text: &str) -> Self {
        let person: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        // It becomes nobody's controlling terminal: the tests' process leads no session.
        let command = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut person = File::from(person);
        person.write_all(text.as_bytes()).unwrap();
        Self { person, command }
    }

    /// The command's end, and what keeps the terminal from being hung up.
    pub(crate) fn ends(self) -> (File, File) {
        (self.command, self.person)
    }
}
