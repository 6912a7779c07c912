//! One thing that was looked at, and how it is.

use super::trouble::Trouble;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `whatsapp token`.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, in a few words.
    pub found: String,
    /// What to do, if something is to be done.
    pub remedy: Option<String>,
}

/// How a thing is that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Ok,
    /// Something must be done.
    Failed,
    /// It could not be looked at.
    Skipped,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, found, None)
    }

    /// Something must be done, and this.
    pub(super) fn failed(
        name: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(name, Verdict::Failed, found, Some(remedy.into()))
    }

    /// It could not be looked at.
    pub(super) fn skipped(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, found, None)
    }

    /// The same with what to do.
    pub(super) fn with_remedy(mut self, remedy: &str) -> Self {
        self.remedy = Some(remedy.to_owned());
        self
    }

    /// Whether all is well.
    pub(super) fn is_ok(&self) -> bool {
        self.verdict == Verdict::Ok
    }

    /// A call of the Graph API says what must be done.
    pub(super) fn troubled(name: impl Into<String>, trouble: &Trouble) -> Self {
        Self::failed(name, trouble.to_string(), trouble.remedy())
    }

    fn new(
        name: impl Into<String>,
        verdict: Verdict,
        found: impl Into<String>,
        remedy: Option<String>,
    ) -> Self {
        Self {
            name: name.into(),
            verdict,
            found: found.into(),
            remedy,
        }
    }
}
