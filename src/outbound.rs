//! Calls to other servers: one way to make them, and one way in which they fail.
//!
//! What matters to a caller is whether the other side may have seen the request. A [`Failure::NotSent`] may simply be
//! tried again; after a [`Failure::Unknown`] it must look first.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use thiserror::Error;

use crate::telemetry::trace::{self, Kind, Span};
use crate::telemetry::{CALL_TIME, CALLS};

/// The most that is read of an answer, in bytes; no honest answer of any of the services comes near it.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an unused connection is kept. Shorter than the 60 s of common load balancers, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// A client whose calls take `timeout` at most, body included; connecting takes 3 s at most. It follows no
/// redirects: a token never goes to a host that an answer names.
pub fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    builder(timeout).build()
}

/// The same for [`call_with_certificate`].
pub fn client_that_shows_certificates(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    builder(timeout).tls_info(true).build()
}

fn builder(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("chatbridge/", env!("CARGO_PKG_VERSION")))
}

/// An answer that arrived whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// `Retry-After` in its form of whole seconds, at most an hour: what a server asks beyond that is not believed.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self
            .headers
            .get(http::header::RETRY_AFTER)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()?;
        Some(Duration::from_secs(seconds.min(3600)))
    }

    /// The body as JSON, if it is any.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A call without a whole answer. The messages name no address and no content.
#[derive(Debug, Error)]
pub enum Failure {
    /// The request never left.
    #[error("could not be reached ({0})")]
    NotSent(String),
    /// The request may have been read and acted on.
    #[error("gave no whole answer ({0})")]
    Unknown(String),
}

/// A server that is called again and again: its calls are counted and timed.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    name: &'static str,
    refuses: fn(&Answer) -> bool,
    traced: bool,
}

impl Service {
    /// A service by this name in the metrics, which says no by the status alone.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            refuses: |_| false,
            traced: false,
        }
    }

    /// A service that also says no with a status of success; `refuses` tells by the answer.
    pub const fn judged(name: &'static str, refuses: fn(&Answer) -> bool) -> Self {
        Self {
            name,
            refuses,
            traced: false,
        }
    }

    /// The same, and each call tells to which trace it belongs (`traceparent`, W3C Trace Context).
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Makes a call and reads its whole answer.
    pub async fn call(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let began = Instant::now();
        let span = Span::within("call", Kind::Client).map(|span| span.note("chatbridge.service", &self.name));
        let request = match &span {
            Some(span) if self.traced => request.header("traceparent", span.context().header()),
            _ => request,
        };
        let answer = call(request).await;
        let outcome = self.outcome(&answer);
        trace::end(span, outcome, outcome == "ok");
        metrics::counter!(CALLS, "service" => self.name, "outcome" => outcome).increment(1);
        metrics::histogram!(CALL_TIME, "service" => self.name).record(began.elapsed().as_secs_f64());
        answer
    }

    fn outcome(&self, answer: &Result<Answer, Failure>) -> &'static str {
        match answer {
            Err(Failure::NotSent(_)) => "not_sent",
            Err(Failure::Unknown(_)) => "no_answer",
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => "limited",
            Ok(answer) if answer.status.is_server_error() => "failed",
            Ok(answer) if !answer.status.is_success() || (self.refuses)(answer) => "refused",
            Ok(_) => "ok",
        }
    }
}

/// Makes a call and reads its whole answer.
pub async fn call(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    let response = request.send().await.map_err(|error| classify(&error))?;
    read(response).await
}

/// Makes a call, and shows what is known of the connection's certificate; nothing where there is none.
pub async fn call_with_certificate(
    request: reqwest::RequestBuilder,
) -> Result<(Answer, Option<reqwest::tls::TlsInfo>), Failure> {
    let response = request.send().await.map_err(|error| classify(&error))?;
    let certificate = response.extensions().get().cloned();
    Ok((read(response).await?, certificate))
}

/// What became of a call that asks to go on in another protocol on its connection.
pub enum Upgrade {
    /// The other side agrees; these are its headers, and the connection.
    Agreed(HeaderMap, reqwest::Upgraded),
    /// It answers something else.
    Declined(Answer),
}

/// Makes a call that asks to go on in another protocol. The timeout of the client ends with the answer: on the
/// connection itself there is none.
pub async fn upgrade(request: reqwest::RequestBuilder) -> Result<Upgrade, Failure> {
    let mut response = request.send().await.map_err(|error| classify(&error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return read(response).await.map(Upgrade::Declined);
    }
    let headers = std::mem::take(response.headers_mut());
    let connection = response.upgrade().await;
    connection
        .map(|connection| Upgrade::Agreed(headers, connection))
        .map_err(|error| Failure::Unknown(describe(&error)))
}

async fn read(mut response: reqwest::Response) -> Result<Answer, Failure> {
    let mut answer = Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: Vec::new(),
    };
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::Unknown(describe(&error)))?
    {
        if answer.body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Failure::Unknown(format!(
                "the answer is larger than {LARGEST_ANSWER} bytes"
            )));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

fn classify(error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        Failure::NotSent(describe(error))
    } else {
        Failure::Unknown(describe(error))
    }
}

/// The innermost cause: reqwest's own text names the address, which may hold a token.
fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, std::ptr::from_ref(error)) {
        "failed".to_owned()
    } else {
        cause.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_what_the_other_side_meant() {
        let service = Service::judged("test", |answer| answer.body == b"no");
        let answer = |status: u16, body: &[u8]| {
            Ok(Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: body.to_vec(),
            })
        };
        for (answer, outcome) in [
            (answer(200, b"yes"), "ok"),
            (answer(200, b"no"), "refused"),
            (answer(401, b""), "refused"),
            (answer(302, b""), "refused"),
            (answer(429, b"no"), "limited"),
            (answer(503, b"no"), "failed"),
            (Err(Failure::NotSent(String::new())), "not_sent"),
            (Err(Failure::Unknown(String::new())), "no_answer"),
        ] {
            assert_eq!(service.outcome(&answer), outcome, "{answer:?}");
        }
    }
}
