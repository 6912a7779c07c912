//! What is wrong with a configuration.

use std::fmt;

use crate::telemetry::lines::written_out;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as in `server.bind`; empty if it concerns a file as a whole.
    pub key: String,
    /// Where it was written: a file's name or an environment variable's.
    pub origin: String,
    /// What is wrong and what to do. It shows no secret.
    pub message: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, origin: impl Into<String>, message: impl Into<String>) -> Self {
        // Names that nobody knows are repeated as they were written: they must not steer the terminal that shows them.
        let plain = |text: String| written_out(&text).into_owned();
        Self {
            key: plain(key.into()),
            origin: plain(origin.into()),
            message: plain(message.into()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{} {}", self.origin, self.message)
        } else {
            write!(f, "{} ({}): {}", self.key, self.origin, self.message)
        }
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The mistakes; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    /// One mistake a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}
