//! Webhooks as the platforms send them: built, signed and posted to the daemon.

pub mod slack;
pub mod whatsapp;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderName, StatusCode};

use crate::outbound::{self, Failure};

/// How long a platform waits for an acknowledgement here; Slack gives up after 3 s (docs.slack.dev, "Responding to
/// events"), but whoever looks for a mistake wants to see a slow answer as well.
const PATIENCE: Duration = Duration::from_secs(30);

/// A webhook that is ready to be posted.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The path on the daemon's public listener.
    path: &'static str,
    /// The headers that prove who sends it.
    headers: Vec<(HeaderName, String)>,
    /// The bytes that are signed.
    body: Vec<u8>,
}

/// What the daemon answered.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// The status.
    pub status: StatusCode,
    /// How long it took.
    pub took: Duration,
    /// The body.
    pub body: String,
}

/// Posts webhooks to a daemon. Clones share connections.
#[derive(Debug, Clone)]
pub struct Postman {
    client: reqwest::Client,
    base: String,
}

impl Postman {
    /// For the daemon at this address (`http://127.0.0.1:8080`).
    pub fn new(base: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: outbound::client(PATIENCE)?,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Posts a webhook.
    pub async fn post(&self, signed: Signed) -> Result<Acknowledged, Failure> {
        let mut request = self
            .client
            .post(format!("{}{}", self.base, signed.path))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(signed.body);
        for (name, value) in signed.headers {
            request = request.header(name, value);
        }
        let begun = Instant::now();
        let answer = outbound::call(request).await?;
        Ok(Acknowledged {
            status: answer.status,
            took: begun.elapsed(),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        })
    }
}

/// The time since the epoch.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
