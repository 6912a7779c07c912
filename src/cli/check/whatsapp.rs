//! What `check` looks at on WhatsApp's side.

use super::{Check, Outcome};
use crate::channel::whatsapp::Settings;
use crate::channel::whatsapp::setup::{Finding, Setup, Survey, Verdict};
use crate::cli::whatsapp::Ids;
use crate::domain::{Clock, SystemClock};

/// The checks of WhatsApp.
pub(super) async fn checks(settings: &Settings, public_url: Option<&str>, ids: &Ids) -> Vec<Check> {
    match Setup::new(settings, public_url, ids.into()) {
        Ok(setup) => list(&setup.survey().await),
        Err(error) => vec![Check::failed(
            "whatsapp",
            format!("calls to Meta cannot be prepared: {error}"),
            "install the root certificates (ca-certificates)",
        )],
    }
}

/// What a survey found, as checks.
pub(in crate::cli) fn list(survey: &Survey) -> Vec<Check> {
    let found = survey.findings(SystemClock.now());
    found.into_iter().map(check).collect()
}

fn check(finding: Finding) -> Check {
    Check {
        name: finding.name,
        outcome: match finding.verdict {
            Verdict::Ok => Outcome::Ok,
            Verdict::Failed => Outcome::Failed,
            Verdict::Skipped => Outcome::Skipped,
        },
        found: finding.found,
        remedy: finding.remedy,
    }
}
